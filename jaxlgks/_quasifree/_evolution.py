"""Gaussian states in time, in closed form.

Takes: the drift of a model, its steady state, a Gaussian state, times. Returns

    m(t) = m + e^{Kt}(m(0) − m),     V(t) = V + e^{Kt}(V(0) − V)e^{Kᵀt}

about the mean m and covariance V of the steady state, K the drift of the quadratures.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._equations import Validity
from .._generator import matrix_exponential
from .._inputs import as_count
from .._polynomials import Polynomial, as_polynomial
from ._state import GaussianState, expectation


class GaussianEvolution(eqx.Module):
    """States at times `ts`: `means` [t, 2M] and `covariances` [t, 2M, 2M]; `at(i)` is one of them. `validity`: as of
    `Evolution`."""

    ts: Float[Array, " t"]
    means: Float[Array, "t n"]
    covariances: Float[Array, "t n n"]
    validity: Validity | None = None

    def at(self, index: int) -> GaussianState:
        """The state at ts[index]; negative from the end."""
        count = self.ts.shape[0]
        as_count(index, "GaussianEvolution.at: index", -count, count - 1)  # JAX would take the nearest in silence
        return GaussianState(self.means[index], self.covariances[index])

    def expect(self, A: Polynomial) -> Float[Array, " t"]:
        """⟨A⟩ of a Hermitian polynomial at each time."""
        A = as_polynomial(A, "the observable A", self.means.shape[1] // 2)
        return jax.vmap(lambda m, V: expectation(A, GaussianState(m, V)))(self.means, self.covariances)


def gaussian_evolution(K: Array, steady: GaussianState, start: GaussianState, ts: Array) -> GaussianEvolution:
    """The states at each time, K the drift of the quadratures."""

    def at(t: Array) -> tuple[Array, Array]:
        E = matrix_exponential(K * t)
        V = steady.covariance + E @ (start.covariance - steady.covariance) @ E.T
        return steady.mean + E @ (start.mean - steady.mean), (V + V.T) / 2

    return GaussianEvolution(ts, *jax.vmap(at)(ts - ts[0]))
