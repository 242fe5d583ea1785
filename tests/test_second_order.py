"""Second derivatives of steady quantities in δ, at degenerate levels, in every equation and every nesting of modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks

from .systems import EQUATIONS, draw

pytestmark = pytest.mark.slow  # (of the filter alone every day: test_filter)


@pytest.mark.parametrize(("name", "seed"), [*((name, 37) for name in EQUATIONS), ("unified", 42)])
def test_second_order_equals_differences_at_degeneracies(name, seed):
    """An observable, a heat current, the entropy production against Richardson of their first derivative, groups
    fixed: 1e−5 (issue), 1e−8 seen. Two and three baths.

    Between two baths J₀ = −J₁, and σ is J₀ times a number: the current is looked at once, and where there are three.
    An observable knows nothing of how many there are.
    """
    case = draw(seed)
    V = case.V / np.linalg.norm(case.V)
    pinned = EQUATIONS[name](case.system).fixed(case.system)
    quantities = {
        "observable": (case.A, lambda s: (case.A @ lgks.steady_state(s, pinned).rho).trace().real),
        "heat current": (lgks.HeatCurrent(0), lambda s: lgks.heat_currents(s, pinned)[0]),
        "entropy production": (lgks.EntropyProduction(), lambda s: lgks.entropy_production(s, pinned)),
    }
    if name != "davies":  # what an equation adds is in each of them
        del quantities["observable"]
        del quantities["heat current" if seed == 37 else "entropy production"]

    def values(d):
        shifted = case.system.perturbed(V, d)
        return jnp.stack([value(shifted) for _, value in quantities.values()])

    slope = jax.jit(jax.jacfwd(values))
    quotient = [(slope(h) - slope(-h)) / (2 * h) for h in (4e-3, 2e-3, 1e-3)]
    fine = [(4 * quotient[1] - quotient[0]) / 3, (4 * quotient[2] - quotient[1]) / 3]
    expected = (16 * fine[1] - fine[0]) / 15
    for (what, (A, _)), number in zip(quantities.items(), expected, strict=True):
        second = float(lgks.autodiff_response(case.system, V, A, EQUATIONS[name](case.system), order=2))
        assert second == pytest.approx(float(number), rel=1e-5), (case, what)


@pytest.mark.parametrize("outer", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("inner", [jax.jacfwd, jax.jacrev])
def test_second_derivative_is_the_same_in_every_nesting(outer, inner):
    """Also linearised, under `checkpoint` and `vmap`: programs in which the filter's terms could be cut wrongly."""
    case = draw(33)
    pinned = lgks.Davies().fixed(case.system)
    value = lambda d: lgks.steady_state(case.system.perturbed(case.V, d), pinned).rho[0, 1].real  # noqa: E731
    reference = float(jax.jit(jax.hessian(value))(0.0))
    assert abs(reference) > 1e-6
    assert float(jax.jit(outer(inner(value)))(0.0)) == pytest.approx(reference, rel=1e-9)
    if outer is inner:
        kept = float(jax.jit(outer(inner(jax.checkpoint(value))))(0.0))  # pyright: ignore
        batch = jax.jit(jax.vmap(outer(inner(value))))(np.zeros(2))
        straight = float(jax.jit(lambda d: jax.linearize(inner(value), d)[1](1.0))(0.0))
        np.testing.assert_allclose([kept, *batch, straight], reference, rtol=1e-9)
