"""Dense LU of the d²×d² generator: for small systems, and the oracle for every other solver."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._equations import AbstractEquation, counted
from .._generator import (
    AbstractGenerator,
    Pinned,
    dense_generator,
    linear_solve,
    pinned_generator,
    trace_vector,
    unvec,
)
from .._system import System
from ._base import AbstractSolver, Found, require_memory


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

    def admit(self, system: System, equation: AbstractEquation) -> tuple[AbstractSolver, AbstractEquation]:
        """Groups counted; `SolverMemoryError` if the generator is too large."""
        # L, its pinned copy, the factors, and at least as much for what they are made of.
        needed = 4.0 * system.hamiltonian.dtype.itemsize * system.dim**4
        require_memory(self, f"the generator of a system of dimension {system.dim}", needed, self.memory)
        return self, counted(equation, system)

    def find(self, system: System, equation: AbstractEquation) -> Found:
        """The steady state from the pinned generator."""
        basis = dense_generator(system, equation)
        pinned = pinned_generator(basis.matrix, trace_vector(system.dim, basis.matrix.dtype))
        return found(basis, unvec, basis.matrix, pinned, self.refine)


def found(
    basis: AbstractGenerator, as_matrix: Callable[[Array], Array], L: Array, pinned: Pinned, refine: int
) -> Found:
    """The steady state of a generator, or of its block that holds the populations; `as_matrix` of its vector."""
    # A fixed vector without symmetry: |M⁻¹ probe| is large exactly when M is almost singular.
    n = L.shape[-1]
    probe = jnp.exp(1j * (1.0 + jnp.arange(n)) ** 2).astype(L.dtype) / jnp.sqrt(n)
    solution = linear_solve(pinned.matrix, jnp.stack([pinned.unit, probe], axis=1), refine)
    rho = as_matrix(solution[:, 0])
    L, x, slow, M = jax.lax.stop_gradient((L, solution[:, 0], solution[:, 1], pinned.matrix))
    residual = jnp.max(jnp.abs(L @ x)) / jnp.max(jnp.abs(M))
    slowest = 1.0 / jnp.linalg.norm(slow)
    condition = slowest / jnp.max(jnp.sum(jnp.abs(M), axis=1))
    eps = jnp.finfo(condition.dtype).eps
    return Found(
        rho=basis.back((rho + rho.conj().T) / 2),
        populations=None,
        rates=None,
        residual=residual,
        slowest=slowest,
        condition=condition,
        applicable=jnp.asarray(True),
        unique=condition > 100 * eps,  # NaN counts as not unique
        accurate=residual <= 100 * n * eps,
    )
