"""How a dissipator follows a drive: the first order of Redfield's equation with memory.

Takes: couplings S with the exponentials of their baths, a perturbation V, a state π, all in the eigenbasis of H.
Returns: D_α⁽¹⁾(ω)π, its kernel in time, and what is left of its integral.

To second order in the coupling, for any H(t) = H + δ(t)V and with C(s) = Σ_j c_j e^{−ν_j s} (s > 0),

    Dρ = Λρ S† − S†Λρ + h.c.,   Λ = Σ_j Λ_j,   dΛ_j/dt = c_j S − ν_j Λ_j − i[H(t), Λ_j],

that is −[S, Λρ − ρΛ†] for Hermitian S; in a rotating frame they are not. At rest (Λ_j⁽⁰⁾)_mn = c_j S_mn/(ν_j − iω_mn).
A kick in δ(t) makes −i[V, Λ_j⁽⁰⁾] of Λ_j, which then decays and turns element by element, so that

    Λ_j⁽¹⁾(ω)_mn = (−i[V, Λ_j⁽⁰⁾])_mn / (ν_j − iω − iω_mn),        Λ_j⁽¹⁾(u)_mn = (−i[V, Λ_j⁽⁰⁾])_mn e^{−(ν_j − iω_mn)u}

for δ(t) = e^{−iωt} and a time u after the kick. No denominator vanishes, at any degeneracy or resonance. The part of V
inside a level of H moves frequencies (shift), the rest turns eigenvectors (rotation).

Derivatives in H are those of (z − iΩ_H)⁻¹ and e^{iΩ_H u}, Ω_H[X] = XH − HX, exact where levels coincide (`divided`,
`turned`).
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._bohr import Structure, dagger, kept_if, reciprocal
from ..errors import DerivativeOrderError

DEAD = 37.0
"""After so many of the longest memories e^{−νu} is below rounding."""


class Retarded(eqx.Module):
    """D_α⁽¹⁾π of each bath with memory, for parts p of V: that between levels, rotation, and inside them, shift.

    - `hamiltonian`: H, in value diag(E). `energies`: E. `couplings`: S of each noise n. `rates`: its ν_j.
    - `at_rest`: Λ⁽⁰⁾ of each noise. `kicked`: −i[V, Λ_j⁽⁰⁾] for each part.
    - `state`: π.
    - `owners`: the bath that each noise belongs to.
    """

    hamiltonian: Complex[Array, "d d"]
    energies: Float[Array, " d"]
    couplings: Complex[Array, "n d d"]
    rates: Complex[Array, "n j"]
    at_rest: Complex[Array, "n d d"]
    kicked: Complex[Array, "p n j d d"]
    state: Complex[Array, "d d"]
    owners: tuple[int, ...] = eqx.field(static=True)

    @property
    def frequencies(self) -> Float[Array, "d d"]:
        """ω_mn = E_n − E_m."""
        return _frequencies(self.energies)

    def at(self, omega: Array) -> Complex[Array, "p baths d d"]:
        """For δ(t) = e^{−iωt}, with Λ⁽¹⁾(ω) on the left of π and Λ⁽¹⁾(−ω)† on the right."""
        return self.on_left(omega) + dagger(self.on_left(-omega))

    def on_left(self, omega: Array) -> Complex[Array, "p baths d d"]:
        """What stands on the left of π alone, −[S†, Λ⁽¹⁾(ω)π]."""
        left, S = self.kernel(omega) @ self.state, dagger(self.couplings)
        return self.by_bath(left @ S - S @ left)

    def after(self, us: Float[Array, " u"]) -> Complex[Array, "u p baths d d"]:
        """Times u after a kick."""
        moved, S = self.kernel_after(us) @ self.state, dagger(self.couplings)
        half = moved @ S - S @ moved
        return self.by_bath(half + dagger(half))

    def kernel_after(self, us: Float[Array, " u"]) -> Complex[Array, "u p n d d"]:
        """Λ⁽¹⁾(u) of each noise."""
        decay = jnp.exp(-self.rates * us[:, None, None])
        kernel = jnp.einsum("pnjab,unj->upnab", self.kicked, decay)
        return turned(self.hamiltonian, self.energies, kernel, us)

    def left(self) -> "Retarded":
        """Its `after` is ∫_u^∞ of that of this one."""
        return eqx.tree_at(lambda r: r.kicked, self, self._divided(jnp.zeros(())))

    def slope(self) -> "Retarded":
        """Its `after` is d/du of that of this one."""
        decay, X = self.rates[:, :, None, None] * self.kicked, self.kicked
        return eqx.tree_at(lambda r: r.kicked, self, 1j * (X @ self.hamiltonian - self.hamiltonian @ X) - decay)

    @property
    def memory(self) -> Float[Array, ""]:
        """The time after which nothing is left."""
        return DEAD / jnp.min(self.rates.real)

    def kernel(self, omega: Array) -> Complex[Array, "p n d d"]:
        """Λ⁽¹⁾(ω) of each noise."""
        return jnp.sum(self._divided(omega), axis=2)

    def _divided(self, omega: Array) -> Complex[Array, "p n j d d"]:
        return divided(self.hamiltonian, self.energies, self.rates - 1j * omega, self.kicked)

    def by_bath(self, each: Complex[Array, "*_ n d d"]) -> Complex[Array, "*_ baths d d"]:
        belongs = jnp.arange(max(self.owners) + 1)[:, None] == jnp.asarray(self.owners)
        return jnp.einsum("bn,...nij->...bij", belongs.astype(each.dtype), each)


def retarded(
    structure: Structure,
    couplings: Complex[Array, "n d d"],
    exponentials: tuple[Complex[Array, "n j"], Complex[Array, "n j"]],
    V: Complex[Array, "p d d"],
    state: Complex[Array, "d d"],
    owners: tuple[int, ...],
) -> Retarded:
    """From coefficients c and rates ν of each noise, and V in parts."""
    (c, rates), energies = exponentials, structure.energies
    H = structure.to_eigenbasis(structure.hamiltonian).astype(couplings.dtype)
    at_rest = divided(H, energies, rates, c[:, :, None, None] * couplings[:, None])
    kicked = jnp.stack([-1j * (W @ at_rest - at_rest @ W) for W in V])
    return Retarded(H, energies, couplings, rates, jnp.sum(at_rest, axis=1), kicked, state, owners)


def divided(
    H: Complex[Array, "d d"], energies: Float[Array, " d"], z: Complex[Array, "n j"], X: Complex[Array, "*_ n j d d"]
) -> Complex[Array, "*_ n j d d"]:
    """(z − iΩ_H)⁻¹ X, X_mn/(z − iω_mn) where H is diag(E). As a linear system, whose derivatives in H follow from

        (z − iΩ_H) dY = dX − dz Y + i (Y dH − dH Y),

    to any order and at any degeneracy."""

    kind = jnp.result_type(H, z, X)  # frequencies can have more digits than a system
    H, z, X = H.astype(kind), z.astype(kind), X.astype(kind)

    def system(Y: Array) -> Array:
        return z[:, :, None, None] * Y - 1j * (Y @ H - H @ Y)

    inverse = reciprocal(jax.lax.stop_gradient(z)[:, :, None, None] - 1j * _frequencies(energies))

    def solve(_, Y: Array) -> Array:
        return inverse * Y

    return jax.lax.custom_linear_solve(system, X, solve, solve)


def turned(
    H: Complex[Array, "d d"], energies: Float[Array, " d"], X: Complex[Array, "u *_ d d"], us: Float[Array, " u"]
) -> Complex[Array, "u *_ d d"]:
    """e^{iΩ_H u} X = e^{−iHu} X e^{iHu}, X_mn e^{iω_mn u} where H is diag(E), at each u. For H + h the first change is

        [G, e^{iΩ_H u} X],     G = −i ∫₀ᵘ e^{−iHr} h e^{iHr} dr,

    here of a zero that has the tangent of H: ordinary operations on purpose (see `bohr_filter`).

    **Raises:** `DerivativeOrderError` on a second derivative in H."""

    def change(zero: Array, Y: Array, us: Array) -> Array:
        half = _frequencies(energies) * us[:, None, None] / 2
        G = _over(-1j * us[:, None, None] * jnp.exp(1j * half) * jnp.sinc(half / jnp.pi) * zero, Y)
        return G @ Y - Y @ G

    Y = X * _over(jnp.exp(1j * _frequencies(energies) * us[:, None, None]), X)
    zero, once = _zero(H, 0)
    return Y + kept_if(once, change, zero, Y, us)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _zero(H: Array, order: int) -> tuple[Array, Array]:
    """Zero, with the tangent of H (order 0), and whether it has been taken; its slope is one (order 1)."""
    return (jnp.ones_like(H), jnp.asarray(True)) if order else (jnp.zeros_like(H), jnp.asarray(False))


@_zero.defjvp
def _zero_jvp(order, primals, tangents):
    if order:
        raise DerivativeOrderError(
            "The second derivative in the Hamiltonian of a response in time with the memory of its baths was asked "
            "for; the first is known, and at frequencies the second. Derivatives in temperatures, coupling strengths "
            "and coupling operators may be taken in any number."
        )
    (H,), (dH,) = primals, tangents
    zero = jnp.zeros_like(H), jnp.asarray(True)
    return zero, (_zero(H, 1)[0] * dH, np.zeros((), jax.dtypes.float0))


def _frequencies(energies: Float[Array, " d"]) -> Float[Array, "d d"]:
    return energies[None, :] - energies[:, None]


def _over(each: Complex[Array, "u d d"], X: Complex[Array, "u *_ d d"]) -> Complex[Array, "u *_ d d"]:
    return each.reshape(len(each), *[1] * (X.ndim - 3), *each.shape[1:])
