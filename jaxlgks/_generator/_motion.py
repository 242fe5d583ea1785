"""The equations of motion of a driven system and its baths.

Takes: H(t), what the baths do, a state with the memory of the baths and a ledger of work and heat. Returns: their rates
of change, what is reported of a time, and the way through time (`_collocation`).
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._drives import DrivenSystem


class Reading(eqx.Module):
    """Of one time: ρ, dρ/dt, Tr[Hρ], Tr[Ḣρ], J^α, ⟨H_I^α⟩ and its rate, and up to then the work and the heat that went
    into the system."""

    rho: Complex[Array, "*t d d"]
    change: Complex[Array, "*t d d"]
    energy: Float[Array, "*t"]
    power: Float[Array, "*t"]
    currents: Float[Array, "*t baths"]
    interaction: Float[Array, "*t baths"]
    interaction_rate: Float[Array, "*t baths"]
    work: Float[Array, "*t"]
    heat: Float[Array, "*t baths"]


class Motion(eqx.Module):
    """The equations of motion of y = (ρ, memory, ledger), the ledger being the work done and the heat of each bath up
    to now. `baths`: a `Following`, or `AtOnce`, which has no memory (None)."""

    driven: DrivenSystem
    baths: Any

    def hamiltonian(self, t: Array) -> Complex[Array, "d d"]:
        """H(t)."""
        return self.driven.hamiltonian(t)

    def slope(self, t: Array, y: Any) -> Any:
        """dy/dt."""
        rho, memory, _ = y
        H, kernel = self.hamiltonian(t), self.baths.kernel(t, memory)
        flow = jnp.sum(self.baths.dissipators(kernel, rho), axis=0)
        change = -1j * (H @ rho - rho @ H) + flow
        return change, self.baths.slope(H, memory), self.ledger_slope(t, H, kernel, rho)

    def ledger_slope(self, t: Array, H: Array, kernel: Any, rho: Array) -> Float[Array, " flows"]:
        """Power, and the heat current of each bath."""
        power = jnp.einsum("ij,ji->", self.driven.rate(t), rho).real
        return jnp.concatenate([power[None], self.currents(H, kernel, rho)])

    def reading(self, t: Array, y: Any) -> "Reading":
        """What is reported of a time."""
        rho, memory, ledger = y
        H, kernel, (change, memory_change, flows) = self.hamiltonian(t), self.baths.kernel(t, memory), self.slope(t, y)
        energy = jnp.einsum("ij,ji->", H, rho).real
        if memory is None:
            held = rate = jnp.zeros_like(flows[1:])
        else:
            held = self.baths.interaction(kernel, rho)
            moved = self.baths.kernel(t, memory_change)
            rate = self.baths.interaction(moved, rho) + self.baths.interaction(kernel, change)
        return Reading(rho, change, energy, flows[0], flows[1:], held, rate, ledger[0], ledger[1:])

    def currents(self, H: Array, kernel: Any, rho: Array) -> Float[Array, " baths"]:
        """J^α = Tr[H D_α ρ]."""
        return jnp.einsum("ij,bji->b", H, self.baths.dissipators(kernel, rho)).real

    def through(self, rho: Complex[Array, "d d"], memory: Any, ts: Float[Array, " t"], **options: Any) -> Reading:
        """From ρ and a memory at the first of the times to all of them. `options`: of `integration`."""
        from ._collocation import march  # diffrax would be a third of the time of importing jaxlgks

        ledger = jnp.zeros(1 + len(self.driven.baths), rho.real.dtype)
        read = march(self, (rho, memory, ledger), ts, **options)
        return eqx.tree_at(lambda r: (r.rho, r.change), read, [x[:, 0] + 1j * x[:, 1] for x in (read.rho, read.change)])
