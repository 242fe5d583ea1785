"""What a steady-state solver is, and the linear system behind every stationary quantity.

Enters: a generator L. Leaves: M = L + s |1⟩⟩⟨⟨tr|/d, which is regular exactly when the steady state is unique, since
⟨⟨tr| L = 0:

- L π = 0, Tr π = 1 is M π = s |1⟩⟩/d (multiply by ⟨⟨tr| to find the trace);
- L x = b with Tr b = 0, Tr x = 0 is M x = b;
- (L + iω) x = b with Tr b = 0 likewise.

s is the largest decay rate on the diagonal of L: of the size of the rates that fix the populations, whatever the
frequencies are, so that the pin neither drowns them nor vanishes in any unit.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from .._errors import SolverMemoryError
from .._generator import vec
from .._system import System
from ..equations import AbstractEquation


class Found(eqx.Module):
    """A steady state as a solver leaves it; `SteadyState` explains the names.

    `rates`: between eigenstates, of all baths together, where the solver has them.
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
    def admit(self, system: System, equation: AbstractEquation) -> AbstractEquation:
        """The equation in the form in which the solver wants it compiled. Raises, before any memory is taken, if the
        solver is known not to apply."""

    @abc.abstractmethod
    def find(self, system: System, equation: AbstractEquation) -> Found:
        """The steady state, differentiable by the implicit function theorem. Traced."""


class Pinned(eqx.Module):
    """M = L + s |1⟩⟩⟨⟨tr|/d and the right-hand side s |1⟩⟩/d of the steady state."""

    matrix: Complex[Array, "n n"]
    unit: Complex[Array, " n"]


def pinned_generator(L: Complex[Array, "n n"]) -> Pinned:
    """Add the trace to the generator."""
    dim = round(L.shape[-1] ** 0.5)
    one = vec(jnp.eye(dim, dtype=L.dtype))
    scale: Float[Array, ""] = jax.lax.stop_gradient(jnp.max(jnp.abs(jnp.diag(L).real)))
    scale = jnp.where(scale > 0, scale, 1.0)
    return Pinned(L + scale / dim * jnp.outer(one, one), scale / dim * one)
