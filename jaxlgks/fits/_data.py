"""Measured data: named coordinates, named observables, their errors.

Enters: arrays, a mapping of columns, a pandas DataFrame, an xarray Dataset or DataArray. Leaves: one list of n points:
coordinates [n] and observables [n, ...] as NumPy arrays in 64 bit, units beside them. Nothing is dropped in silence:
what is not a number is named, and refused or skipped by choice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .._errors import DataError
from ._parameters import nearest

SUFFIX = "_error"


class Data(eqx.Module):
    """Measured points.

    **Arguments:**

    - `coordinates`: `{"hot": [n], "cold": [n]}`, what was set at each point.
    - `observables`: `{"J": [n]}` what was measured; `[n, k]` for several numbers at once, such as one a bath.
    - `errors`: one standard deviation of each measured number: by observable, arrays or numbers; or one number for all.
      None: unknown and equal, estimated from the scatter.
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
    units: dict[str, str]

    def __init__(
        self,
        coordinates: Mapping[str, Any],
        observables: Mapping[str, Any],
        errors: Any = None,
        units: Mapping[str, str] | None = None,
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
        self.errors = None if errors is None else _errors(errors, self.observables)
        self.units = dict(units or {})

    @property
    def points(self) -> int:
        """Number of points."""
        return len(next(iter(self.coordinates.values())))


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(values)
        array = array if array.dtype.kind in "fiu" else np.asarray(values, float)  # None and pandas' NA become NaN
    except (TypeError, ValueError) as error:
        raise DataError(f"data: {what} must hold real numbers: {error}") from error
    return np.array(array, float)


def _errors(given: Any, observables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not isinstance(given, Mapping):
        given = dict.fromkeys(observables, given)
    for name in given:
        if name not in observables:
            raise DataError(f"data: errors are given of {name!r}, which is no observable; {nearest(name, observables)}")
    if missing := [name for name in observables if name not in given]:
        raise DataError(f"data: errors of {missing} are missing: give all, or none to have them estimated.")
    made = {}
    for name, y in observables.items():
        sigma = _numbers(given[name], f"the error of {name!r}")
        if sigma.ndim not in (0, y.ndim) or (sigma.ndim and sigma.shape != y.shape):
            raise DataError(f"data: the errors of {name!r} must be a number or of shape {y.shape}; got {sigma.shape}.")
        made[name] = np.array(np.broadcast_to(sigma, y.shape))
        if (bad := np.argwhere(made[name] <= 0)).size:
            where = ", ".join(str(i) for i in bad[:5, 0].tolist()) + (", ..." if len(bad) > 5 else "")
            raise DataError(
                f"data: the errors of {name!r} must be positive; {len(bad)} are zero or negative, at point(s) {where}. "
                "A measurement without error would count infinitely: give its true error, or leave it out."
            )
    return made


def as_data(
    table: Any,
    observables: Sequence[str] | None = None,
    coordinates: Sequence[str] | None = None,
    errors: Any = None,
) -> Data:
    """Data from a table.

    **Arguments:** `table`: `Data`; an xarray Dataset or DataArray; a pandas DataFrame or a mapping of columns.
    `observables`: names of what was measured; when left out all variables of an xarray object, and of a table those
    columns X beside which there is a column X_error. `coordinates`: when left out all other numeric ones. `errors`:
    names of columns by observable, or numbers; when left out the columns X_error, where they exist.

    **Raises:** `DataError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.as_data({"T": [0.1, 0.2], "J": [1.0, 1.9], "J_error": [0.1, 0.1]}).observables["J"]     # [1.0, 1.9]
    ```
    """
    if isinstance(table, Data):
        return table
    if hasattr(table, "to_dataset") and hasattr(table, "dims"):  # xarray.DataArray
        table = table.to_dataset(name=table.name or "value")
    if hasattr(table, "data_vars"):  # xarray.Dataset
        columns, units, measured = _flattened(table, observables)
        known = [name for name in columns if name not in measured]
        of_table = measured
    else:
        names = list(getattr(table, "columns", table))
        columns, units = {str(name): np.asarray(table[name]) for name in names}, {}
        known, of_table = list(columns), [name for name in columns if f"{name}{SUFFIX}" in columns]
    wanted = [observables] if isinstance(observables, str) else list(observables or of_table)
    if not wanted:
        raise DataError(
            f"data: which columns are measured? Name the observables, or give errors as X{SUFFIX}; got {list(columns)}."
        )
    for name in (*wanted, *(coordinates or ())):
        if name not in columns:
            raise DataError(f"data: no column {name!r}; {nearest(name, columns)}")
    if errors is None:
        errors = {name: f"{name}{SUFFIX}" for name in wanted if f"{name}{SUFFIX}" in columns} or None
    sigma, used = _error_columns(errors, wanted, columns)
    taken = {*wanted, *used}
    chosen = [n for n in known if n not in taken and not n.endswith(SUFFIX)] if coordinates is None else coordinates
    return Data({n: columns[n] for n in chosen}, {n: columns[n] for n in wanted}, sigma, units)


def _error_columns(errors: Any, wanted: Sequence[str], columns: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """Errors with the names of columns replaced by their numbers, and those names."""
    if errors is None:
        return None, []
    given = errors if isinstance(errors, Mapping) else dict.fromkeys(wanted, errors)
    used = [value for value in given.values() if isinstance(value, str)]
    for name in used:
        if name not in columns:
            raise DataError(f"data: no column {name!r} of errors; {nearest(name, columns)}")
    return {name: columns[value] if isinstance(value, str) else value for name, value in given.items()}, used


def _flattened(table: Any, observables: Sequence[str] | None) -> tuple[dict, dict, list[str]]:
    """Columns of an xarray Dataset: its grid as a list of points; dimensions without numeric coordinate stay axes."""
    numeric = {str(n): c for n, c in table.coords.items() if c.dtype.kind in "fiu"}
    variables = {str(n): v for n, v in table.data_vars.items() if v.dtype.kind in "fiu"}
    wanted = [observables] if isinstance(observables, str) else list(observables or ())
    wanted = wanted or [name for name in variables if not name.endswith(SUFFIX)]
    if unknown := [name for name in wanted if name not in variables]:
        raise DataError(f"data: no variable {unknown[0]!r}; {nearest(unknown[0], variables)}")
    along = {dim for c in numeric.values() for dim in c.dims}
    grids = [tuple(dim for dim in variables[name].dims if dim in along) for name in wanted]
    if not grids or not grids[0] or len({frozenset(grid) for grid in grids}) > 1:
        raise DataError(f"data: {wanted} must lie on one grid with numeric coordinates; got {grids}.")
    grid = grids[0]
    columns, units = {}, {}
    for name in (*wanted, *(name for name in variables if name.endswith(SUFFIX))):
        v = variables[name]
        if not set(grid) <= set(v.dims):
            continue
        extra = [dim for dim in v.dims if dim not in grid]
        v = v.transpose(*grid, *extra)
        columns[name] = np.asarray(v.values).reshape(-1, *(v.sizes[dim] for dim in extra))
        units[name] = v.attrs.get("units")
    example = variables[wanted[0]]
    example = example.isel({dim: 0 for dim in example.dims if dim not in grid}, drop=True)
    for name, c in numeric.items():
        if set(c.dims) <= set(grid):
            columns[name] = np.asarray(c.broadcast_like(example).transpose(*grid).values).reshape(-1)
            units[name] = c.attrs.get("units")
    return columns, {name: str(unit) for name, unit in units.items() if unit}, wanted


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
            unknown = ~np.isfinite(data.errors[name])
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
    at = np.unique(np.argwhere(bad)[:, 0]).tolist()
    if not at:
        return []
    return [f"{name} is not finite at point(s) {', '.join(map(str, at[:8]))}{', ...' if len(at) > 8 else ''}"]
