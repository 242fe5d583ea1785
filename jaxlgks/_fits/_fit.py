"""Parameters from data: least squares from many starts, and what the data say about the result.

Takes: a model, data, start values. Returns: `Fit`. The optimisers work in coordinates without bounds, the statistics
are those of the parameters themselves.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._equations import worst
from .._generator import Judgement, doubtful
from .._inputs import FORWARD, as_count, as_flag, as_units, differentiating
from ..errors import DataError, FitWarning, IdentifiabilityError
from ._data import Data, as_data, usable, weights_of
from ._information import Information, information_of
from ._optimisers import as_method
from ._parameters import Bounds, Parameters, as_parameters, start_values, units_of
from ._problem import TOLERANCE, VANISHING, Predict, Problem, model_of, priors_of, settings_of
from ._result import Fit
from ._starts import AS_GOOD, CLOSE, NO_MINIMUM, Ends, Starts, bounds_of, point_at, run, starts_of

BIASED = 0.1  # a shift of the estimates by wrong weights that is reported, in standard deviations
SUSPECT = 1e-3  # a χ² that a right model exceeds this rarely is reported


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
    units: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: bool = False,
    throw: bool = True,
) -> Fit:
    """The parameters that make Σ_i (f(θ, x_i) − y_i)²/σ_i² smallest, and how well the data fix them.

    **Arguments:**

    - `predict`: `predict(params, x)`, what is measured at one point; `x` holds its coordinates by name. It returns a
      number, or a dictionary of the data's observables. Anything that JAX can differentiate. What depends on `params`
      alone (a diagonalisation) is computed once for all points. A curve in time is one point with many numbers, data
      `{"z": [1, t]}`; `evolve` under a drive takes adjoint=diffrax.ForwardMode() here.
    - `data`: `Data`, an xarray object, a pandas DataFrame or a mapping of columns (X_error beside X). Relative errors
      are taken of the prediction; the fit then runs several times, until they stay (`Fit.data` holds those used).
    - `init`: start values, a pytree of real numbers; entries are called by their path: `"g"`, `"bath.gamma"`, `"h[2]"`.
      Their sizes are the scales of the search, and what an undetermined parameter is compared with. A start where
      nothing depends on an entry to first order (g = 0, everything even in g) is shifted by a hundredth of its size.
    - `bounds`: `{"g": (0, None), "gamma": "positive"}`, kept by smooth maps.
    - `priors`: `{"omega": (mean, standard deviation)}`.
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
    end that is no minimum, a second minimum as good, errors that are a part of the measured values, a master equation
    that is out of its range at the estimates.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, numpy as np, jaxlgks as lgks

    def current(p, x):
        qubits = lgks.models.two_qubits(p["omega"], p["g"], gamma=0.01, temperatures=(x["hot"], 0.1))
        return {"J": lgks.heat_currents(qubits, solver=lgks.Populations())[0]}

    hot = np.linspace(0.15, 2.0, 20)
    J = np.array([current({"omega": 1.0, "g": 0.3}, {"hot": T})["J"] for T in hot])
    data = lgks.Data({"hot": hot}, {"J": J}, relative_errors=0.01)
    result = lgks.fit(current, data, {"omega": 1.2, "g": 0.1})
    result.estimates["omega"], result.estimates["g"]    # [1.0, 0.3]
    ```
    """
    measured = as_data(data)
    parameters, theta = as_parameters(init, bounds, "fit")
    problem = _problem(predict, measured, parameters, priors, weights, missing)
    optimiser = as_method(method, scaled=problem.known)
    steps = optimiser.steps if steps is None else as_count(steps, "fit: steps")
    progress, throw = as_flag(progress, "fit: progress"), as_flag(throw, "fit: throw")
    rows = start_values(parameters, theta, starts, seed, "fit")
    with differentiating("fit", FORWARD):
        problem, ends = run(problem, optimiser, rows, steps, progress)
    label = method if isinstance(method, str) else type(method).__name__
    all_units = {**measured.units, **as_units(units), **units_of(units, parameters.names)}
    result = _result(problem, measured, ends, label, all_units)
    saddle = result.starts.outcomes[int(np.argmin(result.starts.chi_squared))].startswith(NO_MINIMUM)
    if result.information.rank < len(theta) and throw and not saddle:
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


def _problem(predict: Predict, data: Data, parameters: Parameters, priors: Any, weights: Any, missing: str) -> Problem:
    """The residuals."""
    model = model_of(predict, parameters, data.coordinates, data.observables, "fit")
    mean, width = priors_of(priors, parameters.names)
    used, known = usable(data, missing), data.errors is not None
    y, unit, relative = data.flat(data.observables)[used], 1.0, None
    if data.errors is not None:
        if weights is not None:
            raise DataError("fit: errors and weights are given; weights are for errors of unknown size. Keep one.")
        fixed = data.flat(data.errors)[used]
        relative = None if data.relative is None else jnp.asarray(data.flat(data.relative)[used])
    else:
        if np.isfinite(width).any():
            raise DataError("fit: a prior must be weighed against the data: give their errors.")
        if len(y) <= len(parameters.names):
            raise DataError(
                f"fit: {len(y)} points cannot fix {len(parameters.names)} parameters and the size of the errors too; "
                "measure more, give errors, or fit fewer parameters."
            )
        # In units of the data: what optimisers call small is then small.
        unit = float(np.sqrt(np.mean(y**2))) or 1.0
        fixed = unit * data.flat(weights_of(weights, data))[used] ** -0.5
    largest = {k: np.full(v.shape, np.nanmax(np.abs(v), initial=0.0) or 1.0) for k, v in data.observables.items()}
    largest, unit, (x, row) = jnp.asarray(data.flat(largest)[used]), jnp.asarray(unit), settings_of(data)
    row, used, y, fixed = jnp.asarray(row[used]), jnp.asarray(used), jnp.asarray(y), jnp.asarray(fixed)
    return Problem(model, x, row, used, y, fixed, relative, largest, mean, width, unit, known)


def _result(problem: Problem, data: Data, ends: Ends, label: str, units: dict) -> Fit:
    """The best end, and what may be said about it."""
    from scipy.stats import chi2

    best, used, unit = int(np.argmin(ends.chi_squared)), np.asarray(problem.used), float(problem.unit)
    point, sigma, y = ends.points[best], ends.sigma[best], np.asarray(problem.y)
    predicted = y + sigma * point.residuals[: len(y)]
    if data.relative is not None:
        _require_errors(problem, data, predicted)
        data = Data(data.coordinates, data.observables, data.unflattened(sigma, used), data.units)
    parameters, chi = problem.model.parameters, float(ends.chi_squared[best])
    information, size = information_of(parameters, point.theta, point.jacobian, units), 1.0
    # Combinations without a trace take nothing from the scatter.
    dof = len(y) + int(np.isfinite(problem.width).sum()) - information.rank
    if not problem.known:
        # Data without scatter: what is left is how far an optimiser goes.
        size = max(float(np.sqrt(chi / dof)), TOLERANCE)
        information = information_of(parameters, point.theta, point.jacobian / size, units)
    starts = starts_of(problem, ends, size, information.sigmas)
    p_value = float(chi2.sf(chi, dof)) if problem.known and dof > 0 else float("nan")
    judgement = problem.model.verdicts(jnp.asarray(point.theta), problem.x)
    notes = (
        *_biased(problem, data, point, predicted),
        *_notes(problem, starts, information, point, p_value),
        *_doubts(judgement),
    )
    sigmas, theta = information.sigmas, information.values
    with np.errstate(invalid="ignore"):
        correlations = information.covariance / np.outer(sigmas, sigmas)
    return Fit(
        names=parameters.names,
        vector=theta,
        params=parameters.tree(theta),
        estimates=parameters.values(theta),
        sigmas=parameters.values(sigmas),
        covariance=information.covariance,
        correlations=correlations,
        undetermined=information.undetermined,
        information=information,
        data=data,
        predictions=data.unflattened(predicted, used),
        residuals=data.unflattened((y - predicted) / sigma / size, used),
        chi_squared=chi * unit**2,
        degrees_of_freedom=dof,
        reduced_chi_squared=chi * unit**2 / dof if dof > 0 else float("nan"),
        p_value=p_value,
        validity=worst(judgement.equations),
        starts=starts,
        problem=problem,
        used_errors=sigma,
        method=label,
        notes=notes,
        units=units,
    )


def _doubts(judgement: Judgement) -> list[str]:
    """A note on each master equation that clearly does not hold at the estimates, and on states spoiled by rounding."""
    broken = [one for one in judgement.equations if np.any(np.asarray(one.broken))]
    notes = [f"{one}: estimates hold what the equation gets wrong. See validity." for one in broken]
    error = judgement.error
    if error is not None and np.any(error > doubtful(error.dtype)):
        notes.append(f"rounding may have changed steady states by up to {np.nanmax(error):.1e} of the largest element.")
    return notes


def _require_errors(problem: Problem, data: Data, predicted: np.ndarray) -> None:
    """`DataError` for errors that are parts of predictions which vanish where the fit ended."""
    nothing = (np.asarray(problem.fixed) == 0) & (np.abs(predicted) <= VANISHING * np.asarray(problem.largest))
    for name, marks in data.unflattened(nothing.astype(float), np.asarray(problem.used)).items():
        if (at := np.argwhere(marks == 1.0)).size:
            raise DataError(
                f"fit: {name}{at[0].tolist()} is predicted to vanish where the fit ends, and an error that is a part "
                f"of it vanishes with it ({len(at)} such number(s)): nothing else would count. Give errors beside "
                "relative_errors (they add in squares), or leave such points out."
            )


def _biased(problem: Problem, data: Data, point: Any, predicted: np.ndarray) -> list[str]:
    """A note where errors are one and the same part of each measured number, and taking that part of the prediction
    would shift the estimates: by the distance from the minimum with those errors."""
    notes, y, sigma = [], np.asarray(problem.y), np.asarray(problem.fixed)
    for name in data.observables if problem.known and problem.relative is None else ():
        of_name = data.flat({k: np.full(v.shape, k == name) for k, v in data.observables.items()})
        of_name = of_name[np.asarray(problem.used)]
        of_name &= (y != 0) & (predicted != 0)
        part = sigma[of_name] / np.abs(y[of_name])
        if len(np.unique(y[of_name])) < 3 or np.ptp(part) > 1e-3 * part[0]:
            continue
        relative = np.where(of_name, part[0] * np.maximum(np.abs(predicted), 1e-3 * np.abs(y)), sigma)
        shift = float(point_at(problem, point.theta, relative).distance)
        if shift > BIASED:
            notes.append(
                f"errors of {name} are {100 * part[0]:.3g} % of each measured value, so that values that came out low "
                f"count more: this shifts the estimates by {shift:.2g} σ. Give relative_errors={part[0]:.3g} instead."
            )
    return notes


def _notes(problem: Problem, starts: Starts, information: Information, point: Any, p_value: float) -> list[str]:
    """What asks for a look."""
    best = int(np.argmin(starts.chi_squared))
    outcome, bounds = starts.outcomes[best], bounds_of(problem.model.parameters, point)
    # At a saddle what leaves no trace to first order does so to second.
    saddle = outcome.startswith(NO_MINIMUM)
    undetermined = [one for one in information.undetermined if not (saddle and np.isinf(one.deviation))]
    # What went to its bound by more than its error is known to be there.
    went = np.abs(starts.final[best] - starts.initial[best]) > information.sigmas
    at_bound = {name for name, far in zip(information.names, went, strict=True) if far and name in bounds}
    notes = [str(one) for one in undetermined if not set(one.components) <= at_bound]
    if notes:
        notes[0] = f"A poor plan of measurement. {notes[0]}"
    hold = "its interval, and those of parameters correlated with it, do not hold."
    notes += [f"{name} ends at its {bound}: {hold}" for name, bound in bounds.items()]
    if any(word.startswith(AS_GOOD) for word in starts.outcomes):
        notes.append("Another minimum is as good: the data do not choose between them. See starts.")
    if saddle:
        notes.append(f"The best start: {outcome}. Start elsewhere.")
    elif not starts.distance[best] < CLOSE:
        notes.append(f"The best start {outcome}. Take more steps or another method.")
    elif p_value < SUSPECT:
        notes.append(
            f"χ² is too large (p = {p_value:.1g}): the model does not describe the data within their errors, and "
            "intervals do not hold what the model leaves out."
        )
    return notes
