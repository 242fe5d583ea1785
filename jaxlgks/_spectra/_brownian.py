"""The underdamped Brownian oscillator: a bath with one broadened line."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._inputs import as_positive, as_real
from ..errors import InputError
from ._base import AbstractSpectrum, ZeroBehaviour
from ._poles import two_poles


class UnderdampedBrownian(AbstractSpectrum):
    """γ(ω) = 2 J(ω),  J(ω) = λ² Γ ω / ((ω² − ω₀²)² + Γ² ω²), as QuTiP's `UnderDampedBath`.

    **Arguments:** `strength`: λ > 0, of dimension energy^{3/2}. `width`: Γ > 0. `resonance`: ω₀ > 0.

    **Raises:** `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.UnderdampedBrownian(strength=0.1, width=0.2, resonance=1.5)
    bath.rate([-1.5, 0.0, 1.5], temperature=0.5)
    ```
    """

    strength: Float[Array, ""]
    width: Float[Array, ""]
    resonance: Float[Array, ""]
    at_zero: ClassVar[ZeroBehaviour] = "smooth"

    def __init__(self, strength: ArrayLike, width: ArrayLike, resonance: ArrayLike):
        self.strength = as_positive(strength, "UnderdampedBrownian: strength", InputError, "energy to the power 3/2")
        self.width = as_positive(width, "UnderdampedBrownian: width", InputError, "a frequency")
        self.resonance = as_positive(resonance, "UnderdampedBrownian: resonance", InputError, "a frequency")

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        omega = as_real(omega, "omega")
        detuning = omega**2 - self.resonance**2
        return 2 * self.strength**2 * self.width / (detuning**2 + (self.width * omega) ** 2)

    def landmarks(self, temperature: Float[Array, ""]) -> Float[Array, " marks"]:
        return jnp.stack([self.resonance, self.width])

    def cuts(self, temperature: Float[Array, ""]) -> Float[Array, " cuts"]:
        """Both sides of the line too, which may be narrow: its poles are half a width away from the real axis."""
        return jnp.stack([self.resonance, self.width, self.resonance - self.width, self.resonance + self.width])

    def principal_value(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        return 2 * self.strength**2 * self.width * two_poles(omega, temperature, self.width, self.resonance)

    def poles(self) -> tuple[Array, Array]:
        """p = Γ/2 ± iζ, ζ² = ω₀² − Γ²/4, K = ∓λ²/iζ: none at critical damping."""
        zeta = jnp.sqrt(self.resonance**2 - self.width**2 / 4 + 0j)
        upper = self.width / 2 - 1j * zeta  # the larger one where both are real
        weight = 1j * self.strength**2 / zeta
        return jnp.stack([upper, self.resonance**2 / upper]), jnp.stack([-weight, weight])
