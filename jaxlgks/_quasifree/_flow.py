"""e^{L₀†t} and (L₀† + iω)⁻¹ on symbols in Wick's order: index by index.

Takes: the drift K of L₀†β = Kβ and symmetric tensors. Returns

    e^{L₀†t} T^(k) = (e^{Kt})⊗k T^(k),      (L₀† + iω) T^(k) = (Σ_slots K + iω) T^(k).

Where K is diagonal both are elementwise. Otherwise e^{Kt} is a small matrix, and the resolvent a linear system for the
independent elements of T^(k), of which there are C(2M + k − 1, k).
"""

import functools
from collections import Counter

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._generator import matrix_exponential
from .._polynomials import monomials, multiplicity
from ..errors import SolverMemoryError

LARGEST = 3000
"""Independent elements of a tensor up to which the resolvent is found by elimination."""


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
