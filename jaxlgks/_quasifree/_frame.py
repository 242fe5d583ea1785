"""Polynomials in the variables in which the generator is simple, and back.

Takes: a normal-ordered `Polynomial` of a, a†. Returns its symbol in β = (d, d†), either

    about the minimum of H₀, normal-ordered in d: every monomial has a definite Bohr frequency, ω·(number of d − d†);
    about the mean of the steady state, in Wick's order of that state: averages are pairings, and e^{L₀†t} acts on each
    index by itself (Mehler's formula).
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._polynomials import Symbol, reordered, substituted, swap, translated, vacuum
from ._dynamics import Dynamics
from ._model import lowering_forms, symplectic
from ._modes import NormalModes
from ._state import GaussianState


class Frame(eqx.Module):
    """A model about its steady state. Arrays in β = (d_1 … d_M, d_1† … d_M†).

    - `drift`: L₀†β = drift · β about the mean. `bath_drift`, `bath_noise`, `bath_force`: of each D_α†, such that
      D_α† acts on a symbol in Wick's order as Σ drift_jl β_l ∂_j + ½ Σ noise_ij ∂_i∂_j + Σ force_j ∂_j.
    - `contraction`: ⟨β_iβ_j⟩ about the mean, Wick's order. `shift`: the mean, from the minimum of H₀.
    - `nominal`: [M], equal for modes of one group. `diagonal`: whether `drift` is known to be diagonal.
    """

    modes: NormalModes
    state: GaussianState
    nominal: Float[Array, " m"]
    drift: Complex[Array, "n n"]
    bath_drift: Complex[Array, "baths n n"]
    bath_noise: Complex[Array, "baths n n"]
    bath_force: Complex[Array, "baths n"]
    contraction: Complex[Array, "n n"]
    shift: Complex[Array, " n"]
    diagonal: bool = eqx.field(static=True)

    @property
    def signed(self) -> Float[Array, " n"]:
        """Bohr frequencies of β."""
        return self.modes.signed

    @property
    def occupations(self) -> Float[Array, " n"]:
        """⟨d_k†d_k⟩ about the mean, for d and again for d†: all of `contraction` where the frame is diagonal."""
        size = self.nominal.size
        pairs = self.contraction[np.arange(2 * size), swap(2 * size)].real
        return jnp.tile((pairs[:size] + pairs[size:] - 1) / 2, 2)

    @property
    def forms(self) -> Complex[Array, "n n"]:
        """α − ⟨α⟩ = forms · β."""
        return lowering_forms(self.nominal.size) @ self.modes.forms

    @property
    def inverse(self) -> Complex[Array, "n n"]:
        """β = inverse · (α − ⟨α⟩)."""
        return self.modes.inverse @ lowering_forms(self.nominal.size).conj().T

    def bohr(self, A: Symbol) -> Symbol:
        """About the minimum of H₀, normal-ordered in d."""
        return about_minimum(A, self.modes)

    def wick(self, A: Symbol) -> Symbol:
        """About the steady state, in its order."""
        mean = lowering_forms(self.nominal.size) @ self.state.mean
        return self._turned(A, mean, self.contraction)

    def from_bohr(self, A: Symbol) -> Symbol:
        """From the first to the second."""
        return reordered(translated(A, self.shift), self.contraction - vacuum(self.nominal.size))

    def to_bohr(self, A: Symbol) -> Symbol:
        """From the second to the first."""
        return translated(reordered(A, vacuum(self.nominal.size) - self.contraction), -self.shift)

    def back(self, A: Symbol) -> Symbol:
        """From Wick's order to normal order in a, a†."""
        size = self.nominal.size
        normal = self.inverse @ vacuum(size) @ self.inverse.T
        A = substituted(reordered(A, normal - self.contraction), self.inverse)
        return translated(A, -(lowering_forms(size) @ self.state.mean))

    def _turned(self, A: Symbol, centre: Array, order: Array) -> Symbol:
        size = self.nominal.size
        A = substituted(translated(A, centre), self.forms)
        return reordered(A, order - self.inverse @ vacuum(size) @ self.inverse.T)


def about_minimum(A: Symbol, modes: NormalModes) -> Symbol:
    """A normal-ordered symbol of a, a† about the minimum of H₀, normal-ordered in d."""
    size = modes.frequencies.size
    W = lowering_forms(size)
    inverse = modes.inverse @ W.conj().T
    A = substituted(translated(A, W @ modes.centre), W @ modes.forms)
    return reordered(A, vacuum(size) - inverse @ vacuum(size) @ inverse.T)


def frame(
    modes: NormalModes, nominal: Float[Array, " m"], state: GaussianState, motion: Dynamics, diagonal: bool
) -> Frame:
    """The frame of a model at its steady state."""
    T, inverse = modes.forms, modes.inverse
    drift = jnp.stack([inverse @ K @ T for K in motion.drift])
    # i[H, β] is known: −iω, +iω; what the turn of Ωh leaves beside it is rounding.
    return Frame(
        modes,
        state,
        nominal,
        jnp.diag(-1j * modes.signed) + jnp.sum(drift, axis=0),
        drift,
        *frame_noise(modes, state, motion),
        inverse @ (state.covariance + 0.5j * symplectic(nominal.size)) @ inverse.T,
        inverse @ (state.mean - modes.centre),
        diagonal,
    )


def frame_noise(
    modes: NormalModes, state: GaussianState, motion: Dynamics
) -> tuple[Complex[Array, "baths n n"], Complex[Array, "baths n"]]:
    """Diffusion and force of each bath on symbols in Wick's order of a state."""
    inverse, V, offset = modes.inverse, state.covariance, state.mean - motion.centre
    noise = [N + K @ V + V @ K.T for K, N in zip(motion.drift, motion.diffusion, strict=True)]
    force = [c + K @ offset for K, c in zip(motion.drift, motion.force, strict=True)]
    return jnp.stack([inverse @ N @ inverse.T for N in noise]), jnp.stack([inverse @ c for c in force])
