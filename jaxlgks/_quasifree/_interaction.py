"""The energy of the interaction of oscillators with each bath, to second order in the coupling.

Takes: what `Retarded` holds. Returns: ⟨H_I^α⟩ = −i⟨SΛ − Λ†S⟩ (see `_generator/_interaction.py`) as a polynomial of
degree two, an observable of the first-order state, and what of it the kernel changes by itself: with the monomials p
of Λ_j⁽¹⁾, −i Σ_jp a_jp e^{−z_jp u} ⟨S (monomial p)⟩ and its conjugate.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._generator import AbstractInteraction
from .._polynomials import Symbol, adjoint, product
from ._frame import Frame
from ._retarded import Retarded


class Interaction(AbstractInteraction):
    """`observables`: −i(SΛ⁽⁰⁾ − Λ⁽⁰⁾†S) of each bath. `source`: the kernel."""

    observables: Symbol
    source: Retarded

    def at(self, omegas: Float[Array, " w"]) -> Complex[Array, "w baths"]:
        def half(omega: Array) -> Array:
            return self._summed(1 / (self.source.rates - 1j * omega))

        return jax.vmap(lambda omega: -1j * (half(omega) - half(-omega).conj()))(omegas)

    def after(self, ts: Float[Array, " t"]) -> Float[Array, "t baths"]:
        return jax.vmap(lambda t: 2 * self._summed(jnp.exp(-self.source.rates * t)).imag)(ts)

    def slope(self, ts: Float[Array, " t"]) -> Float[Array, "t baths"]:
        rates = self.source.rates
        return jax.vmap(lambda t: -2 * self._summed(rates * jnp.exp(-rates * t)).imag)(ts)

    def _summed(self, weights: Complex[Array, "baths j p"]) -> Complex[Array, " baths"]:
        """⟨SΛ⁽¹⁾⟩."""
        return jnp.einsum("mbjp,bjp,bp->b", self.source.amplitudes, weights, self.source.held)


def interaction(at: Frame, source: Retarded) -> Interaction:
    """Of all baths."""

    def held(S: Symbol, rest: Symbol) -> Symbol:
        back = product(adjoint(rest), S, at.contraction)
        return tuple(-1j * (x - y) for x, y in zip(product(S, rest, at.contraction), back, strict=True))

    return Interaction(jax.vmap(held)(source.coupling, source.at_rest), source)
