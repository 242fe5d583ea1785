"""From start values to minima, and what became of every start in words.

Takes: a problem, start values [s, p]. Returns: where each start ended, and `Starts`, their outcomes.

Errors that are a part of the prediction are held while an optimiser runs, and renewed from where it ended, until they
stay: at the fixed point Σ_i ∂f_i (f_i − y_i)/σ_i(f)² = 0. (Were σ(f) varied as well, the fit would make f large where
it makes errors large.)

A start at which no residual depends on a parameter to first order (g = 0 where everything is even in g) has no slope
along which to leave: it is shifted by `NUDGE` of the parameter's size. The Gauss–Newton matrix JᵀJ does not tell a
minimum from a saddle either: the second derivative of χ²/2 has a term Σ r ∂²r as well. Its eigenvalues are computed
from gradients g = Jᵀr at a short distance u_i along each axis of the confidence ellipsoid, as those of the matrix
u_j · [g(θ + u_i) − g(θ − u_i)].
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import FitError
from ._information import listed_names
from ._optimisers import End, Method, minimise
from ._parameters import Parameters
from ._problem import Point, Problem, evaluate

NUDGE = 0.01
ROUNDS = 20  # errors are renewed at most so often
SETTLED = 1e-4  # relative change of errors that changes estimates by about this part of σ
CLOSE = 0.05  # an end nearer to a minimum, in standard deviations, counts as the minimum
STEP, LARGEST = 0.1, 0.03  # length of u_i in standard deviations, but at most in sizes of the parameters
FALL = 1e-4  # smaller eigenvalues than minus this are no rounding; a minimum has 0.01
NO_MINIMUM = "stationary but no minimum"
AS_GOOD = "converged to another minimum as good as the best"
SHOWN: list[Callable[[int], object]] = []  # progress bars


class Starts(eqx.Module):
    """What became of each start.

    - `initial`, `final`: parameters [s, p]; `chi_squared` [s] where it ended, `steps` [s].
    - `distance`: how far the end is from a minimum, in standard deviations: √(gᵀF⁻¹g), g the gradient of χ²/2.
    - `outcomes`: the same in words.
    """

    initial: Float[np.ndarray, "s p"]
    final: Float[np.ndarray, "s p"]
    chi_squared: Float[np.ndarray, " s"]
    steps: np.ndarray
    distance: Float[np.ndarray, " s"]
    outcomes: tuple[str, ...] = eqx.field(static=True)


class Ends(NamedTuple):
    """Of all starts: start values, errors, numbers of steps, whether the optimiser stopped by itself, what is at the
    end, and χ² there (infinite where something is not finite)."""

    initial: np.ndarray
    sigma: np.ndarray
    steps: np.ndarray
    finished: np.ndarray
    points: list[Any]
    chi_squared: np.ndarray


class _Goal(eqx.Module):
    """Residuals as a function of coordinates, one for all numbers measured at one setting and one for what these
    differ by: Σ_i (f − y_i)²/σ_i² = W (f − ȳ)² + Σ_i (y_i − ȳ)²/σ_i², W = Σ 1/σ_i², ȳ = Σ y_i/(W σ_i²)."""

    problem: Problem
    root: Float[Array, " k"]
    mean: Float[Array, " k"]
    rest: Float[Array, ""]

    def __call__(self, z: Float[Array, " p"]) -> Float[Array, " r"]:
        problem, theta = self.problem, self.problem.model.parameters.from_coordinates(z)
        apart = jnp.where(self.root > 0, problem.distinct(theta) - self.mean, 0.0)
        return jnp.concatenate([self.root * apart, self.rest[None], (theta - problem.mean) / problem.width])


def _goal(problem: Problem, sigma: Float[Array, " m"]) -> _Goal:
    """With these errors."""
    count = jax.eval_shape(problem.distinct, jnp.zeros(len(problem.mean))).size
    both = jnp.stack([1 / sigma**2, problem.y / sigma**2])
    W, sums = jnp.zeros((2, count)).at[:, problem.row].add(both)
    mean = sums / jnp.where(W > 0, W, 1.0)
    return _Goal(problem, jnp.sqrt(W), mean, jnp.linalg.norm((problem.y - mean[problem.row]) / sigma))


def descend(
    problem: Problem, method: Method, z: Any, sigma: Any, limit: Any, tick: Callable | None = None
) -> tuple[Array, End, Array]:
    """One start: parameters and errors where it ends."""
    parameters = problem.model.parameters

    def renewed(state: tuple) -> tuple:
        before, sigma, _, rounds = state
        end = minimise(_goal(problem, sigma), method, before.z, limit, tick)
        errors = problem.errors(problem.predicted(parameters.from_coordinates(end.z)))
        errors = jnp.where(jnp.isfinite(errors) & (errors > 0), errors, sigma)
        return end._replace(steps=before.steps + end.steps), errors, jnp.max(jnp.abs(errors / sigma - 1)), rounds + 1

    if problem.relative is None:
        end = minimise(_goal(problem, sigma), method, z, limit, tick)
    else:
        first = End(z, jnp.asarray(0), jnp.asarray(False))
        start = (first, sigma, jnp.asarray(jnp.inf), jnp.asarray(0))
        end, sigma, *_ = jax.lax.while_loop(lambda x: (x[2] >= SETTLED) & (x[3] < ROUNDS), renewed, start)
    return parameters.from_coordinates(end.z), end, sigma


@eqx.filter_jit
def _descended(problem: Problem, method: Method, z: Array, sigma: Array, limit: Array, tick: Any) -> tuple:
    def one(z: Array) -> tuple:
        return descend(problem, method, z, sigma, limit, tick)

    # One start without `vmap`, whose conditionals would compute both of their branches.
    return jax.vmap(one)(z) if len(z) > 1 else jax.tree.map(lambda x: x[None], one(z[0]))


@eqx.filter_jit
def _evaluated(problem: Problem, theta: Any, sigma: Any) -> Point:
    return evaluate(problem, jnp.asarray(theta), jnp.asarray(sigma))


def point_at(problem: Problem, theta: np.ndarray, sigma: Any) -> Any:
    """The `Point` at θ, in NumPy arrays."""
    return jax.tree.map(np.asarray, _evaluated(problem, theta, sigma))


def run(problem: Problem, method: Method, rows: np.ndarray, limit: int, progress: bool) -> tuple[Problem, Ends]:
    """All starts to their ends, and the problem with the scales of the first start.

    **Raises:** `FitError` where something is not finite at every end."""
    # To begin with, errors are a part of what was measured, no less than of a hundredth of the largest.
    sigma = np.asarray(problem.errors(problem.y, 0.01))
    jacobians = [point_at(problem, row, sigma).jacobian for row in rows]
    signal = float(np.linalg.norm(np.asarray(problem.y) / sigma))
    parameters = problem.model.parameters.scaled(rows[0], jacobians[0], signal)
    problem = eqx.tree_at(lambda p: p.model.parameters, problem, parameters)
    norms = np.linalg.norm(np.stack(jacobians) * parameters.scale, axis=1)
    z = parameters.to_coordinates(rows)
    with np.errstate(invalid="ignore"):
        z = z + NUDGE * (norms <= 1e-12 * np.max(norms, axis=1, keepdims=True, initial=0))
    with _bar(limit, len(rows)) if progress else contextlib.nullcontext():
        tick, z = _tick if progress else None, jnp.asarray(z)
        ends = _descended(problem, method, z, jnp.asarray(sigma), jnp.asarray(limit), tick)
        theta, end, errors = jax.tree.map(np.asarray, ends)
    points = [point_at(problem, *one) for one in zip(theta, errors, strict=True)]
    finite = [np.isfinite(p.residuals).all() and np.isfinite(p.jacobian).all() for p in points]
    if not any(finite):
        raise FitError(
            f"fit: no start leads to a finite χ²: predictions or derivatives are NaN at each of {len(points)} end(s). "
            "Start elsewhere; where levels coincide use an equation and solver that allow it (Unified(), Dense())."
        )
    chi = [np.sum(p.residuals**2) if good else np.inf for p, good in zip(points, finite, strict=True)]
    return problem, Ends(rows, errors, end.steps, end.finished, points, np.array(chi))


def _tick(steps) -> None:
    for show in SHOWN:
        show(int(steps))


@contextlib.contextmanager
def _bar(limit: int, starts: int) -> Iterator[None]:
    """A bar over steps."""
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task(f"at most {limit} steps of {starts} start(s)", total=limit)
        SHOWN.append(lambda steps: bar.update(task, completed=max(steps, int(bar.tasks[0].completed))))
        try:
            yield
        finally:
            jax.effects_barrier()
            SHOWN.pop()


def starts_of(problem: Problem, ends: Ends, size: float, sigmas: np.ndarray) -> Starts:
    """Every start with its outcome. `size`: of the errors; `sigmas`: standard deviations of the parameters at the best
    end."""
    chi, best, outcomes = ends.chi_squared, int(np.argmin(ends.chi_squared)), []
    theta, more = np.stack([np.asarray(point.theta) for point in ends.points]), (chi - np.min(chi)) / size**2
    with np.errstate(invalid="ignore"):
        off = np.max(np.abs(theta - theta[best]) / np.where(np.isfinite(sigmas), sigmas, np.inf), axis=1)
    for i, point in enumerate(ends.points):
        falling, away = [], f"{float(point.distance):.2g} σ"
        if point.distance < CLOSE and (i == best or not (more[i] < 0.01 and off[i] < STEP)):
            falling = _falling(problem, point, ends.sigma[i], size)
        if not np.isfinite(chi[i]):
            outcomes.append("not finite: predictions or their derivatives are NaN here")
            continue
        if not point.distance < CLOSE:
            outcome = f"stopped {away} short of a minimum"
            outcome = outcome if ends.finished[i] else f"ran out of {int(ends.steps[i])} steps, {away} from a minimum"
        elif falling:
            outcome = f"{NO_MINIMUM}: χ² falls on both sides along {listed_names(falling)}"
        elif i == best:
            outcome = "converged"
        elif more[i] > 0.01:
            outcome = f"converged to another minimum, χ² larger by {more[i]:.3g}"
        else:
            outcome = AS_GOOD if off[i] > 1.0 else "converged to the same minimum"
        held = "".join(f", {name} at its {bound}" for name, bound in bounds_of(problem.model.parameters, point).items())
        outcomes.append(outcome + held + (" (best)" if i == best else ""))
    theta[~np.isfinite(chi)] = np.nan
    distance = np.array([point.distance for point in ends.points])
    return Starts(ends.initial, theta, chi * float(problem.unit) ** 2, ends.steps, distance, tuple(outcomes))


def bounds_of(parameters: Parameters, point: Any) -> dict[str, str]:
    """The bounds that hold parameters, in words."""
    sides = zip(parameters.names, point.held, parameters.lower, parameters.upper, strict=True)
    words = {-1: "lower bound", 1: "upper bound"}
    return {name: f"{words[int(side)]} {high if side > 0 else low:.6g}" for name, side, low, high in sides if side}


def _falling(problem: Problem, point: Any, sigma: np.ndarray, size: float) -> list[str]:
    """The parameters along which χ² falls on both sides of a point; none at a minimum."""
    parameters, theta = problem.model.parameters, point.theta
    sizes = np.maximum(parameters.size(theta), parameters.scale) * (point.held == 0)
    _, s, axes = np.linalg.svd(point.jacobian / size * sizes, full_matrices=False)
    steps = axes * sizes * np.minimum(STEP / np.maximum(s, 1e-300), LARGEST)[:, None]
    room = np.minimum(theta - parameters.lower, parameters.upper - theta)
    part = np.where(steps != 0, room, np.inf) / np.maximum(np.abs(steps), 1e-300)
    steps = steps * np.minimum(0.25 * np.min(part, axis=1), 1.0)[:, None]

    def gradient(theta: np.ndarray) -> np.ndarray:
        beside = point_at(problem, theta, sigma)
        return beside.jacobian.T @ beside.residuals / size**2

    B = steps @ np.stack([gradient(theta + step) - gradient(theta - step) for step in steps]).T
    values, ways = np.linalg.eigh(np.where(np.isfinite(B + B.T), (B + B.T) / 2, 0.0))
    if values[0] > -max(FALL, 1e-9 * np.sum(point.residuals**2) / size**2):
        return []
    change = np.abs(ways[:, 0] @ steps) / sizes.clip(1e-300)
    return [name for name, part in zip(parameters.names, change, strict=True) if part > 0.3 * np.max(change)]
