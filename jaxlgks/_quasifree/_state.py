"""The exact Gaussian steady state and what one asks of it.

Enters: a model and a master equation. Leaves: means and covariance from

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

from .._equations import AbstractEquation, Davies
from .._inputs import is_concrete, spoil
from .._oscillators import QuasiFree, lowering_forms, symplectic
from .._polynomials import Polynomial, as_polynomial, moved, reordered, vacuum
from ..errors import InputError, NonUniqueSteadyStateError, SteadyStateError
from ._dynamics import Dynamics, dynamics, home
from ._kernel import matrix_function

UNDAMPED = 1e-13
"""A mode that relaxes more slowly than this fraction of the largest frequency does not relax."""


class GaussianState(eqx.Module):
    """A Gaussian state of M modes, in the quadratures R = (x_1 … x_M, p_1 … p_M), a = (x + ip)/√2.

    - `mean`: ⟨R⟩, [2M]. `covariance`: ½⟨{R_i − ⟨R_i⟩, R_j − ⟨R_j⟩}⟩, [2M, 2M]; the vacuum has ½.
    """

    mean: Float[Array, " n"]
    covariance: Float[Array, "n n"]

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


def _entropy_of(b: Array) -> Array:
    """(n+1) ln(n+1) − n ln n = ln n + (n+1) ln(1 + 1/n), of n = |b| − ½; b and −b each count half."""
    n = jnp.maximum(jnp.abs(b) - 0.5, jnp.finfo(b.dtype).eps ** 2)
    hot: Any = n > 1  # no difference of two large numbers there
    m = jnp.where(hot, n, 1.0)
    return jnp.where(hot, jnp.log(m) + (m + 1) * jnp.log1p(1 / m), (n + 1) * jnp.log1p(n) - n * jnp.log(n))


def require_physical(state: GaussianState, what: str) -> None:
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


def expectation(A: Polynomial, state: GaussianState) -> Float[Array, ""]:
    """⟨A⟩ of a polynomial known to be Hermitian."""
    mean = lowering_forms(state.modes) @ state.mean
    symbol = reordered(moved(A.coefficients, mean), state.contraction - vacuum(state.modes))
    return symbol[0].real


def gaussian_steady_state(
    model: QuasiFree, equation: AbstractEquation = Davies(), *, nominal: Array | None = None, throw: bool = True
) -> GaussianState:
    """The steady state of a model. Raises `NonUniqueSteadyStateError` or `SteadyStateError`; NaN where it is traced."""
    return steady_flow(model, equation, nominal=nominal, throw=throw)[0]


def steady_flow(
    model: QuasiFree, equation: AbstractEquation, *, nominal: Array | None = None, throw: bool = True
) -> tuple[GaussianState, Dynamics]:
    """The same, with the generator behind it."""
    home(model, equation)  # raises here, by name, what a compiled program could not
    state, flow, slowest, lowest = _solved(model, equation, nominal)
    if not throw:
        return state, flow
    scale = jnp.max(jnp.abs(state.covariance))
    if is_concrete(slowest, state):
        if slowest <= 0:
            raise NonUniqueSteadyStateError(_undamped(model, equation, nominal))
        if not np.isfinite(slowest) or not np.isfinite(scale):
            raise SteadyStateError("steady_state: the generator holds NaN or infinity; check rates and temperatures.")
        if not lowest > 0:
            eigenvalue = float(np.linalg.eigvalsh(state.covariance)[0])
            raise SteadyStateError(
                f"steady_state: {type(equation).__name__} has no Gaussian state as its steady state: the lowest "
                f"eigenvalue of the covariance matrix is {eigenvalue:.3g}. The coupling is too strong for it."
            )
        return state, flow
    bad = ~((slowest > 0) & (lowest > 0))
    source = eqx.filter(model, eqx.is_inexact_array)
    return jax.tree.map(lambda x: spoil(x, bad, source), state), flow


@eqx.filter_jit
def _solved(model: QuasiFree, equation: AbstractEquation, nominal) -> tuple[GaussianState, Dynamics, Array, Array]:
    flow = dynamics(model, equation, nominal)
    K, N = flow.total, jnp.sum(flow.diffusion, axis=0)
    mean = flow.centre - jnp.linalg.solve(K, jnp.sum(flow.force, axis=0))
    state = GaussianState(mean, lyapunov(K, N))
    still = jax.lax.stop_gradient((K, state.covariance))
    return state, flow, _slowest(still[0]), _lowest_pivot(still[1])


def _lowest_pivot(V: Float[Array, "n n"]) -> Float[Array, ""]:
    """Positive where V is (elimination by rows, unrolled: LAPACK takes a batch one by one)."""
    pivots = []
    while V.shape[0]:
        pivots.append(V[0, 0])
        V = V[1:, 1:] - V[1:, :1] * V[:1, 1:] / V[0, 0]
    return jnp.min(jnp.stack(pivots))


def _slowest(K: Float[Array, "n n"]) -> Float[Array, ""]:
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


def _undamped(model: QuasiFree, equation: AbstractEquation, nominal) -> str:
    """Which combinations of the modes no bath damps."""
    flow: Dynamics = jax.lax.stop_gradient(dynamics(model, equation, nominal))
    values, vectors = np.linalg.eig(np.asarray(flow.total).T)
    W = np.linalg.inv(lowering_forms(model.modes))
    scale = np.max(np.abs(values))
    words = []
    for value, form in zip(values, vectors.T, strict=True):
        if value.real > -1e-12 * scale and value.imag <= 0:
            weights = np.abs(form @ W)[: model.modes]
            parts = ", ".join(
                f"a{k + 1} {w:.2f}" for k, w in enumerate(weights / weights.max()) if w > 1e-6 * weights.max()
            )
            words.append(f"frequency {abs(value.imag):.6g} (amplitudes {parts})")
    return (
        "steady_state: the steady state is not unique: no bath damps the mode(s) of "
        + "; ".join(words or ["(one that decays below rounding)"])
        + ". Couple a bath to it, or lift the degeneracy that lets it hide."
    )
