"""The functions F of the filter, each of one bath: what distinguishes one master equation from another.

Takes: a spectral density and a temperature. Returns: elementwise functions of the Bohr frequency.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._spectra import AbstractSpectrum


class AbstractRate(eqx.Module):
    """A function of the Bohr frequency, made of one bath's rate."""

    spectrum: eqx.AbstractVar[AbstractSpectrum]
    temperature: eqx.AbstractVar[Array]

    @property
    def scale(self) -> Array:
        """The shortest frequency over which it changes."""
        return self.spectrum.scale(self.temperature)


class RootRate(AbstractRate):
    """F(ω) = √Γ(ω + offset)."""

    spectrum: AbstractSpectrum
    temperature: Array
    offset: Array | float = 0.0

    def __call__(self, omega: Array) -> Array:
        return self.spectrum.amplitude(omega + self.offset, self.temperature)


class HalfRate(AbstractRate):
    """F(ω) = Γ(ω)/2."""

    spectrum: AbstractSpectrum
    temperature: Array

    def __call__(self, omega: Array) -> Array:
        return self.spectrum.rate(omega, self.temperature) / 2


class LambShift(AbstractRate):
    """F(ω) = S(ω) = P∫ dω'/2π Γ(ω')/(ω − ω')."""

    spectrum: AbstractSpectrum
    temperature: Array

    def __call__(self, omega: Array) -> Array:
        return self.spectrum.lamb_shift(omega, self.temperature)


def one(omega: Array) -> Array:
    """F(ω) = 1."""
    return jnp.ones_like(omega)
