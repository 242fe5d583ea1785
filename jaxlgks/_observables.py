"""What one asks of a state: observables, heat currents, entropy, entropy production.

Takes: a problem, a state (the steady state when none is given). Returns: numbers, in the user's units of energy and
time (ħ = k_B = 1). A heat current is positive INTO the system.

A quantity is a class that answers for itself: its value in a state, the observables whose average in the first-order
state is its change through the state (`linear`), and what of it changes at once (`explicit`). It is written over the
generator, whatever the model.
"""

import abc
import numbers
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ._compiled import compiled
from ._equations import AbstractEquation, Davies
from ._generator import (
    AbstractForm,
    AbstractGenerator,
    AbstractMoment,
    AbstractProblem,
    AbstractSolver,
    Change,
    Channels,
    Observables,
    State,
    resolve,
    stacked,
)
from ._inputs import described, is_concrete
from ._steady import Rest, at_rest
from .errors import InputError


def expectation(A: Complex[Array, "d d"], rho: Complex[Array, "d d"]) -> Float[Array, ""]:
    """Tr[A ρ] of Hermitian A and ρ."""
    return jnp.einsum("ij,ji->", A, rho).real


class AbstractQuantity(eqx.Module):
    """A number, or several, that a state has."""

    label: ClassVar[str] = "quantity"
    with_memory: ClassVar[bool] = True
    """Whether `explicit` is known where dissipators follow a drive with the memory of their baths."""
    dissipated: ClassVar[bool] = True
    """Whether dissipators are in its definition."""
    at_rest: ClassVar[bool] = False
    """Whether `value` leaves out what vanishes in a steady state."""

    @property
    def name(self) -> str:
        """What a table calls it."""
        return self.label

    @property
    def degree(self) -> int:
        """The highest degree of its observables, where these are polynomials: L₁π₀ is computed up to it."""
        return 2

    def checked(self, problem: AbstractProblem) -> "AbstractQuantity":
        """The same with what the user gave checked against the model."""
        return self

    def with_operators(self, transform: Callable[[Any], Any]) -> "AbstractQuantity":
        """The same with the user's operators, if it has any, in another form."""
        return self

    @abc.abstractmethod
    def value(self, form: AbstractMoment, X: State) -> Array:
        """In a steady state."""

    @abc.abstractmethod
    def linear(self, L: AbstractGenerator, X: State) -> Observables:
        """The observables, a stack [*a], whose averages in ρ₁ are its change through the state."""

    @abc.abstractmethod
    def explicit(self, L: AbstractGenerator, X: State, change: Change) -> Array:
        """What of it changes at once, [*a]: linear in the change, also where that is complex, at a frequency."""


class Observable(AbstractQuantity):
    """One observable or several, Tr[A ρ]."""

    A: Any
    label: ClassVar[str] = "observable"
    dissipated: ClassVar[bool] = False

    @property
    def degree(self) -> int:
        return max([getattr(one, "degree", 2) for one in (self.A if isinstance(self.A, tuple) else (self.A,))] + [1])

    def checked(self, problem: AbstractProblem) -> "Observable":
        return Observable(problem.operators(self.A, "the observable A"))

    def with_operators(self, transform: Callable[[Any], Any]) -> "Observable":
        return Observable(transform(self.A))

    def value(self, form: AbstractMoment, X: State) -> Array:
        return form.average(form.observable(self.A), X).real

    def linear(self, L: AbstractGenerator, X: State) -> Observables:
        return L.observable(self.A)

    def explicit(self, L: AbstractGenerator, X: State, change: Change) -> Array:
        return jnp.zeros_like(self.value(L, X))


class Perturbation(AbstractQuantity):
    """⟨V⟩, of the first-order change of H as the generator has it."""

    V: Any
    label: ClassVar[str] = "perturbation"
    dissipated: ClassVar[bool] = False

    def value(self, form: AbstractMoment, X: State) -> Array:
        return form.average(self.V, X).real

    def linear(self, L: AbstractGenerator, X: State) -> Observables:
        return self.V

    def explicit(self, L: AbstractGenerator, X: State, change: Change) -> Array:
        return jnp.zeros_like(self.value(L, X))


class HeatCurrents(AbstractQuantity):
    """All heat currents, [baths]. `thermal`: with the Hamiltonian whose Gibbs state each bath would establish in the
    place of H (paper, Eq. 50; its multiples of the identity do not flow)."""

    thermal: bool = eqx.field(static=True, default=False)
    label: ClassVar[str] = "heat currents"

    def value(self, form: AbstractMoment, X: State) -> Array:
        return form.currents(X)

    def linear(self, L: AbstractGenerator, X: State) -> Observables:
        H = L.thermal_energy if self.thermal else L.energy
        return stacked([_flow(D, H) for D in L.dissipators()])

    def explicit(self, L: AbstractGenerator, X: State, change: Change) -> Array:
        """⟨D_α⁽¹⁾†H⟩ + ⟨D_α†V⟩ (paper, Eq. 51)."""
        indirect = L.average(L.thermal_energy if self.thermal else L.energy, change.baths)
        indirect = indirect if change.carried is None else indirect + change.carried
        if not (L.follows if self.thermal else L.energy_follows):
            return indirect
        return indirect + jnp.stack([L.average(D.adjoint(change.energy), X) for D in L.dissipators()])


class HeatCurrent(AbstractQuantity):
    """The heat current J^α from one bath. **Arguments:** `bath`: its position or its name."""

    bath: int | str = eqx.field(static=True)

    def __init__(self, bath: Any):
        if isinstance(bath, str):
            self.bath = bath
        elif isinstance(bath, numbers.Integral) and not isinstance(bath, bool):
            self.bath = int(bath)
        else:
            raise InputError(f"HeatCurrent: bath must be a position or a name; got {described(bath)}.")

    @property
    def name(self) -> str:
        return f"heat current of bath {self.bath!r}"

    def checked(self, problem: AbstractProblem) -> "HeatCurrent":
        return HeatCurrent(self.position(problem.model))

    def position(self, system: Any) -> int:
        """The bath's position in the system; `InputError` if there is none."""
        names = [bath.name for bath in system.baths]
        if isinstance(self.bath, str) and names.count(self.bath) > 1:  # of baths without a name
            raise InputError(f"HeatCurrent: {names.count(self.bath)} baths are named {self.bath!r}; give the position.")
        if isinstance(self.bath, str) and self.bath in names:
            return names.index(self.bath)
        if isinstance(self.bath, int) and -len(names) <= self.bath < len(names):
            return self.bath % len(names)
        raise InputError(f"HeatCurrent: no bath {self.bath!r}; the system has {len(names)} baths, named {names}.")

    def value(self, form: AbstractMoment, X: State) -> Array:
        return HeatCurrents().value(form, X)[self.bath]

    def linear(self, L: AbstractGenerator, X: State) -> Observables:
        return jax.tree.map(lambda x: x[self.bath], HeatCurrents().linear(L, X))

    def explicit(self, L: AbstractGenerator, X: State, change: Change) -> Array:
        return HeatCurrents().explicit(L, X, change)[self.bath]


class Entropy(AbstractQuantity):
    """The von Neumann entropy S; S₁ = −Tr[ρ₁ ln π₀] (paper, Eq. 52)."""

    label: ClassVar[str] = "entropy"

    def value(self, form: AbstractMoment, X: State) -> Array:
        return form.entropy(X)

    def linear(self, L: AbstractGenerator, X: State) -> Observables:
        return _scaled(L.log(X), -1.0)

    def explicit(self, L: AbstractGenerator, X: State, change: Change) -> Array:
        return jnp.zeros_like(L.temperatures[0])


class EntropyRate(AbstractQuantity):
    """dS/dt = −Tr[(Lρ) ln ρ] (paper, Eq. 49), zero in a steady state; its change is −⟨L₁†(Λ†(t) ln π₀)⟩ (Eq. 53)."""

    label: ClassVar[str] = "entropy rate"
    at_rest: ClassVar[bool] = True

    def value(self, form: AbstractMoment, X: State) -> Array:
        return jnp.zeros_like(form.currents(X)[0])

    def linear(self, L: AbstractGenerator, X: State) -> Observables:
        return _scaled(L.adjoint(L.log(X)), -1.0)

    def explicit(self, L: AbstractGenerator, X: State, change: Change) -> Array:
        return -jnp.sum(L.average(L.log(X), change.sources))


class EntropyProduction(AbstractQuantity):
    """The entropy production rate σ = dS/dt − Σ_α J^α/T_α (paper, Eqs. 47 and D11, with the full L₀)."""

    label: ClassVar[str] = "entropy production"
    at_rest: ClassVar[bool] = True

    def value(self, form: AbstractMoment, X: State) -> Array:
        return -jnp.sum(form.currents(X) / form.temperatures)

    def linear(self, L: AbstractGenerator, X: State) -> Observables:
        currents = jax.tree.map(lambda x: jnp.tensordot(1 / L.temperatures, x, axes=1), HeatCurrents().linear(L, X))
        return jax.tree.map(jnp.subtract, EntropyRate().linear(L, X), currents)

    def explicit(self, L: AbstractGenerator, X: State, change: Change) -> Array:
        currents = HeatCurrents().explicit(L, X, change) / L.temperatures + L.currents(X) * change.betas
        return EntropyRate().explicit(L, X, change) - jnp.sum(currents)


class ChannelCurrents(AbstractQuantity):
    """Heat currents by channel, [baths, channels]: one pair of Bohr groups ±ω of one bath each. Of matrices only."""

    label: ClassVar[str] = "channel currents"
    with_memory: ClassVar[bool] = False

    def value(self, form: AbstractMoment, X: State) -> Array:
        return form.channel_currents(X)  # pyright: ignore[reportAttributeAccessIssue]

    def linear(self, L: Any, X: State) -> Observables:
        return L.channel_flows()

    def explicit(self, L: Any, X: State, change: Change) -> Array:
        return L.channel_changes(X, change)


def _flow(D: Any, H: Observables) -> Observables:
    """D†H, and what jumps carry beside it where the frame turns."""
    return D.adjoint(H) if D.carried is None else jax.tree.map(jnp.add, D.adjoint(H), D.carried)


def _scaled(A: Observables, factor: float) -> Observables:
    return jax.tree.map(lambda x: factor * x, A)


def as_quantity(A: Any, problem: AbstractProblem) -> AbstractQuantity:
    """A quantity as it is, observables checked."""
    return (A if isinstance(A, AbstractQuantity) else Observable(A)).checked(problem)


def require_logarithm(observables: Observables, quantity: AbstractQuantity) -> None:
    """`InputError` where the observables of a quantity are known not to be numbers: they hold the logarithm of the
    state, which a matrix with negative eigenvalues does not have."""
    arrays = [x for x in jax.tree.leaves(observables) if is_concrete(x)]
    if any(np.isnan(np.asarray(x)).any() for x in arrays):
        raise InputError(
            f"the response of the {quantity.name} needs the logarithm of the steady state, which has an eigenvalue "
            "below -1e-8 (states of Redfield() may): it has no entropy. Use an equation that keeps states positive "
            "(Davies, Unified, UniversalLindblad); the steady -sum J/T of entropy_production has a derivative, "
            "autodiff_response(system, V, EntropyProduction(), equation)."
        )


@compiled
def _value(quantity: AbstractQuantity, form: AbstractForm, X: State) -> Array:
    return quantity.value(form, X)


def value_at(rest: Rest, quantity: AbstractQuantity) -> Array:
    """The value of a checked quantity in a steady state that is known."""
    return _value(quantity, rest.form, rest.state)


def steady_value(problem: AbstractProblem, quantity: AbstractQuantity, solver: AbstractSolver | None = None) -> Array:
    """The value of a checked quantity in the steady state."""
    return value_at(at_rest(problem, solver), quantity)


def heat_currents(
    system: Any,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    rho: Any = None,
) -> Float[Array, " baths"]:
    """Heat current from each bath into the system, J^α = Tr[H D_α ρ] (paper, Eq. 48).

    **Arguments:** `system`, `equation`; `solver`: finds the steady state (as `steady_state` chooses when left out);
    `rho`: a state [d, d] (of a `QuasiFree` model a `GaussianState`) in the place of the steady one.

    **Returns:** real array, one entry for each bath in the order given; energy per time. At the steady state the
    entries sum to zero (first law); of a driven system (`RotatingFrame`) to the power that the drive takes out, of one
    with another `energy` than H to work.

    Of the steady state it is accurate to about 1e−15 of the largest decay rate times the largest energy: where baths
    are so cold that the currents themselves are of that size, they are rounding (less so with `Populations()`).

    **Raises:** what `steady_state` raises; `InputError`, `NotHermitianError`, `ShapeError` for `rho`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    lgks.heat_currents(system)                     # [3.9463, -3.9463], paper, Eq. (42)
    ```
    """
    return _thermodynamic_value(_currents, system, equation, solver, rho, "heat_currents")


def entropy_production(
    system: Any,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    rho: Any = None,
) -> Float[Array, ""]:
    """Entropy production rate σ = dS/dt − Σ_α J^α/T_α (paper, Eq. 47).

    **Arguments:** as `heat_currents`. For a given state dS/dt = −Tr[(Lρ) ln ρ]; at the steady state it is zero.

    **Returns:** real scalar, per time. Not negative for `Davies` (Spohn's inequality); it can be for `Local`. Of the
    steady state it is the entropy that goes to the baths, −Σ_α J^α/T_α, which asks nothing of the state: it has a value
    where a steady state of `Redfield` has negative eigenvalues and no entropy itself.

    **Raises:** as `heat_currents`; `InputError` for a `rho` with an eigenvalue below −1e−8 (NaN where traced).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    lgks.entropy_production(system)
    ```
    """
    if rho is None:
        return _thermodynamic_value(_production_at_rest, system, equation, solver, rho, "entropy_production")
    return _thermodynamic_value(_production, system, equation, solver, rho, "entropy_production")


def channel_currents(
    system: Any, equation: AbstractEquation = Davies(), solver: AbstractSolver | None = None, *, rho: Any = None
) -> Channels:
    """Heat currents resolved by transition frequency (paper, Eqs. 42 and 46: two channels, four after a splitting).

    **Arguments:** as `heat_currents`.

    **Returns:** `Channels`. Channels to which no bath couples are left out where numbers are known; under `jit` all
    possible channels are kept, unused ones at the end with frequency and current zero. Of a `QuasiFree` model: the
    normal modes, those of one group together (one by one under `jit`).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    lgks.channel_currents(system).frequencies      # [800, 1200]
    lgks.channel_currents(system.perturbed(lgks.models.pauli("ZZ"), 50.0)).frequencies  # [700, 900, 1100, 1300]
    ```
    """
    _require_one(rho, solver, "channel_currents")
    problem = resolve(system, equation)
    state = at_rest(problem, solver).steady.state if rho is None else problem.state(rho, "the state rho")
    return problem.finite(problem.channels(state), "channel_currents")


def _require_one(rho: Any, solver: Any, who: str) -> None:
    if rho is not None and solver is not None:
        raise InputError(f"{who}: give a state rho or a solver that finds one, not both.")


def _thermodynamic_value(what: Any, system: Any, equation: Any, solver: Any, rho: Any, who: str) -> Array:
    _require_one(rho, solver, who)
    problem = resolve(system, equation)
    if rho is None:
        rest = at_rest(problem, solver)
        return what(rest.form, rest.state)
    rho, form = problem.state(rho, "the state rho", positive=who == "entropy_production"), problem.momentary()
    return problem.finite(what(form, _enter(form, rho)), who)


@compiled
def _enter(form: AbstractForm, rho: Any) -> State:
    return form.internal(rho)


@compiled
def _currents(form: AbstractForm, X: State) -> Float[Array, " baths"]:
    return form.currents(X)


@compiled
def _production_at_rest(form: AbstractForm, X: State) -> Float[Array, ""]:
    return EntropyProduction().value(form, X)


@compiled
def _production(form: AbstractForm, X: State) -> Float[Array, ""]:
    return form.entropy_rate(X) + EntropyProduction().value(form, X)
