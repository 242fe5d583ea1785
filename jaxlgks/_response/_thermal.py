"""The response of a steady state to its baths: to their temperatures and to the strength of their coupling.

Takes: a model, a quantity, a master equation. Returns: derivatives with respect to T_β and to the relative strength of
each bath, by the explicit first-order generator and by differentiating the steady state; the Onsager matrix.

With H and the groups fixed, L₁ is ∂D_β/∂T_β, or D_β itself for Γ_β → (1 + s_β) Γ_β. As for a perturbation,
ρ₁ = −L₀⁻¹ L₁π₀, and currents also change at once, by Tr[H L₁π₀] of their own bath.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._compiled import compiled
from .._equations import AbstractEquation, Davies
from .._generator import AbstractGenerator, AbstractProblem, AbstractSolver, Observables, State, resolve
from .._inputs import is_concrete
from .._observables import AbstractQuantity, HeatCurrents, as_quantity, require_logarithm, steady_value, value_at
from .._steady import at_rest
from ..errors import InputError


class ThermalResponse(eqx.Module):
    """Derivatives of a steady quantity in the numbers of the baths, last axis baths.

    - `temperatures`: ∂⟨A⟩/∂T_β. `strengths`: ∂⟨A⟩/∂s_β at s = 0, for Γ_β → (1 + s_β) Γ_β.
    """

    temperatures: Float[Array, "*a baths"]
    strengths: Float[Array, "*a baths"]


def thermal_response(
    system: Any, A: Any, equation: AbstractEquation = Davies(), solver: AbstractSolver | None = None
) -> ThermalResponse:
    """The static response of a quantity to temperatures and coupling strengths, by the explicit generator.

    **Arguments:** `system`, `equation` (its groups stay as they are); `A`: an observable [d, d], several [..., d, d],
    `HeatCurrent(bath)` or `EntropyProduction()`; `solver`: as for `response`.

    **Returns:** `ThermalResponse`.

    **Raises:** as `steady_state`; `NotHermitianError`, `ShapeError`, `InputError` for `A`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    r = lgks.thermal_response(system, lgks.HeatCurrent("a"))
    r.temperatures, r.strengths
    ```
    """
    problem = resolve(system, equation)
    return _explicit(problem, as_quantity(A, problem), solver)


def _explicit(problem: AbstractProblem, quantity: AbstractQuantity, solver: AbstractSolver | None) -> ThermalResponse:
    """The response of a checked quantity."""
    L, state = at_rest(problem, solver).generator()
    observables, sources, explicit = _first_order(L, state, quantity)
    require_logarithm(observables, quantity)
    still = jnp.zeros(1, explicit.dtype)
    return _halves(explicit - L.resolvent(sources, still, observables)[0].real)


@compiled
def _first_order(L: AbstractGenerator, state: State, quantity: AbstractQuantity) -> tuple[Observables, State, Array]:
    """The observables of a quantity, the source of each change of the baths, and what each changes at once."""
    changes = L.thermal_changes(state)
    explicit = jax.vmap(lambda change: quantity.explicit(L, state, change))(changes)
    return quantity.linear(L, state), jax.tree.map(lambda x: x[:, 0], changes.sources), explicit.real


def _halves(changes: Float[Array, "..."]) -> ThermalResponse:
    """From the changes with the temperature of each bath, then with its strength."""
    first, second = jnp.split(jnp.moveaxis(changes, 0, -1), 2, axis=-1)
    return ThermalResponse(first, second)


def autodiff_thermal_response(
    system: Any, A: Any, equation: AbstractEquation = Davies(), solver: AbstractSolver | None = None
) -> ThermalResponse:
    """The same as `thermal_response`, by JAX through the steady state.

    **Arguments, Returns, Raises:** as `thermal_response`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    lgks.autodiff_thermal_response(system, lgks.HeatCurrent("a")).temperatures
    ```
    """
    problem = resolve(system, equation)
    quantity = as_quantity(A, problem)
    rest = at_rest(problem, solver)  # raises here what would be NaN inside the compiled derivative
    value_at(rest, quantity)
    return _autodiff(problem, quantity, rest.solver)


@compiled
def _autodiff(problem: AbstractProblem, quantity: AbstractQuantity, solver: AbstractSolver | None) -> ThermalResponse:
    def value(temperatures: Array, strengths: Array) -> Array:
        return steady_value(problem.with_baths(temperatures, strengths), quantity, solver)

    temperatures = problem.model.temperatures
    return ThermalResponse(*jax.jacfwd(value, (0, 1))(temperatures, jnp.zeros_like(temperatures)))


def onsager_matrix(
    system: Any, equation: AbstractEquation = Davies(), solver: AbstractSolver | None = None
) -> Float[Array, "baths baths"]:
    """L_αβ = T² ∂J_α/∂T_β at one common temperature T: the linear heat currents J_α = Σ_β L_αβ (T_β − T)/T².

    Symmetric for `Davies` (detailed balance of each bath), its rows sum to zero (first law, and no current at one
    temperature). In a rotating frame, or with heat counted by another operator than H, currents need not vanish at one
    temperature: then L_αβ is their slope alone, J_α = J_α(T) + Σ_β L_αβ (T_β − T)/T², and neither need hold.

    **Arguments:** `system`: all baths at one temperature. `equation`; `solver`: as for `response`.

    **Returns:** real array [baths, baths], unit energy² per time (k_B = 1).

    **Raises:** `InputError` if the temperatures differ (NaN where they are traced).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.5))
    lgks.onsager_matrix(system)
    ```
    """
    problem = resolve(system, equation)
    T = problem.model.temperatures
    equal = jnp.max(jnp.abs(T - T[0])) <= 1e-12 * T[0]
    if is_concrete(equal) and not equal:
        raise InputError(f"onsager_matrix: all baths must have one temperature; got {np.asarray(T).tolist()}.")
    slopes = T[0] ** 2 * _explicit(problem, HeatCurrents(), solver).temperatures
    return jnp.asarray(jnp.where(equal, slopes, jnp.nan))
