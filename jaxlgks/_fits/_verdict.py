"""What became of each start, and what about an estimate asks for a look: in words.

Takes: ends of all starts with residuals and Jacobians. Returns: a table of outcomes, and notes.

The Gauss–Newton matrix JᵀJ cannot tell a minimum from a maximum or a saddle: the second derivative of χ²/2 has a term
Σ r ∂²r as well, which has axes of its own. Its eigenvalues are found from gradients Jᵀr at a short distance u_i on both
sides along each axis of the confidence ellipsoid, B_ij = u_j · [Jᵀr(θ + u_i) − Jᵀr(θ − u_i)].
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._data import Data
from ._information import RANK, Information, listed_names
from ._parameters import Parameters
from ._problem import Point, Problem, linearised
from ._seek import Ends

CLOSE = 0.05
"""An end nearer to a minimum than this part of a standard deviation counts as the minimum."""
BOUND, BOUND_SCALE = 0.01, 1e-6
"""An entry is at its bound if closer than this part of its standard deviation, or of its scale."""
BIASED = 0.1
"""A shift of the estimates by the wrong weights that is reported, in standard deviations."""
SUSPECT = 1e-3
"""A χ² that a right model exceeds this rarely is reported."""
STEP = 0.1
"""Of a standard deviation: χ² grows by its square, 0.01, on either side of a minimum of a nearly linear problem."""
REACH = 0.03
"""Part of its size by which an entry is moved at most (one of which the data see next to nothing)."""
FALL = 1e-4
"""Second derivatives along a step below minus this (a hundredth of what a minimum has) are a fall and no rounding."""
SEEN = 1e-3
"""A direction counts as seen if an entry moved by its own size changes predictions by this part of their errors."""
BATCH = 64
"""Gradients at a time."""
RIDGE = "stationary but no minimum"
PLATEAU = "ended on a plateau"
AS_GOOD = " to another minimum as good as the best"


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


class _Place(NamedTuple):
    """An end: entries pressed against a bound; distance from a minimum, and the same in directions that are seen; sizes
    of the entries (zero where a bound holds one), `axes` of the confidence ellipsoid in these sizes, in rows, and what
    one size along each changes in standard errors (`traced`)."""

    pressed: dict[str, str]
    distance: float
    seen_distance: float
    sizes: np.ndarray
    axes: np.ndarray
    traced: np.ndarray

    def unseen(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Entries in directions that are not seen."""
        unseen = [axis for axis in (self.axes * (self.sizes > 0))[self.traced < SEEN] if np.linalg.norm(axis) > 0.5]
        large = [k for axis in unseen for k in np.flatnonzero(np.abs(axis) > 0.3 * np.max(np.abs(axis)))]
        return tuple(dict.fromkeys(names[k] for k in large))


def _place(parameters: Parameters, point: Any, size: float) -> _Place:
    J, r = np.asarray(point.jacobian) / size, np.asarray(point.residuals) / size
    norms = np.linalg.norm(J, axis=0)
    alone = np.where(norms > 0, 1 / np.where(norms > 0, norms, 1.0), 0.0)  # σ of an entry if all else were known
    close = parameters.at_bound(point.theta, np.maximum(BOUND * alone, BOUND_SCALE * parameters.scale))
    slope = parameters.values(J.T @ r)
    pressed = {name: bound for name, bound in close.items() if (slope[name] > 0) == ("lower" in bound)}
    free = np.array([name not in pressed for name in parameters.names])
    # The length of what a Gauss–Newton step takes off the residuals, in directions that these see.
    U, s, _ = np.linalg.svd(J * alone * free, full_matrices=False)
    distance = float(np.linalg.norm(U[:, s > RANK * max(s[0], 1e-300)].T @ r))
    natural = parameters.natural(point.theta)
    unbounded = ~(np.isfinite(parameters.lower) | np.isfinite(parameters.upper))
    sizes = np.where(unbounded, np.maximum(natural, parameters.scale), natural) * free
    # With fewer residuals than entries, the axes that a reduced factor leaves out are wanted too.
    U, s, axes = np.linalg.svd(J * sizes, full_matrices=len(J) < len(sizes))
    traced = np.concatenate([s, np.zeros(len(axes) - len(s))])
    return _Place(pressed, distance, float(np.linalg.norm(U[:, : len(s)][:, s > SEEN].T @ r)), sizes, axes, traced)


@eqx.filter_jit
def _gradients(problem: Problem, scale: Array, sigma: Array, theta: Array) -> Array:
    """Jᵀr, half the gradient of χ², at each of many θ."""
    goal = problem.goal(scale, sigma)

    def gradient(theta: Array) -> Array:
        r, J = linearised(goal.residuals, theta)
        return r @ J

    return jax.lax.map(gradient, theta, batch_size=min(BATCH, len(theta)))


def _falling(ends: Ends, i: int, place: _Place, size: float) -> tuple[str, ...]:
    """The parameters along which χ² falls on both sides of an end."""
    parameters, point = ends.parameters(i), ends.at(i)
    length = np.minimum(STEP / np.maximum(place.traced, 1e-300), REACH)
    steps = place.axes * length[:, None] * place.sizes
    room = np.minimum(point.theta - parameters.lower, parameters.upper - point.theta)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.nanmin(np.where(steps != 0, 0.25 * room / np.abs(steps), np.inf), axis=1)
    steps = steps * np.minimum(part, 1.0)[:, None]
    theta = jnp.asarray(np.concatenate([point.theta + steps, point.theta - steps]))
    slopes = np.asarray(_gradients(ends.problem, ends.scale[i], ends.sigma[i], theta))
    B = steps @ (slopes[: len(steps)] - slopes[len(steps) :]).T / size**2
    values, ways = np.linalg.eigh(np.where(np.isfinite(B + B.T), (B + B.T) / 2, 0.0))
    fall = max(FALL, 1e-9 * np.sum(point.residuals**2) / size**2)
    # The entries that take part in a move, each measured by its own size.
    moves = np.abs(ways.T[values < -fall] @ steps) / np.maximum(np.abs(point.theta), parameters.scale)
    return tuple(sorted({parameters.names[k] for move in moves for k in np.flatnonzero(move > 0.3 * np.max(move))}))


def _all_falling(ends: Ends, places: dict[int, _Place], size: float) -> dict[int, tuple[str, ...]]:
    """The same for all of these ends; those at one place (less than `STEP` of a standard deviation apart, and than
    `REACH` of the size of any entry) are looked at once."""
    result: dict[int, tuple[str, ...]] = {}
    for i, place in places.items():
        for j in result:
            off = ends.point.theta[i] - ends.point.theta[j]
            near = np.linalg.norm(ends.point.jacobian[j] @ off) < STEP * size
            if near and np.all(np.abs(off) <= REACH * places[j].sizes):
                result[i] = result[j]
                break
        else:
            result[i] = _falling(ends, i, place, size)
    return result


def starts_of(ends: Ends, chi: np.ndarray, size: float, sigma: np.ndarray) -> tuple[Starts, dict[str, str]]:
    """Every start with its outcome, and entries of the best one at their bounds. `chi`: infinite where an end is not
    finite; `size`: of the errors; `sigma`: standard deviations at the best end."""
    best, names = int(np.argmin(chi)), ends.problem.model.parameters.names
    finite = [i for i in range(len(chi)) if np.isfinite(chi[i])]
    places = {i: _place(ends.parameters(i), ends.at(i), size) for i in finite}
    arrived = {i: place for i, place in places.items() if place.seen_distance < CLOSE}
    falling = _all_falling(ends, arrived, size)
    words = []
    for i in range(len(chi)):
        if i not in places:
            words.append("not finite: predictions or their derivatives are NaN here")
            continue
        place, unseen = places[i], places[i].unseen(names)
        stopped = i not in arrived or (place.distance >= CLOSE and not unseen)
        if stopped and not ends.end.finished[i]:
            outcome = f"ran out of {int(ends.end.steps[i])} steps, {place.distance:.2g} σ from a minimum"
        elif stopped:
            outcome = f"stopped {place.distance:.2g} σ short of a minimum"
        elif falling[i]:
            outcome = f"{RIDGE}: χ² falls on both sides along {listed_names(falling[i])}"
        elif place.distance >= CLOSE or len(unseen) > len(places[best].unseen(names)):
            outcome = f"{PLATEAU}, where next to nothing depends on {listed_names(unseen)}"
        else:
            alone = f", where nothing depends on {listed_names(unseen)} alone" if unseen else ""
            outcome = f"converged{alone}"
        compared = _compared(chi, i, best, size, ends.point.theta, sigma) if outcome.startswith("converged") else ""
        words.append(outcome + "".join(f", {name} at its {bound}" for name, bound in place.pressed.items()) + compared)
    final = np.where(np.isfinite(chi)[:, None], ends.point.theta, np.nan)
    away = np.array([places[i].distance if i in places else np.nan for i in range(len(chi))])
    return Starts(ends.initial, final, chi, np.asarray(ends.end.steps), away, tuple(words)), places[best].pressed


def _compared(chi: np.ndarray, i: int, best: int, size: float, theta: Any, sigma: np.ndarray) -> str:
    """The same minimum as the best one, one as good elsewhere, or a worse one."""
    if i == best:
        return " (best)"
    more = (chi[i] - chi[best]) / size**2
    if more > 0.01:
        return f" to another minimum, χ² larger by {more:.3g}"
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.nanmax(np.abs(theta[i] - theta[best]) / np.where(np.isfinite(sigma), sigma, np.inf))
    return AS_GOOD if far > 1.0 else " to the same minimum"


def weighed_by_measured(data: Data, problem: Problem, size: float, point: Point) -> tuple[str, ...]:
    """A note where errors are one and the same part of each measured number, and taking that part of the prediction
    moves the estimates: by one Gauss–Newton step, in standard deviations."""
    if data.errors is None or data.relative is not None:
        return ()
    notes, sigma, count = [], problem.fixed, problem.count
    predicted = point.predicted[problem.row]
    # One row for each measured number instead of one for all that have one prediction; then those of priors.
    root = np.sqrt(np.bincount(problem.row, 1 / sigma**2, count))[problem.row]
    J = np.concatenate([point.jacobian[problem.row] / (root * sigma)[:, None], point.jacobian[count + 1 :]])
    r = np.concatenate([(predicted - problem.y) / sigma, point.residuals[count + 1 :]])
    norms = np.linalg.norm(J, axis=0)
    J = J / np.where(norms > 0, norms, 1.0)
    for name in data.observables:
        of_name = data.flat({k: np.full(y.shape, k == name) for k, y in data.observables.items()})[problem.kept]
        used = of_name & (problem.y != 0)
        part = sigma[used] / np.abs(problem.y[used])
        if len(np.unique(np.abs(problem.y[used]))) < 3 or np.ptp(part) > 1e-3 * part[0]:
            continue
        ratio = np.ones(len(r))
        ratio[: len(used)][used] = sigma[used] / np.maximum(part[0] * np.abs(predicted[used]), 1e-3 * sigma[used])
        step = np.linalg.lstsq(J * ratio[:, None], r * ratio, rcond=RANK)[0]
        step -= np.linalg.lstsq(J, r, rcond=RANK)[0]  # what is left to the minimum as it is
        if (shift := float(np.linalg.norm(J @ step)) / size) > BIASED:
            notes.append(
                f"errors of {name} are {100 * part[0]:.3g} % of each measured value, so that values that came out low "
                f"count more: this moves the estimates by {shift:.2g} σ. Give relative_errors={part[0]:.3g} instead."
            )
    return tuple(notes)


def notes_of(starts: Starts, information: Information, pressed: dict[str, str], p_value: float) -> tuple[str, ...]:
    """What asks for a look."""
    best = int(np.argmin(starts.chi_squared))
    outcome = starts.outcomes[best]
    # At a ridge what leaves no trace to first order does so to second.
    ridge = outcome.startswith(RIDGE)
    undetermined = [one for one in information.undetermined if not (ridge and np.isinf(one.deviation))]
    # What went to its bound by more than its error is known to be there.
    way = np.abs(starts.final[best] - starts.initial[best]) > information.sigmas
    known = {name for name, far in zip(information.names, way, strict=True) if far and name in pressed}
    notes = [str(one) for one in undetermined if not set(one.components) <= known]
    if notes:
        notes[0] = f"A poor plan of measurement. {notes[0]}"
    notes += [
        f"{name} ends at its {bound}: its interval, and those of parameters correlated with it, do not hold."
        for name, bound in pressed.items()
    ]
    if any(word.endswith(AS_GOOD) for word in starts.outcomes):
        notes.append("Another minimum is as good: the data do not choose between them. See starts.")
    if outcome.startswith((RIDGE, PLATEAU)):
        notes.append(f"The best start: {outcome}. Start elsewhere.")
    elif not starts.distance[best] < CLOSE:
        notes.append(f"The best start {outcome}. Take more steps or another method.")
    elif p_value < SUSPECT:
        notes.append(
            f"χ² is too large (p = {p_value:.1g}): the model does not describe the data within their errors, and "
            "intervals do not hold what the model leaves out."
        )
    return tuple(notes)
