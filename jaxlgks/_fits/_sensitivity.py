"""How much what is observed depends on each parameter, and what a plan of measurement can tell.

Takes: a model at given parameters. Returns: its Jacobian as a labelled table with units; the Fisher information of a
plan.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import DataError, InputError
from ._data import Data
from ._information import Information, information_of
from ._parameters import Bounds, Parameters, as_parameters, spread_units
from ._problem import Model, Predict, checked_model, predicted_shapes

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

    parameters, theta = as_parameters(params, None, "sensitivity")
    value, jacobian = _with_jacobian(f, parameters, theta)
    names, columns = [], []
    for path, leaf in jax.tree_util.tree_flatten_with_path(value)[0]:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise InputError(f"sensitivity: the function must return real numbers; got {leaf.dtype}.")
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        names += [(name, "".join(f"[{i}]" for i in index)) for index in np.ndindex(leaf.shape)]
        columns.append(np.asarray(leaf).reshape(-1))
    values = np.concatenate(columns)
    derivative = np.concatenate([np.asarray(leaf).reshape(-1, parameters.count) for leaf in jax.tree.leaves(jacobian)])
    below = spread_units(units, parameters.names)
    above = [(units or {}).get(name, "1") for name, _ in names]
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
    parameters, theta = as_parameters(params, bounds, "fisher_information")
    where = "fisher_information"
    model = planned_model(predict, parameters, coordinates, vectorised, where)
    jacobian, signal = whitened(model, theta, coordinates, errors, where)
    return information_of(parameters, theta, jacobian, units, np.abs(theta), signal)


def planned_model(
    predict: Predict, parameters: Parameters, coordinates: Mapping[str, Any], vectorised: bool, where: str
) -> Model:
    """The model of a plan of measurement; a number without a name is called "value"."""
    shapes = predicted_shapes(predict, parameters, coordinates, vectorised, where)
    n = np.size(next(iter(coordinates.values())))
    y = {name or "value": np.zeros(out.shape if vectorised else (n, *out.shape)) for name, out in shapes.items()}
    return checked_model(predict, parameters, Data(coordinates, y), vectorised, where)


def whitened(
    model: Model, theta: np.ndarray, coordinates: Mapping[str, Any], errors: Any, where: str
) -> tuple[np.ndarray, float]:
    """The Jacobian of predictions over their errors, [m, p], and the length of these predictions."""
    x = {name: np.atleast_1d(np.asarray(values, float)) for name, values in coordinates.items()}
    y, jacobian = jax.tree.map(np.asarray, model.with_jacobian(jnp.asarray(theta), x))
    data = Data(x, y, errors_of(errors, x, y))
    sigma = data.flat(data.errors or {})
    J = np.concatenate([jacobian[name].reshape(-1, len(theta)) for name in y]) / sigma[:, None]
    if not np.all(np.isfinite(J)) or not np.all(np.isfinite(data.flat(y))):
        raise DataError(f"{where}: predictions or their derivatives are not finite at these parameters and this plan.")
    return J, float(np.linalg.norm(data.flat(y) / sigma))


def errors_of(errors: Any, x: Mapping[str, Any], y: Mapping[str, Any]) -> Mapping[str, Any]:
    """Errors by observable from numbers, arrays or a function of (x, prediction), here of all points at once."""
    if callable(errors):
        errors = errors(x, y["value"] if list(y) == ["value"] else y)
    return errors if isinstance(errors, Mapping) else dict.fromkeys(y, errors)
