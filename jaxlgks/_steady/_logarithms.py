"""Logarithms of populations: for baths so cold that populations underflow.

Takes: a system, a secular equation. Returns: ln p of the eigenstates. The elimination of `_gth` has no subtraction, so
it can be done on logarithms: products are sums, sums are ln Σ exp. What it returns is exact to about d eps |ln p|.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import logsumexp
from jaxtyping import Array, Float

from .._compiled import compiled
from .._equations import (
    AbstractEquation,
    Davies,
    Dissipation,
    as_equation,
    between_states,
    coupling_weights,
    dissipation,
)
from .._generator import Populations, SystemProblem, is_heard, mark, populations_close, tell
from .._inputs import is_concrete, nan_where
from .._system import Noise, System, require_matrices
from ..errors import NonUniqueSteadyStateError, SolverError


def log_populations(system: System, equation: AbstractEquation = Davies()) -> Float[Array, " d"]:
    """ln p_n of the steady state's populations of the eigenstates of H, in ascending order of energy.

    `steady_state(...).populations` end where numbers do, at 1e−308; logarithms do not. O(d³) exponentials.

    **Arguments:** `system`, `equation`: `Davies` or `Unified`, where populations close (levels are distinct).

    **Returns:** real array [d], accurate to about d eps |ln p|. Differentiable: d ln p is exact where p underflows.

    **Raises:** `SolverError` where populations alone do not close, `NonUniqueSteadyStateError` where some levels have
    no way down, `DensityError` where a density has no rate (NaN for all where numbers are traced).

    **Warns:** `ValidityWarning` where the equation clearly does not hold, as `steady_state` does.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(0.2, 0.1))
    lgks.log_populations(system)                   # the last one: about -1.1e4
    ```
    """
    require_matrices(system, "log_populations")
    resolved = dissipation(system, as_equation(equation))
    Populations().prepare(resolved)
    logarithms, closed, unique = _log_populations(resolved)
    if is_concrete(closed, unique) and not closed:
        raise SolverError(
            "log_populations: populations alone do not close, since levels coincide, or a group of Bohr frequencies of "
            f"{type(equation).__name__} couples populations to coherences. Use steady_state(system, solver=Dense())."
        )
    if is_concrete(closed, unique) and not unique:
        if error := resolved.unusable("log_populations"):
            raise error
        raise NonUniqueSteadyStateError(
            "log_populations: the steady state is not unique: a group of levels has no transition to lower ones. "
            "Couple the baths so that they connect all levels."
        )
    problem = SystemProblem(resolved)
    if is_heard() or is_concrete(logarithms):
        U = resolved.structure.vectors
        tell(problem, problem.validity(U * jnp.exp(logarithms) @ U.conj().T))
    else:
        mark(type(equation).__name__)
    return nan_where(logarithms, ~(closed & unique), eqx.filter(system, eqx.is_inexact_array))


@jax.custom_jvp
def _stationary(W: Float[Array, "d d"]) -> tuple[Array, Array]:
    """ln p and whether all pivots exist, from ln W_mn (−∞ where there is no transition)."""
    dim = W.shape[-1]
    states = jnp.arange(dim)

    def eliminate(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        A, unique = carry
        k = dim - 1 - i
        column = jnp.where(states < k, A[:, k], -jnp.inf)
        pivot = logsumexp(column)
        row = jnp.where(states < k, A[k] - jnp.where(jnp.isfinite(pivot), pivot, 0.0), -jnp.inf)
        A = jnp.logaddexp(A, column[:, None] + row[None, :])
        return A.at[k].set(row), unique & jnp.isfinite(pivot)

    def fill(k: Array, p: Array) -> Array:
        terms: Array = A[k] + p
        return p.at[k].set(logsumexp(jnp.where(states < k, terms, -jnp.inf)))

    A, unique = jax.lax.fori_loop(0, dim - 1, eliminate, (W, jnp.asarray(True)))
    p = jax.lax.fori_loop(1, dim, fill, jnp.zeros(dim, W.dtype))
    return p - logsumexp(p), unique


@_stationary.defjvp  # pyright: ignore[reportArgumentType]
def _stationary_jvp(primals, tangents):
    """As in `_gth`, for x_m = d ln p_m with R_mn = W_mn p_n/p_m:

    Σ_n R_mn x_n − R_m x_m = Σ_n W_nm d ln W_nm − Σ_n R_mn d ln W_mn,      Σ p x = 0."""
    (W,), (dW,) = primals, tangents
    p, unique = _stationary(W)
    rates, reverse = jnp.exp(W), jnp.exp(W + p[None, :] - p[:, None])
    scale = jnp.max(jnp.sum(rates, axis=0))
    source = jnp.sum(_times(rates, dW), axis=0) - jnp.sum(_times(reverse, dW), axis=1)
    x = jnp.linalg.solve(reverse - jnp.diag(jnp.sum(reverse, axis=1)) + scale * jnp.exp(p), source)
    return (p, unique), (x, np.zeros(unique.shape, jax.dtypes.float0))


def _times(weight: Array, change: Array) -> Array:
    return weight * jnp.where(weight > 0, change, 0.0)


@compiled
def _log_populations(resolved: Dissipation) -> tuple[Array, Array, Array]:
    energies, vectors = resolved.structure.eigenstates
    same = jnp.eye(len(energies), dtype=bool)
    omega = between_states(energies[None, :] - energies[:, None])

    def log_rates(noise: Noise) -> Array:
        size = coupling_weights(vectors, noise)
        there = (size > 0) & ~same
        rate = noise.spectrum.log_rate(omega, noise.temperature)
        return jnp.where(there, rate + jnp.log(jnp.where(there, size, 1.0)), -jnp.inf)

    each = jnp.stack([log_rates(noise) for noise in resolved.noises])
    # The derivative of ln Σ exp is NaN where nothing is summed. (A rate that is NaN is not nothing.)
    some = jnp.any(~(each == -jnp.inf), axis=0)
    p, unique = _stationary(jnp.where(some, logsumexp(jnp.where(some, each, 0.0), axis=0), -jnp.inf))
    return p, populations_close(resolved.groups), unique
