"""The best device: a differentiable figure of merit, made as large as bounds and constraints allow.

Takes: a figure, start values, bounds, constraints h(θ) = level or low ≤ h(θ) ≤ high. Returns: `Design`.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import FitError, FitWarning, InputError
from ._climb import HUGE, Place, Summit, Task, climbed, summit
from ._parameters import Bounds, Parameters, as_parameters, start_values

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


class _Scaled(eqx.Module):
    """Functions of the pytree in one array, as functions of the vector of all entries, in units of their sizes."""

    functions: tuple[Callable, ...]
    sizes: Float[np.ndarray, " k"]
    variables: Parameters

    def __call__(self, theta: Float[Array, " q"]) -> Float[Array, " k"]:
        params = self.variables.tree(theta)
        return jnp.stack([jnp.asarray(f(params), float) for f in self.functions]) / self.sizes


def maximise(
    figure: Callable[[Any], Any],
    init: Any,
    *,
    bounds: Bounds | None = None,
    constraints: Mapping[str, Any] | None = None,
    starts: Any = 1,
    steps: int = 500,
    seed: int = 0,
    progress: bool = False,
) -> Design:
    """The parameters at which a figure of merit is largest.

    **Arguments:** `figure`: a real number, of a pytree of real numbers; JAX differentiates it twice.
    `init`, `bounds`, `starts`, `seed`: as in `fit`. `constraints`: by name (h, level), h(params) = level, or
    (h, (low, high)). `steps`: at most so many from each start. `progress`: a bar.

    scipy's SLSQP climbs from every start; Newton's method adds the last digits.

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
    variables, theta = as_parameters(init, bounds, "maximise")
    value = np.asarray(figure(variables.tree(theta)))
    if value.shape != () or value.dtype.kind not in "fiu":
        raise InputError(f"maximise: the figure must be one real number; got {value.dtype}{value.shape}.")
    unit = np.array([abs(value) if np.isfinite(value) and value else 1.0])
    names = list(constraints or {})
    levels = [_level(name, pair) for name, pair in (constraints or {}).items()]
    low, high = np.array(levels, float).reshape(-1, 2).T
    h = tuple(pair[0] for pair in (constraints or {}).values())
    at_start = np.array([float(function(variables.tree(theta))) for function in h])
    ends = np.abs(np.stack([low, high, at_start]))
    known = np.isfinite(ends) & (ends > 0)
    sizes = np.where(known.any(axis=0), ends[np.argmax(known, axis=0), range(len(h))], 1.0)
    scaled = _Scaled(h, sizes, variables) if h else None
    task = Task(_Scaled((figure,), unit, variables), variables, scaled, low / sizes, high / sizes)
    rows = start_values(variables, theta, starts, seed, "maximise")
    summits = [summit(task, end) for end in climbed(task, rows, steps, progress)]
    figures = _figures(task, [one.place for one in summits], float(unit[0]), names)
    best = int(np.argmax(figures))
    top = summits[best]
    for note in top.notes:
        warnings.warn(f"maximise: {note}", FitWarning, stacklevel=2)
    return Design(
        params=variables.tree(top.theta),
        values=variables.values(top.theta),
        figure=float(figures[best]),
        active=_active(top, variables, names, low, high),
        multipliers=dict(zip(names, map(float, top.multipliers * unit / sizes), strict=True)),
        constraints=dict(zip(names, map(float, top.place.c * sizes), strict=True)),
        residual=top.residual,
        starts=figures,
        outcomes=_outcomes(figures, float(unit[0])),
        notes=tuple(top.notes),
    )


def _level(name: str, pair: Any) -> tuple[float, float]:
    """The ends of a constraint: a level twice, or a range."""
    if not isinstance(pair, Sequence) or len(pair) != 2 or not callable(pair[0]):
        raise InputError(f"maximise: the constraint {name!r} is a pair (function, level or range); got {pair!r}.")
    level = np.ndim(pair[1]) == 0
    try:
        low, high = [pair[1], pair[1]] if level else pair[1]
        low, high = -np.inf if low is None else float(low), np.inf if high is None else float(high)
    except (TypeError, ValueError):
        low = high = np.nan
    if np.isnan([low, high]).any() or not np.isfinite([low, high]).any():
        raise InputError(f"maximise: the level of {name!r} is a number or a pair (low, high); got {pair[1]!r}.")
    if not (level or low < high):
        raise InputError(f"maximise: the range of {name!r} leaves nothing between {low} and {high}.")
    return low, high


def _figures(task: Task, places: list[Place], unit: float, names: list[str]) -> np.ndarray:
    """The figure of each start, −∞ where constraints are not met.

    **Raises:** `FitError` where that is so of all."""
    missed = [np.max(np.maximum(task.low - one.c, one.c - task.high), initial=0.0) for one in places]
    missed = np.where([one.f > -HUGE for one in places], missed, np.inf)
    if not np.isfinite(missed).any():
        raise FitError("maximise: the figure is finite at the end of no start.")
    if not (missed < 1e-6).any():
        raise FitError(
            f"maximise: no start meets the constraints {names}; the closest misses by {min(missed):.2g} of their size. "
            "Ask for less, widen the bounds, or start elsewhere."
        )
    return np.where(missed < 1e-6, np.array([one.f for one in places]) * unit, -np.inf)


def _outcomes(figures: np.ndarray, unit: float) -> tuple[str, ...]:
    best, words = figures.max(), []
    for value in figures:
        # At an optimum of about zero, what counts is the size of the figure at the start.
        same = abs(value - best) <= CLOSE * max(abs(best), CLOSE * unit)
        word = f"{value:.8g}" + ("" if same else ", a lower maximum")
        words.append(word if np.isfinite(value) else "not finite, or constraints not met")
    return tuple(words)


def _active(result: Summit, variables: Parameters, names: list[str], low: Any, high: Any) -> dict[str, str]:
    """Bounds that hold entries, and ends of ranges that bind."""
    bounds = zip(variables.names, result.held, variables.lower, variables.upper, strict=True)
    ranges = zip(names, np.where(low == high, 0, result.binding), low, high, strict=True)
    words = {-1: "lower bound", 1: "upper bound"}
    return {name: f"{words[int(side)]} {b if side > 0 else a:.6g}" for name, side, a, b in (*bounds, *ranges) if side}
