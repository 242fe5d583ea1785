"""The generator as a d²×d² matrix in the eigenbasis of H: any equation, small systems.

Enters: a generator L. Leaves: M = L + s |1⟩⟩⟨⟨tr|/d, which is regular exactly when the steady state is unique, since
⟨⟨tr| L = 0:

- L π = 0, Tr π = 1 is M π = s |1⟩⟩/d (multiply by ⟨⟨tr| to find the trace);
- L x = b with Tr b = 0, Tr x = 0 is M x = b;
- (L + iω) x = b with Tr b = 0 likewise.

s is the largest decay rate on the diagonal of L: of the size of the rates that fix the populations, whatever the
frequencies are, so that the pin neither drowns them nor vanishes in any unit.
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jaxtyping import Array, Complex, Float, Inexact

from .._bohr import Structure, bohr_structure
from .._equations import AbstractEquation
from .._inputs import spoil
from .._system import System
from ._base import Observables, StepwiseGenerator, seen
from ._matrix import commutator_matrix, unvec, vec

HALVED = 48
"""So often an exponent may be halved: norms up to 1e15."""


class Pinned(eqx.Module):
    """M = L + s |1⟩⟩⟨⟨tr|/d and the right-hand side s |1⟩⟩/d of the steady state."""

    matrix: Complex[Array, "n n"]
    unit: Complex[Array, " n"]


def trace_vector(dim: int, dtype) -> Complex[Array, " n"]:
    """|1⟩⟩, column-stacked."""
    return vec(jnp.eye(dim, dtype=dtype))


def pinned_generator(L: Complex[Array, "n n"], one: Complex[Array, " n"]) -> Pinned:
    """Add the trace to a generator, or to the block of it that holds the populations; `one`: the identity there."""
    dim = jnp.sum(one)
    scale: Float[Array, ""] = jax.lax.stop_gradient(jnp.max(jnp.abs(jnp.diag(L).real)))
    scale = jnp.where(scale > 0, scale, 1.0)
    return Pinned(L + scale / dim * jnp.outer(one, one), scale / dim * one)


def linear_solve(M: Complex[Array, "n n"], B: Complex[Array, "n k"], refine: int = 1) -> Complex[Array, "n k"]:
    """X with M X = B by LU and steps of refinement, differentiable by the implicit function theorem."""
    # A linear solver that is given NaN stops the program, a whole batch of it: pass NaN on instead.
    finite = jnp.all(jnp.isfinite(M)) & jnp.all(jnp.isfinite(B))
    given = (M, B)
    M = jnp.where(finite, M, jnp.eye(M.shape[-1], dtype=M.dtype))
    B = jnp.where(finite, B, 0.0)
    # The factors and the first approximation X₀ are means, not part of the answer: X = X₀ + M⁻¹(B − M X₀) holds for
    # any X₀, so the derivative goes through this one solve alone. (Not by lineax: its forward derivative raises on
    # a NaN tangent, and stops a whole batch.)
    frozen = jax.lax.stop_gradient(M)
    factors = jsl.lu_factor(frozen)
    solve = lambda b, trans=0: jsl.lu_solve(factors, b, trans=trans)  # noqa: E731
    times = lambda matrix, x: jnp.matmul(matrix, x, precision="highest")  # noqa: E731
    X = jnp.zeros_like(B)
    for _ in range(refine):
        X = X + solve(jax.lax.stop_gradient(B) - times(frozen, X))
    residual = B - times(M, X)
    X = X + jax.lax.custom_linear_solve(
        lambda x: times(M, x), residual, lambda _, b: solve(b), lambda _, b: solve(b, trans=1)
    )
    return spoil(X, ~finite, given)


def matrix_exponential(A: Inexact[Array, "n n"]) -> Inexact[Array, "n n"]:
    """e^A to about eps ‖A‖.

    `jax.scipy.linalg.expm` halves A once too rarely (it rounds the number down), up to twice the norm where its Padé
    approximant holds, and is off by 2e−6 at ‖A‖ = 1e4. So A is halved here until it holds. NaN above ‖A‖ = 1e15, where
    no digit is left.
    """
    limit = 5.37 if A.real.dtype == jnp.float64 else 3.92  # of the approximants of order 13 and 7
    norm = jax.lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(A), axis=0)))
    halved = jnp.maximum(jnp.ceil(jnp.log2(norm / limit)), 0).astype(int)
    start = jsl.expm(A * jnp.ldexp(jnp.ones((), A.real.dtype), -halved), max_squarings=1)
    square = lambda X: jnp.matmul(X, X, precision="highest")  # noqa: E731

    def step(X, i):
        return jax.lax.cond(i < halved, square, lambda X: X, X), None

    start = start * jnp.where(halved <= HALVED, 1.0, jnp.nan)
    return jax.lax.scan(step, start, jnp.arange(HALVED))[0]


def exponential(L: Complex[Array, "n n"], drive: Complex[Array, "n k"] | None, dt: Array) -> tuple[Array, Array | None]:
    """e^{L dt} and ∫₀^dt e^{Ls} ds B: blocks of one exponential, so that the integral has no cancellation,

    d/dt (X, 1) = [[L, B], [0, 0]] (X, 1).
    """
    if drive is None:
        return matrix_exponential(L * dt), None
    n, k = drive.shape
    enlarged = jnp.zeros((n + k, n + k), L.dtype).at[:n, :n].set(L).at[:n, n:].set(drive)
    both = matrix_exponential(enlarged * dt)
    return both[:n, :n], both[:n, n:]


class DenseGenerator(StepwiseGenerator):
    """The generator in the eigenbasis of H.

    In this basis frequencies sit on the diagonal: the populations, which move with the rates γ, are not mixed by
    rounding with coherences that turn with ω ≫ γ. Solving there keeps the digits that log10(ω/γ) would cost.
    """

    structure: Structure
    matrix: Complex[Array, "n n"]
    name: ClassVar[str] = "dense"

    def solve(self, B: Complex[Array, "k d d"], omega: Float[Array, ""]) -> Complex[Array, "k d d"]:
        M = pinned_generator(self.matrix, trace_vector(B.shape[-1], B.dtype)).matrix
        M = M + (1j * omega).astype(M.dtype) * jnp.eye(M.shape[-1], dtype=M.dtype)
        return _matrices(linear_solve(M, _columns(B)))

    def enter(self, X: Complex[Array, "k d d"]) -> Complex[Array, "n k"]:
        return _columns(X)

    def reader(self, A: Observables) -> Callable[[Array], Array]:
        return lambda X: seen(_matrices(X), A)

    def flow(self, dt: Float[Array, ""], drive: Complex[Array, "k d d"] | None) -> tuple[Array, Array | None]:
        return exponential(self.matrix, None if drive is None else _columns(drive), dt)

    def advance(self, flow: tuple[Array, Array | None], X: Complex[Array, "n k"]) -> Complex[Array, "n k"]:
        turn, push = flow
        columns = jnp.matmul(turn, X, precision="highest")
        return columns if push is None else columns + push


def _columns(X: Complex[Array, "k d d"]) -> Complex[Array, "n k"]:
    return jax.vmap(vec, out_axes=1)(X)


def _matrices(columns: Complex[Array, "n k"]) -> Complex[Array, "k d d"]:
    return jax.vmap(unvec, in_axes=1)(columns)


def dense_generator(system: System, equation: AbstractEquation) -> DenseGenerator:
    """L in the eigenbasis of H. The basis is a constant of differentiation; the derivative in H comes with U† dH U."""
    structure = bohr_structure(system.hamiltonian)
    turned = structure.to_eigenbasis(structure.hamiltonian)
    diagonal = jnp.diag(jnp.diag(jax.lax.stop_gradient(turned)).real)  # what is beside it is rounding
    total = commutator_matrix(diagonal + turned - jax.lax.stop_gradient(turned))
    for dissipator in equation.dissipators(system):
        total = total + dissipator.rotated(structure.vectors).matrix()
    return DenseGenerator(structure, total)
