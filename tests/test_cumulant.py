"""The cumulant map: its exponent, its laws, its limit, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from scipy.integrate import dblquad

import jaxlgks as lgks
from jaxlgks._equations import dissipation
from jaxlgks.errors import DensityError, DerivativeOrderError, InputError, LambShiftError

from .by_hand import lowest_choi
from .systems import hermitian, near_degenerate


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
    D = np.asarray(sum(d.matrix() for d in dissipation(system, lgks.Davies()).dissipators()))
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
    cumulant = lgks.evolve(system, rho0, ts, lgks.Cumulant()).states
    davies = lgks.evolve(system, rho0, ts, lgks.Davies()).states
    np.testing.assert_allclose(cumulant[0], rho0, atol=1e-14)
    np.testing.assert_allclose(cumulant[1], davies[1], atol=3e-3)
    with pytest.raises(LambShiftError):
        lgks.cumulant_map(lgks.models.two_qubits(1.0, 0.2, gamma=0.1, temperatures=(0.5, 0.4)), 1.0)
    with pytest.raises(InputError, match="panels"):
        jax.jit(lambda t: lgks.cumulant_map(system, t))(1.0)
    with pytest.raises(InputError, match="negative"):
        lgks.cumulant_map(system, -1.0)
    np.testing.assert_allclose(
        jax.jit(lambda t: lgks.cumulant_map(system, t, panels=8192))(5.0), lgks.cumulant_map(system, 5.0), atol=1e-10
    )


def test_what_the_map_refuses():
    """Never a plausible number: a singular density, too few panels, a derivative in H; NaN where traced."""
    system = near_degenerate(0.03)
    flat = lgks.models.two_qubits(1.0, 0.2, gamma=0.1, temperatures=(0.5, 0.4))
    with pytest.raises(LambShiftError):
        lgks.evolve(flat, jnp.eye(4) / 4, jnp.array([0.0, 1.0]), lgks.Cumulant())
    with pytest.raises(InputError, match="do not resolve"):
        lgks.cumulant_map(system, 5.0, panels=100)
    assert np.isnan(jax.jit(lambda t: lgks.cumulant_map(system, t, panels=100))(5.0)).any()
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    negative = lgks.System(0.5 * Z, lgks.Bath(X, 0.4, lambda w: 0.01 * w * (1 - w / 3) * jnp.exp(-w), "b"))
    with pytest.raises(DensityError, match=r"cumulant_map: the density of bath 'b' has no rate at 3\.0.*γ\(3"):
        lgks.cumulant_map(negative, 1.0)
    with pytest.raises(DensityError, match=r"evolve with Cumulant\(\): the density of bath 'b'"):
        lgks.evolve(negative, jnp.eye(2) / 2, [0.0, 1.0], lgks.Cumulant())
    V = jnp.diag(jnp.array([0.0, 1.0, -1.0]))
    for mode in (jax.jacfwd, jax.jacrev):
        with pytest.raises(DerivativeOrderError, match="no derivative in the Hamiltonian"):
            mode(lambda d: lgks.cumulant_map(system.perturbed(V, d), 1.0, panels=20000)[0, 0].real)(0.0)


def test_a_density_with_a_kink_has_a_map():
    """Panels meet at Ω = 0: the gain of |1⟩ from |0⟩ with an exponential cutoff, against a fine trapezoid: 1e−6."""
    density, T, t = lgks.Ohmic(0.05, 1.0), 0.5, 3.0
    system = lgks.System(0.5 * lgks.models.pauli("Z"), lgks.Bath(lgks.models.pauli("X"), T, density))
    K = scipy.linalg.logm(np.asarray(lgks.cumulant_map(system, t)))
    Omega = np.linspace(-40, 40, 800_001)
    window = t**2 * np.sinc((Omega - 1.0) * t / (2 * np.pi)) ** 2
    expected = np.trapezoid(np.asarray(density.rate(Omega, T)) * window, Omega) / (2 * np.pi)
    assert K[3, 0].real == pytest.approx(expected, rel=1e-6)


def test_derivative_of_the_map_in_a_temperature():
    """Against a central difference: 1e−6."""

    def element(T):
        bath = lgks.Bath(lgks.models.pauli("X"), T, lgks.Ohmic(0.05, 1.0, "gaussian"))
        return lgks.cumulant_map(lgks.System(0.5 * lgks.models.pauli("Z"), bath), 3.0, panels=4096)[3, 0].real

    both = jax.jit(jax.value_and_grad(element))
    slope = float(both(0.5)[1])
    assert slope == pytest.approx(float(both(0.501)[0] - both(0.499)[0]) / 2e-3, rel=1e-5)
