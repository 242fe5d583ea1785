"""Two oscillators through resonance: heat currents of four master equations beside the exact ones.

Takes: nothing. Returns: steady currents against the coupling of the oscillators, against their detuning, and against
the colder temperature where the local equation breaks the second law. Not a figure of the paper; after Hofer et al.
(2017) and Levy and Kosloff (2014).
"""

from collections.abc import Callable

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array
from matplotlib.figure import Figure

from ..._equations import Davies, Local, Redfield, Unified
from ..._observables import heat_currents
from ..._polynomials import modes
from ..._quasifree import QuasiFree, exact_steady_state
from ..._spectra import DrudeLorentz
from ..._system import Bath
from ._style import BLACK, BLUE, GREEN, ORANGE, RED, dataset, letter, new_figure, variable

STRENGTH, CUTOFF = 1e-3, 5.0
DAMPING = 2 * STRENGTH * CUTOFF**2 / (1 + CUTOFF**2)
"""Rate at which the occupation of an uncoupled oscillator of frequency one relaxes, γ(1)·1."""
HOT, COLD = 1.0, 0.5
COUPLINGS = np.geomspace(1e-5, 1e-1, 41)
DETUNINGS = np.linspace(-0.02, 0.02, 61)
DETUNED, FAR_COUPLING = (1.5, 1.0), 0.1
COLDER = np.linspace(0.5, 1.0, 26)

EQUATIONS = ("local", "davies", "unified", "redfield")


def pair(g, detuning, cold, frequencies=(1.0, 1.0)) -> QuasiFree:
    """Two oscillators, a Drude–Lorentz bath each."""
    a, b = modes(2)
    spectrum = DrudeLorentz(STRENGTH, CUTOFF)
    H = frequencies[0] * a.dag * a + (frequencies[1] + detuning) * (b.dag * b) + g * (a.dag * b + b.dag * a)
    return QuasiFree(H, [Bath(a + a.dag, HOT, spectrum, "hot"), Bath(b + b.dag, cold, spectrum, "cold")])


def _currents(frequencies: tuple[float, float]) -> Callable[..., dict[str, Array]]:
    """The current from the hot bath by every equation, and the exact one, at one point."""

    @jax.jit
    def at(g, detuning, cold) -> dict[str, Array]:
        model = pair(g, detuning, cold, frequencies)
        apart = pair(0.0, detuning, cold, frequencies).hamiltonian
        made = {
            "local": Local(apart),
            "davies": Davies(),
            "unified": Unified(lamb_shift=True),
            "redfield": Redfield(lamb_shift=True),
        }
        found = {name: heat_currents(model, equation)[0] for name, equation in made.items()}
        return found | {"exact": exact_steady_state(model).heat_currents[0]}

    return at


def compute(progress: Callable[[str], None]) -> xr.Dataset:
    """Currents along three lines."""
    near, far = _currents((1.0, 1.0)), _currents(DETUNED)
    lines = {
        "coupling": (near, [(g, 0.0, COLD) for g in COUPLINGS]),
        "detuning": (near, [(STRENGTH, x, COLD) for x in DETUNINGS]),
        "cold": (far, [(FAR_COUPLING, 0.0, T) for T in COLDER]),
    }
    variables = {}
    for dim, (at, points) in lines.items():
        progress(f"currents against {dim}")
        found = [at(*map(float, point)) for point in points]
        for name in (*EQUATIONS, "exact"):
            values = np.array([float(one[name]) for one in found])
            variables[f"{name}_{dim}"] = variable(dim, values, f"heat current from the hot bath, {name}", "omega^2")
    coordinates = {
        "coupling": variable("coupling", COUPLINGS, "coupling g of resonant oscillators", "omega"),
        "detuning": variable("detuning", DETUNINGS, "detuning at g = 1e-3 omega", "omega"),
        "cold": variable("cold", COLDER, "cold temperature, frequencies 1.5 and 1, g = 0.1", "omega"),
    }
    parameters = {"lambda": STRENGTH, "cutoff": CUTOFF, "T_hot": HOT, "T_cold": COLD, "damping": DAMPING}
    title = "Heat current of two coupled oscillators through resonance"
    return dataset(variables, coordinates, title, parameters, unit="omega")


LOOKS: dict[str, tuple[str, dict]] = {
    "local": ("local", {"color": RED, "linewidth": 1.6}),
    "davies": ("Davies", {"color": BLUE, "linewidth": 1.4, "linestyle": "--"}),
    "unified": ("unified", {"color": GREEN, "linewidth": 4.5, "alpha": 0.45}),
    "redfield": ("Redfield", {"color": ORANGE, "linewidth": 1.2}),
}
EXACT = {"color": BLACK, "linestyle": "none", "marker": "o", "markersize": 4, "markerfacecolor": "none", "zorder": 5}


def draw(data: xr.Dataset) -> Figure:
    """The three lines."""
    figure, panels = new_figure(1, 3, (11.4, 3.9))
    scales = {"coupling": 1 / DAMPING, "detuning": 1 / DAMPING, "cold": 1 / HOT}
    for panel, (dim, scale) in zip(panels, scales.items(), strict=True):
        x = data[dim] * scale
        unit = 1e-5 if dim == "cold" else 1.0
        for name, (label, look) in LOOKS.items():
            panel.plot(x, data[f"{name}_{dim}"] / unit, label=label, **look)
        panel.plot(x[::2], data[f"exact_{dim}"][::2] / unit, label="exact", **EXACT)
        power = r"$10^{-5}\,$" if dim == "cold" else ""
        panel.set_ylabel(rf"heat current  $\mathcal{{J}}^{{\,\mathrm{{hot}}}}$  ({power}$\hbar\omega^2$)")
    panels[0].loglog()
    panels[1].semilogy()
    panels[2].axhline(0, color="0.4", linewidth=0.8)
    panels[0].set_xlabel(r"coupling  $g/\kappa$")
    panels[1].set_xlabel(r"detuning  $(\omega_b - \omega_a)/\kappa$")
    panels[2].set_xlabel(r"temperature of the cold bath  $T_c/T_h$")
    for name, panel, title in zip(
        "abc", panels, ("at resonance", "through resonance", "second law, detuned"), strict=True
    ):
        letter(panel, name, title)
    figure.legend(handles=panels[0].get_legend_handles_labels()[0], loc="outside lower center", ncols=5)
    return figure
