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
from .._generator import WEAK, Judgement, asked_in, doubtful, verdict_on
from ..errors import AccuracyWarning, ValidityWarning
from ._grid import Dimension, point
from ._program import executable


class Verdicts(NamedTuple):
    """`equations`: the `Validity` of each at a grid of points; `place`, where in the whole grid these are; `error`, the
    largest `SteadyState.error` there, if there is one; `unheard`, equations that are asked out of hearing."""

    equations: tuple[Validity, ...]
    error: np.ndarray | None
    place: tuple[slice, ...]
    unheard: tuple[str, ...]

    @property
    def largest(self) -> np.ndarray:
        """The largest small parameter of all equations at each point."""
        return np.max([np.asarray(one.error) for one in self.equations], axis=0)

    def variables(self, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """What a dataset keeps of them, over the whole grid, NaN where nobody looked."""
        known = {} if self.error is None else {"state_error": self.error}
        known |= {"validity": self.largest} if self.equations else {}
        whole = {name: np.full(shape, np.nan) for name in known}
        for name, values in known.items():
            whole[name][self.place] = values
        return whole


def verdicts(f: Callable[..., Any], grid: tuple[Dimension, ...], points: int, memory: float) -> Verdicts | None:
    """Those on `f` at about so many points at most, or as many as fit into `memory` bytes; None where it asks no master
    equation."""
    if not points:
        return None
    judge = verdict_on(f)

    def at(values: dict[str, Any]) -> Judgement:
        return judge(**values)

    first = {name: x[0] for one in grid for name, x in one.values.items()}
    traced, judgement = jax.make_jaxpr(at, return_shape=True)(first)
    unheard = tuple(sorted(asked_in(traced) - {one.equation for one in judgement.equations}))
    if not judgement.equations:
        return Verdicts((), None, (), unheard) if unheard else None
    for one in reversed(grid):
        at = jax.vmap(at, ({name: 0 if name in one.values else None for other in grid for name in other.values},))
    place = _spread(grid, points)
    program, needed = _compiled(at, values := _values(grid, place))
    if needed > memory:
        looked_at = math.prod(len(range(one.size)[along]) for one, along in zip(grid, place, strict=True))
        place = _spread(grid, max(int(memory / needed * looked_at), 1))
        program, _ = _compiled(at, values := _values(grid, place))
    equations, error = program(values)
    return Verdicts(equations, None if error is None else np.asarray(error), place, unheard)


def _values(grid: tuple[Dimension, ...], place: tuple[slice, ...]) -> dict[str, np.ndarray]:
    return {name: x[along] for one, along in zip(grid, place, strict=True) for name, x in one.values.items()}


def _compiled(at: Callable, values: dict[str, np.ndarray]) -> tuple[Callable, float]:
    """The program, and how many bytes it needs."""
    program = executable(at, values)
    usage = program.memory_analysis()
    return program, 0.0 if usage is None else float(usage.temp_size_in_bytes + usage.output_size_in_bytes)


def _spread(grid: tuple[Dimension, ...], points: int) -> tuple[slice, ...]:
    """At most so many points, evenly spread over the grid."""
    steps = [1] * len(grid)
    while (sizes := [-(-one.size // step) for one, step in zip(grid, steps, strict=True)]) and np.prod(sizes) > points:
        steps[int(np.argmax(sizes))] *= 2
    return tuple(slice(None, None, step) for step in steps)


def summarise(found: Verdicts, grid: tuple[Dimension, ...]) -> dict[str, str]:
    """What the verdicts are, a sentence for each equation, and how far rounding has spoiled states; a `ValidityWarning`
    where one is clearly bad, an `AccuracyWarning` where states are doubted."""
    points = math.prod(one.size for one in grid)

    def where(values: np.ndarray) -> dict[str, Any]:
        last = np.unravel_index(np.nanargmax(values), values.shape)
        return point(grid, tuple(int(i) * (along.step or 1) for i, along in zip(last, found.place, strict=True)))

    looked_at = f" looked at, of {points:,}" if found.equations and found.largest.size < points else ""
    said = [f"{one}{looked_at}" for one in found.equations]
    said += [
        f"{name} not judged: it is asked inside a jit, vmap or grad of the function's own" for name in found.unheard
    ]
    attributes = {"validity": ". ".join(said)}
    if any(np.any(np.asarray(one.broken)) for one in found.equations):
        warnings.warn(
            f"sweep: {attributes['validity']}. What is taken for small is largest at {where(found.largest)}: "
            f"{np.nanmax(found.largest):.2g}. See `validity` in the dataset, and ask diagnose(system, V, delta).",
            ValidityWarning,
            stacklevel=3,
        )
    if found.error is not None and (doubt := _doubt(found.error)):
        attributes["accuracy"] = f"{doubt}{looked_at}, the largest error at {where(found.error)}"
        sentence = f"sweep: {attributes['accuracy']}. See `state_error` in the dataset. {WEAK}"
        warnings.warn(sentence, AccuracyWarning, stacklevel=3)
    return attributes


def _doubt(error: np.ndarray) -> str:
    """How many of the states that were found are doubted; nothing if none is."""
    limit = doubtful(error.dtype)
    if not (count := int(np.sum(error > limit))):
        return ""
    return (
        f"elements of steady states may be wrong by up to {np.nanmax(error):.1e} of the largest, by more than "
        f"{limit:.0e} at {count:,} of {np.sum(~np.isnan(error)):,} points"
    )
