"""The linear system behind every stationary quantity.

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
from jaxtyping import Array, Complex, Float

from .._generator import vec


class AbstractSolver(eqx.Module):
    """Solves M X = B for a regular d²×d² matrix M and several right-hand sides."""

    name: eqx.AbstractClassVar[str]

    @abc.abstractmethod
    def solve(self, M: Complex[Array, "n n"], B: Complex[Array, "n k"]) -> Complex[Array, "n k"]:
        """X with M X = B, differentiable by the implicit function theorem."""


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
