"""Tables of every kind: which columns are what, errors along some dimensions, names that files do not like."""

import numpy as np
import pandas
import pytest
import xarray

import jaxlgks as lgks
from jaxlgks.errors import DataError, InputError

from .fits import named_decay as decay

T = np.linspace(0.1, 4.0, 12)
Y = 2 * np.exp(-0.7 * T)


def test_errors_lie_along_some_dimensions():
    """By name, in any order: constant along the others; a dimension that the observable lacks is refused."""
    u, v = np.linspace(1, 2, 3), np.linspace(1, 2, 2)
    f = (("u", "v"), np.outer(u, v))
    some = lgks.as_data(xarray.Dataset({"f": f, "f_error": ("u", 0.1 * u)}, {"u": u, "v": v}))
    np.testing.assert_allclose(some.errors["f"], np.repeat(0.1 * u, 2))
    assert some.coordinates.keys() == {"u", "v"}
    one = lgks.as_data(xarray.Dataset({"f": f, "f_error": ((), 0.3)}, {"u": u, "v": v}))
    np.testing.assert_allclose(one.errors["f"], 0.3)
    named = lgks.as_data(xarray.Dataset({"f": f, "s": ("v", v)}, {"u": u, "v": v}), errors={"f": "s"})
    np.testing.assert_allclose(named.errors["f"], np.tile(v, 3))
    error = np.ones((3, 2, 2))
    error[:, 0, 1] = 100.0
    grid = {"J": (("T", "bath", "comp"), np.ones((3, 2, 2))), "J_error": (("T", "comp", "bath"), error)}
    turned = lgks.as_data(xarray.Dataset(grid, {"T": u}))
    np.testing.assert_allclose(turned.errors["J"][0], [[1, 1], [100, 1]])
    with pytest.raises(DataError, match=r"'f_error' has dimensions \['w'\]"):
        lgks.as_data(xarray.Dataset({"f": f, "f_error": ("w", [0.1])}, {"u": u, "v": v}))


def test_an_observable_among_the_coordinates_is_noticed():
    """Its column of errors was called otherwise: it would be left out of the fit."""
    table = pandas.DataFrame({"t": T, "y": Y, "y_error": 0.02, "z": T, "z_err": 0.02})
    both = lambda p, x: {**decay(p, x), "z": p["a"] * x["t"]}  # noqa: E731
    with pytest.raises(DataError, match="'z' is predicted, but the data hold it as a coordinate"):
        lgks.fit(both, table, {"a": 1.0, "k": 1.0})


def test_text_and_dates_are_no_coordinates():
    table = pandas.DataFrame({"t": T, "y": Y, "y_error": 0.02, "sample": [f"s{i}" for i in range(12)]})
    table["when"] = pandas.date_range("2020-01-01", periods=12)
    table["run"] = pandas.array([1, None, *range(10)], dtype="Int64")
    assert set(lgks.as_data(table).coordinates) == {"t", "run"}
    with pytest.raises(DataError, match="the coordinate 'when' must hold real numbers; got datetime64"):
        lgks.as_data(table, coordinates=["when"])
    with pytest.raises(DataError, match="'y' must hold real numbers; got complex128"):
        lgks.Data({"t": [1.0, 2.0]}, {"y": [1 + 5j, 2.0]}, 0.1)
    with pytest.raises(DataError, match=r"\['y'\] stand twice"):
        lgks.as_data(pandas.DataFrame(np.ones((2, 2)), columns=["y", "y"]), observables=["y"])


@pytest.mark.parametrize("name", ["sigma", "parameter", "start", "point", "measured_J/W", "t/s", "J/W"])
def test_any_name_can_be_saved(name, tmp_path):
    """Coordinates called as what a fit holds, and names with a slash, are stored with their own name beside."""

    def line(p, x):
        return p["a"] * x[name]

    result = lgks.fit(line, lgks.Data({name: T}, {"J/W": 2 * T}, 0.1), {"a": 1.0})
    result.save(tmp_path / "fit.nc")
    read = xarray.load_dataset(tmp_path / "fit.nc", engine="h5netcdf")
    (stored,) = (c for c in read.coords.values() if c.attrs.get("long_name") == name)
    np.testing.assert_array_equal(stored, T)
    np.testing.assert_array_equal(read.measured_J_per_W, 2 * T)
    assert read.measured_J_per_W.attrs["long_name"] == "J/W"


def test_relative_errors_are_saved_as_used(tmp_path):
    result = lgks.fit(decay, lgks.Data({"t": T}, {"y": Y}, relative_errors=0.05), {"a": 1.0, "k": 1.0})
    result.save(tmp_path / "fit.nc")
    read = xarray.load_dataset(tmp_path / "fit.nc", engine="h5netcdf")
    np.testing.assert_allclose(read.error_y, 0.05 * Y, rtol=1e-4)


def test_bands_want_the_coordinates_of_the_data():
    result = lgks.fit(decay, lgks.Data({"t": T}, {"y": Y}, 0.02), {"a": 1.0, "k": 1.0})
    assert result.band({"t": 1.0})["y"][0] == pytest.approx([2 * np.exp(-0.7)], rel=1e-6)
    for bad, message in (({"time": [1.0]}, "the coordinates are"), ({"t": [[1.0]]}, "one number a point")):
        with pytest.raises(InputError, match=message):
            result.band(bad)


def test_weights_and_starts_and_parameters_that_do_not_fit():
    data, init = lgks.Data({"t": T}, {"y": Y}), {"a": 1.0, "k": 1.0}
    with pytest.raises(DataError, match=r"weights of 'y' must be positive; 1 are zero.*should not count is left out"):
        lgks.fit(decay, data, init, weights={"y": np.r_[0.0, np.ones(11)]})
    with pytest.raises(InputError, match="predict asks for 'kk', which is neither a parameter"):
        lgks.fit(lambda p, x: {"y": p["kk"] * x["t"]}, data, init)
    with pytest.raises(InputError, match="a list of start values"):
        lgks.fit(decay, data, init, starts={"a": 2.0, "k": 1.0})
    with pytest.raises(InputError, match=r"a pair .lower, upper., lower < upper, or 'positive'"):
        lgks.fit(decay, data, init, bounds={"a": [0.0, "inf"]})
    result = lgks.fit(decay, data, init, starts=np.int64(2), bounds={"a": np.array([0.0, 5.0])})
    assert len(result.starts.outcomes) == 2
