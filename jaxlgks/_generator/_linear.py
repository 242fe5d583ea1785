"""Linear algebra of generators: the pinned null state, refined solves with safe derivatives, exponentials.

Takes: square matrices. Returns: solutions and exponentials to working precision. A generator L is pinned by its trace:
M = L + s |1⟩⟩⟨⟨tr|/d is regular exactly when the steady state is unique, since ⟨⟨tr| L = 0:

- L x = b with Tr b = 0, Tr x = 0 is M x = b;
- (L + iω) x = b with Tr b = 0 likewise.

s is the largest decay rate on the diagonal of L: of the size of the rates, whatever the frequencies are, so that the
pin does not vanish in any unit.

Rates that fix the populations may be far smaller than others (dephasing, other transitions), and must not be lost
beside them. So the steady state itself is found without a pin: the equation of one population, which is minus the sum
of the others, gives its place to Tr π = 1. And on the diagonal the rate at which a population leaves is the sum of
those at which it comes to others (`trace_kept`), not a difference of jumps and losses that both hold Γ(0)|S_nn|².
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from .._inputs import nan_where
from ._base import NullState

HALVED = 48
"""So often an exponent may be halved: norms up to 1e15."""
SAFETY = 4.0
"""Times what one vector of phases makes of the rounding of L π: others may make more."""


KNOWN = 1e-8
"""Relative error of a state up to which it is known, whatever the condition is."""


def pinned_generator(L: Complex[Array, "n n"], one: Complex[Array, " n"]) -> Complex[Array, "n n"]:
    """M = L + s |1⟩⟩⟨⟨tr|/d of a generator, or of its block that holds the populations; `one`: the identity there."""
    return L + _fastest(L) / jnp.sum(one) * jnp.outer(one, one)


def trace_kept(L: Complex[Array, "n n"], one: Complex[Array, " n"]) -> Complex[Array, "n n"]:
    """L with L_nn,nn = −Σ_{i≠n} L_ii,nn for every population, which is ⟨⟨tr| L = 0: without the subtraction in which
    weak transitions drown. `one`: the identity, 1 at populations and 0 elsewhere."""
    here = jnp.diag(one.real > 0)
    others = jnp.where(here, 0.0, L)
    return jnp.where(here, -jnp.diag((one.real @ others).real), L)


def lu_factors(M: Inexact[Array, "n n"]) -> Any:
    """The LU factors of M, constants of differentiation."""
    # A linear solver that is given NaN stops the program, a whole batch of it: pass NaN on instead.
    M = jax.lax.stop_gradient(M)
    return jsl.lu_factor(jnp.where(jnp.all(jnp.isfinite(M)), M, jnp.eye(M.shape[-1], dtype=M.dtype)))


def linear_solve(
    M: Complex[Array, "n n"], B: Complex[Array, "n k"], refine: int = 1, factors: Any = None
) -> Complex[Array, "n k"]:
    """X with M X = B by LU and steps of refinement, differentiable by the implicit function theorem. `factors`: those
    of M, where they are known."""
    finite = jnp.all(jnp.isfinite(M)) & jnp.all(jnp.isfinite(B))
    inputs = (M, B)
    M = jnp.where(finite, M, jnp.eye(M.shape[-1], dtype=M.dtype))
    B = jnp.where(finite, B, 0.0)
    # The factors and the first approximation X₀ are means, not part of the answer: X = X₀ + M⁻¹(B − M X₀) holds for
    # any X₀, so the derivative goes through this one solve alone. (Not by lineax: its forward derivative raises on
    # a NaN tangent, and stops a whole batch.)
    frozen = jax.lax.stop_gradient(M)
    factors = lu_factors(M) if factors is None else factors
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


def iterated_solve(
    matvec: Callable[[Array], Array],
    b: Array,
    precondition: Callable[[Array], Array],
    restart: int,
    cycles: int,
    tolerance: float = 1e-8,
    passes: int = 2,
) -> Array:
    """x with matvec(x) = b by GMRES, differentiable by the implicit function theorem. `restart`: steps kept; `cycles`:
    restarts at most; `tolerance`: of each pass, for the preconditioned residual. The second pass starts from the true
    residual of the first: two of half the digits each go to rounding. What `precondition` is made of must be a constant
    of differentiation."""

    def solve(apply: Callable, b: Array, precondition: Callable) -> Array:
        def once(b: Array) -> Array:
            # "incremental" stops as soon as it is done, the default only after `restart` steps.
            options = {"tol": tolerance, "restart": restart, "maxiter": cycles, "solve_method": "incremental"}
            return jax.scipy.sparse.linalg.gmres(apply, b, M=precondition, **options)[0]

        if passes == 1:
            return once(b)
        # A loop, so that the program holds what it repeats once.
        return jax.lax.fori_loop(0, passes, lambda _, x: x + once(b - apply(x)), jnp.zeros_like(b))

    def across(y: Array) -> Array:
        return jax.linear_transpose(precondition, y)(y)[0]

    return jax.lax.custom_linear_solve(
        matvec, b, lambda apply, b: solve(apply, b, precondition), lambda apply, b: solve(apply, b, across)
    )


def real_times(matrix: Array | np.ndarray, X: Complex[Array, "..."]) -> Complex[Array, "..."]:
    """A matrix of real numbers times a stack of complex ones, over its first axis: two products of real matrices."""
    A = jnp.asarray(matrix, X.real.dtype)
    return jax.lax.complex(jnp.tensordot(A, X.real, axes=1), jnp.tensordot(A, X.imag, axes=1))


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


def null_state(
    L: Array, places: Array, uncertain: Array | None, refine: int, as_state: Callable[[Array], Any]
) -> NullState:
    """The null state of a generator, or of its block that holds the populations; `places` [n, d]: 1 where an element is
    that population; `uncertain` [d, d]: relative errors of the rates between populations; `as_state` of its vector."""
    n, one, scale = L.shape[-1], jnp.sum(places, axis=1), _fastest(L)
    first = jnp.arange(n) == jnp.argmax(one.real)
    M = jnp.where(first[:, None], scale * one, L)
    probe = _phases(n).astype(L.dtype) / jnp.sqrt(n)  # |M⁻¹ probe| is large exactly when M is almost singular
    rows = jax.lax.stop_gradient(jnp.max(jnp.abs(M), axis=1))
    right = jnp.stack([scale * first, *(jnp.where(first, 0.0, x) for x in (probe, rows * probe))], axis=1)
    factors = lu_factors(M)
    solution = linear_solve(M, right, refine, factors)
    rho = as_state(solution[:, 0])
    L, M, x, slow, balanced = jax.lax.stop_gradient((L, M, *solution.T))
    slowest = 1.0 / jnp.linalg.norm(slow)
    norm = jnp.max(jnp.sum(jnp.abs(M), axis=1))
    condition = slowest / norm
    eps = jnp.finfo(condition.dtype).eps
    residual = jnp.max(jnp.abs(L @ x)) / jnp.max(jnp.abs(M))
    noise = jnp.where(first, 0.0, _rounding(L, x, places, uncertain))
    change = linear_solve(M, noise[:, None], 0, factors)
    error = SAFETY * jnp.max(jnp.abs(change)) / jnp.max(jnp.abs(x))
    # Rows of very different size, each known well, determine a state however slow it is.
    known = (1.0 / jnp.linalg.norm(balanced) > 100 * n * eps) & (error < KNOWN)
    return NullState(
        state=(rho + rho.conj().T) / 2,
        residual=residual,
        error=error,
        slowest=slowest,
        condition=condition,
        finite=jnp.isfinite(norm),
        applicable=jnp.asarray(True),
        unique=(condition > 100 * eps) | known,  # NaN counts as not unique
        accurate=residual <= 100 * n * eps,
    )


def _fastest(L: Array) -> Array:
    """The largest decay rate on the diagonal of L, or 1; a constant of differentiation."""
    scale: Float[Array, ""] = jax.lax.stop_gradient(jnp.max(jnp.abs(jnp.diag(L).real)))
    return jnp.where(scale > 0, scale, 1.0)


def _rounding(L: Array, x: Array, places: Array, uncertain: Array | None) -> Array:
    """What L x may be off by: each element by a unit of rounding of the products L_ij x_j, and by what elements of L
    have lost, in phases without symmetry. Those that bring coherences to populations are products of two filtered
    couplings, wrong by eps s at most. Rates between populations are known as `uncertain` says, or else as squares of
    couplings that are known to rounding of the largest, √s: to 2 eps √(s rate); what they get wrong leaves one
    population for another, since the trace is kept."""
    size, places = jnp.abs(L), jnp.abs(places)
    eps, scale, one = jnp.finfo(size.dtype).eps, _fastest(L), jnp.sum(places, axis=1)
    rates = places.T @ size @ places
    flows = (2 * eps * jnp.sqrt(rates * scale) if uncertain is None else uncertain * rates) * (places.T @ jnp.abs(x))
    signs = jnp.sign(jnp.triu(jnp.cos((1.0 + jnp.arange(rates.size)) ** 2).reshape(rates.shape), 1))
    flows = jnp.sum((signs - signs.T) * (flows + flows.T), axis=1)
    coherent = jnp.minimum(size, scale) * one[:, None] * (1 - one)
    return _phases(len(x)).astype(L.dtype) * (eps * ((size + coherent) @ jnp.abs(x))) + places @ flows


def _phases(n: int) -> Array:
    """A fixed vector without symmetry."""
    return jnp.exp(1j * (1.0 + jnp.arange(n)) ** 2)
