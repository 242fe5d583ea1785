"""What a generator can do, whatever its form: solve, and carry states through time.

Enters: L in the eigenbasis of H. Leaves: (L + iω)⁻¹ B on traceless matrices, and the solution of dX/dt = L X + B at
given times; of both either the matrices or their averages Tr[A X] alone. Matrices come in stacks [k, d, d].
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._bohr import Structure
from .._inputs import as_known, is_concrete
from ..errors import ConvergenceError

Observables = Complex[Array, "*a d d"] | None


class AbstractGenerator(eqx.Module):
    """L in the eigenbasis of H. All matrices that enter and leave are in this basis."""

    structure: eqx.AbstractVar[Structure]
    name: ClassVar[str]

    @abc.abstractmethod
    def solve(self, B: Complex[Array, "k d d"], omega: Float[Array, ""]) -> Complex[Array, "k d d"]:
        """X with (L + iω) X = B and Tr X = 0, for Tr B = 0."""

    def to(self, X: Complex[Array, "*a d d"]) -> Complex[Array, "*a d d"]:
        """U† X U."""
        return self.structure.to_eigenbasis(X)

    def back(self, X: Complex[Array, "*a d d"]) -> Complex[Array, "*a d d"]:
        """U X U†."""
        return self.structure.from_eigenbasis(X)

    def resolvent(self, B: Complex[Array, "k d d"], omegas: Float[Array, " w"], A: Observables = None) -> Array:
        """(L + iω)⁻¹ B at each frequency, [w, k, d, d], or Tr[A X], [w, k, *a].

        **Raises:** `ConvergenceError` where a member iterates, and has not converged (NaN where numbers are traced)."""
        return converged(_resolvent(self, B, omegas, A), B)

    def propagate(
        self,
        start: Complex[Array, "k d d"],
        ts: Float[Array, " t"],
        A: Observables = None,
        drive: Complex[Array, "k d d"] | None = None,
    ) -> Array:
        """X(t) with dX/dt = L X + drive from X(ts[0]) = start at each time, [t, k, d, d], or Tr[A X], [t, k, *a]."""
        return self.carry(start, ts, A, drive)

    @abc.abstractmethod
    def carry(self, start: Array, ts: Array, A: Array | None, drive: Array | None) -> Array:
        """What `propagate` returns, by the member's own means."""


def converged(X: Array, B: Array) -> Array:
    """X, unless it is not a number where the right-hand side is."""
    if is_concrete(X, B) and np.any(np.isnan(X)) and np.all(np.isfinite(B)):
        raise ConvergenceError(
            "The first-order state was not found: it is not a number. GMRES (where the generator is kept as operators) "
            "did not reach a residual of 1e-8 of the source, or the generator has no inverse: levels that no bath "
            "connects, or relaxation slower than rounding, are the usual causes, and steady_state names them. A "
            "frequency given to susceptibility may also lie on a transition that does not decay."
        )
    return X


class StepwiseGenerator(AbstractGenerator):
    """Carried from time to time by exponentials, with matrices in a form of its own, any pytree of arrays."""

    @abc.abstractmethod
    def enter(self, X: Complex[Array, "k d d"]) -> Any:
        """Matrices in the member's own form."""

    @abc.abstractmethod
    def reader(self, A: Observables) -> Callable[[Any], Array]:
        """What makes of that form the matrices again, or Tr[A X], [k, *a]."""

    @abc.abstractmethod
    def flow(self, dt: Float[Array, ""], drive: Complex[Array, "k d d"] | None) -> Any:
        """What carries X over dt, a pytree of arrays: e^{L dt}, and ∫₀^dt e^{Ls} ds B for a constant drive B."""

    @abc.abstractmethod
    def advance(self, flow: Any, X: Any) -> Any:
        """X after the interval of such a flow."""

    def carry(self, start: Array, ts: Array, A: Array | None, drive: Array | None) -> Array:
        """Equal intervals (to 1e−12 of themselves) share one exponential where the times are known; where they are
        traced, or few of them equal, each has its own, which is not kept."""
        if not is_concrete(ts):
            return _march(self, start, jnp.diff(ts, prepend=ts[:1]), None, A, drive)
        known = np.asarray(ts)
        known = np.diff(known, prepend=known[:1])
        with np.errstate(divide="ignore"):  # alike means alike relative to itself, whatever the others are
            _, first, which = np.unique(np.round(np.log(known) * 1e12), return_index=True, return_inverse=True)
        if len(first) > len(known) // 2:
            return _march(self, start, jnp.asarray(known), None, A, drive)
        return _march(self, start, jnp.asarray(known[first]), jnp.asarray(which), A, drive)


@eqx.filter_jit
def _resolvent(generator: AbstractGenerator, B: Array, omegas: Array, A: Array | None) -> Array:
    return jax.lax.map(lambda omega: seen(generator.solve(B, omega), A), omegas)


@eqx.filter_jit
def _march(
    generator: StepwiseGenerator,
    start: Array,
    intervals: Array,
    which: Array | None,
    A: Array | None,
    drive: Array | None,
) -> Array:
    """Through the intervals one after the other, or through those of them that `which` picks."""
    flow, read = lambda dt: generator.flow(dt, drive), generator.reader(A)
    # Scans keep the exponentials out of batched LAPACK calls.
    flows = None if which is None else jax.lax.map(flow, intervals)

    @jax.checkpoint
    def step(X, at):
        X = generator.advance(flow(at) if which is None else jax.tree.map(lambda x: x[at], flows), X)
        return X, read(X)

    return jax.lax.scan(step, generator.enter(start), intervals if which is None else which)[1]


def in_order(t: Array, dtype: Any) -> tuple[Array, Array]:
    """Zero and the times t in ascending order, and where each is among them. What is known is sorted on the host, and
    stays known inside `jit`, where any operation of jax would trace it. Negative times become NaN, the last."""
    xp: Any = np if is_concrete(t) else jnp
    given = xp.asarray(t)
    times = xp.where(given < 0, xp.nan, given).reshape(-1)
    order = xp.argsort(times)
    return as_known(xp.concatenate([xp.zeros(1, times.dtype), times[order]]), dtype), as_known(xp.argsort(order) + 1)


def rows_of(A: Complex[Array, "*a d d"]) -> Complex[Array, "*a n"]:
    """Tr[A X] = Σ_ij A_ji X_ij: what X, row by row, is multiplied with."""
    return jnp.swapaxes(A, -1, -2).reshape(*A.shape[:-2], -1)


def seen(X: Complex[Array, "k d d"], A: Observables) -> Array:
    """X, or Tr[A X]."""
    if A is None:
        return X
    return jnp.tensordot(X.reshape(X.shape[0], -1), rows_of(A), axes=[[-1], [-1]])
