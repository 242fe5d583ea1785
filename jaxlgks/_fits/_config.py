"""A fit described by a TOML file and a table of numbers: data only, nothing in them is evaluated.

Enters: a CSV file with a line of names; a table of tables. Leaves: the arguments of `fit`. Columns and parameters
address numbers of the system by the short names that sweeps use: `omega` of the model, `temperature_a` of the bath
named a, `gamma_b` of its density; `temperature_offset` is added to every temperature.

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
    bounds = [0.0, 0.6]                        # or "positive"
    [parameters.temperature_offset]
    start = 0.0
    bounds = [-0.03, 0.3]                      # starts are drawn between these
    [fit]
    starts = 8
"""

import copy
import csv
import io
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._observables import heat_currents
from .._sweeps import (
    addresses,
    builder,
    equation_of,
    is_number,
    quantities,
    require_known,
    require_table,
    set_default,
)
from ..errors import DataError, InputError
from ._data import Data
from ._parameters import nearest

TABLES = ("system", "perturbation", "equation", "coordinates", "observables", "parameters", "fit")
OFFSET = "temperature_offset"
PAIR = ("mean_temperature", "temperature_difference")
OPTIONS = {"method": str, "starts": int, "steps": int, "seed": int, "missing": str}


class FitPlan(NamedTuple):
    """The arguments of `fit`."""

    predict: Callable[[Any, dict], Any]
    data: Data
    init: dict[str, float]
    options: dict[str, Any]


def read_table(path: str | Path) -> dict[str, np.ndarray]:
    """Columns of a CSV file by name; lines that begin with # are comments, empty cells and NA are missing numbers.

    **Raises:** `DataError`, naming line and column.
    """
    with _opened(path) as file:
        lines = [(n, line) for n, line in enumerate(file, 1) if line.strip() and not line.lstrip().startswith("#")]
    rows = list(csv.reader([line for _, line in lines], skipinitialspace=True))
    if len(rows) < 2:
        raise DataError(f"{path}: a line of names and lines of numbers are needed; got {len(rows)} line(s).")
    names = [name.strip() for name in rows[0]]
    if len(set(names)) < len(names) or "" in names:
        raise DataError(f"{path}: every column needs a name of its own; got {names}.")
    columns: dict[str, list[float]] = {name: [] for name in names}
    for (number, _), row in zip(lines[1:], rows[1:], strict=True):
        if len(row) != len(names):
            raise DataError(f"{path}, line {number}: {len(names)} numbers are needed, one a column; got {len(row)}.")
        for name, cell in zip(names, row, strict=True):
            try:
                columns[name].append(np.nan if cell.strip() in ("", "NA") else float(cell))
            except ValueError:
                raise DataError(f"{path}, line {number}: {cell!r} in column {name!r} is no number.") from None
    return {name: np.array(values) for name, values in columns.items()}


def _opened(path: str | Path) -> io.StringIO:
    """The text of a file in UTF-8."""
    try:
        return io.StringIO(Path(path).read_bytes().decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: this is no text in UTF-8 ({error}); save it as such.") from error


def read_fit(table: str | Path, config: str | Path) -> FitPlan:
    """The fit of a CSV file that a TOML file describes.

    **Raises:** `InputError`, naming the key and, for an unknown one, the nearest valid one; `DataError`.
    """
    columns = read_table(table)
    try:
        with open(config, "rb") as file:
            return fit_plan(columns, tomllib.load(file))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{config} is not valid TOML: {error}.") from error


def fit_plan(columns: Mapping[str, np.ndarray], config: dict) -> FitPlan:
    """The fit of a table of columns that a table of tables describes."""
    config = copy.deepcopy(config)
    require_known(config, TABLES, "")
    for name in ("system", "coordinates", "observables", "parameters"):
        if not require_table(config.get(name, {}), name):
            raise InputError(f"[{name}] is missing.")
    for name, table in config.items():
        require_table(table, name)
    where = addresses(config)
    temperatures = [name for name in where if name.startswith("temperature_")]
    sets = {str(column): str(name) for column, name in config["coordinates"].items()}
    given = {str(name): require_table(t, f"parameters.{name}") for name, t in config["parameters"].items()}
    require_known(dict.fromkeys(sets.values()), (*where, *(PAIR if len(temperatures) == 2 else ())), "coordinates")
    require_known(given, (*where, OFFSET), "parameters")
    if twice := sorted({name for name in sets.values() if list(sets.values()).count(name) > 1}):
        raise InputError(f"coordinates: {', '.join(twice)} is set by more than one column; keep one.")
    if both := sorted(set(sets.values()) & set(given)):
        raise InputError(f"{', '.join(both)}: set by a column and fitted; keep one of the two.")
    for name in (*given, *sets.values()):
        set_default(config, where.get(name))
    measured = {str(name): require_table(t, f"observables.{name}") for name, t in config["observables"].items()}
    for column in (*sets, *measured):
        if column not in columns:
            raise DataError(f"the data have no column {column!r}; {nearest(column, columns)}")
    build = builder(config, where)
    units = {name: str(t["unit"]) for name, t in {**measured, **given}.items() if "unit" in t}
    observables = {name: np.asarray(columns[name]) for name in measured}
    errors, relative = _errors(measured, columns)
    data = Data({c: columns[c] for c in sets}, observables, errors, units, relative)
    init = {name: _start(name, table) for name, table in given.items()}
    fixed = {name: _value(config, where[name]) for name in temperatures}
    open_ = [name for name, value in fixed.items() if value is None and name not in (*sets.values(), *given)]
    if OFFSET in given and open_ and not set(PAIR) & {*sets.values(), *given}:
        raise InputError(f"{OFFSET} needs every temperature: no column, parameter or number sets {', '.join(open_)}.")
    predict = _predict(build, sets, fixed, _measured(measured, config))
    first = {column: _first(columns[column], column) for column in sets}
    predict(init, first)  # mistakes are named before anything is compiled
    return FitPlan(predict, data, init, _options(config.get("fit", {}), given, units))


def _first(column: Any, name: str) -> float:
    """The first number of a column."""
    numbers = np.asarray(column)[np.isfinite(column)]
    if not numbers.size:
        raise DataError(f"the column {name!r} holds no number.")
    return float(numbers[0])


def _predict(build: Callable, sets: Mapping[str, str], fixed: Mapping[str, Any], made: Mapping[str, Callable]):
    def predict(params: Mapping[str, Any], x: Mapping[str, Any]) -> dict[str, Any]:
        numbers = {**params, **{name: x[column] for column, name in sets.items()}}
        offset = numbers.pop(OFFSET, None)
        if offset is not None and not set(PAIR) & set(numbers):
            numbers |= {name: numbers.get(name, value) + offset for name, value in fixed.items()}
        elif offset is not None:
            if PAIR[0] not in numbers:
                raise InputError(f"{OFFSET} needs a column for {PAIR[0]} beside that for {PAIR[1]}.")
            numbers[PAIR[0]] = numbers[PAIR[0]] + offset
        system = build(numbers)
        return {name: of(system) for name, of in made.items()}

    return predict


def _value(config: Any, address: tuple) -> Any:
    """What the config has there; None where it is left out."""
    for key in address[:-1]:
        config = config[key]
    return config.get(address[-1]) if isinstance(config, dict) else config[address[-1]]


def _measured(tables: Mapping[str, dict], config: dict) -> dict[str, Callable]:
    """What each observable is, of a system."""
    equation, solver = equation_of(config.get("equation", {}))
    made: dict[str, Callable] = {}
    for name, table in tables.items():
        keys = ("quantity", "bath", "operator", "operator_imag", "error", "relative_error", "unit")
        require_known(table, keys, f"observables.{name}")
        if ("quantity" in table) == ("operator" in table):
            raise InputError(f"observables.{name}: give either a quantity or an operator.")
        if table.get("quantity") == "heat_currents":
            made[name] = _current(name, table.get("bath"), config, equation, solver)
            continue
        output = (
            {"observables": {name: table["operator"]}} if "operator" in table else {"quantities": [table["quantity"]]}
        )
        (of,) = quantities({"quantities": [], **output}).values()
        if "bath" in table:
            raise InputError(f"observables.{name}.bath: only heat_currents have one.")
        made[name] = lambda system, of=of: of(system, equation, solver)
    return made


def _current(name: str, bath: Any, config: dict, equation: Any, solver: Any) -> Callable:
    system = config["system"]
    names = ["a", "b"] if "model" in system else [str(one["name"]) for one in system["baths"]]
    if str(bath) not in names:
        raise InputError(f"observables.{name}.bath: no bath {bath!r}; {nearest(str(bath), names)}")
    at = names.index(str(bath))
    return lambda system: heat_currents(system, equation, solver=solver)[at]


def _errors(tables: Mapping[str, dict], columns: Mapping[str, np.ndarray]) -> tuple[dict | None, dict | None]:
    """Errors, and relative errors (parts of the prediction), by observable."""
    errors: dict[str, Any] = {}
    relative: dict[str, Any] = {}
    for name, table in tables.items():
        part, error = table.get("relative_error"), table.get("error")
        if part is not None:
            if not is_number(part):
                raise InputError(f"observables.{name}.relative_error must be a number; got {part!r}.")
            relative[name] = part
        if isinstance(error, str):
            if error not in columns:
                raise DataError(f"the data have no column {error!r}; {nearest(error, columns)}")
            errors[name] = columns[error]
        elif error is not None:
            if not is_number(error):
                raise InputError(f"observables.{name}.error must be a column or a number; got {error!r}.")
            errors[name] = error
    return errors or None, relative or None


def _start(name: str, table: dict) -> float:
    require_known(table, ("start", "bounds", "prior", "unit"), f"parameters.{name}")
    if not is_number(table.get("start")):
        raise InputError(f"parameters.{name}.start must be a number; got {table.get('start')!r}.")
    return float(table["start"])


def _options(table: dict, given: Mapping[str, dict], units: Mapping[str, str]) -> dict[str, Any]:
    require_known(table, OPTIONS, "fit")
    for key, value in table.items():
        if type(value) is not OPTIONS[key]:
            kind = "a word" if OPTIONS[key] is str else "a whole number"
            raise InputError(f"fit.{key} must be {kind}; got {value!r}.")
    bounds = {name: _ends(t["bounds"]) for name, t in given.items() if "bounds" in t}
    priors = {name: t["prior"] for name, t in given.items() if "prior" in t}
    return {**table, "bounds": bounds, "priors": priors, "units": {k: v for k, v in units.items() if k in given}}


def _ends(bounds: Any) -> Any:
    """A pair; TOML knows inf but no null, and "" stands for none."""
    if isinstance(bounds, list):
        return tuple(None if end == "" else end for end in bounds)
    return bounds
