"""The paper's constant rate γ."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .._inputs import as_positive, as_real
from ..errors import InputError
from ._base import AbstractSpectrum, ZeroBehaviour


class Flat(AbstractSpectrum):
    """γ(ω) = γ, the constant rate of the paper's examples.

    Γ(ω) = γ (n(ω)+1) for ω > 0 and γ n(|ω|) for ω < 0 diverges at ω = 0; there Γ(0) = 0 by convention (no pure
    dephasing). It has no derivative at ω = 0 and no Lamb shift.

    **Arguments:** `gamma`: the rate γ > 0.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.Flat(1.0).rate(2.0, temperature=1.0)      # 1/(1 - exp(-2)) = 1.1565...
    ```
    """

    gamma: Float[Array, ""]
    at_zero: ClassVar[ZeroBehaviour] = "singular"

    def __init__(self, gamma: ArrayLike):
        self.gamma = as_positive(gamma, "Flat: gamma", InputError, "a rate")

    @property
    def dephases_infinitely(self) -> bool:
        return False

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        return over_frequency(self.gamma, as_real(omega, "omega"))


def over_frequency(gamma: Float[Array, "..."], omega: Float[Array, "..."]) -> Float[Array, "..."]:
    """γ/|ω|, zero at ω = 0."""
    at_zero = omega == 0
    return jnp.where(at_zero, 0.0, gamma / jnp.abs(jnp.where(at_zero, 1.0, omega)))
