"""a) Heat currents of two qubits over temperatures: a grid at one Hamiltonian, at several, a list of points.

Error: largest relative one against the closed form.
"""

import functools
from collections.abc import Callable

import numpy as np

from . import peers
from ._case import Case, Measured, timed

SIDE = 1000


def _current(hot, cold, omega=peers.OMEGA):
    import jaxlgks as lgks

    system = lgks.models.two_qubits(omega, peers.G, peers.GAMMA, (hot, cold))
    return lgks.heat_currents(system, solver=lgks.Populations())[0]


def _rates(hot, cold):
    """What any method has to do at least: all twelve rates, and one number of them."""
    import jax.numpy as jnp

    import jaxlgks as lgks
    from jaxlgks._bohr import find_structure
    from jaxlgks._generator import level_rates

    system = lgks.models.two_qubits(peers.OMEGA, peers.G, peers.GAMMA, (hot, cold))
    rates = level_rates(find_structure(system.hamiltonian), system).rates
    return jnp.max(sum(rates[1:], rates[0]))


def _swept(f: Callable, axes: dict, exact: np.ndarray | None) -> Measured:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks

    runs = [lgks.sweep(f, axes) for _ in range(6)]
    seconds = sorted(data.attrs["run_seconds"] for data in runs[1:])[2] / runs[0].value.size
    currents = runs[0].value.values
    error = None if exact is None else float(np.max(np.abs(currents / exact - 1)))
    return Measured(runs[0].attrs["compile_seconds"], seconds, error, "closed form", f"blocks {runs[0].attrs['block']}")


def grid() -> dict[str, np.ndarray]:
    """A thousand hot by a thousand cold temperatures."""
    return {"hot": np.linspace(100.0, 400.0, SIDE), "cold": np.linspace(20.0, 90.0, SIDE)}


def _grid(f: Callable, known: bool = True) -> Measured:
    axes = grid()
    return _swept(f, axes, peers.closed_form(axes["hot"][:, None], axes["cold"]) if known else None)


def _product() -> Measured:
    axes = {"omega": np.linspace(0.9, 1.1, 10) * peers.OMEGA}
    axes |= {name: x[:: SIDE // 316][:316] for name, x in grid().items()}
    w, hot, cold = np.ix_(*axes.values())
    return _swept(_current, axes, peers.closed_form(hot, cold, w))


def _list() -> Measured:
    hot = np.linspace(100.0, 400.0, 200_000)
    omega = np.linspace(0.9, 1.1, hot.size) * peers.OMEGA
    return _swept(
        _current, {("omega", "hot", "cold"): (omega, hot, hot - 20.0)}, peers.closed_form(hot, hot - 20.0, omega)
    )


def _dense(hot, cold):
    import jaxlgks as lgks

    system = lgks.models.two_qubits(peers.OMEGA, peers.G, peers.GAMMA, (hot, cold))
    return lgks.heat_currents(system, solver=lgks.Dense())[0]


def _loop(make: Callable[[], Callable], points: int) -> Measured:
    hot = np.linspace(100.0, 400.0, points)
    current = make()
    first, seconds, out = timed(lambda: [current(a, a - 20.0) for a in hot], points, repeat=3)
    error = float(np.max(np.abs(np.array(out) / peers.closed_form(hot, hot - 20.0) - 1)))
    return Measured(first, seconds, error, "closed form")


def _mapped(make: Callable[[], Callable], points: int = 16384) -> Measured:
    import jax

    jax.config.update("jax_enable_x64", True)
    hot = np.linspace(100.0, 400.0, points)
    function = jax.jit(jax.vmap(make()))
    first, seconds, out = timed(lambda: function(hot, hot - 20.0), points)
    error = float(np.max(np.abs(np.asarray(out) / peers.closed_form(hot, hot - 20.0) - 1)))
    return Measured(first, seconds, error, "closed form")


def cases(quick: bool) -> list[Case]:
    """The first of each work is ours; the loops of peers see fewer points of the same."""
    few = 5 if quick else 20
    here = functools.partial(Case, "sweep")
    fixed = functools.partial(here, "current on a grid of temperatures", "one H")
    part = functools.partial
    return [
        fixed("jaxlgks sweep", part(_grid, _current)),
        fixed("jaxlgks sweep, the rates alone", part(_grid, _rates, known=False)),
        fixed("jaxlgks Dense()", part(_mapped, lambda: _dense, 4096)),
        fixed("plain JAX, dense solve", part(_mapped, peers.jax_current)),
        fixed("dynamiqs generator, dense solve", part(_mapped, peers.dynamiqs_current)),
        fixed("NumPy loop, dense solve", part(_loop, peers.numpy_current, 1000)),
        fixed("QuTiP superoperators made once", part(_loop, peers.qutip_superoperators_current, 200)),
        fixed('QuTiP steadystate(method="svd")', part(_loop, part(peers.qutip_current, "svd"), 5 * few)),
        fixed("QuTiP steadystate()", part(_loop, part(peers.qutip_current, "direct"), few)),
        fixed("qthermo analyze", part(_loop, peers.qthermo_current, few)),
        here("current, frequency × temperatures", "10 H", "jaxlgks sweep", _product),
        here("current, unrelated points", "H each", "jaxlgks sweep", _list),
    ]
