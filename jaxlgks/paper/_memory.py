"""A heat current under a weak periodic drive: dissipators that follow at once, dissipators with memory, exact dynamics.

Takes: the stored χ(ω) of the hierarchy of equations of motion (HEOM), of two systems. Returns: the models, and χ(ω) of
the heat current from bath a by `Redfield(lamb_shift=True)`, at once and with memory. A result already computed in this
process is used again.
"""

import functools
import json
from importlib import resources
from typing import NamedTuple

import numpy as np

from .. import models
from .._equations import Redfield
from .._response import ThermodynamicResponse, thermodynamic_response
from .._spectra import DrudeLorentz
from .._system import Bath, System
from ._parameters import qubit_perturbation

# Five decades, the frequencies of the exact numbers, and where two quanta are in resonance, narrow as the decay.
NARROW = np.outer([0.4, 2.0], 1 + 1e-3 * np.array([-4, -2, -1, 1, 2, 4])).ravel()
OMEGAS = np.unique(np.concatenate([np.geomspace(1e-3, 1e2, 151), [0.4, 0.7, 1.3, 2.0, 4.0], NARROW]))
TITLES = {"qubit": "qubit, $V = \\sigma_z$", "two": "two qubits, $V = \\sigma_z^A\\sigma_z^B$"}


class Susceptibility(NamedTuple):
    """χ(ω) of J_a at frequencies ω, complex, [w]: exactly, at once, with memory."""

    omegas: np.ndarray
    exact: np.ndarray
    at_once: np.ndarray
    with_memory: np.ndarray


def model(name: str) -> tuple[System, np.ndarray]:
    """The system and V: a qubit of energy 1 on two baths, or two qubits of energy 1 coupled by 0.2."""
    if name == "two":
        spectrum = DrudeLorentz(0.001, 2.0)
        return models.two_qubits(1.0, 0.2, spectrum=spectrum, temperatures=(0.45, 0.35)), np.asarray(
            qubit_perturbation()
        )
    X, Z = (np.asarray(models.pauli(word)) for word in "XZ")
    spectrum = DrudeLorentz(0.002, 1.5)
    return System(Z / 2, [Bath(X, 0.7, spectrum, "a"), Bath(0.6 * X + 0.4 * Z, 0.4, spectrum, "b")]), Z


@functools.cache
def stored() -> dict:
    """The file of exact numbers."""
    data = resources.files("jaxlgks.paper").joinpath("data", "dynamic_response_heom.json")
    return json.loads(data.read_text(encoding="utf-8"))


@functools.cache
def susceptibilities(name: str) -> tuple[Susceptibility, Susceptibility]:
    """On `OMEGAS`, where `exact` is not known, and at the frequencies of the exact numbers."""
    system, V = model(name)
    exact = np.array([complex(*value) for value in stored()[name]["chi"]["J_a"]])
    points = np.array(stored()[name]["omega"])
    omegas = np.concatenate([OMEGAS, points])
    with_memory = thermodynamic_response(system, V, Redfield(lamb_shift=True))
    at_once = ThermodynamicResponse(with_memory.expansion.following(at_once=True))
    at_once, with_memory = (
        np.asarray(r.heat_currents.susceptibility(omegas).total)[:, 0] for r in (at_once, with_memory)
    )
    grid, rest = slice(0, OMEGAS.size), slice(OMEGAS.size, None)
    unknown = np.full(OMEGAS.size, np.nan, complex)
    return (
        Susceptibility(OMEGAS, unknown, at_once[grid], with_memory[grid]),
        Susceptibility(points, exact, at_once[rest], with_memory[rest]),
    )
