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
    adjoint as adjoint,
    commutators as commutators,
    contracted as contracted,
    module as module,
    moved as moved,
    paired as paired,
    plus as plus,
    product as product,
    reordered as reordered,
    scaled as scaled,
    substituted as substituted,
    swap as swap,
    times_linear as times_linear,
    vacuum as vacuum,
    with_linear as with_linear,
)
