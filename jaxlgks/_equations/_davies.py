"""The Davies equation (full secular, "global"): paper, Eqs. 11–12.

Takes: a system. Returns: D_α = Σ_g D[A_g], A_g = (1_g √Γ_α)(Ω_H)[S_α], g the groups of equal Bohr frequency.
"""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from .._bohr import Groups, Reference, Structure, find_groups, follow
from .._inputs import as_setting
from .._system import System
from ._base import Thunk, as_reference
from ._secular import AbstractSecular


class Davies(AbstractSecular):
    """The Davies (full secular, global) master equation,

        D_α ρ = Σ_ω Γ_α(ω) ( S_α(ω) ρ S_α†(ω) − ½ {S_α†(ω) S_α(ω), ρ} )        (paper, Eq. 12)

    Transitions whose Bohr frequencies agree within `tolerance` × the width of the spectrum of H form one group and
    stay coherent with each other; all others are treated apart. Valid where different Bohr frequencies differ by much
    more than the relaxation rates.

    **Arguments:** `tolerance`: relative; 1e−9 separates everything that double precision can tell apart safely.
    `lamb_shift`: whether to add −i[Σ_ω S_α(ω) S_α†(ω) S_α(ω), ρ] to D_α; S is the principal-value integral of the
    density (`spectrum.lamb_shift`). Heat currents contain it.

    **Raises:** `InputError`; `LambShiftError` when used with a density that has none.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.001, temperatures=(0.45, 0.35))
    lgks.heat_currents(system, lgks.Davies())
    ```
    """

    tolerance: float = eqx.field(static=True)
    lamb_shift: bool = eqx.field(static=True)
    reference: Reference | None
    regroups: ClassVar[bool] = True
    equal: ClassVar[bool] = True

    def __init__(self, tolerance: float = 1e-9, lamb_shift: bool = False, reference: Reference | None = None):
        self.tolerance = as_setting(tolerance, "Davies: tolerance")
        self.lamb_shift = lamb_shift
        self.reference = as_reference(reference, "Davies")

    @property
    def secular(self) -> bool:
        return True

    def gap(self, largest: Float[Array, ""], fast: Thunk, memory: Thunk) -> Float[Array, ""]:
        return self.tolerance * largest

    def groups(self, structure: Structure, system: System) -> Groups:
        if self.reference is None:
            return find_groups(structure, self.tolerance)
        return follow(self.reference, structure)
