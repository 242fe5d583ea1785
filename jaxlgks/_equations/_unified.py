"""The unified equation (partial secular), with three choices of the rates inside a cluster.

Takes: a system. Returns: D_α = Σ_g D_g as for Davies, g clusters of nearby Bohr frequencies.
"""

from typing import Any, ClassVar, Literal, get_args

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import Groups, Reference, Structure, find_groups, find_structure, follow, reference_energies
from .._compiled import compiled
from .._inputs import as_setting, as_word
from .._system import Noise, System, require_matrices
from ._base import Filter, Thunk, as_reference
from ._rates import OfGroup
from ._redfield import redfield_jumps, redfield_operators
from ._secular import AbstractSecular, Product
from ._timescales import correlation_time, dephasing_rate, relaxation_rate

Rates = Literal["geometric", "centre", "arithmetic"]


class Unified(AbstractSecular):
    """The unified master equation: clusters of nearby Bohr frequencies stay coherent. With `rates="geometric"`

        D_α = Σ_g D[A_g],    A_g = Σ_{ω∈g} √Γ_α(ω) S_α(ω),

    so the rate between two frequencies of a cluster is the geometric mean √(Γ(ω)Γ(ω')). Completely positive. Where a
    cluster is exactly degenerate, or all frequencies are far apart, it is the Davies equation. Each bath alone fixes
    the Gibbs state to first order in the splitting of a cluster.

    `rates="centre"` gives each cluster one rate, that of its reference frequency,

        A_g = √Γ_α(ω_g) Σ_{ω∈g} S_α(ω).

    Completely positive. With respect to H₀ (`reference_hamiltonian`), the operator nearest to H in which all
    frequencies of a cluster are ω_g, it obeys the laws of thermodynamics exactly: each bath alone fixes the Gibbs state
    of H₀, and the heat that H₀ counts, `System(..., energy=H₀)`, has σ ≥ 0. With respect to H itself the errors are of
    the order of the splitting. ω_g follows a perturbation of H, but one that splits a cluster about its centre moves no
    rate: the response to it lacks a term of its own order. Frequencies that are chained to zero become zero, so keep
    the width below them; a cluster wider than the lowest temperature is a `ValidityWarning`. For matrices only.

    `rates="arithmetic"` is the partial secular approximation of the Redfield equation,

        D_α ρ = Σ_g [Λ_g ρ, S_g†] + h.c.,    S_g = Σ_{ω∈g} S_α(ω),    Λ_g = Σ_{ω∈g} ½ Γ_α(ω) S_α(ω),

    where the rate between two frequencies is the mean of Γ(ω) and Γ(ω'). Each bath alone fixes the Gibbs state of H
    exactly (without Lamb shift), but populations can be slightly negative.

    Frequencies are chained together while neighbours are closer than the width. With Γ_R the fastest decay rate of a
    level, or pure dephasing by a bath that drives its transitions too, and τ_B = max |d ln Γ/dω| the memory of the
    baths, the automatic width is √(Γ_R/τ_B): there the error of treating frequencies apart, Γ_R/|ω−ω'|, equals that of
    giving them a common rate, |ω−ω'| τ_B.

    **Arguments:** `width`: in units of Γ_R, or None for the automatic choice. `lamb_shift`: as in `Davies`, summed
    within a cluster; with "arithmetic", as in `Redfield`. `rates`: "geometric", "centre" or "arithmetic".

    **Raises:** `InputError`; `LambShiftError` when used with a density that has none.

    Sources: "geometric", McCauley, Cruikshank, Bondar and Jacobs, npj Quantum Inf. 6, 74 (2020), arXiv:1906.08279;
    "centre", Trushechkin, Phys. Rev. A 103, 062226 (2021), arXiv:2103.12042; "arithmetic", Cattaneo, Giorgi, Maniscalco
    and Zambrini, New J. Phys. 21, 113045 (2019).

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
    rates: Rates = eqx.field(static=True)
    regroups: ClassVar[bool] = True

    def __init__(
        self,
        width: float | None = None,
        lamb_shift: bool = False,
        reference: Reference | None = None,
        rates: Rates = "geometric",
    ):
        self.width = None if width is None else as_setting(width, "Unified: width (units of the relaxation rate)")
        self.lamb_shift = lamb_shift
        self.reference = as_reference(reference, "Unified")
        self.rates = as_word(rates, "Unified: rates", get_args(Rates))

    @property
    def secular(self) -> bool:
        return self.rates != "centre"

    @property
    def one_rate(self) -> bool:
        return self.rates == "centre"

    @property
    def positive(self) -> bool:
        return self.rates != "arithmetic"

    @property
    def kernel(self) -> Literal["lindblad", "redfield"] | None:
        return {"geometric": "lindblad", "centre": None, "arithmetic": "redfield"}[self.rates]

    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        if self.rates == "arithmetic":
            return redfield_operators(filtered, noise, self.lamb_shift)
        if self.rates == "geometric":
            return super().operators(filtered, noise, structure)

        def at_the_centre(F: Any) -> Complex[Array, "g d d"]:
            return filtered(OfGroup(F))

        return super().operators(at_the_centre, noise, structure)

    def jumps(self, operators: Any) -> tuple[Array, Array]:
        return redfield_jumps(operators) if self.rates == "arithmetic" else super().jumps(operators)

    def drift(self, operators: Any, product: Product) -> Array:
        """That of `Redfield`, S†Λ; or ½ A†A + i H_LS."""
        return product(*operators) if self.rates == "arithmetic" else super().drift(operators, product)

    def reference_hamiltonian(self, system: System) -> Complex[Array, "d d"]:
        """H₀: it commutes with H, gives the frequencies of a cluster one value, and is the nearest to H that does,
        without the trace. What `rates="centre"` obeys the laws with respect to. A constant of differentiation."""
        require_matrices(system, "reference_hamiltonian")
        structure = find_structure(system.hamiltonian)
        energies = reference_energies(structure, self.groups(structure, system))
        return structure.from_eigenbasis(jnp.diag(energies)).astype(system.hamiltonian.dtype)

    def gap(self, largest: Float[Array, ""], fast: Thunk, memory: Thunk) -> Float[Array, ""]:
        if self.width is not None:
            return self.width * fast()
        rate, longest = fast(), memory()
        return jnp.where(longest > 0, jnp.sqrt(rate / jnp.where(longest > 0, longest, 1.0)), rate)

    def groups(self, structure: Structure, system: System) -> Groups:
        if self.reference is not None:
            return follow(self.reference, structure)
        return find_groups(structure, 1e-9, cluster_gap(self, structure, system))


@compiled
def cluster_gap(equation: Unified, structure: Structure, system: System) -> Float[Array, ""]:
    """The distance of neighbours below which a cluster goes on, a frequency."""
    return equation.gap(
        structure.energies[-1] - structure.energies[0],
        lambda: jnp.maximum(relaxation_rate(structure, system), dephasing_rate(structure, system)),
        lambda: correlation_time(structure, system),
    )
