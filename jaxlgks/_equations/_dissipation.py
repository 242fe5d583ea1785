"""A system, its master equation, and what H determines of both, found once: all that dissipators are made from.

Takes: a system and an equation. Returns: the Bohr structure and groups, and from them the dissipators D_α group by
group, their first-order change with H, and their change with temperature.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from .._bohr import (
    Groups,
    Structure,
    blocks,
    bohr_filter,
    dagger,
    derivative,
    find_structure,
    group_frequencies,
    moved_frequencies,
    needs_slope_at_zero,
    raise_where,
    traceless,
)
from .._inputs import as_known, is_concrete
from .._spectra import AbstractSpectrum, Checked, Moved
from .._system import Bath, Noise, System
from ..errors import JaxlgksError, SingularDensityError
from ._base import AbstractEquation, Filter
from ._dissipator import Dissipator
from ._rates import OfGroup, one, unusable_rate

NEAR = 3e-8
"""Levels closer than NEAR √(WΔ) whose transitions share all groups are one level to the explicit route, W the width of
the spectrum and Δ the frequency over which rates change: dividing by a distance x costs eps W/x, taking x for zero
costs x/Δ, both at most a few NEAR √(W/Δ)."""


NOTHING = 1e-12
"""Part of the energies that make it up below which the energy that a jump gives to a bath is rounding."""


class FirstOrder(eqx.Module):
    """D_α⁽¹⁾ in its two parts, each with a leading axis of groups."""

    rotation: Dissipator
    shift: Dissipator


class Dissipation(eqx.Module):
    """A system with its master equation.

    `structure`: that of H. `frozen`: that of the Hamiltonian whose eigenbasis the dissipators are made in, where it is
    another one (`Local`). `groups`: those of the equation, in that basis.
    """

    system: System
    equation: AbstractEquation
    structure: Structure
    frozen: Structure | None
    groups: Groups

    @property
    def basis(self) -> Structure:
        """The structure that dissipators are made from."""
        return self.structure if self.frozen is None else self.frozen

    @property
    def noises(self) -> tuple[Noise, ...]:
        """Every independent noise of every bath."""
        return tuple(noise for bath in self.system.baths for noise in bath.noises)

    @property
    def quanta(self) -> tuple[Float[Array, " j"] | None, ...]:
        """What a jump takes up beside the change of H, noise by noise of each bath; None where the frame is still."""

        def of(noises: tuple[Noise, ...]) -> Array | None:
            each = [noise.quanta for noise in noises]
            return (
                None if all(x is None for x in each) else jnp.stack([jnp.zeros(()) if x is None else x for x in each])
            )

        return tuple(of(bath.noises) for bath in self.system.baths)

    @property
    def turns(self) -> bool:
        """Whether the system is seen from a rotating frame."""
        return any(x is not None for x in self.quanta)

    @property
    def energy(self) -> Complex[Array, "d d"]:
        """The operator whose flow is heat, without its trace."""
        return traceless(self.system.hamiltonian if self.system.energy is None else self.system.energy)

    def unusable(self, who: str) -> JaxlgksError | None:
        """Why the generator is not finite, if a density is the reason."""
        return unusable_rate(who, self.noises, self.basis.frequencies, self.equation.lamb_shift)

    def with_hamiltonian(self, H: Complex[Array, "d d"]) -> "Dissipation":
        """The same with other numbers in H, decomposition and groups kept: for derivatives at the H they belong to."""
        return eqx.tree_at(lambda d: (d.system.hamiltonian, d.structure.hamiltonian), self, (H, traceless_hermitian(H)))

    def alone(self, bath: int) -> "Dissipation":
        """The same with one bath alone."""
        return eqx.tree_at(lambda d: d.system.baths, self, (self.system.baths[bath],))

    def coupled(self) -> "Dissipation":
        """The same without those groups to which no bath couples, where that is known: their operators are zero, or
        rounding. Of an oscillator's 2d − 1 groups three are left.

        Not for derivatives in H or in couplings, along which they need not stay zero: where those are traced, nothing
        is left out."""
        basis, groups = self.basis, self.groups
        couplings = [noise.coupling for noise in self.noises]
        if groups.count == 1 or not is_concrete(basis.hamiltonian, basis.vectors, groups.labels, couplings):
            return self
        labels, U = np.asarray(groups.labels), np.asarray(basis.vectors)
        sizes = [np.abs(U.conj().T @ np.asarray(S) @ U) for S in couplings]
        coupled = np.any([size > 10 * len(U) * np.finfo(size.dtype).eps * np.max(size) for size in sizes], axis=0)
        if np.min(labels) < 0:  # pinned groups that were lost make everything NaN
            return self
        kept = np.zeros(groups.count + 1, bool)  # the last for what has been left out before
        kept[labels[np.logical_or(coupled, coupled.T)]] = True
        kept[labels[0, 0]] = True  # the group of ω = 0 has a name of its own
        count = int(np.sum(kept))
        # What is left out gets a label that no group has.
        left = np.where(kept[labels], np.cumsum(kept)[labels] - 1, count)
        return eqx.tree_at(lambda d: d.groups, self, Groups(as_known(left), count))

    def checked(self, V: Complex[Array, "d d"]) -> "Dissipation":
        """The same, its densities marked as differentiable along V; raises `SingularDensityError` if the derivative
        along V needs a slope Γ'(0) that does not exist."""
        if all(noise.spectrum.at_zero == "smooth" for noise in self.noises):
            return self
        direction = V if self.equation.follows else jnp.zeros_like(V)
        baths = tuple(_marked(_checked(self.basis, bath, direction)) for bath in self.system.baths)
        return eqx.tree_at(lambda d: d.system.baths, self, baths)

    def channels(self) -> tuple[Dissipator, ...]:
        """For each bath its dissipator group by group: arrays with a leading group axis."""
        resolved = self._over_noises(lambda noise: self._operators(noise, self._filter(noise)), self.system)
        return tuple(self._assembled(*of_bath) for of_bath in zip(resolved, self.quanta, strict=True))

    def dissipators(self) -> tuple[Dissipator, ...]:
        """D_α, one for each bath."""
        return tuple(_summed(stack) for stack in self.channels())

    def first_order(self, V: Complex[Array, "d d"]) -> tuple[FirstOrder, ...]:
        """D_α⁽¹⁾ group by group, one for each bath, by perturbation theory level by level (paper, Eqs. 13–17).

        To first order the levels of H turn by exp(δX) and move by W inside each level,

            X_mn = V_mn/(E_n − E_m)  between levels, 0 inside;        W = Σ_level Π V Π,

        X by Rayleigh–Schrödinger perturbation theory, W the matrix whose eigenvalues are the first-order energies; it
        need not be diagonalised, which would fail where it is degenerate itself. In the turned frame the coupling is
        S + δ[S, X], and a frequency inside a group moves by the commutator with W: for every F and A_g = (1_g F)(Ω)[S]

            A_g⁽¹⁾ = [X, A_g] + (1_g F)(Ω)[ [S, X] ]       rotation
                   + (1_g F')(Ω)[ [S, W] ]                  shift (absent from the paper)

        The dissipator is bilinear in such operators and follows by the product rule.
        """
        basis = self.basis
        V = V if self.equation.follows else jnp.zeros_like(V)
        level = Groups(self.one_level().astype(int), 2)  # 1: inside
        V = _differentiable_at_distinct_levels(basis.hamiltonian, V, basis.levels)
        X = bohr_filter(basis, V, _inverse, level)[0]
        W = bohr_filter(basis, V, jnp.ones_like, level)[1]

        def three(noise: Noise):
            return [
                self._operators(noise, resolved)
                for resolved in (self._filter(noise), self._rotated(noise, X), self._shifted(noise, W))
            ]

        checked = tuple(_checked(basis, bath, V) for bath in self.system.baths)
        system = eqx.tree_at(lambda s: s.baths, self.system, checked)
        return tuple(
            FirstOrder(self.tangent(value, rotation, quanta), self.tangent(value, shift, quanta))
            for (value, rotation, shift), quanta in zip(self._over_noises(three, system), self.quanta, strict=True)
        )

    def warmer(self) -> tuple[Dissipator, ...]:
        """∂D_α/∂T_α group by group, H and groups fixed: ∂F/∂T in the place of F."""

        def both(noise: Noise):
            def at(T: Array):
                other = eqx.tree_at(lambda b: b.temperature, noise, T)
                return self._operators(other, self._filter(other))

            return jax.jvp(at, (noise.temperature,), (jnp.ones_like(noise.temperature),))

        pairs = zip(self._over_noises(both, self.system), self.quanta, strict=True)
        return tuple(self.tangent(value, change, quanta) for (value, change), quanta in pairs)

    def tangent(self, operators: Any, change: Any, quanta: Array | None) -> Dissipator:
        """The change of the assembled dissipators, group by group, when the operators change (product rule)."""
        value, tangent = jax.jvp(lambda x: self._assembled(x, quanta), (operators,), (change,))
        return Dissipator(
            jnp.concatenate([tangent.left, value.left], axis=1),
            jnp.concatenate([value.right, tangent.right], axis=1),
            tangent.drift,
            carried=tangent.carried,
        )

    def _assembled(self, operators: Any, quanta: Array | None) -> Dissipator:
        """The dissipators of all groups, from arrays [g, j, ..., d, d] and the quanta [j] of each noise. They are
        bilinear in the operators: Σ_j ε_j (K_j + K_j†) is half of their change along ε_j A_j."""
        assemble = self.equation.assemble
        if quanta is None:
            return jax.vmap(assemble)(operators)

        def of_group(group: Any) -> Dissipator:
            along = jax.tree.map(lambda x: x * quanta.reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype), group)
            D, change = jax.jvp(assemble, (group,), (along,))
            return eqx.tree_at(
                lambda d: d.carried, D, (change.drift + dagger(change.drift)) / 2, is_leaf=lambda x: x is None
            )

        return jax.vmap(of_group)(operators)

    def one_level(self) -> Bool[Array, "d d"]:
        """Whether two states are one level to the explicit route; where a rate is not smooth at ω = 0, exactly."""
        basis = self.basis
        scale = jnp.min(jnp.stack([noise.spectrum.scale(noise.temperature) for noise in self.noises]))
        return blocks(basis, self.groups, NEAR * jnp.sqrt((basis.energies[-1] - basis.energies[0]) * scale))

    def _operators(self, noise: Noise, filtered: Filter) -> Any:
        return self.equation.operators(filtered, noise, self.basis)

    def _filter(self, noise: Noise, S: Array | None = None) -> Filter:
        coupling = noise.coupling if S is None else S
        smooth = noise.spectrum.at_zero == "smooth"

        def filtered(F: Callable | OfGroup) -> Array:
            if isinstance(F, OfGroup):
                factor = F.function(group_frequencies(self.basis, self.groups))
                return factor[:, None, None] * bohr_filter(self.basis, coupling, one, self.groups)
            return bohr_filter(self.basis, coupling, F, self.groups, smooth_at_zero=smooth)

        return filtered

    def _rotated(self, noise: Noise, X: Array) -> Filter:
        """The filter's first-order change by rotation."""
        unrotated, rotated = self._filter(noise), self._filter(noise, noise.coupling @ X - X @ noise.coupling)

        def rotation(F: Callable | OfGroup) -> Array:
            A = unrotated(F)
            return X @ A - A @ X + rotated(F)

        return rotation

    def _shifted(self, noise: Noise, W: Array) -> Filter:
        """The filter's first-order change by shift."""
        unshifted, shifted = self._filter(noise), self._filter(noise, noise.coupling @ W - W @ noise.coupling)

        def shift(F: Callable | OfGroup) -> Array:
            if isinstance(F, OfGroup):  # the frequency of a group moves as a whole
                moved = moved_frequencies(self.groups, self.basis.to_eigenbasis(W))
                slope = derivative(F.function, group_frequencies(self.basis, self.groups))
                return (slope * moved)[:, None, None] * unshifted(one)
            return shifted(Slope(F))

        return shift

    def _over_noises(self, function: Callable[[Noise], Any], system: System) -> list[Any]:
        """`function(noise)` for every independent noise of every bath, for each bath stacked along axis 1."""
        noises = [bath.noises for bath in system.baths]
        results = iter(each_noise(function, tuple(noise for group in noises for noise in group)))
        return [jax.tree.map(lambda *x: jnp.stack(x, axis=1), *(next(results) for _ in group)) for group in noises]


def dissipation(system: System, equation: AbstractEquation) -> Dissipation:
    """What H determines of a system and its equation: one diagonalisation for each Hamiltonian involved. What is known
    of them stays known inside `jit`."""
    H = equation.frozen(system)
    known = is_concrete(system.hamiltonian, H)
    with jax.ensure_compile_time_eval() if known else contextlib.nullcontext():
        structure = find_structure(system.hamiltonian)
        frozen = None if H is None else find_structure(H)
        groups = equation.groups(structure if frozen is None else frozen, system)
    system = _without_infinite_dephasing(system, structure if frozen is None else frozen)
    return Dissipation(system, equation, structure, frozen, groups)


def _without_infinite_dephasing(system: System, basis: Structure) -> System:
    """The system; `SingularDensityError` (NaN where traced) if a coupling has a component, other than a multiple of the
    identity, whose jumps give nothing to the bath, and its rate there is infinite. In a rotating frame those jumps are
    at the frequency by which the component turns."""
    for i, bath in enumerate(system.baths):
        for noise in bath.noises:
            if not noise.spectrum.dephases_infinitely:
                continue
            still = basis.levels if noise.quanta is None else _resonant(basis.frequencies, noise.quanta)
            inside = jnp.where(still, basis.to_eigenbasis(noise.coupling), 0.0)
            inside = traceless(inside) if noise.quanta is None else inside
            coupled = jnp.max(jnp.abs(inside)) > 1e-10 * jnp.max(jnp.abs(noise.coupling))
            if is_concrete(coupled) and coupled:
                raise SingularDensityError(_infinite(noise))
            coupling = jnp.where(coupled, jnp.nan, system.baths[i].coupling)
            system = eqx.tree_at(lambda s, i=i: s.baths[i].coupling, system, coupling)
    return system


def _resonant(frequencies: Array, quanta: Array) -> Array:
    """Which transitions give nothing to the bath, to the rounding of their energies."""
    return jnp.abs(frequencies - quanta) <= NOTHING * (jnp.max(jnp.abs(frequencies)) + jnp.abs(quanta))


def traceless_hermitian(H: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
    """The Hermitian part of H without its trace."""
    return traceless((H + H.conj().T) / 2)


def _summed(stack: Dissipator) -> Dissipator:
    dim = stack.drift.shape[-1]
    left, right = (X.reshape(-1, dim, dim) for X in (stack.left, stack.right))
    carried = None if stack.carried is None else jnp.sum(stack.carried, axis=0)
    return Dissipator(left, right, jnp.sum(stack.drift, axis=0), stack.mirrored and len(stack.left) == 1, carried)


def each_noise(function: Callable[[Noise], Any], noises: tuple[Noise, ...]) -> tuple:
    """`function(noise)` for every noise: one batched program where all are of one kind (it compiles once, not once
    a noise), else one after the other."""
    kinds = {(jax.tree.structure(noise.spectrum), *(jnp.shape(x) for x in jax.tree.leaves(noise))) for noise in noises}
    if len(noises) == 1 or len(kinds) > 1:
        return tuple(function(noise) for noise in noises)
    nameless = jax.tree.structure(noises[0])  # names differ and are part of the structure
    alike = [jax.tree.unflatten(nameless, jax.tree.leaves(noise)) for noise in noises]
    results = eqx.filter_vmap(function)(jax.tree.map(lambda *x: jnp.stack(x), *alike))
    return tuple(jax.tree.map(lambda x, i=i: x[i], results) for i in range(len(noises)))


class Slope(eqx.Module):
    """F'(ω)."""

    function: Callable

    @property
    def scale(self) -> Array:
        """That of the function itself."""
        return self.function.scale  # pyright: ignore[reportFunctionMemberAccess]

    def __call__(self, omega: Array) -> Array:
        return derivative(self.function, omega)


def _inverse(omega: Array) -> Array:
    """1/ω between levels; its value inside a level (near ω = 0) is never used."""
    return 1.0 / jnp.where(omega == 0, 1.0, omega)


def _checked(structure: Structure, bath: Bath, V: Array) -> Bath:
    """The bath, refused if the response to V needs a slope of its rate at zero frequency that does not exist."""
    for noise in bath.noises:
        if noise.spectrum.at_zero != "smooth":
            needed = needs_slope_at_zero(structure, noise.coupling, V)
            bath = eqx.tree_at(lambda b: b.coupling, bath, raise_where(bath.coupling, needed, _message(noise)))
    return bath


def _marked(bath: Bath) -> Bath:
    """The bath, its densities marked as differentiable."""

    def mark(density: AbstractSpectrum) -> AbstractSpectrum:
        return density if density.at_zero == "smooth" else Checked(density)

    def is_density(x: Any) -> bool:
        return isinstance(x, AbstractSpectrum)

    return eqx.tree_at(lambda b: b.spectrum, bath, jax.tree.map(mark, bath.spectrum, is_leaf=is_density))


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


def _infinite(noise: Noise) -> str:
    density, where = noise.spectrum, "its coupling operator is not the same in all eigenstates, or acts inside a level"
    if isinstance(density, Moved):
        density, where = density.spectrum, "in the laboratory: a transition turns with the frame"
    return (
        f"{noise.label[0].upper()}{noise.label[1:]} couples to the system at zero frequency ({where}), where the rate "
        f"Γ(0) = T γ'(0) of its {type(density).__name__} is infinite: coherences would vanish at once. Use a density "
        "that is linear at zero (DrudeLorentz, Ohmic) or falls faster, a coupling without that component, or Flat, "
        "whose Γ(0) is zero by convention."
    )


def _message(noise: Noise) -> str:
    return (
        f"SingularDensityError: the perturbation splits a degenerate level that {noise.label} couples to at zero "
        f"frequency, so the response needs the slope of its rate at zero, but {type(noise.spectrum).__name__} has a "
        f"{noise.spectrum.at_zero} there. Use a density that is smooth at zero: DrudeLorentz, or Ohmic with shape "
        "'gaussian' or 'drude'."
    )
