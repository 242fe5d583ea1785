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

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from .._bohr import dagger


class Missing(eqx.Module):
    """N of one bath or several, X ↦ Σ_j s_j L_j X R_j† − K X + h.c. of Hermitian X, between elements whose frequencies
    lie apart by more than `gap`; with `labels` without the jumps m → p, n → q of one group, which a secular equation
    has itself."""

    frequencies: Float[Array, "d d"]
    left: Complex[Array, "j d d"]
    right: Complex[Array, "j d d"]
    drift: Complex[Array, "d d"]
    gap: Float[Array, ""]
    labels: Int[Array, "d d"] | None
    signs: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
        """N X."""
        drift: Array = jnp.where(jnp.abs(self.frequencies) > self.gap, self.drift, 0.0)
        half = self._jumps(X, divided=False) - drift @ X
        return half + dagger(half)

    def divided(self, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
        """M X."""
        apart = jnp.abs(self.frequencies) > self.gap
        drift: Array = jnp.where(apart, self.drift / jnp.where(apart, self.frequencies, 1.0), 0.0)
        half = -1j * (self._jumps(X, divided=True) - drift @ X)
        return half + dagger(half)

    @property
    def adjoint(self) -> "Missing":
        """Tr[A N(X)] = Tr[N‡(A) X], and M likewise: jumps and transitions the other way round."""
        labels = None if self.labels is None else self.labels.T
        turned = dagger(self.left), dagger(self.right), dagger(self.drift)
        return Missing(self.frequencies, *turned, self.gap, labels, self.signs)

    def _jumps(self, X: Complex[Array, "k d d"], *, divided: bool) -> Complex[Array, "k d d"]:
        """Σ_j s_j Σ_mn L_pm X_mn R*_qn, where divided over ω_pq − ω_mn, which is ω_pm − ω_qn. For one m after the
        other, as products of real matrices (p, n) for each q: d⁴ elements, which nobody keeps."""
        omega, stack = self.frequencies, (len(self.left), len(X))
        left = jnp.asarray(self.signs, X.dtype)[:, None, None] * self.left

        @jax.checkpoint
        def add(total: Array, m: Array) -> tuple[Array, None]:
            apart = omega[:, m][None, :, None] - omega[:, None, :]  # [q, p, n]
            kept = jnp.abs(apart) > self.gap
            if self.labels is not None:
                kept &= self.labels[:, m][None, :, None] != self.labels[:, None, :]
            weight = jnp.where(kept, 1 / jnp.where(kept, apart, 1.0) if divided else 1.0, 0.0).astype(omega.dtype)
            each = jnp.einsum("jqn,kn->qnjk", self.right.conj(), X[:, m]).reshape(*omega.shape, -1)
            parts = weight @ jnp.concatenate([each.real, each.imag], axis=-1)
            each = jax.lax.complex(*jnp.split(parts, 2, axis=-1)).reshape(*omega.shape, *stack)
            return total + jnp.einsum("jp,qpjk->kpq", left[:, :, m], each), None

        return jax.lax.scan(add, jnp.zeros_like(X), jnp.arange(X.shape[-1]))[0]


def combined_missing(each: Sequence[Missing]) -> Missing:
    """N of several baths."""
    first = each[0]
    left, right = jnp.concatenate([one.left for one in each]), jnp.concatenate([one.right for one in each])
    drift = jnp.sum(jnp.stack([one.drift for one in each]), axis=0)
    return Missing(first.frequencies, left, right, drift, first.gap, first.labels, sum((one.signs for one in each), ()))


class Dressing(eqx.Module):
    """M of all baths, and what it makes of the heat of each. `dissipators`: D_α of the equation."""

    missing: tuple[Missing, ...]
    dissipators: tuple

    def changes(
        self, states: Complex[Array, "k d d"], X: Complex[Array, "d d"]
    ) -> tuple[Complex[Array, "k d d"], Complex[Array, "baths d d"]]:
        """M of states, and N_α X + [D_α, M] X, whose sum is [L₀, M] X: energy is then balanced to the last digit."""
        each = jnp.stack([D(X) for D in self.dissipators])
        M = combined_missing(self.missing).divided(jnp.concatenate([X[None], each, states]))
        MX, MD, rest = M[0], M[1 : 1 + len(each)], M[1 + len(each) :]
        pairs = zip(self.missing, self.dissipators, strict=True)
        return rest, jnp.stack([N(X[None])[0] + D(MX) for N, D in pairs]) - MD

    def adjoint_changes(
        self, rows: Complex[Array, "a d d"], A: Complex[Array, "a baths d d"]
    ) -> tuple[Complex[Array, "a d d"], Complex[Array, "a d d"]]:
        """B with Tr[A M(X)] = Tr[B X] of rows, and with Σ_α Tr[A_α Y_α] = Tr[B X], Y_α the second of `changes`."""
        count, baths, *shape = A.shape
        D = [jax.vmap(one.adjoint) for one in self.dissipators]
        back = jnp.sum(jnp.stack([D[b](A[:, b]) for b in range(baths)]), axis=0)
        M = combined_missing(self.missing).adjoint.divided(jnp.concatenate([rows, back, A.reshape(-1, *shape)]))
        MA = M[2 * count :].reshape(A.shape)
        each = [N.adjoint(A[:, b]) - D[b](MA[:, b]) for b, N in enumerate(self.missing)]
        return M[:count], jnp.sum(jnp.stack(each), axis=0) + M[count : 2 * count]
