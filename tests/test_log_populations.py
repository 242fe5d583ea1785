"""Logarithms of populations, where populations themselves have underflowed."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._spectra._base import log_bose, root_bose
from jaxlgks.errors import NonUniqueSteadyStateError, SolverError

from .systems import hermitian

DRUDE = lgks.DrudeLorentz(0.01, 2.0)
E = np.array([0.0, 0.7, 1.5, 2.0, 3.1])


def system(hot: float, cold: float, turned: bool = False) -> lgks.System:
    rng = np.random.default_rng(3)
    S, R = hermitian(rng, 5), hermitian(rng, 5)
    U = np.linalg.qr(hermitian(rng, 5))[0] if turned else np.eye(5)
    turn = lambda X: U @ X @ U.conj().T  # noqa: E731
    H = turn(np.diag(E))
    return lgks.System(
        (H + H.conj().T) / 2, [lgks.Bath(turn(S), hot, DRUDE), lgks.Bath(turn(R), cold, lgks.Ohmic(0.02, 5.0))]
    )


def by_mpmath(hot: float, cold: float) -> list:
    """The stationary state of the rate equation from the same numbers, in as many digits as its rates span."""
    rng = np.random.default_rng(3)
    weights = [np.abs(hermitian(rng, 5)) ** 2 for _ in range(2)]
    densities = (
        lambda w: 4 * mp.mpf(0.01) * 2 * w / (w**2 + 4),
        lambda w: mp.mpf(0.02) * w * mp.exp(-w / 5),
    )
    with mp.workdps(60 + int(2 * E[-1] / cold / np.log(10))):
        A = mp.matrix(5, 5)
        for weight, T, density in zip(weights, (hot, cold), densities, strict=True):
            for m in range(5):
                for n in range(5):
                    w = mp.mpf(E[n]) - mp.mpf(E[m])
                    if m != n:
                        bose = 1 / (mp.exp(abs(w) / mp.mpf(T)) - 1)
                        rate = density(abs(w)) * (bose + (1 if w > 0 else 0)) * mp.mpf(float(weight[m, n]))
                        A[m, n] += rate
                        A[n, n] -= rate
        for n in range(5):
            A[0, n] = 1
        p = mp.lu_solve(A, mp.matrix([1, 0, 0, 0, 0]))
        return [float(mp.log(x)) for x in p]


@pytest.mark.parametrize(("hot", "cold"), [(0.7, 0.5), (1e-2, 1e-3), (1e-3, 5e-4)])
def test_against_thousands_of_digits(hot, cold):
    """The last population is about e^−3000 in the last case, e^−6000 by the cold bath alone."""
    found = lgks.log_populations(system(hot, cold))
    np.testing.assert_allclose(found, by_mpmath(hot, cold), rtol=1e-13, atol=1e-14)


def test_equals_the_populations_where_those_exist():
    given = system(0.7, 0.1, turned=True)
    p = lgks.steady_state(given, solver=lgks.Populations()).populations
    np.testing.assert_allclose(jnp.exp(lgks.log_populations(given)), p, rtol=1e-11)


def test_one_temperature_is_gibbs_to_the_end():
    T = 1e-4
    expected = -E / T - np.log(np.sum(np.exp(-E / T)))
    np.testing.assert_allclose(lgks.log_populations(system(T, T)), expected, rtol=1e-13)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_derivatives_where_populations_have_underflowed(mode):
    """At one temperature d ln p_n/dT = (E_n − ⟨E⟩)/T²; elsewhere against differences."""
    T = 1e-3
    slope = mode(lambda T: lgks.log_populations(system(T, T)))(T)
    np.testing.assert_allclose(slope[1:], E[1:] / T**2, rtol=1e-12)
    value = lambda a: lgks.log_populations(system(a, 1e-3))  # noqa: E731
    h = 1e-6
    step = lambda h: (value(2e-3 + h) - value(2e-3 - h)) / (2 * h)  # noqa: E731
    np.testing.assert_allclose(mode(value)(2e-3)[1:], ((4 * step(h) - step(2 * h)) / 3)[1:], rtol=1e-7)


def test_under_vmap_and_jit():
    T = jnp.array([1e-3, 1e-2, 0.1])
    many = jax.jit(jax.vmap(lambda T: lgks.log_populations(system(2 * T, T))))(T)
    for one, t in zip(many, T, strict=True):
        np.testing.assert_allclose(one, lgks.log_populations(system(2 * t, t)), rtol=1e-13, atol=1e-300)


def test_what_does_not_apply_is_refused():
    level = lgks.System(np.diag([0.0, 1.0, 1.0]), lgks.Bath(np.ones((3, 3)) - np.eye(3), 0.1, DRUDE))
    with pytest.raises(SolverError, match="levels coincide"):
        lgks.log_populations(level)
    with pytest.raises(SolverError, match="couples populations to coherences"):
        lgks.log_populations(system(1.0, 0.5), lgks.Redfield())
    S = np.zeros((4, 4))
    S[0, 1] = S[1, 0] = S[2, 3] = S[3, 2] = 1
    apart = lgks.System(np.diag([0.0, 1.0, 2.5, 4.5]), lgks.Bath(S, 0.1, DRUDE))
    with pytest.raises(NonUniqueSteadyStateError, match="no transition to lower"):
        lgks.log_populations(apart)
    assert np.all(np.isnan(jax.jit(lgks.log_populations)(apart)))
    assert np.all(
        np.isnan(
            jax.jit(
                jax.jacrev(
                    lambda T: lgks.log_populations(lgks.System(np.diag([0.0, 1.0, 2.5, 4.5]), lgks.Bath(S, T, DRUDE)))
                )
            )(0.1)
        )
    )


@pytest.mark.parametrize("x", [-1e5, -745.0, -30.0, -0.6, -0.49, -1e-9, 0.0, 1e-9, 0.3, 0.51, 40.0, 1e4])
def test_the_logarithm_of_bose(x):
    exact = mp.log(mp.mpf(x) / -mp.expm1(-mp.mpf(x))) if x else mp.mpf(0)
    assert abs(float(log_bose(jnp.asarray(x))) - float(exact)) <= 1e-15 * max(1.0, abs(float(exact)))
    if x > -700:
        np.testing.assert_allclose(
            float(log_bose(jnp.asarray(x))), 2 * float(jnp.log(root_bose(jnp.asarray(x)))), rtol=1e-13, atol=1e-15
        )
