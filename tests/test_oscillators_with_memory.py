"""Responses of oscillators whose dissipators follow the drive with the memory of their baths, and their exact judge.

Witnesses: the same model on a Fock space, by matrices; oscillators and baths solved together, whose own witnesses are
the slope of the exact steady state, found by quadrature, and the propagator in closed form.
"""

import functools

import equinox as eqx
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import InputError, UnstableHamiltonianError

(A,) = lgks.modes(1)
X, P = A + A.dag, 1j * (A.dag - A)
H = A.dag * A + 0.15 * X * X + 0.1 * X
V = X * X + 0.4 * (A * A + A.dag * A.dag) + 0.3 * P
OBSERVABLES = (A.dag * A, X * X + X)
REDFIELD = lgks.Redfield(lamb_shift=True)
OMEGAS = np.array([0.0, 0.3, -0.3, 1.1, 2.3, 5.0])
TIMES = np.array([0.0, 0.4, 2.0, 9.0, 40.0])


def model(strength: float) -> lgks.QuasiFree:
    """One squeezed and displaced oscillator between two baths, one coupled to its momentum as well."""
    density = lgks.DrudeLorentz(strength, 2.0)
    return lgks.QuasiFree(H, [lgks.Bath(X, 0.4, density, "hot"), lgks.Bath(0.7 * X + 0.4 * P, 0.25, density, "cold")])


@functools.cache
def redfield(strength: float, instantaneous: bool = False) -> lgks.LinearResponse:
    return lgks.response(model(strength), V, OBSERVABLES, REDFIELD, instantaneous=instantaneous)


@functools.cache
def exact(strength: float) -> lgks.ExactResponse:
    return lgks.exact_response(model(strength), V, OBSERVABLES)


def test_the_judge_by_the_slope_of_the_exact_steady_state():
    """The exact static response against differences of the steady state, which quadrature finds without any
    exponentials, Richardson's: Wick, the order of the state, and the integral of the two-time function. Its kick is
    that of the system alone. To the 1e−6 of the exponentials."""
    found = exact(0.05)

    def averages(delta):
        state = lgks.exact_steady_state(model(0.05).perturbed(V, delta)).state
        return np.array([float(state.expect(one)) for one in OBSERVABLES])

    near, far = ((averages(h) - averages(-h)) / (2 * h) for h in (1e-3, 2e-3))
    np.testing.assert_allclose(found.static(), (4 * near - far) / 3, rtol=0, atol=1e-6)
    state = lgks.exact_steady_state(model(0.05)).state
    kick = [float(state.expect(1j * V.commutator(one))) for one in OBSERVABLES]
    np.testing.assert_allclose(found.impulse(0.0), kick, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.step(600.0), found.static(), rtol=1e-9)


def test_the_judge_by_the_propagator():
    """V and A linear: χ(ω) = aᵀ g(ω) Ω v of the Langevin equation, at a strong coupling."""
    m = model(0.05)
    h, J = np.asarray(m.quadratic), np.array([[0.0, 1.0], [-1.0, 0.0]])
    s = np.sqrt(2) * np.array([[1.0, 0.0], [0.7, 0.4]])
    found = lgks.exact_response(m, P, X).susceptibility(OMEGAS)
    for omega, chi in zip(OMEGAS, np.asarray(found), strict=True):
        memory = -2 * 0.05 * 2.0 / (2.0 - 1j * omega)
        inverse = -1j * omega * np.eye(2) - J @ h - memory * sum(np.outer(J @ one, one) for one in s)
        expected = np.sqrt(2) * np.linalg.solve(inverse, J @ [0.0, np.sqrt(2)])[0]
        assert chi == pytest.approx(expected, abs=1e-12)


def test_memory_approaches_the_exact_response_as_the_coupling_falls():
    """At every frequency and time the deviation falls at least as the coupling; at once it is larger by ten, far off
    resonance."""
    ratios, errors = [], []
    for strength in (0.008, 0.004, 0.002):
        judge, scale = exact(strength), np.max(np.abs(exact(strength).impulse(TIMES)))
        chi = np.asarray(judge.susceptibility(OMEGAS))
        error, at_once = (
            np.abs(np.asarray(redfield(strength, so).susceptibility(OMEGAS).total) - chi) for so in (False, True)
        )
        late = np.abs(np.asarray(redfield(strength).impulse(TIMES).total) - judge.impulse(TIMES))
        errors.append([np.max(error) / np.max(np.abs(chi)), np.max(late) / scale])
        ratios.append(np.max(at_once[-1]) / np.max(error[-1]))
    falls = np.array(errors[1:]) / np.array(errors[:-1])
    assert np.max(falls) < 0.55
    assert np.max(errors[-1]) < 1e-3
    assert min(ratios) > 10


@pytest.mark.parametrize(
    ("equation", "least", "law"),
    [
        (lgks.Davies(lamb_shift=True), 0.012, 1e-13),
        pytest.param(lgks.Unified(lamb_shift=True), 0.012, 1e-13, marks=pytest.mark.slow),
        pytest.param(lgks.UniversalLindblad(), 0.15, 1e-6, marks=pytest.mark.slow),
    ],
    ids=lambda e: type(e).__name__ if isinstance(e, eqx.Module) else "",
)
def test_other_equations_take_the_memory_of_redfield(equation, least, law):
    """Observables approach the exact response as the coupling falls, to 1 % of the largest (at once: 5 %; without a
    Lamb shift 15 %, at resonance), the static one stays their own, and heat obeys the first law, Σ_α J₁^α =
    −iω⟨H₀⟩₁ (of an equation whose steady state does not commute with H₀, to the square of the coupling)."""
    errors = []
    for strength in (0.008, 0.002):
        r = lgks.response(model(strength), V, (*OBSERVABLES, H), equation)
        chi, judge = np.asarray(r.susceptibility(OMEGAS).total), np.asarray(exact(strength).susceptibility(OMEGAS))
        errors.append(np.max(np.abs(chi[1:, :2] - judge[1:]) / np.max(np.abs(judge), axis=0)))
        np.testing.assert_allclose(chi[0], r.static().total, rtol=0, atol=1e-12)
    assert errors[0] < least
    assert errors[1] < 0.35 * errors[0]
    currents = lgks.thermodynamic_response(model(0.002), V, equation).heat_currents.susceptibility(OMEGAS).total
    np.testing.assert_allclose(np.sum(currents, axis=1), -1j * OMEGAS * chi[:, 2], rtol=0, atol=law)


def _on_a_fock_space(m: lgks.QuasiFree, V: lgks.Polynomial, observables, quanta: int) -> tuple:
    """χ with memory of observables, of heat currents, and of what the baths give: by polynomials, and by matrices."""
    few = lgks.truncated(m, quanta)
    W, matrices = few.operator(V), np.stack([few.operator(one) for one in observables])
    cases = (m, V, observables), (few.system, W, matrices)
    each = []
    for case in cases:
        r = lgks.thermodynamic_response(*case[:2], REDFIELD)
        quantities = lgks.response(*case, REDFIELD), r.heat_currents, r.bath_currents
        each.append([one.susceptibility(OMEGAS) for one in quantities])
    return tuple(each)


@pytest.mark.slow
@pytest.mark.parametrize("modes", [1, 2])
def test_the_same_on_a_fock_space(modes):
    """By matrices with memory, part by part, observables, heat currents and what the baths give: what 14 quanta of one
    mode, or 8 of two coupled ones, leave out. Quadratic V and A, terms of first degree among them."""
    case, quanta = (model(0.004), V, OBSERVABLES), 14
    if modes == 2:
        a, b = lgks.modes(2)
        x, y, density = a + a.dag, b + b.dag, lgks.DrudeLorentz(0.002, 2.0)
        both = 1.0 * a.dag * a + 1.4 * b.dag * b + 0.1 * (a.dag * b + b.dag * a) + 0.05 * x
        m = lgks.QuasiFree(both, [lgks.Bath(x + 0.3, 0.3, density), lgks.Bath(y + 0.2 * x, 0.25, density)])
        case, quanta = (m, x * x + 0.3 * x * y + 0.2j * (a - a.dag) + 0.5 * b.dag * b, (a.dag * a, x * y + x)), 8
    for found, expected in zip(*_on_a_fock_space(*case, quanta), strict=True):
        for part in ("kubo", "rotation", "shift", "explicit", "total"):
            scale = np.max(np.abs(expected.total))
            np.testing.assert_allclose(
                getattr(found, part), getattr(expected, part), rtol=0, atol=2e-6 * scale, err_msg=part
            )


def test_limits_and_identities():
    """χ(0) is the static response; χ(−ω) = χ(ω)*; φ(0⁺) = i⟨[V, A]⟩; long times are static; φ is the
    derivative of the step. (That it is the transform of χ, the exact response shows, and the Fock space.)"""
    r = redfield(0.004)
    chi, static = np.asarray(r.susceptibility(OMEGAS).total), np.asarray(r.static().total)
    np.testing.assert_allclose(chi[0], static, rtol=0, atol=1e-12 * np.max(np.abs(static)))
    np.testing.assert_allclose(chi[2], chi[1].conj(), rtol=0, atol=1e-13)
    pi = lgks.steady_state(model(0.004), REDFIELD)
    kick = [float(pi.expect(1j * V.commutator(one))) for one in OBSERVABLES]
    phi = np.asarray(r.impulse(TIMES).total)
    np.testing.assert_allclose(phi[0], kick, rtol=0, atol=1e-12)
    t, h = TIMES[1:], 1e-3
    steps = np.asarray(r.step(np.concatenate([[1e4], *(t + x for x in (-2 * h, -h, h, 2 * h))])).total)
    np.testing.assert_allclose(steps[0], static, rtol=0, atol=1e-10)
    around = steps[1:].reshape(4, t.size, 2)
    slope = (8 * (around[2] - around[1]) - (around[3] - around[0])) / (12 * h)
    np.testing.assert_allclose(slope, phi[1:], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_what_the_baths_of_oscillators_give_in_time():
    """The impulse response with the weight of its δ(τ), convolved with a drive that stays on, is the step, and that
    ends at the static response."""
    r = lgks.thermodynamic_response(model(0.004), V, REDFIELD)
    t = np.linspace(0.0, 60.0, 61)
    step = np.asarray(r.bath_currents.step(t).total)
    np.testing.assert_allclose(r.bath_currents.to_drive(np.ones(61), t).total, step, rtol=0, atol=1e-13)
    late, static = r.bath_currents.step(1e4).total, r.heat_currents.static().total
    np.testing.assert_allclose(late, static, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_the_driven_equation_of_moments():
    """A heat current at a frequency and some time after V was switched on, explicitly and through the driven equation
    of means, covariances and Λ_j, which knows no normal mode: 1e−11 and better; differences 1e−9. Both routes have the
    same exponentials only."""
    for current, where in ((lgks.HeatCurrent("hot"), {"omega": 0.7}), (lgks.HeatCurrent("cold"), {"t": 9.0})):
        table = lgks.cross_validate(model(0.02), V, current, REDFIELD, **where)
        assert np.max(table.autodiff_difference) < 5e-11
        assert np.max(table.finite_difference_difference) < 1e-9


def test_what_has_no_driven_equation_is_named():
    """A secular equation, and a V after which no state stays Gaussian."""
    for equation, what, message in ((lgks.Davies(), V, "Davies is derived"), (REDFIELD, X**3, "degree 2 at most")):
        with pytest.raises(InputError, match=message):
            lgks.cross_validate(model(0.02), what, X, equation, omega=1.0)


@pytest.mark.slow
def test_near_modes_that_a_secular_equation_treats_apart_are_warned_of():
    """Davies is off by 20 % there."""
    a, b = lgks.modes(2)
    density = lgks.DrudeLorentz(0.002, 2.0)
    baths = [lgks.Bath(a + a.dag, 0.4, density), lgks.Bath(b + b.dag, 0.25, density)]
    near = lgks.QuasiFree(a.dag * a + 1.02 * b.dag * b, baths)
    r = lgks.response(near, a.dag * b + b.dag * a, a.dag * a)
    with pytest.warns(lgks.ValidityWarning, match=r"Davies treats modes apart.*Redfield\(lamb_shift=True\)"):
        r.susceptibility(0.3)


def test_models_that_have_no_judge_are_named():
    """A judge without Drude baths, or where these leave no steady state."""
    flat = lgks.QuasiFree(A.dag * A, lgks.Bath(X, 0.5, lgks.Flat(0.01), "flat"))
    with pytest.raises(InputError, match="DrudeLorentz"):
        lgks.exact_response(flat, X, X)
    with pytest.raises(UnstableHamiltonianError, match="exact_response"):
        lgks.exact_response(model(0.5), V, OBSERVABLES)
