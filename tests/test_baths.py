"""What hangs on the baths: measured and structured densities, response to temperatures and strengths, Onsager's matrix,
the cumulant map, and the verdict on master equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from scipy.integrate import dblquad

import jaxlgks as lgks
from jaxlgks._errors import InputError, LambShiftError

from .systems import draw, hermitian
from .test_equations import EQUATIONS, lowest_choi, near_degenerate

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


@pytest.mark.parametrize("name", ["davies", "redfield"])
def test_response_to_temperatures_and_strengths(name):
    """Explicit against autodiff to 1e−9 of the largest for an observable, a current, the entropy production; the
    current also against differences of systems that were built anew: 1e−6."""
    system = draw(37).system
    A = jnp.asarray(hermitian(np.random.default_rng(1), system.dim))
    equation = EQUATIONS[name](system)
    for quantity in (A, lgks.HeatCurrent(0), lgks.EntropyProduction()):
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
    T, one, h = system.temperatures, jnp.ones(2), 1e-4
    for beta in range(2):
        step = h * jnp.eye(2)[beta]
        warmer = (current(T + step, one) - current(T - step, one)) / (2 * h)
        stronger = (current(T, one + step) - current(T, one - step)) / (2 * h)
        assert float(J.temperatures[beta]) == pytest.approx(float(warmer), rel=1e-6)
        assert float(J.strengths[beta]) == pytest.approx(float(stronger), rel=1e-6)


def test_onsager_matrix():
    """Symmetric, rows sum to zero, positive; refused at different temperatures. Three baths: not trivial."""
    system = draw(44, equal_temperatures=True).system
    assert len(system.baths) == 3
    L = np.asarray(lgks.onsager_matrix(system))
    scale = np.abs(L).max()
    np.testing.assert_allclose(L, L.T, rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(L.sum(axis=1), 0, atol=1e-11 * scale)
    assert np.linalg.eigvalsh(L)[0] > -1e-11 * scale
    with pytest.raises(InputError, match="one temperature"):
        lgks.onsager_matrix(draw(44).system)


# ----------------------------------------------------------------------------------------------------------------------
# The cumulant map
# ----------------------------------------------------------------------------------------------------------------------


def test_cumulant_exponent_against_a_double_time_integral():
    """One qubit, σ_x, Gaussian cutoff: K(t) = ∫∫ C(s−u) … with C(τ) by quadrature, element ⟨1|K(|0⟩⟨0|)|1⟩: 1e−6."""
    density, T, t = lgks.Ohmic(0.05, 1.0, "gaussian"), 0.5, 3.0
    system = lgks.System(0.5 * lgks.models.pauli("Z"), lgks.Bath(lgks.models.pauli("X"), T, density))
    Omega = np.linspace(-9, 9, 4001)
    rate = np.asarray(density.rate(Omega, T))
    correlation = lambda tau: np.trapezoid(rate * np.exp(-1j * Omega * tau), Omega) / (2 * np.pi)  # noqa: E731
    taus = np.linspace(-t, t, 401)
    table = np.array([correlation(x) for x in taus])
    C = lambda tau: np.interp(tau, taus, table.real) + 1j * np.interp(tau, taus, table.imag)  # noqa: E731
    # |0⟩ is the upper state: S(s)_10 = e^{−iωs}; the gain of |1⟩ from |0⟩ is ∫∫ C(u−s) e^{−i(s−u)}.
    gain = dblquad(lambda u, s: (C(u - s) * np.exp(-1j * (s - u))).real, 0, t, 0, t, epsabs=1e-7)[0]
    K = scipy.linalg.logm(np.asarray(lgks.cumulant_map(system, t)))
    assert K[3, 0].real == pytest.approx(gain, rel=1e-3)
    window = lambda x: t**2 * np.sinc((Omega - x) * t / (2 * np.pi)) ** 2  # noqa: E731
    assert K[3, 0].real == pytest.approx(np.trapezoid(rate * window(1.0), Omega) / (2 * np.pi), rel=1e-7)


def test_cumulant_map_is_a_map():
    """Identity at t = 0; trace kept; Choi eigenvalues ≥ −1e−12 at every time; t² at short times."""
    system = near_degenerate(0.03)
    np.testing.assert_allclose(lgks.cumulant_map(system, 0.0), np.eye(9), atol=1e-14)
    trace = np.eye(3).reshape(-1)
    maps = {t: np.asarray(lgks.cumulant_map(system, t)) for t in (0.05, 0.1, 1.0, 30.0)}
    for M in maps.values():
        np.testing.assert_allclose(trace @ M, trace, atol=1e-12)
        assert lowest_choi(M) >= -1e-12
    growth = np.abs(maps[0.1] - np.eye(9)).max() / np.abs(maps[0.05] - np.eye(9)).max()
    assert 3.0 < growth < 4.5


def test_cumulant_map_tends_to_davies():
    """K(t)/t → D: the distance falls as 1/t. Far levels, so that nothing has decayed yet."""
    system = lgks.System(
        np.diag([0.0, 0.8, 2.0]), lgks.Bath(hermitian(np.random.default_rng(5), 3), 0.7, lgks.DrudeLorentz(1e-5, 2.0))
    )
    D = np.asarray(sum(d.matrix() for d in lgks.Davies().dissipators(system)))
    distance = [
        np.abs(scipy.linalg.logm(np.asarray(lgks.cumulant_map(system, t))) / t - D).max() / np.abs(D).max()
        for t in (100.0, 200.0, 400.0)
    ]
    assert distance[0] < 0.1
    np.testing.assert_allclose(np.array(distance) * [1, 2, 4], distance[0], rtol=0.3)


def test_cumulant_evolution_and_its_refusals():
    """`evolve` turns the map back to the Schrödinger picture; close to Davies at weak coupling; named errors."""
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=lgks.DrudeLorentz(1e-4, 2.0), temperatures=(0.45, 0.35))
    psi = np.ones(4) / 2
    rho0, ts = jnp.asarray(np.outer(psi, psi), complex), jnp.array([0.0, 40.0])
    cumulant = lgks.evolve(system, lgks.Cumulant(), rho0, ts).states
    davies = lgks.evolve(system, lgks.Davies(), rho0, ts).states
    np.testing.assert_allclose(cumulant[0], rho0, atol=1e-14)
    np.testing.assert_allclose(cumulant[1], davies[1], atol=3e-3)
    with pytest.raises(LambShiftError):
        lgks.cumulant_map(lgks.models.two_qubits(1.0, 0.2, gamma=0.1, temperatures=(0.5, 0.4)), 1.0)
    with pytest.raises(InputError, match="panels"):
        jax.jit(lambda t: lgks.cumulant_map(system, t))(1.0)
    with pytest.raises(InputError, match="negative"):
        lgks.cumulant_map(system, -1.0)
    np.testing.assert_allclose(
        jax.jit(lambda t: lgks.cumulant_map(system, t, panels=4096))(5.0), lgks.cumulant_map(system, 5.0), atol=1e-10
    )


# ----------------------------------------------------------------------------------------------------------------------
# The verdict
# ----------------------------------------------------------------------------------------------------------------------

QUBITS = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
ZZ = lgks.models.pauli("ZZ")


def in_range(diagnosis) -> dict[str, bool]:
    return {name: good for name, good, _ in diagnosis.valid}


@pytest.mark.parametrize(
    ("delta", "regime", "equation"),
    [(1e-3, "local", "Unified"), (0.2, "crossover", "Unified"), (50.0, "global", "Davies")],
)
def test_regimes_of_the_two_qubits(delta, regime, equation):
    """ZZ splits both groups by 4δ; relaxation is known in closed form: γ(2n̄+1)/2-like rates of order one."""
    d = lgks.diagnose(QUBITS, ZZ, delta)
    assert (d.regime, d.equation) == (regime, equation)
    np.testing.assert_allclose(d.frequencies, [800.0, 1200.0], rtol=1e-12)
    np.testing.assert_allclose(d.splittings, 4 * delta, rtol=1e-9)
    np.testing.assert_allclose(d.nu_tau, d.splittings * d.relaxation_times, rtol=1e-12)
    assert 0.5 < float(d.relaxation_times[0]) < 2.0
    assert not in_range(d)["Local"]  # of the heat current it misses more than everything
    assert float(d.local_error) == pytest.approx(abs(-0.0025 - 0.03081) / 0.03081, rel=1e-3)
    assert in_range(d)["Unified"]
    assert regime in str(d)
    assert "OUT OF RANGE" in str(d)


def test_rotation_and_shift_without_splitting():
    only = lgks.diagnose(QUBITS, lgks.models.pauli("XY") - lgks.models.pauli("YX"), 0.1)
    assert only.regime == "eigenvectors only"
    assert in_range(only)["Davies"]
    assert in_range(only)["Local"]
    assert float(only.rotation) > 0
    assert float(jnp.abs(only.level_shifts).max()) == 0
    g = lgks.models.pauli("XX") + lgks.models.pauli("YY")
    assert lgks.diagnose(QUBITS, g, 0.1).regime == "shift without splitting"


def test_close_frequencies_and_strong_coupling_are_seen():
    close = lgks.diagnose(near_degenerate(1e-5), np.diag([0.0, 1.0, 1.0]), 1e-7)
    assert float(close.separation) < 1
    assert not in_range(close)["Davies"]
    strong = lgks.System(
        np.diag([0.0, 1.0]), [lgks.Bath(lgks.models.pauli("X"), T, lgks.DrudeLorentz(1.0, 2.0)) for T in (0.5, 0.8)]
    )
    assert not any(in_range(lgks.diagnose(strong, np.diag([0.0, 1.0]), 0.01)).values())


def test_a_width_that_crosses_a_splitting_is_reported():
    inside, outside = (lgks.diagnose(QUBITS, ZZ, x) for x in (1e-3, 50.0))
    assert outside.clusters_change
    assert "jumps" in str(outside)
    assert not inside.clusters_change
    assert "jumps" not in str(inside)


def test_diagnose_needs_values():
    with pytest.raises(InputError, match="words"):
        jax.jit(lambda x: lgks.diagnose(QUBITS, ZZ, x).nu_tau)(0.1)
