"""The Drude–Lorentz density in the convention of QuTiP's HEOM solver."""

from typing import ClassVar

from jaxtyping import Array, ArrayLike, Float

from .._inputs import as_positive, as_real
from ..errors import InputError
from ._base import AbstractSpectrum, ZeroBehaviour
from ._poles import one_pole


class DrudeLorentz(AbstractSpectrum):
    """γ(ω) = 2 J(ω),  J(ω) = 2 λ ω ω_c / (ω² + ω_c²), so that Γ(ω) = 2 J(ω) (n(ω)+1).

    **Arguments:** `strength`: the reorganisation energy λ > 0. `cutoff`: ω_c > 0.

    **Raises:** `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.DrudeLorentz(0.001, 2.0).rate(0.0, temperature=0.5)     # 0.001
    ```
    """

    strength: Float[Array, ""]
    cutoff: Float[Array, ""]
    at_zero: ClassVar[ZeroBehaviour] = "smooth"

    def __init__(self, strength: ArrayLike, cutoff: ArrayLike):
        self.strength = as_positive(strength, "DrudeLorentz: strength", InputError, "an energy")
        self.cutoff = as_positive(cutoff, "DrudeLorentz: cutoff", InputError, "a frequency")

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        omega = as_real(omega, "omega")
        return 4 * self.strength * self.cutoff / (omega**2 + self.cutoff**2)

    def landmarks(self, temperature: Float[Array, ""]) -> Float[Array, " marks"]:
        return self.cutoff[None]

    def principal_value(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        return 4 * self.strength * self.cutoff * one_pole(omega, temperature, self.cutoff)

    def poles(self) -> tuple[Array, Array]:
        return self.cutoff[None] + 0j, 4 * (self.strength * self.cutoff)[None] + 0j
