"""The spectrum of fluctuations of a generator of matrices, with the memory of its baths.

Takes: a generator, its steady state π₀, operators A and B, the exponentials of the baths. Returns

    S_AB(ω) = ∫ dt e^{iωt} ⟨δA(t) δB(0)⟩ = s_AB(ω) + s_B†A†(ω)*,      s_AB(ω) = ∫₀^∞ dt e^{iωt} ⟨δA(t) δB(0)⟩.

What B does to the state at t = 0 it does to system and baths together: from then on the operators of the baths are
those of the state before, not those of Bπ₀. With b = δB π₀ and Λ_j⁽⁰⁾ as in `Retarded`

    s_AB(ω) = −Tr[A (L₀ + iω)⁻¹ (b − Σ_α [S, K(ω)π₀])],     K(ω)_mn = Σ_j [B, Λ_j⁽⁰⁾]_mn / (ν_j − iω − iω_mn),

exact to second order for Redfield's equation with its Lamb shift. The regression theorem is K = 0. Another equation has
what it averages away put back to first order (M of `Missing`):

    s_AB(ω) = −Tr[A (L₀ + iω)⁻¹ (b + Mb − δB Mπ₀ − Σ_α [S, Kπ₀])] + Tr[A M (L₀ + iω)⁻¹ b],

δB Mπ₀ without its trace, which belongs to ⟨B⟩.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import dagger
from .._compiled import compiled
from .._equations import Dissipation, relaxation_rate
from ._base import converged
from ._matrices import AbstractCore, halves
from ._missing import Missing, combined_missing
from ._remembering import APART, Exponentials, constant_in, exponentials_of, kernel_of, missing, warn_of_near_levels
from ._retarded import Retarded


class Fluctuations(eqx.Module):
    """For the pairs (A, B) and (B†, A†): `later`: what is asked for; `sources`: what L₀ carries on from t = 0;
    `memory`: K of each, none of the regression theorem; `bare`: b, and `dressed`: observables of its solution."""

    core: AbstractCore
    later: Complex[Array, "2 d d"]
    sources: Complex[Array, "2 d d"]
    memory: Retarded | None = None
    bare: Complex[Array, "2 d d"] | None = None
    dressed: Complex[Array, "2 d d"] | None = None


def spectrum(
    L: Any, A: Array, B: Array, X: Array, omegas: Float[Array, " w"], *, instantaneous: bool
) -> Complex[Array, " w"]:
    """S_AB(ω); see `AbstractGenerator.spectrum`. L: a `MatrixGenerator`."""
    if instantaneous:
        both = _regression(L, A, B, X)
    else:
        L.resolved.equation.require_own_frame("spectrum")
        warn_of_near_levels(L.resolved, jnp.abs(L.observable(A)) + jnp.abs(L.observable(B)))
        both = _remembered(L, A, B, X, exponentials_of(L.resolved.noises))
    return converged(_at_frequencies(both, omegas), both.sources)


@compiled
def _regression(L: Any, A: Array, B: Array, X: Array) -> Fluctuations:
    later, first = _pairs(L, A, B, X)
    return Fluctuations(L.core, later, first @ X)


@compiled
def _remembered(L: Any, A: Array, B: Array, X: Array, exponentials: Exponentials) -> Fluctuations:
    resolved: Dissipation = L.resolved
    exact, (later, first) = resolved.equation.second_order, _pairs(L, A, B, X)
    first = first if exact else constant_in(resolved.structure.hamiltonian, first)
    memory, b = kernel_of(resolved, exponentials, 1j * first, X), first @ X
    if exact:
        return Fluctuations(L.core, later, b, memory)
    gap = APART * relaxation_rate(resolved.structure, resolved.system)
    M = combined_missing(missing(resolved, memory, exponentials, gap))
    turned = first @ M.divided(X[None])[0]
    turned = turned - jnp.trace(turned, axis1=-2, axis2=-1)[:, None, None] * X  # ⟨B⟩ is that of (1 − M)π₀
    return Fluctuations(L.core, later, b + _of_any(M, b) - turned, memory, b, _of_any(M.adjoint, later))


def _pairs(L: Any, A: Array, B: Array, X: Array) -> tuple[Array, Array]:
    """A and B†, and what fluctuates of B and A†."""
    A, B = L.observable(A), L.observable(B)
    later, first = jnp.stack([A, dagger(B)]), jnp.stack([B, dagger(A)])
    return later, first - jnp.einsum("kij,ji->k", first, X)[:, None, None] * jnp.eye(len(X))


def _of_any(M: Missing, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
    """M of matrices that are not Hermitian."""
    parts = jax.vmap(halves)(X)
    return M.divided(parts[:, 0]) + 1j * M.divided(parts[:, 1])


@compiled
def _at_frequencies(of: Fluctuations, omegas: Float[Array, " w"]) -> Complex[Array, " w"]:
    def at(omega: Array) -> Array:
        sources, later = of.sources, of.later
        if of.memory is not None:
            sources = sources + jnp.sum(of.memory.on_left(omega), axis=1)
        if of.bare is not None and of.dressed is not None:
            sources, later = jnp.concatenate([-of.bare, sources]), jnp.concatenate([of.dressed, later])
        each = -jnp.einsum("kij,kji->k", later, of.core.solve(sources, omega))
        both = jnp.sum(each.reshape(-1, 2), axis=0)
        return both[0] + both[1].conj()

    return jax.lax.map(at, omegas)
