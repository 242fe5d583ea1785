"""The generator as a d²×d² matrix in the eigenbasis of H: any equation, small systems.

Takes: a system with its equation. Returns: L as one matrix, and what an LU factorisation of it gives.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from .._equations import Dissipation
from ._base import Change, NullState
from ._delayed import MatrixDelay
from ._fluctuations import spectrum
from ._linear import exponential, linear_solve, null_state, pinned_generator, trace_kept
from ._liouvillian import commutator_matrix, dressed, frame_change, unvec, vec
from ._matrices import MatrixGenerator, OperatorDissipator, averaged, rotated_dissipators
from ._populations import uncertain_rates
from ._remembering import with_memory
from ._stepping import AbstractStepper


class DenseGenerator(MatrixGenerator):
    """L as a matrix on column-stacked states in the eigenbasis of H. `refine`: steps of refinement of the steady
    state. `own`: where states are `dressed`, the matrix in the equation's own frame, and T that leads from there."""

    resolved: Dissipation
    matrix: Complex[Array, "n n"]
    refine: int = eqx.field(static=True, default=1)
    own: tuple[Complex[Array, "n n"], Complex[Array, "n n"]] | None = None
    name: ClassVar[str] = "dense"

    def steady(self) -> NullState:
        one = jnp.eye(self.resolved.system.dim, dtype=self.matrix.dtype)
        places = (one[:, None, :] * one).reshape(-1, len(one))
        L, T = (self.matrix, None) if self.own is None else self.own
        return null_state(
            L, places, uncertain_rates(self.resolved), self.refine, unvec if T is None else lambda x: unvec(T @ x)
        )

    def adjoint(self, A: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
        return unvec(self.matrix.conj().T @ vec(A))

    def dissipators(self) -> tuple[OperatorDissipator, ...]:
        self.resolved.equation.require_own_frame("heat currents and entropy production")
        return rotated_dissipators(self.resolved)

    def delayed(self, X: Array, change: Change, quantity: Any) -> MatrixDelay:
        return with_memory(self, X, change, quantity)

    def spectrum(self, A: Array, B: Array, X: Array, omegas: Array, *, instantaneous: bool) -> Array:
        return spectrum(self, A, B, X, omegas, instantaneous=instantaneous)

    @property
    def core(self) -> "DenseCore":
        return DenseCore(self.matrix)


class DenseCore(AbstractStepper):
    """L as a matrix: columns are multiplied by its exponential."""

    matrix: Complex[Array, "n n"]

    def solve(self, B: Complex[Array, "k d d"], omega: Inexact[Array, ""]) -> Complex[Array, "k d d"]:
        M = pinned_generator(self.matrix, _identity(B.shape[-1], B.dtype))
        M = M + (1j * omega).astype(M.dtype) * jnp.eye(M.shape[-1], dtype=M.dtype)
        return _matrices(linear_solve(M, _columns(B)))

    def apply(self, X: Complex[Array, "k d d"]) -> Complex[Array, "k d d"]:
        return _matrices(jnp.matmul(self.matrix, _columns(X), precision="highest"))

    def packed(self, X: Complex[Array, "k d d"]) -> Complex[Array, "n k"]:
        return _columns(X)

    def reading(self, A: Complex[Array, "*a d d"] | None) -> Callable[[Array], Array]:
        return lambda X: averaged(_matrices(X), A)

    def exponential(self, dt: Float[Array, ""], drive: Complex[Array, "k d d"] | None) -> tuple[Array, Array | None]:
        return exponential(self.matrix, None if drive is None else _columns(drive), dt)

    def advanced(self, exponential: tuple[Array, Array | None], X: Complex[Array, "n k"]) -> Complex[Array, "n k"]:
        factor, push = exponential
        columns = jnp.matmul(factor, X, precision="highest")
        return columns if push is None else columns + push


def _columns(X: Complex[Array, "k d d"]) -> Complex[Array, "n k"]:
    return jax.vmap(vec, out_axes=1)(X)


def _matrices(columns: Complex[Array, "n k"]) -> Complex[Array, "k d d"]:
    return jax.vmap(unvec, in_axes=1)(columns)


def _identity(dim: int, dtype: Any) -> Complex[Array, " n"]:
    return vec(jnp.eye(dim, dtype=dtype))


def dense_generator(resolved: Dissipation, refine: int = 1) -> DenseGenerator:
    """L in the eigenbasis of H. The basis is a constant of differentiation; the derivative in H comes with U† dH U."""
    structure = resolved.structure
    H = structure.to_eigenbasis(structure.hamiltonian)
    diagonal = jnp.diag(jnp.diag(jax.lax.stop_gradient(H)).real)  # what is beside it is rounding
    total = commutator_matrix(diagonal + H - jax.lax.stop_gradient(H))
    for dissipator in rotated_dissipators(resolved):
        total = total + dissipator.D.matrix()
    total = trace_kept(total, _identity(resolved.system.dim, total.dtype))
    if not resolved.equation.dressed:
        return DenseGenerator(resolved, total, refine)
    T = frame_change(resolved).astype(total.dtype)
    return DenseGenerator(resolved, dressed(total, T), refine, (total, T))
