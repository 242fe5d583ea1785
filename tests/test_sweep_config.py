"""Sweeps from a TOML file, and pictures of them, through the command line."""

import copy
import json
import tomllib

import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxlgks as lgks
from jaxlgks._configs import sweep_arguments
from jaxlgks._sweeps import plot, sweep
from jaxlgks.errors import InputError, ShapeError

from .test_cli import _run
from .test_docstrings import README

QUBITS = """
[system]
model = "two_qubits"
omega = 1.0
g = 0.2
spectrum = { kind = "DrudeLorentz", strength = 0.01, cutoff = 2.0 }
[perturbation]
operator = "ZI"
[equation]
name = "Unified"
width = 0.5
solver = "Populations"
[axes.delta]
from = 0.1
to = 0.3
points = 3
unit = "meV"
[axes.mean_temperature]
values = [0.4, 0.8]
[axes.temperature_difference]
values = [0.1]
[axes.strength]
from = 0.01
to = 0.1
points = 2
scale = "log"
[output]
quantities = ["heat_currents", "entropy_production"]
observables = { z = "ZI" }
derivatives = ["delta"]
"""
BY_HAND = """
[system]
hamiltonian = [[0.0, 0.1], [0.1, 1.0]]
hamiltonian_imag = [[0.0, 0.2], [-0.2, 0.0]]
[[system.baths]]
name = "hot"
coupling = [[0.0, 1.0], [1.0, 0.0]]
spectrum = { kind = "Ohmic", strength = 0.1, cutoff = 2.0, shape = "gaussian" }
[[system.baths]]
name = "cold"
coupling = "X"
temperature = 0.3
spectrum = { kind = "Flat", gamma = 0.01 }
[axes.temperature_hot]
values = [0.5, 1.0, 2.0]
[axes.gamma_cold]
values = [0.01, 0.02]
"""


def test_a_model_from_a_file(tmp_path, capsys):
    """The command line saves what the library computes, addressed by name; then a map and lines of it."""
    file = tmp_path / "qubits.toml"
    file.write_text(QUBITS)
    assert _run("sweep", str(file), "--no-progress") == 0
    assert "3 x 2 x 1 x 2 points" in capsys.readouterr().out
    data = xarray.load_dataset(tmp_path / "qubits.nc", engine="h5netcdf")
    assert data.heat_currents.dims == ("delta", "mean_temperature", "temperature_difference", "strength", "bath")
    assert data.delta.attrs["units"] == "meV"
    system = lgks.models.two_qubits(1.0, 0.2, spectrum=lgks.DrudeLorentz(0.1, 2.0), temperatures=(0.85, 0.75))
    shifted, equation = system.perturbed(lgks.models.pauli("ZI"), 0.3), lgks.Unified(width=0.5)
    here = data.isel(delta=2, mean_temperature=1, temperature_difference=0, strength=1)
    np.testing.assert_allclose(here.heat_currents, lgks.heat_currents(shifted, equation), rtol=1e-9)
    np.testing.assert_allclose(here.entropy_production, lgks.entropy_production(shifted, equation), rtol=1e-9)
    rho = lgks.steady_state(shifted, equation).rho
    assert float(here.z) == pytest.approx(float(np.trace(lgks.models.pauli("ZI") @ rho).real), rel=1e-9)
    assert data.d_heat_currents_d_delta.dims == data.heat_currents.dims
    arguments = ["plot", str(tmp_path / "qubits.nc"), "--variable", "heat_currents", "--at", "strength=0.1"]
    assert data.bath.values.tolist() == ["a", "b"]
    assert _run(*arguments, "--at", "bath=a", "--out", str(tmp_path / "map.png")) == 0
    assert _run(*arguments, "--at", "bath=c") == 2
    assert "one of a, b" in " ".join(capsys.readouterr().err.split())
    assert _run(*arguments, "--x", "delta", "--out", str(tmp_path / "lines.png")) == 0
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("map.png", "lines.png"))
    assert _run(*arguments, "--at", "T=1") == 2
    assert "no axis 'T'" in capsys.readouterr().err


def test_a_system_from_matrices():
    resolved = sweep_arguments(tomllib.loads(BY_HAND))
    data = sweep(resolved.f, resolved.axes, **resolved.options)
    H = np.array([[0.0, 0.1 + 0.2j], [0.1 - 0.2j, 1.0]])
    X = np.array([[0.0, 1.0], [1.0, 0.0]])
    hot, cold = lgks.Bath(X, 2.0, lgks.Ohmic(0.1, 2.0, shape="gaussian")), lgks.Bath(X, 0.3, lgks.Flat(0.02))
    np.testing.assert_allclose(data.heat_currents[2, 1], lgks.heat_currents(lgks.System(H, [hot, cold])), rtol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sytem": {}}, "unknown key 'sytem'; did you mean 'system'"),
        ({"system.omgea": 1.0}, "unknown key 'system.omgea'; did you mean 'omega'"),
        ({"system.model": "two_qubit"}, "did you mean 'two_qubits'"),
        ({"system.spectrum.kind": "DrudeLorenz"}, "did you mean 'DrudeLorentz'"),
        ({"system.spectrum.cutof": 1.0}, "spectrum.cutof'; did you mean 'cutoff'"),
        ({"system.g": "__import__('os')"}, "system.g must be a number"),
        ({"axes.temperature_c": {"values": [1.0]}}, "axes.temperature_c'; did you mean 'temperature_"),
        ({"axes.delta": {"values": [1.0], "units": "K"}}, "did you mean 'unit'"),
        ({"axes.delta": {"from": 0.0, "to": 1.0}}, "axes.delta.points is missing"),
        ({"axes.delta": {"from": 0.0, "to": 1.0, "points": 2, "scale": "log"}}, "positive ends"),
        ({"equation.name": "Unifed"}, "did you mean 'Unified'"),
        ({"equation.widht": 1.0}, "did you mean 'width'"),
        ({"equation.solver": "Denes"}, "did you mean 'Dense'"),
        ({"output.quantities": ["heat_current"]}, "did you mean 'heat_currents'"),
        ({"axes.temperature_a": {"values": [0.5]}}, "set the same temperatures"),
        ({"axes.delta": {"values": [0.1], "from": 0.0}}, "keep one of the two"),
        ({"axes.delta": {"values": ["a"]}}, r"axes.delta.values\[0\] must be a number"),
        ({"axes.delta": {"from": 0.0, "to": 1.0, "points": 2.5}}, "whole number"),
        ({"system.omega": True}, "system.omega must be a number"),
        ({"output.derivatives": "delta"}, "must be a list"),
        ({"perturbation": 3}, "must be a table"),
        ({"system.spectrum": 3}, "system.spectrum must be a table"),
        ({"system.temperatures": 0.5}, "system.temperatures must be a list"),
        ({"perturbation.operator": [[1.0, 0.0], [0.0]]}, "square matrix"),
        ({"equation.width": "a"}, "equation.width must be a number"),
        ({"equation.lamb_shift": 1}, "true or false"),
        ({"axes.delta": {"values": [0.1], "unit": 3}}, "axes.delta.unit must be a word"),
        ({"output.observables": 3}, "output.observables must be a table"),
        ({"output.derivative": []}, "did you mean 'derivatives'"),
        ({"perturbation.operater": "ZZ"}, "did you mean 'operator'"),
    ],
)
def test_a_mistake_is_named_with_the_nearest_valid_key(change, message):
    config = copy.deepcopy(tomllib.loads(QUBITS))
    ((path, value),) = change.items()
    *tables, last = path.split(".")
    table = config
    for name in tables:
        table = table[name]
    table[last] = value
    with pytest.raises(InputError, match=message):
        sweep_arguments(config)


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ("omega = 1.0\n", "system.omega is missing"),
        ("[axes.temperature_difference]\nvalues = [0.1]\n", "need each other"),
        (", cutoff = 2.0", "spectrum.cutoff is missing"),
    ],
)
def test_what_is_missing_is_named(removed, message):
    assert removed in QUBITS
    text = QUBITS.replace(removed, "")
    with pytest.raises(InputError, match=message):
        sweep_arguments(tomllib.loads(text))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("temperature = 0.3\n", "", r"baths\[1\].temperature is missing"),
        ('spectrum = { kind = "Flat", gamma = 0.01 }\n', "", r"gamma_cold"),
        ("[[system.baths]]", "[system.bath]", "TOML|unknown key"),
    ],
)
def test_what_a_bath_lacks_is_named(old, new, message):
    assert old in BY_HAND
    with pytest.raises((InputError, tomllib.TOMLDecodeError), match=message if "TOML" not in message else None):
        sweep_arguments(tomllib.loads(BY_HAND.replace(old, new)))


def test_an_observable_of_another_size_is_named():
    config = tomllib.loads(QUBITS)
    config["output"]["observables"] = {"z": "Z"}
    resolved = sweep_arguments(config)
    with pytest.raises(ShapeError, match="the observable z"):
        sweep(resolved.f, resolved.axes, **resolved.options)


def test_the_example_of_the_readme(tmp_path):
    """As it stands there, with fewer points."""
    text = README.read_text().split("```toml")[1].split("```")[0]
    config = tomllib.loads(text)
    config["axes"]["delta"]["points"] = 3
    resolved = sweep_arguments(config)
    data = sweep(resolved.f, resolved.axes, **resolved.options)
    assert data.heat_currents.shape == (3, 2, 1, 2)
    figure = plot(data, "heat_currents", at={"bath": 0.0})
    assert figure.axes[0].get_xlabel() == "mean temperature (K)"


def test_a_broken_file_is_named(tmp_path, capsys):
    file = tmp_path / "broken.toml"
    file.write_text("[system\n")
    assert _run("sweep", str(file)) == 2
    assert "not valid TOML" in " ".join(capsys.readouterr().err.split())
    assert _run("sweep", str(tmp_path / "none.toml")) == 2


def test_pictures_say_what_they_cannot_show():
    data = sweep(lambda x, y, z: x * y + z, {name: np.arange(9.0) for name in "xyz"})
    with pytest.raises(InputError, match="81 lines are too many"):
        plot(data)
    with pytest.raises(InputError, match="no variable 'v'"):
        plot(data, "v")
    with pytest.raises(InputError, match="'w' is no axis"):
        plot(data, x="w")
    with pytest.raises(InputError, match="whole number"):
        plot(sweep(lambda x: x * jnp.ones(2), {"x": np.arange(3.0)}, dims={"value": ["bath"]}), at={"bath": 0.7})
    named = sweep(lambda x: x * jnp.ones(2), {"x": np.arange(3.0)}, dims={"value": {"bath": ["1", "2"]}})
    assert plot(named, at={"bath": "1"}).axes[0].get_title() == "bath = 1"  # the label before the index
    for at, said in (({"bath": "nan"}, "one of 1, 2, or"), ({"x": "abc"}, "axis of numbers"), ({"x": "nan"}, "'nan'")):
        with pytest.raises(InputError, match=said):
            plot(named, at=at)
    points = plot(sweep(lambda x, y: x * y, {("x", "y"): (np.arange(20.0), np.arange(20.0))}))
    assert points.axes[0].get_xlabel() == "point of x, y"
    figure = plot(data, at={"z": 3.2})
    assert figure.axes[0].get_title() == "z = 3"
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("y", "x")


def test_the_schema_for_editors(tmp_path, capsys):
    """JSON on the terminal or in a file: tables, their keys, and that there are no others; the files of `fit` too."""
    assert _run("schema", "sweep") == 0
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["required"]) == {"system", "axes"}
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]["DrudeLorentz"]["properties"]) == {"kind", "strength", "cutoff"}
    assert schema["$defs"]["Axis"]["properties"]["scale"]["enum"] == ["linear", "log"]
    assert _run("schema", "fit", "--out", str(tmp_path / "fit.json")) == 0
    written = json.loads((tmp_path / "fit.json").read_text())
    assert set(written["$defs"]["Parameter"]["required"]) == {"start"}
    assert _run("schema", "plot") == 2
    assert "there are schemas of sweep, fit; got 'plot'" in " ".join(capsys.readouterr().err.split())


def test_all_mistakes_are_named_at_once():
    config = tomllib.loads(QUBITS)
    config["system"]["omgea"], config["axes"]["delta"]["points"] = 1.0, 0
    with pytest.raises(
        InputError, match=r"'system.omgea'; did you mean 'omega'.*points must be a whole number of at least 1"
    ):
        sweep_arguments(config)
