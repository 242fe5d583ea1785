"""What became of each start, and what about an estimate asks for a look: in words.

Enters: ends of all starts with residuals and Jacobians. Leaves: a table of outcomes, and notes.
"""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ._curvature import axes_of, falls
from ._data import Data
from ._information import RANK, Information, listed_names
from ._parameters import Parameters
from ._problem import Problem
from ._seek import Sought, given_at

CLOSE = 0.05
"""An end nearer to a minimum than this part of a standard deviation counts as the minimum."""
BOUND, BOUND_SCALE = 0.01, 1e-6
"""An entry is at its bound if closer than this part of its standard deviation, or of its scale."""
BIASED = 0.1
"""A shift of the estimates by the wrong weights that is reported, in standard deviations."""
SUSPECT = 1e-3
"""A χ² that a right model exceeds this rarely is reported."""


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


def distance(residuals: Any, jacobian: Any, free: np.ndarray) -> float:
    """√(gᵀF⁻¹g): the length of what a Gauss–Newton step would take off the residuals, in standard deviations. Only in
    parameters that are free to move, and in directions that the residuals see."""
    J = jacobian[:, free]
    norms = np.linalg.norm(J, axis=0)
    if not (norms > 0).any():
        return 0.0
    Q, R = np.linalg.qr(J[:, norms > 0] / norms[norms > 0])
    U, s, _ = np.linalg.svd(R)
    return float(np.linalg.norm(U[:, s > RANK * s[0]].T @ (Q.T @ residuals)))


def pressed(given: Parameters, theta: Any, jacobian: Any, residuals: Any) -> dict[str, str]:
    """Entries at a bound against which χ² pushes them: closer than a hundredth of their standard deviation if all else
    were known, or of 1e−6 of their scale."""
    norms = np.linalg.norm(jacobian, axis=0)
    alone = np.where(norms > 0, 1 / np.where(norms > 0, norms, 1.0), 0.0)
    found = given.at_bound(theta, np.maximum(BOUND * alone, BOUND_SCALE * given.scale))
    gradient = given.values(jacobian.T @ residuals)
    outward = {name: gradient[name] > 0 if "lower" in bound else gradient[name] < 0 for name, bound in found.items()}
    return {name: bound for name, bound in found.items() if outward[name]}


def starts_of(
    problem: Problem, sought: Sought, chi: np.ndarray, size: float, sigma: np.ndarray
) -> tuple[Starts, dict[str, str]]:
    """Every start with its outcome, and entries of the best one at their bounds. `chi`: infinite where an end is not
    finite; `size`: of the errors; `sigma`: standard deviations at the best end."""
    seen, ended, best = sought.seen, sought.ended, int(np.argmin(chi))
    given = [given_at(problem, sought.own, i) for i in range(len(chi))]
    finite = np.isfinite(chi)
    at = [
        pressed(given[i], seen.theta[i], seen.jacobian[i], seen.residuals[i]) if finite[i] else {}
        for i in range(len(chi))
    ]
    free = np.array([[name not in held for name in given[0].names] for held in at])
    away = np.array(
        [
            distance(seen.residuals[i], seen.jacobian[i], free[i]) / size if finite[i] else np.nan
            for i in range(len(chi))
        ]
    )
    axes = {i: axes_of(given[i], seen.theta[i], seen.jacobian[i], free[i], size) for i in range(len(chi)) if finite[i]}
    arrived = {i: one for i, one in axes.items() if one.distance(np.asarray(seen.residuals[i])) / size < CLOSE}
    falling = falls(sought.placed, sought.own, given, seen, arrived, size)
    unseen = [axes[i].unseen(given[i].names) if i in axes else () for i in range(len(chi))]
    words = []
    for i in range(len(chi)):
        if not finite[i]:
            words.append("not finite: predictions or their derivatives are NaN here")
            continue
        if i not in arrived or (away[i] >= CLOSE and not unseen[i]):
            short = f"{away[i]:.2g} σ"
            said = f"stopped {short} short of a minimum"
            if not ended.finished[i]:
                said = f"ran out of {int(ended.steps[i])} steps, {short} from a minimum"
        else:
            said = _stationary(falling[i], unseen[i], bool(away[i] >= CLOSE) or len(unseen[i]) > len(unseen[best]))
        said += "".join(f", {name} at its {bound}" for name, bound in at[i].items())
        words.append(said + (_compared(chi, i, best, size, seen.theta, sigma) if said.startswith("converged") else ""))
    final = np.where(finite[:, None], seen.theta, np.nan)
    return Starts(sought.initial, final, chi, ended.steps, away, tuple(words)), at[best]


def _stationary(falling: tuple[str, ...], unseen: tuple[str, ...], plateau: bool) -> str:
    """A place without slope in words. `plateau`: elsewhere something depends on what is not seen here."""
    if falling:
        return f"{RIDGE}: χ² falls on both sides along {listed_names(falling)}"
    if plateau:
        return f"{PLATEAU}, where next to nothing depends on {listed_names(unseen)}"
    return f"converged, where nothing depends on {listed_names(unseen)} alone" if unseen else "converged"


def _compared(chi: np.ndarray, i: int, best: int, size: float, theta: Any, sigma: np.ndarray) -> str:
    """The same minimum as the best one, one as good elsewhere, or a worse one."""
    if i == best:
        return " (best)"
    more = (chi[i] - chi[best]) / size**2
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.nanmax(np.abs(theta[i] - theta[best]) / np.where(np.isfinite(sigma), sigma, np.inf))
    if more > 0.01:
        return f" to another minimum, χ² larger by {more:.3g}"
    return AS_GOOD if far > 1.0 else " to the same minimum"


RIDGE = "stationary but no minimum"
PLATEAU = "ended on a plateau"
AS_GOOD = " to another minimum as good as the best"


def weighed_by_measured(data: Data, problem: Problem, size: float, seen: Any) -> tuple[str, ...]:
    """A note where errors are one and the same part of each measured number, and taking that part of the prediction
    moves the estimates: by one Gauss–Newton step, in standard deviations."""
    if data.errors is None or data.relative is not None:
        return ()
    said, m = [], len(problem.y)
    predicted = problem.y + problem.sigma * seen.residuals[:m]
    start = 0
    for name, y in data.observables.items():
        here = (problem.kept >= start) & (problem.kept < start + y.size) & (problem.y != 0)
        start += y.size
        part = problem.sigma[here] / np.abs(problem.y[here])
        if len(np.unique(np.abs(problem.y[here]))) < 3 or np.ptp(part) > 1e-3 * part[0]:
            continue
        ratio = np.ones(len(seen.residuals))
        ratio[:m][here] = problem.sigma[here] / np.maximum(
            part[0] * np.abs(predicted[here]), 1e-3 * problem.sigma[here]
        )
        norms = np.linalg.norm(seen.jacobian, axis=0)
        J = seen.jacobian / np.where(norms > 0, norms, 1.0)
        step = np.linalg.lstsq(J * ratio[:, None], seen.residuals * ratio, rcond=RANK)[0]
        plain = np.linalg.lstsq(J, seen.residuals, rcond=RANK)[0]  # what is left to the minimum as it is
        moved = float(np.linalg.norm(J @ (step - plain))) / size
        if moved > BIASED:
            said.append(
                f"errors of {name} are {100 * part[0]:.3g} % of each measured value, so that values that came out low "
                f"count more: this moves the estimates by {moved:.2g} σ. Give relative_errors={part[0]:.3g} instead."
            )
    return tuple(said)


def notes_of(starts: Starts, information: Information, pressed_at: dict[str, str], p_value: float) -> tuple[str, ...]:
    """What asks for a look."""
    best = int(np.argmin(starts.chi_squared))
    ridge = starts.outcomes[best].startswith(RIDGE)  # then what leaves no trace to first order does so to second
    open_ = [one for one in information.undetermined if not (ridge and np.isinf(one.deviation))]
    # What went to its bound by more than its error is known to be there.
    way = np.abs(starts.final[best] - starts.initial[best]) > information.sigmas
    there = {name for name, far in zip(information.names, way, strict=True) if far and name in pressed_at}
    said = [str(one) for one in open_ if not set(one.components) <= there]
    if said:
        said[0] = "A poor plan of measurement. " + said[0]
    for name, bound in pressed_at.items():
        said.append(
            f"{name} ends at its {bound}: its interval, and those of parameters correlated with it, do not hold."
        )
    if any(word.endswith(AS_GOOD) for word in starts.outcomes):
        said.append("Another minimum is as good: the data do not choose between them. See starts.")
    if starts.outcomes[best].startswith((RIDGE, PLATEAU)):
        said.append(f"The best start: {starts.outcomes[best]}. Start elsewhere.")
    elif not starts.distance[best] < CLOSE:
        said.append(f"The best start {starts.outcomes[best]}. Take more steps or another method.")
    elif p_value < SUSPECT:
        said.append(
            f"χ² is too large (p = {p_value:.1g}): the model does not describe the data within their errors, and "
            "intervals do not hold what the model leaves out."
        )
    return tuple(said)
