"""Heat currents by channel: one pair of Bohr groups ±ω of one bath each.

Takes: a system with its equation, a state. Returns: frequencies and currents of the channels.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from .._bohr import Groups
from .._compiled import compiled
from .._equations import Dissipation, Dissipator


class Channels(eqx.Module):
    """Heat currents channel by channel: one pair of Bohr groups ±ω of one bath each.

    - `frequencies`: ω ≥ 0 of each channel, ascending, [c].
    - `currents`: J^{α,ω}, [baths, c]; summed over channels they give `heat_currents`.
    """

    frequencies: Float[Array, " c"]
    currents: Float[Array, "baths c"]


@compiled
def channel_currents(resolved: Dissipation, rho: Array) -> tuple[Channels, Array]:
    """All possible channels, and which of them a bath couples to."""
    basis, groups = resolved.basis, resolved.groups
    size = jnp.sum(groups.split(jnp.ones_like(basis.frequencies)), axis=(1, 2))
    # Diagonal of U†HU: the energies, with the derivative that those of the structure do not carry.
    energies = jnp.diag(basis.to_eigenbasis(basis.hamiltonian)).real
    frequency = jnp.sum(groups.split(energies[None, :] - energies[:, None]), axis=(1, 2)) / jnp.maximum(size, 1)
    stacks = resolved.channels()
    by_group = jnp.stack([channel_energies(D, resolved.energy, rho) for D in stacks])
    sizes = [jnp.max(jnp.abs(jax.lax.stop_gradient(D.left)), axis=(1, 2, 3)) for D in stacks]
    weight = jnp.max(jnp.stack(sizes), axis=0)
    pairs = paired_groups(jnp.concatenate([by_group, weight[None]]), groups)
    known = jnp.arange(pairs.shape[-1]) <= groups.zero
    up = jnp.minimum(groups.zero + jnp.arange(pairs.shape[-1]), groups.count - 1)
    frequencies = jnp.where(known, jnp.abs(frequency[up]), 0.0)
    none = pairs[-1] <= 1e-12 * jnp.max(pairs[-1])  # not so where a rate is NaN: that channel is not left out
    return Channels(frequencies, pairs[:-1]), ~none


def channel_energies(channels: Dissipator, X: Array, rho: Array) -> Array:
    """Tr[X D_g ρ] for every group g, and what its jumps carry where the frame turns."""
    flows = jax.vmap(lambda D: jnp.einsum("ij,ji->", X, D(rho)).real)(still(channels))
    return flows if channels.carried is None else flows + jnp.einsum("gij,ji->g", channels.carried, rho).real


def still(channels: Dissipator) -> Dissipator:
    """The same without what jumps carry."""
    return eqx.tree_at(lambda d: d.carried, channels, None, is_leaf=lambda x: x is None)


def paired_groups(values: Inexact[Array, "... g"], groups: Groups) -> Inexact[Array, "... c"]:
    """Add what belongs to ω and −ω: channel c joins the groups `zero` + c and `zero` − c, channel 0 is the zero group.

    Labels ascend with ω and are symmetric about `zero`. Of `count` groups that may exist only 2·zero + 1 do; the rest
    is padding and holds zeros.
    """
    zero, count = groups.zero, groups.count
    c = jnp.arange((count + 1) // 2)
    exists = c <= zero
    up = values[..., jnp.clip(zero + c, 0, count - 1)]
    down = values[..., jnp.clip(zero - c, 0, count - 1)]
    return jnp.where(exists, up + jnp.where(c > 0, down, 0.0), 0.0)
