"""GMRES on the generator in operator form, preconditioned by its secular part: no d²×d² matrix is ever made.

Enters: a system, any equation whose dissipators are few operators (universal, Redfield; groups cost one each). Leaves:
the steady state. In the eigenbasis of H, with D_α as operators L_j, R_j, K,

    (L X)_mn = −i(E_m − E_n) X_mn + Σ_j (L_j X R_j†)_mn − (K X + X K†)_mn ,

the part of L that leaves coherences to themselves and populations among themselves is

    X_mn → [ −i(E_m − E_n) + Σ_j (L_j)_mm (R_j)*_nn − K_mm − K*_nn ] X_mn    (m ≠ n)
    p_m  → Σ_n ( Σ_j (L_j)_mn (R_j)*_mn − 2 δ_mn Re K_nn ) p_n ,

the Davies equation with its rates where levels are distinct. What is left over is of the order of the rates over the
distance of levels, so that a few tens of steps suffice at any d.
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._system import System
from ..bohr import bohr_structure
from ..equations import AbstractEquation, Dissipator, counted
from ._base import AbstractSolver, Found, require_memory


class Krylov(AbstractSolver):
    """Preconditioned GMRES with one step of refinement, for `UniversalLindblad` and `Redfield` of large systems.

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
    restart: int = eqx.field(static=True, default=40)
    cycles: int = eqx.field(static=True, default=5)
    memory: float = eqx.field(static=True, default=8e9)
    name: ClassVar[str] = "krylov"

    def admit(self, system: System, equation: AbstractEquation) -> tuple[AbstractSolver, AbstractEquation]:
        """Groups counted; `SolverMemoryError` if the operators are too many."""
        equation = counted(equation, system)
        noises = sum(len(bath.noises) for bath in system.baths)
        operators = 6 * noises * equation.groups(system).count
        needed = float(system.hamiltonian.dtype.itemsize) * system.dim**2 * (operators + self.restart + 20)
        what = f"{type(equation).__name__} of a system of dimension {system.dim}, {operators} operators,"
        require_memory(self, what, needed, self.memory)
        return self, equation

    def find(self, system: System, equation: AbstractEquation) -> Found:
        """The steady state from the pinned generator, which is applied and never made."""
        structure = bohr_structure(system.hamiltonian)
        H = structure.to_eigenbasis(structure.hamiltonian)
        turned = [D.rotated(structure.vectors) for D in equation.dissipators(system)]
        D = Dissipator(
            jnp.concatenate([one.left for one in turned]),
            jnp.concatenate([one.right for one in turned]),
            jnp.sum(jnp.stack([one.drift for one in turned]), axis=0) + 1j * H,
        )
        fixed: Dissipator = jax.tree.map(jax.lax.stop_gradient, D)
        fastest = 2 * jnp.max(jnp.diag(fixed.drift).real)
        pin = fastest * jnp.eye(system.dim, dtype=H.dtype) / system.dim
        matvec = lambda X: D(X) + pin * jnp.trace(X)  # noqa: E731
        secular, across, slowest = _secular_part(fixed, fastest)

        def solve(apply: Callable, b: Array, precondition: Callable) -> Array:
            # Two passes of half the digits each, the second on the true residual of the first. "incremental" stops as
            # soon as a pass is done, the default only after `restart` steps.
            options = {"tol": 1e-8, "restart": self.restart, "maxiter": self.cycles, "solve_method": "incremental"}
            once = lambda b: jax.scipy.sparse.linalg.gmres(apply, b, M=precondition, **options)[0]  # noqa: E731
            X = once(b)
            return X + once(b - apply(X))

        rho = jax.lax.custom_linear_solve(
            matvec, pin, lambda apply, b: solve(apply, b, secular), lambda apply, b: solve(apply, b, across)
        )
        rho = (rho + rho.conj().T) / 2
        residual = jnp.max(jnp.abs(fixed(jax.lax.stop_gradient(rho)))) / fastest
        condition = slowest / jnp.max(jnp.abs(_diagonal(fixed)))
        return Found(
            rho=structure.from_eigenbasis(rho),
            populations=None,
            rates=None,
            residual=residual,
            slowest=slowest,
            condition=condition,
            applicable=jnp.asarray(True),
            unique=condition > 100 * jnp.finfo(condition.dtype).eps,
            accurate=residual <= self.tolerance,
        )


def _diagonal(D: Dissipator) -> Array:
    """What L multiplies each element X_mn by, itself alone."""
    kept = jnp.einsum("jmm,jnn->mn", D.left, D.right.conj())
    loss = jnp.diag(D.drift)
    return kept - loss[:, None] - loss.conj()[None, :]


def _secular_part(D: Dissipator, fastest: Array) -> tuple[Callable, Callable, Array]:
    """The inverse of the secular part of L and of its transpose, and an estimate of the slowest rate of populations."""
    dim = D.drift.shape[-1]
    same = jnp.eye(dim, dtype=bool)
    diagonal = _diagonal(D)
    # An element that L leaves alone is left to GMRES.
    small = jnp.abs(diagonal) < 1e-6 * fastest
    inverse = 1.0 / jnp.where(same | small, fastest, diagonal)
    rates = jnp.einsum("jmn,jmn->mn", D.left, D.right.conj()) - 2 * jnp.diag(jnp.diag(D.drift).real)
    factors = jax.scipy.linalg.lu_factor(rates + fastest / dim)

    def apply(trans: int) -> Callable:
        def precondition(X: Array) -> Array:
            populations = jax.scipy.linalg.lu_solve(factors, jnp.diag(X), trans=trans)
            return inverse * jnp.where(same, 0, X) + jnp.diag(populations)

        return precondition

    probe = jnp.exp(1j * (1.0 + jnp.arange(dim)) ** 2) / jnp.sqrt(dim)
    slowest = 1.0 / jnp.linalg.norm(jax.scipy.linalg.lu_solve(factors, probe.astype(D.drift.dtype)))
    return apply(0), apply(1), slowest
