"""In which form a generator is kept where it must also give responses and states in time.

Takes: a system with its equation. Returns: blocks where the equation has them, and where they can be seen and are
worth it; operators where they are few and the system large; else the dense matrix.
"""

from .._equations import Dissipation
from .._inputs import is_concrete
from ._blocks import BlockStructure, block_generator, find_blocks
from ._dense import dense_generator
from ._matrices import MatrixGenerator
from ._memory import ALLOWED, matrix_bytes, require_memory
from ._operators import operator_generator

SMALL = 6
"""Up to this dimension one dense matrix is cheaper than many blocks."""
LARGE = 24
"""Above it operators and GMRES are cheaper than one dense matrix, if there are no more than `FEW` groups a level."""
FEW = 8
LIMIT = 1 << 26
"""Numbers that the matrices of all blocks may hold: 1 GB."""


def known_blocks(resolved: Dissipation, above: int | None = None) -> BlockStructure | None:
    """The blocks of the generator, or None: another equation, a dimension not above `above` (`SMALL`), levels that are
    not known, blocks that are too large; a rotating frame, whose jumps carry what blocks do not keep."""
    dim = resolved.system.dim
    if dim <= (SMALL if above is None else above) or not resolved.equation.secular or resolved.turns:
        return None
    if not is_concrete(resolved.system.hamiltonian, resolved.groups.labels):
        return None
    return find_blocks(resolved.groups, min(LIMIT, dim**4 // 4))


def few_operators(resolved: Dissipation) -> bool:
    """Whether a generator is better kept as operators, one for each group and noise, than as one dense matrix."""
    if resolved.equation.dressed:
        return False
    return resolved.system.dim > LARGE and resolved.coupled().groups.count <= FEW * resolved.system.dim


def generator(resolved: Dissipation, blocks: BlockStructure | None) -> MatrixGenerator:
    """L, by blocks where there are, by operators where they are few. Traced."""
    if blocks is not None:
        return block_generator(resolved, blocks)
    if few_operators(resolved):
        return operator_generator(resolved)
    require_memory(
        f"the dense generator of {type(resolved.equation).__name__} for dimension {resolved.system.dim}",
        matrix_bytes(resolved.system),
        ALLOWED,
        "Davies() and Unified() need less where H is known (not traced) and its frequencies fall into many small "
        "groups or few large ones, UniversalLindblad() and Redfield() always.",
    )
    return dense_generator(resolved)
