"""The linear response of a generator of matrices whose dissipators follow a drive with delay.

Takes: a generator L₀ with its first-order change at ω = 0, observables, what of them changes at once, the exponentials
of the baths. Returns: averages in the first-order state, by mechanism, at frequencies and in time.

The first-order state obeys (L₀ + iω) x = −source(ω). For Redfield's equation with its Lamb shift

    source(ω) = −i[V, π₀] + D⁽¹⁾(ω)π₀,

exact to second order (see `Retarded`). Any other equation keeps its own static response and takes from Redfield's what
depends on the frequency. With k = −i[V, π₀], x_K(ω) = −(L₀ + iω)⁻¹ k, the dressing M and N' = [L₀, M] (see `Dressing`):

    source(ω) = k + k₁(1 − F) + m(ω) + F (D⁽¹⁾_equation π₀ − m(0)),     m(ω) = D⁽¹⁾(ω)π₀ + N'x_K(ω),     k₁ = i[V, Mπ₀],

F = 1 for elements ρ_mn of slow frequency, |ω_mn| ≤ gap, and Γ/(Γ − iω) for the others, Γ above all decay rates: what an
equation has in fast coherences at rest is its own approximation, and does not follow a drive. With

    −(L₀ + iω)⁻¹ N' x_K = −(L₀ + iω)⁻¹ M k − M x_K

no second solution is needed. In time every term is a start, an exponential, or the kernel of `Retarded`.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from .._compiled import compiled
from .._inputs import as_known, is_concrete, nan_where
from ._base import AbstractDelay, AbstractGenerator, Change, State, converged
from ._interaction import Interaction, interaction
from ._interpolation import Interpolation, interpolation
from ._linear import real_times
from ._matrices import AbstractCore, averaged
from ._retarded import Retarded
from ._transient import Panels, panels_for, transient


class Explicit(eqx.Module):
    """What changes at once of a quantity when dissipators change by D_α⁽¹⁾π, a stack over baths, and L by `source`."""

    L: AbstractGenerator
    state: State
    quantity: Any

    def __call__(self, source: State, baths: State) -> Complex[Array, " a"]:
        nothing = jax.tree.map(jnp.zeros_like, self.L.energy), jnp.zeros_like(self.L.temperatures)
        change = Change(jax.tree.map(lambda x: x[None], source), baths, *nothing)
        dtype = jax.tree.leaves(source)[0].dtype
        return self.quantity.explicit(self.L, self.state, change).reshape(-1).astype(dtype)


class Remainder(eqx.Module):
    """What an equation keeps of its own; in the words of the head of this file:

    - `slow`: whether F = 1. `decay`: Γ. `dressed`: k + M k. `kick`: k₁. `still`: Σ_α N'_α x_K(0).
    - `parts`: D⁽¹⁾_equation π₀ − D⁽¹⁾(0)π₀, rotation and shift. `baths`: D⁽¹⁾_equation π₀ − m(0) of each bath.
    - `rows`: observables; of x_K they give Tr[A M x_K], and what N'x_K changes at once. None where M is.
    """

    slow: Bool[Array, "d d"]
    decay: Float[Array, ""]
    dressed: Complex[Array, "d d"]
    kick: Complex[Array, "d d"]
    still: Complex[Array, "d d"]
    parts: Complex[Array, "2 d d"]
    baths: Complex[Array, "baths d d"]
    rows: tuple[Complex[Array, "a d d"], Complex[Array, "a d d"]] | None

    def sources(self, F: Array) -> Complex[Array, "3 d d"]:
        """What is added to k, D⁽¹⁾rot π₀ and D⁽¹⁾shift π₀, but for k itself."""
        kubo = self.dressed + (1 - F) * self.kick - F * self.still
        return jnp.concatenate([kubo[None], F * self.parts])

    def follower(self) -> Complex[Array, "3 d d"]:
        """The coefficient of Γ/(Γ − iω) in that."""
        fast = ~self.slow
        return jnp.concatenate([(fast * -(self.kick + self.still))[None], fast * self.parts])

    def changes(self, F: Array) -> tuple[Array, Array]:
        """What these change of L and of the dissipators."""
        baths = F * self.baths
        return (1 - F) * self.kick + jnp.sum(baths, axis=0), baths


class MatrixDelay(AbstractDelay):
    """The response of matrices with memory. `still`: what `source` is at ω = 0. `kubo`: −i[V, π₀]. `rows`: observables
    A, [a, d, d], `shape` that of the user's. `constant`: what changes at once, without what depends on the
    frequency."""

    core: AbstractCore
    source: Retarded
    still: Complex[Array, "2 baths d d"]
    kubo: Complex[Array, "d d"]
    rows: Complex[Array, "a d d"]
    explicit: Explicit
    constant: Complex[Array, " a"]
    remainder: Remainder
    shape: tuple[int, ...] = eqx.field(static=True)

    def susceptibility(self, omegas: Float[Array, " w"]) -> tuple[Array, Array]:
        few = interpolation(self.source.rates, self.source.energies, omegas)
        values, explicit = _at_frequencies(self, omegas, few)
        return converged(self._shaped(values), self.kubo), self._shaped(explicit)

    def impulse(self, ts: Float[Array, " t"]) -> tuple[Array, Array, Array]:
        values, explicit, weight = _in_time(self, ts, steps=False)
        return self._shaped(values), self._shaped(explicit), self._shaped(weight)

    def step(self, ts: Float[Array, " t"]) -> tuple[Array, Array]:
        values, explicit, weight = _in_time(self, ts, steps=True)
        return self._shaped(values), self._shaped(explicit + weight)

    def slope(self, ts: Float[Array, " t"]) -> Array:
        moving, sources = _moving(self, ts)
        return self._shaped(_in_time(moving, ts, steps=False)[0] + sources)

    @property
    def bandwidth(self) -> Float[Array, ""]:
        return jnp.ptp(self.source.energies) + jnp.max(jnp.abs(self.source.rates.imag))

    def at_infinity(self) -> Array:
        return self._shaped(averaged(self.remainder.changes(self.remainder.slow)[0], self.rows))

    def interaction(self) -> Interaction:
        return interaction(self.source)

    def _shaped(self, values: Array) -> Array:
        return values.reshape(*values.shape[:-1], *self.shape)

    @property
    def scales(self) -> tuple[Array, Array, Array]:
        """What changes in time: frequencies, of levels and of the oscillations of baths together, the decay of states,
        the rates of memory."""
        rates = self.source.rates
        return jnp.ptp(self.source.energies) + jnp.max(jnp.abs(rates.imag)), self.remainder.decay / 2, rates

    def at_once(self, parts: Complex[Array, "2 baths d d"]) -> Complex[Array, " a"]:
        """What changes at once when dissipators change so."""
        return self.explicit(jnp.sum(parts, axis=(0, 1)), jnp.sum(parts, axis=0))

    def limit(self) -> Complex[Array, " a"]:
        """What changes at once when ω → ∞: the weight of δ(t)."""
        return self.constant + self.explicit(*self.remainder.changes(self.remainder.slow))


@compiled
def _at_frequencies(delay: MatrixDelay, omegas: Float[Array, " w"], few: Interpolation | None) -> tuple[Array, Array]:
    """Averages in x(ω) by part, [w, 3, a], and what changes at once, [w, a]."""
    core, rest = delay.core, delay.remainder

    def memory(omega: Array) -> tuple[Array, Array]:
        parts = delay.source.at(omega)
        return jnp.sum(parts, axis=1), delay.at_once(parts)

    def at(omega: Array, by_part: Array, explicit: Array) -> tuple[Array, Array]:
        F = jnp.where(rest.slow, 1.0, rest.decay / (rest.decay - 1j * omega))
        sources = rest.sources(F) + jnp.concatenate([jnp.zeros_like(by_part[:1]), by_part])
        explicit = delay.constant + explicit + delay.explicit(*rest.changes(F))
        if rest.rows is None:
            return -core.averages(sources, omega, delay.rows), explicit
        X = -core.solve(jnp.concatenate([delay.kubo[None], sources]), omega)
        values = averaged(X[1:], delay.rows).at[0].add(-averaged(X[0], rest.rows[0]))
        return values, explicit + averaged(X[0], rest.rows[1])

    if few is None:
        return jax.lax.map(lambda omega: at(omega, *memory(omega)), omegas)
    known = jax.lax.map(memory, few.nodes)

    def some(these: tuple[Array, Array]) -> tuple[Array, Array]:
        omegas, weights = these
        return jax.lax.map(lambda one: at(*one), (omegas, *(real_times(weights, x) for x in known)))

    values, explicit = jax.lax.map(some, (few.chunked(omegas), few.weights))
    return tuple(x.reshape(-1, *x.shape[2:])[: len(omegas)] for x in (values, explicit))  # pyright: ignore


@compiled
def _moving(delay: MatrixDelay, ts: Float[Array, " t"]) -> tuple[MatrixDelay, Array]:
    """What φ moves by, with dx/dt = L₀x + source(t): the response of L₀†A, and Tr[A source(t)] for t > 0, [t, 3, a]."""
    rest, adjoint = delay.remainder, jax.vmap(delay.explicit.L.adjoint)
    rows = None if rest.rows is None else (adjoint(rest.rows[0]), jnp.zeros_like(rest.rows[1]))
    moving = eqx.tree_at(
        lambda d: (d.rows, d.remainder.rows), delay, (adjoint(delay.rows), rows), is_leaf=lambda x: x is None
    )
    late = averaged(rest.decay * rest.follower(), delay.rows)

    def sources(t: Array) -> Array:
        kernel = averaged(jnp.sum(delay.source.after(t[None])[0], axis=1), delay.rows)
        return (jnp.exp(-rest.decay * t) * late).at[1:].add(kernel)

    return moving, jax.lax.map(sources, ts)


def _in_time(delay: MatrixDelay, ts: Float[Array, " t"], *, steps: bool) -> tuple[Array, Array, Array]:
    """The impulse response by part, [t, 3, a], what of it changes at once with delay, [t, a], and the weight of δ(t),
    [a]; or the integrals of the first two from zero on. Not compiled as a whole: known times stay known to
    `propagate`, which makes one exponential of equal intervals."""
    lost = None if is_concrete(ts) else jnp.isnan(ts)
    if lost is not None:  # a traced time that is none costs its own values, not the others
        ts = jnp.where(lost, jnp.nanmax(ts), ts)
    start, drive, rows = _begun(delay, steps)
    source = delay.source
    until = jnp.where(ts[-1] > 0, jnp.minimum(source.memory, ts[-1]), source.memory)
    panels = panels_for(until, *delay.scales)
    early, last = _while_remembered(delay, until, panels, ts, steps)
    late = as_known(_since(ts, until), start.real.dtype)
    values, after = delay.core.propagate_both(start, ts, drive, last, late, rows)
    after = after[1:, :, : len(delay.rows)]
    values, explicit, weight = _together(delay, values, early, after, until, ts, steps)
    if lost is not None:
        values = jnp.asarray(jnp.where(lost[:, None, None], jnp.nan, values))
        explicit = jnp.asarray(jnp.where(lost[:, None], jnp.nan, explicit))
    return values, explicit, weight


def _since(ts: Array, until: Array) -> Any:
    """The times after `until`, zero before it, and zero first."""
    xp: Any = np if is_concrete(ts, until) else jnp
    late = xp.maximum(xp.asarray(ts) - xp.asarray(until), 0)
    return xp.concatenate([xp.zeros(1, late.dtype), late])


@compiled
def _begun(delay: MatrixDelay, steps: bool) -> tuple[Array, Array | None, Array]:
    """Start, drive and observables of what L₀ alone carries through time: k and the three parts, but for what is left
    of the memory."""
    rest, zero = delay.remainder, jnp.zeros_like(delay.kubo)[None]
    # Γ∫₀ᵗ e^{L₀(t−u)} e^{−Γu} du = (e^{L₀t} − e^{−Γt}) Γ(L₀ + Γ)⁻¹, and −(L₀ + Γ)⁻¹ of both is left in its integral.
    Y, start, drive = _followed(delay), rest.sources(rest.slow), None
    if steps:
        drive = start + rest.follower() + jnp.concatenate([zero, jnp.sum(delay.still, axis=1)])
    start = -Y if steps else start + rest.decay * Y
    if rest.rows is None:
        return start, drive, delay.rows
    k, rows = delay.kubo[None], jnp.concatenate([delay.rows, *rest.rows])
    if drive is None:
        return jnp.concatenate([k, start]), None, rows
    return jnp.concatenate([zero, start]), jnp.concatenate([k, drive]), rows


def _followed(delay: MatrixDelay) -> Complex[Array, "3 d d"]:
    """(L₀ + Γ)⁻¹ of what follows with Γ."""
    return delay.core.solve(delay.remainder.follower(), -1j * delay.remainder.decay)


@eqx.filter_jit
def _while_remembered(
    delay: MatrixDelay, until: Array, panels: Panels, ts: Array, steps: bool
) -> tuple[tuple[Array, Array], Array]:
    """What the kernel of the dissipators drives up to `until`, [t, 2, a], and changes at once, [t, a], with the two
    states at the end. An integral from zero on is one to infinity, which `_begun` holds, less what is left of it."""
    source = delay.source.left() if steps else delay.source

    def parts(us: Array) -> tuple[Array, Array]:
        each = -source.after(us) if steps else source.after(us)
        return jnp.sum(each, axis=2), jax.vmap(delay.at_once)(each)

    found = transient(delay.core, source.frequencies, parts, until, panels, delay.rows)
    coarse = ~jax.lax.stop_gradient(panels.resolves(until, *delay.scales))
    columns, last = (nan_where(x, coarse, source) for x in (found(jnp.minimum(ts, until)), found.last))
    count = columns.shape[1] // 3
    return (columns[:, : 2 * count].reshape(-1, 2, count), columns[:, 2 * count :]), last


@compiled
def _together(
    delay: MatrixDelay, values: Array, early: tuple[Array, Array], after: Array, until: Array, ts: Array, steps: bool
) -> tuple[Array, Array, Array]:
    rest, over = delay.remainder, ts > until
    memory = jnp.where(over[:, None, None], after, early[0])
    delayed = jnp.where(over[:, None], 0.0, early[1])
    delayed = delayed + delay.at_once(delay.still) if steps else delayed
    decay = jnp.exp(-rest.decay * ts)[:, None]
    share = 1 - decay if steps else rest.decay * decay
    if rest.rows is not None:
        own, dressed, explicit = jnp.split(values, 3, axis=-1)
        values, delayed = own[:, 1:].at[:, 0].add(-dressed[:, 0]), delayed + explicit[:, 0]
    left = (decay if steps else -share)[:, None] * averaged(_followed(delay), delay.rows)
    values = (values + left).at[:, 1:].add(memory)
    follower = delay.explicit(*rest.changes(jnp.ones_like(rest.slow))) - delay.explicit(*rest.changes(rest.slow))
    return values, delayed + share * follower, delay.limit()
