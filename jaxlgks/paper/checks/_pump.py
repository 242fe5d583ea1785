"""Rows for a heat pump of two qubits: exact dynamics, and the limit of slow loops in closed form.

Takes: steady cycles with the memory of the baths. Returns: rows for heat and work at the frequencies of exact numbers,
for the heat of slow loops as the coupling goes to zero, for what a loop run backwards and one without area pump.
"""

from collections.abc import Callable, Iterator

import numpy as np

from .._pump import PHASES, QUARTER, RATIOS, all_pumped, geometric_limit, points
from ._row import Check, agree, vanish

EQUATION, ALLOWED, STILL = "(23), (24) with memory", 0.01, 1e-3


def rows(progress: Callable[[str], None]) -> Iterator[Check]:
    """All rows of this family."""
    progress("heat pump")
    found, (omega, exact) = all_pumped(), points()
    pump, at = "two-qubit heat pump", f"ω = {omega[0]:g} to {omega[-1]:g}"
    same = f"the same, {at}"
    statements = {
        "through": f"{pump}, {at}, heat pumped in a cycle: HEOM as expected value",
        "heat": f"{same}, heat of each bath",
        "work": f"{same}, work",
    }
    for kind, words in statements.items():
        yield agree(EQUATION, words, getattr(exact, kind), getattr(found["points"], kind), ALLOWED, "coupling")
    limit, strong, weak = geometric_limit(QUARTER), found["strong"].through[0], found["weak"].through[0]
    words = "the same, a slow loop, λ to 0 from λ and λ/4: closed form of the limit, of the loop alone"
    yield agree(EQUATION, words, limit, (4 * weak - strong) / 3, STILL, "square of frequency over relaxation rate")
    words = "the same, slow loops of nine phases at λ: closed form as expected value"
    yield agree(EQUATION, words, geometric_limit(PHASES), found["phase"].through, 0.03, "coupling")
    flat = found["phase"].through[np.isin(PHASES, (-np.pi, 0.0, np.pi))]
    yield vanish(
        EQUATION, "the same, loops without area (phases 0, ±π): heat pumped, over the limit", flat, limit, 1e-8
    )
    both = found["points"].through[:1] + found["backwards"].through
    words = f"the same, ω = {omega[0]:g}, backwards: as much heat the other way"
    yield vanish(EQUATION, words, both, exact.through[0], 1e-8)
    slope = found["strong"].work[:2] / RATIOS[:2]
    words = "the same, slow loops: work over frequency at two frequencies"
    yield agree(EQUATION, words, slope[0], slope[1], ALLOWED, "square of frequency over relaxation rate")
