"""The Bohr structure of a Hamiltonian: energies, groups of equal transition frequency, and the filter F(Ω_H)."""

from ._centres import (
    group_frequencies as group_frequencies,
    moved_frequencies as moved_frequencies,
    reference_energies as reference_energies,
)
from ._divided import derivative as derivative, divided_difference as divided_difference
from ._filter import (
    bohr_filter as bohr_filter,
    kept_if as kept_if,
    needs_slope_at_zero as needs_slope_at_zero,
    raise_where as raise_where,
)
from ._product import (
    dagger as dagger,
    diagonal as diagonal,
    product as product,
    reciprocal as reciprocal,
    sandwich as sandwich,
)
from ._structure import (
    Groups as Groups,
    Reference as Reference,
    Structure as Structure,
    blocks as blocks,
    bohr_structure as bohr_structure,
    compared as compared,
    find_groups as find_groups,
    find_structure as find_structure,
    follow as follow,
    one_group as one_group,
    reference_to as reference_to,
    traceless as traceless,
)
