"""Data from tables: columns, pandas, xarray.

Takes: a mapping of columns, a pandas DataFrame, an xarray Dataset or DataArray. Returns: `Data`, which says which
columns are coordinates, which were measured, and which hold their errors.
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
    measured = [observables] if isinstance(observables, str) else list(observables or ())
    units = {}
    if hasattr(table, "to_dataset"):  # xarray.DataArray
        table = table.to_dataset(name=table.name or "value")
    if hasattr(table, "data_vars"):
        columns, units, measured = _flattened(table, measured, errors if isinstance(errors, Mapping) else {})
    else:
        names = [str(name) for name in getattr(table, "columns", table)]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"data: every column needs a name of its own; {repeated} stand twice.")
        columns = {str(name): np.asarray(table[name]) for name in getattr(table, "columns", table)}
        measured = measured or [name for name in names if f"{name}{SUFFIX}" in names]
    if not measured:
        raise DataError(
            f"data: which columns are measured? Name the observables, or give errors as X{SUFFIX}; got {list(columns)}."
        )
    if errors is None:
        errors = {name: f"{name}{SUFFIX}" for name in measured if f"{name}{SUFFIX}" in columns} or None
    elif not isinstance(errors, Mapping):
        errors = dict.fromkeys(measured, errors)
    of_errors = [value for value in (errors or {}).values() if isinstance(value, str)]
    for name in (*measured, *(coordinates or ()), *of_errors):
        if name not in columns:
            what = " of errors" if name in of_errors else ""
            raise DataError(f"data: no column {name!r}{what}; {nearest(name, columns)}")
    if coordinates is None:
        others = (name for name in columns if name not in (*measured, *of_errors) and not name.endswith(SUFFIX))
        coordinates = [name for name in others if _is_numeric(columns[name])]
    if errors is not None:
        errors = {name: columns[value] if isinstance(value, str) else value for name, value in errors.items()}
    x, y = ({name: columns[name] for name in names} for names in (coordinates, measured))
    return Data(x, y, errors, units, relative_errors)


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
    columns, units = {}, {name: table[name].attrs.get("units") for name in (*measured, *coordinates)}
    for name in measured:
        v = variables[name].transpose(*grids[0], ...)
        columns[name] = v.values.reshape(-1, *v.shape[len(grids[0]) :])
        error = errors.get(name, f"{name}{SUFFIX}")
        if isinstance(error, str) and error in table.variables:
            if more := [dim for dim in table[error].dims if dim not in v.dims]:
                raise DataError(f"data: the error {error!r} has dimensions {more}, which {name!r} does not have.")
            columns[error] = table[error].broadcast_like(v).transpose(*v.dims).values.reshape(columns[name].shape)
    grid = variables[measured[0]].isel({d: 0 for d in variables[measured[0]].dims if d not in grids[0]}, drop=True)
    for name, c in coordinates.items():
        if set(c.dims) <= set(grids[0]) and name not in columns:
            columns[name] = c.broadcast_like(grid).transpose(*grids[0]).values.reshape(-1)
    return columns, {name: str(unit) for name, unit in units.items() if unit}, measured
