"""The unified equation (partial secular, geometric-mean rates).

Enters: a system. Leaves: D_α = Σ_g D[A_g] as for Davies, g clusters of nearby Bohr frequencies.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._errors import InputError
from .._system import Bath, System
from ..bohr import Groups, Reference, Structure, bohr_structure, derivative, find_groups, follow, pin
from ._base import AbstractEquation, Filter
from ._dissipator import Dissipator
from ._secular import secular_dissipator, secular_operators


class Unified(AbstractEquation):
    """The unified master equation: clusters of nearby Bohr frequencies stay coherent,

        D_α = Σ_g D[A_g],    A_g = Σ_{ω∈g} √Γ_α(ω) S_α(ω),

    so the rate between two frequencies of a cluster is the geometric mean √(Γ(ω)Γ(ω')). Completely positive. Where a
    cluster is exactly degenerate, or all frequencies are far apart, it is the Davies equation. Each bath alone fixes
    the Gibbs state to first order in the splitting of a cluster.

    Frequencies are chained together while neighbours are closer than the width. With Γ_R the fastest decay rate of a
    level and τ_B = max |d ln Γ/dω| the memory of the baths, the automatic width is √(Γ_R/τ_B): there the error of
    treating frequencies apart, Γ_R/|ω−ω'|, equals that of giving them a common rate, |ω−ω'| τ_B.

    **Arguments:** `width`: in units of Γ_R, or None for the automatic choice. `lamb_shift`: as in `Davies`, summed
    within a cluster.

    **Raises:** `InputError`; `LambShiftError` when used with a density that has none.

    Source: Trushechkin, Phys. Rev. A 103, 062226 (2021).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    jax.grad(lambda d: lgks.heat_currents(system.perturbed(lgks.models.pauli("ZZ"), d), lgks.Unified())[0])(0.0)
    ```
    """

    width: float | None = eqx.field(static=True)
    lamb_shift: bool = eqx.field(static=True)
    reference: Reference | None

    def __init__(self, width: float | None = None, lamb_shift: bool = False, reference: Reference | None = None):
        if width is not None and not width >= 0:
            raise InputError(f"Unified: width must not be negative (units of the relaxation rate); got {width}.")
        self.width = width
        self.lamb_shift = lamb_shift
        self.reference = reference

    def home(self, system: System) -> System:
        return system

    def reach(self, V: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return V

    def partition(self, structure: Structure, system: System) -> Groups:
        if self.reference is not None:
            return follow(self.reference, structure)
        return find_groups(structure, 1e-9, self.gap(structure, system))

    def gap(self, structure: Structure, system: System) -> Float[Array, ""]:
        """The distance of neighbours below which a cluster goes on, a frequency."""
        fast = relaxation_rate(structure, system)
        if self.width is not None:
            return self.width * fast
        memory = correlation_time(structure, system)
        return jnp.where(memory > 0, jnp.sqrt(fast / jnp.where(memory > 0, memory, 1.0)), fast)

    def fixed(self, system: System) -> "Unified":
        if self.reference is not None:
            return self
        structure = bohr_structure(system.hamiltonian)
        return Unified(self.width, self.lamb_shift, pin(structure, self.partition(structure, system)))

    def operators(self, filtered: Filter, bath: Bath, structure: Structure) -> Any:
        return secular_operators(filtered, bath, self.lamb_shift)

    def assemble(self, operators: Any) -> Dissipator:
        return secular_dissipator(operators)


def relaxation_rate(structure: Structure, system: System) -> Float[Array, ""]:
    """Γ_R = max_n Σ_m Σ_α Γ_α(ω_mn) |S_mn|² over m ≠ n: the fastest decay rate of a level."""
    return jnp.max(jnp.sum(transition_rates(structure, system), axis=0))


def transition_rates(structure: Structure, system: System) -> Float[Array, "d d"]:
    """Σ_α Γ_α(ω_mn) |S_mn|², the rate of n → m; zero for m = n. A constant of differentiation."""
    structure, system = _constant((structure, system))
    rates = jnp.zeros_like(structure.frequencies)
    for bath in system.baths:
        for noise in bath.noises:
            strength = jnp.abs(structure.to_eigenbasis(noise.coupling)) ** 2
            rates = rates + noise.rate(structure.frequencies) * strength
    return jnp.where(jnp.eye(rates.shape[0], dtype=bool), 0.0, rates)


def correlation_time(structure: Structure, system: System) -> Float[Array, ""]:
    """τ_B = max |d ln Γ_α/dω| over baths and the Bohr frequencies they couple to."""
    structure, system = _constant((structure, system))
    longest = jnp.zeros((), structure.energies.dtype)
    for bath in system.baths:
        for noise in bath.noises:
            coupling = jnp.abs(structure.to_eigenbasis(noise.coupling))
            rate = noise.rate(structure.frequencies)
            counted = (coupling > 1e-9 * jnp.max(coupling)) & (rate > 0)
            slope = derivative(noise.rate, structure.frequencies) / jnp.where(rate > 0, rate, 1.0)
            longest = jnp.maximum(longest, jnp.max(jnp.where(counted, jnp.abs(slope), 0.0)))
    return longest


def _constant(tree):
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, tree)
