"""Steady cycles of driven systems, and their thermodynamics.

Takes: a driven system with a period, a master equation. Returns: the periodic state that every initial state goes to,
found at once, with its averages and harmonics, heat currents, power, and how far it can be trusted.
"""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ._driven_evolution import of_two_temperatures, require_equation, require_own_energy, worth
from ._drives import DrivenSystem
from ._equations import AbstractEquation, Dissipator, Redfield, Validity
from ._generator import (
    ALLOWED,
    EDGE_LIMIT,
    FEW,
    MOST,
    UNSEEN,
    AtOnce,
    Following,
    enough,
    expected,
    floquet,
    following,
    is_heard,
    levels,
    mark,
    missed,
    multipliers,
    periodic_memory,
    periodic_state,
    rate_of_change,
    require_memory,
    resolve,
    samples_of,
    tell,
)
from ._inputs import Numbers, as_count, as_flag, as_operator, as_real, depth_outside, described, is_concrete, nan_where
from .errors import (
    RESULTS,
    AccuracyWarning,
    InputError,
    NonUniqueSteadyStateError,
    SteadyStateError,
    TruncationError,
)

RESOLVED, DOUBTFUL, WRONG = 1e-10, 1e-8, 1e-6
"""The last harmonics over the largest one: below which they are enough where their number is found, above which a cycle
is doubted, and refused."""
ACCEPTED = 1e-8
"""The largest error of an element."""


class SteadyCycle(eqx.Module):
    """A steady cycle: ρ(t + P) = ρ(t).

    - `times`: 2N + 1 of a period P, [t]. `rho`: the states then, [t, d, d]; `states(t)` has them between, by Fourier
      series.
    - `hamiltonians`: H(t) without its trace, [t, d, d]. `currents`: the heat that each bath brings into the system,
      J^α(t) = Tr[H(t) D_α(t) ρ(t)], [t, baths]. `interaction`: ⟨H_I^α⟩(t), [t, baths], None where dissipators follow
      at once.
    - `error`: estimate of the largest error of an element, over the largest element, that solving left. `tail`: the
      largest of the last quarter of harmonics (of ρ and of the operators Λ of the baths' memory), over the largest of
      all.
    - `slowest`: estimate of the slowest rate at which other states relax to the cycle (`multipliers` has all, exactly).
    - `validity`: how far the equation can be trusted in these states, `Validity`, judged with the H that is driven.
    - `result`: a member of `RESULTS`.

    Harmonics have the convention of `to_harmonics` and `periodic`: a(t) = Re Σ_n a_n e^{−inωt}, n ≥ 0.
    """

    times: Float[Array, " t"]
    rho: Complex[Array, "t d d"]
    hamiltonians: Complex[Array, "t d d"]
    currents: Float[Array, "t baths"]
    interaction: Float[Array, "t baths"] | None
    temperatures: Float[Array, " baths"]
    period: Float[Array, ""]
    error: Float[Array, ""]
    tail: Float[Array, ""]
    slowest: Float[Array, ""]
    validity: Validity | None
    result: RESULTS
    _dissipators: tuple[Dissipator, ...]
    slow: bool = eqx.field(static=True, default=False)
    """Whether it was solved as that of a slow drive."""

    @property
    def harmonics(self) -> int:
        """N, how many are kept."""
        return len(self.times) // 2

    @property
    def omega(self) -> Float[Array, ""]:
        """2π/P."""
        return 2 * jnp.pi / self.period

    def states(self, t: Numbers) -> Complex[Array, "*t d d"]:
        """ρ(t) at any times, a scalar or [t]."""
        return self._at(self.rho, t)

    def expect(self, A: Any, t: Numbers) -> Float[Array, "*t"]:
        """⟨A⟩(t) of a Hermitian A, [d, d], at any times, a scalar or [t]."""
        return self._at(self._averages(A), t).real

    def mean(self, A: Any) -> Float[Array, ""]:
        """⟨A⟩ over a period."""
        return jnp.mean(self._averages(A))

    def harmonic(self, A: Any, n: int) -> Complex[Array, ""]:
        """a_n of ⟨A⟩(t) = Re Σ_n a_n e^{−inωt}; n = 0 is the mean. **Raises:** `InputError` for an n above those
        kept."""
        return self._harmonic(self._averages(A), n)

    def current_harmonic(self, n: int) -> Complex[Array, " baths"]:
        """The same of the heat currents into the system."""
        return self._harmonic(self.currents, n)

    def bath_current_harmonic(self, n: int) -> Complex[Array, " baths"]:
        """The same of what the baths give, −d⟨H_B^α⟩/dt = J^α + d⟨H_I^α⟩/dt. For n = 0 both are one: over a period
        nothing stays in the interaction.

        **Raises:** `InputError` where dissipators follow at once: the energy of the interaction is that of memory."""
        if self.interaction is None:
            raise InputError(
                "bath_current_harmonic: what a bath gives beside what flows into the system is known where baths "
                "remember. Ask cycle(...) without instantaneous=True, or current_harmonic."
            )
        return self._harmonic(self.currents, n) - 1j * n * self.omega * self._harmonic(self.interaction, n)

    @property
    def heat_currents(self) -> Float[Array, " baths"]:
        """The mean heat current from each bath into the system, and what the bath gives: over a period both agree."""
        return jnp.mean(self.currents, axis=0)

    @property
    def power(self) -> Float[Array, ""]:
        """What the drives put in, the mean of Tr[Ḣρ]: with the heat currents it adds up to zero."""
        change = rate_of_change(self.hamiltonians, self.omega)
        return jnp.mean(jnp.einsum("tij,tji->t", change, self.rho).real)

    @property
    def entropy_production(self) -> Float[Array, ""]:
        """The mean σ = −Σ_α J^α/T_α, since the entropy of the system comes back."""
        return -jnp.sum(self.heat_currents / self.temperatures)

    @property
    def efficiency(self) -> Float[Array, ""]:
        """Of an engine, −power/J_hot: the work that it gives over the heat that it takes from the baths of the higher
        temperature. NaN where no work comes out or they give nothing.

        **Raises:** `InputError` where baths have more than two temperatures, which is NaN inside `jit`."""
        return worth(-self.power, of_two_temperatures(self.heat_currents, self.temperatures)[0])

    @property
    def cop(self) -> Float[Array, ""]:
        """Of a refrigerator, its coefficient of performance J_cold/power: the heat that it takes from the baths of the
        lower temperature over the work put in. NaN where no work is put in or they give nothing.

        **Raises:** `InputError` where baths have more than two temperatures, which is NaN inside `jit`."""
        return worth(of_two_temperatures(self.heat_currents, self.temperatures)[1], self.power)

    @property
    def multipliers(self) -> Complex[Array, " n"]:
        """Floquet's multipliers, [d²]: the eigenvalues of the map of a state over one period, the largest first. The
        first is 1; ln|m|/P of the second is minus the slowest rate. Those of the operators Λ_j, e^{−ν_j P} times a
        phase, are not among them. (On CPUs: it takes eigenvalues of a matrix that is not symmetric.)

        **Raises:** `InputError` inside jit for a slow drive, where the times that it takes cannot be counted."""
        if self.slow and not is_concrete(self.hamiltonians, self.omega):
            raise InputError(
                "multipliers: phases turn many times from one time of a slow drive to the next, and how often must be "
                "known. Ask for them outside jit, or make the cycle without slow=True and with more harmonics."
            )
        count = enough(self.hamiltonians, self.omega) if self.slow else len(self.times)
        return multipliers(self.hamiltonians, self._dissipators, self.omega, count)

    def _averages(self, A: Any) -> Float[Array, " t"]:
        A = as_operator(A, "the observable A", self.rho.shape[-1])
        return jnp.einsum("ij,tji->t", A, self.rho).real

    def _harmonic(self, samples: Float[Array, "t ..."], n: int) -> Complex[Array, "..."]:
        n = as_count(n, "the order n of a harmonic", most=self.harmonics)
        return (2 if n else 1) * jnp.fft.fft(samples, axis=0, norm="forward")[n].conj()

    def _at(self, samples: Array, t: Numbers) -> Array:
        t, N = as_real(t, "t"), self.harmonics
        angles = self.omega * t[..., None] * np.fft.fftfreq(2 * N + 1, 1 / (2 * N + 1))
        return jnp.tensordot(jnp.exp(1j * angles), jnp.fft.fft(samples, axis=0, norm="forward"), axes=1)

    def __str__(self) -> str:
        numbers = {"error": self.error, "tail": self.tail, "slowest": self.slowest}
        if not is_concrete(numbers) or self.error.ndim:
            return repr(self)
        words = ", ".join(f"{name} {float(x):.2g}" for name, x in numbers.items())
        return f"SteadyCycle ({self.harmonics} harmonics): {words}. {RESULTS[self.result] or 'Successful.'}"


def cycle(
    driven: Any,
    equation: Any = Redfield(lamb_shift=True),
    *,
    harmonics: int | None = None,
    slow: bool = False,
    instantaneous: bool = False,
    throw: bool = True,
) -> SteadyCycle:
    """The steady cycle of a system under periodic drives of any strength and frequency, to second order in the coupling
    to its baths:

        dρ/dt = −i[H(t), ρ] + Σ_n (Λ_n ρ S_n − S_n Λ_n ρ + h.c.),   ρ(t + P) = ρ(t),   Tr ρ = 1,
        Λ_n = Σ_j Λ_nj,   dΛ_nj/dt = c_nj S_n − ν_nj Λ_nj − i[H(t), Λ_nj],   Λ_nj(t + P) = Λ_nj(t),

    c and ν those of the baths' correlation functions, Σ_j c_j e^{−ν_j s}. Baths may have different temperatures.
    Nothing is averaged or secular, and no instantaneous eigenstates enter. Derivatives of any order in every number of
    system, baths and drives, also where quasi-energies coincide.

    **Arguments:**

    - `driven`: `system.driven(...)`; all drives need a period, and one common one.
    - `equation`: `Redfield(lamb_shift=True)`; with `instantaneous=True` any.
    - `harmonics`: how many are kept on each side, N. None: as many as it takes until the last are below 1e−10 of the
      largest, at most 1,024. Inside `jit`, `vmap`, `grad` they must be given; `SteadyCycle.harmonics` (and `.slow`)
      of a case at hand is a good choice.
    - `slow`: solve in the basis of the levels of H(t); nothing is approximated. Few harmonics then do, however slow the
      drive is, where levels stay further apart than the last of them, Nω, and baths forget faster (Nω well below
      |ν_j + iω_mn| of their exponentials); else it takes some N = (range of the transition energies)/ω. With
      `harmonics=None` it is tried by itself.
    - `instantaneous`: dissipators are those of H(t) at rest at each time, as for a drive that is slow compared with the
      transitions and the memory of the baths; Flat baths have no other.
    - `throw`: raise where the result cannot be trusted; otherwise the verdict is in `.result`.

    **Returns:** `SteadyCycle`. Inside `jit` or `vmap`, where nothing can be raised, a cycle that would have raised is
    NaN (unless `throw=False`).

    **Raises:** `InputError` (no driven system, no period, another equation than one exact to second order, harmonics
    that cannot be counted), `CorrelationError` (a bath without memory, such as `Flat`), `NonUniqueSteadyStateError`,
    `SteadyStateError` (too few harmonics, or no convergence: the message says which), `TruncationError`,
    `SolverMemoryError`.
    **Warns:** `AccuracyWarning` where the last harmonics are above 1e−8 of the largest; `ValidityWarning` as
    `steady_state`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    system = lgks.System(0.5 * Z, lgks.Bath(X + 0.3 * Z, 0.5, lgks.DrudeLorentz(0.002, 1.5)))
    driven = system.driven(lgks.Drive(Z, lgks.periodic([0.0, 0.4j], omega=2.0)))     # 0.4 sin 2t
    c = lgks.cycle(driven)
    c.mean(Z)                                      # -0.7080
    c.harmonic(Z, 1), c.heat_currents, c.power
    ```
    """
    if not isinstance(driven, DrivenSystem):
        raise InputError(f"cycle: a driven system is expected, system.driven(Drive(...)); got {described(driven)}.")
    instantaneous = as_flag(instantaneous, "cycle: instantaneous")
    require_equation("cycle", equation, instantaneous)
    require_own_energy("cycle", driven)
    throw, slow = as_flag(throw, "cycle: throw"), as_flag(slow, "cycle: slow")
    baths = None if instantaneous else following(driven.system)
    if harmonics is None:
        # A function f may hold traced numbers that it does not show.
        if not is_concrete(driven, driven.hamiltonian(jnp.zeros(()))):
            raise InputError(
                "cycle: harmonics= must be given inside jit, vmap and grad, where nobody can look how many are needed. "
                "cycle(...).harmonics of a case at hand is a good number, with slow= its .slow."
            )
        found = _searched(driven, equation, baths, slow, throw)
    else:
        count = _within_memory(driven, baths, as_count(harmonics, "cycle: harmonics", least=1, most=2**16), slow)
        found = _solved(driven, equation, baths, count, slow, throw)
    if throw and is_concrete(found):
        _raise_or_warn(found, driven, equation)
    return _judged(found, driven, equation, throw)


def _searched(
    driven: DrivenSystem, equation: AbstractEquation, baths: Following | None, slow: bool, throw: bool
) -> SteadyCycle:
    """With as many harmonics as it takes; of a drive that is slow, in the basis of the levels first."""

    def resolved(count: int, most: int, slow: bool) -> SteadyCycle:
        while True:
            found = _solved(driven, equation, baths, _within_memory(driven, baths, count, slow), slow, throw)
            stuck = not slow and found.result == RESULTS.no_cycle  # modes that are nearly enough
            if count >= most or not (_unresolved(found) or stuck):
                return found
            count *= 2

    plan = expected(driven)
    if slow or plan.slow:
        found = resolved(plan.few, FEW, True)
        if slow or found.result == RESULTS.successful:
            return found
    return resolved(min(plan.many, MOST), MOST, False)


def _unresolved(found: SteadyCycle) -> bool:
    """Whether more harmonics are what a cycle is wanting."""
    good = found.result == RESULTS.successful
    return bool((found.result == RESULTS.few_harmonics) | (good & (found.tail > RESOLVED)))


def _within_memory(driven: DrivenSystem, baths: Following | None, count: int, slow: bool) -> int:
    """The number of harmonics; raises before more memory is taken than is allowed."""
    dim, terms = driven.dim, 1 if baths is None else baths.rates.size
    what = f"cycle: {count} harmonics of {terms} operators of dimension {dim}"
    remedy = "Keep fewer with harmonics=, or use evolve, which keeps one time."
    inverse = ((2 * count + 1) * dim) ** 2 if slow else 4 * dim**4
    require_memory(what, 16.0 * (8 * (2 * count + 1) * terms * dim**2 + inverse), ALLOWED, remedy)
    return count


@eqx.filter_jit
def _solved(
    driven: DrivenSystem, equation: AbstractEquation, baths: Following | None, count: int, slow: bool, throw: bool
) -> SteadyCycle:
    """The cycle with so many harmonics, NaN where it cannot be trusted, unless told otherwise."""
    H, period = samples_of(driven, count), jnp.asarray(driven.period)
    times = period * jnp.arange(len(H)) / len(H)
    omega = 2 * jnp.pi / period
    basis = (levels if slow else floquet)(H, omega)
    if baths is None:
        at_once = AtOnce(driven, equation)
        dissipators = jax.vmap(lambda t: at_once.kernel(t, None))(times)
        memory, left = None, jnp.zeros(())
    else:
        memory, left = periodic_memory(baths, H, omega, basis)
        dissipators = _dissipators(baths, equation, memory)
    found = periodic_state(H, omega, dissipators, basis)
    rho, error = found.states, jnp.maximum(found.error, left)
    tail = jnp.maximum(_tail(rho), 0.0 if memory is None else _tail(memory))
    seen = (missed(driven, H, times) <= UNSEEN) & basis.resolved
    left = jnp.where(seen | ~jnp.all(jnp.isfinite(H)), left, jnp.inf)
    result = _verdict(found, error, left, tail, driven.system.edge)
    if throw:
        numbers = eqx.filter((driven, baths), eqx.is_inexact_array)
        rho = nan_where(rho, result != RESULTS.successful, numbers)
    flows = [jax.vmap(lambda D, X: D(X))(D, rho) for D in dissipators]
    currents = jnp.stack([jnp.einsum("tij,tji->t", H, flow).real for flow in flows], axis=1)
    stored = None if baths is None or memory is None else jax.vmap(baths.interaction)(memory, rho)
    return SteadyCycle(
        times, rho, H, currents, stored, driven.system.temperatures, period, error, tail, found.slowest, None,
        result, dissipators, slow,
    )  # fmt: skip


def _dissipators(
    baths: Following, equation: AbstractEquation, memory: Complex[Array, "t n d d"]
) -> tuple[Dissipator, ...]:
    """D_α at each time from the operators Λ_n."""

    def of(bath: int) -> Dissipator:
        own = jnp.asarray([n for n, owner in enumerate(baths.owners) if owner == bath])
        return jax.vmap(lambda kernel: equation.assemble((baths.couplings[own], kernel[own])))(memory)

    return tuple(of(bath) for bath in range(max(baths.owners) + 1))


def _tail(samples: Array) -> Float[Array, ""]:
    """The largest of the last quarter of harmonics over the largest of all."""
    size = jnp.abs(jnp.fft.fft(jax.lax.stop_gradient(samples), axis=0)).reshape(len(samples), -1)
    count = len(samples) // 2
    first = (3 * count) // 4 + 1
    return jnp.max(size[first : len(samples) - first + 1]) / jnp.max(size)


def _verdict(found: Any, error: Array, left: Array, tail: Array, edge: Array | None) -> RESULTS:
    """Whether a cycle can be trusted, the most serious reason last."""
    result = RESULTS.where(tail <= WRONG, RESULTS.successful, RESULTS.few_harmonics)
    if edge is not None:
        held = jnp.max(jnp.einsum("ij,tji->t", edge, found.states).real)
        result = RESULTS.where(held <= EDGE_LIMIT, result, RESULTS.truncated)
    result = RESULTS.where(error <= ACCEPTED, result, RESULTS.no_cycle)
    result = RESULTS.where(left <= ACCEPTED, result, RESULTS.few_harmonics)
    unique = found.condition > 100 * jnp.finfo(found.condition.dtype).eps
    untold = left > ACCEPTED  # nothing is known of dissipators whose memory is not
    result = RESULTS.where(unique | untold, result, RESULTS.non_unique)
    return RESULTS.where(found.finite | untold, result, RESULTS.not_finite)


def _raise_or_warn(found: SteadyCycle, driven: DrivenSystem, equation: AbstractEquation) -> None:
    many = f"{found.harmonics} harmonics (harmonics=)"
    if found.result == RESULTS.not_finite:
        unusable = resolve(driven.system, equation).unusable("cycle")
        raise unusable or SteadyStateError(
            "cycle: the generator holds NaN or infinity; check f(t) over a whole period, rates, temperatures."
        )
    if found.result == RESULTS.non_unique:
        raise NonUniqueSteadyStateError(
            "cycle: the steady cycle is not unique: a second multiplier of Floquet is 1 to working precision, so that "
            "something is conserved under baths and drives. Couple baths or drives so that they connect all states, or "
            "choose the initial state and use evolve."
        )
    if found.result == RESULTS.truncated:
        raise TruncationError(
            f"cycle: the last levels of the truncated space hold more than {EDGE_LIMIT:.0e} of the population. Keep "
            "more levels (fock=...) or drive less."
        )
    if found.result == RESULTS.few_harmonics:
        raise SteadyStateError(
            f"cycle: {many} do not resolve it: the last ones are {float(found.tail):.1e} of the largest (allowed: "
            f"{WRONG:.0e}), or H(t) turns between the samples. {expected(driven).advice(found.harmonics, found.slow)}"
        )
    if found.result == RESULTS.no_cycle:
        raise SteadyStateError(
            f"cycle: GMRES did not converge with {many}: elements may be wrong by {float(found.error):.1e} of the "
            f"largest; allowed are {ACCEPTED:.0e}. {expected(driven).advice(found.harmonics, found.slow)}"
        )
    if found.tail > DOUBTFUL:
        warnings.warn(
            f"cycle: with {many} the last ones are {float(found.tail):.1e} of the largest (allowed: {DOUBTFUL:.0e}). "
            "Give more.",
            AccuracyWarning,
            stacklevel=depth_outside(),
        )


def _judged(found: SteadyCycle, driven: DrivenSystem, equation: AbstractEquation, throw: bool) -> SteadyCycle:
    """With the validity of the equation, where someone is told of it."""
    if not is_concrete(found) and not is_heard():
        mark(type(equation).__name__)
        return found
    problem = resolve(driven.system, equation)
    validity = problem.validity(found.rho)
    if throw:
        tell(problem, validity)
    return eqx.tree_at(lambda c: c.validity, found, validity, is_leaf=lambda x: x is None)
