"""Gaussian states and polynomials in time, in closed form.

Enters: a model, a master equation, a Gaussian state or a polynomial, times. Leaves

    m(t) = m + e^{Kt}(m(0) − m),     V(t) = V + e^{Kt}(V(0) − V)e^{Kᵀt}

about the mean m and covariance V of the steady state, K the drift of the quadratures; and e^{L₀†t}A, which in Wick's
order of the steady state is e^{Kt} on each index of each tensor.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._equations import AbstractEquation, Davies
from .._generator import matrix_exponential
from .._inputs import Numbers, as_real
from .._oscillators import QuasiFree
from .._polynomials import Polynomial, Symbol, as_polynomial, product
from ..errors import InputError, ShapeError
from ._expansion import framed
from ._flow import evolved
from ._frame import Frame
from ._state import GaussianState, expectation, steady_flow


class GaussianEvolution(eqx.Module):
    """States at times `ts`: `means` [t, 2M] and `covariances` [t, 2M, 2M]; `at(i)` is one of them."""

    ts: Float[Array, " t"]
    means: Float[Array, "t n"]
    covariances: Float[Array, "t n n"]

    def at(self, index: int) -> GaussianState:
        """The state at ts[index]."""
        return GaussianState(self.means[index], self.covariances[index])

    def expect(self, A: Polynomial) -> Float[Array, " t"]:
        """⟨A⟩ of a Hermitian polynomial at each time."""
        A = as_polynomial(A, "the observable A", self.means.shape[1] // 2)
        return jax.vmap(lambda m, V: expectation(A, GaussianState(m, V)))(self.means, self.covariances)


def gaussian_evolution(
    model: QuasiFree, equation: AbstractEquation, start, ts: Float[Array, " t"]
) -> GaussianEvolution:
    """`evolve` for a quasi-free model."""
    if not isinstance(start, GaussianState) or start.modes != model.modes:
        raise InputError(
            f"evolve: a QuasiFree model of {model.modes} mode(s) starts from a GaussianState of as many modes; got "
            f"{type(start).__name__}. steady_state(model) is one; GaussianState(mean, covariance) makes another."
        )
    steady, flow = steady_flow(model, equation)
    return _evolution(flow.total, steady, start, ts)


@eqx.filter_jit
def _evolution(K: Array, steady: GaussianState, start: GaussianState, ts: Array) -> GaussianEvolution:
    def at(t: Array) -> tuple[Array, Array]:
        E = matrix_exponential(K * t)
        V = steady.covariance + E @ (start.covariance - steady.covariance) @ E.T
        return steady.mean + E @ (start.mean - steady.mean), (V + V.T) / 2

    return GaussianEvolution(ts, *jax.vmap(at)(ts - ts[0]))


def heisenberg(model: QuasiFree, A: Polynomial, t, equation: AbstractEquation = Davies()) -> Polynomial:
    """A polynomial in the Heisenberg picture of a master equation, e^{L₀†t}A, exactly and of the same degree.

    **Arguments:** `model`; `A`: a `Polynomial`, Hermitian or not; `t` ≥ 0: one time; `equation`.

    **Returns:** a `Polynomial` in the a, a† of the model.

    **Raises:** as `steady_state` (the evolution is written about the steady state); `ShapeError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, = lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 2.0, lgks.Flat(0.1)))
    lgks.heisenberg(model, a.dag * a, 100.0)          # the occupation 1/(e^(1/2) − 1), and little of a†a
    ```
    """
    A = as_polynomial(A, "heisenberg: A", model.modes, hermitian=False)
    t = as_real(t, "heisenberg: t")
    if t.ndim:
        raise ShapeError(f"heisenberg: t must be one time; got shape {tuple(t.shape)}.")
    at = framed(model, equation)
    return Polynomial(_heisenberg(at, A.coefficients, t), A.modes, A.limit)


@eqx.filter_jit
def _heisenberg(at: Frame, A: Symbol, t: Array) -> Symbol:
    A = at.wick(A)
    return at.back((A[0], *(evolved(T, at.drift, t, at.diagonal) for T in A[1:])))


def gaussian_correlation(
    model: QuasiFree, A: Polynomial, B: Polynomial, t: Numbers, equation: AbstractEquation
) -> Complex[Array, "*t"]:
    """`correlation` for a quasi-free model; `t` checked."""
    A = as_polynomial(A, "correlation: A", model.modes, hermitian=False)
    B = as_polynomial(B, "correlation: B", model.modes, hermitian=False)
    return _correlation(framed(model, equation), A.coefficients, B.coefficients, jnp.asarray(t))


@eqx.filter_jit
def _correlation(at: Frame, A: Symbol, B: Symbol, t: Array) -> Complex[Array, "*t"]:
    A, B = at.wick(A), at.wick(B)

    def one(t: Array) -> Array:
        later = (A[0], *(evolved(T, at.drift, t, at.diagonal) for T in A[1:]))
        return product(later, B, at.contraction)[0]

    return jax.vmap(one)(t.reshape(-1)).reshape(t.shape)
