"""Solvers of a steady state: each is a choice of the form in which the generator is kept.

Takes: a system with its equation. Returns: the form, after a check, made outside compiled programs and before any
memory is taken, that it applies.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx

from .._bohr import Groups
from .._equations import Dissipation
from .._inputs import as_count, as_setting, described
from ..errors import InputError, NoPartitionError, SolverError
from ._base import AbstractForm
from ._blocks import BlockStructure, block_generator
from ._choice import known_blocks
from ._dense import dense_generator
from ._memory import ALLOWED, matrix_bytes, operator_bytes, require_memory
from ._operators import operator_generator, steps_kept
from ._populations import couplings_are_real, rate_equation

SMALL = 24
"""Up to this dimension the d²×d² generator is cheap (0.1 s), and differentiable in H at any degeneracy."""
MOST = 100
"""Steps of refinement, which are written out one after the other: two reach what rounding allows."""


class AbstractSolver(eqx.Module):
    """A way to the steady state."""

    name: eqx.AbstractClassVar[str]

    @abc.abstractmethod
    def prepare(self, resolved: Any) -> Any:
        """What `form` needs that must be found outside compiled programs. Raises if the solver does not apply."""

    @abc.abstractmethod
    def form(self, resolved: Any, prepared: Any) -> AbstractForm:
        """The form that holds the steady state. Traced."""


class Dense(AbstractSolver):
    """LU factorisation of the d²×d² generator with one step of iterative refinement: for small systems, and the oracle
    for every other solver.

    Memory O(d⁴), time O(d⁶). Works for every master equation.

    **Arguments:** `refine`: number of refinement steps; each costs one more pair of triangular solves. `memory`: bytes
    that it may take; more is refused before it is taken.

    **Raises:** `SolverMemoryError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    lgks.steady_state(system, solver=lgks.Dense(refine=2)).residual
    ```
    """

    refine: int = eqx.field(static=True, default=1)
    memory: float = eqx.field(static=True, default=ALLOWED)
    name: ClassVar[str] = "dense"

    def __check_init__(self) -> None:
        as_count(self.refine, "Dense: refine", most=MOST)
        as_setting(self.memory, "Dense: memory")

    def prepare(self, resolved: Dissipation) -> None:
        what = f"Dense: the generator of a system of dimension {resolved.system.dim}"
        require_memory(what, matrix_bytes(resolved.system), self.memory, _more(self))

    def form(self, resolved: Dissipation, prepared: None) -> AbstractForm:
        return dense_generator(resolved, self.refine)


class Blocks(AbstractSolver):
    """LU of the block of populations and of those coherences that they move, for `Davies` and `Unified`.

    Memory O((Σ n_c²)²) and O(d²), n_c the number of states of each level (or cluster). Differentiable in temperatures,
    strengths and couplings, not in H: which elements share a block is seen from the levels, which must be known.

    **Arguments:** `refine`: steps of refinement.

    **Raises:** `NoPartitionError` (a `SolverError`), whatever `throw` is, for other equations, where H is traced, or
    where blocks are no smaller than the whole.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    ladder = jnp.diag(jnp.repeat(jnp.arange(5.0), 2))                 # five levels of two states
    coupling = jnp.ones((10, 10)) + jnp.diag(jnp.arange(10.0))
    system = lgks.System(ladder, lgks.Bath(coupling, 1.0, lgks.DrudeLorentz(0.01, 2.0)))
    lgks.steady_state(system, solver=lgks.Blocks()).solver
    ```
    """

    refine: int = eqx.field(static=True, default=1)
    name: ClassVar[str] = "blocks"

    def __check_init__(self) -> None:
        as_count(self.refine, "Blocks: refine", most=MOST)

    def prepare(self, resolved: Dissipation) -> BlockStructure:
        blocks = known_blocks(resolved, above=1)
        if blocks is None:
            # There is nothing to return instead, so `throw=False` does not silence it.
            raise NoPartitionError(
                f"Blocks: no blocks are known for {type(resolved.equation).__name__} here. The solver is for Davies "
                "and Unified (not with rates='centre'), where H is known (not traced), its frequencies fall into "
                "groups, and the frame does not rotate. Use Dense()."
            )
        return blocks

    def form(self, resolved: Dissipation, prepared: BlockStructure) -> AbstractForm:
        return block_generator(resolved, prepared, self.refine)


class Krylov(AbstractSolver):
    """Preconditioned GMRES, for `UniversalLindblad`, `Redfield`, `Local` and wide clusters of `Unified` in large
    systems: to rounding up to d = 64, above to a preconditioned residual of 1e−12.

    Memory O(d²) times the number of operators of the equation plus `restart`; time O(d³) a step. Differentiable by the
    implicit function theorem, one more solve for each observable in reverse mode. Steps are few, some tens, where
    decay is slower than Bohr frequencies; a resonantly driven oscillator takes hundreds.

    **Arguments:** `tolerance`: the largest max|Lπ| that is accepted, relative to the fastest decay rate; `restart`:
    steps kept, by default 100 up to d = 64 and 30 above; `cycles`: restarts at most; `memory`: bytes that it may take.

    **Raises:** `SolverMemoryError`; `SteadyStateError` where it does not converge.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.001, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    lgks.steady_state(system, lgks.Redfield(), lgks.Krylov()).residual
    ```
    """

    tolerance: float = eqx.field(static=True, default=1e-10)
    restart: int | None = eqx.field(static=True, default=None)
    cycles: int = eqx.field(static=True, default=5)
    memory: float = eqx.field(static=True, default=ALLOWED)
    name: ClassVar[str] = "krylov"

    def __check_init__(self) -> None:
        as_setting(self.tolerance, "Krylov: tolerance", most=1.0)
        if self.restart is not None:
            as_count(self.restart, "Krylov: restart", least=1)
        as_count(self.cycles, "Krylov: cycles", least=1)
        as_setting(self.memory, "Krylov: memory")

    def prepare(self, resolved: Dissipation) -> Groups:
        """The groups to which baths couple; in small systems all, since channels of a response are numbered by them."""
        resolved.equation.require_own_frame("Krylov and evolve(method='diffrax')")
        resolved = resolved if resolved.system.dim <= SMALL else resolved.coupled()
        dim, itemsize = resolved.system.dim, resolved.system.hamiltonian.dtype.itemsize
        # The compiled program keeps three copies of the Krylov vectors, which are real, and some thirty matrices more.
        needed = operator_bytes(resolved, 6) + float(itemsize) * dim**2 * (1.5 * (self.restart or steps_kept(dim)) + 30)
        what = f"Krylov: {type(resolved.equation).__name__} of a system of dimension {dim}"
        require_memory(f"{what}, {resolved.groups.count} groups,", needed, self.memory, _more(self))
        return resolved.groups

    def form(self, resolved: Dissipation, prepared: Groups) -> AbstractForm:
        resolved = eqx.tree_at(lambda d: d.groups, resolved, prepared)
        return operator_generator(resolved, self.tolerance, self.restart, self.cycles)


class Populations(AbstractSolver):
    """Stationary populations by elimination without subtraction (GTH), for `Davies` and `Unified` with distinct levels.

    Memory O(d²), time O(d³). Every population is exact to about 1e−14 relative to the rates, however small it is; up to
    d = 8 the elimination is written out over scalars, so that a `vmap` over parameters runs on the batch.

    Couplings below 10 d eps of the largest are taken for zero: what symmetry forbids comes out as rounding. A heat
    current is the difference of what flows up and down, exact to about 1e−15 of these.

    **Raises:** `SolverError` for another equation, or where levels coincide or a group of Bohr frequencies couples
    populations to coherences (NaN where H is traced).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(20.0, 10.0))
    lgks.steady_state(system, solver=lgks.Populations()).populations      # the last one: about 1e-44
    lgks.heat_currents(system, solver=lgks.Populations())
    ```
    """

    name: ClassVar[str] = "populations"

    def prepare(self, resolved: Dissipation) -> bool:
        """Whether couplings are known to be real."""
        if not resolved.equation.secular:
            raise SolverError(
                f"Populations: {type(resolved.equation).__name__} couples populations to coherences, or has not the "
                "rates of single transitions; the solver is for Davies and Unified (not with rates='centre'). Use "
                "Dense()."
            )
        if resolved.equation.lamb_shift:  # it moves nothing here, but must exist
            for noise in resolved.noises:
                noise.spectrum.require_lamb_shift()
        return couplings_are_real(resolved.system)

    def form(self, resolved: Dissipation, prepared: bool | None) -> AbstractForm:
        return rate_equation(resolved, bool(prepared))


def as_solver(solver: Any) -> AbstractSolver | None:
    """A solver or None; `InputError` for anything else, a name or a class among them."""
    if solver is None or isinstance(solver, AbstractSolver):
        return solver
    raise InputError(f"solver must be Dense(), Blocks(), Krylov(), Populations() or None; got {described(solver)}.")


def _more(solver: AbstractSolver) -> str:
    """What to do where a solver may not take the memory that it needs."""
    return (
        "Use Populations() for Davies() and Unified() with distinct levels, Krylov() for UniversalLindblad() and "
        f"Redfield(), or allow more with {type(solver).__name__}(memory=...)."
    )
