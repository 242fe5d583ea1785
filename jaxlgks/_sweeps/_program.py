"""The compiled program of a sweep.

Takes: a function of named scalars. Returns: one compiled function of a whole block, by nested `vmap`s, outermost
dimension first: what does not depend on an inner dimension is computed once for all of it. On several devices each
takes an equal share of the outermost dimension. A CPU computes its share in tiles, one after the other inside the
program: small enough for its cache, many enough that starting a program costs nothing.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from ..errors import InputError
from ._grid import Dimension, Layout, layout

CHUNK = 1 << 16
"""Points a block."""
TILE = 1 << 12
"""Points that a CPU takes at a time: the numbers of a small system then stay in its cache. An accelerator takes the
whole block."""
KEPT = 16
"""Compiled programs."""
LARGEST = 4e9
"""Bytes that a block may take on an accelerator, whatever `memory` and `chunk` say: there factorisations of batches
with more than 2²⁹ numbers in all have come out wrong."""


Points = dict[str, Any]
"""Values by name: of one point, or of a block of them."""
Evaluation = Callable[[Points], dict[str, Any]]


def evaluate(f: Callable) -> Evaluation:
    """point ↦ the arrays that `f` returns, by name."""

    def at(point: Points) -> dict[str, Any]:
        return {name: jnp.asarray(x) for name, x in named(f(**point)).items()}

    return at


def with_slopes(at: Evaluation, values: bool, derivatives: tuple[str, ...]) -> Evaluation:
    """`at`, of one point or of a block, and d_<name>_d_<parameter>.

    In a block every result depends on the numbers of its own point alone, so that one tangent of ones gives the
    derivative at all points. The parameters are the outermost axis of what is computed: inside the block's they would
    keep the processor from taking points together. What is linear is found once for all of them.
    """

    def slopes(points: Points) -> dict[str, Any]:
        def values_at(some: Points) -> tuple[dict, dict]:
            out = at({**points, **some})
            smooth = {k: v for k, v in out.items() if jnp.issubdtype(v.dtype, jnp.inexact)}
            return smooth, out

        start = {name: jnp.asarray(points[name]) for name in derivatives}
        _, push, out = jax.linearize(values_at, start, has_aux=True)
        each = {name: jnp.stack([jnp.full_like(x, by == name) for by in derivatives]) for name, x in start.items()}
        change = jax.vmap(push)(each)
        made = {f"d_{k}_d_{name}": v[i] for k, v in change.items() for i, name in enumerate(derivatives)}
        return {**out, **made} if values else made

    return slopes if derivatives else at


def named(tree: Any) -> dict[str, Any]:
    """The arrays of a pytree by the path to them; a single array is called "value"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array_like))
    named = {jax.tree_util.keystr(path, simple=True, separator="_") or "value": leaf for path, leaf in leaves}
    if not named:
        raise InputError(f"sweep: the function must return arrays; got {type(tree).__name__} without any.")
    if len(named) != len(leaves):
        raise InputError(f"sweep: two results have the same name; got {[jax.tree_util.keystr(p) for p, _ in leaves]}.")
    return named


class Program(NamedTuple):
    """A compiled function of a block, the shape of the block, what it needs, and what the results of a point take."""

    call: Callable[[dict], dict]
    shape: tuple[int, ...]
    bytes: float
    a_point: float


def compiled(
    at: Evaluation,
    finish: Callable[[Evaluation], Evaluation],
    grid: tuple[Dimension, ...],
    chunk: int | None,
    memory: float,
) -> Program:
    """`finish` of `at` over blocks of `chunk` points; if that is None, of `CHUNK` a device, or as many as `memory`
    holds."""
    devices = jax.local_devices()
    sizes = tuple(one.size for one in grid)
    points = CHUNK * len(devices) if chunk is None else chunk
    on_cpu = devices[0].platform == "cpu"
    tile = min(TILE, points) if on_cpu else points
    allowed = memory if chunk is None else float("inf")
    allowed = allowed if on_cpu else min(allowed, LARGEST)
    program = _compile(at, finish, grid, layout(sizes, points, tile, len(devices)), devices)
    if program.bytes > allowed:
        tile = max(int(allowed / program.bytes * tile), 1)
        program = _compile(at, finish, grid, layout(sizes, tile, tile, len(devices)), devices)
    return program


def _compile(at: Evaluation, finish: Callable, grid: tuple[Dimension, ...], plan: Layout, devices: list) -> Program:
    for one in reversed(grid):
        at = jax.vmap(at, ({name: 0 if name in one.values else None for other in grid for name in other.values},))
    at = finish(at)
    # The innermost loop runs along the outermost dimension: what depends on inner names alone, most of a grid of
    # temperatures, does not change in it, and XLA computes it before. The other way round costs five times as much.
    for i, one in enumerate(grid):
        at = _tiled(at, tuple(one.values), i, plan.tiles[i])
    if len(devices) > 1:
        mesh = Mesh(np.array(devices), ("grid",))
        outer = {name: PartitionSpec("grid" if i == 0 else None) for i, one in enumerate(grid) for name in one.values}
        # Every device computes its own share: nothing is exchanged.
        at = jax.shard_map(at, mesh=mesh, in_specs=(outer,), out_specs=PartitionSpec("grid"), check_vma=False)
    example = {
        name: jax.ShapeDtypeStruct((n,), jnp.result_type(x.dtype, jnp.zeros(()).dtype))
        for n, one in zip(plan.shape, grid, strict=True)
        for name, x in one.values.items()
    }
    program = executable(at, example)
    usage = program.memory_analysis()
    needed = 0.0 if usage is None else float(usage.temp_size_in_bytes + usage.output_size_in_bytes)
    results = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(program.out_info))
    return Program(program, plan.shape, needed, results / math.prod(plan.shape))


@dataclasses.dataclass(frozen=True)
class _Lowered:
    """A program before it is compiled. Two are equal that do the same with trees of the same names."""

    text: str
    trees: Any
    lowered: Any = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=KEPT)
def _executable(program: _Lowered) -> Any:
    return program.lowered.compile()


def executable(f: Callable, *arguments: Any) -> Any:
    """The compiled program of `f`, compiled anew only where it is not one of the last. It is traced anew each time: the
    same function may mean another thing by now."""
    lowered = jax.jit(f).lower(*arguments)
    text = lowered.as_text()
    if "callback" in text:  # which function is called back stands nowhere in it
        return lowered.compile()
    return _executable(_Lowered(text, (lowered.in_tree, lowered.out_tree), lowered))


def _tiled(at: Evaluation, names: tuple[str, ...], along: int, tiles: int) -> Evaluation:
    """`at` of a block, tile after tile along one of its dimensions, whose names are given."""
    if tiles == 1:
        return at

    def join(x: jax.Array) -> jax.Array:
        x = jnp.moveaxis(x, 0, along)
        return x.reshape(*x.shape[:along], -1, *x.shape[along + 2 :])

    def whole(points: Points) -> dict[str, Any]:
        pieces = {name: points[name].reshape(tiles, -1) for name in names}
        return jax.tree.map(join, jax.lax.map(lambda some: at({**points, **some}), pieces))

    return whole
