"""The unified equation (partial secular, geometric-mean rates).

Takes: a system. Returns: D_α = Σ_g D[A_g] as for Davies, g clusters of nearby Bohr frequencies.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._bohr import Groups, Reference, Structure, find_groups, follow
from .._inputs import as_setting
from .._system import System
from ._base import Thunk, as_reference
from ._secular import AbstractSecular
from ._timescales import correlation_time, relaxation_rate


class Unified(AbstractSecular):
    """The unified master equation: clusters of nearby Bohr frequencies stay coherent,

        D_α = Σ_g D[A_g],    A_g = Σ_{ω∈g} √Γ_α(ω) S_α(ω),

    so the rate between two frequencies of a cluster is the geometric mean √(Γ(ω)Γ(ω')). Completely positive. Where a
    cluster is exactly degenerate, or all frequencies are far apart, it is the Davies equation. Each bath alone fixes
    the Gibbs state to first order in the splitting of a cluster.

    Frequencies are chained together while neighbours are closer than the width. With Γ_R the fastest decay rate of a
    level and τ_B = max |d ln Γ/dω| the memory of the baths, the automatic width is √(Γ_R/τ_B): there the error of
    treating frequencies apart, Γ_R/|ω−ω'|, equals that of giving them a common rate, |ω−ω'| τ_B.

    **Arguments:** `width`: in units of Γ_R, or None for the automatic choice. `lamb_shift`: as in `Davies`, summed
    within a cluster.

    **Raises:** `InputError`; `LambShiftError` when used with a density that has none.

    Source: Trushechkin, Phys. Rev. A 103, 062226 (2021).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    jax.grad(lambda d: lgks.heat_currents(system.perturbed(lgks.models.pauli("ZZ"), d), lgks.Unified())[0])(0.0)
    ```
    """

    width: float | None = eqx.field(static=True)
    lamb_shift: bool = eqx.field(static=True)
    reference: Reference | None
    secular: ClassVar[bool] = True

    def __init__(self, width: float | None = None, lamb_shift: bool = False, reference: Reference | None = None):
        self.width = None if width is None else as_setting(width, "Unified: width (units of the relaxation rate)")
        self.lamb_shift = lamb_shift
        self.reference = as_reference(reference, "Unified")

    def gap(self, largest: Float[Array, ""], fast: Thunk, memory: Thunk) -> Float[Array, ""]:
        if self.width is not None:
            return self.width * fast()
        rate, longest = fast(), memory()
        return jnp.where(longest > 0, jnp.sqrt(rate / jnp.where(longest > 0, longest, 1.0)), rate)

    def groups(self, structure: Structure, system: System) -> Groups:
        if self.reference is not None:
            return follow(self.reference, structure)
        return find_groups(structure, 1e-9, cluster_gap(self, structure, system))


@eqx.filter_jit
def cluster_gap(equation: Unified, structure: Structure, system: System) -> Float[Array, ""]:
    """The distance of neighbours below which a cluster goes on, a frequency."""
    return equation.gap(
        structure.energies[-1] - structure.energies[0],
        lambda: relaxation_rate(structure, system),
        lambda: correlation_time(structure, system),
    )
