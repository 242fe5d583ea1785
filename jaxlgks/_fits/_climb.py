"""The way up: a differentiable figure made large within bounds and constraints, by scipy and JAX's derivatives.

Takes: a figure f(θ), constraints low ≤ c(θ) ≤ high, bounds, start values. Returns: from each start where sequential
quadratic programming (SLSQP) ended; and, beside such an end, the point at which to rounding

    ∂f = Σ_k λ_k ∂c_k,    c_k(θ) = level_k,

in the variables that no bound holds, k running over the constraints that bind: SLSQP approximates second derivatives
and stops at about 1e−8; a root of these equations with exact ones adds the last digits, the multipliers
λ_k = ∂f/∂level_k, and the verdict whether the point is a maximum.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._parameters import Parameters

GOOD = 1e-9
"""Relative size of the gradient that counts as zero: second derivatives of a steady state are good to about 1e−10."""
FLAT = 1e-8
"""Second derivatives below this part of figure and largest second derivative count as zero."""
AT = 1e-9
"""A variable closer to a bound than this part of its size is at the bound; the same of constraints."""
HUGE = 1e10
"""What stands for a figure (in units of its size) that is not finite."""


class Task(eqx.Module):
    """Figure and constraints (of size one) as functions of the vector of variables."""

    figure: Callable[[Array], Array]
    variables: Parameters
    constraints: Callable[[Array], Array] | None = None
    low: Float[np.ndarray, " k"] = eqx.field(default_factory=lambda: np.zeros(0))
    high: Float[np.ndarray, " k"] = eqx.field(default_factory=lambda: np.zeros(0))

    def both(self, theta: Float[Array, " q"]) -> Float[Array, " n"]:
        """f, and c."""
        c = jnp.zeros(0) if self.constraints is None else self.constraints(theta)
        return jnp.concatenate([jnp.ravel(self.figure(theta)), c])


class Place(NamedTuple):
    """Figure, constraints and derivatives at a point, in sizes of the variables."""

    f: float
    c: np.ndarray
    gradient: np.ndarray
    jacobian: np.ndarray


@eqx.filter_jit
def _first_order(task: Task, theta: Any) -> tuple[Array, Array]:
    value, pull = jax.vjp(task.both, jnp.asarray(theta))
    return value, jax.vmap(pull)(jnp.eye(value.size))[0]


@eqx.filter_jit
def _second_order(task: Task, theta: Any, multipliers: Any) -> Array:
    def lagrangian(theta: Array) -> Array:
        return jnp.concatenate([jnp.ones(1), -multipliers]) @ task.both(theta)

    return jax.jacfwd(jax.grad(lagrangian))(jnp.asarray(theta))


def _place(task: Task, theta: np.ndarray, size: np.ndarray) -> Place:
    values, slopes = (np.asarray(x) for x in _first_order(task, theta))
    if np.all(np.isfinite(values)) and np.all(np.isfinite(slopes)):
        return Place(float(values[0]), values[1:], slopes[0] * size, slopes[1:] * size)
    return Place(-HUGE, 0 * task.low, 0 * slopes[0], np.zeros_like(slopes[1:]))


def climbed(task: Task, rows: np.ndarray, steps: int = 500, progress: bool = False) -> list[np.ndarray]:
    """Where each start ended."""
    from rich.progress import track

    return [_climb(task, row, steps) for row in track(rows, "starts", disable=not progress)]


def _climb(task: Task, theta: np.ndarray, steps: int) -> np.ndarray:
    from scipy.optimize import Bounds, minimize

    size, rows = np.asarray(task.variables.scale), np.eye(len(task.low))
    lower, upper = np.asarray(task.variables.lower), np.asarray(task.variables.upper)
    known = functools.lru_cache(1)(lambda x: _place(task, np.frombuffer(x) * size, size))

    def place(x: Any) -> Place:
        return known(np.asarray(x, float).tobytes())

    def constraint(kind: str, rows: np.ndarray, offset: np.ndarray) -> list[dict[str, Any]]:
        made = {"fun": lambda x: rows @ place(x).c + offset, "jac": lambda x: rows @ place(x).jacobian}
        return [{"type": kind, **made}] if len(offset) else []

    equal = task.low == task.high
    above, below = np.isfinite(task.low) & ~equal, np.isfinite(task.high) & ~equal
    inside = (np.concatenate([rows[above], -rows[below]]), np.concatenate([-task.low[above], task.high[below]]))
    ends: Any = (lower / size, upper / size)
    end = minimize(
        lambda x: (-place(x).f, -place(x).gradient),
        theta / size,
        jac=True,
        method="SLSQP",
        bounds=Bounds(*ends),
        constraints=[*constraint("eq", rows[equal], -task.low[equal]), *constraint("ineq", *inside)],
        options={"maxiter": steps, "ftol": 1e-15},
    )
    theta = end.x * size
    return np.where(theta - lower <= AT * size, lower, np.where(upper - theta <= AT * size, upper, theta))


class Summit(NamedTuple):
    """A point and what holds there: figure and constraints; bounds that hold variables and ends of ranges that bind
    (−1 lower, +1 upper); multipliers; what is left of the conditions (relative); what asks for a look."""

    theta: np.ndarray
    place: Place
    held: np.ndarray
    binding: np.ndarray
    multipliers: np.ndarray
    residual: float
    notes: list[str]


def summit(task: Task, theta: np.ndarray) -> Summit:
    """The stationary point next to θ, or θ itself where there is none."""
    from scipy.optimize import root

    variables = task.variables
    width = np.asarray(variables.upper) - np.asarray(variables.lower)
    size = np.minimum(np.maximum(np.abs(theta), variables.scale), width)
    place = _place(task, theta, size)
    held, binding, multipliers = _holding(task, theta, place, size)
    free, on = held == 0, binding != 0
    level, n = np.where(binding > 0, task.high, task.low)[on], int(free.sum())

    def unpacked(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, all_ = theta.copy(), multipliers.copy()
        x[free] += u[:n] * size[free]
        all_[on] = u[n:]
        return np.clip(x, variables.lower, variables.upper), all_

    def conditions(u: np.ndarray) -> np.ndarray:
        place = _place(task, unpacked(u)[0], size)
        return np.concatenate([place.gradient[free] - u[n:] @ place.jacobian[on][:, free], place.c[on] - level])

    def second(u: np.ndarray) -> np.ndarray:
        return np.asarray(_second_order(task, *unpacked(u))) * np.outer(size, size)

    def derivative(u: np.ndarray) -> np.ndarray:
        J = _place(task, unpacked(u)[0], size).jacobian[on][:, free]
        return np.block([[second(u)[np.ix_(free, free)], -J.T], [J, np.zeros((len(J), len(J)))]])

    first = best = np.concatenate([np.zeros(n), multipliers[on]])
    if n and place.f > -HUGE:
        end = root(conditions, first, jac=derivative, method="lm", options={"xtol": 1e-15, "ftol": 1e-15}).x
        near = np.all(np.abs(end[:n]) < 0.5)  # else it is not the point next to θ
        best = min(first, end, key=lambda u: np.max(np.abs(conditions(u)))) if near else first
    theta, multipliers = unpacked(best)
    H, place = second(best), _place(task, theta, size)
    # A slope is small against the figure, or its second derivatives where the figure itself is about zero (then a
    # relative slope is a relative distance).
    scale = max(abs(place.f), float(np.max(np.abs(H), initial=0)), 1e-300)
    left = np.abs(conditions(best))
    residual = float(max(np.max(left[:n], initial=0) / scale, np.max(left[n:], initial=0)))
    notes = _notes(residual, H[np.ix_(free, free)], place.jacobian[on][:, free], FLAT * scale)
    return Summit(theta, place, held, binding, multipliers, residual, notes)


def _holding(task: Task, theta: np.ndarray, place: Place, size: np.ndarray) -> tuple[np.ndarray, ...]:
    """Bounds and constraints that hold, with multipliers: those that θ is at, unless f grows inwards there."""
    variables, equal = task.variables, task.low == task.high
    lower, upper = np.asarray(variables.lower), np.asarray(variables.upper)
    held = (upper - theta <= AT * size).astype(int) - (theta - lower <= AT * size)
    binding = (task.high - place.c <= AT).astype(int) - (place.c - task.low <= AT)
    binding[equal] = 1
    while True:
        free, on, multipliers = held == 0, binding != 0, np.zeros(len(binding))
        J = place.jacobian[on]
        multipliers[on] = np.linalg.lstsq(J[:, free].T, place.gradient[free], rcond=None)[0] if len(J) else 0.0
        inward = held * (place.gradient - multipliers @ place.jacobian) < 0
        loose = ~equal & (binding * multipliers < 0)
        if not (inward.any() or loose.any()):
            return held, binding, multipliers
        held, binding = np.where(inward, 0, held), np.where(loose, 0, binding)


def _notes(residual: float, H: np.ndarray, J: np.ndarray, flat: float) -> list[str]:
    """What asks for a look: a point that is no maximum along directions in which constraints do not change."""
    if not residual < GOOD:
        return [f"not stationary: the relative gradient is {residual:.1g}; start elsewhere or take more steps."]
    Z = np.linalg.svd(J, full_matrices=True)[2][np.linalg.matrix_rank(J) :].T if J.size else np.eye(J.shape[1])
    bends = np.linalg.eigvalsh(Z.T @ H @ Z)
    if bends.size and bends[-1] > flat:
        return ["stationary but no maximum: the figure grows along some direction; start elsewhere."]
    if bends.size and bends[-1] > -flat:
        return ["the maximum is flat along some direction: another combination is as good."]
    return []
