"""In which form a generator is made.

Enters: a system and a master equation. Leaves: blocks where the equation has them, and where they can be seen and are
worth it; operators where they are few and the system large; else the dense matrix.
"""

import jax

from .._equations import AbstractEquation
from .._inputs import is_concrete
from .._system import System
from ..errors import SolverMemoryError
from ._base import AbstractGenerator
from ._blocks import Partition, block_generator, partition_of
from ._dense import dense_generator
from ._operators import operator_generator

SMALL = 6
"""Up to this dimension one dense matrix is cheaper than many blocks."""
LARGE = 24
"""Above it operators and GMRES are cheaper than one dense matrix, if there are no more than `FEW` groups a level."""
FEW = 8
DENSE = 8e9
"""Bytes that a dense generator and its copies may take."""
LIMIT = 1 << 26
"""Numbers that the matrices of all blocks may hold: 1 GB."""


def find_partition(system: System, equation: AbstractEquation, above: int | None = None) -> Partition | None:
    """The blocks of the generator, or None: another equation, a dimension not above `above` (`SMALL`), levels that are
    not known, blocks that are too large."""
    if system.dim <= (SMALL if above is None else above) or not equation.secular or not is_concrete(system.hamiltonian):
        return None
    with jax.ensure_compile_time_eval():
        groups = equation.groups(system)
    if not is_concrete(groups.labels):
        return None
    return partition_of(groups, min(LIMIT, system.dim**4 // 4))


def few_operators(system: System, equation: AbstractEquation) -> bool:
    """Whether a generator is better kept as operators, one for each group and noise, than as one dense matrix."""
    return system.dim > LARGE and equation.groups(system).count <= FEW * system.dim


def generator(system: System, equation: AbstractEquation, partition: Partition | None) -> AbstractGenerator:
    """L, by blocks where there are, by operators where they are few."""
    if partition is not None:
        return block_generator(system, equation, partition)
    if few_operators(system, equation):
        return operator_generator(system, equation)
    needed = 4.0 * system.hamiltonian.dtype.itemsize * system.dim**4
    if needed > DENSE:
        raise SolverMemoryError(
            f"the dense generator of {type(equation).__name__} for a system of dimension {system.dim} takes about "
            f"{needed / 1e9:.3g} GB; allowed are {DENSE / 1e9:.3g} GB. Davies() and Unified() need less where H is "
            "known (not traced) and its frequencies fall into many small groups or few large ones, UniversalLindblad() "
            "and Redfield() always."
        )
    return dense_generator(system, equation)
