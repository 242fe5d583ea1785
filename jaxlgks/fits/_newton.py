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
    """From θ to the stationary point nearby; θ itself where Newton's method leads away."""
    given = task.variables
    size = np.minimum(np.maximum(np.abs(theta), np.asarray(given.scale)), np.asarray(given.upper - given.lower))
    start = _look(task, theta, None)
    if not np.isfinite(start.f) or not np.all(np.isfinite(start.gradient)):
        return Stationary(theta, np.nan, np.asarray(start.c), np.zeros(len(start.c)), np.nan, {}, [])
    multipliers = _multipliers(start, np.ones(len(theta), bool), size)
    held, theta = _held(given, theta, start, multipliers, size)
    free = np.array([name not in held for name in given.names])
    point, best = theta, (np.inf, theta, multipliers)
    for _ in range(STEPS):
        here = _look(task, point, multipliers)
        if not all(np.all(np.isfinite(x)) for x in here):
            break
        left = _residual(here, multipliers, free, size)
        if left < best[0]:
            best = (left, point, multipliers)
        if left < 1e-14 or not free.any():
            break
        step, multipliers = _step(here, free, size)
        inside = np.where(free, point + step, point)
        point = np.clip(inside, np.asarray(given.lower), np.asarray(given.upper))
    left, point, multipliers = best
    return _verdict(task, point, multipliers, left, held, free, size)


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


def _held(given: Any, theta: np.ndarray, here: _Local, multipliers: np.ndarray, size: np.ndarray) -> tuple:
    """Variables that a bound holds: close to it, and f grows beyond it. They are put on it."""
    slope = (here.gradient - multipliers @ here.jacobian) * size
    near = given.at_bound(theta, 1e-3 * size)
    held, moved = {}, theta.copy()
    for i, name in enumerate(given.names):
        bound = near.get(name, "")
        if (bound.startswith("lower") and slope[i] < 0) or (bound.startswith("upper") and slope[i] > 0):
            held[name] = bound
            moved[i] = given.lower[i] if bound.startswith("lower") else given.upper[i]
    return held, moved


def _residual(here: _Local, multipliers: np.ndarray, free: np.ndarray, size: np.ndarray) -> float:
    """Gradient of the Lagrangian, in sizes of the variables over that of f, and constraints."""
    slope = ((here.gradient - multipliers @ here.jacobian) * size)[free]
    return float(max(np.max(np.abs(slope), initial=0) / max(abs(here.f), 1e-300), np.max(np.abs(here.c), initial=0)))


def _step(here: _Local, free: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's step of (θ, λ)."""
    s = size[free]
    H, J = here.curvature[np.ix_(free, free)] * np.outer(s, s), here.jacobian[:, free] * s
    k = len(here.c)
    matrix = np.block([[H, -J.T], [J, np.zeros((k, k))]])
    right = -np.concatenate([here.gradient[free] * s, here.c])
    found = np.linalg.lstsq(matrix, right, rcond=1e-14)[0]
    step = np.zeros(len(size))
    step[free] = np.clip(found[: len(s)], -0.5, 0.5) * s  # no further than half the size of a variable
    return step, found[len(s) :]


def _verdict(task: Any, theta: np.ndarray, multipliers: np.ndarray, left: float, held: dict, free: np.ndarray, size):
    """What has been found: a maximum, or what else."""
    here = _look(task, theta, multipliers)
    notes = []
    if not left < GOOD:
        notes.append(f"not stationary: the relative gradient is {left:.1g}; start elsewhere or take more steps.")
    elif free.any():
        J = here.jacobian[:, free] * size[free]
        rank = np.linalg.matrix_rank(J) if J.size else 0
        tangent = np.linalg.svd(J, full_matrices=True)[2][rank:].T if J.size else np.eye(int(free.sum()))
        H = here.curvature[np.ix_(free, free)] * np.outer(size[free], size[free])
        bend = np.linalg.eigvalsh(tangent.T @ H @ tangent) if tangent.shape[1] else np.zeros(0)
        if bend.size and bend[-1] > 1e-8 * abs(here.f):
            notes.append("stationary but no maximum: the figure grows along some direction; start elsewhere.")
        elif bend.size and bend[-1] > -1e-8 * abs(here.f):
            notes.append("the maximum is flat along some direction: another combination is as good.")
    return Stationary(theta, float(here.f), here.c, multipliers, left, held, notes)
