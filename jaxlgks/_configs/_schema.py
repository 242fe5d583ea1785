"""What a TOML file may hold, as one schema: tables, their keys and types.

Takes: what `tomllib` read. Returns: the same, with keys that are known and values that have their types, or an
`InputError` that names each mistake and, for an unknown word, the nearest valid one; and the JSON schema for editors.

Numbers of models, densities and equations are those of their signatures. All may be left out here, since an axis, a
column or a parameter may set them; what is missing in the end is named when the system is built.
"""

# Some types are made of the signatures of others, which a type checker cannot follow.
# pyright: reportInvalidTypeForm=false

import copy
import difflib
import functools
import inspect
import operator
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from .. import models
from .._equations import Davies, Redfield, Unified, UniversalLindblad
from .._generator import Blocks, Dense, Krylov, Populations
from .._spectra import DrudeLorentz, Flat, Ohmic, UnderdampedBrownian
from ..errors import InputError

MODELS = {"two_qubits": models.two_qubits, "spin_chain": models.spin_chain}
SPECTRA = {one.__name__: one for one in (Flat, Ohmic, DrudeLorentz, UnderdampedBrownian)}
EQUATIONS = {one.__name__: one for one in (Davies, Unified, UniversalLindblad, Redfield)}
SOLVERS = {one.__name__: one for one in (Dense, Populations, Krylov, Blocks)}
Quantity = Literal["heat_currents", "entropy_production"]


class Table(BaseModel):
    """A table whose keys are all known."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, table: Any) -> Any:
        names = [field.alias or name for name, field in cls.model_fields.items()]
        for key in table if isinstance(table, dict) else ():
            if key not in names:
                raise PydanticCustomError("unknown_key", "{hint}", {"key": key, "hint": hint(key, names)})
        return table


def hint(key: Any, names: list[str]) -> str:
    near = difflib.get_close_matches(str(key), names, 1)
    return f"did you mean {near[0]!r}?" if near else f"valid are {', '.join(names)}."


def _mistake(text: str) -> PydanticCustomError:
    """A mistake in a table as a whole; its place comes before the text."""
    return PydanticCustomError("table", "{text}", {"text": text})


def _union(kinds: list[Any], tag: Callable[[Any], Any], name: str) -> Any:
    """Any of several types with tags, told apart by a function of the value."""
    tag.__name__ = name  # the word by which pydantic's errors call it
    return Annotated[functools.reduce(operator.or_, kinds), Discriminator(tag)]


def _tables(members: dict[str, Any], label: str, default: str | None = None, more: Any = None, **types: Any) -> Any:
    """A table for each member, with the arguments of its signature as keys and `label` to tell which; some have types
    of their own (None: no key), and all others are numbers. `more`: keys beside these."""
    tables = []
    for name, member in members.items():
        keys: dict[str, Any] = {label: (Literal[name], name)} | (more or {})
        for key, parameter in inspect.signature(member).parameters.items():
            of_words = get_origin(parameter.annotation) is Literal
            kind = parameter.annotation if of_words else types.get(key, float)
            keys |= {} if kind is None else {key: (kind, None)}
        tables.append(Annotated[create_model(name, __base__=Table, **keys), Tag(name)])
    return _union(tables, lambda t: t.get(label, default) if isinstance(t, dict) else default, label)


def _either(first: Any, other: Any, kind: type, name: str) -> Any:
    """Either of two types: the first where the value is of this kind."""
    tagged = [Annotated[first, Tag("first")], Annotated[other, Tag("other")]]
    return _union(tagged, lambda value: "first" if isinstance(value, kind) else "other", name)


Numbers = list[float]
Operator = _either(str, list[Numbers], str, "operator")
Spectrum = _tables(SPECTRA, "kind")


class BathTable(Table):
    """A bath of a system given by matrices."""

    name: str | None = None
    coupling: Operator = None
    coupling_imag: list[Numbers] | None = None
    temperature: float | None = None
    spectrum: Spectrum = None


class Frame(Table):
    """The rotating frame of a driven system."""

    operator: Operator = None
    operator_imag: list[Numbers] | None = None
    frequency: float | None = None


class Matrices(Table):
    """A system given by matrices."""

    hamiltonian: list[Numbers] | None = None
    hamiltonian_imag: list[Numbers] | None = None
    energy: Operator = None
    energy_imag: list[Numbers] | None = None
    frame: Frame | None = None
    baths: list[BathTable] | None = None


_spectra = _either(list[Spectrum], Spectrum, list, "spectrum")
_models = _tables(MODELS, "model", temperatures=Numbers, exchange=Numbers, fields=Numbers, spectrum=_spectra)
System = _union(
    [Annotated[Matrices, Tag("matrices")], Annotated[_models, Tag("(model)")]],
    lambda table: "(model)" if isinstance(table, dict) and "model" in table else "matrices",
    "model",
)
_solver = {"solver": (Literal[tuple(SOLVERS)], None)}
Equation = _tables(EQUATIONS, "name", "Davies", _solver, lamb_shift=bool, reference=None)


class Perturbation(Table):
    """δV."""

    operator: Operator
    operator_imag: list[Numbers] | None = None
    delta: float | None = None


class Axis(Table):
    """Values of an axis: a list, or from ... to."""

    from_: float | None = Field(None, alias="from", allow_inf_nan=False)
    to: float | None = Field(None, allow_inf_nan=False)
    points: int | None = Field(None, ge=1, le=10**7)
    scale: Literal["linear", "log"] = "linear"
    values: Annotated[Numbers, Field(min_length=1)] | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Axis":
        range_ = {"from": self.from_, "to": self.to, "points": self.points}
        if self.values is not None:
            if surplus := [key for key, value in range_.items() if value is not None]:
                raise _mistake(f" has values and {', '.join(surplus)}; keep one of the two.")
        elif missing := [key for key, value in range_.items() if value is None]:
            raise _mistake(f".{missing[0]} is missing: give values, or from, to and points.")
        elif self.scale == "log" and not min(self.from_ or 0.0, self.to or 0.0) > 0:
            raise _mistake(f": a log scale needs positive ends; got {self.from_} and {self.to}.")
        return self


class Output(Table):
    """What a sweep computes."""

    quantities: list[Quantity] | None = None
    observables: dict[str, Operator] = {}
    derivatives: list[str] = []


class Observable(Table):
    """A measured column."""

    quantity: Quantity | None = None
    bath: str | None = None
    operator: Operator = None
    operator_imag: list[Numbers] | None = None
    error: _either(str, float, str, "error") = None
    relative_error: float | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Observable":
        if (self.quantity is None) == (self.operator is None):
            raise _mistake(": give either a quantity or an operator.")
        if (self.quantity == "heat_currents") != (self.bath is not None):
            raise _mistake(".bath: heat_currents need one, and nothing else does.")
        return self


class Parameter(Table):
    """A fitted number."""

    start: float
    bounds: Annotated[Any, WithJsonSchema({"anyOf": [{"const": "positive"}, {"type": "array"}]})] = None
    prior: Numbers | None = None
    unit: str | None = None


class FitOptions(Table):
    """Options of `fit`."""

    method: str | None = None
    starts: int | None = None
    steps: int | None = None
    seed: int | None = None
    missing: Literal["raise", "skip"] | None = None


class SweepFile(Table):
    """A sweep."""

    system: System
    perturbation: Perturbation | None = None
    equation: Equation = None
    axes: dict[str, Axis] = Field(min_length=1)
    output: Output = Output()


class FitFile(Table):
    """A fit."""

    system: System
    perturbation: Perturbation | None = None
    equation: Equation = None
    coordinates: dict[str, str] = Field(min_length=1)
    observables: dict[str, Observable] = Field(min_length=1)
    parameters: dict[str, Parameter] = Field(min_length=1)
    fit: FitOptions = FitOptions()


FILES: dict[str, type[Table]] = {"sweep": SweepFile, "fit": FitFile}


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON schema of a file, "sweep" or "fit", for editors that complete and check TOML."""
    if kind not in FILES:
        raise InputError(f"schema: there are schemas of {', '.join(FILES)}; got {kind!r}.")
    return FILES[kind].model_json_schema()


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a file."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from error


def checked(kind: str, tables: dict[str, Any]) -> dict[str, Any]:
    """A copy of the tables.

    **Raises:** `InputError` that names every mistake."""
    try:
        FILES[kind].model_validate(tables)
        return copy.deepcopy(tables)
    except ValidationError as error:
        raise InputError("; ".join(_words(mistake, tables) for mistake in error.errors())) from error


EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "greater_than_equal": "a whole number of at least 1",
    "finite_number": "a finite number",
    "string_type": "a word",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _words(mistake: Any, tables: Any) -> str:
    """A mistake that pydantic found, in a sentence; tags of unions are left out of its place."""
    path, kind = "", mistake["type"]
    at: Any = tables
    for i, key in enumerate(mistake["loc"]):
        if isinstance(at, list) and isinstance(key, int):
            path, at = f"{path}[{key}]", at[key]
        elif isinstance(at, dict) and (key in at or (kind == "missing" and i == len(mistake["loc"]) - 1)):
            path, at = f"{path}.{key}".lstrip("."), at.get(key)
    context = mistake.get("ctx", {})
    if kind == "unknown_key":
        key = f"{path}.{context['key']}".lstrip(".")
        return f"unknown key {key!r}; {context['hint']}"
    if kind in ("missing", "too_short"):
        return f"{path} is missing." if "." in path else f"[{path}] is missing."
    if kind in ("union_tag_invalid", "literal_error", "union_tag_not_found"):
        names = re.findall(r"'([^']*)'", context.get("expected_tags", context.get("expected", "")))
        value, label = context.get("tag", mistake["input"]), re.sub(r"\W", "", context.get("discriminator", ""))
        if label and not isinstance(at, dict):
            return f"{path} must be a table; got {at!r}."
        path = f"{path}.{label}" if label else path
        missing = isinstance(at, dict) and label and label not in at
        return f"{path} is missing." if missing else f"{path}: {value!r} is not known; {hint(value, names)}"
    if kind == "table":
        return path + mistake["msg"]
    expected = EXPECTED.get(kind)
    return f"{path} must be {expected}; got {mistake['input']!r}." if expected else f"{path}: {mistake['msg']}."
