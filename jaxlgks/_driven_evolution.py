"""A driven system in time, with the energy and entropy that it exchanges.

Takes: a driven system, an initial state, times, an equation. Returns: states, heat currents of both sides, power, and
work and heat up to each time.

To second order in the coupling, at any strength and speed of the drive, dissipators follow H(t) with the memory of the
baths (`Following`). The instantaneous form takes at each time the generator that an equation has for the H(t) of that
time (`AtOnce`): the limit of slow drives, d⟨H_I⟩/dt left out.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ._drives import DrivenSystem
from ._entropy import entropy, log_state
from ._equations import AbstractEquation, Validity
from ._generator import (
    AbstractProblem,
    AtOnce,
    Motion,
    Reading,
    following,
    require_states,
    resolve,
    tell,
)
from ._inputs import as_flag, as_operator, as_times, described, is_concrete
from ._steady import steady_state
from .errors import InputError

SAME = 1e-9
"""Temperatures that differ by less, over the highest, are one."""
OPTIONS = ("rtol", "atol", "max_steps", "progress", "adjoint", "stationary", "instantaneous")


class DrivenEvolution(eqx.Module):
    """A driven system at the times `ts`, [t]. A heat current is positive into the system.

    - `states`: ρ, [t, d, d]. `energy`: Tr[H(t)ρ]. `power`: Tr[(dH/dt)ρ], what the drives put in.
    - `heat_currents`: J^α = Tr[H(t) D_α ρ], the energy that flows into the system, [t, baths]. `bath_currents`:
      −d⟨H_B^α⟩/dt, what each bath gives, which is J^α + d⟨H_I^α⟩/dt, [t, baths]: both are of the same order, and agree
      at rest and on average over a cycle. In the instantaneous form they are the same.
    - `interaction`: ⟨H_I^α⟩, [t, baths].
    - `heat`: ∫J^α from the first time on, [t, baths], integrated along with the state.
    - `temperatures`: of the baths. `validity`: how far the equation can be trusted on the way (`Validity`), with the H
      of the first time.
    """

    ts: Float[Array, " t"]
    states: Complex[Array, "t d d"]
    energy: Float[Array, " t"]
    power: Float[Array, " t"]
    heat_currents: Float[Array, "t baths"]
    bath_currents: Float[Array, "t baths"]
    interaction: Float[Array, "t baths"]
    heat: Float[Array, "t baths"]
    temperatures: Float[Array, " baths"]
    rates: Complex[Array, "t d d"]
    """dρ/dt."""
    validity: Validity | None = None

    def expect(self, A: Any) -> Float[Array, " t"]:
        """Tr[A ρ(t)] of a Hermitian A, [t]."""
        A = as_operator(A, "the observable A", self.states.shape[-1])
        return jnp.einsum("ij,tji->t", A, self.states).real

    @property
    def work(self) -> Float[Array, " t"]:
        """The work that the drives have done since the first time, E(t) − E(0) − Σ_α heat, [t]: ∫P, and where H(t)
        jumps what a jump does as well."""
        return self.energy - self.energy[0] - jnp.sum(self.heat, axis=1)

    @property
    def bath_heat(self) -> Float[Array, "t baths"]:
        """What each bath has given since the first time, ∫ −d⟨H_B^α⟩, [t, baths]."""
        return self.heat + self.interaction - self.interaction[0]

    @property
    def entropy(self) -> Float[Array, " t"]:
        """S = −Tr[ρ ln ρ], [t]; NaN where a state has an eigenvalue below −1e−8."""
        return jax.vmap(entropy)(self.states)

    @property
    def entropy_production(self) -> Float[Array, " t"]:
        """σ = dS/dt − Σ_α J_bath^α/T_α, with the heat that the baths give, [t]. Of a state that is pure, or nearly,
        dS/dt has no limit."""
        return self._entropy_rate - self.bath_currents @ (1 / self.temperatures)

    @property
    def system_entropy_production(self) -> Float[Array, " t"]:
        """dS/dt − Σ_α J^α/T_α, with the heat that flows into the system, [t]: negative at times, where energy goes
        into the interaction and comes back."""
        return self._entropy_rate - self.heat_currents @ (1 / self.temperatures)

    @property
    def entropy_produced(self) -> Float[Array, " t"]:
        """S(t) − S(0) − Σ_α Q_α/T_α, with the heat Q that the baths have given since the first time, [t]."""
        S = self.entropy
        return S - S[0] - self.bath_heat @ (1 / self.temperatures)

    @property
    def efficiency(self) -> Float[Array, ""]:
        """Of an engine, −W/Q_hot: the work given out over the heat that the baths of the higher temperature gave, from
        the first to the last time. NaN where no work comes out or they give nothing. It is that of a machine where the
        state comes back to what it was.

        **Raises:** `InputError` where baths have more than two temperatures, which is NaN inside `jit`."""
        return worth(-self.work[-1], of_two_temperatures(self.bath_heat[-1], self.temperatures)[0])

    @property
    def cop(self) -> Float[Array, ""]:
        """Of a refrigerator, Q_cold/W: the heat that the baths of the lower temperature gave over the work put in, from
        the first to the last time. NaN where no work is put in or they give nothing.

        **Raises:** `InputError` where baths have more than two temperatures, which is NaN inside `jit`."""
        return worth(of_two_temperatures(self.bath_heat[-1], self.temperatures)[1], self.work[-1])

    @property
    def _entropy_rate(self) -> Float[Array, " t"]:
        logs = jax.vmap(log_state)(self.states)
        return -jnp.einsum("tij,tji->t", self.rates, logs).real


def worth(gained: Array, paid: Array) -> Float[Array, ""]:
    """What is gained over what is paid, NaN where either is not positive."""
    good = (gained > 0) & (paid > 0)
    return jnp.where(good, gained / jnp.where(good, paid, 1.0), jnp.nan)


def of_two_temperatures(heat: Float[Array, " baths"], temperatures: Float[Array, " baths"]) -> tuple[Array, Array]:
    """The heat of all baths at the higher of two temperatures, and of all at the lower. With a third one in between
    neither quotient is bounded by Carnot's: which heat counts is for the user to say."""
    apart = SAME * jnp.max(temperatures)
    hot, cold = (jnp.abs(temperatures - T) <= apart for T in (jnp.max(temperatures), jnp.min(temperatures)))
    two = jnp.all(hot | cold)
    if is_concrete(two) and not two:
        raise InputError(
            "efficiency and cop are those of a machine between two temperatures; the baths have "
            f"{[float(f'{float(T):.6g}') for T in temperatures]}. Take them from the heat of each bath and the work."
        )

    def total(side: Array) -> Array:
        return jnp.where(two, jnp.sum(jnp.where(side, heat, 0.0)), jnp.nan)

    return total(hot), total(cold)


def evolve_driven(driven: DrivenSystem, rho0: Any, ts: Any, equation: Any, options: dict[str, Any]) -> DrivenEvolution:
    """`evolve` of a driven system."""
    stationary, instantaneous = (
        as_flag(options.pop(name, False), f"evolve: {name}") for name in ("stationary", "instantaneous")
    )
    require_equation("evolve", equation, instantaneous)
    require_own_energy("evolve", driven)
    ts = as_times(ts, "evolve: ts")
    _require_drives(driven, ts)
    begin = driven.at(ts[0])
    baths = AtOnce(driven, equation) if instantaneous else following(driven.system)
    problem = resolve(begin, equation)
    rho = _initial(begin, problem, equation, rho0, stationary or instantaneous)
    require_states("evolve", len(ts), driven.system)
    memory = None if isinstance(baths, AtOnce) else baths.start(begin.hamiltonian, stationary)
    evolution = _reported(ts, Motion(driven, baths).through(rho, memory, ts, **options), driven.system.temperatures)
    _require_known(problem.finite(evolution, "evolve"))
    validity = problem.validity(evolution.states)
    tell(problem, validity)
    return eqx.tree_at(lambda e: e.validity, evolution, validity, is_leaf=lambda x: x is None)


def _reported(ts: Array, read: Reading, temperatures: Array) -> DrivenEvolution:
    rho = (read.rho + read.rho.conj().swapaxes(-1, -2)) / 2
    return DrivenEvolution(
        ts=ts,
        states=rho,
        energy=read.energy,
        power=read.power,
        heat_currents=read.currents,
        bath_currents=read.currents + read.interaction_rate,
        interaction=read.interaction,
        heat=read.heat,
        temperatures=temperatures,
        rates=read.change,
    )


def _require_known(evolution: DrivenEvolution) -> None:
    """Raise for states that are known to be no numbers."""
    if is_concrete(evolution.states) and not np.all(np.isfinite(evolution.states)):
        raise InputError(
            "evolve: the result is not finite: the integrator took max_steps steps and was not at the last time, or "
            "H(t) is not finite between the times. Allow more steps, ask for fewer times, or look at the drives."
        )


def require_equation(who: str, equation: Any, instantaneous: bool) -> None:
    """Raise for an equation that does not follow a drive."""
    if not isinstance(equation, AbstractEquation):
        raise InputError(
            f"{who}: a driven system takes Redfield(lamb_shift=True), or with instantaneous=True any master equation; "
            f"got {described(equation)}."
        )
    if instantaneous:
        equation.require_own_frame(f"{who} of a driven system")
    elif not equation.second_order:
        raise InputError(
            f"{who}: {type(equation).__name__}{'()' if not equation.lamb_shift else '(lamb_shift=True)'} "
            f"{equation.undriven}. A driven system takes equation=Redfield(lamb_shift=True), whose baths follow "
            "any drive with their memory; or set instantaneous=True for the generator that an equation has at each "
            "moment, right for drives much slower than the transitions."
        )


def require_own_energy(who: str, driven: DrivenSystem) -> None:
    """Raise for heat that is not counted with H(t), and for single precision."""
    if driven.system.energy is not None:
        raise InputError(
            f"{who}: heat and work of a driven system are counted with H(t); this system has an operator of its own, "
            "energy=. Leave it out."
        )
    if driven.system.hamiltonian.dtype != jnp.complex128:
        raise InputError(
            f"{who}: a driven system is solved to 1e-9, which single precision does not hold; this one has "
            f"{driven.system.hamiltonian.dtype}. Make the System without dtype=."
        )


def _require_drives(driven: DrivenSystem, ts: Array) -> None:
    """Raise where H(t) is known not to be finite at one of the times."""
    if not is_concrete(driven, ts):
        return
    with jax.ensure_compile_time_eval():
        H = _hamiltonians(driven, ts)
    if not is_concrete(H):  # numbers of f are traced where f does not show them
        return
    good = np.isfinite(np.asarray(H)).all(axis=(1, 2))
    if not np.all(good):
        raise InputError(
            f"evolve: H(t) is not finite at t = {float(ts[np.argmin(good)]):.6g}. Samples have values between their "
            "first and their last time only, unless they have a period; ask for times among them."
        )


@eqx.filter_jit
def _hamiltonians(driven: DrivenSystem, ts: Array) -> Array:
    return jax.lax.map(driven.hamiltonian, ts)


def _initial(begin: Any, problem: AbstractProblem, equation: Any, rho0: Any, found: bool) -> Complex[Array, "d d"]:
    """The state of the user's, or the steady state under the first Hamiltonian."""
    if rho0 is not None:
        return problem.initial(rho0, "evolve: rho0", "diffrax")
    if not found:
        raise InputError(
            "evolve: rho0 must be a state, [d, d]. Where baths and system have long been in contact, stationary=True, "
            "it may be None: the steady state under H(ts[0])."
        )
    return steady_state(begin, equation).rho
