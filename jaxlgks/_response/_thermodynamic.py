"""Response of heat currents, entropy and entropy production (paper, Sec. IV and Appendix D).

Takes: a model, a perturbation V, a master equation. Returns: the first-order response of quantities that depend on H
and on the state themselves, as `LinearResponse` objects with a fourth, explicit part.
"""

from typing import Any

import equinox as eqx

from .._equations import AbstractEquation, Davies
from .._generator import AbstractSolver, resolve
from .._inputs import as_flag
from .._observables import ChannelCurrents, Entropy, EntropyProduction, EntropyRate, HeatCurrents
from .._steady import at_rest
from ._bath_currents import BathCurrents, bath_currents
from ._expansion import Expansion, expand
from ._linear import LinearResponse


class ThermodynamicResponse(eqx.Module):
    """First-order responses, each with `.static()`, `.step(t)`, `.impulse(t)`, `.susceptibility(omega)`. Each is made
    when it is asked for: inside a function that is batched by `vmap`, ask there."""

    expansion: Expansion

    @property
    def heat_currents(self) -> LinearResponse:
        """J₁^α, last axis baths; form (51), Tr[H₀ D₀^α ρ₁] + ⟨D₁^α† H₀⟩ + ⟨D₀^α† V⟩."""
        return self.expansion.linear(HeatCurrents())

    @property
    def bath_currents(self) -> BathCurrents:
        """What the baths give, −d⟨H_B^α⟩/dt: J₁^α and the change of the energy of the interaction, `.static()`,
        `.impulse(t)`, `.step(t)`, `.susceptibility(omega)`, `.to_drive(delta, t)`. Raises `InputError` where
        dissipators follow at once."""
        return bath_currents(self.heat_currents)

    @property
    def heat_currents_gibbs(self) -> LinearResponse:
        """Form (50), with −T_α ln π^α for the Hamiltonian, π^α the Gibbs state to which bath α alone would drive the
        system. It equals form (51) when that state belongs to H₀ + δV (Davies) and not otherwise (Local)."""
        return self.expansion.linear(HeatCurrents(thermal=True))

    @property
    def channels(self) -> LinearResponse | None:
        """J₁^{α,ω}, last axes [baths, channels], the channels of `channel_currents` before unused ones are left out
        (above d = 24 without those to which no bath couples). None for `Davies` and `Unified` above d = 32, where there
        may be d² of them, and for `QuasiFree` models."""
        return self.expansion.linear(ChannelCurrents()) if self.expansion.generator.has_channels else None

    @property
    def entropy(self) -> LinearResponse:
        """S₁ = −Tr[ρ₁ ln π₀] (52)."""
        return self.expansion.linear(Entropy())

    @property
    def entropy_rate(self) -> LinearResponse:
        """dS₁/dt = −⟨L₁† Λ₀†(t) ln π₀⟩ (53)."""
        return self.expansion.linear(EntropyRate())

    @property
    def entropy_production(self) -> LinearResponse:
        """σ₁ = dS₁/dt − Σ_α J₁^α/T_α (D11, with the full L₀)."""
        return self.expansion.linear(EntropyProduction())


def thermodynamic_response(
    system: Any,
    V: Any,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    instantaneous: bool = False,
) -> ThermodynamicResponse:
    """The response of heat currents, entropy and entropy production to H → H + δV switched on at t = 0.

    These quantities depend on δ through the state and directly. To first order (paper, Eqs. 50–53, D11)

        J₁^α(t) = Tr[H₀ D₀^α ρ₁(t)] + ⟨D₁^α† H₀⟩ + ⟨D₀^α† V⟩,      ρ₁(t) = ∫₀ᵗ e^{L₀τ} L₁π₀ dτ

    at rest. In time and frequency dissipators follow V with the memory of their baths, as in `response`. The first term
    is split into kubo, rotation and shift by the source of ρ₁; the other two are `explicit`. The heat current is the
    energy that flows into the system; what a bath gives, `bath_currents`, differs by that of the interaction.

    **Arguments, Raises:** as `response`. **Returns:** `ThermodynamicResponse`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    r = lgks.thermodynamic_response(system, lgks.models.pauli("ZZ"))
    r.heat_currents.static().total / lgks.heat_currents(system)     # 0.0308 per unit of delta
    ```
    """
    instantaneous = as_flag(instantaneous, "thermodynamic_response: instantaneous")
    problem = resolve(system, equation)
    V = problem.operator(V, "the perturbation V")
    rest = at_rest(problem, solver)
    return ThermodynamicResponse(expand(problem, V, 2, rest, instantaneous=instantaneous))
