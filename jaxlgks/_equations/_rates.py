"""The functions F of the filter, each of one bath: what distinguishes one master equation from another.

Takes: a spectral density and a temperature. Returns: elementwise functions of the Bohr frequency; the error where they
are no numbers.
"""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._spectra import AbstractSpectrum
from .._system import Noise
from ..errors import DensityError, JaxlgksError, LambShiftError


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


class OfGroup(eqx.Module):
    """F at the reference frequency of each group, in the place of each frequency of the group."""

    function: Callable[[Array], Array]


def one(omega: Array) -> Array:
    """F(ω) = 1."""
    return jnp.ones_like(omega)


def unusable_rate(who: str, noises: Sequence[Noise], frequencies: Array, lamb_shift: bool) -> JaxlgksError | None:
    """The error of a bath whose rate, or Lamb shift, at one of the transition frequencies is not a number, if there is
    one. For a generator of known numbers that was found not to be finite."""
    noises, frequencies = jax.tree.map(
        lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, (tuple(noises), frequencies)
    )
    omega = np.unique(np.asarray(frequencies))
    omega = omega[np.argsort(np.where(omega == 0, np.inf, np.abs(omega)), stable=True)]  # zero, a limit, comes last
    for noise in noises:
        bad = ~np.isfinite(np.asarray(noise.rate(omega)))
        if bad.any():
            at = float(np.abs(omega[bad][0]))
            return DensityError(
                f"{who}: the density of {noise.label} has no rate at the transition frequency {at:.6g} of the system: "
                f"{noise.spectrum.why_no_rate(at)}."
            )
        try:
            if lamb_shift:
                noise.spectrum.lamb_shift(omega, noise.temperature)
        except LambShiftError as error:
            return LambShiftError(f"{who}, {noise.label}: {error}")
    return None
