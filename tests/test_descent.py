"""Levenberg–Marquardt itself, without a model: a curved valley, units, walls of NaN, residuals without a trace."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlgks._fits._descent import LevenbergMarquardt
from jaxlgks._fits._runner import run


def valley(unit: float):
    """Rosenbrock's, the second coordinate in another unit."""
    return lambda z: jnp.array([10.0 * (z[1] / unit - z[0] ** 2), 1.0 - z[0]])


def descend(goal, start):
    return run(goal, LevenbergMarquardt(rtol=1e-10, atol=1e-10, steps=60), np.array([start]), 60)


def test_a_curved_valley_in_any_unit():
    """From the classical start to (1, 1) in few steps, whatever the unit."""
    plain, large = descend(valley(1.0), [-1.2, 1.0]), descend(valley(1e3), [-1.2, 1e3])
    assert plain.finished[0]
    assert large.finished[0]
    assert max(plain.steps[0], large.steps[0]) <= 40
    np.testing.assert_allclose(plain.z[0], [1.0, 1.0], rtol=1e-9)
    np.testing.assert_allclose(large.z[0], [1.0, 1e3], rtol=1e-9)


def test_a_wall_of_nan_is_not_crossed():
    """√z is not real below zero; the minimum lies close to the wall, and the first steps lead beyond it."""
    found = descend(lambda z: jnp.array([jnp.sqrt(z[0]) - 0.01, 0.1 * (z[0] - 1e-4)]), [4.0])
    assert found.finished[0]
    assert float(found.z[0, 0]) == pytest.approx(1e-4, rel=1e-6, abs=0)


def test_nothing_to_go_by():
    """A coordinate without effect stays; residuals that are NaN from the start end at once, where they began."""
    found = descend(lambda z: jnp.array([z[0] - 2.0, 3.0 * (z[0] - 2.0)]), [1.0, 7.0])
    np.testing.assert_allclose(found.z[0], [2.0, 7.0], rtol=1e-12)
    lost = descend(lambda z: jnp.array([jnp.nan * z[0]]), [1.0])
    assert lost.steps[0] == 1
    assert lost.z[0, 0] == 1.0


def test_residuals_that_stay_are_a_minimum():
    """Data that contradict each other: the mean, by its own end, although χ² does not vanish."""
    found = descend(lambda z: jnp.array([jnp.exp(z[0]) - 1.0, jnp.exp(z[0]) - 3.0]), [0.0])
    assert found.finished[0]
    assert float(found.z[0, 0]) == pytest.approx(np.log(2.0), rel=1e-9)


@pytest.mark.parametrize("bend", [0.9, -0.9])
def test_residuals_that_stay_do_not_slow_the_end(bend):
    """r = (z + 1, b z² + z − 1), smallest at z = 0 with r = (1, −1): steps without second derivatives of r leave the
    part |b| of what is left (Dennis), 90 % here; with them the end is reached in few."""
    found = run(
        lambda z: jnp.array([z[0] + 1.0, bend * z[0] ** 2 + z[0] - 1.0]),
        LevenbergMarquardt(rtol=1e-10, atol=1e-10, steps=200),
        np.array([[0.1]]),
        200,
    )
    assert found.finished[0]
    assert abs(found.z[0, 0]) < 1e-9
    assert found.steps[0] <= 25
