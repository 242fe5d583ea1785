"""Ohmic densities: linear in ω at the origin, cut off at ω_c in one of three shapes."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._inputs import as_positive, as_real, as_word
from ..errors import InputError
from ._base import AbstractSpectrum, ZeroBehaviour
from ._poles import one_pole

_SHAPES = ("exponential", "gaussian", "drude")


class Ohmic(AbstractSpectrum):
    """γ(ω) = s ω f(ω/ω_c).

    f(x) = e^{−x} ("exponential"), e^{−x²} ("gaussian") or 1/(1+x²) ("drude"). Γ(0) = s T. The exponential cutoff
    makes a kink in Γ at ω = 0 (slopes s/2 ∓ sT/ω_c): use another shape where a degenerate level is split.

    **Arguments:** `strength`: s > 0, dimensionless. `cutoff`: ω_c > 0. `shape`: the cutoff f.

    **Raises:** `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.Ohmic(0.3, 2.0, shape="gaussian").rate(0.0, temperature=0.7)     # 0.21
    ```
    """

    strength: Float[Array, ""]
    cutoff: Float[Array, ""]
    shape: Literal["exponential", "gaussian", "drude"] = eqx.field(static=True)

    def __init__(
        self,
        strength: ArrayLike,
        cutoff: ArrayLike,
        shape: Literal["exponential", "gaussian", "drude"] = "exponential",
    ):
        self.strength = as_positive(strength, "Ohmic: strength", InputError, "dimensionless")
        self.cutoff = as_positive(cutoff, "Ohmic: cutoff", InputError, "a frequency")
        self.shape = as_word(shape, "Ohmic: shape", _SHAPES)

    @property
    def at_zero(self) -> ZeroBehaviour:
        """A kink for the exponential cutoff, smooth for the others."""
        return "kink" if self.shape == "exponential" else "smooth"

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        x = as_real(omega, "omega") / self.cutoff
        if self.shape == "exponential":
            return self.strength * jnp.exp(-jnp.abs(x))
        if self.shape == "gaussian":
            return self.strength * jnp.exp(-(x**2))
        return self.strength / (1 + x**2)

    def landmarks(self, temperature: Float[Array, ""]) -> Float[Array, " marks"]:
        return self.cutoff[None]

    def principal_value(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        if self.shape == "drude":
            return self.strength * self.cutoff**2 * one_pole(omega, temperature, self.cutoff)
        return super().principal_value(omega, temperature)

    def poles(self) -> tuple[Array, Array] | None:
        if self.shape == "drude":
            return self.cutoff[None] + 0j, (self.strength * self.cutoff**2)[None] + 0j
        return None
