"""Optimisers, by name or as objects of optax and optimistix, behind one face.

Enters: a name or an object. Leaves: a method that starts from a z, takes a step, and says when no step is left to take.
"""

import difflib
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..errors import InputError
from ._descent import LevenbergMarquardt
from ._method import AbstractMethod, Goal, cost, materialised

TOLERANCE = 1e-9
"""Relative change of residuals and coordinates below which an optimiser has arrived."""
SCALED = 1e-5
"""The same where residuals are in units of known errors: a standard deviation moves them by one in all."""


class Optimistix(AbstractMethod):
    """A least-squares solver or a minimiser of optimistix. A trial point where the goal is not finite is refused, and
    a shorter step taken from the last one."""

    solver: Any
    squares: bool = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def _prepared(self, goal: Goal, z: Array) -> tuple[Callable, Any]:
        """The function as optimistix wants it, and the shape of what it returns."""

        def fn(z, args):
            value = materialised(z, goal) if self.squares else cost(goal, z)
            # To its comparisons a NaN is neither better nor worse: make it worse.
            return jnp.where(jnp.isfinite(value), value, 1e150 if self.squares else 1e300), None

        return fn, jax.eval_shape(lambda z: fn(z, None)[0], z)

    def init(self, goal: Goal, z: Float[Array, " p"]) -> Any:
        fn, shape = self._prepared(goal, z)
        return self.solver.init(fn, z, None, {}, shape, None, frozenset())

    def step(self, goal: Goal, z: Float[Array, " p"], state: Any) -> tuple[Float[Array, " p"], Any]:
        z, state, _ = self.solver.step(self._prepared(goal, z)[0], z, None, {}, state, frozenset())
        return z, state

    def finished(self, goal: Goal, z: Float[Array, " p"], state: Any) -> Bool[Array, ""]:
        from optimistix import RESULTS

        done, result = self.solver.terminate(self._prepared(goal, z)[0], z, None, {}, state, frozenset())
        return done | (result != RESULTS.successful)


class _OptaxState(eqx.Module):
    inner: Any
    last: Any
    moved: Array
    waiting: Array


class Optax(AbstractMethod):
    """A gradient transformation of optax. Where value or gradient is not finite it goes back half of its last step. An
    update of exactly zero on a slope is a pause (the start of a schedule, gradients being collected), no arrival."""

    optimiser: Any
    steps: int = eqx.field(static=True)

    def init(self, goal: Goal, z: Float[Array, " p"]) -> Any:
        return _OptaxState(self.optimiser.init(z), z, jnp.asarray(jnp.inf), jnp.asarray(False))

    def step(self, goal: Goal, z: Float[Array, " p"], state: Any) -> tuple[Float[Array, " p"], Any]:
        import optax

        f = functools.partial(cost, goal)
        value, slope = jax.value_and_grad(f)(z)
        good = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope))
        slope = jnp.where(good, slope, 0.0)
        optimiser = optax.with_extra_args_support(self.optimiser)
        update: Any
        update, inner = optimiser.update(slope, state.inner, z, value=value, grad=slope, value_fn=f)
        inner = jax.tree.map(lambda new, old: jnp.where(good, new, old), inner, state.inner)
        forward: Any = jnp.where(jnp.all(jnp.isfinite(update)), z + update, z)
        moved = jnp.max(jnp.abs(forward - z)) / (1 + jnp.max(jnp.abs(z)))
        last: Any = jnp.where(good, z, state.last)
        waiting = jnp.all(update == 0) & jnp.any(slope != 0)
        state = _OptaxState(inner, last, jnp.where(good, moved, jnp.inf), waiting)
        return jnp.where(good, forward, (z + state.last) / 2), state

    def finished(self, goal: Goal, z: Float[Array, " p"], state: Any) -> Bool[Array, ""]:
        return (state.moved <= TOLERANCE * 1e-2) & ~state.waiting


@functools.cache
def _by_name(name: str, squares: bool, scaled: bool) -> AbstractMethod:
    import optax
    import optimistix as optx

    near: dict[str, Any] = {"rtol": TOLERANCE, "atol": TOLERANCE}
    close: dict[str, Any] = {"rtol": TOLERANCE, "atol": SCALED} if scaled else near
    makers: dict[str, Callable[[], AbstractMethod]] = {
        "bfgs": lambda: Optimistix(solver=optx.BFGS(**near), squares=False, steps=1000),
        "nonlinear-cg": lambda: Optimistix(solver=optx.NonlinearCG(**near), squares=False, steps=2000),
        "adam": lambda: Optax(optimiser=optax.adam(optax.exponential_decay(0.05, 500, 0.3)), steps=3000),
        "lbfgs": lambda: Optax(optimiser=optax.lbfgs(), steps=500),
    }
    if squares:
        makers |= {
            "levenberg-marquardt": lambda: LevenbergMarquardt(**close, steps=200),
            "gauss-newton": lambda: Optimistix(solver=optx.GaussNewton(**close), squares=True, steps=200),
            "dogleg": lambda: Optimistix(solver=optx.Dogleg(**close), squares=True, steps=200),
        }
    if name not in makers:
        near_names = difflib.get_close_matches(name, makers, 1)
        hint = f"did you mean {near_names[0]!r}?" if near_names else f"there are {', '.join(sorted(makers))}."
        raise InputError(f"method: no optimiser {name!r}; {hint} Or give one of optax or optimistix as an object.")
    return makers[name]()


def as_method(method: Any, squares: bool, where: str, scaled: bool = False) -> AbstractMethod:
    """An optimiser by name, or an object of optax or optimistix. `squares`: whether the goal has residuals, `scaled`:
    in units of known errors.

    **Raises:** `InputError` for what is neither, or a least-squares solver where there are no squares.
    """
    if isinstance(method, AbstractMethod):
        return method
    if isinstance(method, str):
        return _by_name(method, squares, scaled)
    import optimistix as optx

    if isinstance(method, optx.AbstractLeastSquaresSolver):
        if not squares:
            raise InputError(
                f"{where}: {type(method).__name__} needs a sum of squares; use a minimiser such as 'bfgs'."
            )
        return Optimistix(solver=method, squares=True, steps=200)
    if isinstance(method, optx.AbstractMinimiser):
        return Optimistix(solver=method, squares=False, steps=1000)
    if hasattr(method, "init") and hasattr(method, "update"):
        return Optax(optimiser=method, steps=2000)
    raise InputError(
        f"{where}: method must be a name, an optimistix least-squares solver or minimiser, or an optax gradient "
        f"transformation; got {type(method).__name__}."
    )
