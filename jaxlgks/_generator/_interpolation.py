"""Many frequencies from few: the source of a response is smooth in ω on the scale of the baths' memory.

Takes: the rates ν_j of the baths, energies, frequencies ω. Returns: Chebyshev nodes that are enough, and the weights
with which values at ω are sums of those at the nodes.

D⁽¹⁾(ω)π has poles at ω = −iν_j ± ω_mn alone. A polynomial in ω through N Chebyshev nodes of an interval misses it by
ρ^{−N}, ρ the sum of the semi-axes of the largest ellipse around the interval (whose half is 1) without a pole.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._inputs import is_concrete

EXACT = 1e-14
"""What a polynomial may miss, of the largest value."""
WORTH = 2
"""How many frequencies there must be for each node."""
CHUNK = 64
"""At most so many frequencies share one product of matrices."""


class Interpolation(eqx.Module):
    """`nodes`; `weights` in chunks, the last of which is filled up."""

    nodes: Float[Array, " n"]
    weights: Float[Array, "c s n"]

    def chunked(self, omegas: Float[Array, " w"]) -> Float[Array, "c s"]:
        """The frequencies likewise."""
        missing = self.weights.shape[0] * self.weights.shape[1] - len(omegas)
        return jnp.pad(omegas, (0, missing), mode="edge").reshape(self.weights.shape[:2])


def interpolation(
    rates: Complex[Array, "n j"], energies: Float[Array, " d"], omegas: Float[Array, " w"]
) -> Interpolation | None:
    """None where numbers are traced, or frequencies too few or too far apart for it."""
    rates, energies = jax.lax.stop_gradient((rates, energies))
    if not is_concrete(rates, energies, omegas) or omegas.size == 0:
        return None
    known = np.asarray(omegas)
    centre, half = (known.max() + known.min()) / 2, (known.max() - known.min()) / 2
    if not half > 0:
        return None
    count = _enough(np.asarray(rates).ravel(), np.asarray(energies), centre, half)
    if count * WORTH > known.size:
        return None
    angles = np.pi * (np.arange(count) + 0.5) / count
    at = np.arccos(np.clip((known - centre) / half, -1, 1))
    orders = np.arange(count)
    # T_n(ω) times the transform that makes coefficients of values at the nodes.
    weights = np.cos(at[:, None] * orders) @ (
        np.where(orders, 2, 1)[:, None] / count * np.cos(orders[:, None] * angles)
    )
    chunks = -(-known.size // CHUNK)
    missing = -known.size % chunks
    weights = np.pad(weights, ((0, missing), (0, 0)), mode="edge").reshape(chunks, -1, count)
    dtype = omegas.dtype
    return Interpolation(jnp.asarray(centre + half * np.cos(angles), dtype), jnp.asarray(weights, dtype))


def _enough(rates: np.ndarray, energies: np.ndarray, centre: float, half: float) -> int:
    """N with ρ^{−N} small enough."""
    frequencies = np.unique(energies[:, None] - energies)
    poles = np.unique(np.concatenate([rates, rates.conj()]))
    w = ((-1j * poles)[:, None] + frequencies - centre) / half
    root = np.sqrt(w - 1) * np.sqrt(w + 1)
    rho = np.min(np.maximum(np.abs(w + root), np.abs(w - root)))
    return math.ceil(math.log(1 / (EXACT * (1 - 1 / rho))) / math.log(rho)) if rho > 1 else 1 << 30
