"""A density seen by a component of a coupling that turns with the frame.

Takes: a density and the energy ε that the turning of the frame adds to each jump. Returns: Γ(ω − ε).
"""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._inputs import Numbers, as_real
from ._base import AbstractSpectrum, ZeroBehaviour
from ._exponentials import Exponentials


class Moved(AbstractSpectrum):
    """A jump that takes ω from the energy in the frame gives ω − `shift` to the bath. `shift` is not zero, so that
    ω = `shift` is the special point, not ω = 0."""

    spectrum: AbstractSpectrum
    shift: Float[Array, ""]
    at_zero: ClassVar[ZeroBehaviour] = "smooth"

    @property
    def dephases_infinitely(self) -> bool:
        return self.spectrum.dephases_infinitely

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        raise NotImplementedError("A density seen from a rotating frame is no odd function of the frequency.")

    def amplitude(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        return self.spectrum.amplitude(as_real(omega, "omega") - self.shift, temperature)

    def rate(self, omega: Numbers, temperature: ArrayLike) -> Array:
        return self.spectrum.rate(as_real(omega, "omega") - self.shift, temperature)

    def log_rate(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        return self.spectrum.log_rate(as_real(omega, "omega") - self.shift, temperature)

    def lamb_shift(self, omega: Numbers, temperature: ArrayLike) -> Array:
        return self.spectrum.lamb_shift(as_real(omega, "omega") - self.shift, temperature)

    def correlation(self, t: Numbers, temperature: ArrayLike) -> Array:
        return self.spectrum.correlation(t, temperature) * jnp.exp(-1j * self.shift * as_real(t, "t"))

    def exponentials(self, temperature: ArrayLike, tolerance: float = 1e-4, terms: int | None = None) -> Exponentials:
        c, nu = self.spectrum.exponentials(temperature, tolerance, terms)
        return c, nu + 1j * self.shift

    def require_lamb_shift(self) -> None:
        self.spectrum.require_lamb_shift()

    def why_no_rate(self, omega: float) -> str:
        return f"{self.spectrum.why_no_rate(abs(omega - float(self.shift)))} (at {omega:.6g} in the rotating frame)"

    def landmarks(self, temperature: Float[Array, ""]) -> Float[Array, " marks"]:
        marks = self.spectrum.landmarks(temperature)
        ends = jnp.abs(jnp.concatenate([marks + self.shift, marks - self.shift, jnp.reshape(self.shift, (1,))]))
        return jnp.where(ends > 0, ends, temperature)
