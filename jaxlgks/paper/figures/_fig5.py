"""Fig. 5: the steady heat current through two qubits against the strength of the perturbation.

Takes: the parameters of Fig. 5. Returns: at T̄ = 50 and 5000 the current of the local equation, Eqs. (42)+(43), of the
global one, Eq. (46), and the tangent at δ = 0 that the microscopic model really has. At δ = 0 exactly the Bohr
frequencies of the Davies equation are degenerate and form two groups; at any other δ there are four.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ..._equations import Davies
from ..._response import thermodynamic_response
from .. import _formulas as f
from .._currents import computed_currents
from .._parameters import FIG4_DIFFERENCE, FIG5_MEANS, QubitParameters, around, qubit_perturbation
from ._style import BLACK, BLUE, COMPUTED, GREEN, RED, dataset, letter, new_figure, variable

SHIFTS, SHIFT_POINTS = np.linspace(-60.0, 60.0, 241), np.linspace(-60.0, 60.0, 13)
CURRENT = "gamma^2"


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """Formulas, currents of `Davies()` and `Local`, and the tangent from `thermodynamic_response`."""
    p = QubitParameters()
    T_a, T_b = around(np.array(FIG5_MEANS)[:, None], FIG4_DIFFERENCE)
    J0, slope = (np.asarray(g(p, T_a, T_b)) for g in (f.current_unperturbed, f.current_local_slope))
    progress("tangents at δ = 0")
    tangents = np.array([_tangent(p, mean) for mean in FIG5_MEANS])[:, None]
    progress("currents against δΩ")
    points = np.stack([computed_currents(p, *around(mean, FIG4_DIFFERENCE), SHIFT_POINTS) for mean in FIG5_MEANS], 1)
    grid, computed = ("T_mean", "shift"), ("T_mean", "shift_point")
    variables = {
        "unperturbed": variable("T_mean", J0[:, 0], "J0, Eq. (42)", CURRENT),
        "local": variable(grid, J0 + slope * SHIFTS, "J0 + delta J1, Eqs. (42), (43)", CURRENT),
        "global": variable(grid, np.asarray(f.current_global(p, T_a, T_b, SHIFTS)), "J, Eq. (46)", CURRENT),
        "tangent": variable(grid, J0 + tangents * SHIFTS, "J0 + true slope, Davies, groups at 0", CURRENT),
        "slope": variable("T_mean", tangents[:, 0], "dJ/d(delta Omega) at delta = 0, microscopic model", "gamma"),
        "local_slope": variable("T_mean", slope[:, 0], "dJ/d(delta Omega), Eq. (43)", "gamma"),
        "global_computed": variable(computed, points[0], "J, Davies of the split Hamiltonian", CURRENT),
        "local_computed": variable(computed, points[1], "J, Local", CURRENT),
    }
    coordinates = {
        "T_mean": variable("T_mean", np.array(FIG5_MEANS), "mean temperature", "gamma"),
        "shift": variable("shift", SHIFTS, "delta Omega", "gamma"),
        "shift_point": variable("shift_point", SHIFT_POINTS, "delta Omega, computed points", "gamma"),
    }
    parameters = {k: v for k, v in p._asdict().items() if k != "shift"} | {"Delta_T": FIG4_DIFFERENCE}
    return dataset(variables, coordinates, "Fig. 5: steady heat current from bath a against delta Omega", parameters)


def _tangent(p: QubitParameters, mean: float) -> float:
    system = p.model(*around(mean, FIG4_DIFFERENCE))
    linear = thermodynamic_response(system, qubit_perturbation(), Davies().fixed(system))
    return float(linear.heat_currents.static().total[0])


def draw(data: xr.Dataset) -> Figure:
    """Left: low temperature, right: high. Lines are formulas or the tangent, markers computed."""
    figure, panels = new_figure(1, 2, (9.2, 3.9))
    factors, units = (1e3, 1.0), (r"($10^{-3}\,\hbar\gamma^2$)", r"($\hbar\gamma^2$)")
    for index, (panel, factor, unit) in enumerate(zip(panels, factors, units, strict=True)):
        one = data.isel(T_mean=index)
        shift, points = one["shift"], one["shift_point"]
        level = factor * float(one["unperturbed"])
        panel.axhline(level, color=BLACK, linestyle="--", linewidth=1.2, label="unperturbed, Eq. (42)")
        panel.plot(shift, factor * one["local"], color=RED, label="local, Eqs. (42)+(43)")
        panel.plot(shift, factor * one["global"], color=BLUE, label="global, Eq. (46)")
        tangent = factor * one["tangent"]
        panel.plot(shift, tangent, color=GREEN, linestyle="-.", label=r"tangent at $\delta = 0$, computed")
        panel.plot(points, factor * one["local_computed"], **(COMPUTED | {"color": RED}))
        panel.plot(points, factor * one["global_computed"], **(COMPUTED | {"color": BLUE, "marker": "D"}))
        panel.plot([], [], color="0.35", label="computed", **COMPUTED)
        panel.set_xlabel(r"perturbation  $\delta\Omega$  ($\hbar\gamma$)")
        panel.set_ylabel(rf"heat current  $\mathcal{{J}}^a$  {unit}")
        letter(panel, "ab"[index], rf"$\bar T = {float(one['T_mean']):.0f}$, $\Delta T = 20$")
    panels[0].set_ylim(-0.35, 2.15)
    panels[0].legend(loc="upper left")
    panels[1].legend(loc="lower left")
    return figure
