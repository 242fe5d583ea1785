"""The equations of motion of a driven system and its baths.

Takes: H(t), what the baths do, a state with the memory of the baths and the heat up to now. Returns: their rates of
change, what is reported of a time, and the way through time (`_collocation`).
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import traceless
from .._drives import DrivenSystem


class Reading(eqx.Module):
    """Of one time: ρ, dρ/dt, Tr[Hρ], Tr[Ḣρ], J^α, ⟨H_I^α⟩ and its rate, and the heat that went into the system up to
    then."""

    rho: Complex[Array, "*t d d"]
    change: Complex[Array, "*t d d"]
    energy: Float[Array, "*t"]
    power: Float[Array, "*t"]
    currents: Float[Array, "*t baths"]
    interaction: Float[Array, "*t baths"]
    interaction_rate: Float[Array, "*t baths"]
    heat: Float[Array, "*t baths"]


class Motion(eqx.Module):
    """The equations of motion of y = (ρ, memory, heat), heat that of each bath up to now. `baths`: a `Following`, or
    `AtOnce`, which has no memory (None)."""

    driven: DrivenSystem
    baths: Any

    def hamiltonian(self, t: Array) -> Complex[Array, "d d"]:
        """H(t) without its trace, which moves nothing."""
        return traceless(self.driven.hamiltonian(t))

    def slope(self, t: Array, y: Any) -> Any:
        """dy/dt."""
        return self._slope(t, y, self.baths.kernel(t, y[1]))

    def _slope(self, t: Array, y: Any, kernel: Any) -> Any:
        (rho, memory, _), H = y, self.hamiltonian(t)
        flow = jnp.sum(self.baths.dissipators(kernel, rho), axis=0)
        change = -1j * (H @ rho - rho @ H) + flow
        return change, self.baths.slope(H, memory), self.currents(H, kernel, rho)

    def reading(self, t: Array, y: Any) -> Reading:
        """What is reported of a time."""
        rho, memory, heat = y
        kernel = self.baths.kernel(t, memory)
        change, memory_change, currents = self._slope(t, y, kernel)
        energy, power = (jnp.einsum("ij,ji->", A, rho).real for A in (self.driven.hamiltonian(t), self.driven.rate(t)))
        if memory is None:
            held = rate = jnp.zeros_like(currents)
        else:
            held = self.baths.interaction(kernel, rho)
            moved = self.baths.kernel(t, memory_change)
            rate = self.baths.interaction(moved, rho) + self.baths.interaction(kernel, change)
        return Reading(rho, change, energy, power, currents, held, rate, heat)

    def currents(self, H: Array, kernel: Any, rho: Array) -> Float[Array, " baths"]:
        """J^α = Tr[H D_α ρ]."""
        return jnp.einsum("ij,bji->b", H, self.baths.dissipators(kernel, rho)).real

    def through(self, rho: Complex[Array, "d d"], memory: Any, ts: Float[Array, " t"], **options: Any) -> Reading:
        """From ρ and a memory at the first of the times to all of them. `options`: of `integration`."""
        from ._collocation import march  # diffrax would be a third of the time of importing jaxlgks

        heat = jnp.zeros(len(self.driven.baths), rho.real.dtype)
        read = march(self, (rho, memory, heat), ts, **options)
        return eqx.tree_at(lambda r: (r.rho, r.change), read, [x[:, 0] + 1j * x[:, 1] for x in (read.rho, read.change)])
