"""Fig. 2(b): the response of the a oscillator's population in time.

Takes: the parameters of Fig. 2. Returns: Φ^(1,1)(t) and Φ^(1,2)(t) of Eqs. (31)–(33), printed and corrected, beside the
same computed without truncation at the paper's temperatures, and beside brute-force values where a truncated Fock
space is enough.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .. import _formulas as f
from .._brute_force import occupation_response
from .._parameters import FIG2_TEMPERATURES, OscillatorParameters
from .._untruncated import untruncated_response
from ._style import BLACK, BLUE, COMPUTED, CORRECTED, PRINTED, dataset, letter, new_figure, variable

AFFORDABLE = (4.5, 5.5)
TIMES = np.linspace(0.0, 8.0, 1601)
SAMPLES = 0.05 * np.arange(81)
PAPER_SAMPLES = 0.05 * np.arange(161)

CURVES = {
    "kubo": (f.step_kubo, "Phi^(1,1)(t), Eqs. (31), (33)"),
    "rotation_printed": (f.step_rotation_printed, "Phi^(1,2)(t), Eq. (32) as printed"),
    "rotation_corrected": (f.step_rotation, "Phi^(1,2)(t), Eq. (32) corrected"),
}


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """Formulas on a fine grid of times; brute force by `response(...).step`."""
    p = OscillatorParameters()
    progress("closed forms at T = (2000, 2100)")
    variables = {}
    for where, temperatures in (("paper", FIG2_TEMPERATURES), ("affordable", AFFORDABLE)):
        for name, (curve, text) in CURVES.items():
            values = np.asarray(curve(p, *temperatures, TIMES))
            variables[f"{name}_{where}"] = variable("time", values, f"{text}, {where} temperatures", "1")
    progress(f"brute force in time at T = {AFFORDABLE}")
    linear, _ = occupation_response(p, *AFFORDABLE)
    parts = linear.step(SAMPLES)
    for name, label in (("kubo", "Phi^(1,1)(t)"), ("rotation", "Phi^(1,2)(t)")):
        values = np.asarray(getattr(parts, name))
        variables[f"{name}_computed"] = variable("sample_time", values, f"{label}, microscopic model", "1")
    progress("without truncation at T = (2000, 2100)")
    parts = untruncated_response(p, *FIG2_TEMPERATURES).step(PAPER_SAMPLES)
    for name, label in (("kubo", "Phi^(1,1)(t)"), ("rotation", "Phi^(1,2)(t)")):
        text = f"{label}, model without truncation, paper temperatures"
        variables[f"{name}_exact"] = variable("paper_sample_time", np.asarray(getattr(parts, name)), text, "1")
    coordinates = {
        "paper_sample_time": variable("paper_sample_time", PAPER_SAMPLES, "time, points without truncation", "1/gamma"),
        "time": variable("time", TIMES, "time after the potential is switched on", "1/gamma"),
        "sample_time": variable("sample_time", SAMPLES, "time, computed points", "1/gamma"),
    }
    parameters = p._asdict() | dict(zip(("T_a", "T_b"), FIG2_TEMPERATURES, strict=True))
    parameters |= dict(zip(("T_a_affordable", "T_b_affordable"), AFFORDABLE, strict=True))
    return dataset(variables, coordinates, "Fig. 2b: response of the occupation of oscillator a", parameters)


def draw(data: xr.Dataset) -> Figure:
    """Columns: the paper's temperatures, affordable ones. Rows: Kubo part, part from the rotated dissipator."""
    figure, axes = new_figure(2, 2, (9.2, 5.8), sharex="col")
    time = data["time"]
    for column, where in enumerate(("paper", "affordable")):
        top, bottom = axes[:, column]
        top.plot(time, data[f"kubo_{where}"], color=BLACK, linewidth=1.4, label="Eq. (31)")
        bottom.plot(time, data[f"rotation_corrected_{where}"], label="Eq. (32) corrected", **CORRECTED)
        bottom.plot(time, data[f"rotation_printed_{where}"], label="Eq. (32) printed", **PRINTED)
        bottom.set_xlabel(r"time  $t$  ($1/\gamma$)")
    every = data.isel(paper_sample_time=slice(0, None, 2))  # as many points as can be told apart
    axes[0, 0].plot(every["paper_sample_time"], every["kubo_exact"], color=BLACK, **COMPUTED)
    axes[1, 0].plot(every["paper_sample_time"], every["rotation_exact"], color=BLUE, **COMPUTED)
    samples = data["sample_time"]
    axes[0, 1].plot(samples, data["kubo_computed"], color=BLACK, **COMPUTED)
    axes[1, 1].plot(samples, data["rotation_computed"], color=BLUE, **COMPUTED)
    letter(axes[0, 0], "a", "Kubo part, temperatures of the paper")
    letter(axes[1, 0], "b", "rotation part, temperatures of the paper")
    letter(axes[0, 1], "c", "Kubo part, within reach of brute force")
    letter(axes[1, 1], "d", "rotation part, within reach of brute force")
    for column, text in enumerate(("$T_a = 2000$, $T_b = 2100$", "$T_a = 4.5$, $T_b = 5.5$")):
        axes[0, column].text(0.98, 0.06, text, transform=axes[0, column].transAxes, ha="right")
        axes[0, column].set_xlim(0, (8, 4)[column])
    axes[0, 0].set_ylabel(r"$\Phi^{(1,1)}_{a^\dagger a}(t)$")
    axes[1, 0].set_ylabel(r"$\Phi^{(1,2)}_{a^\dagger a}(t)$")
    _magnify(axes[1, 0], data)
    axes[0, 0].plot([], [], color="0.35", label="computed from the microscopic model", **COMPUTED)
    handles = [h for panel in axes[:, 0] for h in panel.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _magnify(panel, data: xr.Dataset) -> None:
    """The corrected curve alone: on the scale of the printed one it cannot be told from zero."""
    inset = panel.inset_axes((0.5, 0.67, 0.48, 0.32))
    inset.plot(data["time"], data["rotation_corrected_paper"], **(CORRECTED | {"linewidth": 1.1}))
    few = data.isel(paper_sample_time=slice(0, None, 4))
    inset.plot(few["paper_sample_time"], few["rotation_exact"], color=BLUE, **(COMPUTED | {"markersize": 2.5}))
    inset.set_xlim(0, 8)
    inset.tick_params(labelsize=8)
    inset.set_ylabel("corrected", fontsize=8)
