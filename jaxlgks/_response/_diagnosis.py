"""Which master equation may I use? A verdict for one system and one perturbation.

Takes: a model, a perturbation V, its strength δ. Returns: what V does to levels and transitions to first order, how
that compares with relaxation and with the memory of the baths, in numbers and in words.

A group of equal Bohr frequencies that V splits by ν stays coherent while ντ ≪ 1 and falls apart for ντ ≫ 1, τ its
relaxation time (paper, Sec. III C). Equations that treat frequencies apart need the second, those that freeze the
dissipator the first; the unified equation with its clusters fixed is smooth through both. Inside a cluster a Lamb shift
competes with the splitting: whether it matters is found by computing with and without.
"""

from typing import Any, overload

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._drives import DrivenSystem
from .._equations import LARGE, SMALL, Redfield, Unified, Validity
from .._generator import AbstractProblem, AbstractSolver, Facts, as_solver, resolve
from .._inputs import as_flag, as_scalar, is_concrete
from .._observables import HeatCurrents, value_at
from .._steady import at_rest
from ..errors import RESULTS, CorrelationError, InputError, LambShiftError, SingularDensityError
from ._at_once import DrivenDiagnosis, diagnose_drive
from ._expansion import expand

LOCAL_LIMIT = 0.01
"""Relative error of the heat-current response from which on the local equation is called out of range."""
LAMB_LIMIT = 0.02
"""Relative change of heat currents or their response from which on a Lamb shift is called for."""
PRECISIONS = 0.01, 0.1
"""Of heat currents where dissipators follow a drive at once."""
FREQUENCIES = np.geomspace(1e-4, 10.0, 51)
"""Of the drive that are looked at, in units of the highest of the system."""


class Diagnosis(eqx.Module):
    """The result of `diagnose`; `print` shows it in words.

    - `level_shifts`: δ × first-order energies, [d], in the order of the levels; inside a level ascending.
    - `rotation`: max |δ V_mn/(E_n − E_m)| between levels, the angle by which eigenvectors turn.
    - `frequencies`, `members`, `splittings`, `relaxation_times`, `nu_tau`: for each coupled group of equal Bohr
      frequency ω ≥ 0: ω, number of transitions, ν at δ, τ, ντ, [groups].
    - `separation`: smallest distance of different coupled Bohr frequencies at δ = 0, over their decay rate.
    - `correlation_times`: τ_B of each bath, the longest at the frequencies it couples to, [baths]. `relaxation_rate`:
      Γ_R, the fastest decay of a level or a coherence, pure dephasing included. `validity`: of `Davies` at δ = 0.
    - `cluster_width`: the automatic width of `Unified`. `clusters_change`: whether its clusters at δ differ from those
      at 0, so that its response jumps unless they are fixed.
    - `local_error`: relative error of the local equation in the slope of the heat currents.
    - `lamb_effect`: relative change of the heat currents or of their slope, the larger, by the Lamb shift of `Unified`.
      Either is NaN where it cannot be found (a density without the derivative or the Lamb shift, no current).
    - `at_once`: the frequencies up to which dissipators may follow a drive at once, to 1 and to 10 % of the heat
      currents; None unless asked for, NaN where a bath has no memory or no current answers,
      infinite where ten times the highest frequency of the system is not enough.
    - `regime`: "eigenvectors only", "shift without splitting", "local", "crossover" or "global".
    - `equation`: the equation to use, or that there is none. `valid`: (equation, whether in its range, why), for each.
    """

    facts: Facts
    nu_tau: Float[Array, " g"]
    local_error: Float[Array, ""]
    lamb_effect: Float[Array, ""]
    at_once: Float[Array, "2"] | None
    regime: str = eqx.field(static=True)
    equation: str = eqx.field(static=True)
    valid: tuple[tuple[str, bool, str], ...] = eqx.field(static=True)

    def __getattr__(self, name: str) -> Any:
        if name != "facts" and name in Facts.__annotations__:
            return getattr(self.facts, name)
        raise AttributeError(f"Diagnosis has no {name!r}.")

    def __str__(self) -> str:
        lines = [
            f"regime: {self.regime}; use {self.equation}",
            f"  levels move by up to {float(jnp.max(jnp.abs(self.level_shifts))):.4g}, eigenvectors turn by up to "
            f"{float(self.rotation):.2g} rad",
            f"  relaxation rate {float(self.relaxation_rate):.4g}, memory of the baths up to "
            f"{float(jnp.max(self.correlation_times)):.4g}; weak coupling needs ≪ 1: rate times memory "
            f"{float(self.validity.memory):.2g}, slow force or line {float(self.validity.force):.2g}",
            f"  {'frequency':>14}{'transitions':>13}{'splitting ν':>14}{'τ':>12}{'ντ':>12}",
        ]
        for row in zip(
            self.frequencies, self.members, self.splittings, self.relaxation_times, self.nu_tau, strict=True
        ):
            omega, count, nu, tau, product = (float(x) for x in row)
            lines.append(f"  {omega:>14.6g}{int(count):>13d}{nu:>14.4g}{tau:>12.4g}{product:>12.3g}")
        lines += [f"  {name}: {'in range' if good else 'OUT OF RANGE'} ({why})" for name, good, why in self.valid]
        if self.clusters_change:
            lines.append(
                f"  The clusters of Unified (width {float(self.cluster_width):.4g}) change between 0 and δ: its "
                "response jumps there. Use Unified().fixed(system) for a derivative."
            )
        if self.at_once is not None:
            lines.append(f"  {_said(self.at_once)}")
        return "\n".join(lines)


@overload
def diagnose(system: DrivenSystem, *, ts: Any = None) -> DrivenDiagnosis: ...
@overload
def diagnose(
    system: Any, V: Any, delta: ArrayLike, solver: AbstractSolver | None = None, *, drive: bool = False
) -> Diagnosis: ...
def diagnose(
    system: Any, V: Any = None, delta: Any = None, solver: AbstractSolver | None = None, *, drive: bool = False,
    ts: Any = None,
) -> Diagnosis | DrivenDiagnosis:  # fmt: skip
    """Which regime H → H + δV is in, and which master equation describes it; of a driven system whether dissipators
    may follow its drive at once.

    **Arguments:** `system`; `V`: Hermitian, [d, d]; `delta`: the strength δ. Values must be known (not inside `jit`).
    Of a `QuasiFree` model V is a `Polynomial`, a group is a normal frequency with all modes that share it, shifts are
    those of normal frequencies, and the rotation is that of a typical state of the steady state. `solver`: finds
    the steady states that are compared, chosen as by `steady_state` when left out. `drive`: also find up to which
    frequency of a drive δ(t)V dissipators may follow it at once (`instantaneous=True`), by the heat currents of
    `Redfield(lamb_shift=True)` with and without the memory of the baths.

    `diagnose(driven)`, `driven = system.driven(...)`: what is wrong with heat currents and states where dissipators
    follow this drive at once (`instantaneous=True`), at any strength, by computing both ways: its steady cycles where
    it has a period, its evolution over `ts` otherwise.

    **Returns:** `Diagnosis`; `DrivenDiagnosis` of a driven system.

    **Raises:** `NotHermitianError`, `ShapeError`, `InputError`; `DensityError` where a density has no rate;
    `CorrelationError` where a bath of a driven system has no memory, and what `cycle` raises.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    print(lgks.diagnose(system, lgks.models.pauli("ZZ"), delta=50.0))
    ```
    """
    if isinstance(system, DrivenSystem) and V is None and delta is None:
        return diagnose_drive(system, ts)
    if ts is not None:
        raise InputError("diagnose: ts= are the times of a driven system, diagnose(system.driven(...), ts=ts).")
    delta = as_scalar(delta, "the strength delta of the perturbation")
    drive = as_flag(drive, "diagnose: drive")
    problem = resolve(system, Unified())
    V = problem.operator(V, "the perturbation V")
    if not is_concrete(problem, V, delta):
        raise InputError(
            "diagnose: its verdict is in words and needs known values; call it outside jit, vmap and grad."
        )
    facts = problem.facts(V, float(delta))
    problem.finite(facts.relaxation_rate, "diagnose")
    local_error, lamb_effect = _compared(problem, V, facts, as_solver(solver))
    nu_tau = facts.splittings * facts.relaxation_times
    regime = _named(facts.moves, facts.splits, float(np.max(np.asarray(nu_tau), initial=0.0)))
    valid = _judged(regime, facts.validity, local_error, lamb_effect)
    return Diagnosis(
        facts=facts,
        nu_tau=nu_tau,
        local_error=jnp.asarray(local_error),
        lamb_effect=jnp.asarray(lamb_effect),
        at_once=jnp.asarray(_followed(problem, V, facts.relaxation_rate, as_solver(solver))) if drive else None,
        regime=regime,
        equation=_recommended(valid, facts.validity, lamb_effect),
        valid=valid,
    )


def _compared(problem: AbstractProblem, V: Any, facts: Facts, solver: AbstractSolver | None) -> tuple[float, float]:
    """What `Local` misses of the slope of the heat currents, and what a Lamb shift changes of them and of their slope,
    both relative to `Unified` with its clusters fixed. NaN where it cannot be found."""
    try:
        J, slope = _currents(problem, V, solver)
    except SingularDensityError:
        return np.nan, np.nan
    largest = np.max(np.abs(J))
    if largest <= float(facts.floor):
        return np.nan, np.nan

    def relative(other: np.ndarray, reference: np.ndarray) -> float:
        # A slope below the least is none: V turns eigenvectors only, or by symmetry.
        scale = max(np.max(np.abs(reference)), float(facts.least) * largest)
        return float(np.max(np.abs(other - reference)) / scale) if scale > 0 else 0.0  # V is zero

    local_error = relative(_currents(problem.frozen(), V, solver)[1], slope)
    try:
        shifted = _currents(problem.under(Unified(lamb_shift=True)), V, solver)
    except LambShiftError:
        return local_error, np.nan
    return local_error, max(relative(shifted[0], J), relative(shifted[1], slope))


def _currents(problem: AbstractProblem, V: Any, solver: AbstractSolver | None) -> tuple[np.ndarray, np.ndarray]:
    """The heat currents and their slopes in δ; NaN where the steady state cannot be trusted."""
    rest = at_rest(problem, solver, throw=False)  # no equation warns of itself here
    if rest.steady.result != RESULTS.successful:
        nothing = np.full(len(problem.model.baths), np.nan)
        return nothing, nothing
    slope = expand(problem, V, 2, rest).linear(HeatCurrents()).static().total
    return np.asarray(value_at(rest, HeatCurrents())), np.asarray(slope)


def _followed(problem: AbstractProblem, V: Any, relaxation_rate: Array, solver: AbstractSolver | None) -> np.ndarray:
    """The frequencies of `Diagnosis.at_once`."""
    try:
        rest = at_rest(problem.under(Redfield(lamb_shift=True)), solver, throw=False)
        expansion = expand(rest.problem, V, 2, rest)
        omegas = float(expansion.generator.bandwidth) * FREQUENCIES
        at_once, exact = (
            np.asarray(expansion.following(at_once=x).linear(HeatCurrents()).susceptibility(omegas).total)
            for x in (True, False)
        )
    except (CorrelationError, LambShiftError, SingularDensityError):
        return np.full(2, np.nan)
    sizes = np.max(np.abs(exact), axis=1)
    if np.max(sizes) <= 1e-10 * float(relaxation_rate):  # no response of heat currents to compare, by symmetry
        return np.full(2, np.nan)
    error = np.maximum.accumulate(np.max(np.abs(at_once - exact), axis=1) / np.maximum(sizes, 1e-12 * np.max(sizes)))
    return np.array([_crossed(omegas, error, limit) for limit in PRECISIONS])


def _crossed(omegas: np.ndarray, error: np.ndarray, limit: float) -> float:
    """The frequency at which a growing error meets the limit; infinite if it does not, zero if it is above from the
    first on."""
    above = np.flatnonzero(error > limit)
    if above.size == 0:
        return np.inf
    k = above[0]
    if k == 0:
        return 0.0
    logs = np.log(np.maximum(error[k - 1 : k + 1], 1e-300))
    return float(np.exp(np.interp(np.log(limit), logs, np.log(omegas[k - 1 : k + 1]))))


def _said(at_once: Array) -> str:
    if np.isnan(at_once[0]):
        return "Whether dissipators may follow a drive at once cannot be said: no memory, or no heat current answers."
    one, ten = (f"ω = {float(x):.3g}" if np.isfinite(x) else "any ω looked at" for x in at_once)
    return f"Dissipators may follow a drive at once (instantaneous=True) up to {one} to 1 %, up to {ten} to 10 %."


def _named(moves: bool, splits: bool, worst: float) -> str:
    """The regime: whether transitions move, whether groups split, and the largest ντ."""
    if not moves:
        return "eigenvectors only"
    if not splits:
        return "shift without splitting"
    return "local" if worst < SMALL else "global" if worst > LARGE else "crossover"


def _judged(
    regime: str, validity: Validity, local_error: float, lamb_effect: float
) -> tuple[tuple[str, bool, str], ...]:
    separation, weak = float(validity.separation), "".join(f"; {reason}" for reason in validity.not_weak)
    lamb = (
        "" if not lamb_effect > LAMB_LIMIT else f"; needs lamb_shift=True, which changes currents by {lamb_effect:.2g}"
    )
    order = f"its error is of the order of {float(jnp.maximum(validity.memory, validity.force)):.2g}, not a bound"
    davies = separation > LARGE and regime not in ("local", "crossover")
    if separation <= LARGE:
        why = f"Bohr frequencies only {separation:.2g} decay rates apart"
    elif regime in ("local", "crossover"):
        why = f"V splits a group by {'less than' if regime == 'local' else 'about'} its decay rate"
    else:
        why = "frequencies are equal or far apart"
        why += "; regroup at δ, do not differentiate at 0" if regime == "global" else ""
    local = local_error < LOCAL_LIMIT and regime in ("eigenvectors only", "local")
    missed = f"it misses {local_error:.2g} of the response of the heat currents"
    if np.isnan(local_error):
        missed = "its response of heat currents could not be compared"
    return (
        ("Davies", davies and not weak, why + weak),
        ("Unified", not weak and not lamb, "clusters fixed, smooth through every regime" + lamb + weak),
        ("UniversalLindblad", not weak and not lamb, order + lamb + weak),
        ("Redfield", not weak and not lamb, order + "; not completely positive" + lamb + weak),
        ("Local", local and not weak, missed + weak),
    )


def _recommended(valid: tuple[tuple[str, bool, str], ...], validity: Validity, lamb_effect: float) -> str:
    if validity.not_weak:
        return "none of these equations: the coupling is not weak"
    if {name: good for name, good, _ in valid}["Davies"]:
        return "Davies"
    return "Unified(lamb_shift=True)" if lamb_effect > LAMB_LIMIT else "Unified"
