"""What hangs on the baths: measured and structured densities, response to temperatures and strengths, Onsager's
matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import DensityError, InputError

from .systems import EQUATIONS, draw, hermitian

# ----------------------------------------------------------------------------------------------------------------------
# Densities
# ----------------------------------------------------------------------------------------------------------------------

GRID = np.linspace(0.05, 20.0, 400)


def test_a_table_of_a_known_density_gives_its_rates():
    """Cubic spline of ln κ with spacing 0.05: value 1e−6, slope 1e−3; detailed balance exact; smooth through zero."""
    drude = lgks.DrudeLorentz(0.1, 2.0)
    table = lgks.Tabulated(GRID, drude.density(GRID), tail=2.0)
    omega = jnp.array([-3.0, -0.3, 0.0, 0.011, 1.0, 4.03])
    np.testing.assert_allclose(table.rate(omega, 0.5), drude.rate(omega, 0.5), rtol=1e-6)
    slope = lambda s: jax.vmap(jax.grad(lambda w: s.rate(w, 0.5)))(omega)  # noqa: E731
    np.testing.assert_allclose(slope(table), slope(drude), rtol=1e-3)
    np.testing.assert_allclose(table.rate(-omega, 0.5), np.exp(-omega / 0.5) * table.rate(omega, 0.5), rtol=1e-13)
    assert float(table.lamb_shift(0.7, 0.5)) == pytest.approx(float(drude.lamb_shift(0.7, 0.5)), rel=1e-3)


def test_a_table_is_positive_and_knows_its_end():
    noisy = 0.1 * GRID * np.exp(-GRID) * (1 + 0.5 * np.random.default_rng(0).uniform(-1, 1, GRID.size))
    table = lgks.Tabulated(GRID, noisy)
    assert np.all(np.asarray(table.rate(np.linspace(-19, 19, 1001), 0.4)) > 0)
    assert np.isnan(float(table.rate(25.0, 0.4)))
    assert np.isfinite(float(lgks.Tabulated(GRID, noisy, tail=3.0).rate(25.0, 0.4)))


def test_bad_tables_are_refused():
    for frequencies, values, tail in (
        ([1.0, 2.0], [1.0, 1.0], None),
        ([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], None),
        ([1.0, 3.0, 2.0], [1.0, 1.0, 1.0], None),
        ([1.0, 2.0, 3.0], [1.0, -1.0, 1.0], None),
        ([1.0, 2.0, 3.0], [1.0, np.nan, 1.0], None),
        ([1.0, 2.0, 3.0], [1.0, 1.0], None),
        ([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 0.5),
    ):
        with pytest.raises(InputError, match="Tabulated"):
            lgks.Tabulated(frequencies, values, tail)


SHORT = lgks.Tabulated([0.1, 0.2, 0.5], [0.1, 0.2, 0.3])


def test_a_rate_that_is_missing_has_a_name():
    """A transition beyond a table, a negative density: used to be called a steady state that is not unique, and
    `log_populations` to leave the transition out."""
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    system = lgks.System(0.5 * Z, lgks.Bath(X, 0.4, SHORT, "cold"))
    for who, call in {
        "steady_state": lambda: lgks.steady_state(system),
        "log_populations": lambda: lgks.log_populations(system),
        "liouvillian": lambda: lgks.liouvillian(system),
    }.items():
        with pytest.raises(DensityError, match=f"{who}: the density of bath 'cold'.* 1 of.*table ends at 0.5"):
            call()
    with pytest.raises(DensityError, match=r"frequency 1 of.*γ\(1\) = -0\.1"):
        lgks.liouvillian(lgks.System(0.5 * Z, lgks.Bath(X, 0.4, lambda w: -0.1 * w)))


def test_a_rate_that_is_missing_has_a_name_everywhere():
    """In states that are given, in time by both methods, and for oscillators."""
    X, Z, a = lgks.models.pauli("X"), lgks.models.pauli("Z"), lgks.modes(1)[0]
    system = lgks.System(0.5 * Z, lgks.Bath(X, 0.4, SHORT))
    oscillator = lgks.QuasiFree(2.0 * a.dag * a, lgks.Bath(a + a.dag, 0.4, SHORT))
    for call in (
        lambda: lgks.heat_currents(system, rho=np.eye(2) / 2),
        lambda: lgks.channel_currents(system, rho=np.eye(2) / 2),
        lambda: lgks.evolve(system, np.eye(2) / 2, [0.0, 1.0]),
        lambda: lgks.evolve(system, np.eye(2) / 2, [0.0, 1.0], method="diffrax"),
        lambda: lgks.steady_state(oscillator),
    ):
        with pytest.raises(DensityError, match=r"table ends at 0\.5"):
            call()


def test_a_table_of_small_frequencies():
    """The table ends below ω = 1, where the rates of no transition used to be asked for: the slope of a population,
    1/(4 T²) · ω/cosh²(ω/2T), was NaN."""
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")

    def population(T):
        return (
            lgks.steady_state(lgks.System(0.15 * Z, lgks.Bath(X, T, SHORT)), solver=lgks.Populations()).rho[0, 0].real
        )

    expected = 0.3 / (4 * 0.2**2 * np.cosh(0.3 / (2 * 0.2)) ** 2)
    assert float(jax.grad(population)(0.2)) == pytest.approx(expected, rel=1e-12)


def test_the_brownian_line_is_that_of_its_formula():
    omega = np.array([0.2, 1.5, 3.0])
    expected = 2 * 0.01 * 0.3 * omega / ((omega**2 - 2.25) ** 2 + 0.09 * omega**2)
    np.testing.assert_allclose(lgks.UnderdampedBrownian(0.1, 0.3, 1.5).density(omega), expected, rtol=1e-14)


def test_a_system_with_a_measured_bath_by_both_routes():
    table = lgks.Tabulated(GRID, 0.05 * GRID * np.exp(-GRID / 2) * (1 + 0.2 * np.sin(2 * GRID)))
    rng = np.random.default_rng(2)
    baths = [lgks.Bath(hermitian(rng, 3), T, table) for T in (0.5, 0.9)]
    check = lgks.cross_validate(lgks.System(np.diag([0.0, 0.7, 0.7]), baths), hermitian(rng, 3), lgks.HeatCurrent(0))
    assert float(check.autodiff_difference) < 1e-9


# ----------------------------------------------------------------------------------------------------------------------
# Response to the baths
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "seed", "current_only"), [pytest.param("davies", 37, False, marks=pytest.mark.slow), ("redfield", 5, True)]
)
def test_response_to_temperatures_and_strengths(name, seed, current_only):
    """Explicit against autodiff to 1e−9 of the largest, for a current, an observable, the entropy production; the
    current also against differences of systems that were built anew: 1e−6."""
    system = draw(seed).system
    A = jnp.asarray(hermitian(np.random.default_rng(1), system.dim))
    equation = EQUATIONS[name](system)
    for quantity in (lgks.HeatCurrent(0),) if current_only else (A, lgks.EntropyProduction()):
        explicit = lgks.thermal_response(system, quantity, equation)
        auto = lgks.autodiff_thermal_response(system, quantity, equation)
        for a, b in ((explicit.temperatures, auto.temperatures), (explicit.strengths, auto.strengths)):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * float(jnp.abs(b).max()))
    pinned = equation.fixed(system)

    @jax.jit
    def current(T, scale):
        baths = [
            lgks.Bath(b.coupling * jnp.sqrt(s), t, b.spectrum) for b, t, s in zip(system.baths, T, scale, strict=True)
        ]
        return lgks.heat_currents(lgks.System(system.hamiltonian, baths), pinned)[0]

    J = lgks.thermal_response(system, lgks.HeatCurrent(0), equation)
    T, one, h = np.asarray(system.temperatures), np.ones(2), 1e-4
    for beta in range(2):
        step = h * np.eye(2)[beta]
        warmer = (current(T + step, one) - current(T - step, one)) / (2 * h)
        stronger = (current(T, one + step) - current(T, one - step)) / (2 * h)
        assert float(J.temperatures[beta]) == pytest.approx(float(warmer), rel=1e-6)
        assert float(J.strengths[beta]) == pytest.approx(float(stronger), rel=1e-6)


def test_onsager_matrix():
    """T² ∂J_α/∂T_β; symmetric, rows sum to zero, positive; refused at different temperatures. Three baths: not
    trivial."""
    system = draw(44, equal_temperatures=True).system
    assert len(system.baths) == 3
    L = np.asarray(lgks.onsager_matrix(system))
    scale = np.abs(L).max()
    np.testing.assert_allclose(L, L.T, rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(L.sum(axis=1), 0, atol=1e-11 * scale)
    assert np.linalg.eigvalsh(L)[0] > -1e-11 * scale
    T, h = float(system.temperatures[0]), 1e-4
    baths = system.baths
    warmer = [
        lgks.heat_currents(lgks.System(system.hamiltonian, [lgks.Bath(baths[0].coupling, t, baths[0].spectrum), *rest]))
        for t, rest in ((T + h, baths[1:]), (T - h, baths[1:]))
    ]
    np.testing.assert_allclose(L[:, 0], T**2 * (warmer[0] - warmer[1]) / (2 * h), rtol=0, atol=1e-6 * scale)
    with pytest.raises(InputError, match="one temperature"):
        lgks.onsager_matrix(draw(44).system)
