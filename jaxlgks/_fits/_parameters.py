"""Parameters: the entries of a pytree of real numbers, their names, and smooth maps that keep their bounds.

Takes: a pytree of start values, and bounds by name. Returns: a vector θ of named entries, and coordinates z without
bounds in which optimisers move,

    θ = s z,   bounded below l + s eᶻ,   bounded above u − s eᶻ,   on both sides l + (u − l)/(1 + e⁻ᶻ),

s the size of the start value, so that a step of one in z is a large step in every θ.
"""

import dataclasses
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

from .._inputs import as_array, as_count, as_mapping, as_units, described, require_finite, require_x64
from ..errors import InputError

Bounds = Mapping[str, Any]
"""By name: (lower, upper), None or infinity for none; or "positive"."""

FREE = 3.0  # estimates of zero exceed a third of their error in three cases of four


class Parameters(eqx.Module):
    """Names, bounds and scales (sizes of the start values) of the entries of a pytree of real numbers."""

    lower: Float[Array | np.ndarray, " p"]
    upper: Float[Array | np.ndarray, " p"]
    scale: Float[Array | np.ndarray, " p"]
    names: tuple[str, ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    structure: Any = eqx.field(static=True)

    def tree(self, theta: Any) -> Any:
        """The pytree with these entries."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        parts = zip(jnp.split(jnp.asarray(theta), ends), self.shapes, strict=True)
        return jax.tree.unflatten(self.structure, [part.reshape(shape) for part, shape in parts])

    def values(self, theta: Any) -> dict[str, float]:
        """Entries by name."""
        return dict(zip(self.names, map(float, theta), strict=True))

    def from_coordinates(self, z: Any) -> Array:
        """θ(z), [..., p]."""
        below, above = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        low: Any = jnp.where(below, self.lower, 0.0)
        high: Any = jnp.where(above, self.upper, 0.0)
        grown = self.scale * jnp.exp(jnp.asarray(jnp.where(below ^ above, z, 0.0)))
        inside = low + (high - low) * jax.nn.sigmoid(jnp.asarray(jnp.where(below & above, z, 0.0)))
        one_sided = jnp.where(below, low + grown, high - grown)
        return jnp.where(below & above, inside, jnp.where(below ^ above, one_sided, self.scale * z))

    def to_coordinates(self, theta: np.ndarray) -> np.ndarray:
        """z(θ), [..., p], of known numbers inside their bounds."""
        below, above = np.isfinite(self.lower), np.isfinite(self.upper)
        with np.errstate(all="ignore"):
            inside = np.log((theta - self.lower) / (self.upper - theta))
            one_sided = np.log(self.size(theta) / self.scale)
        return np.where(below & above, inside, np.where(below ^ above, one_sided, theta / self.scale))

    def size(self, theta: np.ndarray) -> np.ndarray:
        """The distance of each entry from its (lower) bound; without bounds its absolute value."""
        above = np.where(np.isfinite(self.upper), self.upper - theta, np.abs(theta))
        return np.where(np.isfinite(self.lower), theta - self.lower, above)

    def scaled(self, theta: np.ndarray, jacobian: np.ndarray, signal: float) -> "Parameters":
        """With the sizes of these start values as scales. That of a zero follows from the Jacobian of predictions over
        their errors: a third of what would change them by as much as they are large (`signal`, their length)."""
        size, norms = self.size(theta), np.linalg.norm(jacobian, axis=0)
        traced = signal / np.where(norms > 0, norms, 1.0) / FREE
        scale = np.where(size > 0, size, np.where((traced > 0) & (norms > 0) & np.isfinite(traced), traced, 1.0))
        return dataclasses.replace(self, scale=scale)


def as_parameters(init: Any, bounds: Bounds | None, where: str) -> tuple[Parameters, np.ndarray]:
    """The parameters of a pytree, and the vector of its start values.

    **Raises:** `InputError` for entries that are not finite real numbers, for unknown names and for bounds that
    leave the start value outside; `PrecisionError` without 64-bit JAX.
    """
    require_x64()
    names, theta, shapes, structure = _entries(init, where)
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for key, value in as_mapping(bounds, f"{where}: bounds").items():
        at = addressed(key, names, f"{where}: bounds")
        ends = range_of((0.0, None) if str(value) == "positive" else value)
        if ends is None:
            kind = "a pair (lower, upper), lower < upper, or 'positive'"
            raise InputError(f"{where}: the bounds of {key!r} are {kind}; got {value!r}.")
        lower[at], upper[at] = ends
    parameters = Parameters(lower, upper, np.ones(len(names)), names, shapes, structure)
    _require_inside(parameters, theta, where)
    return parameters.scaled(theta, np.zeros((0, len(names))), 0.0), theta


def _entries(init: Any, where: str) -> tuple[tuple[str, ...], np.ndarray, tuple, Any]:
    """Names and values of the entries of a pytree, shapes of its leaves, its structure."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(init)
    if not leaves:
        raise InputError(f"{where}: the start values hold no number; got {init!r}.")
    names, values = [], []
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "value"
        array = as_array(leaf, f"{where}: the start value of {name!r}", what="real numbers")
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise InputError(
                f"{where}: the start value of {name!r} must be real numbers; got {array.dtype}. Take real and "
                "imaginary parts as parameters of their own."
            )
        require_finite(array, f"{where}: the start value of {name!r}")
        values.append(array.astype(float))
        names += [name + "".join(f"[{i}]" for i in index) for index in np.ndindex(array.shape)]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{where}: two start values are called {repeated[0]!r} by their path; rename one of them.")
    theta = np.concatenate([array.reshape(-1) for array in values])
    return tuple(names), theta, tuple(array.shape for array in values), structure


def range_of(pair: Any) -> tuple[float, float] | None:
    """Two ends in order, infinite where one is None; None for what is no such pair."""
    ends = list(pair) if isinstance(pair, Iterable) and not isinstance(pair, str) else []
    if len(ends) != 2 or not all(end is None or isinstance(end, numbers.Real) for end in ends):
        return None
    low, high = -np.inf if ends[0] is None else float(ends[0]), np.inf if ends[1] is None else float(ends[1])
    return (low, high) if low < high else None


def _require_inside(parameters: Parameters, theta: np.ndarray, where: str) -> None:
    """Raise for a start value that its bounds exclude (the smooth map reaches a bound at infinity only)."""
    for name, value, low, high in zip(parameters.names, theta, parameters.lower, parameters.upper, strict=True):
        if not low < value < high:
            raise InputError(
                f"{where}: the bounds of {name!r} exclude its start: {value:.6g} is not strictly between {low:.6g} "
                f"and {high:.6g}. Move the start inside, or the bounds."
            )


def _matching(key: str, names: Sequence[str]) -> list[int]:
    """The entries that a name stands for: one, or all of an array or branch of the pytree."""
    key = str(key)
    return [i for i, name in enumerate(names) if name == key or name.startswith((f"{key}[", f"{key}."))]


def addressed(key: str, names: Sequence[str], where: str) -> list[int]:
    """The same; `InputError` with the nearest name if there is none."""
    if not (at := _matching(key, names)):
        raise InputError(f"{where}: no parameter {key!r}; {nearest(str(key), names)}")
    return at


def units_of(units: Mapping[str, str] | None, names: Sequence[str]) -> dict[str, str]:
    """Units of entries: their own, or that of the array or branch that they belong to."""
    units, result = as_units(units), {}
    for key in sorted(units, key=len):  # the most special name comes last
        result |= {names[i]: units[key] for i in _matching(key, names)}
    return result


def nearest(key: str, names: Iterable[str]) -> str:
    """A hint: the nearest of some names, or all of them."""
    names = [str(name) for name in names]
    near = difflib.get_close_matches(key, names, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."


def start_values(parameters: Parameters, theta: np.ndarray, starts: Any, seed: int, where: str) -> np.ndarray:
    """Start values [s, p]: θ first, then those of a list, or as many as make up the number `starts`, drawn."""
    seed = as_count(seed, f"{where}: seed", most=2**63 - 1)
    if isinstance(starts, numbers.Number):
        starts = as_count(starts, f"{where}: starts", 1)
        return np.concatenate([theta[None], _drawn(parameters, theta, starts - 1, seed)])
    if not isinstance(starts, list | tuple):
        raise InputError(f"{where}: starts is a number or a list of start values like init; got {described(starts)}.")
    rows, where = [theta], f"{where}: starts"
    for start in starts:
        names, row, *_ = _entries(start, where)
        if names != parameters.names:
            raise InputError(f"{where}: each must have the entries {parameters.names}; got {names}.")
        _require_inside(parameters, row, where)
        rows.append(row)
    return np.stack(rows)


def _drawn(parameters: Parameters, theta: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Between two bounds uniform (in the logarithm where both are positive and far apart), else log-normal or normal
    with the size of θ."""
    rng, low, high = np.random.default_rng(seed), np.asarray(parameters.lower), np.asarray(parameters.upper)
    u, normal = rng.uniform(0.02, 0.98, (count, len(theta))), rng.normal(size=(count, len(theta)))
    around = parameters.from_coordinates(parameters.to_coordinates(theta) + 0.7 * normal)
    with np.errstate(all="ignore"):
        inside = np.where((low > 0) & (high > 10 * low), low * (high / low) ** u, low + u * (high - low))
    return np.where(np.isfinite(low) & np.isfinite(high), inside, np.asarray(around))
