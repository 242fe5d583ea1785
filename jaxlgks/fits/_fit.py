"""Parameters from data: least squares from many starts, and what the data say about the result.

Enters: a model, data, start values. Leaves: `Fit`. The minimum is sought in coordinates without bounds; the statistics
are made in the parameters themselves.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._errors import DataError, FitError, FitWarning, IdentifiabilityError
from ._data import Data, as_data, usable
from ._information import information_of
from ._methods import as_method
from ._parameters import Bounds, Parameters, draw_starts, parameters
from ._problem import Examined, Predict, Problem, as_priors, checked_model, distinct, examine
from ._result import Fit
from ._runner import Ended, each, run
from ._verdict import notes_of, pressed, starts_of


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
    - `data`: `Data`, an xarray object, a pandas DataFrame or a mapping of columns (X_error beside X).
    - `init`: start values, a pytree of real numbers; entries are called by their path: `"g"`, `"bath.gamma"`, `"h[2]"`.
    - `bounds`: `{"g": (0, None), "gamma": "positive"}`, kept by smooth maps.
    - `priors`: `{"omega": (mean, standard deviation)}`, or a function of `params` that returns residuals.
    - `weights`: relative weights (∝ 1/σ²) by observable, where errors are known up to a common factor.
    - `method`: "levenberg-marquardt", "gauss-newton", "dogleg", "bfgs", "nonlinear-cg", "lbfgs", "adam", or an
      object of optimistix or optax. `steps`: at most so many.
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
    found = lgks.fit(current, lgks.Data({"hot": hot}, {"J": J}, errors=0.01 * J), {"omega": 1.2, "g": 0.1})
    found.estimates["omega"], found.estimates["g"]    # [1.0, 0.3]
    ```
    """
    measured = as_data(data)
    given, theta = parameters(init, bounds, "fit")
    problem, unit = _problem(predict, measured, given, priors, weights, missing, vectorised)
    chosen = as_method(method, True, "fit", scaled=measured.errors is not None)
    z = draw_starts(given, theta, starts, seed, "fit")
    limit = chosen.steps if steps is None else steps
    label = method if isinstance(method, str) else type(method).__name__
    mark = _fingerprint(problem, z, label) if checkpoint is not None else ""
    ended = run(problem, chosen, z, limit, progress=progress, checkpoint=checkpoint, fingerprint=mark)
    seen, initial = jax.tree.map(np.asarray, _examined(problem, jnp.asarray(ended.z), jnp.asarray(z)))
    known_units = {**measured.units, **(units or {})}
    made = _result(problem, measured, seen, ended, initial, unit, label, known_units)
    if made.information.rank < given.count and throw:
        open_ = " ".join(str(d) for d in made.undetermined if np.isinf(d.deviation))
        raise IdentifiabilityError(
            f"fit: {open_} Measure where it matters (see fisher_information, optimal_plan), give a prior, or keep a "
            "parameter fixed; throw=False returns the fit."
        )
    for note in made.notes:
        warnings.warn(f"fit: {note}", FitWarning, stacklevel=2)
    return made


@eqx.filter_jit
def _examined(problem: Problem, ends: jax.Array, starts: jax.Array) -> tuple[Examined, jax.Array]:
    """Ends, and the parameters of the starts."""
    return each(lambda one: examine(problem, one), ends), jax.vmap(problem.model.parameters.outward)(starts)


def _problem(
    predict: Predict, data: Data, given: Parameters, priors: Any, weights: Any, missing: str, vectorised: bool
) -> tuple[Problem, float]:
    """The residuals, and the unit in which errors of unknown size are counted (1 if they are known)."""
    model = checked_model(predict, given, data, vectorised, "fit")
    prior = as_priors(priors, given, "fit")
    kept = usable(data, missing)
    y = np.concatenate([x.reshape(-1) for x in data.observables.values()])[kept]
    unit = 1.0
    if data.errors is not None:
        if weights is not None:
            raise DataError("fit: errors and weights are given; weights are for errors of unknown size. Keep one.")
        sigma = np.concatenate([x.reshape(-1) for x in data.errors.values()])[kept]
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
    x, row = distinct(data, kept, vectorised)
    return Problem(model, prior, x, y, sigma, kept, row), unit


def _weights(weights: Any, data: Data) -> np.ndarray:
    """Relative weights of all measured numbers, checked as errors are."""
    given = weights if isinstance(weights, Mapping) else dict.fromkeys(data.observables, weights)
    try:
        checked = Data(data.coordinates, data.observables, given).errors or {}
    except DataError as error:
        raise DataError(str(error).replace("error", "weight")) from error
    found = np.concatenate([x.reshape(-1) for x in checked.values()])
    if not np.all(np.isfinite(found)):
        raise DataError("fit: weights must be finite.")
    return found


def _fingerprint(problem: Problem, z: np.ndarray, method: str) -> str:
    """What a checkpoint must belong to."""
    digest = hashlib.sha256(repr((problem.model.parameters.names, problem.model.observables, method)).encode())
    numbers = [x for x in jax.tree.leaves(problem) if isinstance(x, np.ndarray | jax.Array)]
    for x in (*numbers, z):
        digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()


def _result(
    problem: Problem,
    data: Data,
    seen: Any,
    ended: Ended,
    initial: np.ndarray,
    unit: float,
    label: str,
    units: dict,
) -> Fit:
    """The best end, and what may be said about it."""
    from scipy.stats import chi2

    given, known = problem.model.parameters, data.errors is not None
    chi = np.sum(seen.residuals**2, axis=1)
    usable_end = np.isfinite(chi) & np.all(np.isfinite(seen.jacobian), axis=(1, 2)) & np.all(np.isfinite(seen.theta), 1)
    chi = np.where(usable_end & (chi < 1e250), chi, np.inf)
    if not np.isfinite(chi).any():
        raise FitError(
            f"fit: no start leads to a finite χ²: predictions or their derivatives are NaN at each of the {len(chi)} "
            "end(s). Start elsewhere; where levels coincide use an equation and solver that allow it (Unified(), "
            "Dense())."
        )
    best = int(np.argmin(chi))
    theta, jacobian, residuals_there, slope = (
        np.asarray(x[best]) for x in (seen.theta, seen.jacobian, seen.residuals, seen.slope)
    )
    dof = seen.residuals.shape[1] - given.count
    size = 1.0 if known else float(np.sqrt(chi[best] / dof))
    size = size if known else max(size, 1e-12)  # data without scatter: what is left is rounding
    information = information_of(given, theta, jacobian / size, units)
    starts = starts_of(given, seen, ended, initial, chi, size, information.sigmas)
    starts = eqx.tree_at(lambda s: s.chi_squared, starts, starts.chi_squared * unit**2)
    at = pressed(given, theta, jacobian, residuals_there)
    predicted, residuals = _by_observable(problem, data, residuals_there)
    p_value = float(chi2.sf(chi[best], dof)) if known and dof > 0 else 1.0
    return Fit(
        estimates=given.values(theta),
        vector=theta,
        slope=slope,
        covariance=information.covariance,
        information=information,
        parameters=given,
        data=data,
        predictions=predicted,
        residuals={name: r / size for name, r in residuals.items()},
        chi_squared=float(chi[best] * unit**2),
        degrees_of_freedom=dof,
        starts=starts,
        errors_known=known,
        method=label,
        notes=notes_of(starts, information, at, p_value),
        units=units,
        model=problem.model,
        problem=problem,
    )


def _by_observable(problem: Problem, data: Data, residuals: np.ndarray) -> tuple[dict, dict]:
    """Predictions, and residuals (y − f)/σ, NaN where a point was not used."""
    size = sum(y.size for y in data.observables.values())
    predicted, left = np.full(size, np.nan), np.full(size, np.nan)
    r = residuals[: len(problem.kept)]
    predicted[problem.kept] = problem.y + problem.sigma * r
    left[problem.kept] = -r
    found, at = ({}, {}), 0
    for name, y in data.observables.items():
        for kind, row in zip(found, (predicted, left), strict=True):
            kind[name] = row[at : at + y.size].reshape(y.shape)
        at += y.size
    return found
