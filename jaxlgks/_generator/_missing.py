"""What an equation that averages over fast oscillations leaves out, put back to first order.

Takes: Redfield's operators S and Λ = G(Ω)[S] of a bath, with the complex G, and an equation's own. Returns: the part N
of Redfield's dissipator that the equation lacks and that joins elements ρ_mn, ρ_pq of different frequency, and

    M_{pq,mn} = N_{pq,mn} / (i(ω_pq − ω_mn)),         [L_H, M] = N,     L_H = −i[H, ·].

With L₀ = L_H + D of the equation, e^{(L₀+N)t} = (1 − M) e^{L₀t} (1 + M) up to the square of the coupling. A secular
equation sees populations only where the true state has their shadow in coherences, (1 − M)π₀; and what a drive makes of
coherences, −i[V, π₀], reaches populations through N. At ω = 0 that is contained in the rotation of the eigenvectors; at
a finite frequency it is not.

(`UniversalLindblad(frame="system")` has the same M for its own equation, with the elements of equal frequency, which
depend on where in time its jumps are put.)
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from .._bohr import dagger


class Missing(eqx.Module):
    """N of one bath, X ↦ Σ_j s_j L_j X R_j† − K X − X K† between elements whose frequencies lie apart by more than
    `gap`; with `labels` without the jumps m → p, n → q of one group, which a secular equation has itself."""

    frequencies: Float[Array, "d d"]
    left: Complex[Array, "j d d"]
    right: Complex[Array, "j d d"]
    drift: Complex[Array, "d d"]
    gap: Float[Array, ""]
    labels: Int[Array, "d d"] | None
    signs: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, X: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """N X."""
        return self._weighted(X, _one)

    def divided(self, X: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """M X."""
        return self._weighted(X, _inverse)

    @property
    def adjoint(self) -> "Missing":
        """Tr[A N(X)] = Tr[N‡(A) X], and M likewise: jumps and transitions the other way round."""
        labels = None if self.labels is None else self.labels.T
        turned = dagger(self.right), dagger(self.left), dagger(self.drift)
        return Missing(self.frequencies, *turned, self.gap, labels, self.signs)

    def _weighted(self, X: Array, weight: Callable[[Array], Array]) -> Array:
        """ω_pq − ω_mn is ω_pm − ω_qn for a jump, ω_pm for K X."""
        omega, signs = self.frequencies, jnp.asarray(self.signs, X.dtype)
        drift: Array = jnp.where(jnp.abs(omega) > self.gap, self.drift * weight(omega), 0.0)

        def row(p: Array) -> Array:
            apart = omega[p][:, None, None] - omega  # [m, q, n]
            kept = jnp.abs(apart) > self.gap
            if self.labels is not None:
                kept &= self.labels[p][:, None, None] != self.labels
            jumps = jnp.einsum("j,jm,jqn->mqn", signs, self.left[:, p], self.right.conj())
            return jnp.einsum("mqn,mn->q", jnp.where(kept, weight(apart) * jumps, 0.0), X)

        jumps = jax.lax.map(row, jnp.arange(X.shape[-1]))
        return jumps - drift @ X - X @ drift.conj().T


def _one(x: Float[Array, "..."]) -> Complex[Array, "..."]:
    return jax.lax.complex(jnp.ones_like(x), jnp.zeros_like(x))


def _inverse(x: Float[Array, "..."]) -> Complex[Array, "..."]:
    """1/(ix); zero in the place of infinity."""
    safe: Array = jnp.where(x == 0, jnp.inf, x)
    return jax.lax.complex(jnp.zeros_like(x), -1 / safe)


class Dressing(eqx.Module):
    """M of all baths, and what it makes of the heat of each."""

    missing: tuple[Missing, ...]

    def __call__(self, X: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """M X."""
        return sum((one.divided(X) for one in self.missing), jnp.zeros_like(X))

    def by_bath(self, X: Complex[Array, "d d"], dissipators) -> Complex[Array, "baths d d"]:
        """N_α X + [D_α, M] X, whose sum is [L₀, M] X: energy is then balanced to the last digit."""
        MX = self(X)
        return jnp.stack([N(X) + D(MX) - self(D(X)) for N, D in zip(self.missing, dissipators, strict=True)])

    def adjoint(self, A: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """B with Tr[A M(X)] = Tr[B X]."""
        return sum((one.adjoint.divided(A) for one in self.missing), jnp.zeros_like(A))

    def adjoint_by_bath(self, A: Complex[Array, "baths d d"], dissipators) -> Complex[Array, "d d"]:
        """B with Σ_α Tr[A_α Y_α] = Tr[B X], Y_α those of `by_bath`."""
        each = list(zip(self.missing, dissipators, A, strict=True))
        rows = sum((N.adjoint(a) - D.adjoint(self.adjoint(a)) for N, D, a in each), jnp.zeros_like(A[0]))
        return rows + self.adjoint(sum((D.adjoint(a) for _, D, a in each), jnp.zeros_like(A[0])))
