"""What a generator can do, whatever its form: the protocol that everything above is written over.

Takes: a model and its master equation in some form. Returns: the steady state, L X and L†A, (L + iω)⁻¹B, states in
time, the flow of energy from each bath, and the first-order change with H or with the baths.

X stands for a state and whatever is added to one, A for an observable, each in the form's own space: matrices in the
eigenbasis of H, populations, functionals on polynomials. Both are pytrees of arrays; stacks have leading axes [k].
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._inputs import as_known, is_concrete
from ..errors import ConvergenceError, InputError

State = Any
Observables = Any


class NullState(eqx.Module):
    """The steady state of a form, and how far it can be trusted; `SteadyState` explains the numbers.

    `finite`, `applicable`, `unique`, `accurate`: whether the generator is made of numbers, whether the form holds the
    steady state at all, and whether it was found."""

    state: State
    residual: Float[Array, ""]
    error: Float[Array, ""]
    slowest: Float[Array, ""]
    condition: Float[Array, ""]
    finite: Bool[Array, ""]
    applicable: Bool[Array, ""]
    unique: Bool[Array, ""]
    accurate: Bool[Array, ""]


class Change(eqx.Module):
    """The first-order change of a generator on its steady state π₀.

    - `sources`: L₁π₀ by mechanism, a stack: kubo, rotation and shift for a perturbation of H.
    - `baths`: D_α⁽¹⁾π₀, a stack over baths. `energy`: the change of H, an observable.
    - `betas`: the change of 1/T_α, [baths]. `carried`: that of the power that jumps take up beside H, [baths], where
      the frame turns.
    - `channels`: D_α⁽¹⁾ group by group, where the form has it.
    """

    sources: State
    baths: State
    energy: Observables
    betas: Float[Array, "*k baths"]
    channels: Any = None
    carried: Float[Array, "*k baths"] | None = None


class AbstractMoment(eqx.Module):
    """What the value of a quantity is read from: H and the dissipators at one time."""

    @property
    @abc.abstractmethod
    def temperatures(self) -> Float[Array, " baths"]:
        """Those of the baths."""

    @property
    @abc.abstractmethod
    def energy(self) -> Observables:
        """H, or the operator whose flow is heat: of matrices without its trace, of oscillators as it was given."""

    @abc.abstractmethod
    def observable(self, A: Any) -> Observables:
        """Operators of the user's, a stack [*a], as observables of this form."""

    @abc.abstractmethod
    def average(self, A: Observables, X: State) -> Array:
        """Tr[A X] for stacks of both, [*k, *a]."""

    @abc.abstractmethod
    def currents(self, X: State) -> Float[Array, " baths"]:
        """J^α = Tr[H D_α X] of each bath (with the operator whose flow is heat for H, and what the frame adds)."""

    @abc.abstractmethod
    def entropy(self, X: State) -> Float[Array, ""]:
        """S of a state."""


class AbstractForm(AbstractMoment):
    """A form in which a generator has a steady state, observables and heat currents."""

    name: eqx.AbstractClassVar[str]

    @abc.abstractmethod
    def steady(self) -> NullState:
        """π with L π = 0, differentiable by the implicit function theorem."""

    @abc.abstractmethod
    def external(self, X: State) -> Any:
        """A state as the user has it."""

    @abc.abstractmethod
    def internal(self, rho: Any) -> State:
        """A state of the user's in this form."""

    @abc.abstractmethod
    def entropy_rate(self, X: State) -> Float[Array, ""]:
        """dS/dt = −Tr[(L X) ln X] of a state."""


class AbstractGenerator(AbstractForm):
    """A form in which a generator also has states in time and responses."""

    @property
    @abc.abstractmethod
    def follows(self) -> bool:
        """Whether dissipators change with H."""

    @property
    def exact(self) -> bool:
        """Whether nothing of the baths is averaged away: −i[V, ·] is then the whole first order at any frequency."""
        return False

    @property
    def energy_follows(self) -> bool:
        """Whether `energy` is H, and changes with it."""
        return True

    @property
    @abc.abstractmethod
    def bandwidth(self) -> Float[Array, ""]:
        """The highest frequency with which what it has turns."""

    @property
    def turns(self) -> bool:
        """Whether the frame turns."""
        return False

    @property
    @abc.abstractmethod
    def has_channels(self) -> bool:
        """Whether heat currents are resolved by channel: `channel_flows` and `channel_changes`."""

    @property
    @abc.abstractmethod
    def thermal_energy(self) -> Observables:
        """The Hamiltonian whose Gibbs states the baths alone would establish (`Davies` and `Local`: exactly)."""

    @abc.abstractmethod
    def adjoint(self, A: Observables) -> Observables:
        """L†A (Heisenberg picture)."""

    @abc.abstractmethod
    def dissipators(self) -> "tuple[AbstractSuperoperator, ...]":
        """D_α of each bath."""

    @abc.abstractmethod
    def log(self, X: State) -> Observables:
        """ln ρ of a state, up to a constant."""

    @abc.abstractmethod
    def regression(self, A: Any, B: Any, X: State) -> tuple[State, Observables, Array]:
        """States to start from, observables and weights [k, *a] with Tr[A e^{Lt}(B X)] = Σ weights Tr[A_a e^{Lt} X_k]:
        parts of operators that need not be Hermitian."""

    @abc.abstractmethod
    def spectrum(self, A: Any, B: Any, X: State, omegas: Float[Array, " w"], *, instantaneous: bool) -> Array:
        """∫ dt e^{iωt} (⟨A(t)B(0)⟩ − ⟨A⟩⟨B⟩) at each frequency, [w], of operators that need not be Hermitian: with the
        memory of the baths, or by `regression`.

        **Raises:** by name, where a bath has no memory."""

    @abc.abstractmethod
    def resolvent(self, B: State, omegas: Float[Array, " w"], A: Observables) -> Array:
        """Tr[A (L + iω)⁻¹ B] at each frequency for a stack of B without trace, [w, k, *a]."""

    @abc.abstractmethod
    def propagate(self, start: State, ts: Float[Array, " t"], A: Observables, drive: State | None = None) -> Array:
        """Tr[A X(t)] with dX/dt = L X + drive from X(ts[0]) = start at each time, [t, k, *a]."""

    @abc.abstractmethod
    def evolve(self, rho0: Any, ts: Float[Array, " t"], **options: Any) -> Any:
        """The states at each time from one of the user's; `options` of an integrator."""

    @abc.abstractmethod
    def first_order(self, V: Any, X: State, degree: int) -> Change:
        """L₁π₀ for H → H + δV, δ at rest. `degree`: the highest degree of an observable that is to be asked for, where
        observables are polynomials."""

    @abc.abstractmethod
    def delayed(self, X: State, change: Change, quantity: Any) -> "AbstractDelay":
        """The response of a quantity where dissipators follow the drive with delay; `change`: that of `first_order`.

        **Raises:** by name, where a bath has no memory to follow with."""

    @abc.abstractmethod
    def thermal_changes(self, X: State) -> Change:
        """∂L/∂T_α of each bath, then D_α of each, for Γ_α → (1 + s_α)Γ_α: a stack of `Change`, [2 baths]."""

    def currents(self, X: State) -> Float[Array, " baths"]:
        def flow(D: AbstractSuperoperator) -> Array:
            flow = self.average(self.energy, D(X)).real
            return flow if D.carried is None else flow + self.average(D.carried, X).real

        return jnp.stack([flow(D) for D in self.dissipators()])

    def entropy_rate(self, X: State) -> Float[Array, ""]:
        """The commutator with H drops out: Tr([H, ρ] ln ρ) = 0."""
        log = self.log(X)
        return -jnp.sum(jnp.stack([self.average(log, D(X)).real for D in self.dissipators()]))


class AbstractDelay(eqx.Module):
    """The response of a quantity whose dissipators follow a drive with delay, by mechanism: kubo, rotation, shift."""

    @abc.abstractmethod
    def susceptibility(self, omegas: Float[Array, " w"]) -> tuple[Array, Array]:
        """χ(ω) by part, [w, 3, *a], and what the quantity changes at once, [w, *a]."""

    @abc.abstractmethod
    def impulse(self, ts: Float[Array, " t"]) -> tuple[Array, Array, Array]:
        """φ(t) by part, [t, 3, *a], what of it is not through the state, [t, *a], and the weight of δ(t), [*a]. Times
        ascend from zero."""

    @abc.abstractmethod
    def step(self, ts: Float[Array, " t"]) -> tuple[Array, Array]:
        """Φ(t) by part, [t, 3, *a], and what of it is not through the state, [t, *a]."""

    @abc.abstractmethod
    def slope(self, ts: Float[Array, " t"]) -> Array:
        """dφ/dt by part, [t, 3, *a], of observables."""

    @property
    @abc.abstractmethod
    def bandwidth(self) -> Float[Array, ""]:
        """The highest frequency with which it turns, that of the baths' memory included."""

    @abc.abstractmethod
    def at_infinity(self) -> Array:
        """Tr[A r], [*a], of what the equation keeps of its own first order r beside −i[V, π₀] when ω → ∞."""

    @abc.abstractmethod
    def interaction(self) -> "AbstractInteraction":
        """The energy of the interaction with each bath.

        **Raises:** `InputError` where it is not known."""


class AbstractInteraction(eqx.Module):
    """The energy of the interaction with each bath: observables of the first-order state, a stack [baths], and what it
    changes by itself."""

    observables: eqx.AbstractVar[Observables]

    @abc.abstractmethod
    def at(self, omegas: Float[Array, " w"]) -> Array:
        """At frequencies, [w, baths]."""

    @abc.abstractmethod
    def after(self, ts: Float[Array, " t"]) -> Array:
        """Times after a kick, [t, baths]."""

    @abc.abstractmethod
    def slope(self, ts: Float[Array, " t"]) -> Array:
        """d/dt of `after`, [t, baths]."""


class AbstractSuperoperator(eqx.Module):
    """The dissipator of one bath."""

    @property
    def carried(self) -> Observables | None:
        """The power that its jumps take up beside the energy, an observable; None where the frame is still."""
        return None

    @abc.abstractmethod
    def __call__(self, X: State) -> State:
        """D X."""

    @abc.abstractmethod
    def adjoint(self, A: Observables) -> Observables:
        """D†A."""


def stacked(parts: list[Any]) -> Any:
    """One pytree with a leading axis from several of one kind."""
    return jax.tree.map(lambda *x: jnp.stack(x), *parts)


def converged(values: Array, B: State) -> Array:
    """Values of a solution, unless they are no numbers where the right-hand side is.

    **Raises:** `ConvergenceError` (NaN where numbers are traced)."""
    if is_concrete(values, B) and np.any(np.isnan(values)) and all(np.all(np.isfinite(b)) for b in jax.tree.leaves(B)):
        raise ConvergenceError(
            "The first-order state was not found: it is not a number. GMRES (where the generator is kept as operators; "
            "solver=Dense() keeps a matrix) did not reach a residual of 1e-8 of the source, or the generator has no "
            "inverse: levels that no bath connects, or relaxation slower than rounding, are the usual causes, and "
            "steady_state names them. A frequency given to susceptibility may also lie on a transition that does not "
            "decay."
        )
    return values


def in_order(t: Array, dtype: Any) -> tuple[Array, Array]:
    """Zero and the times t in ascending order, and where each is among them. What is known is sorted on the host, and
    stays known inside `jit`, where any operation of jax would trace it. Negative times become NaN, the last."""
    xp: Any = np if is_concrete(t) else jnp
    values = xp.asarray(t)
    times = xp.where(values < 0, xp.nan, values).reshape(-1)
    order = xp.argsort(times)
    return as_known(xp.concatenate([xp.zeros(1, times.dtype), times[order]]), dtype), as_known(xp.argsort(order) + 1)


def require_known(values: Any, who: str) -> None:
    """Raise where known results in time are no numbers: rounding grew without end, or an integrator gave up."""
    known = [np.asarray(x) for x in jax.tree.leaves(values) if is_concrete(x) and jnp.issubdtype(x.dtype, jnp.inexact)]
    if not all(np.isfinite(x).all() for x in known):
        raise InputError(
            f"{who}: the result is not finite: the times are too long. The exponential of a generator has an error of "
            "1e-16 of its largest rate times the time; an integrator takes max_steps at most. After a few of the "
            "slowest relaxation times nothing changes any more: ask steady_state or static()."
        )
