"""A function of two frequencies as a matrix: what is bilinear in filtered couplings.

Takes: the Hermitian B, a matrix Σ, a function k, groups. Returns

    K = Σ_g (1_g ⊗ 1_g k)(B ⊗ 1, 1 ⊗ B)[Σ],      K_mn = 1[m, n in one group] k(b_m, b_n) Σ_mn  in the eigenbasis of B.

For k(x, y) = F(x) G(y) and Σ = σσᵀ it is Σ_g F_g(B) σσᵀ G_g(B). Both functions in one, so that differences of large
rates can be taken in closed form.

Derivative (Daleckii–Krein), groups held fixed: B moves in either argument,

    (dK)_mn = Σ_j k[(m,j); n] dB_mj Σ_jn + Σ_j Σ_mj dB_jn k[m; (n,j)],

with the divided differences of 1_g k in that argument: those of k inside a group, where frequencies may coincide, and
(1_g k(x) − 1_g k(y))/(x − y) across. No denominator vanishes, at any degeneracy.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex

from .._bohr import divided_difference
from ..errors import DerivativeOrderError


def two_sided(
    B: Complex[Array, "n n"], Sigma: Complex[Array, "n n"], kernel: Callable, same: Bool[Array, "n n"] | None = None
) -> Complex[Array, "n n"]:
    """K, differentiable once in B and any number of times in Σ and the numbers inside the kernel.

    `same`: which eigenvectors of B, ascending, share a group; all when left out. **Raises:** `DerivativeOrderError`.
    """
    same = jnp.ones(B.shape, bool) if same is None else same
    return _two_sided(B, Sigma, kernel, *eigenbasis(B), same)


def eigenbasis(B: Complex[Array, "n n"]) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors as constants of differentiation."""
    b, U = jnp.linalg.eigh(jax.lax.stop_gradient(B))
    return jax.lax.stop_gradient((b, U))


def matrix_function(B: Complex[Array, "n n"], F: Callable[[Array], Array]) -> Complex[Array, "n n"]:
    """F(B), with a derivative that exists where eigenvalues coincide."""
    return two_sided(B, jnp.eye(B.shape[0], dtype=B.dtype), lambda x, y: F(x) + 0 * y)


@eqx.filter_custom_jvp
def _two_sided(B: Array, Sigma: Array, kernel: Callable, b: Array, U: Array, same: Array) -> Array:
    del B
    return _value(Sigma, kernel, b, U, same)


def _value(Sigma: Array, kernel: Callable, b: Array, U: Array, same: Array) -> Array:
    k: Any = jnp.where(same, kernel(b[:, None], b[None, :]), 0.0)
    return U @ (k * (U.conj().T @ Sigma @ U)) @ U.conj().T


@_two_sided.def_jvp
def _two_sided_jvp(primals, tangents):
    B, Sigma, kernel, b, U, same = primals
    dB, dSigma, dkernel, *_ = tangents
    value = _two_sided(*primals)
    tangent = jnp.zeros_like(value)
    if dSigma is not None or any(leaf is not None for leaf in jax.tree.leaves(dkernel)):
        along = eqx.filter_jvp(lambda S, k: _value(S, k, b, U, same), (Sigma, kernel), (dSigma, dkernel))[1]
        tangent = tangent if along is None else tangent + along  # None: the kernel does not feel what moves in it
    if dB is not None:
        tangent = tangent + _daleckii_krein(dB, Sigma, kernel, b, U, same) + _once(B)
    return value, tangent


def _daleckii_krein(dB: Array, Sigma: Array, kernel: Callable, b: Array, U: Array, same: Array) -> Array:
    V, S = U.conj().T @ dB @ U, U.conj().T @ Sigma @ U
    left = _differences(lambda x, other: kernel(x, other), b, same)  # [m, j, n]
    right = _differences(lambda x, other: kernel(other, x), b, same)  # [n, j, m]
    inner = jnp.einsum("mjn,mj,jn->mn", left, V, S) + jnp.einsum("njm,mj,jn->mn", right, S, V)
    return U @ inner @ U.conj().T


def _differences(k: Callable, b: Array, same: Array) -> Array:
    """Divided differences of 1_g k between m and j, the other argument at n: [m, j, n]."""
    m, j, n = b[:, None, None], b[None, :, None], b[None, None, :]
    m, j, n = jnp.broadcast_arrays(m, j, n)
    alike = jnp.broadcast_to(same[:, :, None], m.shape)
    inside = divided_difference(lambda x: k(x, n), m, jnp.where(alike, j, m))
    at: Any = jnp.where(same, k(b[:, None], b[None, :]), 0.0)  # [m, n]
    across = (at[:, None, :] - at[None, :, :]) / jnp.where(alike, 1.0, m - j)
    within: Any = jnp.where(same[:, None, :], inside, 0.0)
    chosen: Any = jnp.where(alike, within, across)
    return chosen


@jax.custom_jvp
def _once(B: Array) -> Array:
    """Zero; a second derivative in B ends here."""
    return jnp.zeros_like(B)


@_once.defjvp
def _once_jvp(primals, tangents):
    del primals, tangents
    raise DerivativeOrderError(
        "A second derivative in the Hamiltonian of a QuasiFree model was asked for; its filter provides the first. "
        "Derivatives in temperatures, spectral densities and couplings may be taken in any number."
    )
