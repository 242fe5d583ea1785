"""The local equation: the dissipator of a reference, unmoved by the perturbation (paper, III C, ν ≪ 1/τ, and Eq. 43).

Takes: a system and a reference Hamiltonian H₀. Returns: the Davies dissipators of H₀ with the system's baths; the
commutator holds the system's own Hamiltonian.
"""

from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Complex, Float

from .._bohr import Groups, Structure
from .._inputs import as_operator
from .._polynomials import Polynomial
from .._system import System
from ..errors import ShapeError
from ._base import Thunk
from ._davies import Davies
from ._secular import AbstractSecular

if TYPE_CHECKING:  # which of the two it is, the systems see to
    Reference = Any
else:
    Reference = Complex[Array, "d d"] | Polynomial


class Local(AbstractSecular):
    """Local (fixed-dissipator) master equation: dρ/dt = −i[H, ρ] + Σ_α D_α[H₀] ρ.

    "Local" is meant as in the paper: with respect to the perturbation H − H₀, which the dissipators do not see. Their
    own part of the response is then zero (rotation = shift = 0, Eq. 36). Each bath drives towards the Gibbs state of
    H₀, not of H, and the response of a heat current misses a term of its own order: see `Davies`.

    **Arguments:** `reference`: a `System` or its Hamiltonian H₀, shape [d, d]; for a `QuasiFree` model another one.
    `tolerance`, `lamb_shift`: as in `Davies`.

    **Raises:** `NotHermitianError`, `ShapeError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    perturbed = system.perturbed(lgks.models.pauli("ZZ"), 0.1)
    lgks.heat_currents(perturbed, lgks.Local(system))
    ```
    """

    reference: Reference
    davies: Davies
    lamb_shift: bool = eqx.field(static=True)
    equal: ClassVar[bool] = True
    follows: ClassVar[bool] = False

    def __init__(self, reference, tolerance: float = 1e-9, lamb_shift: bool = False):
        reference = getattr(reference, "hamiltonian", reference)
        oscillators = isinstance(reference, Polynomial)
        self.reference = reference if oscillators else as_operator(reference, "Local: the reference Hamiltonian")
        self.davies = Davies(tolerance, lamb_shift)
        self.lamb_shift = lamb_shift

    def frozen(self, model: Any) -> Any:
        """The reference; `ShapeError` where it is not of the model's kind and size."""
        H = self.reference
        if _described(H) == _described(model.hamiltonian):
            return H if isinstance(H, Polynomial) else H.astype(model.hamiltonian.dtype)
        raise ShapeError(
            "Local: the reference Hamiltonian must be of the model's kind and shape, "
            f"{_described(model.hamiltonian)}; got {_described(H)}."
        )

    def gap(self, largest: Float[Array, ""], fast: Thunk, memory: Thunk) -> Float[Array, ""]:
        return self.davies.gap(largest, fast, memory)

    def groups(self, structure: Structure, system: System) -> Groups:
        return self.davies.groups(structure, system)


def _described(H: Any) -> str:
    return f"a Polynomial of {H.modes} mode(s)" if isinstance(H, Polynomial) else f"a matrix of shape {H.shape}"
