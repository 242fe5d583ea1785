"""Measured data: named coordinates, named observables, their errors.

Takes: arrays, or a table (a mapping of columns, a pandas DataFrame, an xarray object). Returns: `Data`, a list of n
points: coordinates [n] and observables [n, ...] as NumPy arrays in 64 bit, with units. Points that are not finite are
named, and either raise an error or are skipped by choice.
"""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .._inputs import as_mapping, as_real, as_several, as_units, as_word, described
from ..errors import DataError, InputError
from ._parameters import nearest

SUFFIX = "_error"


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
        coordinates = as_mapping(coordinates, "data: coordinates")
        observables = as_mapping(observables, "data: observables")
        self.coordinates = {str(name): _numbers(x, f"the coordinate {name!r}") for name, x in coordinates.items()}
        self.observables = {str(name): _numbers(y, f"the observable {name!r}") for name, y in observables.items()}
        if not self.coordinates or not self.observables:
            raise DataError("data need at least one coordinate and one observable.")
        lengths = {name: len(x) if x.ndim else 0 for name, x in {**self.coordinates, **self.observables}.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise DataError(f"data: coordinates and observables must be equally long; got {lengths}.")
        if wide := [name for name, x in self.coordinates.items() if x.ndim != 1]:
            raise DataError(f"data: a coordinate is one number a point, [n]; {wide} have more.")
        self.errors = self.relative = None
        if errors is not None or relative_errors is not None:
            absolute = by_observable(errors, self.observables, "errors")
            relative = by_observable(relative_errors, self.observables, "relative errors")
            if missing := [name for name in self.observables if name not in {**absolute, **relative}]:
                raise DataError(f"data: errors of {missing} are missing: give all, or none to have them estimated.")
            zero = {name: np.zeros_like(y) for name, y in self.observables.items()}
            self.errors = zero | absolute
            self.relative = None if relative_errors is None else zero | relative
        self.units = as_units(units)

    @property
    def points(self) -> int:
        """Number of points."""
        return len(next(iter(self.coordinates.values())))

    def flat(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Numbers of all observables in one row."""
        return np.concatenate([values[name].reshape(-1) for name in self.observables])

    def unflattened(self, values: np.ndarray, used: np.ndarray) -> dict[str, np.ndarray]:
        """Numbers at the places `used` of such a row in the shapes of the observables, NaN elsewhere."""
        row = np.full(sum(y.size for y in self.observables.values()), np.nan)
        row[used] = values
        parts = np.split(row, np.cumsum([y.size for y in self.observables.values()])[:-1])
        return {name: part.reshape(y.shape) for (name, y), part in zip(self.observables.items(), parts, strict=True)}


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(values)
        if array.dtype.kind in "cmMbSU":
            raise DataError(f"data: {what} must hold real numbers; got {array.dtype}.")
        return np.array(array if array.dtype.kind in "fiu" else values, float)  # None and pandas' NA become NaN
    except (TypeError, ValueError) as error:
        raise DataError(f"data: {what} must hold real numbers: {error}") from error


def by_observable(values: Any, observables: Mapping[str, np.ndarray], what: str) -> dict[str, np.ndarray]:
    """Positive numbers (errors or weights) in the shapes of the observables, from numbers or arrays by name, or one
    for all observables; none from None."""
    if not isinstance(values, Mapping):
        values = {} if values is None else dict.fromkeys(observables, values)
    result = {}
    for name, value in values.items():
        if name not in observables:
            raise DataError(f"data: {what} are given of {name!r}, which is no observable; {nearest(name, observables)}")
        shape, positive = observables[name].shape, _numbers(value, f"the {what} of {name!r}")
        if positive.shape not in ((), shape):
            raise DataError(f"data: the {what} of {name!r} must be a number or of shape {shape}; got {positive.shape}.")
        result[name] = np.array(np.broadcast_to(positive, shape))
        if (bad := np.argwhere(result[name] <= 0)).size:
            raise DataError(
                f"data: the {what} of {name!r} must be positive; {len(bad)} are zero or negative, at "
                f"{listed_points(bad[:, 0])}. (An error of zero would count infinitely.) A point that should not "
                "count is left out: make it NaN and pass missing='skip'."
            )
    return result


def weights_of(weights: Any, data: Data) -> dict[str, np.ndarray]:
    """Weights of all measured numbers, one without any."""
    result = by_observable(1.0 if weights is None else weights, data.observables, "weights")
    if result.keys() != data.observables.keys() or not np.isfinite(data.flat(result)).all():
        raise DataError(f"data: weights must be finite, for each of {list(data.observables)}.")
    return result


def usable(data: Data, missing: str) -> np.ndarray:
    """Which measured numbers to use, as indices into all of them in order (observable by observable).

    **Raises:** `DataError` naming points that are not finite, unless they are to be skipped.
    """
    as_word(missing, "fit: missing", ("raise", "skip"))
    bad = {name: ~np.isfinite(x) for name, x in data.coordinates.items()}
    lost = np.any(list(bad.values()), axis=0)
    skipped = {
        name: np.zeros_like(y, bool) | lost.reshape(-1, *[1] * (y.ndim - 1)) for name, y in data.observables.items()
    }
    for kind, values in (("", data.observables), ("the error of ", data.errors), ("the error of ", data.relative)):
        for name, y in (values or {}).items():
            bad[kind + name] = ~np.isfinite(y) | bad.get(kind + name, False)
            skipped[name] |= bad[kind + name]
    words = [f"{name} is not finite at {listed_points(np.argwhere(at)[:, 0])}" for name, at in bad.items() if at.any()]
    if words and missing == "raise":
        raise DataError(f"fit: {'; '.join(words)}. Repair them, or pass missing='skip' to leave them out.")
    used = np.flatnonzero(~data.flat(skipped))
    if not used.size:
        raise DataError("fit: no data point is left that is finite.")
    return used


def listed_points(at: np.ndarray, most: int = 8) -> str:
    """Numbers of points as text."""
    at = np.unique(at)
    return f"point(s) {', '.join(map(str, at[:most].tolist()))}{', ...' if len(at) > most else ''}"


def as_coordinates(coordinates: Any, where: str) -> dict[str, np.ndarray]:
    """A plan: finite settings [n] by name, equally many of each."""
    named = as_mapping(coordinates, f"{where}: coordinates")
    x = {name: np.atleast_1d(np.asarray(as_real(v, f"{where}: the coordinate {name!r}"))) for name, v in named.items()}
    if not x or len({v.shape for v in x.values()}) > 1 or next(iter(x.values())).ndim > 1:
        shapes = {name: v.shape for name, v in x.items()}
        raise InputError(f"{where}: coordinates are one number a point, [n] by name, equally many; got {shapes}.")
    return x


def as_data(
    table: Any,
    observables: Sequence[str] | None = None,
    coordinates: Sequence[str] | None = None,
    errors: Any = None,
    relative_errors: Any = None,
) -> Data:
    """Data from a table.

    **Arguments:** `table`: `Data`; an xarray Dataset or DataArray; a pandas DataFrame or a mapping of columns.
    `observables`: names of what was measured; when left out all variables of an xarray object, and of a table those
    columns X beside which there is a column X_error. `coordinates`: when left out all other numeric ones (neither text
    nor dates). `errors`: names of columns by observable, or numbers; when left out the columns X_error, where they
    exist; those of an xarray object may lie along some of the dimensions of X only. `relative_errors`: as in `Data`.

    **Raises:** `DataError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.as_data({"T": [0.1, 0.2], "J": [1.0, 1.9], "J_error": [0.1, 0.1]}).observables["J"]     # [1.0, 1.9]
    ```
    """
    if isinstance(table, Data):
        return table
    measured = _as_names(observables, "observables") or []
    coordinates = _as_names(coordinates, "coordinates")
    named = errors if isinstance(errors, Mapping) else {}
    units = {}
    if hasattr(table, "to_dataset"):  # xarray.DataArray
        table = table.to_dataset(name=table.name or "value")
    if hasattr(table, "data_vars"):
        columns, units, measured = _flattened(table, measured, named)
    elif not isinstance(table, Mapping) and not hasattr(table, "columns"):
        raise DataError(
            "data: a table is Data, an xarray object, a pandas DataFrame or a mapping of columns; got "
            f"{described(table)}."
        )
    else:
        labels = list(getattr(table, "columns", table))
        names = [str(label) for label in labels]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"data: every column needs a name of its own; {repeated} stand twice.")
        columns = {name: _as_column(table[label], name) for name, label in zip(names, labels, strict=True)}
        measured = measured or [name for name in columns if f"{name}{SUFFIX}" in columns]
    if not measured:
        raise DataError(
            f"data: which columns are measured? Name the observables, or give errors as X{SUFFIX}; got {list(columns)}."
        )
    if errors is None:
        named = {name: f"{name}{SUFFIX}" for name in measured if f"{name}{SUFFIX}" in columns}
    elif not isinstance(errors, Mapping):
        named = dict.fromkeys(measured, errors)
    of_errors = [value for value in named.values() if isinstance(value, str)]
    for name in (*measured, *(coordinates or ()), *of_errors):
        if name not in columns:
            what = " of errors" if name in of_errors else ""
            raise DataError(f"data: no column {name!r}{what}; {nearest(name, columns)}")
    if coordinates is None:
        others = (name for name in columns if name not in (*measured, *of_errors) and not name.endswith(SUFFIX))
        coordinates = [name for name in others if _is_numeric(columns[name])]
    sigma = {name: columns[value] if isinstance(value, str) else value for name, value in named.items()}
    x, y = ({name: columns[name] for name in names} for names in (coordinates, measured))
    return Data(x, y, sigma or None, units, relative_errors)


def _as_column(values: Any, name: str) -> np.ndarray:
    """A column of a table: numbers, text or dates."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:  # lists of unequal length, opaque objects
        raise DataError(f"data: the column {name!r} must be an array: {error}") from error


def _as_names(names: Any, what: str) -> list[str] | None:
    """Names of columns as a list: one, several, or None."""
    if names is None:
        return None
    names = (names,) if isinstance(names, str) else as_several(names, f"data: {what}")
    return [as_word(name, f"data: {what}") for name in names]


def _is_numeric(column: np.ndarray) -> bool:
    """Numbers, or objects that are (pandas' missing ones among them)."""
    if column.dtype.kind != "O":
        return column.dtype.kind in "fiu"
    return all(x is None or isinstance(x, numbers.Real) or str(x) == "<NA>" for x in column.reshape(-1))


def _flattened(table: Any, measured: list[str], errors: Mapping[str, Any]) -> tuple[dict, dict, list[str]]:
    """Columns of an xarray Dataset: its grid as a list of points; dimensions without numeric coordinate stay axes."""
    coordinates = {str(name): c for name, c in table.coords.items() if c.dtype.kind in "fiu"}
    variables = {str(name): v for name, v in table.data_vars.items() if v.dtype.kind in "fiu"}
    of_errors = [name for name in variables if name.endswith(SUFFIX) or name in errors.values()]
    measured = measured or [name for name in variables if name not in of_errors]
    if unknown := [name for name in measured if name not in variables]:
        raise DataError(f"data: no variable {unknown[0]!r}; {nearest(unknown[0], variables)}")
    numeric = {dim for c in coordinates.values() for dim in c.dims}
    grids = [tuple(dim for dim in variables[name].dims if dim in numeric) for name in measured]
    if not grids or not grids[0] or len({frozenset(grid) for grid in grids}) > 1:
        raise DataError(f"data: {measured} must lie on one grid with numeric coordinates; got {grids}.")
    # Stacking repeats what lies along some dimensions of the grid only, errors among them.
    points, columns = table.stack(point_=list(grids[0]), create_index=False), {}
    for name in measured:
        y, error = points[name].transpose("point_", ...), errors.get(name, f"{name}{SUFFIX}")
        columns[name] = y.values
        if isinstance(error, str) and error in table.variables:
            if more := [dim for dim in points[error].dims if dim not in y.dims]:
                raise DataError(f"data: the error {error!r} has dimensions {more}, which {name!r} does not have.")
            columns[error] = points[error].broadcast_like(y).transpose(*y.dims).values
    on_grid = {name for name, c in coordinates.items() if set(c.dims) <= set(grids[0])}
    for name in sorted(on_grid - columns.keys(), key=list(coordinates).index):
        columns[name] = np.broadcast_to(points[name].values, points.sizes["point_"])
    units = {name: str(unit) for name in columns if (unit := table[name].attrs.get("units"))}
    return columns, units, measured
