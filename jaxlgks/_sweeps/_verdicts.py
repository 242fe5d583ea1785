"""The verdict on the master equations that a sweep asks, over its grid.

Takes: the function, the grid. Returns: `Validity` at points of the grid, evenly spread where there are many of them: a
verdict takes many times as long as a heat current, and changes slowly.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from .._equations import Validity
from .._generator import verdict_on
from ..errors import ValidityWarning
from ._grid import Dimension, point


class Verdicts(NamedTuple):
    """`each` equation's `Validity` at a grid of points, and `place`, where in the whole grid they are."""

    each: tuple[Validity, ...]
    place: tuple[slice, ...]

    @property
    def largest(self) -> np.ndarray:
        """The largest small parameter of all equations at each point."""
        return np.max([np.asarray(one.error) for one in self.each], axis=0)

    def error(self, shape: tuple[int, ...]) -> np.ndarray:
        """The same over the whole grid, NaN where nobody looked."""
        values = np.full(shape, np.nan)
        values[self.place] = self.largest
        return values


def verdicts(f: Callable[..., Any], grid: tuple[Dimension, ...], points: int, memory: float) -> Verdicts | None:
    """Those on `f` at about so many points at most, or as many as fit into `memory` bytes; None where it asks no master
    equation that could be heard."""
    if not points:
        return None
    at = verdict_on(lambda values: f(**values))
    if not jax.eval_shape(at, {name: x[0] for one in grid for name, x in one.values.items()}):
        return None
    for one in reversed(grid):
        at = jax.vmap(at, ({name: 0 if name in one.values else None for other in grid for name in other.values},))
    place = _spread(grid, points)
    program, needed = _compiled(at, values := _values(grid, place))
    if needed > memory:
        looked_at = math.prod(len(range(one.size)[along]) for one, along in zip(grid, place, strict=True))
        place = _spread(grid, max(int(memory / needed * looked_at), 1))
        program, _ = _compiled(at, values := _values(grid, place))
    return Verdicts(program(values), place)


def _values(grid: tuple[Dimension, ...], place: tuple[slice, ...]) -> dict[str, np.ndarray]:
    return {name: x[along] for one, along in zip(grid, place, strict=True) for name, x in one.values.items()}


def _compiled(at: Callable, values: dict[str, np.ndarray]) -> tuple[Callable, float]:
    """The program, and how many bytes it needs."""
    program = jax.jit(at).lower(values).compile()
    usage = program.memory_analysis()
    return program, 0.0 if usage is None else float(usage.temp_size_in_bytes + usage.output_size_in_bytes)


def _spread(grid: tuple[Dimension, ...], points: int) -> tuple[slice, ...]:
    """At most so many points, evenly spread over the grid."""
    steps = [1] * len(grid)
    while (sizes := [-(-one.size // step) for one, step in zip(grid, steps, strict=True)]) and np.prod(sizes) > points:
        steps[int(np.argmax(sizes))] *= 2
    return tuple(slice(None, None, step) for step in steps)


def summarise(found: Verdicts, grid: tuple[Dimension, ...]) -> str:
    """What the verdicts are, a sentence for each equation; a `ValidityWarning` where one is clearly bad."""
    error, points = found.largest, int(np.prod([one.size for one in grid]))
    looked_at = f" looked at, of {points:,}" if error.size < points else ""
    said = ". ".join(f"{one}{looked_at}" for one in found.each)
    if not any(np.any(np.asarray(one.broken)) for one in found.each):
        return said
    last = np.unravel_index(np.nanargmax(error), error.shape)
    index = tuple(int(i) * (along.step or 1) for i, along in zip(last, found.place, strict=True))
    warnings.warn(
        f"sweep: {said}. What is taken for small is largest at {point(grid, index)}: {float(error[last]):.2g}. See "
        "`validity` in the dataset, and ask diagnose(system, V, delta).",
        ValidityWarning,
        stacklevel=3,
    )
    return said
