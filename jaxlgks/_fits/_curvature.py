"""Whether an end is a minimum: second differences of χ² along the axes of the confidence ellipsoid, and between them.

Enters: ends with their Jacobians. Leaves: along which parameters χ² falls on both sides. The Gauss–Newton matrix JᵀJ
cannot tell a minimum from a maximum or a saddle; the second derivative has a term Σ r ∂²r as well, which has axes of
its own. No derivative is taken for it: with u_i a short step along an axis and b(u) = χ²(θ+u) + χ²(θ−u) − 2χ²(θ),

    B_ij = [b(u_i + u_j) − b(u_i) − b(u_j)]/2,     B_ii = b(u_i),

is the matrix of second derivatives in steps of u, and its lowest eigenvalues tell.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._parameters import Parameters
from ._problem import Examined, Own, Problem

STEP = 0.1
"""Of a standard deviation: χ² grows by its square, 0.01, on either side of a minimum of a nearly linear problem."""
REACH = 0.03
"""Part of its size by which an entry is moved at most (one of which the data see next to nothing)."""
FALL = 1e-4
"""Second differences below minus this (a hundredth of what a minimum has) are a fall and no rounding."""
BATCH = 64
"""Values of χ² at a time."""
SEEN = 1e-3
"""A direction counts as seen if an entry moved by its own size changes predictions by this part of their errors."""


@eqx.filter_jit
def _moved(problem: Problem, own: Own, theta: jax.Array, moves: jax.Array) -> jax.Array:
    """χ² after each of the moves [q, p] from one end."""
    mine = problem.owned(own)
    return jax.lax.map(
        lambda step: jnp.sum(mine.residuals(theta + step) ** 2), moves, batch_size=min(BATCH, len(moves))
    )


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
    """For each start the parameters along which χ² falls on both sides of its end; only for those that have `axes`.
    Starts that ended at the same place are looked at once."""
    found: dict[int, tuple[str, ...]] = {}
    at = lambda tree, i: jax.tree.map(lambda x: x[i], tree)  # noqa: E731
    for i, one in axes.items():
        twin = next((j for j in found if _same_place(at(seen, j), seen.theta[i], axes[j], size)), None)
        found[i] = _falling(problem, at(own, i), given[i], at(seen, i), one, size) if twin is None else found[twin]
    return [found.get(i, ()) for i in range(len(given))]


def _same_place(seen: Examined, theta: Any, axes: Axes, size: float) -> bool:
    """Whether θ is less than `STEP` of a standard deviation from an end, and than `REACH` of the size of any entry."""
    off = theta - seen.theta
    return bool(np.linalg.norm(seen.jacobian @ off) < STEP * size and np.all(np.abs(off) <= REACH * axes.sizes))


def _falling(problem: Problem, own: Own, given: Parameters, seen: Examined, axes: Axes, size: float) -> tuple[str, ...]:
    length = np.minimum(STEP / np.maximum(axes.traced, 1e-300), REACH)
    steps = axes.rows * length[:, None] * axes.sizes
    room = np.minimum(seen.theta - given.lower, given.upper - seen.theta)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.nanmin(np.where(steps != 0, 0.25 * room / np.abs(steps), np.inf), axis=1)
    steps = steps * np.minimum(part, 1.0)[:, None]
    i, j = np.triu_indices(len(steps), 1)
    moves = np.concatenate([steps, steps[i] + steps[j]])
    chi = np.asarray(_moved(problem, own, jnp.asarray(seen.theta), jnp.asarray(np.concatenate([moves, -moves]))))
    here = np.sum(seen.residuals**2)
    bend = np.sum(np.split(chi, 2), axis=0) - 2 * here
    B = np.diag(bend[: len(steps)])
    B[i, j] = B[j, i] = (bend[len(steps) :] - bend[i] - bend[j]) / 2
    values, ways = np.linalg.eigh(np.where(np.isfinite(B), B, 0.0) / size**2)
    down = ways.T[values < -max(FALL, 1e-9 * here / size**2)]
    return tuple(
        sorted({given.names[k] for way in down for k in np.flatnonzero(_large(way @ steps, seen.theta, given))})
    )


def _large(move: np.ndarray, theta: Any, given: Parameters) -> np.ndarray:
    """The entries that take part in a move, each measured by its own size."""
    part = np.abs(move) / np.maximum(np.abs(theta), given.scale)
    return part > 0.3 * np.max(part)
