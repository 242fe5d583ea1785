"""What a steady state is reported as, and in which words it fails.

Takes: a form's null state. Returns: the public record, with its verdict; errors and warnings that say what failed, what
was expected and what to do.
"""

import abc
import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jax.core import get_opaque_trace_state
from jaxtyping import Array, Complex, Float, Int

from .._equations import NEGATIVE, Dissipation, Validity, each_equation
from .._inputs import as_operator, depth_outside, is_concrete
from ..errors import (
    RESULTS,
    ImpreciseSteadyStateError,
    NonUniqueSteadyStateError,
    SolverError,
    SteadyStateError,
    TruncationError,
    ValidityWarning,
)
from ._base import NullState
from ._liouvillian import liouvillian_of, unvec

EDGE_LIMIT = 1e-8
DOUBTFUL, WRONG = 1e-8, 1e-3
"""Relative errors of a state above which it is doubted, and refused."""
DESCRIBED = 24
"""Up to this dimension an error names what is conserved, which takes a singular value decomposition of d²×d²."""


NOT_FINITE = "the generator holds NaN or infinity; check rates, temperatures and operators."


class AbstractSteadyState(eqx.Module):
    """A steady state of any model and how it was found; `SteadyState` explains the numbers."""

    residual: eqx.AbstractVar[Float[Array, ""]]
    error: eqx.AbstractVar[Float[Array, ""]]
    slowest: eqx.AbstractVar[Float[Array, ""]]
    condition: eqx.AbstractVar[Float[Array, ""]]
    validity: eqx.AbstractVar[Validity | None]
    result: eqx.AbstractVar[RESULTS]
    solver: eqx.AbstractVar[str]

    @property
    def separation(self) -> Float[Array, ""]:
        """Of `validity`: the smallest distance of frequencies treated apart, over their decay rate."""
        return known_validity(self.validity).separation

    @property
    def spread(self) -> Float[Array, ""]:
        """Of `validity`: the largest difference of frequencies treated as one group."""
        return known_validity(self.validity).spread

    @property
    @abc.abstractmethod
    def state(self) -> Any:
        """The state alone, as the user has it."""

    @abc.abstractmethod
    def expect(self, A) -> Array:
        """⟨A⟩ of a Hermitian operator."""

    def __str__(self) -> str:
        numbers = {name: getattr(self, name) for name in ("error", "residual", "slowest", "condition")}
        if not is_concrete(numbers) or any(np.ndim(x) for x in numbers.values()):
            return repr(self)
        said = ", ".join(f"{name} {float(x):.2g}" for name, x in numbers.items())
        return f"{type(self).__name__} ({self.solver}): {said}. {RESULTS[self.result] or 'Successful.'}"


class SteadyState(AbstractSteadyState):
    """A steady state and how it was found.

    - `rho`: the state π, [d, d].
    - `populations`: of the eigenstates in ascending order, where the solver finds these alone (`Populations`): exact to
      rounding however small; else None.
    - `residual`: max|Lπ| / max|L|.
    - `error`: estimate, rather from above, of the largest error that rounding left in an element of π, over the largest
      element: what L π may be off by, through the inverse of L. Slow relaxation alone does not make it large; rates
      that drown in the rounding of others do. Above 1e−8 it is an `AccuracyWarning`, above 1e−3 an error. (Inside `jit`
      couplings that `Populations` cannot know well make no NaN: `error` and `result` say so.)
    - `slowest`: estimate (from above, within a factor of about d) of the smallest singular value of L on traceless
      matrices: the slowest relaxation rate, or the weakest restoring force. (`Populations`: the smallest pivot.)
    - `condition`: `slowest` over the norm of L, the estimated inverse condition number; below a hundred times the
      rounding unit the state is not unique to working precision.
    - `nullity`: dimension of the null space of L as far as it is known: 1, or 2 for "two or more".
    - `edge`: population of the last levels of a truncated space (0 where the system has none).
    - `validity`: how far the equation can be trusted there, `Validity`; `separation` and `spread` are of it.
    - `solver`: name of the solver used.
    - `result`: a member of `RESULTS`.
    """

    rho: Complex[Array, "d d"]
    populations: Float[Array, " d"] | None
    residual: Float[Array, ""]
    error: Float[Array, ""]
    slowest: Float[Array, ""]
    condition: Float[Array, ""]
    nullity: Int[Array, ""]
    edge: Float[Array, ""]
    validity: Validity | None
    result: RESULTS
    solver: str = eqx.field(static=True)

    @property
    def state(self) -> Complex[Array, "d d"]:
        return self.rho

    def expect(self, A) -> Float[Array, ""]:
        """Tr[A π] of a Hermitian A, [d, d]."""
        A = as_operator(A, "the observable A", self.rho.shape[-1])
        return jnp.einsum("ij,ji->", A, self.rho).real


def verdict(null: NullState, edge: Array, inaccurate: RESULTS) -> RESULTS:
    """Whether a null state can be trusted; `inaccurate`: what a residual that is too large means."""
    result = RESULTS.where(edge > EDGE_LIMIT, RESULTS.truncated, RESULTS.successful)
    result = RESULTS.where(~(null.error > WRONG), result, RESULTS.imprecise)
    result = RESULTS.where(null.accurate, result, inaccurate)
    result = RESULTS.where(null.unique, result, RESULTS.non_unique)
    result = RESULTS.where(null.finite, result, RESULTS.not_finite)
    return RESULTS.where(null.applicable, result, RESULTS.coupled)


def doubtful(dtype: Any) -> float:
    """The relative error above which a state is doubted, in a precision."""
    return max(DOUBTFUL, 1e3 * float(jnp.finfo(dtype).eps))


def doubt_of(state: AbstractSteadyState) -> str | None:
    """A sentence about a state that rounding has spoiled, if it has."""
    error, limit = float(state.error), doubtful(state.error.dtype)
    if not error > limit:
        return None
    return f"steady_state: its elements may be wrong by {error:.1e} of the largest (allowed: {limit:.0e}). {WEAK}"


WEAK = (
    "Transitions that connect parts of the system are so weak that they drown in the rounding of stronger ones. Use "
    "Davies() or Unified() with Populations() where levels are distinct, give couplings in a basis in which weak "
    "elements are exact, or leave out what is not connected."
)


_STRONGER = (
    "Couple more weakly, or take Cumulant() at short times, exact_steady_state() for oscillators, or a numerically "
    "exact method, such as a hierarchy of equations of motion (HEOM)."
)


def known_validity(validity: Validity | None) -> Validity:
    """That of a record which has been judged."""
    assert validity is not None
    return validity


class Heard(NamedTuple):
    """Verdicts of what was computed with traced numbers at one level of tracing, and errors of steady states."""

    level: Any
    verdicts: list[Validity]
    errors: list[Array]

    @property
    def largest(self) -> Array | None:
        """The largest error, None over none."""
        return functools.reduce(jnp.maximum, self.errors) if self.errors else None


class Judgement(NamedTuple):
    """The worst verdict on each master equation that a function asks, and the largest `SteadyState.error` of it; None
    where it asks for no steady state."""

    equations: tuple[Validity, ...]
    error: Float[Array, "*batch"] | None


_MARK = "jaxlgks asks "
_COMPILED: Any = tuple(type(compiled(lambda: None)) for compiled in (jax.jit, eqx.filter_jit))
_LISTENER: ContextVar[Heard | None] = ContextVar("_LISTENER", default=None)


@contextlib.contextmanager
def listening() -> Iterator[Heard]:
    """The verdicts on all that is computed inside with numbers that are being traced here: they are numbers too, and
    can be returned beside the result. What runs inside a transformation of its own is out of hearing."""
    heard = Heard(get_opaque_trace_state(convention="flax"), [], [])
    token = _LISTENER.set(heard)
    try:
        yield heard
    finally:
        _LISTENER.reset(token)


def verdict_on(f: Callable[..., Any]) -> Callable[..., Judgement]:
    """A function of the same arguments, that are traced: the judgement on what `f` asks with them. A function that is
    compiled as a whole is heard all the same."""
    f = inspect.unwrap(f, stop=lambda one: not isinstance(one, _COMPILED))

    def of(*arguments: Any, **named: Any) -> Judgement:
        with listening() as heard:
            f(*arguments, **named)
        return Judgement(each_equation(heard.verdicts), heard.largest)

    return of


def asked_in(program: Any) -> set[str]:
    """The master equations that are asked in a traced program, those inside its transformations too."""
    names: set[str] = set()
    left, seen = [program], set()
    while left:
        jaxpr = left.pop()
        if id(jaxpr) in seen:  # many equations share what they call
            continue
        seen.add(id(jaxpr))
        for equation in jaxpr.eqns:
            name = str(equation.params.get("name", ""))
            names |= {name.removeprefix(_MARK)} if name.startswith(_MARK) else set()
            inside = jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns"))
            left += [one for one in inside if hasattr(one, "eqns")]
    return names


def mark(equation: str) -> None:
    """Leave a trace in the program that is being traced: what nobody hears can be found there."""
    checkpoint_name(np.zeros(()), _MARK + equation)


def is_heard() -> bool:
    """Whether someone listens at this level of tracing."""
    heard = _LISTENER.get()
    return heard is not None and heard.level == get_opaque_trace_state(convention="flax")


def tell(problem: Any, validity: Validity, error: Array | None = None) -> None:
    """Warn of known numbers that are clearly out of range; hand traced ones to whoever listens, with the error of a
    steady state."""
    if is_concrete(validity):
        for sentence in problem.warnings(validity):
            warnings.warn(sentence, ValidityWarning, stacklevel=depth_outside())
    elif is_heard():
        heard = _LISTENER.get()
        assert heard is not None
        heard.verdicts.append(validity)
        heard.errors.extend([] if error is None else [error])
    else:
        mark(validity.equation)


def warnings_of(validity: Validity, equal: bool, what: str, ask: str) -> list[str]:
    """Sentences about what is clearly out of range. `equal`: whether frequencies of one group are taken for equal."""
    name, messages = validity.equation, []
    if validity.separation < 1:
        others = "Use Redfield() or UniversalLindblad(), which keep all together"
        use = "Use Unified(), with its Lamb shift if the density has one" if equal else others
        messages.append(
            f"{name} treats {what} apart that lie only {float(validity.separation):.2g} decay rates from each other; "
            f"coherence between them is lost. {use}, and {ask} for a verdict."
        )
    if validity.memory > 1:
        messages.append(
            f"{name} is for weak coupling: a rate, pure dephasing included, times the memory of its bath is "
            f"{float(validity.memory):.2g}, where much less than one is needed. {_STRONGER}"
        )
    if validity.force > 1:
        messages.append(
            f"{name} is for weak coupling: what a slow force or a line of the baths does beyond second order is "
            f"{float(validity.force):.2g} of what it keeps, where much less than one is needed. {_STRONGER}"
        )
    if validity.negativity >= NEGATIVE:
        messages.append(
            f"{name} does not keep states positive, and here the lowest eigenvalue is "
            f"{-float(validity.negativity):.2g}: the coupling is too strong for it, or a bath too cold. Use Unified(), "
            f"which keeps them positive, if the coupling is weak. {_STRONGER}"
        )
    if equal and validity.spread > 0:
        messages.append(
            f"{name} treats {what} as equal that differ by up to {float(validity.spread):.2g}: they are closer than "
            "its tolerance. Use Unified(), which keeps them together with their own rates."
        )
    return messages


def too_few_levels(edge: float) -> TruncationError:
    """The error of a steady state that the edge of a truncated space cuts off."""
    return TruncationError(
        f"steady_state: the last levels of the truncated space hold {edge:.2e} of the population, more than "
        f"{EDGE_LIMIT:.0e}. Keep more levels (fock=...) or lower the temperatures."
    )


def explained(state: SteadyState, resolved: Dissipation) -> Exception:
    """The error of a steady state that cannot be trusted."""
    if state.result == RESULTS.not_finite:
        return resolved.unusable("steady_state") or SteadyStateError(f"steady_state: {NOT_FINITE}")
    if state.result == RESULTS.truncated:
        return too_few_levels(float(state.edge))
    if state.result == RESULTS.coupled:
        return SolverError(
            f"steady_state: the solver {state.solver!r} does not apply: populations alone do not close, since levels "
            f"coincide, or a group of Bohr frequencies of {type(resolved.equation).__name__} couples populations to "
            "coherences. Use Dense()."
        )
    if state.result == RESULTS.non_unique and resolved.system.dim > DESCRIBED:
        return NonUniqueSteadyStateError(
            "steady_state: the steady state is not unique, or rates have underflowed: a group of levels has no "
            "transition to any other, or relaxes more slowly than rounding. Couple the baths so that they connect all "
            "levels; for a small system Dense() names what is conserved."
        )
    if state.result == RESULTS.non_unique:
        return NonUniqueSteadyStateError(_describe_conserved(resolved, float(state.condition)))
    if state.result == RESULTS.imprecise:
        return ImpreciseSteadyStateError(
            f"steady_state: elements of the state found by the solver {state.solver!r} may be wrong by "
            f"{float(state.error):.1e} of the largest; allowed are {WRONG:.0e}. {WEAK}"
        )
    if state.result == RESULTS.not_converged:
        return SteadyStateError(
            f"steady_state: GMRES did not converge (the {state.solver} solver): max|L rho| is "
            f"{float(state.residual):.2e} of the fastest decay rate. Use Dense() where d²×d² numbers fit into memory, "
            "or allow more steps with Krylov(restart=..., cycles=...)."
        )
    return SteadyStateError(
        f"steady_state: max|L rho|/max|L| = {float(state.residual):.2e} after the {state.solver} solver; the generator "
        f"is too badly conditioned (inverse condition number {float(state.condition):.1e})."
    )


def _describe_conserved(resolved: Dissipation, condition: float) -> str:
    """Which quantities a degenerate generator conserves, in words: the null space of L†, read in the energy basis."""
    resolved = jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, resolved)
    _, values, rows = np.linalg.svd(np.asarray(liouvillian_of(resolved)).conj().T)
    null = rows[values < 1e-13 * values.size * values[0]].conj()
    head = (
        f"steady_state: the steady state is not unique: {len(null)} independent quantities are conserved, or relax "
        f"more slowly than rounding of the largest frequency (inverse condition number {condition:.1e}). "
    )
    # A generic Hermitian member: its eigenspaces are the sectors between which nothing moves.
    weights = np.cos(1.0 + np.arange(len(null)))
    generic = np.asarray(unvec(jnp.asarray(weights @ null)))
    generic = generic + generic.conj().T + 1j * (generic - generic.conj().T) * 0.37
    structure = resolved.structure
    values, sectors = np.linalg.eigh(np.asarray(structure.to_eigenbasis(jnp.asarray(generic))))
    parts = np.split(np.arange(values.size), 1 + np.flatnonzero(np.diff(values) > 1e-8 * np.ptp(values)))
    energies = np.asarray(structure.energies + jnp.trace(resolved.system.hamiltonian).real / resolved.system.dim)
    words = [_sector(np.abs(sectors[:, part]) ** 2, energies) for part in parts]
    return (
        head
        + "The population of each of these sectors is conserved: "
        + "; ".join(words)
        + ". Couple the sectors (a bath operator or a term of H between them), or choose the state with `evolve`."
    )


def _sector(weights: np.ndarray, energies: np.ndarray) -> str:
    share = weights.sum(axis=1)
    members = np.flatnonzero(share > 1e-6)
    whole = np.all(share[members] > 1 - 1e-6)
    listed = ", ".join(f"{energies[m]:.6g}" for m in members[:8]) + (", ..." if members.size > 8 else "")
    kind = "eigenstates" if whole else f"{weights.shape[1]} state(s) inside the eigenstates"
    return f"{kind} with energies [{listed}]"
