"""Rows for drives of any strength: steady cycles with the memory of the bath, and what other solvers find.

Takes: exact cycles of a qubit. Returns: rows for mean, first harmonic and heat current with memory, which agree; for
dissipators that follow at once, as in Eqs. (23), (24), and QuTiP's two solvers, how far off they are; those of `_pump`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from .._drive import cycles, outside
from ._pump import rows as pump_rows
from ._row import Check, agree, hold

ALLOWED = 0.01
WORDS = {"mean": "mean of ⟨σz⟩", "first": "first harmonic of ⟨σz⟩", "current": "mean heat current"}


def rows(progress: Callable[[str], None]) -> Iterator[Check]:
    """All rows of this family."""
    exact = outside("heom")
    progress("steady cycles, with memory")
    found = cycles(False)[1]
    for kind, words in WORDS.items():
        statement = f"driven qubit, δ = 0.05 to 0.6, {words}: HEOM as expected value"
        yield agree(
            "(23), (24) with memory", statement, getattr(exact, kind), getattr(found, kind), ALLOWED, "coupling"
        )
    progress("steady cycles, at once")
    others = {"dissipators at once": cycles(True)[1], **{name: outside(name) for name in ("brmesolve", "fmmesolve")}}
    for name, other in others.items():
        for kind, words in WORDS.items():
            if np.isfinite(getattr(other, kind)).all():
                yield _compared(name, getattr(other, kind), getattr(exact, kind), kind, words)
    yield from pump_rows(progress)


def _compared(name: str, values: np.ndarray, exact: np.ndarray, kind: str, words: str) -> Check:
    """How far another solver is off. All are off but the mean of Floquet's secular populations."""
    off = float(np.max(np.abs(values - exact)) / np.max(np.abs(exact)))
    good = (name, kind) == ("fmmesolve", "mean")
    statement = f"the same, {words}: deviation of {name}, of the largest"
    expected = f"{'at most' if good else 'above'} {ALLOWED:g}"
    return hold("(23), (24)", statement, expected, f"{off:.2g}", (off <= ALLOWED) == good)
