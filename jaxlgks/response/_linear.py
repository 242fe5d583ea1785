"""Linear response of a steady state, once the first-order source is known.

Enters: the generator L₀, the three parts of L₁π₀ (kubo, rotation, shift), observables A, and what of A moves by itself
(its explicit part). Leaves, for each part,

    φ(τ) = Tr[A e^{L₀τ} L₁π₀]            impulse                 (paper, Eq. 23)
    Φ(t) = ∫₀ᵗ φ                         step                    (Eq. 33)
    Φ(∞) = −Tr[A L₀⁻¹ L₁π₀]              static
    χ(ω) = ∫₀^∞ φ e^{iωτ} dτ             susceptibility, = −Tr[A (L₀ + iω)⁻¹ L₁π₀]

An explicit part acts at once: a constant in Φ and χ, a δ(τ) in φ.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._errors import InputError, ShapeError
from .._evolution import propagate
from .._generator import vec
from .._inputs import Numbers, as_real, is_concrete
from ..steady import Dense, pinned_generator


class Parts(eqx.Module):
    """A response by mechanism: `kubo` (the commutator with V), `rotation` (eigenvectors turn), `shift` (Bohr
    frequencies and their rates move), `explicit` (the observable itself depends on δ), and their sum `total`."""

    kubo: Array
    rotation: Array
    shift: Array
    explicit: Array

    @property
    def total(self) -> Array:
        """kubo + rotation + shift + explicit."""
        return self.kubo + self.rotation + self.shift + self.explicit


class Impulse(eqx.Module):
    """An impulse response by mechanism. `explicit` is the weight of δ(τ) and has another unit than the regular parts;
    `total` is the regular part alone."""

    kubo: Array
    rotation: Array
    shift: Array
    explicit: Array

    @property
    def total(self) -> Array:
        """kubo + rotation + shift, the regular part of φ."""
        return self.kubo + self.rotation + self.shift


class LinearResponse(eqx.Module):
    """The linear response of one or more observables; all its numbers are JAX arrays.

    - `generator`: L₀, [d², d²]. `sources`: the kubo, rotation and shift part of L₁π₀, [3, d, d].
    - `observables`: A, [..., d, d]. `explicit`: ∂A/∂δ averaged over π₀, [...].

    All operators are in the eigenbasis of H₀.

    Results carry the axes of t or ω first, those of the observables after.
    """

    generator: Complex[Array, "n n"]
    sources: Complex[Array, "3 d d"]
    observables: Complex[Array, "*a d d"]
    explicit: Float[Array, "*a"]

    parts: ClassVar[tuple[str, ...]] = ("kubo", "rotation", "shift")

    def static(self) -> Parts:
        """The change of ⟨A⟩ per δ after the new steady state is reached, Φ(∞)."""
        first = -_solve(self.generator, self._columns(), jnp.zeros(()))
        return self._parts(first, real=True)

    def step(self, t: Numbers) -> Parts:
        """Φ(t), the change of ⟨A⟩ per δ at time t after V is switched on. `t` ≥ 0: scalar or [t]."""
        # d/dt (ρ₁, 1) = [[L₀, L₁π₀], [0, 0]] (ρ₁, 1): one exponential gives the integral without cancellation.
        n = self.generator.shape[-1]
        columns = self._columns()
        enlarged = jnp.zeros((n + 3, n + 3), self.generator.dtype)
        enlarged = enlarged.at[:n, :n].set(self.generator).at[:n, n:].set(columns)
        start = jnp.zeros((n + 3, 3), self.generator.dtype).at[n:, :].set(jnp.eye(3))
        return self._in_time(enlarged, start, t)

    def impulse(self, t: Numbers) -> Impulse:
        """φ(τ), the change of ⟨A⟩ a time τ after a kick δ(t)V. `t` ≥ 0: scalar or [t]."""
        parts = self._in_time(self.generator, self._columns(), t)
        explicit = jnp.broadcast_to(self.explicit, parts.kubo.shape)
        return Impulse(parts.kubo, parts.rotation, parts.shift, explicit)

    def susceptibility(self, omega: Numbers) -> Parts:
        """χ(ω), complex. `omega`: real, scalar or [w]. χ(0) is the static response."""
        omega = as_real(omega, "omega")
        if omega.ndim > 1:
            raise ShapeError(f"susceptibility: omega must be a scalar or [w]; got shape {tuple(omega.shape)}.")
        first = -_solve_each(self.generator, self._columns(), jnp.atleast_1d(omega))
        parts = self._parts(first)
        return parts if omega.ndim else jax.tree.map(lambda x: x[0], parts)

    def _columns(self) -> Complex[Array, "n 3"]:
        return jax.vmap(vec, out_axes=1)(self.sources)

    def _in_time(self, generator: Array, start: Array, t: Numbers) -> Parts:
        t = as_real(t, "t").astype(self.explicit.dtype)
        if t.ndim > 1:
            raise ShapeError(f"t must be a scalar or an array [t]; got shape {tuple(t.shape)}.")
        if is_concrete(t) and np.any(np.asarray(t) < 0):
            raise InputError(f"t must not be negative: the response is causal; got {np.asarray(t).min()}.")
        times = jnp.where(t < 0, jnp.nan, t).reshape(-1)
        order = jnp.argsort(times)
        states = propagate(generator, start, jnp.concatenate([jnp.zeros(1, t.dtype), times[order]]))[1:]
        states = states[jnp.argsort(order), : self.generator.shape[-1]]
        parts = self._parts(states, real=True)
        return parts if t.ndim else jax.tree.map(lambda x: x[0], parts)

    def _parts(self, first: Complex[Array, "*t n 3"], real: bool = False) -> Parts:
        """Tr[A ρ₁] for the three columns of first-order states; real for Hermitian ones."""
        # Tr[A ρ] = Σ A_ij ρ_ji: row stacking of A against column stacking of ρ.
        rows = self.observables.reshape(*self.observables.shape[:-2], -1)
        values = jnp.tensordot(first, rows, axes=[[-2], [-1]])
        values = jnp.moveaxis(values, first.ndim - 2, 0)
        values = values.real if real else values
        explicit = jnp.broadcast_to(self.explicit, values.shape[1:])
        return Parts(values[0], values[1], values[2], explicit)


@eqx.filter_jit
def _solve_each(L: Array, B: Array, omegas: Array) -> Array:
    return jax.lax.map(lambda omega: _solve(L, B, omega), omegas)


@eqx.filter_jit
def _solve(L: Array, B: Array, omega: Array) -> Array:
    """(L + iω)⁻¹ B on traceless matrices."""
    M = pinned_generator(L).matrix
    return Dense().solve(M + (1j * omega).astype(M.dtype) * jnp.eye(M.shape[-1], dtype=M.dtype), B)
