"""Two qubits from ντ ≪ 1 to ντ ≫ 1: what five master equations say of the heat current, beside exact dynamics.

Takes: the stored slopes of the numerically exact hierarchy of equations of motion (HEOM) and their parameters. Returns:
steady currents and their relative slopes (J(x) − J(−x))/2x/J₀ against x = δΩ by each equation. V = σ_z^A σ_z^B splits
both groups of Bohr frequencies by ν = 4x. A result already computed in this process is used again.
"""

import functools
import json
from collections.abc import Callable
from importlib import resources
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from .. import models
from .._equations import AbstractEquation, Davies, Local, Redfield, Unified, UniversalLindblad
from .._observables import heat_currents
from .._response import Diagnosis, diagnose
from .._spectra import DrudeLorentz
from .._system import System
from ._parameters import qubit_perturbation

SHIFTS = np.logspace(-7, -1, 40)

# `Unified` keeps its clusters at every δ; `Davies` has two groups at δ = 0 and four at any other.
EQUATIONS: dict[str, Callable[[System], AbstractEquation]] = {
    "local": Local,
    "unified": lambda system: Unified().fixed(system),
    "davies": lambda system: Davies(),
    "redfield": lambda system: Redfield(),
    "universal": lambda system: UniversalLindblad(),
}


class Exact(NamedTuple):
    """Slopes of the HEOM, [n], at x = `shifts`, printed to four digits; its unperturbed current; all parameters."""

    shifts: np.ndarray
    slopes: np.ndarray
    unperturbed: float
    parameters: dict[str, float]

    def model(self) -> System:
        """The microscopic model at these parameters."""
        p = self.parameters
        spectrum = DrudeLorentz(p["lambda"], p["cutoff"])
        return models.two_qubits(p["omega"], p["g"], temperatures=(p["T_a"], p["T_b"]), spectrum=spectrum)


class Curve(NamedTuple):
    """One equation: J₀; J at x and at −x; the relative slope, [n]."""

    unperturbed: float
    forward: np.ndarray
    backward: np.ndarray
    slope: np.ndarray


@functools.cache
def exact() -> Exact:
    """The stored HEOM slopes."""
    text = resources.files("jaxlgks.paper").joinpath("data", "two_qubit_heom.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    rows = stored["heom"]["rows"]
    shifts, slopes = (np.array([row[key] for row in rows]) for key in ("delta_Omega", "slope"))
    parameters = {name: value for name, value in stored["parameters"].items() if not isinstance(value, str)}
    return Exact(shifts, slopes, stored["heom"]["J0"], parameters)


@functools.cache
def curves() -> dict[str, tuple[Curve, Curve]]:
    """For each equation the curve at `SHIFTS` and that at the shifts of the exact slopes."""
    system = exact().model()
    return {name: _curves(system, make(system)) for name, make in EQUATIONS.items()}


@functools.cache
def verdict(shift: float) -> Diagnosis:
    """`diagnose` for the model at x = `shift`."""
    return diagnose(exact().model(), qubit_perturbation(), shift)


def longest_time() -> float:
    """τ: the longer relaxation time of the two groups, which decides about the regime. It does not depend on x."""
    return float(np.max(np.asarray(verdict(1e-3).relaxation_times)))


def splitting(shift):
    """ν = 4x."""
    return 4 * shift


def _curves(system: System, equation: AbstractEquation) -> tuple[Curve, Curve]:
    # The plain quotient is good enough at x = 1e−7: J is a small system's, its rounding is 1e−15 of J₀ or so, hence
    # 1e−8 of the slope (a row of the report), and unlike a mean of derivatives it is what the stored slopes are.
    x = np.concatenate([SHIFTS, exact().shifts])
    # Traced, so no `ValidityWarning` is raised where an equation is out of its range; here that is the purpose.
    J = np.asarray(currents(system, equation, np.concatenate([x, -x, [0.0]])))
    forward, backward, unperturbed = J[: x.size], J[x.size : -1], float(J[-1])
    slope = (forward - backward) / (2 * x * unperturbed)
    grid, points = slice(0, SHIFTS.size), slice(SHIFTS.size, None)
    return tuple(Curve(unperturbed, forward[part], backward[part], slope[part]) for part in (grid, points))  # pyright: ignore


@eqx.filter_jit
def currents(system: System, equation: AbstractEquation, shifts) -> Array:
    """Steady heat current from bath a at each δΩ, [n]."""
    V = qubit_perturbation()
    return jax.vmap(lambda shift: heat_currents(system.perturbed(V, shift), equation)[0])(shifts)


@eqx.filter_jit
def tangent(system: System, equation: AbstractEquation) -> Array:
    """(1/J₀) dJ/d(δΩ) at δ = 0 by automatic differentiation."""

    def J(shift):
        return heat_currents(system.perturbed(qubit_perturbation(), shift), equation)[0]

    value, slope = jax.jvp(J, (0.0,), (1.0,))
    return slope / value
