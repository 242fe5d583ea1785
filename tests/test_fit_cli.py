"""`jaxlgks fit DATA.csv CONFIG.toml`: files in, summary, picture and netCDF out; mistakes named."""

import copy
import tomllib

import numpy as np
import pytest
import xarray

import jaxlgks as lgks
from jaxlgks._configs import fit_arguments, read_fit
from jaxlgks.errors import DataError, InputError

from .test_cli import _run
from .test_fit_physics import closed_form

CONFIG = """
[system]
model = "two_qubits"
omega = 1.0
spectrum = [{ kind = "Flat", gamma = 0.01 }, { kind = "Flat" }]
[equation]
solver = "Populations"
[coordinates]
hot = "temperature_a"
cold = "temperature_b"
[observables.J]
quantity = "heat_currents"
bath = "a"
error = "dJ"
unit = "W"
[parameters.g]
start = 0.25
bounds = [0.0, 0.6]
unit = "K"
[parameters.gamma_b]
start = 0.01
bounds = "positive"
[parameters.temperature_offset]
start = 0.0
bounds = [-0.05, 0.5]
[fit]
starts = 2
missing = "skip"
"""
TRUTH = {"omega": 1.0, "g": 0.3, "gamma_a": 0.01, "gamma_b": 0.02, "offset": 0.05}


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    x = {"hot": rng.uniform(0.3, 2.0, 60), "cold": rng.uniform(0.08, 0.2, 60)}
    J = closed_form(TRUTH, x)
    return {**x, "J": J * (1 + 0.01 * rng.normal(size=60)), "dJ": 0.01 * J}


def write(path, table) -> None:
    rows = np.stack(list(table.values()), 1)
    lines = ["# currents", ", ".join(table)]
    lines += [", ".join("" if np.isnan(x) else repr(float(x)) for x in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def test_a_fit_from_the_shell(tmp_path, capsys):
    """The truth of a closed form within four standard deviations, by files alone; a missing cell is skipped and
    counted."""
    table = columns()
    table["J"][5] = np.nan
    write(tmp_path / "data.csv", table)
    (tmp_path / "fit.toml").write_text(CONFIG)
    code = _run("fit", str(tmp_path / "data.csv"), str(tmp_path / "fit.toml"), "--no-progress")
    outcomes = capsys.readouterr().out
    assert code == 0, outcomes
    assert "59 measured numbers (1 skipped: J at point(s) 5)" in outcomes
    assert "2 start(s) by levenberg-marquardt" in outcomes
    result = xarray.load_dataset(tmp_path / "data.fit.nc", engine="h5netcdf")
    assert result.estimate.attrs["units"] == ["K", "", ""]
    for name, truth in (("g", 0.3), ("gamma_b", 0.02), ("temperature_offset", 0.05)):
        one = result.sel(parameter=name)
        assert abs(one.estimate - truth) < 4 * one.sigma, name
    assert (tmp_path / "data.fit.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_from_the_shell(tmp_path, capsys):
    write(tmp_path / "data.csv", columns())
    (tmp_path / "fit.toml").write_text(CONFIG.replace("[parameters.g]", "[parameters.gg]"))
    assert _run("fit", str(tmp_path / "data.csv"), str(tmp_path / "fit.toml")) == 2
    assert "did you mean 'g'" in " ".join(capsys.readouterr().err.split())
    assert _run("fit", str(tmp_path / "none.csv"), str(tmp_path / "fit.toml")) == 2
    (tmp_path / "fit.toml").write_text("not TOML")
    assert _run("fit", str(tmp_path / "data.csv"), str(tmp_path / "fit.toml")) == 2
    assert "not valid TOML" in " ".join(capsys.readouterr().err.split())


def test_a_fixed_temperature_and_an_operator():
    """An offset moves temperatures that no column sets as well; a population is measured; errors are relative."""
    config = tomllib.loads(CONFIG)
    config["system"]["temperatures"] = [0.5, 0.2]
    config["system"]["spectrum"][1]["gamma"] = 0.02
    config["coordinates"] = {"hot": "temperature_a"}
    config["observables"] = {"z": {"operator": "ZI", "relative_error": 0.01}}
    config["parameters"] = {"temperature_offset": {"start": 0.01}}
    arguments = fit_arguments(
        {"hot": np.array([0.4, 0.6]), "z": np.array([-0.5, -0.4])}, config | {"system": config["system"] | {"g": 0.3}}
    )
    value = arguments.predict({"temperature_offset": 0.03}, {"hot": 0.4})["z"]
    spectra = (lgks.Flat(0.01), lgks.Flat(0.02))
    qubits = lgks.models.two_qubits(1.0, 0.3, spectrum=spectra, temperatures=(0.43, 0.23))
    rho = lgks.steady_state(qubits).rho
    assert float(value) == pytest.approx(float(np.trace(lgks.models.pauli("ZI") @ rho).real), rel=1e-9)
    np.testing.assert_allclose(arguments.data.relative["z"], 0.01)


def changed(path: str, value=None) -> dict:
    config = copy.deepcopy(tomllib.loads(CONFIG))
    *keys, last = path.split(".")
    table = config
    for key in keys:
        table = table[key]
    if value is None:
        del table[last]
    else:
        table[last] = value
    return config


MISTAKES = {
    "unknown key 'extra'": ("extra", {}),
    r"\[parameters\] is missing": ("parameters", None),
    "must be a table": ("coordinates", 3),
    "unknown key 'coordinates.temperature_c'; did you mean": ("coordinates.hot", "temperature_c"),
    "g: set by more than one column or parameter": ("coordinates.cold", "g"),
    "no column 'warm'": ("coordinates.warm", "omega"),
    "either a quantity or an operator": ("observables.J.operator", "ZI"),
    "observables.J.quantity: 'heat' is not known": ("observables.J.quantity", "heat"),
    "no bath 'c'": ("observables.J.bath", "c"),
    "no column 'sigma'": ("observables.J.error", "sigma"),
    "relative_error must be a number": ("observables.J.relative_error", "1 %"),
    "temperature_a: set by more than one column": ("coordinates.J", "temperature_a"),
    "temperature_offset needs every temperature.*temperature_b": ("coordinates.cold", None),
    "observables.J.error must be a number": ("observables.J.error", True),
    "unknown key 'observables.J.units'; did you mean 'unit'": ("observables.J.units", "W"),
    "parameters.g.start must be a number": ("parameters.g.start", "small"),
    "unknown key 'parameters.g.bound'; did you mean 'bounds'": ("parameters.g.bound", [0, 1]),
    "fit.starts must be a whole number": ("fit.starts", 2.5),
    "unknown key 'fit.start'; did you mean": ("fit.start", 2),
    r"system.spectrum\[1\].kind: 'Flatt' is not known; did you mean 'Flat'": (
        "system.spectrum",
        [{"kind": "Flat", "gamma": 1.0}, {"kind": "Flatt"}],
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_in_a_config_are_named(message):
    with pytest.raises(InputError, match=message):
        fit_arguments(columns(), changed(*MISTAKES[message]))


def test_files_that_cannot_be_written_are_named_first(tmp_path, capsys):
    write(tmp_path / "data.csv", columns())
    (tmp_path / "fit.toml").write_text(CONFIG)
    for out, message in (("res.png", "is a netCDF file"), ("nodir/x.nc", "there is no folder")):
        options = (str(tmp_path / "data.csv"), str(tmp_path / "fit.toml"), "--out", str(tmp_path / out))
        assert _run("fit", *options) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "res.png").exists()


def test_bounds_that_are_no_numbers():
    arguments = fit_arguments(columns(), changed("parameters.g.bounds", [0.0, "inf"]))
    with pytest.raises(InputError, match="the bounds of 'g' are a pair"):
        lgks.fit(arguments.predict, arguments.data, arguments.init, **arguments.options)


def test_mistakes_in_a_table_are_named(tmp_path):
    with pytest.raises(DataError, match="the column 'cold' holds no number"):
        fit_arguments({**columns(), "cold": np.full(60, np.nan)}, tomllib.loads(CONFIG))
    path, config = tmp_path / "data.csv", tmp_path / "fit.toml"
    config.write_text(CONFIG)
    for text, message in {
        "a,b\n": "lines of numbers are needed",
        "a,a\n1,2\n": "each its own",
        "a,b\n1,2,3\n": "lines of numbers in UTF-8 are needed: .* line 2",
        "# x\na,b\n1,2\n3,four\n": "'four' in column 'b' is no number",
    }.items():
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_fit(path, config)
    path.write_bytes("T in °C,b\n1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read_fit(path, config)
    path.write_text("\ufeffhot, cold, J, dJ\n1, 0.1, NA, 0.1\n1, 0.1, 0.001, 0.1\n")
    read = read_fit(path, config).data
    np.testing.assert_array_equal(read.coordinates["hot"], 1.0)
    np.testing.assert_array_equal(read.observables["J"], [np.nan, 0.001])
