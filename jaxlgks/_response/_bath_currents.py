"""What each bath gives, beside what flows into the system.

Takes: the response of the heat currents into the system, and of the energy of the interaction. Returns: the response of
−d⟨H_B^α⟩/dt = J^α + d⟨H_I^α⟩/dt. At rest both are one; a drive stores energy in the interaction, to the same order in
the coupling: J_bath(ω) = J(ω) − iω⟨H_I⟩₁(ω).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._generator import AbstractInteraction, in_order
from .._inputs import Numbers, as_delays, as_known
from .._observables import Perturbation
from ..errors import InputError
from ._linear import Impulse, LinearResponse, Parts, as_frequencies, under_drive


class BathCurrents(eqx.Module):
    """The response of the heat currents that the baths give, [baths]. `currents`: of those into the system. `stored`:
    of the interaction energies, but for what the `interaction` changes by itself."""

    currents: LinearResponse
    stored: LinearResponse
    interaction: AbstractInteraction

    def static(self) -> Parts:
        """As of the currents into the system."""
        return self.currents.static()

    def susceptibility(self, omega: Numbers) -> Parts:
        """χ(ω), complex. `omega`: real, scalar or [w]."""
        omega = as_frequencies(omega)
        omegas = omega if omega.ndim else as_known(omega[None])
        flow, held = self.currents.susceptibility(omegas), self.stored.susceptibility(omegas)
        held = eqx.tree_at(lambda p: p.explicit, held, self.interaction.at(omegas))
        total = jax.tree.map(lambda J, E: J - 1j * omegas[:, None] * E, flow, held)
        return total if omega.ndim else jax.tree.map(lambda x: x[0], total)

    def impulse(self, t: Numbers) -> Impulse:
        """φ(τ) after a kick δ(t)V. `t` ≥ 0: scalar or [t]. A bath whose C(τ) diverges at τ = 0 (`DrudeLorentz`) lets it
        diverge as ln τ there. `explicit`, the weight of δ(τ), has what the kick stores in the interaction."""
        t = as_delays(t)
        flow, kick = self.currents.impulse(t), self.stored.impulse(0.0)
        ascending, where = in_order(t, flow.explicit.dtype)
        kubo, rotation, shift = jnp.moveaxis(self.stored.slope(t), -2, 0)
        changed = self.interaction.slope(ascending)[where].reshape(flow.explicit.shape)
        return Impulse(
            flow.kubo + kubo,
            flow.rotation + rotation,
            flow.shift + shift,
            flow.explicit + kick.total + self.interaction.after(ascending[:1])[0],
            flow.delayed + changed,
        )

    def to_drive(self, delta: Any, t: Numbers) -> Parts:
        """As `LinearResponse.to_drive`; what a kick stores in the interaction at once counts as explicit."""
        return under_drive(self.impulse, self.currents.bandwidth, delta, t)

    def step(self, t: Numbers) -> Parts:
        """Φ(t) after V is switched on. `t` ≥ 0: scalar or [t]."""
        t = as_delays(t)
        flow, kick = self.currents.step(t), self.stored.impulse(t)
        ascending, where = in_order(t, flow.explicit.dtype)
        changed = self.interaction.after(ascending)[where].reshape(flow.explicit.shape)
        return Parts(
            flow.kubo + kick.kubo,
            flow.rotation + kick.rotation,
            flow.shift + kick.shift,
            flow.explicit + kick.delayed + changed,
        )


def bath_currents(currents: LinearResponse) -> BathCurrents:
    """From the response of the heat currents into the system, with H as the energy.

    **Raises:** `InputError` for a system whose heat is counted with another operator."""
    if not currents.generator.energy_follows:
        raise InputError(
            "bath_currents: what a bath gives does not depend on the operator with which heat is counted; this system "
            "has one of its own, energy=. Ask for it without."
        )
    interaction = currents.interaction()
    stored = eqx.tree_at(
        lambda r: (r.quantity, r.observables, r.explicit),
        currents,
        (Perturbation(interaction.observables), interaction.observables, jnp.zeros_like(currents.explicit)),
    )
    return BathCurrents(currents, stored, interaction)
