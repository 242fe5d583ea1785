"""The explicit route: L₁ by perturbation theory, applied to the steady state.

Takes: a model, a perturbation V, a quantity, a master equation. Returns: its linear response by mechanism.
"""

from typing import Any

from .._equations import AbstractEquation, Davies
from .._generator import AbstractSolver, resolve
from .._inputs import as_flag
from .._observables import as_quantity
from .._steady import at_rest
from ._expansion import expand
from ._linear import LinearResponse


def response(
    system: Any,
    V: Any,
    A: Any,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    instantaneous: bool = False,
) -> LinearResponse:
    """The response of observables to H → H + δV, by the explicit first-order generator.

        φ_A(τ) = ⟨L₁† e^{L₀†τ} A⟩ = φ^(kubo) + φ^(rotation) + φ^(shift)       (paper, Eqs. 23–24, and the shift)

    Groups of Bohr frequencies are those of `system` and stay as they are. Everything is exact at degenerate energies
    and frequencies.

    In time and frequency dissipators follow V with the memory of their baths: L₁ depends on ω, and only `.static()` is
    that of H + δV. For `Redfield(lamb_shift=True)` this is exact to second order in the coupling; any other equation
    keeps its static response, and takes from Redfield's what depends on the frequency.

    **Arguments:**

    - `system`: at δ = 0. `V`: Hermitian, [d, d]. `equation`: the master equation.
    - `A`: an observable, Hermitian, [d, d], or several, [..., d, d]; `HeatCurrent(bath)` or `EntropyProduction()`.
    - `solver`: finds the steady state, and keeps the generator in its form (`Dense()`, `Blocks()`, `Krylov()`) for the
      response too; chosen as by `steady_state` when left out.

    - `instantaneous`: dissipators follow V at once, as in the paper: right for a V that changes much more slowly than
      the transitions of the system and the memory of the baths.

    For a `QuasiFree` model V and A are Hermitian `Polynomial`s of any degree, or A a sequence of them: nothing is
    truncated.

    **Returns:** `LinearResponse`, with `.static()`, `.impulse(t)`, `.step(t)`, `.susceptibility(omega)`; each result
    has `.kubo`, `.rotation`, `.shift`, `.total` (and `.explicit`, zero for observables that do not depend on H).

    **Raises:** `NotHermitianError`, `ShapeError`; `SingularDensityError` if V splits a degenerate level to which a
    bath couples at zero frequency and its density has no slope there; `ResonanceError` if terms of a polynomial V are
    almost at resonance with H₀; what `steady_state` raises. In time and frequency `CorrelationError` where a bath has
    no memory (`Flat`), unless `instantaneous=True`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.001, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    r = lgks.response(system, lgks.models.pauli("ZZ"), lgks.models.pauli("ZI"), lgks.Redfield(lamb_shift=True))
    r.static().shift, r.susceptibility([0.0, 0.5]).total
    ```
    """
    instantaneous = as_flag(instantaneous, "response: instantaneous")
    problem = resolve(system, equation)
    V, quantity = problem.operator(V, "the perturbation V"), as_quantity(A, problem)
    rest = at_rest(problem, solver)
    return expand(problem, V, quantity.degree, rest, instantaneous=instantaneous).linear(quantity)
