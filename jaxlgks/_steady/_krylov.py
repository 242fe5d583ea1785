"""GMRES on the generator as operators, preconditioned by its secular part.

Enters: a system, any equation whose dissipators are few operators (universal, Redfield; groups cost one each). Leaves:
the steady state. No d²×d² matrix is made.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._equations import AbstractEquation, counted
from .._generator import operator_generator
from .._system import System
from ._base import AbstractSolver, Found, require_memory


class Krylov(AbstractSolver):
    """Preconditioned GMRES, for `UniversalLindblad`, `Redfield` and wide clusters of `Unified` in large systems: to
    rounding up to d = 64, above to a preconditioned residual of 1e−12.

    Memory O(d²) times the number of operators of the equation plus `restart`; time O(d³) a step. Differentiable by the
    implicit function theorem, one more solve for each observable in reverse mode.

    **Arguments:** `tolerance`: the largest max|Lπ| that is accepted, relative to the fastest decay rate; `restart`:
    steps kept; `cycles`: restarts at most; `memory`: bytes that it may take.

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
    restart: int = eqx.field(static=True, default=30)
    cycles: int = eqx.field(static=True, default=5)
    memory: float = eqx.field(static=True, default=8e9)
    name: ClassVar[str] = "krylov"

    def admit(self, system: System, equation: AbstractEquation) -> tuple[AbstractSolver, AbstractEquation]:
        """Groups counted; `SolverMemoryError` if the operators are too many."""
        equation = counted(equation, system)
        noises = sum(len(bath.noises) for bath in system.baths)
        operators = 6 * noises * equation.groups(system).count
        # The compiled program keeps three copies of the Krylov vectors, which are real, and some thirty matrices more.
        needed = float(system.hamiltonian.dtype.itemsize) * system.dim**2 * (operators + 1.5 * self.restart + 30)
        what = f"{type(equation).__name__} of a system of dimension {system.dim}, {operators} operators,"
        require_memory(self, what, needed, self.memory)
        return self, equation

    def find(self, system: System, equation: AbstractEquation) -> Found:
        """The steady state from the pinned generator, which is applied and never made."""
        L = operator_generator(system, equation, restart=self.restart, cycles=self.cycles)
        rho = L.hermitian_inverse(L.pin)
        fixed, state = jax.lax.stop_gradient((L, rho))
        _, slowest = fixed.secular_part(jnp.zeros((), rho.dtype))
        residual = jnp.max(jnp.abs(fixed.action.on_hermitian(state))) / fixed.fastest
        condition = slowest / jnp.max(jnp.abs(fixed.diagonal()))
        return Found(
            rho=L.back(rho),
            populations=None,
            rates=None,
            residual=residual,
            slowest=slowest,
            condition=condition,
            applicable=jnp.asarray(True),
            unique=condition > 100 * jnp.finfo(condition.dtype).eps,
            accurate=residual <= self.tolerance,
        )
