"""c) A value and its gradient in all parameters, beside the value alone.

Error: largest difference from the reference, relative to the largest entry of each gradient's component.
"""

import functools

import numpy as np

from . import peers
from ._case import Case, Measured, timed

POINT = {"omega": peers.OMEGA, "g": peers.G, "gamma": peers.GAMMA}
NAMES = (*POINT, "hot", "cold")


def _current(omega, g, gamma, hot, cold):
    import jaxlgks as lgks

    system = lgks.models.two_qubits(omega, g, gamma, (hot, cold))
    return lgks.heat_currents(system, solver=lgks.Populations())[0]


def _closed(omega, g, gamma, hot, cold):
    import jax.numpy as jnp

    total = 0.0
    for w in (omega + g, omega - g):
        a, b = 1 / jnp.expm1(w / hot), 1 / jnp.expm1(w / cold)
        total = total + gamma * w * (a - b) / (4 * (a + b + 1))
    return total


def _grid(derivatives: tuple[str, ...]) -> Measured:
    """By `sweep`, at one H."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks

    axes = {name: [value] for name, value in POINT.items()}
    axes |= {"hot": np.linspace(100.0, 400.0, 1000), "cold": np.linspace(20.0, 90.0, 1000)}
    runs = [lgks.sweep(_current, axes, derivatives=derivatives) for _ in range(6)]
    exact = lgks.sweep(_closed, axes, derivatives=derivatives)
    seconds = sorted(data.attrs["run_seconds"] for data in runs[1:])[2] / runs[0].value.size
    worst = max(float(abs(runs[0][name] - exact[name]).max() / abs(exact[name]).max()) for name in exact.data_vars)
    return Measured(runs[0].attrs["compile_seconds"], seconds, worst, "closed form")


def _list(gradient: bool, count: int = 10_000) -> Measured:
    """Points with an H each, in reverse mode."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    hot = jnp.linspace(100.0, 400.0, count)
    points = {
        "omega": jnp.linspace(0.9, 1.1, count) * peers.OMEGA,
        "g": jnp.linspace(0.8, 1.2, count) * peers.G,
        "gamma": jnp.full(count, peers.GAMMA),
        "hot": hot,
        "cold": hot - 20.0,
    }

    def all_points(f):
        of = lambda point: f(**point)  # noqa: E731
        return jax.jit(jax.vmap(jax.value_and_grad(of) if gradient else of))

    ours = all_points(_current)
    first, seconds, out = timed(lambda: ours(points), count)
    pairs = zip(jax.tree.leaves(out), jax.tree.leaves(all_points(_closed)(points)), strict=True)
    worst = max(float(jnp.max(jnp.abs(x - y)) / jnp.max(jnp.abs(y))) for x, y in pairs)
    return Measured(first, seconds, worst, "closed form")


def _plain(gradient: bool) -> Measured:
    """Plain JAX, two temperatures."""
    import jax

    jax.config.update("jax_enable_x64", True)
    current = peers.jax_current()
    f = jax.jit(jax.vmap(jax.value_and_grad(current, (0, 1)) if gradient else current))
    hot = np.linspace(100.0, 400.0, 10_000)
    first, seconds, out = timed(lambda: f(hot, hot - 20.0), hot.size)
    value = np.asarray(out[0] if gradient else out)
    return Measured(
        first, seconds, float(np.max(np.abs(value / peers.closed_form(hot, hot - 20.0) - 1))), "closed form"
    )


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
    from jax.flatten_util import ravel_pytree

    flat, back = ravel_pytree(point)
    value, slope = jax.jit(lambda x: current(back(x))), ravel_pytree(out[1])[0]
    h = 2e-3

    def quotient(i: int) -> float:
        step = lambda h: float(value(flat.at[i].add(h)) - value(flat.at[i].add(-h))) / (2 * h)  # noqa: E731
        return (4 * step(h / 2) - step(h)) / 3

    error = max(abs(quotient(i) - float(slope[i])) for i in range(flat.size)) / float(jnp.max(jnp.abs(slope)))
    return Measured(first, seconds, error, "Richardson differences", f"{flat.size} parameters")


def cases(quick: bool) -> list[Case]:
    """The value first, so that ratios are those of the gradient."""
    part = functools.partial
    grid = part(Case, "gradient", "two qubits, grid at one H", "10⁶ points")
    rows = [
        grid("value", part(_grid, ())),
        grid("value, gradient in 2 temperatures", part(_grid, ("hot", "cold"))),
        grid("value, gradient in all 5 parameters", part(_grid, NAMES)),
    ]
    for work, run in (("two qubits, an H each, 5 parameters", _list), ("plain JAX dense, 2 temperatures", _plain)):
        here = part(Case, "gradient", work, "10⁴ points")
        rows += [here("value", part(run, False)), here("value and gradient", part(run, True))]
    few = part(Case, "gradient", "two qubits, an H each, 5 parameters", "3·10³ points")
    rows += [few("value", part(_list, False, 3000)), few("value and gradient", part(_list, True, 3000))]
    for spins in (4, 6) if quick else (4, 6, 8):
        here = functools.partial(Case, "gradient", "chain, all parameters", f"d={2**spins}")
        rows += [
            here("value", functools.partial(_chain, spins, False)),
            here("value and gradient", functools.partial(_chain, spins, True)),
        ]
    return rows
