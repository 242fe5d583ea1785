"""Times themselves: known inside `jit`, out of order, wrong, of single precision, each with an interval of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._generator import _stepping
from jaxlgks.errors import InputError

from .systems import hermitian

TIMES = np.linspace(0.0, 5.0, 101)


def resolved(dim: int, dtype=complex):
    """A system of two baths without symmetry, V and A. By a matrix at d = 4, by blocks at 8, by operators at 26."""
    rng = np.random.default_rng(dim)
    baths = [lgks.Bath(hermitian(rng, dim) / dim, T, lgks.DrudeLorentz(0.01, 20.0)) for T in (1.0, 1.3)]
    return lgks.System(hermitian(rng, dim), baths, dtype=dtype), hermitian(rng, dim), hermitian(rng, dim)


@pytest.fixture
def exponentials(monkeypatch):
    """How many intervals each propagation exponentiates, and whether it keeps them."""
    found, march = [], _stepping._march

    def counting(generator, start, intervals, which, *more):
        found.append((intervals.size, which is not None))
        return march(generator, start, intervals, which, *more)

    monkeypatch.setattr(_stepping, "_march", counting)
    return found


@pytest.mark.parametrize("dim", [4, 8])
def test_known_times_stay_known_inside_jit(dim, exponentials):
    """An even grid costs two exponentials, eager or not: of responses, correlations, states."""
    system, V, A = resolved(dim)
    response, start = lgks.response(system, V, A, instantaneous=True), np.eye(dim) / dim
    works = (
        lambda x: x * response.impulse(TIMES).total,
        lambda x: x * response.step(list(TIMES[::-1])).total,
        lambda x: x * lgks.correlation(system, A, V, TIMES),
        lambda x: x * lgks.evolve(system, start, TIMES, lgks.Davies()).states,
    )
    compiled = jax.jit(lambda x: [work(x) for work in works])(1.0)
    for found, work in zip(compiled, works, strict=True):
        np.testing.assert_allclose(found, work(1.0), rtol=0, atol=1e-13)
    assert set(exponentials) == {(2, True)}


@pytest.mark.parametrize("dim", [4, 8])
def test_intervals_of_their_own_are_not_kept(dim, exponentials):
    """Traced or uneven times: one exponential each, used and forgotten; values and derivatives as one by one."""
    system, V, A = resolved(dim)
    response = lgks.response(system, V, A, instantaneous=True)
    uneven = TIMES[:9] ** 2 + 0.1
    phi = lambda t: response.impulse(t).total  # noqa: E731
    single = np.array([phi(t) for t in uneven])
    np.testing.assert_allclose(phi(uneven), single, rtol=0, atol=1e-13)
    np.testing.assert_allclose(jax.jit(phi)(jnp.asarray(TIMES)), phi(TIMES), rtol=0, atol=1e-12)
    assert {kept for size, kept in exponentials if size > 2} == {False}
    slope = jax.grad(lambda t: jnp.sum(phi(t)))(jnp.asarray(uneven))
    h = 1e-4
    np.testing.assert_allclose(slope, [(phi(t + h) - phi(t - h)) / (2 * h) for t in uneven], rtol=0, atol=1e-6)


def test_exponentials_do_not_pile_up():
    """A thousand traced times need little more memory than ten: that of their results."""
    system, V, A = resolved(12)
    response = lgks.response(system, V, A, lgks.Redfield(), instantaneous=True)

    def needed(count: int) -> int:
        times = jnp.linspace(0.0, 5.0, count)
        compiled = jax.jit(lambda t: response.impulse(t).total).lower(times).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert needed(1000) < 2 * needed(10)


@pytest.mark.parametrize("dim", [4, 8, 26])
def test_times_that_are_none(dim):
    """Known ones are named; traced ones spoil their own values only."""
    system, V, A = resolved(dim)
    equation = lgks.Redfield() if dim > 24 else lgks.Davies()
    response = lgks.response(system, V, A, equation, instantaneous=True)
    for bad in (np.nan, np.inf, [1.0, np.nan]):
        with pytest.raises(InputError, match="t must be finite"):
            response.impulse(bad)
    found = jax.jit(lambda t: response.impulse(t).total)(jnp.array([2.0, -1.0, jnp.nan, 1.0]))
    np.testing.assert_array_equal(np.isnan(found), [False, True, True, False])
    np.testing.assert_allclose(found[jnp.array([0, 3])], response.impulse([2.0, 1.0]).total, rtol=0, atol=1e-8)
    with pytest.raises(InputError, match="evolve: ts must be finite; got nan"):
        lgks.evolve(system, np.eye(dim) / dim, [0.0, np.nan], lgks.Davies())


@pytest.mark.parametrize(("dim", "name"), [(4, "Davies"), (4, "Redfield"), (4, "UniversalLindblad"), (8, "Unified")])
def test_single_precision_takes_double_times(dim, name):
    single, double = (resolved(dim, dtype)[0] for dtype in (jnp.complex64, complex))
    equation, start = getattr(lgks, name)(), np.eye(dim) / dim
    found = lgks.evolve(single, start, TIMES[::20], equation).states
    assert found.dtype == jnp.complex64
    np.testing.assert_allclose(found, lgks.evolve(double, start, TIMES[::20], equation).states, rtol=0, atol=2e-4)
