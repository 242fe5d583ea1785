"""A sweep described by a TOML file: data only, nothing in it is evaluated.

Enters: a table of tables. Leaves: the arguments of `sweep`. Axes address numbers of the file by short names: `omega` of
the model, `delta` of the perturbation, `temperature_a` of the bath named a, `strength` of the density.

    [system]
    model = "two_qubits"                       # or hamiltonian = [[...]] and [[system.baths]]
    omega = 1000.0
    g = 200.0
    gamma = 1.0
    [perturbation]
    operator = "ZZ"
    [equation]
    name = "Unified"
    [axes.delta]
    from = -50.0
    to = 50.0
    points = 101
    [axes.mean_temperature]
    values = [50.0, 300.0]
    unit = "K"
    [axes.temperature_difference]
    values = [20.0]
    [output]
    quantities = ["heat_currents"]
"""

import copy
import difflib
import inspect
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import models
from .._equations import AbstractEquation, Davies, Redfield, Unified, UniversalLindblad
from .._generator import AbstractSolver, Blocks, Dense, Krylov, Populations
from .._inputs import as_operator
from .._observables import entropy_production, expectation, heat_currents
from .._spectra import AbstractSpectrum, DrudeLorentz, Flat, Ohmic, UnderdampedBrownian
from .._steady import steady_state
from .._system import Bath, System
from ..errors import InputError

MODELS: dict[str, Callable[..., System]] = {"two_qubits": models.two_qubits, "spin_chain": models.spin_chain}
SPECTRA = {one.__name__: one for one in (Flat, Ohmic, DrudeLorentz, UnderdampedBrownian)}
EQUATIONS = {"Davies": Davies, "Unified": Unified, "UniversalLindblad": UniversalLindblad, "Redfield": Redfield}
SOLVERS = {"Dense": Dense, "Populations": Populations, "Krylov": Krylov, "Blocks": Blocks}
TABLES = ("system", "perturbation", "equation", "axes", "output")
QUANTITIES = ("heat_currents", "entropy_production")
MEAN, DIFFERENCE = "mean_temperature", "temperature_difference"
Address = tuple[str | int, ...]


class Plan(NamedTuple):
    """The arguments of `sweep`."""

    f: Callable[..., dict]
    axes: dict[str, np.ndarray]
    options: dict[str, Any]


def read_plan(path: str | Path) -> Plan:
    """The plan in a TOML file.

    **Raises:** `InputError`, naming the key and, for an unknown one, the nearest valid one.
    """
    try:
        with open(path, "rb") as file:
            return plan(tomllib.load(file))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from error


def plan(config: dict) -> Plan:
    """The plan in a table of tables."""
    config = copy.deepcopy(config)
    require_known(config, TABLES, "")
    for name, table in config.items():
        if not isinstance(table, dict):
            raise InputError(f"{name} must be a table, [{name}]; got {table!r}.")
    for name in ("system", "axes"):
        if not isinstance(config.get(name), dict) or not config[name]:
            raise InputError(f"[{name}] is missing.")
    where = addresses(config)
    axes_given = config["axes"]
    require_known(axes_given, (*where, *((MEAN, DIFFERENCE) if _two_temperatures(where) else ())), "axes")
    _require_one_way(axes_given, _two_temperatures(where))
    for name in axes_given:
        set_default(config, where.get(name))
    output = config.get("output", {})
    for name in ("quantities", "derivatives"):
        if not isinstance(output.get(name, []), list):
            raise InputError(f"output.{name} must be a list of names; got {output[name]!r}.")
    require_known(output, ("quantities", "observables", "derivatives"), "output")
    made = quantities(output)
    equation, solver = equation_of(config.get("equation", {}))
    build = builder(config, where)

    def f(**numbers) -> dict:
        system = build(numbers)
        return {name: of(system, equation, solver) for name, of in made.items()}

    axes = {name: _axis(name, table) for name, table in axes_given.items()}
    first = build({name: float(values[0]) for name, values in axes.items()})  # names mistakes before compiling anything
    names = [bath.name for bath in first.baths]
    baths = {"bath": names} if all(names) and len(set(names)) == len(names) else ("bath",)
    options = {
        "derivatives": tuple(output.get("derivatives", ())),
        "units": {name: axis["unit"] for name, axis in axes_given.items() if "unit" in axis},
        "dims": {"heat_currents": baths} if "heat_currents" in made else {},
    }
    f.__qualname__ = "sweep of " + config["system"].get("model", "a system")
    return Plan(f, axes, options)


def require_known(table: Mapping, names: Iterable[str], path: str) -> None:
    """Raise for a key that is none of the names, with the nearest one."""
    names = list(names)
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid are {', '.join(names)}."
            raise InputError(f"unknown key {f'{path}.{key}' if path else key!r}; {hint}")


def addresses(config: dict) -> dict[str, Address]:
    """Where the numbers are that an axis may vary, by name."""
    system = config["system"]
    found: dict[str, Address] = {}
    if "model" in system:
        if system["model"] not in MODELS:
            require_known({system["model"]: 0}, MODELS, "system.model")
        parameters = list(inspect.signature(MODELS[system["model"]]).parameters)
        require_known(system, ("model", *parameters), "system")
        system.setdefault("temperatures", [None, None])
        for name in ("temperatures", "exchange", "fields"):
            if not isinstance(system.get(name, []), list):
                raise InputError(f"system.{name} must be a list of numbers; got {system[name]!r}.")
        lists = {"temperatures": "ab", "exchange": "xyz", "fields": range(len(system.get("fields", ())))}
        for name in parameters:
            if name == "spectrum" and isinstance(system.get("spectrum"), list):
                for i, (label, one) in enumerate(zip("ab", system["spectrum"], strict=False)):
                    keys = _spectrum_keys({"spectrum": one}, f"system.spectrum[{i}]")
                    found |= {f"{key}_{label}": ("system", "spectrum", i, key) for key in keys}
            elif name == "spectrum":
                found |= {key: ("system", "spectrum", key) for key in _spectrum_keys(system, "system")}
            elif name in lists:
                singular = {"temperatures": "temperature", "fields": "field"}.get(name, name)
                found |= {f"{singular}_{label}": ("system", name, i) for i, label in enumerate(lists[name])}
            else:
                found[name] = ("system", name)
    else:
        require_known(system, ("hamiltonian", "hamiltonian_imag", "baths"), "system")
        baths = system.get("baths", [])
        if not isinstance(baths, list):
            raise InputError(f"system.baths must be tables, [[system.baths]]; got {baths!r}.")
        for i, bath in enumerate(baths):
            require_known(
                require_table(bath, f"system.baths[{i}]"),
                ("name", "coupling", "coupling_imag", "temperature", "spectrum"),
                f"system.baths[{i}]",
            )
            name = bath.setdefault("name", str(i))
            found[f"temperature_{name}"] = ("system", "baths", i, "temperature")
            keys = _spectrum_keys(bath, f"system.baths[{i}]")
            found |= {f"{key}_{name}": ("system", "baths", i, "spectrum", key) for key in keys}
    if "perturbation" in config:
        require_known(config["perturbation"], ("operator", "operator_imag", "delta"), "perturbation")
        found["delta"] = ("perturbation", "delta")
    return found


def require_table(value: Any, path: str) -> dict:
    if not isinstance(value, dict):
        raise InputError(f"{path} must be a table; got {value!r}.")
    return value


def _spectrum_keys(table: dict, path: str) -> list[str]:
    if "spectrum" not in table:
        return []
    given = require_table(table["spectrum"], f"{path}.spectrum")
    kind = str(given.get("kind"))
    require_known({kind: 0}, SPECTRA, f"{path}.spectrum.kind")
    parameters = list(inspect.signature(SPECTRA[kind].__init__).parameters)[1:]
    require_known(given, ("kind", *parameters), f"{path}.spectrum")
    return [name for name in parameters if name != "shape"]


def _two_temperatures(where: Mapping[str, Address]) -> list[str]:
    names = [name for name in where if name.startswith("temperature_")]
    return names if len(names) == 2 else []


def _require_one_way(axes: Mapping, temperatures: list[str]) -> None:
    """A temperature is given by its own axis or by mean and difference, not by both."""
    own = [name for name in temperatures if name in axes]
    both = [name for name in (MEAN, DIFFERENCE) if name in axes]
    if own and both:
        raise InputError(f"axes {', '.join(own)} and {', '.join(both)} set the same temperatures; keep one kind.")


def set_default(config: dict, address: Address | None) -> None:
    """Make room for a number that only an axis gives."""
    if address is not None and isinstance(table := _at(config, address[:-1]), dict):
        table.setdefault(address[-1], None)


def _at(config: Any, address: Address) -> Any:
    for key in address:
        config = config[key]
    return config


def builder(config: dict, where: Mapping[str, Address]) -> Callable[[Mapping], System]:
    pair = [where[name] for name in _two_temperatures(where)]

    def build(numbers: Mapping) -> System:
        changed = copy.deepcopy(config)
        for name, value in numbers.items():
            if name in where:
                *path, last = where[name]
                _at(changed, tuple(path))[last] = value
        if MEAN in numbers or DIFFERENCE in numbers:
            hot, cold = (_at(changed, address) for address in pair)
            both = MEAN in numbers and DIFFERENCE in numbers
            if not both and (hot is None or cold is None):
                raise InputError(f"axes {MEAN} and {DIFFERENCE} need each other, or the temperatures in [system].")
            mean, apart = (numbers[MEAN], numbers[DIFFERENCE]) if both else ((hot + cold) / 2, hot - cold)
            mean, apart = numbers.get(MEAN, mean), numbers.get(DIFFERENCE, apart)
            for address, value in zip(pair, (mean + apart / 2, mean - apart / 2), strict=True):
                _at(changed, address[:-1])[address[-1]] = value
        return _system(changed)

    return build


def _system(config: dict) -> System:
    table = dict(config["system"])
    _require_numbers(table, "system")
    model = table.pop("model", None)
    if model is not None:
        if "spectrum" in table:
            given = table["spectrum"]
            table["spectrum"] = [_spectrum(one) for one in given] if isinstance(given, list) else _spectrum(given)
        missing = [
            p.name
            for p in inspect.signature(MODELS[model]).parameters.values()
            if p.default is p.empty and p.name not in table
        ]
        if missing:
            raise InputError(f"system.{missing[0]} is missing: the model {model!r} needs it, here or as an axis.")
        system = MODELS[model](**table)
    else:
        for key in ("hamiltonian", "baths"):
            if key not in table:
                raise InputError(f"system.{key} is missing: give a model, or a hamiltonian and baths.")
        for i, bath in enumerate(table["baths"]):
            for key in ("coupling", "temperature", "spectrum"):
                if key not in bath:
                    raise InputError(f"system.baths[{i}].{key} is missing.")
        baths = [
            Bath(_matrix(bath, "coupling"), bath["temperature"], _spectrum(bath["spectrum"]), bath["name"])
            for bath in table["baths"]
        ]
        system = System(_matrix(table, "hamiltonian"), baths)
    perturbation = config.get("perturbation")
    if perturbation is None:
        return system
    if perturbation.get("delta") is None:
        raise InputError("perturbation.delta is missing, here or as an axis.")
    return system.perturbed(_matrix(perturbation, "operator"), perturbation["delta"])


def _require_numbers(table: Any, path: str) -> None:
    """A number that no axis gave, or that is none."""
    if table is None:
        raise InputError(f"{path} is missing, here or as an axis.")
    items = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    for key, value in items:
        if isinstance(value, bool) or (
            isinstance(value, str) and key not in ("model", "kind", "shape", "name", "coupling")
        ):
            raise InputError(f"{path}.{key} must be a number; got {value!r}.")
        _require_numbers(value, f"{path}.{key}")


def _spectrum(table: dict) -> AbstractSpectrum:
    numbers = {key: value for key, value in table.items() if key != "kind"}
    missing = [
        p.name
        for p in list(inspect.signature(SPECTRA[table["kind"]].__init__).parameters.values())[1:]
        if p.default is p.empty and p.name not in numbers
    ]
    if missing:
        raise InputError(f"spectrum.{missing[0]} is missing: {table['kind']} needs it, here or as an axis.")
    return SPECTRA[table["kind"]](**numbers)


def _matrix(table: dict, key: str) -> Any:
    """An operator: a Pauli word, or a matrix with an imaginary part beside it."""
    if key not in table:
        raise InputError(f"{key} is missing.")
    if isinstance(table[key], str):
        return models.pauli(table[key])
    parts = [table[key], *([table[f"{key}_imag"]] if f"{key}_imag" in table else [])]
    try:
        arrays = [np.asarray(part, float) for part in parts]
        return arrays[0] if len(arrays) == 1 else arrays[0] + 1j * arrays[1]
    except (TypeError, ValueError) as error:
        raise InputError(f"{key} must be a word of Pauli letters or a square matrix of numbers: {error}.") from error


def equation_of(table: dict) -> tuple[AbstractEquation, AbstractSolver | None]:
    name = table.get("name", "Davies")
    if name not in EQUATIONS:
        require_known({str(name): 0}, EQUATIONS, "equation.name")
    parameters = [p for p in inspect.signature(EQUATIONS[name]).parameters if p != "reference"]
    require_known(table, ("name", "solver", *parameters), "equation")
    solver = table.get("solver")
    if solver is not None and solver not in SOLVERS:
        require_known({str(solver): 0}, SOLVERS, "equation.solver")
    options = {key: value for key, value in table.items() if key in parameters}
    for key, value in options.items():
        if not (isinstance(value, bool) if key == "lamb_shift" else is_number(value)):
            kind = "true or false" if key == "lamb_shift" else "a number"
            raise InputError(f"equation.{key} must be {kind}; got {value!r}.")
    return EQUATIONS[name](**options), None if solver is None else SOLVERS[solver]()


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _axis(name: str, table: Any) -> np.ndarray:
    if not isinstance(table, dict):
        raise InputError(f"axes.{name} must be a table; got {table!r}.")
    require_known(table, ("from", "to", "points", "scale", "values", "unit"), f"axes.{name}")
    if not isinstance(table.get("unit", ""), str):
        raise InputError(f"axes.{name}.unit must be a word; got {table['unit']!r}.")
    if "values" in table:
        if surplus := [key for key in ("from", "to", "points", "scale") if key in table]:
            raise InputError(f"axes.{name} has values and {', '.join(surplus)}; keep one of the two.")
        values = table["values"]
        if not isinstance(values, list) or not all(is_number(x) for x in values):
            raise InputError(f"axes.{name}.values must be a list of numbers; got {values!r}.")
        return np.asarray(values, float)
    if missing := [key for key in ("from", "to", "points") if key not in table]:
        raise InputError(f"axes.{name}.{missing[0]} is missing: give values, or from, to and points.")
    spaced = {"linear": np.linspace, "log": np.geomspace}
    if not (is_number(table["from"]) and is_number(table["to"])):
        raise InputError(f"axes.{name}: from and to must be numbers; got {table['from']!r} and {table['to']!r}.")
    if type(table["points"]) is not int or table["points"] < 1:
        raise InputError(f"axes.{name}.points must be a whole number of at least 1; got {table['points']!r}.")
    scale = table.get("scale", "linear")
    require_known({str(scale): 0}, spaced, f"axes.{name}.scale")
    if scale == "log" and not min(table["from"], table["to"]) > 0:
        raise InputError(f"axes.{name}: a log scale needs positive ends; got {table['from']} and {table['to']}.")
    return spaced[scale](table["from"], table["to"], table["points"])


def quantities(output: dict) -> dict[str, Callable]:
    """What is computed, by name: of a system, an equation and a solver."""
    made: dict[str, Callable] = {}
    for name in output.get("quantities", [] if "observables" in output else ["heat_currents"]):
        require_known({name: 0}, QUANTITIES, "output.quantities")
        of = heat_currents if name == "heat_currents" else entropy_production
        made[name] = lambda system, equation, solver, of=of: of(system, equation, solver=solver)
    for name, operator in require_table(output.get("observables", {}), "output.observables").items():
        A = _matrix({"operator": operator}, "operator")
        made[name] = lambda s, e, by, A=A, name=name: expectation(
            as_operator(A, f"the observable {name}", s.dim), steady_state(s, e, by).rho
        )
    return made
