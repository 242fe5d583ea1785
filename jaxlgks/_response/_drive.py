"""What a weak drive of any shape makes of a quantity: the convolution of its impulse response with δ(t).

Takes: a linear response, δ(t) as a function or as samples. Returns: the change of the quantity, by mechanism,

    ⟨A⟩₁(t) = w δ(t) + ∫₀^{t − t₀} φ(u) δ(t − u) du,

w the weight of δ(τ) in the impulse response. The integral is cut into cells at the times asked for, each with
Gauss–Legendre nodes: there φ is a sum of exponentials and δ, between samples, a straight line, and both are resolved to
rounding. The first cell is cut again towards u = 0, where the memory of the baths may be short.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._inputs import as_array, as_delays, is_concrete
from ..errors import InputError, ShapeError

SMALL, RATIO = 18, 3.0
"""Parts of the first cell, each this much longer than the one before it: from 1e−9 of the cell on."""
UNEVEN = 1e-6
"""Of an interval: times that differ from equal spacing by more are refused."""
COARSE = 0.25
"""The share of the power of the samples above half of the frequency that they hold, from which they are refused."""
TRACED = 32
"""Nodes of a cell where the frequencies of the system are traced."""


class Grid(eqx.Module):
    """Times t₀ + nh, and the nodes u of a convolution: those of the first cell, [i], then node q of cell m, [m q]."""

    times: Float[Array, " t"]
    first: Float[Array, " i"]
    first_weights: Float[Array, " i"]
    nodes: Float[Array, " q"]
    weights: Float[Array, " q"]

    @property
    def h(self) -> Float[Array, ""]:
        return self.times[1] - self.times[0]

    @property
    def delays(self) -> Float[Array, " u"]:
        """All u, ascending."""
        cells = jnp.arange(1, max(len(self.times) - 1, 1))[:, None] + self.nodes
        return jnp.concatenate([self.first, self.h * cells.reshape(-1)])

    @property
    def early(self) -> Float[Array, "t i"]:
        """t_n − u in the first cell."""
        return self.times[:, None] - self.first

    @property
    def inside(self) -> Float[Array, "k q"]:
        """The same in whole cells: of t_n and cell m they are those of k = n − 1 − m."""
        return self.times[1:, None] - self.h * self.nodes

    def convolved(self, phi: Array, early: Array, inside: Array) -> Array:
        """∫ φ(u) δ(t_n − u) du, [t, *a], from φ at the delays, [u, *a], and δ at the points above."""
        count, shape = len(self.times), phi.shape[1:]
        phi = phi.reshape(len(phi), -1)
        total = jnp.einsum("ti,i,ia->ta", early, self.first_weights, phi[: len(self.first)]).at[0].set(0)
        if count > 2:
            later = phi[len(self.first) :].reshape(count - 2, len(self.nodes), -1) * self.weights[:, None]
            size = 2 * count
            product = jnp.fft.rfft(later, size, axis=0) * jnp.fft.rfft(inside[:-1, :, None], size, axis=0)
            total = total.at[2:].add(jnp.fft.irfft(jnp.sum(product, axis=1), size, axis=0)[: count - 2])
        return total.reshape(count, *shape)


def grid(t: Any, bandwidth: Array) -> Grid:
    """`bandwidth`: the highest frequency with which the response turns.

    **Raises:** `ShapeError`, `InputError` for times that are not known, ascending and equally spaced."""
    times = np.asarray(as_delays(t)) if is_concrete(t) else None
    if times is None or times.ndim != 1 or len(times) < 2:
        got = "traced times" if times is None else f"shape {times.shape}"
        raise ShapeError(f"to_drive: t must be an array [t] of two or more known times; got {got}.")
    h = (times[-1] - times[0]) / (len(times) - 1)
    if not h > 0 or np.max(np.abs(np.diff(times) - h)) > UNEVEN * h:
        raise InputError("to_drive: the times must ascend in equal steps, t = np.linspace(t0, t1, n); they do not.")
    turn = float(bandwidth) * h if is_concrete(bandwidth) else math.inf
    nodes, weights = _gauss(6 + math.ceil(turn) if math.isfinite(turn) else TRACED)
    edges = h * np.concatenate([[0.0], RATIO ** np.arange(-SMALL, 1.0)])
    few, few_weights = _gauss(min(len(nodes), TRACED))
    first = edges[:-1, None] + np.diff(edges)[:, None] * few
    return Grid(
        jnp.asarray(times),
        jnp.asarray(first.reshape(-1)),
        jnp.asarray((np.diff(edges)[:, None] * few_weights).reshape(-1)),
        jnp.asarray(nodes),
        jnp.asarray(h * weights),
    )


def _gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def as_drive(delta: Any, times: Float[Array, " t"]) -> Callable[[Array], Array]:
    """δ as a function of arrays of times, zero before the first. Samples are joined by straight lines.

    **Raises:** `ShapeError`; `InputError` for samples too far apart."""
    if callable(delta):
        what = "real numbers, for an array of times"
        return lambda t: jnp.asarray(as_array(delta(t), "delta(t)", ShapeError, what))
    samples = jnp.asarray(as_array(delta, "the drive delta", ShapeError, "real samples [t], or a function of t"))
    if samples.shape != times.shape or jnp.iscomplexobj(samples):
        raise ShapeError(
            f"to_drive: delta must be real samples at the times t, shape {tuple(times.shape)}, or a function; got "
            f"{samples.dtype} of shape {tuple(samples.shape)}."
        )
    if is_concrete(samples, times):
        _require_fine(np.asarray(samples), np.asarray(times))
    return lambda t: jnp.interp(t, times, samples)


def _require_fine(samples: np.ndarray, times: np.ndarray) -> None:
    power = np.abs(np.fft.rfft(samples - np.mean(samples))) ** 2
    share = np.sum(power[len(power) // 2 + 1 :]) / max(np.sum(power), np.finfo(float).tiny)
    if share > COARSE:
        holds = np.pi / (times[1] - times[0])
        raise InputError(
            f"to_drive: the drive is sampled too coarsely: samples {times[1] - times[0]:.3g} apart hold frequencies "
            f"below {holds:.3g}, and {100 * share:.0f} % of the power of these lies above {holds / 2:.3g}. Sample it "
            "more finely, or give delta as a function of t."
        )
