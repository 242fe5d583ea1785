"""Second derivatives of steady quantities in δ, at degenerate levels, in every equation and every nesting of modes."""

import jax
import numpy as np
import pytest

import jaxlgks as lgks

from .systems import EQUATIONS, draw


@pytest.mark.parametrize("what", ["observable", "heat current", "entropy production"])
@pytest.mark.parametrize(("name", "seed"), [*((name, 37) for name in EQUATIONS), ("davies", 52), ("unified", 44)])
def test_second_order_equals_differences_at_degeneracies(name, seed, what):
    """Against Richardson of the first derivative, groups fixed: 1e−5 (issue), 1e−8 seen. Two and three baths."""
    case = draw(seed)
    V = case.V / np.linalg.norm(case.V)
    A = {"observable": case.A, "heat current": lgks.HeatCurrent(0), "entropy production": lgks.EntropyProduction()}[
        what
    ]
    pinned = EQUATIONS[name](case.system).fixed(case.system)
    values = {
        "observable": lambda s: (case.A @ lgks.steady_state(s, pinned).rho).trace().real,
        "heat current": lambda s: lgks.heat_currents(s, pinned)[0],
        "entropy production": lambda s: lgks.entropy_production(s, pinned),
    }
    slope = jax.jit(jax.grad(lambda d: values[what](case.system.perturbed(V, d))))
    second = float(lgks.autodiff_response(case.system, V, A, EQUATIONS[name](case.system), order=2))
    quotient = [(float(slope(h)) - float(slope(-h))) / (2 * h) for h in (4e-3, 2e-3, 1e-3)]
    fine = [(4 * quotient[1] - quotient[0]) / 3, (4 * quotient[2] - quotient[1]) / 3]
    assert second == pytest.approx((16 * fine[1] - fine[0]) / 15, rel=1e-5), case


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
        straight = float(jax.linearize(inner(value), 0.0)[1](1.0))
        np.testing.assert_allclose([kept, *batch, straight], reference, rtol=1e-9)
