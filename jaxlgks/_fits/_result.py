"""What a fit found.

Enters: estimates, residuals, Fisher information. Leaves: intervals, correlations, prediction bands, synthetic
repetitions; tables, pictures and files are made in `_report.py` and `_store.py`.

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
from ._problem import Model, Problem
from ._report import as_dataset, plot, summary, write
from ._simulation import Simulation, simulate
from ._verdict import Starts

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


class Fit(eqx.Module):
    """Estimates with uncertainties.

    - `names`, `estimates`, `sigmas`: parameters by path in the pytree; `params`: the pytree itself.
    - `covariance`, `correlations`: [p, p]; `information`: Fisher information, in units of the errors used.
    - `undetermined`: combinations of parameters that the data do not fix, in words.
    - `chi_squared`, `degrees_of_freedom`, `reduced_chi_squared`, `p_value`: with unknown errors `chi_squared` is the
      (weighted) sum of squares and `reduced_chi_squared` the estimated variance.
    - `predictions`, `residuals` (measured less predicted, over the error): by observable, NaN where skipped.
    - `starts`: every start and its end; `notes`: what asks for a look.
    """

    estimates: dict[str, float]
    vector: Float[np.ndarray, " p"]
    slope: Float[np.ndarray, " p"]
    covariance: Float[np.ndarray, "p p"]
    information: Information
    parameters: Parameters
    data: Data
    predictions: dict[str, np.ndarray]
    residuals: dict[str, np.ndarray]
    chi_squared: float
    degrees_of_freedom: int
    starts: Starts
    errors_known: bool = eqx.field(static=True)
    method: str = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)
    units: dict[str, str] = eqx.field(static=True)
    model: Model | None = None
    problem: Problem | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.parameters.names

    @property
    def params(self) -> Any:
        """The estimates as the pytree that `predict` takes."""
        return self.parameters.tree(jnp.asarray(self.vector))

    @property
    def sigmas(self) -> dict[str, float]:
        """One standard deviation of each parameter."""
        return self.parameters.values(np.sqrt(np.diag(self.covariance)))

    @property
    def correlations(self) -> Float[np.ndarray, "p p"]:
        """Correlation coefficients."""
        size = np.sqrt(np.diag(self.covariance))
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.covariance / np.outer(size, size)

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
        q, sigma = self.quantile(level), np.sqrt(np.diag(self.covariance))
        if scale == "linear":
            low, high = self.vector - q * sigma, self.vector + q * sigma
        elif scale == "bounded":
            z = self.parameters.inward(self.vector)
            with np.errstate(divide="ignore", invalid="ignore"):
                width = q * sigma / np.abs(self.slope)
            ends = [np.asarray(self.parameters.outward(jnp.asarray(z + side * width))) for side in (-1, 1)]
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

        **Raises:** `InputError` for a fit that was loaded from a file without its `predict`, and for coordinates that
        are not those of the data.
        """
        if self.model is None:
            raise InputError("band: this fit came from a file; load it with Fit.load(path, predict=...).")
        x = _points(coordinates or self.data.coordinates, tuple(self.data.coordinates))
        value, jacobian = _with_jacobian(self.model, jnp.asarray(self.vector), x)
        q, found = self.quantile(level), {}
        for name, y in value.items():
            J = np.asarray(jacobian[name])
            half = q * np.sqrt(np.einsum("...i,ij,...j->...", J, self.covariance, J))
            found[name] = (np.asarray(y), np.asarray(y) - half, np.asarray(y) + half)
        return found

    def repeat(self, count: int, seed: int = 0) -> Simulation:
        """Fits of synthetic data: drawn `count` times around the predictions with the errors used, and fitted again
        from the estimates, all at once. Checks intervals (parametric bootstrap): how often they hold the value that
        made the data.

        **Raises:** `InputError` for a fit that was loaded from a file.
        """
        if self.problem is None:
            raise InputError("repeat: this fit came from a file; fit the data again.")
        dof = None if self.errors_known else self.degrees_of_freedom
        return simulate(self.problem, self.vector, self.information, self.chi_squared, count, seed, dof)

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
        """As netCDF (through h5netcdf): numbers and text, nothing that could be executed."""
        write(self, path)

    @staticmethod
    def load(path: str | Path, predict: Any = None, vectorised: bool = False) -> "Fit":
        """A saved fit. Bands need the `predict` that was fitted: `vectorised` as it was.

        Parameters come back as a dictionary by name, whatever pytree they were; an array in it as its entries. Give
        the `predict` for such a dictionary.

        **Raises:** `InputError` for a file that `Fit.save` did not write.
        """
        from ._store import read

        parts = read(path)
        model = (
            None if predict is None else Model(predict, parts["parameters"], tuple(parts["predictions"]), vectorised)
        )
        starts = Starts(**parts.pop("starts"))
        return Fit(**parts, starts=starts, model=model)


def _points(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Coordinates [n] by name: all of the data's, equally long; a single number is one point or goes with all."""
    if set(given) != set(names):
        raise InputError(f"band: the coordinates are {list(names)}; got {list(given)}.")
    try:
        rows = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, float)) for x in given.values()))
    except ValueError as error:
        raise InputError(f"band: coordinates must be equally long numbers [n]: {error}") from error
    if rows[0].ndim != 1:
        raise InputError(f"band: a coordinate is one number a point, [n]; got shape {rows[0].shape}.")
    return dict(zip(given, rows, strict=True))


@eqx.filter_jit
def _with_jacobian(model: Model, theta: Any, x: dict) -> tuple[dict, dict]:
    f = lambda theta: model.by_name(theta, x)  # noqa: E731
    return f(theta), jax.jacfwd(f)(theta)
