"""Fits, sweeps and optima of driven systems."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import InputError

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
    """A curve in time is one point with many numbers: its information against differences of evolutions (not JAX's
    derivatives), to 1e−4 of the largest, what differences of results that are good to 1e−9 can say. Fits take the same
    derivatives. No other test differentiates a driven evolution forwards under `vmap`; without ForwardMode the error
    says that."""
    truth, sigma, h = {"strength": 0.01, "height": 0.4}, 0.01, 1e-3
    f = jax.jit(pulsed)

    def slope(name):
        up, down = (np.asarray(f({**truth, name: truth[name] * (1 + s * h)})) for s in (1, -1))
        return (up - down) / (2 * h * truth[name])

    def predict(adjoint):
        return lambda p, x: {"z": pulsed(p, adjoint) + 0 * x["run"]}

    told = lgks.fisher_information(predict(diffrax.ForwardMode()), truth, {"run": [0.0]}, sigma)
    J = np.stack([slope(name) for name in told.names], axis=1) / sigma
    np.testing.assert_allclose(told.matrix, J.T @ J, rtol=1e-4, atol=1e-4 * np.min(np.diag(J.T @ J)))
    with pytest.raises(InputError, match=r"fisher_information: .*adjoint=diffrax.ForwardMode"):
        lgks.fisher_information(predict(None), truth, {"run": [0.0]}, sigma)


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
