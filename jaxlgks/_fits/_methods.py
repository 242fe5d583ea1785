"""Optimisers, by name or as objects of optax and optimistix, and the loop that runs one of them to its end.

Takes: a name or an object; a goal, residuals as a function of coordinates z; a start. Returns: where the optimiser
ended, after how many steps, and whether by itself. What steps is always a solver with the interface of optimistix.
"""

import difflib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..errors import InputError
from ._descent import LevenbergMarquardt
from ._problem import linearised

TOLERANCE = 1e-9
"""Relative change of residuals and coordinates below which an optimiser has arrived."""
SCALED = 1e-5
"""The same where residuals are in units of known errors: a standard deviation moves them by one in all."""
HUGE = 1e150
"""What stands for a residual that is not finite: to comparisons a NaN is neither better nor worse."""

Residuals = Callable[[Array], Array]


class Method(eqx.Module):
    """A solver with the interface of optimistix, whether it takes residuals (else half the sum of their squares), and
    its number of steps."""

    solver: Any
    squares: bool = eqx.field(static=True)
    steps: int = eqx.field(static=True)


class End(NamedTuple):
    """Coordinates, the number of steps, and whether the optimiser finished by itself."""

    z: Float[Array, " p"]
    steps: Int[Array, ""]
    finished: Bool[Array, ""]


def minimise(goal: Residuals, method: Method, z: Float[Array, " p"], limit: Any, tick: Callable | None = None) -> End:
    """One start, until it finishes or has taken `limit` steps. `tick(steps)` is called after each."""
    from optimistix import RESULTS

    solver, call = method.solver, (None, {})

    def fn(z: Array, args: Any) -> tuple[Array, None]:
        r: Any = _materialised(z, goal)
        r = jnp.where(jnp.isfinite(r), r, HUGE)
        return r if method.squares else 0.5 * jnp.sum(r**2), None

    shape = jax.eval_shape(lambda z: fn(z, None)[0], z)
    state, rest = eqx.partition(solver.init(fn, z, *call, shape, None, frozenset()), eqx.is_array)

    def body(now: tuple) -> tuple:
        z, old, end = now
        z, state, _ = solver.step(fn, z, *call, eqx.combine(old, rest), frozenset())
        done, result = solver.terminate(fn, z, *call, state, frozenset())
        state = jax.tree.map(lambda x, like: x.astype(like.dtype), eqx.filter(state, eqx.is_array), old)
        if tick is not None:
            jax.debug.callback(tick, end.steps + 1)
        return z, state, End(z, end.steps + 1, done | (result != RESULTS.successful))

    start = (z, state, End(z, jnp.asarray(0), jnp.asarray(False)))
    return jax.lax.while_loop(lambda now: ~now[2].finished & (now[2].steps < limit), body, start)[2]


@eqx.filter_custom_jvp
def _materialised(z: Array, goal: Residuals) -> Array:
    """The goal, with a derivative that is a matrix, made once, and no program: solvers apply it several times a step,
    forwards and backwards, and a program would be compiled (and run) as often."""
    return goal(z)


@_materialised.def_jvp
def _materialised_jvp(primals, tangents):
    residuals, jacobian = linearised(primals[1], primals[0])
    return residuals, jacobian @ tangents[0]


class _OptaxState(eqx.Module):
    inner: Any
    last: Float[Array, " p"]
    change: Float[Array, ""]
    waiting: Bool[Array, ""]


class Optax(eqx.Module):
    """A gradient transformation of optax as a solver. Where value or gradient is not finite it goes back half of its
    last step. An update of exactly zero on a slope is a pause (the start of a schedule, gradients being collected), not
    an arrival (for `optimistix.OptaxMinimiser` it is one)."""

    optimiser: Any

    def init(self, fn, y, args, options, f_struct, aux_struct, tags) -> _OptaxState:
        """The state before the first step."""
        return _OptaxState(self.optimiser.init(y), y, jnp.asarray(jnp.inf), jnp.asarray(False))

    def step(self, fn, y, args, options, state: _OptaxState, tags) -> tuple[Array, _OptaxState, None]:
        """One step."""
        import optax

        f = functools.partial(lambda y: fn(y, args)[0])
        value, slope = jax.value_and_grad(f)(y)
        good = (value < HUGE) & jnp.all(jnp.isfinite(slope))
        slope = jnp.where(good, slope, 0.0)
        optimiser = optax.with_extra_args_support(self.optimiser)
        update: Any
        update, inner = optimiser.update(slope, state.inner, y, value=value, grad=slope, value_fn=f)
        forward: Any = jnp.where(jnp.all(jnp.isfinite(update)), y + update, y)
        change = jnp.max(jnp.abs(forward - y)) / (1 + jnp.max(jnp.abs(y)))
        after = (inner, y, change, jnp.all(update == 0) & jnp.any(slope != 0))
        before = (state.inner, state.last, jnp.asarray(jnp.inf), jnp.asarray(False))
        state_after = jax.tree.map(functools.partial(jnp.where, good), after, before)
        return jnp.where(good, forward, (y + state.last) / 2), _OptaxState(*state_after), None

    def terminate(self, fn, y, args, options, state: _OptaxState, tags) -> tuple[Bool[Array, ""], Any]:
        """Whether it has arrived."""
        from optimistix import RESULTS

        return (state.change <= TOLERANCE * 1e-2) & ~state.waiting, RESULTS.successful


@functools.cache
def _by_name(name: str, scaled: bool) -> Method:
    import optax
    import optimistix as optx

    tolerance: Any = {"rtol": TOLERANCE, "atol": TOLERANCE}
    close: Any = {"rtol": TOLERANCE, "atol": SCALED if scaled else TOLERANCE}
    makers: dict[str, Callable[[], Method]] = {
        "levenberg-marquardt": lambda: Method(LevenbergMarquardt(**close), squares=True, steps=200),
        "gauss-newton": lambda: Method(optx.GaussNewton(**close), squares=True, steps=200),
        "dogleg": lambda: Method(optx.Dogleg(**close), squares=True, steps=200),
        "bfgs": lambda: Method(optx.BFGS(**tolerance), squares=False, steps=1000),
        "nonlinear-cg": lambda: Method(optx.NonlinearCG(**tolerance), squares=False, steps=2000),
        "lbfgs": lambda: Method(Optax(optax.lbfgs()), squares=False, steps=500),
        "adam": lambda: Method(Optax(optax.adam(optax.exponential_decay(0.05, 500, 0.3))), squares=False, steps=3000),
    }
    if name not in makers:
        near = difflib.get_close_matches(name, makers, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(makers))}."
        raise InputError(f"method: no optimiser {name!r}; {hint} Or give one of optax or optimistix as an object.")
    return makers[name]()


def as_method(method: Any, scaled: bool = False) -> Method:
    """An optimiser by name, or an object of optax or optimistix. `scaled`: residuals are in units of known errors.

    **Raises:** `InputError` for anything else.
    """
    if isinstance(method, str):
        return _by_name(method, scaled)
    import optimistix as optx

    if isinstance(method, optx.AbstractLeastSquaresSolver):
        return Method(method, squares=True, steps=200)
    if isinstance(method, optx.AbstractMinimiser):
        return Method(method, squares=False, steps=1000)
    if hasattr(method, "init") and hasattr(method, "update"):
        return Method(Optax(method), squares=False, steps=2000)
    raise InputError(
        "fit: method must be a name, an optimistix least-squares solver or minimiser, or an optax gradient "
        f"transformation; got {type(method).__name__}."
    )
