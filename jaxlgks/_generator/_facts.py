"""The numbers behind a diagnosis: what a perturbation does to levels and frequencies, and how fast things go.

Takes: a system with its structure, a perturbation V, its strength δ. Returns: first-order shifts and splittings, and
the time scales with which they compare. Values must be known.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._bohr import Structure, find_structure
from .._compiled import compiled
from .._equations import (
    Davies,
    Dissipation,
    Parameters,
    Unified,
    Validity,
    cluster_gap,
    parameters,
    total,
    transition_rates,
    validity,
)
from .._system import System

NEGLIGIBLE = 1e-9
"""First-order shifts below this fraction of the largest element of V are none."""


class Facts(eqx.Module):
    """As the fields of `Diagnosis`; besides `moves`: whether a coupled transition moves, `splits`: whether a group of
    them splits; `floor` below which a current is rounding, `least` slope of a current per current that is one."""

    level_shifts: Float[Array, " d"]
    rotation: Float[Array, ""]
    frequencies: Float[Array, " g"]
    members: Int[Array, " g"]
    splittings: Float[Array, " g"]
    relaxation_times: Float[Array, " g"]
    validity: Validity
    separation: Float[Array, ""]
    correlation_times: Float[Array, " baths"]
    relaxation_rate: Float[Array, ""]
    cluster_width: Float[Array, ""]
    floor: Float[Array, ""]
    least: Float[Array, ""]
    clusters_change: bool = eqx.field(static=True)
    moves: bool = eqx.field(static=True)
    splits: bool = eqx.field(static=True)


def level_facts(resolved: Dissipation, perturbed: System, V: Array, delta: float) -> Facts:
    """Those of a system of matrices."""
    structure, system = resolved.structure, resolved.system
    rotated, shifts, rotation = _first_order(structure, V, delta)
    decay = np.asarray(_rates(rotated, system))
    frequencies, members, splittings, times = _groups(rotated, system, decay, shifts)
    unified = Unified()
    size = NEGLIGIBLE * float(np.max(np.abs(delta * np.asarray(V))))
    move = np.abs(shifts[None, :] - shifts[:, None])
    span = float(structure.energies[-1] - structure.energies[0])
    of, judged, width = _timescales(structure, system)
    return Facts(
        level_shifts=jnp.asarray(shifts),
        rotation=jnp.asarray(rotation),
        frequencies=jnp.asarray(frequencies),
        members=jnp.asarray(members),
        splittings=jnp.asarray(splittings),
        relaxation_times=jnp.asarray(times),
        validity=judged,
        separation=judged.separation,
        correlation_times=of.times,
        relaxation_rate=of.rate,
        cluster_width=width,
        floor=1e-12 * span * of.rate,
        least=jnp.asarray(1e-9 * float(np.max(np.abs(np.asarray(V)))) / span),
        clusters_change=unified.groups(structure, system).count
        != unified.groups(find_structure(perturbed.hamiltonian), perturbed).count,
        moves=bool(np.any(_coupled(decay) & (move > size))),
        splits=bool(np.any(splittings > size)),
    )


@compiled
def _rates(structure: Structure, system: System) -> Array:
    return total(transition_rates(structure, system))


@compiled
def _timescales(structure: Structure, system: System) -> tuple[Parameters, Validity, Array]:
    """Rates and memory, the verdict on `Davies`, and the automatic width of `Unified`."""
    groups = Davies().groups(structure, system)
    width = cluster_gap(Unified(), structure, system)
    return parameters(structure, system), validity(structure, groups, system, Davies()), width


def _first_order(structure: Structure, V: Array, delta: float) -> tuple[Structure, np.ndarray, float]:
    """The structure in the basis that diagonalises V inside each level, first-order shifts, and the rotation angle."""
    energies, vectors = np.asarray(structure.energies), np.asarray(structure.vectors)
    rotated = vectors.conj().T @ np.asarray(V) @ vectors
    inner, shifts = np.eye(energies.size, dtype=complex), np.zeros(energies.size)
    for level in np.split(np.arange(energies.size), 1 + np.flatnonzero(np.diff(energies) > 0)):
        block = np.ix_(level, level)
        shifts[level], inner[block] = np.linalg.eigh(delta * rotated[block])
    apart = np.abs(energies[None, :] - energies[:, None])
    gap = np.where(apart == 0, np.inf, apart)
    turned = eqx.tree_at(lambda s: s.vectors, structure, jnp.asarray(vectors @ inner))
    return turned, shifts, float(np.max(np.abs(delta * rotated) / gap))


def _coupled(rates: np.ndarray) -> np.ndarray:
    """Which transitions some bath drives, in either direction."""
    both = rates + rates.T
    return both > 1e-9 * max(both.max(), np.finfo(float).tiny)


def _groups(structure: Structure, system: System, rates: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Frequency, number of transitions, splitting and relaxation time of each coupled group of Davies, ω ≥ 0."""
    labels = np.asarray(Davies().groups(structure, system).labels)
    decay, coupled = rates.sum(axis=0), _coupled(rates)
    move = shifts[None, :] - shifts[:, None]
    omega = np.asarray(structure.frequencies)
    mean = (decay[None, :] + decay[:, None]) / 2
    rows = []
    for label in np.unique(labels[coupled & (labels >= labels[0, 0])]):
        members = coupled & (labels == label)
        rows.append((abs(omega[members].mean()), members.sum(), np.ptp(move[members]), 1 / mean[members].max()))
    frequencies, members, splittings, times = np.array(rows).reshape(-1, 4).T
    return frequencies, members.astype(int), splittings, times
