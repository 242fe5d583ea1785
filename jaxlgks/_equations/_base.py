"""What every master equation provides: one dissipator for each bath, group by group, and its first-order change.

Enters: a system. Leaves: dissipators D_α in operator form. A member says how Bohr frequencies are grouped, which
functions F of the filter F(Ω_H)[S] it needs (`operators`), and how it joins them (`assemble`), which is bilinear; the
rest is common to all.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex

from .._bohr import Groups, Structure, blocks, bohr_filter, bohr_structure, derivative, needs_slope_at_zero, refuse
from .._spectra import AbstractSpectrum, Checked
from .._system import Bath, Noise, System
from ._dissipator import Dissipator

COUNT_ABOVE = 16
NEAR = 3e-8
"""Levels closer than NEAR √(WΔ) whose transitions share all groups are one level to the explicit route, W the width of
the spectrum and Δ the frequency over which rates change: dividing by a distance x costs eps W/x, taking x for zero
costs x/Δ, both at most a few NEAR √(W/Δ)."""
Filter = Callable[[Callable[[Array], Array]], Complex[Array, "g d d"]]
"""F ↦ (1_g F)(Ω_H)[S], for the coupling operator of one bath."""


def counted(equation: "AbstractEquation", system: System) -> "AbstractEquation":
    """The equation with its groups counted before compilation, where that saves more than it costs.

    A compiled program that finds the groups itself must provide for d² − d + 1 of them; one made for the groups that
    there are is smaller, but has to be compiled again when their number changes.
    """
    return equation.fixed(system) if system.dim > COUNT_ABOVE else equation


class FirstOrder(eqx.Module):
    """D_α⁽¹⁾ in its two parts, each with a leading axis of groups."""

    rotation: Dissipator
    shift: Dissipator


class AbstractEquation(eqx.Module):
    """A quantum master equation: plain configuration, no state."""

    lamb_shift: eqx.AbstractVar[bool]
    secular: ClassVar[bool] = False
    """Whether the dissipator is Σ_g D[A_g] over groups of Bohr frequencies of H itself."""

    def home(self, system: System) -> System:
        """The system in whose energy basis the dissipators are made: itself, but for a frozen dissipator."""
        return system

    def reach(self, V: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """What of a perturbation the dissipators see: all, but for a frozen dissipator."""
        return V

    def fixed(self, system: System) -> "AbstractEquation":
        """The same equation with its groups pinned to those of `system`, so that a finite δ does not regroup; itself
        where nothing regroups."""
        return self

    @abc.abstractmethod
    def partition(self, structure: Structure, system: System) -> Groups:
        """The groups of Bohr frequencies kept together."""

    @abc.abstractmethod
    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        """The filtered coupling operators of which the dissipator is made: a pytree of arrays [g, ..., d, d], linear in
        the results of `filtered`."""

    @abc.abstractmethod
    def assemble(self, operators: Any) -> Dissipator:
        """The dissipator of one group from arrays [j, ..., d, d], j the independent noises of the bath; bilinear."""

    def groups(self, system: System) -> Groups:
        """The groups of Bohr frequencies this equation keeps together in the given system."""
        home = self.home(system)
        return self.partition(bohr_structure(home.hamiltonian), home)

    def thermal_hamiltonian(self, system: System) -> Complex[Array, "d d"]:
        """The Hamiltonian whose Gibbs state each bath alone would establish (for `Davies` and `Local` exactly)."""
        return self.home(system).hamiltonian

    def admit(self, system: System, V: Complex[Array, "d d"]) -> System:
        """The system, its densities marked as checked for the direction V; raises `SingularDensityError` if the
        derivative along V needs a slope Γ'(0) that does not exist."""
        structure = bohr_structure(self.home(system).hamiltonian)
        baths = tuple(_admitted(structure, bath, self.reach(V)) for bath in system.baths)
        return eqx.tree_at(lambda s: s.baths, system, baths)

    def channels(self, system: System) -> tuple[Dissipator, ...]:
        """For each bath its dissipator group by group: arrays with a leading group axis."""
        home = self.home(system)
        structure = bohr_structure(home.hamiltonian)
        groups = self.partition(structure, home)
        made = _over_noises(lambda noise: self.operators(_filter(structure, groups, noise), noise, structure), home)
        return tuple(jax.vmap(self.assemble)(operators) for operators in made)

    def dissipators(self, system: System) -> tuple[Dissipator, ...]:
        """D_α, one for each bath."""
        return tuple(_summed(stack) for stack in self.channels(system))

    def first_order(self, system: System, V: Complex[Array, "d d"]) -> tuple[FirstOrder, ...]:
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
        home, V = self.home(system), self.reach(V)
        structure = bohr_structure(home.hamiltonian)
        groups = self.partition(structure, home)
        level = Groups(one_level(structure, groups, home).astype(int), jnp.asarray(1), 2)  # 1: inside
        V = _differentiable_at_distinct_levels(home.hamiltonian, V, structure.levels)
        X = bohr_filter(structure, V, _inverse, level)[0]
        W = bohr_filter(structure, V, jnp.ones_like, level)[1]

        def three(noise: Noise):
            return [
                self.operators(made, noise, structure)
                for made in (_filter(structure, groups, noise), *_moved(structure, groups, noise, X, W))
            ]

        checked = eqx.tree_at(lambda s: s.baths, home, tuple(_checked(structure, bath, V) for bath in home.baths))
        return tuple(
            FirstOrder(self.tangent(value, rotation), self.tangent(value, shift))
            for value, rotation, shift in _over_noises(three, checked)
        )

    def first_order_in_temperature(self, system: System) -> tuple[Dissipator, ...]:
        """∂D_α/∂T_α group by group, H and groups fixed: ∂F/∂T in the place of F."""
        home = self.home(system)
        structure = bohr_structure(home.hamiltonian)
        groups = self.partition(structure, home)

        def both(noise: Noise):
            def at(T: Array):
                warmer = eqx.tree_at(lambda b: b.temperature, noise, T)
                return self.operators(_filter(structure, groups, warmer), warmer, structure)

            return jax.jvp(at, (noise.temperature,), (jnp.ones_like(noise.temperature),))

        return tuple(self.tangent(value, change) for value, change in _over_noises(both, home))

    def tangent(self, operators: Any, change: Any) -> Dissipator:
        """The change of the assembled dissipators, group by group, when the operators change (product rule)."""
        value, moved = jax.jvp(jax.vmap(self.assemble), (operators,), (change,))
        return Dissipator(
            jnp.concatenate([moved.left, value.left], axis=1),
            jnp.concatenate([value.right, moved.right], axis=1),
            moved.drift,
        )


def _summed(stack: Dissipator) -> Dissipator:
    dim = stack.drift.shape[-1]
    left, right = (X.reshape(-1, dim, dim) for X in (stack.left, stack.right))
    return Dissipator(left, right, jnp.sum(stack.drift, axis=0), stack.mirrored and len(stack.left) == 1)


def _over_noises(function: Callable[[Noise], Any], system: System) -> list[Any]:
    """`function(noise)` for every independent noise of every bath, for each bath stacked along axis 1."""
    noises = [bath.noises for bath in system.baths]
    results = iter(each_noise(function, tuple(noise for group in noises for noise in group)))
    return [jax.tree.map(lambda *x: jnp.stack(x, axis=1), *(next(results) for _ in group)) for group in noises]


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


def _filter(structure: Structure, groups: Groups, noise: Noise, S: Array | None = None) -> Filter:
    coupling = noise.coupling if S is None else S
    smooth = noise.spectrum.at_zero == "smooth"
    return lambda F: bohr_filter(structure, coupling, F, groups, smooth_at_zero=smooth)


def _moved(structure: Structure, groups: Groups, noise: Noise, X: Array, W: Array) -> tuple[Filter, Filter]:
    """The filter's first-order change by rotation and by shift."""
    S = noise.coupling
    still, turned = _filter(structure, groups, noise), _filter(structure, groups, noise, S @ X - X @ S)
    shifted = _filter(structure, groups, noise, S @ W - W @ S)

    def rotation(F: Callable) -> Array:
        A = still(F)
        return X @ A - A @ X + turned(F)

    return rotation, lambda F: shifted(Slope(F))


def one_level(structure: Structure, groups: Groups, system: System) -> Bool[Array, "d d"]:
    """Whether two states are one level to the explicit route; where a rate is not smooth at ω = 0, exactly."""
    noises = [noise for bath in system.baths for noise in bath.noises]
    scale = jnp.min(jnp.stack([noise.spectrum.scale(noise.temperature) for noise in noises]))
    return blocks(structure, groups, NEAR * jnp.sqrt((structure.energies[-1] - structure.energies[0]) * scale))


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
            bath = eqx.tree_at(lambda b: b.coupling, bath, refuse(bath.coupling, needed, _message(noise)))
    return bath


def _admitted(structure: Structure, bath: Bath, V: Array) -> Bath:
    """The bath, its densities marked as differentiable: along V, and along V only."""
    bath = _checked(structure, bath, V)
    is_density = lambda x: isinstance(x, AbstractSpectrum)  # noqa: E731
    mark = lambda x: x if x.at_zero == "smooth" else Checked(x)  # noqa: E731
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


def _message(noise: Noise) -> str:
    name = f"bath {noise.name!r}" if noise.name else "a bath"
    return (
        f"SingularDensityError: the perturbation splits a degenerate level that {name} couples to at zero frequency, "
        f"so the response needs the slope of its rate at zero, but {type(noise.spectrum).__name__} has a "
        f"{noise.spectrum.at_zero} there. Use a density that is smooth at zero: DrudeLorentz, or Ohmic with shape "
        "'gaussian' or 'drude'."
    )
