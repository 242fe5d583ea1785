"""Random oscillators, polynomials and baths: the catalogue that the tests of quasi-free models draw from."""

import functools
import itertools

import numpy as np

import jaxlgks as lgks


def polynomial(rng: np.random.Generator, modes: int, degree: int) -> lgks.Polynomial:
    """A Hermitian polynomial with all monomials of a degree, complex coefficients of order one."""
    a = lgks.modes(modes)
    operators = [*a, *(x.dag for x in a)]
    total = 0.0 * a[0]
    for k in range(1, degree + 1):
        for chosen in itertools.combinations_with_replacement(operators, k):
            total = total + complex(rng.normal(), rng.normal()) / k * functools.reduce(lambda x, y: x * y, chosen)
    return (total + total.dag) / 2


def linear(rng: np.random.Generator, modes: int) -> lgks.Polynomial:
    """A Hermitian linear form with a constant."""
    return polynomial(rng, modes, 1) + 0.3 * rng.normal()


def hamiltonian(rng: np.random.Generator, modes: int) -> lgks.Polynomial:
    """Stable: frequencies 1, 1.37, 1.74, …; hopping, squeezing and a field of a tenth."""
    a = lgks.modes(modes)
    H = 0.0 * a[0]
    for k in range(modes):
        H = H + (1.0 + 0.37 * k) * a[k].dag * a[k] + _hermitian(0.1 * _number(rng) * a[k])
        for j in range(k + 1):
            H = H + _hermitian(0.05 * _number(rng) * a[k] * a[j])
            H = H + (_hermitian(0.1 * _number(rng) * a[k].dag * a[j]) if j < k else 0.0)
    return H


def model(seed: int, modes: int, temperatures, spectrum=None) -> lgks.QuasiFree:
    """A random model, a bath at each temperature."""
    rng = np.random.default_rng(seed)
    H, spectrum = hamiltonian(rng, modes), spectrum or lgks.DrudeLorentz(0.01, 3.0)
    baths = [lgks.Bath(linear(rng, modes), T, spectrum, f"bath{i}") for i, T in enumerate(temperatures)]
    return lgks.QuasiFree(H, baths)


def degenerate(seed: int, temperatures, spectrum=None) -> lgks.QuasiFree:
    """Two modes of exactly one normal frequency, squeezed and mixed: d1, d2 canonical combinations of a, a†."""
    rng = np.random.default_rng(seed)
    a, b = lgks.modes(2)
    r, t = 0.2, 0.7
    c, s = (np.cosh(r) * a + np.sinh(r) * a.dag), np.exp(0.4j) * b
    d1, d2 = np.cos(t) * c + np.sin(t) * s, -np.sin(t) * c + np.cos(t) * s
    H = 1.1 * (d1.dag * d1 + d2.dag * d2) + _hermitian(0.1 * _number(rng) * a)
    spectrum = spectrum or lgks.DrudeLorentz(0.01, 3.0)
    return lgks.QuasiFree(H, [lgks.Bath(linear(rng, 2), T, spectrum) for T in temperatures])


def _number(rng: np.random.Generator) -> complex:
    return complex(rng.normal(), rng.normal())


def _hermitian(A: lgks.Polynomial) -> lgks.Polynomial:
    return A + A.dag
