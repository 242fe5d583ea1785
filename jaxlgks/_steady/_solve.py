"""The nonequilibrium steady state, and how far it can be trusted.

Takes: a problem, a solver. Returns: π with L π = 0, Tr π = 1, π = π†, in the form that found it, and the public record
of it. Raises, warns, or returns NaN where values are traced.
"""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from .._compiled import compiled
from .._equations import AbstractEquation, Davies
from .._generator import (
    UNROLLED,
    AbstractForm,
    AbstractGenerator,
    AbstractProblem,
    AbstractSolver,
    AbstractSteadyState,
    Krylov,
    as_solver,
    doubt_of,
    is_heard,
    mark,
    resolve,
    scalars,
    tell,
)
from .._inputs import as_flag, depth_outside, is_concrete, nan_where
from ..errors import RESULTS, AccuracyWarning, NoPartitionError, SolverError, SolverMemoryError


class Rest(eqx.Module):
    """A problem at rest: `form` holds the steady state as `state`; `steady` is the public record. `solver`: where what
    is made of the state is to be found in the same way, since it was asked for, or since another did not converge."""

    problem: AbstractProblem
    form: AbstractForm
    state: Any
    steady: AbstractSteadyState
    solver: AbstractSolver | None = None

    def generator(self) -> tuple[AbstractGenerator, Any]:
        """A form that also has responses, and the state in it: the same where it can."""
        if self.solver is not None and isinstance(self.form, AbstractGenerator):
            return self.form, self.state
        L = self.problem.generator(self.form, self.state)
        return L, self.state if L is self.form else _entered(L, self.form, self.state)


@compiled
def _entered(L: AbstractGenerator, form: AbstractForm, state: Any) -> Any:
    return L.internal(form.external(state))


def steady_state(
    system: Any,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    throw: bool = True,
) -> Any:
    """The steady state: L π = 0, Tr π = 1.

    **Arguments:**

    - `system`, `equation`. For a `QuasiFree` model there is no solver to choose.
    - `solver`: `Dense()` for any equation; `Populations()` for `Davies` and `Unified` where levels are distinct (faster
      by orders of magnitude, and exact at low temperature); `Blocks()` for them where levels are degenerate; `Krylov()`
      for `UniversalLindblad`, `Redfield`, `Local` and wide clusters of `Unified` in large systems. None: chosen from
      what is known, and where GMRES does not converge `Dense()` if the matrix fits into memory (not where numbers are
      traced). Where H is traced its levels are not; then it is `Dense()` up to dimension 24.
    - `throw`: raise when the result cannot be trusted. With `throw=False` the state is returned as computed, with the
      verdict in `.result`.

    **Returns:** `SteadyState`; of a `QuasiFree` model its exact `GaussianSteadyState`. Both have `.expect(A)` and the
    numbers of the verdict. Inside `jit` or `vmap` nothing can be raised: there a state that would have raised is NaN
    (unless `throw=False`), and `.result` says why.

    **Raises:** `NonUniqueSteadyStateError` (naming what is conserved), `TruncationError`, `SteadyStateError`,
    `ImpreciseSteadyStateError` where rounding may have changed it by more than 1e−3 (`SteadyState.error`);
    `DensityError`, `LambShiftError`, `SingularDensityError` where a density has no rate, or no Lamb shift, at a
    frequency of the system;
    `SolverError`, `SolverMemoryError` where the solver does not apply; `InputError` for what is no equation or solver.
    **Warns:** `AccuracyWarning` where `SteadyState.error` is above 1e−8 (1e−4 in single precision); `ValidityWarning`
    where the coupling is not weak, or a slow force or a line of a bath; where the equation treats Bohr frequencies
    apart that lie closer than they decay, or, for `Davies` and `Local`, as equal what is not; where `Redfield` gives a
    state with a negative eigenvalue. `.validity` has the numbers, inside `jit` as well.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    state = lgks.steady_state(system, lgks.Davies())
    state.rho, state.error, state.solver
    ```
    """
    return at_rest(resolve(system, equation), solver, throw=as_flag(throw, "steady_state: throw"), judged=True).steady


def at_rest(
    problem: AbstractProblem, solver: AbstractSolver | None = None, *, throw: bool = True, judged: bool = False
) -> Rest:
    """The steady state by the first solver that applies and converges. Raises and warns as `steady_state`. `judged`:
    with its validity also where nobody would be told of it, since numbers are traced."""
    candidates, kept = problem.solvers(as_solver(solver)), solver is not None
    for candidate in candidates:
        last, prepared = candidate is candidates[-1], None
        try:
            prepared = candidate.prepare(problem.resolved)
        except (SolverError, SolverMemoryError) as error:
            if not last:
                continue
            if throw or isinstance(error, NoPartitionError | SolverMemoryError):
                raise
        form, state, steady, again, failed = _solved(problem.loosened(candidate), candidate, prepared, throw)
        if last or not is_concrete(again) or not again:
            if throw and is_concrete(failed) and failed:
                raise problem.explained(steady)
            if throw and is_concrete(failed) and (sentence := doubt_of(steady)):
                warnings.warn(sentence, AccuracyWarning, stacklevel=depth_outside())
            if judged or is_heard() or is_concrete(failed):
                validity = problem.validity(steady.state)
                steady = eqx.tree_at(lambda s: s.validity, steady, validity, is_leaf=lambda x: x is None)
                if throw:
                    tell(problem, validity, steady.error)
            elif throw:
                mark(type(problem.equation).__name__)
            return Rest(problem, form, state, steady, candidate if kept else None)
        kept = kept or bool(steady.result != RESULTS.coupled)
    raise AssertionError("no solver to try")


@compiled
def _solved(
    problem: AbstractProblem, solver: AbstractSolver, prepared: Any, throw: bool
) -> tuple[AbstractForm, Any, AbstractSteadyState, Bool[Array, ""], Bool[Array, ""]]:
    """The form, its state, the record of it, whether another solver may do better, and whether it cannot be trusted."""
    form = solver.form(problem.resolved, prepared)
    null = form.steady()
    result = problem.verdict(form, null)
    failed = result != RESULTS.successful
    steady, state = problem.record(form, null, result, solver.name), null.state
    if throw:  # where nothing can be raised, a failed state is NaN, and what is made of it
        source = eqx.filter(problem.model, eqx.is_inexact_array)
        state = jax.tree.map(lambda x: _spoiled(x, failed, source), state)
        spoiled = problem.record(form, eqx.tree_at(lambda n: n.state, null, state), result, solver.name)
        steady = eqx.tree_at(problem.numbers, steady, problem.numbers(spoiled))
    again = (result == RESULTS.coupled) | (result == RESULTS.not_converged)
    if isinstance(solver, Krylov):  # its products of operators lose weak rates that a matrix keeps
        again = again | (result == RESULTS.imprecise)
    return form, state, steady, again, steady.result != RESULTS.successful


def _spoiled(x: Array, failed: Array, source: Any) -> Array:
    """NaN where the solver failed; few populations one by one, so that under `vmap` the batch stays innermost."""
    if x.ndim == 1 and x.size <= UNROLLED:
        return jnp.stack([nan_where(one, failed, source) for one in scalars(x)])
    return nan_where(x, failed, source)
