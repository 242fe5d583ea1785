"""The Lamb shift of a thermal bath: a principal-value integral over its rate.

Takes: a spectral density, a temperature, frequencies. Returns

    S(ω) = P∫ dω'/2π Γ(ω')/(ω − ω') = ∫₀^∞ dν/(2πν) [Γ(ω − ν) − Γ(ω + ν)],

folded about the pole, where the integrand is smooth. The half line is cut where the integrand changes character: where
ω ± ν meets zero or a landmark of the density. Between cuts the tanh–sinh rule clusters its nodes at both ends, so that
features of any width there (the temperature, a narrow line) are met; the last piece goes to infinity with the
corresponding rule for half lines.

Nodes are constants of differentiation: the derivative of the integral is the integral of the derivative, which is as
smooth as the integrand and is met by the same nodes.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_STEP = 0.05
_T = _STEP * np.arange(-84, 85)  # up to 1e22 on the half line: a rate that falls as ω^(−1/2) leaves 1e−11 beyond
_INNER = np.pi / 2 * np.sinh(_T)
# Finite piece [0, 1]: distance from the nearer end, and weight.
_NEAR = 1 / (1 + np.exp(2 * np.abs(_INNER)))
_FINITE = _STEP * np.pi / 2 * np.cosh(_T) / (2 * np.cosh(_INNER) ** 2)
# Half line [0, ∞): node and weight.
_HALF = np.exp(_INNER)
_HALF_WEIGHT = _STEP * np.pi / 2 * np.cosh(_T) * _HALF
RESOLVED = 1e-5
"""Difference from the rule with every other node, relative to the integral of the absolute value, at which the full
rule is trusted: its error is about the square."""


def folded_nodes(cuts: Float[Array, " p"]) -> tuple[Float[Array, "p+1 k"], Float[Array, "p+1 k"]]:
    """Nodes ν and weights w of ∫₀^∞ dν/(2πν) f(ν), cut at the given ν ≥ 0; f(0) = 0. One row a piece."""
    ends = jnp.sort(jax.lax.stop_gradient(cuts))
    ends = jnp.concatenate([jnp.zeros(1, ends.dtype), ends])
    near, finite, half, half_weight = (jnp.asarray(x, ends.dtype) for x in (_NEAR, _FINITE, _HALF, _HALF_WEIGHT))
    length = jnp.diff(ends)[:, None]
    from_left = ends[:-1, None] + length * near
    from_right = ends[1:, None] - length * near
    nodes = jnp.where(_T < 0, from_left, from_right)
    scale = jnp.where(ends[-1] > 0, ends[-1], 1.0)
    nodes = jnp.concatenate([nodes, (ends[-1] + scale * half)[None]])
    weights = jnp.concatenate([length * finite, (scale * half_weight)[None]])
    return nodes, jnp.where(nodes > 0, weights / (2 * jnp.pi * jnp.where(nodes > 0, nodes, 1.0)), 0.0)


def lamb_integral(
    rate: Callable[[Array], Array], marks: Float[Array, " m"], omega: Float[Array, "..."]
) -> Float[Array, "..."]:
    """S(ω), elementwise, for a rate Γ(ω) with landmarks at ±`marks`. NaN where the nodes do not resolve it."""
    shape = jnp.shape(omega)
    marks = jax.lax.stop_gradient(marks).reshape(-1)
    features = jnp.concatenate([jnp.zeros(1, marks.dtype), marks, -marks])

    def one(w: Array) -> Array:
        nodes, weights = folded_nodes(jnp.abs(jax.lax.stop_gradient(w) - features))
        terms = weights * (rate(w - nodes) - rate(w + nodes))
        return jnp.sum(terms) + jnp.where(resolved(terms), 0.0, jnp.nan)

    return jax.vmap(one)(omega.reshape(-1)).reshape(shape)


def resolved(terms: Float[Array, "p k"]) -> Array:
    """Whether every other node would give nearly the same."""
    terms = jax.lax.stop_gradient(terms)
    difference = jnp.abs(jnp.sum(terms) - 2 * jnp.sum(terms[:, ::2]))
    return difference <= RESOLVED * jnp.sum(jnp.abs(terms))
