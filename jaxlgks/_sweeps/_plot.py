"""Pictures of a sweep: lines over one axis, a map over two.

Takes: a dataset as `sweep` makes it. Returns: a matplotlib figure.
"""

import contextlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def plot(
    data: "xarray.Dataset",
    variable: str | None = None,
    x: str | None = None,
    at: Mapping[str, float | str] | None = None,
) -> "Figure":
    """One variable of a sweep: lines where one axis is left, a map where two are.

    **Arguments:** `variable`: the first one when left out. `x`: the axis along which lines run (other axes of at most
    eight points become one line each), instead of a map. `at`: values (the nearest ones are taken) for axes that are
    not shown; labels or indices for the axes of an array, such as bath.

    **Raises:** `InputError` for names that do not exist, or where more than two axes are left.
    """
    from matplotlib.figure import Figure

    numbers = [name for name, v in data.data_vars.items() if v.dtype.kind in "fiu"]
    variable = str(numbers[0]) if variable is None else variable
    if variable not in numbers:
        raise InputError(f"plot: no variable {variable!r}; there are {', '.join(map(str, numbers))}.")
    values, note = _cut(data, data[variable], at or {})
    shown = [str(name) for name in values.dims]
    along = {str(name) for axis in data.coords.values() if _is_number(axis) for name in axis.dims}
    grid = [name for name in shown if name in along]
    if x is not None and x not in grid:
        raise InputError(f"plot: {x!r} is no axis that is left; there are {', '.join(grid)}.")
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    if x is None and len(grid) == 2 and len(shown) == 2:
        mesh = axes.pcolormesh(data[grid[1]], data[grid[0]], values.transpose(*grid), shading="nearest")
        figure.colorbar(mesh, label=_label(data, variable))
        axes.set(xlabel=_label(data, grid[1]), ylabel=_label(data, grid[0]))
    else:
        _lines(data, values, x or (grid[0] if grid else ""), axes)
        axes.set_ylabel(_label(data, variable))
    if note:
        axes.set_title(note, fontsize="medium")
    return figure


def _is_number(axis: "xarray.DataArray") -> bool:
    return axis.dtype.kind in "fiu"


def _cut(data: "xarray.Dataset", values: "xarray.DataArray", at: Mapping[str, float | str]):
    """The variable where some axes are held, and a note of where."""
    notes = []
    numbers = [n for n in values.dims if n in data.coords and _is_number(data[n])]
    single = {str(n): float(data[n][0]) for n in numbers if values.sizes[n] == 1}
    for name, value in {**single, **at}.items():
        if name not in values.dims:
            raise InputError(f"plot: no axis {name!r}; there are {', '.join(map(str, values.dims))}.")
        if name in numbers:
            values = values.sel({name: _number(name, value)}, method="nearest")
            notes.append(f"{name} = {float(values[name]):.6g}")
        else:
            index = _index(data, name, value)
            values = values.isel({name: index})
            notes.append(f"{name} = {_entry(data, name, index)}")
    return values, ", ".join(notes)


def _number(name: str, value: float | str) -> float:
    """A place on an axis of numbers."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"plot: {name} is an axis of numbers; got {value!r}.")
    return number


def _index(data: "xarray.Dataset", name: str, value: float | str) -> int:
    """Where an axis without numbers has a label, or an index."""
    labels = [str(label) for label in data[name].values] if name in data.coords else []
    if str(value) in labels:
        return labels.index(str(value))
    with contextlib.suppress(ValueError, OverflowError):
        if float(value) == int(float(value)) and 0 <= float(value) < data.sizes[name]:
            return int(float(value))
    known = f"one of {', '.join(labels)}, or " if labels else ""
    raise InputError(f"plot: {name} is {known}a whole number from 0 to {data.sizes[name] - 1}; got {value}.")


def _entry(data: "xarray.Dataset", name: str, index: int) -> str:
    """What stands at an index of an axis."""
    if name not in data.coords:
        return str(index)
    return f"{float(data[name][index]):.4g}" if _is_number(data[name]) else str(data[name].values[index])


def _lines(data: "xarray.Dataset", values: "xarray.DataArray", x: str, axes) -> None:
    others = [str(name) for name in values.dims if name != x]
    count = int(np.prod([values.sizes[name] for name in others]))
    if not x or count > 8:
        raise InputError(
            f"plot: {count} lines are too many; hold axes with --at NAME=VALUE, of {', '.join(map(str, values.dims))}."
        )
    for index in np.ndindex(*(values.sizes[name] for name in others)):
        position = dict(zip(others, index, strict=True))
        joint = {n: " = " if n in data.coords and _is_number(data[n]) else " " for n in position}
        label = ", ".join(f"{n}{joint[n]}{_entry(data, n, i)}" for n, i in position.items())
        axes.plot(data[x] if x in data.coords else np.arange(data.sizes[x]), values.isel(position), label=label)
    if others:
        axes.legend()
    axes.set_xlabel(_label(data, x))


def _label(data: "xarray.Dataset", name: str) -> str:
    if name not in data:
        return f"point of {name.replace('_', ', ')}"  # a list: several names along one axis
    unit = data[name].attrs.get("units")
    return name.replace("_", " ") + (f" ({unit})" if unit else "")
