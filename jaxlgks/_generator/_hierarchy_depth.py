"""How deep a hierarchy must go, and over how many exponentials.

Takes: a system of known numbers, a `Hierarchy` that leaves one or both open. Returns: the first of growing levels
(depth, terms) whose steady state neither a deeper tier nor one more term changes by more than the tolerance, with the
sum of both changes as its error. Of the two that which changes more is increased.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._equations import Hierarchy, enough_for
from .._inputs import is_concrete
from .._system import System
from ..errors import InputError, SolverMemoryError, SteadyStateError
from ._hierarchical import HierarchyGenerator
from ._hierarchy_problem import hierarchy_problem

SHALLOW, FEW = 2, 1
"""Depth and terms that the search begins with."""
FLOOR = 1e-3
"""Of the fastest decay rate times the width of the spectrum: currents that are smaller count as if they were not."""


@enough_for.register(System)
def enough_levels(system: System, equation: Hierarchy) -> Hierarchy:
    """The equation with depth and terms that are enough for a system, and their error."""
    if not is_concrete(system):
        raise InputError(
            "Hierarchy: inside jit, vmap and derivatives depth and terms must be known, and here numbers are traced. "
            "Give both, Hierarchy(depth=3, terms=3), or find them once outside, Hierarchy().fixed(system)."
        )
    with jax.ensure_compile_time_eval():
        return _search(system, equation)


def _search(system: System, equation: Hierarchy) -> Hierarchy:
    seen: dict[tuple[int, int], np.ndarray] = {}
    rational = any(noise.spectrum.poles() is not None for bath in system.baths for noise in bath.noises)
    ways = [(1, 0)] * (equation.depth is None) + [(0, 1)] * (equation.terms is None and rational)
    level = equation.depth or SHALLOW, FEW if equation.terms is None else equation.terms

    def at(level: tuple[int, int]) -> np.ndarray:
        if level not in seen:
            seen[level] = _numbers_at(system, _pinned(equation, level))
        return seen[level]

    while True:
        ahead = [(level[0] + deeper, level[1] + more) for deeper, more in ways]
        try:
            changes = [float(np.max(np.abs(at(one) - at(level)))) for one in ahead]
        except SolverMemoryError as error:
            raise SolverMemoryError(
                f"Hierarchy: not converged to {equation.tolerance:.1g} at depth={level[0]}, terms={level[1]}, and more "
                f"does not fit. {error} Or allow a larger tolerance."
            ) from error
        if max(changes, default=0.0) <= equation.tolerance:
            return _pinned(equation, level, jnp.asarray(sum(changes)))
        level = ahead[int(np.argmax(changes))]


def _pinned(equation: Hierarchy, level: tuple[int, int], error: Array | None = None) -> Hierarchy:
    return Hierarchy(*level, equation.tolerance, equation.expansion, equation.terminator, error)


def _numbers_at(system: System, equation: Hierarchy) -> np.ndarray:
    """The elements of the steady state, and the heat currents over the largest."""
    state, currents, floor, good = _steady(hierarchy_problem(system, equation).generator())
    if not good:
        raise SteadyStateError(
            f"Hierarchy: no steady state was found at depth={equation.depth}, terms={equation.terms}, so that nothing "
            "can be said of what is enough: it is not unique, or GMRES did not converge. Give depth and terms; "
            "steady_state then says which."
        )
    return np.concatenate([np.ravel(state), np.asarray(currents) / max(float(np.max(np.abs(currents))), float(floor))])


@eqx.filter_jit
def _steady(L: HierarchyGenerator) -> tuple[Array, Float[Array, " baths"], Array, Array]:
    null = L.steady()
    floor = FLOOR * jnp.trace(L.core.pin).real * jnp.ptp(L.parts.structure.energies)
    return L.external(null.state), L.currents(null.state), floor, null.finite & null.unique & null.accurate
