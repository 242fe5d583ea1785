"""Where to measure next: D-optimal plans, by gradient.

Takes: a model, parameters as they are thought to be, a first plan. Returns: the plan whose Fisher information has the
largest determinant, that is, the smallest volume of the confidence ellipsoid. The determinant does not care about units
or combinations of parameters.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import FitError, FitWarning, IdentifiabilityError, InputError
from ._climb import Task, climbed
from ._information import Information, information_of, require_same
from ._parameters import Bounds, Parameters, as_parameters, start_values
from ._problem import Model, Predict
from ._sensitivity import errors_of, planned_model, whitened

SAME = 1e-2
"""Plans whose ln det F differs by less are equally good."""


class Plan(eqx.Module):
    """A plan of measurement.

    - `coordinates`: settings [k] by name; each is to be measured `repeats` times.
    - `information`: of these measurements, with what was known before; prints as a table.
    - `gain`: increase of ln det F over the first plan.
    - `starts`: ln det F that each start led to, `outcomes`: the same in words; `notes`: what asks for a look.
    """

    coordinates: dict[str, np.ndarray]
    repeats: int
    information: Information
    gain: float
    starts: Float[np.ndarray, " s"]
    outcomes: tuple[str, ...] = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)

    @property
    def points(self) -> dict[str, np.ndarray]:
        """All measurements, repeats included."""
        return {name: np.repeat(x, self.repeats) for name, x in self.coordinates.items()}


class _Volume(eqx.Module):
    """½ ln det F of a plan, in units of the sizes of the parameters."""

    model: Model
    plan: Parameters
    theta: Array
    size: Array
    known: Array
    errors: Any
    repeats: float

    def __call__(self, settings: Float[Array, " q"]) -> Float[Array, ""]:
        x = self.plan.tree(settings)
        y, jacobian = self.model.with_jacobian(self.theta, x)
        sigma = errors_of(self.errors, x, y)
        rows = [(jacobian[k] / jnp.asarray(sigma[k])[..., None]).reshape(-1, self.theta.size) for k in y]
        J = jnp.concatenate([self.known, *(self.repeats**0.5 * row for row in rows)]) * self.size
        return jnp.sum(jnp.log(jnp.abs(jnp.diag(jnp.linalg.qr(J, mode="r")))))


def optimal_plan(
    predict: Predict,
    params: Any,
    coordinates: Mapping[str, Any],
    errors: Any,
    *,
    limits: Bounds,
    repeats: int = 1,
    known: Information | None = None,
    bounds: Bounds | None = None,
    vectorised: bool = False,
    units: Mapping[str, str] | None = None,
    starts: Any = 32,
    seed: int = 0,
    progress: bool = False,
) -> Plan:
    """The k settings at which measurements tell most about the parameters (D-optimal: largest det F).

    **Arguments:** `predict`, `params`, `errors`, `bounds`, `units`: as in `fisher_information` (as a function, errors
    may depend on the setting). `coordinates`: a first plan, k settings by name. `limits`: the range
    of each, `{"T": (0.1, 2)}`.
    `repeats`: measurements at each setting. `known`: information from earlier measurements: the plan then says what to
    measure next. `starts`: how many (the criterion has many maxima): the first plan, the others drawn within the
    limits; or a list of further first plans. `progress`: a bar.

    **Returns:** `Plan`.

    **Warns:** `FitWarning` where only one start leads to the best plan: there may be a better one.

    **Raises:** `IdentifiabilityError` where no plan tried fixes all parameters, naming what stays open; `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    decay = lambda p, x: p["a"] * jnp.exp(-p["k"] * x["t"])
    best = lgks.optimal_plan(decay, {"a": 1.0, "k": 0.5}, {"t": [0.5, 1.0]}, 0.01, limits={"t": (0.0, 10.0)})
    sorted(best.coordinates["t"].round(3).tolist())    # [0.0, 2.0]
    ```
    """
    where = "optimal_plan"
    parameters, theta = as_parameters(params, bounds, where)
    first = {name: np.atleast_1d(np.asarray(x, float)) for name, x in coordinates.items()}
    plan, settings = as_parameters(first, limits, where)
    if not np.all(np.isfinite(plan.lower) & np.isfinite(plan.upper)):
        raise InputError(f"{where}: every coordinate needs two limits; got {dict(limits)} for {list(first)}.")
    if repeats < 1:
        raise InputError(f"{where}: each setting is measured at least once; got repeats={repeats}.")
    if known is not None:
        require_same(parameters.names, known.names, f"{where}: known")
    before = np.zeros((0, parameters.count)) if known is None else known.root
    model = planned_model(predict, parameters, first, vectorised, where)

    def information(x: Mapping[str, Any]) -> Information:
        J, signal = whitened(model, theta, x, errors, where)
        J = np.concatenate([before, repeats**0.5 * J])
        result = information_of(parameters, theta, J, units, np.abs(theta), repeats**0.5 * signal)
        if len(J) < parameters.count or (x is not first and result.rank < parameters.count):
            raise IdentifiabilityError(
                f"{where}: no plan of {len(settings) // len(first)} settings fixes all parameters. {result.unseen}"
            )
        return result

    start = information(first)
    size = np.where(theta != 0, np.abs(theta), 1.0)
    goal = _Volume(model, plan, jnp.asarray(theta), jnp.asarray(size), jnp.asarray(before), errors, float(repeats))
    rows = start_values(plan, settings, starts, seed, where)
    ends = climbed(Task(goal, plan), rows, progress=progress)
    # ln det F in the parameters themselves.
    volumes = np.array([2 * float(_volume(goal, end)) for end in ends]) - 2 * float(np.sum(np.log(size)))
    volumes = np.where(np.isfinite(volumes), volumes, -np.inf)
    if not np.isfinite(volumes).any():
        raise FitError(f"{where}: no start leads to a plan with finite predictions and derivatives.")
    best = {name: np.asarray(x) for name, x in plan.tree(ends[int(np.argmax(volumes))]).items()}
    result = information(best)
    outcomes, notes = _outcomes(volumes)
    for note in notes:
        warnings.warn(f"{where}: {note}", FitWarning, stacklevel=2)
    gain = result.log_determinant - start.log_determinant
    return Plan(best, repeats, result, gain, volumes, outcomes, notes)


@eqx.filter_jit
def _volume(goal: _Volume, settings: Any) -> Array:
    return goal(jnp.asarray(settings))


def _outcomes(volumes: np.ndarray) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What became of each start, and whether the best plan was found more than once."""
    best, words = volumes.max(), []
    for value in volumes:
        word = f"ln det F = {value:.6g}" + ("" if best - value < SAME else ", a poorer plan")
        words.append(word if np.isfinite(value) else "not finite, or not all parameters fixed")
    if len(volumes) > 1 and np.sum(best - volumes < SAME) < 2:
        note = (
            f"one of {len(volumes)} starts alone leads to the best plan, ln det F = {best:.6g} (next "
            f"{np.sort(volumes)[-2]:.6g}): there may be a better one; take more starts."
        )
        return tuple(words), (note,)
    return tuple(words), ()
