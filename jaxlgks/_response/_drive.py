"""What a weak drive of any shape makes of a quantity: the convolution of its impulse response with δ(t).

Takes: a linear response, δ(t) as a function or as samples. Returns: the change of the quantity, by mechanism,

    ⟨A⟩₁(t) = w δ(t) + ∫₀^{t − t₀} φ(u) δ(t − u) du,

w the weight of δ(τ) in the impulse response. The integral is cut into cells at the times asked for, each with
Gauss–Legendre nodes: there φ is a sum of exponentials and δ, between samples, a straight line, and both are resolved to
rounding. The first cell is cut again towards u = 0, where the memory of the baths may be short.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._inputs import as_array, as_delays, is_concrete, require_finite
from ..errors import InputError, ShapeError

SMALL, RATIO = 18, 3.0
"""Parts of the first cell, each this much longer than the one before it: from 1e−9 of the cell on."""
UNEVEN = 1e-6
"""Of an interval: times that differ from equal spacing by more are refused."""
COARSE = 0.25
"""The share of the power of the samples above half of the frequency that they hold, from which they are refused."""
LEAST, TRACED, MOST = 8, 40, 1000
"""Nodes of a cell, beside one for each unit of frequency times step; all where frequencies are traced; at most."""
FAST = 1e-6
"""What the last terms of a function's series in a cell may be, of its largest value."""


class Grid(NamedTuple):
    """Known times t₀ + nh, and the nodes u of a convolution: of the first cell, [i], then node q of cell m, [m q].
    `resolved`: whether these are enough."""

    times: np.ndarray
    first: np.ndarray
    first_weights: np.ndarray
    nodes: np.ndarray
    weights: np.ndarray
    resolved: Any

    @property
    def h(self) -> float:
        return self.times[1] - self.times[0]

    @property
    def delays(self) -> np.ndarray:
        """All u, ascending."""
        cells = np.arange(1, max(len(self.times) - 1, 1))[:, None] + self.nodes
        return np.concatenate([self.first, self.h * cells.reshape(-1)])

    @property
    def early(self) -> np.ndarray:
        """t_n − u in the first cell, [t, i]."""
        return np.maximum(self.times[:, None] - self.first, self.times[0])

    @property
    def inside(self) -> np.ndarray:
        """The same in whole cells, [k, q]: of t_n and cell m they are those of k = n − 1 − m."""
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
        return jnp.where(self.resolved, total, jnp.nan).reshape(count, *shape)


def grid(t: Any, bandwidth: Array) -> Grid:
    """`bandwidth`: the highest frequency with which the response turns. Where it is traced, a response that turns too
    fast between the times is NaN.

    **Raises:** `ShapeError`, `InputError` for times that are not known, ascending and equally spaced."""
    times = np.asarray(as_delays(t)) if is_concrete(t) else None
    if times is None or times.ndim != 1 or len(times) < 2:
        got = "traced times" if times is None else f"shape {times.shape}"
        raise ShapeError(f"to_drive: t must be an array [t] of two or more known times; got {got}.")
    h = (times[-1] - times[0]) / (len(times) - 1)
    if not h > 0 or np.max(np.abs(np.diff(times) - h)) > UNEVEN * h:
        raise InputError("to_drive: the times must ascend in equal steps, t = np.linspace(t0, t1, n); they do not.")
    known = is_concrete(bandwidth)
    count = LEAST + math.ceil(float(bandwidth) * h) if known else TRACED
    if count > MOST:
        raise InputError(
            f"to_drive: steps of {h:.3g} are too long: the response turns with frequencies up to "
            f"{float(bandwidth):.3g}. Use steps below {(MOST - LEAST) / float(bandwidth):.3g}."
        )
    nodes, weights = _gauss(count)
    edges = h * np.concatenate([[0.0], RATIO ** np.arange(-SMALL, 1.0)])
    return Grid(
        times,
        (edges[:-1, None] + np.diff(edges)[:, None] * nodes).reshape(-1),
        (np.diff(edges)[:, None] * weights).reshape(-1),
        nodes,
        h * weights,
        True if known else bandwidth * h <= TRACED - LEAST,
    )


def _gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def as_drive(delta: Any, on: Grid) -> Callable[[np.ndarray], Array]:
    """δ as a function of arrays of times. Samples are joined by straight lines.

    **Raises:** `ShapeError`; `InputError` for samples too far apart, and functions too fast between the times."""
    if callable(delta):
        inside = _called(delta, on.inside)
        if is_concrete(inside):
            _require_slow(np.asarray(inside), on)
        return lambda t: _called(delta, t)
    samples = jnp.asarray(as_array(delta, "the drive delta", ShapeError, "real samples [t], or a function of t"))
    if samples.shape != on.times.shape or jnp.iscomplexobj(samples):
        raise ShapeError(
            f"to_drive: delta must be real samples at the times t, shape {on.times.shape}, or a function; got "
            f"{samples.dtype} of shape {tuple(samples.shape)}."
        )
    if is_concrete(samples):
        require_finite(np.asarray(samples), "to_drive: delta")
        _require_fine(np.asarray(samples), on.h)
    return lambda t: jnp.interp(t, on.times, samples)


def _called(delta: Callable, t: np.ndarray) -> Array:
    """Values of δ at an array of times: one for each, or one for all."""
    try:
        values = delta(t)
    except TypeError as problem:  # functions of module math
        raise InputError(
            f"to_drive: delta must take arrays of times, as functions of NumPy do: {problem}."
        ) from problem
    values = jnp.asarray(as_array(values, "delta(t)", ShapeError, "real numbers, for an array of times"))
    if jnp.iscomplexobj(values) or values.shape not in ((), t.shape):
        raise ShapeError(
            f"to_drive: delta must give a real number for each of an array of times, here of shape {t.shape}; got "
            f"{values.dtype} of shape {tuple(values.shape)}."
        )
    return jnp.broadcast_to(values, t.shape)


def _require_slow(inside: np.ndarray, on: Grid) -> None:
    """Raise where a function is not a polynomial between the times, as far as the nodes can tell."""
    require_finite(inside, "to_drive: delta(t)")
    count = len(on.nodes)
    orders = np.arange(count)
    series = (
        np.polynomial.legendre.legvander(2 * on.nodes - 1, count - 1) * (on.weights / on.h)[:, None] * (2 * orders + 1)
    )
    last = np.max(np.abs(inside @ series[:, -2:]), initial=0.0)
    if last > FAST * max(np.max(np.abs(inside), initial=0.0), np.finfo(float).tiny):
        raise InputError(
            f"to_drive: delta changes too fast between times {on.h:.3g} apart: what turns faster than about "
            f"{count / on.h:.3g}, a jump or a kink among it, is not resolved there. Use shorter steps, or "
            "samples, which are joined by straight lines."
        )


def _require_fine(samples: np.ndarray, h: float) -> None:
    power = np.abs(np.fft.rfft(samples - np.mean(samples))) ** 2
    share = np.sum(power[len(power) // 2 + 1 :]) / max(np.sum(power), np.finfo(float).tiny)
    if share > COARSE:
        raise InputError(
            f"to_drive: the drive is sampled too coarsely: samples {h:.3g} apart hold frequencies below "
            f"{np.pi / h:.3g}, and {100 * share:.0f} % of the power of these lies above {np.pi / h / 2:.3g}. Sample it "
            "more finely, or give delta as a function of t."
        )
