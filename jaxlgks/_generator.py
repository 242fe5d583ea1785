"""The generator L of dρ/dt = L ρ.

Enters: a system and a master equation. Leaves: L as a d²×d² matrix in column stacking (as QuTiP's), and helpers that
turn matrices into vectors and back.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from ._system import System
from .bohr import Structure, bohr_structure, centred
from .equations import AbstractEquation, Davies


def vec(X: Complex[Array, "d d"]) -> Complex[Array, " n"]:
    """Column stacking: vec(AXB) = (Bᵀ ⊗ A) vec(X)."""
    return X.T.reshape(-1)


def unvec(x: Complex[Array, " n"]) -> Complex[Array, "d d"]:
    """Inverse of `vec`."""
    dim = round(x.shape[-1] ** 0.5)
    return x.reshape(dim, dim).T


def commutator_matrix(H: Complex[Array, "d d"]) -> Complex[Array, "n n"]:
    """The matrix of ρ ↦ −i[H, ρ]."""
    identity = jnp.eye(H.shape[-1], dtype=H.dtype)
    return -1j * (jnp.kron(identity, H) - jnp.kron(H.T, identity))


def liouvillian(system: System, equation: AbstractEquation = Davies()) -> Complex[Array, "n n"]:
    """The generator as a matrix, L ρ = −i[H, ρ] + Σ_α D_α ρ (paper, Eq. 11).

    **Arguments:** `system`: the system between its baths. `equation`: the master equation.

    **Returns:** complex array [d², d²] acting on column-stacked states, vec(AρB) = (Bᵀ ⊗ A) vec(ρ); unit: energy (ħ=1).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    lgks.liouvillian(system).shape                 # (16, 16)
    ```
    """
    total = commutator_matrix(centred(system.hamiltonian))
    for dissipator in equation.dissipators(system):
        total = total + dissipator.matrix()
    return total


class EnergyBasis(eqx.Module):
    """The generator in the eigenbasis of H, and the way there and back.

    In this basis frequencies sit on the diagonal: the populations, which move with the rates γ, are not mixed by
    rounding with coherences that turn with ω ≫ γ. Solving there keeps the digits that log10(ω/γ) would cost.
    """

    structure: Structure
    matrix: Complex[Array, "n n"]

    def to(self, X: Complex[Array, "*a d d"]) -> Complex[Array, "*a d d"]:
        """U† X U."""
        return self.structure.to_eigenbasis(X)

    def back(self, X: Complex[Array, "*a d d"]) -> Complex[Array, "*a d d"]:
        """U X U†."""
        return self.structure.from_eigenbasis(X)


def energy_generator(system: System, equation: AbstractEquation) -> EnergyBasis:
    """L in the eigenbasis of H. The basis is a constant of differentiation; the derivative in H comes with U† dH U."""
    structure = bohr_structure(system.hamiltonian)
    turned = structure.to_eigenbasis(structure.hamiltonian)
    diagonal = jnp.diag(jnp.diag(jax.lax.stop_gradient(turned)).real)  # what is beside it is rounding
    total = commutator_matrix(diagonal + turned - jax.lax.stop_gradient(turned))
    for dissipator in equation.dissipators(system):
        total = total + dissipator.rotated(structure.vectors).matrix()
    return EnergyBasis(structure, total)
