"""A generator expanded to first order about its steady state: what every response is made of.

Takes: a problem, a perturbation V. Returns: the generator L₀, its steady state π₀ and L₁π₀ by mechanism,

    kubo       −i[V, π₀]
    rotation   Σ_α D_α^rot π₀          eigenvectors turn (paper, Eqs. 16–17)
    shift      Σ_α D_α^shift π₀        Bohr frequencies move, and the rates with them (absent from the paper)

No derivative is taken here by machine: everything is built from values of the filter.
"""

from typing import Any

import equinox as eqx

from .._compiled import compiled
from .._generator import AbstractGenerator, AbstractProblem, Change, State
from .._observables import AbstractQuantity, require_logarithm
from .._steady import Rest
from ._linear import LinearResponse


class Expansion(eqx.Module):
    """`state`: π₀ in the form of the `generator`; `change`: its first order."""

    generator: AbstractGenerator
    state: State
    change: Change
    instantaneous: bool = eqx.field(static=True, default=False)

    def following(self, *, at_once: bool) -> "Expansion":
        """The same with dissipators that follow a drive at once, or with the memory of their baths."""
        return Expansion(self.generator, self.state, self.change, at_once)

    def linear(self, quantity: AbstractQuantity) -> LinearResponse:
        """The response of a checked quantity. Raises where it needs a logarithm that the steady state has not."""
        response = _linear(self, quantity)
        require_logarithm(response.observables, quantity)
        return response


def expand(problem: AbstractProblem, V: Any, degree: int, rest: Rest, *, instantaneous: bool = False) -> Expansion:
    """The expansion about the steady state along a checked V, for observables up to a degree.

    **Raises:** by name, where no first order along V exists."""
    L, state = rest.generator()
    return Expansion(L, state, _first_order(L, problem.direction(V, L), state, degree), instantaneous or not L.follows)


@compiled
def _first_order(L: AbstractGenerator, V: Any, state: State, degree: int) -> Change:
    return L.first_order(V, state, degree)


@compiled
def _linear(expansion: Expansion, quantity: AbstractQuantity) -> LinearResponse:
    L, state, change = expansion.generator, expansion.state, expansion.change
    return LinearResponse(
        L,
        change.sources,
        quantity.linear(L, state),
        quantity.explicit(L, state, change).real,
        state,
        change,
        quantity,
        expansion.instantaneous,
    )
