"""The resolved problem of a model of matrices.

Takes: a `System` and an equation. Returns: its problem: what `AbstractProblem` asks for, over `Dissipation`.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._bohr import Groups, Structure, reference_to
from .._compiled import compiled
from .._equations import (
    AbstractEquation,
    Dissipation,
    Hierarchy,
    Local,
    Validity,
    as_equation,
    dissipation,
    transition_rates,
    validity,
)
from .._inputs import is_concrete
from .._system import System
from ..errors import RESULTS, JaxlgksError
from ._base import AbstractForm, AbstractGenerator, NullState
from ._blocks import BlockGenerator, BlockStructure
from ._channels import Channels, channel_currents
from ._choice import few_operators, generator, known_blocks
from ._dense import DenseGenerator
from ._driven import Driven, require_driven
from ._facts import Facts, level_facts
from ._hierarchy_problem import hierarchy_problem
from ._matrix_problem import MatrixProblem, edge_population
from ._memory import ALLOWED, FEWER, matrix_bytes, operator_bytes, require_memory
from ._operators import OperatorGenerator
from ._populations import RateEquation, populations_close
from ._problem import AbstractProblem, resolve
from ._remembering import exponentials_of
from ._solvers import SMALL, AbstractSolver, Blocks, Dense, Krylov, Populations
from ._verdict import WRONG, SteadyState, explained, verdict, warnings_of

APART = 1e-4
"""Of the spectral width: levels farther apart have derivatives of their eigenvectors to twelve digits."""


class SystemProblem(MatrixProblem):
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
        return verdict(null, edge_population(self.model, form, null), inaccurate)

    def record(self, form: AbstractForm, null: NullState, result: RESULTS, solver: str) -> SteadyState:
        basis, alone = self.dissipation.basis, isinstance(form, RateEquation)
        rates = form.fixed_rates if isinstance(form, RateEquation) else transition_rates(basis, self.model)
        rho = form.external(null.state)
        held = null.state if alone else jnp.diag(basis.to_eigenbasis(rho)).real
        error = null.error + _tilt(basis, held, None if self.equation.secular else rates)
        error = error + form.coupling_error(null.state) if isinstance(form, RateEquation) else error
        result = RESULTS.where((result == RESULTS.successful) & (error > WRONG), RESULTS.imprecise, result)
        return SteadyState(
            rho=rho,
            populations=null.state if alone else None,
            residual=null.residual,
            error=error,
            slowest=null.slowest,
            condition=null.condition,
            nullity=jnp.where(null.unique, 1, 2),
            edge=edge_population(self.model, form, null),
            validity=None,
            result=result,
            solver=solver,
        )

    def validity(self, state: Complex[Array, "*t d d"] | None = None) -> Validity:
        """A level counts if one of the states, [d, d] or [t, d, d], has it occupied."""
        resolved, held = self.dissipation, None
        if state is not None:
            states = jax.lax.stop_gradient(state).reshape(-1, self.model.dim, self.model.dim)
            held = _held(resolved.basis.vectors, states)
        return validity(resolved.basis, resolved.groups, self.model, self.equation, held, state)

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

    def warnings(self, validity: Validity) -> list[str]:
        messages = warnings_of(validity, self.equation.equal, "Bohr frequencies", "diagnose(system, V, delta)")
        if not self.equation.one_rate or not is_concrete(self.model.temperatures):
            return messages
        coldest = float(jnp.min(self.model.temperatures))
        if validity.spread > coldest:
            messages.append(
                f"{type(self.equation).__name__} gives one rate to Bohr frequencies that differ by up to "
                f"{float(validity.spread):.2g}, more than the lowest temperature, {coldest:.2g}: detailed balance "
                "between them is lost. Use a smaller width, or rates='geometric'."
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
        self.equation.require_own_frame("channel_currents")
        self._require_operators("channel_currents: all channels", self.dissipation)
        channels, coupled = channel_currents(self.dissipation, rho)
        if not is_concrete(coupled):
            return channels
        kept = np.flatnonzero(np.asarray(coupled))
        return Channels(channels.frequencies[kept], channels.currents[:, kept])

    def momentary(self) -> AbstractForm:
        """Without L, which nobody asks for."""
        self.equation.require_own_frame("heat currents and entropy production")
        return self.integrable() if known_blocks(self.dissipation) is None else self.generator()

    def direction(self, V: Complex[Array, "d d"], L: AbstractGenerator) -> Complex[Array, "d d"]:
        self.dissipation.checked(V)
        return V

    def integrable(self) -> AbstractGenerator:
        coupled, solver = self.dissipation.coupled(), Krylov(memory=float("inf"))
        self._require_operators("the operators", coupled)
        return _form(self.dissipation, solver, solver.prepare(coupled))  # pyright: ignore[reportReturnType]

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

    def driven(self, V: Complex[Array, "d d"]) -> Driven:
        require_driven(self.equation)
        size = 3 * self.model.dim**2
        needed = 64.0 * size**2
        require_memory(f"a driven equation of dimension {self.model.dim}", needed, ALLOWED, "Use a smaller system.")
        resolved = self.dissipation
        return Driven(resolved, V.astype(resolved.system.hamiltonian.dtype), exponentials_of(resolved.noises))

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


def _tilt(basis: Structure, populations: Array, rates: tuple[Array, ...] | None) -> Float[Array, ""]:
    """By how much eigenvectors that are known to rounding over the distance of their levels change elements of a state,
    over the largest: eps max|ω| |p_m − p_n| / |ω_mn + iγ_mn|, γ where coherences relax between near levels."""
    frequencies, p = jnp.abs(basis.frequencies), jax.lax.stop_gradient(populations)
    loss = jnp.zeros_like(p) if rates is None else jnp.sum(sum(rates[1:], rates[0]), axis=0)
    width = jnp.sqrt(frequencies**2 + (loss[:, None] + loss) ** 2 / 4)
    apart = jnp.where(basis.levels, 0.0, jnp.abs(p[:, None] - p)) / jnp.where(basis.levels, 1.0, width)
    largest = jnp.finfo(p.dtype).eps * jax.lax.stop_gradient(jnp.max(frequencies))
    return largest * jnp.max(jax.lax.stop_gradient(apart)) / jnp.max(p)


@compiled
def _held(vectors: Array, states: Array) -> Array:
    """The largest population of each level in states [t, d, d]."""
    return jnp.max(jnp.einsum("mi,tmn,ni->ti", vectors.conj(), states, vectors).real, axis=0)


@compiled
def _generator(resolved: Dissipation, blocks: BlockStructure | None) -> AbstractGenerator:
    return generator(resolved, blocks)


@compiled
def _form(resolved: Dissipation, solver: AbstractSolver, prepared: Any) -> AbstractForm:
    return solver.form(resolved, prepared)


@resolve.register(System)
def _(model: System, equation: AbstractEquation) -> AbstractProblem:
    if isinstance(equation := as_equation(equation), Hierarchy):
        return hierarchy_problem(model, equation)
    return SystemProblem(dissipation(model, equation))
