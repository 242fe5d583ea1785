"""The best device: a differentiable figure of merit, as large as bounds and constraints allow.

Takes: a figure f(θ), start values, bounds, constraints h(θ) = level or low ≤ h(θ) ≤ high. Returns: `Design`, the best
of the points where sequential quadratic programming (scipy's SLSQP, with derivatives by JAX) ends from every start.
There, in the variables that no bound holds,

    ∂f = Σ_k λ_k ∂h_k,

k running over the constraints that bind; least squares give the multipliers λ_k = ∂f/∂level_k, and what is left says
how far the point is from stationary.
"""

import functools
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._inputs import BACKWARD, as_count, as_flag, as_function, as_mapping, differentiating
from ..errors import FitError, FitWarning, InputError
from ._parameters import Bounds, Parameters, as_parameters, range_of, start_values

CLOSE = 1e-6  # relative: figures that agree lead to the same optimum; a constraint that is met
STATIONARY, FLAT = 1e-5, 1e-7  # first and second derivatives that count as zero, relative
STEP = 1e-4  # between slopes whose difference is a second derivative, in sizes of the variables
AT = 1e-9  # a variable closer to a bound than this part of its size is at the bound
STILL = (100, 1e-12)  # so many values that differ by no more than that: the method walks on its figure's rounding
HUGE = 1e10  # stands for minus a figure (in units of its size) that is not finite

MISSED = "not finite, or constraints not met"


class Design(eqx.Module):
    """The best point.

    - `params`: the pytree; `values`: its entries by name; `figure`: the figure of merit there.
    - `active`: entries held by a bound and constraints that bind at the end of a range, and which.
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

    __str__ = summary


class Task(eqx.Module):
    """Functions of the pytree of variables, the figure first, and their sizes; the ranges of the others, the
    constraints, in these sizes."""

    functions: tuple[Callable, ...]
    variables: Parameters
    sizes: Float[np.ndarray, " k"]
    low: Float[np.ndarray, " c"]
    high: Float[np.ndarray, " c"]

    @eqx.filter_jit
    def _first_order(self, theta: Any) -> tuple[Array, Array]:
        def values(theta: Array) -> Array:
            params = self.variables.tree(theta)
            return jnp.stack([jnp.asarray(f(params), float) for f in self.functions]) / self.sizes

        value, pull = jax.vjp(values, jnp.asarray(theta))
        return value, jax.vmap(pull)(jnp.eye(value.size))[0]

    def at(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Functions in their sizes, and their derivatives; a figure of `-HUGE` where something is not finite."""
        values, slopes = (np.asarray(x) for x in self._first_order(theta))
        if np.isfinite(values).all() and np.isfinite(slopes).all():
            return values, slopes
        return np.r_[-HUGE, 0 * self.low], np.zeros_like(slopes)

    def maximised(self, rows: np.ndarray, steps: int = 500, progress: bool = False) -> list[np.ndarray]:
        """Where each start ends."""
        from rich.progress import track

        return [self._maximised(row, steps) for row in track(rows, "starts", disable=not progress)]

    def _maximised(self, theta: np.ndarray, steps: int) -> np.ndarray:
        from scipy.optimize import Bounds, NonlinearConstraint, minimize

        variables, scale = self.variables, np.asarray(self.variables.scale)
        lower, upper = np.asarray(variables.lower), np.asarray(variables.upper)
        last = deque(maxlen=STILL[0])

        @functools.lru_cache(1)
        def known(x: bytes) -> tuple[np.ndarray, np.ndarray]:
            last.append(self.at(np.frombuffer(x) * scale))
            if len(last) == STILL[0] and np.max(np.ptp([values for values, _ in last], axis=0)) < STILL[1]:
                raise _Still(np.frombuffer(x))
            return last[-1]

        def at(x: Any, k: int) -> tuple[float, np.ndarray]:
            values, slopes = known(np.asarray(x, float).tobytes())
            return values[k], slopes[k] * scale

        def constraint(k: int) -> NonlinearConstraint:
            def slope(x: Any) -> Any:
                return at(x, k)[1]

            low, high = self.low[k - 1], self.high[k - 1]
            return NonlinearConstraint(lambda x: at(x, k)[0], low, high, jac=slope)  # pyright: ignore

        ends: Any = (lower / scale, upper / scale)
        try:
            end = minimize(
                lambda x: tuple(-part for part in at(x, 0)),
                theta / scale,
                jac=True,
                method="SLSQP",
                bounds=Bounds(*ends),
                constraints=[constraint(k) for k in range(1, len(self.functions))],
                options={"maxiter": steps, "ftol": 1e-15},
            ).x
        except _Still as still:
            (end,) = still.args
        theta = end * scale
        return np.where(theta - lower <= AT * scale, lower, np.where(upper - theta <= AT * scale, upper, theta))


class _Still(Exception):
    """Where the values no longer change."""


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

    **Arguments:** `figure`: a real number, of a pytree of real numbers, that JAX can differentiate. `init`, `bounds`,
    `starts`, `seed`: as in `fit`. `constraints`: by name (h, level), h(params) = level, or (h, (low, high)). `steps`:
    at most so many from each start. `progress`: a bar.

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
    as_function(figure, "maximise: figure")
    steps, progress = as_count(steps, "maximise: steps"), as_flag(progress, "maximise: progress")
    variables, theta = as_parameters(init, bounds, "maximise")
    value = np.asarray(figure(variables.tree(theta)))
    if value.shape != () or value.dtype.kind not in "fiu":
        raise InputError(f"maximise: the figure must be one real number; got {value.dtype}{value.shape}.")
    constraints = as_mapping(constraints, "maximise: constraints")
    names, pairs = list(constraints), constraints.values()
    levels = [_level(name, pair) for name, pair in zip(names, pairs, strict=True)]
    low, high = np.array(levels, float).reshape(-1, 2).T
    h = tuple(pair[0] for pair in pairs)
    # The size of a constraint is that of its level or, where that is zero, of its value at the start.
    ends = np.abs(np.stack([low, high, np.array([float(f(variables.tree(theta))) for f in h])]))
    ends = np.where(np.isfinite(ends) & (ends > 0), ends, np.nan)
    sizes = np.array([next((x for x in column if np.isfinite(x)), 1.0) for column in ends.T])
    unit = abs(float(value)) if np.isfinite(value) and value else 1.0
    task = Task((figure, *h), variables, np.r_[unit, sizes], low / sizes, high / sizes)
    with differentiating("maximise", BACKWARD):
        rows = task.maximised(start_values(variables, theta, starts, seed, "maximise"), steps, progress)
    figures = _figures(task, rows, names)
    best = int(np.argmax(figures))
    held, binding, multipliers, residual, notes = _verdict(task, rows[best])
    for note in notes:
        warnings.warn(f"maximise: {note}", FitWarning, stacklevel=2)
    # At an optimum of about zero, what counts is the size of the figure at the start.
    close = CLOSE * max(abs(figures[best]), CLOSE * unit)
    words = (f"{f:.8g}{', a lower maximum' if figures[best] - f > close else ''}" for f in figures)
    outcomes = tuple(word if np.isfinite(f) else MISSED for word, f in zip(words, figures, strict=True))
    sides = [*zip(variables.names, held, variables.lower, variables.upper, strict=True)]
    sides += zip(names, np.where(low == high, 0, binding), low, high, strict=True)
    side_of = {-1: "lower bound", 1: "upper bound"}
    return Design(
        params=variables.tree(rows[best]),
        values=variables.values(rows[best]),
        figure=float(figures[best]),
        active={name: f"{side_of[int(side)]} {b if side > 0 else a:.6g}" for name, side, a, b in sides if side},
        multipliers=dict(zip(names, map(float, multipliers * unit / sizes), strict=True)),
        constraints=dict(zip(names, map(float, task.at(rows[best])[0][1:] * sizes), strict=True)),
        residual=residual,
        starts=figures,
        outcomes=outcomes,
        notes=notes,
    )


def _level(name: str, pair: Any) -> tuple[float, float]:
    """The ends of a constraint: a level twice, or a range."""
    both: Any = pair if isinstance(pair, Sequence) and len(pair) == 2 else (None, None)
    h, level = both
    single = np.ndim(level) == 0 and np.asarray(level).dtype.kind in "fiu"
    ends = (float(np.asarray(level)), float(np.asarray(level))) if single else range_of(level)
    if not callable(h) or ends is None or not np.isfinite(ends).any():
        raise InputError(
            f"maximise: the constraint {name!r} is a pair (function, level) or (function, (low, high)), low < high; "
            f"got {pair!r}."
        )
    return ends


def _figures(task: Task, rows: Sequence[np.ndarray], names: list[str]) -> np.ndarray:
    """The figure of each start, −∞ where constraints are not met.

    **Raises:** `FitError` where that is so of all."""
    values = np.stack([task.at(row)[0] for row in rows])
    missed = np.max(np.maximum(task.low - values[:, 1:], values[:, 1:] - task.high), axis=1, initial=0.0)
    missed = np.where(values[:, 0] > -HUGE, missed, np.inf)
    if not np.isfinite(missed).any():
        raise FitError("maximise: the figure is finite at the end of no start.")
    if not (missed < CLOSE).any():
        raise FitError(
            f"maximise: no start meets the constraints {names}; the closest misses by {min(missed):.2g} of their size. "
            "Ask for less, widen the bounds, or start elsewhere."
        )
    return np.where(missed < CLOSE, values[:, 0] * task.sizes[0], -np.inf)


def _verdict(task: Task, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, tuple[str, ...]]:
    """Bounds that hold variables and ends of ranges that bind (−1 lower, +1 upper), multipliers, what is left of the
    conditions for an optimum, and what asks for a look: a point that is no maximum along directions in which
    constraints do not change (second derivatives are differences of slopes)."""
    from scipy.linalg import null_space

    lower, upper, equal = np.asarray(task.variables.lower), np.asarray(task.variables.upper), task.low == task.high
    size = np.minimum(np.maximum(np.abs(theta), task.variables.scale), upper - lower)

    def at(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, slopes = task.at(theta)
        return values, slopes[0] * size, slopes[1:] * size

    values, g, J = at(theta)
    at_bound = (upper - theta <= AT * size).astype(int) - (theta - lower <= AT * size)
    binding = (task.high - values[1:] <= CLOSE).astype(int) - (values[1:] - task.low <= CLOSE)
    binding[equal] = 1
    on, multipliers = binding != 0, np.zeros(len(binding))
    if on.any():
        multipliers[on] = np.linalg.lstsq(J[on][:, at_bound == 0].T, g[at_bound == 0], rcond=None)[0]
    held = np.where(at_bound * (g - multipliers @ J) > 0, at_bound, 0)
    free = held == 0
    tangent = np.eye(len(theta))[:, free] @ (null_space(J[on][:, free]) if on.any() else np.eye(int(free.sum())))

    def slope(theta: np.ndarray) -> np.ndarray:
        _, g, J = at(theta)
        return tangent.T @ (g - multipliers @ J)

    # Differences stay inside the bounds.
    h = 0.5 * np.min((np.minimum(theta - lower, upper - theta) / size)[free], initial=np.inf)
    h = float(np.clip(h, STEP / 100, STEP))
    H = np.zeros((tangent.shape[1],) * 2)
    for i, way in enumerate(tangent.T):
        H[i] = (slope(theta + h * size * way) - slope(theta - h * size * way)) / (2 * h)
    bends = np.linalg.eigvalsh((H + H.T) / 2)
    scale = max(abs(values[0]), float(np.max(np.abs(bends), initial=0)), 1e-300)
    # A range binds at an end beyond which the figure would be larger.
    wrong = np.where(equal, 0.0, np.maximum(-binding * multipliers, 0.0))
    residual = float(np.max(np.abs(np.r_[(g - multipliers @ J)[free], wrong]), initial=0) / scale)
    note = ""
    if not residual < STATIONARY:
        note = f"not stationary: the relative gradient is {residual:.1g}; start elsewhere or take more steps."
    elif np.max(bends, initial=-np.inf) > FLAT * scale:
        note = "stationary but no maximum: the figure grows along some direction; start elsewhere."
    elif np.max(bends, initial=-np.inf) > -FLAT * scale:
        note = "the maximum is flat along some direction: another combination is as good."
    return held, binding, multipliers, residual, (note,) if note else ()
