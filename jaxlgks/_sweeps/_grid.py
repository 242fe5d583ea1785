"""The grid of a sweep: which names run along which dimension, and the blocks in which it is computed.

Takes: axes as the user gives them. Returns: dimensions in order, outermost first, and rectangular blocks of equal shape
that cover the grid, the last ones padded by repetition.
"""

import difflib
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from .._inputs import as_array, as_function, as_several, is_concrete, require_finite
from ..errors import InputError


class Dimension(NamedTuple):
    """One dimension of the grid, and the values of the names that run along it."""

    name: str
    values: dict[str, np.ndarray]

    @property
    def size(self) -> int:
        return next(iter(self.values.values())).size


def dimensions(axes: Mapping) -> tuple[Dimension, ...]:
    """Axes, checked: `{"T": [...]}` is a dimension, `{("a", "b"): ([...], [...])}` a list of unrelated points."""
    if not isinstance(axes, Mapping) or not axes:
        raise InputError(f"sweep: axes must be a mapping of names to values, with one name at least; got {axes!r}.")
    result, taken = [], set()
    for key, values in axes.items():
        names = key if isinstance(key, tuple) else (key,)
        columns = as_several(values, f"sweep: axis {key!r}") if isinstance(key, tuple) else (values,)
        if not names or not all(isinstance(name, str) and name.isidentifier() for name in names):
            raise InputError(f"sweep: an axis is a name or a tuple of names; got {key!r}.")
        if len(columns) != len(names):
            raise InputError(f"sweep: axis {key!r} needs {len(names)} arrays, one a name; got {len(columns)}.")
        arrays = {name: _column(name, column) for name, column in zip(names, columns, strict=True)}
        if len({x.size for x in arrays.values()}) > 1:
            raise InputError(
                f"sweep: the arrays of {key!r} must be equally long; got {[x.size for x in arrays.values()]}."
            )
        repeated = taken & set(names) or {name for name in names if names.count(name) > 1}
        if repeated:
            raise InputError(f"sweep: {sorted(repeated)} appears on more than one axis.")
        taken |= set(names)
        result.append(Dimension("_".join(names), arrays))
    return tuple(result)


def _column(name: str, values) -> np.ndarray:
    array = as_array(values, f"sweep: axis {name!r}", what="real numbers") if is_concrete(values) else np.zeros(())
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "fiu":
        raise InputError(
            f"sweep: axis {name!r} must hold real numbers, an array [n] with n ≥ 1; got {array.dtype}{array.shape}."
        )
    if not np.all(np.isfinite(array)):
        raise InputError(f"sweep: axis {name!r} must be finite; entry {int(np.argmin(np.isfinite(array)))} is not.")
    require_finite(array, f"sweep: axis {name!r}")
    return array.astype(float) if array.dtype.kind != "f" else array


def require_parameters(f: Callable, names: list[str]) -> None:
    """Raise unless `f` can be called with these names and no others."""
    parameters = inspect.signature(as_function(f, "sweep: f")).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        known = [p.name for p in parameters if p.kind not in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"it takes {known}."
                raise InputError(f"sweep: the function has no parameter {name!r}; {hint}")
    missing = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in names
    ]
    if missing:
        raise InputError(f"sweep: no axis for the parameter(s) {missing}; give them values, e.g. by functools.partial.")


class Block(NamedTuple):
    """Part of the grid: its place, and the values of all names, padded to the common shape."""

    place: tuple[slice, ...]
    values: dict[str, np.ndarray]


class Layout(NamedTuple):
    """How the grid is taken: the shape of a block, and in how many tiles along each dimension it is computed (on each
    device, which share the outermost dimension)."""

    shape: tuple[int, ...]
    tiles: tuple[int, ...]


def layout(sizes: tuple[int, ...], points: int, tile: int, lanes: int = 1) -> Layout:
    """Blocks of at most `points` points (one for each device at least) in tiles of at most `tile`, for `lanes` devices:
    inner dimensions whole before outer ones are, so that what does not depend on them is shared."""
    share = (math.ceil(sizes[0] / lanes), *sizes[1:])  # of each device
    inner = _pieces(share, min(tile, points // lanes))
    many = tuple(math.ceil(size / n) for size, n in zip(share, inner, strict=True))
    tiles = _pieces(many, points // lanes // math.prod(inner))
    outermost, *rest = (n * k for n, k in zip(inner, tiles, strict=True))
    return Layout((outermost * lanes, *rest), tiles)


def _pieces(sizes: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The shape of equal pieces of a grid, at most `most` points each, that are whole along inner dimensions first."""
    shape = []
    for size in reversed(sizes):
        shape.append(math.ceil(size / math.ceil(size / max(min(size, most), 1))))
        most //= shape[-1]
    return tuple(reversed(shape))


def blocks(grid: tuple[Dimension, ...], shape: tuple[int, ...]) -> Iterator[Block]:
    """Blocks that cover the grid, in order."""
    starts = [range(0, one.size, step) for one, step in zip(grid, shape, strict=True)]
    for corner in itertools.product(*starts):
        place = tuple(slice(a, min(a + n, one.size)) for a, n, one in zip(corner, shape, grid, strict=True))
        values = {
            name: np.pad(array[along], (0, n - (along.stop - along.start)), mode="edge")
            for along, n, one in zip(place, shape, grid, strict=True)
            for name, array in one.values.items()
        }
        yield Block(place, values)


def point(grid: tuple[Dimension, ...], index: tuple[int, ...]) -> dict[str, float]:
    """The values of all names at one point of the grid."""
    return {name: float(x[i]) for i, one in zip(index, grid, strict=True) for name, x in one.values.items()}
