"""The hierarchy of equations of motion as a member of the equations: how deep it goes, and over which exponentials.

Takes: configuration. Returns: what a generator is made from; there is no dissipator, since nothing is averaged away.
"""

import functools
from typing import Any, ClassVar, Literal

import equinox as eqx
from jaxtyping import Array, Float

from .._bohr import Structure
from .._inputs import as_count, as_flag, as_setting, as_word, described
from .._system import Noise, System
from ..errors import InputError
from ._base import AbstractEquation, Filter
from ._dissipator import Dissipator


class Hierarchy(AbstractEquation):
    """Hierarchical equations of motion (HEOM): numerically exact at any coupling and for any memory of the baths.

    With C(t) = Σ_k c_k e^{−ν_k t} and C(t)* = Σ_k c̄_k e^{−ν_k t} the state of the system, ρ_0, is one of many matrices,

        dρ_n/dt = −i[H, ρ_n] − Σ_k n_k ν_k ρ_n − i Σ_k √((n_k+1) s_k) [S, ρ_{n+e_k}]
                  − i Σ_k √(n_k/s_k) (c_k S ρ_{n−e_k} − c̄_k ρ_{n−e_k} S),     s_k = |c_k|,

    n_k = 0, 1, ... (Tanimura and Kubo, J. Phys. Soc. Jpn. 58, 101 (1989)). They are cut off where n_1 + n_2 + ... is
    larger than `depth`. A state that an evolution starts from is a product of system and baths. A heat current is the
    energy that flows into the system, −i Σ_k √s_k Tr(H [S, ρ_{e_k}]). Responses are exact at every frequency and time.

    **Arguments:**

    - `depth`: tiers beside the state itself. Weak coupling needs 2 or 3, slow baths more.
    - `terms`: poles of the Bose function that are kept for each bath with a rational density (`DrudeLorentz`,
      `UnderdampedBrownian`, `Ohmic(shape="drude")`). Other densities are fitted, with many exponentials.

      Where one is left out it is increased until one more changes the steady state by less than `tolerance`: no
      element, and no heat current relative to the largest. That is a search, at each call anew; `.fixed(system)` makes
      it once, for `jit`, `vmap`, derivatives and sweeps too, and says what one more of each changes, `.error`. Far from
      rest, at other parameters and at high frequencies more may be needed.
    - `tolerance`: also of fitted correlation functions.
    - `expansion`: "pade", which needs few terms, or "matsubara".
    - `terminator`: whether what the exponentials miss acts as a force without memory (Ishizaki and Tanimura).

    **Raises:** `InputError`; `CorrelationError` where a bath has no such exponentials; `SolverMemoryError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.Bath(lgks.models.pauli("X"), 0.5, lgks.DrudeLorentz(0.2, 1.0))
    system = lgks.System(0.5 * lgks.models.pauli("Z"), bath)
    exact = lgks.Hierarchy(tolerance=1e-3).fixed(system)
    exact.depth, exact.terms, exact.error
    lgks.steady_state(system, exact).expect(lgks.models.pauli("Z"))
    ```
    """

    depth: int | None = eqx.field(static=True, default=None)
    terms: int | None = eqx.field(static=True, default=None)
    tolerance: float = eqx.field(static=True, default=1e-4)
    expansion: Literal["pade", "matsubara"] = eqx.field(static=True, default="pade")
    terminator: bool = eqx.field(static=True, default=True)
    error: Float[Array, ""] | None = None
    lamb_shift: ClassVar[bool] = True
    reference: ClassVar[None] = None
    follows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.depth = None if self.depth is None else as_count(self.depth, "Hierarchy: depth", least=1, most=1000)
        self.terms = None if self.terms is None else as_count(self.terms, "Hierarchy: terms", most=1000)
        self.tolerance = as_setting(self.tolerance, "Hierarchy: tolerance", least=1e-13, most=1.0)
        as_word(self.expansion, "Hierarchy: expansion", ("pade", "matsubara"))
        self.terminator = as_flag(self.terminator, "Hierarchy: terminator")

    @property
    def positive(self) -> bool:
        return False

    @property
    def levels(self) -> tuple[int, int]:
        """Depth and terms, where both are known."""
        assert self.depth is not None
        assert self.terms is not None
        return self.depth, self.terms

    @property
    def open(self) -> bool:
        """Whether depth or terms are still to be found."""
        return self.depth is None or self.terms is None

    def fixed(self, system: System) -> "Hierarchy":
        """The same with `depth` and `terms` that are enough for the steady state of `system`, and its `error`; itself
        where they are given.

        **Raises:** `InputError` where numbers are traced; `SolverMemoryError` where what is enough does not fit."""
        return enough_for(system, self) if self.open else self

    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        raise InputError(NO_DISSIPATOR)

    def assemble(self, operators: Any) -> Dissipator:
        raise InputError(NO_DISSIPATOR)


@functools.singledispatch
def enough_for(system: Any, equation: Hierarchy) -> Hierarchy:
    """A hierarchy whose next levels change the steady state by less than its tolerance: a search of the stage that has
    steady states, which registers itself."""
    raise InputError(f"Hierarchy.fixed is for a System of matrices; got {described(system)}.")


NO_DISSIPATOR = (
    "Hierarchy() has no dissipator: the state of the system is one of many matrices, and nothing is averaged away. "
    "It has steady_state, heat_currents, entropy_production, evolve, response, thermodynamic_response, "
    "autodiff_response, correlation and spectrum of a System. For anything else use Redfield(lamb_shift=True)."
)
