"""Heat currents and entropy production of Gaussian states.

Takes: a model, a master equation, a state. Returns, with dm_α = 𝒟_α(m − R₀) + c_α and dV_α = 𝒟_αV + V𝒟_αᵀ + N_α,

    J^α = ⟨D_α†H⟩ = ½ tr[h dV_α] + (h m + f)·dm_α,      dS/dt = ½ tr[G Σ_α dV_α],     −ln ρ = ½ (R−m)ᵀ G (R−m) + const.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._dynamics import Dynamics
from ._kernel import matrix_function
from ._model import QuasiFree, symplectic
from ._modes import MERGED, NormalModes
from ._state import AbstractGaussian


def gaussian_currents(model: QuasiFree, motion: Dynamics, state: AbstractGaussian) -> Float[Array, " baths"]:
    """J^α of a state."""
    h = model.quadratic
    mean, covariance = _rates_of_change(motion, state)
    return jnp.einsum("ij,bji->b", h, covariance) / 2 + mean @ (h @ state.mean + model.field)


def _rates_of_change(motion: Dynamics, state: AbstractGaussian) -> tuple[Array, Array]:
    """dm_α and dV_α for each bath."""
    drifted = motion.drift @ state.covariance
    covariance = drifted + jnp.swapaxes(drifted, 1, 2) + motion.diffusion
    return motion.drift @ (state.mean - motion.centre) + motion.force, covariance


def gaussian_entropy_rate(motion: Dynamics, state: AbstractGaussian) -> Float[Array, ""]:
    """dS/dt of a state."""
    _, covariance = _rates_of_change(motion, state)
    return jnp.trace(log_form(state.covariance) @ jnp.sum(covariance, axis=0)) / 2


def gaussian_channels(
    modes: NormalModes, motion: Dynamics, state: AbstractGaussian
) -> tuple[Float[Array, " m"], Float[Array, "baths m"]]:
    """Frequencies ω_k and the current through each normal mode, ω_k⟨D_α†(d_k†d_k)⟩."""
    mean, covariance = _rates_of_change(motion, state)
    inverse = modes.inverse[: modes.frequencies.size]
    second = jnp.einsum("ki,bij,kj->bk", inverse.conj(), covariance, inverse).real
    first = 2 * ((inverse @ (state.mean - modes.centre)).conj() * (mean @ inverse.T)).real
    return modes.frequencies, modes.frequencies * (second + first)


def same_channel(nominal: Float[Array, " m"]) -> Array:
    """Which modes share a channel."""
    return jnp.abs(nominal[:, None] - nominal[None, :]) <= MERGED * jnp.max(nominal)


def log_form(V: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """G of −ln ρ = ½ (R−m)ᵀ G (R−m) + const, V = M Mᵀ: G = M⁻ᵀ g(C) M⁻¹ with C = M⁻¹ iΩ M⁻ᵀ, whose eigenvalues are ±1/ν
    of the symplectic ones ν = n + ½, and g(c) = ln((1 + c/2)/(1 − c/2))/c. Safe where symplectic eigenvalues
    coincide."""
    M: Array = jnp.linalg.cholesky(V)
    left = jax.scipy.linalg.solve_triangular(M, 1j * symplectic(V.shape[0] // 2), lower=True)
    C = jax.scipy.linalg.solve_triangular(M, left.conj().T, lower=True).conj().T
    g = matrix_function((C + C.conj().T) / 2, _log_ratio)
    return jax.scipy.linalg.solve_triangular(
        M.T, jax.scipy.linalg.solve_triangular(M.T, g.real, lower=False).T, lower=False
    )


def _log_ratio(c: Array) -> Array:
    size = jnp.abs(c)
    hot: Any = size < 1  # no logarithm of nearly one there
    half = jnp.where(hot, size, 1.0) / 2
    empty = jnp.maximum(1 - size / 2, jnp.finfo(c.dtype).eps ** 2)
    return jnp.where(hot, jnp.arctanh(half) / half, jnp.log((1 + size / 2) / empty) / size)
