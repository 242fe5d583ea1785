"""What a decaying source drives: collocation on panels, so that the source is read at few, known times.

Takes: L as numbers, a source k(t) that has died after a time, how many panels are enough. Returns: X(t) with

    dX/dt = L X + k(t),     X(0) = 0,

averaged with observables, as polynomials on each panel, and X at the end.

In the interaction picture of H, from the start of each panel on, dX/dt = D X + k with a D of the size of the decay
rates: X = X₀ + ∫(D X + k) at the Gauss–Legendre nodes, by Picard's iteration, whose m-th correction is of the order of
(decay × width)^m/m!. Uniform panels resolve the Bohr frequencies; the first is cut into ever smaller ones towards
t = 0, since the memory of a bath whose density falls slowly has no shortest time. Every number here may be
differentiated, in any mode.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float
from numpy.polynomial import legendre

from .._inputs import is_concrete
from ._linear import real_times
from ._matrices import AbstractCore, averaged

ORDER = 32
"""Nodes of a panel. An e^{iκt} on a panel of width h is resolved to 1e−13 where κh < `TURN`."""
TURN, RATIO = 20.0, 3.0
"""Also e^{−νt} on a panel from a to `RATIO` × a, for every ν: it is resolved, or dead."""
SLOW = 0.3
"""Decay × width at most."""
SMALLEST = 1e-13
"""Corrections below this part of the state are not made."""
TRACED = 128, 24, 11
"""Panels, uniform and small ones, and corrections, where numbers are traced: enough where levels spread over no more
than seventy of the slowest rates of memory. Beyond, what is not resolved is NaN."""

_NODES, _WEIGHTS = legendre.leggauss(ORDER)
_VALUES = legendre.legvander(_NODES, ORDER)  # P_n at the nodes
_TO_SERIES = (_VALUES * _WEIGHTS[:, None] * (np.arange(ORDER + 1) + 0.5)).T[:ORDER]
_PRIMITIVES = np.stack(
    [legendre.legval(_NODES, legendre.legint(row, lbnd=-1)) for row in np.eye(ORDER)], axis=1
)  # ∫₋₁ˣ P_n
_INTEGRALS = _PRIMITIVES @ _TO_SERIES / 2  # ∫₀ˣ of what has given values at the nodes, on [0, 1]
_POINTS, _WHOLE = (_NODES + 1) / 2, _WEIGHTS / 2


class Panels(NamedTuple):
    """How many of one width, into how many the first is cut, and how often a state is corrected."""

    uniform: int
    small: int
    corrections: int

    def resolves(self, until: Array, width: Array, decay: Array, rates: Array) -> Bool[Array, ""]:
        """Whether they are enough; see `panels_for`."""
        turns, finest = jnp.maximum(width / TURN, decay / SLOW) * until, jnp.max(jnp.abs(rates)) * until
        return (turns <= self.uniform * (1 + 1e-9)) & (finest <= self.uniform * RATIO ** float(self.small))

    def edges(self, until: Float[Array, ""]) -> Float[Array, " p"]:
        """From zero to `until`."""
        width = until / self.uniform
        small = width * jnp.asarray(RATIO ** np.arange(-self.small, 0.0), width.dtype)
        return jnp.concatenate([jnp.zeros_like(small[:1]), small, width * jnp.arange(1, self.uniform + 1)])


class Transient(eqx.Module):
    """Tr[A X(t)] and what else was asked for, series in Legendre polynomials on each panel, and X at the end."""

    edges: Float[Array, " e"]
    series: Complex[Array, "p n c"]
    last: Complex[Array, "k d d"]

    def __call__(self, ts: Float[Array, " t"]) -> Complex[Array, "t c"]:
        """At times between zero and the last edge."""
        which = jnp.clip(jnp.searchsorted(self.edges, ts, side="right") - 1, 0, len(self.series) - 1)
        left, right = self.edges[which], self.edges[which + 1]
        x = 2 * (ts - left) / (right - left) - 1

        def step(previous: tuple[Array, Array], n: Array) -> tuple[tuple[Array, Array], Array]:
            last, this = previous
            return (this, ((2 * n + 1) * x * this - n * last) / (n + 1)), this

        polynomials = jax.lax.scan(step, (jnp.zeros_like(x), jnp.ones_like(x)), jnp.arange(ORDER, dtype=x.dtype))[1]
        return jnp.einsum("nt,tnc->tc", polynomials, self.series[which])


def panels_for(until: Array, width: Array, decay: Array, rates: Array) -> Panels:
    """As many as resolve frequencies up to `width`, a `decay` of the state, and the fastest of the rates of memory."""
    until, width, decay, rates = jax.tree.map(jax.lax.stop_gradient, (until, width, decay, rates))
    if not is_concrete(until, width, decay, rates):
        return Panels(*TRACED)
    turns = float(until) * max(float(width) / TURN, float(decay) / SLOW)
    if not np.isfinite(turns):
        return Panels(1, 1, 1)
    uniform = max(math.ceil(turns), 1)
    longest = float(until) / uniform
    small = math.ceil(math.log(max(longest * float(np.max(np.abs(np.asarray(rates)))), 1.0), RATIO)) + 1
    errors = np.cumprod(longest * float(decay) / np.arange(1, TRACED[2] + 1))
    return Panels(uniform, small, int(np.sum(errors > SMALLEST)) + 1)


def transient(
    core: AbstractCore,
    frequencies: Float[Array, "d d"],
    source: Callable[[Array], tuple[Array, Array]],
    until: Float[Array, ""],
    panels: Panels,
    rows: Complex[Array, "a d d"],
) -> Transient:
    """`source(ts)`: k(t), [t, k, d, d], and numbers [t, c] that are wanted beside. The columns are Tr[A X] of each k
    and a, and these."""
    edges = panels.edges(until)
    shape = jax.eval_shape(source, edges[:1])[0]

    def panel(X: Array, start: tuple[Array, Array]) -> tuple[Array, Array]:
        left, width = start
        times = width * jnp.asarray(_POINTS, edges.dtype)
        phases = jnp.exp(1j * frequencies * times[:, None, None])[:, None]  # e^{−i(E_m − E_n)t}
        k, beside = source(left + times)
        k = phases.conj() * k

        def change(Y: Array) -> Array:
            Z = phases * Y
            moved = core.apply(Z.reshape(-1, *Z.shape[2:])).reshape(Z.shape)
            return k + phases.conj() * (moved - 1j * frequencies * Z)

        def state(slope: Array) -> Array:
            return X + width * real_times(_INTEGRALS, slope)

        slope = jax.lax.fori_loop(0, panels.corrections, lambda _, slope: change(state(slope)), change(state(k)))
        columns = [averaged(phases * state(slope), rows).reshape(ORDER, -1), beside]
        end = jnp.exp(1j * frequencies * width) * (X + width * real_times(_WHOLE, slope))
        return end, real_times(_TO_SERIES, jnp.concatenate(columns, axis=1))

    start = jnp.zeros(shape.shape[1:], shape.dtype)
    last, series = jax.lax.scan(panel, start, (edges[:-1], jnp.diff(edges)))
    return Transient(edges, series, last)
