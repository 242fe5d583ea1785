"""What a steady-state solver is."""

import abc

import equinox as eqx
from jaxtyping import Array, Bool, Complex, Float

from .._bohr import Groups, Structure
from .._equations import AbstractEquation
from .._system import System
from ..errors import SolverMemoryError


class Found(eqx.Module):
    """A steady state as a solver leaves it; `SteadyState` explains the names.

    `rates`: between eigenstates, of all baths together, `structure` and `groups`: where the solver has them.
    `applicable`, `unique`, `accurate`: whether the solver applies, and whether its result can be trusted."""

    rho: Complex[Array, "d d"]
    populations: Float[Array, " d"] | None
    rates: Float[Array, "d d"] | None
    residual: Float[Array, ""]
    slowest: Float[Array, ""]
    condition: Float[Array, ""]
    applicable: Bool[Array, ""]
    unique: Bool[Array, ""]
    accurate: Bool[Array, ""]
    structure: Structure | None = None
    groups: Groups | None = None


def require_memory(solver: "AbstractSolver", what: str, needed: float, allowed: float) -> None:
    """Raise `SolverMemoryError` before the memory is taken."""
    if needed > allowed:
        name = type(solver).__name__
        raise SolverMemoryError(
            f"{name}: {what} takes about {needed / 1e9:.3g} GB; allowed are {allowed / 1e9:.3g} GB. Use Populations() "
            "for Davies() and Unified() with distinct levels, Krylov() for UniversalLindblad() and Redfield(), or "
            f"allow more with {name}(memory=...)."
        )


class AbstractSolver(eqx.Module):
    """A way to the steady state."""

    name: eqx.AbstractClassVar[str]

    @abc.abstractmethod
    def admit(self, system: System, equation: AbstractEquation) -> "tuple[AbstractSolver, AbstractEquation]":
        """Solver and equation in the form in which they are to be compiled. Raises, before any memory is taken, if the
        solver is known not to apply."""

    @abc.abstractmethod
    def find(self, system: System, equation: AbstractEquation) -> Found:
        """The steady state, differentiable by the implicit function theorem. Traced."""
