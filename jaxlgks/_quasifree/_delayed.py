"""The linear response of oscillators whose dissipators follow a drive with delay.

Takes: Redfield's generator L₀ with its Lamb shift and its first-order change at ω = 0, observables, the exponentials of
the baths. Returns: averages in the first-order state, by mechanism, at frequencies and in time.

The first-order state obeys (L₀ + iω) x = −k − D⁽¹⁾(ω)π₀, k = −i[V, π₀] (see `_generator/_delayed.py`). What the
exponentials miss of the static D⁽¹⁾π₀, rounding or the error of a fit, follows as one more, Γ/(Γ − iω) with Γ above all
decay rates: the static response is the generator's own. In time, for each exponential,

    ∫₀ᵗ du e^{L₀(t−u)} e^{−zu} Q = (e^{L₀t} − e^{−zt}) G,     (L₀ + z) G = Q,

so that the sum of all G is one start more for e^{L₀t}, and what is left are numbers times e^{−zt}.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._generator import ABOVE, AbstractDelay, AbstractGenerator, Change, Explicit, Exponentials, converged
from .._polynomials import Symbol, symmetrised
from .._system import Noise
from ._dynamics import coupling_form, damping_rates, one_noise_each
from ._expansion import rate_scale
from ._first_order import secular
from ._flow import Functional, averaged, propagated, resolvents, solved
from ._frame import Frame
from ._model import QuasiFree
from ._retarded import Retarded, hermitian, retarded


class PolynomialDelay(AbstractDelay):
    """The response with memory.

    - `kubo`: −i[V, π₀]. `rows`: observables A, a stack [a], `shape` that of the user's.
    - `parts`, `baths`: what `source` misses at ω = 0, by mechanism and by bath; `decay`: Γ.
    - `constant`: what changes at once, without what depends on the frequency.
    """

    at: Frame
    source: Retarded
    kubo: Functional
    rows: Symbol
    explicit: Explicit
    constant: Complex[Array, " a"]
    parts: Functional
    baths: Functional
    decay: Float[Array, ""]
    shape: tuple[int, ...] = eqx.field(static=True)

    def susceptibility(self, omegas: Float[Array, " w"]) -> tuple[Array, Array]:
        values, explicit = _at_frequencies(self, omegas)
        return converged(self._shaped(values), self.kubo), self._shaped(explicit)

    def impulse(self, ts: Float[Array, " t"]) -> tuple[Array, Array, Array]:
        values, explicit = _in_time(self, ts, steps=False)
        return self._shaped(values), self._shaped(explicit), self._shaped(self.constant)

    def step(self, ts: Float[Array, " t"]) -> tuple[Array, Array]:
        values, explicit = _in_time(self, ts, steps=True)
        return self._shaped(values), self._shaped(explicit + self.constant)

    def _shaped(self, values: Array) -> Array:
        return values.reshape(*values.shape[:-1], *self.shape)

    def changes(self, driven: Functional, share: Array) -> tuple[Functional, Array]:
        """Sources by part, [3], and what the quantity changes at once, from D_α⁽¹⁾π₀ by part and bath and the share of
        what it misses."""
        by_part, by_bath = _summed(driven, 1), _summed(driven, 0)
        by_part, by_bath = _plus(by_part, self.parts, share), _plus(by_bath, self.baths, share)
        return by_part, self.explicit(_summed(by_bath, 0), by_bath)


def _summed(f: Functional, axis: int) -> Functional:
    return tuple(jnp.sum(x, axis=axis) for x in f)


def _plus(f: Functional, g: Functional, factor: Array) -> Functional:
    return tuple(x + factor * y for x, y in zip(f, g, strict=True))


@eqx.filter_jit
def _at_frequencies(delay: PolynomialDelay, omegas: Float[Array, " w"]) -> tuple[Array, Array]:
    """Averages in x(ω) by part, [w, 3, a], and what changes at once, [w, a]."""

    def at(omega: Array) -> tuple[Array, Array]:
        share = delay.decay / (delay.decay - 1j * omega)
        parts, explicit = delay.changes(delay.source.at(omega), share)
        sources = tuple(jnp.concatenate([k[None], f]) for k, f in zip(delay.kubo, parts, strict=True))
        values = resolvents(delay.at.drift, delay.at.diagonal, sources, omega[None], delay.rows)
        return -values[0], delay.constant + explicit

    return jax.vmap(at)(omegas)


@eqx.filter_jit
def _in_time(delay: PolynomialDelay, ts: Float[Array, " t"], *, steps: bool) -> tuple[Array, Array]:
    """The impulse response by part, [t, 3, a], and what of it changes at once with delay, [t, a]; or the integrals of
    both from zero on."""
    at, source, decay = delay.at, delay.source, delay.decay
    start, weights, late = _carried(delay)
    started = None if steps else start
    drive = start if steps else None
    values = propagated(at.drift, at.diagonal, started, ts, delay.rows, drive)

    def left(z: Array, t: Array) -> Array:
        return -jnp.expm1(-z * t) / z if steps else jnp.exp(-z * t)

    def one(t: Array) -> tuple[Array, Array]:
        each = jnp.tensordot(left(source.rates, t).reshape(-1), weights, axes=([0], [0]))
        share = left(decay, t)
        _, explicit = delay.changes(source.until(t) if steps else source.after(t), decay * share)
        return 2 * each.real + share * late, explicit

    beside, explicit = jax.vmap(one)(ts)
    return values.at[:, 1:].add(-beside), explicit


def _carried(delay: PolynomialDelay) -> tuple[Functional, Array, Array]:
    """What L₀ alone carries through time, k and ΣG by part, [3]; A in each G, [z, 2, a], and in that of Γ, [2, a]."""
    at, source = delay.at, delay.source

    def solution(z: Array, unit: Functional) -> Functional:
        return solved(unit, at.drift, z, at.diagonal)

    over_units = jax.vmap(solution)
    over_terms = jax.vmap(over_units, in_axes=(0, None))
    G = jax.vmap(over_terms)(source.rates, source.units)
    last = solved_each(delay.parts, delay)
    total = hermitian(tuple(jnp.einsum("mbjp,bjp...->m...", source.amplitudes, g) for g in G))
    total = _plus(total, last, jnp.ones(()))
    start = tuple(jnp.concatenate([k[None], f]) for k, f in zip(delay.kubo, total, strict=True))
    weights = jnp.moveaxis(source.amplitudes, 0, -1)[..., None] * averaged(G, delay.rows)[..., None, :]
    return start, weights.reshape(-1, *weights.shape[3:]), averaged(last, delay.rows).real


def solved_each(f: Functional, delay: PolynomialDelay) -> Functional:
    """Γ (L₀ + Γ)⁻¹ of a stack."""
    G = jax.vmap(lambda *x: solved(x, delay.at.drift, delay.decay, delay.at.diagonal))(*f)
    return tuple(delay.decay * g for g in G)


@eqx.filter_jit
def polynomial_delay(
    L: AbstractGenerator,
    model: QuasiFree,
    at: Frame,
    X: Functional,
    change: Change,
    quantity: Any,
    exponentials: Exponentials,
) -> PolynomialDelay:
    """The response of a quantity. `change`: at ω = 0."""
    degree = len(change.sources) - 1

    def coupling(noise: Noise) -> Array:
        return at.modes.forms.T @ coupling_form(noise)[0]

    S = jnp.stack([coupling(noise) for noise in one_noise_each(model)]).astype(complex)
    V, scale = at.to_bohr(change.energy), rate_scale(model)
    inside = tuple(jnp.where(secular(at, scale, k), v, 0.0) for k, v in enumerate(V))
    outside = tuple(v - w for v, w in zip(V, inside, strict=True))
    source = retarded(at, S, exponentials, (outside, inside), degree)
    still = source.at(jnp.zeros(()))
    explicit = Explicit(L, X, quantity)
    # Functionals of `first_order` need not be symmetric tensors; those that L₀ is solved for must be.
    of_parts = tuple(jax.vmap(symmetrised)(x[1:]) for x in change.sources)
    parts = tuple(jnp.asarray(x - jnp.sum(y, axis=1)) for x, y in zip(of_parts, still, strict=True))
    baths = tuple(x - jnp.sum(y, axis=0) for x, y in zip(change.baths, still, strict=True))
    own = tuple(jnp.asarray(b, complex) for b in change.baths)
    constant = quantity.explicit(L, X, change).reshape(-1) - explicit(_summed(own, 0), own)
    observables = quantity.linear(L, X)
    shape = observables[0].shape
    rows = tuple(a.reshape(-1, *a.shape[a.ndim - k :]) for k, a in enumerate(observables))
    kubo = tuple(x[0] for x in change.sources)
    decay = ABOVE * jnp.max(damping_rates(at.modes, model))
    return PolynomialDelay(at, source, kubo, rows, explicit, constant, parts, baths, decay, shape)
