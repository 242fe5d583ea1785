"""Parameters from data: least squares from many starts, and what the data say about the result.

Takes: a model, data, start values. Returns: `Fit`. The minimum is sought in coordinates without bounds; the statistics
are made in the parameters themselves.
"""

import dataclasses
import numbers
import warnings
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

from ..errors import DataError, FitError, FitWarning, IdentifiabilityError, InputError
from ._data import Data, usable
from ._information import information_of
from ._methods import TOLERANCE, as_method
from ._parameters import Bounds, Parameters, as_parameters, spread_units, start_values
from ._problem import Point, Predict, Problem, as_priors, checked_model, distinct
from ._result import Fit
from ._seek import Ends, seek
from ._tables import as_data
from ._verdict import RIDGE, notes_of, starts_of, weighed_by_measured


def fit(
    predict: Predict,
    data: Any,
    init: Any,
    *,
    bounds: Bounds | None = None,
    priors: Any = None,
    weights: Any = None,
    method: Any = "levenberg-marquardt",
    starts: Any = 1,
    steps: int | None = None,
    missing: str = "raise",
    vectorised: bool = False,
    units: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: bool = False,
    throw: bool = True,
) -> Fit:
    """The parameters that make Σ_i (f(θ, x_i) − y_i)²/σ_i² smallest, and how well the data fix them.

    **Arguments:**

    - `predict`: `predict(params, x)`, what is measured at one point; `x` holds its coordinates by name. It returns a
      number, or a dictionary of the data's observables. Anything that JAX can differentiate. What depends on `params`
      alone (a diagonalisation) is computed once for all points. `vectorised=True`: it takes all points at once, `x`
      holding arrays [n].
    - `data`: `Data`, an xarray object, a pandas DataFrame or a mapping of columns (X_error beside X). Relative errors
      are taken of the prediction; the fit then runs several times, until they stay (`Fit.data` holds those used).
    - `init`: start values, a pytree of real numbers; entries are called by their path: `"g"`, `"bath.gamma"`, `"h[2]"`.
      Their sizes are the scales of the search, and what an undetermined parameter is compared with. A start where
      nothing depends on an entry to first order (g = 0, everything even in g) is moved by a hundredth of its size.
    - `bounds`: `{"g": (0, None), "gamma": "positive"}`, kept by smooth maps.
    - `priors`: `{"omega": (mean, standard deviation)}`, or a function of `params` that returns residuals.
    - `weights`: relative weights (∝ 1/σ²) by observable, where errors are known up to a common factor.
    - `method`: "levenberg-marquardt", "gauss-newton", "dogleg", "bfgs", "nonlinear-cg", "lbfgs", "adam", or an
      object of optimistix or optax. `steps`: at most so many (anew, whenever relative errors are).
    - `starts`: how many (the first is `init`, the others drawn around it or between its bounds with `seed`), or a list
      of further start values. All run at once.
    - `missing`: "raise" or "skip" points that are not finite.
    - `units`: of the parameters.
    - `progress`: a bar.
    - `throw`: raise where parameters leave no trace in the data; `throw=False` returns the fit with a warning.

    **Returns:** `Fit`.

    **Raises:** `DataError`, `InputError`; `IdentifiabilityError`, naming combinations of parameters that the data do
    not fix at all; `FitError` if no start leads to a finite χ².
    **Warns:** `FitWarning` for a plan of measurement that fixes parameters badly, active bounds, a χ² far too large, an
    end that is no minimum, a second minimum as good.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, numpy as np, jaxlgks as lgks

    def current(p, x):
        qubits = lgks.models.two_qubits(p["omega"], p["g"], gamma=0.01, temperatures=(x["hot"], 0.1))
        return {"J": lgks.heat_currents(qubits, solver=lgks.Populations())[0]}

    hot = np.linspace(0.15, 2.0, 20)
    J = np.array([current({"omega": 1.0, "g": 0.3}, {"hot": T})["J"] for T in hot])
    data = lgks.Data({"hot": hot}, {"J": J}, relative_errors=0.01)
    found = lgks.fit(current, data, {"omega": 1.2, "g": 0.1})
    found.estimates["omega"], found.estimates["g"]    # [1.0, 0.3]
    ```
    """
    measured = as_data(data)
    parameters, theta = as_parameters(init, bounds, "fit")
    problem = _problem(predict, measured, parameters, priors, weights, missing, vectorised)
    chosen = as_method(method, scaled=measured.errors is not None)
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, numbers.Integral) or steps < 0):
        raise InputError(f"fit: steps is a number of steps, 0 or more; got {steps!r}.")
    rows = start_values(parameters, theta, starts, seed, "fit")
    drawn, limit = isinstance(starts, numbers.Integral), chosen.steps if steps is None else int(steps)
    ends = seek(problem, chosen, rows, drawn, limit, progress)
    label = method if isinstance(method, str) else type(method).__name__
    known_units = {**measured.units, **(units or {}), **spread_units(units, parameters.names)}
    result = _result(problem, measured, ends, label, known_units)
    ridge = result.starts.outcomes[int(np.argmin(result.starts.chi_squared))].startswith(RIDGE)
    if result.information.rank < parameters.count and throw and not ridge:
        values = [f"{name} = {value:.4g}" for name, value in result.estimates.items()]
        where = ", ".join(values[:6]) + (", ..." if len(values) > 6 else "")
        raise IdentifiabilityError(
            f"fit: {result.information.unseen} So it is at the best end, {where}; if another start may lead elsewhere, "
            "give more. Or measure where it matters (see fisher_information, optimal_plan), give a prior, or keep a "
            "parameter fixed; throw=False returns the fit."
        )
    for note in result.notes:
        warnings.warn(f"fit: {note}", FitWarning, stacklevel=2)
    return result


def _problem(
    predict: Predict, data: Data, parameters: Parameters, priors: Any, weights: Any, missing: str, vectorised: bool
) -> Problem:
    """The residuals."""
    model = checked_model(predict, parameters, data, vectorised, "fit")
    prior, kept = as_priors(priors, parameters), usable(data, missing)
    y, unit, relative = data.flat(data.observables)[kept], 1.0, None
    if data.errors is not None:
        if weights is not None:
            raise DataError("fit: errors and weights are given; weights are for errors of unknown size. Keep one.")
        fixed = data.flat(data.errors)[kept]
        relative = None if data.relative is None else data.flat(data.relative)[kept]
    else:
        if not prior.none:
            raise DataError("fit: a prior must be weighed against the data: give their errors.")
        if len(y) <= parameters.count:
            raise DataError(
                f"fit: {len(y)} points cannot fix {parameters.count} parameters and the size of the errors too; "
                "measure more, give errors, or fit fewer parameters."
            )
        # In units of the data: what optimisers call small is then small.
        unit = float(np.sqrt(np.mean(y**2))) or 1.0
        fixed = np.full_like(y, unit) if weights is None else unit * _weights(weights, data)[kept] ** -0.5
    largest = {k: np.full(v.shape, np.nanmax(np.abs(v), initial=0.0)) for k, v in data.observables.items()}
    largest = data.flat(largest)[kept]
    x, row, count = distinct(data, kept, vectorised)
    largest = np.where(largest > 0, largest, 1.0)
    return Problem(model, prior, x, y, fixed, relative, largest, kept, row, np.asarray(unit), count)


def _weights(weights: Any, data: Data) -> np.ndarray:
    """Relative weights of all measured numbers, checked as errors are."""
    try:
        checked = Data(data.coordinates, data.observables, weights)
    except DataError as error:
        text = str(error).replace("A measurement without error would count infinitely: give its true error. ", "")
        raise DataError(text.replace("error", "weight")) from error
    result = data.flat(checked.errors or {})
    if not np.all(np.isfinite(result)):
        raise DataError("fit: weights must be finite.")
    return result


def _result(problem: Problem, data: Data, ends: Ends, label: str, units: dict) -> Fit:
    """The best end, and what may be said about it."""
    from scipy.stats import chi2

    chi = _finite_chi(ends.point)
    best = int(np.argmin(chi))
    point, sigma, parameters = ends.at(best), ends.sigma[best], ends.parameters(best)
    predicted = point.predicted[problem.row]
    _refuse_vanished(problem, data, predicted)
    problem = eqx.tree_at(lambda p: p.model.parameters, problem, parameters)
    known, signal = data.errors is not None, float(np.linalg.norm(predicted / sigma))
    about = (units, ends.sizes[best], signal)
    information, size = information_of(parameters, point.theta, point.jacobian, *about), 1.0
    # Combinations without a trace take nothing from the scatter; one residual stands for the others of its setting.
    dof = len(problem.y) + len(point.residuals) - problem.count - 1 - information.rank
    if not known:
        # Data without scatter: what is left is how far an optimiser goes.
        size = max(float(np.sqrt(chi[best] / dof)), TOLERANCE)
        information = information_of(
            parameters, point.theta, point.jacobian / size, units, ends.sizes[best], signal / size
        )
    starts, pressed = starts_of(ends, chi, size, information.sigmas)
    unit = float(problem.unit)
    starts = dataclasses.replace(starts, chi_squared=starts.chi_squared * unit**2)
    notes = weighed_by_measured(data, problem, size, point)
    notes += notes_of(starts, information, pressed, float(chi2.sf(chi[best], dof)) if known and dof > 0 else 1.0)
    used = data
    if data.relative is not None:
        used = Data(data.coordinates, data.observables, _spread(problem, data, sigma), data.units)
    return Fit(
        information=information,
        data=used,
        predictions=_spread(problem, data, predicted),
        residuals=_spread(problem, data, (problem.y - predicted) / sigma / size),
        chi_squared=float(chi[best] * unit**2),
        degrees_of_freedom=dof,
        starts=starts,
        problem=problem,
        used_errors=sigma,
        errors_known=known,
        method=label,
        notes=notes,
        units=units,
    )


def _refuse_vanished(problem: Problem, data: Data, predicted: np.ndarray) -> None:
    """`DataError` for errors that are parts of predictions which vanish where the fit ended."""
    at = np.zeros(len(predicted))
    at[problem.vanished(predicted)] = 1.0
    for name, vanished in _spread(problem, data, at).items():
        if (where := np.argwhere(vanished == 1.0)).size:
            raise DataError(
                f"fit: {name}{where[0].tolist()} is predicted to vanish where the fit ends, and an error that is a "
                f"part of it vanishes with it ({len(where)} such number(s)): nothing else would count. Give errors "
                "beside relative_errors (they add in squares), or leave such points out."
            )


def _finite_chi(point: Point) -> np.ndarray:
    """χ² of each end, infinite where something is not finite.

    **Raises:** `FitError` where that is so of all."""
    chi = np.sum(point.residuals**2, axis=1)
    good = np.isfinite(chi) & np.all(np.isfinite(point.jacobian), axis=(1, 2)) & np.all(np.isfinite(point.theta), 1)
    chi = np.where(good, chi, np.inf)
    if not np.isfinite(chi).any():
        raise FitError(
            f"fit: no start leads to a finite χ²: predictions or their derivatives are NaN at each of the {len(chi)} "
            "end(s). Start elsewhere; where levels coincide use an equation and solver that allow it (Unified(), "
            "Dense())."
        )
    return chi


def _spread(problem: Problem, data: Data, values: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers of the points that were used in the shapes of the observables, NaN elsewhere."""
    row = np.full(sum(y.size for y in data.observables.values()), np.nan)
    row[problem.kept] = values
    return data.by_observable(row)
