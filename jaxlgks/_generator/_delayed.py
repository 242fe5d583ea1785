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

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from .._equations import Dissipation, product_within, relaxation_rate
from .._inputs import as_known, depth_outside, is_concrete
from .._system import Noise
from ..errors import CorrelationError, InputError, ValidityWarning
from ._base import AbstractDelay, AbstractGenerator, Change, converged
from ._matrices import AbstractCore, averaged, rotated_dissipators
from ._missing import Dressing, Missing
from ._retarded import Retarded, retarded

APART, ABOVE, JOINED = 3.0, 4.0, 10.0
"""The gap and Γ, and below which distance of levels that V joins secular equations warn, in units of the fastest decay
rate."""


class Explicit(eqx.Module):
    """What changes at once of a quantity when dissipators change by D_α⁽¹⁾π, [baths, d, d], and L by `source`."""

    L: AbstractGenerator
    state: Complex[Array, "d d"]
    quantity: Any

    def __call__(self, source: Complex[Array, "d d"], baths: Complex[Array, "baths d d"]) -> Complex[Array, " a"]:
        nothing = jnp.zeros_like(self.state), jnp.zeros_like(self.L.temperatures)
        change = Change(source[None], baths, *nothing)
        return self.quantity.explicit(self.L, self.state, change).reshape(-1).astype(self.state.dtype)


class Remainder(eqx.Module):
    """What an equation keeps of its own; in the words of the head of this file:

    - `slow`: whether F = 1. `decay`: Γ. `dressed`: k + M k. `kick`: k₁. `still`: Σ_α N'_α x_K(0).
    - `parts`: D⁽¹⁾_equation π₀ − D⁽¹⁾(0)π₀, rotation and shift. `baths`: D⁽¹⁾_equation π₀ − m(0) of each bath.
    - `rows`, `explicit_rows`: observables; of x_K they give Tr[A M x_K] and what N'x_K changes at once.
    """

    slow: Bool[Array, "d d"]
    decay: Float[Array, ""]
    dressed: Complex[Array, "d d"]
    kick: Complex[Array, "d d"]
    still: Complex[Array, "d d"]
    parts: Complex[Array, "2 d d"]
    baths: Complex[Array, "baths d d"]
    rows: Complex[Array, "a d d"]
    explicit_rows: Complex[Array, "a d d"]

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
    """The response of matrices with memory. `kubo`: −i[V, π₀]. `rows`: observables A, [a, d, d], `shape` that of the
    user's. `constant`: what changes at once, without what depends on the frequency."""

    core: AbstractCore
    source: Retarded
    kubo: Complex[Array, "d d"]
    rows: Complex[Array, "a d d"]
    explicit: Explicit
    constant: Complex[Array, " a"]
    remainder: Remainder
    shape: tuple[int, ...] = eqx.field(static=True)

    def susceptibility(self, omegas: Float[Array, " w"]) -> tuple[Array, Array]:
        values, explicit = _at_frequencies(self, omegas)
        return converged(self._shaped(values), self.kubo), self._shaped(explicit)

    def impulse(self, ts: Float[Array, " t"]) -> tuple[Array, Array, Array]:
        values, explicit, weight = _in_time(self, ts, steps=False)
        return self._shaped(values), self._shaped(explicit), self._shaped(weight)

    def step(self, ts: Float[Array, " t"]) -> tuple[Array, Array]:
        values, explicit, weight = _in_time(self, ts, steps=True)
        return self._shaped(values), self._shaped(explicit + weight)

    def _shaped(self, values: Array) -> Array:
        return values.reshape(*values.shape[:-1], *self.shape)

    def limit(self) -> Complex[Array, " a"]:
        """What changes at once when ω → ∞: the weight of δ(t)."""
        return self.constant + self.explicit(*self.remainder.changes(self.remainder.slow))


@eqx.filter_jit
def _at_frequencies(delay: MatrixDelay, omegas: Float[Array, " w"]) -> tuple[Array, Array]:
    """Averages in x(ω) by part, [w, 3, a], and what changes at once, [w, a]."""
    core, rest = delay.core, delay.remainder

    def at(omega: Array) -> tuple[Array, Array]:
        parts = delay.source.at(omega)
        by_part, baths = jnp.sum(parts, axis=1), jnp.sum(parts, axis=0)
        explicit = delay.constant + delay.explicit(jnp.sum(baths, axis=0), baths)
        F = jnp.where(rest.slow, 1.0, rest.decay / (rest.decay - 1j * omega))
        sources = rest.sources(F) + jnp.concatenate([jnp.zeros_like(by_part[:1]), by_part])
        X = -core.solve(jnp.concatenate([delay.kubo[None], sources]), omega)
        values = averaged(X[1:], delay.rows).at[0].add(-averaged(X[0], rest.rows))
        return values, explicit + delay.explicit(*rest.changes(F)) + averaged(X[0], rest.explicit_rows)

    return jax.lax.map(at, omegas)


def _in_time(delay: MatrixDelay, ts: Float[Array, " t"], *, steps: bool) -> tuple[Array, Array, Array]:
    """The impulse response by part, [t, 3, a], what of it changes at once with delay, [t, a], and the weight of δ(t),
    [a]; or the integrals of the first two from zero on. Not compiled as a whole: known times stay known to
    `propagate`, which makes one exponential of equal intervals."""
    lost = None if is_concrete(ts) else jnp.isnan(ts)
    if lost is not None:  # a traced time that is none costs its own values, not the others
        ts = jnp.where(lost, jnp.nanmax(ts), ts)
    start, drive, rows = _begun(delay, steps)
    values = delay.core.propagate(start, ts, rows, drive)
    until = jnp.minimum(delay.source.memory, ts[-1])
    try:
        early, last, drive = _while_remembered(delay, until, ts, steps)
    except TypeError as problem:  # diffrax's adjoint, whose own words name neither the cause nor the way out
        if "custom_vjp" not in str(problem):
            raise
        raise InputError(
            "A response in time with the memory of its baths has derivatives in reverse mode only (jax.grad, "
            "jax.jacrev); got forward mode. At frequencies it has both."
        ) from problem
    late = as_known(_since(ts, until), start.real.dtype)
    after = delay.core.propagate(last, late, delay.rows, drive)[1:]
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


@eqx.filter_jit
def _begun(delay: MatrixDelay, steps: bool) -> tuple[Array, Array | None, Array]:
    """Start, drive and observables of what L₀ alone carries through time: k and the three parts, but for the kernel."""
    rest, zero = delay.remainder, jnp.zeros_like(delay.kubo)[None]
    start = jnp.concatenate([delay.kubo[None], rest.sources(rest.slow)])
    rows = jnp.concatenate([delay.rows, rest.rows, rest.explicit_rows])
    # Γ∫₀ᵗ e^{L₀(t−u)} e^{−Γu} du = (e^{L₀t} − e^{−Γt}) Γ(L₀ + Γ)⁻¹, and −(L₀ + Γ)⁻¹ of both is left in its integral.
    Y = _followed(delay)
    if steps:
        return jnp.concatenate([zero, -Y]), start + jnp.concatenate([zero, rest.follower()]), rows
    return start + rest.decay * jnp.concatenate([zero, Y]), None, rows


def _followed(delay: MatrixDelay) -> Complex[Array, "3 d d"]:
    """(L₀ + Γ)⁻¹ of what follows with Γ."""
    return delay.core.solve(delay.remainder.follower(), -1j * delay.remainder.decay)


@eqx.filter_jit
def _while_remembered(delay: MatrixDelay, until: Array, ts: Array, steps: bool) -> tuple[Array, Array, Array | None]:
    """What the kernel of the dissipators drives up to `until`, [t, 2, a], the two states there, and what goes on."""
    from ._integration import integrated_source  # diffrax would be a third of the time of importing jaxlgks

    source = delay.source
    kernel = source.until if steps else source.after
    values, last = integrated_source(
        delay.core,
        source.frequencies,
        lambda u: jnp.sum(kernel(u), axis=1),
        source.size,
        jnp.minimum(ts, until),
        delay.rows,
    )
    return values, last, jnp.sum(source.until(until), axis=1) if steps else None


@eqx.filter_jit
def _together(
    delay: MatrixDelay, values: Array, early: Array, after: Array, until: Array, ts: Array, steps: bool
) -> tuple[Array, Array, Array]:
    source, rest = delay.source, delay.remainder
    memory = jnp.where((ts > until)[:, None, None], after, early)

    def at_once(u: Array) -> Array:
        baths = jnp.sum(source.until(u) if steps else source.after(u), axis=0)
        return delay.explicit(jnp.sum(baths, axis=0), baths)

    delayed = jax.lax.map(at_once, ts)
    decay = jnp.exp(-rest.decay * ts)[:, None]
    share = 1 - decay if steps else rest.decay * decay
    own, dressed, explicit = jnp.split(values, 3, axis=-1)
    left = (decay if steps else -share)[:, None] * averaged(_followed(delay), delay.rows)
    values = (own[:, 1:] + left).at[:, 0].add(-dressed[:, 0]).at[:, 1:].add(memory)
    follower = delay.explicit(*rest.changes(jnp.ones_like(rest.slow))) - delay.explicit(*rest.changes(rest.slow))
    return values, delayed + explicit[:, 0] + share * follower, delay.limit()


POLES = 1e-10, 1e-6
"""Tolerances of the exponentials of a bath whose density has poles: the second where the first needs too many."""
FITTED = 1e-6, 1e-4
"""The same of a density whose rate is fitted."""
TERMS = 60
"""How many exponentials a density with poles has where numbers are traced and none can be counted."""


def _require_known(resolved: Dissipation, quantity: Any) -> None:
    """Raise for what is known at once only."""
    if not quantity.with_memory:
        raise InputError(
            f"The response of {quantity.name} in time or frequency is not known where dissipators follow the drive "
            "with the memory of their baths. Ask for heat_currents, or for static(), or set instantaneous=True: right "
            "for drives much slower than the transitions."
        )
    if resolved.turns and quantity.dissipated:
        raise InputError(
            f"The response of {quantity.name} in time or frequency is not known with memory for a system in a rotating "
            "frame: what jumps take up beside the energy follows the drive as well. Observables are; or ask for "
            "static(), or set instantaneous=True."
        )


def _exponentials_of(noises: tuple[Noise, ...]) -> "Exponentials":
    """Coefficients and rates of each noise, in arrays: the shorter ones end with terms of coefficient zero.

    **Raises:** `CorrelationError`, which says what else can be asked for."""
    each = [_exponentials(noise) for noise in noises]
    longest = max(len(rates) for _, rates in each)

    def padded(x: Array, mode: str) -> Array:
        return jnp.pad(x, (0, longest - len(x)), mode=mode)  # pyright: ignore[reportArgumentType]

    return jnp.stack([padded(c, "constant") for c, _ in each]), jnp.stack([padded(v, "edge") for _, v in each])


def with_memory(L: Any, X: Complex[Array, "d d"], change: Change, quantity: Any) -> MatrixDelay:
    """The response of a quantity; see `AbstractGenerator.delayed`."""
    _require_known(L.resolved, quantity)
    _warn_of_near_levels(L.resolved, change.energy)
    return _delayed(L, X, change, quantity, _exponentials_of(L.resolved.noises))


def _warn_of_near_levels(resolved: Dissipation, V: Array) -> None:
    """Warn where V joins levels that a secular equation treats apart and that lie within few decay rates: it turns them
    into each other at any frequency, as only a slow drive does."""
    if not resolved.equation.regroups or not is_concrete(resolved, V):
        return
    nearest = float(_nearest(resolved, V))
    if nearest < JOINED:
        name = type(resolved.equation).__name__
        warnings.warn(
            f"{name} treats levels apart that V joins and that lie only {nearest:.2g} decay rates from each other: its "
            "response is unreliable, at rest and more so at a frequency. Use Unified(lamb_shift=True) or "
            "Redfield(lamb_shift=True).",
            ValidityWarning,
            stacklevel=depth_outside(),
        )


@eqx.filter_jit
def _nearest(resolved: Dissipation, V: Array) -> Float[Array, ""]:
    """The smallest distance of such levels, over the fastest decay rate."""
    structure, labels = resolved.structure, resolved.groups.labels
    joined = (jnp.abs(V) > 1e-9 * jnp.max(jnp.abs(V))) & (labels != labels[0, 0])
    distance = jnp.min(jnp.where(joined, jnp.abs(structure.frequencies), jnp.inf))
    return distance / relaxation_rate(structure, resolved.system)


@eqx.filter_custom_jvp
def _constant_in(H: Array, frequencies: Array) -> Array:
    """The frequencies, whose derivative in H is NaN: how Λ_j turns with H is not in them."""
    return frequencies


@_constant_in.def_jvp
def _constant_in_jvp(primals, tangents):
    (_, frequencies), (dH, _) = primals, tangents
    lost = jnp.zeros(()) if dH is None else jnp.nan * jnp.sum(dH).real
    return frequencies, jnp.zeros_like(frequencies) + lost


def _exponentials(noise: Noise) -> tuple[Array, Array]:
    """Known numbers stay known inside `jit`, where they could not be fitted or counted."""
    if not is_concrete(noise):
        return _of_any(noise)
    with jax.ensure_compile_time_eval():
        return _of_any(noise)


def _of_any(noise: Noise) -> tuple[Array, Array]:
    spectrum, T = noise.spectrum, noise.temperature
    if not is_concrete(spectrum, T) and spectrum.poles() is not None:
        return spectrum.exponentials(T, terms=TERMS)
    tolerances = FITTED if spectrum.poles() is None else POLES
    try:
        return spectrum.exponentials(T, tolerances[0])
    except CorrelationError:
        pass
    try:
        return spectrum.exponentials(T, tolerances[1])
    except CorrelationError as error:
        raise CorrelationError(
            f"The response in time or frequency needs the memory of {noise.label}. {error} With instantaneous=True "
            "dissipators follow the drive at once: right for drives much slower than the transitions, and in static()."
        ) from error


Exponentials = tuple[Complex[Array, "n j"], Complex[Array, "n j"]]


@eqx.filter_jit
def _delayed(
    L: Any, X: Complex[Array, "d d"], change: Change, quantity: Any, exponentials: Exponentials
) -> MatrixDelay:
    """The response of a quantity. `change`: at ω = 0, of V in the eigenbasis."""
    resolved: Dissipation = L.resolved
    structure, explicit = resolved.structure, Explicit(L, X, quantity)
    frequencies = _constant_in(structure.hamiltonian, structure.frequencies)
    V, couplings = change.energy, jnp.stack([structure.to_eigenbasis(noise.coupling) for noise in resolved.noises])
    inside = resolved.one_level()
    owners = tuple(b for b, bath in enumerate(resolved.system.baths) for _ in bath.noises)
    moved = jnp.asarray(jnp.where(inside, V, 0.0))
    source = retarded(frequencies, couplings, exponentials, (V - moved, moved), X, owners)
    observables = quantity.linear(L, X)
    rows = observables.reshape(-1, *X.shape)
    still = source.at(jnp.zeros(()))
    baths = jnp.sum(still, axis=0)
    constant = quantity.explicit(L, X, change).reshape(-1) - explicit(jnp.sum(baths, axis=0), baths)
    own = change.sources[1:] - jnp.sum(still, axis=1), change.baths - baths
    constant = constant - explicit(jnp.sum(own[1], axis=0), own[1])
    if resolved.equation.second_order:
        remainder = _of_exponentials(resolved, change.sources[0], own, len(rows))
    else:
        remainder = _remainder(L, X, change, own, source, exponentials, explicit, rows)
    return MatrixDelay(L.core, source, change.sources[0], rows, explicit, constant, remainder, observables.shape[:-2])


def _of_exponentials(resolved: Dissipation, k: Array, own: tuple[Array, Array], count: int) -> Remainder:
    """Of an equation that is exact to second order: what its exponentials miss of a bath. It follows whole, so that the
    static response is the equation's and a kick acts on the system alone."""
    nothing, rows = jnp.zeros_like(k), jnp.zeros((count, *k.shape), k.dtype)
    decay = ABOVE * relaxation_rate(resolved.structure, resolved.system)
    return Remainder(jnp.zeros(k.shape, bool), decay, k, nothing, nothing, *own, rows, rows)


def _remainder(
    L: Any,
    X: Array,
    change: Change,
    own: tuple[Array, Array],
    source: Retarded,
    exponentials: Exponentials,
    explicit: Explicit,
    rows: Array,
) -> Remainder:
    resolved, k, V = L.resolved, change.sources[0], change.energy
    gap = APART * relaxation_rate(resolved.structure, resolved.system)
    dressing, dissipators = Dressing(_missing(resolved, source, exponentials, gap)), L.dissipators()
    dressed_state = dressing(X)
    kick = 1j * (V @ dressed_state - dressed_state @ V)
    still = dressing.by_bath(-L.core.solve(k[None], jnp.zeros(()))[0], dissipators)

    def by_bath(A: Array) -> Array:
        return dressing.adjoint_by_bath(A, dissipators)

    return Remainder(
        slow=jnp.abs(source.frequencies) <= gap,
        decay=ABOVE * relaxation_rate(resolved.structure, resolved.system),
        dressed=k + dressing(k),
        kick=kick,
        still=jnp.sum(still, axis=0),
        parts=own[0],
        baths=own[1] - still,
        rows=jax.lax.map(dressing.adjoint, rows),
        explicit_rows=jax.lax.map(
            lambda A: dressing.adjoint_by_bath(A, dissipators), _rows(explicit, still, len(rows))
        ),
    )


def _rows(explicit: Explicit, baths: Complex[Array, "baths d d"], count: int) -> Complex[Array, "a baths d d"]:
    """Observables A_α with explicit(Σ_α Y_α, Y) = Σ_α Tr[A_α Y_α]."""
    (transposed,) = jax.vmap(jax.vjp(lambda Y: explicit(jnp.sum(Y, axis=0), Y), baths)[1])(
        jnp.eye(count, dtype=baths.dtype)
    )
    return jnp.swapaxes(transposed, -1, -2)


def _missing(resolved: Dissipation, source: Retarded, exponentials: Exponentials, gap: Array) -> tuple[Missing, ...]:
    """N of each bath: what Redfield's dissipator has beside the equation's."""
    c, rates = exponentials
    S = source.couplings
    kernel = jnp.sum(c[:, :, None, None] / (rates[:, :, None, None] - 1j * source.frequencies), axis=1) * S
    labels = resolved.groups.labels if resolved.equation.regroups else None
    own = None if labels is not None else [one.D for one in rotated_dissipators(resolved)]

    def of(bath: int) -> Missing:
        mine = jnp.asarray([n for n, owner in enumerate(source.owners) if owner == bath])
        s, g = S[mine], kernel[mine]
        left, right, signs = [g, s], [s, g], [1.0] * (2 * len(mine))
        drift = jnp.einsum("jkm,jkn->mn", s.conj(), g)
        if own is None:
            assert labels is not None
            drift = drift - product_within(labels)(s, g)
        else:
            left, right = [*left, own[bath].left], [*right, own[bath].right]
            signs += [-1.0] * len(own[bath].left)
            drift = drift - own[bath].drift
        return Missing(
            source.frequencies, jnp.concatenate(left), jnp.concatenate(right), drift, gap, labels, tuple(signs)
        )

    return tuple(of(bath) for bath in range(len(resolved.system.baths)))
