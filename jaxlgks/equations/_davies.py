"""The Davies equation (full secular, "global"): paper, Eqs. 11–12.

Enters: a system. Leaves: D_α = Σ_g D[A_g], A_g = (1_g √Γ_α)(Ω_H)[S_α], g the groups of equal Bohr frequency.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from .._errors import InputError
from .._system import Bath, System
from ..bohr import (
    Groups,
    Reference,
    Structure,
    bohr_filter,
    bohr_structure,
    derivative,
    find_groups,
    follow,
    needs_slope_at_zero,
    pin,
    refuse,
)
from ..spectra import AbstractSpectrum, Checked
from ._base import AbstractEquation, FirstOrder
from ._dissipator import Dissipator, lindblad, lindblad_tangent


class RootRate(eqx.Module):
    """F(ω) = √Γ(ω) of one bath."""

    spectrum: AbstractSpectrum
    temperature: Array

    def __call__(self, omega: Array) -> Array:
        return self.spectrum.amplitude(omega, self.temperature)


class Davies(AbstractEquation):
    """The Davies (full secular, global) master equation,

        D_α ρ = Σ_ω Γ_α(ω) ( S_α(ω) ρ S_α†(ω) − ½ {S_α†(ω) S_α(ω), ρ} )        (paper, Eq. 12)

    Transitions whose Bohr frequencies agree within `tolerance` × the width of the spectrum of H form one group and
    stay coherent with each other; all others are treated apart. Valid where different Bohr frequencies differ by much
    more than the relaxation rates.

    **Arguments:** `tolerance`: relative; 1e−9 separates everything that double precision can tell apart safely.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.001, temperatures=(0.45, 0.35))
    lgks.heat_currents(system, lgks.Davies())
    ```
    """

    tolerance: float = eqx.field(static=True)
    reference: Reference | None

    def __init__(self, tolerance: float = 1e-9, reference: Reference | None = None):
        if not tolerance >= 0:
            raise InputError(f"Davies: tolerance must not be negative; got {tolerance}.")
        self.tolerance = tolerance
        self.reference = reference

    def groups(self, system: System) -> Groups:
        return self._groups(bohr_structure(system.hamiltonian))

    def _groups(self, structure: Structure) -> Groups:
        if self.reference is None:
            return find_groups(structure, self.tolerance)
        return follow(self.reference, structure)

    def fixed(self, system: System) -> "Davies":
        if self.reference is not None:
            return self
        structure = bohr_structure(system.hamiltonian)
        return Davies(self.tolerance, pin(structure, self._groups(structure)))

    def admit(self, system: System, V: Complex[Array, "d d"]) -> System:
        structure = bohr_structure(system.hamiltonian)
        return eqx.tree_at(lambda s: s.baths, system, tuple(_admitted(structure, bath, V) for bath in system.baths))

    def thermal_hamiltonian(self, system: System) -> Complex[Array, "d d"]:
        return system.hamiltonian

    def jumps(self, system: System) -> tuple[Complex[Array, "g d d"], ...]:
        """A_g for each bath, group by group."""
        structure = bohr_structure(system.hamiltonian)
        groups = self._groups(structure)
        return over_baths(lambda bath: _jumps(structure, groups, bath, bath.coupling), system.baths)

    def channels(self, system: System) -> tuple[Dissipator, ...]:
        return tuple(jax.vmap(lambda a: lindblad(a[None]))(A) for A in self.jumps(system))

    def dissipators(self, system: System) -> tuple[Dissipator, ...]:
        return tuple(lindblad(A) for A in self.jumps(system))

    def first_order(self, system: System, V: Complex[Array, "d d"]) -> tuple[FirstOrder, ...]:
        """D_α⁽¹⁾ by perturbation theory level by level (paper, Eqs. 13–17).

        To first order the levels of H turn by exp(δX) and move by W inside each level,

            X_mn = V_mn/(E_n − E_m)  between levels, 0 inside;        W = Σ_level Π V Π,

        X by Rayleigh–Schrödinger perturbation theory, W the matrix whose eigenvalues are the first-order energies; it
        need not be diagonalised, which would fail where it is degenerate itself. In the turned frame the coupling is
        S + δ[S, X], and a frequency inside a group moves by the commutator with W:

            A_g⁽¹⁾ = [X, A_g] + (1_g F)(Ω)[ [S, X] ]       rotation
                   + (1_g F')(Ω)[ [S, W] ]                  shift (absent from the paper)
        """
        structure = bohr_structure(system.hamiltonian)
        groups = self._groups(structure)
        secular = structure.secular
        V = _differentiable_at_distinct_levels(system.hamiltonian, V, structure.levels)
        X = bohr_filter(structure, V, _inverse, secular)[0]
        W = bohr_filter(structure, V, jnp.ones_like, secular)[1]
        checked = tuple(_checked(structure, bath, V) for bath in system.baths)
        return over_baths(lambda bath: _first_order(structure, groups, bath, X, W), checked)


def over_baths(function: Callable[[Bath], Any], baths: tuple[Bath, ...]) -> tuple:
    """`function(bath)` for every bath: one batched program where all baths are of one kind (it compiles once, not once
    a bath), else one after the other."""
    kinds = {(jax.tree.structure(bath.spectrum), *(jnp.shape(x) for x in jax.tree.leaves(bath))) for bath in baths}
    if len(baths) == 1 or len(kinds) > 1:
        return tuple(function(bath) for bath in baths)
    nameless = jax.tree.structure(baths[0])  # names differ and are part of the structure
    alike = [jax.tree.unflatten(nameless, jax.tree.leaves(bath)) for bath in baths]
    results = eqx.filter_vmap(function)(jax.tree.map(lambda *x: jnp.stack(x), *alike))
    return tuple(jax.tree.map(lambda x, i=i: x[i], results) for i in range(len(baths)))


def _jumps(structure: Structure, groups: Groups, bath: Bath, S: Array) -> Array:
    F = RootRate(bath.spectrum, bath.temperature)
    return bohr_filter(structure, S, F, groups, smooth_at_zero=bath.spectrum.at_zero == "smooth")


def _first_order(structure: Structure, groups: Groups, bath: Bath, X: Array, W: Array) -> FirstOrder:
    S, F = bath.coupling, RootRate(bath.spectrum, bath.temperature)
    A = _jumps(structure, groups, bath, S)
    rotation = X @ A - A @ X + _jumps(structure, groups, bath, S @ X - X @ S)
    shift = bohr_filter(structure, S @ W - W @ S, _Slope(F), groups)
    tangent = jax.vmap(lambda a, da: lindblad_tangent(a[None], da[None]))
    return FirstOrder(tangent(A, rotation), tangent(A, shift))


def _checked(structure: Structure, bath: Bath, V: Array) -> Bath:
    """The bath, refused if the response to V needs a slope of its rate at zero frequency that does not exist."""
    if bath.spectrum.at_zero == "smooth":
        return bath
    S = refuse(bath.coupling, needs_slope_at_zero(structure, bath.coupling, V), _message(bath))
    return eqx.tree_at(lambda b: b.coupling, bath, S)


def _admitted(structure: Structure, bath: Bath, V: Array) -> Bath:
    """The bath, its density marked as differentiable: along V, and along V only."""
    bath = _checked(structure, bath, V)
    return (
        bath if bath.spectrum.at_zero == "smooth" else eqx.tree_at(lambda b: b.spectrum, bath, Checked(bath.spectrum))
    )


@eqx.filter_custom_jvp
def _differentiable_at_distinct_levels(H: Array, V: Array, levels: Array) -> Array:
    """V, whose derivative in H is NaN where levels coincide.

    F'(ω)[S, W] is the first-order change at a degenerate level, not near it: differentiated once more in H it would
    miss the second divided differences, and give a plausible number.
    """
    return V


@_differentiable_at_distinct_levels.def_jvp
def _differentiable_at_distinct_levels_jvp(primals, tangents):
    (_, V, levels), (dH, dV, _) = primals, tangents
    tangent = jnp.zeros_like(V) if dV is None else dV
    if dH is not None:
        shared = jnp.sum(levels) > levels.shape[0]
        tangent = tangent + jnp.where(shared, jnp.nan, 0.0).astype(V.real.dtype) * jnp.sum(dH)
    return V, tangent


class _Slope(eqx.Module):
    """F'(ω)."""

    function: RootRate

    def __call__(self, omega: Array) -> Array:
        return derivative(self.function, omega)


def _inverse(omega: Array) -> Array:
    """1/ω between levels; its value inside a level (near ω = 0) is never used."""
    return 1.0 / jnp.where(omega == 0, 1.0, omega)


def _message(bath: Bath) -> str:
    name = f"bath {bath.name!r}" if bath.name else "a bath"
    return (
        f"SingularDensityError: the perturbation splits a degenerate level that {name} couples to at zero frequency, "
        f"so the response needs the slope of its rate at zero, but {type(bath.spectrum).__name__} has a "
        f"{bath.spectrum.at_zero} there. Use a density that is smooth at zero: DrudeLorentz, or Ohmic with shape "
        "'gaussian' or 'drude'."
    )
