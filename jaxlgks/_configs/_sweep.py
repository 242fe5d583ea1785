"""A sweep described by a TOML file.

Takes: a file. Returns: the arguments of `sweep`.

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

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ._schema import checked, read_toml
from ._system import PAIR, addresses, builder, equation_of, observable, quantity, require_addressed, temperatures


class SweepArguments(NamedTuple):
    """The arguments of `sweep`."""

    f: Callable[..., dict]
    axes: dict[str, np.ndarray]
    options: dict[str, Any]


def read_sweep(path: str | Path) -> SweepArguments:
    """The sweep in a TOML file.

    **Raises:** `InputError`, naming the key and, for an unknown one, the nearest valid one.
    """
    return sweep_arguments(read_toml(path))


def sweep_arguments(tables: dict) -> SweepArguments:
    """The sweep in a table of tables."""
    config = checked("sweep", tables)
    where, axis_tables, output = addresses(config), config["axes"], config.get("output", {})
    require_addressed(axis_tables, where, "axes")
    one, other = ([name for name in names if name in axis_tables] for names in (temperatures(where), PAIR))
    if one and other:
        raise InputError(f"axes {', '.join(one)} and {', '.join(other)} set the same temperatures; keep one kind.")
    names = output.get("quantities", [] if "observables" in output else ["heat_currents"])
    computed = {name: quantity(name) for name in names}
    computed |= {name: observable(name, {"operator": A}) for name, A in output.get("observables", {}).items()}
    equation, solver = equation_of(config.get("equation"))
    build = builder(config, where, axis_tables)

    def f(**numbers) -> dict:
        system = build(numbers)
        return {name: of(system, equation, solver) for name, of in computed.items()}

    axes = {name: _axis(table) for name, table in axis_tables.items()}
    first = build({name: float(values[0]) for name, values in axes.items()})  # names mistakes before compiling anything
    baths = [bath.name for bath in first.baths]
    dims: Any = {"bath": baths} if all(baths) and len(set(baths)) == len(baths) else ("bath",)
    options = {
        "derivatives": tuple(output.get("derivatives", ())),
        "units": {name: table["unit"] for name, table in axis_tables.items() if "unit" in table},
        "dims": {"heat_currents": dims} if "heat_currents" in computed else {},
    }
    f.__qualname__ = "sweep of " + config["system"].get("model", "a system")
    return SweepArguments(f, axes, options)


def _axis(table: dict) -> np.ndarray:
    if "values" in table:
        return np.asarray(table["values"], float)
    spaced = np.geomspace if table.get("scale") == "log" else np.linspace
    return spaced(float(table["from"]), float(table["to"]), table["points"])
