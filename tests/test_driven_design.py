"""Fits, sweeps and optima of driven systems; whether dissipators may follow a drive at once."""

import json
from types import SimpleNamespace
from unittest import mock

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._response import _at_once
from jaxlgks.errors import CorrelationError, InputError

from . import cycles_heom as heom

X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
TS = np.linspace(0.0, 24.0, 5)
DOWN = np.diag([0.0, 1.0])


def pulsed(p, adjoint=None):
    """⟨σz⟩ of a qubit that meets its bath at t = 0 and a pulse at 8."""
    bath = lgks.Bath(X + 0.3 * Z, 0.5, lgks.DrudeLorentz(p["strength"], 1.5))
    pulse = lgks.Drive(X, lgks.pulses.Gaussian(p["height"], centre=8.0, width=2.0))
    driven = lgks.System(0.5 * Z, bath).driven(pulse)
    return lgks.evolve(driven, DOWN, TS, lgks.Redfield(lamb_shift=True), adjoint=adjoint).expect(Z)


@pytest.mark.slow
def test_what_a_curve_in_time_tells_about_coupling_and_pulse():
    """Derivatives of a driven evolution in forward mode, which fits take, against differences of its values, to 1e−4 of
    the largest of each: what differences of numbers that are good to 1e−9 can say. One program serves both. No other
    test goes forwards through collocation; without ForwardMode the error says that."""
    truth, h = {"strength": 0.01, "height": 0.4}, 1e-3
    told = lgks.sensitivity(forwards_pulsed, truth)
    for name, value in truth.items():
        up, down = (lgks.sensitivity(forwards_pulsed, {**truth, name: value * (1 + s * h)}).value for s in (1, -1))
        quotient, slope = (up - down).values / (2 * h * value), told.derivative.sel(parameter=name).values
        np.testing.assert_allclose(slope, quotient, rtol=0, atol=1e-4 * np.max(np.abs(quotient)))
        assert np.max(np.abs(slope)) > 0.01
    with pytest.raises(InputError, match=r"sensitivity: .*adjoint=diffrax.ForwardMode"):
        lgks.sensitivity(pulsed, truth)


def forwards_pulsed(p):
    """With the derivatives that a fit needs."""
    return pulsed(p, diffrax.ForwardMode())


@jax.custom_vjp
def backwards(x):
    """What an integrator is in reverse mode: nothing but that."""
    return 2.0 * x


backwards.defvjp(lambda x: (2.0 * x, None), lambda _, g: (2.0 * g,))


def forwards(x):
    """What it is in forward mode."""
    return jax.lax.while_loop(lambda pair: pair[0] < 2.0, lambda pair: (pair[0] + 1.0, pair[1] * x), (0.0, x))[1]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p, d: lgks.fit(lambda p, x: backwards(p["a"]) * x["t"], d, p), "fit: .*adjoint=diffrax.ForwardMode"),
        (
            lambda p, d: lgks.fisher_information(lambda p, x: backwards(p["a"]) * x["t"], p, d.coordinates, 0.1),
            "fisher_information: .*adjoint=diffrax.ForwardMode",
        ),
        (lambda p, d: lgks.sensitivity(lambda p: backwards(p["a"]), p), "sensitivity: .*adjoint=diffrax.ForwardMode"),
        (
            lambda p, d: lgks.sweep(backwards, {"x": [1.0, 2.0]}, derivatives=["x"]),
            "sweep: .*adjoint=diffrax.ForwardMode",
        ),
        (lambda p, d: lgks.maximise(lambda p: forwards(p["a"]), p), "maximise: .*leave adjoint out"),
        (
            lambda p, d: lgks.optimal_plan(
                lambda p, x: forwards(p["a"] * x["t"]), p, {"t": [1.0]}, 0.1, limits={"t": (0.0, 2.0)}
            ),
            "optimal_plan: .*fisher_information",
        ),
        (
            lambda p, d: lgks.optimal_plan(
                lambda p, x: backwards(p["a"]) * x["t"], p, {"t": [1.0]}, 0.1, limits={"t": (0.0, 2.0)}
            ),
            "optimal_plan: .*fisher_information",
        ),
    ],
)
def test_a_derivative_in_the_other_mode_says_what_to_do(call, words):
    """Not JAX's words, which name neither the function nor the remedy. Without an integrator, which would cost
    seconds: that JAX says the same of one is in the test above."""
    with pytest.raises(InputError, match=words):
        call({"a": 1.0}, lgks.Data({"t": [1.0, 2.0]}, {"value": [2.0, 4.0]}, errors=0.1))


def test_another_error_keeps_its_words():
    with pytest.raises(TypeError, match="unsupported operand"):
        lgks.sensitivity(lambda p: p["a"] + "a", {"a": jnp.ones(())})


# ------------------------------------------------------------------------------------------------------------ at once


def driven_case(V, amplitude, omega, baths):
    """A case of the stored cycles of the hierarchy."""
    some = [lgks.Bath(S, T, lgks.DrudeLorentz(heom.LAMBDAS[0], heom.CUTOFF)) for S, T in baths]
    return lgks.System(heom.H0, some).driven(lgks.Drive(V, lgks.periodic([0.0, 1j * amplitude], omega)))


@pytest.mark.slow
def test_what_at_once_costs_is_what_the_hierarchy_says():
    """Its errors against the library's memory equal its errors against exact numbers, to what memory itself leaves
    (5e−3 of the currents, README): the verdict is not the library's opinion of itself."""
    driven = driven_case(*heom.CASES[0])
    found = lgks.diagnose(driven)
    row = json.loads(heom.PATH.read_text())["rows"][0]
    exact = np.array(row["real"]) + 1j * np.array(row["imag"])
    c = lgks.cycle(driven, instantaneous=True)
    J = np.stack([c.current_harmonic(n) for n in range(3)])
    off = np.max(np.abs(J - exact[:3, 3:])) / np.max(np.abs(exact[:3, 3:]))
    assert float(found.current_error) == pytest.approx(off, abs=1e-2)
    # ρ₀₀ = (1 + ⟨σz⟩)/2, of which the mean is most wrong.
    assert float(found.state_error) == pytest.approx(abs(float(c.mean(Z)) - exact[0, 2].real) / 2, abs=1e-3)
    assert float(found.frequency) == pytest.approx(2.0, rel=1e-3)
    assert not found.at_once
    assert "WRONG" in str(found)


def of_evolutions(J, J_other, rho, rho_other):
    """The verdict where both ways give these."""
    pair = [SimpleNamespace(heat_currents=a, states=b) for a, b in ((J, rho), (J_other, rho_other))]
    pulse = lgks.Drive(Z, lgks.pulses.Gaussian(0.3, centre=3.0, width=1.0))
    driven = lgks.System(0.5 * Z, lgks.Bath(X, 0.5, lgks.DrudeLorentz(0.01, 1.5))).driven(pulse)
    with mock.patch.object(_at_once, "evolve", side_effect=pair):
        return lgks.diagnose(driven, ts=np.linspace(0.0, 6.0, 61))


def test_a_verdict_over_times():
    """Errors are in parts of the largest current; of no current there is none to compare; a Gaussian moves with
    e^(−1/2)/width over its height less its mean. Evolutions are not computed: what they are is tested elsewhere."""
    J, rho = np.array([[1.0, -2.0], [0.5, 0.0]]), np.eye(2) / 2 * np.ones((2, 1, 1))
    found = of_evolutions(J, J + 0.01, rho, rho + 0.002)
    assert float(found.current_error) == pytest.approx(0.005)
    assert float(found.state_error) == pytest.approx(0.002)
    mean = np.sqrt(2 * np.pi) / 6.1  # of 61 samples over 6 widths, to 3e−3
    assert float(found.frequency) == pytest.approx(np.exp(-0.5) / (1 - mean), rel=1e-2)
    assert found.at_once
    assert "good to 1 %" in str(found)
    assert "good to 10 %" in str(of_evolutions(J, J + 0.1, rho, rho))
    still = of_evolutions(0 * J, 0 * J, rho, rho + 0.2)
    assert np.isnan(float(still.current_error))
    assert "WRONG" in str(still)
    assert "there is no heat current" in str(still)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d: lgks.diagnose(d), InputError, r"diagnose\(driven, ts=\.\.\.\)"),
        (lambda d: lgks.diagnose(d, X, 0.1), InputError, r"diagnose\(driven\), without V and delta"),
        (lambda d: lgks.diagnose(d.system, X, 0.1, ts=[0.0, 1.0]), InputError, "times of a driven system"),
        (lambda d: jax.jit(lambda T: lgks.diagnose(hotter(d, T)).state_error)(1.0), InputError, "known values"),
        (lambda d: lgks.diagnose(flat(), ts=[0.0, 1.0]), CorrelationError, "Flat"),
    ],
)
def test_a_verdict_that_cannot_be_given_says_why(call, error, words):
    bath = lgks.Bath(X, 0.5, lgks.DrudeLorentz(0.01, 1.5))
    pulse = lgks.Drive(X, lgks.pulses.Gaussian(0.4, centre=3.0, width=1.0))
    with pytest.raises(error, match=words):
        call(lgks.System(0.5 * Z, bath).driven(pulse))


def hotter(driven, T):
    """With a bath of another temperature."""
    bath = lgks.Bath(X, T, lgks.DrudeLorentz(0.01, 1.5))
    return lgks.System(0.5 * Z, bath).driven(*driven.drives)


def flat():
    """A bath without memory."""
    return lgks.System(0.5 * Z, lgks.Bath(X, 0.5, lgks.Flat(0.1))).driven(lgks.Drive(X, lgks.periodic([0.0, 0.1], 1.0)))
