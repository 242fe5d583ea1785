"""Dense LU of the d²×d² generator: for small systems, and the oracle for every other solver."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from .._inputs import spoil
from ._base import AbstractSolver


class Dense(AbstractSolver):
    """LU factorisation with one step of iterative refinement.

    Memory O(d⁴), time O(d⁶). Works for every master equation.

    **Arguments:** `refine`: number of refinement steps; each costs one more pair of triangular solves.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    lgks.steady_state(system, solver=lgks.Dense(refine=2)).residual
    ```
    """

    refine: int = eqx.field(static=True, default=1)
    name: ClassVar[str] = "dense"

    def solve(self, M: Complex[Array, "n n"], B: Complex[Array, "n k"]) -> Complex[Array, "n k"]:
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
