"""How the figures look: one palette, one meaning per colour, one way to save.

Takes: a matplotlib figure. Returns: PNG and PDF files whose bytes depend on nothing but the figure.
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers and in grey.
BLACK, BLUE, RED, GREEN, ORANGE, PURPLE = "#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7"

PRINTED = {"color": RED, "linestyle": "--", "linewidth": 1.6}
CORRECTED = {"color": BLUE, "linewidth": 1.6}
COMPUTED = {"linestyle": "none", "marker": "o", "markersize": 4.2, "markerfacecolor": "white", "markeredgewidth": 1.1}

STYLE: dict = {
    "font.size": 9.5,
    "axes.labelsize": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": True,
    "legend.framealpha": 0.95,
    "legend.edgecolor": "0.85",
    "figure.constrained_layout.use": True,
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "svg.hashsalt": "jaxlgks",
}


def new_figure(rows: int, columns: int, size: tuple[float, float], **layout):
    """A figure and its axes in the project's style, made without a display."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, **layout)
    return figure, axes


def letter(axes: Axes, name: str, title: str) -> None:
    """Panel letter and title, above the panel on the left."""
    axes.set_title(rf"$\bf{{({name})}}$  {title}", loc="left")


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write PNG (160 dpi) and PDF without dates, so that the same figure gives the same bytes."""
    paths = [stem.with_suffix(".png"), stem.with_suffix(".pdf")]
    with mpl.rc_context(STYLE):
        figure.savefig(paths[0], dpi=160, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"CreationDate": None, "Producer": None, "Creator": "jaxlgks"})
    return paths


def variable(dims, values, long_name: str, units: str) -> xr.Variable:
    """A labelled array."""
    return xr.Variable(dims, values, {"long_name": long_name, "units": units})


def dataset(
    variables: Mapping, coordinates: Mapping, title: str, parameters: Mapping, unit: str = "gamma"
) -> xr.Dataset:
    """A labelled data set that carries its parameters, ħ = k_B = 1, in units of γ unless another is named."""
    attributes = {"title": title, "convention": f"hbar = k_B = 1; energies, temperatures, rates in units of {unit}"}
    return xr.Dataset(dict(variables), dict(coordinates), attributes | {k: float(v) for k, v in parameters.items()})
