"""Γ(ω) and √Γ(ω) of every spectral density: detailed balance, value and slope through ω = 0, against fifty digits."""

import contextlib
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.special

import jaxlgks as lgks
from jaxlgks.errors import RESULTS, DensityWarning, InputError, SingularDensityError

S, CUTOFF, T = 0.3, 2.0, 0.7

# name -> (density, κ(ω) = γ(ω)/ω for ω > 0 in mpmath, how Γ behaves at ω = 0)
DENSITIES = {
    "ohmic exponential": (lgks.Ohmic(S, CUTOFF), lambda w: mp.mpf(S) * mp.exp(-w / mp.mpf(CUTOFF)), "kink"),
    "ohmic gaussian": (
        lgks.Ohmic(S, CUTOFF, shape="gaussian"),
        lambda w: mp.mpf(S) * mp.exp(-((w / mp.mpf(CUTOFF)) ** 2)),
        "smooth",
    ),
    "ohmic drude": (
        lgks.Ohmic(S, CUTOFF, shape="drude"),
        lambda w: mp.mpf(S) / (1 + (w / mp.mpf(CUTOFF)) ** 2),
        "smooth",
    ),
    "drude lorentz": (
        lgks.DrudeLorentz(S, CUTOFF),
        lambda w: 4 * mp.mpf(S) * mp.mpf(CUTOFF) / (w**2 + mp.mpf(CUTOFF) ** 2),
        "smooth",
    ),
    "flat": (lgks.Flat(S), lambda w: mp.mpf(S) / w, "singular"),
}
NEAR = np.concatenate([10.0 ** np.arange(-12, 0), np.linspace(0.15, 9.0, 23)])  # 1e−12 … 9: |ω|/T up to 13
BOTH = np.concatenate([-NEAR[::-1], NEAR])


def exact_rate(kappa, omega, temperature=T):
    """Γ(ω) = γ(|ω|)(n+1) or γ(|ω|)n in fifty digits."""
    w, T_ = mp.mpf(float(omega)), mp.mpf(temperature)
    occupation = 1 / mp.expm1(abs(w) / T_)
    return abs(w) * kappa(abs(w)) * (occupation + 1 if w > 0 else occupation)


def exact_slope(kappa, omega, power=1.0):
    """d(Γ^power)/dω in fifty digits."""
    return mp.diff(
        lambda w: _rate(kappa, w) ** power, mp.mpf(float(omega)), h=abs(mp.mpf(float(omega))) * mp.mpf("1e-15")
    )


def _rate(kappa, w):
    occupation = 1 / mp.expm1(abs(w) / mp.mpf(T))
    return abs(w) * kappa(abs(w)) * (occupation + 1 if w > 0 else occupation)


def relative(got, expected, scale=None):
    """Largest |got − expected| over |expected|, or over a scale."""
    got, expected = np.asarray(got, float), [mp.mpf(e) for e in expected]
    sizes = [abs(e) if scale is None else mp.mpf(scale) for e in expected]
    return max(float(abs(mp.mpf(float(g)) - e) / s) for g, e, s in zip(got, expected, sizes, strict=True))


def slope(function, omega):
    return jax.jvp(function, (jnp.asarray(omega),), (jnp.ones_like(omega),))[1]


@pytest.mark.parametrize("name", DENSITIES)
def test_rate_to_fifty_digits(name):
    """A few roundings: 1e−14 relative at every distance from zero, on both sides."""
    density, kappa, _ = DENSITIES[name]
    assert relative(density.rate(BOTH, T), [exact_rate(kappa, w) for w in BOTH]) < 1e-14


@pytest.mark.parametrize("power", [1.0, 0.5], ids=["rate", "root"])
@pytest.mark.parametrize("name", DENSITIES)
def test_slope_to_fifty_digits(name, power):
    """dΓ/dω and d√Γ/dω. The slope is a sum of terms (of κ, of the Bose factor) that may cancel, so its error is
    measured against their size, Γ^p (1/T + 1), or Γ^p (1/T + 1/|ω|) for Flat, not against the sum: 2e−14 of it."""
    density, kappa, _ = DENSITIES[name]
    function = (lambda w: density.rate(w, T)) if power == 1.0 else (lambda w: density.amplitude(w, jnp.asarray(T)))
    got = np.asarray(slope(function, BOTH))
    for w, value in zip(BOTH, got, strict=True):
        expected = exact_slope(kappa, w, mp.mpf(power))
        size = exact_rate(kappa, w) ** mp.mpf(power) * (1 / mp.mpf(T) + (1 / abs(mp.mpf(w)) if name == "flat" else 1))
        assert abs(mp.mpf(float(value)) - expected) < 2e-14 * size, w


@pytest.mark.parametrize("name", DENSITIES)
def test_detailed_balance(name):
    """Γ(−ω) = e^{−ω/T} Γ(ω) (KMS) for ω/T from 1e−9 to 600.

    Γ is the square of √Γ, whose exponent ω/2T carries a rounding of 1e−16 ω/2T: 1e−14 + 4e−16 ω/T in all, 3e−13 at 600.
    """
    density, _, _ = DENSITIES[name]
    ratio = np.concatenate([10.0 ** np.arange(-9.0, 1), [30, 100, 300, 600]])
    for temperature in (1e-3, T, 50.0, 1e4):
        cut = eqx.tree_at(lambda d: d.cutoff, density, jnp.asarray(1e3 * temperature)) if name != "flat" else density
        omega = ratio * temperature
        down, up = cut.rate(-omega, temperature), cut.rate(omega, temperature)
        assert np.all(np.asarray(down) > 0)
        for x, d, u in zip(omega / temperature, down, up, strict=True):
            expected = mp.exp(-mp.mpf(float(x))) * mp.mpf(float(u))
            assert abs(mp.mpf(float(d)) / expected - 1) < 1e-14 + 4e-16 * float(x), (temperature, x)


@pytest.mark.parametrize("name", DENSITIES)
def test_the_bath_says_the_same(name):
    bath = lgks.Bath(jnp.eye(2), T, DENSITIES[name][0])
    np.testing.assert_array_equal(bath.rate(BOTH), DENSITIES[name][0].rate(BOTH, T))


def test_far_from_zero_nothing_overflows():
    """Beyond |ω|/T = 745 the absorption rate underflows to zero; values and slopes stay finite."""
    for density in (lgks.DrudeLorentz(S, CUTOFF), lgks.Flat(S), lgks.Ohmic(S, CUTOFF)):
        omega = jnp.array([-1e5, -1e3, 1e3, 1e5])
        assert np.all(np.isfinite(density.rate(omega, T)))
        assert np.all(np.isfinite(slope(lambda w, d=density: d.amplitude(w, jnp.asarray(T)), omega)))
        assert float(density.rate(-1e5, T)) == 0.0


@pytest.mark.parametrize("temperature", [1e-3, 0.7, 1e4])
@pytest.mark.parametrize("shape", ["exponential", "gaussian", "drude"])
def test_ohmic_at_zero_is_strength_times_temperature(shape, temperature):
    """Γ(0) = s T to two roundings."""
    assert float(lgks.Ohmic(S, CUTOFF, shape=shape).rate(0.0, temperature)) == pytest.approx(S * temperature, rel=4e-16)


@pytest.mark.parametrize("name", [name for name in DENSITIES if name != "flat"])
def test_value_and_slope_at_zero_itself(name):
    """Γ(0) = T κ(0); for a smooth density Γ'(0) = κ(0)/2 and (√Γ)'(0) = √(κ(0)/T)/4. To 1e−15."""
    density, kappa, at_zero = DENSITIES[name]
    k = float(kappa(mp.mpf(0)))
    assert float(density.rate(0.0, T)) == pytest.approx(T * k, rel=1e-15)
    if at_zero == "smooth":
        assert float(slope(lambda w: density.rate(w, T), 0.0)) == pytest.approx(k / 2, rel=1e-15)
        root = slope(lambda w: density.amplitude(w, jnp.asarray(T)), 0.0)
        assert float(root) == pytest.approx(np.sqrt(k / T) / 4, rel=1e-15)


def test_exponential_cutoff_has_the_kink_of_the_theory():
    """Slopes s/2 ± s T/ω_c at zero: 0.255 from the left, 0.045 from the right, seen 1e−9 away."""
    density = lgks.Ohmic(S, CUTOFF)
    left, right = slope(lambda w: density.rate(w, T), np.array([-1e-9, 1e-9]))
    assert float(left) == pytest.approx(0.255, abs=1e-8)
    assert float(right) == pytest.approx(0.045, abs=1e-8)


def test_flat_is_the_constant_rate_of_the_paper():
    """γ(n+1) above zero, γn below, zero at zero by convention, and no spontaneous part without emission."""
    flat, omega = lgks.Flat(S), np.array([0.01, 0.5, 3.0])
    n = 1 / np.expm1(omega / T)
    np.testing.assert_allclose(flat.density(omega), S, rtol=2e-16)
    np.testing.assert_allclose(flat.rate(omega, T), S * (n + 1), rtol=1e-14)
    np.testing.assert_allclose(flat.rate(-omega, T), S * n, rtol=1e-14)
    np.testing.assert_allclose(flat.rate(omega, T) - flat.rate(-omega, T), S, rtol=1e-13)
    assert float(flat.rate(0.0, T)) == 0.0
    assert flat.at_zero == "singular"


def test_drude_lorentz_is_twice_qutips_spectral_density():
    """Γ(ω) = 2 J(ω)(n+1), J = 2λωω_c/(ω² + ω_c²); Γ(0) = 4λT/ω_c."""
    omega = np.array([0.1, 1.0, 5.0])
    J = 2 * S * omega * CUTOFF / (omega**2 + CUTOFF**2)
    density = lgks.DrudeLorentz(S, CUTOFF)
    np.testing.assert_allclose(density.density(omega), 2 * J, rtol=1e-15)
    np.testing.assert_allclose(density.rate(omega, T), 2 * J * (1 / np.expm1(omega / T) + 1), rtol=1e-14)
    assert float(density.rate(0.0, T)) == pytest.approx(4 * S * T / CUTOFF, rel=1e-15)


@pytest.mark.parametrize("name", DENSITIES)
def test_kind_at_zero(name):
    assert DENSITIES[name][0].at_zero == DENSITIES[name][2]


# ----------------------------------------------------------------------------------------------------------------------
# Any callable
# ----------------------------------------------------------------------------------------------------------------------


class Drude(eqx.Module):
    strength: jax.Array
    cutoff: jax.Array

    def __call__(self, omega):
        return 4 * self.strength * omega * self.cutoff / (omega**2 + self.cutoff**2)


CALLABLES = {
    "ohmic exponential": lambda w: S * w * jnp.exp(-w / CUTOFF),
    "ohmic gaussian": lambda w: S * w * jnp.exp(-((w / CUTOFF) ** 2)),
    "ohmic drude": lambda w: S * w / (1 + (w / CUTOFF) ** 2),
    "drude lorentz": Drude(jnp.asarray(S), jnp.asarray(CUTOFF)),
    "flat": lambda w: S + 0 * w,
}


@pytest.mark.parametrize("name", CALLABLES)
def test_a_callable_is_as_good_as_the_built_in(name):
    """Value and slope of √Γ, near zero and far: κ = γ/ω is never formed by a division that loses digits. 1e−13 leaves
    ten roundings of the eight-point quadrature; at Flat's 1/ω the slope is measured relative to itself."""
    with pytest.warns(DensityWarning) if name == "flat" else contextlib.nullcontext():
        wrapped = lgks.CallableSpectrum(CALLABLES[name])
    built_in = DENSITIES[name][0]
    assert wrapped.at_zero == built_in.at_zero
    omega = np.concatenate([BOTH, [0.0]])
    np.testing.assert_allclose(wrapped.rate(omega, T), built_in.rate(omega, T), rtol=1e-13)
    omega = BOTH if built_in.at_zero != "smooth" else omega
    ours = slope(lambda w: wrapped.amplitude(w, jnp.asarray(T)), omega)
    theirs = slope(lambda w: built_in.amplitude(w, jnp.asarray(T)), omega)
    np.testing.assert_allclose(ours, theirs, rtol=1e-13 if name == "flat" else 0, atol=0 if name == "flat" else 1e-13)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda w: jnp.sin(w), "smooth"),
        (lambda w: w / (1 + w), "kink"),
        (lambda w: w + 0.1, "singular"),
        (lambda w: jnp.sqrt(w), "singular"),
        (lambda w: w**3, "kink"),
        (lambda w: 1 / jnp.asarray(w), "singular"),
    ],
    ids=["sine", "saturating", "offset", "sub-Ohmic", "super-Ohmic", "pole"],
)
def test_behaviour_at_zero_is_found(function, kind):
    """By value, slope and curvature at zero. With exponent 3 both vanish, and √Γ ∝ |ω| has a kink."""
    with pytest.warns(DensityWarning, match="0.1,") if function(0.0) == 0.1 else contextlib.nullcontext():
        assert lgks.CallableSpectrum(function).at_zero == kind


@pytest.mark.parametrize(
    "function",
    [
        lambda w: 0.1 * w * np.exp(-w),
        lambda w: 0.1 * math.tanh(w),
        lambda w: 0.1 * w * scipy.special.erfc(w),
        lambda w: np.interp(w, [0.0, 1.0, 2.0], [0.0, 0.1, 0.0]),
        lambda w: 0.1 * w if w < 5 else 0.0,
        lambda w: max(0.0, 1 - w) * w,
        lambda w: jax.lax.cond(w > 1, lambda w: w, lambda w: 0.1 * w, w),  # of one frequency only
    ],
    ids=["numpy", "math", "scipy", "table", "if", "max", "cond"],
)
def test_what_jax_cannot_trace_is_refused_at_once(function):
    """By name, with what to write instead, whether or not the behaviour at zero is said: the `if` used to pass with
    known numbers and to end in a ValueError later, the others in an error of a tracer."""
    for at_zero in (None, "kink"):
        with pytest.raises(InputError, match=r"trace.*jax\.numpy.*Tabulated"):
            lgks.CallableSpectrum(function, at_zero)


def test_a_power_spectrum_is_told_from_a_density():
    """S(ω) = γ(ω)(n + 1) of QuTiP, given as γ, would be taken n + 1 times too large: a warning, with a
    conversion that gives S(ω) back, at zero too."""
    power = lambda w: 0.3 / (1 + w**2)  # noqa: E731
    with pytest.warns(DensityWarning, match=r"lambda w: -jnp\.expm1\(-w / T\) \* S\(w\)"):
        lgks.Bath(jnp.eye(2), T, power)
    bath = lgks.Bath(jnp.eye(2), T, lambda w: -jnp.expm1(-w / T) * power(w))
    omega = np.array([0.0, 1e-6, 0.4, 3.0])
    np.testing.assert_allclose(bath.rate(omega), power(omega), rtol=1e-13)
    lgks.CallableSpectrum(power, at_zero="singular")  # meant so: no warning


def thermal(w):
    return 0.1 * w * jnp.exp(-w) / (1 - jnp.exp(-w / 0.4))


@pytest.mark.parametrize(
    "power",
    [
        thermal,
        lambda w: thermal(w) * (w > 0),
        lambda w: jnp.where(w > 0, thermal(jnp.where(w > 0, w, 1.0)), 0.0),
        lambda w: 1e13 * thermal(w / 1e13),
        lambda w: 0.05 * w * jnp.exp(-w) * (1 / jnp.tanh(w / 0.8) + 1),
        lambda w: 0.04 * (w > 0),
    ],
    ids=["0/0", "0/0 times a step", "double where", "other units", "coth", "step"],
)
def test_a_power_spectrum_is_told_where_zero_hides_it(power):
    """γ(0) is 0 or NaN, the limit 0.04: the warning gives that, and Γ(0) counts as infinite."""
    with pytest.warns(DensityWarning, match=r"γ\(0\) = (0\.04|4e\+11), .*expm1"):
        assert lgks.CallableSpectrum(power).at_zero == "singular"


@pytest.mark.parametrize(
    ("hidden", "inside"),
    [
        (lambda w: jnp.where(w > 0, 0.1 * w * jnp.exp(-w), 0.0), 0.1),
        (lambda w: (w > 0) * 0.1 * w / (1 + w**2), 0.1),
        (lambda w: 0.1 * w / (1 + (w / 1e-22) ** 2), 0.1),
        (lambda w: 1 - jnp.exp(-w), 1.0),
        (lambda w: jnp.where(w > 1, 0.01, 0.0), 0.0),
        (lambda w: w - jnp.sin(w), 0.0),
        (lambda w: w**1.1, 0.0),
    ],
    ids=["Ohmic times a step", "Drude times a step", "joules", "cancels", "box with a gap", "noise", "super-Ohmic"],
)
def test_the_rate_at_zero_is_the_limit(hidden, inside):
    """Γ(0) = T lim γ(ω)/ω also where γ(0) is told apart (Γ(0) was 0, in silence); no alarm for gaps, for units in which
    all frequencies are tiny, and where numbers cancel at zero."""
    density = lgks.CallableSpectrum(hidden)
    assert density.at_zero != "singular"
    np.testing.assert_allclose(density.rate(0.0, T), T * inside, rtol=1e-13)


INFINITE = [
    lambda w: 0.001 / w,
    lambda w: 0.001 * jnp.sqrt(w),
    lambda w: jnp.where(w > 0, 0.001 * jnp.sqrt(jnp.where(w > 0, w, 1.0)), 0.0),
    lambda w: jnp.where(w > 1e-12, 0.001 / w, 0.0),
    lambda w: jnp.where(w > 0, -0.001 * w * jnp.log(jnp.where(w > 0, w, 1.0)), 0.0),
]


@pytest.mark.parametrize("function", INFINITE, ids=["pole", "sub-Ohmic", "double where", "guarded", "logarithm"])
def test_an_infinite_rate_at_zero_is_refused_where_it_is_coupled(function):
    """S = σz used to dephase not at all: Γ(0) was 0 in silence. A component at zero frequency that is the same in all
    levels does nothing, and Flat has Γ(0) = 0 by its convention."""
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    system = lambda S, density: lgks.System(0.5 * Z, lgks.Bath(S, T, density, "b"))  # noqa: E731
    for S in (Z, X + Z):
        with pytest.raises(SingularDensityError, match="'b' couples to the system at zero frequency"):
            lgks.liouvillian(system(S, function))
    lgks.liouvillian(system(X + Z, lgks.Flat(0.001)))
    L = lgks.liouvillian(system(X, function))
    np.testing.assert_array_equal(lgks.liouvillian(system(X + 0.3 * jnp.eye(2), function)), L)
    rates = lgks.CallableSpectrum(function).rate([1.0, -1.0], T)  # the logarithm is 0 at 1
    assert float(L[1, 1].real) == pytest.approx(-float(rates.sum()) / 2, rel=1e-13)


def test_where_traced_the_result_says_that_the_generator_is_not_finite():
    """A rate at zero that is infinite, a density that is negative: NaN, and why."""
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    densities = (
        (X + Z, lgks.CallableSpectrum(INFINITE[1])),
        (X, lgks.CallableSpectrum(lambda w: -0.1 * w)),
    )
    state = jax.jit(lambda s: lgks.steady_state(s, solver=lgks.Dense()))
    for S, density in densities:
        steady = state(lgks.System(0.5 * Z, lgks.Bath(S, T, density)))
        assert np.all(np.isnan(steady.rho))
        assert steady.result == RESULTS.not_finite


def test_super_ohmic_value_near_zero():
    """γ = ω³: κ = ω² near zero, Γ = T ω² B(ω/T) to 1e−13 down to 1e−12, although κ(0) = 0."""
    density = lgks.CallableSpectrum(lambda w: w**3)
    assert relative(density.rate(BOTH, T), [exact_rate(lambda w: w**2, w) for w in BOTH]) < 1e-13


def test_the_behaviour_can_be_said_where_it_cannot_be_found():
    """Inside `jit` the numbers of a callable are traced: said, it works; left out, it is refused with a remedy."""

    def rate(strength, at_zero):
        function = Drude(strength, jnp.asarray(CUTOFF))
        return lgks.CallableSpectrum(function, at_zero=at_zero).rate(1.0, T)

    expected = lgks.DrudeLorentz(S, CUTOFF).rate(1.0, T)
    assert float(jax.jit(lambda s: rate(s, "smooth"))(S)) == pytest.approx(float(expected), rel=1e-14)
    with pytest.raises(ValueError, match="at_zero="):
        jax.jit(lambda s: rate(s, None))(S)


def test_numbers_inside_a_callable_can_be_differentiated():
    def rate(build):
        return lambda s, c: build(s, c).rate(jnp.array([-1.0, 0.0, 0.3]), T)

    ours = jax.jacfwd(rate(lambda s, c: lgks.CallableSpectrum(Drude(s, c), at_zero="smooth")), (0, 1))(S, CUTOFF)
    theirs = jax.jacfwd(rate(lgks.DrudeLorentz), (0, 1))(S, CUTOFF)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


# ----------------------------------------------------------------------------------------------------------------------
# Derivatives in the numbers of a density
# ----------------------------------------------------------------------------------------------------------------------

EXACT = {
    "ohmic exponential": lambda w, s, c: s * mp.exp(-w / c),
    "ohmic gaussian": lambda w, s, c: s * mp.exp(-((w / c) ** 2)),
    "ohmic drude": lambda w, s, c: s / (1 + (w / c) ** 2),
    "drude lorentz": lambda w, s, c: 4 * s * c / (w**2 + c**2),
}


@pytest.mark.parametrize("which", ["strength", "cutoff", "temperature"])
@pytest.mark.parametrize("name", EXACT)
def test_derivatives_in_strength_cutoff_and_temperature(name, which):
    """Against fifty digits, at both signs and at zero; 1e−13 of Γ over the parameter."""
    density, kappa = DENSITIES[name][0], EXACT[name]
    omega = np.array([-3.0, -0.4, -1e-7, 0.0, 1e-7, 0.4, 3.0])

    def rate(x):
        if which == "temperature":
            return density.rate(omega, x)
        return eqx.tree_at(lambda d: getattr(d, which), density, x).rate(omega, T)

    start = {"strength": S, "cutoff": CUTOFF, "temperature": T}[which]
    got = jax.jacfwd(rate)(start)
    for w, g, value in zip(omega, got, rate(start), strict=True):

        def exact(x, w=mp.mpf(float(w))):
            numbers = {"strength": mp.mpf(S), "cutoff": mp.mpf(CUTOFF), "temperature": mp.mpf(T)} | {which: x}
            T_, k = numbers["temperature"], kappa(abs(w), numbers["strength"], numbers["cutoff"])
            return T_ * k if w == 0 else w * k / (-mp.expm1(-w / T_))

        expected = mp.diff(exact, mp.mpf(start), h=mp.mpf("1e-15"))
        assert abs(mp.mpf(float(g)) - expected) < 1e-13 * mp.mpf(float(value)) / mp.mpf(start) * (1 + abs(w) / T), w


def test_flat_and_its_derivative_in_the_rate():
    assert float(jax.grad(lambda g: lgks.Flat(g).rate(-0.5, T))(S)) == pytest.approx(1 / np.expm1(0.5 / T), rel=1e-14)
    assert float(jax.grad(lambda g: lgks.Flat(g).rate(0.0, T))(S)) == 0.0


# ----------------------------------------------------------------------------------------------------------------------
# Single precision
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DENSITIES)
def test_single_precision(name):
    """float32 in, float32 out, the same numbers to 5e−6: 6e−8 in an exponent of up to 13, and more."""
    double = DENSITIES[name][0]
    single = jax.tree.map(lambda x: x.astype(jnp.float32), double)
    omega = np.concatenate([BOTH, [0.0]]).astype(np.float32)
    got = single.rate(omega, jnp.float32(T))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, double.rate(omega.astype(float), T), rtol=5e-6)
    assert slope(lambda w: single.amplitude(w, jnp.float32(T)), omega).dtype == jnp.float32
