"""The spectrum of fluctuations of oscillators, with the memory of their baths.

Takes: a generator about its steady state, polynomials A and B, the exponentials of the baths. Returns S_AB(ω), of which
`_generator/_fluctuations.py` says what it is. Here b is the functional A ↦ ⟨A δB⟩ on symbols in Wick's order, what the
baths remember of B is the left half of `Retarded` with iB in the place of V, and M is that of `_missing`.
"""

import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._compiled import compiled
from .._generator import APART, Exponentials, converged, exponentials_of
from .._polynomials import Polynomial, Symbol, contracted, product, symmetrised
from ._delayed import couplings_of, warn_of_near_modes
from ._dynamics import damping_rates, one_noise_each
from ._first_order import functional
from ._flow import Functional, averaged, resolvents
from ._frame import Frame
from ._missing import dressing
from ._retarded import Retarded, retarded


class Fluctuations(eqx.Module):
    """For the pairs (A, B) and (B†, A†), stacks [2]; as of matrices."""

    at: Frame
    later: Symbol
    sources: Functional
    memory: Retarded | None = None
    bare: Functional | None = None
    dressed: Symbol | None = None


def spectrum(
    L: Any, A: Polynomial, B: Polynomial, omegas: Float[Array, " w"], *, instantaneous: bool
) -> Complex[Array, " w"]:
    """S_AB(ω); see `AbstractGenerator.spectrum`. L: a `PolynomialGenerator`."""
    exponentials = None
    if not instantaneous:
        for one in (A, B):
            warn_of_near_modes(L, L.observable(one))
        exponentials = exponentials_of(one_noise_each(L.model))
    of = _fluctuations(L, A, B, exponentials)
    return converged(_at_frequencies(of, omegas), of.sources)


@compiled
def _fluctuations(L: Any, A: Polynomial, B: Polynomial, exponentials: Exponentials | None) -> Fluctuations:
    at: Frame = L.at
    every = L.observable((A, B.dag, B, A.dag))
    later, first = tuple(x[:2] for x in every), tuple(x[2:] for x in every)
    b = _connected([jax.vmap(functools.partial(_multiplied, at, k))(x) for k, x in enumerate(first)])
    if exponentials is None:
        return Fluctuations(at, later, b)
    kicks = [at.to_bohr(tuple(1j * x[i] for x in first)) for i in range(2)]
    memory = retarded(at, couplings_of(at, L.model), exponentials, tuple(kicks), len(every) - 1)
    if L.equation.second_order:
        return Fluctuations(at, later, b, memory)
    M = dressing(L.model, L.equation, at, APART * jnp.max(damping_rates(at.modes, L.model)))
    size = at.signed.size  # Mπ₀ has ranks up to two, whatever B has
    still = M((jnp.ones((), complex), jnp.zeros(size, complex), jnp.zeros((size, size), complex)))
    each = zip(b, jax.vmap(lambda *x: M(x))(*b), jax.vmap(lambda *B: _before(still, B, at))(*first), strict=True)
    sources = _connected([x + moved - before for x, moved, before in each])
    return Fluctuations(at, later, sources, memory, b, jax.vmap(lambda *A: M.adjoint(A))(*later))


def _multiplied(at: Frame, k: int, b: Array) -> Array:
    """⟨A B⟩ of Wick's theorem at two times as a functional of A, rank by rank."""
    return jnp.asarray(math.factorial(k) * contracted(b, at.contraction, k))


def _connected(X: list[Array]) -> Functional:
    """Without the product of averages, which is all that rank zero holds."""
    return jnp.zeros_like(X[0]), *X[1:]


def _before(X: Functional, B: Symbol, at: Frame) -> Functional:
    """A ↦ X(A δB)."""
    fluctuating = jnp.zeros_like(B[0]), *B[1:]

    def value(A: Symbol) -> Array:
        return averaged(X, product(A, fluctuating, at.contraction))

    return tuple(symmetrised(x) for x in functional(value, at, len(B) - 1))  # pyright: ignore


@compiled
def _at_frequencies(of: Fluctuations, omegas: Float[Array, " w"]) -> Complex[Array, " w"]:
    def half(X: Functional, omega: Array, A: Symbol) -> Array:
        """−Tr[A (L₀ + iω)⁻¹ X] of each pair."""
        return -jax.vmap(lambda X, A: resolvents(of.at.drift, of.at.diagonal, X, omega[None], A)[0])(X, A)

    def at(omega: Array) -> Array:
        sources = of.sources
        if of.memory is not None:
            sources = tuple(x + jnp.sum(y, axis=1) for x, y in zip(sources, of.memory.on_left(omega), strict=True))
        each = half(sources, omega, of.later)
        if of.bare is not None and of.dressed is not None:
            each = each - half(of.bare, omega, of.dressed)
        return each[0] + each[1].conj()

    return jax.vmap(at)(omegas)
