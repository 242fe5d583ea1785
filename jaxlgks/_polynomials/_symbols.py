"""Polynomials of oscillator operators as graded symmetric tensors, and their algebra.

Takes: tensors T^(k) over a vector of operators β whose commutators are numbers. Returns: the same for products, changes
of order and of variables, averages.

A symbol (T^(0), …, T^(n)) stands for Σ_k T^(k)_{i…j} :β_i … β_j:, the colons an order fixed by a contraction matrix C,

    :β_i β_j: = β_i β_j − C_ij,     C − Cᵀ = J, the matrix of commutators.

Normal order is the C of the vacuum, C_ij = ⟨β_i β_j⟩_vac; the C of any Gaussian state gives Wick's order, in which all
averages but that of T^(0) vanish. One rule serves all orders (Wick's theorem),

    A B = exp(Σ C_ij ∂^A_i ∂^B_j) A B,          C → C':  f → exp(½ Σ (C' − C)_ij ∂_i ∂_j) f.

Tensors are symmetric and complete (not one entry a monomial): a change of modes is then one product an index.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._inputs import is_concrete

Tensor = Array | np.ndarray
Symbol = tuple[Any, ...]  # JAX arrays, NumPy arrays or NumPy numbers


def module(*values) -> Any:
    """NumPy where all numbers are known (nothing is compiled then), JAX otherwise."""
    return np if is_concrete(values) else jnp


def swap(size: int) -> np.ndarray:
    """Positions of the adjoints: of (a_1 … a_M, a_1† … a_M†), a_k ↔ a_k†."""
    return np.roll(np.arange(size), size // 2)


def commutators(modes: int) -> Any:
    """J_ij = [α_i, α_j] of α = (a_1 … a_M, a_1† … a_M†)."""
    zero, one = np.zeros((modes, modes)), np.eye(modes)
    return np.block([[zero, one], [-one, zero]])


def vacuum(modes: int) -> Any:
    """C_ij = ⟨α_i α_j⟩ in the vacuum: normal order."""
    return (commutators(modes) + np.abs(commutators(modes))) / 2


def symmetrised(T: Tensor, done: int = 0):
    """The symmetric part of a tensor that is symmetric in its first `done` indices already: coset by coset."""
    for last in range(max(done, 1), T.ndim):
        swapped = [T.swapaxes(i, last) for i in range(last)]
        T = sum(swapped, T) / (last + 1)  # pyright: ignore[reportOperatorIssue]
    return T


def contracted(T: Tensor, C: Tensor, count: int):
    """C applied to the first `count` indices of T, in their places: C_ij T_j…."""
    xp = module(T, C)
    for axis in range(count):
        T = xp.moveaxis(xp.tensordot(C, T, axes=([1], [axis])), 0, axis)
    return T


def product(A: Symbol, B: Symbol, C: Inexact[Tensor, "n n"]) -> Symbol:
    """The symbol of the operator product A B."""
    xp = module(A, B, C)
    n = C.shape[0]
    out = [xp.zeros((n,) * k, complex) for k in range(len(A) + len(B) - 1)]
    for p, a in enumerate(A):
        for q, b in enumerate(B):
            for k in range(min(p, q) + 1):
                weight = math.comb(p, k) * math.comb(q, k) * math.factorial(k)
                joined = xp.tensordot(a, contracted(b, C, k), axes=(tuple(range(p - k, p)), tuple(range(k))))
                out[p + q - 2 * k] = out[p + q - 2 * k] + weight * symmetrised(joined, p - k)
    return tuple(out)


def plus(A: Symbol, B: Symbol) -> Symbol:
    """A + B, of the higher degree of the two."""
    if len(A) < len(B):
        A, B = B, A
    return tuple(a + b for a, b in zip(A, B, strict=False)) + A[len(B) :]


def scaled(A: Symbol, factor) -> Symbol:
    """A times a number."""
    return tuple(factor * a for a in A)


def adjoint(A: Symbol) -> Symbol:
    """A†, for β that holds the adjoints of its own members as `swap` says and an order that is normal; of stacks, whose
    tensors have leading axes, each."""
    order = swap(A[1].shape[-1]) if len(A) > 1 else np.zeros(0, int)

    def one(T, rank: int):
        for axis in range(T.ndim - rank, T.ndim):
            T = T.take(order, axis=axis)
        return T.conj()

    return tuple(one(a, rank) for rank, a in enumerate(A))


def reordered(A: Symbol, change: Inexact[Tensor, "n n"] | Inexact[Tensor, " n"]) -> Symbol:
    """The symbol in the order C + change: exp(½ change ∂∂). A vector stands for a matrix that pairs each β_i with its
    adjoint alone."""
    xp = module(A, change)
    out = []
    for k in range(len(A)):
        total, weight, fold = A[k], 1.0, 0
        for high in range(k + 2, len(A), 2):
            T, fold = A[high], (high - k) // 2
            for _ in range(fold):
                T = _folded(T, change, xp)
            weight = math.factorial(high) / (math.factorial(k) * math.factorial(fold) * 2**fold)
            total = total + weight * T
        out.append(total)
    return tuple(out)


def _folded(T: Tensor, change: Tensor, xp):
    """Σ change_ij T_…ij."""
    if change.ndim == 2:
        return xp.tensordot(change, T, axes=([0, 1], [T.ndim - 2, T.ndim - 1]))
    size = change.shape[0]
    return xp.sum(T[..., np.arange(size), swap(size)] * change, axis=-1)


def translated(A: Symbol, by: Inexact[Tensor, " n"]) -> Symbol:
    """The symbol in β' = β − by."""
    xp = module(A, by)
    out = []
    for k in range(len(A)):
        total = A[k]
        for high in range(k + 1, len(A)):
            T = A[high]
            for _ in range(high - k):
                T = xp.tensordot(T, by, axes=([T.ndim - 1], [0]))
            total = total + math.comb(high, k) * T
        out.append(total)
    return tuple(out)


def substituted(A: Symbol, T: Inexact[Tensor, "n m"]) -> Symbol:
    """The symbol in γ, for β = T γ."""
    xp = module(A, T)
    return tuple(contracted(a, xp.swapaxes(T, 0, 1), a.ndim) for a in A)


def symmetric_average(A: Symbol, B: Symbol, C: Inexact[Tensor, "n n"]):
    """½⟨AB + BA⟩ of symbols in Wick's order of the state with contraction C."""
    return _paired(A, B, C, 0)


def commutator_average(A: Symbol, B: Symbol, C: Inexact[Tensor, "n n"]):
    """⟨AB − BA⟩, without the difference of two large numbers."""
    return 2 * _paired(A, B, C, 1)


def _paired(A: Symbol, B: Symbol, C: Tensor, parity: int):
    """Σ_k k! Σ_j C(k,j) T_A · (J/2)^{⊗j} S^{⊗k−j} · T_B over j of one parity: ⟨AB⟩ = Σ_k k! T_A · C^{⊗k} · T_B with
    C = S + J/2, S symmetric, and ⟨BA⟩ with S − J/2. J is known: C − Cᵀ would lose the digits of large occupations."""
    xp = module(A, B, C)
    S, half = (C + C.T) / 2, commutators(C.shape[0] // 2) / 2
    total = xp.zeros((), complex)
    for k in range(min(len(A), len(B))):
        for j in range(parity, k + 1, 2):
            T = contracted(B[k], half, j)
            for axis in range(j, k):
                T = xp.moveaxis(xp.tensordot(S, T, axes=([1], [axis])), 0, axis)
            total = total + math.factorial(k) * math.comb(k, j) * xp.sum(A[k] * T)
    return total


def differentiated(A: Symbol, along: Inexact[Tensor, " n"]) -> Symbol:
    """Σ_i along_i ∂_i A."""
    xp = module(A, along)
    return tuple(k * xp.tensordot(along, A[k], axes=([0], [0])) for k in range(1, len(A)))


def with_linear(A: Symbol, left: Inexact[Tensor, " n"], J: Tensor) -> Symbol:
    """[uᵀβ, A] in any order: only first derivatives of A survive."""
    return differentiated(A, left @ J)
