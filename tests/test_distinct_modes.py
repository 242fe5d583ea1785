"""Where every group of frequencies has one member the first-order generator is taken apart into numbers and what does
not depend on temperatures; where H is traced nothing is known of groups, and the general one serves."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._quasifree import modes_problem

from . import oscillators

TEMPERATURES = (0.7, 1.3, 0.4)
ALONG = np.array([1.0, -0.7, 0.3])
SINGULAR = lgks.CallableSpectrum(lambda w: 0.001 * jnp.sqrt(w), at_zero="singular")


def both_forms(numbers, model, equation):
    """`numbers` of a model's H where it is known and where it is traced; which of both forms served is looked at."""
    diagonal = []

    @eqx.filter_jit
    def of(H):
        r, results = numbers(model if H is None else lgks.QuasiFree(H, model.baths))
        diagonal.append(r.generator.at.diagonal)
        return results

    assert modes_problem(model, equation).generator().at.diagonal
    known, traced = of(None), of(model.hamiltonian)
    assert diagonal == [True, False]
    return known, traced


def parts(r):
    results = (r.susceptibility([0.0, 0.3]), r.impulse(7.0))
    return [getattr(x, part) for x in results for part in ("kubo", "rotation", "shift")]


@pytest.mark.slow
def test_both_forms_of_the_first_order_generator_agree():
    """Of clusters, at degree four. (With a Lamb shift each against brute force: test_quasifree.)"""
    model, equation = oscillators.model(1, 1, TEMPERATURES[:2], lgks.DrudeLorentz(0.001, 3.0)), lgks.Unified(width=1e-3)
    rng = np.random.default_rng(3)
    V, A = oscillators.polynomial(rng, 1, 4), oscillators.polynomial(rng, 1, 4)

    def numbers(model):
        r = lgks.response(model, V, A, equation, instantaneous=True)
        return r, parts(r)

    assert_close(*both_forms(numbers, model, equation))


def test_both_forms_and_their_derivatives_agree():
    """Of three modes, a density that is singular at zero; the derivatives along a direction that mixes temperatures and
    strengths, with the values in one program."""
    model, equation = oscillators.model(3, 3, TEMPERATURES, SINGULAR), lgks.Davies()
    rng = np.random.default_rng(3)
    V, A = oscillators.polynomial(rng, 3, 3), oscillators.polynomial(rng, 3, 2)

    def numbers(model):
        def at(x):
            r = lgks.response(
                model.with_baths(model.temperatures + x * ALONG, 0.3 * x * ALONG), V, A, equation, instantaneous=True
            )
            return parts(r), r

        values, slopes, r = jax.jvp(at, (0.0,), (1.0,), has_aux=True)
        return r, values + slopes

    assert_close(*both_forms(numbers, model, equation))


def assert_close(known, traced):
    for one, other in zip(known, traced, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11 * np.max(np.abs(one)))
    for k in range(1, len(known), 6):
        assert known[k][0] != 0
        assert known[k + 1][0] != 0


def test_known_numbers_stay_known_inside_jit():
    """A model written inside `jit` is as fast as one written outside."""

    @jax.jit
    def inside(T):
        m = lgks.models.quasifree_oscillators(100.0, 90.0, 1.0, 5.0, (T, T + 100.0))
        found = lgks.response(m.system, m.cubic, m.occupation)
        assert found.generator.at.diagonal
        return found.static().total

    assert float(inside(2000.0)) == pytest.approx(-32.3685, abs=1e-4)
