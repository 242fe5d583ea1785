"""The system of a file as a function of the numbers that axes, columns and parameters set.

Takes: checked tables. Returns: where each number is, by its short name (`omega` of the model, `delta` of the
perturbation, `temperature_a` of the bath named a, `strength` of the density); a function from numbers to systems; what
is computed of them.
"""

import copy
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from .. import models
from .._equations import AbstractEquation, Davies
from .._frame import RotatingFrame
from .._generator import AbstractSolver
from .._inputs import as_operator
from .._observables import entropy_production, expectation, heat_currents
from .._spectra import AbstractSpectrum
from .._steady import steady_state
from .._system import Bath, System
from ..errors import InputError
from ._schema import EQUATIONS, MODELS, SOLVERS, SPECTRA, hint

GIVE = "give a model, or a hamiltonian and baths"
MEAN, DIFFERENCE = "mean_temperature", "temperature_difference"
PAIR = (MEAN, DIFFERENCE)
Address = tuple[str | int, ...]


def require_addressed(names: Collection[str], where: Mapping[str, Address], path: str, *more: str) -> None:
    """Raise for a name that addresses no number, with the nearest one that does."""
    pair = PAIR if len(temperatures(where)) == 2 else ()
    valid = [*where, *more, *(pair if path != "parameters" else ())]
    for name in names:
        if name not in valid:
            raise InputError(f"unknown key '{path}.{name}'; {hint(name, valid)}")


def temperatures(where: Mapping[str, Address]) -> list[str]:
    """Names of the temperatures of baths."""
    return [name for name in where if name.startswith("temperature_")]


def addresses(config: dict) -> dict[str, Address]:
    """Where the numbers are that an axis may vary, by name; baths without a name get their number."""
    system = config["system"]
    result: dict[str, Address] = {}
    if "model" not in system:
        for i, bath in enumerate(system.get("baths", [])):
            name = bath.setdefault("name", str(i))
            result[f"temperature_{name}"] = ("system", "baths", i, "temperature")
            keys = _spectrum_keys(bath.get("spectrum"))
            result |= {f"{key}_{name}": ("system", "baths", i, "spectrum", key) for key in keys}
        if "frame" in system:
            result["frequency"] = ("system", "frame", "frequency")
    else:
        system.setdefault("temperatures", [None, None])
        lists = {"temperatures": "ab", "exchange": "xyz", "fields": range(len(system.get("fields", ())))}
        for name in inspect.signature(MODELS[system["model"]]).parameters:
            if name in lists:
                singular = {"temperatures": "temperature", "fields": "field"}.get(name, name)
                result |= {f"{singular}_{label}": ("system", name, i) for i, label in enumerate(lists[name])}
            elif name != "spectrum":
                result[name] = ("system", name)
            elif isinstance(system.get(name), list):
                for i, (label, table) in enumerate(zip("ab", system[name], strict=False)):
                    result |= {f"{key}_{label}": ("system", name, i, key) for key in _spectrum_keys(table)}
            else:
                result |= {key: ("system", name, key) for key in _spectrum_keys(system.get(name))}
    if "perturbation" in config:
        result["delta"] = ("perturbation", "delta")
    return result


def _spectrum_keys(table: Any) -> list[str]:
    if table is None:
        return []
    return [name for name in inspect.signature(SPECTRA[table["kind"]]).parameters if name != "shape"]


def table_at(config: Any, address: Address) -> Any:
    """The table or list that holds the number of an address."""
    for key in address[:-1]:
        config = config[key]
    return config


def builder(config: dict, where: Mapping[str, Address], varied: Collection[str]) -> Callable[[Mapping], System]:
    """The system as a function of the numbers that are varied, by name."""
    config = copy.deepcopy(config)
    for name in varied:
        if name in where and isinstance(table := table_at(config, where[name]), dict):
            table.setdefault(where[name][-1], None)

    def build(numbers: Mapping) -> System:
        changed = copy.deepcopy(config)
        for name, value in {**numbers, **_by_mean(numbers, changed, where)}.items():
            if name in where:
                table_at(changed, where[name])[where[name][-1]] = value
        return _system(changed)

    return build


def _by_mean(numbers: Mapping, config: dict, where: Mapping[str, Address]) -> dict[str, Any]:
    """Two temperatures from their mean and difference, where one of these is varied."""
    if not set(PAIR) & set(numbers):
        return {}
    names = temperatures(where)
    hot, cold = (table_at(config, where[name])[where[name][-1]] for name in names)
    if not set(PAIR) <= set(numbers) and (hot is None or cold is None):
        raise InputError(f"axes {MEAN} and {DIFFERENCE} need each other, or the temperatures in [system].")
    mean = numbers[MEAN] if MEAN in numbers else (hot + cold) / 2
    apart = numbers[DIFFERENCE] if DIFFERENCE in numbers else hot - cold
    return dict(zip(names, (mean + apart / 2, mean - apart / 2), strict=True))


def _system(config: dict) -> System:
    table = dict(config["system"])
    _require_all(table, "system")
    model = table.pop("model", None)
    if model is not None:
        if isinstance(spectrum := table.get("spectrum"), list):
            table["spectrum"] = [_spectrum(one) for one in spectrum]
        elif spectrum is not None:
            table["spectrum"] = _spectrum(spectrum)
        _require_arguments(MODELS[model], table, "system", model)
        system = MODELS[model](**table)
    else:
        _require_keys(table, ("hamiltonian", "baths"), "system")
        for i, bath in enumerate(table["baths"]):
            _require_keys(bath, ("coupling", "temperature", "spectrum"), f"system.baths[{i}]")
        baths = [
            Bath(matrix(bath, "coupling"), bath["temperature"], _spectrum(bath["spectrum"]), bath["name"])
            for bath in table["baths"]
        ]
        energy = matrix(table, "energy") if table.get("energy") is not None else None
        system = System(matrix(table, "hamiltonian"), baths, frame=_frame(table.get("frame")), energy=energy)
    if (perturbation := config.get("perturbation")) is None:
        return system
    if perturbation.get("delta") is None:
        raise InputError("perturbation.delta is missing, here or as an axis.")
    return system.perturbed(matrix(perturbation, "operator"), perturbation["delta"])


def _frame(table: dict | None) -> RotatingFrame | None:
    if table is None:
        return None
    _require_keys(table, ("operator", "frequency"), "system.frame", "a frame is an operator and a frequency")
    return RotatingFrame(matrix(table, "operator"), table["frequency"])


def _require_keys(table: dict, keys: tuple[str, ...], path: str, rule: str = GIVE) -> None:
    for key in keys:
        if key not in table:
            raise InputError(f"{path}.{key} is missing: {rule}.")


def _require_all(table: Any, path: str) -> None:
    """Raise for a number that nothing sets."""
    if table is None:
        raise InputError(f"{path} is missing, here or as an axis.")
    items = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    for key, value in items:
        _require_all(value, f"{path}.{key}")


def _require_arguments(function: Callable, table: dict, path: str, name: str) -> None:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is parameter.empty and parameter.name not in table:
            raise InputError(f"{path}.{parameter.name} is missing: {name} needs it, here or as an axis.")


def _spectrum(table: dict) -> AbstractSpectrum:
    numbers, density = {key: value for key, value in table.items() if key != "kind"}, SPECTRA[table["kind"]]
    _require_arguments(density, numbers, "spectrum", table["kind"])
    return density(**numbers)


def matrix(table: dict, key: str) -> Any:
    """An operator: a Pauli word, or a matrix with an imaginary part beside it."""
    if isinstance(table[key], str):
        if f"{key}_imag" in table:
            raise InputError(f"{key}_imag stands beside the word {table[key]!r}: it is for a {key} given by numbers.")
        return models.pauli(table[key])
    parts = [table[key], *([table[f"{key}_imag"]] if f"{key}_imag" in table else [])]
    try:
        arrays = [np.asarray(part, float) for part in parts]
    except ValueError as error:
        raise InputError(f"{key} must be a word of Pauli letters or a square matrix of numbers: {error}.") from error
    if arrays[0].shape != arrays[-1].shape:
        raise InputError(f"{key} and {key}_imag must have one shape; got {arrays[0].shape} and {arrays[1].shape}.")
    return arrays[0] if len(arrays) == 1 else arrays[0] + 1j * arrays[1]


def equation_of(table: dict | None) -> tuple[AbstractEquation, AbstractSolver | None]:
    """Equation and solver of a table."""
    options = dict(table or {})
    equation, solver = EQUATIONS[options.pop("name", Davies.__name__)], options.pop("solver", None)
    return equation(**options), None if solver is None else SOLVERS[solver]()


def quantity(name: str) -> Callable[[System, AbstractEquation, AbstractSolver | None], Any]:
    """A quantity by name, of a system, an equation and a solver."""
    of = heat_currents if name == "heat_currents" else entropy_production
    return lambda system, equation, solver: of(system, equation, solver=solver)


def observable(name: str, table: dict) -> Callable[[System, AbstractEquation, AbstractSolver | None], Any]:
    """The expectation of the operator of a table."""
    A = matrix(table, "operator")

    def of(system: System, equation: AbstractEquation, solver: AbstractSolver | None) -> Any:
        rho = steady_state(system, equation, solver).rho
        return expectation(as_operator(A, f"the observable {name}", system.dim), rho)

    return of
