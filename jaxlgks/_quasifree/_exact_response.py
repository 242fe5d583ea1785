"""The linear response of oscillators and their baths solved together: the judge of responses with memory.

Takes: a model whose baths are all Drude–Lorentz, polynomials V and A. Returns: the response of ⟨A⟩ to a drive δ(t)V,
to all orders in the coupling and without any master equation. With the Langevin equation of `_langevin` and one more
variable y_α = ∫ D_α S_α a bath, z = (R, y) about the mean obeys ż = Mz + Σ_α B_α X_α⁰(t): z(t) is linear in Gaussian
operators. So is all of A(t) by Wick's theorem, which needs one two-time function, W(t) = ⟨z(t) zᵀ(0)⟩, t > 0. With
⟨X_α⁰(t)X_α⁰(0)⟩ = Σ_j c_j e^{−ν_j t},

    Ẇ = MW + Σ_αj c_j e^{−ν_j t} B_α h_jᵀ,    h_j = (ν_j − M)⁻¹B_α,    MW(0) + W(0)Mᵀ + Σ_αj (c_j B_α h_jᵀ + h.c.) = 0,

a sum of exponentials again: those of M, which are the poles of the exact propagator, and those of the baths. In Wick's
order of the exact state, C(t) = ⟨α(t)α(0)⟩ for α = (a, a†),

    φ(t) = i⟨[V(0), A(t)]⟩ = 2 Im ⟨A(t)V(0)⟩ = 2 Im Σ_k k! A^(k)·C(t)^{⊗k}·V^(k).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._generator import Exponentials, exponentials_of, require_memory
from .._inputs import Numbers, as_delays, as_real
from .._polynomials import Polynomial, Symbol, as_polynomial, contracted, plus, reordered, translated, vacuum
from ..errors import InputError
from ._dynamics import one_noise_each
from ._flow import averaged, sums
from ._langevin import drude_baths, require_drude, require_softened
from ._model import QuasiFree, lowering_forms

ALLOWED = 2e9
"""Bytes that the exponentials of a product of correlation functions may take."""


class ExactResponse(eqx.Module):
    """The exact response of one or more observables, [*a]; results carry the axis of t or ω first.

    `rates`, `correlations`: z_p and C_p of C(t) = Σ_p C_p e^{−z_p t}, [p] and [p, 2M, 2M], of a, a† about their mean.
    `V`, `A`: in Wick's order of the exact state."""

    rates: Complex[Array, " p"]
    correlations: Complex[Array, "p n n"]
    V: Symbol
    A: Symbol

    def static(self) -> Array:
        """The change of ⟨A⟩ per δ after the new steady state is reached."""
        return self.susceptibility(0.0).real

    def impulse(self, t: Numbers) -> Array:
        """φ(t), the change of ⟨A⟩ a time t after a kick δ(t)V. `t` ≥ 0, of any shape."""
        return _impulse(self, as_delays(t))

    def step(self, t: Numbers) -> Array:
        """The change of ⟨A⟩ per δ at time t after V is switched on. `t` ≥ 0, of any shape."""
        return _step(self, as_delays(t))

    def susceptibility(self, omega: Numbers) -> Array:
        """χ(ω), complex; ω real, of any shape."""
        return _susceptibility(self, as_real(omega, "omega"))


def exact_response(model: QuasiFree, V: Polynomial, A: Polynomial | tuple[Polynomial, ...]) -> ExactResponse:
    """The exact linear response of oscillators and Drude–Lorentz baths solved together, at any coupling strength: what
    `response` of a master equation can be judged by.

        φ(t) = i⟨[V(0), A(t)]⟩ in the joint steady state of oscillators and baths

    **Arguments:** `model`: every bath with a `DrudeLorentz` density; H₀ has no counter term, as in the master
    equations. `V`, `A`: Hermitian `Polynomial`s of any degree, or a sequence of A. On a CPU.

    **Returns:** `ExactResponse`, with `.static()`, `.impulse(t)`, `.step(t)`, `.susceptibility(omega)`, to about 1e−6
    of what is of the order of the coupling (the exponentials of the baths). Differentiable where the poles of the joint
    motion are apart.

    **Raises:** `InputError` for another density; `UnstableHamiltonianError` where the baths, which soften the
    oscillators, make them unstable; `SolverMemoryError` where A and V both have a high degree; `ShapeError`,
    `NotHermitianError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, = lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 0.5, lgks.DrudeLorentz(0.01, 3.0)))
    exact = lgks.exact_response(model, (a + a.dag) ** 2, a.dag * a)
    redfield = lgks.response(model, (a + a.dag) ** 2, a.dag * a, lgks.Redfield(lamb_shift=True))
    exact.susceptibility(0.7), redfield.susceptibility(0.7).total
    ```
    """
    require_drude(model, "exact_response")
    V = as_polynomial(V, "exact_response: V", model.modes)
    several = A if isinstance(A, list | tuple) else (A,)
    if not several:
        raise InputError("exact_response: A must be a Polynomial or a sequence of them; got an empty one.")
    checked = [as_polynomial(one, "exact_response: A", model.modes) for one in several]
    observables = tuple(one.coefficients for one in checked)
    together, softest = _exact(model, exponentials_of(one_noise_each(model)), V.coefficients, observables)
    require_softened(softest, "exact_response")
    if isinstance(A, list | tuple):
        return together
    return ExactResponse(together.rates, together.correlations, together.V, tuple(x[0] for x in together.A))


@eqx.filter_jit
def _exact(
    model: QuasiFree, exponentials: Exponentials, V: Symbol, A: tuple[Symbol, ...]
) -> tuple[ExactResponse, Array]:
    baths, h = drude_baths(model), model.quadratic
    rates, W = _two_time(baths.embedded(h), exponentials, h.shape[0])
    lowering = lowering_forms(model.modes)
    C = lowering @ W @ lowering.T
    order, mean = jnp.sum(C, axis=0) - vacuum(model.modes), lowering @ baths.mean(model)

    def wick(A: Symbol) -> Symbol:
        return reordered(translated(A, mean), order)

    degree = max(len(one) for one in A)
    zero = tuple(jnp.zeros((h.shape[0],) * k, complex) for k in range(degree))
    stack = jax.tree.map(lambda *x: jnp.stack(x), *(plus(wick(one), zero) for one in A))
    return ExactResponse(rates, C, wick(V), stack), jnp.linalg.eigvalsh(baths.softened(h))[0]


def _two_time(M: Array, exponentials: Exponentials, n: int) -> tuple[Array, Array]:
    """z_p and W_p of W(t) = ⟨R(t)Rᵀ(0)⟩."""
    c, nu = exponentials
    size, count = len(M), len(c)
    m, U = jnp.linalg.eig(M)
    inverse = jnp.linalg.inv(U)
    # Columns B_α in the basis of eigenvectors: X_α⁰ enters where y_α does.
    B = inverse @ jnp.zeros((size, count)).at[:n].set(M[:n, n:])
    h = B.T[:, None, :] / (nu[:, :, None] - m)
    source = jnp.einsum("xb,bj,bjy->xy", B, c, h)
    other = jnp.einsum("bj,bjx,yb->xy", c.conj(), B.T[:, None, :] / (nu.conj()[:, :, None] - m), B)
    start = -(source + other) / (m[:, None] + m)
    follow = -jnp.einsum("xb,bj,bjx,bjy->bjxy", B, c, 1 / (nu[:, :, None] + m), h).reshape(-1, size, size)
    own = start - jnp.sum(follow, axis=0)
    free = jnp.einsum("ix,xy,jy->xij", U[:n], own, U[:n])
    driven = U[:n] @ follow @ U[:n].T
    return jnp.concatenate([-m, nu.reshape(-1)]), jnp.concatenate([free, driven])


@eqx.filter_jit
def _impulse(r: ExactResponse, t: Float[Array, "..."]) -> Array:
    def at(t: Array) -> Array:
        C = jnp.tensordot(jnp.exp(-r.rates * t), r.correlations, axes=([0], [0]))
        moved = tuple(math.factorial(k) * contracted(v, C, k) for k, v in enumerate(r.V))
        return 2 * averaged(moved, r.A).imag

    return jax.vmap(at)(t.reshape(-1)).reshape(*t.shape, *r.A[0].shape)


@eqx.filter_jit
def _step(r: ExactResponse, t: Float[Array, "..."]) -> Array:
    terms = _terms(r)

    def at(t: Array) -> Array:
        value = sum((a @ (-jnp.expm1(-z * t) / z) for z, a in terms), jnp.zeros((), complex))
        return 2 * value.imag

    return jax.vmap(at)(t.reshape(-1)).reshape(*t.shape, *r.A[0].shape)


@eqx.filter_jit
def _susceptibility(r: ExactResponse, omega: Float[Array, "..."]) -> Array:
    terms = _terms(r)

    def half(omega: Array) -> Array:
        return sum((a @ (1 / (z - 1j * omega)) for z, a in terms), jnp.zeros((), complex))

    chi = jax.vmap(lambda w: -1j * (half(w) - half(-w).conj()))(omega.reshape(-1))
    return chi.reshape(*omega.shape, *r.A[0].shape)


def _terms(r: ExactResponse) -> list[tuple[Array, Array]]:
    """Rates [q] and amplitudes [*a, q] of ⟨A(t)V(0)⟩ − ⟨A⟩⟨V⟩, rank by rank: products of k exponentials of C."""
    terms = []
    for k in range(1, min(len(r.V), len(r.A))):
        count, n = r.correlations.shape[:2]
        what = f"exact_response: products of {k} correlation functions of {count} exponentials"
        require_memory(what, 16.0 * (count * n) ** k, ALLOWED, "Ask for impulse(t), or lower the degree of A or of V.")
        T = r.V[k]
        for _ in range(k):
            T = jnp.moveaxis(jnp.tensordot(r.correlations, T, axes=([2], [0])), (0, 1), (-2, -1))
        lead = r.A[k].ndim - k
        axes = list(range(lead, lead + k)), list(range(1, 2 * k, 2))
        amplitudes = math.factorial(k) * jnp.tensordot(r.A[k], T, axes=axes)
        terms.append((sums(r.rates, k).reshape(-1), amplitudes.reshape(*amplitudes.shape[:lead], -1)))
    return terms
