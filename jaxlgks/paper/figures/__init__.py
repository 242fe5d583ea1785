"""The paper's figures and five beside them, one file a member: `compute(progress)` gives the numbers, `draw(dataset)`
the picture."""

from . import _crossover, _delay, _drive, _fig2, _fig3, _fig4, _fig5, _memory, _resonance

FIGURES = {
    "fig2": _fig2,
    "fig3": _fig3,
    "fig4": _fig4,
    "fig5": _fig5,
    "crossover": _crossover,
    "resonance": _resonance,
    "memory": _memory,
    "delay": _delay,
    "drive": _drive,
}
