"""The Redfield equation: second order in the coupling, no secular approximation.

Takes: a system. Returns: D_α ρ = [Λ_α ρ, S_α] + h.c., Λ_α = (Γ_α/2 + i S_α)(Ω_H)[S_α].
"""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._bohr import Structure
from .._system import Noise
from ._base import AbstractEquation, Filter
from ._dissipator import Dissipator
from ._rates import HalfRate, LambShift, one


class Redfield(AbstractEquation):
    """The (Bloch–)Redfield master equation,

        D_α ρ = [Λ_α ρ, S_α] + [S_α, ρ Λ_α†],    Λ_α = Σ_ω ½ Γ_α(ω) S_α(ω)        (+ i S_α(ω) with the Lamb shift).

    Not completely positive: populations of a steady state can be slightly negative where the coupling is strong. Each
    bath alone fixes the Gibbs state exactly (without Lamb shift).

    **Arguments:** `lamb_shift`: whether Λ contains the principal-value part.

    **Raises:** `LambShiftError` when used with a density that has none.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.001, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    lgks.heat_currents(system, lgks.Redfield(lamb_shift=True))
    ```
    """

    lamb_shift: bool = eqx.field(static=True, default=False)
    reference: ClassVar[None] = None

    @property
    def positive(self) -> bool:
        return False

    @property
    def kernel(self) -> Literal["redfield"]:
        return "redfield"

    @property
    def second_order(self) -> bool:
        return self.lamb_shift

    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        return redfield_operators(filtered, noise, self.lamb_shift)

    def assemble(self, operators: Any) -> Dissipator:
        S, kernel = operators
        drift = jnp.einsum("jkm,jkn->mn", S.conj(), kernel)
        return Dissipator(*redfield_jumps(operators), drift, mirrored=True)


def redfield_operators(filtered: Filter, noise: Noise, lamb_shift: bool) -> tuple[Array, Array]:
    """S and Λ."""
    S, dissipative = filtered(one), filtered(HalfRate(noise.spectrum, noise.temperature))
    if not lamb_shift:
        return S, dissipative
    return S, dissipative + 1j * filtered(LambShift(noise.spectrum, noise.temperature))


def redfield_jumps(operators: tuple[Array, Array]) -> tuple[Array, Array]:
    """L and R of Λ ρ S† + S ρ Λ†."""
    S, kernel = operators
    return jnp.concatenate([kernel, S]), jnp.concatenate([S, kernel])
