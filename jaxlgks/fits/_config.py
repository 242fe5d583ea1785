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
    error = "J_error"                          # a column, a number, or relative_error = 0.01
    unit = "W"
    [parameters.g]
    start = 0.2
    bounds = [0.0, 0.6]                        # or "positive"
    [parameters.temperature_offset]
    start = 0.0
    [fit]
    starts = 8
"""

import copy
import csv
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._errors import DataError, InputError
from .._observables import heat_currents
from ..sweeps import (
    addresses,
    builder,
    equation_of,
    is_number,
    quantities,
    require_known,
    require_table,
    set_default,
)
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
    with open(path, newline="", encoding="utf-8-sig") as file:
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
    data = Data({c: columns[c] for c in sets}, observables, _errors(measured, columns), units)
    init = {name: _start(name, table) for name, table in given.items()}
    fixed = {name: _value(config, where[name]) for name in temperatures}
    predict = _predict(build, sets, fixed, _measured(measured, config))
    first = {column: float(columns[column][np.isfinite(columns[column])][0]) for column in sets}
    predict(init, first)  # mistakes are named before anything is compiled
    return FitPlan(predict, data, init, _options(config.get("fit", {}), given, units))


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
    for key in address:
        config = config[key]
    return config


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


def _errors(tables: Mapping[str, dict], columns: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    made: dict[str, Any] = {}
    for name, table in tables.items():
        if "error" in table and "relative_error" in table:
            raise InputError(f"observables.{name}: give either error or relative_error.")
        if "relative_error" in table:
            if not is_number(table["relative_error"]):
                raise InputError(
                    f"observables.{name}.relative_error must be a number; got {table['relative_error']!r}."
                )
            made[name] = table["relative_error"] * np.abs(columns[name])
        elif isinstance(table.get("error"), str):
            if table["error"] not in columns:
                raise DataError(f"the data have no column {table['error']!r}; {nearest(table['error'], columns)}")
            made[name] = columns[table["error"]]
        elif "error" in table:
            if not is_number(table["error"]):
                raise InputError(f"observables.{name}.error must be a column or a number; got {table['error']!r}.")
            made[name] = table["error"]
    return made or None


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
