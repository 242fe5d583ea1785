"""The explicit route for quasi-free models: L₁† on polynomials instead of L₁π₀ on a Fock space.

Enters: a model, a polynomial V, observables, a master equation. Leaves: a response with the same methods and parts as
`LinearResponse`, from φ(τ) = ⟨L₁† e^{L₀†τ} A⟩ with both factors in closed form.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._equations import AbstractEquation
from .._inputs import Numbers
from .._oscillators import QuasiFree
from .._polynomials import Polynomial, Symbol, as_polynomial
from .._quasifree import Frame, evolved, expanded, integrated, resolvent
from ..errors import InputError
from ._linear import Impulse, Parts, as_delays, as_frequencies


class QuasiFreeResponse(eqx.Module):
    """The linear response of one or more polynomials; methods and results as of `LinearResponse`.

    - `drift`: L₀† on the normal modes β = (d, d†), `diagonal` or not. `sources`: ⟨L₁† :β…β:⟩ of the kubo, rotation and
      shift part, for each rank k ≥ 1 an array [3, 2M, …]. `observables`: A in Wick's order of the steady state, [*a,
      2M, …]. `explicit`: ∂A/∂δ averaged over the steady state, [*a].
    """

    drift: Complex[Array, "n n"]
    sources: tuple[Array, ...]
    observables: tuple[Array, ...]
    explicit: Float[Array, "*a"]
    diagonal: bool = eqx.field(static=True)

    parts: ClassVar[tuple[str, ...]] = ("kubo", "rotation", "shift")

    def static(self) -> Parts:
        """The change of ⟨A⟩ per δ after the new steady state is reached, Φ(∞)."""
        return self._parts(-self._resolved(jnp.zeros(())).real)

    def step(self, t: Numbers) -> Parts:
        """Φ(t), the change of ⟨A⟩ per δ at time t after V is switched on. `t` ≥ 0: scalar or [t]."""
        return self._in_time(t, integrated)

    def impulse(self, t: Numbers) -> Impulse:
        """φ(τ), the change of ⟨A⟩ a time τ after a kick δ(t)V. `t` ≥ 0: scalar or [t]."""
        parts = self._in_time(t, evolved)
        return Impulse(parts.kubo, parts.rotation, parts.shift, jnp.broadcast_to(self.explicit, parts.kubo.shape))

    def susceptibility(self, omega: Numbers) -> Parts:
        """χ(ω), complex. `omega`: real, scalar or [w]. χ(0) is the static response."""
        omega = as_frequencies(omega)

        values = -jax.vmap(self._resolved)(jnp.atleast_1d(omega))
        parts = self._parts(jnp.moveaxis(values, 1, 0))
        return parts if omega.ndim else jax.tree.map(lambda x: x[0], parts)

    def member(self, index: int) -> "QuasiFreeResponse":
        """That of one observable of several."""
        picked = tuple(T[index] for T in self.observables)
        return QuasiFreeResponse(self.drift, self.sources, picked, self.explicit[index], self.diagonal)

    def _in_time(self, t: Numbers, how: Callable) -> Parts:
        t = as_delays(t)
        at = lambda t: paired(self.sources, self.observables, self.drift, t, self.diagonal, how).real  # noqa: E731
        values = jax.vmap(at)(jnp.where(t < 0, jnp.nan, t).reshape(-1))
        parts = self._parts(jnp.moveaxis(values, 1, 0))
        return parts if t.ndim else jax.tree.map(lambda x: x[0], parts)

    def _resolved(self, omega: Array) -> Complex[Array, "..."]:
        return paired(self.sources, self.observables, self.drift, omega, self.diagonal)

    def _parts(self, values: Array) -> Parts:
        return Parts(values[0], values[1], values[2], jnp.broadcast_to(self.explicit, values.shape[1:]))


def paired(
    sources: tuple[Array, ...],
    observables: Sequence[Array],
    drift: Array,
    x: Array,
    diagonal: bool,
    how: Callable = resolvent,
) -> Complex[Array, "..."]:
    """Σ_k f^(k) · how(T^(k), drift, x), ranks from one on: f [s, n, …] for every source, T [*a, n, …] for every
    observable."""
    total = jnp.zeros((), complex)
    for k, (f, T) in enumerate(zip(sources, observables, strict=True), start=1):
        flat = jax.vmap(lambda one: how(one, drift, x, diagonal))(T.reshape(-1, *T.shape[T.ndim - k :])).reshape(
            T.shape
        )
        total = total + jnp.tensordot(f, flat, axes=(tuple(range(1, k + 1)), tuple(range(T.ndim - k, T.ndim))))
    return total


def quasifree_response(model: QuasiFree, V, A, equation: AbstractEquation) -> QuasiFreeResponse:
    """`response` for a quasi-free model."""
    V = as_polynomial(V, "the perturbation V", model.modes)
    A, shape = as_polynomials(A, model)
    expansion = expanded(model, V.coefficients, equation, max(1, max(one.degree for one in A)))
    return _linear(expansion.at, expansion.sources, tuple(one.coefficients for one in A), shape)


@eqx.filter_jit
def _linear(at: Frame, sources: tuple[Symbol, ...], A: tuple[Symbol, ...], shape: tuple[int, ...]) -> QuasiFreeResponse:
    return assembled(at, sources, [at.wick(one) for one in A], jnp.zeros(shape))


def assembled(at: Frame, sources: tuple[Symbol, ...], A: list[Symbol], explicit: Array) -> QuasiFreeResponse:
    """From functionals and observables in Wick's order; rank zero has no response."""
    degree = max(2, max(len(one) for one in A))
    tensors = []
    for k in range(1, degree):
        blank = jnp.zeros((at.signed.size,) * k, complex)
        stack = jnp.stack([one[k] if k < len(one) else blank for one in A])
        tensors.append(stack.reshape(*explicit.shape, *blank.shape))
    parts = tuple(jnp.stack([f[k] for f in sources]) for k in range(1, degree))
    return QuasiFreeResponse(at.drift, parts, tuple(tensors), explicit, at.diagonal)


def as_polynomials(A, model: QuasiFree) -> tuple[tuple[Polynomial, ...], tuple[int, ...]]:
    """One observable, or a sequence of them, and the shape of results."""
    if isinstance(A, list | tuple):
        if not A:
            raise InputError("response: at least one observable is needed; got an empty sequence.")
        return tuple(as_polynomial(one, f"the observable A[{i}]", model.modes) for i, one in enumerate(A)), (len(A),)
    return (as_polynomial(A, "the observable A", model.modes),), ()
