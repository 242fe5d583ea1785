"""Rows for responses at a frequency: dissipators that follow a drive at once, and with the memory of their baths.

Takes: exact χ(ω) of a heat current. Returns: for each system a row for Eq. (24) as printed, which is off, and one with
memory; and what both have in common, the static response.
"""

from collections.abc import Callable, Iterator

import numpy as np

from .._memory import TITLES, susceptibilities
from ._row import Check, agree, correct

NAMES = {"qubit": "a qubit, V = σ_z", "two": "two qubits, V = σ_z σ_z"}


def rows(progress: Callable[[str], None]) -> Iterator[Check]:
    """All rows of this family."""
    for name in TITLES:
        progress(f"χ(ω), {name}")
        found = susceptibilities(name)[1]
        at = int(np.argmax(np.abs(found.at_once / found.exact - 1)))
        statement = f"χ of the heat current, {NAMES[name]}, at ω = {found.omegas[at]:g}: HEOM as expected value"
        printed, corrected, exact = (x[at] for x in (found.at_once, found.with_memory, found.exact))
        yield from correct("(24)", statement, printed, corrected, exact, 4e-3, "weak coupling")
        moving = found.omegas > 0
        statement = f"the same with memory, {NAMES[name]}, the worst of seven frequencies from ω = 0.001 to 4"
        worst = int(np.argmax(np.where(moving, np.abs(found.with_memory / found.exact - 1), 0.0)))
        yield agree("(24)", statement, found.exact[worst], found.with_memory[worst], 4e-3, "weak coupling")
        statement = f"static response, {NAMES[name]}: at once, and with memory as expected value"
        yield agree("(24)", statement, found.with_memory[~moving], found.at_once[~moving], 1e-10)
