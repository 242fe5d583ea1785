"""A driven system whose baths remember, as one equation: the second route to responses in time and frequency.

Takes: a system of matrices with an equation exact to second order, a perturbation V, the exponentials of its baths.
Returns: a quantity as a function of the strength δ of the drive, for a drive at one frequency by harmonic balance, or
after V was switched on by integration. Whoever differentiates it at δ = 0 has the linear response.

The equation is that of `Retarded`, at any strength and with no eigenbasis of H: with H(t) = H + δf(t)V

    dρ/dt = −i[H(t), ρ] + Σ_n (Λρ S† − S†Λρ + h.c.),   Λ = Σ_j Λ_j,   dΛ_j/dt = c_j S − ν_j Λ_j − i[H(t), Λ_j].

What the exponentials miss of the equation's own dissipators at rest, R(δ) = D_equation(H + δV) − D_exponentials(H +
δV), follows the drive as dR/dt = Γ(R(δf) − R) to first order in δ, with Γ above all decay rates. It is zero up to
their error.

Matrices are stacked by columns, vec(AXB) = (Bᵀ ⊗ A) vec(X).
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._bohr import dagger, traceless
from .._entropy import entropy
from .._equations import AbstractEquation, Dissipation, dissipation, relaxation_rate
from ..errors import InputError
from ._base import AbstractMoment
from ._liouvillian import commutator_matrix, unvec, vec
from ._remembering import ABOVE, Exponentials

HARMONICS = np.arange(-1, 2)
"""Those that a drive reaches to first order: e^{−inωt}."""
NEIGHBOURS = np.eye(3, k=-1) + np.eye(3, k=1)
SAMPLES = 8
"""Times in a period: a product of three such harmonics has up to seven, and the first is not mistaken for another."""


class Moment(AbstractMoment):
    """H at one time, and D_α as matrices, in the basis in which H is given."""

    hamiltonian: Complex[Array, "d d"]
    baths: Complex[Array, "baths m m"]
    bath_temperatures: Float[Array, " baths"]

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        return self.bath_temperatures

    @property
    def energy(self) -> Complex[Array, "d d"]:
        return self.hamiltonian

    def observable(self, A: Array) -> Array:
        return A

    def average(self, A: Array, X: Array) -> Array:
        return jnp.einsum("...ij,ji->...", A, X)

    def currents(self, X: Array) -> Array:
        flows = jax.vmap(unvec)(self.baths @ vec(X))
        return jnp.einsum("ij,bji->b", self.energy, flows).real

    def entropy(self, X: Array) -> Array:
        return entropy(X)


class AbstractDriven(eqx.Module):
    """The equation of a driven system: a quantity as a function of the strength δ of the drive."""

    @property
    @abc.abstractmethod
    def size(self) -> Float[Array, ""]:
        """Of V."""

    @abc.abstractmethod
    def at_frequency(self, delta: Array, omega: Array, quantity: Any) -> Array:
        """The coefficient of e^{−iωt} of a quantity under the drive δ(e^{−iωt} + e^{iωt})V, harmonics above the first
        left out: right to first order in δ."""

    @abc.abstractmethod
    def after(self, t: Array, delta: Array, quantity: Any) -> tuple[Array, Array]:
        """A quantity a time t after V was switched on with strength δ, and its derivative in δ, which is carried along
        so that steps follow both."""


class Driven(AbstractDriven):
    """The equation; `exponentials`: c and ν of each noise, [n, j]."""

    resolved: Dissipation
    V: Complex[Array, "d d"]
    exponentials: Exponentials

    @property
    def size(self) -> Float[Array, ""]:
        return jnp.linalg.norm(self.V)

    def at_frequency(self, delta: Array, omega: Array, quantity: Any) -> Array:
        own, drive = commutator_matrix(self._hamiltonian(0.0)), commutator_matrix(delta * self.V)
        balance = jnp.kron(jnp.eye(3), own) + jnp.kron(NEIGHBOURS, drive)
        balance = balance + 1j * omega * jnp.kron(jnp.diag(HARMONICS), jnp.eye(len(own)))
        kernels = jnp.moveaxis(jnp.sum(self._terms(balance), axis=1), 1, 0)
        still, moved = self._missed(0.0), self._missed(delta)
        follow = jnp.where(HARMONICS == 0, 0.0, self._decay / (self._decay - 1j * omega * HARMONICS))
        baths = self._dissipators(kernels, kernels[::-1]) + follow[:, None, None, None] * (moved - still)
        baths = baths.at[1].add(still)
        total = jnp.sum(baths, axis=1)
        coupled = sum(jnp.kron(np.eye(3, k=-n), total[1 + n]) for n in (-1, 0, 1))
        states = _at_rest(balance + coupled, self.resolved.system.dim)

        def value(angle: Array) -> Array:
            turned = jnp.exp(-1j * HARMONICS * angle)
            energy = self._energy(2 * delta * jnp.cos(angle))
            moment = Moment(energy, jnp.tensordot(turned, baths, 1), self.resolved.system.temperatures)
            return quantity.value(moment, jnp.tensordot(turned, states, 1))

        return first_harmonic(value)

    def after(self, t: Array, delta: Array, quantity: Any) -> tuple[Array, Array]:
        unit = 1 / jnp.max(jnp.abs(self.V))  # a tangent of the order of one
        switched, change = jax.jvp(self._switched, (delta,), (unit,))

        rho = _at_rest(commutator_matrix(self._hamiltonian(0.0)) + jnp.sum(self._own(0.0), axis=0), len(self.V))[0]
        start = tuple(jnp.stack([x.real, x.imag]) for x in (rho, jnp.eye(len(rho), dtype=rho.dtype)))
        y, tangent = followed(switched, change, start, t)

        def value(y: Any, switched: Switched, delta: Array) -> Array:
            rho, U = (part[0] + 1j * part[1] for part in y)
            moment = Moment(self._energy(delta), switched.baths(t, U), self.resolved.system.temperatures)
            return quantity.value(moment, rho)

        found, slope = jax.jvp(value, (y, switched, delta), (tangent, change, unit))
        return found, slope / unit

    def _switched(self, delta: Array) -> "Switched":
        new, old = (self._terms(commutator_matrix(self._hamiltonian(x)))[:, :, 0] for x in (delta, 0.0))
        still, moved = self._missed(0.0), self._missed(delta)
        return Switched(self, self._hamiltonian(delta), new, old - new, still, moved - still)

    def _hamiltonian(self, delta: Array | float) -> Complex[Array, "d d"]:
        return traceless(self.resolved.system.hamiltonian) + delta * self.V

    def _energy(self, delta: Array) -> Complex[Array, "d d"]:
        given = self.resolved.system.energy
        return self._hamiltonian(delta) if given is None else given

    @property
    def _decay(self) -> Float[Array, ""]:
        return ABOVE * relaxation_rate(self.resolved.structure, self.resolved.system)

    def _terms(self, balance: Complex[Array, "m m"]) -> Complex[Array, "n j k d d"]:
        """Λ_jn at rest, from (ν_j − inω)Λ_jn + i[H, Λ_jn] + iδ[V, Λ_j,n−1 + Λ_j,n+1] = c_j S δ_n0, or of n = 0 alone.
        One linear system after the other: batches of them stop some versions of JAX."""
        dim, identity = len(self.V), jnp.eye(len(balance), dtype=balance.dtype)
        count = len(balance) // dim**2

        def of_noise(noise: tuple[Array, Array, Array]) -> Array:
            S, c, rates = noise
            source = jnp.zeros((count, dim**2), balance.dtype).at[count // 2].set(vec(S)).reshape(-1)
            found = jax.lax.map(lambda j: j[0] * jnp.linalg.solve(j[1] * identity - balance, source), (c, rates))
            return jax.vmap(unvec)(found.reshape(-1, dim**2)).reshape(-1, count, dim, dim)

        couplings = jnp.stack([noise.coupling for noise in self.resolved.noises]).astype(balance.dtype)
        return jax.lax.map(of_noise, (couplings, *self.exponentials))

    def _own(self, delta: Array | float) -> Complex[Array, "baths m m"]:
        """The equation's dissipators of H + δV."""
        resolved = dissipation(self.resolved.system.perturbed(self.V, delta), self.resolved.equation)
        return jnp.stack([D.matrix() for D in resolved.dissipators()])

    def _missed(self, delta: Array | float) -> Complex[Array, "baths m m"]:
        """R(δ)."""
        kernel = jnp.sum(self._terms(commutator_matrix(self._hamiltonian(delta)))[:, :, 0], axis=1)
        return self._own(delta) - self._dissipators(kernel, kernel)

    def _dissipators(self, kernel: Array, partner: Array) -> Complex[Array, "*k baths m m"]:
        """ρ ↦ Λρ S† − S†Λρ + Sρ Λ'† − ρ Λ'†S of each bath for Λ = `kernel`, Λ' = `partner`, [*k, n, d, d]."""
        each = []
        for n, noise in enumerate(self.resolved.noises):
            S, L, P = noise.coupling, kernel[..., n, :, :], partner[..., n, :, :].conj().swapaxes(-1, -2)
            each.append(_both_sides(L, dagger(S)) - _left(dagger(S) @ L) + _both_sides(S, P) - _right(P @ S))
        owners = [b for b, bath in enumerate(self.resolved.system.baths) for _ in bath.noises]
        baths = range(len(self.resolved.system.baths))
        return jnp.stack([sum(x for x, b in zip(each, owners, strict=True) if b == bath) for bath in baths], axis=-3)


class Switched(eqx.Module):
    """The equation after V was switched on: each Λ_j goes from its old value at rest towards its `new` one as
    e^{−ν_j u}, turned by U = e^{−iHu}. `left`: old − new. `still`, `follows`: R(0), R(δ) − R(0)."""

    driven: Driven
    hamiltonian: Complex[Array, "d d"]
    new: Complex[Array, "n j d d"]
    left: Complex[Array, "n j d d"]
    still: Complex[Array, "baths m m"]
    follows: Complex[Array, "baths m m"]

    def baths(self, u: Array, U: Array) -> Complex[Array, "baths m m"]:
        left = jnp.einsum("nj,njab->nab", jnp.exp(-self.driven.exponentials[1] * u), self.left)
        kernel = jnp.sum(self.new, axis=1) + U @ left @ dagger(U)
        remainder = self.still - jnp.expm1(-self.driven._decay * u) * self.follows
        return self.driven._dissipators(kernel, kernel) + remainder

    def slope(self, u: Array, y: Any) -> Any:
        """d(ρ, U)/du, each in its real and imaginary part."""
        rho, U = (part[0] + 1j * part[1] for part in y)
        L = commutator_matrix(self.hamiltonian) + jnp.sum(self.baths(u, U), axis=0)
        changes = unvec(L @ vec(rho)), -1j * self.hamiltonian @ U
        return tuple(jnp.stack([x.real, x.imag]) for x in changes)


def require_driven(equation: AbstractEquation) -> None:
    """Raise for an equation that is not exact to second order under a drive."""
    if not equation.second_order:
        raise InputError(
            f"{type(equation).__name__} is derived for a Hamiltonian at rest and has no driven equation to be "
            "differentiated: its response in time and frequency takes the memory of its baths from "
            "Redfield(lamb_shift=True), which has one. Ask for that, or for the static response."
        )


def first_harmonic(value: Callable[[Array], Array]) -> Array:
    """The coefficient of e^{−iθ} of a function of the phase θ of a drive."""
    angles = 2 * jnp.pi * jnp.arange(SAMPLES) / SAMPLES
    return jnp.tensordot(jnp.exp(1j * angles), jax.lax.map(value, angles), 1) / SAMPLES


def followed(switched: Any, change: Any, start: Any, t: Array) -> tuple[Any, Any]:
    """y(t) with dy/du = switched.slope(u, y) from `start`, and its derivative along a change of the equation."""
    import diffrax  # a third of the time of importing jaxlgks

    def field(u: Array, y: Any, _: Any) -> Any:
        return jax.jvp(lambda y, s: s.slope(u, y), (y[0], switched), (y[1], change))

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),  # pyright: ignore[reportArgumentType]
        diffrax.Dopri8(),
        t0=jnp.zeros_like(t),
        t1=t,
        dt0=None,
        y0=(start, jax.tree.map(jnp.zeros_like, start)),
        stepsize_controller=diffrax.PIDController(rtol=1e-11, atol=1e-14),
        max_steps=1_000_000,
    )
    assert solution.ys is not None
    return jax.tree.map(lambda x: x[0], solution.ys)


def _at_rest(L: Complex[Array, "m m"], dim: int) -> Complex[Array, "k d d"]:
    """X_n with Σ_m L_nm X_m = 0 and Tr X_0 = 1."""
    count = len(L) // dim**2
    row = (count // 2) * dim**2
    trace = jnp.zeros(len(L), L.dtype).at[row : row + dim**2].set(vec(jnp.eye(dim, dtype=L.dtype)))
    found = jnp.linalg.solve(L.at[row].set(trace), jnp.zeros(len(L), L.dtype).at[row].set(1))
    return jax.vmap(unvec)(found.reshape(count, -1))


def _both_sides(A: Array, B: Array) -> Array:
    """ρ ↦ AρB."""
    shape = (*jnp.broadcast_shapes(A.shape[:-2], B.shape[:-2]), A.shape[-1] ** 2, A.shape[-1] ** 2)
    return jnp.einsum("...ij,...kl->...likj", A, B).reshape(shape)


def _left(A: Array) -> Array:
    return _both_sides(A, jnp.eye(A.shape[-1], dtype=A.dtype))


def _right(B: Array) -> Array:
    return _both_sides(jnp.eye(B.shape[-1], dtype=B.dtype), B)
