"""Linear response of a steady state, once the first-order source is known.

Takes: the generator L₀, the three parts of L₁π₀ (kubo, rotation, shift), observables A, and what of A moves by itself
(its explicit part). Returns, for each part,

    φ(τ) = Tr[A e^{L₀τ} L₁π₀]            impulse                 (paper, Eq. 23)
    Φ(t) = ∫₀ᵗ φ                         step                    (Eq. 33)
    Φ(∞) = −Tr[A L₀⁻¹ L₁π₀]              static
    χ(ω) = ∫₀^∞ φ e^{iωτ} dτ             susceptibility, = −Tr[A (L₀ + iω)⁻¹ L₁π₀]

An explicit part acts at once: a constant in Φ and χ, a δ(τ) in φ. So written, dissipators follow a drive at once, and
only Φ(∞) = χ(0) is right; with the memory of the baths L₁ depends on ω, and φ follows (`MatrixDelay`).
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._generator import AbstractDelay, AbstractGenerator, AbstractInteraction, Change, in_order, require_known
from .._inputs import Numbers, as_array, as_delays, as_known, as_real
from .._observables import Perturbation
from ..errors import InputError, ShapeError
from ._drive import as_drive, grid
from ._harmonics import Harmonics


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
    `delayed` is what else does not go through the state: the dissipators in the quantity itself, which follow the kick
    with the memory of their baths. `total` is the regular part alone."""

    kubo: Array
    rotation: Array
    shift: Array
    explicit: Array
    delayed: Array

    @property
    def total(self) -> Array:
        """kubo + rotation + shift + delayed, the regular part of φ."""
        return self.kubo + self.rotation + self.shift + self.delayed


class LinearResponse(eqx.Module):
    """The linear response of one or more observables; all its numbers are JAX arrays.

    - `generator`: L₀, in the form that its structure allows (`.name` says which). `sources`: the kubo, rotation and
      shift part of L₁π₀, a stack of three.
    - `observables`: A, a stack [*a]. `explicit`: ∂A/∂δ averaged over π₀, [*a].

    - `state`: π₀. `change`: the first order at ω = 0. `quantity`: what is asked for.
    - `instantaneous`: whether dissipators follow a drive at once.

    States and observables are in the generator's own form: matrices in the eigenbasis of H₀, or polynomials.

    Results carry the axes of t or ω first, those of the observables after.
    """

    generator: AbstractGenerator
    sources: Any
    observables: Any
    explicit: Float[Array, "*a"]
    state: Any
    change: Change
    quantity: Any
    instantaneous: bool = eqx.field(static=True)

    parts: ClassVar[tuple[str, ...]] = ("kubo", "rotation", "shift")

    def static(self) -> Parts:
        """The change of ⟨A⟩ per δ after the new steady state is reached, Φ(∞). Raises `ConvergenceError`."""
        still = jnp.zeros(1, self.explicit.dtype)
        return _static(self.generator.resolvent(self.sources, still, self.observables), self.explicit)

    def step(self, t: Numbers) -> Parts:
        """Φ(t), the change of ⟨A⟩ per δ at time t after V is switched on. `t` ≥ 0: scalar or [t]."""
        t = as_delays(t)
        ascending, where = in_order(t, self.explicit.dtype)
        if self.instantaneous:
            values = self.generator.propagate(
                jax.tree.map(jnp.zeros_like, self.sources), ascending, self.observables, self.sources
            )
            explicit = jnp.broadcast_to(self.explicit, (len(values), *self.explicit.shape))
        else:
            values, explicit = self._delay().step(ascending)
        require_known(values, "response in time")
        return Parts(*_at((values, explicit), where, t.shape))

    def impulse(self, t: Numbers) -> Impulse:
        """φ(τ), the change of ⟨A⟩ a time τ after a kick δ(t)V. `t` ≥ 0: scalar or [t]."""
        t = as_delays(t)
        ascending, where = in_order(t, self.explicit.dtype)
        if self.instantaneous:
            values = self.generator.propagate(self.sources, ascending, self.observables)
            delayed, weight = jnp.zeros((len(values), *self.explicit.shape)), self.explicit
        else:
            values, delayed, weight = self._delay().impulse(ascending)
        require_known(values, "response in time")
        kubo, rotation, shift, delayed = _at((values, delayed), where, t.shape)
        return Impulse(kubo, rotation, shift, jnp.broadcast_to(weight.real, delayed.shape), delayed)

    def susceptibility(self, omega: Numbers) -> Parts:
        """χ(ω), complex. `omega`: real, scalar or [w]. χ(0) is the static response.

        Raises `ConvergenceError`, `ShapeError`."""
        omega = as_frequencies(omega)
        omegas = omega if omega.ndim else as_known(omega[None])
        if self.instantaneous:
            values = -self.generator.resolvent(self.sources, omegas, self.observables)
            explicit = jnp.broadcast_to(self.explicit, (len(values), *self.explicit.shape))
        else:
            values, explicit = self._delay().susceptibility(omegas)
        return _susceptibility(values, explicit, omega.ndim)

    @property
    def remainder(self) -> Array:
        """What an equation keeps of its own when a drive is too fast for any bath, [*a]:

            φ(0⁺) − i⟨[V, A]⟩ = lim_{ω→∞} −iω χ(ω) − i⟨[V, A]⟩.

        For populations, and whatever turns slowly, Tr[A (D₁(0) − D₁^Redfield(0)) π₀] less Tr[A N x_K(0)], what the
        equation averages away (N) of the coherences that V makes (x_K). For fast coherences i Tr[A [V, Mπ₀]]: the kick
        acts on the true state, (1 − M)π₀, of which a secular equation has π₀. Zero for `Redfield(lamb_shift=True)`,
        otherwise of the order of the coupling: what φ near t = 0, and ω χ at large ω, may be wrong by. At once
        (`instantaneous=True`) all of Tr[A D₁π₀]. Of a heat current, the part through the state."""
        if self.instantaneous:
            return jnp.sum(self.generator.average(self.observables, self.sources)[1:], axis=0).real
        return self._delay().at_infinity().real

    def to_harmonics(self, h: Any, omega: Numbers) -> Harmonics:
        """The answer to a weak drive δ(t) = Re Σ_n h_n e^{−inωt}, n = 0, 1, ...

        **Arguments:** `h`: complex amplitudes, [n]. `omega`: the frequency of the first harmonic.

        **Returns:** `Harmonics`: h_n χ(nω), and the power that the drive does.

        **Raises:** as `susceptibility`."""
        omega = as_real(omega, "omega")
        h = jnp.asarray(as_array(h, "the amplitudes h", ShapeError, "complex numbers [n]"), complex)
        if h.ndim != 1 or omega.ndim:
            raise ShapeError(
                f"to_harmonics: h must be [n], omega a scalar; got shapes {tuple(h.shape)} and {tuple(omega.shape)}."
            )
        orders = jnp.arange(h.size, dtype=float)
        chi = self.susceptibility(omega * orders).total
        V = self.change.energy
        of_V = eqx.tree_at(
            lambda r: (r.quantity, r.observables, r.explicit), self, (Perturbation(V), V, jnp.zeros_like(omega))
        )
        losses = of_V.susceptibility(omega * orders).total.imag
        power = -jnp.sum(omega * orders * jnp.abs(h) ** 2 * losses) / 2
        power = jnp.nan * power if self.generator.turns else power
        return Harmonics(h.reshape(-1, *[1] * (chi.ndim - 1)) * chi, orders, omega, power)

    def to_drive(self, delta: Any, t: Numbers) -> Parts:
        """The change of ⟨A⟩ under a weak drive H + δ(t)V that begins at t[0], from rest:

            wδ(t) + ∫₀^{t − t₀} φ(u) δ(t − u) du,     w the weight of δ(τ) in φ.

        **Arguments:** `delta`: a function of arrays of times, smooth between the times t, or real samples at the times,
        joined by straight lines. `t`: known times ≥ 0 in equal steps, [t].

        **Returns:** `Parts`, [t, *a].

        **Raises:** `ShapeError`, `InputError` for times or samples of another kind, samples too far apart, functions
        too fast between the times, and steps in which the response itself turns too often."""
        return under_drive(self.impulse, self.bandwidth, delta, t)

    @property
    def bandwidth(self) -> Float[Array, ""]:
        """The highest frequency with which φ turns."""
        return self.generator.bandwidth if self.instantaneous else self._delay().bandwidth

    def slope(self, t: Numbers) -> Array:
        """dφ/dτ by part, kubo, rotation and shift, [*t, 3, *a], of observables with the memory of the baths. `t` ≥ 0:
        scalar or [t]. Raises `InputError` for anything else."""
        if self.instantaneous or self.quantity.dissipated:
            raise InputError("slope: the derivative of φ is known for observables with the memory of the baths only.")
        t = as_delays(t)
        ascending, where = in_order(t, self.explicit.dtype)
        values = self._delay().slope(ascending)
        require_known(values, "response in time")
        return values[where].real.reshape(t.shape + values.shape[1:])

    def interaction(self) -> AbstractInteraction:
        """The energy of the interaction with each bath under the drive.

        **Raises:** `InputError` where dissipators follow at once, and where it is not known."""
        if self.instantaneous and not self.generator.exact:
            raise InputError(
                "bath_currents: where dissipators follow a drive at once (instantaneous=True) no energy is held in the "
                "interaction. Ask for it with memory, or for heat_currents."
            )
        return self._delay().interaction()

    def _delay(self) -> AbstractDelay:
        return self.generator.delayed(self.state, self.change, self.quantity)


def under_drive(impulse: Callable[[Any], Impulse], bandwidth: Array, delta: Any, t: Numbers) -> Parts:
    """`LinearResponse.to_drive` from an impulse response."""
    on = grid(t, bandwidth)
    drive, phi = as_drive(delta, on), impulse(on.delays)
    now, early, inside = (drive(x) for x in (on.times, on.early, on.inside))
    kubo, rotation, shift, delayed = (
        on.convolved(x, early, inside) for x in (phi.kubo, phi.rotation, phi.shift, phi.delayed)
    )
    return Parts(kubo, rotation, shift, delayed + jnp.multiply.outer(now, phi.explicit[0]))


@eqx.filter_jit
def _static(values: Array, explicit: Array) -> Parts:
    values = -values[0].real
    return Parts(values[0], values[1], values[2], explicit)


@eqx.filter_jit
def _susceptibility(values: Array, explicit: Array, rank: int) -> Parts:
    parts = Parts(values[:, 0], values[:, 1], values[:, 2], explicit)
    return parts if rank else jax.tree.map(lambda x: x[0], parts)


@eqx.filter_jit
def _at(values: tuple[Array, Array], where: Array, shape: tuple[int, ...]) -> tuple[Array, Array, Array, Array]:
    """Kubo, rotation, shift and what is beside them at the times that were asked for, in their order and shape."""
    by_part, beside = values
    each = (by_part[:, 0], by_part[:, 1], by_part[:, 2], beside)
    kubo, rotation, shift, beside = (x[where].real.reshape(shape + x.shape[1:]) for x in each)
    return kubo, rotation, shift, beside


def as_frequencies(omega: Numbers, who: str = "susceptibility") -> Array:
    """Real frequencies, a scalar or [w]."""
    omega = as_real(omega, "omega")
    if omega.ndim > 1:
        raise ShapeError(f"{who}: omega must be a scalar or [w]; got shape {tuple(omega.shape)}.")
    return omega
