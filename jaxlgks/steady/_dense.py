"""Dense LU of the d²×d² generator: for small systems, and the oracle for every other solver."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from .._generator import energy_generator, unvec, vec
from .._inputs import spoil
from .._system import System
from ..equations import AbstractEquation, counted
from ._base import AbstractSolver, Found, pinned_generator, require_memory


class Dense(AbstractSolver):
    """LU factorisation with one step of iterative refinement.

    Memory O(d⁴), time O(d⁶). Works for every master equation.

    **Arguments:** `refine`: number of refinement steps; each costs one more pair of triangular solves. `memory`: bytes
    that it may take; more is refused before it is taken.

    **Raises:** `SolverMemoryError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    lgks.steady_state(system, solver=lgks.Dense(refine=2)).residual
    ```
    """

    refine: int = eqx.field(static=True, default=1)
    memory: float = eqx.field(static=True, default=8e9)
    name: ClassVar[str] = "dense"

    def admit(self, system: System, equation: AbstractEquation) -> AbstractEquation:
        """Groups counted; `SolverMemoryError` if the generator is too large."""
        # L, its pinned copy, the factors, and at least as much for what they are made of.
        needed = 4.0 * system.hamiltonian.dtype.itemsize * system.dim**4
        require_memory(self, f"the generator of a system of dimension {system.dim}", needed, self.memory)
        return counted(equation, system)

    def find(self, system: System, equation: AbstractEquation) -> Found:
        """The steady state from the pinned generator."""
        basis = energy_generator(system, equation)
        L = basis.matrix
        pinned = pinned_generator(L)
        # A fixed vector without symmetry: |M⁻¹ probe| is large exactly when M is almost singular.
        n = L.shape[-1]
        probe = jnp.exp(1j * (1.0 + jnp.arange(n)) ** 2).astype(L.dtype) / jnp.sqrt(n)
        solution = self.solve(pinned.matrix, jnp.stack([pinned.unit, probe], axis=1))
        rho = unvec(solution[:, 0])
        rho = (rho + rho.conj().T) / 2
        frozen = jax.lax.stop_gradient(rho)
        residual = jnp.max(jnp.abs(jax.lax.stop_gradient(L) @ vec(frozen)))
        M = jax.lax.stop_gradient(pinned.matrix)
        size = jnp.max(jnp.sum(jnp.abs(M), axis=1))
        slowest = 1.0 / jnp.linalg.norm(jax.lax.stop_gradient(solution[:, 1]))
        condition = slowest / size
        residual = residual / jnp.max(jnp.abs(M))
        eps = jnp.finfo(condition.dtype).eps
        return Found(
            rho=basis.back(rho),
            populations=None,
            rates=None,
            residual=residual,
            slowest=slowest,
            condition=condition,
            applicable=jnp.asarray(True),
            unique=condition > 100 * eps,  # NaN counts as not unique
            accurate=residual <= 100 * n * eps,
        )

    def solve(self, M: Complex[Array, "n n"], B: Complex[Array, "n k"]) -> Complex[Array, "n k"]:
        """X with M X = B, differentiable by the implicit function theorem."""
        # A linear solver that is given NaN stops the program, a whole batch of it: pass NaN on instead.
        finite = jnp.all(jnp.isfinite(M)) & jnp.all(jnp.isfinite(B))
        given = (M, B)
        M = jnp.where(finite, M, jnp.eye(M.shape[-1], dtype=M.dtype))
        B = jnp.where(finite, B, 0.0)
        # The factors and the first approximation X₀ are means, not part of the answer: X = X₀ + M⁻¹(B − M X₀) holds for
        # any X₀, so the derivative goes through this one solve alone. (Not by lineax: its forward derivative raises on
        # a NaN tangent, and stops a whole batch.)
        frozen = jax.lax.stop_gradient(M)
        factors = jax.scipy.linalg.lu_factor(frozen)
        solve = lambda b, trans=0: jax.scipy.linalg.lu_solve(factors, b, trans=trans)  # noqa: E731
        times = lambda matrix, x: jnp.matmul(matrix, x, precision="highest")  # noqa: E731
        X = jnp.zeros_like(B)
        for _ in range(self.refine):
            X = X + solve(jax.lax.stop_gradient(B) - times(frozen, X))
        residual = B - times(M, X)
        X = X + jax.lax.custom_linear_solve(
            lambda x: times(M, x), residual, lambda _, b: solve(b), lambda _, b: solve(b, trans=1)
        )
        return spoil(X, ~finite, given)
