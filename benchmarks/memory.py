"""k) Responses with the memory of the baths beside those at once.

1,000 frequencies, and 1,000 times over ten relaxation times, of a disordered chain between Drude–Lorentz baths:
`Davies()` by blocks, `Redfield(lamb_shift=True)` as operators. From the steady state on. Error: of the static limit.
"""

import functools

import numpy as np

from ._case import Case, Measured, timed
from .chain import system
from .response import _operators

OMEGAS = np.linspace(0.0, 5.0, 1000)


def _frequencies(spins: int, name: str, instantaneous: bool) -> Measured:
    r = _response(spins, name, instantaneous)
    first, seconds, chi = timed(lambda: r.susceptibility(OMEGAS), repeat=1)
    static = r.static().total
    error = float(abs(chi.total[0] - static) / abs(static))
    return Measured(first, seconds, error, "static", f"by {r.generator.name}")


def _times(spins: int, name: str, instantaneous: bool) -> Measured:
    import jaxlgks as lgks

    r = _response(spins, name, instantaneous)
    slowest = float(lgks.steady_state(system(spins), _equation(name)).slowest)
    first, seconds, _ = timed(lambda: r.step(np.linspace(0.0, 10 / slowest, 1000)), repeat=1)
    return Measured(first, seconds, note=f"by {r.generator.name}")


def _equation(name: str):
    import jaxlgks as lgks

    return lgks.Davies() if name == "Davies" else lgks.Redfield(lamb_shift=True)


def _response(spins: int, name: str, instantaneous: bool):
    import jaxlgks as lgks

    return lgks.response(system(spins), *_operators(spins), _equation(name), instantaneous=instantaneous)


def cases(quick: bool) -> list[Case]:
    """Both equations, with and without memory."""
    rows = []
    for spins in (4,) if quick else (4, 6):
        for name in ("Davies", "Redfield"):
            for instantaneous in (True, False):
                how = f"{name}, {'at once' if instantaneous else 'with memory'}"
                for what, measure in (("χ(ω) at 1,000 frequencies", _frequencies), ("Φ(t) at 1,000 times", _times)):
                    run = functools.partial(measure, spins, name, instantaneous)
                    rows.append(Case("memory", what, f"d={2**spins}", how, run))
    return rows
