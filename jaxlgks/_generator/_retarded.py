"""How a dissipator follows a drive: the first order of Redfield's equation with memory.

Takes: couplings S with the exponentials of their baths, a perturbation V, a state π, all in the eigenbasis of H.
Returns: D_α⁽¹⁾(ω)π, its kernel in time, and the integral of that.

To second order in the coupling, for any H(t) = H + δ(t)V and with C(s) = Σ_j c_j e^{−ν_j s} (s > 0),

    Dρ = Λρ S† − S†Λρ + h.c.,   Λ = Σ_j Λ_j,   dΛ_j/dt = c_j S − ν_j Λ_j − i[H(t), Λ_j],

that is −[S, Λρ − ρΛ†] for Hermitian S; in a rotating frame they are not. At rest (Λ_j⁽⁰⁾)_mn = c_j S_mn/(ν_j − iω_mn).
A kick in δ(t) makes −i[V, Λ_j⁽⁰⁾] of Λ_j, which then decays and turns element by element, so that

    Λ_j⁽¹⁾(ω)_mn = (−i[V, Λ_j⁽⁰⁾])_mn / (ν_j − iω − iω_mn),        Λ_j⁽¹⁾(u)_mn = (−i[V, Λ_j⁽⁰⁾])_mn e^{−(ν_j − iω_mn)u}

for δ(t) = e^{−iωt} and a time u after the kick. No denominator vanishes, at any degeneracy or resonance. The part of V
inside a level of H moves frequencies (shift), the rest turns eigenvectors (rotation).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import dagger

DEAD = 37.0
"""After so many of the longest memories e^{−νu} is below rounding."""


class Retarded(eqx.Module):
    """D_α⁽¹⁾π of each bath with memory, in two parts, rotation and shift.

    - `frequencies`: ω_mn. `couplings`: S of each noise n. `rates`: its ν_j.
    - `kicked`: −i[V, Λ_j⁽⁰⁾] for the part of V between levels, and inside them. `state`: π.
    - `owners`: the bath that each noise belongs to.
    """

    frequencies: Float[Array, "d d"]
    couplings: Complex[Array, "n d d"]
    rates: Complex[Array, "n j"]
    kicked: Complex[Array, "2 n j d d"]
    state: Complex[Array, "d d"]
    owners: tuple[int, ...] = eqx.field(static=True)

    def at(self, omega: Array) -> Complex[Array, "2 baths d d"]:
        """For δ(t) = e^{−iωt}, with Λ⁽¹⁾(ω) on the left of π and Λ⁽¹⁾(−ω)† on the right."""
        S, left = self.couplings, self._kernel(omega) @ self.state
        right = self.state @ dagger(self._kernel(-omega))
        return self._by_bath(left @ dagger(S) - dagger(S) @ left + S @ right - right @ S)

    def after(self, u: Array) -> Complex[Array, "2 baths d d"]:
        """A time u after a kick."""
        decayed = jnp.einsum("pnjab,nj->pnab", self.kicked, jnp.exp(-self.rates * u))
        return self._hermitian(decayed * jnp.exp(1j * self.frequencies * u))

    def until(self, u: Array) -> Complex[Array, "2 baths d d"]:
        """∫₀ᵘ of `after`."""
        z = self._poles
        return self._hermitian(jnp.einsum("pnjab,njab->pnab", self.kicked, -jnp.expm1(-z * u) / z))

    @property
    def memory(self) -> Float[Array, ""]:
        """The time after which nothing is left."""
        return DEAD / jnp.min(self.rates.real)

    @property
    def size(self) -> Float[Array, ""]:
        """A bound of the elements of ∫₀^∞ of `after`, up to a factor of the order of one."""
        kernel = jnp.sum(jnp.abs(self.kicked) / self.rates.real[:, :, None, None], axis=(0, 1, 2))
        return jnp.max(jnp.abs(self.couplings)) * jnp.max(kernel)

    @property
    def _poles(self) -> Complex[Array, "n j d d"]:
        return self.rates[:, :, None, None] - 1j * self.frequencies

    def _kernel(self, omega: Array) -> Complex[Array, "2 n d d"]:
        return jnp.einsum("pnjab,njab->pnab", self.kicked, 1 / (self._poles - 1j * omega))

    def _hermitian(self, kernel: Complex[Array, "2 n d d"]) -> Complex[Array, "2 baths d d"]:
        """Λπ S† − S†Λπ + h.c."""
        moved, S = kernel @ self.state, dagger(self.couplings)
        half = moved @ S - S @ moved
        return self._by_bath(half + dagger(half))

    def _by_bath(self, each: Complex[Array, "2 n d d"]) -> Complex[Array, "2 baths d d"]:
        belongs = jnp.arange(max(self.owners) + 1)[:, None] == jnp.asarray(self.owners)
        return jnp.einsum("bn,pnij->pbij", belongs.astype(each.dtype), each)


def retarded(
    frequencies: Float[Array, "d d"],
    couplings: Complex[Array, "n d d"],
    exponentials: tuple[Complex[Array, "n j"], Complex[Array, "n j"]],
    V: tuple[Complex[Array, "d d"], Complex[Array, "d d"]],
    state: Complex[Array, "d d"],
    owners: tuple[int, ...],
) -> Retarded:
    """From coefficients c and rates ν of each noise, and V between levels and inside them."""
    c, rates = exponentials
    at_rest = c[:, :, None, None] * couplings[:, None] / (rates[:, :, None, None] - 1j * frequencies)
    kicked = jnp.stack([-1j * (W @ at_rest - at_rest @ W) for W in V])
    return Retarded(frequencies, couplings, rates, kicked, state, owners)
