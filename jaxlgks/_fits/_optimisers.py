"""Optimisers, by name or as objects of optax and optimistix, and the loop that runs one of them to its end.

Takes: a name or an object; residuals r(z) as a function of coordinates z; a start. Returns: the coordinates where the
optimiser ended, the number of its steps, and whether it stopped by itself. What makes the steps is always a solver with
the interface of optimistix. The default is Levenberg–Marquardt with Moré's scaling and geodesic acceleration, with the
step v + a/2,

    v = −(JᵀJ + λD²)⁻¹ Jᵀ r,      a = −(JᵀJ + λD²)⁻¹ Jᵀ r″[v, v],

D_j the largest length of column j so far (Moré 1978), so that units of parameters do not matter. a is the bend of the
path on which residuals fall straight (Transtrum, Machta, Sethna, Phys. Rev. E 83, 036701 (2011)): data that fix only
combinations of parameters make narrow curved valleys, and coordinates that keep bounds bend them further; to second
order the step does not depend on the coordinates. (`optimistix.LevenbergMarquardt` damps all coordinates alike; on five
parameters of two qubits with bounds it does not converge in 200 steps, this one does in 13.)
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..errors import InputError
from ._parameters import nearest
from ._problem import TOLERANCE, linearised

SCALED = 1e-5  # `TOLERANCE` where errors are known: one standard deviation moves residuals by one
HUGE = 1e150  # stands for a residual that is not finite: a NaN is neither better nor worse

LONGEST = 0.7  # largest step of a coordinate over 1 + |z|: a logarithm would lose its way
CURVED = 1.5  # largest 2|Da|/|Dv|; beyond it the step is v alone
PROBE = 0.1  # part of v over which r″[v, v] is measured: a model need not have second derivatives
FALL = 0.2  # λ falls by no less than to this part in a step
FIRST, LAST = 0.1, 1e12  # λ to begin with, in units of the longest column; and where no step is left

Residuals = Callable[[Array], Array]


class _State(eqx.Module):
    residuals: Float[Array, " r"]
    jacobian: Float[Array, "r p"]
    D: Float[Array, " p"]
    damping: Float[Array, ""]
    growth: Float[Array, ""]
    done: Bool[Array, ""]


class LevenbergMarquardt(eqx.Module):
    """It has converged when a step changes coordinates and residuals by less than `atol` + `rtol` of them."""

    rtol: float
    atol: float

    def init(self, fn, y, args, options, f_struct, aux_struct, tags) -> _State:
        """The state before the first step."""
        r, J = linearised(lambda y: fn(y, args)[0], y)
        one = jnp.ones((), r.dtype)
        return _State(r, J, jnp.linalg.norm(J, axis=0), FIRST * one, 2 * one, jnp.asarray(False))

    def step(self, fn, y, args, options, state: _State, tags) -> tuple[Float[Array, " p"], _State, None]:
        """One step, or a larger λ where it would lead uphill or to what is not finite."""
        r, J = state.residuals, state.jacobian
        v, a = self._directions(lambda y: fn(y, args)[0], y, state)
        ahead, slope = linearised(lambda y: fn(y, args)[0], y + v + a / 2)
        before, after, straight = jnp.sum(r**2), jnp.sum(ahead**2), jnp.sum((r + J @ v) ** 2)
        better = (after <= before) & jnp.all(jnp.isfinite(slope))
        small = jnp.all(jnp.abs(v) <= self.atol + self.rtol * jnp.abs(y))
        small &= jnp.linalg.norm(J @ v) <= self.atol + self.rtol * jnp.sqrt(before)
        # λ after Nielsen: it falls the more, the better the model (residuals fall straight) has predicted the gain.
        gain = (before - after) / jnp.maximum(before - straight, jnp.finfo(r.dtype).tiny)
        damping = state.damping * jnp.where(better, jnp.clip(1 - (2 * gain - 1) ** 3, FALL, 2.0), state.growth)
        stuck = (damping > LAST) | ~jnp.all(jnp.isfinite(v))
        r, J = jnp.where(better, ahead, r), jnp.where(better, slope, J)
        D = jnp.maximum(state.D, jnp.linalg.norm(J, axis=0))
        growth = jnp.where(better, 2.0, 2 * state.growth)
        return jnp.where(better, y + v + a / 2, y), _State(r, J, D, damping, growth, small | stuck), None

    def terminate(self, fn, y, args, options, state: _State, tags) -> tuple[Bool[Array, ""], Any]:
        """Whether it has converged, or no step is left to take."""
        from optimistix import RESULTS

        return state.done, RESULTS.successful

    def _directions(self, f: Any, y: Float[Array, " p"], state: _State) -> tuple[Any, Any]:
        """v and a, by the singular values of J D⁻¹ rather than their squares; a is zero where it is too large."""
        r, J = state.residuals, state.jacobian
        D = jnp.where(state.D > 0, state.D, 1.0)  # a parameter without effect stays where it is
        U, s, Vt = jnp.linalg.svd(J / jnp.asarray(D), full_matrices=False)
        damped = s / (s**2 + state.damping)
        v = -(Vt.T @ (damped * (U.T @ r))) / D
        v = v / jnp.maximum(jnp.max(jnp.abs(v) / (LONGEST * (1 + jnp.abs(y)))), 1.0)
        bend = 2 / PROBE * ((f(y + PROBE * v) - r) / PROBE - J @ v)
        a = -(Vt.T @ (damped * (U.T @ bend))) / D
        little = 2 * jnp.linalg.norm(D * a) <= CURVED * jnp.linalg.norm(D * v)  # false for NaN
        return v, jnp.where(little, a, 0.0)


class Method(eqx.Module):
    """A solver with the interface of optimistix, whether it takes residuals (else half the sum of their squares), and
    its number of steps."""

    solver: Any
    squares: bool = eqx.field(static=True)
    steps: int = eqx.field(static=True)


class End(NamedTuple):
    """Coordinates, the number of steps, and whether the optimiser stopped by itself."""

    z: Float[Array, " p"]
    steps: Int[Array, ""]
    finished: Bool[Array, ""]


def minimise(goal: Residuals, method: Method, z: Float[Array, " p"], limit: Any, tick: Callable | None = None) -> End:
    """One start, until the optimiser stops or has made `limit` steps. `tick(steps)` is called after each."""
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
    """The residuals, with a derivative that is a matrix, computed once, and no program: solvers apply it several times
    a step, forwards and backwards, and a program would be compiled (and run) as often."""
    return goal(z)


@_materialised.def_jvp
def _materialised_jvp(primals, tangents):
    residuals, jacobian = linearised(primals[1], primals[0])
    return residuals, jacobian @ tangents[0]


class Optax(eqx.Module):
    """A gradient transformation of optax as a solver. Where value or slope is not finite it goes back half of its last
    step. An update of exactly zero on a slope is a pause (the start of a schedule, gradients being collected), and no
    convergence (for `optimistix.OptaxMinimiser` it is)."""

    optimiser: Any

    def init(self, fn, y, args, options, f_struct, aux_struct, tags) -> tuple:
        """The state before the first step: of the optimiser, the last step, whether it has converged."""
        return self.optimiser.init(y), jnp.zeros_like(y), jnp.asarray(False)

    def step(self, fn, y, args, options, state: tuple, tags) -> tuple[Array, tuple, None]:
        """One step."""
        import optax

        f = functools.partial(lambda y: fn(y, args)[0])
        value, slope = jax.value_and_grad(f)(y)
        good = (value < HUGE) & jnp.all(jnp.isfinite(slope))
        slope = jnp.where(good, slope, 0.0)
        optimiser = optax.with_extra_args_support(self.optimiser)
        update, inner = optimiser.update(slope, state[0], y, value=value, grad=slope, value_fn=f)
        update = jnp.where(jnp.isfinite(jnp.asarray(update)), jnp.asarray(update), 0.0)
        small = jnp.max(jnp.abs(update)) <= TOLERANCE / 100 * (1 + jnp.max(jnp.abs(y)))
        pause = jnp.all(update == 0) & jnp.any(slope != 0)
        inner, last = jax.tree.map(functools.partial(jnp.where, good), (inner, update), (state[0], state[1] / 2))
        return y + jnp.where(good, update, -last), (inner, last, good & small & ~pause), None

    def terminate(self, fn, y, args, options, state: tuple, tags) -> tuple[Bool[Array, ""], Any]:
        """Whether it has converged."""
        from optimistix import RESULTS

        return state[2], RESULTS.successful


@functools.cache
def _by_name(name: str, scaled: bool) -> Method:
    import optax
    import optimistix as optx

    tolerance: Any = {"rtol": TOLERANCE, "atol": TOLERANCE}
    close: Any = {"rtol": TOLERANCE, "atol": SCALED if scaled else TOLERANCE}
    adam = optax.adam(optax.exponential_decay(0.05, 500, 0.3))
    methods: dict[str, Callable[[], Method]] = {
        "levenberg-marquardt": lambda: Method(LevenbergMarquardt(**close), squares=True, steps=200),
        "gauss-newton": lambda: Method(optx.GaussNewton(**close), squares=True, steps=200),
        "dogleg": lambda: Method(optx.Dogleg(**close), squares=True, steps=200),
        "bfgs": lambda: Method(optx.BFGS(**tolerance), squares=False, steps=1000),
        "nonlinear-cg": lambda: Method(optx.NonlinearCG(**tolerance), squares=False, steps=2000),
        "lbfgs": lambda: Method(Optax(optax.lbfgs()), squares=False, steps=500),
        "adam": lambda: Method(Optax(adam), squares=False, steps=3000),
    }
    if name not in methods:
        raise InputError(
            f"method: no optimiser {name!r}; {nearest(name, methods)} Or give one of optax or optimistix as an object."
        )
    return methods[name]()


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
