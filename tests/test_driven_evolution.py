"""Driven systems in time: what no other equation can vouch for is judged by the hierarchy (HEOM), the integrator by
closed forms of the operators Λ_j, the books of energy and entropy by laws.

All qubits here have two baths and one kind of drive, so that they share one program.
"""

import json
import warnings
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg as sl
from scipy.integrate import solve_ivp
from scipy.special import jv

import jaxlgks as lgks
from jaxlgks._driven_evolution import _require_drives
from jaxlgks._generator import Following
from jaxlgks._system import require_matrices
from tests import by_hand, driven_heom
from tests.driven_heom import BATHS, CASES, CUTOFF, H0, LAMBDAS, START, TIMES, X, Y, Z

REDFIELD = lgks.Redfield(lamb_shift=True)
TS = TIMES[::5]


class Shape(eqx.Module):
    """δ sin ωt + h exp(−(t − c)²/2w²): sines and pulses in one program."""

    delta: Any = 0.0
    omega: Any = 1.0
    height: Any = 0.0
    centre: Any = 0.0
    width: Any = 1.0

    def __call__(self, t):
        pulse = self.height * jnp.exp(-(((t - self.centre) / self.width) ** 2) / 2)
        return self.delta * jnp.sin(self.omega * t) + pulse


def shape(**numbers) -> Shape:
    return Shape(**{name: jnp.asarray(number, float) for name, number in ({**vars(Shape()), **numbers}).items()})


def qubit(strength: float, V, f: Shape, temperatures=(0.7, 0.5)) -> lgks.DrivenSystem:
    baths = [
        lgks.Bath(S, T, lgks.DrudeLorentz(strength, CUTOFF)) for (S, _), T in zip(BATHS, temperatures, strict=True)
    ]
    return lgks.System(H0, baths).driven(lgks.Drive(V, f))


def of_case(V, kind, numbers, strength: float) -> lgks.DrivenSystem:
    names = ("delta", "omega") if kind is driven_heom.sine else ("height", "centre", "width")
    return qubit(strength, V, shape(**dict(zip(names, numbers, strict=True))))


def test_the_hierarchy_in_time():
    """Six pulses from a product state, amplitudes up to 0.4 of the splitting, frequencies from 0.05 to 4: ⟨σ⟩, the heat
    currents into the system and those that the baths give, each against its largest value. What the second order leaves
    falls with the coupling: at a fourth of it to a fourth (currents) and a sixteenth (states: λ²t).

    In the same runs the entropy produced from a product state, with the heat
    that the baths give, is never negative (Esposito, Lindenberg, Van den Broeck, New J. Phys. 12, 013013 (2010))."""
    rows = iter(json.loads(driven_heom.PATH.read_text())["rows"])
    for V, kind, numbers in CASES:
        errors = []
        for strength in LAMBDAS:
            e = lgks.evolve(of_case(V, kind, numbers, strength), START, TS, REDFIELD)
            found = np.concatenate([np.stack([e.expect(A) for A in (X, Y, Z)], 1), e.heat_currents, e.bath_currents], 1)
            exact = np.array(next(rows))[1:]
            errors.append(np.max(np.abs(found[1:] - exact), axis=0) / np.max(np.abs(exact), axis=0))
            assert np.min(e.entropy_produced) >= -1e-12
        assert np.max(errors[0]) < 0.01, (kind, numbers, errors)
        assert np.all(errors[1][:3] < 0.1 * errors[0][:3]), (kind, numbers, errors)
        assert np.all(errors[1][3:] < 0.4 * errors[0][3:]), (kind, numbers, errors)


def kernel(S: np.ndarray, c: np.ndarray, nu: np.ndarray, delta: float, omega: float, t: float) -> np.ndarray:
    """Λ of a noise in the picture turned by H(t) = (½ + δ sin ωt)σz, from zero at t = 0, in closed form: the phase of
    σ₊ is e^{i(t + z − z cos ωt)}, z = 2δ/ω, a sum of J_n(z) (−i)ⁿ e^{inωt}, each of which drives an exponential."""
    n, z = np.arange(-14, 15), 2 * delta / omega
    weights, turning = np.exp(1j * z) * (-1j) ** n * jv(n, z), 1 + n * omega
    forward = ((np.exp(1j * turning * t) - np.exp(-nu * t)[:, None]) / (nu[:, None] + 1j * turning)) @ weights
    still = -np.expm1(-nu * t) / nu
    return S * (np.array([[still, forward], [forward.conj(), still]]) @ c)


def test_stiff_memory_in_closed_form():
    """A strong sine along H₀, whose operators Λ_j are known: SciPy integrates ρ, work and heat with them, to 1e−8 from
    a product state, with rates ν_j up to 10⁶. So does a tolerance that is a hundred times as large."""
    delta, omega = 0.4, 2.0
    driven = qubit(0.02, Z, shape(delta=delta, omega=omega))
    noises = [
        (np.asarray(b.coupling), *(np.asarray(x) for x in b.spectrum.exponentials(b.temperature, 1e-7)))
        for b in driven.baths
    ]
    z = 2 * delta / omega

    def slope(t, y):
        rho, up = y[:4].reshape(2, 2), np.exp(1j * (t + z - z * np.cos(omega * t)))
        turn = np.array([[1, up], [up.conj(), 1]])
        flows = []
        for A, c, nu in noises:
            L = kernel(A, c, nu.real, delta, omega, t)
            half = L @ rho @ (turn * A) - (turn * A) @ L @ rho
            flows.append(half + half.conj().T)
        heat = [np.trace(Z @ D) * (0.5 + delta * np.sin(omega * t)) for D in flows]
        power = delta * omega * np.cos(omega * t) * np.trace(Z @ rho)
        return np.concatenate([sum(flows).ravel(), [power], heat])

    start = np.concatenate([START.ravel(), np.zeros(3)])
    y = solve_ivp(slope, (0, 4), start, t_eval=[1.0, 4.0], rtol=1e-9, atol=1e-11, method="DOP853").y.T
    for rtol, allowed in ((1e-9, 1e-8), (1e-7, 1e-7)):
        e = lgks.evolve(driven, START, np.linspace(0.0, 4.0, 13), REDFIELD, rtol=rtol, atol=0.1 * rtol)
        for at, row in ((3, y[0]), (12, y[1])):
            up = np.exp(1j * (e.ts[at] + z - z * np.cos(omega * e.ts[at])))
            rho = row[:4].reshape(2, 2) * np.array([[1, up.conj()], [up, 1]])
            np.testing.assert_allclose(e.states[at], rho, rtol=0, atol=allowed)
            np.testing.assert_allclose([e.work[at], *e.heat[at]], row[4:].real, rtol=0, atol=allowed)


def test_a_constant_drive_is_a_static_system():
    """With baths at rest under it: Redfield's equation of H₀ + 0.3 V, written out with rates and Lamb shifts in closed
    form; currents of both sides are one, no work is done, and the steady state stays, to the accuracy of the
    exponentials."""
    V = X + 0.5 * Z
    driven = qubit(0.02, V, shape(height=0.3, width=1e6))
    static = driven.at(0.0)
    e = lgks.evolve(driven, START, TS, REDFIELD, stationary=True)
    rest = lgks.evolve(driven, None, TS, REDFIELD, stationary=True)
    E, U = np.linalg.eigh(np.asarray(static.hamiltonian))
    L = by_hand.commutator(np.asarray(static.hamiltonian))
    for bath in static.baths:
        S, bohr = np.asarray(bath.coupling), E[None, :] - E[:, None]
        rate, shift = (getattr(bath.spectrum, name)(bohr, bath.temperature) for name in ("rate", "lamb_shift"))
        G = np.asarray(rate) / 2 + 1j * np.asarray(shift)
        K, one = U @ (G * (U.conj().T @ S @ U)) @ U.conj().T, np.eye(2)
        L = L + np.kron(S.T, K) - np.kron(one, S @ K) + np.kron(K.conj(), S) - np.kron((K.conj().T @ S).T, one)
    expected = [by_hand.unvec(sl.expm(L * t) @ by_hand.vec(START)) for t in TS]
    np.testing.assert_allclose(e.states, expected, rtol=0, atol=1e-9)
    assert np.max(np.abs(e.work)) < 1e-9
    np.testing.assert_allclose(rest.states, np.broadcast_to(rest.states[0], rest.states.shape), rtol=0, atol=2e-7)
    np.testing.assert_allclose(rest.bath_currents, rest.heat_currents, rtol=0, atol=1e-8)
    assert np.abs(rest.heat_currents[-1, 0]) > 1e-4
    assert np.isnan(rest.efficiency)
    assert np.isnan(rest.cop)
    gibbs = qubit(0.02, V, shape(height=0.3, width=1e6), temperatures=(0.6, 0.6))
    assert np.max(np.abs(lgks.evolve(gibbs, None, TS, REDFIELD, stationary=True).entropy_production)) < 1e-7


def test_figures_of_merit():
    """Work over the heat of the hottest bath, and heat of the coldest over work, of numbers made up."""
    e = lgks.evolve(qubit(0.02, Z, shape()), START, TS, REDFIELD)

    def machine(work: float, hot: float, cold: float) -> lgks.DrivenEvolution:
        heat = jnp.zeros_like(e.heat).at[-1].set(jnp.array([hot, cold]))
        energy = jnp.zeros_like(e.energy).at[-1].set(work + hot + cold)
        return eqx.tree_at(lambda x: (x.energy, x.heat, x.interaction), e, (energy, heat, 0 * heat))

    engine, fridge = machine(-2.0, 5.0, -3.0), machine(2.0, -5.0, 3.0)
    assert engine.efficiency == 0.4
    assert fridge.cop == 1.5
    assert np.isnan([engine.cop, fridge.efficiency]).all()


def test_couplings_that_are_not_hermitian():
    """Two equal noises that couple by S = (A + iB)/√2 and S†, H_I = S R† + S†R, are two that couple by A and by B: the
    same dissipator, the same energy of the interaction, whatever operators Λ and ρ are."""
    rng = np.random.default_rng(1)
    A, B, rho = (M + M.conj().T for M in rng.normal(size=(3, 3, 3)) + 1j * rng.normal(size=(3, 3, 3)))
    Ka, Kb = rng.normal(size=(2, 3, 3)) + 1j * rng.normal(size=(2, 3, 3))

    def rotated(a, b):
        return jnp.stack([a + 1j * b, a - 1j * b]) / np.sqrt(2)

    c = jnp.ones((2, 1), complex)
    for a, b in ((Ka, Kb), (Kb, 0 * Ka)):
        hermitian, other = Following(jnp.stack([A, B]), c, c, (0, 0)), Following(rotated(A, B), c, c, (0, 0))
        kernels = jnp.stack([a, b]), rotated(a, b)
        for one in ("dissipators", "interaction"):
            expected, found = (
                getattr(f, one)(k, jnp.asarray(rho)) for f, k in zip((hermitian, other), kernels, strict=True)
            )
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_numbers_that_a_function_does_not_show():
    """f may hold traced numbers, of which no leaf of its drive tells: times are then not looked at. A function that
    returns nothing is no drive."""

    def amplitude(a):
        driven = qubit(0.02, Z, shape()).system.driven(lgks.Drive(Z, lambda t: a * jnp.cos(t)))
        _require_drives(driven, jnp.asarray(TS))
        return a

    assert jax.vmap(amplitude)(jnp.ones(2)).shape == (2,)
    with pytest.raises(lgks.errors.InputError, match="must be a real number for a time t; got NoneType"):
        lgks.Drive(Z, lambda t: None)


FLAT = lgks.System(H0, lgks.Bath(X, 0.5, lgks.Flat(0.1)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda d: lgks.evolve(d, START, TS), "Redfield\\(lamb_shift=True\\).*instantaneous=True"),
        (lambda d: lgks.evolve(d, START, TS, lgks.Redfield()), "Redfield\\(\\) is derived"),
        (
            lambda d: lgks.evolve(d, START, TS, lgks.UniversalLindblad()),
            "later times too.*Redfield\\(lamb_shift",
        ),
        (lambda d: lgks.evolve(d, START, TS, lgks.Cumulant()), "any master equation; got Cumulant"),
        (lambda d: lgks.evolve(d, None, TS, REDFIELD), "stationary=True"),
        (lambda d: lgks.evolve(d, START, TS, REDFIELD, step=0.1), "options are rtol.*'step'"),
        (lambda d: lgks.evolve(d, START, TS, REDFIELD, stationary=1), "stationary must be True or False"),
        (lambda d: lgks.evolve(d, START, TS, REDFIELD, adjoint=diffrax.BacksolveAdjoint()), "BacksolveAdjoint"),
        (lambda d: lgks.evolve(sampled(d), START, TS, REDFIELD), "H\\(t\\) is not finite at t = 12.5"),
        (lambda d: lgks.evolve(own_energy(d), START, TS, REDFIELD), "counted with H\\(t\\)"),
        (
            lambda d: lgks.steady_state(d, REDFIELD),
            "evolve\\(driven, rho0, ts, equation\\).*cycle",
        ),
        (lambda d: lgks.heat_currents(d, REDFIELD), "driven.at\\(t\\)"),
        (lambda d: lgks.response(d, Z, Z, REDFIELD), "driven.at\\(t\\)"),
        (lambda d: lgks.diagnose(d, Z, 0.1), "driven.at\\(t\\)"),
        (lambda d: require_matrices(d, "liouvillian"), "liouvillian: .*driven.at\\(t\\)"),
    ],
)
def test_what_is_refused_says_what_to_do(call, words):
    """Equations, options and drives that evolve does not take; and the doors of other functions."""
    with pytest.raises(lgks.errors.InputError, match=words):
        call(qubit(0.02, Z, shape(delta=0.1)))


def test_a_bath_without_memory_is_named():
    with pytest.raises(lgks.errors.CorrelationError, match=r"cutoff.*instantaneous=True"):
        lgks.evolve(FLAT.driven(lgks.Drive(Z, shape())), START, TS, REDFIELD)


def sampled(driven: lgks.DrivenSystem) -> lgks.DrivenSystem:
    return driven.system.driven(lgks.Drive(Z, np.sin(TIMES[:21]), times=TIMES[:21]))


def own_energy(driven: lgks.DrivenSystem) -> lgks.DrivenSystem:
    return lgks.System(H0, driven.baths, energy=Z).driven(*driven.drives)


@pytest.mark.slow
def test_too_few_steps_are_named():
    with pytest.raises(lgks.errors.InputError, match="max_steps"):
        lgks.evolve(qubit(0.02, Z, shape()), START, TS, REDFIELD, max_steps=2)


@pytest.mark.slow
def test_work_of_jumps():
    """A rectangle from 10 to 20: dH/dt is zero where it is known, the work is 0.3 ⟨V⟩ at the first jump less that at
    the second."""
    system = qubit(0.02, Z, shape()).system
    ts = np.linspace(0.0, 30.0, 7)
    e = lgks.evolve(system.driven(lgks.Drive(X, rectangle)), START, ts, REDFIELD)
    assert np.all(e.power == 0)
    np.testing.assert_allclose(e.work[-1], 0.3 * (e.expect(X)[2] - e.expect(X)[4]), rtol=0, atol=1e-8)


def rectangle(t):
    return jnp.where((t > 10) & (t < 20), 0.3, 0.0)


@pytest.mark.slow
def test_slow_drives_are_adiabatic():
    """A ramp of the level spacing and angle, from the steady state: the instantaneous form tends to the full
    equation as it slows down, in proportion to its speed, in states and heat."""
    errors = []
    for duration in (200.0, 800.0):
        ts = np.linspace(0.0, duration, 13)
        pulse = shape(height=0.4, centre=duration / 2, width=duration / 8)
        driven = qubit(0.02, X + Z, pulse)
        full = lgks.evolve(driven, None, ts, REDFIELD, stationary=True)
        slow = lgks.evolve(driven, None, ts, REDFIELD, instantaneous=True)
        assert np.array_equal(slow.bath_currents, slow.heat_currents)
        size = np.max(np.abs(full.heat))
        errors.append(
            [np.max(np.abs(slow.states - full.states)), np.max(np.abs(slow.bath_heat - full.bath_heat)) / size]
        )
    assert np.all(np.array(errors[1]) < 0.35 * np.array(errors[0])), errors
    assert np.max(errors[0]) < 0.05


@pytest.mark.slow
def test_gradients_in_all_parameters_of_a_batch():
    """Reverse mode under vmap over amplitudes, in the splitting, a coupling, a temperature, a density and the drive,
    along one direction of all: against Richardson's differences of the values, by one program."""

    def values(p, height):
        baths = [lgks.Bath(X + p[1] * Z, p[2], lgks.DrudeLorentz(p[3], CUTOFF)), lgks.Bath(X, 0.3, OTHER)]
        driven = lgks.System(p[0] * Z / 2, baths).driven(lgks.Drive(Z + 0.3 * X, shape_of(height, p[4])))
        e = lgks.evolve(driven, START, np.linspace(0.0, 12.0, 4), REDFIELD)
        return e.expect(Z)[-1] + 2 * e.work[-1] + 30 * e.bath_currents[-1, 0] + 4 * e.bath_heat[-1, 1]

    OTHER = lgks.DrudeLorentz(0.01, 1.0)
    both = jax.jit(jax.vmap(jax.value_and_grad(values, argnums=(0, 1)), in_axes=(None, 0)))
    p, heights, h = jnp.array([1.0, 0.3, 0.5, 0.02, 2.0]), jnp.array([0.0, 0.3]), 1e-3
    along = jnp.array([0.7, -0.4, 0.5, 0.02, 0.8])  # each in proportion to its parameter
    gradient, slope = both(p, heights)[1]
    f = {k: np.asarray(both(p + k * h * along, heights + k * h)[0]) for k in (-2, -1, 1, 2)}
    found = (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * h)
    np.testing.assert_allclose(gradient @ along + slope, found, rtol=0, atol=1e-8)


def shape_of(height, width) -> Shape:
    return eqx.tree_at(lambda s: (s.height, s.centre, s.width), shape(), (height, jnp.asarray(5.0), width))


@pytest.mark.slow
def test_three_levels_written_out():
    """Complex H, V and couplings, a bath of two correlated operators, another of another kind: (ρ, Λ_j, work, heat) by
    SciPy from the exponentials of the densities, none of them fast."""
    rng = np.random.default_rng(5)

    def hermitian():
        A = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
        return (A + A.conj().T) / 4

    mixing = np.array([[1.0, 0.3], [0.2, 0.8]])
    line = lgks.UnderdampedBrownian(0.2, 0.6, 1.6)
    ohmic = lgks.Ohmic(0.03, 2.0, shape="gaussian")
    baths = [lgks.Bath([hermitian(), hermitian()], 0.8, line, "a", mixing=mixing), lgks.Bath(hermitian(), 0.5, ohmic)]
    H, V = hermitian() + np.diag([0.0, 0.7, 1.5]), hermitian()
    driven = lgks.System(H, baths).driven(lgks.Drive(V, lgks.pulses.Gaussian(1.5, 2.0, 0.7)))
    noises = [noise for bath in driven.baths for noise in bath.noises]
    tolerances = (1e-10, 1e-10, 1e-6)
    exponentials = [n.spectrum.exponentials(n.temperature, x) for n, x in zip(noises, tolerances, strict=True)]
    memory = [(np.asarray(n.coupling), *map(np.asarray, x)) for n, x in zip(noises, exponentials, strict=True)]
    sizes = [len(nu) * 9 for _, _, nu in memory]
    rho0 = np.diag([0.5, 0.3, 0.2]).astype(complex)

    def slope(t, y):
        f = 1.5 * np.exp(-(((t - 2.0) / 0.7) ** 2) / 2)
        Ht, rate = H + f * V, -f * (t - 2.0) / 0.49 * V
        rho, parts = y[:9].reshape(3, 3), np.split(y[9:-3], np.cumsum(sizes)[:-1])
        flows, moved = [], []
        for (S, c, nu), part in zip(memory, parts, strict=True):
            each = part.reshape(-1, 3, 3)
            L = each.sum(axis=0)
            half = L @ rho @ S - S @ L @ rho
            flows.append(half + half.conj().T)
            moved.append(c[:, None, None] * S - nu[:, None, None] * each - 1j * (Ht @ each - each @ Ht))
        change = -1j * (Ht @ rho - rho @ Ht) + sum(flows)
        heat = [np.trace(Ht @ (flows[0] + flows[1])), np.trace(Ht @ flows[2])]
        return np.concatenate([change.ravel(), *(x.ravel() for x in moved), [np.trace(rate @ rho), *heat]])

    start = np.concatenate([rho0.ravel(), np.zeros(sum(sizes) + 3)]).astype(complex)
    ts = np.linspace(0.0, 5.0, 6)
    y = solve_ivp(slope, (0, 5), start, t_eval=ts, rtol=1e-10, atol=1e-12, method="DOP853").y.T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgks.ValidityWarning)
        e = lgks.evolve(driven, rho0, ts, REDFIELD)
    np.testing.assert_allclose(e.states, y[:, :9].reshape(-1, 3, 3), rtol=0, atol=1e-8)
    np.testing.assert_allclose(np.column_stack([e.work, e.heat]), y[:, -3:].real, rtol=0, atol=1e-8)
