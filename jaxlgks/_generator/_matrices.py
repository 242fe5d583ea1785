"""Generators whose states are matrices in the eigenbasis of H: what all of them share.

Takes: a system with its equation. Returns: states, observables and logarithms as matrices; the first-order source by
perturbation theory, group by group; averages of what a member solves or propagates.

In the eigenbasis frequencies sit on the diagonal: the populations, which move with the rates γ, are not mixed by
rounding with coherences that turn with ω ≫ γ. Solving there keeps the digits that log10(ω/γ) would cost.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from .._bohr import traceless
from .._entropy import entropy, log_state
from .._equations import Dissipation, Dissipator, Validity
from .._inputs import as_known, as_operator
from ._base import AbstractGenerator, AbstractSuperoperator, Change, converged, stacked
from ._channels import channel_energies, paired_groups, still
from ._memory import ALLOWED, FEWER, operator_bytes, require_memory, require_states

DRIFTED = 1e-2
"""A trace that is off by more has drifted too far for the state to be known."""
CHANNELS = 32
"""Up to this dimension every group of a secular equation has an operator of its own."""


class Evolution(eqx.Module):
    """States `states[i]` at times `ts[i]`. `validity`: how far the equation can be trusted on the way, `Validity` (None
    for the cumulant map); of levels, those count that are occupied at one of the times."""

    ts: Float[Array, " t"]
    states: Complex[Array, "t d d"]
    validity: Validity | None = None

    def expect(self, A) -> Float[Array, " t"]:
        """Tr[A ρ(t)] of a Hermitian A, [t]."""
        A = as_operator(A, "the observable A", self.states.shape[-1])
        return jnp.einsum("ij,tji->t", A, self.states).real


@eqx.filter_jit
def restored(states: Complex[Array, "t d d"], rho0: Complex[Array, "d d"]) -> Complex[Array, "t d d"]:
    """States Hermitian and of the trace that they started with, both of which rounding takes away in proportion to the
    time; NaN where it took so much that no digits are left."""
    states = (states + states.conj().swapaxes(-1, -2)) / 2
    factor = jnp.trace(rho0).real / jnp.trace(states, axis1=-2, axis2=-1).real
    factor = jnp.where(jnp.abs(factor - 1) <= DRIFTED, factor, jnp.nan)
    return factor[:, None, None].astype(states.dtype) * states


class AbstractCore(eqx.Module):
    """L as numbers: what solving and propagating need."""

    @abc.abstractmethod
    def solve(self, B: Complex[Array, "k d d"], omega: Inexact[Array, ""]) -> Complex[Array, "k d d"]:
        """X with (L + iω) X = B and Tr X = 0, for Tr B = 0; ω real, or imaginary."""

    def averages(self, B: Complex[Array, "k d d"], omega: Inexact[Array, ""], A: Complex[Array, "*a d d"]) -> Array:
        """Tr[A (L + iω)⁻¹ B], [k, *a], for Tr B = 0."""
        return averaged(self.solve(B, omega), A)

    @abc.abstractmethod
    def apply(self, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
        """L X of Hermitian X."""

    @abc.abstractmethod
    def propagate(self, start: Array, ts: Array, A: Array | None, drive: Array | None, **options: Any) -> Array:
        """X(t) with dX/dt = L X + drive from X(ts[0]) = start at each time, [t, k, d, d], or Tr[A X], [t, k, *a]."""

    def propagate_both(
        self, start: Array, ts: Array, drive: Array | None, other: Array, others: Array, A: Array
    ) -> tuple[Array, Array]:
        """`propagate` of two stacks, each at its own times from zero on, the first with a drive."""
        return self.propagate(start, ts, A, drive), self.propagate(other, others, A, None)


class MatrixGenerator(AbstractGenerator):
    """L on matrices in the eigenbasis of H. All of them that enter and leave are in this basis. `core`: L as numbers
    alone, so that programs are shared between equations."""

    resolved: eqx.AbstractVar[Dissipation]

    @property
    @abc.abstractmethod
    def core(self) -> AbstractCore:
        """L as numbers alone."""

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        return self.resolved.system.temperatures

    @property
    def follows(self) -> bool:
        return self.resolved.equation.follows

    @property
    def energy_follows(self) -> bool:
        return self.resolved.system.energy is None

    @property
    def bandwidth(self) -> Float[Array, ""]:
        return jnp.ptp(self.resolved.structure.energies)

    @property
    def turns(self) -> bool:
        return self.resolved.turns

    @property
    def has_channels(self) -> bool:
        """Not above `CHANNELS` for equations with groups: there may be d² of them, with an operator each."""
        return not self.resolved.equation.regroups or self.resolved.system.dim <= CHANNELS

    @property
    def energy(self) -> Complex[Array, "d d"]:
        given, dtype = self.resolved.system.energy, self.resolved.system.hamiltonian.dtype
        H = self.resolved.structure.hamiltonian.astype(dtype) if given is None else traceless(given)
        return self.observable(H)

    @property
    def thermal_energy(self) -> Complex[Array, "d d"]:
        return self.observable(self.resolved.basis.hamiltonian.astype(self.resolved.system.hamiltonian.dtype))

    def observable(self, A: Complex[Array, "*a d d"]) -> Complex[Array, "*a d d"]:
        return self.resolved.structure.to_eigenbasis(A)

    def internal(self, rho: Complex[Array, "*k d d"]) -> Complex[Array, "*k d d"]:
        return self.resolved.structure.to_eigenbasis(rho)

    def external(self, X: Complex[Array, "*k d d"]) -> Complex[Array, "*k d d"]:
        return self.resolved.structure.from_eigenbasis(X)

    def average(self, A: Complex[Array, "*a d d"], X: Complex[Array, "*k d d"]) -> Array:
        return averaged(X, A)

    def entropy(self, X: Complex[Array, "d d"]) -> Float[Array, ""]:
        return entropy(X)

    def log(self, X: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return log_state(X)

    def regression(self, A: Array, B: Array, X: Array) -> tuple[Array, Array, Array]:
        # Generators act on Hermitian matrices (their h.c. is added): Hermitian and anti-Hermitian part apart.
        unit = jnp.array([1, 1j], X.dtype)
        return halves(self.observable(B) @ X), halves(self.observable(A)), unit[:, None] * unit

    def resolvent(self, B: Array, omegas: Float[Array, " w"], A: Array) -> Array:
        return converged(_resolvent(self.core, B, omegas, A), B)

    def propagate(self, start: Array, ts: Float[Array, " t"], A: Array, drive: Array | None = None) -> Array:
        return self.core.propagate(start, ts, A, drive)

    def evolve(self, rho0: Complex[Array, "d d"], ts: Float[Array, " t"], **options: Any) -> Evolution:
        require_states("evolve", len(ts), self.resolved.system)
        start, times = self.internal(rho0)[None], as_known(ts, rho0.real.dtype)
        states = self.core.propagate(start, times, None, None, **options)[:, 0]
        return Evolution(ts, restored(self.external(states), rho0))

    def first_order(self, V: Complex[Array, "d d"], X: Array, degree: int = 2) -> Change:
        del degree
        self.resolved.equation.require_own_frame("response")
        _require_first_order(self.resolved)
        channels, rho = self.resolved.first_order(V), self.external(X)
        rotation = jnp.stack([_total(change.rotation, rho) for change in channels])
        shift = jnp.stack([_total(change.shift, rho) for change in channels])
        sources = jnp.stack([self.kubo(V, X), *map(self.internal, (jnp.sum(rotation, axis=0), jnp.sum(shift, axis=0)))])
        carried = [_carried(one.rotation, rho) for one in channels], [_carried(one.shift, rho) for one in channels]
        return self.change(V, sources, self.internal(rotation + shift), channels, _of_baths(*carried))

    def thermal_changes(self, X: Array) -> Change:
        rho, warmer, D = self.external(X), self.resolved.warmer(), self.dissipators()
        carried = [_carried(stack, rho) for stack in warmer]
        carried += [None if one.carried is None else self.average(one.carried, X).real for one in D]
        return thermal_change(
            self, [self.internal(_total(stack, rho)) for stack in warmer], [one(X) for one in D], carried
        )

    def channel_flows(self) -> Complex[Array, "baths c d d"]:
        """D_g†H of each bath and channel."""
        H = self.resolved.energy

        def of_group(D: Dissipator) -> Array:
            return D.adjoint(H) if D.carried is None else D.adjoint(H) + D.carried

        flows = jnp.stack([jax.vmap(of_group)(stack) for stack in self.resolved.channels()])
        paired = paired_groups(jnp.moveaxis(flows, 1, -1), self.resolved.groups)
        return self.observable(jnp.moveaxis(paired, -1, 1))

    def channel_changes(self, X: Array, change: Change) -> Float[Array, "baths c"]:
        """What of the channels changes at once: ⟨D_g⁽¹⁾†H⟩ + ⟨D_g†V⟩."""
        H, V, rho = self.resolved.energy, self.external(change.energy), self.external(X)
        first = self.resolved.first_order(V) if change.channels is None else change.channels
        indirect = [channel_energies(one.rotation, H, rho) + channel_energies(one.shift, H, rho) for one in first]
        if not self.energy_follows:
            return paired_groups(jnp.stack(indirect), self.resolved.groups)
        direct = [channel_energies(still(stack), V, rho) for stack in self.resolved.channels()]
        return paired_groups(jnp.stack(indirect) + jnp.stack(direct), self.resolved.groups)

    def kubo(self, V: Complex[Array, "d d"], X: Array) -> Complex[Array, "d d"]:
        """−i[V, π₀]."""
        W = self.observable(V)
        return -1j * (W @ X - X @ W)

    def change(self, V: Complex[Array, "d d"], sources: Array, baths: Array, channels=None, carried=None) -> Change:
        """What a perturbation of H changes."""
        return Change(
            sources, baths, self.observable(traceless(V)), jnp.zeros_like(self.temperatures), channels, carried
        )


class OperatorDissipator(AbstractSuperoperator):
    """D of one bath as operators."""

    D: Dissipator

    def __call__(self, X: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return self.D(X)

    def adjoint(self, A: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return self.D.adjoint(A)

    @property
    def carried(self) -> Complex[Array, "d d"] | None:
        return self.D.carried


def rotated_dissipators(resolved: Dissipation) -> tuple[OperatorDissipator, ...]:
    """D_α in the eigenbasis of H."""
    return tuple(OperatorDissipator(D.rotated(resolved.structure.vectors)) for D in resolved.dissipators())


def thermal_change(L: AbstractGenerator, warmer: list, stronger: list, carried: list | None = None) -> Change:
    """The stack of changes from ∂D_α/∂T_α π₀ and D_α π₀ of each bath; `carried`: the change of what jumps carry, of
    each."""
    count, sources = len(warmer), stacked([*warmer, *stronger])
    belongs = jnp.tile(jnp.eye(count), (2, 1))  # source k belongs to bath k mod count
    baths = jax.tree.map(
        lambda x: belongs.reshape(belongs.shape + (1,) * (x.ndim - 1)).astype(x.dtype) * x[:, None], sources
    )
    betas = jnp.concatenate([-jnp.diag(1 / L.temperatures**2), jnp.zeros((count, count))])
    nothing = jax.tree.map(lambda x: jnp.zeros((2 * count, *x.shape), x.dtype), L.energy)
    each = None if carried is None else _of_baths(carried)
    return Change(
        jax.tree.map(lambda x: x[:, None], sources),
        baths,
        nothing,
        betas,
        carried=None if each is None else belongs * each[:, None],
    )


def halves(X: Complex[Array, "d d"]) -> Complex[Array, "2 d d"]:
    """X = X_0 + iX_1 with Hermitian parts."""
    return jnp.stack([(X + X.conj().T) / 2, (X - X.conj().T) / 2j])


def averaged(X: Complex[Array, "*k d d"], A: Complex[Array, "*a d d"] | None) -> Array:
    """X, or Tr[A X]."""
    if A is None:
        return X
    return jnp.tensordot(X.reshape(*X.shape[:-2], -1), rows_of(A), axes=[[-1], [-1]])


def rows_of(A: Complex[Array, "*a d d"]) -> Complex[Array, "*a n"]:
    """Tr[A X] = Σ_ij A_ji X_ij: what X, row by row, is multiplied with."""
    return jnp.swapaxes(A, -1, -2).reshape(*A.shape[:-2], -1)


@eqx.filter_jit
def _resolvent(core: AbstractCore, B: Array, omegas: Array, A: Array) -> Array:
    return jax.lax.map(lambda omega: core.averages(B, omega, A), omegas)


def _total(groups: Dissipator, rho: Array) -> Array:
    return jnp.sum(jax.vmap(lambda D: D(rho))(groups), axis=0)


def _carried(groups: Dissipator, rho: Array) -> Array | None:
    """What jumps of all groups carry in a state; None where the frame is still."""
    return None if groups.carried is None else jnp.einsum("gij,ji->", groups.carried, rho).real


def _of_baths(*parts: list[Array | None]) -> Array | None:
    """The sum of lists over baths; None if all of them are."""
    if all(x is None for part in parts for x in part):
        return None
    return sum((jnp.stack([jnp.zeros(()) if x is None else x for x in part]) for part in parts), jnp.zeros(()))


def _require_first_order(resolved: Dissipation) -> None:
    """Raise before the operators of all groups are made: D, its first order in two parts, and what they are made of."""
    require_memory(
        f"the first-order generator of {type(resolved.equation).__name__} for dimension {resolved.system.dim} in "
        f"{resolved.groups.count} groups",
        operator_bytes(resolved, 24),
        ALLOWED,
        FEWER,
    )
