"""What a master equation has to say about itself.

Enters: a system. Leaves: for each bath the dissipator D_α, and its first-order change D_α⁽¹⁾ under H → H + δV by
perturbation theory, in two parts (rotation of eigenvectors, shift of frequencies). The commutator with H is added by
the generator, the same for all.
"""

import abc

import equinox as eqx
from jaxtyping import Array, Complex

from .._system import System
from ..bohr import Groups
from ._dissipator import Dissipator

COUNT_ABOVE = 16


def counted(equation: "AbstractEquation", system: System) -> "AbstractEquation":
    """The equation with its groups counted before compilation, where that saves more than it costs.

    A compiled program that finds the groups itself must provide for d² − d + 1 of them; one made for the groups that
    there are is smaller, but has to be compiled again when their number changes.
    """
    return equation.fixed(system) if system.dim > COUNT_ABOVE else equation


class FirstOrder(eqx.Module):
    """D_α⁽¹⁾ in its two parts, each a tuple over groups of one-bath superoperators."""

    rotation: Dissipator
    shift: Dissipator


class AbstractEquation(eqx.Module):
    """A quantum master equation: plain configuration, no state."""

    @abc.abstractmethod
    def groups(self, system: System) -> Groups:
        """The groups of Bohr frequencies this equation keeps together in the given system."""

    @abc.abstractmethod
    def fixed(self, system: System) -> "AbstractEquation":
        """The same equation with its groups pinned to those of `system`, so that a finite δ does not regroup."""

    @abc.abstractmethod
    def admit(self, system: System, V: Complex[Array, "d d"]) -> System:
        """The system, with its densities marked as checked for the direction V; raises `SingularDensityError` if the
        derivative along V needs a slope Γ'(0) that does not exist."""

    @abc.abstractmethod
    def thermal_hamiltonian(self, system: System) -> Complex[Array, "d d"]:
        """The Hamiltonian whose Gibbs state each bath alone would establish."""

    @abc.abstractmethod
    def channels(self, system: System) -> tuple[Dissipator, ...]:
        """For each bath its dissipator group by group: arrays with a leading group axis."""

    @abc.abstractmethod
    def dissipators(self, system: System) -> tuple[Dissipator, ...]:
        """D_α, one for each bath."""

    @abc.abstractmethod
    def first_order(self, system: System, V: Complex[Array, "d d"]) -> tuple[FirstOrder, ...]:
        """D_α⁽¹⁾ group by group, one for each bath, by degenerate Rayleigh–Schrödinger perturbation theory."""
