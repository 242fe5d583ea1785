"""The exact Gaussian steady state and what one asks of it.

Takes: a model and a master equation. Returns: means and covariance from

    (Ωh + Σ𝒟)(m − R₀) + Σ c = 0,     𝒦 V + V 𝒦ᵀ + Σ N = 0,     V_ij = ½⟨{R_i − m_i, R_j − m_j}⟩,

a linear system for the independent elements of V. Its derivative in every parameter is exact, coincident frequencies
included, since the arrays that enter have theirs (`_kernel`).
"""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._equations import Validity
from .._generator import AbstractSteadyState
from .._inputs import Numbers, as_real, described, is_concrete
from .._polynomials import Polynomial, as_polynomial, reordered, translated, vacuum
from ..errors import RESULTS, InputError
from ._kernel import matrix_function
from ._model import lowering_forms, symplectic

UNDAMPED = 1e-13
"""A mode that relaxes more slowly than this fraction of the largest frequency does not relax."""


class AbstractGaussian(eqx.Module):
    """A Gaussian state of M modes, in the quadratures R = (x_1 … x_M, p_1 … p_M), a = (x + ip)/√2."""

    mean: eqx.AbstractVar[Float[Array, " n"]]
    covariance: eqx.AbstractVar[Float[Array, "n n"]]

    @property
    def modes(self) -> int:
        """Number of modes M."""
        return self.mean.shape[0] // 2

    @property
    def amplitudes(self) -> Complex[Array, " m"]:
        """⟨a_k⟩, [M]."""
        return (lowering_forms(self.modes) @ self.mean)[: self.modes]

    @property
    def contraction(self) -> Complex[Array, "n n"]:
        """⟨δα_i δα_j⟩ of α = (a, a†): moments of second order about the mean, in this order of the operators."""
        W = lowering_forms(self.modes)
        return W @ (self.covariance + 0.5j * symplectic(self.modes)) @ W.T

    def expect(self, A: Polynomial) -> Float[Array, ""]:
        """⟨A⟩ of a Hermitian polynomial of any degree (Wick's theorem)."""
        return expectation(as_polynomial(A, "the observable A", self.modes), self)

    def entropy(self) -> Float[Array, ""]:
        """The von Neumann entropy, in units of k_B."""
        V = self.covariance
        L: Array = jnp.linalg.cholesky(V)
        B = L.T @ (1j * symplectic(self.modes)) @ L
        return jnp.trace(matrix_function(B, _entropy_of)).real / 2


class GaussianState(AbstractGaussian):
    """A Gaussian state of M modes, in the quadratures R = (x_1 … x_M, p_1 … p_M), a = (x + ip)/√2.

    - `mean`: ⟨R⟩, [2M]. `covariance`: ½⟨{R_i − ⟨R_i⟩, R_j − ⟨R_j⟩}⟩, [2M, 2M]; the vacuum has ½.
    """

    mean: Float[Array, " n"]
    covariance: Float[Array, "n n"]

    def __init__(self, mean: Numbers, covariance: Numbers):
        self.mean = as_real(mean, "GaussianState: mean")
        self.covariance = as_real(covariance, "GaussianState: covariance")


class GaussianSteadyState(AbstractGaussian, AbstractSteadyState):
    """The steady state of a `QuasiFree` model, a `GaussianState` with its verdict.

    - `mean`, `covariance`: as of `GaussianState`. `state`: that state alone.
    - `residual`: of the equation of the covariance, over its terms. `slowest`: the slowest relaxation rate (from a
      Lyapunov function; negative where a mode is not damped). `condition`: that over the largest drift. `error`:
      estimate of the largest error of an element of the covariance, over the largest.
    - `validity`, `separation`, `spread`, `result`, `solver`: as of `SteadyState`; the frequencies are normal ones.
    """

    mean: Float[Array, " n"]
    covariance: Float[Array, "n n"]
    residual: Float[Array, ""]
    error: Float[Array, ""]
    slowest: Float[Array, ""]
    condition: Float[Array, ""]
    validity: Validity | None
    result: RESULTS
    solver: str = eqx.field(static=True)

    @property
    def state(self) -> GaussianState:
        return GaussianState(self.mean, self.covariance)


def as_gaussian(state: Any, modes: int, name: str) -> GaussianState:
    """A Gaussian state of so many modes that exists; `InputError` otherwise."""
    n = 2 * modes
    shapes = (np.shape(state.mean), np.shape(state.covariance)) if isinstance(state, AbstractGaussian) else ()
    if shapes != ((n,), (n, n)):
        raise InputError(
            f"{name} of a QuasiFree model of {modes} mode(s) must be a GaussianState of as many; got "
            f"{f'one of shapes {shapes}' if shapes else described(state)}. steady_state(model) is one; "
            "GaussianState(mean, covariance) makes another."
        )
    require_physical(state, name)
    return GaussianState(state.mean, state.covariance)


def _entropy_of(b: Array) -> Array:
    """(n+1) ln(n+1) − n ln n = ln n + (n+1) ln(1 + 1/n), of n = |b| − ½; b and −b each count half."""
    n = jnp.maximum(jnp.abs(b) - 0.5, jnp.finfo(b.dtype).eps ** 2)
    hot: Any = n > 1  # no difference of two large numbers there
    m = jnp.where(hot, n, 1.0)
    return jnp.where(hot, jnp.log(m) + (m + 1) * jnp.log1p(1 / m), (n + 1) * jnp.log1p(n) - n * jnp.log(n))


def require_physical(state: AbstractGaussian, what: str) -> None:
    """Raise `InputError` for a known covariance that breaks the uncertainty relation V + iΩ/2 ≥ 0."""
    if not is_concrete(state):
        return
    V = np.asarray(state.covariance)
    lowest = np.linalg.eigvalsh(V + 0.5j * symplectic(state.modes))[0]
    if not lowest > -1e-9 * np.max(np.abs(V)):
        raise InputError(
            f"{what}: the covariance breaks the uncertainty relation V + i Omega/2 >= 0 (lowest eigenvalue "
            f"{lowest:.3g}). The vacuum has V = 1/2: check the units of the quadratures, x = (a + a.dag)/sqrt(2)."
        )


def expectation(A: Polynomial, state: AbstractGaussian) -> Float[Array, ""]:
    """⟨A⟩ of a polynomial known to be Hermitian."""
    mean = lowering_forms(state.modes) @ state.mean
    symbol = reordered(translated(A.coefficients, mean), state.contraction - vacuum(state.modes))
    return symbol[0].real


def lowest_pivot(V: Float[Array, "n n"]) -> Float[Array, ""]:
    """Positive where V is (elimination by rows, unrolled: LAPACK takes a batch one by one)."""
    pivots = []
    while V.shape[0]:
        pivots.append(V[0, 0])
        V = V[1:, 1:] - V[1:, :1] * V[:1, 1:] / V[0, 0]
    return jnp.min(jnp.stack(pivots))


def slowest_rate(K: Float[Array, "n n"]) -> Float[Array, ""]:
    """Positive where every mode is damped by more than rounding: P of KᵀP + PK = −1 is then positive and finite
    (Lyapunov), and 1/P's largest eigenvalue a decay rate."""
    P = lyapunov(K.T, jnp.eye(K.shape[0]))
    values = jnp.linalg.eigvalsh(P)
    good = jnp.isfinite(values[-1]) & (values[0] > 0)
    rate: Any = jnp.where(good, 1 / values[-1], 0.0)
    damped = good & (rate > UNDAMPED * jnp.max(jnp.abs(K)))
    verdict: Any = jnp.where(damped, rate, -1.0)
    return verdict + jnp.where(jnp.all(jnp.isfinite(K)), 0.0, jnp.nan)


def lyapunov(K: Float[Array, "n n"], N: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The symmetric V with K V + V Kᵀ + N = 0."""
    equations, unknowns, source, rows, columns, place = _symmetric(K.shape[0])
    A = jnp.zeros((rows.size, rows.size)).at[equations, unknowns].add(K[source])
    return -jnp.linalg.solve(A, N[rows, columns])[place]


@functools.cache
def _symmetric(n: int):
    """V ↦ K V + V Kᵀ on the elements (row ≤ column) of a symmetric V: in which equation which unknown stands with
    which element of K."""
    rows, columns = np.triu_indices(n)
    place = np.zeros((n, n), int)
    place[rows, columns] = place[columns, rows] = np.arange(rows.size)
    k = np.arange(n)
    equations = np.repeat(np.arange(rows.size), 2 * n)
    unknowns = np.concatenate([place[k, columns[:, None]], place[rows[:, None], k]], axis=1).reshape(-1)
    left = np.concatenate([np.repeat(rows[:, None], n, 1), np.repeat(columns[:, None], n, 1)], axis=1).reshape(-1)
    right = np.tile(np.concatenate([k, k]), rows.size)
    return equations, unknowns, (left, right), rows, columns, place


def undamped(drift: Float[Array, "n n"]) -> str:
    """Which combinations of the modes no bath damps, in words."""
    modes = drift.shape[0] // 2
    values, vectors = np.linalg.eig(np.asarray(jax.lax.stop_gradient(drift)).T)
    W = np.linalg.inv(lowering_forms(modes))
    scale = np.max(np.abs(values))
    words = []
    for value, form in zip(values, vectors.T, strict=True):
        if value.real > -1e-12 * scale and value.imag <= 0:
            weights = np.abs(form @ W)[:modes]
            parts = ", ".join(
                f"a{k + 1} {w:.2f}" for k, w in enumerate(weights / weights.max()) if w > 1e-6 * weights.max()
            )
            words.append(f"frequency {abs(value.imag):.6g} (amplitudes {parts})")
    return "; ".join(words or ["(one that decays below rounding)"])
