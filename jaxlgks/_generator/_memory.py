"""Memory, asked for before it is taken: a process that takes more than the machine has is ended without a word.

Takes: what is to be made, and how many bytes that needs. Returns: nothing, or raises `SolverMemoryError`.
"""

from .._equations import Dissipation
from .._system import System
from ..errors import SolverMemoryError

ALLOWED = 8e9
"""Bytes that a matrix of d²×d² with its copies, or the operators of all groups, may take unless more is allowed."""


FEWER = "Davies() and Unified() need less where H is known (not traced), UniversalLindblad() and Redfield() always."
"""What to do where there are too many operators."""


def matrix_bytes(system: System) -> float:
    """Of a matrix of d²×d² and three more of its size: a pinned copy, its factors, what it is made of."""
    return 4.0 * system.hamiltonian.dtype.itemsize * system.dim**4


def operator_bytes(resolved: Dissipation, copies: int) -> float:
    """Of one operator for each group and noise, and so many copies of it."""
    operators = float(copies * len(resolved.noises) * resolved.groups.count)
    return operators * resolved.system.hamiltonian.dtype.itemsize * resolved.system.dim**2


def require_states(who: str, count: int, system: System) -> None:
    """Raise `SolverMemoryError` where so many states, in the eigenbasis and as they are returned, do not fit."""
    needed = 2.0 * count * system.hamiltonian.dtype.itemsize * system.dim**2
    what = f"{who}: the states of dimension {system.dim} at {count} times"
    require_memory(what, needed, ALLOWED, "Ask for fewer times, or for a part of them, starting from the last state.")


def require_memory(what: str, needed: float, allowed: float, remedy: str) -> None:
    """Raise `SolverMemoryError` where more is needed than allowed; `remedy`: a sentence on what to do instead."""
    if needed > allowed:
        raise SolverMemoryError(
            f"{what} takes about {needed / 1e9:.3g} GB; allowed are {allowed / 1e9:.3g} GB. {remedy}"
        )
