"""Driven oscillators whose baths remember, as one equation of their moments: the second route to responses in time and
frequency. What for: `_generator/_driven.py`.

Takes: a model with an equation exact to second order, V of degree two at most, the exponentials of its baths. Returns:
a quantity as a function of the strength of the drive.

With r = (R, 1), [r_a, r_b] = iΩ_ab, H(t) = ½ rᵀh(t)r, S = sᵀr and Λ_j = λ_jᵀr the state stays Gaussian, and its second
moments Y = ½⟨{r, rᵀ}⟩, which hold the means in their last column, obey linear equations,

    dλ_j/dt = c_j s − ν_j λ_j − (Ωh)ᵀ λ_j,     dY/dt = A Y + Y Aᵀ + N,     A = Ωh + Σ 2σ Im λᵀ,     σ = Ωs,
    N = Σ σ (Ω Re λ)ᵀ + transpose,

since D†X = [S, X]Λ + h.c. for Hermitian X, with [S, r] = −iσ. No normal modes, no first-order formula.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from .._equations import AbstractEquation
from .._generator import (
    ABOVE,
    HARMONICS,
    NEIGHBOURS,
    AbstractDriven,
    AbstractMoment,
    Exponentials,
    first_harmonic,
    followed,
)
from .._polynomials import Polynomial
from ._dynamics import coupling_form, damping_rates, dynamics, one_noise_each
from ._model import QuasiFree, linear_part, quadratic_part, symplectic
from ._modes import normal_modes
from ._state import GaussianState, expectation

Flows = tuple[Array, Array]
"""A and N of each bath."""


class Moment(AbstractMoment):
    """H at one time as ½ rᵀhr, and the flows of the baths."""

    form: Float[Array, "m m"]
    flows: Flows
    bath_temperatures: Float[Array, " baths"]

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        return self.bath_temperatures

    @property
    def energy(self) -> Float[Array, "m m"]:
        return self.form

    def observable(self, A: Any) -> Any:
        return A

    def average(self, A: Any, X: Float[Array, "m m"]) -> Array:
        state = _gaussian(X)
        return jnp.stack([expectation(one, state) for one in A]) if isinstance(A, tuple) else expectation(A, state)

    def currents(self, X: Float[Array, "m m"]) -> Float[Array, " baths"]:
        A, N = self.flows
        return jnp.einsum("ij,bji->b", self.form, A @ X + N / 2)

    def entropy(self, X: Float[Array, "m m"]) -> Float[Array, ""]:
        return _gaussian(X).entropy()


def _gaussian(Y: Float[Array, "m m"]) -> GaussianState:
    mean = Y[:-1, -1]
    return GaussianState(mean, Y[:-1, :-1] - jnp.outer(mean, mean))


class GaussianDriven(AbstractDriven):
    """The equation; `exponentials`: c and ν of each bath, [baths, j]."""

    model: QuasiFree
    V: Polynomial
    equation: AbstractEquation
    nominal: Array
    exponentials: Exponentials

    @property
    def size(self) -> Float[Array, ""]:
        return jnp.linalg.norm(_form(self.V))

    def at_frequency(self, delta: Array, omega: Array, quantity: Any) -> Array:
        own, drive = self._motion(0.0), self._motion(delta) - self._motion(0.0)
        turning = 1j * omega * jnp.diag(HARMONICS)
        balance = jnp.kron(jnp.eye(3), own.T) + jnp.kron(NEIGHBOURS, drive.T) - jnp.kron(turning, jnp.eye(len(own)))
        kernels = jnp.moveaxis(jnp.sum(self._terms(balance), axis=1), 1, 0)
        still, moved = self._missed(0.0), self._missed(delta)
        decay = self._decay
        follow = jnp.where(HARMONICS == 0, 0.0, decay / (decay - 1j * omega * HARMONICS))

        def completed(x: Array, moved: Array, still: Array) -> Array:
            return (x + follow[:, None, None, None] * (moved - still)).at[1].add(still)

        flows = jax.tree.map(completed, self._flows(kernels, kernels[::-1]), moved, still)
        A = jnp.sum(flows[0], axis=1).at[1].add(own) + (HARMONICS != 0)[:, None, None] * drive
        states = _at_rest(A, jnp.sum(flows[1], axis=1), turning)

        def value(angle: Array) -> Array:
            turned = jnp.exp(-1j * HARMONICS * angle)
            now = jax.tree.map(lambda x: jnp.tensordot(turned, x, 1).real, (flows, states))
            return quantity.value(self._moment(2 * delta * jnp.cos(angle), now[0]), now[1])

        return first_harmonic(value)

    def after(self, t: Array, delta: Array, quantity: Any) -> tuple[Array, Array]:
        unit = 1 / self.size  # a tangent of the order of one
        switched, change = jax.jvp(self._switched, (delta,), (unit,))
        own = jax.tree.map(lambda x: jnp.sum(x, axis=0)[None], self._own(0.0))
        alone = _at_rest(self._motion(0.0) + own[0], own[1], jnp.zeros((1, 1)))[0].real
        y, tangent = followed(switched, change, (alone, jnp.eye(len(alone))), t)

        def value(y: Any, switched: Switched, delta: Array) -> Array:
            Y, U = y
            return quantity.value(self._moment(delta, switched.flows(t, U)), Y)

        found, slope = jax.jvp(value, (y, switched, delta), (tangent, change, unit))
        return found, slope / unit

    def _switched(self, delta: Array) -> "Switched":
        new, old = (self._terms(self._motion(x).T)[:, :, 0] for x in (delta, 0.0))
        still, moved = self._missed(0.0), self._missed(delta)
        return Switched(self, self._motion(delta), new, old - new, still, jax.tree.map(jnp.subtract, moved, still))

    def _moment(self, delta: Array, flows: Flows) -> Moment:
        return Moment(_form(self.model.hamiltonian) + delta * _form(self.V), flows, self.model.temperatures)

    def _motion(self, delta: Array | float) -> Float[Array, "m m"]:
        """Ωh of H + δV."""
        return _bracket(self.model) @ (_form(self.model.hamiltonian) + delta * _form(self.V))

    @property
    def _decay(self) -> Float[Array, ""]:
        return ABOVE * jnp.max(damping_rates(normal_modes(self.model), self.model))

    @property
    def _couplings(self) -> Float[Array, "baths m"]:
        return jnp.stack([jnp.append(*coupling_form(noise)) for noise in one_noise_each(self.model)])

    def _terms(self, balance: Inexact[Array, "k k"]) -> Complex[Array, "baths j h m"]:
        """λ_j at rest, by harmonics or alone: (ν_j + balance) λ_j = c_j s."""
        identity, size = jnp.eye(len(balance)), self._couplings.shape[1]
        count = len(balance) // size

        def of_bath(bath: tuple[Array, Array, Array]) -> Array:
            s, c, rates = bath
            source = jnp.zeros((count, size), complex).at[count // 2].set(s).reshape(-1)
            found = jax.lax.map(lambda j: j[0] * jnp.linalg.solve(j[1] * identity + balance, source), (c, rates))
            return found.reshape(-1, count, size)

        return jax.lax.map(of_bath, (self._couplings, *self.exponentials))

    def _flows(self, kernel: Complex[Array, "*h baths m"], partner: Complex[Array, "*h baths m"]) -> Flows:
        """A and N of each bath for λ = `kernel`, whose conjugate is that of `partner`."""
        J, s = _bracket(self.model), self._couplings
        sigma, im, re = s @ J.T, (kernel - partner.conj()) / 2j, (kernel + partner.conj()) / 2
        half = sigma[:, :, None] * (re @ J.T)[..., None, :]
        return 2 * sigma[:, :, None] * im[..., None, :], half + jnp.swapaxes(half, -1, -2)

    def _own(self, delta: Array | float) -> Flows:
        """The equation's of H + δV."""
        model = eqx.tree_at(lambda m: m.hamiltonian, self.model, self.model.hamiltonian + delta * self.V)
        motion = dynamics(model, model, self.equation, self.nominal)
        force = motion.force - motion.drift @ motion.centre
        drift = jnp.concatenate([motion.drift, force[..., None]], axis=-1)
        return jnp.pad(drift, ((0, 0), (0, 1), (0, 0))), jnp.pad(motion.diffusion, ((0, 0), (0, 1), (0, 1)))

    def _missed(self, delta: Array | float) -> Flows:
        """What the exponentials miss of it."""
        kernel = jnp.sum(self._terms(self._motion(delta).T)[:, :, 0], axis=1)
        return jax.tree.map(lambda x, y: x - y.real, self._own(delta), self._flows(kernel, kernel))


class Switched(eqx.Module):
    """The equation after V was switched on: each λ_j goes from its old value at rest towards its `new` one as
    e^{−ν_j u}, turned by U = e^{−Ωhu}. `left`: old − new. `still`, `follows`: as of matrices."""

    driven: GaussianDriven
    motion: Float[Array, "m m"]
    new: Complex[Array, "baths j m"]
    left: Complex[Array, "baths j m"]
    still: Flows
    follows: Flows

    def flows(self, u: Array, U: Array) -> Flows:
        left = jnp.einsum("bj,bjm->bm", jnp.exp(-self.driven.exponentials[1] * u), self.left)
        kernel = jnp.sum(self.new, axis=1) + left @ U
        grown = -jnp.expm1(-self.driven._decay * u)
        now = self.driven._flows(kernel, kernel)
        return jax.tree.map(lambda x, y, z: x.real + y + grown * z, now, self.still, self.follows)

    def slope(self, u: Array, y: Any) -> Any:
        """d(Y, U)/du."""
        Y, U = y
        A, N = (jnp.sum(x, axis=0) for x in self.flows(u, U))
        half = (self.motion + A) @ Y + N / 2
        return half + half.T, -U @ self.motion


def _form(A: Polynomial) -> Float[Array, "m m"]:
    """h of ½ rᵀhr, but for a constant."""
    f = linear_part(A)[:, None]
    return jnp.block([[quadratic_part(A), f], [f.T, jnp.zeros((1, 1))]])


def _bracket(model: QuasiFree) -> Float[Array, "m m"]:
    return jnp.pad(jnp.asarray(symplectic(model.modes)), ((0, 1), (0, 1)))


def _at_rest(A: Inexact[Array, "h m m"], N: Inexact[Array, "h m m"], turning: Array) -> Inexact[Array, "h m m"]:
    """Y_n with Σ_k (A_n−k Y_k + Y_k A_n−kᵀ) + inωY_n + N_n = 0, whose last element is 1 for n = 0 and 0 for others."""
    count, size = len(A), A.shape[-1]
    orders, identity = range(-(count // 2), count // 2 + 1), jnp.eye(size)
    L = jnp.kron(turning, jnp.eye(size**2))
    for n, one in zip(orders, A, strict=True):
        L = L + jnp.kron(jnp.eye(count, k=-n), jnp.kron(one, identity) + jnp.kron(identity, one))
    last = size**2 * (1 + jnp.arange(count)) - 1
    L = L.at[last].set(jnp.eye(len(L))[last])
    right = (-N).reshape(-1).at[last].set(jnp.arange(count) == count // 2)
    return jnp.linalg.solve(L, right.astype(L.dtype)).reshape(A.shape)
