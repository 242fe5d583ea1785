"""Second derivatives of steady quantities in δ, at degenerate levels, in every equation and every nesting of modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks

from .systems import EQUATIONS, draw

pytestmark = pytest.mark.slow  # (of the filter alone every day: test_filter)


# Of each quantity its value in a system with an equation, and what `autodiff_response` is asked for.
QUANTITIES = {
    "observable": (lambda A, s, e: (A @ lgks.steady_state(s, e).rho).trace().real, lambda A: A),
    "heat current": (lambda A, s, e: lgks.heat_currents(s, e)[0], lambda A: lgks.HeatCurrent(0)),
    "entropy production": (lambda A, s, e: lgks.entropy_production(s, e), lambda A: lgks.EntropyProduction()),
}


@pytest.mark.parametrize(
    ("name", "seed", "whats"),
    [
        ("davies", 37, QUANTITIES),
        ("unified", 42, ["heat current"]),
        *((name, 37, ["entropy production"]) for name in EQUATIONS if name not in ("davies", "unified")),
    ],
)
def test_second_order_equals_differences_at_degeneracies(name, seed, whats):
    """An observable, a heat current, the entropy production against second differences of their values, Romberg,
    groups fixed: 1e−5. Two and three baths.

    Between two baths J₀ = −J₁, and σ is J₀ times a number: the current is looked at once, and where there are three.
    An observable knows nothing of how many there are, and what an equation adds is in each quantity.
    """
    case = draw(seed)
    V = case.V / np.linalg.norm(case.V)
    pinned = EQUATIONS[name](case.system).fixed(case.system)
    steps = np.array([8e-3, 4e-3, 2e-3])
    points = np.concatenate([[0.0], steps, -steps])

    @jax.jit
    def values(points):
        def at(delta):
            shifted = case.system.perturbed(V, delta)
            return [QUANTITIES[what][0](case.A, shifted, pinned) for what in whats]

        return jax.lax.map(at, points)

    for what, found in zip(whats, values(points), strict=True):
        still, up, down = np.split(np.asarray(found), [1, 4])
        quotient = (up - 2 * still + down) / steps**2
        fine = (4 * quotient[1:] - quotient[:-1]) / 3
        expected = (16 * fine[1] - fine[0]) / 15
        quantity = QUANTITIES[what][1](case.A)
        second = float(lgks.autodiff_response(case.system, V, quantity, EQUATIONS[name](case.system), order=2))
        assert second == pytest.approx(expected, rel=1e-5), (case, what)


def test_second_derivative_is_the_same_in_every_nesting():
    """Of two modes inside each other, to 1e−9; also under `checkpoint` and `vmap`, and linearised: programs in which
    the filter's terms could be cut wrongly. One program, traced and compiled faster than its parts apart."""
    case = draw(33)
    pinned = lgks.Davies().fixed(case.system)

    def value(delta):
        return lgks.steady_state(case.system.perturbed(case.V, delta), pinned).rho[0, 1].real

    forward, reverse = jax.jacfwd, jax.jacrev

    @jax.jit
    def second_derivatives(delta):
        found = {"jvp of vjp": forward(reverse(value))(delta), "vjp of jvp": reverse(forward(value))(delta)}
        for mode in (forward, reverse):  # (jvp of jvp, alone: above)
            found[f"batch of {mode.__name__}"] = jax.vmap(mode(mode(value)))(jnp.zeros(2))
            found[f"checkpoint in {mode.__name__}"] = mode(mode(jax.checkpoint(value)))(delta)
            found[f"linearised {mode.__name__}"] = jax.linearize(mode(value), delta)[1](1.0)
        return found

    found = second_derivatives(0.0)
    reference = float(found["jvp of vjp"])
    assert abs(reference) > 1e-6
    for how, number in found.items():
        np.testing.assert_allclose(number, reference, rtol=1e-9, err_msg=how)
