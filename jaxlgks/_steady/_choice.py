"""Which solvers to try for a steady state when nobody says.

Enters: a system and a master equation. Leaves: solvers, the cheapest first; what the first one finds whose verdict is
not that it does not apply is the answer.
"""

import jax
import jax.numpy as jnp

from .._equations import AbstractEquation
from .._generator import few_operators
from .._inputs import is_concrete
from .._system import System
from ._base import AbstractSolver
from ._blocks import Blocks
from ._dense import Dense
from ._krylov import Krylov
from ._populations import Populations, populations_close

SMALL = 24
"""Up to this dimension the d²×d² generator is cheap (0.1 s), and differentiable in H at any degeneracy."""


def choose(system: System, equation: AbstractEquation) -> tuple[AbstractSolver, ...]:
    """Populations where they may close, else `Dense()`; for large systems `Blocks()` where levels are degenerate,
    `Krylov()` where groups of frequencies are few (one, or wide clusters) and their operators fit into memory.

    Where nobody can look whether populations closed, small systems are left to `Dense()`.
    """
    large = system.dim > SMALL
    if not equation.secular:
        return (Krylov(),) if few_operators(system, equation) else (Dense(),)
    whole = (Blocks(), Krylov(), Dense()) if large else (Dense(),)
    if is_concrete(*jax.tree.leaves((system, equation)), jnp.zeros(())):  # nothing is traced, here or around
        return Populations(), *whole
    closed = _known_to_close(system, equation)
    if closed is False and large:
        return whole
    return (Populations(),) if closed or (closed is None and large) else (Dense(),)


def _known_to_close(system: System, equation: AbstractEquation) -> bool | None:
    """Whether populations close, from H alone while other numbers are traced; None where that is not known."""
    if not is_concrete(system.hamiltonian):
        return None
    with jax.ensure_compile_time_eval():
        closed = populations_close(equation.groups(system))
    return bool(closed) if is_concrete(closed) else None
