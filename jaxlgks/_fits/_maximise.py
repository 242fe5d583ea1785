"""The best device: a differentiable figure of merit, made as large as bounds and constraints allow.

Enters: a figure, start values, bounds, constraints h(θ) = level or low ≤ h(θ) ≤ high. Leaves: `Design`.

A range is an equality h(θ) − s = 0 with one more variable, low ≤ s ≤ high. From every start an optimiser runs in
coordinates without bounds, constraints as a penalty; then Newton's method solves, in the variables that no bound holds,

    ∇f = Σ_k λ_k ∇c_k,    c_k(θ) = 0,

to rounding: the first stage need not be accurate, and the second gives multipliers, λ_k = ∂f/∂level_k.
"""

import dataclasses
import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._inputs import require_x64
from ..errors import FitError, FitWarning, InputError
from ._methods import as_method
from ._newton import Stationary, solve
from ._parameters import Bounds, Parameters, draw_starts, listed_starts, parameters
from ._runner import run

PENALTIES = (1e1, 1e3, 1e5)
CLOSE = 1e-6
"""Starts whose values agree to this part have found the same optimum."""


class Design(eqx.Module):
    """The best point found.

    - `params`: the pytree; `values`: its entries by name; `figure`: the figure of merit there.
    - `active`: entries held by a bound, and which.
    - `multipliers`: ∂ figure/∂ level of each constraint; `constraints`: their values.
    - `residual`: what is left of the conditions for an optimum, relative.
    - `starts`: the figure from each start; `outcomes`: the same in words. `notes`: what asks for a look.
    """

    params: Any
    values: dict[str, float]
    figure: float
    active: dict[str, str]
    multipliers: dict[str, float]
    constraints: dict[str, float]
    residual: float
    starts: Float[np.ndarray, " s"]
    outcomes: tuple[str, ...] = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)

    def summary(self) -> str:
        """The optimum as text."""
        lines = [f"figure of merit {self.figure:.8g}"]
        for name, value in self.values.items():
            lines.append(f"{name:<20}{value:>16.8g}" + (f"  at its {self.active[name]}" if name in self.active else ""))
        for name, value in self.constraints.items():
            lines.append(f"constraint {name} = {value:.8g}, ∂figure/∂{name} = {self.multipliers[name]:.4g}")
        lines += [f"start {i + 1}: {outcome}" for i, outcome in enumerate(self.outcomes)]
        return "\n".join([*lines, *(f"! {note}" for note in self.notes)])

    def __str__(self) -> str:
        return self.summary()


class Task(eqx.Module):
    """Figure and constraints as functions of the vector of all variables, in units of their sizes at the start."""

    figure: Callable
    functions: tuple[Callable, ...]
    levels: Array
    sizes: Array
    unit: Array
    variables: Parameters
    slack: tuple[int, ...] = eqx.field(static=True)

    def value(self, theta: Float[Array, " q"]) -> Float[Array, ""]:
        """f(θ), a number."""
        return jnp.asarray(self.figure(self.variables.tree(theta)[0])) / self.unit

    def violated(self, theta: Float[Array, " q"]) -> Float[Array, " k"]:
        """c(θ): h(θ) less its level, or its slack."""
        params, slack = self.variables.tree(theta)
        if not self.functions:
            return jnp.zeros(0)
        h = jnp.stack([jnp.asarray(h(params), float) for h in self.functions])
        wanted = [slack[_slack(k)] if k in self.slack else self.levels[k] for k in range(len(self.functions))]
        return (h - jnp.stack(wanted)) / self.sizes


class _Penalised(eqx.Module):
    """−f + ½ μ |c|²: a goal."""

    task: Task
    weight: Array

    def __call__(self, z: Float[Array, " q"]) -> Float[Array, ""]:
        theta = self.task.variables.outward(z)
        return -self.task.value(theta) + self.weight / 2 * jnp.sum(self.task.violated(theta) ** 2)


def maximise(
    figure: Callable[[Any], Any],
    init: Any,
    *,
    bounds: Bounds | None = None,
    constraints: Mapping[str, Any] | None = None,
    method: Any = "bfgs",
    starts: Any = 1,
    steps: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Design:
    """The parameters at which a figure of merit is largest.

    **Arguments:** `figure`: a real number, of a pytree of real numbers; JAX differentiates it twice.
    `init`, `bounds`, `starts`, `seed`, `progress`: as in `fit`. `constraints`: by name (h, level), h(params) = level,
    or (h, (low, high)). `method`: "bfgs", "nonlinear-cg", "lbfgs", "adam" or an object of optimistix or optax; its end
    is polished by Newton's method.

    **Returns:** `Design`.

    **Raises:** `InputError`; `FitError` where the figure is finite at no start, or the constraints cannot be met.
    **Warns:** `FitWarning` where the end is not known to be a maximum.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")

    def current(p):  # through one qubit between a hot and a cold bath
        baths = [lgks.Bath(X, T, lgks.Flat(0.01)) for T in (2.0, 1.0)]
        return lgks.heat_currents(lgks.System(p["omega"] / 2 * Z, baths), solver=lgks.Populations())[0]

    best = lgks.maximise(current, {"omega": 1.0}, bounds={"omega": "positive"})
    best.values["omega"]                           # 2.7899
    ```
    """
    require_x64()
    task, theta, names = _task(figure, init, bounds, constraints or {})
    z = _starts(task, theta, init, bounds, starts, seed)
    chosen = as_method(method, False, "maximise")
    limit = chosen.steps if steps is None else steps
    for weight in PENALTIES if task.functions else PENALTIES[:1]:
        z = run(_Penalised(task, jnp.asarray(weight)), chosen, z, limit, progress=progress, title="maximise").z
    ends = [solve(task, np.asarray(task.variables.outward(jnp.asarray(one)))) for one in z]
    return _design(task, ends, names, init)


def _task(figure: Callable, init: Any, bounds: Bounds | None, constraints: Mapping) -> tuple[Task, np.ndarray, list]:
    given, theta = parameters(init, bounds, "maximise")
    f0 = np.asarray(figure(given.tree(jnp.asarray(theta))))
    if f0.shape != () or f0.dtype.kind not in "fiu":
        raise InputError(f"maximise: the figure must be one real number; got {f0.dtype}{f0.shape}.")
    names, functions, levels, sizes, slack, room = [], [], [], [], {}, {}
    for k, (name, pair) in enumerate(constraints.items()):
        if not isinstance(pair, Sequence) or len(pair) != 2 or not callable(pair[0]):
            raise InputError(f"maximise: the constraint {name!r} is a pair (function, level or range); got {pair!r}.")
        h, level = pair
        ends = [level] if np.ndim(level) == 0 else list(level)
        try:
            ends = [np.nan if end is None else float(end) for end in ends]
        except (TypeError, ValueError):
            ends = []
        if len(ends) not in (1, 2) or (len(ends) == 1 and not np.isfinite(ends[0])):
            raise InputError(f"maximise: the level of {name!r} is a number or a pair (low, high); got {level!r}.")
        names.append(name)
        functions.append(h)
        levels.append(ends[0])
        h0 = float(h(given.tree(jnp.asarray(theta))))
        sizes.append(next((abs(x) for x in (*ends, h0) if np.isfinite(x) and x), 1.0))
        if len(ends) == 2:
            slack[_slack(k)] = _inside(name, h0, ends[0], ends[1], sizes[-1])
            room[f"1.{_slack(k)}"] = tuple(None if np.isnan(end) else end for end in ends)
    both, vector = parameters((init, slack), room, "maximise")
    behind = lambda x: x[given.count :]  # noqa: E731
    both = dataclasses.replace(
        both,
        **{x: np.concatenate([getattr(given, x), behind(getattr(both, x))]) for x in ("lower", "upper", "scale")},
        **{x: (*getattr(given, x), *behind(getattr(both, x))) for x in ("below", "above")},
        names=(*given.names, *(names[int(key[1:])] for key in sorted(slack))),
    )
    unit = abs(float(f0)) if np.isfinite(f0) and f0 else 1.0
    at = tuple(int(key[1:]) for key in slack)
    task = Task(figure, tuple(functions), jnp.asarray(levels), jnp.asarray(sizes), jnp.asarray(unit), both, at)
    return task, vector, names


def _slack(k: int) -> str:
    """A name that sorts as the number does: a pytree sorts its keys."""
    return f"_{k:06d}"


def _inside(name: str, value: float, low: float, high: float, size: float) -> float:
    """A value strictly between the ends of a range, near the given one."""
    if low >= high:
        raise InputError(f"maximise: the range of {name!r} leaves nothing between {low} and {high}.")
    if np.isfinite(low) and np.isfinite(high):
        margin = 0.1 * (high - low)
        return float(np.clip(value, low + margin, high - margin)) if np.isfinite(value) else (low + high) / 2
    return max(value, low + 0.1 * size) if np.isfinite(low) else min(value, high - 0.1 * size)


def _starts(task: Task, theta: np.ndarray, init: Any, bounds: Bounds | None, starts: Any, seed: int) -> np.ndarray:
    """As of a fit; slack starts where it is."""
    if isinstance(starts, numbers.Integral):
        rows = draw_starts(task.variables, theta, starts, seed, "maximise")
        return np.stack([task.variables.inward(row) for row in rows])
    given, first = parameters(init, bounds, "maximise")
    rows = listed_starts(given, first, starts, "maximise")
    return np.stack([task.variables.inward(np.concatenate([row, theta[given.count :]])) for row in rows])


def _design(task: Task, ends: list[Stationary], names: list[str], init: Any) -> Design:
    unit, sizes = float(task.unit), np.asarray(task.sizes)
    feasible = [np.isfinite(e.value) and np.all(np.abs(e.violated) < 1e-6) for e in ends]
    if not any(feasible):
        misses = [float(np.max(np.abs(e.violated), initial=0)) for e in ends if np.isfinite(e.value)]
        if not misses:
            raise FitError("maximise: the figure is finite at the end of no start.")
        raise FitError(
            f"maximise: no start meets the constraints {names}; the closest misses by {min(misses):.2g} of their size. "
            "Ask for less, widen the bounds, or start elsewhere."
        )
    figures = np.array([e.value * unit if good else -np.inf for e, good in zip(ends, feasible, strict=True)])
    best = int(np.argmax(figures))
    found = ends[best]
    outcomes = []
    for value in figures:
        # At an optimum of about zero, what counts is the size of the figure at the start.
        same = abs(value - figures[best]) <= CLOSE * max(abs(figures[best]), CLOSE * unit)
        lost = not np.isfinite(value)
        said = "not finite, or constraints not met" if lost else f"{value:.8g}" + ("" if same else ", a lower maximum")
        outcomes.append(said)
    notes = tuple(found.notes)
    for note in notes:
        warnings.warn(f"maximise: {note}", FitWarning, stacklevel=3)
    count = parameters(init, None, "maximise")[0].count
    values = dict(zip(task.variables.names[:count], map(float, found.theta[:count]), strict=True))
    tree = task.variables.tree(jnp.asarray(found.theta))
    h = [float(function(tree[0])) for function in task.functions]
    return Design(
        params=tree[0],
        values=values,
        figure=float(figures[best]),
        active=found.active,
        multipliers=dict(zip(names, map(float, found.multipliers * unit / sizes), strict=True)),
        constraints=dict(zip(names, h, strict=True)),
        residual=found.residual,
        starts=figures,
        outcomes=tuple(outcomes),
        notes=notes,
    )
