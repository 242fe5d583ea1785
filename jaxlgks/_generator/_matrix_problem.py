"""What the problems of matrices share: how operators and states of the user's are checked.

Takes: operators, states. Returns: arrays of the precision of the system.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._inputs import as_operator, as_state
from .._system import System
from ._base import AbstractForm, NullState
from ._matrices import Evolution
from ._problem import AbstractProblem
from ._verdict import SteadyState


class MatrixProblem(AbstractProblem):
    """A system of matrices and its equation, resolved."""

    def operator(self, A: Any, name: str, *, hermitian: bool = True) -> Complex[Array, "d d"]:
        return as_operator(A, name, self.model.dim, hermitian=hermitian).astype(self.model.hamiltonian.dtype)

    def operators(self, A: Any, name: str) -> Complex[Array, "*a d d"]:
        if not isinstance(getattr(A, "shape", None), tuple) or len(A.shape) <= 2:
            return self.operator(A, name)
        stack = [self.operator(one, f"{name}[{i}]") for i, one in enumerate(A.reshape(-1, *A.shape[-2:]))]
        return jnp.stack(stack).reshape(A.shape)

    def state(self, rho: Any, name: str, *, positive: bool = False) -> Complex[Array, "d d"]:
        return as_state(rho, name, self.model.dim, positive=positive).astype(self.model.hamiltonian.dtype)

    def initial(self, rho: Any, name: str, method: str) -> Complex[Array, "d d"]:
        return self.state(rho, name)

    def visited(self, evolution: Evolution) -> Complex[Array, "t d d"]:
        return evolution.states

    def numbers(self, steady: SteadyState) -> list[Any]:
        return [x for x in (steady.rho, steady.populations) if x is not None]


def edge_population(model: System, form: AbstractForm, null: NullState) -> Float[Array, ""]:
    """The population of the last levels of a truncated space."""
    if model.edge is None:
        return jnp.zeros((), null.residual.dtype)
    rho = jax.lax.stop_gradient(form.external(null.state))
    return jnp.trace(model.edge @ rho).real.astype(null.residual.dtype)
