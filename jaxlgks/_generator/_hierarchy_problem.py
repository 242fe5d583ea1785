"""The resolved problem of a system of matrices under the hierarchy of equations of motion.

Takes: a `System` and a `Hierarchy`. Returns: its problem. A model goes through the public functions as with any master
equation; what needs a dissipator is refused by name.
"""

from typing import Any, ClassVar, NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import find_structure, traceless
from .._equations import NO_DISSIPATOR, AbstractEquation, Hierarchy, Validity
from .._spectra import Correlated, correlated, require_exponentials
from .._system import System
from ..errors import (
    RESULTS,
    ImpreciseSteadyStateError,
    InputError,
    JaxlgksError,
    NonUniqueSteadyStateError,
    SolverError,
    SteadyStateError,
)
from ._base import AbstractForm, NullState
from ._channels import Channels
from ._driven import AbstractDriven
from ._facts import Facts
from ._hierarchical import HierarchyGenerator, HierarchyParts, hierarchy_generator
from ._matrix_problem import MatrixProblem, edge_population
from ._memory import ALLOWED, require_memory
from ._problem import AbstractProblem, resolve
from ._solvers import AbstractSolver, Dense, Krylov
from ._tiers import matrices_in
from ._verdict import NOT_FINITE, SteadyState, too_few_levels, verdict

KEPT = 40
"""Steps of GMRES that are kept unless it is told: ten suffice at weak coupling."""
SMALL = 1000
"""Up to so many numbers in all matrices one matrix of them all is made and factorised: a second at most, where a
program with GMRES takes ten to compile. For many points at once `Krylov` is faster."""


class Tiers(AbstractSolver):
    """`Dense` and `Krylov` for a hierarchy: all numbers of all matrices as one vector, or GMRES, preconditioned tier by
    tier. `whole`: which; None: by the number of numbers."""

    whole: bool | None = eqx.field(static=True, default=None)
    tolerance: float = eqx.field(static=True, default=1e-10)
    restart: int = eqx.field(static=True, default=KEPT)
    cycles: int = eqx.field(static=True, default=10)
    memory: float = eqx.field(static=True, default=ALLOWED)
    name: ClassVar[str] = "hierarchy"

    def prepare(self, resolved: HierarchyParts) -> tuple[Correlated, ...]:
        """The exponentials of each noise: fits need known numbers."""
        equation, found, (_, terms) = resolved.equation, [], resolved.equation.levels
        for noise in resolved.noises:
            if noise.quanta is not None:
                raise InputError("Hierarchy: not built for a system in a rotating frame; give it in the laboratory's.")
            noise.spectrum.require_correlation()
            one = correlated(noise.spectrum, noise.temperature, terms, equation.expansion, equation.tolerance)
            require_exponentials(one, noise.label)
            found.append(one)
        self._require_memory(resolved, sum(len(one.c) for one in found))
        return tuple(found)

    def _require_memory(self, resolved: HierarchyParts, exponentials: int) -> None:
        """GMRES keeps its steps; the action gathers the neighbours of each matrix."""
        dim, (depth, _) = resolved.system.dim, resolved.equation.levels
        count, itemsize = matrices_in(exponentials, depth), resolved.system.hamiltonian.dtype.itemsize
        size, gathered = float(count * dim**2), 2 * exponentials + 20
        if self._is_whole(count, dim):
            needed = itemsize * size**2 * (4 + gathered)
        else:
            needed = itemsize * (size * (1.5 * self.restart + gathered) + 6.0 * dim**4)
        require_memory(
            f"Hierarchy: {count} matrices of dimension {dim} ({exponentials} exponentials, depth {depth})",
            needed,
            self.memory,
            "Use a smaller depth or fewer terms, Krylov() in place of Dense(), or allow more with Krylov(memory=...).",
        )

    def form(self, resolved: HierarchyParts, prepared: tuple[Correlated, ...]) -> HierarchyGenerator:
        count = matrices_in(sum(len(one.c) for one in prepared), resolved.equation.levels[0])
        whole = self._is_whole(count, resolved.system.dim)
        return hierarchy_generator(resolved, prepared, whole, self.restart, self.cycles, self.tolerance)

    def _is_whole(self, count: int, dim: int) -> bool:
        return count * dim**2 <= SMALL if self.whole is None else self.whole


class HierarchyProblem(MatrixProblem):
    """That of a system of matrices under a hierarchy."""

    parts: HierarchyParts

    @property
    def equation(self) -> Hierarchy:
        return self.parts.equation

    @property
    def model(self) -> System:
        return self.parts.system

    @property
    def resolved(self) -> HierarchyParts:
        return self.parts

    def unusable(self, who: str) -> JaxlgksError | None:
        return None  # exponentials are checked when they are made

    def solvers(self, solver: AbstractSolver | None) -> tuple[AbstractSolver, ...]:
        if solver is None:
            return (Tiers(),)
        if isinstance(solver, Krylov):
            return (Tiers(False, solver.tolerance, solver.restart or KEPT, solver.cycles, solver.memory),)
        if isinstance(solver, Dense):
            return (Tiers(True, memory=solver.memory),)
        raise SolverError(f"Hierarchy() is solved by Krylov(), Dense() or None; got {type(solver).__name__}().")

    def verdict(self, form: AbstractForm, null: NullState) -> RESULTS:
        return verdict(null, edge_population(self.model, form, null), RESULTS.not_converged)

    def record(self, form: Any, null: NullState, result: RESULTS, solver: str) -> SteadyState:
        return SteadyState(
            rho=form.external(null.state),
            populations=None,
            residual=null.residual,
            error=null.error,
            slowest=null.slowest,
            condition=null.condition,
            nullity=jnp.where(null.unique, 1, 2),
            edge=edge_population(self.model, form, null),
            validity=None,
            result=result,
            solver="dense" if form.core.whole else "krylov",
        )

    def validity(self, state: Complex[Array, "*t d d"] | None = None) -> Validity:
        """Nothing is taken for small. A depth or terms that are not enough can show in a state that is not positive."""
        zero = jnp.zeros((), self.model.temperatures.dtype)
        lowest = zero if state is None else jnp.min(jnp.linalg.eigvalsh(jax.lax.stop_gradient(state)))
        return Validity(zero, zero, zero + jnp.inf, zero, jnp.maximum(-lowest, 0.0), "Hierarchy", 0.0)

    def warnings(self, validity: Validity) -> list[str]:
        if not validity.broken:
            return []
        return [
            f"Hierarchy: the lowest eigenvalue of the state is {-float(validity.negativity):.2g}: depth="
            f"{self.equation.depth} or terms={self.equation.terms} are not enough. Increase both until nothing changes."
        ]

    def explained(self, steady: SteadyState) -> Exception:
        where = f"Hierarchy(depth={self.equation.depth}, terms={self.equation.terms})"
        if steady.result == RESULTS.not_finite:
            return SteadyStateError(f"steady_state: {NOT_FINITE}")
        if steady.result == RESULTS.truncated:
            return too_few_levels(float(steady.edge))
        if steady.result == RESULTS.non_unique:
            return NonUniqueSteadyStateError(
                f"steady_state: the steady state of {where} is not unique to working precision: levels that no bath "
                "connects. Couple the baths so that they connect all levels, or choose the state with `evolve`."
            )
        if steady.result == RESULTS.imprecise:
            return ImpreciseSteadyStateError(
                f"steady_state: elements of the state of {where} may be wrong by {float(steady.error):.1e} of the "
                "largest, by rounding."
            )
        return SteadyStateError(
            f"steady_state: GMRES did not converge for {where}: max|L rho| is {float(steady.residual):.2e} of the "
            "fastest decay rate. Allow more steps with Krylov(restart=..., cycles=...); strong coupling to a slow bath "
            "needs many."
        )

    def generator(self, form: AbstractForm | None = None, state: Any = None) -> HierarchyGenerator:
        return form if isinstance(form, HierarchyGenerator) else _form(self.parts, Tiers().prepare(self.parts))

    def integrable(self) -> HierarchyGenerator:
        return self.generator()

    def momentary(self) -> AbstractForm:
        raise InputError(
            "heat_currents and entropy_production with Hierarchy() are those of the steady state: a state rho of the "
            "system alone does not say what its baths remember. Leave rho= out."
        )

    def channels(self, rho: Complex[Array, "d d"]) -> Channels:
        _refuse("channel_currents")

    def direction(self, V: Complex[Array, "d d"], L: Any) -> Complex[Array, "d d"]:
        return V

    def differentiable(self, V: Any, quantity: Any, order: int) -> "tuple[HierarchyProblem, Any, Any]":
        return self, V, quantity

    def under(self, equation: AbstractEquation) -> AbstractProblem:
        return resolve(self.model, equation)

    def frozen(self) -> AbstractProblem:
        _refuse("a frozen generator")

    def facts(self, V: Complex[Array, "d d"], delta: float) -> Facts:
        _refuse("diagnose")

    def displaced(self, V: Complex[Array, "d d"], delta: Array) -> "HierarchyProblem":
        H = (self.model.hamiltonian + delta * V).astype(self.model.hamiltonian.dtype)
        hermitian = traceless((H + H.conj().T) / 2)
        return HierarchyProblem(
            eqx.tree_at(lambda p: (p.system.hamiltonian, p.structure.hamiltonian), self.parts, (H, hermitian))
        )

    def pinned(self) -> "HierarchyProblem":
        return self

    def perturbed(self, V: Complex[Array, "d d"], delta: Array) -> "HierarchyProblem":
        return hierarchy_problem(self.model.perturbed(V, delta), self.equation)

    def driven(self, V: Complex[Array, "d d"]) -> AbstractDriven:
        _refuse("a driven system")

    def with_baths(self, temperatures: Array, strengths: Array) -> "HierarchyProblem":
        system = self.model.with_baths(temperatures, strengths)
        return HierarchyProblem(eqx.tree_at(lambda p: p.system, self.parts, system))

    def difference_step(self, V: Complex[Array, "d d"], slowest: Float[Array, ""]) -> Float[Array, ""]:
        """1e−3 of the largest energy over the size of V: nothing is singular where levels meet."""
        size = jnp.maximum(jnp.linalg.norm(V), jnp.finfo(slowest.dtype).tiny)
        return jax.lax.stop_gradient(1e-3 * jnp.ptp(self.parts.structure.energies) / size)


def hierarchy_problem(model: System, equation: Hierarchy) -> HierarchyProblem:
    """The structure of H is found here, once; and how deep the hierarchy is, where it does not say so."""
    equation = equation.fixed(model)
    return HierarchyProblem(HierarchyParts(model, equation, find_structure(model.hamiltonian)))


def _refuse(who: str) -> NoReturn:
    raise InputError(f"{who}: {NO_DISSIPATOR}")


@eqx.filter_jit
def _form(parts: HierarchyParts, correlations: tuple[Correlated, ...]) -> HierarchyGenerator:
    return Tiers().form(parts, correlations)
