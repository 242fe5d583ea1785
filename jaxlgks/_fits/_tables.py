"""Data from tables: columns, pandas, xarray.

Enters: a mapping of columns, a pandas DataFrame, an xarray Dataset or DataArray. Leaves: `Data`: which columns are
coordinates, which were measured, and which hold their errors.
"""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ._data import Data
from ._parameters import nearest

SUFFIX = "_error"


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
    if hasattr(table, "to_dataset") and hasattr(table, "dims"):  # xarray.DataArray
        table = table.to_dataset(name=table.name or "value")
    if hasattr(table, "data_vars"):  # xarray.Dataset
        columns, units, measured = _flattened(table, observables, errors)
        known = [name for name in columns if name not in measured]
        of_table = measured
    else:
        columns, units = _columns(table), {}
        known = [name for name, x in columns.items() if _is_numeric(x)]
        of_table = [name for name in columns if f"{name}{SUFFIX}" in columns]
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
    return Data({n: columns[n] for n in chosen}, {n: columns[n] for n in wanted}, sigma, units, relative_errors)


def _columns(table: Any) -> dict[str, np.ndarray]:
    """Columns of a pandas table or a mapping."""
    names = [str(name) for name in getattr(table, "columns", table)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"data: every column needs a name of its own; {twice} stand twice.")
    return {str(name): np.asarray(table[name]) for name in getattr(table, "columns", table)}


def _is_numeric(column: np.ndarray) -> bool:
    """Numbers, or objects that are (pandas' missing ones among them)."""
    if column.dtype.kind != "O":
        return column.dtype.kind in "fiu"
    return all(x is None or isinstance(x, numbers.Real) or str(x) == "<NA>" for x in column.reshape(-1))


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


def _flattened(table: Any, observables: Sequence[str] | None, errors: Any) -> tuple[dict, dict, list[str]]:
    """Columns of an xarray Dataset: its grid as a list of points; dimensions without numeric coordinate stay axes."""
    numeric = {str(n): c for n, c in table.coords.items() if c.dtype.kind in "fiu"}
    variables = {str(n): v for n, v in table.data_vars.items() if v.dtype.kind in "fiu"}
    named = errors if isinstance(errors, Mapping) else {}
    of_errors = {value for value in named.values() if isinstance(value, str)}
    wanted = [observables] if isinstance(observables, str) else list(observables or ())
    wanted = wanted or [name for name in variables if not name.endswith(SUFFIX) and name not in of_errors]
    if unknown := [name for name in wanted if name not in variables]:
        raise DataError(f"data: no variable {unknown[0]!r}; {nearest(unknown[0], variables)}")
    along = {dim for c in numeric.values() for dim in c.dims}
    grids = [tuple(dim for dim in variables[name].dims if dim in along) for name in wanted]
    if not grids or not grids[0] or len({frozenset(grid) for grid in grids}) > 1:
        raise DataError(f"data: {wanted} must lie on one grid with numeric coordinates; got {grids}.")
    grid = grids[0]
    columns, units = {}, {}
    for name in wanted:
        v = variables[name]
        extra = [dim for dim in v.dims if dim not in grid]
        v = v.transpose(*grid, *extra)
        columns[name] = np.asarray(v.values).reshape(-1, *(v.sizes[dim] for dim in extra))
        units[name] = v.attrs.get("units")
        error = named.get(name, f"{name}{SUFFIX}")
        if isinstance(error, str) and error in table.variables:
            columns[error] = _spread(table[error], v, name).reshape(columns[name].shape)
    example = variables[wanted[0]]
    example = example.isel({dim: 0 for dim in example.dims if dim not in grid}, drop=True)
    for name, c in numeric.items():
        if set(c.dims) <= set(grid) and name not in columns:
            columns[name] = np.asarray(c.broadcast_like(example).transpose(*grid).values).reshape(-1)
            units[name] = c.attrs.get("units")
    return columns, {name: str(unit) for name, unit in units.items() if unit}, wanted


def _spread(error: Any, measured: Any, name: str) -> np.ndarray:
    """Errors along the dimensions of what was measured, matched by name."""
    if more := [dim for dim in error.dims if dim not in measured.dims]:
        raise DataError(f"data: the error {error.name!r} has dimensions {more}, which {name!r} does not have.")
    return np.asarray(error.broadcast_like(measured).transpose(*measured.dims).values)
