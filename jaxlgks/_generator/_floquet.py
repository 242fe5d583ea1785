"""Functions of time with a period, and Schrödinger's equation over it.

Takes: H(t) at 2N + 1 equidistant times of a period 2π/ω. Returns: derivatives in time, by Fourier series; the modes and
quasi-energies of Floquet's theorem,

    i dφ_a/dt = (H(t) − ε_a) φ_a,     φ_a(t + 2π/ω) = φ_a(t).

In their basis d/dt + i[H(t), ·] is a division, element by element and harmonic by harmonic: i(kω + ε_a − ε_b). Modes
are means to solve linear equations, never part of an answer: no derivative is taken of them, so that quasi-energies may
coincide, and what they miss is found from the equation itself.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from .._bohr import dagger
from .._equations import Dissipator
from ._liouvillian import unvec, vec

SUBSTEPS = 4
"""Of an interval between two times: an interval can be as long as the inverse spread of H."""
NODES = 0.5 + np.sqrt(0.15) * np.array([-1.0, 0.0, 1.0])
"""Gauss's, in a substep."""
HALVED, TERMS = 3, 14
"""Exponents are halved so often and summed to this order: to rounding up to a norm of 4."""
OVERTURNED = 30.0
"""A norm at which these sums are no longer unitary."""
TURN = 1.2345
"""A phase without meaning, see `floquet`."""


def orders(count: int) -> np.ndarray:
    """k of e^{ikωt} in the order of the Fourier transform: 0 ... N, −N ... −1."""
    return np.fft.fftfreq(count, 1 / count)


def rate_of_change(X: Array, omega: Float[Array, ""]) -> Array:
    """dX/dt of samples along the first axis, exact for N harmonics."""
    turning = (1j * omega * orders(len(X))).reshape(-1, *[1] * (X.ndim - 1))
    change = jnp.fft.ifft(turning * jnp.fft.fft(X, axis=0), axis=0)
    return change if jnp.iscomplexobj(X) else change.real


class Inverse(NamedTuple):
    """An approximate inverse of d/dt + i[H, ·] − D, its trace pinned by `fastest` ⟨Tr ρ⟩ 1/d: `fastest`, the fastest
    decay rate; an estimate of the slowest; the norm of the generator."""

    apply: Callable[[Array], Array]
    fastest: Float[Array, ""]
    slowest: Float[Array, ""]
    norm: Float[Array, ""]


class Modes(eqx.Module):
    """`modes`: φ_a(t) in the columns. `energies`: ε_a, between −ω/2 and ω/2. `resolved`: whether the times are not too
    few by far."""

    modes: Complex[Array, "t d d"]
    energies: Float[Array, " d"]
    omega: Float[Array, ""]
    resolved: Bool[Array, ""]
    passes: ClassVar[int] = 1
    """Of a division that is exact but for what the modes are off."""

    @property
    def turning(self) -> Complex[Array, "t d d"]:
        """i(kω + ε_a − ε_b): d/dt + i[H, ·] of an element ab of the harmonic k."""
        bohr = self.energies[:, None] - self.energies
        return 1j * (self.omega * orders(len(self.modes))[:, None, None] + bohr)

    def harmonics(self, X: Complex[Array, "t *n d d"]) -> Complex[Array, "t *n d d"]:
        """Those of φ† X φ."""
        return jnp.fft.fft(times_right(times_left(dagger(self.modes), X), self.modes), axis=0, norm="forward")

    def sampled(self, Y: Complex[Array, "t *n d d"]) -> Complex[Array, "t *n d d"]:
        """X(t) from its harmonics."""
        X = jnp.fft.ifft(Y, axis=0, norm="forward")
        return times_right(times_left(self.modes, X), dagger(self.modes))

    def divided(self, B: Complex[Array, "t n #j d d"], decay: Complex[Array, "n j 1 1"]) -> Complex[Array, "t n j d d"]:
        """(d/dt + decay + i[H, ·])⁻¹ B."""
        return self.sampled(self.harmonics(B) / (decay + self.turning[:, None, None]))

    def inverse(self, D: Dissipator) -> Inverse:
        """Of d/dt + i[H, ·] − D with D averaged in the basis of the modes: all of it at k = 0, elsewhere what it makes
        of each element itself."""
        D, dim = jax.vmap(lambda D, U: D.rotated(U))(D, self.modes), self.modes.shape[-1]
        identity = jnp.eye(dim, dtype=self.modes.dtype)
        jumps = jnp.einsum("tjnl,tjmk->nmlk", D.right.conj(), D.left).reshape(dim**2, dim**2) / len(self.modes)
        drift = jnp.mean(D.drift, axis=0)
        average = jumps - jnp.kron(identity, drift) - jnp.kron(drift.conj(), identity)
        still = jnp.diag(vec(self.turning[0])) - average
        diagonal = self.turning - unvec(jnp.diag(average))
        fastest = jnp.max(-jnp.diag(average).real)
        factors = jax.scipy.linalg.lu_factor(still + fastest / dim * jnp.outer(vec(identity), vec(identity)))
        diagonal = jnp.where(jnp.abs(diagonal) < 1e-6 * fastest, fastest, diagonal)  # the rest is left to GMRES
        first = (jnp.arange(len(self.modes)) == 0)[:, None, None]

        def apply(X: Array) -> Array:
            Y = self.harmonics(X)
            return self.sampled(jnp.where(first, unvec(jax.scipy.linalg.lu_solve(factors, vec(Y[0]))), Y / diagonal))

        probe = jnp.exp(1j * (1.0 + jnp.arange(dim**2)) ** 2) / dim
        slowest = 1 / jnp.linalg.norm(jax.scipy.linalg.lu_solve(factors, probe))
        return Inverse(apply, fastest, slowest, jnp.max(jnp.sum(jnp.abs(still), axis=1)))


def times_left(A: Complex[Array, "t d d"], X: Complex[Array, "t *n d d"]) -> Complex[Array, "t *n d d"]:
    """A(t) X(t) of many X: one product at a time t, where `@` would make one of each."""
    return jnp.einsum("tab,t...bc->t...ac", A, X)


def times_right(X: Complex[Array, "t *n d d"], A: Complex[Array, "t d d"]) -> Complex[Array, "t *n d d"]:
    """X(t) A(t)."""
    return jnp.einsum("t...ab,tbc->t...ac", X, A)


def floquet(H: Complex[Array, "t d d"], omega: Float[Array, ""]) -> Modes:
    """The modes of H(t), constants of differentiation.

    The eigenvectors of U, the propagator over the period, are those of the Hermitian part of e^{iχ}U: cos(θ_a + χ)
    coincides for two eigenvalues only where these do, or by chance."""
    H, omega = jax.lax.stop_gradient((H, omega))
    # Where samples are too few by far, exponentials overflow.
    turned = 2 * jnp.pi / (omega * len(H) * SUBSTEPS) * jnp.max(jnp.linalg.norm(H, axis=(1, 2)))
    lost = turned > OVERTURNED
    H = jnp.where(lost, 0.0, H)
    after, whole = propagators(-1j * H, omega)
    turned = jnp.exp(1j * TURN) * whole
    vectors = jnp.linalg.eigh((turned + dagger(turned)) / 2)[1]
    angles = jnp.angle(jnp.einsum("ia,ij,ja->a", vectors.conj(), whole, vectors))
    phases = jnp.exp(-1j * jnp.arange(len(H))[:, None] * angles / len(H))
    return Modes((after @ vectors) * phases[:, None, :], -angles * omega / (2 * jnp.pi), omega, ~lost)


def propagators(A: Complex[Array, "t n n"], omega: Float[Array, ""]) -> tuple[Array, Array]:
    """U(t) with dU/dt = A(t) U, U(0) = 1, at the times of the samples, and after the whole period.

    Magnus's expansion of sixth order (Blanes, Casas, Oteo and Ros, Phys. Rep. 470, 151 (2009), Eq. 253), with A between
    the samples from its harmonics."""
    count = len(A)
    dt = 2 * jnp.pi / (omega * count * SUBSTEPS)
    at = (np.arange(SUBSTEPS)[:, None] + NODES) / (SUBSTEPS * count)  # of a period, after a sample
    shift = np.exp(2j * np.pi * orders(count) * at[..., None])[..., None, None]
    first, middle, last = jnp.moveaxis(dt * jnp.fft.ifft(shift * jnp.fft.fft(A, axis=0), axis=2), 1, 0)
    a, b, c = middle, np.sqrt(15) / 3 * (last - first), 10 / 3 * (last - 2 * middle + first)
    d = _commutator(a, b)
    e = -_commutator(a, 2 * c + d) / 60
    substeps = _exponential(a + c / 12 + _commutator(-20 * a - c + d, b + e) / 240)
    steps = substeps[0]
    for step in substeps[1:]:
        steps = step @ steps
    whole, after = jax.lax.scan(lambda U, step: (step @ U, U), jnp.eye(A.shape[-1], dtype=A.dtype), steps)
    return after, whole


def _commutator(A: Array, B: Array) -> Array:
    return A @ B - B @ A


def _exponential(A: Complex[Array, "*k n n"]) -> Complex[Array, "*k n n"]:
    """e^A of small matrices by products alone: batches of factorisations stop some versions of JAX."""
    one, small = jnp.eye(A.shape[-1], dtype=A.dtype), A / 2**HALVED
    result = one + small / TERMS
    for k in range(TERMS - 1, 0, -1):
        result = one + small @ result / k
    for _ in range(HALVED):
        result = result @ result
    return result
