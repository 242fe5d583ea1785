"""From start values to ends: every start in scales of its own, errors that follow predictions, no start on a ridge.

Takes: a problem, start values. Returns: where each start ended, with residuals and derivatives there.

Errors that are a part of the prediction are held while an optimiser runs, and renewed from where it ended, until they
stay: at the fixed point Σ_i ∂f_i (f_i − y_i)/σ_i(f)² = 0. (Were σ(f) varied as well, the fit would make f large where
it makes errors large.)

A start at which no residual depends on a parameter to first order, such as g = 0 where everything is even in g, has no
slope along which to leave: it is moved by `NUDGE` of the parameter's size before the first step.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._methods import End, Method, minimise
from ._parameters import Parameters
from ._problem import Point, Problem, examine

NUDGE = 0.01
ROUNDS = 20
"""Errors are renewed at most so often; each time what is left falls by about the size of a relative error."""
SETTLED = 1e-4
"""Relative change of errors that moves no estimate by more than about this part of its standard deviation."""
WATCHING: list[Callable[[int], object]] = []
"""Progress bars that are shown."""


class Ends(NamedTuple):
    """Of all starts: start values, sizes of the entries (zero where nothing tells one), scales of the coordinates and
    errors [s, ...]; where they ended, and what is there. `problem`: with arrays on the device."""

    problem: Problem
    initial: np.ndarray
    sizes: np.ndarray
    scale: np.ndarray
    sigma: np.ndarray
    end: End
    point: Point

    def parameters(self, i: int) -> Parameters:
        """The parameters in the scales of one start."""
        return dataclasses.replace(self.problem.model.parameters, scale=self.scale[i])

    def at(self, i: int) -> Any:
        """What is at the end of one start, a `Point`."""
        return jax.tree.map(lambda x: x[i], self.point)


def descend(
    problem: Problem, method: Method, z: Array, scale: Array, sigma: Array, limit: Any, tick: Callable | None = None
) -> tuple[End, Array]:
    """One start to its end, and the errors there."""
    if problem.relative is None:
        return minimise(problem.goal(scale, sigma), method, z, limit, tick), sigma

    def again(now: tuple) -> tuple:
        before, sigma, _, turn = now
        goal = problem.goal(scale, sigma)
        end = minimise(goal, method, before.z, limit, tick)
        renewed = problem.errors(goal.predicted(goal.model.parameters.from_coordinates(end.z))[problem.row])
        renewed = jnp.where(jnp.isfinite(renewed) & (renewed > 0), renewed, sigma)
        change = jnp.max(jnp.abs(renewed / sigma - 1))
        return end._replace(steps=before.steps + end.steps), renewed, change, turn + 1

    first = End(z, jnp.asarray(0), jnp.asarray(False))
    start = (first, sigma, jnp.asarray(jnp.inf), jnp.asarray(0))
    return jax.lax.while_loop(lambda now: (now[2] >= SETTLED) & (now[3] < ROUNDS), again, start)[:2]


def _each(f: Callable, *many: Array):
    """`f` of each along the first axis: one without `vmap`, whose conditionals would compute both of their branches."""
    if len(many[0]) > 1:
        return jax.vmap(f)(*many)
    return jax.tree.map(lambda x: x[None], f(*(x[0] for x in many)))


@eqx.filter_jit
def _descended(problem: Problem, method: Method, z: Any, scale: Any, sigma: Any, limit: Any, tick: Any) -> tuple:
    return _each(lambda *one: descend(problem, method, one[0], one[1], one[2], limit, tick), z, scale, sigma)


@eqx.filter_jit
def _examined(problem: Problem, z: Any, scale: Any, sigma: Any) -> Point:
    return _each(lambda z, scale, sigma: examine(problem.goal(scale, sigma), z), z, scale, sigma)


def seek(problem: Problem, method: Method, rows: np.ndarray, drawn: bool, limit: int, progress: bool) -> Ends:
    """All starts to their ends. Starts of a list have sizes of their own (a poor one does not change the scales of the
    others); those drawn around the first one, and entries that start from zero, have that of the first."""
    parameters = problem.model.parameters
    size = parameters.size(rows)
    size = np.where((size > 0) & (not drawn), size, size[0])
    # To begin with, errors are a part of what was measured, no less than of a hundredth of the largest.
    sigma = np.tile(np.asarray(problem.errors(problem.y, 0.01)), (len(rows), 1))
    problem = jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, problem)  # once, not each call
    scale = np.where(size > 0, size, 1.0)
    z = dataclasses.replace(parameters, scale=scale).to_coordinates(rows)
    first = jax.tree.map(np.asarray, _examined(problem, z, scale, sigma))
    scale = np.where(size > 0, size, _signal_sizes(problem, sigma[0], first))
    z = dataclasses.replace(parameters, scale=scale).to_coordinates(rows)
    # Coordinates are moved where residuals do not depend on them to first order.
    norms = np.linalg.norm(first.jacobian * scale[:, None, :], axis=1)
    with np.errstate(invalid="ignore"):
        z = z + NUDGE * (norms <= 1e-12 * np.max(norms, axis=1, keepdims=True, initial=0))
    with _bar(limit, len(rows)) if progress else contextlib.nullcontext(print) as done:
        tick = _tick if progress else None
        end, last = _descended(problem, method, jnp.asarray(z), scale, sigma, jnp.asarray(limit), tick)
        point = _examined(problem, end.z, scale, last)
        end, last, point = jax.tree.map(np.asarray, (end, last, point))
        if progress:
            done(int(end.finished.sum()))
    return Ends(problem, rows, size, scale, last, end, point)


def _signal_sizes(problem: Problem, sigma: np.ndarray, first: Point) -> np.ndarray:
    """What would move predictions by as much as the data are large; 1 where nothing tells."""
    norms = np.linalg.norm(first.jacobian, axis=1)
    signal = float(np.linalg.norm(np.asarray(problem.y) / sigma))
    known = np.isfinite(norms) & (norms > 0) & (signal > 0)
    return np.where(known, signal / np.where(known, norms, 1.0), 1.0)


def _tick(steps) -> None:
    for show in WATCHING:
        show(int(steps))


@contextlib.contextmanager
def _bar(limit: int, starts: int) -> Iterator[Callable[[int], None]]:
    """A bar over steps; what it yields shows how many starts have finished."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("fit: at most {task.total} steps, {task.fields[finished]} starts done")
    with Progress(text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task("fit", total=limit, finished=f"0 of {starts}")
        WATCHING.append(lambda steps: bar.update(task, completed=max(steps, int(bar.tasks[0].completed))))
        try:
            yield lambda finished: bar.update(task, finished=f"{finished} of {starts}")
        finally:
            jax.effects_barrier()
            WATCHING.pop()
