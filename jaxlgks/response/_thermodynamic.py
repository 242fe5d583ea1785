"""Response of heat currents, entropy and entropy production (paper, Sec. IV and Appendix D).

Enters: a system, a perturbation V, a master equation. Leaves: the first-order response of quantities that depend on H
and on the state themselves, as `LinearResponse` objects with a fourth, explicit part.
"""

from typing import overload

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._entropy import log_state
from .._inputs import as_operator
from .._observables import channel_energies, expectation, pair_groups
from .._oscillators import QuasiFree
from .._system import System
from ..bohr import centred
from ..equations import AbstractEquation, Davies, Dissipator
from ._explicit import Expansion, expand
from ._linear import LinearResponse
from ._oscillators_thermodynamic import QuasiFreeThermodynamics, quasifree_thermodynamics


class ThermodynamicResponse(eqx.Module):
    """First-order responses, each with `.static()`, `.step(t)`, `.impulse(t)`, `.susceptibility(omega)`.

    - `heat_currents`: J₁^α, last axis baths; form (51), Tr[H₀ D₀^α ρ₁] + ⟨D₁^α† H₀⟩ + ⟨D₀^α† V⟩.
    - `heat_currents_gibbs`: form (50), with −T_α ln π^α for the Hamiltonian, π^α the Gibbs state to which bath α alone
      would drive the system. It equals form (51) when that state belongs to H₀ + δV (Davies) and not otherwise (Local).
    - `channels`: J₁^{α,ω}, last axes [baths, channels], the channels of `channel_currents` before unused ones are left
      out.
    - `entropy`: S₁ = −Tr[ρ₁ ln π₀] (52). `entropy_rate`: dS₁/dt = −⟨L₁† Λ₀†(t) ln π₀⟩ (53).
    - `entropy_production`: σ₁ = dS₁/dt − Σ_α J₁^α/T_α (D11, with the full L₀).
    """

    heat_currents: LinearResponse
    heat_currents_gibbs: LinearResponse
    channels: LinearResponse
    entropy: LinearResponse
    entropy_rate: LinearResponse
    entropy_production: LinearResponse


@overload
def thermodynamic_response(system: System, V, equation: AbstractEquation = ...) -> ThermodynamicResponse: ...
@overload
def thermodynamic_response(system: QuasiFree, V, equation: AbstractEquation = ...) -> QuasiFreeThermodynamics: ...
def thermodynamic_response(
    system: System | QuasiFree, V, equation: AbstractEquation = Davies()
) -> ThermodynamicResponse | QuasiFreeThermodynamics:
    """The response of heat currents, entropy and entropy production to H → H + δV switched on at t = 0.

    These quantities depend on δ through the state and directly. To first order (paper, Eqs. 50–53, D11)

        J₁^α(t) = Tr[H₀ D₀^α ρ₁(t)] + ⟨D₁^α† H₀⟩ + ⟨D₀^α† V⟩,      ρ₁(t) = ∫₀ᵗ e^{L₀τ} L₁π₀ dτ

    The first term is split into kubo, rotation and shift by the source of ρ₁; the other two are `explicit`.

    **Arguments, Raises:** as `response`. **Returns:** `ThermodynamicResponse`; for a `QuasiFree` model
    `QuasiFreeThermodynamics`, which has no `channels`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    r = lgks.thermodynamic_response(system, lgks.models.pauli("ZZ"))
    r.heat_currents.static().total / lgks.heat_currents(system)     # 0.0308 per unit of delta
    ```
    """
    if isinstance(system, QuasiFree):
        return quasifree_thermodynamics(system, V, equation)
    V = as_operator(V, "the perturbation V", system.dim).astype(system.hamiltonian.dtype)
    return _thermodynamic(system, V, equation.fixed(system), expand(system, V, equation), equation.groups(system).zero)


@eqx.filter_jit
def _thermodynamic(
    system: System, V: Array, equation: AbstractEquation, expansion: Expansion, zero: Array
) -> ThermodynamicResponse:
    H, V, state = centred(system.hamiltonian), centred(V), expansion.state
    flows = [_flow(expansion, bath, H, V) for bath in range(len(system.baths))]
    observables = jnp.stack([observable for observable, _ in flows])  # [baths, groups, d, d]
    explicit = jnp.stack([instant for _, instant in flows])
    currents, instant = jnp.sum(observables, axis=1), jnp.sum(explicit, axis=1)

    log = log_state(state)
    rate = -_adjoint_generator(H, expansion.channels, log)
    rate_now = -expectation(log, jnp.sum(expansion.sources, axis=0))
    production = rate - jnp.tensordot(1 / system.temperatures, currents, axes=1)
    production_now = rate_now - jnp.sum(instant / system.temperatures)

    return ThermodynamicResponse(
        heat_currents=expansion.linear(currents, instant),
        heat_currents_gibbs=expansion.linear(*_gibbs_form(system, V, equation, expansion)),
        channels=expansion.linear(*_channels(observables, explicit, zero)),
        entropy=expansion.linear(-log, jnp.zeros_like(rate_now)),
        entropy_rate=expansion.linear(rate, rate_now),
        entropy_production=expansion.linear(production, production_now),
    )


def _flow(expansion: Expansion, bath: int, X: Array, dX: Array) -> tuple[Array, Array]:
    """The flow Tr[X D_g ρ] of X through every group of one bath, when X itself changes by dX: its Heisenberg operator
    D_g† X, and what of it moves at once, Tr[X D_g⁽¹⁾ π₀] + Tr[dX D_g π₀]."""
    D, change, state = expansion.channels[bath], expansion.first_order[bath], expansion.state
    observable = jax.vmap(lambda group: group.adjoint(X))(D)
    moved = channel_energies(change.rotation, X, state) + channel_energies(change.shift, X, state)
    return observable, moved + channel_energies(D, dX, state)


def _channels(observables: Array, explicit: Array, zero: Array) -> tuple[Array, Array]:
    count = explicit.shape[-1]
    paired = pair_groups(jnp.moveaxis(observables, 1, -1), zero, count)
    return jnp.moveaxis(paired, -1, 1), pair_groups(explicit, zero, count)


def _gibbs_form(system: System, V: Array, equation: AbstractEquation, expansion: Expansion) -> tuple[Array, Array]:
    """Form (50): the flow of −T_α ln π^α instead of H."""

    def logarithms(delta: Array) -> Array:
        moved = eqx.tree_at(lambda s: s.hamiltonian, system, system.hamiltonian + delta * V)
        return log_gibbs(equation.thermal_hamiltonian(moved), system.temperatures)

    delta = jnp.zeros((), system.temperatures.dtype)
    logs, changes = jax.jvp(logarithms, (delta,), (jnp.ones_like(delta),))
    flows = [
        _flow(expansion, bath, -T * log, -T * change)
        for bath, (T, log, change) in enumerate(zip(system.temperatures, logs, changes, strict=True))
    ]
    return jnp.stack([jnp.sum(o, axis=0) for o, _ in flows]), jnp.stack([jnp.sum(e) for _, e in flows])


def log_gibbs(H: Complex[Array, "d d"], temperatures: Float[Array, " baths"]) -> Complex[Array, "baths d d"]:
    """ln π^α = −H/T_α − ln Tr e^{−H/T_α} for every temperature."""
    exponents = -jnp.linalg.eigvalsh(H) / temperatures[:, None]
    free = jax.scipy.special.logsumexp(exponents, axis=-1)
    return -H / temperatures[:, None, None] - free[:, None, None] * jnp.eye(H.shape[-1])


def _adjoint_generator(H: Array, channels: tuple[Dissipator, ...], X: Array) -> Array:
    """L₀† X = i[H, X] + Σ_α D_α† X."""
    dissipated = sum(jnp.sum(jax.vmap(lambda D: D.adjoint(X))(stack), axis=0) for stack in channels)
    return 1j * (H @ X - X @ H) + dissipated
