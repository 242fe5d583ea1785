"""What a fit says about itself: what data do not fix, errors in parts of the value, minima that are none."""

import re

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlgks as lgks
from jaxlgks._fits import _starts
from jaxlgks.errors import IdentifiabilityError, InputError

from .fits import decay, line, quiet

T = np.linspace(0.1, 4.0, 40)
NOISE = 0.02 * np.random.default_rng(0).normal(size=40)


def test_a_parameter_whose_own_error_is_huge_is_undetermined():
    """Not only correlations: σ = 1.4e11 of a parameter of size 0.3, and errors far above the signal."""
    faint = lambda p, x: p["a"] * jnp.exp(-x["t"]) + 1e-14 * p["g"] * x["t"]  # noqa: E731
    with pytest.warns(lgks.FitWarning, match="A poor plan of measurement. g is hardly determined"):
        lgks.fit(faint, lgks.Data({"t": T}, {"y": 2 * np.exp(-T) + NOISE}, 0.02), {"a": 1.0, "g": 0.3})
    information = lgks.fisher_information(decay, {"a": 2.0, "k": 0.7}, {"t": T}, errors=1000.0)
    assert len(information.undetermined) == 2
    assert "hardly determined" in information.summary()
    with pytest.warns(lgks.FitWarning, match="hardly determined"):
        lgks.fit(decay, lgks.Data({"t": T}, {"y": decay({"a": 2.0, "k": 0.7}, {"t": T})}, 1000.0), {"a": 1.0, "k": 1.0})
    assert not lgks.fisher_information(decay, {"a": 2.0, "k": 0.7}, {"t": T}, errors=0.1).undetermined


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e9])
def test_an_offset_that_starts_from_zero_is_measured_by_the_signal(unit):
    """Its start tells no size, whatever its unit; it is known where its trace is larger than the noise."""
    ramp = lambda p, x: p["a"] * x["t"] + p["offset"] / unit  # noqa: E731
    y = 2 * T + NOISE
    known = lgks.fit(ramp, lgks.Data({"t": T}, {"y": y}, 0.02), {"a": 1.0, "offset": 0.0})
    assert abs(known.estimates["offset"]) < 3 * known.sigmas["offset"] < 0.03 * unit
    assert not known.undetermined
    poor = quiet(ramp, lgks.Data({"t": T}, {"y": y}, 50.0), {"a": 1.0, "offset": 0.0})
    assert any("offset" in str(direction) for direction in poor.undetermined)


def test_relative_errors_are_parts_of_the_prediction():
    """y = a x with 10 % noise: the estimate at the fixed point is the mean of y/x, σ = 0.1 a/√n, in closed form; with
    10 % of the measured values Σxy/y² / Σx²/y² is 2 ε² too small, which is reported with its cure."""
    x = np.linspace(1, 3, 200)
    through_zero = lambda p, c: p["a"] * c["x"]  # noqa: E731
    y = 2 * x * (1 + 0.1 * np.random.default_rng(0).normal(size=200))
    result = lgks.fit(through_zero, lgks.Data({"x": x}, {"y": y}, relative_errors=0.1), {"a": 1.0})
    a = np.mean(y / x)
    assert result.estimates["a"] == pytest.approx(a, rel=1e-6)  # settled to 1e−4 of σ, which is 0.7 % of a
    assert result.sigmas["a"] == pytest.approx(0.1 * a / np.sqrt(200), rel=1e-4)
    np.testing.assert_allclose(result.data.errors["y"], 0.1 * a * x, rtol=1e-4)
    assert not result.notes
    with pytest.warns(lgks.FitWarning, match=r"errors of y are 10 % .* Give relative_errors=0.1 instead"):
        biased = lgks.fit(through_zero, lgks.Data({"x": x}, {"y": y}, 0.1 * np.abs(y)), {"a": 1.0})
    assert biased.estimates["a"] == pytest.approx(np.sum(x / y) / np.sum(x**2 / y**2), rel=1e-6)
    # Intervals hold as often as they say: 0.95 ± 4 standard deviations of the count, one estimate in 400 beside.
    assert result.repeat(400).coverage()["a"] == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 400))


def test_relative_and_absolute_errors_add_in_squares():
    x = np.array([0.0, 1.0, 2.0])
    data = lgks.Data({"x": x}, {"y": 3 * x, "z": x + 1}, errors={"y": 0.1}, relative_errors={"y": 0.2, "z": 0.1})
    result = quiet(lambda p, c: {"y": p["a"] * c["x"], "z": c["x"] + p["b"]}, data, {"a": 3.0, "b": 1.0})
    y, z = result.predictions["y"], result.predictions["z"]
    np.testing.assert_allclose(result.data.errors["y"], np.sqrt(0.01 + (0.2 * y) ** 2), rtol=1e-4)
    np.testing.assert_allclose(result.data.errors["z"], 0.1 * z, rtol=1e-4)
    with pytest.raises(InputError, match=r"errors of .'z'. are missing"):
        lgks.Data({"x": x}, {"y": x, "z": x}, relative_errors={"y": 0.1})
    with pytest.raises(InputError, match="relative errors of 'y' must be positive"):
        lgks.Data({"x": x}, {"y": x}, relative_errors=0.0)


def test_repetitions_that_end_at_a_bound_count():
    """a + b x with b ≥ 0, b half a standard deviation above zero: 95 % intervals ± 1.96 σ hold a and b in 97.7 %
    of cases (4,000 sets fitted by linear algebra and cut off: 0.977)."""
    x = np.linspace(0, 1, 30)
    b = 0.5 * 0.1 / np.sqrt(np.sum((x - x.mean()) ** 2))
    data = lgks.Data({"x": x}, {"y": 1 + b * x}, 0.1)
    many = quiet(line, data, {"a": 0.9, "b": 0.2}, bounds={"b": "positive"}).repeat(1000, seed=2)
    assert many.converged.mean() > 0.99
    for part in many.coverage().values():
        assert part == pytest.approx(0.977, abs=4 * np.sqrt(0.977 * 0.023 / 1000))


def test_repetitions_come_away_from_a_bound():
    """b ends at its bound, 0; half of the draws have their minimum inside, and are led there."""
    x = np.linspace(0, 1, 30)
    data = lgks.Data({"x": x}, {"y": 1 - 0.1 * x}, 0.1)
    many = quiet(line, data, {"a": 1.0, "b": 1.0}, bounds={"b": (0, 10)}).repeat(1000)
    assert many.converged.mean() > 0.99
    assert np.mean(many.estimates[:, 1] > 1e-3) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(1000))


def test_degrees_of_freedom_count_what_is_seen():
    """Of a·b·e^{−kt} two combinations: the scatter, and intervals of k, are those of c·e^{−kt}."""
    t, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([2.03, 1.0, 0.47, 0.26])
    product = lambda p, x: p["a"] * p["b"] * jnp.exp(-p["k"] * x["t"])  # noqa: E731
    result = quiet(product, lgks.Data({"t": t}, {"y": y}), {"a": 1.0, "b": 1.0, "k": 1.0}, throw=False)
    plain = lgks.fit(decay, lgks.Data({"t": t}, {"y": y}), {"a": 1.0, "k": 1.0})
    assert result.degrees_of_freedom == plain.degrees_of_freedom == 2
    assert result.intervals()["k"] == pytest.approx(plain.intervals()["k"], rel=1e-5)


def even(p, c):
    return p["a"] + p["g"] ** 2 * c["x"]


X = np.linspace(0.1, 1, 20)
EVEN = lgks.Data({"x": X}, {"y": 1 + 0.25 * X}, 0.01)


def test_a_start_where_everything_is_even_is_left():
    """g = 0 is a maximum of χ² and a natural start: it is moved off, and leads to g = ±0.5."""
    result = lgks.fit(even, EVEN, {"a": 1.0, "g": 0.0})
    assert abs(result.estimates["g"]) == pytest.approx(0.5, rel=1e-5)
    assert result.starts.initial[0, 1] == 0.0
    assert result.starts.outcomes == ("converged (best)",)


def test_a_maximum_is_not_called_a_minimum(monkeypatch):
    """Left where it is put, at g = 0 with a at its best value, a fit finds no slope, and a χ² that falls on both sides;
    so it does at the maximum between two minima of a comb, where the Jacobian is not zero."""
    monkeypatch.setattr(_starts, "NUDGE", 0.0)
    with pytest.warns(lgks.FitWarning, match="stationary but no minimum: χ² falls on both sides along g"):
        result = lgks.fit(even, EVEN, {"a": 1.0, "g": 0.0})
    assert not result.starts.outcomes[0].startswith("converged")
    stay = optax.scale(0.0)
    x = np.linspace(-3, 3, 61)
    comb = lgks.Data({"x": x}, {"y": np.cos(1.5 * x)}, 0.1)
    wave = lambda p, c: jnp.cos(p["k"] * c["x"])  # noqa: E731
    k = np.linspace(1.7, 4.5, 20001)
    chi = np.sum((np.cos(k[:, None] * x) - np.cos(1.5 * x)) ** 2, axis=1)
    top = float(k[np.argmax(chi)])
    with pytest.warns(lgks.FitWarning, match="no minimum: χ² falls on both sides along k"):
        lgks.fit(wave, comb, {"k": top}, method=stay, steps=1)


def test_a_plateau_is_not_called_a_minimum():
    """e^{−kt} at k = 1e5 depends on nothing: the outcome does not call it the minimum, nor does a fit where it is the
    only start. The other start leads to the minimum."""
    data = lgks.Data({"t": T}, {"y": 2 * np.exp(-0.7 * T) + NOISE}, 0.02)
    good = lgks.fit(decay, data, {"a": 1.0, "k": 1.0})
    for poor in (1e3, 1e5):
        result = lgks.fit(decay, data, {"a": 1.0, "k": poor}, starts=[{"a": 1.0, "k": 1.0}])
        assert re.match("stopped .* short of a minimum|converged to another", result.starts.outcomes[0])
        assert result.starts.outcomes[1] == "converged (best)"
        np.testing.assert_allclose(result.vector, good.vector, rtol=1e-6)
    with pytest.raises(IdentifiabilityError, match=r"leaves no trace.*at the best end.*another start"):
        lgks.fit(decay, data, {"a": 1.0, "k": 1e5})


def test_repetitions_follow_predictions_of_settings_in_any_order():
    """Relative errors, settings that repeat and stand in no order: fits of synthetic sets have the errors of the fit
    itself, σ = part × prediction, each at its own setting."""
    rng = np.random.default_rng(4)
    t = rng.permutation(np.repeat(np.linspace(0.0, 4.0, 8), 5))
    y = 3.0 * np.exp(-t) * (1 + 0.05 * rng.normal(size=t.size))
    data = lgks.Data({"t": t}, {"y": y}, relative_errors=0.05)
    result = quiet(lambda p, x: p["a"] * jnp.exp(-p["k"] * x["t"]), data, {"a": 1.0, "k": 0.5})
    many = result.repeat(200, seed=3)
    np.testing.assert_allclose(np.median(many.sigmas, axis=0), list(result.sigmas.values()), rtol=0.05)
    np.testing.assert_allclose(many.estimates.std(axis=0), list(result.sigmas.values()), rtol=0.2)
