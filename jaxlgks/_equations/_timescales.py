"""How fast a system relaxes, how long its baths remember, and how far apart its frequencies are.

Takes: the structure of H, groups, baths. Returns: the time scales by which one judges a master equation. All are
constants of differentiation.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from .._bohr import Groups, Structure, dagger, derivative, product
from .._system import Bath, Noise, System

NO_WEIGHT = 1e-18
"""Squares of couplings below this part of the largest are rounding."""
OCCUPIED = 1e-6
"""A level that holds less than this is empty to a verdict."""


def relaxation_rate(structure: Structure, system: System) -> Float[Array, ""]:
    """Γ_R = max_n Σ_m Σ_α Γ_α(ω_mn) |S_mn|² over m ≠ n: the fastest decay rate of a level."""
    return jnp.max(jnp.sum(total(transition_rates(structure, system)), axis=0))


def dephasing_rate(structure: Structure, system: System) -> Float[Array, ""]:
    """max_mn ½ Γ_α(0)(S_mm − S_nn)² over baths that also drive a transition of m or n: the fastest pure dephasing that
    couples coherences to populations. What a bath dephases alone is coupled to nothing."""
    structure, system = constant((structure, system))

    def of_noise(noise: Noise) -> tuple[Array, Array]:
        S, weights = structure.to_eigenbasis(noise.coupling), coupling_weights(structure.vectors, noise)
        own, same = jnp.diag(S).real, np.eye(system.dim, dtype=bool)
        between = (own[:, None] - own[None, :]) ** 2 / 2
        between = jnp.where(between > NO_WEIGHT * jnp.max(weights), between * noise.rate(jnp.zeros(())), 0.0)
        return between, jnp.any(~same & (weights > NO_WEIGHT * jnp.max(weights)), axis=0)

    def of(bath: Bath) -> Array:
        dephasing, driven = (functools.reduce(jnp.add, x) for x in zip(*map(of_noise, bath.noises), strict=True))
        return jnp.max(jnp.where(driven[:, None] | driven[None, :], dephasing, 0.0))

    return jnp.max(jnp.stack([of(bath) for bath in system.baths]))


def transition_rates(structure: Structure, system: System) -> tuple[Float[Array, "d d"], ...]:
    """Γ_α(ω_mn) |S_mn|², the rate of n → m by each bath; zero for m = n. Constants of differentiation."""
    structure, system = constant((structure, system))
    return bath_rates(structure.frequencies, structure.vectors, system)


def total(rates: tuple[Float[Array, "d d"], ...]) -> Float[Array, "d d"]:
    """Those of all baths together."""
    return sum(rates[1:], rates[0])


def bath_rates(
    frequencies: Float[Array, "d d"], vectors: Inexact[Array, "d d"], system: System
) -> tuple[Float[Array, "d d"], ...]:
    """W^α_mn = Γ_α(ω_mn)|S_mn|², the rate of n → m, an array for each bath; zero for m = n.

    Not one array for all: under nested `vmap`s each then has the axes of its own temperature only."""
    same = np.eye(system.dim, dtype=bool)
    omega = between_states(frequencies)

    def rate(noise: Noise) -> Array:
        return noise.rate(omega) * jnp.where(same, 0.0, coupling_weights(vectors, noise))

    def of(bath: Bath) -> Array:
        first, *others = [rate(noise) for noise in bath.noises]
        return sum(others, first)

    return tuple(of(bath) for bath in system.baths)


def rate_errors(structure: Structure, system: System, turned: bool = True) -> tuple[Float[Array, "d d"], ...]:
    """By what factor at most W^α_mn and W^α_nm are wrong together, less one; zero where a coupling is zero.

    U diagonalises H up to what is found beside the diagonal and its rounding, h = |U†HU|_{m≠n} + eps |U|†|H||U|, which
    turns states by x_mn = h_mn/|ω_mn|. So S_mn is known to

        eps (|U|†|S||U|)_mn + (x|S| + |S|x)_mn ,

    and weak couplings between states that are strongly coupled otherwise lose digits, unless U has small elements
    there too. `turned`: whether states that are turned matter, x ≠ 0: not to equations that do not tell them apart."""
    structure, system = constant((structure, system))
    U = structure.vectors
    omega, size = jnp.abs(between_states(structure.frequencies)), jnp.abs(U)
    eps, same = jnp.finfo(omega.dtype).eps, np.eye(system.dim, dtype=bool)

    def rounding(X: Array) -> Array:
        return eps * product(size.T, jnp.abs(X), size)

    beside = jnp.abs(structure.to_eigenbasis(structure.hamiltonian)) + rounding(structure.hamiltonian)
    turn = jnp.where(same | (omega == 0), 0.0, beside / jnp.where(omega == 0, 1.0, omega))

    def of_noise(noise: Noise) -> Array:
        S = jnp.sqrt(coupling_weights(U, noise))
        lost = rounding(noise.coupling)
        lost = lost + product(turn, S) + product(S, turn) if turned else lost
        return jnp.where(S > 0, 2 * lost / jnp.where(S > 0, S, 1.0), 0.0)

    def of(bath: Bath) -> Array:
        return jnp.minimum(functools.reduce(jnp.maximum, [of_noise(noise) for noise in bath.noises]), 0.5)

    return tuple(of(bath) for bath in system.baths)


def carried_rates(
    frequencies: Float[Array, "d d"], vectors: Inexact[Array, "d d"], system: System
) -> tuple[Float[Array, "d d"], ...] | None:
    """Σ_k ε_k W^k_mn over the noises of each bath, ε_k what a jump takes up beside H; m = n too, since such a jump
    leaves the state alone but not the bath. None where the frame is still."""

    def of(bath: Bath) -> Array:
        moved = [(noise, noise.quanta) for noise in bath.noises if noise.quanta is not None]
        each = [quanta * noise.rate(frequencies) * coupling_weights(vectors, noise) for noise, quanta in moved]
        return sum(each, jnp.zeros_like(frequencies))

    if all(noise.quanta is None for bath in system.baths for noise in bath.noises):
        return None
    return tuple(of(bath) for bath in system.baths)


def between_states(frequencies: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """ω_mn, with the largest of them in the place of ω_mm = 0, whose rate is never used: its derivative may not exist,
    and where the system has no transition a table may have ended."""
    largest = jax.lax.stop_gradient(jnp.max(frequencies))
    return jnp.where(jnp.eye(len(frequencies), dtype=bool), jnp.where(largest > 0, largest, 1.0), frequencies)


def coupling_weights(vectors: Inexact[Array, "d d"], noise: Noise) -> Float[Array, "d d"]:
    """|S_mn|² between eigenstates."""

    def rotate(X: Array) -> Array:
        return product(dagger(vectors), X, vectors)

    if jnp.isrealobj(vectors) and jnp.isrealobj(noise.coupling):
        size = rotate(noise.coupling) ** 2
    else:
        if jnp.isrealobj(vectors):  # four real products take half the time of two complex ones
            real, imag = rotate(noise.coupling.real), rotate(noise.coupling.imag)
        else:
            S = rotate(noise.coupling)
            real, imag = S.real, S.imag
        size: Array = real**2 + imag**2  # |S|², differentiable at zero
    # What symmetry forbids comes out as rounding, and would connect levels that nothing connects.
    floor = jax.lax.stop_gradient(jnp.max(size)) * (10 * len(vectors) * jnp.finfo(size.dtype).eps) ** 2
    return jnp.where(size <= floor, 0.0, size)


def correlation_time(structure: Structure, system: System) -> Float[Array, ""]:
    """τ_B = max |d ln Γ_α/dω| over baths and the Bohr frequencies they couple to."""
    structure, system = constant((structure, system))
    longest = jnp.zeros((), structure.energies.dtype)
    for bath in system.baths:
        for noise in bath.noises:
            coupling = jnp.abs(structure.to_eigenbasis(noise.coupling))
            rate = noise.rate(structure.frequencies)
            relevant = (coupling > 1e-9 * jnp.max(coupling)) & (rate > 0)
            slope = derivative(noise.rate, structure.frequencies) / jnp.where(rate > 0, rate, 1.0)
            longest = jnp.maximum(longest, jnp.max(jnp.where(relevant, jnp.abs(slope), 0.0)))
    return longest


def constant(tree):
    """The same, with no derivative."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, tree)


def coherence_rates(rates: Float[Array, "d d"], dephasing: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """Of the coherence of m and n: the mean of what leaves its two levels, and what dephases it."""
    level = jnp.sum(rates, axis=0)
    return (level[:, None] + level[None, :]) / 2 + dephasing


def separation(
    structure: Structure,
    groups: Groups,
    rates: tuple[Float[Array, "d d"], ...],
    dephasing: tuple[Float[Array, "d d"], ...],
    populations: Float[Array, " d"] | None = None,
) -> Float[Array, ""]:
    """The smallest distance of neighbouring groups over the mean of the largest decay rates in the two; infinite
    where there is none. Below about one, treating them apart is wrong. Of each bath, `rates`: as
    `transition_rates`; `dephasing`: ½ Γ(0)(S_mm − S_nn)².

    Neighbours are coupled by one bath (two baths that see one frequency each make no coherence between them) and, where
    `populations` are given, start or end at a level that holds something. ω = 0 is coupled by a bath that dephases; its
    neighbours are compared with the larger rate, since populations last however fast coherences decay."""
    labels = jnp.maximum(groups.labels, 0).reshape(-1)
    decay, largest = coherence_rates(total(rates), total(dephasing)), jnp.max(total(rates))
    there, same = jnp.ones_like(decay, bool), jnp.eye(len(decay), dtype=bool)
    if populations is not None:
        there = jnp.maximum(populations[:, None], populations[None, :]) > OCCUPIED

    def of_bath(one: Array, dephases: Array) -> Array:
        dephased = jnp.max(dephases, axis=0) > 1e-9 * largest
        coupled = jnp.where(same, dephased, one + one.T > 1e-9 * largest) & there

        def over(pick: Callable, x: Array, empty: float) -> Array:
            return pick(jnp.where(coupled, x, empty).reshape(-1), labels, groups.count)

        lowest = over(jax.ops.segment_min, structure.frequencies, jnp.inf)
        highest = over(jax.ops.segment_max, structure.frequencies, -jnp.inf)
        fastest = over(jax.ops.segment_max, decay, 0.0)
        # The last group before each that has a coupled member: labels ascend with the frequency.
        before = jax.lax.cummax(jnp.where(jnp.isfinite(highest), jnp.arange(groups.count), -1))[:-1]
        apart = (before >= 0) & jnp.isfinite(lowest[1:])
        mean, larger = (fastest[1:] + fastest[before]) / 2, jnp.maximum(fastest[1:], fastest[before])
        rate = jnp.where((before == groups.zero) | (jnp.arange(1, groups.count) == groups.zero), larger, mean)
        distance = jnp.where(apart, lowest[1:], 1.0) - jnp.where(apart, highest[before], 0.0)
        over_rate = jnp.where(apart & (rate > 0), distance / jnp.where(rate > 0, rate, 1.0), jnp.inf)
        return jnp.min(over_rate, initial=jnp.inf)

    return jnp.min(jax.vmap(of_bath)(jnp.stack(rates), jnp.stack(dephasing)))


def spread(structure: Structure, groups: Groups) -> Float[Array, ""]:
    """The largest difference of Bohr frequencies within one group, zero if it is rounding."""
    U, H = structure.vectors, jax.lax.stop_gradient(structure.hamiltonian)
    energies = jnp.sum(U.conj() * (H @ U), axis=0).real
    omega = (energies[None, :] - energies[:, None]).reshape(-1)
    labels = jnp.maximum(groups.labels, 0).reshape(-1)
    highest = jax.ops.segment_max(omega, labels, groups.count)
    lowest = jax.ops.segment_min(omega, labels, groups.count)
    widest = jnp.max(jnp.where(jnp.isfinite(highest), highest - lowest, 0.0))
    return jnp.where(widest > structure.rounding, widest, 0.0)
