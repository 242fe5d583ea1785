"""The logarithm of a state, its entropy, and their derivatives where eigenvalues coincide or vanish.

Takes: a density matrix ρ, possibly degenerate, rank deficient, or negative by rounding. Returns: ln ρ and
S = −Tr ρ ln ρ; NaN for a matrix with an eigenvalue below −1e−8 (as steady states of Redfield may have), which has none.

Eigenvalues below the square of the rounding unit are not known: their logarithm is taken at that floor. x ln x is
zero there to 1e−30, and so is every −Tr[ρ₁ ln ρ] whose ρ₁ stays within the support of ρ. A ρ₁ that leaves the support
has an infinite slope of S; it then comes out as the slope at the floor, about 72 times the escaping population.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ._inputs import STATE_TOLERANCE, as_state, tolerance_of
from .errors import DerivativeOrderError


def von_neumann_entropy(rho) -> Float[Array, ""]:
    """S = −Tr[ρ ln ρ] (paper, below Eq. 47), with the derivative dS = −Tr[dρ (ln ρ + 1)] (Eq. 52).

    **Arguments:** `rho`: a state [d, d]. **Returns:** real scalar, in units of k_B. Safe for pure and other rank
    deficient states, in value and derivative.

    **Raises:** `InputError` for an eigenvalue below −1e−8 (NaN where traced).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.von_neumann_entropy([[0.5, 0.0], [0.0, 0.5]])     # ln 2
    lgks.von_neumann_entropy([[1.0, 0.0], [0.0, 0.0]])     # 0
    ```
    """
    rho = as_state(rho, "the state rho")
    return entropy(rho)


@eqx.filter_custom_jvp
def entropy(rho: Array) -> Array:
    return -jnp.einsum("ij,ji->", rho, log_state(rho)).real


@entropy.def_jvp
def _entropy_jvp(primals, tangents):
    (rho,), (drho,) = primals, tangents
    identity = jnp.eye(rho.shape[-1], dtype=rho.dtype)
    return entropy(rho), -jnp.einsum("ij,ji->", drho, log_state(rho) + identity).real


def log_state(rho: Complex[Array, "d d"]) -> Complex[Array, "d d"]:
    """ln ρ with eigenvalues below the floor raised to it."""
    return _log((rho + rho.conj().T) / 2)


def _clipped(rho: Array) -> tuple[Array, Array]:
    values, vectors = jnp.linalg.eigh(rho)
    positive = values[0] >= -tolerance_of(values.dtype, STATE_TOLERANCE)
    return jnp.where(positive, jnp.maximum(values, jnp.finfo(values.dtype).eps ** 2), jnp.nan), vectors


@eqx.filter_custom_jvp
def _log(rho: Array) -> Array:
    values, vectors = _clipped(rho)
    return (vectors * jnp.log(values)) @ vectors.conj().T


@_log.def_jvp
def _log_jvp(primals, tangents):
    (rho,), (drho,) = primals, tangents
    return _log(rho), _log_tangent(rho, drho)


@eqx.filter_custom_jvp
def _log_tangent(rho: Array, drho: Array) -> Array:
    """Daleckii–Krein: (d ln ρ)_ij = ln[p_i, p_j] (dρ)_ij in the eigenbasis of ρ."""
    values, vectors = _clipped(rho)
    low, high = (pick(values[:, None], values[None, :]) for pick in (jnp.minimum, jnp.maximum))
    apart = high > low
    gap = jnp.where(apart, high - low, 1.0)
    kernel = jnp.where(apart, jnp.log1p(gap / low) / gap, 1.0 / low)  # ln[x, y] without cancellation
    return vectors @ (kernel * (vectors.conj().T @ drho @ vectors)) @ vectors.conj().T


@_log_tangent.def_jvp
def _log_tangent_jvp(primals, tangents):
    rho, drho = primals
    drho, dtangent = tangents
    if drho is not None:
        raise DerivativeOrderError(
            "The logarithm of a state can be differentiated once; its second derivative was asked for."
        )
    return _log_tangent(rho, drho), _log_tangent(rho, dtangent)
