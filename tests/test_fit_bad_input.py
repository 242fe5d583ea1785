"""Bad data, bad arguments, and parameters that data do not fix: each is named."""

import jax.numpy as jnp
import numpy as np
import pandas
import pytest
import xarray

import jaxlgks as lgks
from jaxlgks.errors import DataError, FitError, IdentifiabilityError, InputError, PrecisionError

from .fits import named_decay as decay

T = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
Y = 2.0 * np.exp(-0.7 * T)
INIT = {"a": 1.0, "k": 1.0}


def data(**changed) -> lgks.Data:
    return lgks.Data(**{"coordinates": {"t": T}, "observables": {"y": Y}, "errors": 0.01, **changed})


def with_nan(values: np.ndarray, *at: int) -> np.ndarray:
    values = values.copy()
    values[list(at)] = np.nan
    return values


def test_missing_points_are_named():
    bad = data(coordinates={"t": with_nan(T, 4)}, observables={"y": with_nan(Y, 1, 2)})
    with pytest.raises(DataError, match=r"t is not finite at point\(s\) 4; y is not finite at point\(s\) 1, 2"):
        lgks.fit(decay, bad, INIT)
    with pytest.raises(DataError, match=r"the error of y is not finite at point\(s\) 3"):
        lgks.fit(decay, data(errors={"y": with_nan(np.full(5, 0.01), 3)}), INIT)


def test_missing_points_are_skipped_by_choice():
    """The same fit as of the points that are left; the number skipped is in the summary."""
    bad = data(coordinates={"t": with_nan(T, 4)}, observables={"y": with_nan(Y, 1)})
    skipped = lgks.fit(decay, bad, INIT, missing="skip")
    left = lgks.fit(decay, lgks.Data({"t": T[[0, 2, 3]]}, {"y": Y[[0, 2, 3]]}, 0.01), INIT)
    np.testing.assert_allclose(skipped.vector, left.vector, rtol=1e-9)
    np.testing.assert_allclose(skipped.covariance, left.covariance, rtol=1e-9)
    assert skipped.degrees_of_freedom == 1
    assert "3 measured numbers (2 skipped: y at point(s) 1, 4)" in skipped.summary()
    assert np.isnan(skipped.residuals["y"]).tolist() == [False, True, False, False, True]


def test_no_point_left():
    with pytest.raises(DataError, match="no data point is left"):
        lgks.fit(decay, data(observables={"y": np.full(5, np.nan)}), INIT, missing="skip")
    with pytest.raises(InputError, match="missing must be one of raise, skip"):
        lgks.fit(decay, data(), INIT, missing="drop")


def test_pandas_missing_values_are_seen():
    table = pandas.DataFrame({"t": T, "y": [2.0, None, 0.5, 0.25, 0.1], "y_error": 0.01})
    with pytest.raises(DataError, match=r"y is not finite at point\(s\) 1"):
        lgks.fit(decay, table, INIT)


@pytest.mark.parametrize("bad", [0.0, -0.1])
def test_errors_must_be_positive(bad):
    sigma = np.full(5, 0.01)
    sigma[[2, 4]] = bad
    with pytest.raises(DataError, match=r"2 are zero or negative, at point\(s\) 2, 4"):
        data(errors={"y": sigma})
    with pytest.raises(DataError, match="weights of 'y' must be positive"):
        lgks.fit(decay, data(errors=None), INIT, weights={"y": sigma})


def test_columns_that_do_not_match():
    with pytest.raises(
        DataError, match=r"asks for 't', which is neither a parameter, .* nor a coordinate; there are time"
    ):
        lgks.fit(decay, data(coordinates={"time": T}), INIT)
    with pytest.raises(DataError, match="'yy' was measured but is not predicted; did you mean 'y'"):
        lgks.fit(decay, data(observables={"yy": Y}, errors=None), INIT)
    with pytest.raises(DataError, match="must be equally long"):
        data(observables={"y": Y[:4]})
    with pytest.raises(DataError, match=r"measured with shape \(2,\) at each point but is predicted with \(\)"):
        lgks.fit(decay, data(observables={"y": np.stack([Y, Y], 1)}), INIT)
    with pytest.raises(DataError, match="must return a dictionary"):
        lgks.fit(lambda p, x: p["a"] * x["t"], data(observables={"y": Y, "z": Y}), INIT)
    with pytest.raises(DataError, match="errors are given of 'x'"):
        data(errors={"x": 0.1})
    with pytest.raises(DataError, match="errors of \\['z'\\] are missing"):
        data(observables={"y": Y, "z": Y}, errors={"y": 0.1})
    with pytest.raises(DataError, match="real numbers"):
        data(observables={"y": ["a"] * 5})
    with pytest.raises(DataError, match="must be a number or of shape"):
        data(errors={"y": [0.1, 0.2]})
    with pytest.raises(DataError, match="one number a point"):
        data(coordinates={"t": np.stack([T, T], 1)})
    with pytest.raises(DataError, match="predicted as real numbers"):
        lgks.fit(lambda p, x: {"y": p["a"] * 1j}, data(), INIT)


def test_tables_that_do_not_match():
    with pytest.raises(DataError, match="which columns are measured"):
        lgks.fit(decay, {"t": T, "y": Y}, INIT)
    with pytest.raises(DataError, match="no column 'yy'; did you mean 'y'"):
        lgks.as_data({"t": T, "y": Y}, observables=["yy"])
    with pytest.raises(DataError, match="no column 'sigma' of errors"):
        lgks.as_data({"t": T, "y": Y}, observables=["y"], errors="sigma")
    ragged = xarray.Dataset({"y": ("t", Y), "z": ("u", Y)}, {"t": T, "u": T})
    with pytest.raises(DataError, match="must lie on one grid"):
        lgks.fit(decay, ragged, INIT)
    with pytest.raises(DataError, match="no variable 'x'"):
        lgks.as_data(ragged, observables=["x"])


def test_bounds_that_exclude_the_start():
    with pytest.raises(InputError, match="bounds of 'k' exclude its start: 1 is not strictly between 2 and 3"):
        lgks.fit(decay, data(), INIT, bounds={"k": (2.0, 3.0)})
    with pytest.raises(InputError, match="exclude its start: 1 is not strictly between 1 and"):
        lgks.fit(decay, data(), INIT, bounds={"k": (1.0, None)})
    with pytest.raises(InputError, match="starts: the bounds of 'k' exclude"):
        lgks.fit(decay, data(), INIT, bounds={"k": (0.0, 3.0)}, starts=[{"a": 1.0, "k": 5.0}])


def test_arguments_that_do_not_fit():
    fit = lambda **options: lgks.fit(decay, data(), INIT, **options)  # noqa: E731
    for message, options in {
        "no parameter 'kk'; did you mean 'k'": {"bounds": {"kk": (0, 1)}},
        "pair .lower, upper., lower < upper, or 'positive'": {"bounds": {"k": "negative"}},
        "lower < upper, or .positive.; got .3, 2": {"bounds": {"k": (3, 2)}},
        "priors: no parameter 'b'": {"priors": {"b": (0, 1)}},
        "pair .mean, deviation.": {"priors": {"k": 1.0}},
        "positive width": {"priors": {"k": (1.0, 0.0)}},
        "no optimiser 'lm'": {"method": "lm"},
        "did you mean 'lbfgs'": {"method": "l-bfgs"},
        "method must be a name": {"method": 3},
        "starts must be a whole number between 1": {"starts": 0},
        "must have the entries": {"starts": [{"a": 1.0}]},
        "errors and weights": {"weights": 1.0},
    }.items():
        with pytest.raises(InputError, match=message):
            fit(**options)
    for init, message in (({}, "hold no number"), ({"a": 1j, "k": 1.0}, "real numbers"), ({"a": np.nan}, "finite")):
        with pytest.raises(InputError, match=message):
            lgks.fit(decay, data(), init)
    with pytest.raises(DataError, match="prior must be weighed"):
        lgks.fit(decay, data(errors=None), INIT, priors={"k": (1.0, 0.1)})
    with pytest.raises(DataError, match="2 points cannot fix 2 parameters"):
        lgks.fit(decay, lgks.Data({"t": T[:2]}, {"y": Y[:2]}), INIT)
    result = fit()
    with pytest.raises(InputError, match="between 0 and 1"):
        result.intervals(95.0)
    with pytest.raises(InputError, match="count must be a whole number between 1"):
        result.repeat(0)
    with pytest.raises(InputError, match="priors the truth"):
        fit(priors={"k": (0.7, 0.1)}).repeat(10)


def test_a_product_of_parameters_is_named():
    """a·b alone is seen: refused with both names; returned by choice, with infinite errors for these two only, finite
    ones for k, and the combination in words."""
    product = lambda p, x: {"y": p["a"] * p["b"] * jnp.exp(-p["k"] * x["t"])}  # noqa: E731
    init = {"a": 1.5, "b": 1.0, "k": 1.0}
    with pytest.raises(IdentifiabilityError, match=r"Only a combination of (a and b|b and a)"):
        lgks.fit(product, data(), init)
    with pytest.warns(lgks.FitWarning, match="A poor plan"):
        result = lgks.fit(product, data(), init, throw=False)
    assert result.sigmas["a"] == result.sigmas["b"] == np.inf
    assert result.sigmas["k"] == pytest.approx(lgks.fit(decay, data(), INIT).sigmas["k"], rel=1e-4)
    (direction,) = result.undetermined
    assert np.isinf(direction.deviation)
    # In relative terms a up and b down, equally.
    assert direction.components["a"] == pytest.approx(-direction.components["b"], rel=1e-6)
    assert result.starts.outcomes[0].startswith("converged")
    assert lgks.fit(product, data(), init, priors={"b": (1.0, 0.1)}).sigmas["a"] < 1.0


def test_a_parameter_without_trace_is_named():
    with pytest.raises(IdentifiabilityError, match="b leaves no trace in the data"):
        lgks.fit(lambda p, x: {"y": p["a"] * x["t"] + 0 * p["b"]}, data(), {"a": 1.0, "b": 2.0})


def test_fewer_points_than_parameters_with_known_errors():
    with pytest.raises(IdentifiabilityError, match=r"(k and a|a and k) is seen"):
        lgks.fit(decay, lgks.Data({"t": [1.0]}, {"y": [1.0]}, 0.1), INIT)


def test_a_poor_plan_is_reported_not_fitted_in_silence():
    """All points at times so short that only a and a·k t ≪ σ is seen: k is hardly determined, and a warning says so;
    with long times there is none. The reported deviation is that of the fit."""
    early = np.linspace(0.0, 0.01, 20)
    y = 2.0 * np.exp(-0.7 * early)
    with pytest.warns(lgks.FitWarning, match="A poor plan of measurement. k is hardly determined: one standard dev"):
        result = lgks.fit(decay, lgks.Data({"t": early}, {"y": y}, 0.05), INIT, bounds={"k": "positive"})
    assert result.sigmas["k"] > result.estimates["k"]
    assert "k is hardly determined" in result.summary()
    assert not lgks.fit(decay, data(), INIT).undetermined


def test_badly_scaled_parameters_are_not_called_undetermined():
    """A rate of 1e−9 beside an amplitude of 1e6, both known to per cents."""
    scaled = lambda p, x: {"y": 1e-6 * p["a"] * jnp.exp(-1e9 * p["k"] * x["t"])}  # noqa: E731
    result = lgks.fit(scaled, data(), {"a": 1e6, "k": 1e-9})
    assert not result.undetermined
    assert result.estimates["k"] == pytest.approx(0.7e-9, rel=1e-5)


def test_a_figure_that_is_nowhere_finite():
    with pytest.raises(FitError, match="no start leads to a finite"):
        lgks.fit(lambda p, x: {"y": jnp.log(-(p["a"] ** 2)) * x["t"]}, data(), {"a": 1.0})


def test_single_precision_is_refused():
    import jax

    with jax.enable_x64(False), pytest.raises(PrecisionError):
        lgks.fit(decay, data(), INIT)
