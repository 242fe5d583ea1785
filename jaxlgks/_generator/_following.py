"""Baths that follow a drive of any strength and shape, to second order in the coupling.

Takes: a system, the exponentials of its baths, H(t) at one time. Returns: how the operators Λ_j of their memory move,
and what they make of a state: D_α ρ, heat currents, the energy of the interaction.

    Dρ = Σ_n (Λ_n ρ S_n† − S_n† Λ_n ρ + h.c.),   Λ_n = Σ_j Λ_nj,   dΛ_nj/dt = c_nj S_n − ν_nj Λ_nj − i[H(t), Λ_nj]

with C_n(s) = Σ_j c_nj e^{−ν_nj s} for s > 0. Λ_nj is zero where system and baths have just met, and G_nj(Ω_H)[S_n],
G(ω) = c/(ν − iω), where they have long been in contact under H. All matrices are in the basis in which H is given: the
eigenbasis of H(t) turns. (`Retarded` is the first order in a weak drive, in the eigenbasis of H₀.)
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import dagger, find_structure
from .._drives import DrivenSystem
from .._equations import AbstractEquation, Dissipator, dissipation
from .._system import System
from ._remembering import exponentials_of
from ._retarded import divided


class Following(eqx.Module):
    """Couplings S_n of all independent noises, c and ν of each, and the bath that each belongs to."""

    couplings: Complex[Array, "n d d"]
    coefficients: Complex[Array, "n j"]
    rates: Complex[Array, "n j"]
    owners: tuple[int, ...] = eqx.field(static=True)

    def start(self, H: Complex[Array, "d d"], stationary: bool) -> Complex[Array, "n j d d"]:
        """Λ_nj at rest, or zero."""
        at_rest = self.at_rest(H)
        return at_rest if stationary else jnp.zeros_like(at_rest)

    def at_rest(self, H: Complex[Array, "d d"]) -> Complex[Array, "n j d d"]:
        """Λ_nj after a long contact under H, (Λ_j)_mn = c_j S_mn/(ν_j − iω_mn) in its eigenbasis; derivatives in H at
        any degeneracy."""
        structure = find_structure(H)
        S = structure.to_eigenbasis(self.couplings)
        inside = structure.to_eigenbasis(structure.hamiltonian).astype(S.dtype)
        sources = self.coefficients[:, :, None, None] * S[:, None]
        return structure.from_eigenbasis(divided(inside, structure.energies, self.rates, sources))

    def kernel(self, t: Array, memory: Complex[Array, "n j d d"]) -> Complex[Array, "n d d"]:
        """Λ_n; the time does not enter."""
        del t
        return jnp.sum(memory, axis=1)

    def slope(self, H: Complex[Array, "d d"], memory: Complex[Array, "n j d d"]) -> Complex[Array, "n j d d"]:
        """dΛ_nj/dt."""
        fed = self.coefficients[:, :, None, None] * self.couplings[:, None]
        return fed - self.rates[:, :, None, None] * memory - 1j * (H @ memory - memory @ H)

    def dissipators(self, kernel: Complex[Array, "n d d"], rho: Complex[Array, "d d"]) -> Complex[Array, "baths d d"]:
        """D_α ρ of each bath. `kernel`: Λ_n."""
        S, moved = dagger(self.couplings), kernel @ rho
        half = moved @ S - S @ moved
        return self.by_bath(half + dagger(half))

    def currents(
        self, H: Complex[Array, "d d"], kernel: Complex[Array, "n d d"], rho: Complex[Array, "d d"]
    ) -> Float[Array, " baths"]:
        """J^α = Tr[H D_α ρ], the energy that flows into the system."""
        return jnp.einsum("ij,bji->b", H, self.dissipators(kernel, rho)).real

    def interaction(self, kernel: Complex[Array, "n d d"], rho: Complex[Array, "d d"]) -> Float[Array, " baths"]:
        """⟨H_I^α⟩ = 2 Im Σ_n Tr[S_n†Λ_nρ], bilinear: its rate is interaction(dΛ/dt, ρ) + interaction(Λ, dρ/dt).
        A bath gives −d⟨H_B^α⟩/dt = J^α + d⟨H_I^α⟩/dt."""
        # To first order bath and system are correlated by −i ∫ds [H_I(t−s), ρ ⊗ ρ_B]. In H_I = S R, or S R† + S†R with
        # two noises, S with ⟨R(s)R†⟩ and S† with ⟨R†(s)R⟩, it is S_n† that stands beside S_n(t−s), as in D.
        return self.by_bath(2 * jnp.einsum("nji,nji->n", self.couplings.conj(), kernel @ rho).imag)

    def by_bath(self, each: Array) -> Array:
        """The sum over the noises of each bath, [n, ...] to [baths, ...]."""
        belongs = jnp.arange(max(self.owners) + 1)[:, None] == jnp.asarray(self.owners)
        return jnp.tensordot(belongs.astype(each.dtype), each, 1)


class AtOnce(eqx.Module):
    """Baths without memory: at every time the dissipators of an equation for the H(t) of that time. Groups of Bohr
    frequencies are those of H(t), or those that the equation was pinned to."""

    driven: DrivenSystem
    equation: AbstractEquation

    def kernel(self, t: Array, memory: None) -> tuple[Dissipator, ...]:
        """D_α under H(t)."""
        del memory
        return dissipation(self.driven.at(t), self.equation).dissipators()

    def slope(self, H: Array, memory: None) -> None:
        """There is nothing that moves."""

    def dissipators(self, kernel: tuple[Dissipator, ...], rho: Complex[Array, "d d"]) -> Complex[Array, "baths d d"]:
        """D_α ρ of each bath."""
        return jnp.stack([D(rho) for D in kernel])


def following(system: System) -> Following:
    """The memory of the baths of a system.

    **Raises:** `CorrelationError` where a bath has none, `Flat` for one; it says what to ask for instead."""
    noises = [noise for bath in system.baths for noise in bath.noises]
    owners = tuple(b for b, bath in enumerate(system.baths) for _ in bath.noises)
    dtype = system.hamiltonian.dtype
    c, rates = (x.astype(dtype) for x in exponentials_of(tuple(noises)))
    return Following(jnp.stack([noise.coupling for noise in noises]).astype(dtype), c, rates, owners)
