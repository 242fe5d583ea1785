"""e^{L₀†t} and (L₀† + iω)⁻¹ on symbols in Wick's order: index by index.

Takes: the drift K of L₀†β = Kβ and symmetric tensors, or functionals A ↦ Σ_k X^(k)·A^(k) of them. Returns

    e^{L₀†t} T^(k) = (e^{Kt})⊗k T^(k),      (L₀† + iω) T^(k) = (Σ_slots K + iω) T^(k).

Where K is diagonal both are elementwise. Otherwise e^{Kt} is a small matrix, and the resolvent a linear system for the
independent elements of T^(k), of which there are C(2M + k − 1, k).
"""

import functools
from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._compiled import compiled
from .._generator import AbstractSuperoperator, matrix_exponential
from .._polynomials import Symbol, monomials, multiplicity
from ..errors import SolverMemoryError

Functional = tuple[Array, ...]
LARGEST = 3000
"""Independent elements of a tensor up to which the resolvent is found by elimination."""


class BathFlow(AbstractSuperoperator):
    """D_α† X = Σ K_jl β_l ∂_j X + ½ Σ noise_ij ∂_i∂_j X + Σ force_j ∂_j X, in Wick's order of the steady state."""

    drift: Complex[Array, "n n"]
    noise: Complex[Array, "n n"]
    force: Complex[Array, " n"]

    def adjoint(self, A: Symbol) -> Symbol:
        out = on_each_slot(self.drift, A, 0)
        for k, x in enumerate(A):
            if k >= 1:
                out[k - 1] = out[k - 1] + k * jnp.tensordot(self.force, x, axes=([0], [0]))
            if k >= 2:
                out[k - 2] = out[k - 2] + k * (k - 1) / 2 * jnp.tensordot(self.noise, x, axes=([0, 1], [0, 1]))
        return tuple(out)

    def __call__(self, X: Functional) -> Functional:
        """The transpose of `adjoint`, on symmetric tensors."""
        out = on_each_slot(self.drift, X, 1)
        for k in range(len(X)):
            if k >= 1:
                out[k] = out[k] + k * jnp.tensordot(self.force, X[k - 1], axes=0)
            if k >= 2:
                out[k] = out[k] + k * (k - 1) / 2 * jnp.tensordot(self.noise, X[k - 2], axes=0)
        return tuple(out)


def on_each_slot(K: Array, A: tuple[Array, ...], axis: int) -> list[Array]:
    """Σ over slots of K contracted with the slot by one of its axes."""
    out = [jnp.zeros_like(x) for x in A]
    for k, x in enumerate(A):
        for slot in range(k):
            out[k] = out[k] + jnp.moveaxis(jnp.tensordot(K, x, axes=([axis], [slot])), 0, slot)
    return out


def sums(values: Array, rank: int) -> Array:
    """values_i + values_j + … as a tensor."""
    total = jnp.zeros((values.size,) * rank, values.dtype)
    for axis in range(rank):
        total = total + values.reshape([-1 if a == axis else 1 for a in range(rank)])
    return total


def evolved(T: Complex[Array, "..."], drift: Complex[Array, "n n"], t: Array, diagonal: bool):
    """e^{L₀†t} of one tensor."""
    if diagonal:
        return jnp.exp(sums(jnp.diag(drift), T.ndim) * t) * T
    return _each_index(T, matrix_exponential(drift * t))


def integrated(T: Complex[Array, "..."], drift: Complex[Array, "n n"], t: Array, diagonal: bool):
    """∫₀ᵗ e^{L₀†τ} dτ of one tensor, L₀†⁻¹ (e^{L₀†t} − 1) T."""
    if diagonal:
        rates = sums(jnp.diag(drift), T.ndim)
        return jnp.expm1(rates * t) / rates * T
    solved = resolvent(T, drift, jnp.zeros(()), False)
    return evolved(solved, drift, t, False) - solved


def resolvent(T: Complex[Array, "..."], drift: Complex[Array, "n n"], omega: Array, diagonal: bool):
    """(L₀† + iω)⁻¹ of one tensor of rank one or higher."""
    if diagonal:
        return T / (sums(jnp.diag(drift), T.ndim) + 1j * omega)
    index, place, weight, rows, columns, slots, counts = _tables(drift.shape[0], T.ndim)
    if len(weight) > LARGEST:
        raise SolverMemoryError(
            f"the response at degree {T.ndim} of {drift.shape[0] // 2} modes that share a group of frequencies "
            f"needs a dense "
            f"system of {len(weight)} unknowns; at most {LARGEST} are solved. Lower the degree of the observable."
        )
    A = jnp.zeros((len(weight),) * 2, complex).at[rows, columns].add(counts * drift[slots[0], slots[1]])
    A = A + 1j * omega * jnp.eye(len(weight))
    coefficients = jnp.linalg.solve(A, T[index] * weight)
    return (coefficients / weight)[place]


def solved(X: Functional, drift: Complex[Array, "n n"], z: Array, diagonal: bool) -> Functional:
    """(L₀ + z)⁻¹ of one functional that is zero at rank zero: the transpose of the resolvent, on symmetric tensors."""
    return X[0], *(resolvent(x, drift.T, -1j * z, diagonal) for x in X[1:])


def averaged(X: Symbol, A: Symbol) -> Array:
    """Σ_k X^(k)·A^(k) for stacks of both, [*k, *a]."""
    terms = [_paired(x, a, k) for k, (x, a) in enumerate(zip(X, A, strict=False))]
    return sum(terms[1:], terms[0])


@compiled
def resolvents(drift: Array, diagonal: bool, B: Functional, omegas: Array, A: Symbol) -> Array:
    """B·(L₀† + iω)⁻¹A at each frequency, [w, *k, *a]."""
    return jax.vmap(lambda omega: _over(resolvent, drift, diagonal, B, omega, A))(omegas)


@compiled
def propagated(
    drift: Array, diagonal: bool, start: Functional | None, ts: Array, A: Symbol, drive: Functional | None
) -> Array:
    """start·e^{L₀†t}A, and with drive·∫₀ᵗ e^{L₀†τ}A dτ, at each time, [t, *k, *a]."""

    def at(t: Array) -> Array:
        values = jnp.zeros((), complex)
        if start is not None:
            still = _paired(start[0], A[0], 0)
            values = still + _over(evolved, drift, diagonal, start, t, A)
        return values if drive is None else values + _over(integrated, drift, diagonal, drive, t, A)

    return jax.vmap(at)(ts - ts[0])


def _over(how: Any, drift: Array, diagonal: bool, X: Functional, at: Array, A: Symbol) -> Array:
    """Σ_k X^(k)·how(A^(k)), ranks from one on; rank zero does not move."""
    terms = []
    for k, (x, T) in enumerate(zip(X[1:], A[1:], strict=False), start=1):
        flat = T.reshape(-1, *T.shape[T.ndim - k :])
        terms.append(_paired(x, jax.vmap(lambda one: how(one, drift, at, diagonal))(flat).reshape(T.shape), k))
    blank = jnp.zeros((*X[0].shape, *A[0].shape), complex)
    return sum(terms, blank)


def _paired(x: Array, a: Array, rank: int) -> Array:
    """Contraction over the last axes of both, [*k, *a]."""
    return jnp.tensordot(x, a, axes=(list(range(x.ndim - rank, x.ndim)), list(range(a.ndim - rank, a.ndim))))


def _each_index(T: Array, M: Array) -> Array:
    """T_{ij…} M_{il} M_{jm} …"""
    for axis in range(T.ndim):
        T = jnp.moveaxis(jnp.tensordot(M, T, axes=([0], [axis])), 0, axis)
    return T


@functools.cache
def _tables(n: int, rank: int):
    """Where the independent elements of a symmetric tensor sit, and how Σ_slots K acts on their monomials:
    β^m → Σ_jl m_j K_jl β^{m − e_j + e_l}."""
    indices = list(monomials(n, rank))
    number = {index: p for p, index in enumerate(indices)}
    index = tuple(np.array(indices).T)
    every = np.sort(np.indices((n,) * rank).reshape(rank, -1), axis=0).T
    place = np.array([number[tuple(i)] for i in every.tolist()]).reshape((n,) * rank)
    weight = np.array([multiplicity(i) for i in indices], float)
    rows, columns, slots, counts = [], [], [], []
    for old, p in number.items():
        for j, m in Counter(old).items():
            rest = list(old)
            rest.remove(j)
            for other in range(n):
                rows.append(number[tuple(sorted([*rest, other]))])
                columns.append(p)
                slots.append((j, other))
                counts.append(float(m))
    return index, place, weight, np.array(rows), np.array(columns), np.array(slots).T, np.array(counts)
