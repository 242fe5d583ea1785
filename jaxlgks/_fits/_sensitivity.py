"""How much what is observed depends on each parameter, and what a plan of measurement can tell.

Enters: a model at given parameters. Leaves: its Jacobian as a labelled table with units; the Fisher information of a
plan.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._inputs import require_x64
from ..errors import DataError, InputError
from ._data import Data
from ._information import Information, information_of
from ._parameters import Bounds, Parameters, parameters, spread_units
from ._problem import Predict, checked_model

if TYPE_CHECKING:
    import xarray


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

    require_x64()
    given, theta = parameters(params, None, "sensitivity")
    value, jacobian = _jacobian(f, given, jnp.asarray(theta))
    names, columns, rows = [], [], []
    for path, leaf in jax.tree_util.tree_flatten_with_path(value)[0]:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise InputError(f"sensitivity: the function must return real numbers; got {leaf.dtype}.")
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        names += [(name, "".join(f"[{i}]" for i in index)) for index in np.ndindex(leaf.shape)]
        columns.append(np.asarray(leaf).reshape(-1))
    rows = [np.asarray(leaf).reshape(-1, given.count) for leaf in jax.tree.leaves(jacobian)]
    values, derivative = np.concatenate(columns), np.concatenate(rows)
    unit = {**(units or {}), **spread_units(units or {}, given.names)}
    said = [[_per(unit.get(name), unit.get(by)) for by in given.names] for name, _ in names]
    with np.errstate(divide="ignore", invalid="ignore"):
        elasticity = np.where(values[:, None] != 0, derivative * theta / values[:, None], np.nan)
    both = ("observable", "parameter")
    return xarray.Dataset(
        {
            "derivative": (both, derivative),
            "elasticity": (both, elasticity),
            "units": (both, np.array(said)),
            "value": ("observable", values),
            "at": ("parameter", theta),
        },
        {"observable": [name + index for name, index in names], "parameter": list(given.names)},
    )


@eqx.filter_jit
def _jacobian(f: Callable, given: Parameters, theta: jax.Array) -> tuple[Any, Any]:
    of = lambda theta: jax.tree.map(jnp.asarray, f(given.tree(theta)))  # noqa: E731
    return of(theta), jax.jacfwd(of)(theta)


def _per(above: str | None, below: str | None) -> str:
    return above or "1" if below is None else f"{above or '1'} / {below}"


def fisher_information(
    predict: Predict,
    params: Any,
    coordinates: Mapping[str, Any],
    errors: Any,
    *,
    bounds: Bounds | None = None,
    vectorised: bool = False,
    units: Mapping[str, str] | None = None,
) -> Information:
    """What a plan of measurement would tell about the parameters, if they are as given: F = Σ_i ∂f_i ∂f_iᵀ/σ_i².

    **Arguments:** `predict`, `params`, `bounds`, `vectorised`: as in `fit`. `coordinates`: the plan, points [n] by
    name. `errors`: standard deviations, numbers or arrays by observable, or a function of (x, prediction) of one point,
    such as `lambda x, y: 0.01 * abs(y)`.

    **Returns:** `Information`: `.sigmas` the best that any unbiased estimate can reach, `.undetermined` what the plan
    leaves open, in words; it prints as a table.

    **Raises:** `DataError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    decay = lambda p, x: p["a"] * p["b"] * jnp.exp(-p["k"] * x["t"])
    told = lgks.fisher_information(decay, {"a": 2.0, "b": 1.0, "k": 0.5}, {"t": [0.0, 1.0, 2.0]}, errors=0.01)
    told.rank                                      # 2
    str(told.undetermined[0])[:32]                 # 'Only a combination of a and b is'
    ```
    """
    given, theta = parameters(params, bounds, "fisher_information")
    jacobian, signal = whitened(predict, given, theta, coordinates, errors, vectorised, "fisher_information")
    return information_of(given, theta, jacobian, dict(units or {}), np.abs(theta), signal)


def whitened(
    predict: Predict,
    given: Parameters,
    theta: np.ndarray,
    coordinates: Mapping[str, Any],
    errors: Any,
    vectorised: bool,
    where: str,
) -> tuple[np.ndarray, float]:
    """The Jacobian of predictions over their errors, [m, p], and the length of these predictions."""
    names, shapes = outputs(predict, given, coordinates, vectorised)
    n = len(np.atleast_1d(np.asarray(next(iter(coordinates.values())))))
    data = Data(coordinates, {k: np.zeros(s if vectorised else (n, *s)) for k, s in zip(names, shapes, strict=True)})
    model = checked_model(predict, given, data, vectorised, where)
    x = {name: jnp.asarray(v) for name, v in data.coordinates.items()}
    jacobian, value = _whitened(model, jnp.asarray(theta), x)
    y = {name: np.asarray(v) for name, v in value.items()}
    sigma = Data(data.coordinates, y, sigmas_of(errors, data.coordinates, y)).errors
    assert sigma is not None
    rows = [np.asarray(jacobian[name]).reshape(-1, given.count) / sigma[name].reshape(-1, 1) for name in y]
    found = np.concatenate(rows)
    if not np.all(np.isfinite(found)) or not all(np.all(np.isfinite(v)) for v in y.values()):
        raise DataError(f"{where}: predictions or their derivatives are not finite at these parameters and this plan.")
    return found, float(np.sqrt(sum(np.sum((y[name] / sigma[name]) ** 2) for name in y)))


def outputs(predict: Predict, given: Parameters, coordinates: Mapping[str, Any], vectorised: bool) -> tuple:
    """Names and shapes of what is predicted."""
    number = lambda shape: jax.ShapeDtypeStruct(shape, jnp.float64)  # noqa: E731
    tree = jax.tree.unflatten(given.structure, [number(shape) for shape in given.shapes])
    x = {name: number(np.shape(v) if vectorised else ()) for name, v in coordinates.items()}
    try:
        out = jax.eval_shape(predict, tree, x)
    except KeyError as error:
        raise DataError(f"predict asks for {error}, which is neither a parameter nor one of {list(x)}.") from error
    out = out if isinstance(out, Mapping) else {"value": out}
    return tuple(out), tuple(v.shape for v in out.values())


def sigmas_of(errors: Any, x: Mapping[str, Any], y: Mapping[str, Any]) -> Any:
    """Errors by observable from numbers, arrays or a function of a point; of arrays all points at once."""
    if not callable(errors):
        return errors
    only = next(iter(y)) if len(y) == 1 else None
    made = errors(x, y[only] if only == "value" else y)
    return made if isinstance(made, Mapping) else dict.fromkeys(y, made)


@eqx.filter_jit
def _whitened(model: Any, theta: jax.Array, x: dict) -> tuple[dict, dict]:
    f = lambda theta: model.by_name(theta, x)  # noqa: E731
    return jax.jacfwd(f)(theta), f(theta)
