"""Where to measure next: D-optimal plans, by gradient.

Enters: a model, parameters as they are thought to be, a first plan. Leaves: the plan whose Fisher information has the
largest determinant, that is, the smallest volume of the confidence ellipsoid. The determinant does not care about units
or combinations of parameters.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import FitError, FitWarning, IdentifiabilityError, InputError
from ._data import Data
from ._information import Information, information_of, require_same
from ._methods import as_method
from ._parameters import Bounds, Parameters, draw_starts, parameters
from ._problem import Model, Predict, checked_model
from ._runner import run
from ._sensitivity import outputs, sigmas_of, whitened

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
    """−½ ln det F of a plan in coordinates without bounds: a goal."""

    model: Model
    plan: Parameters
    theta: Array
    scale: Array
    known: Array
    errors: Any
    repeats: float

    def __call__(self, z: Float[Array, " q"]) -> Float[Array, ""]:
        x = self.plan.tree(self.plan.outward(z))
        f = lambda theta: self.model.by_name(theta, x)  # noqa: E731
        y, jacobian = f(self.theta), jax.jacfwd(f)(self.theta)
        sigma = sigmas_of(self.errors, x, y)
        sigma = sigma if isinstance(sigma, Mapping) else dict.fromkeys(y, sigma)
        rows = [(jacobian[k] / jnp.asarray(sigma[k])[..., None]).reshape(-1, self.theta.size) for k in y]
        J = jnp.concatenate([self.known, *(self.repeats**0.5 * row for row in rows)]) * self.scale
        R = jnp.linalg.qr(J, mode="r")
        return -jnp.sum(jnp.log(jnp.abs(jnp.diag(R))))


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
    method: Any = "bfgs",
    seed: int = 0,
    progress: bool = False,
) -> Plan:
    """The k settings at which measurements tell most about the parameters (D-optimal: largest det F).

    **Arguments:** `predict`, `params`, `errors`, `bounds`, `units`: as in `fisher_information` (as a function, errors
    may depend on the setting). `coordinates`: a first plan, k settings by name. `limits`: the range
    of each, `{"T": (0.1, 2)}`.
    `repeats`: measurements at each setting. `known`: information from earlier measurements: the plan then says what to
    measure next. `starts`: how many (the criterion has many maxima): the first plan, the others drawn within the
    limits; or a list of further first plans.

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
    given, theta = parameters(params, bounds, "optimal_plan")
    first = {name: np.atleast_1d(np.asarray(x, float)) for name, x in coordinates.items()}
    plan, x0 = parameters(first, limits, "optimal_plan")
    if not np.all(np.array(plan.below) & np.array(plan.above)):
        raise InputError(f"optimal_plan: every coordinate needs two limits; got {dict(limits)} for {list(first)}.")
    if repeats < 1:
        raise InputError(f"optimal_plan: each setting is measured at least once; got repeats={repeats}.")
    names, shapes = outputs(predict, given, first, vectorised)
    n = len(next(iter(first.values())))
    shaped = {k: np.zeros(s if vectorised else (n, *s)) for k, s in zip(names, shapes, strict=True)}
    model = checked_model(predict, given, Data(first, shaped), vectorised, "optimal_plan")
    natural = np.where(theta != 0, np.abs(theta), 1.0)
    before = np.zeros((0, given.count)) if known is None else known.root
    if known is not None:
        require_same(given.names, known.names, "optimal_plan: known")

    def told(x: Mapping[str, np.ndarray]) -> Information:
        J, signal = whitened(predict, given, theta, x, errors, vectorised, "optimal_plan")
        J = np.concatenate([before, repeats**0.5 * J])
        return information_of(given, theta, J, dict(units or {}), np.abs(theta), repeats**0.5 * signal)

    if len(before) + sum(y.size for y in shaped.values()) < given.count:
        raise _too_few(told(first), n)
    goal = _Volume(model, plan, jnp.asarray(theta), jnp.asarray(natural), jnp.asarray(before), errors, float(repeats))
    chosen = as_method(method, False, "optimal_plan")
    rows = draw_starts(plan, x0, starts, seed, "optimal_plan")
    z = np.stack([plan.inward(row) for row in rows])
    ended = run(goal, chosen, z, chosen.steps, progress=progress, title="plan")
    # ln det F in the parameters themselves: the goal is −½ of that in units of their sizes.
    volumes = -2 * np.asarray(_volumes(goal, jnp.asarray(ended.z))) - 2 * float(np.sum(np.log(natural)))
    volumes = np.where(np.isfinite(volumes), volumes, -np.inf)
    if not np.isfinite(volumes).any():
        raise FitError("optimal_plan: no start leads to a plan with finite predictions and derivatives.")
    z_best = ended.z[int(np.argmax(volumes))]
    best = {k: np.asarray(v) for k, v in plan.tree(plan.outward(jnp.asarray(z_best))).items()}

    found = told(best)
    if found.rank < given.count:
        raise _too_few(found, n)
    gain = found.log_determinant - told(first).log_determinant
    outcomes, notes = _said(volumes)
    for note in notes:
        warnings.warn(f"optimal_plan: {note}", FitWarning, stacklevel=2)
    return Plan(best, repeats, found, gain, volumes, outcomes, notes)


def _said(volumes: np.ndarray) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What became of each start, and whether the best plan was found more than once."""
    best, words = volumes.max(), []
    for value in volumes:
        lost = "not finite, or not all parameters fixed"
        same = f"ln det F = {value:.6g}" + ("" if best - value < SAME else ", a poorer plan")
        words.append(same if np.isfinite(value) else lost)
    if len(volumes) > 1 and np.sum(best - volumes < SAME) < 2:
        ends = np.sort(volumes)[::-1]
        said = f"one of {len(ends)} starts alone leads to the best plan, ln det F = {best:.6g} (next {ends[1]:.6g}): "
        return tuple(words), (said + "there may be a better one; take more starts.",)
    return tuple(words), ()


def _too_few(found: Information, settings: int) -> IdentifiabilityError:
    open_ = " ".join(str(d) for d in found.undetermined if np.isinf(d.deviation))
    return IdentifiabilityError(f"optimal_plan: no plan of {settings} settings fixes all parameters. {open_}")


@eqx.filter_jit
def _volumes(goal: _Volume, z: Array) -> Array:
    return jax.vmap(goal)(z)
