"""The response of a steady state to its baths: to their temperatures and to the strength of their coupling.

Enters: a system, a quantity, a master equation. Leaves: derivatives with respect to T_β and to the relative strength of
each bath, by the explicit first-order generator and by differentiating the steady state; the Onsager matrix.

With H and the groups fixed, L₁ is ∂D_β/∂T_β, or D_β itself for Γ_β → (1 + s_β) Γ_β. As for a perturbation,
ρ₁ = −L₀⁻¹ L₁π₀, and currents also change at once, by Tr[H L₁π₀] of their own bath.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._bohr import centred
from .._equations import AbstractEquation, Davies
from .._generator import BlockGenerator, Partition, block_generator, converged, find_partition, generator
from .._inputs import is_concrete
from .._observables import expectation
from .._oscillators import QuasiFree
from .._steady import steady_state
from .._system import System
from ..errors import InputError
from ._oscillators_thermal import quasifree_autodiff_thermal, quasifree_thermal
from ._quantities import EntropyProduction, HeatCurrent, as_quantity, steady_value


class ThermalResponse(eqx.Module):
    """Derivatives of a steady quantity in the numbers of the baths, last axis baths.

    - `temperatures`: ∂⟨A⟩/∂T_β. `strengths`: ∂⟨A⟩/∂s_β at s = 0, for Γ_β → (1 + s_β) Γ_β.
    """

    temperatures: Float[Array, "*a baths"]
    strengths: Float[Array, "*a baths"]


def thermal_response(system: System | QuasiFree, A, equation: AbstractEquation = Davies()) -> ThermalResponse:
    """The static response of a quantity to temperatures and coupling strengths, by the explicit generator.

    **Arguments:** `system`, `equation` (its groups stay as they are); `A`: an observable [d, d], several [..., d, d],
    `HeatCurrent(bath)` or `EntropyProduction()`.

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
    if isinstance(system, QuasiFree):
        return ThermalResponse(*quasifree_thermal(system, A, equation))
    A = as_quantity(A, system)
    state = steady_state(system, equation).rho
    found = _explicit(system, equation.fixed(system), state, A, find_partition(system, equation))
    return jax.tree.map(lambda x: converged(x, state), found)


@eqx.filter_jit
def _explicit(
    system: System, equation: AbstractEquation, state: Array, A, partition: Partition | None
) -> ThermalResponse:
    count = len(system.baths)
    flows = _dissipators(system, equation) if partition is None else _block_dissipators(system, equation, partition)
    sources = jnp.stack([*(warmer(state) for _, warmer in flows), *(D(state) for D, _ in flows)])
    L = generator(system, equation, partition)
    still = jnp.zeros((), system.temperatures.dtype)
    first = -L.back(L.solve(L.to(sources), still))  # ρ₁ for every source

    if not isinstance(A, HeatCurrent | EntropyProduction):
        change = jnp.einsum("...ij,kji->...k", A, first).real
        return ThermalResponse(change[..., :count], change[..., count:])
    H = centred(system.hamiltonian)
    energy = lambda rho: expectation(H, rho)  # noqa: E731
    through = jnp.stack([jax.vmap(lambda rho, D=D: energy(D(rho)))(first) for D, _ in flows])  # [bath, source]
    own = jax.vmap(energy)(sources)
    through = through + jnp.tile(jnp.eye(count), 2) * own  # source k belongs to bath k mod count
    if isinstance(A, HeatCurrent):
        change = through[A.position(system)]
    else:
        currents = own[count:]
        direct = jnp.concatenate([currents / system.temperatures**2, jnp.zeros(count)])
        change = direct - jnp.sum(through / system.temperatures[:, None], axis=0)
    return ThermalResponse(change[:count], change[count:])


Superoperator = Callable[[Array], Array]


def _dissipators(system: System, equation: AbstractEquation) -> list[tuple[Superoperator, Superoperator]]:
    """D_α and ∂D_α/∂T_α of every bath."""
    warmer = equation.first_order_in_temperature(system)
    whole = lambda stack: lambda rho: jnp.sum(jax.vmap(lambda d: d(rho))(stack), axis=0)  # noqa: E731
    return [(D, whole(stack)) for D, stack in zip(equation.dissipators(system), warmer, strict=True)]


def _block_dissipators(
    system: System, equation: AbstractEquation, partition: Partition
) -> list[tuple[Superoperator, Superoperator]]:
    """The same without an axis of groups."""

    def of(alone: System) -> tuple[Superoperator, Superoperator]:
        def made(T: Array) -> BlockGenerator:
            warmer = eqx.tree_at(lambda s: s.baths[0].temperature, alone, T)
            return block_generator(warmer, equation, partition)

        T = alone.baths[0].temperature
        matrices, slopes = jax.jvp(lambda T: made(T).dissipative, (T,), (jnp.ones_like(T),))
        L = made(T)
        by = lambda M: lambda rho: L.back(partition.apply(M, L.to(rho)[None])[0])  # noqa: E731
        return by(matrices), by(slopes)

    return [of(alone) for alone in system.one_by_one]


def autodiff_thermal_response(system: System | QuasiFree, A, equation: AbstractEquation = Davies()) -> ThermalResponse:
    """The same as `thermal_response`, by JAX through the steady state.

    **Arguments, Returns, Raises:** as `thermal_response`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    lgks.autodiff_thermal_response(system, lgks.HeatCurrent("a")).temperatures
    ```
    """
    if isinstance(system, QuasiFree):
        return ThermalResponse(*quasifree_autodiff_thermal(system, A, equation))
    A = as_quantity(A, system)
    steady_value(system, A, equation)  # raises here what would be NaN inside the compiled derivative
    return _autodiff(system, equation.fixed(system), A)


@eqx.filter_jit
def _autodiff(system: System, equation: AbstractEquation, A) -> ThermalResponse:
    def value(temperatures: Array, strengths: Array) -> Array:
        changed = lambda s: [x for bath in s.baths for x in (bath.temperature, bath.coupling)]  # noqa: E731
        numbers = [
            x
            for bath, T, s in zip(system.baths, temperatures, strengths, strict=True)
            for x in (T, bath.coupling * jnp.sqrt(1 + s).astype(bath.coupling.dtype))
        ]
        return steady_value(eqx.tree_at(changed, system, numbers), A, equation)

    still = jnp.zeros_like(system.temperatures)
    return ThermalResponse(*jax.jacfwd(value, (0, 1))(system.temperatures, still))


def onsager_matrix(system: System | QuasiFree, equation: AbstractEquation = Davies()) -> Float[Array, "baths baths"]:
    """L_αβ = T² ∂J_α/∂T_β at one common temperature T: the linear heat currents J_α = Σ_β L_αβ (T_β − T)/T².

    Symmetric for `Davies` (detailed balance of each bath), its rows sum to zero (first law, and no current at one
    temperature).

    **Arguments:** `system`: all baths at one temperature. `equation`.

    **Returns:** real array [baths, baths], unit energy² per time (k_B = 1).

    **Raises:** `InputError` if the temperatures differ (NaN where they are traced).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.5))
    lgks.onsager_matrix(system)
    ```
    """
    T = system.temperatures
    equal = jnp.max(jnp.abs(T - T[0])) <= 1e-12 * T[0]
    if is_concrete(equal) and not equal:
        raise InputError(f"onsager_matrix: all baths must have one temperature; got {np.asarray(T).tolist()}.")
    rows = [thermal_response(system, HeatCurrent(i), equation).temperatures for i in range(len(system.baths))]
    return jnp.where(equal, T[0] ** 2 * jnp.stack(rows), jnp.nan)
