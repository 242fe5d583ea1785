"""C(t) of a bath, and its sums of exponentials: closed forms, QuTiP, and the transform that has a closed form."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import qutip

import jaxlgks as lgks
from jaxlgks._spectra import Moved
from jaxlgks._spectra._bose import geometric, pade
from jaxlgks.errors import CorrelationError, InputError

T = 0.35
DRUDE, BROWNIAN = lgks.DrudeLorentz(0.1, 2.0), lgks.UnderdampedBrownian(0.1, 0.3, 1.5)
TABLE = lgks.Tabulated([0.2, 0.5, 0.9, 1.4, 2.0, 3.0], [0.06, 0.175, 0.18, 0.3, 0.2, 0.12], tail=3.0)
FITTED = {"exponential": lgks.Ohmic(0.3, 2.0), "gaussian": lgks.Ohmic(0.3, 2.0, "gaussian"), "table": TABLE}
RATIONAL = {
    "drude": (DRUDE, T, 1e-4, 14),
    "drude, cold": (DRUDE, 0.002, 1e-4, 30),
    "drude, hot": (DRUDE, 20.0, 1e-5, 10),
    "a frequency on the pole": (lgks.DrudeLorentz(0.1, 2 * np.pi), 1.0, 1e-4, 18),
    "ohmic": (lgks.Ohmic(0.3, 2.0, "drude"), T, 1e-6, 40),
    "brownian": (BROWNIAN, T, 1e-8, 12),
    "brownian, overdamped": (lgks.UnderdampedBrownian(0.1, 6.0, 1.5), T, 1e-6, 12),
}


@pytest.mark.parametrize("temperature", [0.01, T, 5.0])
def test_exponential_cutoff_in_closed_form(temperature):
    """C(t) = (s T²/2π)[ψ'(z) + ψ'(1 + z*)], z = T/ω_c + iTt, in thirty digits. t|ΔC| < 2e−12 of the largest rate."""
    spectrum = FITTED["exponential"]
    t = np.array([-1.0, 0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0, 100.0, 1e4])
    got = np.asarray(spectrum.correlation(t, temperature))
    largest = float(np.max(spectrum.rate(np.linspace(0, 10, 101), temperature)))
    with mp.workdps(30):
        for at, value in zip(t, got, strict=True):
            z = mp.mpf(temperature) / 2 + 1j * mp.mpf(temperature) * mp.mpf(float(at))
            exact = mp.mpf(0.3) * mp.mpf(temperature) ** 2 / (2 * mp.pi)
            exact *= mp.polygamma(1, z) + mp.polygamma(1, 1 + mp.conj(z))
            bound = min(largest / abs(at), 1.0) if at else 1.0
            assert abs(complex(value) - exact) < 2e-12 * bound, at


def test_drude_lorentz_in_closed_form():
    """Its pole and Matsubara frequencies: λω_c (cot(ω_c/2T) − i) e^{−ω_c t} + Σ_k 4λω_cTν_k/(ν_k² − ω_c²) e^{−ν_k t}.

    The real part diverges at t = 0, the imaginary one is −λω_c just after it."""
    t = np.array([0.02, 0.3, 2.0])
    nu = 2 * np.pi * T * np.arange(1, 4001)[:, None]
    exact = 0.2 * (1 / np.tan(1 / T) - 1j) * np.exp(-2 * t)
    exact = exact + np.sum(0.8 * T * nu / (nu**2 - 4) * np.exp(-nu * t), axis=0)
    np.testing.assert_allclose(DRUDE.correlation(t, T), exact, rtol=1e-11)
    at_start, after = np.asarray(DRUDE.correlation([0.0, 1e-9], T))
    assert at_start.real == np.inf
    assert after.imag == pytest.approx(-0.2, rel=1e-8)


def test_the_convention_of_qutip():
    """The exponentials of its Matsubara expansion, and its power spectrum, which is Γ(ω): 1e−9 with 400 terms that fall
    as k^−3. (Its `correlation_function` of this environment is good to 1e−3 only.)"""
    omega, t = np.array([-1.5, -0.2, 0.3, 1.5, 4.0]), np.array([0.1, 1.0, 5.0])
    environment = qutip.UnderDampedEnvironment(T=T, lam=0.1, gamma=0.3, w0=1.5)
    np.testing.assert_allclose(BROWNIAN.rate(omega, T), environment.power_spectrum(omega), rtol=1e-10)
    expansion = environment.approximate("matsubara", Nk=400)
    np.testing.assert_allclose(BROWNIAN.correlation(t, T), expansion.correlation_function(t), rtol=1e-9, atol=1e-12)


def error_on_the_axis(spectrum, temperature, c, nu):
    """|ΔG| at frequencies and t|ΔC| at times that the library does not use, over max|G|."""
    omega = np.concatenate([-np.geomspace(1e-3, 30.0, 90)[::-1], np.geomspace(1e-3, 30.0, 90)])
    t = np.geomspace(1e-3, 300.0, 40)
    G, C = np.asarray(spectrum.half_transform(omega, temperature)), np.asarray(spectrum.correlation(t, temperature))
    c, nu = np.asarray(c), np.asarray(nu)
    by_sum = (c / (nu - 1j * omega[:, None])).sum(axis=1)
    in_time = (c * np.exp(-nu * t[:, None])).sum(axis=1)
    return max(np.abs(by_sum - G).max(), (t * np.abs(in_time - C)).max()) / np.abs(G).max()


@pytest.mark.parametrize("name", RATIONAL)
def test_exponentials_of_rational_densities(name):
    """Within the tolerance, in G(ω) and t C(t), with few terms: Γ of one pole falls as 1/ω, where Padé terms would
    leave 1/N² on the axis (1e−4 with 40)."""
    spectrum, temperature, tolerance, most = RATIONAL[name]
    c, nu = spectrum.exponentials(temperature, tolerance)
    assert np.all(np.asarray(nu.real) > 0)
    assert c.size <= most
    assert error_on_the_axis(spectrum, temperature, c, nu) < tolerance
    for a, b in zip((c, nu), jax.jit(lambda: spectrum.exponentials(temperature, terms=c.size))(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("name", ["exponential", "gaussian", pytest.param("table", marks=pytest.mark.slow)])
def test_exponentials_of_fitted_densities(name):
    tolerance = 1e-3 if name == "table" else 1e-4
    c, nu = FITTED[name].exponentials(T, tolerance)
    assert np.all(np.asarray(nu.real) > 0)
    assert error_on_the_axis(FITTED[name], T, c, nu) < tolerance


def of_sum(x, make, omega, **options):
    c, nu = make(*x[1:]).exponentials(x[0], **options)
    G = (c / (nu - 1j * omega[:, None])).sum(axis=1)
    return jnp.stack([G.real, G.imag])


def of_transform(x, make, omega):
    G = make(*x[1:]).half_transform(omega, x[0])
    return jnp.stack([G.real, G.imag])


def gaussian(strength, cutoff):
    return lgks.Ohmic(strength, cutoff, "gaussian")


@pytest.mark.parametrize(
    ("make", "x", "terms", "bound"),
    [
        (lgks.DrudeLorentz, [T, 0.1, 2.0], 22, 2e-5),
        (lgks.UnderdampedBrownian, [T, 0.1, 0.3, 1.5], 8, 1e-5),
        pytest.param(gaussian, [T, 0.3, 2.0], None, 5e-3, marks=pytest.mark.slow),
    ],
    ids=["drude", "brownian", "gaussian"],
)
def test_derivatives_of_exponentials(make, x, terms, bound):
    """Of Σ_j c_j/(ν_j − iω) in T and the numbers of the density, against those of G itself, whose tolerance is 1e−5 of
    max|G|. A fit has constant ν, with which the derivative in T has 3e−3 left."""
    omega, x = np.array([-0.7, 0.0, 0.4, 1.9]), jnp.array(x)
    by_sum, exact = jax.jacfwd(of_sum), jax.jit(jax.jacfwd(of_transform), static_argnums=1)
    if terms:
        by_sum = jax.jit(by_sum, static_argnums=1, static_argnames="terms")
    options = {"terms": terms} if terms else {}
    difference = np.asarray((by_sum(x, make, omega, **options) - exact(x, make, omega)) * x)
    assert np.abs(difference).max() < bound * np.abs(of_transform(x, make, omega)).max()


def test_a_density_seen_from_a_rotating_frame():
    """Γ(ω − ε) has C(t) e^{−iεt}, ν + iε."""
    moved, (c, nu) = Moved(BROWNIAN, jnp.asarray(0.4)), BROWNIAN.exponentials(T)
    omega, t = np.array([-1.0, 0.4, 2.0]), np.array([-0.5, 0.5, 3.0])
    np.testing.assert_allclose(moved.half_transform(omega, T), BROWNIAN.half_transform(omega - 0.4, T), rtol=1e-13)
    np.testing.assert_allclose(moved.correlation(t, T), BROWNIAN.correlation(t, T) * np.exp(-0.4j * t), rtol=1e-13)
    np.testing.assert_allclose(moved.exponentials(T)[1], nu + 0.4j, rtol=1e-15)
    np.testing.assert_allclose(moved.exponentials(T)[0], c, rtol=1e-15)


def test_the_bose_function_as_a_sum_of_poles():
    """1/(1 − e^{−x}): Padé to rounding for |x| < N, with the frequencies and weights of order four in a rational series
    (Hu et al., table I: N = 1 has ξ² = 60, 2η = 5); a geometric row to its accuracy over six decades."""
    xi, eta = pade(1)
    np.testing.assert_allclose([xi[0] ** 2, eta[0]], [60.0, 2.5], rtol=1e-12)
    for (xi, eta), x, bound in (
        (pade(30), np.geomspace(0.1, 30, 50), 1e-12),
        (geometric(30), np.geomspace(0.1, 8e5, 99), 4e-6),
    ):
        total = 0.5 + 1 / x + (2 * eta * x[:, None] / (x[:, None] ** 2 + xi**2)).sum(axis=1)
        np.testing.assert_allclose(total, -1 / np.expm1(-x), atol=bound, rtol=0)


@pytest.mark.slow
def test_a_table_that_is_too_coarse_is_refused_with_the_error_reached():
    with pytest.raises(CorrelationError, match=r"exponentials give.*Tabulated to [\d.e-]+ of max.*coarse table"):
        TABLE.exponentials(T, 1e-7)


def test_what_has_no_correlation_function_is_refused_by_name():
    growing = lgks.CallableSpectrum(lambda w: 0.1 * w, landmarks=[1.0])
    for refused in (
        lambda: lgks.Flat(1.0).correlation(1.0, T),
        lambda: lgks.Flat(1.0).exponentials(T),
        lambda: lgks.Tabulated([0.5, 1.0, 2.0], [0.1, 0.2, 0.1]).exponentials(T),
        lambda: growing.correlation(1.0, T),
        lambda: growing.exponentials(T),
    ):
        with pytest.raises(CorrelationError, match=r"Flat has no|Tabulated has no.*tail|CallableSpectrum"):
            refused()


def test_exponentials_that_are_not_good_enough_are_refused_with_their_error():
    with pytest.raises(CorrelationError, match=r"5 exponentials.*DrudeLorentz to 0\.0\d+ of max"):
        DRUDE.exponentials(T, 1e-6, terms=5)
    with pytest.raises(CorrelationError, match=r"exponentials give.*Ohmic to"):
        FITTED["gaussian"].exponentials(T, 1e-9, terms=10)
    with pytest.raises(CorrelationError, match="critical damping"):
        lgks.UnderdampedBrownian(0.1, 3.0, 1.5).exponentials(T)
    with pytest.raises(CorrelationError, match="outside jit"):
        jax.jit(lambda T: FITTED["gaussian"].exponentials(T))(T)
    with pytest.raises(InputError, match="terms="):
        jax.jit(lambda T: DRUDE.exponentials(T)[0])(T)
