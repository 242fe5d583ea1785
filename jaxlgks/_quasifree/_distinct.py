"""The first-order generator where every group of frequencies has one member: each filter is a number.

Takes: as `_first_order`. Returns: the same functionals. A_ν = √Γ(Ω_ν) s_ν β_ν, so that for the rotation

    A_ν⁽¹⁾ = √Γ(Ω_ν) R_ν,     R_ν = [G, s_νβ_ν] + P_ν[S, G]     (the shift: (√Γ)'(Ω_ν) P_ν[S, W]),

and R_ν is the same at every temperature. C pairs β_i with its adjoint β_ī alone, C_iī = S_i + h_i with S_i = n + ½ and
h_i = ±½, and averages of tensors in Wick's order are sums over elements,

    ½⟨AB + BA⟩ = Σ_I even_I A_I B_Ī,     ½⟨AB − BA⟩ = Σ_I odd_I A_I B_Ī,

with even (odd) the terms of k! Π_{i∈I} (S_i + h_i) of even (odd) order in h: no difference of two large numbers. What
depends on temperatures are a few vectors; everything else is made once however many temperatures there are.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._equations import AbstractEquation, each_noise
from .._polynomials import Symbol, adjoint, commutators, reordered, swap, with_linear
from .._system import Noise
from ._dynamics import coupling_form
from ._first_order import LevelChange, nominal_of
from ._frame import Frame
from ._modes import MERGED
from ._rates import AbstractKernel, kernel_of


def distinct_kubo(V: Symbol, at: Frame, degree: int) -> Symbol:
    """X ↦ ⟨i[V, X]⟩; V in Wick's order."""
    out = [jnp.zeros((at.signed.size,) * k, complex) for k in range(degree + 1)]
    for k, (v, (_, odd)) in enumerate(zip(V, weights(at, degree), strict=False)):
        out[k] = 2j * _adjoined(odd * v)
    return tuple(out)


def distinct_dissipative(
    levels: LevelChange, at: Frame, noises: tuple[Noise, ...], equation: AbstractEquation, degree: int, shifts: bool
) -> Symbol:
    """X ↦ ⟨D₁†X⟩, leading axes [baths, 2]: rotation and shift; [baths, 1] where V is known not to shift."""

    def of(noise: Noise) -> tuple[Array, Array, Symbol]:
        s, c = coupling_form(noise)
        S = jnp.append(at.modes.forms.T @ s, s @ at.modes.centre + c)
        numbers, changes = _numbers(kernel_of(equation, noise), at), _changes(S, levels, at)
        return S, numbers[: 1 + shifts], tuple(T[: 1 + shifts] for T in changes)

    S, numbers, changes = jax.tree.map(lambda *x: jnp.stack(x), *each_noise(of, noises))
    each = jax.vmap(lambda S, k, R: _functional(S, k, R, at, degree), in_axes=(None, 0, 0))
    return jax.vmap(each)(S, numbers, changes)


def weights(at: Frame, degree: int) -> list[tuple[Array, Array]]:
    """even and odd of every rank up to `degree`."""
    S, h = at.occupations + 0.5, _halves(at)
    result: list[tuple[Array, Array]] = [(jnp.ones(()), jnp.zeros(()))]
    for k in range(1, degree + 1):
        even, odd = (x[..., None] for x in result[-1])
        result.append((k * (even * S + odd * h), k * (odd * S + even * h)))
    return result


def _halves(at: Frame) -> np.ndarray:
    """h_i = J_iī/2."""
    return np.repeat([0.5, -0.5], at.signed.size // 2)


def _adjoined(T: Array) -> Array:
    """Every index i at ī."""
    return jnp.roll(T, (T.shape[-1] // 2,) * T.ndim, axis=tuple(range(T.ndim))) if T.ndim else T


def _numbers(kernel: AbstractKernel, at: Frame) -> Complex[Array, "2 4 v"]:
    """k and its slope at Ω_ν, ν of (d, d†, 1), as Y₋, Y₊ (slope in the first argument) and Z₋, Z₊ (in the second) need
    them."""
    x = jnp.append(at.signed, 0.0)
    parts: list[Any] = []
    for move in ((1.0, 0.0), (0.0, 1.0)):
        for k in (kernel.minus, kernel.plus):
            parts.append(jnp.stack(jax.jvp(k, (x, x), tuple(m * jnp.ones_like(x) for m in move))).astype(complex))
    return jnp.stack(parts, axis=1)


def _changes(S: Array, levels: LevelChange, at: Frame) -> Symbol:
    """R_ν in Bohr's frame, leading axes [2, ν]: rotation and shift, the numbers of `_numbers` left out."""
    J = jnp.asarray(commutators(at.nominal.size), complex)
    bracket_G, bracket_W = with_linear(levels.G, S[:-1], J), with_linear(levels.W, S[:-1], J)
    diagonal = jnp.concatenate([jnp.diag(S[:-1]), jnp.zeros((1, S.size - 1))])
    nominal = jnp.concatenate([at.nominal, -at.nominal, jnp.zeros(1)])
    out = []
    for k in range(len(bracket_G)):
        distance = nominal_of(at, k) - nominal.reshape(-1, *[1] * k)
        inside = jnp.abs(distance) <= (k + 1) * MERGED * at.modes.frequencies[-1]
        rotated_back = -(k + 1) * jnp.tensordot(diagonal @ J, levels.G[k + 1], axes=([1], [0]))
        kept: Any = jnp.where(inside, jnp.stack(jnp.broadcast_arrays(bracket_G[k], bracket_W[k]))[:, None], 0.0)
        out.append(kept.at[0].add(rotated_back))
    return tuple(out)


def _functional(S: Array, k: Array, R: Symbol, at: Frame, degree: int) -> Symbol:
    """X ↦ Σ_ν of `_first_order`'s head, for one bath and one mechanism. k: [4, ν]; R: leading axis ν."""
    n, h, by_rank = at.signed.size, _halves(at), weights(at, degree)
    R = jax.vmap(lambda *T: reordered(T, at.occupations))(*R)
    Y = jax.vmap(lambda *T: adjoint(T))(*R)
    # β_ν about the minimum, where the mean is: the last of ν is the constant.
    along = S[:-1] * (k[0, :-1] * (at.occupations + 0.5) - k[1, :-1] * h)
    constant = S[-1] * k[0, -1]
    back = -2 * h * jnp.conj(S[:-1])  # s_ν* J_ν̄ν
    out = [jnp.zeros((n,) * rank, complex) for rank in range(degree + 1)]
    for rank, y in enumerate(Y[: degree + 2]):
        if rank >= 1:  # [∂_ν̄ Y, X]
            derived = jnp.tensordot(along, rank * y[np.arange(n), swap(n)], axes=([0], [0]))
            out[rank - 1] = out[rank - 1] + _adjoined(2 * by_rank[rank - 1][1] * derived)
        if rank > degree:
            continue
        even, odd = by_rank[rank]
        out[rank] = out[rank] + _adjoined(2 * odd * constant * y[-1])
        if rank < degree:  # [Y, ∂_ν̄ X], and ∂_ν X with Z
            right, left, minus, plus = (v.reshape(-1, *[1] * rank) for v in (along, back, k[2, :-1], k[3, :-1]))
            first = _adjoined(right * 2 * odd * y[:-1])
            z = jax.vmap(_adjoined)(R[rank][:-1])
            second = left * (minus * even + plus * odd) * z
            out[rank + 1] = out[rank + 1] + (rank + 1) * (first + second)
    return tuple(out)
