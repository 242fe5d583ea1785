"""Dense LU of the d²×d² generator: for small systems, and the oracle for every other solver."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Complex

from .._inputs import spoil
from ._base import AbstractSolver


class Dense(AbstractSolver):
    """LU factorisation with one step of iterative refinement.

    Memory O(d⁴), time O(d⁶). Works for every master equation.

    **Arguments:** `refine`: number of refinement steps; each costs one more pair of triangular solves.
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
        # any X₀, so the derivative goes through this one solve alone.
        solver, frozen = lx.LU(), jax.lax.stop_gradient(M)
        state = solver.init(lx.MatrixLinearOperator(frozen), {})

        def solve(matrix: Array, columns: Array) -> Array:
            operator = lx.MatrixLinearOperator(matrix)
            one = lambda b: lx.linear_solve(operator, b, solver, state=state, throw=False).value  # noqa: E731
            return jax.vmap(one, in_axes=1, out_axes=1)(columns)

        X = jnp.zeros_like(B)
        for _ in range(self.refine):
            X = X + solve(frozen, jax.lax.stop_gradient(B) - jnp.matmul(frozen, X, precision="highest"))
        X = X + solve(M, B - jnp.matmul(M, X, precision="highest"))
        return spoil(X, ~finite, given)
