"""A qubit under a weak to strong drive: mean and first harmonic of ⟨σz⟩, and the heat current. And a heat pump.

Takes: steady cycles over the amplitude of the drive. Returns: cycles where dissipators follow the drive at once and
with the memory of the bath, exactly, and by QuTiP's two solvers; below them what `_pump` draws.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .._drive import AMPLITUDES, CUTOFF, TEMPERATURE, Cycles, cycles, outside, points, stored
from . import _pump
from ._style import BLACK, COMPUTED, CORRECTED, GREEN, ORANGE, PRINTED, dataset, letter, new_figure, variable

LINES = {"at_once": "dissipators follow at once", "memory": "dissipators with memory"}
POINTS = {"heom": "HEOM", "brmesolve": "QuTiP brmesolve", "fmmesolve": "QuTiP fmmesolve"}
MARKS = {"heom": (BLACK, "o"), "brmesolve": (ORANGE, "s"), "fmmesolve": (GREEN, "^")}


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """Means, sizes of first harmonics, heat currents."""
    variables = {}
    for name, what in LINES.items():
        progress(f"steady cycles, {what}")
        variables |= _three(name, cycles(name == "at_once")[0], "amplitude", what)
    for name, what in POINTS.items():
        variables |= _three(name, outside(name), "amplitude_point", what)
    pump, beside = _pump.compute(progress)
    unit = "level distance"
    coordinates = {
        "amplitude": variable("amplitude", AMPLITUDES, "amplitude of the drive", unit),
        "amplitude_point": variable("amplitude_point", points(), "the same, numbers from outside", unit),
    }
    coordinates |= beside
    numbers = {key: stored()[key] for key in ("strength", "omega")}
    parameters = numbers | {"temperature": TEMPERATURE, "cutoff": CUTOFF}
    parameters |= _pump.parameters()
    title = "Steady cycles of a driven qubit, and of two that pump heat"
    return dataset(variables | pump, coordinates, title, parameters, unit="the level distance")


def _three(name: str, found: Cycles, dim: str, what: str) -> dict[str, xr.Variable]:
    return {
        f"mean_{name}": variable(dim, found.mean, f"mean of sigma_z, {what}", "1"),
        f"first_{name}": variable(dim, np.abs(found.first), f"first harmonic of sigma_z, size, {what}", "1"),
        f"current_{name}": variable(dim, found.current, f"mean heat current from the bath, {what}", "level distance^2"),
    }


def draw(data: xr.Dataset) -> Figure:
    """Three panels over the amplitude, and three of the pump."""
    figure, (panels, below) = new_figure(2, 3, (11.0, 7.4))
    kinds = {
        "mean": (r"mean of $\langle\sigma_z\rangle$", 1.0),
        "first": (r"first harmonic of $\langle\sigma_z\rangle$,  $10^{3}\,|a_1|$", 1e3),
        "current": (r"mean heat current,  $10^{4}\,J$", 1e4),
    }
    for panel, name, (kind, (label, scale)) in zip(panels, "abc", kinds.items(), strict=True):
        panel.plot(data["amplitude"], scale * data[f"{kind}_at_once"], **PRINTED, label="at once")
        panel.plot(data["amplitude"], scale * data[f"{kind}_memory"], **CORRECTED, label="with memory")
        for solver, what in POINTS.items():
            color, marker = MARKS[solver]
            values = scale * data[f"{kind}_{solver}"]
            if np.isfinite(values).any():
                panel.plot(
                    data["amplitude_point"], values, **(COMPUTED | {"color": color, "marker": marker}), label=what
                )
        letter(panel, name, label)
        panel.set_xlabel(r"amplitude of the drive  $\delta$  (level distance)")
    panels[0].legend(loc="best")
    _pump.draw(below, data)
    return figure
