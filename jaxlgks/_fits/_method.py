"""What an optimiser is here: a start, a step, an end.

Enters: a goal, a function of coordinates z: residuals (an array, to be made small in the sum of squares) or a number to
be made small. Leaves: the face that every optimiser has, of optax, optimistix or our own.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Goal = Callable[[Array], Array]


def cost(goal: Goal, z: Float[Array, " p"]) -> Float[Array, ""]:
    """½ Σ r² of residuals; a number itself."""
    value = materialised(z, goal)
    return value if value.ndim == 0 else 0.5 * jnp.sum(value**2)


def expanded(goal: Goal, z: Float[Array, " p"]) -> tuple[Array, Array]:
    """Residuals, and their derivatives [r, p]."""
    value, push = jax.linearize(goal, z)
    return value, jax.vmap(push, out_axes=1)(jnp.eye(z.size, dtype=z.dtype))


@eqx.filter_custom_jvp
def materialised(z: Array, goal: Goal) -> Array:
    """The goal, with a derivative that is a matrix or a gradient, made once, and no program: solvers apply it several
    times a step, forwards and backwards, and a program would be compiled (and run) as often."""
    return goal(z)


@materialised.def_jvp
def _materialised_jvp(primals, tangents):
    z, goal = primals
    if jax.eval_shape(goal, z).ndim == 0:
        value, slope = jax.value_and_grad(goal)(z)
        return value, slope @ tangents[0]
    value, jacobian = expanded(goal, z)
    return value, jacobian @ tangents[0]


class AbstractMethod(eqx.Module):
    """A way downhill."""

    steps: eqx.AbstractVar[int]

    @abc.abstractmethod
    def init(self, goal: Goal, z: Float[Array, " p"]) -> Any:
        """The state before the first step."""

    @abc.abstractmethod
    def step(self, goal: Goal, z: Float[Array, " p"], state: Any) -> tuple[Float[Array, " p"], Any]:
        """One step."""

    @abc.abstractmethod
    def finished(self, goal: Goal, z: Float[Array, " p"], state: Any) -> Bool[Array, ""]:
        """Whether it has arrived, or cannot go on."""
