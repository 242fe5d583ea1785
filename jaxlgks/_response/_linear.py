"""Linear response of a steady state, once the first-order source is known.

Takes: the generator L₀, the three parts of L₁π₀ (kubo, rotation, shift), observables A, and what of A moves by itself
(its explicit part). Returns, for each part,

    φ(τ) = Tr[A e^{L₀τ} L₁π₀]            impulse                 (paper, Eq. 23)
    Φ(t) = ∫₀ᵗ φ                         step                    (Eq. 33)
    Φ(∞) = −Tr[A L₀⁻¹ L₁π₀]              static
    χ(ω) = ∫₀^∞ φ e^{iωτ} dτ             susceptibility, = −Tr[A (L₀ + iω)⁻¹ L₁π₀]

An explicit part acts at once: a constant in Φ and χ, a δ(τ) in φ.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._generator import AbstractGenerator, in_order, require_known
from .._inputs import Numbers, as_delays, as_known, as_real
from ..errors import ShapeError


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

    - `generator`: L₀, in the form that its structure allows (`.name` says which). `sources`: the kubo, rotation and
      shift part of L₁π₀, a stack of three.
    - `observables`: A, a stack [*a]. `explicit`: ∂A/∂δ averaged over π₀, [*a].

    States and observables are in the generator's own form: matrices in the eigenbasis of H₀, or polynomials.

    Results carry the axes of t or ω first, those of the observables after.
    """

    generator: AbstractGenerator
    sources: Any
    observables: Any
    explicit: Float[Array, "*a"]

    parts: ClassVar[tuple[str, ...]] = ("kubo", "rotation", "shift")

    def static(self) -> Parts:
        """The change of ⟨A⟩ per δ after the new steady state is reached, Φ(∞). Raises `ConvergenceError`."""
        still = jnp.zeros(1, self.explicit.dtype)
        return _static(self.generator.resolvent(self.sources, still, self.observables), self.explicit)

    def step(self, t: Numbers) -> Parts:
        """Φ(t), the change of ⟨A⟩ per δ at time t after V is switched on. `t` ≥ 0: scalar or [t]."""
        return self._in_time(t, jax.tree.map(jnp.zeros_like, self.sources), self.sources)

    def impulse(self, t: Numbers) -> Impulse:
        """φ(τ), the change of ⟨A⟩ a time τ after a kick δ(t)V. `t` ≥ 0: scalar or [t]."""
        parts = self._in_time(t, self.sources, None)
        return Impulse(parts.kubo, parts.rotation, parts.shift, parts.explicit)

    def susceptibility(self, omega: Numbers) -> Parts:
        """χ(ω), complex. `omega`: real, scalar or [w]. χ(0) is the static response.

        Raises `ConvergenceError`, `ShapeError`."""
        omega = as_frequencies(omega)
        omegas = omega if omega.ndim else as_known(omega[None])
        return _susceptibility(
            self.generator.resolvent(self.sources, omegas, self.observables), self.explicit, omega.ndim
        )

    def _in_time(self, t: Numbers, start: Any, drive: Any) -> Parts:
        t = as_delays(t)
        ascending, where = in_order(t, self.explicit.dtype)
        values = self.generator.propagate(start, ascending, self.observables, drive)
        require_known(values, "response in time")
        return _at(self.explicit, values, where, t.shape)


def _parts(values: Array, explicit: Array) -> Parts:
    """From the averages over the three first-order states, [3, ..., *a]."""
    return Parts(values[0], values[1], values[2], jnp.broadcast_to(explicit, values.shape[1:]))


@eqx.filter_jit
def _static(values: Array, explicit: Array) -> Parts:
    return _parts(-values[0].real, explicit)


@eqx.filter_jit
def _susceptibility(values: Array, explicit: Array, rank: int) -> Parts:
    parts = _parts(-jnp.moveaxis(values, 1, 0), explicit)
    return parts if rank else jax.tree.map(lambda x: x[0], parts)


@eqx.filter_jit
def _at(explicit: Array, values: Array, where: Array, shape: tuple[int, ...]) -> Parts:
    parts = _parts(jnp.moveaxis(values[where].real, 1, 0), explicit)
    return jax.tree.map(lambda x: x.reshape(shape + x.shape[1:]), parts)


def as_frequencies(omega: Numbers) -> Array:
    """Real frequencies, a scalar or [w]."""
    omega = as_real(omega, "omega")
    if omega.ndim > 1:
        raise ShapeError(f"susceptibility: omega must be a scalar or [w]; got shape {tuple(omega.shape)}.")
    return omega
