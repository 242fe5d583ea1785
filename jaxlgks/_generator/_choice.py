"""In which form a generator is kept where it must also give responses and states in time.

Takes: a system with its equation. Returns: blocks where the equation has them, and where they can be seen and are
worth it; operators where they are few and the system large; else the dense matrix.
"""

from .._equations import Dissipation
from .._inputs import is_concrete
from ..errors import SolverMemoryError
from ._blocks import BlockStructure, block_generator, find_blocks
from ._dense import dense_generator
from ._matrices import MatrixGenerator
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


def known_blocks(made: Dissipation, above: int | None = None) -> BlockStructure | None:
    """The blocks of the generator, or None: another equation, a dimension not above `above` (`SMALL`), levels that are
    not known, blocks that are too large."""
    dim = made.system.dim
    if dim <= (SMALL if above is None else above) or not made.equation.secular:
        return None
    if not is_concrete(made.system.hamiltonian, made.groups.labels):
        return None
    return find_blocks(made.groups, min(LIMIT, dim**4 // 4))


def few_operators(made: Dissipation) -> bool:
    """Whether a generator is better kept as operators, one for each group and noise, than as one dense matrix."""
    return made.system.dim > LARGE and made.groups.count <= FEW * made.system.dim


def generator(made: Dissipation, blocks: BlockStructure | None) -> MatrixGenerator:
    """L, by blocks where there are, by operators where they are few. Traced."""
    if blocks is not None:
        return block_generator(made, blocks)
    if few_operators(made):
        return operator_generator(made)
    needed = 4.0 * made.system.hamiltonian.dtype.itemsize * made.system.dim**4
    if needed > DENSE:
        raise SolverMemoryError(
            f"the dense generator of {type(made.equation).__name__} for a system of dimension {made.system.dim} takes "
            f"about {needed / 1e9:.3g} GB; allowed are {DENSE / 1e9:.3g} GB. Davies() and Unified() need less where H "
            "is known (not traced) and its frequencies fall into many small groups or few large ones, "
            "UniversalLindblad() and Redfield() always."
        )
    return dense_generator(made)
