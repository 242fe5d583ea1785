"""Whether an end is a minimum: second differences of χ² along the axes of the confidence ellipsoid.

Enters: ends with their Jacobians. Leaves: along which parameters χ² falls on both sides. The Gauss–Newton matrix JᵀJ
cannot tell a minimum from a maximum or a saddle; the second derivative has a term Σ r ∂²r as well. No derivative is
taken for it: two values of χ² along each axis say enough.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._parameters import Parameters
from ._problem import Examined, Own, Problem
from ._runner import each

STEP = 0.1
"""Of a standard deviation: χ² grows by its square, 0.01, on either side of a minimum of a nearly linear problem."""
REACH = 0.03
"""Part of its size by which an entry is moved at most (one of which the data see next to nothing)."""
FALL = 1e-4
"""Second differences below minus this (a hundredth of what a minimum has) are a fall and no rounding."""
SEEN = 1e-3
"""A direction counts as seen if an entry moved by its own size changes predictions by this part of their errors."""


@eqx.filter_jit
def _moved(problem: Problem, own: Own, theta: jax.Array, moves: jax.Array) -> jax.Array:
    """χ² of each start [s] after each of its moves [s, q, p]."""

    def one(given: tuple) -> jax.Array:
        mine, here, steps = given
        chi = lambda step: jnp.sum(problem.owned(mine).residuals(here + step) ** 2)  # noqa: E731
        return jax.vmap(chi)(steps)

    return each(one, (own, theta, moves))


class Axes(NamedTuple):
    """Principal axes at an end: `rows` in sizes of the entries, what one size along each changes in standard errors
    (`traced`), the `sizes` (zero for entries held by a bound), how residuals change along each, normalised (`left`)."""

    rows: np.ndarray
    traced: np.ndarray
    sizes: np.ndarray
    left: np.ndarray

    def distance(self, residuals: np.ndarray) -> float:
        """What a Gauss–Newton step takes off the residuals, in directions that are seen."""
        return float(np.linalg.norm(self.left.T[self.traced[: self.left.shape[1]] > SEEN] @ residuals))

    def unseen(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Entries in directions that are not seen."""
        free = self.sizes > 0
        at = [
            row for row, t in zip(self.rows, self.traced, strict=True) if t < SEEN and np.linalg.norm(row[free]) > 0.5
        ]
        large = [k for row in at for k in np.flatnonzero(np.abs(row * free) > 0.3 * np.max(np.abs(row * free)))]
        return tuple(dict.fromkeys(names[k] for k in large))


def axes_of(given: Parameters, theta: Any, jacobian: Any, free: np.ndarray, size: float) -> Axes:
    """Axes of the confidence ellipsoid at θ, of entries that are free."""
    own = given.natural(theta)
    own = np.where(np.array(given.below) | np.array(given.above), own, np.maximum(own, given.scale)) * free
    few = len(jacobian) < len(own)  # then the rows that reduced factors leave out are wanted too
    left, seen, rows = np.linalg.svd(jacobian * own / size, full_matrices=few)
    traced = np.concatenate([seen, np.zeros(len(rows) - len(seen))])
    return Axes(rows, traced, own, left[:, : len(seen)])


def falls(
    problem: Problem, own: Own, given: list[Parameters], seen: Examined, axes: Mapping[int, Axes], size: float
) -> list[tuple[str, ...]]:
    """For each start the parameters along which χ² falls on both sides of its end; only for those that have `axes`."""
    if not axes:
        return [()] * len(given)
    moves = np.zeros((len(given), 2 * len(given[0].names), len(given[0].names)))
    for i, (rows, traced, sizes, _) in axes.items():
        length = np.minimum(STEP / np.maximum(traced, 1e-300), REACH)
        steps = rows * length[:, None] * sizes
        room = np.minimum(seen.theta[i] - given[i].lower, given[i].upper - seen.theta[i])
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.nanmin(np.where(steps != 0, 0.5 * room / np.abs(steps), np.inf), axis=1)
        steps = steps * np.minimum(part, 1.0)[:, None]
        moves[i] = np.concatenate([steps, -steps])
    chi = np.asarray(_moved(problem, own, jnp.asarray(seen.theta), jnp.asarray(moves)))
    here = np.sum(seen.residuals**2, axis=1)
    found = []
    for i, moved in enumerate(moves):
        up, down = np.split(chi[i], 2)
        bend = (up + down - 2 * here[i]) / size**2
        at = np.flatnonzero(bend < -max(FALL, 1e-9 * here[i] / size**2)) if i in axes else []
        names = {given[i].names[k] for j in at for k in np.flatnonzero(_large(moved[j], seen.theta[i], given[i]))}
        found.append(tuple(sorted(names)))
    return found


def _large(move: np.ndarray, theta: Any, given: Parameters) -> np.ndarray:
    """The entries that take part in a move, each measured by its own size."""
    part = np.abs(move) / np.maximum(np.abs(theta), given.scale)
    return part > 0.3 * np.max(part)
