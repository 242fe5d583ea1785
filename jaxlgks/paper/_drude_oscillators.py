"""The paper's two oscillators with baths that have a memory: Drude–Lorentz densities in the place of constant rates.

Takes: the parameters of Fig. 2, weaker couplings. Returns: φ(τ) of a†a to the cubic potential by Redfield's equation,
at once and with memory, and exactly, oscillators and baths solved together.

The density that has the paper's rates γ± at ω± is unique. With the rates themselves it softens the minus mode until it
is unstable (8λ > ω₋), so that all of them are scaled down.
"""

import functools
from typing import NamedTuple

import numpy as np

from .._equations import Redfield
from .._quasifree import QuasiFree, exact_response
from .._response import response
from .._spectra import DrudeLorentz
from .._system import Bath
from . import _formulas as f
from ._parameters import FIG2_TEMPERATURES, OscillatorParameters

COUPLINGS = (0.2, 0.1, 0.05)
"""γ± in units of the paper's."""
TIMES = np.linspace(0.0, 2.0, 201)


class Impulses(NamedTuple):
    """φ(τ), [coupling, τ]: the closed form at once, Eq. (31) and Eq. (32) corrected; Redfield at once and with memory;
    exact."""

    closed: np.ndarray
    at_once: np.ndarray
    with_memory: np.ndarray
    exact: np.ndarray


def drude(p: OscillatorParameters) -> tuple[float, float]:
    """λ and ω_c with 4λω_c ω±/(ω±² + ω_c²) = γ±."""
    rates, frequencies = p.gamma_plus / p.gamma_minus, p.plus / p.minus
    square = (rates * p.plus**2 - frequencies * p.minus**2) / (frequencies - rates)
    return p.gamma_minus * (p.minus**2 + square) / (4 * p.minus * np.sqrt(square)), float(np.sqrt(square))


def scaled(coupling: float) -> OscillatorParameters:
    """The paper's parameters with weaker baths."""
    p = OscillatorParameters()
    return p._replace(gamma_minus=coupling * p.gamma_minus, gamma_plus=coupling * p.gamma_plus)


@functools.cache
def impulses() -> Impulses:
    """At every coupling, at the temperatures of Fig. 2."""
    equation, rows = Redfield(lamb_shift=True), []
    for p in map(scaled, COUPLINGS):
        given = p.untruncated(*FIG2_TEMPERATURES)
        density = DrudeLorentz(*drude(p))
        baths = [Bath(bath.coupling, bath.temperature, density, bath.name) for bath in given.system.baths]
        problem = QuasiFree(given.system.hamiltonian, baths), given.cubic, given.occupation
        closed = f.impulse_kubo(p, *FIG2_TEMPERATURES, TIMES) + f.impulse_rotation(p, *FIG2_TEMPERATURES, TIMES)
        at_once, with_memory = (
            response(*problem, equation, instantaneous=so).impulse(TIMES).total for so in (True, False)
        )
        rows.append((closed, at_once, with_memory, exact_response(*problem).impulse(TIMES)))
    return Impulses(*(np.stack([np.asarray(x) for x in one]) for one in zip(*rows, strict=True)))
