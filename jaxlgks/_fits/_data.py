"""Measured data: named coordinates, named observables, their errors.

Enters: arrays. Leaves: one list of n points: coordinates [n] and observables [n, ...] as NumPy arrays in 64 bit, units
beside them. Nothing is dropped in silence: what is not a number is named, and refused or skipped by choice.
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
      part of what it predicts (of the measured value it would let values that came out low count more, and bias the
      estimates low). Beside `errors` the two add in squares.
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
            raise DataError(f"data: a coordinate is one number a point, [n]; not so {wide}.")
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

    def with_errors(self, errors: Any) -> "Data":
        """The same numbers with these errors."""
        return Data(self.coordinates, self.observables, errors, self.units)


def _numbers(values: Any, what: str) -> np.ndarray:
    if (kind := np.asarray(values).dtype).kind in "cmM":
        raise DataError(f"data: {what} must hold real numbers; got {kind}.")
    try:
        array = np.asarray(values)
        array = array if array.dtype.kind in "fiu" else np.asarray(values, float)  # None and pandas' NA become NaN
    except (TypeError, ValueError) as error:
        raise DataError(f"data: {what} must hold real numbers: {error}") from error
    return np.array(array, float)


def _both_errors(errors: Any, relative: Any, observables: Mapping[str, np.ndarray]) -> tuple[dict | None, dict | None]:
    """Errors, and errors in parts of the true value; where there are parts, the other is zero where it is not given."""
    if relative is None:
        return (None if errors is None else _errors(errors, observables, "errors", observables)), None
    relative = relative if isinstance(relative, Mapping) else dict.fromkeys(observables, relative)
    errors = {} if errors is None else errors if isinstance(errors, Mapping) else dict.fromkeys(observables, errors)
    needed = [name for name in observables if name not in relative]
    parts = _errors(relative, observables, "relative errors", [name for name in observables if name not in errors])
    fixed = _errors(errors, observables, "errors", needed)
    zero = {name: np.zeros_like(y) for name, y in observables.items()}
    return {**zero, **fixed}, {**zero, **parts}


def _errors(given: Any, observables: Mapping[str, np.ndarray], what: str, needed: Any) -> dict[str, np.ndarray]:
    if not isinstance(given, Mapping):
        given = dict.fromkeys(observables, given)
    for name in given:
        if name not in observables:
            raise DataError(f"data: {what} are given of {name!r}, which is no observable; {nearest(name, observables)}")
    if missing := [name for name in needed if name not in given]:
        raise DataError(f"data: {what} of {missing} are missing: give all, or none to have them estimated.")
    made = {}
    for name in given:
        y, sigma = observables[name], _numbers(given[name], f"the error of {name!r}")
        if sigma.ndim not in (0, y.ndim) or (sigma.ndim and sigma.shape != y.shape):
            raise DataError(f"data: the {what} of {name!r} must be a number or of shape {y.shape}; got {sigma.shape}.")
        made[name] = np.array(np.broadcast_to(sigma, y.shape))
        if (bad := np.argwhere(made[name] <= 0)).size:
            where = ", ".join(str(i) for i in bad[:5, 0].tolist()) + (", ..." if len(bad) > 5 else "")
            raise DataError(
                f"data: the {what} of {name!r} must be positive; {len(bad)} are zero or negative, at point(s) {where}. "
                "A measurement without error would count infinitely: give its true error, or leave it out."
            )
    return made


def usable(data: Data, missing: str) -> np.ndarray:
    """Which measured numbers to use, as indices into all of them in order (observable by observable).

    **Raises:** `DataError` naming points that are not finite, unless they are to be skipped.
    """
    if missing not in ("raise", "skip"):
        raise DataError(f"fit: missing must be 'raise' or 'skip'; got {missing!r}.")
    lost = np.zeros(data.points, bool)
    said = []
    for name, x in data.coordinates.items():
        said += _said(name, ~np.isfinite(x))
        lost |= ~np.isfinite(x)
    kept = []
    for name, y in data.observables.items():
        bad = ~np.isfinite(y)
        said += _said(name, bad)
        if data.errors is not None:
            unknown = ~np.isfinite(data.errors[name] + (0.0 if data.relative is None else data.relative[name]))
            said += _said(f"the error of {name}", unknown)
            bad = bad | unknown
        kept.append((~bad & ~lost.reshape(-1, *[1] * (y.ndim - 1))).reshape(-1))
    if said and missing == "raise":
        raise DataError(
            f"fit: {'; '.join(said)}. Remove or repair them, or pass missing='skip' to leave out what is missing."
        )
    found = np.flatnonzero(np.concatenate(kept))
    if not found.size:
        raise DataError("fit: no data point is left that is finite.")
    return found


def _said(name: str, bad: np.ndarray) -> list[str]:
    at = np.unique(np.argwhere(bad)[:, 0])
    return [f"{name} is not finite at {listed(at)}"] if len(at) else []


def listed(at: np.ndarray, most: int = 8) -> str:
    """Numbers of points as text."""
    return f"point(s) {', '.join(map(str, at[:most].tolist()))}{', ...' if len(at) > most else ''}"
