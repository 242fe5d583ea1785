"""The compiled program of a sweep.

Enters: a function of named scalars. Leaves: one compiled function of a whole block, by nested `vmap`s, outermost
dimension first: what does not depend on an inner dimension is computed once for all of it. On several devices each
takes an equal share of the outermost dimension.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from .._errors import InputError
from ._grid import Dimension, block_shape

CHUNK = 1 << 14
"""Points a block: on a CPU the numbers of a small system then stay in its cache."""


def evaluate(f: Callable, values: bool, derivatives: tuple[str, ...]) -> Callable[[dict], dict[str, Any]]:
    """point ↦ arrays by name: what `f` returns, and d_<name>_d_<parameter>."""

    def plain(point: dict) -> dict[str, Any]:
        return {name: jnp.asarray(x) for name, x in named(f(**point)).items()}

    def slopes(point: dict) -> dict[str, Any]:
        def moved(x: jax.Array) -> tuple[dict, dict]:
            out = plain({**point, **{name: x[i] for i, name in enumerate(derivatives)}})
            smooth = {k: v for k, v in out.items() if jnp.issubdtype(v.dtype, jnp.inexact)}
            return smooth, out

        start = jnp.stack([jnp.asarray(point[name]) for name in derivatives])
        change, out = jax.jacfwd(moved, has_aux=True)(start)
        made = {f"d_{k}_d_{name}": v[..., i] for k, v in change.items() for i, name in enumerate(derivatives)}
        return {**out, **made} if values else made

    return slopes if derivatives else plain


def named(tree: Any) -> dict[str, Any]:
    """The arrays of a pytree by the path to them; a single array is called "value"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array_like))
    found = {jax.tree_util.keystr(path, simple=True, separator="_") or "value": leaf for path, leaf in leaves}
    if not found:
        raise InputError(f"sweep: the function must return arrays; got {type(tree).__name__} without any.")
    if len(found) != len(leaves):
        raise InputError(f"sweep: two results have the same name; got {[jax.tree_util.keystr(p) for p, _ in leaves]}.")
    return found


class Program(NamedTuple):
    """A compiled function of a block, the shape of the block, and what it needs."""

    call: Callable[[dict], dict]
    shape: tuple[int, ...]
    bytes: float


def compiled(at: Callable[[dict], dict], grid: tuple[Dimension, ...], chunk: int | None, memory: float) -> Program:
    """`at` over blocks of `chunk` points; of as many as `memory` holds, at most `CHUNK` a device, if that is None."""
    devices = jax.local_devices()
    sizes = tuple(one.size for one in grid)
    points = CHUNK * len(devices) if chunk is None else chunk
    program = _compile(at, grid, block_shape(sizes, points, len(devices)), devices)
    if chunk is None and program.bytes > memory:
        points = max(int(memory / program.bytes * np.prod(program.shape)), 1)
        program = _compile(at, grid, block_shape(sizes, points, len(devices)), devices)
    return program


def _compile(at: Callable, grid: tuple[Dimension, ...], shape: tuple[int, ...], devices: list) -> Program:
    for one in reversed(grid):
        at = jax.vmap(at, ({name: 0 if name in one.values else None for other in grid for name in other.values},))
    if len(devices) > 1:
        mesh = Mesh(np.array(devices), ("grid",))
        outer = {name: PartitionSpec("grid" if i == 0 else None) for i, one in enumerate(grid) for name in one.values}
        # Every device computes its own share: nothing is exchanged.
        at = jax.shard_map(at, mesh=mesh, in_specs=(outer,), out_specs=PartitionSpec("grid"), check_vma=False)
    example = {
        name: jax.ShapeDtypeStruct((n,), jnp.result_type(x.dtype, jnp.zeros(()).dtype))
        for n, one in zip(shape, grid, strict=True)
        for name, x in one.values.items()
    }
    program = jax.jit(at).lower(example).compile()
    usage = program.memory_analysis()
    needed = 0.0 if usage is None else float(usage.temp_size_in_bytes + usage.output_size_in_bytes)
    return Program(program, shape, needed)
