"""A heat pump between two baths of one temperature, the lower panels of the figure of driven systems.

Takes: steady cycles of two qubits over the frequency and the phase of their drives. Returns: variables, and panels of
the heat pumped in a cycle and the work of the drives, with exact numbers and the limit of slow loops.
"""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from .._pump import PHASES, QUARTER, RATIOS, WEAKENED, all_pumped, geometric_limit, points, stored
from ._style import BLACK, COMPUTED, CORRECTED, GREEN, PURPLE, letter, variable

WEAK = {"color": PURPLE, "linewidth": 1.6, "linestyle": "-."}
LIMIT = {"color": GREEN, "linestyle": "--", "linewidth": 1.4}
UNIT = "level distance"
CURVE = np.linspace(-np.pi, np.pi, 121)


def compute(progress: Callable[[str], None]) -> tuple[dict[str, xr.Variable], dict[str, xr.Variable]]:
    """Variables, coordinates."""
    progress("heat pump, cycles over frequency and phase")
    found, (known, exact) = all_pumped(), points()
    through, work = "heat from the first bath to the second in a cycle", "work of the drives in a cycle"
    pair, both = ("part", "ratio"), (found["strong"], found["weak"])
    variables = {
        "pumped": variable(pair, np.stack([one.through for one in both]), through, UNIT),
        "pump_work": variable(pair, np.stack([one.work for one in both]), work, UNIT),
        "pumped_heom": variable("ratio_point", exact.through, f"{through}, HEOM", UNIT),
        "pump_work_heom": variable("ratio_point", exact.work, f"{work}, HEOM", UNIT),
        "pumped_phase": variable("phase", found["phase"].through, f"{through}, slow loops", UNIT),
        "pumped_limit": variable("phase_curve", geometric_limit(CURVE), f"{through}, limit of slow loops", UNIT),
        "pumped_slow_limit": variable((), geometric_limit(QUARTER), "the limit at a phase of pi/2", UNIT),
    }
    coordinates = {
        "part": variable("part", WEAKENED, "strength of the coupling, in parts of pump_strength", "1"),
        "ratio": variable("ratio", RATIOS, "frequency of the loop over the strength of the coupling", "1"),
        "ratio_point": variable("ratio_point", known / stored()["strength"], "the same, exact numbers", "1"),
        "phase": variable("phase", PHASES, "phase of the second drive behind the first", "1"),
        "phase_curve": variable("phase_curve", CURVE, "the same, closed form", "1"),
    }
    return variables, coordinates


def parameters() -> dict[str, float]:
    """Of the pump."""
    keys = ("splitting", "amplitude", "g", "temperature", "cutoff", "strength")
    return {f"pump_{key}": stored()[key] for key in keys}


def draw(panels: Sequence[Axes], data: xr.Dataset) -> None:
    """Over the frequency the heat pumped and the work; over the phase the heat of a slow loop."""
    heat, work, phase = panels
    strong, weak = (data.isel(part=part) for part in (0, 1))
    exact = COMPUTED | {"color": BLACK}
    heat.semilogx(data["ratio"], 1e2 * weak["pumped"], **WEAK, label=r"with memory, $\lambda/4$")
    heat.semilogx(data["ratio"], 1e2 * strong["pumped"], **CORRECTED, label=r"with memory, $\lambda$")
    heat.semilogx(data["ratio_point"], 1e2 * data["pumped_heom"], **exact, label=r"HEOM, $\lambda$")
    heat.axhline(1e2 * float(data["pumped_slow_limit"]), **LIMIT, label="geometric limit")
    heat.set_ylim(bottom=0)
    heat.legend(loc="lower left")
    letter(heat, "d", r"heat pumped in a cycle,  $10^{2}\,Q$")
    work.loglog(data["ratio"], strong["pump_work"], **CORRECTED)
    work.loglog(data["ratio_point"], data["pump_work_heom"], **exact)
    slow = data["ratio"] < 1.0
    line = float(strong["pump_work"][0] / data["ratio"][0]) * data["ratio"]
    work.loglog(data["ratio"][slow], line[slow], color="0.4", linewidth=1.2, linestyle=":", label=r"$\propto\omega$")
    work.set_ylim(1e-3, 0.1)
    work.legend(loc="upper left")
    letter(work, "e", "work in a cycle,  $W$")
    phase.plot(data["phase_curve"] / np.pi, 1e2 * data["pumped_limit"], **LIMIT, label="geometric limit")
    ours = COMPUTED | {"color": CORRECTED["color"]}
    phase.plot(data["phase"] / np.pi, 1e2 * data["pumped_phase"], **ours, label=rf"$\omega = {RATIOS[0]:g}\,\lambda$")
    phase.legend(loc="upper left")
    letter(phase, "f", r"pumped by a slow loop,  $10^{2}\,Q$")
    for panel in (heat, work):
        panel.set_xlabel(r"frequency over coupling  $\omega/\lambda$")
    phase.set_xlabel(r"phase of the second drive  $\varphi/\pi$")
