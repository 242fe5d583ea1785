"""The explicit route: L₁ by perturbation theory, applied to the steady state.

Enters: a system, a perturbation V, a master equation. Leaves: the three parts of L₁π₀,

    kubo       −i[V, π₀]
    rotation   Σ_α D_α^rot π₀          eigenvectors turn (paper, Eqs. 16–17)
    shift      Σ_α D_α^shift π₀        Bohr frequencies move, and the rates with them (absent from the paper)

No derivative is taken here by machine: everything is built from values of the filter.
"""

from typing import overload

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._equations import AbstractEquation, Davies, Dissipator, FirstOrder, one_level
from .._generator import (
    AbstractGenerator,
    BlockGenerator,
    Partition,
    block_first_order,
    block_generator,
    find_partition,
    generator,
)
from .._inputs import as_operator
from .._oscillators import QuasiFree
from .._steady import steady_state
from .._system import System
from ..errors import SolverMemoryError
from ._linear import LinearResponse
from ._oscillators import QuasiFreeResponse, quasifree_response

MEMORY = 8e9
"""Bytes that operators of all groups may take: D, its first order in two parts, and what they are made of."""


class Sources(eqx.Module):
    """π₀, L₀ and the kubo, rotation and shift part of L₁π₀."""

    state: Complex[Array, "d d"]
    generator: AbstractGenerator
    sources: Complex[Array, "3 d d"]

    def linear(self, A: Complex[Array, "*a d d"], explicit: Float[Array, "*a"]) -> LinearResponse:
        """The response of observables A, with what of them moves at once."""
        L = self.generator
        return LinearResponse(L, L.to(self.sources), L.to(A), explicit)


class Expansion(Sources):
    """The same with D_α and D_α⁽¹⁾ by groups."""

    channels: tuple[Dissipator, ...]
    first_order: tuple[FirstOrder, ...]


def expand(system: System, V: Complex[Array, "d d"], equation: AbstractEquation) -> Expansion:
    """The first-order expansion about the steady state of `system`, with all its dissipators group by group."""
    equation.admit(system, V)  # raises here, by name, what a compiled program could not
    pinned = equation.fixed(system)
    noises, count = sum(len(bath.noises) for bath in system.baths), pinned.groups(system).count
    needed = 24.0 * noises * count * system.hamiltonian.dtype.itemsize * system.dim**2
    if needed > MEMORY:
        raise SolverMemoryError(
            f"the first-order generator of {type(equation).__name__} for a system of dimension {system.dim} in {count} "
            f"groups takes about {needed / 1e9:.3g} GB; allowed are {MEMORY / 1e9:.3g} GB. Davies() and Unified() need "
            "less where H is known (not traced), UniversalLindblad() and Redfield() always."
        )
    state = steady_state(system, equation).rho
    return _expand(system, V, pinned, state, find_partition(system, equation))


@eqx.filter_jit
def _expand(
    system: System, V: Array, equation: AbstractEquation, state: Array, partition: Partition | None
) -> Expansion:
    first_order = equation.first_order(system, V)
    rotation = sum(_total(change.rotation, state) for change in first_order)
    shift = sum(_total(change.shift, state) for change in first_order)
    sources = jnp.stack([_kubo(V, state), rotation, shift])  # pyright: ignore[reportArgumentType]
    L = generator(system, equation, partition)
    return Expansion(state, L, sources, equation.channels(system), first_order)


class Turn(eqx.Module):
    """How V turns the levels, X, and moves them, W, to first order, and V itself, in the eigenbasis of H."""

    perturbation: Complex[Array, "d d"]
    X: Complex[Array, "d d"]
    W: Complex[Array, "d d"]


def first_turn(system: System, V: Array, equation: AbstractEquation, L: BlockGenerator) -> Turn:
    """X and W of `AbstractEquation.first_order`."""
    turned = L.to(V)
    inside = one_level(L.structure, equation.groups(system), system)
    X = jnp.where(inside, 0.0, turned / jnp.where(inside, 1.0, L.structure.frequencies))
    return Turn(turned, X, jnp.where(inside, turned, 0.0))


def block_sources(
    system: System, V: Array, equation: AbstractEquation, state: Array, partition: Partition
) -> tuple[Sources, Turn]:
    """The sources without an axis of groups, O(d³), and the turn that they come from."""
    L = block_generator(system, equation, partition)
    turn, rho = first_turn(system, V, equation, L), L.to(state)
    rotation, shift = block_first_order(system, equation, L, turn.X, turn.W)
    sources = jnp.stack([_kubo(turn.perturbation, rho), rotation(rho), shift(rho)])
    return Sources(state, L, L.back(sources)), turn


@eqx.filter_jit
def _by_blocks(system: System, V: Array, equation: AbstractEquation, state: Array, partition: Partition) -> Sources:
    return block_sources(system, V, equation, state, partition)[0]


def _kubo(V: Array, state: Array) -> Array:
    return -1j * (V @ state - state @ V)


def _total(groups: Dissipator, rho: Array) -> Array:
    return jnp.sum(jax.vmap(lambda D: D(rho))(groups), axis=0)


@overload
def response(system: System, V, A, equation: AbstractEquation = ...) -> LinearResponse: ...
@overload
def response(system: QuasiFree, V, A, equation: AbstractEquation = ...) -> QuasiFreeResponse: ...
def response(
    system: System | QuasiFree, V, A, equation: AbstractEquation = Davies()
) -> LinearResponse | QuasiFreeResponse:
    """The response of observables to H → H + δV, by the explicit first-order generator.

        φ_A(τ) = ⟨L₁† e^{L₀†τ} A⟩ = φ^(kubo) + φ^(rotation) + φ^(shift)       (paper, Eqs. 23–24, and the shift)

    Groups of Bohr frequencies are those of `system` and stay as they are. Everything is exact at degenerate energies
    and frequencies.

    **Arguments:**

    - `system`: at δ = 0. `V`: Hermitian, [d, d]. `equation`: the master equation.
    - `A`: an observable, Hermitian, [d, d], or several, [..., d, d].

    For a `QuasiFree` model V and A are Hermitian `Polynomial`s of any degree, or A a sequence of them: nothing is
    truncated.

    **Returns:** `LinearResponse`, with `.static()`, `.impulse(t)`, `.step(t)`, `.susceptibility(omega)`; each result
    has `.kubo`, `.rotation`, `.shift`, `.total` (and `.explicit`, zero for observables that do not depend on H).

    **Raises:** `NotHermitianError`, `ShapeError`; `SingularDensityError` if V splits a degenerate level to which a
    bath couples at zero frequency and its density has no slope there; `ResonanceError` if terms of a polynomial V are
    almost at resonance with H₀; what `steady_state` raises.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    r = lgks.response(system, lgks.models.pauli("ZZ"), lgks.models.pauli("ZI"))
    r.static().shift, r.susceptibility([0.0, 0.5]).total
    ```
    """
    if isinstance(system, QuasiFree):
        return quasifree_response(system, V, A, equation)
    V = as_operator(V, "the perturbation V", system.dim).astype(system.hamiltonian.dtype)
    A = as_observables(A, system)
    explicit = jnp.zeros(A.shape[:-2], system.temperatures.dtype)
    partition = find_partition(system, equation)
    if partition is None:
        return expand(system, V, equation).linear(A, explicit)
    equation.admit(system, V)
    state = steady_state(system, equation).rho
    return _by_blocks(system, V, equation, state, partition).linear(A, explicit)


def as_observables(A, system: System) -> Complex[Array, "*a d d"]:
    """One observable [d, d] or a stack [..., d, d], each checked."""
    if hasattr(A, "shape") and len(A.shape) > 2:
        stack = [
            as_operator(one, f"the observable A[{i}]", system.dim) for i, one in enumerate(A.reshape(-1, *A.shape[-2:]))
        ]
        return jnp.stack(stack).reshape(A.shape).astype(system.hamiltonian.dtype)
    return as_operator(A, "the observable A", system.dim).astype(system.hamiltonian.dtype)
