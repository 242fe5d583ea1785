"""Measured data: named coordinates, named observables, their errors.

Takes: arrays. Returns: one list of n points: coordinates [n] and observables [n, ...] as NumPy arrays in 64 bit, with
units. Nothing is dropped in silence: points that are not finite are named, and refused or skipped by choice.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

from ..errors import DataError
from ._parameters import nearest


class Data(eqx.Module):
    """Measured points.

    **Arguments:**

    - `coordinates`: `{"hot": [n], "cold": [n]}`, what was set at each point.
    - `observables`: `{"J": [n]}` what was measured; `[n, k]` for several numbers at once, such as one a bath.
    - `errors`: one standard deviation of each measured number: by observable, arrays or numbers; or one number for all.
      None: unknown and equal, estimated from the scatter.
    - `relative_errors`: an error that is a part of the true value, such as 0.01, in the same form. A fit takes that
      part of its prediction (errors in parts of the measured value would bias the estimates low, since values that
      came out low would count more). Beside `errors` the two add in squares.
    - `units`: by name, for tables and pictures.

    **Raises:** `DataError` for shapes that do not fit, names that do not match, errors that are not positive.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    data = lgks.Data({"T": [0.1, 0.2, 0.4]}, {"J": [1.0, 1.9, 4.1]}, errors={"J": 0.1}, units={"T": "K"})
    data.points                                    # 3
    ```
    """

    coordinates: dict[str, np.ndarray]
    observables: dict[str, np.ndarray]
    errors: dict[str, np.ndarray] | None
    relative: dict[str, np.ndarray] | None
    units: dict[str, str]

    def __init__(
        self,
        coordinates: Mapping[str, Any],
        observables: Mapping[str, Any],
        errors: Any = None,
        units: Mapping[str, str] | None = None,
        relative_errors: Any = None,
    ):
        self.coordinates = {str(name): _numbers(x, f"the coordinate {name!r}") for name, x in coordinates.items()}
        self.observables = {str(name): _numbers(y, f"the observable {name!r}") for name, y in observables.items()}
        if not self.coordinates or not self.observables:
            raise DataError("data need at least one coordinate and one observable.")
        lengths = {name: len(x) if x.ndim else 0 for name, x in {**self.coordinates, **self.observables}.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise DataError(f"data: coordinates and observables must be equally long; got {lengths}.")
        if wide := [name for name, x in self.coordinates.items() if x.ndim != 1]:
            raise DataError(f"data: a coordinate is one number a point, [n]; {wide} have more.")
        self.errors, self.relative = _both_errors(errors, relative_errors, self.observables)
        self.units = dict(units or {})

    @property
    def points(self) -> int:
        """Number of points."""
        return len(next(iter(self.coordinates.values())))

    def sigma(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
        """Errors where these are the true values, √(σ² + (part · value)²); None where they are unknown."""
        if self.relative is None or self.errors is None:
            return self.errors
        return {k: np.hypot(self.errors[k], part * values[k]) for k, part in self.relative.items()}

    def flat(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Numbers of all observables in one row."""
        return np.concatenate([values[name].reshape(-1) for name in self.observables])

    def by_observable(self, row: np.ndarray) -> dict[str, np.ndarray]:
        """A row of numbers in the shapes of the observables."""
        ends = np.cumsum([y.size for y in self.observables.values()])[:-1]
        parts = zip(self.observables.items(), np.split(row, ends), strict=True)
        return {name: part.reshape(y.shape) for (name, y), part in parts}


def _numbers(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind in "cmM":
        raise DataError(f"data: {what} must hold real numbers; got {array.dtype}.")
    try:
        return np.array(array if array.dtype.kind in "fiu" else values, float)  # None and pandas' NA become NaN
    except (TypeError, ValueError) as error:
        raise DataError(f"data: {what} must hold real numbers: {error}") from error


def _both_errors(errors: Any, relative: Any, observables: Mapping[str, np.ndarray]) -> tuple[dict | None, dict | None]:
    """Errors, and errors in parts of the true value; where one of the two is given, the other may be zero."""
    if relative is None:
        return (None if errors is None else _errors(errors, observables, "errors", observables)), None
    if not isinstance(relative, Mapping):
        relative = dict.fromkeys(observables, relative)
    if not isinstance(errors, Mapping):
        errors = {} if errors is None else dict.fromkeys(observables, errors)
    fixed = _errors(errors, observables, "errors", observables.keys() - relative.keys())
    parts = _errors(relative, observables, "relative errors", observables.keys() - errors.keys())
    zero = {name: np.zeros_like(y) for name, y in observables.items()}
    return zero | fixed, zero | parts


def _errors(errors: Any, observables: Mapping[str, np.ndarray], what: str, needed: Any) -> dict[str, np.ndarray]:
    if not isinstance(errors, Mapping):
        errors = dict.fromkeys(observables, errors)
    if unknown := [name for name in errors if name not in observables]:
        hint = nearest(unknown[0], observables)
        raise DataError(f"data: {what} are given of {unknown[0]!r}, which is no observable; {hint}")
    if missing := [name for name in observables if name in needed and name not in errors]:
        raise DataError(f"data: {what} of {missing} are missing: give all, or none to have them estimated.")
    result = {}
    for name, values in errors.items():
        shape, sigma = observables[name].shape, _numbers(values, f"the error of {name!r}")
        if sigma.shape not in ((), shape):
            raise DataError(f"data: the {what} of {name!r} must be a number or of shape {shape}; got {sigma.shape}.")
        result[name] = np.array(np.broadcast_to(sigma, shape))
        if (bad := np.argwhere(result[name] <= 0)).size:
            raise DataError(
                f"data: the {what} of {name!r} must be positive; {len(bad)} are zero or negative, at "
                f"{listed_points(bad[:, 0])}. A measurement without error would count infinitely: give its true "
                "error. A point that should not count is left out: make it NaN and pass missing='skip'."
            )
    return result


def usable(data: Data, missing: str) -> np.ndarray:
    """Which measured numbers to use, as indices into all of them in order (observable by observable).

    **Raises:** `DataError` naming points that are not finite, unless they are to be skipped.
    """
    if missing not in ("raise", "skip"):
        raise DataError(f"fit: missing must be 'raise' or 'skip'; got {missing!r}.")
    bad = {name: ~np.isfinite(x) for name, x in data.coordinates.items()}
    lost = np.any(list(bad.values()), axis=0)
    kept = []
    for name, y in data.observables.items():
        bad[name] = unusable = ~np.isfinite(y)
        if data.errors is not None:
            part = 0.0 if data.relative is None else data.relative[name]
            bad[f"the error of {name}"] = ~np.isfinite(data.errors[name] + part)
            unusable = unusable | bad[f"the error of {name}"]
        kept.append((~unusable & ~lost.reshape(-1, *[1] * (y.ndim - 1))).reshape(-1))
    words = [f"{name} is not finite at {listed_points(np.argwhere(at)[:, 0])}" for name, at in bad.items() if at.any()]
    if words and missing == "raise":
        raise DataError(f"fit: {'; '.join(words)}. Repair them, or pass missing='skip' to leave them out.")
    result = np.flatnonzero(np.concatenate(kept))
    if not result.size:
        raise DataError("fit: no data point is left that is finite.")
    return result


def listed_points(at: np.ndarray, most: int = 8) -> str:
    """Numbers of points as text."""
    at = np.unique(at)
    return f"point(s) {', '.join(map(str, at[:most].tolist()))}{', ...' if len(at) > most else ''}"
