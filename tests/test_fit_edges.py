"""Where fits were once wrong: saddles, repetitions, errors that are parts of nothing, names."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import DataError, InputError

from .fits import decay, quiet

T = np.linspace(0.0, 3.0, 12)
SCATTER = np.random.default_rng(0).normal(size=12)


def product_of_two(p, x):
    """a, b and a b: with a b large, a = b = 0 has no slope, and χ² falls only along a = b, between the axes."""
    return jnp.where(x["k"] == 0, p["a"], jnp.where(x["k"] == 1, p["b"], p["a"] * p["b"]))


SADDLE = {"a": 0.0, "b": 0.0}
APART = {"y": np.array([1.0, 0.5, 0.5])}  # errors that make the axes of JᵀJ those of a and b


@pytest.mark.parametrize("large", [3.0, 30.0])
def test_a_saddle_between_the_axes_is_no_minimum(large):
    data = lgks.Data({"k": [0.0, 1.0, 2.0]}, {"y": [0.0, 0.0, large]}, APART)
    saddle = quiet(product_of_two, data, SADDLE)
    assert saddle.starts.outcomes[0].startswith("stationary but no minimum: χ² falls on both sides along a and b")
    assert any("no minimum" in note for note in saddle.notes)
    low = quiet(product_of_two, data, {"a": 1.0, "b": 0.7})
    assert low.chi_squared < saddle.chi_squared
    assert low.starts.outcomes[0].startswith("converged")


def test_starts_that_end_alike_are_judged_alike():
    """Of four starts two end at one minimum, two at the other; a fifth is left on the saddle between them."""
    data = lgks.Data({"k": [0.0, 1.0, 2.0]}, {"y": [0.0, 0.0, 3.0]}, APART)
    ends = [{"a": a, "b": b} for a, b in ((0.9, 0.8), (-1.0, -0.7), (-0.8, -1.2))]
    outcomes = quiet(product_of_two, data, {"a": 1.0, "b": 0.7}, starts=[*ends, SADDLE]).starts.outcomes
    assert [word.startswith("converged") for word in outcomes] == [True, True, True, True, False]


def test_repetitions_of_what_is_not_determined_are_refused():
    data = lgks.Data({"t": T}, {"y": 2 * np.exp(-T)}, 0.1)
    arguments = quiet(lambda p, x: p["c"] * decay(p, x), data, {"a": 1.0, "k": 1.0, "c": 1.5}, throw=False)
    with pytest.raises(InputError, match=r"repeat: the data fix 2 of 3 parameters.*Only a combination of"):
        arguments.repeat(10)


def test_repetitions_count_squares_in_the_unit_of_the_data():
    """Errors unknown: Σ r² of synthetic sets is that of the fit, on average, ± 4 standard deviations."""
    result = quiet(decay, lgks.Data({"t": T}, {"y": 200 * np.exp(-T) + 5 * SCATTER}), {"a": 100.0, "k": 1.0})
    chi = result.repeat(300).chi_squared
    assert np.mean(chi) == pytest.approx(result.chi_squared, abs=4 * np.std(chi) / np.sqrt(300))


@pytest.mark.parametrize("y", [[0.0, 1.0, 2.0, 3.1], [3.0, 2.1, 1.0, 0.0]])
def test_an_error_that_is_a_part_of_nothing_is_named(y):
    data = lgks.Data({"t": [0.0, 1.0, 2.0, 3.0]}, {"y": y}, relative_errors=0.1)
    with pytest.raises(DataError, match=r"fit: y\[[03]\] is predicted to vanish .* Give errors beside relative_errors"):
        quiet(lambda p, x: p["a"] * x["t"] + p["b"], data, {"a": 0.9, "b": 0.1}, throw=False)


def test_relative_errors_do_not_mind_units():
    """Two observables, one in a unit that makes it 1e−9 of the other: the same estimates and errors."""

    def of(unit: float) -> lgks.Fit:
        both = lambda p, x: {"y": decay(p, x), "z": unit * p["a"] * x["t"]}  # noqa: E731
        y = {"y": 2 * np.exp(-T) * (1 + 0.05 * SCATTER), "z": unit * (2 * T + 1) * (1 + 0.05 * SCATTER[::-1])}
        shifted = lambda p, x: both(p, x) | {"z": both(p, x)["z"] + unit}  # noqa: E731
        return quiet(shifted, lgks.Data({"t": T}, y, relative_errors=0.05), {"a": 1.0, "k": 0.5})

    one, other = of(1.0), of(1e-9)
    np.testing.assert_allclose(other.vector, one.vector, rtol=1e-9)
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=1e-9)


def test_a_parameter_at_its_bound_is_not_called_undetermined():
    t = np.linspace(0.0, 1.0, 200)
    y = t - 0.01 + 0.01 * np.random.default_rng(1).normal(size=200)
    line = lambda p, x: p["a"] * x["t"] + p["b"]  # noqa: E731
    result = quiet(line, lgks.Data({"t": t}, {"y": y}, 0.01), {"a": 0.5, "b": 1.0}, bounds={"b": "positive"})
    assert [note for note in result.notes if note.startswith("b ends at its lower bound 0")]
    assert not [note for note in result.notes if "poor plan" in note]
    blind = lambda p, x: p["a"] * x["t"] + 1e-4 * p["b"]  # noqa: E731
    result = quiet(blind, lgks.Data({"t": t}, {"y": y}, 0.01), {"a": 0.5, "b": 1.0}, bounds={"b": "positive"})
    assert "A poor plan of measurement. b is hardly determined" in result.notes[0]


def test_names_that_collide_and_steps_that_are_none():
    data = lgks.Data({"t": T}, {"y": np.exp(-T)}, 0.1)
    with pytest.raises(InputError, match=r"two start values are called 'a.b'"):
        lgks.fit(lambda p, x: p["a.b"] + p["a"]["b"] * x["t"], data, {"a.b": 1.0, "a": {"b": 1.0}})
    with pytest.raises(InputError, match="steps must be a whole number between 0 and 1000000; got int -1"):
        lgks.fit(decay, data, {"a": 1.0, "k": 1.0}, steps=-1)


@pytest.mark.parametrize("method", ["bfgs", "levenberg-marquardt"])
def test_data_without_scatter_are_no_reason_for_alarm(method):
    data = lgks.Data({"t": T}, {"y": 2 * np.exp(-0.7 * T)})
    result = lgks.fit(decay, data, {"a": 1.0, "k": 1.3}, method=method)
    assert result.starts.outcomes[0].startswith("converged")
    np.testing.assert_allclose(result.vector, [2.0, 0.7], rtol=1e-8)


def test_new_numbers_compile_nothing():
    """Other data, other errors of unknown size: the model is not traced again."""
    traces = []

    def counted(p, x):
        traces.append(1)
        return decay(p, x)

    first = lgks.Data({"t": T}, {"y": 2 * np.exp(-T) + 0.01 * SCATTER})
    result = lgks.fit(counted, first, {"a": 1.0, "k": 0.7})
    result.repeat(20)
    before = len(traces)
    again = lgks.fit(counted, lgks.Data({"t": T}, {"y": 3 * np.exp(-T) + 0.02 * SCATTER}), {"a": 1.1, "k": 0.6})
    again.repeat(20, seed=5)
    assert len(traces) == before
