"""φ(τ) of Fig. 2 where baths have a memory: at once, with memory, exact.

Takes: nothing. Returns: the response of the a oscillator's population to a kick of the cubic potential, its deviations
from the exact one, and the largest of them against the coupling. Not a figure of the paper.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .._drude_oscillators import COUPLINGS, TIMES, drude, impulses, scaled
from .._parameters import FIG2_TEMPERATURES
from ._style import BLACK, BLUE, COMPUTED, ORANGE, RED, dataset, letter, new_figure, variable

SHOWN = 0.1
"""Of (a) and (b), in units of the rates of Fig. 2."""
LABELS = {
    "closed": "Eqs. (31), (32) corrected: at once, no Lamb shift",
    "at_once": "Redfield, at once",
    "with_memory": "Redfield, with memory",
    "exact": "oscillators and baths solved together",
}
LOOKS = {
    "closed": {"color": RED, "linestyle": "--", "linewidth": 1.4},
    "at_once": {"color": ORANGE, "linewidth": 2.6},
    "with_memory": {"color": BLUE, "linewidth": 1.3},
}


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """φ(τ) at every coupling, and the largest deviations."""
    progress("oscillators and Drude baths")
    found = impulses()
    largest = np.max(np.abs(found.exact), axis=1)
    variables = {}
    for name, label in LABELS.items():
        values = getattr(found, name)
        variables[name] = variable(("coupling", "time"), values, f"phi(tau), {label}", "gamma")
        if name != "exact":
            worst = np.max(np.abs(values - found.exact), axis=1) / largest
            text = f"largest deviation from the exact phi(tau), over its largest value, {label}"
            variables[f"{name}_deviation"] = variable("coupling", worst, text, "1")
    coordinates = {
        "coupling": variable("coupling", np.array(COUPLINGS), "rates of the baths", "those of Fig. 2"),
        "time": variable("time", TIMES, "time after the kick", "1/gamma"),
    }
    p = scaled(1.0)
    strength, cutoff = drude(p)
    parameters = p._asdict() | dict(zip(("T_a", "T_b"), FIG2_TEMPERATURES, strict=True))
    parameters |= {"lambda": strength, "cutoff": cutoff}
    return dataset(variables, coordinates, "Fig. 2 with the memory of its baths: at once and exact", parameters)


def draw(data: xr.Dataset) -> Figure:
    """φ(τ); its deviations in time; the largest against the coupling."""
    figure, panels = new_figure(1, 3, (11.4, 3.9))
    shown = data.sel(coupling=SHOWN)
    time, largest = data["time"], float(abs(shown["exact"]).max())
    few = slice(0, None, 3)
    panels[0].plot(time[few], shown["exact"][few], color=BLACK, label=LABELS["exact"], zorder=5, **COMPUTED)
    for name, look in LOOKS.items():
        panels[0].plot(time, shown[name], label=LABELS[name], **look)
        deviation = abs(shown[name] - shown["exact"]) / largest
        panels[1].semilogy(time, deviation.where(deviation > 0), **look)
        line = dict(look, marker="o", markersize=4)
        panels[2].loglog(data["coupling"], data[f"{name}_deviation"], **line)
    panels[0].set_xlim(0, 1.3)
    panels[0].set_ylim(-420, 820)
    panels[0].set_ylabel(r"$\phi_{a^\dagger a}(\tau)$  ($\gamma$)")
    panels[1].set_xlim(0, 2)
    panels[1].set_ylim(1e-6, 1)
    panels[1].set_ylabel(r"$|\phi - \phi_{\mathrm{exact}}|\,/\,\max|\phi_{\mathrm{exact}}|$")
    for panel in panels[:2]:
        panel.set_xlabel(r"time after the kick  $\tau$  ($1/\gamma$)")
    panels[2].set_xlabel(r"rates of the baths  (those of Fig. 2)")
    panels[2].set_ylabel(r"largest deviation, $\tau \leq 2/\gamma$")
    panels[2].set_xticks(COUPLINGS, [f"{x:g}" for x in COUPLINGS])
    panels[2].minorticks_off()
    _start(panels[0], shown)
    titles = ("response to a kick", "deviation from exact", "against the coupling")
    for name, panel, title in zip("abc", panels, titles, strict=True):
        letter(panel, name, title)
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=4)
    return figure


def _start(panel, shown: xr.Dataset) -> None:
    """φ(0⁺): zero, but for the closed form."""
    inset = panel.inset_axes((0.2, 0.7, 0.42, 0.28))
    early = shown.isel(time=slice(0, 2))
    for name, look in LOOKS.items():
        inset.plot(early["time"], early[name], **look)
    inset.plot(early["time"], early["exact"], color=BLACK, **(COMPUTED | {"markersize": 3}))
    inset.axhline(0, color="0.4", linewidth=0.8)
    inset.set_xlim(0, 0.004)
    inset.set_ylim(-14, 2)
    inset.set_xticks([0, 0.002, 0.004])
    inset.tick_params(labelsize=7)
