"""Many starts at once, down to where each of them ends.

Enters: a goal, a method, start values [s, p]. Leaves: for each start where it ended, after how many steps, and whether
by itself. One compiled program takes a number of steps of all starts, by `vmap`; between its calls a progress bar
moves and a checkpoint is written: arrays in npz, a line of JSON, nothing that could be executed.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..errors import InputError
from ._method import AbstractMethod, Goal

BLOCK = 5
"""Steps between two looks at a progress bar or checkpoint (of methods that need few; a fiftieth of all, of others)."""


class Going(eqx.Module):
    """All starts on their way: coordinates, the numbers in the method's state, steps taken, who has finished."""

    z: Array
    state: list[Any]
    steps: Array
    finished: Array


class Ended(NamedTuple):
    """Where the starts ended: z [s, p], steps [s], whether each finished by itself [s]."""

    z: np.ndarray
    steps: np.ndarray
    finished: np.ndarray


def begin(goal: Goal, method: AbstractMethod, z: Array) -> Going:
    """One start before its first step."""
    return _begun(method.init(goal, z), z)


def _begun(state: Any, z: Array) -> Going:
    numbers, _ = eqx.partition(state, eqx.is_array)
    return Going(z, [jnp.asarray(x) for x in jax.tree.leaves(numbers)], jnp.asarray(0), jnp.asarray(False))


def descend(goal: Goal, method: AbstractMethod, z: Array, limit: Array) -> Going:
    """One start, from its beginning until it finishes or has taken `limit` steps."""
    state = method.init(goal, z)
    return _on(goal, method, _begun(state, z), state, limit)


def advance(goal: Goal, method: AbstractMethod, going: Going, limit: Array) -> Going:
    """One start, until it finishes or has taken `limit` steps in all."""
    # What in the state is no number (jaxprs) belongs to this trace; the numbers come from outside.
    return _on(goal, method, going, method.init(goal, going.z), limit)


def _on(goal: Goal, method: AbstractMethod, going: Going, like: Any, limit: Array) -> Going:
    numbers, rest = eqx.partition(like, eqx.is_array)
    kinds, structure = jax.tree.flatten(numbers)

    def body(now: Going) -> Going:
        state = eqx.combine(jax.tree.unflatten(structure, now.state), rest)
        z, state = method.step(goal, now.z, state)
        leaves = jax.tree.leaves(eqx.filter(state, eqx.is_array))
        leaves = [x.astype(kind.dtype) for x, kind in zip(leaves, kinds, strict=True)]
        return Going(z, leaves, now.steps + 1, method.finished(goal, z, state))

    return jax.lax.while_loop(lambda now: ~now.finished & (now.steps < limit), body, going)


def each(f: Callable, many: Any) -> Any:
    """`f` of each along the first axis: one without `vmap`, whose conditionals would compute both of their branches."""
    if jax.tree.leaves(many)[0].shape[0] > 1:
        return jax.vmap(f)(many)
    return jax.tree.map(lambda x: x[None], f(jax.tree.map(lambda x: x[0], many)))


def _of(goal: Any, own: Any) -> Goal:
    """The goal of one start."""
    return goal if own is None else goal.goal(own)


@eqx.filter_jit
def _first(goal: Any, method: AbstractMethod, z: Array, own: Any, limit: Array) -> Going:
    def one(given: tuple) -> Going:
        return descend(_of(goal, given[1]), method, given[0], limit)

    return each(one, (z, own))


@eqx.filter_jit
def _further(goal: Any, method: AbstractMethod, going: Going, own: Any, limit: Array) -> Going:
    return each(lambda one: advance(_of(goal, one[1]), method, one[0], limit), (going, own))


def run(
    goal: Any,
    method: AbstractMethod,
    starts: np.ndarray,
    steps: int,
    *,
    own: Any = None,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    mark: str = "",
    renew: bool = False,
    title: str = "fit",
) -> Ended:
    """All starts to their ends, at most `steps` steps each. `goal`: a goal; or, with `own`, the numbers that each
    start has for itself, what makes a goal of these, `goal.goal(own)`. `renew`: a checkpoint of another
    problem is written over, not refused."""
    watched = progress or checkpoint is not None
    block = max(BLOCK, steps // 50) if watched else steps
    going = None if checkpoint is None else _read(Path(checkpoint), mark, goal, method, starts, own, renew)
    with _bar(progress, title, steps, len(starts)) as tick:
        while True:
            done = 0 if going is None else int(np.max(np.where(going.finished, 0, going.steps)))
            limit = jnp.asarray(min(done + block, steps))
            if going is None:
                going = _first(goal, method, jnp.asarray(starts), own, limit)
            else:
                going = _further(goal, method, going, own, limit)
            if checkpoint is not None:
                _write(Path(checkpoint), mark, going)
            finished = np.asarray(going.finished)
            tick(int(limit), int(finished.sum()))
            if finished.all() or int(limit) >= steps:
                return Ended(np.asarray(going.z), np.asarray(going.steps), finished)


def fingerprint(goal: Any, method: AbstractMethod, starts: np.ndarray, own: Any) -> str:
    """What a checkpoint must belong to: the program itself, with all numbers in it (model, data, priors, settings of
    the optimiser), and the starts."""
    z, mine = jax.tree.map(lambda x: jnp.asarray(x[0]), (starts, own))

    def whole(z: Array, own: Any) -> Going:
        return descend(_of(goal, own), method, z, jnp.asarray(1))

    digest = hashlib.sha256(jax.jit(whole).lower(z, mine).as_text().encode())
    for x in (np.asarray(starts), *(np.asarray(x) for x in jax.tree.leaves(own))):
        digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()


def _write(path: Path, mark: str, going: Going) -> None:
    """Whole or not at all: a new file takes the place of the old one."""
    numbers: dict[str, Any] = {f"state_{i}": np.asarray(x) for i, x in enumerate(going.state)}
    numbers |= {name: np.asarray(getattr(going, name)) for name in ("z", "steps", "finished")}
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        np.savez(file, meta=np.array(json.dumps({"fingerprint": mark})), **numbers)
    os.replace(new, path)


def _read(
    path: Path, mark: str, goal: Any, method: AbstractMethod, starts: np.ndarray, own: Any, renew: bool
) -> Going | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        meta = json.loads(str(found["meta"]))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"checkpoint: {path} is no checkpoint of a fit: {error}. Give another name.") from error
    first = lambda all_: each(lambda one: begin(_of(goal, one[1]), method, one[0]), all_)  # noqa: E731
    like = jax.eval_shape(first, (jnp.asarray(starts), own))
    state = [found.get(f"state_{i}") for i in range(len(like.state))]
    fits = all(x is not None and x.shape == s.shape for x, s in zip(state, like.state, strict=True))
    if meta.get("fingerprint") != mark or not fits:
        if renew:
            return None
        raise InputError(
            f"checkpoint: {path} belongs to another problem: another model, other data, parameters, "
            "bounds, priors, starts or optimiser. Remove it or give another name."
        )
    numbers = [jnp.asarray(x, s.dtype) for x, s in zip(state, like.state, strict=True)]
    return Going(jnp.asarray(found["z"]), numbers, jnp.asarray(found["steps"]), jnp.asarray(found["finished"]))


@contextlib.contextmanager
def _bar(shown: bool, title: str, steps: int, starts: int) -> Iterator[Callable[[int, int], Any]]:
    """A bar over steps, with the number of starts that have finished."""
    if not shown:
        yield lambda done, finished: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}: at most {task.total} steps, {task.fields[finished]} starts done")
    with Progress(text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task(title, total=steps, finished=f"0 of {starts}")
        yield lambda done, finished: bar.update(task, completed=done, finished=f"{finished} of {starts}")
