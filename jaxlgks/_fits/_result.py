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

from .._equations import Validity
from .._inputs import as_count, as_setting
from ..errors import InputError
from ._data import Data, as_coordinates, listed_points
from ._information import Direction, Information
from ._optimisers import as_method
from ._problem import Problem, evaluate
from ._starts import CLOSE, Starts, descend

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

BATCH = 250  # synthetic fits at a time: enough for the processor, few enough for its memory


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
    - `validity`: how far the master equations of `predict` can be trusted at the estimates, `Validity` with one number
      for each setting that was measured; None where it asks none (or does so inside a `jit`, `vmap` or `grad` of its
      own).
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
    validity: Validity | None
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
        x = self.data.coordinates if coordinates is None else as_coordinates(coordinates, "band")
        if set(x) != set(self.data.coordinates):
            names, shapes = list(self.data.coordinates), {name: v.shape for name, v in x.items()}
            raise InputError(f"band: the coordinates are {names}, one number a point, equally many; got {shapes}.")
        values, jacobian = self.problem.model.with_jacobian(jnp.asarray(self.vector), x)
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
        count, seed = as_count(count, "repeat: count", 1), as_count(seed, "repeat: seed", most=2**63 - 1)
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
        out = _simulated(problem, theta, z, self.used_errors, jnp.asarray(size), count, jax.random.key(seed))
        estimates, spreads, chi, distance = (np.asarray(x) for x in out)
        dof = None if problem.known else self.degrees_of_freedom
        if dof is not None:
            spreads = spreads * np.sqrt(chi / dof)[:, None]
        chi = chi * float(problem.unit) ** 2
        return Simulation(self.names, theta, estimates, spreads, chi, distance < CLOSE, dof)

    def summary(self) -> str:
        """Estimates, goodness, starts and warnings as text."""
        width = max(10, *map(len, self.names))
        lines = [f"{'parameter':<{width}}  {'estimate':>13}  {'1σ':>10}  {'relative':>8}  95 % interval"]
        for name, (low, high) in self.intervals().items():
            value, sigma = self.estimates[name], self.sigmas[name]
            part = f"{100 * sigma / abs(value):.2g} %" if value and np.isfinite(sigma) else ""
            row = f"{name:<{width}}  {value:>13.6g}  {sigma:>10.2g}  {part:>8}  [{low:.6g}, {high:.6g}]"
            lines.append(f"{row} {self.units.get(name, '')}".rstrip())
        skipped = {name: np.argwhere(np.isnan(r))[:, 0] for name, r in self.residuals.items()}
        where = "; ".join(f"{name} at {listed_points(at, 20)}" for name, at in skipped.items() if len(at))
        left_out = f" ({sum(map(len, skipped.values()))} skipped: {where})" if where else ""
        dof = f"{self.degrees_of_freedom} degrees of freedom"
        lines += ["", f"{len(self.used_errors)} measured numbers{left_out}, {dof}"]
        if self.problem.known:
            reduced, p = f"{self.reduced_chi_squared:.4g}", f"{self.p_value:.2g}"
            lines.append(f"χ² = {self.chi_squared:.5g}, reduced {reduced}, p = {p}; normal intervals")
        else:
            scatter = np.sqrt(self.reduced_chi_squared)
            lines.append(f"scatter s = {scatter:.4g} estimated from them; Student's t intervals")
        pairs = [(self.correlations[i, j], i, j) for i in range(len(self.names)) for j in range(i)]
        for r, i, j in sorted((pair for pair in pairs if np.isfinite(pair[0])), key=lambda pair: -abs(pair[0]))[:3]:
            lines.append(f"correlation of {self.names[j]} and {self.names[i]}: {r:+.3f}")
        starts = self.starts
        lines += ["", f"{len(starts.outcomes)} start(s) by {self.method}:"]
        for i in np.argsort(starts.chi_squared, kind="stable"):
            chi, steps = f"χ² = {starts.chi_squared[i]:<11.6g}", f"{int(starts.steps[i]):>4} steps"
            lines.append(f"  {i + 1:>3}: {chi} after {steps}: {starts.outcomes[i]}")
        return "\n".join([*lines, "", *(f"! {note}" for note in self.notes)]).rstrip()

    __str__ = summary

    def plot(self, path: str | Path | None = None, x: str | None = None) -> "Figure":
        """Data with errors, fit and residuals against one coordinate; a band and a line where there is no other."""
        from matplotlib.figure import Figure

        coordinates, errors = self.data.coordinates, self.data.errors
        x = next(iter(coordinates)) if x is None else x
        if x not in coordinates:
            raise InputError(f"plot: no coordinate {x!r}; there are {', '.join(coordinates)}.")
        at, order, alone = coordinates[x], np.argsort(coordinates[x]), len(coordinates) == 1
        band = self.band() if alone and np.isfinite(self.covariance).all() and np.isfinite(at).all() else {}
        columns = [(name, index) for name, y in self.data.observables.items() for index in np.ndindex(y.shape[1:])]
        figure = Figure(figsize=(1 + 4.2 * len(columns), 4.8), layout="constrained")
        panels = figure.subplots(2, len(columns), sharex=True, squeeze=False, height_ratios=(3, 1))
        for (name, index), (upper, lower) in zip(columns, panels.T, strict=True):
            part = (slice(None), *index)
            sigma, measured = None if errors is None else errors[name][part], self.data.observables[name][part]
            upper.errorbar(at, measured, sigma, fmt="o", ms=3, color="0.45", zorder=1, label="measured")
            upper.plot(at[order], self.predictions[name][part][order], "C0-" if alone else "C0x", label="fit")
            if band:
                low, high = (end[part][order] for end in band[name][1:])
                upper.fill_between(at[order], low, high, color="C0", alpha=0.25, lw=0, label="95 % band")
            lower.axhspan(-1, 1, color="C0", alpha=0.15, lw=0)
            lower.plot(at, self.residuals[name][part], "o", ms=3, color="0.3")
            lower.axhline(0, color="C0", lw=1)
            upper.set_ylabel(_with_unit(name + "".join(f"[{i}]" for i in index), self.units.get(name)))
            lower.set(xlabel=_with_unit(x, self.units.get(x)), ylabel="residual (σ)")
            upper.legend(frameon=False)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def to_xarray(self) -> "xarray.Dataset":
        """Everything but `predict`, labelled. A coordinate whose name is taken is called coordinate_X; a slash, which
        netCDF does not allow, is written _per_; `long_name` keeps the name as it was."""
        import xarray

        data, square = self.data, ("parameter", "parameter_2")
        variables: dict[str, Any] = {
            "estimate": ("parameter", self.vector, {"units": [self.units.get(name, "") for name in self.names]}),
            "sigma": ("parameter", self.information.sigmas),
            "interval_95": (("parameter", "end"), np.array(list(self.intervals().values()))),
            "covariance": (square, self.covariance),
            "correlation": (square, self.correlations),
        }
        for name in ("initial", "final", "chi_squared", "steps", "distance"):
            values = getattr(self.starts, name)
            variables[f"start_{name}"] = (("start", "parameter")[: values.ndim], values)
        variables["start_outcome"] = ("start", np.array(self.starts.outcomes, str))
        attributes = {name: {"long_name": name} for name in (*data.observables, *data.coordinates)}
        for name in attributes.keys() & self.units.keys():
            attributes[name]["units"] = self.units[name]
        columns = {"measured": data.observables, "predicted": self.predictions, "residual": self.residuals}
        for kind, values in (columns | {"error": data.errors or {}}).items():
            for name, y in values.items():
                stored = name.replace("/", "_per_")
                dims = ("point", *(f"{stored}_axis_{i}" for i in range(y.ndim - 1)))
                variables[f"{kind}_{stored}"] = (dims, y, attributes[name])
        coordinates: dict[str, Any] = {dim: list(self.names) for dim in square}
        for name, x in data.coordinates.items():
            stored = name.replace("/", "_per_")
            while stored in {*variables, *coordinates, "point", "start", "end"}:
                stored = f"coordinate_{stored}"
            coordinates[stored] = ("point", x, attributes[name])
        numbers = ("method", "chi_squared", "degrees_of_freedom", "reduced_chi_squared", "p_value")
        words = {"what": "jaxlgks fit", "jaxlgks": version("jaxlgks"), "notes": json.dumps(self.notes)}
        words |= {"intervals": "normal" if self.problem.known else "Student's t"}
        return xarray.Dataset(variables, coordinates, {name: getattr(self, name) for name in numbers} | words)

    def save(self, path: str | Path) -> None:
        """`to_xarray()` as netCDF: numbers and text, nothing that could be executed. `xarray.load_dataset` reads it."""
        self.to_xarray().to_netcdf(path, engine="h5netcdf")

    def _quantile(self, level: float) -> float:
        return _quantile(level, None if self.problem.known else self.degrees_of_freedom)


def _quantile(level: float, degrees_of_freedom: int | None) -> float:
    """Of Student's t, or of the normal distribution for None."""
    from scipy.stats import norm, t

    if not 0 < (level := as_setting(level, "intervals: level", 0.0, 1.0)) < 1:
        raise InputError(f"intervals: the level lies between 0 and 1; got {level}.")
    upper = (1 + level) / 2
    return float(norm.ppf(upper) if degrees_of_freedom is None else t.ppf(upper, degrees_of_freedom))


def _with_unit(name: str, unit: str | None) -> str:
    return name.replace("_", " ") + (f" ({unit})" if unit else "")


@eqx.filter_jit
def _simulated(problem: Problem, theta: Any, z: Any, sigma: Any, size: Array, count: int, key: Array) -> tuple:
    """Estimates, standard deviations (in units of the errors), χ² and distances from a minimum."""
    method, z, sigma = as_method("levenberg-marquardt", scaled=problem.known), jnp.asarray(z), jnp.asarray(sigma)
    mean = problem.predicted(jnp.asarray(theta))

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
