"""A dissipator as operators, not as a d²×d² matrix.

Takes: operators L_j, R_j, K. Returns: the superoperator and its adjoint,

    D ρ = Σ_j L_j ρ R_j† − K ρ − ρ K†,        D† X = Σ_j L_j† X R_j − K† X − X K.

Every generator that preserves Hermiticity and trace has this form; D[A] is L = R = A, K = ½ Σ A†A.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from .._bohr import dagger, product, sandwich

LARGE = 128
"""Above this dimension complex products are taken apart: three real ones cost a third of what the compiler makes of a
complex one on a CPU."""


class Dissipator(eqx.Module):
    """D ρ = Σ_j L_j ρ R_j† − K ρ − ρ K†. `mirrored`: the second half of the pairs (L, R) is the first exchanged.
    `carried`: the observable of the power that jumps take up beside H, where the frame turns (see `RotatingFrame`)."""

    left: Complex[Array, "*g j d d"]
    right: Complex[Array, "*g j d d"]
    drift: Complex[Array, "*g d d"]
    mirrored: bool = eqx.field(static=True, default=False)
    carried: Complex[Array, "*g d d"] | None = None

    def __call__(self, rho: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """D ρ."""
        if rho.shape[-1] > LARGE and self.left.ndim == 3:
            return self._by_real_products(rho)
        jumps = sandwich(self.left, rho, self.right)
        return jumps - product(self.drift, rho) - product(rho, dagger(self.drift))

    def _by_real_products(self, rho: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """All L_j ρ in one product, Σ_j (L_j ρ) R_j† in another."""
        dim = rho.shape[-1]
        one = jnp.eye(dim, dtype=rho.dtype)
        left = jnp.concatenate([self.left.reshape(-1, dim), -self.drift])
        right = jnp.concatenate([jnp.swapaxes(self.right.conj(), 1, 2).reshape(-1, dim), one, -self.drift.conj().T])
        products = _product(left, rho).reshape(-1, dim, dim)
        return _product(jnp.concatenate([*products, rho], axis=1), right)

    def on_hermitian(self, rho: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """D ρ of Hermitian ρ, of large ones as `halved`."""
        return self(rho) if rho.shape[-1] <= LARGE or self.left.ndim != 3 else self.halved(rho)

    def halved(self, rho: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """D ρ of Hermitian ρ, at half the price and less: N + N† with

        N = w Σ_j L_j ρ R_j† − K ρ,     w = ½, or 1 and half of the sum where pairs are mirrored.
        """
        dim, count = rho.shape[-1], len(self.left) // (2 if self.mirrored else 1)
        left = jnp.concatenate([self.left[:count].reshape(-1, dim), -self.drift])
        *jumps, fallen = _product(left, rho).reshape(-1, dim, dim)
        right = jnp.swapaxes(self.right[:count].conj(), 1, 2).reshape(-1, dim)
        half = (1.0 if self.mirrored else 0.5) * _product(jnp.concatenate(jumps, axis=1), right) + fallen
        return half + half.conj().T

    def terms(self, X: Complex[Array, "d d"]) -> Float[Array, "d d"]:
        """How large the terms are, element by element, of which D X is the sum: times eps, what rounding leaves of it.

        On the diagonal the imaginary part of K cancels exactly, unless products are taken apart."""
        size, K, together = jnp.abs(X), jnp.diag(self.drift), X.shape[-1] > LARGE
        frequencies = jnp.abs(K.imag[:, None] - K.imag[None, :])
        drift = jnp.abs(self.drift if together else self.drift - 1j * jnp.diag(K.imag))
        jumps = sandwich(jnp.abs(self.left), size, jnp.abs(self.right))
        return jumps + product(drift, size) + product(size, drift.T) + frequencies * size

    def adjoint(self, X: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """D† X (Heisenberg picture)."""
        jumps = sandwich(dagger(self.left), X, dagger(self.right))
        return jumps - product(dagger(self.drift), X) - product(X, self.drift)

    def rotated(self, U: Inexact[Array, "d d"]) -> "Dissipator":
        """The same dissipator in the basis of the columns of U."""

        def rotate(X: Array) -> Array:
            return product(dagger(U), X, U)

        if not self.mirrored:
            return jax.tree.map(rotate, self)
        first, second = (rotate(jnp.split(X, 2, axis=-3)[0]) for X in (self.left, self.right))
        left, right = jnp.concatenate([first, second], axis=-3), jnp.concatenate([second, first], axis=-3)
        carried = None if self.carried is None else rotate(self.carried)
        return Dissipator(left, right, rotate(self.drift), mirrored=True, carried=carried)

    def matrix(self) -> Complex[Array, "n n"]:
        """The d²×d² matrix in column stacking, vec(AρB) = (Bᵀ ⊗ A) vec(ρ)."""
        dim = self.drift.shape[-1]
        identity = jnp.eye(dim, dtype=self.drift.dtype)
        jumps = jnp.einsum("jnl,jmk->nmlk", self.right.conj(), self.left).reshape(dim * dim, dim * dim)
        return jumps - jnp.kron(identity, self.drift) - jnp.kron(self.drift.conj(), identity)


def _product(A: Complex[Array, "m k"], B: Complex[Array, "k n"]) -> Complex[Array, "m n"]:
    """A B by Gauss's three products: to a few eps |A||B|, real and imaginary parts together."""
    a, b, c, d = A.real, A.imag, B.real, B.imag
    shared = (a + b) @ c
    return jax.lax.complex(shared - b @ (c + d), shared + a @ (d - c))


def combined(parts: Sequence[Dissipator], drift: Complex[Array, "d d"]) -> Dissipator:
    """Σ D of several, and −i[H, ·] if `drift` is iH."""
    mirrored = all(one.mirrored for one in parts)

    def joined(stacks: list[Array]) -> Array:
        """All operators; of mirrored ones the first halves of all before the second halves of all."""
        halves = [jnp.split(X, 2) if mirrored else [X] for X in stacks]
        return jnp.concatenate([half for side in zip(*halves, strict=True) for half in side])

    left, right = joined([one.left for one in parts]), joined([one.right for one in parts])
    return Dissipator(left, right, jnp.sum(jnp.stack([one.drift for one in parts]), axis=0) + drift, mirrored)


def lindblad(A: Complex[Array, "j d d"]) -> Dissipator:
    """Σ_j D[A_j]."""
    return Dissipator(A, A, jnp.einsum("jkm,jkn->mn", A.conj(), A) / 2)
