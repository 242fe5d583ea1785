"""The generator L of dρ/dt = L ρ: as a matrix, and in the eigenbasis of H as what its structure allows."""

from ._base import AbstractGenerator as AbstractGenerator, converged as converged, in_order as in_order
from ._blocks import (
    BlockGenerator as BlockGenerator,
    Partition as Partition,
    block_first_order as block_first_order,
    block_generator as block_generator,
)
from ._choice import few_operators as few_operators, find_partition as find_partition, generator as generator
from ._dense import (
    DenseGenerator as DenseGenerator,
    Pinned as Pinned,
    dense_generator as dense_generator,
    linear_solve as linear_solve,
    matrix_exponential as matrix_exponential,
    pinned_generator as pinned_generator,
    trace_vector as trace_vector,
)
from ._matrix import liouvillian as liouvillian, unvec as unvec, vec as vec
from ._operators import OperatorGenerator as OperatorGenerator, operator_generator as operator_generator
