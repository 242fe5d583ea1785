"""What depends on what, and what a plan of measurement can tell: closed forms and finite differences."""

import itertools
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import DataError, IdentifiabilityError, InputError

from .fits import decay


def test_a_table_with_units():
    """Derivatives of a·b², and in an array; elasticities are the exponents."""
    units = {"P": "W", "a": "K", "h": "T"}
    f = lambda p: {"P": p["a"] * p["b"] ** 2, "v": jnp.stack([p["h"][0], 3 * p["h"][1]])}  # noqa: E731
    table = lgks.sensitivity(f, {"a": 2.0, "b": 3.0, "h": np.array([1.0, 5.0])}, units=units)
    assert list(table.observable.values) == ["P", "v[0]", "v[1]"]
    assert list(table.parameter.values) == ["a", "b", "h[0]", "h[1]"]
    np.testing.assert_allclose(table.derivative, [[9, 12, 0, 0], [0, 0, 1, 0], [0, 0, 0, 3]], rtol=1e-14)
    assert table.elasticity.sel(observable="P").values == pytest.approx([1, 2, 0, 0])
    assert table.units.sel(observable="P", parameter="a") == "W / K"
    assert table.units.sel(observable="v[1]", parameter="b") == "1"
    assert table.units.sel(parameter="h[1]").values.tolist() == ["W / T", "1 / T", "1 / T"]
    frame = table.to_dataframe()
    assert frame.loc[("P", "b"), "derivative"] == pytest.approx(12)


def test_a_table_of_a_steady_state():
    """All parameters of a system, those of its density included, against differences (1e−7: see test_fit_physics)."""

    def f(p):
        bath = lgks.DrudeLorentz(p["bath"]["strength"], p["bath"]["cutoff"])
        qubits = lgks.models.two_qubits(p["omega"], 0.2, spectrum=bath, temperatures=(p["hot"], 0.4))
        return lgks.heat_currents(qubits, solver=lgks.Populations())

    at = {"bath": {"strength": 0.01, "cutoff": 2.0}, "omega": 1.0, "hot": 0.9}
    table = lgks.sensitivity(f, at)
    assert list(table.observable.values) == ["value[0]", "value[1]"]
    h = 1e-4

    def shifted(sign):
        return f({**at, "bath": {"strength": 0.01, "cutoff": 2.0 + sign * h}})

    quotient = (shifted(1) - shifted(-1)) / (2 * h)
    np.testing.assert_allclose(table.derivative.sel(parameter="bath.cutoff"), quotient, rtol=1e-6)
    # A current is proportional to the strength.
    np.testing.assert_allclose(table.elasticity.sel(parameter="bath.strength"), 1.0, rtol=1e-10)


def test_fisher_information_is_that_of_the_textbook():
    """F = Σ ∂f ∂fᵀ/σ², and a fit of such data has this covariance."""
    t = np.array([0.0, 1.0, 2.0, 4.0])
    sigma = np.array([0.01, 0.02, 0.01, 0.03])
    p = {"a": 2.0, "k": 0.7}
    information = lgks.fisher_information(decay, p, {"t": t}, sigma)
    J = np.stack([np.exp(-0.7 * t), -2 * t * np.exp(-0.7 * t)], 1) / sigma[:, None]
    np.testing.assert_allclose(information.matrix, J.T @ J, rtol=1e-12)
    np.testing.assert_allclose(information.covariance, np.linalg.inv(J.T @ J), rtol=1e-10)
    assert information.log_determinant == pytest.approx(np.linalg.slogdet(J.T @ J)[1], rel=1e-12)
    as_function = lgks.fisher_information(decay, p, {"t": t}, lambda x, y: 0.02 + 0 * x["t"] * y)
    np.testing.assert_allclose(as_function.matrix, (J * sigma[:, None]).T @ (J * sigma[:, None]) / 0.02**2, rtol=1e-12)
    result = lgks.fit(decay, lgks.Data({"t": t}, {"value": 2 * np.exp(-0.7 * t)}, sigma), {"a": 1.0, "k": 1.0})
    np.testing.assert_allclose(result.covariance, information.covariance, rtol=1e-6)
    assert "All parameters are determined." in information.summary()


def test_what_a_plan_leaves_open_is_named():
    f = lambda p, x: p["a"] * p["b"] * jnp.exp(-p["k"] * x["t"])  # noqa: E731
    information = lgks.fisher_information(
        f, {"a": 2.0, "b": 1.0, "k": 0.5}, {"t": [0.0, 1.0, 2.0]}, 0.01, units={"k": "Hz"}
    )
    assert information.rank == 2
    assert information.log_determinant == -np.inf
    assert np.isfinite(information.sigmas).tolist() == [False, False, True]
    assert set(information.undetermined[0].components) == {"a", "b"}
    assert "! Only a combination of" in str(information)
    assert "Hz" in str(information)


def test_the_best_two_times_of_a_decay():
    """D-optimal for a e^{−kt}: t = 0 and 1/k (Box and Lucas 1959), to 1e−6; the first lies at its limit."""
    plan = lgks.optimal_plan(decay, {"a": 3.0, "k": 0.5}, {"t": [0.7, 1.0]}, 0.01, limits={"t": (0.0, 10.0)})
    assert sorted(plan.coordinates["t"]) == pytest.approx([0.0, 2.0], abs=1e-6)
    first = lgks.fisher_information(decay, {"a": 3.0, "k": 0.5}, {"t": [0.7, 1.0]}, 0.01)
    assert plan.gain == pytest.approx(plan.information.log_determinant - first.log_determinant)


def test_a_plan_obeys_the_equivalence_theorem():
    """Kiefer and Wolfowitz 1960: at a D-optimal plan the variance of the prediction over the limits is largest at its
    points and equals p/n there (n measurements with σ = 1 each counted): Michaelis–Menten, a relative error."""
    rate = lambda p, x: p["v"] * x["s"] / (p["m"] + x["s"])  # noqa: E731
    p = {"v": 1.5, "m": 0.8}
    plan = lgks.optimal_plan(rate, p, {"s": [0.5, 2.0]}, 1.0, limits={"s": (0.01, 5.0)}, repeats=50)
    s = np.linspace(0.01, 5.0, 2001)
    J = np.stack([-p["v"] * s / (p["m"] + s) ** 2, s / (p["m"] + s)], 1)  # order m, v
    variance = 100 * np.einsum("ni,ij,nj->n", J, plan.information.covariance, J)
    assert variance.max() == pytest.approx(2.0, abs=1e-5)
    assert min(abs(s[variance.argmax()] - plan.coordinates["s"])) < 0.0026  # half a step of the grid


def test_the_next_measurement_where_something_is_known():
    """With a known to 1e−4, one more point is best where ∂f/∂k is largest: t = 1/k."""
    known = lgks.fisher_information(decay, {"a": 1.0, "k": 0.5}, {"t": [0.0]}, 1e-4)
    assert known.rank == 1
    plan = lgks.optimal_plan(decay, {"a": 1.0, "k": 0.5}, {"t": [0.5]}, 0.01, limits={"t": (0.0, 10.0)}, known=known)
    assert plan.coordinates["t"] == pytest.approx([2.0], abs=1e-5)


def test_information_about_other_parameters_is_refused():
    slow = lambda p, x: p["a"] * jnp.exp(-x["t"] / p["tau"])  # noqa: E731
    other = lgks.fisher_information(slow, {"a": 1.0, "tau": 2.0}, {"t": [1.0, 2.0]}, 1e-6)
    p = {"a": 1.0, "k": 0.5}
    with pytest.raises(InputError, match=r"same parameters; got \['a', 'k'\] and \['a', 'tau'\]"):
        lgks.optimal_plan(decay, p, {"t": [0.5, 1.0]}, 0.01, limits={"t": (0.0, 10.0)}, known=other)


def test_a_criterion_with_many_maxima():
    """Three times of a damped cosine: no worse than the best of all triples of a grid; every start is reported, and
    a plan that one start alone found is not taken for certain."""
    f = lambda p, x: p["a"] * jnp.cos(p["w"] * x["t"]) * jnp.exp(-p["k"] * x["t"])  # noqa: E731
    p = {"a": 1.0, "w": 2.0, "k": 0.1}
    t = np.linspace(0, 20, 161)
    c, s, e = np.cos(2 * t), np.sin(2 * t), np.exp(-0.1 * t)
    rows = np.stack([c * e, -t * c * e, -t * s * e], 1) / 0.01
    triples = np.array(list(itertools.combinations(range(161), 3)))
    grid = 2 * np.log(np.abs(np.linalg.det(rows[triples])).max())
    first, limits = {"t": [1.0, 2.0, 3.0]}, {"t": (0.0, 20.0)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgks.FitWarning)
        plan = lgks.optimal_plan(f, p, first, 0.01, limits=limits)
        few = lgks.optimal_plan(f, p, first, 0.01, limits=limits, starts=2)
    assert plan.information.log_determinant > grid
    assert len(plan.outcomes) == len(plan.starts) == 32
    assert plan.starts.max() == pytest.approx(plan.information.log_determinant, abs=1e-6)
    assert any("a poorer plan" in outcomes for outcomes in plan.outcomes)
    assert "take more starts" in few.notes[0]


def test_bad_input():
    with pytest.raises(IdentifiabilityError, match="no plan of 1 settings fixes all"):
        lgks.optimal_plan(decay, {"a": 1.0, "k": 0.5}, {"t": [1.0]}, 0.01, limits={"t": (0.0, 10.0)})
    with pytest.raises(InputError, match="needs two limits"):
        lgks.optimal_plan(decay, {"a": 1.0, "k": 0.5}, {"t": [1.0, 2.0]}, 0.01, limits={"t": (0.0, None)})
    with pytest.raises(InputError, match="repeats must be a whole number between 1"):
        lgks.optimal_plan(decay, {"a": 1.0, "k": 0.5}, {"t": [1.0]}, 0.01, limits={"t": (0.0, 10.0)}, repeats=0)
    with pytest.raises(DataError, match=r"neither a parameter, one of .*, nor a coordinate"):
        lgks.fisher_information(decay, {"a": 1.0, "k": 0.5}, {"time": [1.0]}, 0.01)
    with pytest.raises(DataError, match="must be positive"):
        lgks.fisher_information(decay, {"a": 1.0, "k": 0.5}, {"t": [1.0]}, 0.0)
    with pytest.raises(DataError, match="not finite"):
        lgks.fisher_information(lambda p, x: jnp.log(-p["a"]) * x["t"], {"a": 1.0}, {"t": [1.0]}, 0.1)
    with pytest.raises(InputError, match="real numbers"):
        lgks.sensitivity(lambda p: p["a"] * 1j, {"a": 1.0})
    with pytest.raises(InputError, match="real and imaginary"):
        lgks.sensitivity(lambda p: p["a"], {"a": 1j})
