"""The best device: known optima, constraints, bounds, and a rectifier."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

import jaxlgks as lgks
from jaxlgks.errors import FitError, InputError

X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")


def one_qubit(p):
    baths = [lgks.Bath(X, T, lgks.Flat(gamma)) for T, gamma in ((2.0, 0.01), (1.0, 0.03))]
    return lgks.heat_currents(lgks.System(p["omega"] / 2 * Z, baths), solver=lgks.Populations())[0]


def test_the_splitting_that_carries_most_heat():
    """One qubit between two `Flat` baths: J(ω) = ω γ_aγ_b (n_a − n_b)/Σ_α γ_α(2n_α + 1); dJ/dω = 0 with 50 digits.
    To 1e−6, from both sides."""

    def J(w):
        a, b = (1 / mpmath.expm1(w / T) for T in (2, 1))
        rates = (mpmath.mpf(1) / 100, mpmath.mpf(3) / 100)
        return w * rates[0] * rates[1] * (a - b) / (rates[0] * (2 * a + 1) + rates[1] * (2 * b + 1))

    exact = mpmath.findroot(lambda w: mpmath.diff(J, w), 2.8)
    result = lgks.maximise(one_qubit, {"omega": 0.5}, bounds={"omega": "positive"}, starts=[{"omega": 9.0}])
    assert result.values["omega"] == pytest.approx(float(exact), rel=1e-6)
    assert result.figure == pytest.approx(float(J(exact)), rel=1e-10)
    assert result.starts == pytest.approx([result.figure] * 2, rel=1e-6)
    assert not result.notes
    assert not result.active


def maser(p):
    """Power and efficiency of a maser with ω_h = 5, γ = 1e−5, T = (4, 0.5)."""
    equation = lgks.Unified(width=200.0)
    arguments = lgks.models.three_level_maser(5.0, p["omega_cold"], p["drive"], 1e-5, (4.0, 0.5))
    rho = lgks.steady_state(arguments.system, equation, lgks.Dense()).rho
    power = arguments.power(rho, equation)
    return power, power / lgks.heat_currents(arguments.system, equation, rho=rho)[0]


def power(p):
    return maser(p)[0]


def efficiency(p):
    return maser(p)[1]


@pytest.mark.slow
def test_the_efficiency_of_a_maser_at_fixed_power():
    """Drive and cold frequency that waste least at a given power. As the power vanishes the efficiency approaches
    1 − ω_c/ω_h, the work of a quantum over its heat, and that approaches Carnot's 1 − T_c/T_h. At the larger power the
    optimum is that of a search which solves the constraint for ω_c at each drive; the multiplier is the
    slope of efficiency against power, here by a difference over 2 % (second order in it: 1e−3)."""
    bounds = {"drive": (1e-8, 0.1), "omega_cold": (0.3, 3.0)}
    at, start = {}, {"drive": 1e-4, "omega_cold": 1.0}
    for level in (0.99e-6, 1e-6, 1.01e-6, 1e-8):
        best = lgks.maximise(efficiency, start, bounds=bounds, constraints={"power": (power, level)})
        assert best.constraints["power"] == pytest.approx(level, rel=1e-6)
        at[level], start = best, best.values
    slope = (at[1.01e-6].figure - at[0.99e-6].figure) / 0.02e-6
    assert at[1e-6].multipliers["power"] == pytest.approx(slope, rel=1e-2)
    assert at[1e-6].figure < at[1e-8].figure < 1 - 0.5 / 4
    assert at[1e-8].figure == pytest.approx(1 - at[1e-8].values["omega_cold"] / 5, abs=1e-6)
    assert at[1e-8].figure == pytest.approx(1 - 0.5 / 4, abs=1e-3)

    f = jax.jit(maser)

    def wasted(log):
        point = lambda omega_cold: {"drive": np.exp(log), "omega_cold": omega_cold}  # noqa: E731
        return -float(f(point(brentq(lambda w: float(f(point(w))[0]) - 1e-6, 0.63, 2.0, xtol=1e-13)))[1])

    result = np.log(at[1e-6].values["drive"])
    search = minimize_scalar(wasted, bounds=(result - 1, result + 1), method="bounded", options={"xatol": 1e-9})
    assert at[1e-6].figure == pytest.approx(-search.fun, abs=1e-9)
    # A search without derivatives finds an argument to the root of what the figure is good to.
    assert result == pytest.approx(search.x, abs=1e-2)


@pytest.mark.slow
def test_rectification_of_two_qubits():
    """|J→| − |J←| over the larger of the two: as large as bounds on detuning and rates allow; more than at the start,
    the same as a scan by a grid says, and the bounds that hold it are named."""

    def rectification(p):
        spectra = (lgks.Flat(p["gamma_a"]), lgks.Flat(0.01))

        def J(hot, cold):
            qubits = lgks.models.two_qubits(1.0, 0.1, spectrum=spectra, temperatures=(hot, cold))
            shifted = qubits.perturbed(lgks.models.pauli("ZI"), p["delta"])
            return lgks.heat_currents(shifted, solver=lgks.Populations())[0]

        forward, backward = J(1.0, 0.2), J(0.2, 1.0)
        return (forward + backward) ** 2 / (forward - backward) ** 2

    bounds = {"gamma_a": (0.001, 0.1), "delta": (0.01, 0.3)}
    start = {"gamma_a": 0.012, "delta": 0.1}
    result = lgks.maximise(rectification, start, bounds=bounds, starts=8)
    grid = [
        float(rectification({"gamma_a": a, "delta": d}))
        for a in np.geomspace(0.001, 0.1, 7)
        for d in np.linspace(0.01, 0.3, 7)
    ]
    assert result.figure >= max(grid) - 1e-9
    assert result.figure > float(rectification(start))
    assert result.figure == pytest.approx(float(rectification(result.params)), rel=1e-12)


def peak(p):
    return 5 - (p["x"] - 1) ** 2 - (p["y"] - 2) ** 2


START = {"x": 0.3, "y": 0.3}


def test_a_constraint_has_a_multiplier():
    """The nearest point of x + y = 1 to (1, 2) is (0, 1); one more in the level brings 2 in the figure."""
    result = lgks.maximise(peak, START, constraints={"sum": (lambda p: p["x"] + p["y"], 1.0)})
    assert result.values == pytest.approx({"x": 0.0, "y": 1.0}, abs=1e-9)
    assert result.figure == pytest.approx(3.0, rel=1e-12)
    assert result.multipliers["sum"] == pytest.approx(2.0, rel=1e-9)
    assert result.residual < 1e-9
    assert not result.notes


def test_ranges_and_bounds():
    """A range that binds acts as its end, one that does not as if it were not there; a bound that holds is named."""
    total = lambda p: p["x"] + p["y"]  # noqa: E731
    binding = lgks.maximise(peak, START, constraints={"sum": (total, (None, 2.0))})
    assert binding.values == pytest.approx({"x": 0.5, "y": 1.5}, abs=1e-9)
    assert binding.multipliers["sum"] == pytest.approx(1.0, rel=1e-9)
    loose = lgks.maximise(peak, START, constraints={"sum": (total, (0.0, 9.0))})
    assert loose.values == pytest.approx({"x": 1.0, "y": 2.0}, abs=1e-8)
    assert loose.multipliers["sum"] == pytest.approx(0.0, abs=1e-8)
    held = lgks.maximise(peak, START, bounds={"y": (0.0, 1.5)})
    assert held.values == pytest.approx({"x": 1.0, "y": 1.5}, abs=1e-9)
    assert held.active == {"y": "upper bound 1.5"}
    assert "at its upper bound 1.5" in held.summary()


def test_what_is_no_maximum_is_said():
    with pytest.warns(lgks.FitWarning, match="flat along some direction"):
        lgks.maximise(lambda p: -((p["x"] + p["y"] - 1) ** 2) + 2, START)
    with pytest.warns(lgks.FitWarning, match="not stationary|no maximum"):
        lgks.maximise(lambda p: p["x"], START, steps=5)
    two = lgks.maximise(lambda p: 3 - (p["x"] ** 2 - 1) ** 2 + 0.3 * p["x"], {"x": 0.8}, starts=[{"x": -0.8}])
    assert "a lower maximum" in two.outcomes[1]
    assert two.values["x"] > 0


def test_bad_input():
    for message, options in {
        "is a pair .function, level.*got 1.0": {"constraints": {"c": 1.0}},
        "is a pair .function, level.*'one'": {"constraints": {"c": (lambda p: p["x"], "one")}},
        "low < high; got .*2.0, 1.0": {"constraints": {"c": (lambda p: p["x"], (2.0, 1.0))}},
        "exclude its start": {"bounds": {"x": (1.0, 2.0)}},
    }.items():
        with pytest.raises(InputError, match=message):
            lgks.maximise(peak, START, **options)
    with pytest.raises(InputError, match="one real number"):
        lgks.maximise(lambda p: jnp.stack([p["x"], p["y"]]), START)
    with pytest.raises(FitError, match="finite at the end of no start"):
        lgks.maximise(lambda p: jnp.log(-(p["x"] ** 2)), START)
    with pytest.raises(FitError, match="no start meets the constraints"):
        lgks.maximise(
            peak, START, bounds={"x": (0, 1), "y": (0, 1)}, constraints={"s": (lambda p: p["x"] + p["y"], 9.0)}
        )


@pytest.mark.parametrize("optimum", [2e-4, 0.99995])
def test_an_optimum_beside_a_bound_is_not_put_on_it(optimum):
    """Ends of the first stage lie on either side of the optimum, closer to the bound than a thousandth: the bound is
    let go where f grows inwards. Ends are good to rounding of the figure."""
    starts = [{"x": float(x)} for x in np.linspace(0.11, 0.93, 12)]
    f = lambda p: 1 - (p["x"] - optimum) ** 2  # noqa: E731
    result = lgks.maximise(f, {"x": 0.5}, bounds={"x": (0.0, 1.0)}, starts=starts)
    assert np.all(1 - result.starts < 1e-13)  # at the bound nearby: 2.5e−9 or 4e−8
    assert result.values["x"] == pytest.approx(optimum, abs=1e-12)
    assert not result.active
    assert not result.notes
    positive = lgks.maximise(f, {"x": 0.5}, bounds={"x": "positive"}, starts=[{"x": x} for x in (0.7, 1.0, 2.0)])
    assert np.all(1 - positive.starts < 1e-13)


def test_bounds_hold_and_are_let_go_together():
    """A plane rises to the corner; with a curved ridge one bound holds and the other variable is free, beside its
    bound. Where f bends upwards towards a bound, the minimum is not the end."""
    box = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    corner = lgks.maximise(lambda p: p["x"] - 2 * p["y"] + 3, START, bounds=box)
    assert corner.values == pytest.approx({"x": 1.0, "y": 0.0}, abs=1e-14)
    assert corner.residual == 0
    ridge = lgks.maximise(lambda p: 1 - p["x"] - (p["y"] - 3e-4 - p["x"]) ** 2, START, bounds=box)
    assert ridge.values == pytest.approx({"x": 0.0, "y": 3e-4}, abs=1e-12)
    assert ridge.active == {"x": "lower bound 0"}
    bowl = lgks.maximise(lambda p: (p["x"] - 0.2) ** 2 + 1, {"x": 0.3}, bounds={"x": (0.0, 1.0)})
    assert bowl.values["x"] == 1.0
    assert bowl.active == {"x": "upper bound 1"}


def test_an_optimum_of_zero():
    """The gradient is compared with the curvature where the figure itself vanishes."""
    f = lambda p: -((jnp.sin(p["x"]) - 0.3) ** 2) - (jnp.exp(p["y"]) - 3.0) ** 2  # noqa: E731
    result = lgks.maximise(f, {"x": 0.2, "y": 0.5}, starts=[{"x": 0.4, "y": 1.5}])
    assert result.values == pytest.approx({"x": np.arcsin(0.3), "y": np.log(3.0)}, abs=1e-9)
    assert not result.notes
    assert "lower" not in result.outcomes[0] + result.outcomes[1]


def test_starts_have_the_names_of_the_first():
    for bad in ([{"z": 1.0, "y": 3.0}], [{"x": 1.0}]):
        with pytest.raises(InputError, match="must have the entries"):
            lgks.maximise(peak, START, starts=bad)
    with pytest.raises(InputError, match="a list of start values"):
        lgks.maximise(peak, START, starts={"x": 1.0, "y": 2.0})
    result = lgks.maximise(peak, START, starts=np.int64(2), bounds={"x": np.array([0.0, 5.0])})
    assert len(result.starts) == 2


def test_bounds_of_a_bare_number_and_of_an_array():
    result = lgks.maximise(lambda x: -((x - 2.0) ** 2), 1.0, bounds={"value": (0.0, 1.5)})
    assert result.values["value"] == pytest.approx(1.5, abs=1e-6)
    result = lgks.maximise(lambda x: -jnp.sum((x - 2.0) ** 2), np.array([1.0, 1.2]), bounds={"value": (0.0, 5.0)})
    np.testing.assert_allclose(list(result.values.values()), 2.0, rtol=1e-6)


def test_many_ranges_keep_their_names():
    ranges = {f"c{i}": ((lambda p, i=i: p["h"][i]), (0.1, 0.5 + i)) for i in range(11)}
    result = lgks.maximise(
        lambda p: jnp.sum(p["h"]) - 1e-3 * jnp.sum(p["h"] ** 2), {"h": np.full(11, 0.3)}, constraints=ranges
    )
    assert result.active == {f"c{i}": f"upper bound {0.5 + i:.6g}" for i in range(11)}
