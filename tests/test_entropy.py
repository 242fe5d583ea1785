"""ln ρ and the von Neumann entropy: values, and derivatives where eigenvalues coincide or vanish."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._entropy import log_state
from jaxlgks.errors import DerivativeOrderError, NotHermitianError, ShapeError

from .systems import hermitian, unitary

entropy = jax.jit(lgks.von_neumann_entropy)
slope = jax.jit(lambda rho, change: jax.jvp(lgks.von_neumann_entropy, (rho,), (change,))[1])
gradient = jax.jit(jax.grad(lambda x, rho, change: lgks.von_neumann_entropy(rho + x * change)))

SPECTRA = {
    "generic": [0.5, 0.3, 0.15, 0.05],
    "mixed": [0.25, 0.25, 0.25, 0.25],
    "degenerate": [0.4, 0.4, 0.1, 0.1],
    "almost degenerate": [0.4, 0.4 - 1e-13, 0.1 + 1e-13, 0.1],
    "steep": [1 - 1e-4 - 1e-8 - 1e-12, 1e-4, 1e-8, 1e-12],
    "rank 3": [0.5, 0.3, 0.2, 0.0],
    "rank 2": [0.5, 0.5, 0.0, 0.0],
    "pure": [1.0, 0.0, 0.0, 0.0],
}
FULL = ("generic", "mixed", "degenerate", "almost degenerate")


def state(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A state of the given spectrum and its eigenvectors."""
    U = unitary(np.random.default_rng(seed), 4)
    rho = (U * np.array(SPECTRA[name])) @ U.conj().T
    return (rho + rho.conj().T) / 2, U


def shannon(p) -> float:
    return -float(sum(x * mp.log(x) for x in map(mp.mpf, p) if x > 0))


@pytest.mark.parametrize("name", SPECTRA)
def test_values(name):
    """S = −Σ p ln p to 1e−14: eigenvalues carry ~1e−16, and x ln x of 1e−16 is 4e−15."""
    for seed in range(5):
        rho, _ = state(name, seed)
        assert float(entropy(rho)) == pytest.approx(shannon(SPECTRA[name]), rel=0, abs=3e-14), seed


def test_known_states():
    """Pure: 0 exactly, in its own basis. Maximally mixed: ln d. Lists are taken as states."""
    assert float(lgks.von_neumann_entropy([[1.0, 0.0], [0.0, 0.0]])) == 0.0
    assert float(lgks.von_neumann_entropy([[0.5, 0.0], [0.0, 0.5]])) == pytest.approx(np.log(2), rel=1e-15)
    assert float(lgks.von_neumann_entropy(np.eye(7) / 7)) == pytest.approx(np.log(7), rel=1e-14)
    with pytest.raises(NotHermitianError, match="rho"):
        lgks.von_neumann_entropy([[0.5, 1.0], [0.0, 0.5]])
    with pytest.raises(ShapeError, match="rho"):
        lgks.von_neumann_entropy(np.ones(3))


def test_entropy_against_fifty_digits():
    """A random full-rank state, its eigenvalues from mpmath."""
    rng = np.random.default_rng(3)
    X = hermitian(rng, 4)
    rho = X @ X / np.trace(X @ X).real
    rho = (rho + rho.conj().T) / 2
    with mp.workdps(50):
        values = mp.eighe(mp.matrix(rho.tolist()), eigvals_only=True)
        expected = float(-sum(p * mp.log(p) for p in values))
    assert float(entropy(rho)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", [*FULL, "steep"])
def test_logarithm_of_a_full_rank_state(name):
    """ln ρ = U ln p U†; its smallest eigenvalue is as good as the eigenvalue, 1e−16/p_min relative."""
    rho, U = state(name)
    p = np.array(SPECTRA[name])
    expected = (U * np.log(p)) @ U.conj().T
    np.testing.assert_allclose(log_state(jnp.asarray(rho)), expected, rtol=0, atol=1e-14 + 4e-16 / p.min())


@pytest.mark.parametrize("name", SPECTRA)
def test_eigenvalues_below_rounding_stay_finite(name):
    """Rank-deficient states, and states negative by rounding: ln ρ is finite, its eigenvalues at or above ln eps²."""
    rho, _ = state(name)
    for shift in (0.0, -1e-17, -3e-16):
        log = np.asarray(log_state(jnp.asarray(rho + shift * np.eye(4))))
        assert np.all(np.isfinite(log))
        assert np.linalg.eigvalsh(log)[0] >= 2 * np.log(np.finfo(float).eps) - 1e-10


def by_differences(name: str, change: np.ndarray, U: np.ndarray) -> float:
    """d/dδ S(ρ + δ dρ) from 40 digits, by central differences with δ = 1e−12 (error 1e−24 relative to p³)."""
    with mp.workdps(60):
        u = mp.matrix(U.tolist())
        # Orthonormal to 60 digits, so that the spectrum is the one asked for.
        u, _ = mp.qr(u)
        rho = u * mp.diag([mp.mpf(x) for x in SPECTRA[name]]) * u.H
        step = mp.mpf(10) ** -12

        def S(sign):
            values = mp.eighe(rho + sign * step * mp.matrix(change.tolist()), eigvals_only=True)
            return -sum(p * mp.log(p) for p in values)

        return float((S(1) - S(-1)) / (2 * step))


@pytest.mark.parametrize("name", [*FULL, "steep"])
def test_derivative_against_fifty_digits(name):
    """dS = −Tr[dρ (ln ρ + 1)], forward and reverse, also where eigenvalues coincide; a change of trace too.

    The steep state is moved by √ρ X √ρ, of the size of its own populations.
    """
    rng = np.random.default_rng(7)
    rho, U = state(name)
    change = hermitian(rng, 4)
    if name == "steep":
        root = (U * np.sqrt(SPECTRA[name])) @ U.conj().T
        change = root @ change @ root
        change = (change + change.conj().T) / 2
        # differences of step 1e−12 leave the analytic range of p = 1e−12: the closed form instead
        expected = -np.trace(change @ ((U * np.log(SPECTRA[name])) @ U.conj().T + np.eye(4))).real
    else:
        expected = by_differences(name, change, U)
    tolerance = 1e-12 if name != "steep" else 1e-9
    assert float(slope(rho, change)) == pytest.approx(expected, rel=tolerance)
    assert float(gradient(0.0, rho, change)) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("name", ["rank 3", "rank 2", "pure"])
def test_derivative_inside_the_support_is_exact(name):
    """dρ within the support of a rank-deficient state: dS = −Tr[dρ ln ρ] over the support, no trace of the floor."""
    rng = np.random.default_rng(11)
    for seed in range(5):
        rho, U = state(name, seed)
        p = np.array(SPECTRA[name])
        inside = (U * (p > 0)) @ U.conj().T
        change = inside @ hermitian(rng, 4) @ inside
        change = change - inside * np.trace(change).real / np.sum(p > 0)
        change = (change + change.conj().T) / 2
        expected = -np.sum(np.log(p[p > 0]) * np.diag(U.conj().T @ change @ U).real[p > 0])
        # ln of the floor is −72: rounding of dρ outside the support, 1e−16, comes times that
        for value in (slope(rho, change), gradient(0.0, rho, change)):
            assert float(value) == pytest.approx(expected, rel=0, abs=3e-14), seed


@pytest.mark.parametrize("name", ["rank 3", "rank 2", "pure"])
def test_coherence_with_the_kernel_costs_nothing_to_first_order(name):
    """dρ = |s⟩⟨k| + h.c. between support and kernel (what a commutator makes): dS = 0."""
    rho, U = state(name)
    change = np.outer(U[:, 0], U[:, 3].conj())
    change = change + change.conj().T
    for value in (slope(rho, change), gradient(0.0, rho, change)):
        assert abs(float(value)) < 1e-13


def test_derivative_out_of_the_support_is_large_and_finite():
    """Escaping population has an infinite slope; it comes out at the floor, 72 a unit of population, never NaN."""
    rho, U = state("pure")
    change = np.outer(U[:, 3], U[:, 3].conj()) - np.outer(U[:, 0], U[:, 0].conj())
    # the kernel's eigenvalue may be rounding, up to 1e−16: ln of it is −36
    assert 36 < float(slope(rho, change)) < 73
    diagonal = np.diag([1.0, 0.0])
    assert float(slope(diagonal, np.diag([-1.0, 1.0]))) == pytest.approx(-2 * np.log(np.finfo(float).eps), rel=1e-12)


@pytest.mark.parametrize("name", SPECTRA)
def test_no_nan_anywhere(name):
    """Value, jvp, grad with respect to all entries, vmap, and derivatives of ln ρ: finite for every spectrum."""
    rho, _ = state(name)
    change = hermitian(np.random.default_rng(1), 4)
    parts = jax.grad(lambda x: lgks.von_neumann_entropy((x[0] + x[0].T) / 2 + 0.5j * (x[1] - x[1].T)))
    assert np.all(np.isfinite(parts(jnp.stack([rho.real, rho.imag]))))
    assert np.all(np.isfinite(jax.vmap(slope, in_axes=(None, 0))(rho, jnp.stack([change, -change, np.eye(4)]))))
    tangent = jax.jvp(log_state, (jnp.asarray(rho),), (jnp.asarray(change),))[1]
    assert np.all(np.isfinite(tangent))
    np.testing.assert_allclose(tangent, tangent.conj().T, rtol=0, atol=1e-12 * np.abs(tangent).max())


@pytest.mark.parametrize("name", FULL)
def test_derivative_of_the_logarithm(name):
    """d ln ρ = ∫₀^∞ (ρ + s)⁻¹ dρ (ρ + s)⁻¹ ds, by Gauss–Legendre in s = x/(1 − x)."""
    rho, _ = state(name)
    change = hermitian(np.random.default_rng(5), 4)
    x, w = np.polynomial.legendre.leggauss(200)
    x, w = (x + 1) / 2, w / 2
    one, expected = np.eye(4), np.zeros((4, 4), complex)
    for node, weight in zip(x, w, strict=True):
        inverse = np.linalg.inv(rho + node / (1 - node) * one)
        expected += weight / (1 - node) ** 2 * inverse @ change @ inverse
    tangent = jax.jvp(log_state, (jnp.asarray(rho),), (jnp.asarray(change),))[1]
    np.testing.assert_allclose(tangent, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("name", FULL)
def test_curvature(name):
    """d²S/dδ² = −Tr[dρ d ln ρ], the derivative of the derivative (jvp of jvp), full rank."""
    rho, _ = state(name)
    change = hermitian(np.random.default_rng(5), 4)
    change = change - np.eye(4) * np.trace(change).real / 4
    inner = lambda x: slope(rho + x * change, change)  # noqa: E731
    second = jax.jvp(inner, (0.0,), (1.0,))[1]
    tangent = jax.jvp(log_state, (jnp.asarray(rho),), (jnp.asarray(change),))[1]
    assert float(second) == pytest.approx(-float(np.trace(change @ tangent).real), rel=1e-11)
    assert float(second) < 0  # S is concave


def test_what_is_not_provided_is_refused():
    """The second derivative of ln ρ itself has an error of its own name, never a number."""
    rho, _ = state("generic")
    tangent = lambda x: jax.jvp(log_state, (rho + x * jnp.eye(4),), (jnp.eye(4, dtype=complex),))[1]  # noqa: E731
    with pytest.raises(DerivativeOrderError, match="second derivative"):
        jax.jvp(tangent, (0.0,), (1.0,))
