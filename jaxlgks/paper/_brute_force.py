"""The oscillators' response computed by the library in a truncated Fock space, without any closed form.

Takes: parameters, temperatures, a cutoff. Returns: the static and the time-dependent response of a†a by mechanism. The
dense solves are the slowest part of the reproduction; a result already computed in this process is used again.
"""

import functools

import jax

from .._equations import Davies
from .._response import LinearResponse, Parts, response
from ._parameters import OscillatorParameters

FOCK = (2, 12)
"""Levels of the plus and the minus mode. At T ≤ 5.5 and ω₋ = 10 the last level holds 2e−9, at ω₊ = 190 1e−15."""

WARM_FOCK = (2, 20)
"""For T = (9, 10), the highest temperatures of a dense d⁴ solve of a few seconds."""


@functools.cache
def occupation_response(
    p: OscillatorParameters, T_a: float, T_b: float, fock: tuple[int, int] = FOCK
) -> tuple[LinearResponse, Parts]:
    """The linear response of a†a to the cubic potential of Eq. (29), and its static value."""
    model = p.model(T_a, T_b, fock)
    # Pinned groups are counted: 61 instead of the d² − d + 1 = 553 that may exist while H is traced.
    linear = response(model.system, model.cubic, model.occupation, Davies().fixed(model.system), instantaneous=True)
    return jax.block_until_ready((linear, linear.static()))
