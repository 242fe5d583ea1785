"""Lamb shifts: the principal-value integral, its derivatives, and each equation's own form of H_LS."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.interpolate

import jaxlgks as lgks
from jaxlgks._equations import dissipation
from jaxlgks.errors import LambShiftError

from .by_hand import rate
from .systems import draw, hermitian

T = 0.35
KAPPA = {
    "drude": (lgks.DrudeLorentz(0.1, 2.0), lambda x: mp.mpf("0.8") / (x * x + 4)),
    "gaussian": (lgks.Ohmic(0.3, 2.0, "gaussian"), lambda x: mp.mpf("0.3") * mp.exp(-((x / 2) ** 2))),
    "exponential": (lgks.Ohmic(0.3, 2.0, "exponential"), lambda x: mp.mpf("0.3") * mp.exp(-abs(x) / 2)),
    "ohmic drude": (lgks.Ohmic(0.3, 2.0, "drude"), lambda x: mp.mpf("0.3") / (1 + (x / 2) ** 2)),
    "brownian": (
        lgks.UnderdampedBrownian(0.1, 0.3, 1.5),
        lambda x: 2 * mp.mpf("0.01") * mp.mpf("0.3") / ((x * x - mp.mpf("2.25")) ** 2 + (mp.mpf("0.3") * x) ** 2),
    ),
}


def exact_rate(kappa, x, T):
    return T * kappa(x) * (x / T / (-mp.expm1(-x / T)) if x != 0 else 1)


@mp.workdps(20)
def exact_shift(kappa, w, T, marks=(2.0, 1.5)) -> float:
    """P∫ dω'/2π Γ(ω')/(ω−ω') by adaptive quadrature, cut at every feature and at several widths around it."""
    w, T = mp.mpf(w), mp.mpf(T)
    f = lambda v: (exact_rate(kappa, w - v, T) - exact_rate(kappa, w + v, T)) / (2 * mp.pi * v)  # noqa: E731
    features = {mp.mpf(0), abs(w), *(abs(w + s * mp.mpf(m)) for m in marks for s in (1, -1))}
    cuts = {p + s * q for p in features for q in (0, T / 2, T, 5 * T, mp.mpf("0.1")) for s in (1, -1)}
    cuts = sorted(p for p in cuts if p >= 0)
    return float(mp.quad(f, [*cuts, 5 * cuts[-1]]) + mp.quad(f, [5 * cuts[-1], mp.inf]))


@pytest.mark.parametrize("name", KAPPA)
@pytest.mark.parametrize("omega", [0.0, 0.8, -1.2, 5.0])
def test_principal_value_against_adaptive_quadrature(name, omega):
    """1e−8 relative, as required; 1e−10 seen."""
    spectrum, kappa = KAPPA[name]
    assert float(spectrum.lamb_shift(omega, T)) == pytest.approx(exact_shift(kappa, omega, T), rel=1e-8)


@pytest.mark.parametrize("omega", [0.0, 0.8, -1.2, 5.0])
def test_principal_value_of_a_table(omega):
    """A measured density with a power tail: SciPy's spline through the same points and Gauss–Legendre between all the
    places where a knot meets ω ± ν; 1e−8 relative."""
    knots = np.array([0.2, 0.5, 0.9, 1.4, 2.0, 3.0])
    reduced = np.array([0.3, 0.35, 0.2, 0.22, 0.1, 0.04])
    table = lgks.Tabulated(knots, knots * reduced, tail=3.0)
    both, logs = np.concatenate([-knots[::-1], knots]), np.log(np.concatenate([reduced[::-1], reduced]))
    spline = scipy.interpolate.CubicSpline(both, logs)

    def rate(w):
        x = np.abs(w)
        kappa = np.where(x <= 3.0, np.exp(spline(np.minimum(x, 3.0))), 0.04 * (3.0 / np.maximum(x, 3.0)) ** 3)
        boltzmann = np.exp(-x / T)
        return kappa * x / (1 - boltzmann) * np.where(w > 0, 1.0, boltzmann)  # never at zero

    z, weight = np.polynomial.legendre.leggauss(120)
    cuts = np.unique(np.abs(omega - np.concatenate([both, [0.0]])))
    cuts = np.unique(np.concatenate([[0.0], cuts, np.geomspace(cuts[-1], 1e5, 40)]))
    total = 0.0
    for a, b in itertools.pairwise(cuts):
        nu = (a + b) / 2 + (b - a) / 2 * z
        total += (b - a) / 2 * np.sum(weight * (rate(omega - nu) - rate(omega + nu)) / (2 * np.pi * nu))
    assert float(table.lamb_shift(omega, T)) == pytest.approx(
        total, rel=1e-8, abs=1e-11
    )  # the rest: 27·0.04/(2π·2·1e10)


@pytest.mark.parametrize("temperature", [0.01, 0.35, 20.0])
@pytest.mark.parametrize("cutoff", [0.3, 2.0, 60.0])
def test_at_zero_frequency_it_is_minus_the_reorganisation_energy(temperature, cutoff):
    """S(0) = −∫₀^∞ dω γ(ω)/(2πω): λ for Drude–Lorentz whatever T and the cutoff are."""
    assert float(lgks.DrudeLorentz(0.1, cutoff).lamb_shift(0.0, temperature)) == pytest.approx(-0.1, rel=1e-9)


@pytest.mark.parametrize("name", KAPPA)
def test_derivatives_in_all_parameters(name):
    """In ω, T and every number of the density, against Richardson differences: 1e−7."""
    spectrum, _ = KAPPA[name]
    leaves, tree = jax.tree.flatten(spectrum)
    x = jnp.stack([jnp.asarray(0.8), jnp.asarray(T), *leaves])
    value = jax.jit(lambda x: jax.tree.unflatten(tree, list(x[2:])).lamb_shift(x[0], x[1]))
    slope = jax.jit(jax.grad(value))(x)
    for i in range(x.size):
        step = 1e-3 * x[i]
        q = [(value(x.at[i].add(h)) - value(x.at[i].add(-h))) / (2 * h) for h in (step, step / 2)]
        assert float(slope[i]) == pytest.approx(float((4 * q[1] - q[0]) / 3), rel=1e-7, abs=1e-10)


def test_what_is_not_resolved_is_not_a_number():
    """A line of width 1e−5 in a bare function, which announces no landmark: NaN, never a plausible value."""
    line = lgks.CallableSpectrum(lambda w: w * 1e-8 / ((w**2 - 1) ** 2 + (1e-5 * w) ** 2), at_zero="smooth")
    assert np.isnan(float(line.lamb_shift(0.4, 1.0)))
    smooth = lgks.CallableSpectrum(lambda w: 0.3 * w / (1 + (w / 2) ** 2), at_zero="smooth")
    expected = float(KAPPA["ohmic drude"][0].lamb_shift(0.8, T))
    assert float(smooth.lamb_shift(0.8, T)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    "equation",
    [lgks.Davies(lamb_shift=True), lgks.Unified(lamb_shift=True), lgks.UniversalLindblad(True), lgks.Redfield(True)],
    ids=lambda e: type(e).__name__,
)
def test_a_divergent_shift_is_refused_by_name(equation):
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    with pytest.raises(LambShiftError, match="Flat"):
        lgks.liouvillian(system, equation)


def three_levels(levels=(0.0, 0.7, 0.75), second=lgks.Ohmic(0.05, 1.5, "gaussian")) -> lgks.System:
    rng = np.random.default_rng(2)
    baths = [
        lgks.Bath(hermitian(rng, 3), 0.35, lgks.DrudeLorentz(0.02, 2.0), "a"),
        lgks.Bath(hermitian(rng, 3), 0.6, second, "b"),
    ]
    return lgks.System(np.diag(levels), baths)


def hamiltonian_part(system, make) -> np.ndarray:
    """Σ_α H_LS from the generators with and without: L_with − L_without = −i[H_LS, ·] fixes H_LS up to a constant."""
    d = system.dim
    difference = np.asarray(lgks.liouvillian(system, make(True)) - lgks.liouvillian(system, make(False)))
    blocks = 1j * difference.reshape(d, d, d, d)  # (1 ⊗ H − Hᵀ ⊗ 1)[(n m), (n' m')]
    H = np.einsum("nmnk->mk", blocks) / d
    return H - np.eye(d) * np.trace(H) / d


@pytest.mark.parametrize("name", ["davies", "unified", "universal", "redfield"])
def test_each_form_of_the_shift_written_by_hand(name):
    """Σ_l S_ml S_ln f(…) element by element, with f the equation's own function of the two frequencies: 1e−9.

    The universal form's f(ω, ω') = ∫₀^∞ dν/2πν [√Γ(ω−ν)√Γ(ω'−ν) − √Γ(ω+ν)√Γ(ω'+ν)] by adaptive quadrature.
    """
    system = three_levels()
    E = np.array([0.0, 0.7, 0.75])
    expected = np.zeros((3, 3), complex)
    for bath in system.baths:
        S, spectrum, T = np.asarray(bath.coupling), bath.spectrum, float(bath.temperature)
        shift = np.asarray(spectrum.lamb_shift(E[:, None] - E[None, :], T))
        rates = rate(bath, E[:, None] - E[None, :])
        for m in range(3):
            for n in range(3):
                for k in range(3):
                    a, b = E[m] - E[k], E[n] - E[k]  # frequencies of S†_mk and S_kn
                    product = np.conj(S[k, m]) * S[k, n]
                    if name == "universal":
                        weight = two_frequency_shift(bath, a, b)
                    elif name == "redfield":
                        weight = (shift[m, k] + shift[n, k]) / 2 + (rates[n, k] - rates[m, k]) / 4j
                        weight -= (rates[n, k] - rates[m, k]) / 4j  # that part is there without the Lamb shift too
                    else:
                        near = 0.2 if name == "unified" else 1e-9
                        weight = (shift[m, k] + shift[n, k]) / 2 if abs(a - b) < near else 0.0
                    expected[m, n] += product * weight
    make = {
        "davies": lambda on: lgks.Davies(lamb_shift=on),
        "unified": lambda on: lgks.Unified(width=0.5, lamb_shift=on),
        "universal": lgks.UniversalLindblad,
        "redfield": lgks.Redfield,
    }[name]
    got = hamiltonian_part(system, make)
    expected = expected - np.eye(3) * np.trace(expected) / 3
    if name == "redfield":
        # Redfield's shift is not a commutator alone: compare the effective Hamiltonian, K − K† over 2i.
        K = [sum(D.drift for D in dissipation(system, lgks.Redfield(on)).dissipators()) for on in (True, False)]
        difference = np.asarray(K[0] - K[1])
        got = (difference - difference.conj().T) / 2j
        got = got - np.eye(3) * np.trace(got) / 3
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def two_frequency_shift(bath, a, b) -> float:
    from scipy.integrate import quad

    def integrand(v):
        with np.errstate(over="ignore"):  # far below zero, where Γ vanishes
            pairs = np.sqrt(rate(bath, np.array([a - v, b - v, a + v, b + v])))
        return (pairs[0] * pairs[1] - pairs[2] * pairs[3]) / (2 * np.pi * v)

    cuts = sorted({abs(a), abs(b), float(bath.spectrum.cutoff), 0.2, 1.0, 5.0, 20.0} - {0.0})
    pieces = [
        quad(integrand, lo, hi, epsabs=1e-13, epsrel=1e-11, limit=200)[0]
        for lo, hi in zip([0.0, *cuts], cuts, strict=False)
    ]
    far = quad(lambda u: integrand(cuts[-1] / u) * cuts[-1] / u**2, 0, 1, epsabs=1e-13, epsrel=1e-11, limit=400)[0]
    return sum(pieces) + far


@pytest.mark.parametrize(
    "name", ["universal", *(pytest.param(n, marks=pytest.mark.slow) for n in ("unified", "redfield"))]
)
def test_two_routes_with_the_lamb_shift(name):
    """Response of a heat current at exact degeneracy: explicit against autodiff 1e−9, differences 1e−6. Baths of one
    kind, which are one program. (Each kind: the derivatives in all parameters, and the forms by hand, above.)"""
    system = three_levels((0.0, 0.7, 0.7), lgks.DrudeLorentz(0.03, 1.5))
    equation = {
        "unified": lgks.Unified(width=0.5, lamb_shift=True),  # Davies and Local share its code
        "universal": lgks.UniversalLindblad(True),
        "redfield": lgks.Redfield(True),
    }[name]
    V = hermitian(np.random.default_rng(3), 3)
    check = eqx.filter_jit(lgks.cross_validate)(system, V, lgks.HeatCurrent("a"), equation)
    assert float(check.autodiff_difference) < 1e-9
    assert float(check.finite_difference_difference) < 1e-6


def test_the_shift_leaves_populations_of_davies_alone():
    """[H_LS, H] = 0: at distinct levels neither state nor currents change."""
    case = draw(2)
    state = lgks.steady_state(case.system).rho
    shifted = lgks.steady_state(case.system, lgks.Davies(lamb_shift=True)).rho
    np.testing.assert_allclose(shifted, state, rtol=0, atol=1e-12)
