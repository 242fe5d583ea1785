"""Levenberg–Marquardt itself, without a model: a curved valley, units, walls of NaN, residuals without a trace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlgks._fits._optimisers import LevenbergMarquardt, Method, minimise


def valley(unit: float):
    """Rosenbrock's, the second coordinate in another unit."""
    return lambda z: jnp.array([10.0 * (z[1] / unit - z[0] ** 2), 1.0 - z[0]])


METHOD = Method(LevenbergMarquardt(rtol=1e-10, atol=1e-10), squares=True, steps=60)


def descend(goal, start):
    return jax.jit(lambda z: minimise(goal, METHOD, z, METHOD.steps))(jnp.array(start))


def test_a_curved_valley_in_any_unit():
    """From the classical start to (1, 1) in few steps, whatever the unit."""
    plain, large = descend(valley(1.0), [-1.2, 1.0]), descend(valley(1e3), [-1.2, 1e3])
    assert plain.finished
    assert large.finished
    assert max(plain.steps, large.steps) <= 40
    np.testing.assert_allclose(plain.z, [1.0, 1.0], rtol=1e-9)
    np.testing.assert_allclose(large.z, [1.0, 1e3], rtol=1e-9)


def test_a_wall_of_nan_is_not_crossed():
    """√z is not real below zero; the minimum lies close to the wall, and the first steps lead beyond it."""
    result = descend(lambda z: jnp.array([jnp.sqrt(z[0]) - 0.01, 0.1 * (z[0] - 1e-4)]), [4.0])
    assert result.finished
    assert float(result.z[0]) == pytest.approx(1e-4, rel=1e-6, abs=0)


def test_nothing_to_go_by():
    """A coordinate without effect stays; residuals that are NaN from the start end at once, where they began."""
    result = descend(lambda z: jnp.array([z[0] - 2.0, 3.0 * (z[0] - 2.0)]), [1.0, 7.0])
    np.testing.assert_allclose(result.z, [2.0, 7.0], rtol=1e-12)
    lost = descend(lambda z: jnp.array([jnp.nan * z[0]]), [1.0])
    assert lost.steps == 1
    assert lost.z[0] == 1.0


def test_residuals_that_stay_are_a_minimum():
    """Data that contradict each other: the mean, by its own end, although χ² does not vanish."""
    result = descend(lambda z: jnp.array([jnp.exp(z[0]) - 1.0, jnp.exp(z[0]) - 3.0]), [0.0])
    assert result.finished
    assert float(result.z[0]) == pytest.approx(np.log(2.0), rel=1e-9)
