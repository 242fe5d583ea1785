"""A heat pump: two qubits between two baths of one temperature, whose splittings go round a loop.

    H(t) = ω_A(t) σz^A/2 + ω_B(t) σz^B/2 + g σx^A σx^B,   ω_A = Ω + a cos ωt,  ω_B = Ω + a cos(ωt − φ),

the qubits coupled by σx to a bath each. Takes: numbers, stored ones of the hierarchy of equations of motion (HEOM).
Returns: the heat that a cycle brings from one bath to the other, and its limit for slow loops, in closed form.
"""

import functools
import json
from importlib import resources
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import models
from .._cycles import cycle
from .._drives import Drive, DrivenSystem
from .._spectra import DrudeLorentz
from .._system import Bath, System
from ..pulses import periodic

RATIOS = np.geomspace(0.02, 8.0, 21)
"""Frequencies over the strength λ of the coupling; relaxation takes about 2.5 λ. At the highest the last
harmonic is above the distance of the levels, but there is nothing in it: 128 of Floquet's modes say the same."""
WEAKENED = np.array([1.0, 0.25])
"""Parts of the stored strength."""
HARMONICS = 24
PHASES = np.linspace(-np.pi, np.pi, 9)
QUARTER = np.pi / 2


class Pumped(NamedTuple):
    """Of cycles [c]: the heat that each bath brings into the qubits, [c, 2], and the work of the drives."""

    heat: np.ndarray
    work: np.ndarray

    @property
    def through(self) -> np.ndarray:
        """From the first bath to the second. What both give alike is work that the drives dissipate. To exchange the
        qubits is to run the loop backwards: this part is odd in ω, and holds nothing of the current, of the order λ³,
        that an equation of second order keeps at rest at one temperature."""
        return (self.heat[:, 0] - self.heat[:, 1]) / 2


@functools.cache
def stored() -> dict:
    """Parameters and numbers of the hierarchy, made by tests/pump_heom.py."""
    data = resources.files("jaxlgks.paper").joinpath("data", "heat_pump.json")
    return json.loads(data.read_text(encoding="utf-8"))


def points() -> tuple[np.ndarray, Pumped]:
    """The frequencies of the stored numbers among those shown, and these."""
    rows = [row for row in stored()["rows"] if row["omega"] <= RATIOS[-1] * stored()["strength"]]
    omega, heat, work = (np.array([row[key] for row in rows]) for key in ("omega", "heat", "work"))
    return omega, Pumped(heat, work)


def heat_pump(omega, phase, weakened=1.0) -> DrivenSystem:
    """The driven qubits. `weakened`: part of the strength of the coupling."""
    p, pauli = stored(), models.pauli
    H = p["splitting"] / 2 * (pauli("ZI") + pauli("IZ")) + p["g"] * pauli("XX")
    density = DrudeLorentz(p["strength"], p["cutoff"])
    baths = [Bath(jnp.sqrt(weakened) * pauli(word), p["temperature"], density) for word in ("XI", "IX")]
    waves = (p["amplitude"] * jnp.stack([0j, jnp.exp(1j * angle)]) for angle in (0.0, phase))
    return System(H, baths).driven(
        *(Drive(pauli(word) / 2, periodic(h, omega)) for word, h in zip(("ZI", "IZ"), waves, strict=True))
    )


@jax.jit
def _each(omega, phase, weakened):
    def one(case):
        c = cycle(heat_pump(*case), harmonics=HARMONICS, slow=True)
        return c.period * c.heat_currents, c.period * c.power

    return jax.lax.map(one, (omega, phase, weakened))


def pumped(omega, phase=QUARTER, weakened=1.0) -> Pumped:
    """Of steady cycles with the memory of the baths, one after the other. `weakened`: as in `heat_pump`."""
    omega, phase, weakened = (jnp.asarray(x, float) for x in np.broadcast_arrays(np.atleast_1d(omega), phase, weakened))
    heat, work = _each(omega, phase, weakened)
    return Pumped(np.asarray(heat), np.asarray(work))


@functools.cache
def all_pumped() -> dict[str, Pumped]:
    """What figure and rows show: over the frequency at each strength; at the frequencies of the stored numbers, at the
    first of them backwards too; over the phase of a slow loop."""
    strength, known = stored()["strength"], points()[0]
    families = {
        "strong": [(ratio * strength, QUARTER, 1.0) for ratio in RATIOS],
        "weak": [(ratio * strength * WEAKENED[1], QUARTER, WEAKENED[1]) for ratio in RATIOS],
        "points": [(omega, QUARTER, 1.0) for omega in known],
        "backwards": [(known[0], -QUARTER, 1.0)],
        "phase": [(RATIOS[0] * strength, phase, 1.0) for phase in PHASES],
    }
    found = pumped(*np.concatenate([np.array(cases) for cases in families.values()]).T)
    ends = np.cumsum([len(cases) for cases in families.values()])[:-1]
    parts = zip(np.split(found.heat, ends), np.split(found.work, ends), strict=True)
    return {name: Pumped(*part) for name, part in zip(families, parts, strict=True)}


def geometric_limit(phase, count: int = 512) -> np.ndarray:
    """The heat pumped as ω → 0 and the coupling with it: of the loop alone, whatever density the baths have, if both
    have the same.

    The qubits are two fermions of energies ε± = S ± s, S² = Σ² + g², s² = Δ² + g², Σ and Δ half the sum and the
    difference of ω_A and ω_B. Each relaxes by itself, dn/dt = Γ(f(ε) − n), f = 1/(e^{ε/T} + 1), and bath 1 has the part
    ν± = |σx^A|²/(|σx^A|² + |σx^B|²) = (1 ± ΣΔ/(Ss ∓ g²))/2 of Γ. A slow loop leaves f − n = (df/dt)/Γ; the heat
    ε ν Γ (f − n) of bath 1 is then

        Q = ∮ Σ± ε± ν± df(ε±),

    without Γ. At rest there is no heat at one temperature, and the half in ν± gives none, since ε df is exact."""
    p, angles = stored(), 2 * np.pi * np.arange(count) / count
    A = p["splitting"] + p["amplitude"] * np.cos(angles)
    B = p["splitting"] + p["amplitude"] * np.cos(angles - np.asarray(phase, float)[..., None])
    mean, half = (A + B) / 2, (A - B) / 2
    S, s = np.hypot(mean, p["g"]), np.hypot(half, p["g"])
    heat = 0.0
    for sign in (1, -1):
        energy = S + sign * s
        part = sign * mean * half / (S * s - sign * p["g"] ** 2) / 2
        filled = np.fft.fft(1 / (np.exp(energy / p["temperature"]) + 1))
        slope = np.fft.ifft(1j * np.fft.fftfreq(count, 1 / count) * filled).real
        heat = heat + 2 * np.pi * np.mean(energy * part * slope, axis=-1)
    return np.asarray(heat)
