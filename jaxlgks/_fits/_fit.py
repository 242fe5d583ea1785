"""Parameters from data: least squares from many starts, and what the data say about the result.

Enters: a model, data, start values. Leaves: `Fit`. The minimum is sought in coordinates without bounds; the statistics
are made in the parameters themselves.
"""

import numbers
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..errors import DataError, FitError, FitWarning, IdentifiabilityError, InputError
from ._data import Data, usable
from ._information import Information, information_of
from ._methods import TOLERANCE, as_method
from ._parameters import Bounds, Parameters, draw_starts, own_sizes, parameters, spread_units
from ._problem import Examined, Predict, Problem, as_priors, checked_model, distinct
from ._result import Fit
from ._seek import Sought, given_at, seek
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
    checkpoint: str | Path | None = None,
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
    - `progress`: a bar. `checkpoint`: a file to which the state is written on the way and from which it resumes.
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
    given, theta = parameters(init, bounds, "fit")
    problem = _problem(predict, measured, given, priors, weights, missing, vectorised)
    chosen = as_method(method, True, "fit", scaled=measured.errors is not None)
    rows = draw_starts(given, theta, starts, seed, "fit")
    sizes = own_sizes(given, np.where(rows == 0, theta, rows), isinstance(starts, numbers.Integral))
    limit = chosen.steps if steps is None else _steps(steps)
    label = method if isinstance(method, str) else type(method).__name__
    sought = seek(problem, chosen, rows, sizes, limit, progress, checkpoint)
    known_units = {**measured.units, **(units or {}), **spread_units(units or {}, given.names)}
    made = _result(problem, measured, sought, sizes, label, known_units)
    ridge = made.starts.outcomes[int(np.argmin(made.starts.chi_squared))].startswith(RIDGE)
    if made.information.rank < given.count and throw and not ridge:
        open_ = " ".join(str(d) for d in made.undetermined if np.isinf(d.deviation))
        raise IdentifiabilityError(
            f"fit: {open_} So it is at the best end, {_there(made)}; if another start may lead elsewhere, give more. "
            "Or measure where it matters (see fisher_information, optimal_plan), give a prior, or keep a parameter "
            "fixed; throw=False returns the fit."
        )
    for note in made.notes:
        warnings.warn(f"fit: {note}", FitWarning, stacklevel=2)
    return made


def _steps(steps: Any) -> int:
    if isinstance(steps, bool) or not isinstance(steps, numbers.Integral) or steps < 0:
        raise InputError(f"fit: steps is a number of steps, 0 or more; got {steps!r}.")
    return int(steps)


def _there(made: Fit) -> str:
    """Where a fit ended, in at most six numbers."""
    values = [f"{name} = {value:.4g}" for name, value in made.estimates.items()]
    return ", ".join(values[:6]) + (", ..." if len(values) > 6 else "")


def _problem(
    predict: Predict, data: Data, given: Parameters, priors: Any, weights: Any, missing: str, vectorised: bool
) -> Problem:
    """The residuals."""
    model = checked_model(predict, given, data, vectorised, "fit")
    prior = as_priors(priors, given, "fit")
    kept = usable(data, missing)
    y = np.concatenate([x.reshape(-1) for x in data.observables.values()])[kept]
    largest = np.concatenate(
        [np.full(x.size, np.max(np.abs(x), initial=0, where=np.isfinite(x))) for x in data.observables.values()]
    )[kept]
    unit = 1.0
    relative = None
    fixed = np.zeros_like(y)
    if data.errors is not None:
        if weights is not None:
            raise DataError("fit: errors and weights are given; weights are for errors of unknown size. Keep one.")
        sigma = fixed = np.concatenate([x.reshape(-1) for x in data.errors.values()])[kept]
        if data.relative is not None:
            relative = np.concatenate([x.reshape(-1) for x in data.relative.values()])[kept]
            # To begin with a part of what was measured, no less than of a hundredth of the largest.
            sigma = np.hypot(fixed, relative * np.maximum(np.abs(y), 0.01 * np.where(largest > 0, largest, 1.0)))
    else:
        if prior.index.size or prior.function is not None:
            raise DataError("fit: a prior must be weighed against the data: give their errors.")
        # In units of the data: what optimisers call small is then small.
        unit = float(np.sqrt(np.mean(y**2))) or 1.0
        sigma = np.full_like(y, unit) if weights is None else unit * _weights(weights, data)[kept] ** -0.5
        if len(y) <= given.count:
            raise DataError(
                f"fit: {len(y)} points cannot fix {given.count} parameters and the size of the errors too; measure "
                "more, give errors, or fit fewer parameters."
            )
    x, row, count = distinct(data, kept, vectorised)
    return Problem(model, prior, x, y, sigma, fixed, relative, largest, kept, row, np.asarray(unit), count)


def _weights(weights: Any, data: Data) -> np.ndarray:
    """Relative weights of all measured numbers, checked as errors are."""
    given = weights if isinstance(weights, Mapping) else dict.fromkeys(data.observables, weights)
    try:
        checked = Data(data.coordinates, data.observables, given).errors or {}
    except DataError as error:
        said = str(error).split(" A measurement without")[0].replace("error", "weight")
        said += (
            " A point that should not count is left out: make it NaN and pass missing='skip'." if "zero" in said else ""
        )
        raise DataError(said) from error
    found = np.concatenate([x.reshape(-1) for x in checked.values()])
    if not np.all(np.isfinite(found)):
        raise DataError("fit: weights must be finite.")
    return found


def _result(problem: Problem, data: Data, sought: Sought, sizes: np.ndarray, label: str, units: dict) -> Fit:
    """The best end, and what may be said about it."""
    from scipy.stats import chi2

    known, seen, unit = data.errors is not None, sought.seen, float(problem.unit)
    chi = _finite_chi(seen)
    best = int(np.argmin(chi))
    here = jax.tree.map(lambda x: x[best], seen)
    problem, given = problem.owned(jax.tree.map(lambda x: x[best], sought.own)), given_at(problem, sought.own, best)
    _refuse_vanished(problem, data, here)
    signal = float(np.linalg.norm(problem.y / problem.sigma + here.residuals[: len(problem.y)]))

    def told(size: float) -> Information:
        return information_of(given, here.theta, here.jacobian / size, units, sizes[best], signal / size)

    information, size = told(1.0), 1.0
    dof = len(here.residuals) - information.rank  # combinations without a trace take nothing from the scatter
    if not known:
        # Data without scatter: what is left is how far an optimiser goes.
        size = max(float(np.sqrt(chi[best] / dof)), TOLERANCE)
        information = told(size)
    starts, at = starts_of(problem, sought, chi, size, information.sigmas)
    starts = eqx.tree_at(lambda s: s.chi_squared, starts, starts.chi_squared * unit**2)
    predicted, residuals = _by_observable(problem, data, here.residuals)
    p_value = float(chi2.sf(chi[best], dof)) if known and dof > 0 else 1.0
    notes = weighed_by_measured(data, problem, size, here) + notes_of(starts, information, at, p_value)
    return Fit(
        estimates=given.values(here.theta),
        vector=here.theta,
        slope=here.slope,
        covariance=information.covariance,
        information=information,
        parameters=given,
        data=data if data.relative is None else data.with_errors(_used(problem, data)),
        predictions=predicted,
        residuals={name: r / size for name, r in residuals.items()},
        chi_squared=float(chi[best] * unit**2),
        degrees_of_freedom=dof,
        starts=starts,
        errors_known=known,
        method=label,
        notes=notes,
        units=units,
        model=problem.model,
        problem=problem,
    )


def _refuse_vanished(problem: Problem, data: Data, here: Examined) -> None:
    """`DataError` for errors that are parts of predictions which vanish where the fit ended."""
    at = problem.vanished(np.asarray(problem.y + problem.sigma * here.residuals[: len(problem.y)]))
    if at.size:
        first = int(problem.kept[at[0]])
        for name, y in data.observables.items():
            if first < y.size:
                where = ", ".join(map(str, np.unravel_index(first, y.shape)))
                raise DataError(
                    f"fit: {name}[{where}] is predicted to vanish where the fit ends, and an error that is a part of "
                    f"it vanishes with it ({at.size} such number(s)): nothing else would count. Give errors beside "
                    "relative_errors (they add in squares), or leave such points out."
                )
            first -= y.size


def _finite_chi(seen: Examined) -> np.ndarray:
    """χ² of each end, infinite where something is not finite.

    **Raises:** `FitError` where that is so of all."""
    chi = np.sum(seen.residuals**2, axis=1)
    good = np.isfinite(chi) & np.all(np.isfinite(seen.jacobian), axis=(1, 2)) & np.all(np.isfinite(seen.theta), 1)
    chi = np.where(good & (chi < 1e250), chi, np.inf)
    if not np.isfinite(chi).any():
        raise FitError(
            f"fit: no start leads to a finite χ²: predictions or their derivatives are NaN at each of the {len(chi)} "
            "end(s). Start elsewhere; where levels coincide use an equation and solver that allow it (Unified(), "
            "Dense())."
        )
    return chi


def _used(problem: Problem, data: Data) -> dict[str, np.ndarray]:
    """The errors that the fit used, by observable; NaN where a point was not used."""
    return _spread(data, problem.kept, problem.sigma)


def _spread(data: Data, kept: Any, values: Any) -> dict[str, np.ndarray]:
    """Numbers of the points that were used in the shapes of the observables, NaN elsewhere."""
    row = np.full(sum(y.size for y in data.observables.values()), np.nan)
    row[kept] = values
    found, at = {}, 0
    for name, y in data.observables.items():
        found[name] = row[at : at + y.size].reshape(y.shape)
        at += y.size
    return found


def _by_observable(problem: Problem, data: Data, residuals: np.ndarray) -> tuple[dict, dict]:
    """Predictions, and residuals (y − f)/σ, NaN where a point was not used."""
    r = residuals[: len(problem.kept)]
    return _spread(data, problem.kept, problem.y + problem.sigma * r), _spread(data, problem.kept, -r)
