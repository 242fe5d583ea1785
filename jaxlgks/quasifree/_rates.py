"""What distinguishes one master equation from another, for linear couplings.

Enters: an equation and one bath's density and temperature. Leaves: with S filtered into P_g = (1_g F_P)(Ω)[S], Q_g alike,

    D†X = Σ_g [P_g†, X] Q_g + h.c.

Lindblad forms have P = A, Q = A/2; Redfield P = S, Q = Λ; a Lamb shift −i[½Σ(S†L + L†S), ·] is two more pairs. For the
exact steady state the two combinations that enter are taken in closed form, k(x, y) = F_P(x) F_Q(y):

    odd(x, y)  = k(x, y) − k*(−x, −y)                             drift: differences of emission and absorption
    even(x, y) = k(x, y) + k*(y, x) + k(−y, −x) + k*(−x, −y)      diffusion

so that damping keeps its digits where occupations are 10⁵ and emission and absorption almost cancel.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._errors import InputError
from ..equations import AbstractEquation, Davies, HalfRate, LambShift, Local, Redfield, RootRate, Unified, UniversalLindblad, one
from ..spectra import AbstractSpectrum, require_finite
from .._system import Noise

Pair = tuple[Callable, Callable, complex]
"""F_P, F_Q and the factor of Q."""


class AbstractKernel(eqx.Module):
    """odd and even of one bath."""

    spectrum: eqx.AbstractVar[AbstractSpectrum]
    temperature: eqx.AbstractVar[Array]
    lamb_shift: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def odd(self, x: Array, y: Array) -> Array:
        """What the drift needs."""

    @abc.abstractmethod
    def even(self, x: Array, y: Array) -> Array:
        """What the diffusion needs."""

    def lamb(self, x: Array) -> Array:
        """S(ω)."""
        return self.spectrum.lamb_shift(x, self.temperature)


class LindbladKernel(AbstractKernel):
    """Of Σ_g D[A_g]."""

    spectrum: AbstractSpectrum
    temperature: Array
    lamb_shift: bool = eqx.field(static=True)
    equal: bool = eqx.field(static=True)
    """Whether the frequencies of a group are equal: then emission minus absorption is γ(ω) itself, at any temperature."""

    def odd(self, x: Array, y: Array) -> Array:
        if self.equal:
            value = jnp.sqrt(self.spectrum.reduced(x) * self.spectrum.reduced(y)) * (x + y) / 4
        else:
            up = x + y >= 0  # √Γ√Γ' (1 − e^{−(x+y)/2T}) is odd: no overflow on either side
            u, v = jnp.where(up, x, -x), jnp.where(up, y, -y)
            root = self.spectrum.amplitude(u, self.temperature) * self.spectrum.amplitude(v, self.temperature)
            value = -jnp.where(up, 1, -1) * root * jnp.expm1(-(u + v) / (2 * self.temperature)) / 2
        if not self.lamb_shift:
            return value
        return value + 0.5j * (self.lamb(x) + self.lamb(y) + self.lamb(-x) + self.lamb(-y))

    def even(self, x: Array, y: Array) -> Array:
        root = lambda w: self.spectrum.amplitude(w, self.temperature)  # noqa: E731
        return root(x) * root(y) + root(-x) * root(-y)


class RedfieldKernel(AbstractKernel):
    """Of [Λρ, S] + h.c."""

    spectrum: AbstractSpectrum
    temperature: Array
    lamb_shift: bool = eqx.field(static=True)

    def odd(self, x: Array, y: Array) -> Array:
        value = y * self.spectrum.reduced(y) / 2 + 0 * x
        return value + 1j * (self.lamb(y) + self.lamb(-y)) if self.lamb_shift else value

    def even(self, x: Array, y: Array) -> Array:
        both = lambda w: (self.spectrum.rate(w, self.temperature) + self.spectrum.rate(-w, self.temperature)) / 2  # noqa: E731
        value = both(x) + both(y)
        if not self.lamb_shift:
            return value
        return value + 1j * (self.lamb(y) - self.lamb(x) + self.lamb(-x) - self.lamb(-y))


def kernel_of(equation: AbstractEquation, noise: Noise) -> AbstractKernel:
    """The kernel of one bath."""
    equation = _dissipative(equation)
    if equation.lamb_shift:
        require_finite(noise.spectrum)
    if isinstance(equation, Redfield):
        return RedfieldKernel(noise.spectrum, noise.temperature, equation.lamb_shift)
    return LindbladKernel(noise.spectrum, noise.temperature, equation.lamb_shift, isinstance(equation, Davies))


def pairs_of(equation: AbstractEquation, noise: Noise) -> list[Pair]:
    """The same equation as filters (F_P, F_Q, factor)."""
    equation = _dissipative(equation)
    lamb = LambShift(noise.spectrum, noise.temperature)
    if isinstance(equation, Redfield):
        pairs: list[Pair] = [(one, HalfRate(noise.spectrum, noise.temperature), 1.0)]
        return [*pairs, (one, lamb, 1j)] if equation.lamb_shift else pairs
    root = RootRate(noise.spectrum, noise.temperature)
    pairs = [(root, root, 0.5)]
    return [*pairs, (one, lamb, 0.5j), (lamb, one, 0.5j)] if equation.lamb_shift else pairs


def _dissipative(equation: AbstractEquation) -> AbstractEquation:
    """The equation whose dissipators these are; refuses what has none for oscillators."""
    if isinstance(equation, Local):
        equation = equation.davies
    if not isinstance(equation, Davies | Unified | UniversalLindblad | Redfield):
        raise InputError(f"{type(equation).__name__} is not available for QuasiFree models.")
    if isinstance(equation, UniversalLindblad) and equation.lamb_shift:
        raise InputError(
            "UniversalLindblad(lamb_shift=True) is not available for QuasiFree models; use Unified or Redfield with a "
            "Lamb shift."
        )
    return equation
