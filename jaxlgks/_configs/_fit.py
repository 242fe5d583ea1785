"""A fit described by a TOML file and a table of numbers.

Takes: a CSV file with a line of names; a TOML file. Returns: the arguments of `fit`. Columns and parameters address
numbers of the system by the short names that sweeps use: `omega` of the model, `temperature_a` of the bath named a,
`gamma_b` of its density; `temperature_offset` is added to every temperature.

    [system]
    model = "two_qubits"                       # or hamiltonian = [[...]] and [[system.baths]]
    omega = 1.0
    spectrum = [{ kind = "Flat", gamma = 0.01 }, { kind = "Flat", gamma = 0.01 }]
    [equation]
    name = "Davies"
    solver = "Populations"
    [coordinates]                              # column = what it sets
    hot = "temperature_a"
    cold = "temperature_b"
    [observables.J]                            # a column that was measured
    quantity = "heat_currents"                 # or operator = "ZI"
    bath = "a"
    error = "J_error"                          # a column or a number
    relative_error = 0.01                      # a part of the prediction; with error: the two add in squares
    unit = "W"
    [parameters.g]
    start = 0.2
    bounds = [0.0, 0.6]                        # or "positive"; "" stands for no bound
    [parameters.temperature_offset]
    start = 0.0
    bounds = [-0.03, 0.3]                      # starts are drawn between these
    [fit]
    starts = 8
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._fits import Data, as_data
from ..errors import DataError, InputError
from ._schema import checked, hint, read_toml
from ._system import (
    MEAN,
    PAIR,
    addresses,
    builder,
    equation_of,
    observable,
    quantity,
    require_addressed,
    table_at,
    temperatures,
)

OFFSET = "temperature_offset"


class FitArguments(NamedTuple):
    """The arguments of `fit`."""

    predict: Callable[[Any, dict], Any]
    data: Data
    init: dict[str, float]
    options: dict[str, Any]


def read_fit(table: str | Path, config: str | Path) -> FitArguments:
    """The fit of a CSV file that a TOML file describes. Lines of the CSV file that begin with # are comments, and empty
    cells and NA are missing numbers.

    **Raises:** `InputError`, naming the key and, for an unknown one, the nearest valid one; `DataError`.
    """
    return fit_arguments(_read_columns(table), read_toml(config))


def _read_columns(path: str | Path) -> dict[str, np.ndarray]:
    import pandas

    try:
        text = pandas.read_csv(path, header=None, dtype=str, comment="#", skipinitialspace=True, encoding="utf-8-sig")
    except ValueError as error:  # pandas' own errors and text that is not in UTF-8 are such
        raise DataError(f"{path}: a line of names and lines of numbers in UTF-8 are needed: {error}") from error
    names, cells = [str(name).strip() for name in text.iloc[0]], text.iloc[1:]
    if len(set(names)) < len(names) or not len(cells):
        raise DataError(f"{path}: a line of names, each its own, and lines of numbers are needed; got {names}.")
    numbers = cells.apply(pandas.to_numeric, errors="coerce")
    for i, name in enumerate(names):
        if bad := list(cells[i][numbers[i].isna() & cells[i].notna()]):
            raise DataError(f"{path}: {bad[0]!r} in column {name!r} is no number.")
    return {name: numbers[i].to_numpy(float) for i, name in enumerate(names)}


def fit_arguments(columns: Mapping[str, np.ndarray], tables: dict) -> FitArguments:
    """The fit of a table of columns that a table of tables describes."""
    config = checked("fit", tables)
    sets, fitted, measured = config["coordinates"], config["parameters"], config["observables"]
    where = addresses(config)
    require_addressed(sets.values(), where, "coordinates")
    require_addressed(fitted, where, "parameters", OFFSET)
    names = [*sets.values(), *fitted]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{', '.join(repeated)}: set by more than one column or parameter; keep one.")
    of_errors = [table["error"] for table in measured.values() if isinstance(table.get("error"), str)]
    for column in (*sets, *measured, *of_errors):
        if column not in columns:
            raise DataError(f"the data have no column {column!r}; {hint(column, list(columns))}")
        if column in sets and not np.isfinite(columns[column]).any():
            raise DataError(f"the column {column!r} holds no number.")
    if OFFSET in fitted:
        _require_temperatures(config, where, names)
    predict = _predict(config, where, names)
    init = {name: table["start"] for name, table in fitted.items()}
    predict(init, {column: columns[column][np.isfinite(columns[column])][0] for column in sets})  # names mistakes first
    errors = {name: table["error"] for name, table in measured.items() if "error" in table} or None
    relative = {name: table["relative_error"] for name, table in measured.items() if "relative_error" in table} or None
    data = as_data(columns, list(measured), list(sets), errors, relative)
    units = {name: table["unit"] for name, table in {**measured, **fitted}.items() if "unit" in table}
    options = {**config.get("fit", {}), "units": units}
    for option in ("bounds", "prior"):
        values = {name: table[option] for name, table in fitted.items() if option in table}
        options[f"{option.removesuffix('s')}s"] = {name: _ends(value) for name, value in values.items()}
    return FitArguments(predict, data, init, options)


def _ends(pair: Any) -> Any:
    """A pair; TOML knows inf but no null, and "" stands for none."""
    return tuple(None if end == "" else end for end in pair) if isinstance(pair, list) else pair


def _require_temperatures(config: dict, where: Mapping, names: list[str]) -> None:
    """Raise unless everything that an offset is added to is set."""
    pair = set(PAIR) & set(names)
    if pair and MEAN not in pair:
        raise InputError(f"{OFFSET} needs a column for {MEAN} beside that for {PAIR[1]}.")
    unset = [name for name in temperatures(where) if name not in names and _fixed(config, where[name]) is None]
    if unset and not pair:
        raise InputError(f"{OFFSET} needs every temperature: no column, parameter or number sets {', '.join(unset)}.")


def _fixed(config: dict, address: tuple) -> Any:
    """What the file has there; None where it is left out."""
    table = table_at(config, address)
    return table.get(address[-1]) if isinstance(table, dict) else table[address[-1]]


def _predict(config: dict, where: Mapping, names: list[str]) -> Callable:
    """What is measured at one point, as a function of parameters and columns."""
    equation, solver = equation_of(config.get("equation"))
    build, of = builder(config, where, names), {}
    for name, table in config["observables"].items():
        of[name] = quantity(table["quantity"]) if "quantity" in table else observable(name, table)
    fixed = {name: _fixed(config, where[name]) for name in temperatures(where)}
    index = {
        name: _bath(config, name, table["bath"]) for name, table in config["observables"].items() if "bath" in table
    }

    def predict(params: Mapping[str, Any], x: Mapping[str, Any]) -> dict[str, Any]:
        numbers = {**params, **{name: x[column] for column, name in config["coordinates"].items()}}
        if (offset := numbers.pop(OFFSET, None)) is not None:
            shifted = (
                {MEAN: numbers[MEAN]} if MEAN in numbers else {name: numbers.get(name, fixed[name]) for name in fixed}
            )
            numbers |= {name: value + offset for name, value in shifted.items()}
        values = {name: function(build(numbers), equation, solver) for name, function in of.items()}
        return {name: value[index[name]] if name in index else value for name, value in values.items()}

    return predict


def _bath(config: dict, name: str, bath: str) -> int:
    """The number of a bath."""
    system = config["system"]
    baths = ["a", "b"] if "model" in system else [one["name"] for one in system["baths"]]
    if bath not in baths:
        raise InputError(f"observables.{name}.bath: no bath {bath!r}; {hint(bath, baths)}")
    return baths.index(bath)
