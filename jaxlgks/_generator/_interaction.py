"""The energy of the interaction with each bath, to second order in the coupling.

Takes: couplings and exponentials of the baths, the kernel of their memory. Returns: ⟨H_I^α⟩ as observables of the
first-order state, and what of it the kernel changes by itself. With the operators Λ of `Retarded`

    ⟨H_I⟩ = −i Tr[S(Λρ − ρΛ†)],

so that ⟨H_I⟩₁ = Tr[O x] − i Tr[S(Λ⁽¹⁾π − πΛ⁽¹⁾†)] with O = −i(SΛ⁽⁰⁾ − Λ⁽⁰⁾†S). A bath gives −d⟨H_B⟩/dt, which is the
heat current into the system and d⟨H_I⟩/dt.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import dagger
from ._base import AbstractInteraction
from ._retarded import Retarded


class Interaction(AbstractInteraction):
    """`observables`: O of each bath. `source`: the kernel."""

    observables: Complex[Array, "baths d d"]
    source: Retarded

    def at(self, omegas: Float[Array, " w"]) -> Complex[Array, "w baths"]:
        """What the kernel changes under e^{−iωt}."""

        def of(omega: Array) -> Array:
            left, right = (jnp.sum(self.source.kernel(x), axis=0) for x in (omega, -omega))
            state, S = self.source.state, self.source.couplings
            return -1j * jnp.einsum("nij,nji->n", S, left @ state - state @ dagger(right))

        return jax.lax.map(of, omegas) @ self._owners

    def after(self, ts: Float[Array, " t"]) -> Float[Array, "t baths"]:
        """What it changes a time after a kick."""

        def of(t: Array) -> Array:
            kernel = jnp.sum(self.source.kernel_after(t[None])[0], axis=0)
            return 2 * jnp.einsum("nij,nji->n", self.source.couplings, kernel @ self.source.state).imag

        return jax.lax.map(of, ts) @ self._owners.real

    def slope(self, ts: Float[Array, " t"]) -> Float[Array, "t baths"]:
        return Interaction(self.observables, self.source.slope()).after(ts)

    @property
    def _owners(self) -> Complex[Array, "n baths"]:
        owners = jnp.asarray(self.source.owners)
        return (owners[:, None] == jnp.arange(max(self.source.owners) + 1)).astype(self.source.couplings.dtype)


def interaction(source: Retarded) -> Interaction:
    """Of all baths."""
    S, at_rest = source.couplings, source.at_rest
    each = -1j * (S @ at_rest - dagger(at_rest) @ S)
    return Interaction(source.by_bath(each), source)
