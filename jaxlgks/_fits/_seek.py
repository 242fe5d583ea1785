"""From start values to ends: every start in scales of its own, errors that follow predictions, no start on a ridge.

Enters: a problem, start values. Leaves: where each start ended, with residuals and derivatives there.

Errors that are a part of the prediction are held while an optimiser runs, and made anew from where it ended, until they
stay: at the fixed point Σ_i ∂f_i (f_i − y_i)/σ_i(f)² = 0. (Were σ(f) varied as well, the fit would make f large where
it makes errors large.)

A start at which no residual depends on a parameter to first order, such as g = 0 where everything is even in g, has no
slope along which to leave: it is moved by `NUDGE` of the parameter's size before the first step.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._method import AbstractMethod
from ._parameters import Parameters
from ._problem import Examined, Own, Problem, examine
from ._runner import Ended, each, fingerprint, run

NUDGE = 0.01
ROUNDS = 20
"""So often are errors made anew at most; each time what is left falls by about the size of a relative error."""
SETTLED = 1e-4
"""Relative change of errors that moves no estimate by more than about this part of its standard deviation."""


class Sought(NamedTuple):
    """The problem where it is computed, ends, what each start has for itself, residuals and derivatives at the ends,
    start values [s, p]."""

    placed: Problem
    ended: Ended
    own: Own
    seen: Examined
    initial: np.ndarray


@eqx.filter_jit
def _examined(problem: Problem, own: Own, z: jax.Array) -> Examined:
    return each(lambda one: examine(problem.owned(one[0]), one[1]), (own, z))


def look(problem: Problem, own: Own, z: np.ndarray) -> Examined:
    """Residuals and derivatives of all starts, as NumPy arrays."""
    return jax.tree.map(np.asarray, _examined(problem, own, jnp.asarray(z)))


def seek(
    problem: Problem,
    method: AbstractMethod,
    rows: np.ndarray,
    sizes: np.ndarray,
    steps: int,
    progress: bool,
    checkpoint: str | Path | None,
) -> Sought:
    """All starts to their ends; `sizes`: of their entries, zero where nothing tells."""
    own = Own(np.where(sizes > 0, sizes, 1.0), np.tile(problem.sigma, (len(rows), 1)))
    placed = jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, problem)  # once, not each call
    first = look(placed, own, _inward(problem, own, rows))
    own = Own(_scales(problem, sizes, first), own.sigma)
    z = _nudged(_inward(problem, own, rows), first)
    taken, turn = np.zeros(len(rows), int), 0
    while True:
        path = None if checkpoint is None else Path(checkpoint)
        path = path if path is None or not turn else path.with_name(f"{path.name}.{turn}")
        mark = "" if path is None else fingerprint(problem, method, z, own)
        # What a later turn begins with changes where an earlier one has gone on: its file then begins anew.
        ended = run(placed, method, z, steps, own=own, progress=progress, checkpoint=path, mark=mark, renew=turn > 0)
        taken = taken + ended.steps
        seen = look(placed, own, ended.z)
        turn += 1
        if problem.relative is None:
            return Sought(placed, ended._replace(steps=taken), own, seen, rows)
        before, own, z = own, _renewed(problem, own, seen), ended.z
        seen = look(placed, own, z)
        if np.max(np.abs(own.sigma / before.sigma - 1)) < SETTLED or turn == ROUNDS:
            return Sought(placed, ended._replace(steps=taken), own, seen, rows)


def _inward(problem: Problem, own: Own, rows: np.ndarray) -> np.ndarray:
    return dataclasses.replace(problem.model.parameters, scale=own.scale).inward(rows)  # entry by entry: of all at once


def _scales(problem: Problem, sizes: np.ndarray, first: Examined) -> np.ndarray:
    """Sizes; where nothing tells one, what would move predictions by as much as the data are large."""
    norms = np.linalg.norm(first.jacobian, axis=1)
    signal = float(np.linalg.norm(problem.y / problem.sigma))
    known = np.isfinite(norms) & (norms > 0) & (signal > 0)
    return np.where(sizes > 0, sizes, np.where(known, signal / np.where(known, norms, 1.0), 1.0))


def given_at(problem: Problem, own: Own, i: int) -> Parameters:
    """The parameters in the scales of one start."""
    return dataclasses.replace(problem.model.parameters, scale=own.scale[i])


def _nudged(z: np.ndarray, first: Examined) -> np.ndarray:
    """Coordinates moved where residuals do not depend on them to first order."""
    norms = np.linalg.norm(first.jacobian * first.slope[:, None, :], axis=1)
    with np.errstate(invalid="ignore"):
        still = norms <= 1e-12 * np.max(norms, axis=1, keepdims=True, initial=0)
    return z + NUDGE * still


def _renewed(problem: Problem, own: Own, seen: Any) -> Own:
    """Errors from the predictions at the ends; as they were where these are not finite."""
    predicted = problem.y + own.sigma * seen.residuals[:, : len(problem.y)]
    sigma = np.asarray(problem.errors(predicted))
    return Own(own.scale, np.where(np.isfinite(sigma) & (sigma > 0), sigma, own.sigma))
