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


def closed_drude(w, T, p):
    """S(ω) of κ = 1/(ω² + p²) in fifty digits, by digamma functions on the other side of the reflection formula:
    −ψ(1−a) − ψ(1+a) and a cotangent, singular where a = p/2πT is a whole number."""
    a, b = p / (2 * mp.pi * T), -1j * w / (2 * mp.pi * T)
    sums = (mp.digamma(1 - a) - mp.digamma(1 + b)) / (b + a) + (mp.digamma(1 + a) - mp.digamma(1 + b)) / (b - a)
    return ((mp.cot(mp.pi * a) - 1j) / (4 * (p - 1j * w)) - sums / (8 * mp.pi**2 * T)).imag


def closed_brownian(w, T, width, resonance):
    """S(ω) of κ = 1/((ω² − ω₀²)² + Γ²ω²): a difference of two of those, which are complex."""
    zeta = mp.sqrt(resonance**2 - width**2 / 4) or resonance * mp.mpf(10) ** -15
    up, down = width / 2 + 1j * zeta, width / 2 - 1j * zeta
    a = lambda p: p / (2 * mp.pi * T)  # noqa: E731
    real = lambda w: mp.digamma(1 + 1j * w / (2 * mp.pi * T)).real  # noqa: E731
    one = lambda p: (-p / 4 + w / 2 / mp.pi * (real(w) - mp.digamma(a(p)) - 1 / (2 * a(p)))) / (w**2 + p**2)  # noqa: E731
    return ((one(down) - one(up)) / (up**2 - down**2)).real


CLOSED = {  # ω, T and the numbers of the density; away from whole p/2πT, which the witness does not know
    "drude": (
        lambda x: lgks.DrudeLorentz(x[2], x[3]).lamb_shift(x[0], x[1]),
        lambda w, T, s, p: 4 * s * p * closed_drude(w, T, p),
    ),
    "brownian": (
        lambda x: lgks.UnderdampedBrownian(x[2], x[3], x[4]).lamb_shift(x[0], x[1]),
        lambda w, T, s, width, resonance: 2 * s**2 * width * closed_brownian(w, T, width, resonance),
    ),
}
VALUES = {name: jax.jit(function) for name, (function, _) in CLOSED.items()}


def numbers(name, rng):
    """At random over many decades; narrow and overdamped lines, and near critical damping on both sides."""
    T, s, p = 10.0 ** rng.uniform([-4, -2, -2], [4, 2, 2])
    w = rng.choice([-1, 0, 1], p=[0.45, 0.1, 0.45]) * 10.0 ** rng.uniform(-5, 5)
    if name == "drude":
        return [w, T, s, p]
    width = p * rng.choice([10.0 ** rng.uniform(-2, 3), 2, 2 + 1e-9, 2 - 1e-5, 1.9, 2.02])
    return [w if rng.random() < 0.6 else rng.choice([-1, 1]) * (p + width * rng.normal()), T, s, width, p]


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_to_fifty_digits(name):
    """|S − exact| < 1e−12 |G|, G = Γ/2 + iS; 1e−12 |S| where Γ is not larger."""
    rng = np.random.default_rng(4)
    with mp.workdps(50):
        for _ in range(200):
            x = numbers(name, rng)
            w, T, *rest = map(mp.mpf, x)
            exact = CLOSED[name][1](w, T, *rest)
            kappa = 4 * rest[0] * rest[1] / (w**2 + rest[1] ** 2)
            if name == "brownian":
                kappa = 2 * rest[0] ** 2 * rest[1] / ((w**2 - rest[2] ** 2) ** 2 + (rest[1] * w) ** 2)
            size = abs(exact_rate(lambda _, k=kappa: k, w, T) / 2 + 1j * exact)
            assert abs(mp.mpf(float(VALUES[name](jnp.asarray(x)))) - exact) < 1e-12 * size, x


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("drude", [0.8, 0.35, 0.1, 2.0]),
        ("drude", [0.0, 0.35, 0.1, 2.0]),
        ("drude", [-1.3, 1.0, 0.1, 2 * np.pi]),  # a Matsubara frequency on the pole: p = 2πT
        ("drude", [0.0, 0.5, 0.1, 3 * np.pi]),
        ("drude", [1e-9, 1e-3, 0.1, 2.0]),
        ("drude", [30.0, 1e4, 0.1, 2.0]),
        ("brownian", [0.8, 0.35, 0.1, 0.3, 1.5]),
        ("brownian", [0.0, 0.35, 0.1, 2.0, 1.0]),  # critical damping
        ("brownian", [-1.3, 0.35, 0.1, 2.0, 1.0]),
        ("brownian", [1.1, 0.35, 0.1, 2.1, 1.0]),
        ("brownian", [1.1, 0.35, 0.1, 5.0, 1.0]),
    ],
)
def test_first_and_second_derivatives_of_closed_forms(name, x):
    """In ω, T and all numbers of the density, against differences in a hundred digits: 1e−10 of the value over the
    scales of the two variables, ω's being that of the problem."""
    scales = np.maximum(np.abs(x), 1e-3)
    scales[0] = max(abs(x[0]), min(x[1], x[-1]))
    slope, curvature = DERIVATIVES[name](jnp.asarray(x))
    with mp.workdps(100):  # next to its poles the witness loses half of them
        point, exact = [mp.mpf(v) + mp.mpf(10) ** -18 for v in x], CLOSED[name][1]  # off the poles of the witness
        size = max(abs(exact(*point)), 1e-3)
        step = mp.mpf(10) ** -12

        def at(*moves):
            return exact(*(v + step * sum(k for j, k in moves if j == i) for i, v in enumerate(point)))

        for i in range(len(x)):
            first = (at((i, 1)) - at((i, -1))) / (2 * step)
            assert abs(float(slope[i]) - first) * scales[i] < 1e-10 * max(size, abs(first) * scales[i]), i
            for j in range(i + 1):
                second = at((i, 1), (j, 1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1)) + at((i, -1), (j, -1))
                second /= 4 * step**2
                scale = scales[i] * scales[j]
                assert abs(float(curvature[i, j]) - second) * scale < 1e-10 * max(size, abs(second) * scale), (i, j)


DERIVATIVES = {
    name: jax.jit(lambda x, f=function: (jax.grad(f)(x), jax.hessian(f)(x))) for name, (function, _) in CLOSED.items()
}


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


def gap(w):
    """The edge of a band at ω = 1."""
    return jnp.where(w > 1, 0.01 * jnp.sqrt(w - 1) / w, 0.0)


@mp.workdps(20)
def exact_shift_of_the_gap(w, T) -> float:
    """With ω' = ±(1 + u²) the edge is gone; of the pole what is integrable is left, since P∫₀^∞ du/(a − u²) = 0."""
    w, T = mp.mpf(w), mp.mpf(T)
    occupation = lambda u: 1 / mp.expm1((1 + u * u) / T)  # noqa: E731
    emitted = lambda u: 2 * u * u / (1 + u * u) * (1 + occupation(u))  # noqa: E731
    pole = mp.sqrt(w - 1) if w > 1 else 0
    at_pole = emitted(pole) if w > 1 else 0
    cuts = [0, pole / 2, pole, 2 * pole, 10, mp.inf] if w > 1 else [0, 1, 10, mp.inf]
    up = mp.quad(lambda u: (emitted(u) - at_pole) / (w - 1 - u * u), cuts)
    down = mp.quad(lambda u: 2 * u * u / (1 + u * u) * occupation(u) / (w + 1 + u * u), [0, 1, 10])
    return float((up + down) / 100 / (2 * mp.pi))


@pytest.mark.parametrize("landmarks", [None, [1.0]], ids=["found", "given"])
def test_a_gap(landmarks):
    """A square root above an edge, which the quadrature finds or is told: 1e−8 (1e−10 seen); NaN before."""
    omega = [0.8, -0.8, 0.0, 1.5]
    expected = [exact_shift_of_the_gap(w, 0.4) for w in omega]
    np.testing.assert_allclose(expected, [-0.003486, -0.002104, -0.0025, -0.003294], atol=6e-7)
    density = lgks.CallableSpectrum(gap, landmarks=landmarks)
    np.testing.assert_allclose(density.lamb_shift(omega, 0.4), expected, rtol=1e-8)


def test_narrow_lines():
    """A line of width 1e−5 is a mode at ω₀ = 1 with g² = ∫dω γ/2π: S(ω) = g²[(n+1)/(ω−ω₀) + n/(ω+ω₀)] up to the width
    over the distance, S(0) = −λ²/2ω₀² exactly; as a bare function and as the member of its name, both NaN before."""
    strength, width = 0.05, 1e-5
    function = lambda w: 2 * strength**2 * width * w / ((w**2 - 1) ** 2 + (width * w) ** 2)  # noqa: E731
    omega, n = np.array([0.8, -0.8, 1.5]), 1 / np.expm1(1 / 0.4)
    mode = strength**2 / 2 * ((n + 1) / (omega - 1) + n / (omega + 1))
    for density in (lgks.CallableSpectrum(function), lgks.UnderdampedBrownian(strength, width, 1.0)):
        *shifts, at_zero = np.asarray(density.lamb_shift([*omega, 0.0], 0.4))
        np.testing.assert_allclose(shifts, mode, rtol=1e-4)
        assert float(at_zero) == pytest.approx(-(strength**2) / 2, rel=1e-8)


def test_a_smooth_function_is_as_good_as_its_member():
    """1e−8: cuts at its roughest places, of which it has none to speak of, cost no digits."""
    smooth = lgks.CallableSpectrum(lambda w: 0.3 * w / (1 + (w / 2) ** 2), at_zero="smooth")
    expected = float(KAPPA["ohmic drude"][0].lamb_shift(0.8, T))
    assert float(smooth.lamb_shift(0.8, T)) == pytest.approx(expected, rel=1e-8)


GROWING = lgks.CallableSpectrum(lambda w: 0.1 * w, landmarks=[1.0])


@pytest.mark.slow
def test_a_shift_of_the_universal_equation_that_is_not_resolved_is_refused_by_name():
    """Its quadrature is its own, and used to give a plausible number."""
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    with pytest.raises(LambShiftError, match=r"bath 'b'.*landmarks"):
        lgks.liouvillian(lgks.System(0.5 * Z, lgks.Bath(X, 1.0, GROWING, "b")), lgks.UniversalLindblad(True))


def test_a_shift_that_is_not_resolved_is_refused_by_name():
    """A density that does not fall off: an error, NaN where numbers are traced. A table that ends has no integral to
    infinity."""
    with pytest.raises(LambShiftError, match=r"ω = 0\.4.*landmarks"):
        GROWING.lamb_shift(0.4, 1.0)
    assert np.isnan(jax.jit(lambda w: GROWING.lamb_shift(w, 1.0))(0.4))
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    table = lgks.Tabulated([0.5, 1.0, 2.0], [0.1, 0.2, 0.1])
    for equation in (lgks.Davies(lamb_shift=True), lgks.UniversalLindblad(True)):
        with pytest.raises(LambShiftError, match="tail=p"):
            lgks.liouvillian(lgks.System(0.5 * Z, lgks.Bath(X, 1.0, table)), equation)


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
