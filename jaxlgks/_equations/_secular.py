"""One group of Bohr frequencies as a Lindblad channel: what Davies, unified and local equations share.

Takes: filtered operators of one group. Returns: D[A] and the Lamb shift

    H_LS = ½ Σ_{ω,ω'∈g} (S(ω) + S(ω')) S†(ω') S(ω),

which for a group of equal frequencies is Σ_ω S(ω) S†(ω)S(ω).
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Int

from .._bohr import Structure
from .._system import Noise
from ._base import AbstractEquation, Filter
from ._dissipator import Dissipator, lindblad
from ._rates import LambShift, RootRate, one


class AbstractSecular(AbstractEquation):
    """An equation with D_α = Σ_g D[A_g]."""

    @property
    def kernel(self) -> Literal["lindblad"]:
        return "lindblad"

    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        """A_g = (1_g √Γ)(Ω)[S]; with a Lamb shift also 1_g(Ω)[S] and (1_g S)(Ω)[S]."""
        A = filtered(RootRate(noise.spectrum, noise.temperature))
        if not self.lamb_shift:
            return (A,)
        return A, filtered(one), filtered(LambShift(noise.spectrum, noise.temperature))

    def assemble(self, operators: Any) -> Dissipator:
        """D[A] − i[H_LS, ·]: −i H_LS is part of −K."""
        A, *shift = operators
        D = lindblad(A)
        if not shift:
            return D
        S, L = shift
        product = jnp.einsum("jkm,jkn->mn", S.conj(), L)
        return Dissipator(D.left, D.right, D.drift + 0.5j * (product + product.conj().T))


def secular_drift(operators: Any, labels: Int[Array, "d d"]) -> Complex[Array, "d d"]:
    """K of the sum over all groups, from operators [j, d, d] in the eigenbasis of H whose groups are not told apart:
    what labels are for. O(d³) without an axis of groups."""

    def product(B: Array, C: Array) -> Array:
        """Σ_g Σ_j B_g† C_g: element (m, n) sums over those k from which m and n are reached within one group."""

        def add(total: Array, of_k: tuple[Array, Array, Array]) -> tuple[Array, None]:
            b, c, label = of_k
            return total + jnp.where(label[:, None] == label[None, :], b.conj().T @ c, 0.0), None

        rows = (jnp.swapaxes(B, 0, 1), jnp.swapaxes(C, 0, 1), labels)
        return jax.lax.scan(add, jnp.zeros(labels.shape, B.dtype), rows)[0]

    A, *shift = operators
    drift = product(A, A) / 2
    if shift:
        lamb = product(*shift)
        drift = drift + 0.5j * (lamb + lamb.conj().T)
    return drift
