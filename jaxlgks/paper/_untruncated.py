"""The oscillators' response computed by the library without truncation, at the paper's own temperatures.

Takes: parameters, temperatures. Returns: the response of a†a to the cubic potential by mechanism, from polynomials: no
Fock space and no closed form.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from .._response import LinearResponse, Parts, response
from .._steady import steady_state
from ._parameters import OscillatorParameters


def untruncated_response(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike) -> LinearResponse:
    """The response at one pair of temperatures."""
    model = p.untruncated(T_a, T_b)
    return response(model.system, model.cubic, model.occupation, instantaneous=True)


def exact_static(p: OscillatorParameters, T_a: Float[np.ndarray, " t"], T_b: Float[np.ndarray, " t"]) -> Parts:
    """Static parts at many pairs of temperatures, [t]: one program for all."""
    one = jax.jit(lambda hot, cold: untruncated_response(p, hot, cold).static())
    found = [one(hot, cold) for hot, cold in zip(T_a.tolist(), T_b.tolist(), strict=True)]
    return jax.tree.map(lambda *x: jnp.stack(x), *found)


def exact_occupation(p: OscillatorParameters, T_a: float, T_b: float) -> float:
    """⟨a†a⟩ of the unperturbed steady state."""
    model = p.untruncated(T_a, T_b)
    return float(steady_state(model.system).expect(model.occupation))
