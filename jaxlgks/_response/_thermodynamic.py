"""Response of heat currents, entropy and entropy production (paper, Sec. IV and Appendix D).

Enters: a system, a perturbation V, a master equation. Leaves: the first-order response of quantities that depend on H
and on the state themselves, as `LinearResponse` objects with a fourth, explicit part.
"""

from collections.abc import Callable
from typing import overload

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import centred
from .._entropy import log_state
from .._equations import AbstractEquation, Davies, Dissipator
from .._generator import BlockGenerator, Partition, block_first_order, block_generator, find_partition
from .._inputs import as_operator
from .._observables import channel_energies, expectation, pair_groups
from .._oscillators import QuasiFree
from .._steady import steady_state
from .._system import System
from ._explicit import Expansion, Sources, Turn, block_sources, expand
from ._linear import LinearResponse
from ._oscillators_thermodynamic import QuasiFreeThermodynamics, quasifree_thermodynamics

CHANNELS = 32
"""Up to this dimension every group has an operator of its own."""


class ThermodynamicResponse(eqx.Module):
    """First-order responses, each with `.static()`, `.step(t)`, `.impulse(t)`, `.susceptibility(omega)`.

    - `heat_currents`: J₁^α, last axis baths; form (51), Tr[H₀ D₀^α ρ₁] + ⟨D₁^α† H₀⟩ + ⟨D₀^α† V⟩.
    - `heat_currents_gibbs`: form (50), with −T_α ln π^α for the Hamiltonian, π^α the Gibbs state to which bath α alone
      would drive the system. It equals form (51) when that state belongs to H₀ + δV (Davies) and not otherwise (Local).
    - `channels`: J₁^{α,ω}, last axes [baths, channels], the channels of `channel_currents` before unused ones are left
      out. None for `Davies` and `Unified` above d = 32: there may be d² of them, with an operator each.
    - `entropy`: S₁ = −Tr[ρ₁ ln π₀] (52). `entropy_rate`: dS₁/dt = −⟨L₁† Λ₀†(t) ln π₀⟩ (53).
    - `entropy_production`: σ₁ = dS₁/dt − Σ_α J₁^α/T_α (D11, with the full L₀).
    """

    heat_currents: LinearResponse
    heat_currents_gibbs: LinearResponse
    channels: LinearResponse | None
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
    partition = find_partition(system, equation, above=CHANNELS)
    if partition is None:
        pinned, zero = equation.fixed(system), equation.groups(system).zero
        return _by_groups(system, V, pinned, expand(system, V, equation), zero)
    equation.admit(system, V)
    return _by_blocks(system, V, equation, steady_state(system, equation).rho, partition)


Flow = Callable[[int, Array, Array], tuple[Array, Array]]
"""(bath, X, dX) ↦ the flow Tr[X D ρ] of X from a bath when X itself changes by dX: its Heisenberg operator D†X, and
what of it moves at once, Tr[X D⁽¹⁾π₀] + Tr[dX D π₀]."""


@eqx.filter_jit
def _by_groups(
    system: System, V: Array, equation: AbstractEquation, expansion: Expansion, zero: Array
) -> ThermodynamicResponse:
    H, V = centred(system.hamiltonian), centred(V)
    flows = [_group_flows(expansion, bath, H, V) for bath in range(len(system.baths))]
    observables = jnp.stack([observable for observable, _ in flows])  # [baths, groups, d, d]
    explicit = jnp.stack([instant for _, instant in flows])

    def flow(bath: int, X: Array, dX: Array) -> tuple[Array, Array]:
        observable, instant = _group_flows(expansion, bath, X, dX)
        return jnp.sum(observable, axis=0), jnp.sum(instant)

    rate = lambda X: -_adjoint_generator(H, expansion.channels, X)  # noqa: E731
    channels = expansion.linear(*_channels(observables, explicit, zero))
    return _quantities(system, V, equation, expansion, flow, rate, channels)


@eqx.filter_jit
def _by_blocks(
    system: System, V: Array, equation: AbstractEquation, state: Array, partition: Partition
) -> ThermodynamicResponse:
    """Without an axis of groups: O(d³)."""
    sources, turn = block_sources(system, V, equation, state, partition)
    L = sources.generator
    assert isinstance(L, BlockGenerator)
    rho = L.to(state)
    each = [_moved(alone, equation, partition, turn, rho) for alone in system.one_by_one]

    def flow(bath: int, X: Array, dX: Array) -> tuple[Array, Array]:
        D, changed, dissipated = each[bath]
        observable = L.back(partition.adjoint(D.dissipative, L.to(X)[None])[0])
        return observable, expectation(L.to(X), changed) + expectation(L.to(dX), dissipated)

    rate = lambda X: -L.back(partition.adjoint(L.matrices, L.to(X)[None])[0])  # noqa: E731
    return _quantities(system, centred(V), equation, sources, flow, rate, None)


def _moved(
    alone: System, equation: AbstractEquation, partition: Partition, turn: Turn, rho: Array
) -> tuple[BlockGenerator, Array, Array]:
    """D of one bath, D⁽¹⁾π₀ and D π₀."""
    D = block_generator(alone, equation, partition)
    rotation, shift = block_first_order(alone, equation, D, turn.X, turn.W)
    return D, rotation(rho) + shift(rho), D.dissipate(rho[None])[0]


def _quantities(
    system: System,
    V: Array,
    equation: AbstractEquation,
    sources: Sources,
    flow: Flow,
    rate: Callable[[Array], Array],
    channels: LinearResponse | None,
) -> ThermodynamicResponse:
    """All of them, from the flows of H and of −T_α ln π^α; `rate(ln π₀)`: −L₀† ln π₀."""
    both = lambda flows: tuple(jnp.stack(x) for x in zip(*flows, strict=True))  # noqa: E731
    baths = range(len(system.baths))
    currents, instant = both([flow(bath, centred(system.hamiltonian), V) for bath in baths])
    log = log_state(sources.state)
    changing, changing_now = rate(log), -expectation(log, jnp.sum(sources.sources, axis=0))
    production = changing - jnp.tensordot(1 / system.temperatures, currents, axes=1)
    production_now = changing_now - jnp.sum(instant / system.temperatures)

    # Form (50): the flow of −T_α ln π^α instead of H.
    logs, changes = _log_gibbs_and_change(system, V, equation)
    scaled = zip(baths, system.temperatures, logs, changes, strict=True)
    gibbs = both([flow(bath, -T * log, -T * change) for bath, T, log, change in scaled])

    return ThermodynamicResponse(
        heat_currents=sources.linear(currents, instant),
        heat_currents_gibbs=sources.linear(*gibbs),
        channels=channels,
        entropy=sources.linear(-log, jnp.zeros_like(changing_now)),
        entropy_rate=sources.linear(changing, changing_now),
        entropy_production=sources.linear(production, production_now),
    )


def _group_flows(expansion: Expansion, bath: int, X: Array, dX: Array) -> tuple[Array, Array]:
    """A `Flow` through every group."""
    D, change, state = expansion.channels[bath], expansion.first_order[bath], expansion.state
    observable = jax.vmap(lambda group: group.adjoint(X))(D)
    moved = channel_energies(change.rotation, X, state) + channel_energies(change.shift, X, state)
    return observable, moved + channel_energies(D, dX, state)


def _channels(observables: Array, explicit: Array, zero: Array) -> tuple[Array, Array]:
    count = explicit.shape[-1]
    paired = pair_groups(jnp.moveaxis(observables, 1, -1), zero, count)
    return jnp.moveaxis(paired, -1, 1), pair_groups(explicit, zero, count)


def _log_gibbs_and_change(system: System, V: Array, equation: AbstractEquation) -> tuple[Array, Array]:
    """ln π^α of every bath, and its derivative in δ."""

    def logarithms(delta: Array) -> Array:
        moved = eqx.tree_at(lambda s: s.hamiltonian, system, system.hamiltonian + delta * V)
        return log_gibbs(equation.thermal_hamiltonian(moved), system.temperatures)

    delta = jnp.zeros((), system.temperatures.dtype)
    return jax.jvp(logarithms, (delta,), (jnp.ones_like(delta),))


def log_gibbs(H: Complex[Array, "d d"], temperatures: Float[Array, " baths"]) -> Complex[Array, "baths d d"]:
    """ln π^α = −H/T_α − ln Tr e^{−H/T_α} for every temperature."""
    exponents = -jnp.linalg.eigvalsh(H) / temperatures[:, None]
    free = jax.scipy.special.logsumexp(exponents, axis=-1)
    return -H / temperatures[:, None, None] - free[:, None, None] * jnp.eye(H.shape[-1])


def _adjoint_generator(H: Array, channels: tuple[Dissipator, ...], X: Array) -> Array:
    """L₀† X = i[H, X] + Σ_α D_α† X."""
    dissipated = sum(jnp.sum(jax.vmap(lambda D: D.adjoint(X))(stack), axis=0) for stack in channels)
    return 1j * (H @ X - X @ H) + dissipated
