"""What a fit found.

Takes: estimates, residuals, Fisher information. Returns: intervals, correlations, prediction bands, synthetic
repetitions; tables and pictures are made in `_report.py`.

Statistics. With given errors σ_i the covariance is F⁻¹, intervals are normal, and χ² is a test of the model. Without
errors (or with relative weights alone) their common size is estimated, s² = Σ r²/(m − p): the covariance is s² F⁻¹,
intervals are Student's t with m − p degrees of freedom, and nothing is left to test the model with.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ._data import Data
from ._information import Direction, Information
from ._parameters import Parameters
from ._problem import Problem
from ._report import as_dataset, plot, summary
from ._simulation import Simulation, simulate
from ._verdict import Starts

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


class Fit(eqx.Module):
    """Estimates with uncertainties.

    - `names`, `estimates`, `sigmas`: parameters by path in the pytree; `vector`: the estimates as an array, `params`:
      as the pytree.
    - `covariance`, `correlations`: [p, p]; `information`: Fisher information, in units of the errors used.
    - `undetermined`: combinations of parameters that the data do not fix, in words.
    - `chi_squared`, `degrees_of_freedom`, `reduced_chi_squared`, `p_value`: with unknown errors `chi_squared` is the
      (weighted) sum of squares and `reduced_chi_squared` the estimated variance.
    - `predictions`, `residuals` (measured less predicted, over the error): by observable, NaN where skipped.
    - `starts`: every start and its end; `notes`: what asks for a look.
    """

    information: Information
    data: Data
    predictions: dict[str, np.ndarray]
    residuals: dict[str, np.ndarray]
    chi_squared: float
    degrees_of_freedom: int
    starts: Starts
    problem: Problem
    used_errors: Float[np.ndarray, " m"]
    errors_known: bool = eqx.field(static=True)
    method: str = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)
    units: dict[str, str] = eqx.field(static=True)

    @property
    def parameters(self) -> Parameters:
        """Names, bounds and scales."""
        return self.problem.model.parameters

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.parameters.names

    @property
    def vector(self) -> Float[np.ndarray, " p"]:
        """The estimates as an array."""
        return self.information.values

    @property
    def estimates(self) -> dict[str, float]:
        """The estimates by name."""
        return self.parameters.values(self.vector)

    @property
    def params(self) -> Any:
        """The estimates as the pytree that `predict` takes."""
        return self.parameters.tree(self.vector)

    @property
    def covariance(self) -> Float[np.ndarray, "p p"]:
        """F⁻¹; infinite variances where nothing is known."""
        return self.information.covariance

    @property
    def sigmas(self) -> dict[str, float]:
        """One standard deviation of each parameter."""
        return self.parameters.values(self.information.sigmas)

    @property
    def correlations(self) -> Float[np.ndarray, "p p"]:
        """Correlation coefficients."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.covariance / np.outer(self.information.sigmas, self.information.sigmas)

    @property
    def skipped(self) -> dict[str, np.ndarray]:
        """Points that were not used since something of them is missing, by observable."""
        at = {name: np.unique(np.argwhere(np.isnan(r))[:, 0]) for name, r in self.residuals.items()}
        return {name: points for name, points in at.items() if len(points)}

    @property
    def undetermined(self) -> tuple[Direction, ...]:
        """What the data do not fix."""
        return self.information.undetermined

    @property
    def reduced_chi_squared(self) -> float:
        """χ² over degrees of freedom; NaN if none are left."""
        return self.chi_squared / self.degrees_of_freedom if self.degrees_of_freedom > 0 else float("nan")

    @property
    def p_value(self) -> float:
        """Probability of a χ² as large as this one if the model is right; NaN where errors are not known."""
        from scipy.stats import chi2

        known = self.errors_known and self.degrees_of_freedom > 0
        return float(chi2.sf(self.chi_squared, self.degrees_of_freedom)) if known else float("nan")

    def quantile(self, level: float = 0.95) -> float:
        """Half width of a central interval, in standard deviations: normal with known errors, else Student's t."""
        from scipy.stats import norm, t

        if not 0 < level < 1:
            raise InputError(f"intervals: the level lies between 0 and 1; got {level}.")
        upper = (1 + level) / 2
        return float(norm.ppf(upper) if self.errors_known else t.ppf(upper, self.degrees_of_freedom))

    def intervals(self, level: float = 0.95, scale: str = "linear") -> dict[str, tuple[float, float]]:
        """Confidence intervals by parameter.

        **Arguments:** `level`. `scale`: "linear": estimate ± quantile × σ; "bounded": the same in the coordinates
        without bounds (the logarithm of a positive parameter), mapped back: asymmetric, and inside the bounds.

        ```python
        import jax; jax.config.update("jax_enable_x64", True)
        import jax.numpy as jnp, jaxlgks as lgks
        data = lgks.Data({"t": [0.0, 1.0, 2.0, 3.0]}, {"y": [2.0, 1.2, 0.75, 0.45]}, errors=0.02)
        decay = lambda p, x: p["a"] * jnp.exp(-p["k"] * x["t"])
        found = lgks.fit(decay, data, {"a": 1.0, "k": 1.0}, bounds={"k": "positive"})
        found.intervals(0.95)["k"]                 # [0.47, 0.52]
        ```
        """
        width = self.quantile(level) * self.information.sigmas
        if scale == "linear":
            low, high = self.vector - width, self.vector + width
        elif scale == "bounded":
            z, theta = self.parameters.to_coordinates(self.vector), self.parameters.from_coordinates
            _, slope = jax.jvp(theta, (jnp.asarray(z),), (jnp.ones(len(z)),))  # elementwise: all of its diagonal
            ends = [
                np.asarray(theta(jnp.asarray(end))) for end in (z - width / jnp.abs(slope), z + width / jnp.abs(slope))
            ]
            low, high = np.minimum(*ends), np.maximum(*ends)
        else:
            raise InputError(f"intervals: scale must be 'linear' or 'bounded'; got {scale!r}.")
        return {name: (float(a), float(b)) for name, a, b in zip(self.names, low, high, strict=True)}

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
        for name, y in ((name, np.asarray(y)) for name, y in values.items()):
            J = np.asarray(jacobian[name])
            half = self.quantile(level) * np.sqrt(np.einsum("...i,ij,...j->...", J, self.covariance, J))
            result[name] = (y, y - half, y + half)
        return result

    def repeat(self, count: int, seed: int = 0) -> Simulation:
        """Fits of synthetic data: drawn `count` times around the predictions with the errors used, and fitted again
        from the estimates, all at once. Checks intervals (parametric bootstrap): how often they hold the value that
        made the data.

        **Raises:** `InputError` where the data do not fix all parameters, and for a fit with priors.
        """
        dof = None if self.errors_known else self.degrees_of_freedom
        return simulate(self.problem, self.used_errors, self.information, self.chi_squared, count, seed, dof)

    def summary(self) -> str:
        """Estimates, goodness, starts and warnings as text."""
        return summary(self)

    def __str__(self) -> str:
        return self.summary()

    def plot(self, path: str | Path | None = None, x: str | None = None) -> "Figure":
        """Data, fit and residuals against a coordinate (the first one when left out); saved where a path is given."""
        return plot(self, path, x)

    def to_xarray(self) -> "xarray.Dataset":
        """Everything but `predict`, labelled, with units."""
        return as_dataset(self)

    def save(self, path: str | Path) -> None:
        """`to_xarray()` as netCDF: numbers and text, nothing that could be executed. `xarray.load_dataset` reads it."""
        self.to_xarray().to_netcdf(path, engine="h5netcdf")
