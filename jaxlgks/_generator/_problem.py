"""The resolved problem: a model and a master equation with what both determine, found once and handed on.

Takes: a model and an equation. Returns: a problem, which checks operators, makes the generator, lists the ways to its
steady state, and says what its numbers are worth. A model has a room of its own, registered with `resolve`; everything
above this stage is written over the problem and the generator, and never asks for the kind of model.
"""

import abc
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._bohr import Groups, reference_to
from .._equations import (
    AbstractEquation,
    Dissipation,
    Local,
    as_equation,
    dissipation,
    separation,
    spread,
    transition_rates,
)
from .._inputs import as_operator, as_state, described, is_concrete
from .._system import System
from ..errors import RESULTS, InputError, JaxlgksError
from ._base import AbstractForm, AbstractGenerator, NullState
from ._blocks import BlockGenerator, BlockStructure
from ._channels import Channels, channel_currents
from ._choice import few_operators, generator, known_blocks
from ._dense import DenseGenerator
from ._facts import Facts, level_facts
from ._memory import ALLOWED, FEWER, matrix_bytes, operator_bytes, require_memory
from ._operators import OperatorGenerator
from ._populations import RateEquation, populations_close
from ._solvers import SMALL, AbstractSolver, Blocks, Dense, Krylov, Populations
from ._verdict import AbstractSteadyState, SteadyState, explained, verdict, warnings_of

APART = 1e-4
"""Of the spectral width: levels farther apart have derivatives of their eigenvectors to twelve digits."""


class AbstractProblem(eqx.Module):
    """A model and its equation, resolved."""

    @property
    @abc.abstractmethod
    def model(self) -> Any:
        """The model: baths, temperatures, H."""

    @property
    @abc.abstractmethod
    def equation(self) -> AbstractEquation:
        """The master equation."""

    @property
    @abc.abstractmethod
    def resolved(self) -> Any:
        """What solvers make forms from."""

    @abc.abstractmethod
    def unusable(self, who: str) -> JaxlgksError | None:
        """Why the generator is not finite, if a density is the reason."""

    def finite(self, values: Any, who: str) -> Any:
        """What was computed with the generator; raises where it is known not to be finite because of a density."""
        arrays = jax.tree.leaves(eqx.filter(values, eqx.is_inexact_array))
        if is_concrete(arrays) and not all(np.all(np.isfinite(x)) for x in arrays) and (error := self.unusable(who)):
            raise error
        return values

    @abc.abstractmethod
    def operator(self, A: Any, name: str, *, hermitian: bool = True) -> Any:
        """An operator of the user's, checked."""

    @abc.abstractmethod
    def operators(self, A: Any, name: str) -> Any:
        """Observables of the user's, one or several [*a], checked."""

    @abc.abstractmethod
    def state(self, rho: Any, name: str, *, positive: bool = False) -> Any:
        """A state of the user's, checked; `positive`: without negative eigenvalues, for entropies."""

    @abc.abstractmethod
    def solvers(self, solver: AbstractSolver | None) -> tuple[AbstractSolver, ...]:
        """The ways to the steady state, the cheapest first: the one asked for, or all that may apply."""

    @abc.abstractmethod
    def verdict(self, form: Any, null: NullState) -> RESULTS:
        """Whether a null state can be trusted. Traced."""

    @abc.abstractmethod
    def record(self, form: Any, null: NullState, result: RESULTS, solver: str) -> AbstractSteadyState:
        """The steady state as the user has it. Traced."""

    @abc.abstractmethod
    def numbers(self, steady: Any) -> list[Any]:
        """What of a record is the state itself."""

    def loosened(self, solver: AbstractSolver) -> "AbstractProblem":
        """The same without what a solver does not use and would compile a program of its own for."""
        return self

    @abc.abstractmethod
    def explained(self, steady: Any) -> Exception:
        """The error of a steady state that cannot be trusted."""

    @abc.abstractmethod
    def warnings(self, steady: Any) -> list[str]:
        """What is doubtful about the equation there."""

    @abc.abstractmethod
    def generator(self, form: Any = None, state: Any = None) -> AbstractGenerator:
        """L in the form that its structure allows; `form`, `state`: where a steady state has been found already."""

    @abc.abstractmethod
    def momentary(self) -> AbstractForm:
        """A form that has the currents and the entropy rate of any state."""

    @abc.abstractmethod
    def channels(self, rho: Any) -> Channels:
        """The heat currents of a state by channel."""

    @abc.abstractmethod
    def direction(self, V: Any, L: Any) -> Any:
        """V as `first_order` takes it; raises, by name, where no first order along it exists."""

    @abc.abstractmethod
    def initial(self, rho: Any, name: str, method: str) -> Any:
        """What an evolution by a method may start from, checked."""

    @abc.abstractmethod
    def integrable(self) -> AbstractGenerator:
        """L in the form that an integrator takes."""

    @abc.abstractmethod
    def differentiable(self, V: Any, quantity: Any, order: int) -> "tuple[AbstractProblem, Any, Any]":
        """Problem, V and quantity for which `displaced` and `perturbed` exist: themselves where V stays in the family
        of models. Raises where there are none."""

    @abc.abstractmethod
    def under(self, equation: AbstractEquation) -> "AbstractProblem":
        """The same model under another equation that is not frozen."""

    @abc.abstractmethod
    def frozen(self) -> "AbstractProblem":
        """The same model under `Local`, with its own H as the reference."""

    @abc.abstractmethod
    def facts(self, V: Any, delta: float) -> Facts:
        """What δV does to levels and frequencies, and how fast things go, for known values."""

    @abc.abstractmethod
    def displaced(self, V: Any, delta: Array) -> "AbstractProblem":
        """With H + δV, decomposition and groups kept: for derivatives in δ at δ = 0."""

    @abc.abstractmethod
    def pinned(self) -> "AbstractProblem":
        """With its groups pinned, for `perturbed`."""

    @abc.abstractmethod
    def perturbed(self, V: Any, delta: Array) -> "AbstractProblem":
        """The problem of H + δV, resolved anew with the pinned groups."""

    @abc.abstractmethod
    def with_baths(self, temperatures: Array, strengths: Array) -> "AbstractProblem":
        """With other temperatures, and Γ_α → (1 + s_α)Γ_α; groups kept."""

    @abc.abstractmethod
    def difference_step(self, V: Any, slowest: Float[Array, ""]) -> Float[Array, ""]:
        """A step in δ well inside the radius within which the steady state is analytic."""


@functools.singledispatch
def resolve(model: Any, equation: AbstractEquation) -> AbstractProblem:
    """The problem of a model and a master equation."""
    raise InputError(f"a model must be a System or a QuasiFree; got {described(model)}.")


class SystemProblem(AbstractProblem):
    """That of matrices."""

    dissipation: Dissipation

    @property
    def equation(self) -> AbstractEquation:
        return self.dissipation.equation

    @property
    def model(self) -> System:
        return self.dissipation.system

    @property
    def resolved(self) -> Dissipation:
        return self.dissipation

    def unusable(self, who: str) -> JaxlgksError | None:
        return self.dissipation.unusable(who)

    def operator(self, A: Any, name: str, *, hermitian: bool = True) -> Complex[Array, "d d"]:
        return as_operator(A, name, self.model.dim, hermitian=hermitian).astype(self.model.hamiltonian.dtype)

    def operators(self, A: Any, name: str) -> Complex[Array, "*a d d"]:
        if not isinstance(getattr(A, "shape", None), tuple) or len(A.shape) <= 2:
            return self.operator(A, name)
        stack = [self.operator(one, f"{name}[{i}]") for i, one in enumerate(A.reshape(-1, *A.shape[-2:]))]
        return jnp.stack(stack).reshape(A.shape)

    def state(self, rho: Any, name: str, *, positive: bool = False) -> Complex[Array, "d d"]:
        return as_state(rho, name, self.model.dim, positive=positive).astype(self.model.hamiltonian.dtype)

    def solvers(self, solver: AbstractSolver | None) -> tuple[AbstractSolver, ...]:
        """Populations where they may close, else `Dense()`; for large systems `Blocks()` where levels are degenerate,
        `Krylov()` where groups of frequencies are few (one, or wide clusters) and their operators fit into memory.

        Where nobody can look whether populations closed, small systems are left to `Dense()`.
        """
        if solver is not None:
            return (solver,)
        large = self.model.dim > SMALL
        # After GMRES that does not converge; a refusal of the matrix would hide why it was asked for.
        dense = (Dense(),) if matrix_bytes(self.model) <= ALLOWED else ()
        if not self.equation.secular:
            return (Krylov(), *dense) if few_operators(self.resolved) else (Dense(),)
        whole = (Blocks(), Krylov(), *dense) if large else (Dense(),)
        closed = self._populations_close()
        if is_concrete(self.dissipation, jnp.zeros(())):  # nothing is traced, here or around
            return (Populations(), *whole) if closed else whole
        if closed is False and large:
            return whole
        return (Populations(),) if closed or (closed is None and large) else (Dense(),)

    def _populations_close(self) -> bool | None:
        """Whether populations are known to close; None where that is not known.

        In a derivative outside `jit` H is traced but its levels are not. There levels must also lie well apart, since
        what a derivative of eigenvectors divides by is their distance."""
        resolved = self.dissipation
        if not is_concrete(resolved.groups.labels, resolved.structure.energies):
            return None
        with jax.ensure_compile_time_eval():
            closed = bool(populations_close(resolved.groups))
        if closed and not is_concrete(self.model.hamiltonian):
            energies = np.asarray(resolved.structure.energies)
            return bool(np.min(np.diff(energies), initial=np.inf) > APART * np.ptp(energies))
        return closed

    def verdict(self, form: AbstractForm, null: NullState) -> RESULTS:
        iterated = isinstance(form, OperatorGenerator)
        inaccurate = RESULTS.not_converged if iterated else RESULTS.large_residual
        return verdict(null, self._edge(form, null), inaccurate)

    def _edge(self, form: AbstractForm, null: NullState) -> Float[Array, ""]:
        """The population of the last levels of a truncated space."""
        if self.model.edge is None:
            return jnp.zeros((), null.residual.dtype)
        rho = jax.lax.stop_gradient(form.external(null.state))
        return jnp.trace(self.model.edge @ rho).real.astype(null.residual.dtype)

    def record(self, form: AbstractForm, null: NullState, result: RESULTS, solver: str) -> SteadyState:
        basis, groups = self.dissipation.basis, self.dissipation.groups
        alone = isinstance(form, RateEquation)
        rates = form.fixed_rates if alone else transition_rates(basis, self.model)
        rho = form.external(null.state)
        held = null.state if alone else jnp.diag(basis.to_eigenbasis(rho)).real
        return SteadyState(
            rho=rho,
            populations=null.state if alone else None,
            residual=null.residual,
            slowest=null.slowest,
            condition=null.condition,
            nullity=jnp.where(null.unique, 1, 2),
            edge=self._edge(form, null),
            separation=separation(basis, groups, rates, jax.lax.stop_gradient(held)),
            spread=spread(basis, groups),
            result=result,
            solver=solver,
        )

    def numbers(self, steady: SteadyState) -> list[Any]:
        return [x for x in (steady.rho, steady.populations) if x is not None]

    def loosened(self, solver: AbstractSolver) -> "SystemProblem":
        """Populations do not mind how many groups there are."""
        if not isinstance(solver, Populations):
            return self
        resolved = self.dissipation
        loose = Groups(resolved.groups.labels, self.model.dim**2)
        return SystemProblem(
            Dissipation(resolved.system, resolved.equation, resolved.structure, resolved.frozen, loose)
        )

    def explained(self, steady: SteadyState) -> Exception:
        return explained(steady, self.dissipation)

    def warnings(self, steady: SteadyState) -> list[str]:
        numbers = float(steady.separation), float(steady.spread)
        messages = warnings_of(*numbers, self.equation, "Bohr frequencies", "diagnose(system, V, delta)")
        if not self.equation.one_rate or not is_concrete(self.model.temperatures):
            return messages
        coldest = float(jnp.min(self.model.temperatures))
        if numbers[1] > coldest:
            messages.append(
                f"{type(self.equation).__name__} gives one rate to Bohr frequencies that differ by up to "
                f"{numbers[1]:.2g}, more than the lowest temperature, {coldest:.2g}: detailed balance between them is "
                "lost. Use a smaller width, or rates='geometric'."
            )
        return messages

    def generator(self, form: AbstractForm | None = None, state: Any = None) -> AbstractGenerator:
        blocks = known_blocks(self.dissipation)
        # In small systems all groups are kept: channels of a response are numbered by them.
        whole = blocks is not None or self.model.dim <= SMALL
        resolved = self.dissipation if whole else self.dissipation.coupled()
        best = BlockGenerator if blocks is not None else OperatorGenerator
        best = best if blocks is not None or few_operators(resolved) else DenseGenerator
        return form if isinstance(form, best) else _generator(resolved, blocks)

    def form(self, solver: AbstractSolver) -> AbstractForm:
        """That of one solver."""
        return _form(self.dissipation, solver, solver.prepare(self.dissipation))

    def channels(self, rho: Complex[Array, "d d"]) -> Channels:
        self._require_operators("channel_currents: all channels", self.dissipation)
        channels, coupled = channel_currents(self.dissipation, rho)
        if not is_concrete(coupled):
            return channels
        kept = np.flatnonzero(np.asarray(coupled))
        return Channels(channels.frequencies[kept], channels.currents[:, kept])

    def momentary(self) -> AbstractForm:
        """Without L, which nobody asks for."""
        return self.integrable() if known_blocks(self.dissipation) is None else self.generator()

    def direction(self, V: Complex[Array, "d d"], L: AbstractGenerator) -> Complex[Array, "d d"]:
        self.dissipation.checked(V)
        return V

    def initial(self, rho: Any, name: str, method: str) -> Complex[Array, "d d"]:
        return self.state(rho, name)

    def integrable(self) -> AbstractGenerator:
        coupled = self.dissipation.coupled()
        self._require_operators("the operators", coupled)
        return _form(self.dissipation, Krylov(), coupled.groups)  # pyright: ignore[reportReturnType]

    def _require_operators(self, what: str, resolved: Dissipation) -> None:
        groups = f"dimension {self.model.dim} in {resolved.groups.count} groups"
        needed = operator_bytes(resolved, 6)
        require_memory(f"{what} of {type(self.equation).__name__} for {groups}", needed, ALLOWED, FEWER)

    def differentiable(self, V: Any, quantity: Any, order: int) -> "tuple[SystemProblem, Any, Any]":
        return SystemProblem(self.dissipation.checked(V)), V, quantity

    def under(self, equation: AbstractEquation) -> "SystemProblem":
        resolved = self.dissipation
        groups = equation.groups(resolved.structure, resolved.system)
        return SystemProblem(Dissipation(resolved.system, equation, resolved.structure, None, groups))

    def frozen(self) -> "SystemProblem":
        resolved, local = self.dissipation, Local(self.model)
        groups = local.groups(resolved.structure, resolved.system)
        return SystemProblem(Dissipation(resolved.system, local, resolved.structure, resolved.structure, groups))

    def facts(self, V: Complex[Array, "d d"], delta: float) -> Facts:
        return level_facts(self.dissipation, self.model.perturbed(V, delta), V, delta)

    def displaced(self, V: Complex[Array, "d d"], delta: Array) -> "SystemProblem":
        H = self.model.hamiltonian + delta * V
        return SystemProblem(self.dissipation.with_hamiltonian(H.astype(self.model.hamiltonian.dtype)))

    def pinned(self) -> "SystemProblem":
        resolved = self.dissipation
        if not self.equation.regroups or self.equation.reference is not None:
            return self
        fixed = self.equation.pinned(reference_to(resolved.structure, resolved.groups))
        return SystemProblem(Dissipation(resolved.system, fixed, resolved.structure, resolved.frozen, resolved.groups))

    def perturbed(self, V: Complex[Array, "d d"], delta: Array) -> "SystemProblem":
        return SystemProblem(dissipation(self.model.perturbed(V, delta), self.equation))

    def with_baths(self, temperatures: Array, strengths: Array) -> "SystemProblem":
        system = self.model.with_baths(temperatures, strengths)
        return SystemProblem(eqx.tree_at(lambda d: d.system, self.dissipation, system))

    def difference_step(self, V: Complex[Array, "d d"], slowest: Float[Array, ""]) -> Float[Array, ""]:
        """Levels must not meet: 1e−2 of the smallest distance between levels, or of the lowest temperature. Where V
        splits a level, coherences inside it turn against their own decay: 1e−2 of the slowest relaxation (ντ ≪ 1)."""
        structure, inside = self.dissipation.structure, self.dissipation.structure.levels
        gap = jnp.min(jnp.where(inside, jnp.inf, jnp.abs(structure.frequencies)))
        size: Array = jnp.linalg.norm(V)
        lowest = jnp.minimum(gap, jnp.min(self.model.temperatures))
        step = 1e-2 * lowest / jnp.maximum(size, jnp.finfo(size.dtype).tiny)
        same = inside & ~jnp.eye(self.model.dim, dtype=bool)
        inner: Array = jnp.linalg.norm(jnp.where(same, structure.to_eigenbasis(V), 0.0))
        splits = inner > 1e-12 * size
        slow = 1e-2 * slowest / jnp.where(splits, inner, 1.0)
        return jnp.minimum(step, jnp.where(splits, slow, jnp.inf))


@eqx.filter_jit
def _generator(resolved: Dissipation, blocks: BlockStructure | None) -> AbstractGenerator:
    return generator(resolved, blocks)


@eqx.filter_jit
def _form(resolved: Dissipation, solver: AbstractSolver, prepared: Any) -> AbstractForm:
    return solver.form(resolved, prepared)


@resolve.register(System)
def _(model: System, equation: AbstractEquation) -> SystemProblem:
    return SystemProblem(dissipation(model, as_equation(equation)))
