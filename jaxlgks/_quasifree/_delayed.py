"""The linear response of oscillators whose dissipators follow a drive with delay.

Takes: a generator L₀ with its first-order change at ω = 0, observables, the exponentials of the baths. Returns:
averages in the first-order state, by mechanism, at frequencies and in time.

The first-order state obeys (L₀ + iω) x = −source(ω), of which `_generator/_delayed.py` says what it is for Redfield's
equation with its Lamb shift and for the others. In time, for each exponential of the source,

    ∫₀ᵗ du e^{L₀(t−u)} e^{−zu} Q = (e^{L₀t} − e^{−zt}) G,     (L₀ + z) G = Q,

so that the sum of all G is one start more for e^{L₀t}, and what is left are numbers times e^{−zt}.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._compiled import compiled
from .._generator import (
    ABOVE,
    APART,
    AbstractDelay,
    AbstractInteraction,
    Change,
    Explicit,
    Exponentials,
    converged,
    exponentials_of,
    warn_of_near,
)
from .._inputs import is_concrete
from .._polynomials import Symbol, symmetrised
from ._dynamics import coupling_form, damping_rates, one_noise_each
from ._expansion import rate_scale
from ._first_order import nominal_of, secular
from ._flow import Functional, averaged, on_each_slot, propagated, resolvents, solved, sums
from ._frame import Frame
from ._interaction import interaction
from ._missing import dressing, kicked
from ._model import QuasiFree
from ._modes import MERGED
from ._retarded import Retarded, hermitian, retarded

Own = tuple[Functional, Functional]


class Remainder(eqx.Module):
    """What of the source is not the kernel of the dissipators, by part, [3].

    - `at_once`: what follows a drive at once. `late`: what follows as Γ/(Γ − iω); `decay`: Γ.
    - `explicit`: what `late` changes at once of the quantity.
    - `dressed`, `explicit_rows`: observables; of x_K, with k as its source, they give Tr[A M x_K] and what N'x_K
      changes at once.
    """

    at_once: Functional
    late: Functional
    decay: Float[Array, ""]
    explicit: Complex[Array, " a"]
    dressed: Symbol
    explicit_rows: Symbol


class PolynomialDelay(AbstractDelay):
    """The response with memory. `kubo`: k = −i[V, π₀]. `rows`: observables A, a stack [a], `shape` that of the user's.
    `weight`: what changes at once of the quantity, whatever the frequency."""

    at: Frame
    source: Retarded
    kubo: Functional
    rows: Symbol
    explicit: Explicit
    weight: Complex[Array, " a"]
    remainder: Remainder
    shape: tuple[int, ...] = eqx.field(static=True)

    def susceptibility(self, omegas: Float[Array, " w"]) -> tuple[Array, Array]:
        values, explicit = _at_frequencies(self, omegas)
        return converged(self._shaped(values), self.kubo), self._shaped(explicit)

    def impulse(self, ts: Float[Array, " t"]) -> tuple[Array, Array, Array]:
        values, explicit = _in_time(self, ts, steps=False)
        return self._shaped(values), self._shaped(explicit), self._shaped(self.weight)

    def step(self, ts: Float[Array, " t"]) -> tuple[Array, Array]:
        values, explicit = _in_time(self, ts, steps=True)
        return self._shaped(values), self._shaped(explicit + self.weight)

    def slope(self, ts: Float[Array, " t"]) -> Array:
        return self._shaped(_slope(self, ts))

    @property
    def bandwidth(self) -> Float[Array, ""]:
        return 4 * jnp.max(jnp.abs(self.at.signed)) + jnp.max(jnp.abs(self.source.rates.imag))

    def at_infinity(self) -> Array:
        at_once = averaged(_summed(self.remainder.at_once, 0), self.rows)
        return self._shaped(at_once - averaged(self.kubo, self.rows) - averaged(self.kubo, self.remainder.dressed))

    def interaction(self) -> AbstractInteraction:
        return interaction(self.at, self.source)

    def _shaped(self, values: Array) -> Array:
        return values.reshape(*values.shape[:-1], *self.shape)

    def all_rows(self) -> Symbol:
        """A, and what is asked of x_K beside it, [3 a]."""
        each = zip(self.rows, self.remainder.dressed, self.remainder.explicit_rows, strict=True)
        return tuple(jnp.concatenate(one) for one in each)

    def apart(self, values: Array) -> tuple[Array, Array]:
        """From averages of all rows in the three parts and in x_K, [*, 4, 3 a], those of A by part, [*, 3, a], and what
        N'x_K changes at once, [*, a]."""
        own, dressed, explicit = jnp.split(values, 3, axis=-1)
        return own[:, :3].at[:, 0].add(-dressed[:, 3]), explicit[:, 3]

    def at_once(self, driven: Functional) -> Array:
        """What D_α⁽¹⁾π₀, by part and bath, changes at once of the quantity."""
        by_bath = _summed(driven, 0)
        return self.explicit(_summed(by_bath, 0), by_bath)


def _summed(f: Functional, axis: int) -> Functional:
    return tuple(jnp.sum(x, axis=axis) for x in f)


def _plus(f: Functional, g: Functional, factor: Any = 1.0) -> Functional:
    return tuple(x + factor * y for x, y in zip(f, g, strict=True))


def _joined(*stacks: Functional) -> Functional:
    return tuple(jnp.concatenate(one) for one in zip(*stacks, strict=True))


def _stack(f: Functional) -> Functional:
    """One functional as a stack."""
    return tuple(x[None] for x in f)


@compiled
def _at_frequencies(delay: PolynomialDelay, omegas: Float[Array, " w"]) -> tuple[Array, Array]:
    """Averages in x(ω) by part, [w, 3, a], and what changes at once, [w, a]."""
    rest, rows, k = delay.remainder, delay.all_rows(), _stack(delay.kubo)

    def at(omega: Array) -> tuple[Array, Array]:
        share, driven = rest.decay / (rest.decay - 1j * omega), delay.source.at(omega)
        kernel = _joined(tuple(jnp.zeros_like(x) for x in k), _summed(driven, 1))
        sources = _joined(_plus(_plus(rest.at_once, rest.late, share), kernel), k)
        values = -resolvents(delay.at.drift, delay.at.diagonal, sources, omega[None], rows)
        return values[0], delay.weight + delay.at_once(driven) + share * rest.explicit

    values, explicit = jax.vmap(at)(omegas)
    values, of_x = delay.apart(values)
    return values, explicit + of_x


@compiled
def _in_time(delay: PolynomialDelay, ts: Float[Array, " t"], *, steps: bool) -> tuple[Array, Array]:
    """The impulse response by part, [t, 3, a], and what of it changes at once with delay, [t, a]; or the integrals of
    both from zero on."""
    at, source, rest = delay.at, delay.source, delay.remainder
    followed, weights, late = _carried(delay)
    start = _joined(_plus(rest.at_once, followed), _stack(delay.kubo))
    begun, drive = (None, start) if steps else (start, None)
    values, explicit = delay.apart(propagated(at.drift, at.diagonal, begun, ts, delay.all_rows(), drive))

    def left(z: Array, t: Array) -> Array:
        return -jnp.expm1(-z * t) / z if steps else jnp.exp(-z * t)

    def one(t: Array) -> tuple[Array, Array]:
        each = 2 * jnp.tensordot(left(source.rates, t).reshape(-1), weights, axes=([0], [0])).real
        share = left(rest.decay, t)
        driven = source.until(t) if steps else source.after(t)
        beside = (share * late).at[1:].add(each)
        return beside, delay.at_once(driven) + rest.decay * share * rest.explicit

    beside, at_once = jax.vmap(one)(ts)
    return values - beside, explicit + at_once


@compiled
def _slope(delay: PolynomialDelay, ts: Float[Array, " t"]) -> Array:
    """The derivative of the impulse response of observables by part, [t, 3, a]."""
    at, source, rest = delay.at, delay.source, delay.remainder
    followed, weights, late = _carried(delay)
    start = _joined(_plus(rest.at_once, followed), _stack(delay.kubo))
    rows = jax.vmap(lambda *A: tuple(on_each_slot(at.drift, A, 0)))(*delay.all_rows())
    values = delay.apart(propagated(at.drift, at.diagonal, start, ts, rows, None))[0]

    def one(t: Array) -> Array:
        decaying = (source.rates * jnp.exp(-source.rates * t)).reshape(-1)
        each = 2 * jnp.tensordot(decaying, weights, axes=([0], [0])).real
        return (rest.decay * jnp.exp(-rest.decay * t) * late).at[1:].add(each)

    return values + jax.vmap(one)(ts)


def _carried(delay: PolynomialDelay) -> tuple[Functional, Array, Array]:
    """ΣG by part, [3], which L₀ carries on; A in each G of the kernel, [z, 2, a], and in that of Γ, [3, a]."""
    at, source, rest = delay.at, delay.source, delay.remainder

    def solution(z: Array, unit: Functional) -> Functional:
        return solved(unit, at.drift, z, at.diagonal)

    G = jax.vmap(jax.vmap(jax.vmap(solution), in_axes=(0, None)))(source.rates, source.units)
    late = jax.vmap(lambda *f: solution(rest.decay, f))(*rest.late)
    late = tuple(rest.decay * x for x in late)
    kernel = hermitian(tuple(jnp.einsum("mbjp,bjp...->m...", source.amplitudes, g) for g in G))
    total = _plus(late, _joined(tuple(jnp.zeros_like(x[:1]) for x in kernel), kernel))
    weights = jnp.moveaxis(source.amplitudes, 0, -1)[..., None] * averaged(G, delay.rows)[..., None, :]
    return total, weights.reshape(-1, *weights.shape[3:]), averaged(late, delay.rows).real


def with_memory(L: Any, X: Functional, change: Change, quantity: Any) -> PolynomialDelay:
    """The response of a quantity; see `AbstractGenerator.delayed`. L: a `PolynomialGenerator`."""
    warn_of_near_modes(L, change.energy)
    return _delayed(L, X, change, quantity, exponentials_of(one_noise_each(L.model)))


def warn_of_near_modes(L: Any, V: Symbol) -> None:
    """Where V joins modes that a secular equation treats apart and that lie within few decay rates."""
    if L.equation.regroups and is_concrete(L.model, L.at, V):
        warn_of_near(float(_nearest(L.at, L.model, V)), "modes", L.equation)


@compiled
def _nearest(at: Frame, model: QuasiFree, V: Symbol) -> Float[Array, ""]:
    """The smallest Bohr frequency of a term of V that an equation treats as large, over the fastest decay rate."""
    V = at.to_bohr(V)
    largest, top = jnp.max(jnp.stack([jnp.max(jnp.abs(v)) for v in V])), at.modes.frequencies[-1]
    terms = [
        jnp.where(
            (jnp.abs(v) > 1e-9 * largest) & (jnp.abs(nominal_of(at, k)) > k * MERGED * top),
            jnp.abs(sums(at.signed, k)),
            jnp.inf,
        )
        for k, v in enumerate(V)
    ]
    return jnp.min(jnp.stack([jnp.min(one) for one in terms])) / jnp.max(damping_rates(at.modes, model))


@compiled
def _delayed(L: Any, X: Functional, change: Change, quantity: Any, exponentials: Exponentials):
    """The same, compiled."""
    at, model, source = L.at, L.model, _source(L.at, L.model, change, exponentials)
    explicit = Explicit(L, X, quantity)
    observables = quantity.linear(L, X)
    rows = tuple(a.reshape(-1, *a.shape[a.ndim - k :]) for k, a in enumerate(observables))
    # Observables of a lower degree than the functionals have no elements of the last ranks.
    rows += tuple(jnp.zeros((len(rows[0]), *x.shape[1:]), complex) for x in change.sources[len(rows) :])
    still = source.at(jnp.zeros(()))
    # Functionals of `first_order` need not be symmetric tensors; those that L₀ is solved for must be.
    sources, baths = (_symmetric(x) for x in (change.sources, change.baths))
    own = _plus(tuple(x[1:] for x in sources), _summed(still, 1), -1.0), _plus(baths, _summed(still, 0), -1.0)
    constant = quantity.explicit(L, X, change).reshape(-1) - explicit(_summed(baths, 0), baths)
    k, fastest = tuple(x[0] for x in sources), jnp.max(damping_rates(at.modes, model))
    make = _of_exponentials if L.equation.second_order else _of_equation
    rest, weight = make(L, k, change.energy, own, fastest, explicit, rows)
    return PolynomialDelay(at, source, k, rows, explicit, constant + weight, rest, observables[0].shape)


def _symmetric(f: Functional) -> Functional:
    """A stack of functionals as complex symmetric tensors."""
    return tuple(jnp.asarray(jax.vmap(symmetrised)(x), complex) for x in f)


def _source(at: Frame, model: QuasiFree, change: Change, exponentials: Exponentials) -> Retarded:
    V, scale = at.to_bohr(change.energy), rate_scale(model)
    inside = tuple(jnp.asarray(jnp.where(secular(at, scale, k), v, 0.0)) for k, v in enumerate(V))
    outside = _plus(V, inside, -1.0)
    return retarded(at, couplings_of(at, model), exponentials, (outside, inside), len(change.sources) - 1)


def couplings_of(at: Frame, model: QuasiFree) -> tuple[Complex[Array, "baths n"], Complex[Array, " baths"]]:
    """S of each bath about the minimum of H: its form in β, and its constant."""
    each = [coupling_form(noise) for noise in one_noise_each(model)]
    forms, constants = (jnp.stack(x) for x in zip(*each, strict=True))
    return (forms @ at.modes.forms).astype(complex), (constants + forms @ at.modes.centre).astype(complex)


def _of_exponentials(L: Any, k: Functional, V: Symbol, own: Own, fastest: Array, explicit: Explicit, rows: Symbol):
    """Of an equation that is exact to second order: what its exponentials miss of a bath follows whole, so that the
    static response is the equation's and a kick acts on the system alone."""
    parts, baths = own
    nothing, none = tuple(jnp.zeros_like(a) for a in rows), tuple(jnp.zeros_like(x) for x in k)
    at_once = _joined(_stack(k), tuple(jnp.zeros_like(x) for x in parts))
    late, changed = _joined(_stack(none), parts), explicit(_summed(baths, 0), baths)
    return Remainder(at_once, late, ABOVE * fastest, changed, nothing, nothing), jnp.zeros_like(changed)


def _of_equation(L: Any, k: Functional, V: Symbol, own: Own, fastest: Array, explicit: Explicit, rows: Symbol):
    """Of any other: what it averages away is put back to first order, and what it has in fast elements at rest does not
    follow a drive. Elements are monomials in Wick's order, which have one Bohr frequency where the steady state
    commutes with H (secular equations), and to first order elsewhere. Second: what `at_once` changes of the quantity.
    """
    parts, baths = own
    at, dissipators = L.at, L.dissipators()
    fast = [jnp.abs(sums(at.signed, rank)) > APART * fastest for rank in range(len(k))]
    M = dressing(L.model, L.equation, at, APART * fastest)
    kick = kicked(V, M((jnp.ones_like(k[0]), *(jnp.zeros_like(x) for x in k[1:]))), at)
    x_K = tuple(-x for x in solved((jnp.zeros_like(k[0]), *k[1:]), at.drift, jnp.zeros(()), at.diagonal))
    still = M.by_bath(x_K, dissipators)
    baths = _plus(baths, still, -1.0)

    def split(f: Functional) -> tuple[Functional, Functional]:
        """Its slow elements and its fast ones."""
        late = tuple(jnp.asarray(jnp.where(where, x, 0.0)) for where, x in zip(fast, f, strict=True))
        return _plus(f, late, -1.0), late

    (_, k1), (slow, late), (own_slow, own_late), (slow_baths, late_baths) = map(
        split, (kick, _summed(still, 0), parts, baths)
    )
    at_once = _plus(_plus(_plus(k, M(k)), k1), slow, -1.0)
    following = tuple(-x for x in _plus(late, k1))

    def changed(baths: Functional, beside: Functional, sign: float) -> Array:
        return explicit(_plus(_summed(baths, 0), beside, sign), baths)

    def of_x(x: Functional) -> Array:
        by_bath = M.by_bath(x, dissipators)
        return explicit(_summed(by_bath, 0), by_bath)

    transpose = jax.vjp(of_x, tuple(jnp.zeros_like(x) for x in k))[1]
    (explicit_rows,) = jax.vmap(transpose)(jnp.eye(len(rows[0]), dtype=complex))
    rest = Remainder(
        _joined(_stack(at_once), own_slow),
        _joined(_stack(following), own_late),
        ABOVE * fastest,
        changed(late_baths, k1, -1.0),
        jax.vmap(lambda *A: M.adjoint(A))(*rows),
        explicit_rows,
    )
    return rest, changed(slow_baths, k1, 1.0)
