"""Sweeps: a function of named numbers over a grid, block by block, into a labelled dataset.

Takes: a function, axes. Returns: an `xarray.Dataset` with one variable for each array that the function returns, NaN
and a reason where a point failed, and attributes that say how it was made.
"""

import contextlib
import datetime
import functools
import itertools
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

from .._generator import require_memory
from .._inputs import (
    FORWARD,
    as_count,
    as_flag,
    as_mapping,
    as_setting,
    as_several,
    as_units,
    as_word,
    differentiating,
)
from ..errors import InputError, SweepError, SweepWarning, ValidityWarning
from ._grid import Block, Dimension, blocks, dimensions, point, require_parameters
from ._program import compiled, evaluate, named, with_slopes
from ._verdicts import summarise, verdicts as verdicts_on

if TYPE_CHECKING:
    import xarray

STOPPED = (RuntimeError, ValueError)
"""What a compiled program raises when a check inside it fails: of which of the two depends on when it is noticed."""
LOOKED_UP = 64
"""So many failed points are computed once more, one by one, to learn why."""
INSTALLED = 64e9
"""Bytes of memory where the system does not say."""


def sweep(
    f: Callable[..., Any],
    axes: Mapping,
    *,
    derivatives: Sequence[str] = (),
    values: bool = True,
    units: Mapping[str, str] | None = None,
    dims: Mapping[str, Sequence[str] | Mapping[str, Sequence]] | None = None,
    chunk: int | None = None,
    memory: float = 2e9,
    verdicts: int = 256,
    progress: bool = False,
    on_error: Literal["record", "raise"] = "record",
) -> "xarray.Dataset":
    """`f` at every point of a grid.

    **Arguments:**

    - `f`: takes named scalars, returns an array or a pytree of arrays; a function that JAX can compile.
    - `axes`: `{"T": [...], "delta": [...]}`, a product grid, the first dimension outermost. What `f` computes from
      outer names alone is computed once for all inner ones: put names that H depends on before temperatures. Several
      names on one dimension, a list of unrelated points: `{("T_a", "T_b"): ([...], [...])}`.
    - `derivatives`: names to differentiate in; adds `d_<variable>_d_<name>`. `values=False`: derivatives alone.
    - `units`: of axes and variables. `dims`: names for the axes of a variable, e.g. `{"value": ["bath"]}`, or names
      with labels, `{"value": {"bath": ["hot", "cold"]}}`.
    - `chunk`: points a block, which a CPU takes in tiles that suit its cache; by default 65,536 for each device, or as
      many as fit into `memory` bytes.
    - `verdicts`: at so many points, evenly spread over the grid, or as many as fit into `memory`, the equations that
      `f` asks are judged, which computes `f` there once more; 0: at none. What `f` does inside a `jit`, `vmap` or
      `grad` of its own is out of hearing, and said to be "not judged"; a function that is compiled as a whole is heard.
    - `progress`: a bar with rate and time left.
    - `on_error`: "record": a failed point (a result that is not finite, or an error) is NaN, `failed` and `reason` say
      where and why, and a `SweepWarning` how many; "raise": the first one raises.

    **Returns:** `xarray.Dataset`. Variables are named by the path in the pytree, a single array "value". All local
    devices share the work. `.to_netcdf(path, engine="h5netcdf")` saves it. Where `f` asks a master equation, the
    variable `validity` is the largest of the numbers that it takes for small (`Validity.error`: below 0.1 is in range,
    beyond 1 clearly not; NaN where it was not judged), and the attribute of that name says it in words. The variable
    `state_error` is the largest `SteadyState.error`, at the same points; the attribute `accuracy` says where that is
    too large.

    **Raises:** `InputError` for axes, names or options that do not fit; `SolverMemoryError` where the dataset is larger
    than the memory of the machine; `SweepError`.

    **Warns:** `SweepWarning` for failed points; `ValidityWarning`, once, where an equation is clearly out of range;
    `AccuracyWarning`, once, where rounding has spoiled steady states.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import numpy as np, jaxlgks as lgks

    def current(hot, cold):
        system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(hot, cold))
        return {"J": lgks.heat_currents(system, solver=lgks.Populations())}

    axes = {"hot": np.linspace(0.5, 1.0, 20), "cold": np.linspace(0.1, 0.4, 30)}
    data = lgks.sweep(current, axes, dims={"J": ["bath"]})
    data.J.isel(bath=0).sel(hot=0.7, cold=0.2, method="nearest")
    ```
    """
    grid = dimensions(axes)
    names = [name for one in grid for name in one.values]
    require_parameters(f, names)
    _require_options(names, derivatives, values, on_error)
    chunk = None if chunk is None else as_count(chunk, "sweep: chunk", 1, 10**9)
    memory, progress = as_setting(memory, "sweep: memory", 1.0), as_flag(progress, "sweep: progress")
    units, dims, looked_at = as_units(units), _as_dims(dims), as_count(verdicts, "sweep: verdicts", 0, 10**9)
    at = evaluate(f)
    finish = functools.partial(with_slopes, values=values, derivatives=tuple(derivatives))

    start = time.perf_counter()
    with differentiating("sweep", FORWARD):
        program = compiled(at, finish, grid, chunk, memory)
    compile_seconds = time.perf_counter() - start
    _require_room(math.prod(one.size for one in grid), program.a_point)
    results = _Results(grid)
    start = time.perf_counter()
    with _bar(progress, results.points) as tick:
        waiting: list[tuple[Block, dict | None]] = []
        for block in blocks(grid, program.shape):
            waiting.append((block, _attempt(program.call, block.values)))  # the next one runs while this one is stored
            if len(waiting) > 1:
                tick(results.store(*waiting.pop(0)))
        tick(results.store(*waiting.pop()))
    _one_by_one(finish(at), results)
    run_seconds = time.perf_counter() - start
    reasons = _reasons(f, results, on_error)

    if not results.arrays:
        assert reasons is not None  # no program ran to its end
        raise SweepError(f"sweep: every point failed, the first with {reasons.flat[0]}")
    attrs = _attributes(f, program.shape, results, compile_seconds, run_seconds)
    extra = _named_axes(results, dims, derivatives)
    data = _dataset(results, reasons, units, extra, _labels(results, dims, extra), attrs)
    found = None if {"validity", "state_error"} & set(data.variables) else verdicts_on(f, grid, looked_at, memory)
    if found is None:
        return data
    made = {name: ([one.name for one in grid], x) for name, x in found.variables(results.shape).items()}
    return data.assign(made).assign_attrs(summarise(found, grid))


def _require_room(points: int, a_point: float) -> None:
    """Raise where the results, and whether each is one, do not fit into the memory of this machine."""
    try:
        installed = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not on every system
        installed = INSTALLED
    remedy = "Take fewer points, return fewer numbers a point, or sweep one part after the other and save each."
    require_memory(f"sweep: the dataset of {points:.3g} points", points * (a_point + 1), installed, remedy)


def _require_options(names: list[str], derivatives: Sequence[str], values: bool, on_error: str) -> None:
    asked = [as_word(name, "sweep: derivatives") for name in as_several(derivatives, "sweep: derivatives")]
    if unknown := [name for name in asked if name not in names]:
        raise InputError(f"sweep: derivatives are asked for in {unknown}, which are no axes; there are {names}.")
    if not as_flag(values, "sweep: values") and not asked:
        raise InputError("sweep: nothing to compute: values=False without derivatives.")
    as_word(on_error, "sweep: on_error", ("record", "raise"))


def _as_dims(dims: Any) -> dict[str, Any]:
    """Names of axes by variable, or names with labels."""
    named = as_mapping(dims, "sweep: dims")
    for name, axes in named.items():
        labelled = isinstance(axes, Mapping)
        for axis in axes if labelled else as_several(axes, f"sweep: dims of {name!r}"):
            as_word(axis, f"sweep: an axis in dims of {name!r}")
        if labelled:
            named[name] = {axis: as_several(labels, f"sweep: labels of {axis!r}") for axis, labels in axes.items()}
    return named


def _attempt(call: Callable[[dict], dict], values: dict) -> dict | None:
    """What a program returns; None where it stops with an error, which XLA raises for a whole block."""
    try:
        return call(values)
    except STOPPED:
        return None


class _Results:
    """Arrays of the whole grid, filled block by block."""

    def __init__(self, grid: tuple[Dimension, ...]):
        self.grid = grid
        self.shape = tuple(one.size for one in grid)
        self.points = int(np.prod(self.shape))
        self.arrays: dict[str, np.ndarray] = {}
        self.failed = np.zeros(self.shape, bool)
        self.stopped: list[tuple[slice, ...]] = []

    def store(self, block: Block, out: dict | None) -> int:
        """Keep a block; returns its number of points. A program that runs elsewhere shows its error only here."""
        size = tuple(along.stop - along.start for along in block.place)
        with contextlib.suppress(*STOPPED):
            out = None if out is None else {name: np.asarray(x) for name, x in out.items()}
            if out is not None:
                self.keep(block.place, {name: x[tuple(slice(n) for n in size)] for name, x in out.items()})
                return int(np.prod(size))
        self.stopped.append(block.place)
        return int(np.prod(size))

    def keep(self, place: tuple, out: dict[str, np.ndarray]) -> None:
        """Keep what belongs to a place of the grid, and mark what is not finite."""
        lead = len(place) - sum(isinstance(along, int) for along in place)
        for name, x in out.items():
            if name not in self.arrays:
                empty = np.nan if np.issubdtype(x.dtype, np.inexact) else 0
                self.arrays[name] = np.full(self.shape + x.shape[lead:], empty, x.dtype)
            self.arrays[name][place] = x
            if np.issubdtype(x.dtype, np.inexact):
                self.failed[place] |= ~np.all(np.isfinite(x), axis=tuple(range(lead, x.ndim)))


def _one_by_one(at: Callable[[dict], dict], results: _Results) -> None:
    """Blocks whose program stopped, point by point: those that stop again have failed."""
    single = jax.jit(at)
    for place in results.stopped:
        for index in itertools.product(*(range(along.start, along.stop) for along in place)):
            try:
                results.keep(index, {k: np.asarray(x) for k, x in single(point(results.grid, index)).items()})
            except STOPPED:
                results.failed[index] = True


def _reasons(f: Callable, results: _Results, on_error: str) -> np.ndarray | None:
    """Why points failed: the first ones are computed again with known numbers, where errors have names."""
    if not results.failed.any():
        return None
    reasons = np.where(results.failed, "not finite (the reason was not looked up)", "").astype(object)
    failed = [tuple(index) for index in np.argwhere(results.failed).tolist()]
    for index in failed[:LOOKED_UP]:
        where = point(results.grid, index)
        reason, cause = "not finite", None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ValidityWarning)
                jax.block_until_ready(named(f(**where)))
        except Exception as error:
            reason, cause = f"{type(error).__name__}: {str(error).splitlines()[0]}", error
        if on_error == "raise":
            raise SweepError(f"sweep: the point {where} failed: {reason}") from cause
        reasons[index] = reason
    first = point(results.grid, failed[0])
    warnings.warn(
        f"sweep: {len(failed)} of {results.points} points failed, the first at {first}: "
        f"{reasons[results.failed][0]} See `failed` and `reason` in the dataset.",
        SweepWarning,
        stacklevel=3,
    )
    return reasons


def _attributes(f: Callable, shape: tuple[int, ...], results: _Results, compiling: float, running: float) -> dict:
    from importlib.metadata import version

    device = jax.local_devices()[0]
    return {
        "function": getattr(f, "__qualname__", type(f).__name__),
        "jaxlgks": version("jaxlgks"),
        "jax": jax.__version__,
        "device": f"{jax.local_device_count()} x {device.device_kind} ({device.platform})",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "block": " x ".join(map(str, shape)),
        "compile_seconds": compiling,
        "run_seconds": running,
        "points_per_second": results.points / running,
        "points": results.points,
        "n_failed": int(results.failed.sum()),
    }


def _named_axes(results: _Results, dims: Mapping, derivatives: Sequence[str]) -> dict[str, Sequence[str]]:
    """Names of the axes of every variable: as given, for its derivatives too, or numbered."""
    lead = len(results.grid)
    taken = {"failed", "reason", *(name for one in results.grid for name in (one.name, *one.values))}
    if both := sorted(taken & set(results.arrays)):
        raise InputError(f"sweep: the function returns {both}, names of axes or of what a sweep adds; rename them.")
    named_as = {f"d_{name}_d_{by}": labelled for name, labelled in dims.items() for by in derivatives} | dict(dims)
    sizes: dict[str, int] = {}
    result = {}
    for name, x in results.arrays.items():
        extra = list(named_as.get(name, [f"{name}_{i}" for i in range(x.ndim - lead)]))
        if len(extra) != x.ndim - lead:
            raise InputError(f"sweep: dims names {len(extra)} axes of {name!r}, which has {x.ndim - lead}.")
        for axis, size in zip(extra, x.shape[lead:], strict=True):
            if sizes.setdefault(axis, size) != size or axis in taken:
                raise InputError(f"sweep: the axis {axis!r} of {name!r} has a name that something else has; rename it.")
        result[name] = extra
    unknown = [name for name in dims if not {name, *(f"d_{name}_d_{by}" for by in derivatives)} & set(result)]
    if unknown:
        raise InputError(f"sweep: dims names axes of {unknown}, not among {sorted(result)}.")
    return result


def _labels(results: _Results, dims: Mapping, extra: Mapping) -> dict[str, list]:
    """Labels of the axes that were given with some."""
    sizes = {
        axis: n
        for name, x in results.arrays.items()
        for axis, n in zip(extra[name], x.shape[len(results.grid) :], strict=True)
    }
    result: dict[str, list] = {}
    for labelled in dims.values():
        for axis, labels in labelled.items() if isinstance(labelled, Mapping) else ():
            if len(labels) != sizes[axis] or result.setdefault(axis, list(labels)) != list(labels):
                raise InputError(
                    f"sweep: the axis {axis!r} has {sizes[axis]} entries; got the labels {list(labels)}"
                    f"{' and ' + str(result[axis]) if axis in result and result[axis] != list(labels) else ''}."
                )
    return result


def _dataset(
    results: _Results, reasons: np.ndarray | None, units: Mapping, extra: Mapping, labels: Mapping, attrs: dict
) -> "xarray.Dataset":
    import xarray

    lead = [one.name for one in results.grid]
    made = {
        name: xarray.Variable((*lead, *extra[name]), x, {"units": units[name]} if name in units else {})
        for name, x in results.arrays.items()
    }
    if reasons is not None:
        made["failed"] = xarray.Variable(lead, results.failed)
        made["reason"] = xarray.Variable(lead, reasons.astype(str))
    coords = {
        name: xarray.Variable(one.name, x, {"units": units[name]} if name in units else {})
        for one in results.grid
        for name, x in one.values.items()
    }
    coords |= {axis: xarray.Variable(axis, labelled) for axis, labelled in labels.items()}
    return xarray.Dataset(made, coords, attrs)


@contextlib.contextmanager
def _bar(shown: bool, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with points done, points per second and time left; tick(points) moves it."""
    if not shown:
        yield lambda points: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]:,.0f}/s")
    with Progress(BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()) as bar:
        task, start, done = bar.add_task("sweep", total=total, rate=0.0), time.perf_counter(), 0

        def tick(points: int) -> None:
            nonlocal done
            done += points
            bar.update(task, advance=points, rate=done / (time.perf_counter() - start))

        yield tick
