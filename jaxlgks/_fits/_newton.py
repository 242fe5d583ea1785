"""Newton's method for a constrained maximum, from close by.

Enters: figure and constraints, a point. Leaves: the stationary point of f − Σ λ_k c_k in the variables that no bound
holds, its multipliers, and whether it is a maximum: second derivatives along the constraints are negative.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

STEPS = 30
GOOD = 1e-9
"""Relative size of the gradient that counts as zero: second derivatives of a steady state are good to about 1e−10."""
FLAT = 1e-8
"""Second derivatives below this part of figure and largest second derivative count as zero."""
NEAR = 1e-3
"""Variables closer to a bound than this part of their size may be held by it: it is tried, and the sign checked."""


class Stationary(NamedTuple):
    """A stationary point: variables, figure, constraints, multipliers, what is left of the conditions, held bounds."""

    theta: np.ndarray
    value: float
    violated: np.ndarray
    multipliers: np.ndarray
    residual: float
    active: dict[str, str]
    notes: list[str]


class _Local(NamedTuple):
    """Values and derivatives at a point."""

    f: Any
    c: Any
    gradient: Any
    jacobian: Any
    curvature: Any


@eqx.filter_jit
def _first_order(task: Any, theta: Array) -> tuple:
    f, gradient = jax.value_and_grad(task.value)(theta)
    return f, task.violated(theta), gradient, jax.jacfwd(task.violated)(theta)


@eqx.filter_jit
def _curvature(task: Any, theta: Array, multipliers: Array) -> Array:
    lagrangian = lambda theta: task.value(theta) - multipliers @ task.violated(theta)  # noqa: E731
    return jax.jacfwd(jax.grad(lagrangian))(theta)


def solve(task: Any, theta: np.ndarray) -> Stationary:
    """From θ to the stationary point nearby; θ itself where Newton's method leads away.

    Which variables a bound holds is guessed from θ and corrected: a held one is let go where f grows inwards, a free
    one that ran into its bound is held where f grows outwards, until no bound changes."""
    given = task.variables
    size = np.minimum(np.maximum(np.abs(theta), np.asarray(given.scale)), np.asarray(given.upper - given.lower))
    start = _look(task, theta, None)
    if not np.isfinite(start.f) or not np.all(np.isfinite(start.gradient)):
        return Stationary(theta, np.nan, np.asarray(start.c), np.zeros(len(start.c)), np.nan, {}, [])
    side = _outward(given, theta, _slope(start, np.ones(len(theta), bool), size), NEAR * size)
    point, seen = theta.copy(), set()
    while True:
        seen.add(tuple(side))
        point = np.where(side < 0, given.lower, np.where(side > 0, given.upper, point))
        point, left = _newton(task, point, side == 0, size)
        here = _look(task, point, None)
        slope, scale = _slope(here, side == 0, size), max(abs(here.f), 1e-300)
        wrong = -side * slope > GOOD * scale  # f grows away from the bound
        hit = (side == 0) & (_outward(given, point, slope, 0 * size) != 0)
        other = np.where(wrong, 0, np.where(hit, _outward(given, point, slope, 0 * size), side))
        if tuple(other) in seen:
            left = max(left, float(np.max(np.abs(slope)[wrong], initial=0)) / scale)
            return _verdict(task, point, left, side, size)
        point, side = np.where(wrong, theta, point), other  # one let go starts again from where it was


def _newton(task: Any, point: np.ndarray, free: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, float]:
    """Newton's method uphill in the free variables, and what is left of the gradient at the best point."""
    best = (np.inf, point)
    lower, upper = np.asarray(task.variables.lower), np.asarray(task.variables.upper)
    for _ in range(STEPS):
        multipliers = _multipliers(_look(task, point, None), free, size)
        here = _look(task, point, multipliers)
        if not all(np.all(np.isfinite(x)) for x in here):
            break
        left = _residual(here, multipliers, free, size)
        if left < best[0]:
            best = (left, point)
        if left < 1e-14 or not free.any():
            break
        point = np.clip(point + _step(here, multipliers, free, size), lower, upper)
    return best[1], best[0]


def _look(task: Any, theta: np.ndarray, multipliers: np.ndarray | None) -> _Local:
    f, c, gradient, jacobian = (np.asarray(x) for x in _first_order(task, jnp.asarray(theta)))
    curvature = np.zeros(())
    if multipliers is not None:
        curvature = np.asarray(_curvature(task, jnp.asarray(theta), jnp.asarray(multipliers)))
    return _Local(f, c, gradient, jacobian, curvature)


def _multipliers(here: _Local, free: np.ndarray, size: np.ndarray) -> np.ndarray:
    """λ by least squares from ∇f = Jᵀλ."""
    if not here.c.size:
        return np.zeros(0)
    return np.linalg.lstsq((here.jacobian * size)[:, free].T, (here.gradient * size)[free], rcond=None)[0]


def _slope(here: _Local, free: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Gradient of the Lagrangian in sizes of the variables."""
    return (here.gradient - _multipliers(here, free, size) @ here.jacobian) * size


def _outward(given: Any, theta: np.ndarray, slope: np.ndarray, close: np.ndarray) -> np.ndarray:
    """−1 (lower), +1 (upper) for variables this close to a bound beyond which f grows, else 0."""
    low = (theta - given.lower <= close) & (slope < 0)
    high = (given.upper - theta <= close) & (slope > 0)
    return high.astype(int) - low.astype(int)


def _scale(here: _Local, size: np.ndarray) -> float:
    """What a gradient is small against: the figure, or its curvature where the figure itself is about zero (then a
    relative gradient is a relative distance)."""
    return max(abs(float(here.f)), float(np.max(np.abs(here.curvature) * np.outer(size, size), initial=0)), 1e-300)


def _residual(here: _Local, multipliers: np.ndarray, free: np.ndarray, size: np.ndarray) -> float:
    """Gradient of the Lagrangian, in sizes of the variables over that of f, and constraints."""
    slope = ((here.gradient - multipliers @ here.jacobian) * size)[free]
    return float(max(np.max(np.abs(slope), initial=0) / _scale(here, size), np.max(np.abs(here.c), initial=0)))


def _tangent(jacobian: np.ndarray) -> np.ndarray:
    """Directions along which constraints do not change, in columns."""
    if not jacobian.size:
        return np.eye(jacobian.shape[1])
    return np.linalg.svd(jacobian, full_matrices=True)[2][np.linalg.matrix_rank(jacobian) :].T


def _step(here: _Local, multipliers: np.ndarray, free: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Newton's step back to the constraints and, along them, uphill: where the second derivative is positive its sign
    is turned, or the step would lead to a minimum."""
    s = size[free]
    H, J = here.curvature[np.ix_(free, free)] * np.outer(s, s), here.jacobian[:, free] * s
    slope = (here.gradient - multipliers @ here.jacobian)[free] * s
    back = np.linalg.lstsq(J, -here.c, rcond=1e-14)[0] if here.c.size else np.zeros(len(s))
    Z = _tangent(J)
    bend, axes = np.linalg.eigh(Z.T @ H @ Z)
    along = axes @ ((axes.T @ (Z.T @ (slope + H @ back))) / np.maximum(np.abs(bend), FLAT * _scale(here, size)))
    step = np.zeros(len(size))
    step[free] = np.clip(back + Z @ along, -0.5, 0.5) * s  # no further than half the size of a variable
    return step


def _verdict(task: Any, theta: np.ndarray, left: float, side: np.ndarray, size: np.ndarray) -> Stationary:
    """What has been found: a maximum, or what else."""
    free, given = side == 0, task.variables
    multipliers = _multipliers(_look(task, theta, None), free, size)
    here = _look(task, theta, multipliers)
    notes, limit = [], FLAT * _scale(here, size)
    if not left < GOOD:
        notes.append(f"not stationary: the relative gradient is {left:.1g}; start elsewhere or take more steps.")
    elif free.any():
        Z = _tangent(here.jacobian[:, free] * size[free])
        H = here.curvature[np.ix_(free, free)] * np.outer(size[free], size[free])
        bend = np.linalg.eigvalsh(Z.T @ H @ Z)
        if bend.size and bend[-1] > limit:
            notes.append("stationary but no maximum: the figure grows along some direction; start elsewhere.")
        elif bend.size and bend[-1] > -limit:
            notes.append("the maximum is flat along some direction: another combination is as good.")
    held = {
        name: f"{'lower' if at < 0 else 'upper'} bound {given.lower[i] if at < 0 else given.upper[i]:.6g}"
        for i, (name, at) in enumerate(zip(given.names, side, strict=True))
        if at
    }
    return Stationary(theta, float(here.f), here.c, multipliers, left, held, notes)
