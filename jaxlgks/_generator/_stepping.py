"""From time to time by exponentials.

Takes: a generator that knows e^{L dt}, states, times. Returns: the states, or their averages, at each time.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._inputs import is_concrete
from ..errors import InputError
from ._matrices import AbstractCore


class AbstractStepper(AbstractCore):
    """Carries matrices over intervals, in a form of its own: any pytree of arrays."""

    def propagate(self, start: Array, ts: Array, A: Array | None, drive: Array | None, **options: Any) -> Array:
        """Equal intervals (to 1e−12 of themselves) share one exponential where the times are known; where they are
        traced, or few of them equal, each has its own, which is not kept."""
        if options:
            raise InputError(f"evolve: exponentials have no options; got {sorted(options)}.")
        if not is_concrete(ts):
            return _march(self, start, jnp.diff(ts, prepend=ts[:1]), None, A, drive)
        known = np.asarray(ts)
        known = np.diff(known, prepend=known[:1])
        with np.errstate(divide="ignore"):  # alike means alike relative to itself, whatever the others are
            _, first, which = np.unique(np.round(np.log(known) * 1e12), return_index=True, return_inverse=True)
        if len(first) > len(known) // 2:
            return _march(self, start, jnp.asarray(known), None, A, drive)
        return _march(self, start, jnp.asarray(known[first]), jnp.asarray(which), A, drive)

    @abc.abstractmethod
    def packed(self, X: Complex[Array, "k d d"]) -> Any:
        """Matrices in the stepper's own form."""

    @abc.abstractmethod
    def reading(self, A: Complex[Array, "*a d d"] | None) -> Any:
        """The function that makes of that form the matrices again, or Tr[A X], [k, *a]."""

    @abc.abstractmethod
    def exponential(self, dt: Float[Array, ""], drive: Complex[Array, "k d d"] | None) -> Any:
        """A pytree: e^{L dt}, and ∫₀^dt e^{Ls} ds B for a constant drive B."""

    @abc.abstractmethod
    def advanced(self, exponential: Any, X: Any) -> Any:
        """X after the interval."""


@eqx.filter_jit
def _march(
    stepper: AbstractStepper,
    start: Array,
    intervals: Array,
    which: Array | None,
    A: Array | None,
    drive: Array | None,
) -> Array:
    """Through the intervals one after the other, or through those of them that `which` picks."""
    read, intervals = stepper.reading(A), intervals.astype(jnp.finfo(start.dtype).dtype)
    # Scans keep the exponentials out of batched LAPACK calls.
    steps = None if which is None else jax.lax.map(lambda dt: stepper.exponential(dt, drive), intervals)

    @jax.checkpoint
    def step(X, at):
        over = stepper.exponential(at, drive) if which is None else jax.tree.map(lambda x: x[at], steps)
        X = stepper.advanced(over, X)
        return X, read(X)

    return jax.lax.scan(step, stepper.packed(start), intervals if which is None else which)[1]
