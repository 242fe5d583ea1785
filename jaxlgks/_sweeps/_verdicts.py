"""The verdict on the master equations that a sweep asks, over its grid.

Takes: the function, the grid. Returns: `Validity` at points of the grid, evenly spread where there are many of them: a
verdict takes many times as long as a heat current, and changes slowly.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from .._equations import Validity
from .._generator import verdict_on
from ..errors import ValidityWarning
from ._grid import Dimension, point


class Verdicts(NamedTuple):
    """`validity` of a grid of points, and `place`, where in the whole grid they are."""

    validity: Validity
    place: tuple[slice, ...]

    def error(self, shape: tuple[int, ...]) -> np.ndarray:
        """The largest small parameter over the whole grid, NaN where nobody looked."""
        values = np.full(shape, np.nan)
        values[self.place] = np.asarray(self.validity.error)
        return values


def verdicts(f: Callable[..., Any], grid: tuple[Dimension, ...], points: int) -> Verdicts | None:
    """Those on `f` at about so many points at most; None where it asks no master equation that could be heard."""
    if not points:
        return None
    steps = [1] * len(grid)
    while (sizes := [-(-one.size // step) for one, step in zip(grid, steps, strict=True)]) and np.prod(sizes) > points:
        steps[int(np.argmax(sizes))] *= 2
    place = tuple(slice(None, None, step) for step in steps)
    at = verdict_on(lambda values: f(**values))
    values = {name: x[along] for one, along in zip(grid, place, strict=True) for name, x in one.values.items()}
    if jax.eval_shape(at, {name: x[0] for name, x in values.items()}) is None:
        return None
    for one in reversed(grid):
        at = jax.vmap(at, ({name: 0 if name in one.values else None for name in values},))
    validity = eqx.filter_jit(at)(values)
    return None if validity is None else Verdicts(validity, place)


def summarise(found: Verdicts, grid: tuple[Dimension, ...]) -> str:
    """What the verdicts are, in a sentence; a `ValidityWarning` where they are clearly bad."""
    error, points = np.asarray(found.validity.error), int(np.prod([one.size for one in grid]))
    said = str(found.validity)
    if error.size < points:
        said += f" looked at, of {points:,}"
    if not np.any(np.asarray(found.validity.broken)):
        return said
    last = np.unravel_index(np.nanargmax(error), error.shape)
    index = tuple(int(i) * (along.step or 1) for i, along in zip(last, found.place, strict=True))
    warnings.warn(
        f"sweep: {said}. What it takes for small is largest at {point(grid, index)}: {float(error[last]):.2g}. See "
        "`validity` in the dataset, and ask diagnose(system, V, delta).",
        ValidityWarning,
        stacklevel=3,
    )
    return said
