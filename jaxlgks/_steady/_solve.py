"""The nonequilibrium steady state, and how far it can be trusted.

Enters: a system, a master equation, a solver. Leaves: π with L π = 0, Tr π = 1, π = π†, its residual, an estimate of
the condition of the problem, and a verdict: unique or not, truncated or not.
"""

import sys
import warnings
from typing import overload

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

from .._bohr import bohr_structure
from .._equations import AbstractEquation, Davies, Local, separation, spread, transition_rates
from .._generator import liouvillian, unvec
from .._inputs import is_concrete, spoil
from .._oscillators import QuasiFree
from .._quasifree import GaussianState, gaussian_separation, gaussian_steady_state
from .._system import System
from ..errors import (
    RESULTS,
    NonUniqueSteadyStateError,
    NoPartitionError,
    SolverError,
    SolverMemoryError,
    SteadyStateError,
    TruncationError,
    ValidityWarning,
)
from ._base import AbstractSolver, Found
from ._choice import choose
from ._gth import UNROLLED, scalars

EDGE_LIMIT = 1e-8
DESCRIBED = 24
"""Up to this dimension an error names what is conserved, which takes a singular value decomposition of d²×d²."""


class SteadyState(eqx.Module):
    """A steady state and how it was found.

    - `rho`: the state π, [d, d].
    - `populations`: of the eigenstates in ascending order, where the solver finds these alone (`Populations`): exact to
      rounding however small; else None.
    - `residual`: max|Lπ| / max|L|.
    - `slowest`: estimate (from above, within a factor of about d) of the smallest singular value of L on traceless
      matrices: the slowest relaxation rate, or the weakest restoring force. (`Populations`: the smallest pivot.)
    - `condition`: `slowest` over the norm of L, the estimated inverse condition number; below a hundred times the
      rounding unit the state is not unique to working precision.
    - `nullity`: dimension of the null space of L as far as it is known: 1, or 2 for "two or more".
    - `edge`: population of the last levels of a truncated space (0 where the system has none).
    - `separation`: smallest distance of coupled Bohr frequencies that the equation treats apart, over their decay
      rate: below one it should not. `spread`: largest difference of frequencies that it treats as one group.
    - `solver`: name of the solver used.
    - `result`: a member of `RESULTS`.
    """

    rho: Complex[Array, "d d"]
    populations: Float[Array, " d"] | None
    residual: Float[Array, ""]
    slowest: Float[Array, ""]
    condition: Float[Array, ""]
    nullity: Int[Array, ""]
    edge: Float[Array, ""]
    separation: Float[Array, ""]
    spread: Float[Array, ""]
    result: RESULTS
    solver: str = eqx.field(static=True)


@overload
def steady_state(
    system: System, equation: AbstractEquation = ..., solver: AbstractSolver | None = ..., *, throw: bool = ...
) -> SteadyState: ...
@overload
def steady_state(
    system: QuasiFree, equation: AbstractEquation = ..., solver: AbstractSolver | None = ..., *, throw: bool = ...
) -> GaussianState: ...
def steady_state(
    system: System | QuasiFree,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    throw: bool = True,
) -> SteadyState | GaussianState:
    """The steady state: L π = 0, Tr π = 1.

    **Arguments:**

    - `system`, `equation`. For a `QuasiFree` model the result is its exact `GaussianState`, without a solver to choose.
    - `solver`: `Dense()` for any equation; `Populations()` for `Davies` and `Unified` where levels are distinct (faster
      by orders of magnitude, and exact at low temperature); `Blocks()` for them where levels are degenerate; `Krylov()`
      for `UniversalLindblad`, `Redfield` and wide clusters of `Unified` in large systems. None: chosen from what is
      known. Where H is traced its levels are not; then it is `Dense()` up to dimension 24.
    - `throw`: raise when the result cannot be trusted. With `throw=False` the state is returned as computed, with the
      verdict in `.result`.

    **Returns:** `SteadyState`. Inside `jit` or `vmap` nothing can be raised: there a state that would have raised is
    NaN (unless `throw=False`), and `.result` says why.

    **Raises:** `NonUniqueSteadyStateError` (naming what is conserved), `TruncationError`, `SteadyStateError`;
    `SolverError`, `SolverMemoryError` where the solver does not apply.
    **Warns:** `ValidityWarning` where the equation treats Bohr frequencies apart that lie closer than they decay, or,
    for `Davies` and `Local`, as equal what is not.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    state = lgks.steady_state(system, lgks.Davies())
    state.rho, state.residual, state.solver
    ```
    """
    if isinstance(system, QuasiFree):
        return _gaussian(system, equation, solver, throw)
    candidates = choose(system, equation) if solver is None else (solver,)
    state, failed = _first(system, equation, candidates, throw)
    if not throw:
        return state
    if is_concrete(failed):
        if failed:
            _raise(state, system, equation)
        _warn(state, equation)
        return state
    numbers = lambda s: [x for x in (s.rho, s.populations) if x is not None]  # noqa: E731
    source = eqx.filter(system, eqx.is_inexact_array)
    return eqx.tree_at(numbers, state, [_spoiled(x, failed, source) for x in numbers(state)])


def _gaussian(
    model: QuasiFree, equation: AbstractEquation, solver: AbstractSolver | None, throw: bool
) -> GaussianState:
    if solver is not None:
        raise SolverError("steady_state: a QuasiFree model has one solver; leave solver out.")
    state = gaussian_steady_state(model, equation, throw=throw)
    if throw and is_concrete(model):
        apart, name = float(gaussian_separation(model, equation)), type(equation).__name__
        if apart < 1:
            warnings.warn(
                f"{name} treats normal frequencies apart that lie only {apart:.2g} decay rates from each other; "
                f"coherence "
                "between them is lost. Use Unified(), and diagnose(model, V, delta) for a verdict.",
                ValidityWarning,
                stacklevel=_depth(),
            )
    return state


def _spoiled(x: Array, failed: Array, source: System) -> Array:
    """NaN where the solver failed; few populations one by one, so that under `vmap` the batch stays innermost."""
    if x.ndim == 1 and x.size <= UNROLLED:
        return jnp.stack([spoil(one, failed, source) for one in scalars(x)])
    return spoil(x, failed, source)


def _first(
    system: System, equation: AbstractEquation, candidates: tuple[AbstractSolver, ...], throw: bool
) -> tuple[SteadyState, Bool[Array, ""]]:
    """What the first candidate finds that applies, and whether it failed."""
    for solver in candidates:
        last, ready = solver is candidates[-1], (solver, equation)
        try:
            ready = solver.admit(system, equation)
        except (SolverError, SolverMemoryError) as error:
            if not last:
                continue
            if throw or isinstance(error, NoPartitionError | SolverMemoryError):
                raise
        state, coupled, failed = _solve(system, ready[1], ready[0])
        if last or not is_concrete(coupled) or not coupled:
            return state, failed
    raise AssertionError("no solver to try")


@eqx.filter_jit
def _solve(
    system: System, equation: AbstractEquation, solver: AbstractSolver
) -> tuple[SteadyState, Bool[Array, ""], Bool[Array, ""]]:
    """The state, whether the solver does not apply, and whether it cannot be trusted."""
    found = solver.find(system, equation)
    rho = jax.lax.stop_gradient(found.rho)
    edge = jnp.zeros(()) if system.edge is None else jnp.trace(system.edge @ rho).real
    home = equation.home(system)
    structure = bohr_structure(home.hamiltonian) if found.structure is None else found.structure
    groups = equation.groups(system) if found.groups is None else found.groups
    state = SteadyState(
        found.rho,
        found.populations,
        found.residual,
        found.slowest,
        found.condition,
        jnp.where(found.unique, 1, 2),
        edge.astype(found.residual.dtype),
        separation(structure, groups, transition_rates(structure, home) if found.rates is None else found.rates),
        spread(structure, groups),
        _verdict(found, edge),
        solver.name,
    )
    return state, state.result == RESULTS.coupled, state.result != RESULTS.successful


def _verdict(found: Found, edge: Array) -> RESULTS:
    result = RESULTS.where(edge > EDGE_LIMIT, RESULTS.truncated, RESULTS.successful)
    result = RESULTS.where(found.accurate, result, RESULTS.large_residual)
    result = RESULTS.where(found.unique, result, RESULTS.non_unique)
    return RESULTS.where(found.applicable, result, RESULTS.coupled)


def _depth() -> int:
    """How many frames up the caller's own code is: a warning names the line that a user can change."""
    frame, depth = sys._getframe(1), 1
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in (
        "jaxlgks",
        "equinox",
        "jaxtyping",
    ):
        frame, depth = frame.f_back, depth + 1
    return depth


def _warn(state: SteadyState, equation: AbstractEquation) -> None:
    name = type(equation).__name__
    if float(state.separation) < 1:
        warnings.warn(
            f"{name} treats Bohr frequencies apart that lie only {float(state.separation):.2g} decay rates from each "
            "other; coherence between them is lost. Use Unified(), and diagnose(system, V, delta) for a verdict.",
            ValidityWarning,
            stacklevel=_depth(),
        )
    if isinstance(equation, Davies | Local) and float(state.spread) > 0:
        warnings.warn(
            f"{name} treats Bohr frequencies as equal that differ by up to {float(state.spread):.2g}: they are closer "
            "than its tolerance. Use Unified(), which keeps them together with their own rates.",
            ValidityWarning,
            stacklevel=_depth(),
        )


def _raise(state: SteadyState, system: System, equation: AbstractEquation) -> None:
    if state.result == RESULTS.truncated:
        raise TruncationError(
            f"steady_state: the last levels of the truncated space hold {float(state.edge):.2e} of the population, "
            f"more than {EDGE_LIMIT:.0e}. Keep more levels (fock=...) or lower the temperatures."
        )
    if state.result == RESULTS.coupled:
        raise SolverError(
            f"steady_state: the solver {state.solver!r} does not apply: populations alone do not close, since levels "
            f"coincide, or a group of Bohr frequencies of {type(equation).__name__} couples populations to coherences. "
            "Use Dense()."
        )
    if state.result == RESULTS.non_unique and system.dim > DESCRIBED:
        raise NonUniqueSteadyStateError(
            "steady_state: the steady state is not unique, or rates have underflowed: a group of levels has no "
            "transition to any other, or relaxes more slowly than rounding. Couple the baths so that they connect all "
            "levels; for a small system Dense() names what is conserved."
        )
    if state.result == RESULTS.non_unique:
        raise NonUniqueSteadyStateError(_describe_conserved(system, equation, float(state.condition)))
    raise SteadyStateError(
        f"steady_state: max|L rho|/max|L| = {float(state.residual):.2e} after the {state.solver} solver; the generator "
        f"is too badly conditioned (inverse condition number {float(state.condition):.1e})."
    )


def _describe_conserved(system: System, equation: AbstractEquation, condition: float) -> str:
    """Which quantities a degenerate generator conserves, in words: the null space of L†, read in the energy basis."""
    system = _constant(system)
    L = np.asarray(liouvillian(system, _constant(equation)))
    if not np.all(np.isfinite(L)):
        return "steady_state: the generator holds NaN or infinity; check rates, temperatures and operators."
    _, values, rows = np.linalg.svd(L.conj().T)
    null = rows[values < 1e-13 * values.size * values[0]].conj()
    head = (
        f"steady_state: the steady state is not unique: {len(null)} independent quantities are conserved, or relax "
        f"more slowly than rounding of the largest frequency (inverse condition number {condition:.1e}). "
    )
    # A generic Hermitian member: its eigenspaces are the sectors between which nothing moves.
    weights = np.cos(1.0 + np.arange(len(null)))
    generic = np.asarray(unvec(jnp.asarray(weights @ null)))
    generic = generic + generic.conj().T + 1j * (generic - generic.conj().T) * 0.37
    structure = bohr_structure(system.hamiltonian)
    values, sectors = np.linalg.eigh(np.asarray(structure.to_eigenbasis(jnp.asarray(generic))))
    parts = np.split(np.arange(values.size), 1 + np.flatnonzero(np.diff(values) > 1e-8 * np.ptp(values)))
    energies = np.asarray(structure.energies + jnp.trace(system.hamiltonian).real / system.dim)
    words = [_sector(np.abs(sectors[:, part]) ** 2, energies) for part in parts]
    return (
        head
        + "The population of each of these sectors is conserved: "
        + "; ".join(words)
        + ". Couple the sectors (a bath operator or a term of H between them), or choose the state with `evolve`."
    )


def _constant(tree):
    """The same pytree without derivatives: for a message, also from inside `grad`."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, tree)


def _sector(weights: np.ndarray, energies: np.ndarray) -> str:
    share = weights.sum(axis=1)
    members = np.flatnonzero(share > 1e-6)
    whole = np.all(share[members] > 1 - 1e-6)
    listed = ", ".join(f"{energies[m]:.6g}" for m in members[:8]) + (", ..." if members.size > 8 else "")
    kind = "eigenstates" if whole else f"{weights.shape[1]} state(s) inside the eigenstates"
    return f"{kind} with energies [{listed}]"
