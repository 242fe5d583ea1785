"""The correlation function of a bath: a Fourier integral over its rate.

Takes: a rate Γ(ω), the frequencies at which it changes character, times. Returns

    C(t) = ∫dω/2π Γ(ω) e^{−iωt} = ∫₀^∞ dω/2π {[Γ(ω) + Γ(−ω)] cos ωt − i [Γ(ω) − Γ(−ω)] sin ωt},     C(−t) = C(t)*.

The half line is cut into panels whose lengths double away from zero and from each feature, so that Γ is a polynomial on
each to rounding. Its Legendre coefficients a_l are integrated with the exponential exactly (Bakhvalov and Vasil'eva,
USSR Comp. Math. 8, 241 (1968), after Filon), at any time from the same nodes:

    ∫_{−1}^{1} dx P_l(x) e^{−iθx} = 2 (−i)^l j_l(θ),     j_l spherical Bessel functions.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

_X, _W = np.polynomial.legendre.leggauss(16)
_LEGENDRE = (2 * np.arange(16) + 1)[:, None] * np.polynomial.legendre.legvander(_X, 15).T * _W / 2  # a_l from values
_DOWN, _UP = 0.5 ** np.arange(45), 2.0 ** np.arange(1, 61)
_SLOW = 4.0  # below it sixteen nodes integrate the exponential too; above it j_l by recurrence is stable enough: its
# errors grow with l as the a_l fall
_REST = 1e-7  # of the integral of the absolute value: what may be left beyond the last panel


def fourier_integral(
    rate: Callable[[Array], Array], cuts: Float[Array, " m"], t: Float[Array, "..."]
) -> Complex[Array, "..."]:
    """C(t), elementwise. Infinite real part where it diverges at t = 0; NaN where Γ falls off too slowly."""
    ends = _ends(jax.lax.stop_gradient(cuts))
    half, middle = jnp.diff(ends) / 2, (ends[1:] + ends[:-1]) / 2
    nodes = middle[:, None] + half[:, None] * jnp.asarray(_X, ends.dtype)
    up, down = rate(nodes), rate(-nodes)
    parts = jnp.stack([up + down, up - down]) * half[:, None] / (2 * jnp.pi)
    coefficients = parts @ jnp.asarray(_LEGENDRE.T, ends.dtype)

    def one(t: Array) -> Array:
        theta = jnp.abs(t) * half
        slow = theta < _SLOW
        few = jnp.exp(-1j * jnp.where(slow, theta, 0.0)[:, None] * jnp.asarray(_X, ends.dtype))
        by_nodes = jnp.sum(parts * jnp.asarray(_W, ends.dtype) * few, axis=-1)
        by_moments = jnp.sum(coefficients * _moments(jnp.where(slow, _SLOW, theta)).T, axis=-1)
        turned = jnp.exp(-1j * middle * jnp.abs(t)) * jnp.where(slow, by_nodes, by_moments)
        total: Array = jnp.sum(turned, axis=-1)
        even, odd = total[0], total[1]
        sizes = jnp.abs(jax.lax.stop_gradient(turned[0]))
        at_start = t == 0
        # Beyond the last panel Γ/2πt is left; at t = 0 the last octave tells whether the integral has an end.
        rest = jax.lax.stop_gradient(up[-1, -1]) / (2 * jnp.pi * jnp.where(at_start, 1.0, jnp.abs(t)))
        real = jnp.where(at_start | (jnp.abs(rest) <= _REST * jnp.sum(sizes)), even.real, jnp.nan)
        real = jnp.where(at_start & (sizes[-1] > 1e-12 * jnp.sum(sizes)), jnp.inf, real)
        return jax.lax.complex(real, jnp.where(t < 0, -odd.imag, odd.imag))

    return jax.lax.map(one, t.reshape(-1), batch_size=64).reshape(t.shape)


def _ends(cuts: Float[Array, " m"]) -> Float[Array, " n"]:
    """Ends of panels: zero, each feature with steps that halve towards it from both sides, octaves up to infinity."""
    features = jnp.concatenate([jnp.zeros(1, cuts.dtype), cuts])
    largest = jnp.max(features)
    steps = largest * jnp.asarray(_DOWN, cuts.dtype)
    near = features[:, None] + jnp.concatenate([-steps, jnp.zeros(1, cuts.dtype), steps])
    octaves = 2 * largest * jnp.asarray(_UP, cuts.dtype)
    return jnp.sort(jnp.concatenate([jnp.maximum(near, 0.0).reshape(-1), octaves]))


def _moments(theta: Float[Array, " p"]) -> Complex[Array, "l p"]:
    """2 (−i)^l j_l(θ), l < 16, by the upward recurrence."""
    j = [jnp.sin(theta) / theta]
    j.append((j[0] - jnp.cos(theta)) / theta)
    for order in range(1, 15):
        j.append((2 * order + 1) / theta * j[order] - j[order - 1])
    return 2 * jnp.stack([(-1j) ** order * value for order, value in enumerate(j)])
