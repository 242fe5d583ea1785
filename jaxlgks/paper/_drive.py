"""A qubit under a drive of any strength: dissipators that follow at once, with memory, exact dynamics, QuTiP's solvers.

Takes: stored numbers of the hierarchy of equations of motion (HEOM) and of QuTiP's `brmesolve` and `fmmesolve`.
Returns: the driven qubit, and its steady cycles over the amplitude of the drive. A result already computed in this
process is used again.
"""

import functools
import json
from importlib import resources
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import models
from .._cycles import cycle
from .._drives import Drive, DrivenSystem
from .._spectra import DrudeLorentz
from .._system import Bath, System
from ..pulses import periodic

AMPLITUDES = np.linspace(0.0, 0.6, 49)[1:]
HARMONICS = 16
TEMPERATURE, CUTOFF = 0.5, 1.5


class Cycles(NamedTuple):
    """Over the amplitude: the mean of ⟨σz⟩, its first harmonic, the mean heat current from the bath, [a]."""

    mean: np.ndarray
    first: np.ndarray
    current: np.ndarray


@functools.cache
def stored() -> dict:
    """The file of numbers from outside, made by tests/drive_points.py."""
    data = resources.files("jaxlgks.paper").joinpath("data", "driven_qubit.json")
    return json.loads(data.read_text(encoding="utf-8"))


def points() -> np.ndarray:
    """The amplitudes of the stored numbers."""
    return np.array([row["amplitude"] for row in stored()["rows"]])


def outside(solver: str) -> Cycles:
    """The stored numbers of "heom", "brmesolve" or "fmmesolve"; the current is known of the first alone."""
    mean, real, imag = np.array([row[solver] for row in stored()["rows"]]).T
    current = [row[f"{solver}_current"] if solver == "heom" else np.nan for row in stored()["rows"]]
    return Cycles(mean, real + 1j * imag, np.array(current))


def driven_qubit(amplitude) -> DrivenSystem:
    """H(t) = σz/2 + δ sin(ωt) σz, coupled by σx + 0.3 σz to one Drude–Lorentz bath."""
    X, Z = (models.pauli(word) for word in "XZ")
    bath = Bath(X + 0.3 * Z, TEMPERATURE, DrudeLorentz(stored()["strength"], CUTOFF))
    sine = periodic(jnp.array([0.0, 1j]) * amplitude, omega=stored()["omega"])
    return System(Z / 2, [bath]).driven(Drive(Z, sine))


@functools.cache
def cycles(instantaneous: bool) -> tuple[Cycles, Cycles]:
    """On `AMPLITUDES`, and at those of the stored numbers."""
    every = np.concatenate([AMPLITUDES, points()])
    found = Cycles(*(np.asarray(x) for x in _batch(jnp.asarray(every), instantaneous)))
    return Cycles(*(x[: AMPLITUDES.size] for x in found)), Cycles(*(x[AMPLITUDES.size :] for x in found))


@eqx.filter_jit
def _batch(amplitudes, instantaneous: bool):
    def one(amplitude):
        c = cycle(driven_qubit(amplitude), harmonics=HARMONICS, instantaneous=instantaneous)
        Z = models.pauli("Z")
        return c.mean(Z), c.harmonic(Z, 1), c.heat_currents[0]

    return jax.vmap(one)(amplitudes)
