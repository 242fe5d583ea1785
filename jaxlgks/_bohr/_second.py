"""The second derivative of the filter in H, at any degeneracy.

Takes: the structure of H, a change h of H, S, F, groups. Returns: the term of (1_g F)(Ω_{H+h})[S] of second order in h.

Divided differences of second order over triples and quadruples of states would do it, at a cost of d⁴. Perturbation
theory block by block does it with products of d×d matrices. Blocks are levels. H + h is made block diagonal by e^X,

    e^{−X}(H + h)e^{X} = H + W,     X = X₁ + X₂ off the blocks,  W = W₁ + W₂ inside them,

    [H, X₁] = −h_off,        W₁ = h_in,
    [H, X₂] = −([h_in, X₁] + ½[h_off, X₁])_off,      W₂ = ½[h_off, X₁]_in.

In the turned frame the coupling is S + S₁ + S₂ = S + [S, X₁] + ([S, X₂] + ½[S₁, X₁]), and Ω_{H+W} = Ω_H + Ω_W with two
parts that commute on pairs of blocks, so F(Ω_H + Ω_W) = F + F' Ω_W + ½ F'' Ω_W², Ω_W[Y] = [Y, W]:

    G₀ = F∘S,     G₁ = F∘S₁ + F'∘[S, W₁],
    G₂ = F∘S₂ + F'∘([S₁, W₁] + [S, W₂]) + ½ F''∘[[S, W₁], W₁],

each restricted to a group, and turned back

    A₂ = G₂ + [X₁, G₁] + [X₂, G₀] + ½[X₁, [X₁, G₀]].

Levels nearer than `NEAR` × the frequency over which F changes (`F.scale`; the spectral width where F does not say)
whose transitions share all their groups count as one block: to divide by their distance twice would cost all digits.
What this neglects is NEAR relative; dividing costs eps/NEAR². Where F is not smooth at ω = 0 its scale is zero: levels
must coincide.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array

from ._divided import curvature
from ._structure import Groups, Structure, blocks

NEAR = 1e-5


def second_order(h: Array, S: Array, F: Callable, structure: Structure, groups: Groups) -> Array:
    """A₂[h, h] for every group."""
    h, S = structure.to_eigenbasis(h), structure.to_eigenbasis(S)
    scale = getattr(F, "scale", structure.energies[-1] - structure.energies[0])
    inside, omega = blocks(structure, groups, NEAR * scale), structure.frequencies
    inverse = jnp.where(inside, 0.0, 1.0 / jnp.where(inside, 1.0, omega))  # 1/(E_n − E_m)
    split = groups.split

    W1, off = jnp.where(inside, h, 0.0), jnp.where(inside, 0.0, h)
    X1 = inverse * off
    bent = _bracket(off, X1) / 2
    W2 = jnp.where(inside, bent, 0.0)
    X2 = inverse * (_bracket(W1, X1) + bent)
    S1 = _bracket(S, X1)
    S2 = _bracket(S, X2) + _bracket(S1, X1) / 2

    F0, F1, F2 = curvature(F, omega)
    # A level of one state has nothing that moves at ω = 0, where F may have no derivative.
    alone = jnp.eye(omega.shape[0], dtype=bool) & (jnp.sum(inside, axis=0) == 1)
    F1, F2 = jnp.where(alone, 0.0, F1), jnp.where(alone, 0.0, F2)
    shift = _bracket(S, W1)
    G0, G1 = split(F0 * S), split(F0 * S1 + F1 * shift)
    G2 = split(F0 * S2 + F1 * (_bracket(S1, W1) + _bracket(S, W2)) + F2 * _bracket(shift, W1) / 2)
    return structure.from_eigenbasis(G2 + _bracket(X1, G1) + _bracket(X2, G0) + _bracket(X1, _bracket(X1, G0)) / 2)


def _bracket(A: Array, B: Array) -> Array:
    return A @ B - B @ A
