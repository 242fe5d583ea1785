"""One reference frequency for each group.

Takes: the structure of H, groups. Returns: ω̄_g, the frequency that all members of a group have under

    H₀ = Σ_n e_n |n⟩⟨n|,     e = P E,

the operator nearest to H (in the sum of squares of E − e) that commutes with H and gives the transitions of each group
one frequency: P projects onto those e for which e_n − e_m is the same throughout each group. Groups that chain a
frequency to zero make it zero.

Derivative in H. P treats states whose mutual frequency is in the group of zero alike, so e depends on sums of energies
over such states only: these are analytic in H, also where levels coincide. To second order, h the change of H,

    E_n → E_n + h_nn + Σ_k |h_kn|²/(E_n − E_k),

where the terms with n and k alike cancel in each sum and are left out: no denominator vanishes.
"""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ._filter import zero_with_tangent
from ._structure import Groups, Structure

EQUAL = 1e-10
"""Eigenvalues of the quadratic form below this fraction of its largest possible one, 2d, are zero. They are those of a
matrix of small rational numbers; others are at least of the order of 1/d."""


def group_frequencies(structure: Structure, groups: Groups) -> Float[Array, " g"]:
    """ω̄_g, differentiable twice in H, groups fixed."""
    h = structure.to_eigenbasis(zero_with_tangent(structure.hamiltonian, 0, 0)[0])
    apart = groups.labels != groups.zero
    repelled = (h.real**2 + h.imag**2) / jnp.where(apart, structure.frequencies, 1.0)
    E = structure.energies + jnp.diag(h).real + jnp.sum(jnp.where(apart, repelled, 0.0), axis=0)
    return _from_energies(groups, E)


def moved_frequencies(groups: Groups, W: Complex[Array, "d d"]) -> Float[Array, " g"]:
    """The first-order change of ω̄_g when the levels of H move by W, in the eigenbasis."""
    return _from_energies(groups, jnp.diag(W).real)


def reference_energies(structure: Structure, groups: Groups) -> Float[Array, " d"]:
    """e = P E. A constant of differentiation."""
    return _projector(groups, _sums(groups, structure.energies)) @ structure.energies


def _from_energies(groups: Groups, E: Float[Array, " d"]) -> Float[Array, " g"]:
    """The mean of e_n − e_m over each group, whose members are equal."""
    sums = _sums(groups, E)
    size = jnp.zeros(groups.count, E.dtype).at[groups.labels].add(1.0)
    return sums @ (_projector(groups, sums) @ E) / jnp.maximum(size, 1.0)


def _sums(groups: Groups, like: Float[Array, " d"]) -> Float[Array, "g d"]:
    """The rows that give Σ_{(m,n)∈g} (E_n − E_m) of energies E."""
    states = jnp.arange(len(like))
    sums = jnp.zeros((groups.count, len(like)), like.dtype)
    return sums.at[groups.labels, states[None, :]].add(1.0).at[groups.labels, states[:, None]].add(-1.0)


def _projector(groups: Groups, sums: Float[Array, "g d"]) -> Float[Array, "d d"]:
    """P, on the null space of Σ_mn (e_n − e_m)² − Σ_g (Σ_{(m,n)∈g} e_n − e_m)²/|g|, the spread within the groups."""
    dim = sums.shape[-1]
    size = jnp.zeros(groups.count, sums.dtype).at[groups.labels].add(1.0)
    spread = 2 * (dim * jnp.eye(dim, dtype=sums.dtype) - 1.0) - sums.T @ (sums / jnp.maximum(size, 1.0)[:, None])
    values, vectors = jnp.linalg.eigh(spread)
    null = vectors * (values < EQUAL * 2 * dim)
    return null @ null.T
