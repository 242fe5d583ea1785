"""What distinguishes one master equation from another, for linear couplings.

Takes: an equation and one bath's density and temperature. Returns: with S filtered into P_g = (1_g F_P)(Ω)[S], Q_g
alike,

    D†X = Σ_g [P_g†, X] Q_g + h.c.,     k(x, y) = F_P(x) F_Q(y).

Lindblad forms have P = A, Q = A/2; Redfield P = S, Q = Λ; a Lamb shift −i[½Σ(S†L + L†S), ·] is two more such pairs. All
that is asked of k are the combinations of emission and absorption

    minus(x, y) = k(x, y) − k*(−x, −y)     with anticommutators: drift, damping
    plus(x, y)  = k(x, y) + k*(−x, −y)     with commutators: diffusion

in closed form: so damping keeps its digits where occupations are 10⁵ and emission and absorption almost cancel.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._equations import AbstractEquation
from .._spectra import AbstractSpectrum
from .._system import Noise
from ..errors import InputError


class AbstractKernel(eqx.Module):
    """minus and plus of one bath, elementwise in two frequencies."""

    spectrum: eqx.AbstractVar[AbstractSpectrum]
    temperature: eqx.AbstractVar[Array]
    lamb_shift: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def minus(self, x: Array, y: Array) -> Array:
        """k(x, y) − k*(−x, −y)."""

    @abc.abstractmethod
    def plus(self, x: Array, y: Array) -> Array:
        """k(x, y) + k*(−x, −y)."""

    def even(self, x: Array, y: Array) -> Array:
        """plus(x, y) + plus*(y, x), what the diffusion needs."""
        return self.plus(x, y) + jnp.conj(self.plus(y, x))

    def lamb(self, x: Array) -> Array:
        """S(ω)."""
        return self.spectrum.lamb_shift(x, self.temperature)


class LindbladKernel(AbstractKernel):
    """Of Σ_g D[A_g]."""

    spectrum: AbstractSpectrum
    temperature: Array
    lamb_shift: bool = eqx.field(static=True)
    equal: bool = eqx.field(static=True)
    """Whether the frequencies of a group are equal: then emission minus absorption is γ(ω) itself, at any
    temperature."""

    def minus(self, x: Array, y: Array) -> Array:
        if self.equal:
            value = _root(self.spectrum.reduced(x) * self.spectrum.reduced(y)) * (x + y) / 4
        else:
            up = x + y >= 0  # √Γ√Γ' (1 − e^{−(x+y)/2T}) is odd: no overflow on either side
            u, v = jnp.where(up, x, -x), jnp.where(up, y, -y)
            root = self.spectrum.amplitude(u, self.temperature) * self.spectrum.amplitude(v, self.temperature)
            value = -jnp.where(up, 1, -1) * root * jnp.expm1(-(u + v) / (2 * self.temperature)) / 2
        if not self.lamb_shift:
            return value
        return value + 0.5j * (self.lamb(x) + self.lamb(y) + self.lamb(-x) + self.lamb(-y))

    def plus(self, x: Array, y: Array) -> Array:
        emit_x, emit_y, absorb_x, absorb_y = (self.spectrum.amplitude(w, self.temperature) for w in (x, y, -x, -y))
        value = (emit_x * emit_y + absorb_x * absorb_y) / 2
        if not self.lamb_shift:
            return value
        return value + 0.5j * (self.lamb(x) + self.lamb(y) - self.lamb(-x) - self.lamb(-y))


def _root(x: Array) -> Array:
    """√x, with slope zero at zero (where a singular density is zero by convention)."""
    return jnp.where(x == 0, 0.0, jnp.sqrt(jnp.where(x == 0, 1.0, x)))


class RedfieldKernel(AbstractKernel):
    """Of [Λρ, S] + h.c."""

    spectrum: AbstractSpectrum
    temperature: Array
    lamb_shift: bool = eqx.field(static=True)

    def minus(self, x: Array, y: Array) -> Array:
        value = y * self.spectrum.reduced(y) / 2 + 0 * x
        return value + 1j * (self.lamb(y) + self.lamb(-y)) if self.lamb_shift else value

    def plus(self, x: Array, y: Array) -> Array:
        value = (self.spectrum.rate(y, self.temperature) + self.spectrum.rate(-y, self.temperature)) / 2 + 0 * x
        return value + 1j * (self.lamb(y) - self.lamb(-y)) if self.lamb_shift else value


def kernel_of(equation: AbstractEquation, noise: Noise) -> AbstractKernel:
    """The kernel of one bath; `InputError` for an equation that has none."""
    if equation.kernel is None:
        raise InputError(
            f"{type(equation).__name__}{'(lamb_shift=True)' if equation.lamb_shift else ''} is not available for "
            "QuasiFree models; use Davies, Unified (not with rates='centre') or Redfield, with a Lamb shift or without."
        )
    if equation.lamb_shift:
        noise.spectrum.require_lamb_shift()
    if equation.kernel == "redfield":
        return RedfieldKernel(noise.spectrum, noise.temperature, equation.lamb_shift)
    return LindbladKernel(noise.spectrum, noise.temperature, equation.lamb_shift, equation.equal)
