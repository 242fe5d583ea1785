"""Where a density that announces nothing is rough: the edges of a gap, narrow lines, jumps.

Takes: γ(ω), ω > 0, a temperature. Returns: the roughest places, and where the roughness around a place begins and ends,
for quadratures to cut there. Constants of differentiation. A line that is invisible on a grid of steps of 1.6% is not
found.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_GRID = np.geomspace(1e-7, 1e7, 2049)
"""In units of the temperature."""
_PLACES = 6
_HALVINGS = 45  # from the step of the grid to rounding
_NOISE = 1e-12  # of the largest value: below it there is only rounding
_WIDTHS = 0.5 ** np.arange(3, 52)


def rough_places(density: Callable[[Array], Array], temperature: Float[Array, ""]) -> Float[Array, " places"]:
    """The places where the rate's even part, ∝ γ(ω)(1 + T/ω), is least like a parabola; the temperature where there are
    fewer."""
    temperature = jax.lax.stop_gradient(temperature)

    def weighted(omega: Array) -> Array:
        value = density(omega) * (1 + temperature / omega)
        return jnp.where(jnp.isfinite(value), value, 0.0)

    def halve(ends: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        left, right = ends
        quarter = (right - left) / 4
        lefts = jnp.stack([left, left + quarter, left + 2 * quarter])
        worst = jnp.argmax(_roughness(weighted, lefts, lefts + 2 * quarter), axis=0)
        left = jnp.take_along_axis(lefts, worst[None], axis=0)[0]
        return (left, left + 2 * quarter), None

    grid = temperature * jnp.asarray(_GRID, temperature.dtype)
    rough = _roughness(weighted, grid[:-1], grid[1:])
    inner = rough[1:-1]
    heights, at = jax.lax.top_k(jnp.where((inner > rough[:-2]) & (inner >= rough[2:]), inner, 0.0), _PLACES)
    (left, right), _ = jax.lax.scan(halve, (grid[at], grid[at + 3]), length=_HALVINGS)
    present = heights > _NOISE * jnp.max(jnp.abs(weighted(grid)))
    return jax.lax.stop_gradient(jnp.where(present, (left + right) / 2, temperature))


def with_surroundings(density: Callable[[Array], Array], places: Float[Array, " n"]) -> Float[Array, " cuts"]:
    """Each place and the two sides of what is there: the narrowest interval that is half as rough as the roughest."""
    places = jax.lax.stop_gradient(places)
    widths = jnp.asarray(_WIDTHS, places.dtype)[:, None] * places
    rough = _roughness(density, places - widths, places + widths)
    width = jnp.min(jnp.where(rough >= jnp.max(rough, axis=0) / 2, widths, jnp.inf), axis=0)
    width = jnp.where(jnp.isfinite(width), width, 0.0)  # where the density is not a number
    return jax.lax.stop_gradient(jnp.concatenate([places, places - 2 * width, places + 2 * width]))


def _roughness(function: Callable[[Array], Array], left: Array, right: Array) -> Array:
    """The larger of two third differences over an interval: small where it is resolved. (One alone may cancel at a line
    between two points.)"""
    f = [function(left + (right - left) * part) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
    first, second = (f[i + 3] - 3 * f[i + 2] + 3 * f[i + 1] - f[i] for i in (0, 1))
    return jnp.maximum(jnp.abs(first), jnp.abs(second))
