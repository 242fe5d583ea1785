"""Energies, eigenvectors and groups of Bohr frequencies.

Takes: a Hamiltonian H. Returns: its eigenbasis, and an integer label for each pair (m, n) of eigenstates that says to
which group of equal Bohr frequency ω_mn = E_n − E_m the transition n → m belongs (paper, Eq. 7). Labels are data, not
structure: they are found by sorting, so everything here runs under `jit` and `vmap`. They are constants of
differentiation: a derivative follows the states, groups fixed.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Complex, Float, Inexact, Int

from .._compiled import compiled
from .._inputs import as_known, is_concrete
from ..errors import StateFollowingError
from ._product import dagger, diagonal, product

LEVEL = 1e-9
"""Energies closer than this fraction of the spectral width are one level."""


LARGE = 64
"""Above this dimension a known real H is kept real."""
COMPARED = 5
"""Up to this dimension all pairs of frequencies are compared."""


class Structure(eqx.Module):
    """H together with its eigenbasis.

    `hamiltonian`, with its trace removed (an offset would only cost digits), carries the derivative; `energies`
    (ascending) and `vectors` (columns) are the point at which functions of H are evaluated and carry none: their own
    derivatives do not exist where levels coincide, those of the filter do.

    Energies closer than `LEVEL` × spectral width form one level and are given its mean: a rate that is singular at
    ω = 0 would otherwise be evaluated at the rounding error of a degenerate level.
    """

    hamiltonian: Inexact[Array, "d d"]
    energies: Float[Array, " d"]
    vectors: Inexact[Array, "d d"]
    rounding: Float[Array, ""]  # of the energies: a few eps of the largest, offset included

    @property
    def dim(self) -> int:
        return self.energies.shape[-1]

    @property
    def frequencies(self) -> Float[Array, "d d"]:
        """ω_mn = E_n − E_m: what the transition n → m gives to the bath."""
        return self.energies[None, :] - self.energies[:, None]

    @property
    def levels(self) -> Bool[Array, "d d"]:
        """Whether m and n belong to one level."""
        return self.frequencies == 0

    @property
    def eigenstates(self) -> tuple[Float[Array, " d"], Inexact[Array, "d d"]]:
        """Energies and eigenvectors with their derivatives in H, which distinct levels have."""
        return _differentiable(self.hamiltonian, self.energies, self.vectors)

    def to_eigenbasis(self, X: Array) -> Array:
        """U† X U."""
        return product(dagger(self.vectors), X, self.vectors)

    def from_eigenbasis(self, X: Array) -> Array:
        """U X U†."""
        return product(self.vectors, X, dagger(self.vectors))


@compiled
def bohr_structure(hamiltonian: Inexact[Array, "d d"]) -> Structure:
    """Diagonalise H (its Hermitian part, so that derivatives stay within Hermitian matrices). Of a real array the
    structure is real."""
    hermitian = (hamiltonian + hamiltonian.conj().T) / 2
    hamiltonian = traceless(hermitian)
    vectors, energies = jax.lax.linalg.eigh(jax.lax.stop_gradient(hamiltonian), symmetrize_input=False)
    energies, vectors = jax.lax.stop_gradient((energies, vectors))
    offset = jnp.abs(jnp.trace(jax.lax.stop_gradient(hermitian))) / hermitian.shape[-1]
    rounding = 100 * jnp.finfo(energies.dtype).eps * (jnp.max(jnp.abs(energies)) + offset)
    return Structure(hamiltonian, _merged(energies, rounding), vectors, rounding)


def find_structure(hamiltonian: Complex[Array, "d d"]) -> Structure:
    """The structure of H; that of a large, known and real one in real numbers: eigenvectors and what is made of them
    then cost a quarter."""
    if hamiltonian.shape[-1] > LARGE and is_concrete(hamiltonian) and not np.any(np.imag(np.asarray(hamiltonian))):
        return bohr_structure(hamiltonian.real)
    return bohr_structure(hamiltonian)


@jax.custom_jvp
def _differentiable(H: Array, energies: Array, vectors: Array) -> tuple[Array, Array]:
    """Energies and vectors, with their derivatives in H."""
    return energies, vectors


@_differentiable.defjvp
def _differentiable_jvp(primals, tangents):
    """dE_n = h_nn, dU = U X, X_mn = h_mn/(E_n − E_m) for m ≠ n, with h = U† dH U. As JAX's own rule, with products
    that suit small matrices."""
    dH = tangents[0]
    energies, vectors = _differentiable(*primals)
    h = product(dagger(vectors), dH, vectors)
    same = np.eye(len(energies), dtype=bool)
    gap = jnp.where(same, 1.0, energies[None, :] - energies[:, None])
    return (energies, vectors), (diagonal(h).real, product(vectors, jnp.where(same, 0.0, h / gap)))


def traceless(hamiltonian: Inexact[Array, "d d"]) -> Inexact[Array, "d d"]:
    """H − Tr(H)/d."""
    dim = hamiltonian.shape[-1]
    return hamiltonian - jnp.sum(diagonal(hamiltonian)) / dim * np.eye(dim, dtype=hamiltonian.dtype)


def _merged(energies: Float[Array, " d"], rounding: Float[Array, ""]) -> Float[Array, " d"]:
    """Each energy replaced by the mean of its level."""
    gap = LEVEL * (energies[-1] - energies[0]) + rounding
    start = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(jnp.diff(energies) > gap)])
    alike = (start[:, None] == start[None, :]).astype(energies.dtype)
    return alike @ energies / jnp.sum(alike, axis=1)


class Groups(eqx.Module):
    """Groups of Bohr frequencies: `labels[m, n]` ascends with ω_mn, `zero` is the label of the group that holds ω = 0.

    `count` bounds the number of groups: exact where H is known, d² − d + 1 where it is traced.
    """

    labels: Int[Array, "d d"]
    count: int = eqx.field(static=True)

    @property
    def zero(self) -> Int[Array, ""]:
        """That of ω_mm."""
        return self.labels[0, 0]

    def split(self, X: Inexact[Array, "d d"]) -> Inexact[Array, "g d d"]:
        """1_g X for every group. NaN where the labels have been lost (see `follow`)."""
        members = jnp.where(self.labels == jnp.arange(self.count)[:, None, None], X, 0)
        return jnp.where(self.labels < 0, jnp.nan, members)


def one_group(structure: Structure) -> Groups:
    """All Bohr frequencies together."""
    return Groups(jnp.zeros(structure.frequencies.shape, int), 1)


def find_groups(structure: Structure, tolerance: float, width: ArrayLike = 0.0) -> Groups:
    """Chain Bohr frequencies together while neighbours are closer than `tolerance` × spectral width, or than `width`.

    The set of frequencies is symmetric under ω → −ω, so the groups are too. Rounding never separates.
    """
    dim = structure.energies.size
    if is_concrete(structure.energies, structure.rounding, width):
        known = _known_labels(structure, tolerance, width)
        return Groups(as_known(known), int(known.max()) + 1)
    labels = _labels(structure, tolerance, width)
    return Groups(labels, dim * dim - dim + 1)


@compiled
def _labels(structure: Structure, tolerance: float, width: ArrayLike) -> Int[Array, "d d"]:
    omega = structure.frequencies.reshape(-1)
    gap = tolerance * (structure.energies[-1] - structure.energies[0]) + structure.rounding
    if structure.energies.size <= COMPARED:
        return compared(omega, jnp.maximum(gap, width)).reshape(structure.frequencies.shape)
    order = jnp.argsort(omega)
    steps = jnp.diff(omega[order]) > jnp.maximum(gap, width)
    ranks = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(steps)])
    return jnp.zeros(omega.size, int).at[order].set(ranks).reshape(structure.frequencies.shape)


def compared(omega: Float[Array, " n"], gap: Float[Array, ""]) -> Int[Array, " n"]:
    """`_labels` by comparing all pairs: under `vmap` a batch is sorted one member at a time, but compared as a whole.

    A group begins at a frequency whose predecessor is further off than the gap; the label counts the beginnings."""
    place, other = jnp.arange(omega.size)[:, None], jnp.arange(omega.size)
    distance = omega[:, None] - omega
    before = (distance > 0) | ((distance == 0) & (other < place))  # equal ones in the order given
    begins = ~jnp.any(before & (distance <= gap), axis=1)
    return jnp.sum((before | (other == place)) & begins, axis=1) - 1


def _known_labels(structure: Structure, tolerance: float, width: ArrayLike) -> np.ndarray:
    """The same by NumPy, which sorts ten times as fast and compiles nothing."""
    energies = np.asarray(structure.energies)
    omega = (energies[None, :] - energies[:, None]).reshape(-1)
    order = np.argsort(omega)
    gap = tolerance * (energies[-1] - energies[0]) + float(structure.rounding)
    labels = np.empty(omega.size, int)
    labels[order] = np.cumsum(np.diff(omega[order], prepend=omega[order[0]]) > max(gap, float(np.asarray(width))))
    return labels.reshape(energies.size, -1)


def blocks(structure: Structure, groups: Groups, near: ArrayLike) -> Bool[Array, "d d"]:
    """Whether two states may be treated as one level: neighbours in energy chained while closer than `near` and alike
    in all their groups."""
    energies, labels = structure.energies, groups.labels
    close = jnp.diff(energies) <= near
    alike = jnp.all(labels[1:] == labels[:-1], axis=1) & jnp.all(labels[:, 1:] == labels[:, :-1], axis=0)
    block = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(~(close & alike))])
    return (block[:, None] == block[None, :]) | structure.levels


class Reference(eqx.Module):
    """Where groups were pinned: the eigenvectors there, and for each the first state with the same labels."""

    vectors: Inexact[Array, "d d"]
    matching: Int[Array, " d"]
    groups: Groups


@compiled
def reference_to(structure: Structure, groups: Groups) -> Reference:
    """Remember the groups together with the states they belong to."""
    alike = jnp.all(groups.labels[:, None, :] == groups.labels[None, :, :], axis=-1)
    return Reference(structure.vectors, jnp.argmax(alike, axis=1), groups)


def follow(reference: Reference, structure: Structure) -> Groups:
    """The pinned groups carried over to the eigenstates of another Hamiltonian.

    Each eigenstate takes the labels of the reference states it overlaps most, states that share all their labels
    (a degenerate level) counting as one. Beyond the point where this is unambiguous the groups have lost their
    meaning: `StateFollowingError` where values are known, else the labels are made invalid and the result NaN.
    """
    labels, weakest, valid = _follow(reference, structure)
    if is_concrete(valid) and not valid:
        raise StateFollowingError(
            "Pinned groups cannot follow the eigenstates: the Hamiltonian is too far from the one `.fixed(system)` "
            f"was called with (weakest overlap of a state with a pinned level: {float(weakest):.2f}, needed: more than "
            "0.5, and each level must keep its number of states). Pin the groups nearer to this Hamiltonian, or do not "
            "pin them."
        )
    return Groups(jnp.where(valid, labels, -1), reference.groups.count)


@compiled
def _follow(reference: Reference, structure: Structure) -> tuple[Array, Array, Array]:
    dim = structure.energies.size
    overlap = jnp.abs(reference.vectors.conj().T @ structure.vectors) ** 2
    weight = jnp.zeros((dim, dim)).at[reference.matching].add(overlap)  # [level of the reference, state]
    state = jnp.argmax(weight, axis=0)
    sizes = jnp.zeros(dim, int).at[reference.matching].add(1)
    taken = jnp.zeros(dim, int).at[state].add(1)
    weakest = jnp.min(jnp.max(weight, axis=0))
    valid = jnp.all(sizes == taken) & (weakest > 0.5)
    return reference.groups.labels[state[:, None], state[None, :]], weakest, valid
