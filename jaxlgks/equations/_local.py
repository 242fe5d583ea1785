"""The local equation: the dissipator of a reference, unmoved by the perturbation (paper, III C, ν ≪ 1/τ, and Eq. 43).

Enters: a system and a reference Hamiltonian H₀. Leaves: the Davies dissipators of H₀ with the system's baths; the
commutator holds the system's own Hamiltonian.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Complex

from .._errors import ShapeError
from .._inputs import as_operator
from .._system import System
from ..bohr import Groups
from ._base import AbstractEquation, FirstOrder
from ._davies import Davies
from ._dissipator import Dissipator


class Local(AbstractEquation):
    """Local (fixed-dissipator) master equation: dρ/dt = −i[H, ρ] + Σ_α D_α[H₀] ρ.

    "Local" is meant as in the paper: with respect to the perturbation H − H₀, which the dissipators do not see. Their
    own part of the response is then zero (rotation = shift = 0, Eq. 36). Each bath drives towards the Gibbs state of
    H₀, not of H, and the response of a heat current misses a term of its own order: see `Davies`.

    **Arguments:** `reference`: a `System` or its Hamiltonian H₀, shape [d, d]. `tolerance`: as in `Davies`.

    **Raises:** `NotHermitianError`, `ShapeError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    moved = system.perturbed(lgks.models.pauli("ZZ"), 0.1)
    lgks.heat_currents(moved, lgks.Local(system))
    ```
    """

    reference: Complex[Array, "d d"]
    davies: Davies

    def __init__(self, reference, tolerance: float = 1e-9):
        if isinstance(reference, System):
            reference = reference.hamiltonian
        self.reference = as_operator(reference, "Local: the reference Hamiltonian")
        self.davies = Davies(tolerance)

    def _at_reference(self, system: System) -> System:
        if self.reference.shape != system.hamiltonian.shape:
            raise ShapeError(
                f"Local: the reference Hamiltonian must have the shape of the system's, {system.hamiltonian.shape}; "
                f"got {self.reference.shape}."
            )
        return eqx.tree_at(lambda s: s.hamiltonian, system, self.reference.astype(system.hamiltonian.dtype))

    def groups(self, system: System) -> Groups:
        return self.davies.groups(self._at_reference(system))

    def fixed(self, system: System) -> "Local":
        return self  # nothing of it moves with the system's Hamiltonian

    def admit(self, system: System, V: Complex[Array, "d d"]) -> System:
        return system  # V does not reach the dissipators

    def thermal_hamiltonian(self, system: System) -> Complex[Array, "d d"]:
        return self._at_reference(system).hamiltonian

    def channels(self, system: System) -> tuple[Dissipator, ...]:
        return self.davies.channels(self._at_reference(system))

    def dissipators(self, system: System) -> tuple[Dissipator, ...]:
        return self.davies.dissipators(self._at_reference(system))

    def first_order(self, system: System, V: Complex[Array, "d d"]) -> tuple[FirstOrder, ...]:
        """Zero: V does not reach the dissipators."""
        still = jax.tree.map(lambda x: 0 * x, self.channels(system))
        return tuple(FirstOrder(zero, zero) for zero in still)
