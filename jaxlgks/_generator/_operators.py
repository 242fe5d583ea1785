"""The generator as operators: no d²×d² matrix is ever made. For large systems and equations of
few operators: universal, Redfield, wide clusters.

Takes: a system, an equation whose dissipators are few operators. Returns: in the eigenbasis of H, with operators L_j,
R_j and a drift K that holds iH,

    (L X)_mn = Σ_j (L_j X R_j†)_mn − (K X + X K†)_mn,

and (L + iω)⁻¹ by GMRES. Its preconditioner is the part of L that leaves coherences to themselves and populations among
themselves,

    X_mn → [ Σ_j (L_j)_mm (R_j)*_nn − K_mm − K*_nn ] X_mn        (m ≠ n)
    p_m  → Σ_n ( Σ_j (L_j)_mn (R_j)*_mn − 2 δ_mn Re K_nn ) p_n ,

the Davies equation with its rates where levels are distinct. What is left over is of the order of the rates over the
distance of levels, so that a few tens of steps suffice at any d.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact

from .._bohr import Structure, dagger
from .._equations import Dissipation, Dissipator, combined
from .._inputs import as_known, is_concrete, nan_where
from ._base import Change, NullState
from ._delayed import MatrixDelay
from ._fluctuations import spectrum
from ._linear import iterated_solve
from ._matrices import (
    AbstractCore,
    MatrixGenerator,
    OperatorDissipator,
    averaged,
    rotated_dissipators,
    rows_of,
)
from ._remembering import with_memory

TOLERANCE = 1e-12
"""Of the preconditioned residual: where GMRES stops."""
REFINED = 64
"""Up to this dimension, where steps cost next to nothing, it goes on to rounding."""
ACCEPTED = 1e-8
"""Largest residual of a solution that is taken for one, relative to the right-hand side."""
SMALL = 24
"""Up to this dimension all products of an action on Hermitian matrices are made: half of them cost no less."""
FEW = 20
"""Steps of GMRES that are kept at each of many frequencies: about ten suffice, and each costs less. Where they do not,
it is restarted more often."""


def steps_kept(dim: int) -> int:
    """How many steps GMRES keeps unless it is told. Twenty to fifty suffice where decay is slow; where it is not, a
    restart costs more than is kept: a resonantly driven oscillator of 30 levels takes 200 steps with 150 kept, 600 with
    30. In large systems a step that is kept costs about as much as one that is taken."""
    return 100 if dim <= REFINED else 30


class OperatorCore(AbstractCore):
    """L as operators in the eigenbasis of H. `restart`: steps of GMRES kept; `cycles`: restarts at most; `refined`: the
    dimension up to which it goes on to rounding."""

    structure: Structure
    action: Dissipator
    restart: int = eqx.field(static=True, default=30)
    cycles: int = eqx.field(static=True, default=5)
    refined: int = eqx.field(static=True, default=REFINED)

    @property
    def fastest(self) -> Float[Array, ""]:
        """The fastest decay rate of a level; a constant of differentiation."""
        return jax.lax.stop_gradient(2 * jnp.max(jnp.diag(self.action.drift).real))

    @property
    def trace_rate(self) -> Complex[Array, "d d"]:
        """s 1/d, which the trace is multiplied by and added: L + s |1⟩⟩⟨⟨tr|/d is regular."""
        dim = self.action.drift.shape[-1]
        return self.fastest * jnp.eye(dim, dtype=self.action.drift.dtype) / dim

    def solve(self, B: Complex[Array, "k d d"], omega: Inexact[Array, ""]) -> Complex[Array, "k d d"]:
        """NaN where GMRES has not converged to `ACCEPTED`."""
        X = jax.lax.map(lambda b: self.inverse(b, omega), B)
        left = jax.vmap(self.regular)(X) + (1j * omega).astype(B.dtype) * X - B
        off = jax.vmap(_larger)(left, B)
        return jax.vmap(lambda x, bad, b: nan_where(x, bad, (self.action, b)))(X, jax.lax.stop_gradient(off), B)

    def averages(self, B: Complex[Array, "k d d"], omega: Inexact[Array, ""], A: Complex[Array, "*a d d"]) -> Array:
        """Of fewer observables than sources by the transposed inverse, one solution for each. NaN likewise."""
        rows = rows_of(A).reshape(-1, *B.shape[1:])
        if len(rows) >= len(B):
            return averaged(self.solve(B, omega), A)
        shift, few = (1j * omega).astype(B.dtype), min(self.restart, FEW)
        core = OperatorCore(self.structure, self.action, few, 2 * self.cycles * self.restart // few, refined=0)
        back = jax.linear_transpose(lambda b: core.inverse(b, omega), B[0])
        across = jax.linear_transpose(lambda X: self.regular(X) + shift * X, B[0])
        Y = jax.lax.map(lambda row: back(row)[0], rows)
        off = jax.vmap(lambda y, row: _larger(across(y)[0] - row, row))(Y, rows)
        Y = jax.vmap(lambda y, bad, row: nan_where(y, bad, (self.action, row)))(Y, jax.lax.stop_gradient(off), rows)
        return jnp.tensordot(B, Y, axes=[[1, 2], [1, 2]]).reshape(len(B), *A.shape[:-2])

    def apply(self, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
        return jax.vmap(self.action.halved if X.shape[-1] > SMALL else self.action)(X)

    def inverse(self, b: Complex[Array, "d d"], omega: Inexact[Array, ""]) -> Complex[Array, "d d"]:
        """(L + s |1⟩⟩⟨⟨tr|/d + iω)⁻¹ b, differentiable by the implicit function theorem."""
        shift = (1j * omega).astype(b.dtype)
        ahead, _ = self._preconditioner(shift)
        return self._gmres(lambda X: self.regular(X) + shift * X, b, ahead)

    def hermitian_inverse(self, b: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """The same at ω = 0 for Hermitian b, of the Hermitian part of every matrix: real numbers, half as many."""
        ahead, _ = self._preconditioner(jnp.zeros((), b.dtype))

        def real(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
            return lambda P: packed(function(unpacked(P)))

        def regular(X: Array) -> Array:
            return self.action.on_hermitian(X) + self.trace_rate * jnp.trace(X)

        return unpacked(self._gmres(real(regular), packed(b), real(ahead)))

    def regular(self, X: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        """L X + s Tr[X]/d."""
        return self.action(X) + self.trace_rate * jnp.trace(X)

    def _preconditioner(self, shift: Complex[Array, ""]) -> tuple[Callable, Float[Array, ""]]:
        frozen: OperatorCore = jax.tree.map(jax.lax.stop_gradient, self)
        return frozen.secular_part(jax.lax.stop_gradient(shift))

    def _gmres(self, matvec: Callable, b: Array, precondition: Callable) -> Array:
        once = {"tolerance": TOLERANCE, "passes": 1} if len(b) > self.refined else {}
        return iterated_solve(matvec, b, precondition, self.restart, self.cycles, **once)

    def diagonal(self) -> Complex[Array, "d d"]:
        """What L multiplies each element X_mn by, itself alone."""
        kept = jnp.einsum("jmm,jnn->mn", self.action.left, self.action.right.conj())
        loss = jnp.diag(self.action.drift)
        return kept - loss[:, None] - loss.conj()[None, :]

    def secular_part(self, shift: Complex[Array, ""]) -> tuple[Callable, Float[Array, ""]]:
        """The inverse of the secular part of L + shift, and an estimate of the slowest rate of populations."""
        D, fastest = self.action, self.fastest
        dim = D.drift.shape[-1]
        same = jnp.eye(dim, dtype=bool)
        diagonal = self.diagonal() + shift
        # An element that L leaves alone is left to GMRES.
        small = jnp.abs(diagonal) < 1e-6 * fastest
        inverse = 1.0 / jnp.where(same | small, fastest, diagonal)
        jumps = jnp.where(same, 0.0, jnp.einsum("jmn,jmn->mn", D.left, D.right.conj()))
        rates = jumps - jnp.diag(jnp.sum(jumps, axis=0))  # the trace is kept
        factors = jax.scipy.linalg.lu_factor(rates + fastest / dim + shift * same)

        def precondition(X: Array) -> Array:
            populations = jax.scipy.linalg.lu_solve(factors, jnp.diag(X))
            return inverse * jnp.where(same, 0, X) + jnp.diag(populations)

        probe = jnp.exp(1j * (1.0 + jnp.arange(dim)) ** 2) / jnp.sqrt(dim)
        slowest = 1.0 / jnp.linalg.norm(jax.scipy.linalg.lu_solve(factors, probe.astype(D.drift.dtype)))
        return precondition, slowest

    def propagate(self, start: Array, ts: Array, A: Array | None, drive: Array | None, **options: Any) -> Array:
        """By `integrated`, to 1e−10 of the largest element."""
        if A is not None and math.prod(A.shape[:-2]) < len(start):
            return self._observed(start, ts, A, drive, **options)
        # Linear: what the tolerances mean must not depend on the size of a perturbation.
        size = jnp.max(jnp.abs(start))
        size = size if drive is None else jnp.maximum(size, jnp.max(jnp.abs(drive)) / self.fastest)
        size = jax.lax.stop_gradient(jnp.where(size > 0, size, 1.0))
        return size * self.integrated(start / size, ts, A, None if drive is None else drive / size, **options)

    def propagate_both(
        self, start: Array, ts: Array, drive: Array | None, other: Array, others: Array, A: Array
    ) -> tuple[Array, Array]:
        if len(A) >= len(start):
            return super().propagate_both(start, ts, drive, other, others, A)
        xp = np if is_concrete(ts, others) else jnp
        times = xp.concatenate([xp.asarray(ts), xp.asarray(others)])
        order = xp.argsort(times)
        both = jnp.concatenate([start, other])
        driven = None if drive is None else jnp.concatenate([drive, jnp.zeros_like(other)])
        values = self._observed(both, as_known(times[order], ts.dtype), A, driven)[xp.argsort(order)]
        return values[: len(ts), : len(start)], values[len(ts) :, len(start) :]

    def _observed(self, start: Array, ts: Array, A: Array, drive: Array | None, **options: Any) -> Array:
        """The same of fewer observables than states, which are carried in their place: with Y = L⁻¹ B of a drive B

        Tr[A X(t)] = Tr[A(t) (X(0) + Y)] − Tr[A Y],     dA/dt = L†A."""
        D = self.action
        adjoint = Dissipator(dagger(D.left), dagger(D.right), dagger(D.drift), D.mirrored)
        rows = A.reshape(-1, *start.shape[1:])
        size = jax.lax.stop_gradient(jnp.max(jnp.abs(rows), initial=jnp.finfo(rows.dtype).tiny))
        back = eqx.tree_at(
            lambda core: (core.action, core.structure.energies), self, (adjoint, -self.structure.energies)
        )
        Y = jnp.zeros_like(start) if drive is None else self.solve(drive, jnp.zeros((), start.real.dtype))
        values = size * back.integrated(rows / size, ts, start + Y) - averaged(Y, rows).T
        return jnp.swapaxes(values, 1, 2).reshape(len(ts), len(start), *A.shape[:-2])

    def integrated(
        self, start: Array, ts: Array, A: Array | None = None, drive: Array | None = None, **options: Any
    ) -> Array:
        """As `carry`, by Dormand–Prince 8(5,3) in the interaction picture of H. `options`: of `integration`."""
        from ._integration import integrate, integration  # diffrax would be a third of the time of importing jaxlgks

        lost = jnp.isnan(ts)  # a traced time that is none costs its own values, not the integration
        ts = jnp.where(lost, jnp.nan_to_num(jnp.nanmax(ts)), ts)
        by, halved = integration(**options), start.shape[-1] > SMALL
        states = integrate(self.structure, self.action, start, ts, A, drive, by, halved)
        return jnp.where(lost.reshape(-1, *[1] * (states.ndim - 1)), jnp.nan, states)


class OperatorGenerator(MatrixGenerator):
    """L as operators in the eigenbasis of H. `tolerance`: the largest max|Lπ| of a steady state that is accepted,
    relative to the fastest decay rate."""

    resolved: Dissipation
    operators: OperatorCore
    tolerance: float = eqx.field(static=True, default=1e-10)
    name: ClassVar[str] = "operators"

    @property
    def core(self) -> OperatorCore:
        return self.operators

    def steady(self) -> NullState:
        rho = self.core.hermitian_inverse(self.core.trace_rate)
        fixed, state = jax.lax.stop_gradient((self.core, rho))
        secular_inverse, slowest = fixed.secular_part(jnp.zeros((), rho.dtype))
        left = fixed.action.on_hermitian(state)
        residual = jnp.max(jnp.abs(left)) / fixed.fastest
        noise = jnp.abs(left) + jnp.finfo(residual.dtype).eps * fixed.action.terms(state)
        change = secular_inverse(noise * jnp.exp(1j * (1.0 + jnp.arange(noise.size)) ** 2).reshape(noise.shape))
        largest = jnp.max(jnp.abs(fixed.diagonal()))
        condition = slowest / largest
        return NullState(
            state=rho,
            residual=residual,
            error=jnp.max(jnp.abs(change)) / jnp.max(jnp.abs(state)),
            slowest=slowest,
            condition=condition,
            finite=jnp.isfinite(largest),
            applicable=jnp.asarray(True),
            unique=condition > 100 * jnp.finfo(condition.dtype).eps,
            accurate=residual <= self.tolerance,
        )

    def delayed(self, X: Array, change: Change, quantity: Any) -> MatrixDelay:
        return with_memory(self, X, change, quantity)

    def spectrum(self, A: Array, B: Array, X: Array, omegas: Array, *, instantaneous: bool) -> Array:
        return spectrum(self, A, B, X, omegas, instantaneous=instantaneous)

    def adjoint(self, A: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return self.core.action.adjoint(A)

    def dissipators(self) -> tuple[OperatorDissipator, ...]:
        return rotated_dissipators(self.resolved)


def _larger(left: Complex[Array, "d d"], b: Complex[Array, "d d"]) -> Bool[Array, ""]:
    """Whether what is left of a right-hand side is more than is accepted."""
    return jnp.max(jnp.abs(left)) > ACCEPTED * jnp.max(jnp.abs(b))


def packed(X: Complex[Array, "d d"]) -> Float[Array, "d d"]:
    """The Hermitian part of X: real parts from the diagonal up, imaginary parts below."""
    X = (X + X.conj().T) / 2
    return jnp.triu(X.real) + jnp.tril(X.imag, -1)


def unpacked(P: Float[Array, "d d"]) -> Complex[Array, "d d"]:
    upper, lower = jnp.triu(P, 1), jnp.tril(P, -1)
    return jax.lax.complex(jnp.diag(jnp.diag(P)) + upper + upper.T, lower - lower.T)


def operator_generator(
    resolved: Dissipation, tolerance: float = 1e-10, restart: int | None = None, cycles: int = 5
) -> OperatorGenerator:
    """L as operators. The basis is a constant of differentiation; the derivative in H comes with U† dH U."""
    H = resolved.structure.to_eigenbasis(resolved.structure.hamiltonian).astype(resolved.system.hamiltonian.dtype)
    action = combined([dissipator.D for dissipator in rotated_dissipators(resolved)], 1j * H)
    return OperatorGenerator(
        resolved, OperatorCore(resolved.structure, action, restart or steps_kept(len(H)), cycles), tolerance
    )
