"""Polynomials of oscillator operators: what users write, and the algebra of their symbols."""

from ._polynomial import (
    Polynomial as Polynomial,
    as_polynomial as as_polynomial,
    modes as modes,
    monomials as monomials,
    multiplicity as multiplicity,
    name as name,
)
from ._symbols import (
    Symbol as Symbol,
    Tensor as Tensor,
    adjoint as adjoint,
    commutator_average as commutator_average,
    commutators as commutators,
    contracted as contracted,
    differentiated as differentiated,
    module as module,
    plus as plus,
    product as product,
    reordered as reordered,
    scaled as scaled,
    substituted as substituted,
    swap as swap,
    symmetric_average as symmetric_average,
    symmetrised as symmetrised,
    translated as translated,
    vacuum as vacuum,
    with_linear as with_linear,
)
