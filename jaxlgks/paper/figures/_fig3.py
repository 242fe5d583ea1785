"""Fig. 3: the steady response of the a oscillator's population against the mean temperature.

Takes: the parameters of Fig. 3. Returns: δ(Φ^(1,1) + Φ^(1,2)) of Eq. (34), printed (T̄² and a change of sign) and
corrected (linear in T̄), beside the same computed without truncation at every temperature, over five decades of it, and
beside brute-force values at low temperatures.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from .. import _formulas as f
from .._brute_force import FOCK, WARM_FOCK, occupation_response
from .._parameters import FIG3_DIFFERENCE, OscillatorParameters, around
from .._untruncated import exact_static
from ._style import COMPUTED, CORRECTED, PRINTED, dataset, letter, new_figure, variable

AFFORDABLE_DIFFERENCE = 1.0
MEANS = np.linspace(30.0, 8000.0, 798)
LOW_MEANS = np.linspace(0.9, 10.0, 183)
POINTS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.5])
EXACT_MEANS = np.linspace(400.0, 8000.0, 20)
DECADES = np.geomspace(1.0, 1e6, 31)  # 0.1 ω₋ to 1e5 ω₋
FINE = np.geomspace(1.0, 1e6, 1201)
"""The same, for formulas: the printed one changes its sign."""


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """Formulas at all temperatures; brute force by `response(...).static` up to T̄ = 5, and one warmer point."""
    p = OscillatorParameters()
    variables = {}
    for dim, means, difference in (("mean", MEANS, FIG3_DIFFERENCE), ("low_mean", LOW_MEANS, AFFORDABLE_DIFFERENCE)):
        T_a, T_b = around(means, difference)
        kubo = np.asarray(f.static_kubo(p, T_a, T_b))
        for form, curve in (("printed", f.static_rotation_printed), ("corrected", f.static_rotation)):
            rotation = np.asarray(curve(p, T_a, T_b))
            name = f"Eq. (34) {form}"
            variables[f"rotation_{form}_{dim}"] = variable(dim, rotation, f"Phi^(1,2), {name}", "1")
            variables[f"total_{form}_{dim}"] = variable(
                dim, p.delta * (kubo + rotation), f"delta (Phi^(1,1) + Phi^(1,2)), {name}", "1"
            )
    kubo, rotation = _brute_force(p, progress)
    label = "microscopic model"
    variables["rotation_computed"] = variable("point", rotation, f"Phi^(1,2), {label}", "1")
    total = p.delta * (kubo + rotation)
    variables["total_computed"] = variable("point", total, f"delta (Phi^(1,1) + Phi^(1,2)), {label}", "1")
    progress("without truncation")
    for dim, means, difference in (("exact_mean", EXACT_MEANS, FIG3_DIFFERENCE), ("wide_mean", DECADES, 0.0)):
        T_a, T_b = around(means, difference)
        total = p.delta * np.asarray(exact_static(p, T_a, T_b).total)
        text = "delta (Phi^(1,1) + Phi^(1,2)), model without truncation"
        variables[f"total_{dim}"] = variable(dim, total, text, "1")
    T_a, T_b = around(FINE, 0.0)
    printed = p.delta * np.asarray(f.static_kubo(p, T_a, T_b) + f.static_rotation_printed(p, T_a, T_b))
    variables["printed_fine_mean"] = variable("fine_mean", printed, "the same, Eq. (34) printed", "1")
    corrected = p.delta * np.asarray(f.zero_temperature_limit(p) * (2 * f.mean_bose(p.minus, T_a, T_b) + 1))
    variables["corrected_fine_mean"] = variable("fine_mean", corrected, "the same, Eq. (34) corrected", "1")
    coordinates = {
        "exact_mean": variable("exact_mean", EXACT_MEANS, "mean temperature, without truncation", "gamma"),
        "fine_mean": variable("fine_mean", FINE, "mean temperature, T_a = T_b, formulas", "gamma"),
        "wide_mean": variable("wide_mean", DECADES, "mean temperature, T_a = T_b", "gamma"),
        "mean": variable("mean", MEANS, "mean temperature", "gamma"),
        "low_mean": variable("low_mean", LOW_MEANS, "mean temperature, affordable range", "gamma"),
        "point": variable("point", POINTS, "mean temperature, computed points", "gamma"),
    }
    parameters = p._asdict() | {"Delta_T": FIG3_DIFFERENCE, "Delta_T_affordable": AFFORDABLE_DIFFERENCE}
    return dataset(variables, coordinates, "Fig. 3: steady response of the occupation of oscillator a", parameters)


def _brute_force(p: OscillatorParameters, progress: Callable[[str], None]) -> tuple[np.ndarray, np.ndarray]:
    kubo, rotation = [], []
    for mean in POINTS:
        progress(f"brute force at T̄ = {mean:g}")
        T_a, T_b = mean + AFFORDABLE_DIFFERENCE / 2, mean - AFFORDABLE_DIFFERENCE / 2
        fock = FOCK if mean <= 5 else WARM_FOCK
        # Bath b is the warmer one where the checks ask for the same point, T = (9, 10).
        T_a, T_b = (T_a, T_b) if mean <= 5 else (T_b, T_a)
        _, parts = occupation_response(p, float(T_a), float(T_b), fock)
        kubo.append(float(parts.kubo))
        rotation.append(float(parts.rotation))
    return np.array(kubo), np.array(rotation)


def draw(data: xr.Dataset) -> Figure:
    """The paper's range; the sum and the rotation part where brute force reaches."""
    figure, ((paper, wide), (low, part)) = new_figure(2, 2, (9.6, 7.0))
    paper.plot(data["mean"], data["total_corrected_mean"], label="Eq. (34) corrected", **CORRECTED)
    paper.plot(data["mean"], data["total_printed_mean"], label="Eq. (34) printed", **PRINTED)
    paper.plot(data["exact_mean"], data["total_exact_mean"], color="black", label="without truncation", **COMPUTED)
    wide.loglog(data["fine_mean"], abs(data["corrected_fine_mean"]), label="Eq. (34) corrected", **CORRECTED)
    wide.loglog(data["fine_mean"], abs(data["printed_fine_mean"]), label="Eq. (34) printed", **PRINTED)
    wide.loglog(data["wide_mean"], abs(data["total_wide_mean"]), color="black", label="without truncation", **COMPUTED)
    wide.set_ylabel(r"$|\delta\,(\Phi^{(1,1)} + \Phi^{(1,2)})|$")
    paper.axhline(0, color="0.4", linewidth=0.8)
    paper.set_xlim(0, 8000)
    paper.set_ylabel(r"$\delta\,(\Phi^{(1,1)} + \Phi^{(1,2)})$")
    low.plot(data["low_mean"], 1e3 * data["total_corrected_low_mean"], label="Eq. (34) corrected", **CORRECTED)
    low.plot(data["low_mean"], 1e3 * data["total_printed_low_mean"], label="Eq. (34) printed", **PRINTED)
    low.plot(data["point"], 1e3 * data["total_computed"], color="black", label="computed", **COMPUTED)
    low.set_ylabel(r"$10^3\,\delta\,(\Phi^{(1,1)} + \Phi^{(1,2)})$")
    part.plot(data["low_mean"], 1e4 * data["rotation_corrected_low_mean"], label="Eq. (34) corrected", **CORRECTED)
    part.plot(data["low_mean"], 1e4 * data["rotation_printed_low_mean"], label="Eq. (34) printed", **PRINTED)
    part.plot(data["point"], 1e4 * data["rotation_computed"], color="black", label="computed", **COMPUTED)
    part.set_ylabel(r"$10^4\,\Phi^{(1,2)}$")
    titles = (
        r"steady response, $\Delta T = 50$",
        r"six decades of temperature, $\Delta T = 0$",
        r"low temperatures, $\Delta T = 1$",
        r"rotation part, $\Delta T = 1$",
    )
    for name, panel, title in zip("abcd", (paper, wide, low, part), titles, strict=True):
        letter(panel, name, title)
        panel.set_xlabel(r"mean temperature  $\bar T$  ($\hbar\gamma/k_B$)")
        panel.legend(loc="upper left" if name in "ab" else "lower left")
    return figure
