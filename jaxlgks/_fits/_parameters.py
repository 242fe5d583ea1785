"""Parameters of a fit: a pytree of real numbers, the names of its entries, and smooth maps that respect bounds.

Takes: a pytree of start values, bounds by name. Returns: a vector θ of named entries and coordinates z without
bounds, in which optimisers move,

    θ = s z,   bounded below l + s eᶻ,   bounded above u − s eᶻ,   on both sides l + (u − l)/(1 + e⁻ᶻ);

s is the size of the start value, so that a step of one in z is a large one in every θ.
"""

import difflib
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._inputs import require_x64
from ..errors import InputError

Bounds = Mapping[str, Any]
"""By name: (lower, upper), None or infinity for none; or "positive"."""


class Parameters(eqx.Module):
    """Names, bounds and scales of the entries of a pytree of real numbers."""

    lower: Float[Array | np.ndarray, " p"]
    upper: Float[Array | np.ndarray, " p"]
    scale: Float[Array | np.ndarray, "*s p"]
    names: tuple[str, ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)

    @property
    def count(self) -> int:
        """Number of entries."""
        return len(self.names)

    def tree(self, theta: Any) -> Any:
        """The pytree with these entries."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        parts = zip(jnp.split(jnp.asarray(theta), ends), self.shapes, strict=True)
        return jax.tree.unflatten(self.structure, [part.reshape(shape) for part, shape in parts])

    def values(self, theta: Any) -> dict[str, float]:
        """Entries by name."""
        return dict(zip(self.names, map(float, theta), strict=True))

    def from_coordinates(self, z: Float[Array, " p"]) -> Float[Array, " p"]:
        """θ(z)."""
        below, above = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        low, high = jnp.where(below, self.lower, 0.0), jnp.where(above, self.upper, 0.0)
        grown = self.scale * jnp.exp(jnp.where(below ^ above, z, 0.0))
        inside = low + (high - low) * jax.nn.sigmoid(jnp.where(below & above, z, 0.0))
        one_sided = jnp.where(below, low + grown, high - grown)
        return jnp.where(below & above, inside, jnp.where(below ^ above, one_sided, self.scale * z))

    def to_coordinates(self, theta: np.ndarray) -> np.ndarray:
        """z(θ) of known numbers strictly inside their bounds."""
        below, above = np.isfinite(self.lower), np.isfinite(self.upper)
        with np.errstate(all="ignore"):
            inside = np.log((theta - self.lower) / (self.upper - theta))
            one_sided = np.log(self.size(theta) / self.scale)
        return np.where(below & above, inside, np.where(below ^ above, one_sided, theta / self.scale))

    def size(self, theta: np.ndarray) -> np.ndarray:
        """The distance of each entry from its (lower) bound; without bounds its absolute value."""
        above = np.where(np.isfinite(self.upper), self.upper - theta, np.abs(theta))
        return np.where(np.isfinite(self.lower), theta - self.lower, above)

    def natural(self, theta: np.ndarray) -> np.ndarray:
        """What counts as a large change of each entry: the width between its bounds, or its size."""
        width = np.asarray(self.upper) - np.asarray(self.lower)
        return np.where(np.isfinite(width), width, self.size(theta))

    def at_bound(self, theta: np.ndarray, tolerance: np.ndarray) -> dict[str, str]:
        """Entries closer to a bound than `tolerance`, and which bound."""
        lower = zip(self.names, self.lower, theta - self.lower <= tolerance, strict=True)
        upper = zip(self.names, self.upper, self.upper - theta <= tolerance, strict=True)
        result = {name: f"upper bound {bound:.6g}" for name, bound, close in upper if close}
        return result | {name: f"lower bound {bound:.6g}" for name, bound, close in lower if close}


def as_parameters(init: Any, bounds: Bounds | None, where: str) -> tuple[Parameters, np.ndarray]:
    """The parameters of a pytree, and the vector of its start values.

    **Raises:** `InputError` for entries that are not finite real numbers, for unknown names and for bounds that
    leave the start value outside; `PrecisionError` without 64-bit JAX.
    """
    require_x64()
    names, theta, shapes, structure = _entries(init, where)
    lower, upper = _bounds(bounds or {}, names, where)
    _require_inside(theta, lower, upper, names, where)
    size = Parameters(lower, upper, np.ones(len(names)), names, shapes, structure).size(theta)
    return Parameters(lower, upper, np.where(size > 0, size, 1.0), names, shapes, structure), theta


def _entries(init: Any, where: str) -> tuple[tuple[str, ...], np.ndarray, tuple, Any]:
    """Names and values of the entries of a pytree, shapes of its leaves, its structure."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(init)
    if not leaves:
        raise InputError(f"{where}: the start values hold no number; got {init!r}.")
    names, values = [], []
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        array = np.asarray(leaf)
        if array.dtype.kind not in "fiu":
            raise InputError(
                f"{where}: the start value of {name!r} must be real numbers; got {array.dtype}. Take real and "
                "imaginary parts as parameters of their own."
            )
        if not np.all(np.isfinite(array)):
            raise InputError(f"{where}: the start value of {name!r} must be finite; got {leaf!r}.")
        values.append(array.astype(float))
        names += [name + "".join(f"[{i}]" for i in index) for index in np.ndindex(array.shape)]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{where}: two start values are called {repeated[0]!r} by their path; rename one of them.")
    theta = np.concatenate([array.reshape(-1) for array in values])
    return tuple(names), theta, tuple(array.shape for array in values), structure


def _bounds(bounds: Bounds, names: Sequence[str], where: str) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for key, value in bounds.items():
        at = addressed(key, names, f"{where}: bounds")
        pair = (0.0, None) if isinstance(value, str) and value == "positive" else value
        ends = list(pair) if isinstance(pair, Iterable) and not isinstance(pair, str) else []
        if len(ends) != 2 or not all(end is None or isinstance(end, numbers.Real) for end in ends):
            raise InputError(f"{where}: the bounds of {key!r} are a pair (lower, upper) or 'positive'; got {value!r}.")
        low = -np.inf if ends[0] is None else float(ends[0])
        high = np.inf if ends[1] is None else float(ends[1])
        if not low < high:
            raise InputError(f"{where}: the bounds of {key!r} leave nothing between them; got {value!r}.")
        lower[at], upper[at] = low, high
    return lower, upper


def _require_inside(theta: Any, lower: Any, upper: Any, names: Sequence[str], where: str) -> None:
    """Raise for a start value that its bounds exclude (the smooth map has a bound itself at infinity)."""
    for name, value, low, high in zip(names, theta, lower, upper, strict=True):
        if not low < value < high:
            raise InputError(
                f"{where}: the bounds of {name!r} exclude its start: {value:.6g} is not strictly between {low:.6g} "
                f"and {high:.6g}. Move the start inside, or the bounds."
            )


def addressed(key: str, names: Sequence[str], where: str) -> list[int]:
    """The entries that a name stands for: one, or all of an array. `InputError` with the nearest name for none."""
    at = [i for i, name in enumerate(names) if name == key or name.startswith((f"{key}[", f"{key}."))]
    if not at:
        raise InputError(f"{where}: no parameter {key!r}; {nearest(str(key), names)}")
    return at


def spread_units(units: Mapping[str, str] | None, names: Sequence[str]) -> dict[str, str]:
    """Units of entries: their own, or that of the array (or branch of the pytree) that they belong to."""
    result = {}
    for name in names:
        branches = [key for key in units or {} if name == key or name.startswith((f"{key}[", f"{key}."))]
        if branches:
            result[name] = (units or {})[max(branches, key=len)]
    return result


def nearest(key: str, names: Iterable[str]) -> str:
    """A hint: the nearest of some names, or all of them."""
    names = [str(name) for name in names]
    near = difflib.get_close_matches(key, names, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."


def start_values(parameters: Parameters, theta: np.ndarray, starts: Any, seed: int, where: str) -> np.ndarray:
    """Start values [s, p]: θ first, then those of a list, or others drawn around it: uniform between two bounds (in
    the logarithm where both are positive and far apart), else log-normal or normal with the size of θ."""
    if isinstance(starts, numbers.Integral):
        if starts < 1:
            raise InputError(f"{where}: at least one start is needed; got {starts}.")
        rng = np.random.default_rng(seed)
        return np.stack([theta, *(_drawn(parameters, theta, rng) for _ in range(int(starts) - 1))])
    if isinstance(starts, Mapping | str) or not isinstance(starts, Iterable):
        raise InputError(f"{where}: starts is a number or a list of start values like init; got {starts!r}.")
    rows, where = [theta], f"{where}: starts"
    for start in starts:
        names, row, *_ = _entries(start, where)
        if names != parameters.names:
            raise InputError(f"{where}: each must have the entries {parameters.names}; got {names}.")
        _require_inside(row, parameters.lower, parameters.upper, names, where)
        rows.append(row)
    return np.stack(rows)


def _drawn(parameters: Parameters, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, high = np.asarray(parameters.lower), np.asarray(parameters.upper)
    both = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(both, low, 1.0), np.where(both, high, 2.0)
    u = rng.uniform(0.02, 0.98, parameters.count)
    logarithmic = (low > 0) & (high > 10 * low)
    positive = np.where(logarithmic, low, 1.0)
    inside = np.where(logarithmic, positive * (high / positive) ** u, low + u * (high - low))
    z = parameters.to_coordinates(theta) + 0.7 * rng.normal(size=parameters.count)
    return np.where(both, inside, np.asarray(parameters.from_coordinates(jnp.asarray(z))))
