"""The levels of a slow drive, in the place of Floquet's modes.

Takes: H(t) at 2N + 1 equidistant times of a period 2π/ω. Returns: its levels at each of them, and in their basis
approximate inverses of the equations of a cycle.

A drive that is much slower than the transitions turns phases many times in a period: Floquet's modes have some (range
of the levels)/ω harmonics. What has the period of the drive, the state and the memory of the baths, has few: it follows
the levels. In their basis d/dt of a coherence is small beside iω_mn(t), and d/dt of an element of the memory beside
ν_j + iω_mn(t): both are divided at each time, and what that leaves falls with ω over the distance of the levels.
Populations are free to be faster or slower than the drive: their rate equation is solved over the whole period. A basis
is a means to solve linear equations, no part of an answer: no derivative is taken of it.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import dagger
from .._equations import Dissipator
from ._floquet import Inverse, rate_of_change, times_left, times_right
from ._linear import lu_factors


class Levels(eqx.Module):
    """`vectors`: the eigenvectors of H(t) in columns. `energies`: E_a(t). `resolved`: whether the times are enough."""

    vectors: Complex[Array, "t d d"]
    energies: Float[Array, "t d"]
    omega: Float[Array, ""]
    resolved: ClassVar[bool] = True
    passes: ClassVar[int] = 8
    """Of a division that leaves N ω/ν at most, and less of what has few harmonics."""

    @property
    def bohr(self) -> Float[Array, "t d d"]:
        """E_a(t) − E_b(t)."""
        return self.energies[:, :, None] - self.energies[:, None]

    def divided(self, B: Complex[Array, "t n #j d d"], decay: Complex[Array, "n j 1 1"]) -> Complex[Array, "t n j d d"]:
        """(decay + i[H, ·])⁻¹ B at each time."""
        return self._back(self._inside(B) / (decay + 1j * self.bohr[:, None, None]))

    def inverse(self, D: Dissipator) -> Inverse:
        """Of d/dt + i[H, ·] − D: populations together over the period, each coherence by itself at each time."""
        D = jax.vmap(lambda D, U: D.rotated(U))(D, self.vectors)
        count, dim = self.energies.shape
        lost = jnp.diagonal(D.drift, axis1=1, axis2=2)
        own: Array = jnp.einsum("tjaa,tjbb->tab", D.left, D.right.conj()) - lost[:, :, None] - lost.conj()[:, None]
        rates = jnp.einsum("tjab,tjab->tab", D.left, D.right.conj()).real
        rates = rates - 2 * lost.real[:, :, None] * jnp.eye(dim)
        fastest = jnp.max(-jnp.diagonal(rates, axis1=1, axis2=2))
        moving = jnp.kron(rate_of_change(jnp.eye(count), self.omega), jnp.eye(dim)).reshape(count, dim, count, dim)
        moving = moving.at[jnp.arange(count), :, jnp.arange(count)].add(-rates) + fastest / (dim * count)
        factors = lu_factors(moving.reshape(count * dim, count * dim))
        turning = 1j * self.bohr - own
        turning = jnp.where(jnp.abs(turning) < 1e-6 * fastest, fastest, turning)  # the rest is left to GMRES
        diagonal = jnp.eye(dim, dtype=bool)

        def apply(X: Array) -> Array:
            Y = self._inside(X)
            flow = jnp.diagonal(Y, axis1=1, axis2=2).real
            p: Array = jax.scipy.linalg.lu_solve(factors, flow.reshape(-1)).reshape(count, dim)
            return self._back(jnp.where(diagonal, p[:, :, None], Y / turning))

        probe = jnp.tile(jnp.cos((1.0 + jnp.arange(dim)) ** 2), count)
        slowest = jnp.linalg.norm(probe) / jnp.linalg.norm(jax.scipy.linalg.lu_solve(factors, probe))
        return Inverse(apply, fastest, slowest, jnp.max(jnp.sum(jnp.abs(rates), axis=2)))

    def _inside(self, X: Array) -> Array:
        return times_right(times_left(dagger(self.vectors), X), self.vectors)

    def _back(self, Y: Array) -> Array:
        return times_right(times_left(self.vectors, Y), dagger(self.vectors))


def levels(H: Complex[Array, "t d d"], omega: Float[Array, ""]) -> Levels:
    """Those of H(t), constants of differentiation."""
    H, omega = jax.lax.stop_gradient((H, omega))
    energies, vectors = jnp.linalg.eigh(H)
    return Levels(vectors, energies, omega)
