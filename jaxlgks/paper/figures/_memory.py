"""A heat current under a weak drive of frequency ω: size and phase over five decades.

Takes: two systems with exact χ(ω). Returns: χ of the heat current from bath a where dissipators follow the drive at
once, as in Eqs. (23), (24), (33), where they follow with the memory of their baths, and exactly.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .._memory import OMEGAS, TITLES, Susceptibility, stored, susceptibilities
from ._style import BLACK, COMPUTED, CORRECTED, PRINTED, dataset, letter, new_figure, variable


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """Size and phase of χ(ω)."""
    lines, points = [], []
    for name in TITLES:
        progress(f"χ(ω), {name}")
        line, point = susceptibilities(name)
        lines.append(line)
        points.append(point)
    grid, at = ("system", "omega"), ("system", "omega_exact")
    variables = {
        **_two("at_once", [x.at_once for x in lines], grid, "dissipators follow at once"),
        **_two("memory", [x.with_memory for x in lines], grid, "dissipators with memory"),
        **_two("exact", [x.exact for x in points], at, "HEOM"),
        "error_at_once": variable(at, [error(x, x.at_once) for x in points], "relative error, at once", "1"),
        "error_memory": variable(at, [error(x, x.with_memory) for x in points], "relative error, with memory", "1"),
    }
    coordinates = {
        "system": list(TITLES),
        "omega": variable("omega", OMEGAS, "frequency of the drive", "level distance"),
        "omega_exact": variable("omega_exact", np.array(stored()["two"]["omega"]), "the same, HEOM", "level distance"),
    }
    title = "Susceptibility of the heat current from bath a to a weak drive of frequency omega"
    return dataset(variables, coordinates, title, {}, unit="the level distance")


def error(at: Susceptibility, found: np.ndarray) -> np.ndarray:
    """|χ − χ_exact| / |χ_exact|."""
    return np.abs(found - at.exact) / np.abs(at.exact)


def _two(name: str, chi: list[np.ndarray], dims: tuple[str, str], what: str) -> dict[str, xr.Variable]:
    values = np.stack(chi)
    phase = np.unwrap(np.angle(values), axis=1)
    return {
        f"size_{name}": variable(dims, np.abs(values), f"|chi|, {what}", "1"),
        f"phase_{name}": variable(dims, phase, f"phase of chi, {what}", "rad"),
    }


def draw(data: xr.Dataset) -> Figure:
    """Above sizes, below phases; left one qubit, right two."""
    figure, panels = new_figure(2, 2, (9.2, 6.2), sharex=True)
    known = data["omega_exact"] > 0
    for column, title in enumerate(TITLES.values()):
        one = data.isel(system=column)
        for row, kind in enumerate(("size", "phase")):
            panel = panels[row, column]
            scale = 1.0 if row == 0 else 1 / np.pi
            panel.plot(one["omega"], scale * one[f"{kind}_at_once"], **PRINTED, label="at once, Eqs. (23), (24)")
            panel.plot(one["omega"], scale * one[f"{kind}_memory"], **CORRECTED, label="with memory")
            exact = scale * one[f"{kind}_exact"][known]
            panel.plot(one["omega_exact"][known], exact, **(COMPUTED | {"color": BLACK}), label="HEOM")
            panel.set_xscale("log")
        panels[0, column].set_yscale("log")
        letter(panels[0, column], "ab"[column], title)
        letter(panels[1, column], "cd"[column], "phase")
        panels[1, column].set_xlabel(r"frequency of the drive  $\omega$  (level distance)")
    panels[0, 0].set_ylabel(r"$|\chi(\omega)|$ of the heat current $\mathcal{J}^a$")
    panels[1, 0].set_ylabel(r"$\arg\,\chi(\omega)$  ($\pi$)")
    panels[1, 0].legend(loc="lower right")
    return figure
