"""Responses with memory against the hierarchy of equations of motion (HEOM), solved here.

V acts on the system alone: the first order of the hierarchy is −i[V, ·] on every one of its matrices, and χ(ω) one
linear system. What the second order leaves is of the next order in the coupling.
"""

import numpy as np
import pytest
import qutip
import scipy.sparse as sp
from qutip.solver.heom import DrudeLorentzPadeBath, HEOMSolver, UnderDampedBath
from scipy.sparse.linalg import spsolve

import jaxlgks as lgks

from .test_heom import near_degenerate

P = lgks.models.pauli
X, Z = np.asarray(P("X")), np.asarray(P("Z"))
OMEGAS = np.array([0.05, 0.7, 1.9])
REDFIELD = lgks.Redfield(lamb_shift=True)


def in_qutip(bath: lgks.Bath, tag: int):
    S, T, density = qutip.Qobj(np.asarray(bath.coupling)), float(bath.temperature), bath.spectrum
    numbers = {"lam": float(density.strength), "T": T, "tag": tag}
    if isinstance(density, lgks.DrudeLorentz):
        return DrudeLorentzPadeBath(S, gamma=float(density.cutoff), Nk=3, **numbers)
    return UnderDampedBath(S, gamma=float(density.width), w0=float(density.resonance), Nk=3, **numbers)


def hierarchy(system: lgks.System) -> tuple[HEOMSolver, sp.csc_matrix, np.ndarray]:
    """Its generator and the steady state, on all matrices, stacked by columns."""
    d = system.dim
    baths = [in_qutip(bath, tag) for tag, bath in enumerate(system.baths)]
    solver = HEOMSolver(qutip.Qobj(np.asarray(system.hamiltonian)), baths, max_depth=2)
    L = solver.rhs(0).to("CSR").data.as_scipy().tolil()
    trace = np.zeros(L.shape[0])
    trace[: d**2] = np.eye(d).ravel()
    kept, L[0] = L[0].copy(), trace
    rest = spsolve(L.tocsc(), np.eye(1, L.shape[0])[0].astype(complex))
    L[0] = kept
    return solver, L, rest


def exact(system: lgks.System, V: np.ndarray, observables: np.ndarray) -> np.ndarray:
    """χ(ω) of observables, of the heat currents into the system, J, and of those that the baths give, J − iω⟨H_I⟩,
    [w, a + 2 baths]."""
    H, d = np.asarray(system.hamiltonian), system.dim
    solver, L, rest = hierarchy(system)
    count = L.shape[0] // d**2
    baths = system.baths
    kick = sp.kron(sp.eye(count), -1j * (np.kron(np.eye(d), V) - np.kron(V.T, np.eye(d)))) @ rest
    forces = [[solver.ados.idx(label) for label in solver.ados.filter(level=1, tags=[b])] for b in range(len(baths))]

    def matrices(x: np.ndarray) -> np.ndarray:
        return x.reshape(count, d, d).swapaxes(1, 2)

    rows = []
    for omega in OMEGAS:
        x = matrices(spsolve((L + 1j * omega * sp.eye(L.shape[0])).tocsc(), -kick))
        currents, held = [], []
        for bath, tier in zip(baths, forces, strict=True):
            S, moved, still = np.asarray(bath.coupling), x[tier].sum(axis=0), matrices(rest)[tier].sum(axis=0)
            currents.append(1j * np.trace((S @ H - H @ S) @ moved + (S @ V - V @ S) @ still))
            held.append(-1j * omega * np.trace(S @ moved))
        rows.append([*np.einsum("aij,ji->a", observables, x[0]), *currents, *np.add(currents, held)])
    return np.array(rows)


def exact_spectrum(system: lgks.System, A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """S_AB(ω): B acts on the system alone, which is B from the left on every matrix; A and B Hermitian."""
    d = system.dim
    _, L, rest = hierarchy(system)
    values = []
    for later, first in ((A, B), (B, A)):
        mean = np.trace(first @ rest[: d**2].reshape(d, d).T)
        kick = sp.kron(sp.eye(L.shape[0] // d**2), np.kron(np.eye(d), first - mean * np.eye(d))) @ rest
        states = [spsolve((L + 1j * w * sp.eye(L.shape[0])).tocsc(), -kick)[: d**2] for w in OMEGAS]
        values.append([np.trace(later @ x.reshape(d, d).T) for x in states])
    return np.array(values[0]) + np.conj(values[1])


@pytest.mark.parametrize("equation", [REDFIELD, lgks.Davies()], ids=lambda e: type(e).__name__)
def test_a_spectrum_between_two_baths(equation):
    """⟨δA(t)δB(0)⟩ of a qubit that carries heat, A ≠ B, below, near and far above its line: with the memory of the
    baths to 2 % at each frequency, and falling as the coupling does; by regression wrong by a factor of ten, whatever
    the coupling. The one judge of a spectrum that no law of one temperature fixes."""
    A, B = X + 0.5 * Z, Z - 0.3 * X
    worst = []
    for strength in (0.004, 0.001):
        density = lgks.DrudeLorentz(strength, 1.5)
        baths = [lgks.Bath(X, 0.7, density, "a"), lgks.Bath(0.6 * X + 0.4 * Z, 0.4, density, "b")]
        system = lgks.System(Z / 2, baths)
        expected = exact_spectrum(system, A, B)
        both = [np.asarray(lgks.spectrum(system, A, B, OMEGAS, equation, instantaneous=now)) for now in (False, True)]
        worst.append([np.max(np.abs(S - expected) / np.abs(expected)) for S in both])
    (coarse, _), (fine, regression) = worst
    assert fine < 0.025
    assert fine < 0.3 * coarse
    assert regression > 10


def levels(strength: float) -> tuple[lgks.System, np.ndarray, np.ndarray]:
    """Two levels as near as their decay rate, and V that joins all three."""
    V = np.array([[0.3, 0.5, 0.2j], [0.5, -0.1, 0.4], [-0.2j, 0.4, 0.2]])
    return near_degenerate(strength).system, V, np.stack([np.diag([0.0, 1, 1]), np.diag([0.0, 1, -1])]).astype(complex)


def mode(strength: float) -> tuple[lgks.System, np.ndarray, np.ndarray]:
    """A qubit beside a broad mode, with a second bath; V turns its eigenvectors."""
    line = lgks.UnderdampedBrownian(np.sqrt(strength), 0.6, 1.6)
    baths = [lgks.Bath(X, 0.7, line, "a"), lgks.Bath(0.6 * X + 0.4 * Z, 0.5, lgks.DrudeLorentz(strength, 1.5), "b")]
    return lgks.System(Z / 2, baths), X + 0.5 * Z, np.stack([Z, X])


@pytest.mark.slow
@pytest.mark.parametrize("case", [levels, mode])
def test_what_the_second_order_leaves_falls_with_the_coupling(case):
    """Observables and heat currents, into the system and from the baths, at three frequencies, the worst of all: a
    fourth of the coupling leaves a fourth of the error."""
    worst = []
    for strength in (0.004, 0.001):
        system, V, observables = case(strength)
        expected = exact(system, V, observables)
        chi = np.asarray(lgks.response(system, V, observables, REDFIELD).susceptibility(OMEGAS).total)
        r = lgks.thermodynamic_response(system, V, REDFIELD)
        J = [np.asarray(one.susceptibility(OMEGAS).total) for one in (r.heat_currents, r.bath_currents)]
        error = np.abs(np.concatenate([chi, *J], axis=1) - expected) / np.abs(expected)
        worst.append(np.max(error))
    late, still = r.bath_currents.step(3e4).total, r.heat_currents.static().total
    np.testing.assert_allclose(late, still, rtol=0, atol=1e-8 * np.max(np.abs(still)))
    assert worst[1] < 0.012
    assert worst[1] < 0.4 * worst[0]


@pytest.mark.slow
def test_what_the_baths_give_in_time_and_frequency_is_one_response():
    """Φ_bath − Φ_J is the answer of ⟨H_I⟩ to a kick: its transform is (χ_bath − χ_J)/(−iω), which the hierarchy judges.
    By Simpson's rule on intervals that grow from 1e−4, since the memory of a Drude bath has no shortest time. And the
    impulse response, with the weight of its δ(τ), convolved with a drive that stays on, is the step again, to 1e−13."""
    system, V, _ = mode(0.05)
    r = lgks.thermodynamic_response(system, V, REDFIELD)
    s, h = np.linspace(0.0, 1.0, 6001, retstep=True)
    t = 300 * (s**2 + 1e-4 * s) / (1 + 1e-4)  # dense at zero
    weights = np.ones(s.size) * 2
    weights[1::2], weights[[0, -1]] = 4, 1
    kicked = np.asarray(r.bath_currents.step(t).total - r.heat_currents.step(t).total)
    measure = weights * h / 3 * 300 * (2 * s + 1e-4) / (1 + 1e-4)
    transformed = (measure * np.exp(1j * OMEGAS[1:, None] * t)) @ kicked
    chi = (one.susceptibility(OMEGAS[1:]).total for one in (r.bath_currents, r.heat_currents))
    expected = np.asarray(next(chi) - next(chi)) / (-1j * OMEGAS[1:, None])
    np.testing.assert_allclose(transformed, expected, rtol=0, atol=1e-4 * np.max(np.abs(expected)))
    late = np.linspace(0.0, 300.0, 31)
    switched, step = r.bath_currents.to_drive(np.ones(31), late).total, r.bath_currents.step(late).total
    np.testing.assert_allclose(switched, step, rtol=0, atol=1e-13)
