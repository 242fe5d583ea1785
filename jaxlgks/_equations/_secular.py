"""One group of Bohr frequencies apart from the others: what Davies, unified and local equations share.

Takes: filtered operators of one group. Returns: its jumps and its drift, D[A] and the Lamb shift

    H_LS = ½ Σ_{ω,ω'∈g} (S(ω) + S(ω')) S†(ω') S(ω),

which for a group of equal frequencies is Σ_ω S(ω) S†(ω)S(ω).
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Int

from .._bohr import Structure
from .._system import Noise
from ._base import AbstractEquation, Filter
from ._dissipator import Dissipator
from ._rates import LambShift, RootRate, one

Product = Callable[[Array, Array], Array]
"""Σ_j B_j† C_j of operators [j, d, d] of one group; or of all groups together, each with itself."""


class AbstractSecular(AbstractEquation):
    """An equation with D_α = Σ_g D_g: D_g = D[A_g], if it does not say otherwise."""

    @property
    def kernel(self) -> Literal["lindblad", "redfield"] | None:
        return "lindblad"

    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        """A_g = (1_g √Γ)(Ω)[S]; with a Lamb shift also 1_g(Ω)[S] and (1_g S)(Ω)[S]."""
        A = filtered(RootRate(noise.spectrum, noise.temperature))
        if not self.lamb_shift:
            return (A,)
        return A, filtered(one), filtered(LambShift(noise.spectrum, noise.temperature))

    def jumps(self, operators: Any) -> tuple[Array, Array]:
        """L and R of the jumps Σ_j L_j ρ R_j†, each linear in the operators, [j, d, d]."""
        return operators[0], operators[0]

    def drift(self, operators: Any, product: Product) -> Array:
        """K = ½ A†A + i H_LS."""
        A, *shift = operators
        if not shift:
            return product(A, A) / 2
        lamb = product(*shift)
        return product(A, A) / 2 + 0.5j * (lamb + lamb.conj().T)

    def assemble(self, operators: Any) -> Dissipator:
        return Dissipator(*self.jumps(operators), self.drift(operators, _product))


def _product(B: Array, C: Array) -> Array:
    return jnp.einsum("jkm,jkn->mn", B.conj(), C)


def product_within(labels: Int[Array, "d d"]) -> Product:
    """Σ_g Σ_j B_g† C_g of operators [j, d, d] in the eigenbasis of H whose groups are not told apart: what labels are
    for. O(d³) without an axis of groups."""

    def product(B: Complex[Array, "j d d"], C: Complex[Array, "j d d"]) -> Complex[Array, "d d"]:
        """Element (m, n) sums over those k from which m and n are reached within one group."""

        def add(total: Array, of_k: tuple[Array, Array, Array]) -> tuple[Array, None]:
            b, c, label = of_k
            return total + jnp.where(label[:, None] == label[None, :], b.conj().T @ c, 0.0), None

        rows = (jnp.swapaxes(B, 0, 1), jnp.swapaxes(C, 0, 1), labels)
        return jax.lax.scan(add, jnp.zeros(labels.shape, B.dtype), rows)[0]

    return product
