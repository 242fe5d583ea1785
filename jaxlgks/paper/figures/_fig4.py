"""Fig. 4(b), (c): the steady heat current through two qubits, with and without the perturbation.

Takes: the parameters of Fig. 4. Returns: currents against ΔT at T̄ = 50, and their response against T̄ at ΔT = 20, by
the formulas (42), (43), (46) and by the library from the microscopic model.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .. import _formulas as f
from .._currents import computed_currents
from .._parameters import FIG4_DIFFERENCE, FIG4_MEAN, QubitParameters, around
from ._style import BLACK, BLUE, COMPUTED, RED, dataset, letter, new_figure, variable

DIFFERENCES, DIFFERENCE_POINTS = np.linspace(0.0, 40.0, 201), np.linspace(4.0, 40.0, 10)
MEANS = np.linspace(40.0, 2000.0, 491)
MEAN_POINTS = np.array([60.0, 100, 150, 200, 250, 300, 400, 550, 750, 1000, 1300, 1600, 1900])

CURRENT = "gamma^2"


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """Formulas on fine grids, `heat_currents` of `Davies()` and `Local` on coarse ones."""
    p = QubitParameters()
    progress("currents against ΔT")
    variables = _panel(p, "difference", (FIG4_MEAN, DIFFERENCES), (FIG4_MEAN, DIFFERENCE_POINTS))
    progress("response against T̄")
    variables |= _panel(p, "mean", (MEANS, FIG4_DIFFERENCE), (MEAN_POINTS, FIG4_DIFFERENCE))
    coordinates = {
        "difference": variable("difference", DIFFERENCES, "temperature difference", "gamma"),
        "difference_point": variable("difference_point", DIFFERENCE_POINTS, "the same, computed points", "gamma"),
        "mean": variable("mean", MEANS, "mean temperature", "gamma"),
        "mean_point": variable("mean_point", MEAN_POINTS, "the same, computed points", "gamma"),
    }
    parameters = p._asdict() | {"T_mean_b": FIG4_MEAN, "Delta_T_c": FIG4_DIFFERENCE}
    return dataset(variables, coordinates, "Fig. 4: steady heat current from bath a", parameters)


def _panel(p: QubitParameters, dim: str, grid, points) -> dict[str, xr.Variable]:
    """Three currents as formulas along `dim`, and computed along `dim`_point."""
    T_a, T_b = around(*grid)
    J0 = np.asarray(f.current_unperturbed(p, T_a, T_b))
    slope = np.asarray(f.current_local_slope(p, T_a, T_b))
    formulas = {
        "unperturbed": (J0, "J0, Eq. (42)"),
        "local": (J0 + p.shift * slope, "J0 + delta J1, Eqs. (42), (43)"),
        "global": (f.current_global(p, T_a, T_b, p.shift), "J, Eq. (46)"),
    }
    T_a, T_b = around(*points)
    unperturbed = computed_currents(p, T_a, T_b, 0.0)[0]
    split, local = computed_currents(p, T_a, T_b, p.shift)
    computed = {
        "unperturbed": (unperturbed, "J0, Davies"),
        "local": (local, "J, Local"),
        "global": (split, "J, Davies of the split Hamiltonian"),
    }
    variables = {f"{k}_{dim}": variable(dim, np.asarray(v), text, CURRENT) for k, (v, text) in formulas.items()}
    for name, (values, text) in computed.items():
        variables[f"{name}_{dim}_computed"] = variable(f"{dim}_point", np.asarray(values), text, CURRENT)
    return variables


SERIES = {
    "unperturbed": (BLACK, "--", "unperturbed, Eq. (42)", "s"),
    "local": (RED, "-", "local, Eqs. (42)+(43)", "o"),
    "global": (BLUE, "-", "global, Eq. (46)", "D"),
}


def draw(data: xr.Dataset) -> Figure:
    """Lines are formulas, markers computed."""
    figure, (current, response) = new_figure(1, 2, (9.2, 3.9))
    for name, (color, style, label, marker) in SERIES.items():
        look = COMPUTED | {"color": color, "marker": marker}
        current.plot(data["difference"], 1e3 * data[f"{name}_difference"], color=color, linestyle=style, label=label)
        current.plot(data["difference_point"], 1e3 * data[f"{name}_difference_computed"], **look)
        if name == "unperturbed":
            continue
        change = data[f"{name}_mean"] - data["unperturbed_mean"]
        response.plot(data["mean"], change, color=color, label=label.replace("Eqs. (42)+(43)", "Eq. (43)"))
        change = data[f"{name}_mean_computed"] - data["unperturbed_mean_computed"]
        response.plot(data["mean_point"], change, **look)
    for panel in (current, response):
        panel.plot([], [], color="0.35", label="computed", **COMPUTED)
    response.axhline(0, color="0.4", linewidth=0.8)
    response.set_xlim(0, 2000)
    current.set_xlim(0, 41)
    letter(current, "b", r"current at $\bar T = 50$, $\delta\Omega = 50$")
    letter(response, "c", r"its response at $\Delta T = 20$, $\delta\Omega = 50$")
    current.set_xlabel(r"temperature difference  $\Delta T$  ($\hbar\gamma/k_B$)")
    response.set_xlabel(r"mean temperature  $\bar T$  ($\hbar\gamma/k_B$)")
    current.set_ylabel(r"heat current  $\mathcal{J}^a$  ($10^{-3}\,\hbar\gamma^2$)")
    response.set_ylabel(r"$\mathcal{J}^a - \mathcal{J}^a_0$  ($\hbar\gamma^2$)")
    current.legend(loc="upper left")
    response.legend(loc="upper right")
    return figure
