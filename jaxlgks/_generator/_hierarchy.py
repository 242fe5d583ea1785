"""Hierarchical equations of motion as numbers: an action on a stack of matrices, and its inverse.

Takes: H, couplings S_b and the exponentials of their noises, C(t) = Σ_k c_k e^{−ν_k t} and C(t)* = Σ_k c̄_k e^{−ν_k t},
in the eigenbasis of H. Returns: for the matrices ρ_n, n_k quanta in exponential k,

    dρ_n/dt = −i[H, ρ_n] − Σ_k n_k ν_k ρ_n − Σ_b δ_b [S_b, [S_b, ρ_n]]
              − i Σ_k √((n_k+1) s_k) [S, ρ_{n+e_k}] − i Σ_k √(n_k/s_k) (c_k S ρ_{n−e_k} − c̄_k ρ_{n−e_k} S),

S the coupling of exponential k, ρ_0 the state of the system (Tanimura and Kubo, J. Phys. Soc. Jpn. 58, 101 (1989);
scaled by s_k = |c_k| as in Shi, Chen, Nan, Xu, Yan, J. Chem. Phys. 130, 084105 (2009); δ_b in place of what the
exponentials miss, Ishizaki and Tanimura 2005). No tier follows the last.

Small hierarchies are inverted by LU, others by GMRES. It is preconditioned by elimination of tiers from the last to the
first. A tier t that is met by others alone,

    D_t → D_t − U_t D_{t+1}⁻¹ W_t      (U from, W to the tier above),

is kept element by element in the eigenbasis of H; the system itself is kept whole, and with one tier is Redfield's
equation. Each step then solves all tiers downwards and upwards once, and few steps are left at weak coupling.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from .._inputs import nan_where
from ._linear import iterated_solve, linear_solve
from ._liouvillian import unvec, vec
from ._tiers import Tiers, tiers_of

ACCEPTED = 1e-8
"""Largest residual of a solution that is taken for one, relative to the right-hand side."""


class Ladder(eqx.Module):
    """The exponentials of all noises: c, c̄, ν, √s, [K], and the noise of each, `owners`; δ of each noise, [b]."""

    c: Complex[Array, " K"]
    conjugate: Complex[Array, " K"]
    rates: Complex[Array, " K"]
    root: Float[Array, " K"]
    friction: Float[Array, " b"]
    owners: tuple[int, ...] = eqx.field(static=True)

    def of_noise(self, noise: int) -> np.ndarray:
        """Which exponentials are those of one noise."""
        return np.flatnonzero(np.asarray(self.owners) == noise)


class HierarchyCore(eqx.Module):
    """The hierarchy in the eigenbasis of H. `whole`: its inverse is that of one matrix of all elements of all matrices,
    by LU; else by GMRES, `restart`: steps kept; `cycles`: restarts at most."""

    hamiltonian: Complex[Array, "d d"]
    couplings: Complex[Array, "b d d"]
    ladder: Ladder
    depth: int = eqx.field(static=True)
    whole: bool = eqx.field(static=True)
    restart: int = eqx.field(static=True, default=40)
    cycles: int = eqx.field(static=True, default=10)

    @property
    def tiers(self) -> Tiers:
        """Which matrices there are."""
        return tiers_of(len(self.ladder.owners), self.depth)

    @property
    def decay(self) -> Complex[Array, " n"]:
        """Σ_k n_k ν_k of each matrix."""
        return jnp.asarray(self.tiers.numbers, self.ladder.rates.dtype) @ self.ladder.rates

    def embedded(self, X: Complex[Array, "*k d d"]) -> Complex[Array, "*k n d d"]:
        """Matrices of the system, nothing above."""
        return jnp.pad(X[..., None, :, :], [(0, 0)] * (X.ndim - 2) + [(0, self.tiers.count - 1), (0, 0), (0, 0)])

    def apply(self, X: Complex[Array, "n d d"]) -> Complex[Array, "n d d"]:
        """L X."""
        friction, S = self.ladder.friction, self.couplings
        drift = -1j * self.hamiltonian - jnp.einsum("b,bij,bjk->ik", friction, S, S)
        kept = jnp.einsum("nij,jk->nik", X, drift.conj().T) + jnp.einsum("ij,njk->nik", drift, X)
        kept = kept - self.decay[:, None, None] * X
        left, right = self.neighbours(X, slice(None), 0)
        left = left + 2j * friction[:, None, None, None] * jnp.einsum("nij,bjk->bnik", X, S)
        return kept - 1j * _commuted(S, left, right)

    def neighbours(self, X: Array, rows: slice, start: int, up: bool = True, down: bool = True) -> tuple[Array, Array]:
        """What S_b multiplies from the left and from the right in some of the matrices, [b, rows, d, d]: sums over the
        neighbours of each, which stand in X from `start` on."""
        tiers, ladder = self.tiers, self.ladder
        padded = jnp.concatenate([X, jnp.zeros_like(X[:1])])
        numbers, root = jnp.asarray(tiers.numbers[rows], ladder.root.dtype), ladder.root

        def summed(places: np.ndarray, weights: Array) -> Array:
            inside = np.where((places >= start) & (places < start + len(X)), places - start, len(X))
            return jnp.einsum("nk,nkij->nij", weights.astype(X.dtype), padded[inside])

        pairs = []
        for b in range(len(self.couplings)):
            of, left, right = ladder.of_noise(b), 0.0, 0.0
            if up:
                left = right = summed(tiers.above[rows][:, of], jnp.sqrt(numbers[:, of] + 1) * root[of])
            if down:
                places, weights = tiers.below[rows][:, of], jnp.sqrt(numbers[:, of]) / root[of]
                left = left + summed(places, weights * ladder.c[of])
                right = right + summed(places, weights * ladder.conjugate[of])
            pairs.append((left, right))
        left, right = (jnp.stack(x) for x in zip(*pairs, strict=True))
        return left, right

    def force(self, noise: int, X: Complex[Array, "n d d"]) -> Complex[Array, "d d"]:
        """What the system feels of a noise, Tr_B[R ρ_tot] as a matrix: dρ/dt = ... − i[S, force] (with friction)."""
        of, S = self.ladder.of_noise(noise), self.couplings[noise]
        first = jnp.einsum("k,kij->ij", self.ladder.root[of].astype(X.dtype), X[1 + of])
        return first - 1j * self.ladder.friction[noise] * (S @ X[0] - X[0] @ S)

    @property
    def size(self) -> Float[Array, ""]:
        """The largest number in it, about."""
        energies = jnp.diag(self.hamiltonian).real
        return jnp.ptp(energies) + self.depth * jnp.max(jnp.abs(self.ladder.rates)) + jnp.trace(self.pin).real

    def terms(self, X: Complex[Array, "n d d"]) -> Float[Array, "n d d"]:
        """The sizes of what L X is added up from, of the state itself and of what decays."""
        energies = jnp.diag(self.hamiltonian).real
        own = jnp.abs(energies[:, None] - energies) + jnp.abs(self.decay)[:, None, None]
        forces = [jnp.max(jnp.abs(S)) * jnp.max(jnp.abs(self.force(b, X))) for b, S in enumerate(self.couplings)]
        return (own * jnp.abs(X)).at[0].add(sum(forces))

    def solve(self, B: Complex[Array, "k n d d"], omega: Inexact[Array, ""]) -> Complex[Array, "k n d d"]:
        """X with (L + iω) X = B and no trace, for B without trace; NaN where what is left is more than `ACCEPTED`."""
        X = self.inverse(B, omega)
        left = jax.vmap(self.pinned((1j * omega).astype(B.dtype)))(X) - B
        off = jnp.max(jnp.abs(left), axis=(1, 2, 3)) > ACCEPTED * jnp.max(jnp.abs(B), axis=(1, 2, 3))
        numbers = self.hamiltonian, self.couplings, self.ladder.c
        return jax.vmap(lambda x, bad, b: nan_where(x, bad, (numbers, b)))(X, jax.lax.stop_gradient(off), B)

    @property
    def pin(self) -> Complex[Array, "d d"]:
        """s 1/d, which the trace is multiplied by and added to the state: L + s |1⟩⟩⟨⟨tr|/d is regular. s: of the size
        of the decay rates of second order, a constant of differentiation."""
        S, ladder, dim = self.couplings, self.ladder, self.couplings.shape[-1]
        forces = jnp.max(jnp.abs(S), axis=(1, 2)) ** 2
        of_noise = jnp.abs(ladder.friction).at[np.asarray(ladder.owners)].add(jnp.abs(ladder.c / ladder.rates))
        fastest = jax.lax.stop_gradient(2 * jnp.sum(forces * of_noise))
        return jnp.where(fastest > 0, fastest, 1.0) * jnp.eye(dim, dtype=S.dtype) / dim

    def inverse(self, B: Complex[Array, "k n d d"], omega: Inexact[Array, ""]) -> Complex[Array, "k n d d"]:
        """(L + s |1⟩⟩⟨⟨tr|/d + iω)⁻¹ B, differentiable by the implicit function theorem."""
        shift = (1j * omega).astype(B.dtype)
        regular = self.pinned(shift)
        if self.whole:
            units = jnp.eye(B[0].size, dtype=B.dtype).reshape(-1, *B.shape[1:])
            matrix = jax.vmap(regular)(units).reshape(len(units), -1).T
            return linear_solve(matrix, B.reshape(len(B), -1).T).T.reshape(B.shape)
        ahead, _ = self.preconditioner(shift)
        return jax.lax.map(lambda b: iterated_solve(regular, b, ahead, self.restart, self.cycles), B)

    def probed(self, B: Complex[Array, "n d d"]) -> tuple[Complex[Array, "n d d"], Float[Array, ""]]:
        """About L⁻¹ B, and an estimate of the slowest rate."""
        still = jnp.zeros((), B.real.dtype)
        if not self.whole:
            back, slowest = self.preconditioner(still.astype(B.dtype))
            return back(B), slowest
        unit = jnp.exp(1j * (1.0 + jnp.arange(B.size)) ** 2).reshape(B.shape).astype(B.dtype) / B.size**0.5
        both = self.inverse(jnp.stack([B, unit]), still)
        return both[0], 1.0 / jnp.linalg.norm(both[1])

    def pinned(self, shift: Complex[Array, ""]) -> Callable[[Array], Array]:
        """X ↦ (L + shift) X + s Tr[X_0]/d."""
        pin = self.pin
        return lambda X: (self.apply(X) + shift * X).at[0].add(pin * jnp.trace(X[0]))

    def preconditioner(self, shift: Complex[Array, ""]) -> tuple[Callable, Float[Array, ""]]:
        """The inverse of L + shift by tiers, approximate, and an estimate of the slowest rate; constants of
        differentiation."""
        fixed, shift = _frozen((self, shift))
        diagonals, starts, depth = fixed.diagonals(shift), self.tiers.starts, self.depth
        dim = self.couplings.shape[-1]
        one = vec(jnp.eye(dim, dtype=shift.dtype))
        whole = fixed.reduced(diagonals) + jnp.outer(vec(fixed.pin), one) + shift * jnp.eye(dim**2)
        factors = jsl.lu_factor(jnp.where(jnp.all(jnp.isfinite(whole)), whole, jnp.eye(dim**2, dtype=whole.dtype)))

        def divided(tier: int, X: Array) -> Array:
            return X / diagonals[tier - 1] if tier else unvec(jsl.lu_solve(factors, vec(X[0])))[None]

        def precondition(B: Array) -> Array:
            parts = [B[starts[t] : starts[t + 1]] for t in range(depth + 1)]
            solved = [divided(depth, parts[depth])]
            for t in range(depth - 1, -1, -1):
                solved.insert(0, divided(t, parts[t] - fixed.between(t, solved[0], t + 1)))
            for t in range(1, depth + 1):
                solved[t] = solved[t] - divided(t, fixed.between(t, solved[t - 1], t - 1))
            return jnp.concatenate(solved)

        probe = jnp.exp(1j * (1.0 + jnp.arange(dim**2)) ** 2).astype(shift.dtype) / dim
        return precondition, 1.0 / jnp.linalg.norm(jsl.lu_solve(factors, probe))

    def between(self, tier: int, X: Array, other: int) -> Array:
        """What the matrices of one tier do to those of a neighbouring one, `tier`."""
        starts = self.tiers.starts
        rows = slice(starts[tier], starts[tier + 1])
        left, right = self.neighbours(X, rows, starts[other], up=other > tier, down=other < tier)
        return -1j * _commuted(self.couplings, left, right)

    def diagonals(self, shift: Complex[Array, ""]) -> list[Complex[Array, "m d d"]]:
        """What each element of the tiers 1, 2, ... is multiplied by in L + shift, the tiers above it eliminated."""
        tiers, energies, square = self.tiers, jnp.diag(self.hamiltonian).real, _squares(self.couplings)
        S = jnp.diagonal(self.couplings, axis1=1, axis2=2).real
        lost = jnp.einsum("b,bmj->m", self.ladder.friction, square)
        kept = 2 * jnp.einsum("b,bm,bn->mn", self.ladder.friction, S, S)
        free = shift - 1j * (energies[:, None] - energies) - (lost[:, None] + lost) + kept
        found: list[Array] = []
        for t in range(self.depth, 0, -1):
            rows = slice(tiers.starts[t], tiers.starts[t + 1])
            own = free - self.decay[rows, None, None]
            if found:
                own = own + self._self_energy(tiers, rows, tiers.starts[t + 1], 1 / found[0], square, S)
            found.insert(0, own)
        return found

    def _self_energy(self, tiers: Tiers, rows: slice, start: int, G: Array, square: Array, S: Array) -> Array:
        """Σ_k (n_k + 1) [S, G_{n+e_k} ∘ (c_k S ρ − c̄_k ρ S)], of it what multiplies each element of ρ by itself."""
        total: Any = 0.0
        for b in range(len(self.couplings)):
            of = self.ladder.of_noise(b)
            near, weights = G[tiers.above[rows][:, of] - start], tiers.numbers[rows][:, of] + 1.0
            ahead, behind = (
                jnp.einsum("nk,nkij->nij", weights * c[of], near) for c in (self.ladder.c, self.ladder.conjugate)
            )
            total = total + jnp.einsum("mq,nqp->nmp", square[b], ahead) + jnp.einsum("nmq,pq->nmp", behind, square[b])
            total = total - S[b][:, None] * S[b] * (ahead + behind)
        return total

    def reduced(self, diagonals: list[Array]) -> Complex[Array, "m m"]:
        """L on column-stacked states of the system, the tiers above eliminated."""
        H, dim = self.hamiltonian, self.couplings.shape[-1]

        def act(rho: Array) -> Array:
            change = -1j * (H @ rho - rho @ H)
            for b, S in enumerate(self.couplings):
                of = self.ladder.of_noise(b)
                right = rho @ S
                kernel = -self.ladder.friction[b] * (S @ rho - right)
                if diagonals:
                    G = 1 / diagonals[0][of]
                    ahead = jnp.einsum("k,kij->ij", self.ladder.c[of], G) * (S @ rho)
                    kernel = kernel + ahead - jnp.einsum("k,kij->ij", self.ladder.conjugate[of], G) * right
                change = change + S @ kernel - kernel @ S
            return change

        units = jax.vmap(unvec)(jnp.eye(dim**2, dtype=H.dtype))
        return jax.vmap(vec, out_axes=1)(jax.vmap(act)(units))


def _commuted(S: Array, left: Array, right: Array) -> Array:
    """Σ_b S_b left_b − right_b S_b."""
    return jnp.einsum("bij,bnjk->nik", S, left) - jnp.einsum("bnij,bjk->nik", right, S)


def _squares(S: Array) -> Array:
    return (S * S.conj()).real


def _frozen(tree: Any) -> Any:
    return jax.tree.map(jax.lax.stop_gradient, tree)
