"""Rows for the general theory: the master equation of Sec. II and the response functions of Sec. III A.

Takes: a generic two-qubit system between two baths. Returns: rows for Eqs. (1), (7), (9), (12), (16)–(24), (A8), (A11).
"""

from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._equations import Dissipation, dissipation
from ..._evolution import evolve
from ..._response import autodiff_response, response
from ..._steady import steady_state
from ..._system import System
from ._row import Check, agree, correct
from ._witness import (
    applied,
    average,
    bohr_components,
    commutator,
    dissipators,
    generator,
    generic_observables,
    generic_perturbation,
    heisenberg,
    matrix,
    null_state,
    pinned,
    slope,
    superoperator,
    warm_qubits,
    written_dissipator,
)

STEP, COUNT = 0.5, 41
TAU = STEP * np.arange(COUNT)
FINITE = "error h⁴ of the finite difference and rounding/h"


def rows(progress: Callable[[str], None]) -> Iterator[Check]:
    """All rows of this family."""
    system, V, A = warm_qubits(), generic_perturbation(), generic_observables()
    progress("Bohr components, rates, dissipator")
    yield from _master_equation(system)
    progress("Kubo's formula as the coupling vanishes")
    yield _kubo_limit(V, A)
    progress("first-order generator")
    yield _first_order_generator(system, V)
    progress("response functions")
    yield from _response_functions(system, V, A)
    progress("three parts against finite differences")
    yield from _three_parts(system, V, A)


def _master_equation(system: System) -> Iterator[Check]:
    omega, S = bohr_components(system, 0)
    yield from correct(
        "(A8)",
        "[H₀, S(ω)] = ±ω S(ω): + in (A8), − in the rest of the paper",
        omega[:, None, None] * S,
        -omega[:, None, None] * S,
        commutator(system.hamiltonian, S),
        1e-13,
        "rounding of the eigenvectors",
    )
    bath = system.baths[0]
    probe = np.linspace(0.1, 3.0, 30)
    detailed = np.exp(-probe / float(bath.temperature)) * np.asarray(bath.rate(probe))
    yield agree("(9)", "detailed balance, Γ(−ω) = e^{−βω} Γ(ω)", detailed, bath.rate(-probe), 1e-13, "rounding")

    terms = list(zip(np.asarray(bath.rate(omega)), S, strict=True))
    right, swapped = (superoperator(written_dissipator(terms, s), system.dim) for s in (False, True))
    yield from correct(
        "(6), (A6), (A9), (A11)",
        "dissipator: {S S†, ρ} in these, {S†S, ρ} in (12); only the latter keeps the trace",
        swapped,
        right,
        matrix(dissipators(system, pinned(system))[0]),
        1e-13,
        "rounding",
    )


def _kubo_limit(V, A) -> Check:
    """One temperature, coupling 10⁻⁹ of the frequencies: the response over a few periods is that of a closed system."""
    system = warm_qubits(0.4, 0.4, 1e-9)
    open_system = response(system, V, A, pinned(system), instantaneous=True).impulse(TAU).total
    energies, U = np.linalg.eigh(np.asarray(system.hamiltonian))
    weights = np.exp(-energies / 0.4)
    gibbs = U @ np.diag(weights / weights.sum()) @ U.conj().T
    phases = np.exp(1j * (energies[:, None] - energies) * TAU[:, None, None])
    moving = U @ (phases[:, None] * (U.conj().T @ np.asarray(A) @ U)) @ U.conj().T
    closed = average(gibbs, 1j * commutator(V, moving))
    reason = "corrections of relative order γτ remain at coupling 1e−9"
    return agree("(1)", "φ_A(τ) → i⟨[V, A(τ)]⟩ of the closed system as γ → 0", closed, open_system, 1e-6, reason)


def _summed(parts) -> np.ndarray:
    return np.sum([matrix(D) for D in parts], axis=0)


def _first_order_generator(system: System, V) -> Check:
    equation = pinned(system)
    expected = slope(lambda d: _summed(dissipators(system.perturbed(V, d), equation)), 1e-3)
    first_order = eqx.filter_jit(Dissipation.first_order)(dissipation(system, equation), jnp.asarray(V))
    changes = [jax.tree.map(np.asarray, part) for both in first_order for part in (both.rotation, both.shift)]
    groups = [
        type(D)(*map(jnp.asarray, arrays)) for D in changes for arrays in zip(D.left, D.right, D.drift, strict=True)
    ]
    statement = "D₁ with groups fixed: perturbation theory against finite differences of D(δ)"
    return agree("(13)–(17)", statement, expected, _summed(groups), 1e-8, FINITE)


def _response_functions(system: System, V, A) -> Iterator[Check]:
    state = steady_state(system, pinned(system)).rho
    linear = response(system, V, A, pinned(system), instantaneous=True)
    computed = linear.impulse(TAU)
    moving = np.stack([heisenberg(system, one, STEP, COUNT) for one in A], axis=1)
    kubo = average(state, 1j * commutator(V, moving))
    yield agree("(24)", "φ^(1,1)(τ) = i⟨[V, A(τ)]⟩ in the NESS, A(τ) by e^{L₀†τ}", kubo, computed.kubo, 1e-11)

    equation = pinned(system)

    def dissipated(delta: float) -> np.ndarray:
        return np.sum([applied(D, state) for D in dissipators(system.perturbed(V, delta), equation)], axis=0)

    source = slope(dissipated, 1e-3)
    yield agree(
        "(23), (24)",
        "φ − φ^(1,1) = ⟨D₁†A(τ)⟩ with D₁π₀ by finite differences",
        average(source, moving),
        computed.rotation + computed.shift,
        1e-8,
        FINITE,
    )

    def exact(delta: float) -> np.ndarray:
        states = evolve(system.perturbed(V, delta), state, TAU, equation).states
        return average(np.asarray(states)[:, None], A)

    finite = slope(exact, 1e-3)
    statement = "Φ_A(t) = ∫₀ᵗ φ_A against states propagated under L(δ)"
    yield agree("(20)–(22)", statement, finite, linear.step(TAU).total, 1e-7, FINITE)


def _three_parts(system: System, V, A) -> Iterator[Check]:
    equation = pinned(system)
    parts = response(system, V, A, equation).static()
    machine = autodiff_response(system, V, A, equation)
    yield agree("(23)", "static response: explicit L₁ against autodiff", machine, parts.total, 1e-11)
    finite = slope(lambda d: average(null_state(generator(system.perturbed(V, d), equation)), A), 1e-3)
    yield from correct(
        "(24), (36)",
        "V that moves levels: φ^(1,1) + φ^(1,2) lacks the shift of the rates, which is of first order too",
        parts.kubo + parts.rotation,
        parts.total,
        finite,
        1e-7,
        FINITE,
    )
