"""c) A value and its gradient in all parameters, beside the value alone.

Error: largest difference from the reference, relative to the largest entry of each gradient's component.
"""

import functools

import numpy as np

from . import peers
from ._case import Case, Measured, timed

SIDE = 316
POINT = (peers.OMEGA, peers.G, peers.GAMMA)


def _axes():
    import jax.numpy as jnp

    return jnp.linspace(100.0, 400.0, SIDE), jnp.linspace(20.0, 90.0, SIDE)


def _gridded(f):
    """Blocks of the grid that suit the cache, as `sweep` takes them."""
    import jax

    rows = jax.vmap(jax.vmap(f, (None, 0)), (0, None))
    return jax.jit(lambda hot, cold: jax.lax.map(lambda some: rows(some, cold), hot.reshape(-1, 4, *hot.shape[1:])))


def _two_qubits(gradient: bool) -> Measured:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    import jaxlgks as lgks

    def current(parameters):
        omega, g, gamma, hot, cold = parameters
        system = lgks.models.two_qubits(omega, g, gamma, (hot, cold))
        return lgks.heat_currents(system, solver=lgks.Populations())[0]

    def closed(parameters):
        omega, g, gamma, hot, cold = parameters
        total = 0.0
        for w in (omega + g, omega - g):
            a, b = 1 / jnp.expm1(w / hot), 1 / jnp.expm1(w / cold)
            total = total + gamma * w * (a - b) / (4 * (a + b + 1))
        return total

    def at(f):
        f = jax.value_and_grad(f) if gradient else f
        return _gridded(lambda hot, cold: f((*POINT, hot, cold)))

    hot, cold = _axes()
    ours = at(current)
    first, seconds, out = timed(lambda: ours(hot, cold), SIDE**2)
    exact = at(closed)(hot, cold)
    error = max(
        float(jnp.max(jnp.abs(x - y)) / jnp.max(jnp.abs(y)))
        for x, y in zip(jax.tree.leaves(out), jax.tree.leaves(exact), strict=True)
    )
    return Measured(first, seconds, error, "closed form")


def _plain(gradient: bool) -> Measured:
    import jax

    jax.config.update("jax_enable_x64", True)
    current = peers.jax_current()
    f = _gridded(jax.value_and_grad(current, (0, 1)) if gradient else current)
    hot, cold = _axes()
    first, seconds, out = timed(lambda: f(hot, cold), SIDE**2, repeat=3)
    value = (out[0] if gradient else out).reshape(SIDE, SIDE)
    exact = peers.closed_form(np.asarray(hot)[:, None], np.asarray(cold))
    return Measured(first, seconds, float(np.max(np.abs(value / exact - 1))), "closed form, the value")


def _chain(spins: int, gradient: bool) -> Measured:
    import warnings

    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    import jaxlgks as lgks

    warnings.simplefilter("ignore", lgks.ValidityWarning)

    def current(parameters):
        fields, exchange, density, temperatures = parameters
        system = lgks.models.spin_chain(fields, tuple(exchange), lgks.DrudeLorentz(*density), tuple(temperatures))
        return lgks.heat_currents(system, solver=lgks.Populations())[0]

    point = (
        jnp.asarray(peers.disorder(spins)),
        jnp.full(3, peers.EXCHANGE),
        jnp.asarray(peers.DENSITY),
        jnp.asarray(peers.TEMPERATURES),
    )
    f = jax.jit(jax.value_and_grad(current) if gradient else current)
    first, seconds, out = timed(lambda: f(point), repeat=7)
    if not gradient:
        return Measured(first, seconds)
    flat, back = jax.flatten_util.ravel_pytree(point)
    value, slope = jax.jit(lambda x: current(back(x))), jax.flatten_util.ravel_pytree(out[1])[0]
    h = 2e-3

    def quotient(i: int) -> float:
        step = lambda h: float(value(flat.at[i].add(h)) - value(flat.at[i].add(-h))) / (2 * h)  # noqa: E731
        return (4 * step(h / 2) - step(h)) / 3

    error = max(abs(quotient(i) - float(slope[i])) for i in range(flat.size)) / float(jnp.max(jnp.abs(slope)))
    return Measured(first, seconds, error, "Richardson differences", f"{flat.size} parameters")


def cases(quick: bool) -> list[Case]:
    """The value first, so that ratios are those of the gradient."""
    rows = []
    for work, run in (("two qubits, five parameters", _two_qubits), ("plain JAX dense, two temperatures", _plain)):
        here = functools.partial(Case, "gradient", work, f"{SIDE}×{SIDE} points")
        rows += [here("value", functools.partial(run, False)), here("value and gradient", functools.partial(run, True))]
    for spins in (4, 6) if quick else (4, 6, 8):
        here = functools.partial(Case, "gradient", "chain, all parameters", f"d={2**spins}")
        rows += [
            here("value", functools.partial(_chain, spins, False)),
            here("value and gradient", functools.partial(_chain, spins, True)),
        ]
    return rows
