"""Sweeps over grids: against one point after the other; sharing, blocks, devices, failures, files."""

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxlgks as lgks
from jaxlgks._sweeps._grid import Layout, layout
from jaxlgks.errors import InputError, SweepError, SweepWarning

DENSITY = lgks.DrudeLorentz(0.01, 2.0)
HOT, COLD, DELTA = np.linspace(0.6, 1.2, 7), np.linspace(0.2, 0.5, 5), np.linspace(-0.1, 0.1, 3)


def system(delta, hot, cold):
    qubits = lgks.models.two_qubits(1.0, 0.2, spectrum=DENSITY, temperatures=(hot, cold))
    return qubits.perturbed(lgks.models.pauli("ZI"), delta)


def currents(delta, hot, cold):
    return {"J": lgks.heat_currents(system(delta, hot, cold), solver=lgks.Populations()), "sum": hot + delta}


GRID = {"delta": DELTA, "hot": HOT, "cold": COLD}


def test_labels_of_an_axis():
    """Given beside its name; as many as it has entries, and the same wherever it appears."""
    both = lambda x: {"J": x * jnp.ones(2), "K": x + jnp.arange(2.0)}  # noqa: E731
    labels = {"bath": ["hot", "cold"]}
    data = lgks.sweep(both, {"x": [1.0, 2.0]}, derivatives=["x"], dims={"J": labels, "K": labels})
    assert data.d_K_d_x.sel(bath="cold").values.tolist() == [1.0, 1.0]
    assert data.K.sel(bath="cold").values.tolist() == [2.0, 3.0]
    for wrong in ({"J": {"bath": ["hot"]}}, {"J": labels, "K": {"bath": ["cold", "hot"]}}):
        with pytest.raises(InputError, match="'bath' has 2 entries"):
            lgks.sweep(both, {"x": [1.0]}, dims=wrong)


def test_equals_one_point_after_the_other():
    """Each entry where its coordinates say, units and names kept, whatever the blocks are: 1e−12."""
    data = lgks.sweep(currents, GRID, units={"hot": "meV", "J": "meV²"}, dims={"J": ["bath"]}, chunk=8)
    assert data.J.dims == ("delta", "hot", "cold", "bath")
    assert (data.hot.attrs["units"], data.J.attrs["units"]) == ("meV", "meV²")
    for d, h, c in [(0, 0, 0), (2, 6, 4), (1, 3, 2), (2, 0, 4)]:
        expected = currents(DELTA[d], HOT[h], COLD[c])
        np.testing.assert_allclose(data.J[d, h, c], expected["J"], rtol=1e-12)
        assert float(data["sum"][d, h, c]) == HOT[h] + DELTA[d]
    whole = lgks.sweep(currents, GRID, dims={"J": ["bath"]})
    np.testing.assert_allclose(whole.J, data.J, rtol=1e-12)
    assert (data.attrs["block"], whole.attrs["block"]) == ("1 x 1 x 5", "3 x 7 x 5")
    assert data.attrs["n_failed"] == 0
    assert "failed" not in data


def test_a_list_of_points_and_a_single_array():
    data = lgks.sweep(lambda hot, cold: hot - 2 * cold, {("hot", "cold"): (HOT[:5], COLD)})
    assert data.value.dims == ("hot_cold",)
    np.testing.assert_allclose(data.value, HOT[:5] - 2 * COLD, rtol=1e-15)
    np.testing.assert_array_equal(data.cold, COLD)


def test_derivatives():
    """Of arrays of any shape, in several names at once; values on request."""
    data = lgks.sweep(currents, GRID, derivatives=["hot", "delta"], dims={"J": ["bath"]})
    assert data.d_J_d_hot.dims == data.J.dims
    for name, argument in (("hot", 1), ("delta", 0)):
        expected = jax.jacfwd(lambda *x: currents(*x)["J"], argument)(DELTA[2], HOT[3], COLD[1])
        np.testing.assert_allclose(data[f"d_J_d_{name}"][2, 3, 1], expected, rtol=1e-11)
    assert float(data.d_sum_d_hot[0, 0, 0]) == 1.0
    alone = lgks.sweep(currents, GRID, derivatives=["hot"], values=False, verdicts=0)
    assert set(alone.data_vars) == {"d_J_d_hot", "d_sum_d_hot"}


def test_what_an_inner_axis_does_not_change_is_computed_once():
    """The eigendecompositions of a δ × hot × cold grid: one for each δ."""
    from jaxlgks._sweeps import _program
    from jaxlgks._sweeps._grid import dimensions

    grid, at = dimensions(GRID), _program.evaluate(currents)
    for one in reversed(grid):
        at = jax.vmap(at, ({n: 0 if n in one.values else None for g in grid for n in g.values},))
    text = str(jax.make_jaxpr(at)({name: jnp.asarray(x) for g in grid for name, x in g.values.items()}))
    shapes = [line.split("=")[0] for line in text.splitlines() if "= eigh[" in line]
    assert shapes
    assert all("[3,4,4]" in shape for shape in shapes)


def test_one_program_a_sweep():
    traced = []

    def f(x, y):
        traced.append(1)
        return x * y

    data = lgks.sweep(f, {"x": np.arange(5.0), "y": np.arange(1.0, 8.0)}, chunk=3, verdicts=0)
    assert len(traced) == 1
    np.testing.assert_array_equal(data.value, np.outer(np.arange(5.0), np.arange(1.0, 8.0)))


@pytest.mark.parametrize(
    ("sizes", "points", "tile", "lanes", "expected"),
    [
        ((3, 7, 5), 1000, 1000, 1, Layout((3, 7, 5), (1, 1, 1))),
        ((3, 7, 5), 10, 10, 1, Layout((1, 2, 5), (1, 1, 1))),
        ((3, 7, 5), 40, 10, 1, Layout((1, 8, 5), (1, 4, 1))),  # four tiles of two rows, one row too many
        ((3, 7, 5), 40, 3, 1, Layout((1, 4, 6), (1, 4, 2))),  # a row in two tiles, four rows
        ((2000, 5000), 65536, 4096, 1, Layout((13, 5000), (13, 2))),  # as long rows as short ones: 61,000 and
        ((2500, 4000), 65536, 4096, 1, Layout((16, 4000), (16, 1))),  # 64,000 points
        ((2, 10**7), 65536, 4096, 1, Layout((1, 65536), (1, 16))),
        ((10, 4097, 2), 65536, 4096, 1, Layout((5, 4098, 2), (5, 3, 1))),
        ((100,), 33, 33, 1, Layout((25,), (1,))),
        ((100,), 50, 10, 1, Layout((50,), (5,))),
        ((3, 7), 28, 14, 2, Layout((4, 7), (1, 1))),  # two rows each
        ((8, 7), 28, 7, 2, Layout((4, 7), (2, 1))),  # two rows each, one after the other
        ((8, 7), 28, 28, 2, Layout((4, 7), (1, 1))),  # both together no more than asked for
        ((9, 1), 1, 1, 1, Layout((1, 1), (1, 1))),
    ],
)
def test_blocks_fill_inner_dimensions_first(sizes, points, tile, lanes, expected):
    assert layout(sizes, points, tile, lanes) == expected


def test_long_rows_make_blocks_as_large_as_short_ones():
    """Rows longer than a tile used to be blocks of their own, whatever `chunk` was: 40 calls here, now 4."""
    axes = {"x": np.arange(40.0), "y": np.arange(5000.0)}
    for chunk, block in ((None, "10 x 5000"), (20_000, "4 x 5000"), (3000, "1 x 2500")):
        data = lgks.sweep(lambda x, y: x - 2 * y, axes, chunk=chunk)
        assert data.attrs["block"] == block
        np.testing.assert_array_equal(data.value, axes["x"][:, None] - 2 * axes["y"])


def test_tiles_are_put_together(monkeypatch):
    """Tiles along one, two and three dimensions, results with axes of their own, derivatives: as without tiles."""
    f = lambda x, y, z: {"a": x + 10 * y + 100 * z, "b": x * y**2 * jnp.array([z, 1.0, 2.0])}  # noqa: E731
    axes = {"x": np.arange(3.0), "y": np.arange(11.0), "z": np.arange(5.0)}
    whole = lgks.sweep(f, axes, derivatives=["y"])
    for tile in (2, 7, 10, 60):
        monkeypatch.setattr("jaxlgks._sweeps._program.TILE", tile)
        xarray.testing.assert_equal(lgks.sweep(f, axes, derivatives=["y"], chunk=61).drop_attrs(), whole.drop_attrs())


def test_less_memory_smaller_blocks():
    f = lambda x, y: (x + jnp.zeros(1000)) * y  # noqa: E731
    axes = {"x": np.arange(64.0), "y": np.arange(64.0)}
    small, large = (lgks.sweep(f, axes, memory=m) for m in (1e6, 1e9))
    assert large.attrs["block"] == "64 x 64"
    rows, columns = map(int, small.attrs["block"].split(" x "))
    assert rows * columns * 8000 <= 1e6
    np.testing.assert_array_equal(small.value, large.value)


def level(T, e):
    """Non-unique where e = 0: the second level is coupled to nothing."""
    S = jnp.array([[0.0, e], [e, 0.0]])
    one = lgks.System(np.diag([0.0, 1.0]), lgks.Bath(S, T, DENSITY))
    return lgks.steady_state(one, solver=lgks.Dense()).rho[0, 0].real


def test_failed_points_are_recorded_with_their_reason():
    """A temperature that is none, a state that is not unique; the rest goes on."""
    axes = {"T": np.array([0.5, -1.0]), "e": np.array([0.0, 1.0, 2.0])}
    with pytest.warns(SweepWarning, match="4 of 6 points failed"):
        data = lgks.sweep(level, axes)
    assert data.failed.values.tolist() == [[True, False, False], [True, True, True]]
    assert str(data.reason[0, 0].values).startswith("NonUniqueSteadyStateError")
    assert str(data.reason[1, 1].values).startswith("TemperatureError")
    assert str(data.reason[0, 1].values) == ""
    assert np.isnan(data.value.values).tolist() == data.failed.values.tolist()
    assert float(data.value[0, 1]) == pytest.approx(1 / (1 + np.exp(-2.0)), rel=1e-12)
    with pytest.raises(SweepError, match=r"'T': 0.5, 'e': 0.0.*NonUnique"):
        lgks.sweep(level, axes, on_error="raise")


def test_an_error_inside_a_program_costs_its_own_points_only():
    """XLA stops a whole block where one point raises at run time."""
    f = lambda x: eqx.error_if(jnp.sqrt(x), x == 3.0, "no three")  # noqa: E731
    with pytest.warns(SweepWarning, match="1 of 6"):
        data = lgks.sweep(f, {"x": np.arange(6.0)})
    assert data.failed.values.tolist() == [False, False, False, True, False, False]
    np.testing.assert_array_equal(data.value[[0, 1, 2, 4, 5]], np.sqrt([0.0, 1.0, 2.0, 4.0, 5.0]))
    assert "no three" in str(data.reason[3].values)


def test_saved_and_loaded_again(tmp_path):
    with pytest.warns(SweepWarning):
        data = lgks.sweep(level, {"T": [0.5, 0.8], "e": [0.0, 1.0]}, units={"T": "meV"})
    data.to_netcdf(tmp_path / "sweep.nc", engine="h5netcdf")
    again = xarray.load_dataset(tmp_path / "sweep.nc", engine="h5netcdf")
    xarray.testing.assert_identical(again.value, data.value)
    assert again.attrs["function"] == "level"
    assert again.attrs["n_failed"] == 2
    assert again.reason.values.tolist() == data.reason.values.tolist()


def test_a_bar_moves(capsys):
    lgks.sweep(lambda x: x, {"x": np.arange(4.0)}, progress=True)
    shown = capsys.readouterr().out
    assert "4/4" in shown
    assert "/s" in shown


@pytest.mark.parametrize(
    ("axes", "options", "message"),
    [
        ({"detla": [1.0], "hot": [1.0], "cold": [1.0]}, {}, "did you mean 'delta'"),
        ({"hot": [1.0]}, {}, r"no axis for the parameter\(s\) \['delta', 'cold'\]"),
        ({"delta": [], "hot": [1.0], "cold": [1.0]}, {}, "'delta' must hold real numbers"),
        ({"delta": [np.nan], "hot": [1.0], "cold": [1.0]}, {}, "entry 0"),
        ({"delta": [1j], "hot": [1.0], "cold": [1.0]}, {}, "complex"),
        ({("hot", "cold"): ([1.0], [1.0, 2.0]), "delta": [0.0]}, {}, "equally long"),
        ({("hot", "cold"): ([1.0],), "delta": [0.0]}, {}, "needs 2 arrays"),
        ({("hot", "hot"): ([1.0], [1.0]), "delta": [0.0]}, {}, "more than one axis"),
        ({}, {}, "at least"),
        (GRID, {"derivatives": ["T"]}, "no axes"),
        (GRID, {"values": False}, "nothing to compute"),
        (GRID, {"chunk": 0}, "chunk must be a whole number between 1"),
        (GRID, {"dims": {"J": ["a", "b"]}}, "which has 1"),
        (GRID, {"dims": {"K": ["a"]}}, "not among"),
    ],
)
def test_bad_input_is_named(axes, options, message):
    with pytest.raises(InputError, match=message):
        lgks.sweep(currents, axes, **options)


@pytest.mark.parametrize(
    ("f", "options", "message"),
    [
        (lambda x: {"x": x}, {}, "returns \\['x'\\]"),
        (lambda x: {"failed": x}, {}, "returns \\['failed'\\]"),
        (lambda x: {"a": x * jnp.ones(2), "b": x * jnp.ones(3)}, {"dims": {"a": ["k"], "b": ["k"]}}, "'k' of 'b'"),
        (lambda x: x, {"derivatives": "x"}, "derivatives must be a sequence"),
    ],
)
def test_names_that_collide_are_named(f, options, message):
    with pytest.raises(InputError, match=message):
        lgks.sweep(f, {"x": np.arange(3.0)}, **options)


def test_where_every_point_stops_the_reason_is_raised():
    f = lambda x: eqx.error_if(x, x < 10, "too small")  # noqa: E731
    with pytest.warns(SweepWarning), pytest.raises(SweepError, match=r"every point failed.*too small"):
        lgks.sweep(f, {"x": np.arange(3.0)}, dims={"value": []})


def test_derivatives_of_a_name_with_d_in_it():
    data = lgks.sweep(lambda x: {"a_d_b": x * jnp.ones(2)}, {"x": [1.0]}, derivatives=["x"], dims={"a_d_b": ["k"]})
    assert data.d_a_d_b_d_x.dims == ("x", "k")


def test_a_function_that_returns_nothing_is_named():
    with pytest.raises(InputError, match="must return arrays"):
        lgks.sweep(lambda x: None, {"x": [1.0]})


TWO_DEVICES = """
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
import jaxlgks as lgks
assert jax.local_device_count() == 2
grid = {"x": np.linspace(0.5, 1.0, 5), "y": np.linspace(0.1, 0.4, 3)}
def f(x, y):
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(x, y))
    return lgks.heat_currents(system, solver=lgks.Populations())
data = lgks.sweep(f, grid)
print(data.attrs["device"], data.attrs["block"])
print(float(data.value[4, 2, 0]), float(f(grid["x"][4], grid["y"][2])[0]))
"""


def test_all_devices_share_the_work():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    run = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], env={**os.environ, "XLA_FLAGS": flags}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.splitlines()
    assert first.startswith("2 x cpu")
    assert first.endswith("6 x 3")  # five rows, padded to three for each device
    found, expected = map(float, second.split())
    assert found == pytest.approx(expected, rel=1e-12)
