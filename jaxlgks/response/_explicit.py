"""The explicit route: L₁ by perturbation theory, applied to the steady state.

Enters: a system, a perturbation V, a master equation. Leaves: the three parts of L₁π₀,

    kubo       −i[V, π₀]
    rotation   Σ_α D_α^rot π₀          eigenvectors turn (paper, Eqs. 16–17)
    shift      Σ_α D_α^shift π₀        Bohr frequencies move, and the rates with them (absent from the paper)

No derivative is taken here by machine: everything is built from values of the filter.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._generator import EnergyBasis, energy_generator
from .._inputs import as_operator
from .._system import System
from ..equations import AbstractEquation, Davies, Dissipator, FirstOrder
from ..steady import steady_state
from ._linear import LinearResponse


class Expansion(eqx.Module):
    """Zeroth and first order of everything: π₀, L₀, D_α by groups, D_α⁽¹⁾ by groups, and the sources L₁π₀."""

    state: Complex[Array, "d d"]
    basis: EnergyBasis
    channels: tuple[Dissipator, ...]
    first_order: tuple[FirstOrder, ...]
    sources: Complex[Array, "3 d d"]

    def linear(self, A: Complex[Array, "*a d d"], explicit: Float[Array, "*a"]) -> LinearResponse:
        """The response of observables A, with what of them moves at once."""
        return LinearResponse(self.basis.matrix, self.basis.to(self.sources), self.basis.to(A), explicit)


def expand(system: System, V: Complex[Array, "d d"], equation: AbstractEquation) -> Expansion:
    """The first-order expansion about the steady state of `system`."""
    equation.admit(system, V)  # raises here, by name, what a compiled program could not
    state = steady_state(system, equation).rho
    return _expand(system, V, equation.fixed(system), state)


@eqx.filter_jit
def _expand(system: System, V: Array, equation: AbstractEquation, state: Array) -> Expansion:
    first_order = equation.first_order(system, V)
    kubo = -1j * (V @ state - state @ V)
    rotation = sum(_total(change.rotation, state) for change in first_order)
    shift = sum(_total(change.shift, state) for change in first_order)
    return Expansion(
        state,
        energy_generator(system, equation),
        equation.channels(system),
        first_order,
        jnp.stack([kubo, rotation, shift]),  # pyright: ignore[reportArgumentType]
    )


def _total(groups: Dissipator, rho: Array) -> Array:
    return jnp.sum(jax.vmap(lambda D: D(rho))(groups), axis=0)


def response(system: System, V, A, equation: AbstractEquation = Davies()) -> LinearResponse:
    """The response of observables to H → H + δV, by the explicit first-order generator.

        φ_A(τ) = ⟨L₁† e^{L₀†τ} A⟩ = φ^(kubo) + φ^(rotation) + φ^(shift)       (paper, Eqs. 23–24, and the shift)

    Groups of Bohr frequencies are those of `system` and stay as they are. Everything is exact at degenerate energies
    and frequencies.

    **Arguments:**

    - `system`: at δ = 0. `V`: Hermitian, [d, d]. `equation`: the master equation.
    - `A`: an observable, Hermitian, [d, d], or several, [..., d, d].

    **Returns:** `LinearResponse`, with `.static()`, `.impulse(t)`, `.step(t)`, `.susceptibility(omega)`; each result
    has `.kubo`, `.rotation`, `.shift`, `.total` (and `.explicit`, zero for observables that do not depend on H).

    **Raises:** `NotHermitianError`, `ShapeError`; `SingularDensityError` if V splits a degenerate level to which a
    bath couples at zero frequency and its density has no slope there; what `steady_state` raises.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    r = lgks.response(system, lgks.models.pauli("ZZ"), lgks.models.pauli("ZI"))
    r.static().shift, r.susceptibility([0.0, 0.5]).total
    ```
    """
    V = as_operator(V, "the perturbation V", system.dim).astype(system.hamiltonian.dtype)
    A = as_observables(A, system)
    expansion = expand(system, V, equation)
    return expansion.linear(A, jnp.zeros(A.shape[:-2], system.temperatures.dtype))


def as_observables(A, system: System) -> Complex[Array, "*a d d"]:
    """One observable [d, d] or a stack [..., d, d], each checked."""
    if hasattr(A, "shape") and len(A.shape) > 2:
        stack = [
            as_operator(one, f"the observable A[{i}]", system.dim) for i, one in enumerate(A.reshape(-1, *A.shape[-2:]))
        ]
        return jnp.stack(stack).reshape(A.shape).astype(system.hamiltonian.dtype)
    return as_operator(A, "the observable A", system.dim).astype(system.hamiltonian.dtype)
