"""The generator of a secular equation, block by block.

Takes: a system, an equation Σ_g D_g, its groups. Returns: L as small matrices. In the eigenbasis of H every
transition m → i belongs to one group, so all A_g together are one matrix A_im with labels. For D_g = D[A_g]

    (D X)_ij = Σ_mn [label(i,m) = label(j,n)] A_im A*_jn X_mn − (K X + X K†)_ij,
    K_mn = ½ Σ_i [label(i,m) = label(i,n)] A*_im A_in        (and the Lamb shift);

others have another pair of operators in the jumps and in K.

Elements X_ij and X_mn that no such term joins never meet: coherences of distinct levels are alone or in blocks of
equal Bohr frequency, populations are one block of d. Which elements share a block follows from the labels; it is found
outside compiled programs, where levels must be known. Nothing of size d²×d² is made.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact, Int

from .._bohr import Groups, reciprocal
from .._equations import AbstractSecular, Dissipation, Slope, product_within
from .._system import Noise
from ._base import AbstractSuperoperator, Change, NullState
from ._delayed import MatrixDelay
from ._fluctuations import spectrum
from ._linear import exponential, linear_solve, null_state, pinned_generator, trace_kept
from ._matrices import MatrixGenerator, rows_of, thermal_change
from ._populations import uncertain_rates
from ._remembering import with_memory
from ._stepping import AbstractStepper

BATCHED = 8
"""Blocks up to this size are treated together; larger ones one after the other, away from batched LAPACK calls."""
PAIRS = 1 << 23
"""Pairs of transitions that are looked at: 1 GB while they are."""
Matrices = tuple[Complex[Array, "_ _ _"], ...]


class BlockStructure(eqx.Module):
    """Which elements of a matrix L joins: the positions m·d + n of elements X_mn, [c, s] for c blocks of size s. The
    first is the block of the populations; the others follow by size. `places`: where each position is among them."""

    labels: Int[Array, "d d"]
    positions: tuple[Int[Array, "_ _"], ...]
    places: Int[Array, " n"]

    def matrices(self, left: Array, right: Array, drift: Complex[Array, "d d"]) -> Matrices:
        """X ↦ Σ_j Σ_g L_g X R_g† − K X − X K† of ungrouped operators L, R [j, d, d]."""
        first, *others = (self._matrix(where, left, right, drift) for where in self.positions)
        return trace_kept(first[0], self.identity(first.dtype))[None], *others

    def identity(self, dtype: Any) -> Complex[Array, " n"]:
        """The identity in the block of the populations."""
        where, dim = self.positions[0][0], self.labels.shape[-1]
        return (where // dim == where % dim).astype(dtype)

    def _matrix(self, where: Array, left: Array, right: Array, drift: Array) -> Array:
        dim = self.labels.shape[-1]
        row, column = where[:, :, None], where[:, None, :]
        i, j, m, n = row // dim, row % dim, column // dim, column % dim
        joined = self.labels[i, m] == self.labels[j, n]
        jumps = sum((L[i, m] * R[j, n].conj() for L, R in zip(left, right, strict=True)), jnp.zeros((), drift.dtype))
        loss = jnp.where(j == n, drift[i, m], 0.0) + jnp.where(i == m, drift[j, n].conj(), 0.0)
        return jnp.where(joined, jumps, 0.0) - loss

    def apply(self, matrices: Matrices, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
        """The superoperator applied to matrices."""
        return self.join(X, [jnp.einsum("cij,kcj->kci", M, x) for M, x in zip(matrices, self.split(X), strict=True)])

    def adjoint(self, matrices: Matrices, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
        """The adjoint superoperator (Heisenberg picture), Tr[X† M(Y)] = Tr[(M‡X)† Y]."""
        return self.apply(tuple(jnp.swapaxes(M.conj(), -1, -2) for M in matrices), X)

    def split(self, X: Complex[Array, "k d d"]) -> list[Complex[Array, "k _ _"]]:
        """The elements of X block by block."""
        flat = X.reshape(X.shape[0], -1)
        return [flat[:, where] for where in self.positions]

    def join(self, X: Complex[Array, "k d d"], parts: list[Array]) -> Complex[Array, "k d d"]:
        """Matrices of the shape of X from elements block by block."""
        flat = jnp.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        return flat[:, self.places].reshape(X.shape)


def find_blocks(groups: Groups, limit: int) -> BlockStructure | None:
    """The blocks of known groups, or None if their matrices together would hold more than `limit` numbers."""
    import scipy.sparse.csgraph

    labels = np.asarray(groups.labels)
    dim = labels.shape[0]
    order = np.argsort(labels, axis=None, kind="stable")
    starts = np.flatnonzero(np.diff(labels.reshape(-1)[order], prepend=-2))
    sizes = np.diff(np.append(starts, order.size))
    if np.sum(sizes.astype(float) ** 2) > min(limit, PAIRS):
        return None
    # All pairs of transitions m → i, n → j of one group: they join X_mn to X_ij. With i = j they are a term of K,
    # which joins X_mx to X_nx and X_xm to X_xn for every x.
    often = np.repeat(sizes, sizes)  # each is the first of as many pairs as its group has members
    first = np.repeat(order, often)
    begin = np.repeat(np.cumsum(often) - often, often)
    second = order[np.repeat(np.repeat(starts, sizes), often) + np.arange(first.size) - begin]
    i, m, j, n = first // dim, first % dim, second // dim, second % dim
    same = (i == j) & (m < n)
    pairs = np.unique(np.stack([m[same], n[same]]), axis=1)[:, :, None]
    x = np.arange(dim)
    source = [m * dim + n, (pairs[0] * dim + x).ravel(), (x * dim + pairs[0]).ravel()]
    target = [i * dim + j, (pairs[1] * dim + x).ravel(), (x * dim + pairs[1]).ravel()]
    ends = (np.concatenate(source), np.concatenate(target))
    graph = scipy.sparse.coo_matrix((np.ones(ends[0].size, bool), ends), shape=(dim**2, dim**2))
    _, block = scipy.sparse.csgraph.connected_components(graph, directed=False)
    size = np.bincount(block)
    if np.sum(size.astype(float) ** 2) > limit:
        return None
    populations = np.flatnonzero(block == block[0])  # labels join every pair of them
    rest = np.argsort(block, kind="stable")
    rest = rest[block[rest] != block[0]]
    of_size = size[block[rest]]
    others = [rest[of_size == s].reshape(-1, s) for s in np.unique(of_size)]
    positions = populations[None], *others
    places = np.argsort(np.concatenate([where.ravel() for where in positions]))
    return BlockStructure(groups.labels, tuple(jnp.asarray(where) for where in positions), jnp.asarray(places))


class BlockDissipator(AbstractSuperoperator):
    """D of one bath, or of all, block by block."""

    blocks: BlockStructure
    matrices: Matrices

    def __call__(self, X: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return self.blocks.apply(self.matrices, X[None])[0]

    def adjoint(self, A: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return self.blocks.adjoint(self.matrices, A[None])[0]


class BlockGenerator(MatrixGenerator):
    """L of a secular equation, block by block. `refine`: steps of refinement of the steady state."""

    resolved: Dissipation
    blocks: BlockStructure
    matrices: Matrices
    refine: int = eqx.field(static=True, default=1)
    name: ClassVar[str] = "blocks"

    def steady(self) -> NullState:
        where, dim = self.blocks.positions[0][0], self.resolved.system.dim

        def as_matrix(x: Array) -> Array:
            return jnp.zeros(dim * dim, x.dtype).at[where].set(x).reshape(dim, dim)

        L = self.matrices[0][0]
        places = ((where[:, None] // dim == jnp.arange(dim)) & (where[:, None] % dim == jnp.arange(dim))).astype(
            L.dtype
        )
        return null_state(L, places, uncertain_rates(self.resolved), self.refine, as_matrix)

    def adjoint(self, A: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return self.blocks.adjoint(self.matrices, A[None])[0]

    def dissipators(self) -> tuple[BlockDissipator, ...]:
        each = (self.resolved.alone(bath) for bath in range(len(self.resolved.system.baths)))
        return tuple(BlockDissipator(self.blocks, dissipative_blocks(alone, self.blocks)) for alone in each)

    @property
    def core(self) -> "BlockCore":
        return BlockCore(self.blocks, self.matrices)

    def first_order(self, V: Complex[Array, "d d"], X: Array, degree: int = 2) -> Change:
        """Without an axis of groups, O(d³): see `FirstOrderBlocks`."""
        del degree
        first = FirstOrderBlocks(self.resolved, self.blocks, self.observable(V))
        changes = [first.of_bath(bath, X) for bath in range(len(self.resolved.system.baths))]
        rotation, shift = (jnp.stack(parts) for parts in zip(*changes, strict=True))
        sources = jnp.stack([self.kubo(V, X), jnp.sum(rotation, axis=0), jnp.sum(shift, axis=0)])
        return self.change(V, sources, rotation + shift)

    def delayed(self, X: Array, change: Change, quantity: Any) -> MatrixDelay:
        return with_memory(self, X, change, quantity)

    def spectrum(self, A: Array, B: Array, X: Array, omegas: Array, *, instantaneous: bool) -> Array:
        return spectrum(self, A, B, X, omegas, instantaneous=instantaneous)

    def thermal_changes(self, X: Array) -> Change:
        def of(alone: Dissipation) -> tuple[Array, Array]:
            def at(T: Array) -> Matrices:
                other = eqx.tree_at(lambda d: d.system.baths[0].temperature, alone, T)
                return dissipative_blocks(other, self.blocks)

            T = alone.system.baths[0].temperature
            matrices, slopes = jax.jvp(at, (T,), (jnp.ones_like(T),))
            return tuple(BlockDissipator(self.blocks, M)(X) for M in (slopes, matrices))  # pyright: ignore

        baths = range(len(self.resolved.system.baths))
        warmer, stronger = zip(*(of(self.resolved.alone(bath)) for bath in baths), strict=True)
        return thermal_change(self, list(warmer), list(stronger))


class BlockCore(AbstractStepper):
    """L block by block: elements are multiplied by the exponential of each block."""

    blocks: BlockStructure
    matrices: Matrices

    @property
    def populations(self) -> Complex[Array, "n n"]:
        """The block of the populations, with the trace."""
        return pinned_generator(self.matrices[0][0], self.blocks.identity(self.matrices[0].dtype))

    def solve(self, B: Complex[Array, "k d d"], omega: Inexact[Array, ""]) -> Complex[Array, "k d d"]:
        shift = (1j * omega).astype(B.dtype)
        first, *others = self.blocks.split(B)
        parts = [linear_solve(self.populations + shift * jnp.eye(first.shape[-1]), first[:, 0].T).T[:, None]]
        for M, b in zip(self.matrices[1:], others, strict=True):
            M = M + shift * jnp.eye(M.shape[-1])
            if M.shape[-1] == 1:
                parts.append(b * reciprocal(M[:, 0]))
            else:
                parts.append(_each(linear_solve, M, b.transpose(1, 2, 0)).transpose(2, 0, 1))
        return self.blocks.join(B, parts)

    def apply(self, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
        return self.blocks.apply(self.matrices, X)

    def packed(self, X: Complex[Array, "k d d"]) -> list[Array]:
        return self.blocks.split(X)

    def reading(self, A: Complex[Array, "*a d d"] | None) -> Callable[[list[Array]], Array]:
        if A is None:
            shape = self.blocks.labels.shape
            return lambda parts: self.blocks.join(jnp.zeros((parts[0].shape[0], *shape), parts[0].dtype), parts)
        rows = [rows_of(A)[..., where] for where in self.blocks.positions]
        axes = [[-2, -1], [-2, -1]]

        def read(parts: list[Array]) -> Array:
            each = [jnp.tensordot(x, r, axes=axes) for x, r in zip(parts, rows, strict=True)]
            return functools.reduce(jnp.add, each)

        return read

    def exponential(
        self, dt: Float[Array, ""], drive: Complex[Array, "k d d"] | None
    ) -> list[tuple[Array, Array | None]]:
        pushes = [None] * len(self.matrices) if drive is None else self.blocks.split(drive)
        return [_exponentials(M, b, dt) for M, b in zip(self.matrices, pushes, strict=True)]

    def advanced(self, exponential: list[tuple[Array, Array | None]], X: list[Array]) -> list[Array]:
        parts = []
        for (factor, push), x in zip(exponential, X, strict=True):
            after = factor[:, 0] * x if x.shape[-1] == 1 else jnp.einsum("cij,kcj->kci", factor, x)
            parts.append(after if push is None else after + push)
        return parts


def _each(function: Any, *stacks: Array) -> Any:
    """`function` of every member: together where small."""
    if stacks[0].shape[-1] <= BATCHED:
        return jax.vmap(function)(*stacks)
    return jax.lax.map(lambda each: function(*each), stacks)


def _exponentials(M: Array, drive: Array | None, dt: Array) -> tuple[Array, Array | None]:
    """e^{M dt} [c, s, s] and what a drive [k, c, s] adds in dt, [k, c, s]."""
    if M.shape[-1] == 1:
        z = M * dt
        if drive is None:
            return jnp.exp(z), None
        small = jnp.abs(z) < 1e-8
        mean = jnp.where(small, 1.0 + z / 2, jnp.expm1(z) / jnp.where(small, 1.0, z))  # (e^z − 1)/z
        return jnp.exp(z), drive * mean[:, 0] * dt
    if drive is None:
        return _each(lambda m: exponential(m, None, dt)[0], M), None
    factor, push = _each(lambda m, b: exponential(m, b, dt), M, drive.transpose(1, 2, 0))
    return factor, push.transpose(2, 0, 1)


class Operators(eqx.Module):
    """The operators of an equation for all noises, [j, d, d] each, in the eigenbasis, groups not told apart."""

    resolved: Dissipation

    def of(self, coupling: Callable[[Array], Array], slope: bool = False) -> Any:
        """`coupling(S)` is what stands for the coupling operator S in the eigenbasis; `slope`: F' for F."""
        structure = self.resolved.structure

        def of_noise(noise: Noise) -> Any:
            S = coupling(structure.to_eigenbasis(noise.coupling))

            def filtered(F: Any) -> Array:
                return ((Slope(F) if slope else F)(structure.frequencies) * S)[None]

            return jax.tree.map(lambda x: x[0], self.resolved.equation.operators(filtered, noise, structure))

        return jax.tree.map(lambda *x: jnp.stack(x), *(of_noise(noise) for noise in self.resolved.noises))


def _itself(S: Array) -> Array:
    return S


def dissipative_blocks(resolved: Dissipation, blocks: BlockStructure) -> Matrices:
    """Σ_α D_α block by block. A constant of differentiation in H."""
    equation, operators = _secular(resolved), Operators(resolved).of(_itself)
    return blocks.matrices(*equation.jumps(operators), equation.drift(operators, product_within(blocks.labels)))


def _secular(resolved: Dissipation) -> AbstractSecular:
    equation = resolved.equation
    assert isinstance(equation, AbstractSecular)  # `known_blocks` asks
    return equation


def block_generator(resolved: Dissipation, blocks: BlockStructure, refine: int = 1) -> BlockGenerator:
    """L of a secular equation. A constant of differentiation in H."""
    structure, dissipative = resolved.structure, dissipative_blocks(resolved, blocks)
    dtype, U = dissipative[0].dtype, structure.vectors
    energies = jnp.sum(U.conj() * (structure.hamiltonian @ U), axis=0).real.astype(dtype)
    none = jnp.zeros((0, *U.shape), dtype)
    turning = blocks.matrices(none, none, 1j * jnp.diag(energies))
    return BlockGenerator(resolved, blocks, tuple(x + y for x, y in zip(dissipative, turning, strict=True)), refine)


class FirstOrderBlocks(eqx.Module):
    """The first-order change of D when the levels turn by X and move by W (see `Dissipation.first_order`). The bracket
    [X, A_g] of every operator is a turn of the whole,

        D^(X) ρ = [X, Dρ] − D[X, ρ];

    the rest is bilinear, in A and in (1_g F)(Ω)[ [S, X] ] or (1_g F')(Ω)[ [S, W] ]. `V`: in the eigenbasis."""

    resolved: Dissipation
    blocks: BlockStructure
    V: Complex[Array, "d d"]

    def of_bath(self, bath: int, rho: Complex[Array, "d d"]) -> tuple[Array, Array]:
        """D_α^rot ρ and D_α^shift ρ."""
        alone = self.resolved.alone(bath)
        inside = self.resolved.one_level()
        X = jnp.where(inside, 0.0, self.V / jnp.where(inside, 1.0, self.resolved.structure.frequencies))
        W = jnp.where(inside, self.V, 0.0)
        operators = Operators(alone)
        value = operators.of(_itself)
        D = BlockDissipator(self.blocks, dissipative_blocks(alone, self.blocks))
        inner = self._change(value, operators.of(lambda S: S @ X - X @ S))(rho)
        D_rho = D(rho)
        rotation = X @ D_rho - D_rho @ X - D(X @ rho - rho @ X) + inner
        return rotation, self._change(value, operators.of(lambda S: S @ W - W @ S, slope=True))(rho)

    def _change(self, value: Any, tangent: Any) -> BlockDissipator:
        equation, product = _secular(self.resolved), product_within(self.blocks.labels)
        drift = jax.jvp(lambda operators: equation.drift(operators, product), (value,), (tangent,))[1]
        (L, R), (dL, dR) = equation.jumps(value), equation.jumps(tangent)
        resolved = self.blocks.matrices(jnp.concatenate([dL, L]), jnp.concatenate([R, dR]), drift)
        return BlockDissipator(self.blocks, resolved)
