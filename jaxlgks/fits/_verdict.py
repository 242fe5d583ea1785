"""What became of each start, and what about an estimate asks for a look: in words.

Enters: ends of all starts with residuals and Jacobians. Leaves: a table of outcomes, and notes.
"""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ._information import RANK, Information
from ._parameters import Parameters
from ._problem import Examined
from ._runner import Ended

CLOSE = 0.05
"""An end nearer to a minimum than this part of a standard deviation counts as the minimum."""
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
    found = given.at_bound(theta, np.maximum(0.01 * alone, 1e-6 * given.scale))
    gradient = given.values(jacobian.T @ residuals)
    outward = {name: gradient[name] > 0 if "lower" in bound else gradient[name] < 0 for name, bound in found.items()}
    return {name: bound for name, bound in found.items() if outward[name]}


def starts_of(
    given: Parameters,
    seen: Examined,
    ended: Ended,
    initial: np.ndarray,
    chi: np.ndarray,
    size: float,
    sigma: np.ndarray,
) -> Starts:
    """Every start with its outcome. `chi`: infinite where an end is not finite; `size`: of the errors; `sigma`:
    standard deviations at the best end."""
    best = int(np.argmin(chi))
    away, words = [], []
    for i in range(len(chi)):
        if not np.isfinite(chi[i]):
            away.append(np.nan)
            words.append("not finite: predictions or their derivatives are NaN here")
            continue
        r, J, theta = seen.residuals[i], seen.jacobian[i], seen.theta[i]
        at = pressed(given, theta, J, r)
        free = np.array([name not in at for name in given.names])
        d = distance(r, J, free) / size
        away.append(d)
        said = "converged" if d < CLOSE else f"stopped {d:.2g} σ short of a minimum"
        if d >= CLOSE and not ended.finished[i]:
            said = f"ran out of {int(ended.steps[i])} steps, {d:.2g} σ from a minimum"
        said += "".join(f", {name} at its {bound}" for name, bound in at.items())
        words.append(said + (_compared(chi, i, best, size, seen.theta, sigma) if d < CLOSE else ""))
    final = np.where(np.isfinite(chi)[:, None], seen.theta, np.nan)
    return Starts(initial, final, chi, ended.steps, np.array(away), tuple(words))


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


AS_GOOD = " to another minimum as good as the best"


def notes_of(starts: Starts, information: Information, pressed_at: dict[str, str], p_value: float) -> tuple[str, ...]:
    """What asks for a look."""
    said = [str(direction) for direction in information.undetermined]
    if said:
        said[0] = "A poor plan of measurement. " + said[0]
    for name, bound in pressed_at.items():
        said.append(
            f"{name} ends at its {bound}: its interval, and those of parameters correlated with it, do not hold."
        )
    best = int(np.argmin(starts.chi_squared))
    if any(word.endswith(AS_GOOD) for word in starts.outcomes):
        said.append("Another minimum is as good: the data do not choose between them. See starts.")
    if not starts.distance[best] < CLOSE:
        said.append(f"The best start {starts.outcomes[best]}. Take more steps or another method.")
    elif p_value < SUSPECT:
        said.append(
            f"χ² is too large (p = {p_value:.1g}): the model does not describe the data within their errors, and "
            "intervals do not hold what the model leaves out."
        )
    return tuple(said)
