"""What depends on which parameter, what a plan of measurement can tell, and where to measure next.

Takes: a model at parameters as they are thought to be, a plan. Returns: its Jacobian as a labelled table with units;
the Fisher information of the plan; the D-optimal plan, whose Fisher information has the largest determinant (the
smallest confidence ellipsoid, whatever the units of the parameters).
"""

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._inputs import (
    BOTH,
    FORWARD,
    LARGEST,
    as_count,
    as_flag,
    as_function,
    as_mapping,
    as_units,
    described,
    differentiating,
)
from ..errors import DataError, FitError, FitWarning, IdentifiabilityError, InputError
from ._data import Data, as_coordinates
from ._information import Information, information_of
from ._maximise import Task
from ._parameters import Bounds, Parameters, as_parameters, start_values, units_of
from ._problem import Model, Predict, model_of

if TYPE_CHECKING:
    import xarray

MISSED = "not finite, or not all parameters fixed"
SAME = 1e-2  # plans whose ln det F differs by less are equally good


def sensitivity(f: Callable[[Any], Any], params: Any, *, units: Mapping[str, str] | None = None) -> "xarray.Dataset":
    """∂f/∂θ of everything that `f` returns, in every parameter.

    **Arguments:** `f`: a function of a pytree of real numbers; returns an array or a dictionary of arrays. `params`:
    where. `units`: of parameters and results, by name.

    **Returns:** `xarray.Dataset` over (observable, parameter): `derivative`; `elasticity`, ∂ ln|f| / ∂ ln|θ|, the per
    cent by which the result changes for one per cent; `value`, `at` (the parameters) and `units` of the derivatives.
    `.to_dataframe()` makes a table.

    **Raises:** `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks

    def currents(p):
        bath = lgks.DrudeLorentz(p["strength"], p["cutoff"])
        qubits = lgks.models.two_qubits(p["omega"], 0.2, spectrum=bath, temperatures=(0.5, 0.4))
        return {"J": lgks.heat_currents(qubits, solver=lgks.Populations())}

    table = lgks.sensitivity(currents, {"strength": 0.01, "cutoff": 2.0, "omega": 1.0}, units={"J": "W"})
    table.derivative.sel(observable="J[0]", parameter="cutoff")
    ```
    """
    import xarray

    as_function(f, "sensitivity: f")
    parameters, theta = as_parameters(params, None, "sensitivity")
    with differentiating("sensitivity", FORWARD):
        value, jacobian = _with_jacobian(f, parameters, theta)
    names, columns = [], []
    for path, leaf in jax.tree_util.tree_flatten_with_path(value)[0]:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise InputError(f"sensitivity: the function must return real numbers; got {leaf.dtype}.")
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        names += [(name, "".join(f"[{i}]" for i in index)) for index in np.ndindex(leaf.shape)]
        columns.append(np.asarray(leaf).reshape(-1))
    values = np.concatenate(columns)
    derivative = np.concatenate([np.asarray(leaf).reshape(-1, len(theta)) for leaf in jax.tree.leaves(jacobian)])
    below = units_of(units, parameters.names)
    above = [as_units(units).get(name, "1") for name, _ in names]
    per = [[f"{unit} / {below[by]}" if by in below else unit for by in parameters.names] for unit in above]
    with np.errstate(divide="ignore", invalid="ignore"):
        elasticity = np.where(values[:, None] != 0, derivative * theta / values[:, None], np.nan)
    both = ("observable", "parameter")
    return xarray.Dataset(
        {
            "derivative": (both, derivative),
            "elasticity": (both, elasticity),
            "units": (both, np.array(per)),
            "value": ("observable", values),
            "at": ("parameter", theta),
        },
        {"observable": [name + index for name, index in names], "parameter": list(parameters.names)},
    )


@eqx.filter_jit
def _with_jacobian(f: Callable, parameters: Parameters, theta: Any) -> tuple[Any, Any]:
    def of(theta: jax.Array) -> Any:
        return jax.tree.map(jnp.asarray, f(parameters.tree(theta)))

    return of(jnp.asarray(theta)), jax.jacfwd(of)(jnp.asarray(theta))


def fisher_information(
    predict: Predict,
    params: Any,
    coordinates: Mapping[str, Any],
    errors: Any,
    *,
    bounds: Bounds | None = None,
    units: Mapping[str, str] | None = None,
) -> Information:
    """What a plan of measurement would tell about the parameters, if they are these: F = Σ_i ∂f_i ∂f_iᵀ/σ_i².

    **Arguments:** `predict`, `params`, `bounds`: as in `fit`. `coordinates`: the plan, points [n] by name. `errors`:
    standard deviations, numbers or arrays by observable, or a function of (x, prediction) of one point, such as
    `lambda x, y: 0.01 * abs(y)`.

    **Returns:** `Information`: `.sigmas` the best that any unbiased estimate can reach, `.undetermined` what the plan
    leaves open, in words; it prints as a table.

    **Raises:** `DataError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    decay = lambda p, x: p["a"] * p["b"] * jnp.exp(-p["k"] * x["t"])
    plan = lgks.fisher_information(decay, {"a": 2.0, "b": 1.0, "k": 0.5}, {"t": [0.0, 1.0, 2.0]}, errors=0.01)
    plan.rank                                      # 2
    str(plan.undetermined[0])[:32]                 # 'Only a combination of a and b is'
    ```
    """
    parameters, theta = as_parameters(params, bounds, "fisher_information")
    coordinates = as_coordinates(coordinates, "fisher_information")
    model = model_of(predict, parameters, coordinates, None, "fisher_information")
    jacobian, signal = _whitened(model, theta, coordinates, errors, "fisher_information")
    return information_of(parameters.scaled(theta, jacobian, signal), theta, jacobian, units)


def _whitened(
    model: Model, theta: np.ndarray, coordinates: Mapping[str, Any], errors: Any, where: str
) -> tuple[np.ndarray, float]:
    """The Jacobian of predictions over their errors, [m, p], and the length of these predictions."""
    x = dict(coordinates)
    with differentiating(where, BOTH if where == "optimal_plan" else FORWARD):
        y, jacobian = jax.tree.map(np.asarray, model.with_jacobian(jnp.asarray(theta), x))
    data = Data(x, y, _errors_of(errors, x, y))
    sigma = data.flat(data.errors or {})
    J = np.concatenate([jacobian[name].reshape(-1, len(theta)) for name in y]) / sigma[:, None]
    good = np.all(np.isfinite(sigma)) and np.all(np.abs(J) < LARGEST) and np.all(np.isfinite(data.flat(y)))
    if not good:
        raise DataError(
            f"{where}: predictions, their errors or derivatives over these are not finite at these parameters and this "
            "plan."
        )
    return J, float(np.linalg.norm(data.flat(y) / sigma))


def _errors_of(errors: Any, x: Mapping[str, Any], y: Mapping[str, Any]) -> Mapping[str, Any]:
    """Errors by observable from numbers, arrays or a function of (x, prediction), called with all points at once."""
    if callable(errors) and not isinstance(errors, type):
        errors = errors(x, y["value"] if list(y) == ["value"] else y)
    return errors if isinstance(errors, Mapping) else dict.fromkeys(y, errors)


class Plan(eqx.Module):
    """A plan of measurement.

    - `coordinates`: settings [k] by name; each is to be measured `repeats` times. `points`: all these measurements.
    - `information`: of these measurements, with what was known before; prints as a table.
    - `gain`: increase of ln det F over the first plan.
    - `starts`: ln det F that each start led to, `outcomes`: the same in words; `notes`: what asks for a look.
    """

    coordinates: dict[str, np.ndarray]
    points: dict[str, np.ndarray]
    repeats: int
    information: Information
    gain: float
    starts: Float[np.ndarray, " s"]
    outcomes: tuple[str, ...] = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)


class _Volume(eqx.Module):
    """½ ln det F of a plan, in units of the sizes of the parameters."""

    model: Model
    theta: Array
    size: Array
    known: Array
    errors: Any
    repeats: float

    def __call__(self, x: dict[str, Array]) -> Float[Array, ""]:
        y, jacobian = self.model.with_jacobian(self.theta, x)
        sigma = _errors_of(self.errors, x, y)
        rows = [(jacobian[k] / jnp.asarray(sigma[k], float)[..., None]).reshape(-1, self.theta.size) for k in y]
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
    units: Mapping[str, str] | None = None,
    starts: Any = 32,
    seed: int = 0,
    progress: bool = False,
) -> Plan:
    """The k settings at which measurements tell most about the parameters (D-optimal: largest det F).

    **Arguments:** `predict`, `params`, `errors`, `bounds`, `units`: as in `fisher_information` (as a function, errors
    may depend on the setting). `coordinates`: a first plan, k settings by name. `limits`: the range of each,
    `{"T": (0.1, 2)}`. `repeats`: measurements at each setting. `known`: information from earlier measurements: the plan
    then says what to measure next. `starts`: how many (the criterion has many maxima): the first plan, the others drawn
    within the limits; or a list of further first plans. `progress`: a bar.

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
    first, limits = as_coordinates(coordinates, where), as_mapping(limits, f"{where}: limits")
    progress = as_flag(progress, f"{where}: progress")
    plan, settings = as_parameters(first, limits, where)
    if not np.all(np.isfinite(plan.lower) & np.isfinite(plan.upper)):
        raise InputError(f"{where}: every coordinate needs two limits; got {limits} for {list(first)}.")
    repeats = as_count(repeats, f"{where}: repeats", 1)
    if known is not None and not isinstance(known, Information):
        raise InputError(f"{where}: known must be an Information or None; got {described(known)}.")
    if known is not None and known.names != parameters.names:
        both = f"{list(parameters.names)} and {list(known.names)}"
        raise InputError(f"{where}: known must be about the same parameters; got {both}.")
    before = np.zeros((0, len(theta))) if known is None else known.root
    model = model_of(predict, parameters, first, None, where)

    def information(x: Mapping[str, Any]) -> Information:
        J, signal = _whitened(model, theta, x, errors, where)
        scaled = parameters.scaled(theta, J, signal)
        return information_of(scaled, theta, np.concatenate([before, repeats**0.5 * J]), units)

    start, size = information(first), np.where(theta != 0, np.abs(theta), 1.0)
    volume = _Volume(model, jnp.asarray(theta), jnp.asarray(size), jnp.asarray(before), errors, float(repeats))
    none, count = np.zeros(0), len(settings) // len(first)
    task = Task((volume,), plan, np.ones(1), none, none)
    if len(start.root) < len(theta):
        raise IdentifiabilityError(f"{where}: no plan of {count} settings fixes all parameters. {start.unseen}")
    with differentiating(where, BOTH):
        rows = task.maximised(start_values(plan, settings, starts, seed, where), progress=progress)
    volumes = 2 * np.array([task.at(row)[0][0] for row in rows])
    # ln det F in the parameters themselves.
    volumes = np.where(volumes > -1e10, volumes, -np.inf) - 2 * float(np.sum(np.log(size)))
    best = int(np.argmax(volumes))
    if not np.isfinite(volumes[best]):
        raise FitError(f"{where}: no start leads to a plan with finite predictions and derivatives.")
    x = {name: np.asarray(values) for name, values in plan.tree(rows[best]).items()}
    result = information(x)
    if result.rank < len(theta):
        raise IdentifiabilityError(f"{where}: no plan of {count} settings fixes all parameters. {result.unseen}")
    notes = ()
    if len(volumes) > 1 and np.sum(volumes[best] - volumes < SAME) < 2:
        notes = (
            f"one of {len(volumes)} starts alone leads to the best plan, ln det F = {volumes[best]:.6g} (next "
            f"{np.sort(volumes)[-2]:.6g}): there may be a better one; take more starts.",
        )
        warnings.warn(f"{where}: {notes[0]}", FitWarning, stacklevel=2)
    words = (f"ln det F = {v:.6g}{'' if volumes[best] - v < SAME else ', a poorer plan'}" for v in volumes)
    outcomes = tuple(w if np.isfinite(v) else MISSED for w, v in zip(words, volumes, strict=True))
    points = {name: np.repeat(values, repeats) for name, values in x.items()}
    gain = result.log_determinant - start.log_determinant
    return Plan(x, points, repeats, result, gain, volumes, outcomes, notes)
