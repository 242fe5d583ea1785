"""Dense LU of the d²×d² generator: for small systems, and the oracle for every other solver."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Complex

from ._base import AbstractSolver


class Dense(AbstractSolver):
    """LU factorisation with one step of iterative refinement.

    Memory O(d⁴), time O(d⁶). Works for every master equation.

    **Arguments:** `refine`: number of refinement steps; each costs one more pair of triangular solves.
    """

    refine: int = eqx.field(static=True, default=1)
    name: ClassVar[str] = "dense"

    def solve(self, M: Complex[Array, "n n"], B: Complex[Array, "n k"]) -> Complex[Array, "n k"]:
        operator = lx.MatrixLinearOperator(M)
        solver = lx.LU()
        # The factors are a means, not part of the answer: the derivative of the solve goes through `operator`.
        state = solver.init(lx.MatrixLinearOperator(jax.lax.stop_gradient(M)), {})

        def one(b: Array) -> Array:
            return lx.linear_solve(operator, b, solver, state=state, throw=False).value

        def columns(B: Array) -> Array:
            return jax.vmap(one, in_axes=1, out_axes=1)(B)

        X = columns(B)
        for _ in range(self.refine):
            X = X + columns(B - jnp.matmul(M, X, precision="highest"))
        return X
