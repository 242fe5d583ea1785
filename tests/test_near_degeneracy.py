"""Levels that nearly coincide: every equation stays finite, the routes agree, and warnings say where not to go."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks

from .systems import hermitian, near_degenerate

SPLITTINGS = np.array([float(f"1e-{k}") for k in range(14, 1, -1)])


@eqx.filter_jit
def numbers(system: lgks.System, V, A) -> jax.Array:
    """Explicit response, autodiff response, slope of a current, second derivative, in one fixed cluster."""
    equation = lgks.Unified(width=0.5)
    pinned = equation.fixed(system)
    explicit = lgks.response(system, V, A, equation).static().total
    auto = lgks.autodiff_response(system, V, A, equation)
    slope = jax.grad(lambda d: lgks.heat_currents(system.perturbed(V, d), pinned)[0])(0.0)
    return jnp.stack([explicit, auto, slope, lgks.autodiff_response(system, V, A, equation, order=2)])


@pytest.mark.parametrize(("seed", "cutoff"), [(1, 2.0), (4, 2.0), (9, 0.5)])
def test_unified_is_finite_and_continuous_through_near_degeneracy(seed, cutoff):
    """Splitting 1e−14 … 1e−2 of the width, clusters fixed: response, gradient and second derivative are finite, change
    in proportion to the splitting, and the routes agree to 1e−6 (worst at 3e−8)."""
    V = jnp.asarray(hermitian(np.random.default_rng(7), 3))
    A = jnp.asarray(hermitian(np.random.default_rng(8), 3))
    values = []
    for x in SPLITTINGS:
        explicit, *rest = map(float, numbers(near_degenerate(x, seed, cutoff), V, A))
        assert rest[0] == pytest.approx(explicit, rel=1e-6)
        values.append(rest)
    values = np.array(values)
    assert np.isfinite(values).all()
    # Linear in the splitting with the slope read off at 1e−4, plus rounding and what merging levels neglects.
    slope = np.abs(values[SPLITTINGS == 1e-4] - values[0]) / 1e-4
    assert (np.abs(values - values[0]) <= 3 * slope * SPLITTINGS[:, None] + 1e-5 * np.abs(values[0])).all()


def pair(levels, density, temperatures, seed=3) -> lgks.System:
    rng = np.random.default_rng(seed)
    return lgks.System(np.diag(levels), [lgks.Bath(hermitian(rng, 3), T, density) for T in temperatures])


@pytest.mark.parametrize("splitting", [3e-9, 1e-8, 1e-7, 1e-6])
def test_a_kink_between_nearly_equal_levels(splitting):
    """An exponential cutoff has two slopes at ω = 0; levels that differ lie on both sides, and are not one level."""
    system = pair([0.0, splitting, 1.0], lgks.Ohmic(0.05, 0.7), (0.7, 0.5))
    V, A = (jnp.asarray(hermitian(np.random.default_rng(k), 3)) for k in (7, 8))
    explicit = lgks.response(system, V, A, lgks.UniversalLindblad()).static().total
    auto = lgks.autodiff_response(system, V, A, lgks.UniversalLindblad())
    assert float(auto) == pytest.approx(float(explicit), rel=1e-15 / splitting + 1e-7)


@pytest.mark.parametrize(
    ("levels", "density", "temperatures", "step"),
    [
        ([0.0, 1e-6, 1.0], lgks.Ohmic(0.05, 0.7), (0.7, 0.5), 4e-8),  # a kink between them
        ([0.0, 4e-3, 1000.0], lgks.DrudeLorentz(0.001, 2.0), (0.01, 0.02), 1e-4),  # close to the width, far to T
    ],
    ids=["kink", "cold"],
)
def test_second_order_between_nearly_equal_levels(levels, density, temperatures, step):
    """Levels within 1e−5 of the width count as one only if the rates do not notice: against Richardson, 1e−4."""
    system = pair(levels, density, temperatures)
    V, A = (jnp.asarray(hermitian(np.random.default_rng(k), 3)) for k in (7, 8))
    equation = lgks.UniversalLindblad()

    def value(d):
        rho = lgks.steady_state(system.perturbed(V, d), equation).rho
        return jnp.einsum("ij,ji->", A, rho).real

    slope = jax.jit(lambda d: jax.jvp(value, (d,), (1.0,))[1])
    second = float(lgks.autodiff_response(system, V, A, equation, order=2))
    quotient = [(float(slope(h)) - float(slope(-h))) / (2 * h) for h in (step, step / 2, step / 4)]
    fine = [(4 * quotient[1] - quotient[0]) / 3, (4 * quotient[2] - quotient[1]) / 3]
    assert second == pytest.approx((16 * fine[1] - fine[0]) / 15, rel=1e-4)


def test_davies_warns_where_groups_merge_and_where_they_are_too_close():
    with pytest.warns(lgks.ValidityWarning, match="as equal"):
        lgks.steady_state(near_degenerate(3e-10))
    with pytest.warns(lgks.ValidityWarning, match="decay rates"):
        lgks.heat_currents(near_degenerate(1e-5))
    with pytest.warns(lgks.ValidityWarning, match="decay rates"):
        lgks.response(near_degenerate(1e-5), np.diag([0.0, 1.0, 0.5]), np.eye(3))


def test_no_warning_inside_the_range(recwarn):
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    lgks.steady_state(system)
    lgks.steady_state(near_degenerate(1e-5), lgks.Unified())
    assert not [w for w in recwarn if issubclass(w.category, lgks.ValidityWarning)]
