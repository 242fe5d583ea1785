"""Parameters of a fit: a pytree of real numbers, the names of its entries, and smooth maps that respect bounds.

Enters: a pytree of start values, bounds by name. Leaves: a vector θ of named entries, and coordinates z without bounds,

    θ = s z,   bounded below l + s eᶻ,   bounded above u − s eᶻ,   on both sides l + (u − l)/(1 + e⁻ᶻ),

in which optimisers move; s is the size of the start value, so that a step of one in z is a large one in every θ.
"""

import difflib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import InputError

Bounds = Mapping[str, Any]
"""By name: (lower, upper), None or infinity for none; or "positive"."""


class Parameters(eqx.Module):
    """Names, bounds and scales of the entries of a pytree of real numbers."""

    lower: Float[Array | np.ndarray, " p"]
    upper: Float[Array | np.ndarray, " p"]
    scale: Float[Array | np.ndarray, "*s p"]
    names: tuple[str, ...] = eqx.field(static=True)
    below: tuple[bool, ...] = eqx.field(static=True)
    above: tuple[bool, ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)

    @property
    def count(self) -> int:
        """Number of entries."""
        return len(self.names)

    def tree(self, theta: Float[Array, " p"]) -> Any:
        """The pytree with these entries."""
        leaves, at = [], 0
        for shape in self.shapes:
            size = int(np.prod(shape))
            leaves.append(theta[at : at + size].reshape(shape) if shape else theta[at])
            at += size
        return jax.tree.unflatten(self.structure, leaves)

    def outward(self, z: Float[Array, " p"]) -> Float[Array, " p"]:
        """θ(z)."""
        below, above = np.array(self.below, bool), np.array(self.above, bool)
        both, one = below & above, below ^ above
        low, high = jnp.where(below, self.lower, 0.0), jnp.where(above, self.upper, 0.0)
        grown = self.scale * jnp.exp(jnp.where(one, z, 0.0))
        inside = low + (high - low) * jax.nn.sigmoid(jnp.where(both, z, 0.0))
        return jnp.where(both, inside, jnp.where(one, jnp.where(below, low + grown, high - grown), self.scale * z))

    def inward(self, theta: np.ndarray) -> np.ndarray:
        """z(θ) of known numbers strictly inside their bounds."""
        below, above = np.array(self.below, bool), np.array(self.above, bool)
        low, high = np.where(below, self.lower, 0.0), np.where(above, self.upper, 0.0)
        with np.errstate(all="ignore"):
            both = np.log((theta - low) / (high - theta))
            one = np.log(np.where(below, theta - low, high - theta) / self.scale)
        return np.where(below & above, both, np.where(below ^ above, one, theta / self.scale))

    def natural(self, theta: np.ndarray) -> np.ndarray:
        """What counts as a large change of each entry: the width between its bounds, or its own size."""
        both = np.array(self.below, bool) & np.array(self.above, bool)
        own = np.where(np.array(self.below, bool), theta - self.lower, np.abs(theta))
        own = np.where(np.array(self.above, bool) & ~both, self.upper - theta, own)
        with np.errstate(invalid="ignore"):
            return np.where(both, self.upper - self.lower, own)

    def at_bound(self, theta: np.ndarray, tolerance: np.ndarray) -> dict[str, str]:
        """Entries closer to a bound than `tolerance`, and which bound."""
        found = {}
        for name, value, low, high, close in zip(self.names, theta, self.lower, self.upper, tolerance, strict=True):
            if value - low <= close:
                found[name] = f"lower bound {low:.6g}"
            elif high - value <= close:
                found[name] = f"upper bound {high:.6g}"
        return found

    def values(self, theta: np.ndarray) -> dict[str, float]:
        """Entries by name."""
        return dict(zip(self.names, map(float, theta), strict=True))


def parameters(init: Any, bounds: Bounds | None, where: str) -> tuple[Parameters, np.ndarray]:
    """The parameters of a pytree, and the vector of its start values.

    **Raises:** `InputError` for entries that are not finite real numbers, unknown names, bounds that leave the start
    value outside.
    """
    names, theta, shapes, structure = _entries(init, where)
    lower, upper = _bounds(bounds or {}, names, where)
    require_inside(theta, lower, upper, names, where)
    below, above = np.isfinite(lower), np.isfinite(upper)
    distance = np.where(below, theta - lower, np.where(above, upper - theta, np.abs(theta)))
    scale = np.where(distance > 0, distance, 1.0)
    made = Parameters(
        lower, upper, scale, tuple(names), tuple(below.tolist()), tuple(above.tolist()), tuple(shapes), structure
    )
    return made, theta


def _entries(init: Any, where: str) -> tuple[list[str], np.ndarray, list[tuple[int, ...]], Any]:
    """Names and values of the entries of a pytree; shapes of its leaves; its structure."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(init)
    if not leaves:
        raise InputError(f"{where}: the start values hold no number; got {init!r}.")
    names, values, shapes = [], [], []
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        array = _real(leaf, f"{where}: the start value of {name!r}")
        shapes.append(array.shape)
        values.append(array.reshape(-1))
        names += [name + "".join(f"[{i}]" for i in index) for index in np.ndindex(array.shape)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{where}: two start values are called {twice[0]!r} by their path; rename one of them.")
    return names, np.concatenate(values), shapes, structure


def _real(leaf: Any, what: str) -> np.ndarray:
    array = np.asarray(leaf)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{what} must be real numbers; got {array.dtype}. Take its real and imaginary parts apart.")
    if not np.all(np.isfinite(array)):
        raise InputError(f"{what} must be finite; got {leaf!r}.")
    return array.astype(float)


def _bounds(bounds: Bounds, names: Sequence[str], where: str) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for key, given in bounds.items():
        at = addressed(key, names, f"{where}: bounds")
        pair = (0.0, None) if isinstance(given, str) and given == "positive" else given
        try:
            if isinstance(pair, str):
                raise TypeError
            first, second = pair
            low, high = -np.inf if first is None else _end(first), np.inf if second is None else _end(second)
        except (TypeError, ValueError):
            said = f"the bounds of {key!r} are a pair (lower, upper) or 'positive'; got {given!r}."
            raise InputError(f"{where}: {said}") from None
        if not low < high:
            raise InputError(f"{where}: the bounds of {key!r} leave nothing between them; got {pair!r}.")
        lower[at], upper[at] = low, high
    return lower, upper


def _end(value: Any) -> float:
    """A number that is one (no text that could be read as one)."""
    if not isinstance(value, numbers.Real):
        raise TypeError
    return float(value)


def require_inside(theta: Any, lower: Any, upper: Any, names: Sequence[str], where: str) -> None:
    """Raise for a start value that its bounds exclude (a bound itself is no place to start from: the smooth map has it
    at infinity)."""
    for name, value, low, high in zip(names, theta, lower, upper, strict=True):
        if not low < value < high:
            raise InputError(
                f"{where}: the bounds of {name!r} exclude its start: {value:.6g} is not strictly between {low:.6g} and "
                f"{high:.6g}. Move the start inside, or the bounds."
            )


def addressed(key: str, names: Sequence[str], where: str) -> list[int]:
    """The entries that a name stands for: one, or all of an array. `InputError` with the nearest name for none."""
    at = [i for i, name in enumerate(names) if name == key or name.startswith((f"{key}[", f"{key}."))]
    if not at:
        raise InputError(f"{where}: no parameter {key!r}; {nearest(str(key), names)}")
    return at


def spread_units(units: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Units of entries: their own, or that of the array (or branch of the pytree) that they belong to."""
    found = {}
    for name in names:
        whole = [key for key in units if name == key or name.startswith((f"{key}[", f"{key}."))]
        if whole:
            found[name] = units[max(whole, key=len)]
    return found


def nearest(key: str, names: Iterable[str]) -> str:
    """A hint: the nearest of some names, or all of them."""
    names = [str(name) for name in names]
    near = difflib.get_close_matches(key, names, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."


def listed_starts(given: Parameters, theta: np.ndarray, starts: Any, where: str) -> list[np.ndarray]:
    """The given start and a list of further ones, checked: the same entries, inside their bounds."""
    if isinstance(starts, Mapping | str) or not isinstance(starts, Iterable):
        raise InputError(f"{where}: starts is a number or a list of start values like init; got {starts!r}.")
    rows = [theta]
    for one in starts:
        names, vector, *_ = _entries(one, f"{where}: starts")
        if tuple(names) != given.names:
            raise InputError(f"{where}: each of the starts must have the entries {given.names}; got {tuple(names)}.")
        require_inside(vector, given.lower, given.upper, given.names, f"{where}: starts")
        rows.append(vector)
    return rows


def draw_starts(given: Parameters, theta: np.ndarray, starts: Any, seed: int, where: str) -> np.ndarray:
    """Start values [s, p]: the given one first, then those of a list, or others drawn around it: uniform between two
    bounds (in the logarithm where both are positive and far apart), else log-normal or normal with the size of the
    start."""
    if not isinstance(starts, numbers.Integral):
        return np.stack(listed_starts(given, theta, starts, where))
    if starts < 1:
        raise InputError(f"{where}: at least one start is needed; got {starts}.")
    rng = np.random.default_rng(seed)
    first = given.inward(theta)
    rows = [theta]
    both = np.array(given.below, bool) & np.array(given.above, bool)
    low, high = np.where(both, given.lower, 0.0), np.where(both, given.upper, 1.0)
    wide = both & (low > 0) & (high > 10 * low)
    for _ in range(int(starts) - 1):
        u = rng.uniform(0.02, 0.98, given.count)
        inside = np.where(
            wide, np.where(wide, low, 1) ** (1 - u) * np.where(wide, high, 1) ** u, low + u * (high - low)
        )
        around = np.asarray(given.outward(jnp.asarray(first + rng.normal(size=given.count) * 0.7)))
        rows.append(np.where(both, inside, around))
    return np.stack(rows)


def own_sizes(given: Parameters, rows: np.ndarray, drawn: bool) -> np.ndarray:
    """The size of each entry at each start [s, p], zero where nothing tells: the distance from its bound, else its own
    value. Starts of a list have sizes of their own, a poor one does not spoil the scales of the others; those drawn
    around the first one, and entries that start from zero, have that of the first."""
    below, above = np.array(given.below, bool), np.array(given.above, bool)
    own = np.where(below, rows - given.lower, np.where(above, given.upper - rows, np.abs(rows)))
    return np.where((own > 0) & (not drawn), own, own[0])
