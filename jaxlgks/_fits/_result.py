"""The result of a fit: estimates, what the data say about them, text, picture, dataset, synthetic repetitions.

Takes: a fitted problem, with Fisher information, residuals and the outcome of every start. Returns: intervals,
correlations, prediction bands, fits of synthetic data; a summary, a matplotlib figure, an `xarray.Dataset`.

Statistics. With known errors σ_i the covariance is F⁻¹, intervals are normal, and χ² is a test of the model. Without
errors (or with relative weights alone) their common size is estimated, s² = Σ r²/(m − p): the covariance is s² F⁻¹,
intervals are Student's t with m − p degrees of freedom, and nothing is left to test the model with.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import InputError
from ._data import Data, listed_points
from ._information import Direction, Information
from ._optimisers import as_method
from ._problem import Problem, evaluate
from ._starts import CLOSE, Starts, descend

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

BATCH = 250
"""Synthetic fits at a time: enough to fill the processor, few enough for its memory."""
LISTED = 12
"""So many starts are listed one by one."""


class Simulation(eqx.Module):
    """Fits of synthetic data.

    - `names`, `truth` [p]: the parameters that made the data.
    - `estimates`, `sigmas`: [n, p]; `chi_squared`: [n]; `converged`: [n].
    - `degrees_of_freedom`: of Student's t where errors were estimated, else None (normal).
    """

    names: tuple[str, ...] = eqx.field(static=True)
    truth: Float[np.ndarray, " p"]
    estimates: Float[np.ndarray, "n p"]
    sigmas: Float[np.ndarray, "n p"]
    chi_squared: Float[np.ndarray, " n"]
    converged: np.ndarray
    degrees_of_freedom: int | None = eqx.field(static=True)

    def coverage(self, level: float = 0.95) -> dict[str, float]:
        """Part of all repetitions whose interval holds the truth, by parameter; one that did not converge does not."""
        width = _quantile(level, self.degrees_of_freedom) * self.sigmas
        inside = (np.abs(self.estimates - self.truth) <= width) & self.converged[:, None]
        return dict(zip(self.names, map(float, inside.mean(axis=0)), strict=True))


class Fit(eqx.Module):
    """Estimates with uncertainties.

    - `names`, `estimates`, `sigmas`: parameters by path in the pytree; `vector`: the estimates as an array, `params`:
      as the pytree that `predict` takes.
    - `covariance`, `correlations`: [p, p], infinite variances where nothing is known; `information`: Fisher
      information, in units of the errors used.
    - `undetermined`: combinations of parameters that the data do not fix, in words.
    - `chi_squared`, `degrees_of_freedom`, `reduced_chi_squared`, `p_value` (the probability of a χ² as large as this
      one if the model is right); with unknown errors `chi_squared` is the (weighted) sum of squares and
      `reduced_chi_squared` the estimated variance.
    - `predictions`, `residuals` (measured less predicted, over the error): by observable, NaN where skipped.
    - `starts`: every start and its end; `notes`: what asks for a look.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    vector: Float[np.ndarray, " p"]
    params: Any
    estimates: dict[str, float]
    sigmas: dict[str, float]
    covariance: Float[np.ndarray, "p p"]
    correlations: Float[np.ndarray, "p p"]
    undetermined: tuple[Direction, ...]
    information: Information
    data: Data
    predictions: dict[str, np.ndarray]
    residuals: dict[str, np.ndarray]
    chi_squared: float
    degrees_of_freedom: int
    reduced_chi_squared: float
    p_value: float
    starts: Starts
    problem: Problem
    used_errors: Float[np.ndarray, " m"]
    method: str = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)
    units: dict[str, str] = eqx.field(static=True)

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Confidence intervals by parameter, estimate ± quantile × σ.

        ```python
        import jax; jax.config.update("jax_enable_x64", True)
        import jax.numpy as jnp, jaxlgks as lgks
        data = lgks.Data({"t": [0.0, 1.0, 2.0, 3.0]}, {"y": [2.0, 1.2, 0.75, 0.45]}, errors=0.02)
        decay = lambda p, x: p["a"] * jnp.exp(-p["k"] * x["t"])
        result = lgks.fit(decay, data, {"a": 1.0, "k": 1.0}, bounds={"k": "positive"})
        result.intervals(0.95)["k"]                # [0.47, 0.52]
        ```
        """
        width = self._quantile(level) * self.information.sigmas
        ends = zip(self.names, self.vector - width, self.vector + width, strict=True)
        return {name: (float(low), float(high)) for name, low, high in ends}

    def band(
        self, coordinates: Mapping[str, Any] | None = None, level: float = 0.95
    ) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Prediction and the ends of its confidence band, by observable: f ∓ q √(∂f C ∂fᵀ), to first order in what
        the parameters may be off. The scatter of a new measurement comes on top.

        **Arguments:** `coordinates`: points [n] by name, the measured ones when left out. `level`.

        **Raises:** `InputError` for coordinates that are not those of the data.
        """
        x = dict(coordinates or self.data.coordinates)
        if set(x) != set(self.data.coordinates):
            raise InputError(f"band: the coordinates are {list(self.data.coordinates)}; got {list(x)}.")
        try:
            rows = np.broadcast_arrays(*(np.atleast_1d(np.asarray(values, float)) for values in x.values()))
        except ValueError as error:
            raise InputError(f"band: coordinates must be equally long numbers [n]: {error}") from error
        if rows[0].ndim != 1:
            raise InputError(f"band: a coordinate is one number a point, [n]; got shape {rows[0].shape}.")
        values, jacobian = self.problem.model.with_jacobian(jnp.asarray(self.vector), dict(zip(x, rows, strict=True)))
        result = {}
        for name, y in jax.tree.map(np.asarray, values).items():
            J = np.asarray(jacobian[name])
            half = self._quantile(level) * np.sqrt(np.einsum("...i,ij,...j->...", J, self.covariance, J))
            result[name] = (y, y - half, y + half)
        return result

    def repeat(self, count: int, seed: int = 0) -> Simulation:
        """Fits of synthetic data: drawn `count` times around the predictions with the errors used, and fitted again
        from the estimates, all in one compiled program. Checks intervals (parametric bootstrap): how often they hold
        the value that made the data.

        **Raises:** `InputError` where the data do not fix all parameters, and for a fit with priors.
        """
        problem, theta, sigmas = self.problem, self.vector, self.information.sigmas
        if count < 1:
            raise InputError(f"repeat: at least one repetition is needed; got {count}.")
        if np.isfinite(problem.width).any():
            raise InputError("repeat: with priors the truth would have to be drawn from them as well; fit without.")
        if self.information.rank < len(theta):
            raise InputError(
                f"repeat: the data fix {self.information.rank} of {len(theta)} parameters, so the others would end "
                f"anywhere: {self.information.unseen} Keep some fixed and fit again."
            )
        # Half a standard deviation inside bounds: at a bound itself the smooth map is flat, and no optimiser would
        # come away from it.
        lower, upper = np.asarray(problem.model.parameters.lower), np.asarray(problem.model.parameters.upper)
        margin = np.minimum(0.5 * sigmas, 0.25 * (upper - lower))
        z = problem.model.parameters.to_coordinates(np.clip(theta, lower + margin, upper - margin))
        size = 1.0 if problem.known else np.sqrt(self.reduced_chi_squared) / float(problem.unit)
        numbers = (jnp.asarray(x) for x in (theta, z, self.used_errors, size))
        out = _simulated(problem, *numbers, count, jax.random.key(seed))
        estimates, spreads, chi, distance = (np.asarray(x) for x in out)
        dof = None if problem.known else self.degrees_of_freedom
        if dof is not None:
            spreads = spreads * np.sqrt(chi / dof)[:, None]
        chi = chi * float(problem.unit) ** 2
        return Simulation(self.names, theta, estimates, spreads, chi, distance < CLOSE, dof)

    def summary(self) -> str:
        """Estimates, goodness, starts and warnings as text."""
        wide = max(10, *(len(name) for name in self.names))
        lines = [f"{'parameter':<{wide}}  {'estimate':>13}  {'1σ':>10}  {'relative':>8}  95 % interval"]
        sigmas, intervals = self.sigmas, self.intervals()
        for name, value in self.estimates.items():
            sigma, (low, high) = sigmas[name], intervals[name]
            part = f"{100 * sigma / abs(value):.2g} %" if value and np.isfinite(sigma) else ""
            row = f"{name:<{wide}}  {value:>13.6g}  {sigma:>10.2g}  {part:>8}  [{low:.6g}, {high:.6g}]"
            lines.append(f"{row} {self.units.get(name, '')}".rstrip())
        lines += ["", self._goodness(), ""]
        matrix = self.correlations
        pairs = [(matrix[i, j], i, j) for i in range(len(self.names)) for j in range(i) if np.isfinite(matrix[i, j])]
        for r, i, j in sorted(pairs, key=lambda pair: -abs(pair[0]))[:3]:
            lines.append(f"correlation of {self.names[j]} and {self.names[i]}: {r:+.3f}")
        starts = self.starts
        lines += ["", f"{len(starts.outcomes)} start(s) by {self.method}:"]
        order = np.argsort(starts.chi_squared, kind="stable")
        for i in order[:LISTED]:
            chi, steps = f"χ² = {starts.chi_squared[i]:<11.6g}", f"{int(starts.steps[i]):>4} steps"
            lines.append(f"  {i + 1:>3}: {chi} after {steps}: {starts.outcomes[i]}")
        lines += [f"  ... and {len(order) - LISTED} more, see starts.outcomes"] if len(order) > LISTED else []
        lines += ["", *(f"! {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def _goodness(self) -> str:
        skipped = {name: np.argwhere(np.isnan(r))[:, 0] for name, r in self.residuals.items()}
        where = "; ".join(f"{name} at {listed_points(at, 20)}" for name, at in skipped.items() if len(at))
        points = f"{len(self.used_errors)} measured numbers"
        if where:
            points += f" ({sum(map(len, skipped.values()))} skipped: {where})"
        if self.problem.known:
            return (
                f"{points}, χ² = {self.chi_squared:.5g} with {self.degrees_of_freedom} degrees of freedom, reduced "
                f"{self.reduced_chi_squared:.4g}, p = {self.p_value:.2g}; normal intervals"
            )
        return (
            f"{points}, scatter s = {np.sqrt(self.reduced_chi_squared):.4g} estimated from them; Student's t intervals with "
            f"{self.degrees_of_freedom} degrees of freedom"
        )

    def plot(self, path: str | Path | None = None, x: str | None = None) -> "Figure":
        """Data with errors, fit and residuals against one coordinate; a band and a line where there is no other."""
        from matplotlib.figure import Figure

        coordinates, errors = self.data.coordinates, self.data.errors
        x = next(iter(coordinates)) if x is None else x
        if x not in coordinates:
            raise InputError(f"plot: no coordinate {x!r}; there are {', '.join(coordinates)}.")
        at, order, alone = coordinates[x], np.argsort(coordinates[x]), len(coordinates) == 1
        banded = alone and np.isfinite(np.diag(self.covariance)).all() and np.isfinite(at).all()
        band = self.band() if banded else {}
        columns = [(name, index) for name, y in self.data.observables.items() for index in np.ndindex(y.shape[1:])]
        figure = Figure(figsize=(1 + 4.2 * len(columns), 4.8), layout="constrained")
        panels = figure.subplots(2, len(columns), sharex=True, squeeze=False, height_ratios=(3, 1))
        for (name, index), (upper, lower) in zip(columns, panels.T, strict=True):
            part = (slice(None), *index)
            sigma, predicted = None if errors is None else errors[name][part], self.predictions[name][part]
            style = {"fmt": "o", "ms": 3, "color": "0.45", "elinewidth": 1, "zorder": 1}
            upper.errorbar(at, self.data.observables[name][part], sigma, label="measured", **style)
            line = {} if alone else {"ls": "", "marker": "x", "ms": 5, "mew": 1.2}
            upper.plot(at[order], predicted[order], color="C0", label="fit", **line)
            if band:
                low, high = (end[part][order] for end in band[name][1:])
                upper.fill_between(at[order], low, high, color="C0", alpha=0.25, lw=0, label="95 % band")
            lower.axhspan(-1, 1, color="C0", alpha=0.15, lw=0)
            lower.plot(at, self.residuals[name][part], "o", ms=3, color="0.3")
            lower.axhline(0, color="C0", lw=1)
            label = name + "".join(f"[{i}]" for i in index)
            upper.set_ylabel(_with_unit(label, self.units.get(name)))
            lower.set(xlabel=_with_unit(x, self.units.get(x)), ylabel="residual (σ)")
            upper.legend(frameon=False)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def to_xarray(self) -> "xarray.Dataset":
        """Everything but `predict`, labelled. A coordinate whose name is taken is called coordinate_X; a slash, which
        netCDF does not allow, is written _per_; `long_name` keeps the name as it was."""
        import xarray

        p, starts, parameters = "parameter", self.starts, self.problem.model.parameters
        variables: dict[str, Any] = {
            "estimate": (p, self.vector, {"units": [self.units.get(name, "") for name in self.names]}),
            "sigma": (p, self.information.sigmas),
            "covariance": ((p, "parameter_2"), self.covariance),
            "correlation": ((p, "parameter_2"), self.correlations),
            "lower": (p, np.asarray(parameters.lower)),
            "upper": (p, np.asarray(parameters.upper)),
            "start_initial": (("start", p), starts.initial),
            "start_final": (("start", p), starts.final),
            "start_chi_squared": ("start", starts.chi_squared),
            "start_steps": ("start", starts.steps),
            "start_distance": ("start", starts.distance),
            "start_outcome": ("start", np.array(starts.outcomes, str)),
        }
        for level in (68, 95):
            variables[f"interval_{level}"] = ((p, "end"), np.array(list(self.intervals(level / 100).values())))
        data, attributes = (
            self.data,
            {name: {"long_name": name} for name in (*self.data.observables, *self.data.coordinates)},
        )
        for name in attributes.keys() & self.units.keys():
            attributes[name]["units"] = self.units[name]
        columns = {"measured": data.observables, "predicted": self.predictions, "residual": self.residuals}
        for kind, values in (columns | ({"error": data.errors} if data.errors is not None else {})).items():
            for name, y in values.items():
                stored = _stored(name, ())
                dims = ("point", *(f"{stored}_axis_{i}" for i in range(y.ndim - 1)))
                variables[f"{kind}_{stored}"] = (dims, y, attributes[name])
        coordinates: dict[str, Any] = {p: list(self.names), "parameter_2": list(self.names)}
        for name, x in data.coordinates.items():
            stored = _stored(name, (*variables, *coordinates, "point", "start", "end"))
            coordinates[stored] = ("point", x, attributes[name])
        numbers = ("method", "chi_squared", "degrees_of_freedom", "reduced_chi_squared", "p_value")
        words = {"errors": "known", "intervals": "normal"} if self.problem.known else {"errors": "estimated"}
        return xarray.Dataset(
            variables,
            coordinates,
            {"what": "jaxlgks fit", "jaxlgks": version("jaxlgks"), "intervals": "Student's t"}
            | {name: getattr(self, name) for name in numbers}
            | {"notes": json.dumps(self.notes, ensure_ascii=False)}
            | words,
        )

    def save(self, path: str | Path) -> None:
        """`to_xarray()` as netCDF: numbers and text, nothing that could be executed. `xarray.load_dataset` reads it."""
        self.to_xarray().to_netcdf(path, engine="h5netcdf")

    def _quantile(self, level: float) -> float:
        return _quantile(level, None if self.problem.known else self.degrees_of_freedom)


def _quantile(level: float, degrees_of_freedom: int | None) -> float:
    """Of Student's t, or of the normal distribution for None."""
    from scipy.stats import norm, t

    if not 0 < level < 1:
        raise InputError(f"intervals: the level lies between 0 and 1; got {level}.")
    upper = (1 + level) / 2
    return float(norm.ppf(upper) if degrees_of_freedom is None else t.ppf(upper, degrees_of_freedom))


def _with_unit(name: str, unit: str | None) -> str:
    return name.replace("_", " ") + (f" ({unit})" if unit else "")


def _stored(name: str, taken: Any) -> str:
    stored = name.replace("/", "_per_") or "_"
    while stored in taken:
        stored = f"coordinate_{stored}"
    return stored


@eqx.filter_jit
def _simulated(problem: Problem, theta: Array, z: Array, sigma: Array, size: Array, count: int, key: Array) -> tuple:
    """Estimates, standard deviations (in units of the errors), χ² and distances from a minimum."""
    method, mean = as_method("levenberg-marquardt", scaled=problem.known), problem.predicted(theta)

    def one(key: Array) -> tuple:
        y = mean + size * sigma * jax.random.normal(key, mean.shape)
        drawn = eqx.tree_at(lambda p: p.y, problem, y)
        theta, _, errors = descend(drawn, method, z, sigma, jnp.asarray(method.steps))
        point = evaluate(drawn, theta, errors)
        norms = jnp.linalg.norm(point.jacobian, axis=0)
        R: Any = jnp.linalg.qr(point.jacobian / norms, mode="r")
        sigmas = jnp.linalg.norm(jnp.linalg.inv(R), axis=1) / norms
        return point.theta, sigmas, jnp.sum(point.residuals**2), point.distance

    return jax.lax.map(one, jax.random.split(key, count), batch_size=min(BATCH, count))
