"""Digamma functions of complex numbers, in the two combinations that sums over Matsubara frequencies need.

Takes: numbers with non-negative real parts. Returns: Re ψ(1+iy) − ψ(1+a), and divided differences of ψ(1+x), to a few
roundings. The first terms of each sum are added up, and the rest is the asymptotic series at z = N+1+x,

    ψ(z) ~ ln z − 1/(2z) − Σ_j B_2j/(2j z^{2j}).

Many terms and a short series: a sum is one operation of a program, however long, and a program that differentiates it
is compiled in proportion to the number of its operations.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

_TERMS = 32  # then |z| ≥ 33, and the first coefficient left out, 1/132, counts for 5e−18
_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240)  # B_2j/2j
_NEAR = 0.05  # below it the series of artanh(t)/t, to t¹², leaves 2e−17


def digamma_real(a: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """Re ψ(1+iy) − ψ(1+a) = Σ_{k≥1} [1/(k+a) − k/(k²+y²)], a ≥ 0, in real numbers."""
    k = jnp.asarray(np.arange(1, _TERMS + 1), y.dtype)
    first = jnp.sum(1 / (k + a[..., None]) - k / (k**2 + y[..., None] ** 2), axis=-1)
    M = _TERMS + 1
    Z, square = M + a, M**2 + y**2  # z = Z, and |z|² of z = M + iy
    w, real = 1 / Z**2, (M**2 - y**2) / square**2
    # Horner's scheme for Z, Clenshaw's for the real parts of powers of 1/(M + iy)², of size 1/|z|².
    total, b, c = jnp.zeros_like(Z), jnp.zeros_like(square), jnp.zeros_like(square)
    for coefficient in reversed(_SERIES):
        total = w * (total + coefficient)
        b, c = coefficient + 2 * real * b - c / square**2, b
    return first + jnp.log(square / Z**2) / 2 - M / (2 * square) + 1 / (2 * Z) + total - (real * b - c / square**2)


def digamma_difference(x: Inexact[Array, "..."], y: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """ψ[x, y] = (ψ(1+x) − ψ(1+y))/(x − y) = Σ_{k≥1} 1/((k+x)(k+y)), Re x ≥ 0, Re y ≥ 0; ψ'(1+x) where x = y.

    No difference of two nearly equal numbers is formed.
    """
    x, y = jnp.broadcast_arrays(x, y)
    k = jnp.asarray(np.arange(1, _TERMS + 1), x.real.dtype)
    first = jnp.sum((1 / (x[..., None] + k)) * (1 / (y[..., None] + k)), axis=-1)
    X, Y = x + (_TERMS + 1), y + (_TERMS + 1)
    u, v = 1 / X, 1 / Y
    # Horner's scheme for p(w) = Σ_j c_j w^j at w = v², and at the same time for (p(u²) − p(v²))/(u² − v²).
    value, slope = jnp.zeros_like(u), jnp.zeros_like(u)
    for coefficient in (*reversed(_SERIES), 0.0):
        value, slope = value * v**2 + coefficient, slope * u**2 + value
    return first + _log_difference(X, Y) + u * v * (0.5 + (u + v) * slope)


def _log_difference(X: Array, Y: Array) -> Array:
    """(ln X − ln Y)/(X − Y) for positive real parts; near X = Y by 2 artanh(t)/(X − Y), t = (X − Y)/(X + Y)."""
    t = (X - Y) / (X + Y)
    near = jnp.abs(t) < _NEAR
    square, total = jnp.where(near, t, 0.0) ** 2, jnp.zeros_like(t)
    for k in range(6, -1, -1):
        total = total * square + 1 / (2 * k + 1)
    other = jnp.where(near, 2 * X, Y)
    return jnp.where(near, 2 * total / (X + Y), (jnp.log(X) - jnp.log(other)) / (X - other))
