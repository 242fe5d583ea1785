"""From local to global: the heat current's response to a perturbation that splits groups of equal Bohr frequencies.

Takes: the two qubits for which numerically exact slopes are stored. Returns: currents and relative slopes against δΩ
over six decades, from ντ ≪ 1 to ντ ≫ 1, by five master equations, and the exact slopes. Not a figure of the paper.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._response._diagnosis import LARGE, SMALL
from .._crossover import EQUATIONS, SHIFTS, curves, exact, longest_time, splitting
from ._style import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, dataset, letter, new_figure, variable

CURRENT = "omega^2"


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """Currents at ±δΩ and their symmetric difference quotients."""
    progress("five equations over six decades")
    found = curves()
    names = list(EQUATIONS)
    grid, points = ([found[name][part] for name in names] for part in (0, 1))
    progress("relaxation times")
    tau, reference = longest_time(), exact()
    both, at_points = ("equation", "shift"), ("equation", "shift_point")
    slope = "(J(x) - J(-x))/(2x)/J0"
    variables = {
        "unperturbed": variable("equation", np.array([c.unperturbed for c in grid]), "J0", CURRENT),
        "forward": variable(both, np.stack([c.forward for c in grid]), "J at delta Omega = x", CURRENT),
        "backward": variable(both, np.stack([c.backward for c in grid]), "J at delta Omega = -x", CURRENT),
        "slope": variable(both, np.stack([c.slope for c in grid]), slope, "1/omega"),
        "slope_at_points": variable(at_points, np.stack([c.slope for c in points]), slope, "1/omega"),
        "slope_exact": variable("shift_point", reference.slopes, f"{slope}, HEOM, four digits", "1/omega"),
        "nu_tau": variable("shift", splitting(SHIFTS) * tau, "splitting times relaxation time", "1"),
    }
    coordinates = {
        "equation": variable("equation", np.array(names), "master equation", "1"),
        "shift": variable("shift", SHIFTS, "delta Omega", "omega"),
        "shift_point": variable("shift_point", reference.shifts, "delta Omega, exact slopes", "omega"),
    }
    parameters = reference.parameters | {"tau": tau}
    title = "Crossover: response of the steady heat current from bath a against delta Omega"
    return dataset(variables, coordinates, title, parameters, unit="omega")


# Four of the five curves coincide: a broad line under a thin one under sparse markers shows each of them.
LOOKS: dict[str, tuple[str, dict]] = {
    "local": ("local", {"color": RED, "linewidth": 1.6}),
    "unified": ("unified, clusters fixed", {"color": GREEN, "linewidth": 4.5, "alpha": 0.45}),
    "davies": (r"Davies, regrouped at $\delta$", {"color": BLUE, "linewidth": 1.2}),
    "redfield": ("Redfield", {"color": ORANGE, "linestyle": "none", "marker": "+", "markersize": 7}),
    "universal": ("universal Lindblad", {"color": PURPLE, "linestyle": "none", "marker": "x", "markersize": 5}),
}
EVERY = {"redfield": slice(0, None, 4), "universal": slice(2, None, 4)}
MARKED = {
    "unified": {"linestyle": "none", "marker": "s", "markersize": 9, "markeredgewidth": 0},
    "davies": {"linestyle": "none", "marker": "_", "markersize": 8, "markeredgewidth": 1.4},
}
EXACT = {"color": BLACK, "linestyle": "none", "marker": "o", "markersize": 6, "markerfacecolor": "none", "zorder": 5}


def draw(data: xr.Dataset) -> Figure:
    """Left: the change of the current. Right: its slope with the exact one; inset: their difference."""
    figure, (change, slope) = new_figure(1, 2, (9.2, 4.3))
    for name, (label, look) in LOOKS.items():
        one = data.sel(equation=name).isel(shift=EVERY.get(name, slice(None)))
        change.loglog(one["shift"], abs(one["forward"] / one["unperturbed"] - 1), label=label, **look)
        slope.semilogx(one["shift"], one["slope"], **look)
    slope.semilogx(data["shift_point"], data["slope_exact"], **EXACT)
    change.plot([], [], label="numerically exact (HEOM)", **EXACT)
    change.set_ylim(1e-8, 10)
    slope.set_ylim(-1.95, 0.0)
    for panel in (change, slope):
        _regimes(panel, float(data.attrs["tau"]))
        panel.set_xlabel(r"perturbation  $\delta\Omega$  ($\hbar\omega$)")
    change.set_ylabel(r"$|\mathcal{J}^a(\delta\Omega)/\mathcal{J}^a_0 - 1|$")
    slope.set_ylabel(
        r"$[\mathcal{J}^a(\delta\Omega) - \mathcal{J}^a(-\delta\Omega)]\,/\,2\,\delta\Omega\,\mathcal{J}^a_0$"
        r"  ($1/\hbar\omega$)"
    )
    letter(change, "a", "change of the heat current")
    letter(slope, "b", "relative slope of the heat current")
    _differences(slope, data)
    figure.legend(handles=change.get_legend_handles_labels()[0], loc="outside lower center", ncols=3)
    return figure


def _regimes(panel: Axes, tau: float) -> None:
    """The three regimes as shades, in words along the top."""
    low, high = SHIFTS[0] / 1.5, SHIFTS[-1] * 1.5
    edges = [low, *(limit / splitting(tau) for limit in (SMALL, LARGE)), high]
    names = (
        f"local\n$\\nu\\tau < {SMALL:g}$",
        f"crossover\n${SMALL:g} < \\nu\\tau < {LARGE:g}$",
        f"global\n$\\nu\\tau > {LARGE:g}$",
    )
    for left, right, shade, name in zip(edges, edges[1:], ("1.0", "0.93", "0.86"), names, strict=False):
        panel.axvspan(left, right, color=shade, zorder=0, linewidth=0)
        at = np.sqrt(left * right)
        panel.text(at, 0.985, name, transform=panel.get_xaxis_transform(), ha="center", va="top", fontsize=8.5)
    panel.set_xlim(low, high)


def _differences(panel: Axes, data: xr.Dataset) -> None:
    """The four equations against the exact slopes, grey where only their last digit is left."""
    inset = panel.inset_axes((0.15, 0.27, 0.62, 0.36))
    slopes, points = data["slope_exact"], np.arange(data.sizes["shift_point"])
    digit = 1e4 * 0.5e-4 / np.abs(slopes)
    inset.bar(points, 2 * digit, 0.7, -digit, color="0.88")
    for name, (_, look) in LOOKS.items():
        if name != "local":
            difference = 1e4 * (data["slope_at_points"].sel(equation=name) / slopes - 1)
            inset.plot(points, difference, **(look | MARKED.get(name, {})))
    inset.set_xticks(points, [f"{x:g}" for x in data["shift_point"].values])
    inset.set_ylim(-3, 3)
    inset.set_xlim(-0.4, points[-1] + 0.4)
    inset.text(0.02, 0.04, "grey: last digit of HEOM", transform=inset.transAxes, fontsize=8, color="0.35")
    inset.tick_params(labelsize=8)
    inset.set_title(r"relative difference from HEOM ($10^{-4}$)", fontsize=8.5)
    inset.set_xlabel(r"$\delta\Omega$", fontsize=8.5, labelpad=1)
