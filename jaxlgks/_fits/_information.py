"""What data say about parameters: Fisher information, covariance, and what they leave open, in words.

Takes: the Jacobian of whitened predictions, r_i = f_i(θ)/σ_i, in the parameters themselves. Returns: F = JᵀJ, its
inverse, and directions in parameter space along which next to nothing changes.

Columns of J are brought to length one before singular values are called zero, and J is decomposed, not F, whose
condition is the square: a direction is null only if columns are parallel, or zero. A direction (or one parameter)
is called undetermined if along it one standard deviation exceeds the natural size of the parameters in it. That is the
width between two bounds or the distance from one. Without bounds it is `FREE` times the larger of |θ| and the start
value, since a parameter may well be zero in truth (an offset), its estimate then being of the size of its error. Where
both are zero, it is what would change predictions by as much as they are large.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ._parameters import FREE, Parameters, units_of
from ._problem import RANK


class Direction(eqx.Module):
    """A combination of parameters that the data do not fix.

    - `components`: by name, in units of each parameter's natural size; normalised, small ones left out.
    - `deviation`: one standard deviation along it, in the same units (1: as large as the parameters); infinite if null.
    - `words`: the same in a sentence.
    """

    components: dict[str, float]
    deviation: float
    words: str = eqx.field(static=True)

    def __str__(self) -> str:
        return self.words


class Information(eqx.Module):
    """Fisher information about parameters.

    - `names`, `values`, `units`: of the parameters.
    - `root`: R of F = RᵀR, [k, p], the triangular factor of the Jacobian of predictions over their errors.
    - `rank`: number of independent combinations of parameters that leave a trace in the data; `log_determinant`: ln
      det F, −∞ if singular; `undetermined`: directions that the data do not fix, the least determined first.
    - `covariance`: F⁻¹, [p, p], a parameter in a null direction having infinite variance, and covariances NaN;
      `sigmas`: one standard deviation of each parameter (Cramér–Rao bound).
    """

    names: tuple[str, ...] = eqx.field(static=True)
    values: Float[np.ndarray, " p"]
    units: dict[str, str] = eqx.field(static=True)
    root: Float[np.ndarray, "k p"]
    rank: int
    log_determinant: float
    covariance: Float[np.ndarray, "p p"]
    sigmas: Float[np.ndarray, " p"]
    undetermined: tuple[Direction, ...]

    @property
    def matrix(self) -> Float[np.ndarray, "p p"]:
        """F = RᵀR."""
        return self.root.T @ self.root

    @property
    def unseen(self) -> str:
        """The null directions in words."""
        return " ".join(str(direction) for direction in self.undetermined if np.isinf(direction.deviation))

    def summary(self) -> str:
        """A table of what the plan can reach, and what it cannot."""
        lines = [f"{'parameter':<20}{'value':>14}{'1σ':>12}{'relative':>10}"]
        for name, value, sigma in zip(self.names, self.values, self.sigmas, strict=True):
            part = f"{100 * sigma / abs(value):.2g} %" if value else ""
            lines.append(f"{name:<20}{value:>14.6g}{sigma:>12.3g}{part:>10} {self.units.get(name, '')}".rstrip())
        remarks = [f"! {direction}" for direction in self.undetermined]
        return "\n".join([*lines, *(remarks or ["All parameters are determined."])])

    __str__ = summary


def information_of(
    parameters: Parameters, theta: np.ndarray, jacobian: np.ndarray, units: Mapping[str, str] | None
) -> Information:
    """Information about parameters at θ."""
    names, norms = parameters.names, np.linalg.norm(jacobian, axis=0)
    norms = np.where(norms > 0, norms, 1.0)
    # The triangular factor of J = QR, column by column to its own precision: RᵀR = JᵀJ.
    R: Any = np.linalg.qr(jacobian / norms, mode="r")
    _, s, rows = np.linalg.svd(R, full_matrices=True)
    s = np.concatenate([s, np.zeros(len(norms) - len(s))])
    s = np.where(s > RANK * max(s[0], 1e-300), s, 0.0)
    with np.errstate(divide="ignore"):
        log_determinant = float(2 * np.sum(np.log(norms)) + 2 * np.sum(np.log(s)))
    scaled = rows[s > 0] / s[s > 0, None] / norms
    covariance = scaled.T @ scaled
    lost = np.any(np.abs(rows[s == 0]) > 1e-6, axis=0)
    covariance[lost, :] = covariance[:, lost] = np.nan
    covariance[lost, lost] = np.inf
    natural = _natural_sizes(parameters, theta)
    null = rows[s == 0] / norms / natural  # δθ = D⁻¹ v, in natural sizes
    directions = [_direction(names, natural, row / np.linalg.norm(row), np.inf) for row in null]
    if (s > 0).any():
        # Of the rest: principal axes of the covariance in natural sizes, orthogonal to the null directions.
        _, deviations, axes = np.linalg.svd(scaled / natural, full_matrices=False)
        rest = zip(axes, map(float, deviations), strict=True)
        directions += [_direction(names, natural, axis, deviation) for axis, deviation in rest if deviation > 1]
    return Information(
        names=names,
        values=theta,
        units=units_of(units, names),
        root=R * norms,
        rank=int(np.sum(s > 0)),
        log_determinant=log_determinant,
        covariance=covariance,
        sigmas=np.sqrt(np.diag(covariance)),
        undetermined=tuple(directions),
    )


def _natural_sizes(parameters: Parameters, theta: np.ndarray) -> np.ndarray:
    width, size = np.asarray(parameters.upper) - np.asarray(parameters.lower), parameters.size(theta)
    bounded = np.isfinite(parameters.lower) | np.isfinite(parameters.upper)
    natural = np.where(bounded, size, FREE * np.maximum(size, parameters.scale))
    natural = np.where(np.isfinite(width), width, natural)
    return np.where(natural > 0, natural, parameters.scale)


def _direction(names: Sequence[str], natural: np.ndarray, axis: np.ndarray, deviation: float) -> Direction:
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])
    order = [int(i) for i in np.argsort(-np.abs(axis), kind="stable") if abs(axis[i]) > 0.1 * np.max(np.abs(axis))]
    size, which = axis * natural, listed_names([names[i] for i in order])
    moves = listed_names([f"{names[i]} by {0.01 * size[i] / axis[order[0]]:+.3g}" for i in order])
    if np.isinf(deviation) and len(order) == 1:
        words = f"{which} leaves no trace in the data."
    elif np.isinf(deviation):
        words = f"Only a combination of {which} is seen in the data: changing {moves} changes nothing."
    elif len(order) == 1:
        words = f"{which} is hardly determined: one standard deviation is {deviation * size[order[0]]:.3g}."
    else:
        words = (
            f"{which} are hardly determined jointly: changing {moves} goes unnoticed up to "
            f"{100 * deviation * axis[order[0]]:.3g} times that (one standard deviation)."
        )
    return Direction({names[i]: float(axis[i]) for i in order}, deviation, words)


def listed_names(items: Sequence[str]) -> str:
    """Names in a sentence."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
