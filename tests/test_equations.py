"""The master equations by both routes, against each other and against hand-written generators."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._bohr import bohr_structure
from jaxlgks._equations import cluster_gap
from jaxlgks.errors import InputError, SolverError, ValidityWarning

from .by_hand import stationary, unified
from .systems import BY_HAND, EQUATIONS, draw, hermitian, near_degenerate

# Seeds of three, four and six levels with three, two and one bath; + 15 k keeps the shape and changes the rest.
# (`Davies` with two to six levels, one to three baths: test_two_routes.)
SHAPES = (11, 7, 19)


# ----------------------------------------------------------------------------------------------------------------------
# The two routes, for every equation
# ----------------------------------------------------------------------------------------------------------------------


@eqx.filter_jit
def _routes(system, V, A, name):
    check = lgks.cross_validate(system, V, A, EQUATIONS[name](system))
    return check.explicit.total, check.autodiff, check.finite_difference


# A program takes seconds to compile: one shape each, with three, two and one bath.
ROUTES = {"unified": 7, "universal": 11, "redfield": 7, "local": 19}
OTHERS = [name for name in EQUATIONS if name != "davies"]


@pytest.mark.parametrize("name", OTHERS)
def test_explicit_autodiff_and_finite_differences_agree(name):
    """Explicit against autodiff to 1e−9, both against pinned Richardson differences to 1e−6: 100 draws each."""
    shape = ROUTES.get(name, 7)
    for seed in range(shape, shape + 15 * 100, 15):
        case = draw(seed)
        explicit, autodiff, difference = (float(x) for x in _routes(case.system, case.V, case.A, name))
        assert np.isfinite([explicit, autodiff, difference]).all(), case
        assert autodiff == pytest.approx(explicit, rel=1e-9, abs=0), case
        assert difference == pytest.approx(explicit, rel=1e-6, abs=0), case


@eqx.filter_jit
def _thermodynamic_routes(system, V, name):
    equation = EQUATIONS[name](system)
    r = lgks.thermodynamic_response(system, V, equation)
    pinned = equation.fixed(system)
    currents = jax.jvp(lambda d: lgks.heat_currents(system.perturbed(V, d), pinned), (0.0,), (1.0,))[1]
    production = lgks.autodiff_response(system, V, lgks.EntropyProduction(), equation)
    return r.heat_currents.static().total, r.entropy_production.static().total, currents, production


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shape"), [(name, 5 if name in ("universal", "local") else 7) for name in OTHERS])
def test_thermodynamic_response_equals_the_derivative_of_the_currents(name, shape):
    """Four parts of J₁ against autodiff of the currents to 1e−9 of the largest term, entropy production to 1e−8: 101
    draws each."""
    for seed in range(shape, shape + 15 * 101, 15):
        case = draw(seed)
        explicit, production, auto, auto_production = _thermodynamic_routes(case.system, case.V, name)
        scale = float(jnp.max(jnp.abs(auto)))
        assert np.isfinite([*auto, auto_production]).all(), case
        np.testing.assert_allclose(explicit, auto, rtol=0, atol=1e-9 * scale, err_msg=str(case))
        np.testing.assert_allclose(production, auto_production, rtol=0, atol=1e-8 * scale, err_msg=str(case))


# ----------------------------------------------------------------------------------------------------------------------
# Limits and hand-written generators
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [32, 33, 35, 18])
def test_unified_equals_davies_where_groups_are_equal_or_far_apart(seed):
    """Narrow clusters: exactly equal frequencies only, so the same generator to 1e−12 of its size."""
    system = draw(seed).system
    davies, unified = (np.asarray(lgks.liouvillian(system, e)) for e in (lgks.Davies(), lgks.Unified(width=1e-6)))
    np.testing.assert_allclose(unified, davies, rtol=0, atol=1e-12 * np.abs(davies).max())


def test_the_automatic_width_is_the_geometric_mean_of_two_rates():
    """√(Γ_R/τ_B) by hand, Γ_R = max_n Σ_m Γ(ω_mn)|S_mn|² or, here the faster, ½Γ(0)(S_mm − S_nn)²; τ_B =
    max |d ln Γ/dω| over coupled frequencies."""
    E, T, bath = np.array([0.0, 1.0, 2.5]), 0.7, lgks.DrudeLorentz(0.01, 2.0)
    S = hermitian(np.random.default_rng(3), 3)
    system = lgks.System(np.diag(E), lgks.Bath(S, T, bath))
    omega = E[None, :] - E[:, None]
    rates = np.asarray(bath.rate(omega, T)) * np.abs(S) ** 2
    fastest = max(rates[:, n].sum() - rates[n, n] for n in range(3))
    dephasing = 0.5 * float(bath.rate(0.0, T)) * np.ptp(np.diag(S).real) ** 2
    assert dephasing > fastest
    h = 1e-5
    memory = np.abs(np.log(bath.rate(omega + h, T) / bath.rate(omega - h, T))).max() / (2 * h)
    gap = cluster_gap(lgks.Unified(), bohr_structure(system.hamiltonian), system)
    assert float(gap) == pytest.approx(float(np.sqrt(dephasing / memory)), rel=1e-8)


def test_unified_equals_davies_by_its_automatic_width():
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    davies, unified = (np.asarray(lgks.liouvillian(system, e)) for e in (lgks.Davies(), lgks.Unified()))
    np.testing.assert_allclose(unified, davies, rtol=0, atol=1e-12)


def test_wide_clusters_are_the_universal_equation():
    system = draw(3).system
    wide, universal = (np.asarray(lgks.liouvillian(system, e)) for e in (lgks.Unified(1e6), lgks.UniversalLindblad()))
    np.testing.assert_allclose(wide, universal, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", EQUATIONS)
def test_generators_equal_those_written_by_hand(name):
    """Entry by entry, complex H and S, two to six levels: 1e−12."""
    make, written = BY_HAND[name]
    for seed in (5, 1, 2, 3, 18, 34):
        system = draw(seed).system
        expected = written(system).generator
        np.testing.assert_allclose(
            lgks.liouvillian(system, make(system)), expected, rtol=0, atol=1e-12 * np.abs(expected).max()
        )


@pytest.mark.parametrize("rates", ["centre", "arithmetic"])
def test_response_with_other_rates_inside_a_cluster(rates):
    """Both routes against Richardson differences of generators by hand, clusters kept: ⟨A⟩ for random V, which moves
    the levels and turns them, also inside the cluster; split and exactly degenerate."""
    equation, h = lgks.Unified(width=2.0, rates=rates), 1e-3

    @eqx.filter_jit
    def routes(system, V, A):
        return lgks.response(system, V, A, equation).static().total, lgks.autodiff_response(system, V, A, equation)

    for seed, splitting in ((0, 0.1), (1, 0.1), (2, 0.0)):
        system, rng = near_degenerate(splitting, seed), np.random.default_rng(seed)
        V, A = hermitian(rng, 3), hermitian(rng, 3)

        def value(delta, system=system, V=V, A=A):
            return np.trace(A @ stationary(unified(system, 0.25, rates, delta * V).generator)).real

        wide, narrow = ((value(x) - value(-x)) / (2 * x) for x in (h, h / 2))
        explicit, autodiff = (float(x) for x in routes(system, V, A))
        assert autodiff == pytest.approx(explicit, rel=1e-9)
        assert explicit == pytest.approx((4 * narrow - wide) / 3, rel=1e-6)


@pytest.mark.slow
def test_second_derivative_with_one_rate_a_cluster():
    """The reference frequency has a curvature in H of its own: second differences of generators by hand."""
    equation, system, rng = lgks.Unified(width=2.0, rates="centre"), near_degenerate(0.1), np.random.default_rng(1)
    V, A, h = hermitian(rng, 3), hermitian(rng, 3), 2e-3

    def value(delta):
        return np.trace(A @ stationary(unified(system, 0.25, "centre", delta * V).generator)).real

    wide, narrow = ((value(x) - 2 * value(0.0) + value(-x)) / x**2 for x in (h, h / 2))
    second = lgks.autodiff_response(system, V, A, equation, order=2)
    assert float(second) == pytest.approx((4 * narrow - wide) / 3, rel=1e-5)


def test_solvers_of_other_rates():
    """Three levels of which no two transitions from one share a cluster: the arithmetic rates are those of the
    populations, the rate of a cluster is not, and is refused there. One rate for a wide cluster is warned of."""
    system = lgks.System(np.diag([0.0, 1.0, 2.03]), near_degenerate(0.03).baths)
    arithmetic, centre = (lgks.Unified(width=1.0, rates=rates) for rates in ("arithmetic", "centre"))
    dense, populations = (lgks.steady_state(system, arithmetic, s).rho for s in (lgks.Dense(), lgks.Populations()))
    np.testing.assert_allclose(populations, dense, rtol=0, atol=1e-14)
    assert lgks.steady_state(system, centre).solver == "dense"
    for solver in (lgks.Populations(), lgks.Blocks()):
        with pytest.raises(SolverError, match="centre"):
            lgks.steady_state(system, centre, solver)
    with pytest.warns(ValidityWarning, match="differ by up to 4.1, more than the lowest temperature, 0.5"):
        lgks.steady_state(system, lgks.Unified(width=1e3, rates="centre"))  # all frequencies are chained to zero
    a = lgks.modes(1)[0]
    with pytest.raises(InputError, match="centre"):
        lgks.steady_state(lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 0.5, lgks.DrudeLorentz(0.01, 2.0))), centre)


# ----------------------------------------------------------------------------------------------------------------------
# Transforms, correlated noises, numbers of the two qubits
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["unified", "redfield"])
def test_jit_vmap_and_grad(name):
    """jit and vmap equal an eager loop, the gradient in T and in a coupling strength equals differences (1e−6)."""
    base = near_degenerate(0.02)

    def currents(p):
        baths = [
            lgks.Bath(b.coupling, T, lgks.DrudeLorentz(s, 2.0))
            for b, T, s in zip(base.baths, (p[0], 0.5), (0.02, p[1]), strict=True)
        ]
        system = lgks.System(base.hamiltonian, baths)
        return lgks.heat_currents(system, EQUATIONS[name](system))

    def value_and_slope(p):
        value, pull = jax.vjp(currents, p)
        return value, pull(jnp.array([1.0, 0.0]))[0]

    # One program of value and gradient, for all points: those of the batch, and those of the differences.
    h, p = 1e-5, np.array([0.8, 0.03])
    batch = p * np.array([[1.0, 1.0], [1.1, 0.9], [1.3, 1.2]])
    around = p + h * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    values, slopes = (np.asarray(x) for x in jax.jit(jax.vmap(value_and_slope))(np.concatenate([batch, around])))
    looped = np.stack([currents(x) for x in batch])
    np.testing.assert_allclose(values[:3], looped, rtol=0, atol=1e-13 * np.abs(looped).max())
    quotient = (values[[3, 5], 0] - values[[4, 6], 0]) / (2 * h)
    np.testing.assert_allclose(slopes[0], quotient, rtol=1e-6)


@pytest.mark.parametrize("name", ["davies", "unified", "universal", "redfield"])
def test_correlated_noises(name):
    """Γ_ab = M Γ Mᵀ: independent noises are separate baths at one temperature, fully correlated ones act through the
    sum of the operators, and a general mixing is the generator written with the matrix itself."""
    rng = np.random.default_rng(4)
    H = np.diag([0.0, 0.6, 1.0])
    S, density, T = [hermitian(rng, 3), hermitian(rng, 3)], lgks.DrudeLorentz(0.02, 2.0), 0.6
    total = lambda baths: np.asarray(  # noqa: E731
        lgks.liouvillian(lgks.System(H, baths), EQUATIONS[name](None) if name != "unified" else lgks.Unified(1e6))
    )
    separate = total([lgks.Bath(S[0], T, density), lgks.Bath(S[1], T, density)])
    np.testing.assert_allclose(total([lgks.Bath(S, T, density)]), separate, atol=1e-14)
    common = total([lgks.Bath(S, T, density, mixing=[[1.0], [0.5]])])
    np.testing.assert_allclose(common, total([lgks.Bath(S[0] + 0.5 * S[1], T, density)]), atol=1e-14)
    C = np.array([[1.0, 0.4], [0.4, 0.7]])
    bath = lgks.Bath(np.stack(S), T, density, mixing=np.linalg.cholesky(C))
    np.testing.assert_allclose(bath.rate(0.7), C * float(density.rate(0.7, T)), rtol=1e-14)
    weights, vectors = np.linalg.eigh(C)
    independent = [np.sqrt(w) * (v[0] * S[0] + v[1] * S[1]) for w, v in zip(weights, vectors.T, strict=True)]
    by_hand = [lgks.Bath(X, T, density) for X in independent]
    np.testing.assert_allclose(total([bath]), total(by_hand), atol=1e-14)


def test_correlated_noises_of_different_densities_by_both_routes():
    rng = np.random.default_rng(6)
    densities = [lgks.DrudeLorentz(0.02, 2.0), lgks.UnderdampedBrownian(0.1, 0.3, 0.8)]
    mixed = lgks.Bath([hermitian(rng, 3), hermitian(rng, 3)], 0.6, densities, mixing=[[1.0, 0.3], [-0.2, 0.9]])
    other = lgks.Bath(hermitian(rng, 3), 0.9, densities[0])
    system = lgks.System(np.diag([0.0, 0.7, 0.7]), [mixed, other])
    check = lgks.cross_validate(system, hermitian(rng, 3), lgks.HeatCurrent(0))
    assert float(check.autodiff_difference) < 1e-9
    assert float(check.finite_difference_difference) < 1e-6


def test_bad_noises_are_refused():
    X = np.array([[0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="2 independent noise"):
        lgks.Bath([X, X], 1.0, [lgks.Flat(1.0)])
    with pytest.raises(ValueError, match="mixing"):
        lgks.Bath(X, 1.0, lgks.Flat(1.0), mixing=[[1.0]])
    with pytest.raises(ValueError, match="one shape"):
        lgks.Bath([X, np.eye(3)], 1.0, lgks.Flat(1.0))
    with pytest.raises(ValueError, match="width"):
        lgks.Unified(width=-1.0)


def test_slopes_of_the_two_qubits():
    """Paper's parameters at T̄ = 50, ΔT = 20: +0.03081 per δΩ by the unified equation, −0.0025 by the local one.
    Drude–Lorentz baths: −0.3601 by all that are not local (reference hierarchy), −1.7511 by the local one."""
    V = lgks.models.pauli("ZZ")
    flat = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    drude = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=lgks.DrudeLorentz(0.001, 2.0), temperatures=(0.45, 0.35))

    def slope(system, equation):
        """By central differences, groups fixed: 1e−6, (h over the rates)². (By derivatives: the two routes, above.)"""
        pinned, h = equation.fixed(system), 1e-6 * float(np.ptp(np.diag(system.hamiltonian).real))
        up, still, down = (float(lgks.heat_currents(system.perturbed(V, x), pinned)[0]) for x in (h, 0.0, -h))
        return (up - down) / (2 * h) / still

    assert slope(flat, lgks.Unified()) == pytest.approx(0.03081, abs=5e-6)
    assert slope(flat, lgks.Local(flat)) == pytest.approx(-0.0025, abs=5e-6)
    for equation in (lgks.Unified(), lgks.UniversalLindblad(), lgks.Redfield()):
        assert slope(drude, equation) == pytest.approx(-0.3601, rel=1e-3)
    assert slope(drude, lgks.Local(drude)) == pytest.approx(-1.7511, abs=5e-5)
