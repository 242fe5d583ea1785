"""Normal modes of a stable quadratic Hamiltonian, and which of their frequencies a master equation keeps together.

Takes: h, f of H = ½ Rᵀ h R + fᵀ R. Returns, with h = L Lᵀ (Cholesky) and ξ = Lᵀ (R − R₀), R₀ = −h⁻¹f,

    H = ½ ξᵀξ + const,     [ξ_i, ξ_j] = B_ij,     B = Lᵀ iΩ L,

and Ω_H[vᵀξ] = vᵀBξ: on linear forms every filter F(Ω_H) is the matrix function F(B) of a Hermitian matrix. Its
eigenvalues are ±ω_k, and d_k = u_k†ξ/√ω_k are the normal modes (Williamson's theorem, a symplectic change of basis).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from .._polynomials import Polynomial
from ._model import QuasiFree, linear_part, quadratic_part, symplectic

MERGED = 1e-9
"""Frequencies closer than this fraction of the largest are one."""


class NormalModes(eqx.Module):
    """`frequencies` ω_k ascending, [M]; `vectors` u_k, columns [2M, M]; `root` L; `bracket` B; `centre` R₀.

    Frequencies and vectors have the derivative of an eigendecomposition, which is NaN where frequencies coincide; B
    carries the one that always exists."""

    root: Float[Array, "n n"]
    bracket: Complex[Array, "n n"]
    centre: Float[Array, " n"]
    frequencies: Float[Array, " m"]
    vectors: Complex[Array, "n m"]

    @property
    def signed(self) -> Float[Array, " n"]:
        """The Bohr frequencies of β = (d, d†): ω, then −ω."""
        return jnp.concatenate([self.frequencies, -self.frequencies])

    @property
    def basis(self) -> Complex[Array, "n n"]:
        """U: unit eigenvectors of B in the order of `signed`."""
        return jnp.concatenate([self.vectors, self.vectors.conj()], axis=1)

    @property
    def forms(self) -> Complex[Array, "n n"]:
        """T with R − R₀ = T β."""
        scaled = self.basis * jnp.sqrt(jnp.abs(self.signed))
        return jax.scipy.linalg.solve_triangular(self.root.T, scaled, lower=False)

    @property
    def inverse(self) -> Complex[Array, "n n"]:
        """T⁻¹: β = T⁻¹ (R − R₀)."""
        return (self.basis.conj().T @ self.root.T) / jnp.sqrt(jnp.abs(self.signed))[:, None]


def normal_modes(model: QuasiFree) -> NormalModes:
    """The normal modes of the model's Hamiltonian. NaN where a traced one is not stable."""
    return oscillator_modes(model.hamiltonian)


def oscillator_modes(H: Polynomial) -> NormalModes:
    """The normal modes of a quadratic polynomial."""
    L: Array = jnp.linalg.cholesky(quadratic_part(H))
    B = L.T @ (1j * symplectic(H.modes)) @ L
    B = (B + B.conj().T) / 2
    values, vectors = jnp.linalg.eigh(B)
    centre = -jax.scipy.linalg.cho_solve((L, True), linear_part(H))
    return NormalModes(L, B, centre, _merged(values[H.modes :]), vectors[:, H.modes :])


def _merged(omega: Float[Array, " m"]) -> Float[Array, " m"]:
    """Coincident frequencies replaced by their mean, so that rounding splits no group."""
    alike = _chained(omega, MERGED * jax.lax.stop_gradient(omega[-1]))
    return alike @ omega / jnp.sum(alike, axis=1)


def _chained(omega: Float[Array, " m"], gap: Array) -> Float[Array, "m m"]:
    """One where two ascending frequencies are joined by neighbours no farther apart than `gap`."""
    omega = jax.lax.stop_gradient(omega)
    label = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(jnp.diff(omega) > gap)])
    return (label[:, None] == label[None, :]).astype(omega.dtype)


def clustered(omega: Float[Array, " m"], gap: Array) -> Float[Array, " m"]:
    """The nominal frequency of each mode: the mean of its cluster; zero for a cluster that reaches ω = 0 and joins
    ω to −ω there. A constant of differentiation."""
    omega = jax.lax.stop_gradient(omega)
    alike = _chained(omega, gap)
    soft = alike[0] * (omega[0] <= gap)
    return jnp.where(soft > 0, 0.0, alike @ omega / jnp.sum(alike, axis=1))


def same_frequency(nominal: Float[Array, " m"]) -> Bool[Array, "n n"]:
    """Which of (d, d†, 1) belong to one group: equal nominal Bohr frequencies."""
    signed = jnp.concatenate([nominal, -nominal, jnp.zeros(1)])
    return jnp.abs(signed[:, None] - signed[None, :]) <= MERGED * jnp.max(nominal)
