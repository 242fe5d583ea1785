"""The Bohr structure of a Hamiltonian: energies, groups of equal transition frequency, and the filter F(Ω_H)."""

from ._divided import derivative as derivative, divided_difference as divided_difference
from ._filter import (
    bohr_filter as bohr_filter,
    differentiated as differentiated,
    needs_slope_at_zero as needs_slope_at_zero,
    refuse as refuse,
)
from ._product import SMALL as SMALL, dagger as dagger, diagonal as diagonal, product as product
from ._structure import (
    Groups as Groups,
    Reference as Reference,
    Structure as Structure,
    blocks as blocks,
    bohr_structure as bohr_structure,
    centred as centred,
    compared as compared,
    find_groups as find_groups,
    follow as follow,
    known_structure as known_structure,
    one_group as one_group,
    pin as pin,
)
