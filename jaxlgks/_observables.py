"""What one asks of a state: heat currents, entropy, entropy production.

Enters: a system, a master equation, a state (the steady state when none is given). Leaves: numbers, in the user's
units of energy and time (ħ = k_B = 1). A heat current is positive INTO the system.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from ._bohr import Structure, bohr_structure, centred
from ._entropy import log_state
from ._equations import AbstractEquation, Davies, Dissipator, counted
from ._generator import Partition, block_generator, find_partition
from ._inputs import as_state, is_concrete
from ._oscillators import QuasiFree
from ._quasifree import (
    GaussianState,
    gaussian_channels,
    gaussian_currents,
    gaussian_entropy_rate,
    require_physical,
    same_channel,
)
from ._steady import (
    UNROLLED,
    AbstractSolver,
    couplings_are_real,
    known_levels,
    level_rates,
    scalars,
    steady_state,
    with_real_couplings,
)
from ._system import System
from .errors import InputError


def expectation(A: Complex[Array, "d d"], rho: Complex[Array, "d d"]) -> Float[Array, ""]:
    """Tr[A ρ] of Hermitian A and ρ."""
    return jnp.einsum("ij,ji->", A, rho).real


def heat_currents(
    system: System | QuasiFree,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    rho=None,
) -> Float[Array, " baths"]:
    """Heat current from each bath into the system, J^α = Tr[H D_α ρ] (paper, Eq. 48).

    **Arguments:** `system`, `equation`; `rho`: a state [d, d] (of a `QuasiFree` model a `GaussianState`), the steady
    state when left out, found by `solver` (as `steady_state` chooses when left out).

    **Returns:** real array, one entry a bath in the order given; energy per time. At the steady state the entries sum
    to zero (first law).

    Of the steady state it is accurate to about 1e−15 of the largest decay rate times the largest energy: where baths
    are so cold that the currents themselves are of that size, they are rounding (less so with `Populations()`).

    **Raises:** what `steady_state` raises; `InputError`, `NotHermitianError`, `ShapeError` for `rho`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    lgks.heat_currents(system)                     # [3.9463, -3.9463], paper, Eq. (42)
    ```
    """
    if rho is not None and solver is not None:
        raise InputError("heat_currents: give a state rho or a solver that finds one, not both.")
    if isinstance(system, QuasiFree):
        return gaussian_currents(system, equation, _gaussian_state(system, equation, rho, solver))
    if rho is not None:
        return _currents_of_state(system, equation, _state(system, equation, rho))
    state = steady_state(system, equation, solver)
    if state.populations is not None:
        given = with_real_couplings(system) if couplings_are_real(system) else system
        return _currents_of_levels(given, state.populations, known_levels(system))
    return _currents_of_state(system, equation, state.rho)


def _currents_of_state(system: System, equation: AbstractEquation, rho: Array) -> Array:
    partition = find_partition(system, equation)
    if partition is not None:
        return _currents_by_blocks(system, counted(equation, system), partition, rho)
    return _heat_currents(system, counted(equation, system), rho)


@eqx.filter_jit
def _currents_by_blocks(system: System, equation: AbstractEquation, partition: Partition, rho: Array) -> Array:
    """J^α = Tr[H D_α ρ] without an axis of groups."""

    H = centred(system.hamiltonian)
    each = [block_generator(one, equation, partition) for one in system.one_by_one]
    return jnp.stack([expectation(H, L.back(L.dissipate(L.to(rho)[None])[0])) for L in each])


@eqx.filter_jit
def _currents_of_levels(system: System, populations: Array, known: Structure | None) -> Array:
    """J^α = Σ_{m>n} (E_m − E_n)(W^α_mn p_n − W^α_nm p_m): what goes up less what goes down."""
    levels, p = level_rates(system, known), populations
    E = levels.energies
    if system.dim <= UNROLLED:
        pairs = [(m, n) for m in range(system.dim) for n in range(m)]
        E, p, rates = scalars(E), scalars(p), [scalars(W) for W in levels.rates]
        return jnp.stack([sum((E[m] - E[n]) * (W[m][n] * p[n] - W[n][m] * p[m]) for m, n in pairs) for W in rates])
    energies = E[:, None] - E[None, :]
    flows = [W * p for W in levels.rates]
    return jnp.stack([jnp.sum(jnp.where(energies > 0, energies * (up - up.T), 0.0)) for up in flows])


@eqx.filter_jit
def _heat_currents(system: System, equation: AbstractEquation, rho: Array) -> Array:
    H = centred(system.hamiltonian)  # Tr[Dρ] = 0: an offset of H adds rounding only
    return jnp.stack([expectation(H, D(rho)) for D in equation.dissipators(system)])


def _gaussian_state(
    model: QuasiFree, equation: AbstractEquation, rho, solver: AbstractSolver | None = None
) -> GaussianState:
    if rho is None:
        return steady_state(model, equation, solver)
    if not isinstance(rho, GaussianState) or rho.modes != model.modes:
        raise InputError(
            f"the state rho of a QuasiFree model must be a GaussianState of {model.modes} mode(s); got "
            f"{type(rho).__name__}."
        )
    require_physical(rho, "the state rho")
    return rho


def _state(system: System, equation: AbstractEquation, rho) -> Array:
    if rho is None:
        return steady_state(system, equation).rho
    return as_state(rho, "the state rho", system.dim).astype(system.hamiltonian.dtype)


class Channels(eqx.Module):
    """Heat currents channel by channel: one pair of Bohr groups ±ω of one bath each.

    - `frequencies`: ω ≥ 0 of each channel, ascending, [c].
    - `currents`: J^{α,ω}, [baths, c]; summed over channels they give `heat_currents`.
    """

    frequencies: Float[Array, " c"]
    currents: Float[Array, "baths c"]


def channel_currents(system: System | QuasiFree, equation: AbstractEquation = Davies(), *, rho=None) -> Channels:
    """Heat currents resolved by transition frequency (paper, Eqs. 42 and 46: two channels, four after a splitting).

    **Arguments:** as `heat_currents`.

    **Returns:** `Channels`. Channels to which no bath couples are left out where numbers are known; under `jit` all
    possible channels are kept, unused ones at the end with frequency and current zero. Of a `QuasiFree` model: the
    normal modes, those of one group together (one by one under `jit`).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    lgks.channel_currents(system).frequencies      # [800, 1200]
    lgks.channel_currents(system.perturbed(lgks.models.pauli("ZZ"), 50.0)).frequencies  # [700, 900, 1100, 1300]
    ```
    """
    if isinstance(system, QuasiFree):
        return _oscillator_channels(system, equation, _gaussian_state(system, equation, rho))
    channels, coupled = _channel_currents(system, equation, equation.groups(system), _state(system, equation, rho))
    if is_concrete(coupled):
        kept = np.flatnonzero(np.asarray(coupled))
        channels = Channels(channels.frequencies[kept], channels.currents[:, kept])
    return channels


def _oscillator_channels(model: QuasiFree, equation: AbstractEquation, state: GaussianState) -> Channels:
    frequencies, currents, nominal = gaussian_channels(model, equation, state)
    if not is_concrete(frequencies, currents):
        return Channels(frequencies, currents)
    first, label = np.unique(np.argmax(np.asarray(same_channel(nominal)), axis=1), return_inverse=True)
    members = label[:, None] == np.arange(first.size)
    return Channels(frequencies @ members / members.sum(axis=0), currents @ members)


@eqx.filter_jit
def _channel_currents(system: System, equation: AbstractEquation, groups, rho: Array) -> tuple[Channels, Array]:
    structure = bohr_structure(equation.thermal_hamiltonian(system))
    size = jnp.sum(groups.split(jnp.ones_like(structure.frequencies)), axis=(1, 2))
    # Diagonal of U†HU: the energies, with the derivative that those of the structure do not carry.
    energies = jnp.diag(structure.to_eigenbasis(structure.hamiltonian)).real
    frequency = jnp.sum(groups.split(energies[None, :] - energies[:, None]), axis=(1, 2)) / jnp.maximum(size, 1)
    stacked = equation.channels(system)
    count = stacked[0].drift.shape[0]
    by_group = jnp.stack([channel_energies(D, centred(system.hamiltonian), rho) for D in stacked])
    sizes = [jnp.max(jnp.abs(jax.lax.stop_gradient(D.left)), axis=(1, 2, 3)) for D in stacked]
    weight = jnp.max(jnp.stack(sizes), axis=0)
    pairs = pair_groups(jnp.concatenate([by_group, weight[None]]), groups.zero, count)
    known = jnp.arange(pairs.shape[-1]) <= groups.zero
    up = jnp.minimum(groups.zero + jnp.arange(pairs.shape[-1]), groups.count - 1)
    frequencies = jnp.where(known, jnp.abs(frequency[up]), 0.0)
    return Channels(frequencies, pairs[:-1]), pairs[-1] > 1e-12 * jnp.max(pairs[-1])


def channel_energies(channels: Dissipator, X: Array, rho: Array) -> Array:
    """Tr[X D_g ρ] for every group g."""
    return jax.vmap(lambda D: expectation(X, D(rho)))(channels)


def pair_groups(values: Inexact[Array, "... g"], zero: Array, count: int) -> Inexact[Array, "... c"]:
    """Add what belongs to ω and −ω: channel c joins the groups `zero` + c and `zero` − c, channel 0 is the zero group.

    Labels ascend with ω and are symmetric about `zero`. Of `count` groups that may exist only 2·zero + 1 do; the rest
    is padding and holds zeros.
    """
    c = jnp.arange((count + 1) // 2)
    exists = c <= zero
    up = values[..., jnp.clip(zero + c, 0, count - 1)]
    down = values[..., jnp.clip(zero - c, 0, count - 1)]
    return jnp.where(exists, up + jnp.where(c > 0, down, 0.0), 0.0)


def entropy_production(
    system: System | QuasiFree,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    rho=None,
) -> Float[Array, ""]:
    """Entropy production rate σ = dS/dt − Σ_α J^α/T_α (paper, Eq. 47).

    **Arguments:** as `heat_currents`. For a given state dS/dt = −Tr[(Lρ) ln ρ]; at the steady state it is zero.

    **Returns:** real scalar, per time. Not negative for `Davies` (Spohn's inequality); it can be for `Local`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    lgks.entropy_production(system)
    ```
    """
    flow = jnp.sum(heat_currents(system, equation, solver, rho=rho) / system.temperatures)
    if rho is None:
        return -flow
    if isinstance(system, QuasiFree):
        return gaussian_entropy_rate(system, equation, _gaussian_state(system, equation, rho)) - flow
    rho, partition = _state(system, equation, rho), find_partition(system, equation)
    return _entropy_rate(system, counted(equation, system), rho, partition) - flow


@eqx.filter_jit
def _entropy_rate(system: System, equation: AbstractEquation, rho: Array, partition: Partition | None) -> Array:
    """dS/dt = −Tr[(Lρ) ln ρ] (paper, Eq. 49). The commutator with H drops out: Tr([H, ρ] ln ρ) = 0."""
    log = log_state(rho)
    if partition is not None:
        L = block_generator(system, equation, partition)
        return -expectation(log, L.back(L.dissipate(L.to(rho)[None])[0]))
    return -jnp.sum(jnp.stack([expectation(log, D(rho)) for D in equation.dissipators(system)]))
