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
SINGULAR = lgks.CallableSpectrum(lambda w: 0.001 * jnp.sqrt(w), at_zero="singular")


@pytest.mark.parametrize(
    ("modes", "degree", "equation", "spectrum"),
    [
        (2, 3, lgks.Davies(), SINGULAR),
        *(
            pytest.param(*case, None, marks=pytest.mark.slow)
            for case in (
                (1, 4, lgks.Davies()),
                (1, 3, lgks.Davies(lamb_shift=True)),
                (2, 3, lgks.Unified(width=1e-3)),
                (3, 3, lgks.Davies()),
            )
        ),
    ],
    ids=["singular", "one-mode", "lamb-shift", "unified", "three-modes"],
)
def test_both_forms_of_the_first_order_generator_agree(modes, degree, equation, spectrum):
    model = oscillators.model(modes, modes, TEMPERATURES[: max(2, modes)], spectrum or lgks.DrudeLorentz(0.001, 3.0))
    rng = np.random.default_rng(3)
    V, A = oscillators.polynomial(rng, modes, degree), oscillators.polynomial(rng, modes, 4 if modes == 1 else 2)
    assert modes_problem(model, equation).generator().at.diagonal
    diagonal = []

    @eqx.filter_jit
    def numbers(H):
        r = lgks.response(model if H is None else lgks.QuasiFree(H, model.baths), V, A, equation)
        diagonal.append(r.generator.at.diagonal)
        results = (r.susceptibility([0.0, 0.3]), r.impulse(7.0))
        return [getattr(x, part) for x in results for part in ("kubo", "rotation", "shift")]

    known, traced = numbers(None), numbers(model.hamiltonian)
    assert diagonal == [True, False]
    for one, other in zip(known, traced, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11 * np.max(np.abs(one)))
    assert known[1][0] != 0
    assert known[2][0] != 0


def test_known_numbers_stay_known_inside_jit():
    """A model written inside `jit` is as fast as one written outside."""

    @jax.jit
    def inside(T):
        m = lgks.models.quasifree_oscillators(100.0, 90.0, 1.0, 5.0, (T, T + 100.0))
        found = lgks.response(m.system, m.cubic, m.occupation)
        assert found.generator.at.diagonal
        return found.static().total

    assert float(inside(2000.0)) == pytest.approx(-32.3685, abs=1e-4)


@pytest.mark.slow
def test_derivatives_of_both_forms_agree():
    """In temperatures and rates, a direction that mixes them, through both."""

    def total(x, omega):
        m = lgks.models.quasifree_oscillators(omega, 90.0, (x[2], 1.3), 5.0, (x[0], x[1]))
        return lgks.response(m.system, m.cubic, m.occupation).static().rotation

    x, along = jnp.array([30.0, 70.0, 2.0]), jnp.array([1.0, -0.7, 0.3])
    known = jax.jit(lambda x: jax.jvp(lambda x: total(x, 100.0), (x,), (along,))[1])(x)
    general = jax.jit(lambda x, omega: jax.jvp(lambda x: total(x, omega), (x,), (along,))[1])(x, 100.0)
    assert float(known) == pytest.approx(float(general), rel=1e-10)
