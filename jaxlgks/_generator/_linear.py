"""Linear algebra of generators: the pinned null state, refined solves with safe derivatives, exponentials.

Takes: square matrices. Returns: solutions and exponentials to working precision. A generator L is pinned by its trace:
M = L + s |1⟩⟩⟨⟨tr|/d is regular exactly when the steady state is unique, since ⟨⟨tr| L = 0:

- L π = 0, Tr π = 1 is M π = s |1⟩⟩/d (multiply by ⟨⟨tr| to find the trace);
- L x = b with Tr b = 0, Tr x = 0 is M x = b;
- (L + iω) x = b with Tr b = 0 likewise.

s is the largest decay rate on the diagonal of L: of the size of the rates that fix the populations, whatever the
frequencies are, so that the pin neither drowns them nor vanishes in any unit.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jaxtyping import Array, Complex, Float, Inexact

from .._inputs import nan_where
from ._base import NullState

HALVED = 48
"""So often an exponent may be halved: norms up to 1e15."""


class Pinned(eqx.Module):
    """M = L + s |1⟩⟩⟨⟨tr|/d and the right-hand side s |1⟩⟩/d of the steady state."""

    matrix: Complex[Array, "n n"]
    unit: Complex[Array, " n"]


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
    inputs = (M, B)
    M = jnp.where(finite, M, jnp.eye(M.shape[-1], dtype=M.dtype))
    B = jnp.where(finite, B, 0.0)
    # The factors and the first approximation X₀ are means, not part of the answer: X = X₀ + M⁻¹(B − M X₀) holds for
    # any X₀, so the derivative goes through this one solve alone. (Not by lineax: its forward derivative raises on
    # a NaN tangent, and stops a whole batch.)
    frozen = jax.lax.stop_gradient(M)
    factors = jsl.lu_factor(frozen)
    X = jnp.zeros_like(B)
    for _ in range(refine):
        X = X + jsl.lu_solve(factors, jax.lax.stop_gradient(B) - _times(frozen, X))
    X = X + jax.lax.custom_linear_solve(
        lambda x: _times(M, x),
        B - _times(M, X),
        lambda _, b: jsl.lu_solve(factors, b),
        lambda _, b: jsl.lu_solve(factors, b, trans=1),
    )
    return nan_where(X, ~finite, inputs)


def _times(A: Array, X: Array) -> Array:
    return jnp.matmul(A, X, precision="highest")


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

    def step(X, i):
        return jax.lax.cond(i < halved, lambda X: _times(X, X), lambda X: X, X), None

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


def null_state(L: Array, pinned: Pinned, refine: int, as_state: Callable[[Array], Any]) -> NullState:
    """The null state of a generator, or of its block that holds the populations; `as_state` of its vector."""
    # A fixed vector without symmetry: |M⁻¹ probe| is large exactly when M is almost singular.
    n = L.shape[-1]
    probe = jnp.exp(1j * (1.0 + jnp.arange(n)) ** 2).astype(L.dtype) / jnp.sqrt(n)
    solution = linear_solve(pinned.matrix, jnp.stack([pinned.unit, probe], axis=1), refine)
    rho = as_state(solution[:, 0])
    L, x, slow, M = jax.lax.stop_gradient((L, solution[:, 0], solution[:, 1], pinned.matrix))
    residual = jnp.max(jnp.abs(L @ x)) / jnp.max(jnp.abs(M))
    slowest = 1.0 / jnp.linalg.norm(slow)
    norm = jnp.max(jnp.sum(jnp.abs(M), axis=1))
    condition = slowest / norm
    eps = jnp.finfo(condition.dtype).eps
    return NullState(
        state=(rho + rho.conj().T) / 2,
        residual=residual,
        slowest=slowest,
        condition=condition,
        finite=jnp.isfinite(norm),
        applicable=jnp.asarray(True),
        unique=condition > 100 * eps,  # NaN counts as not unique
        accurate=residual <= 100 * n * eps,
    )
