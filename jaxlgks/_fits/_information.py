"""What data say about parameters: Fisher information, covariance, and what they leave open, in words.

Takes: the Jacobian of whitened predictions, r_i = f_i(θ)/σ_i, in the parameters themselves. Returns: F = JᵀJ, its
inverse, and directions in parameter space along which next to nothing changes.

Two scales keep a badly scaled parameter (a rate of 1e−6 beside a frequency of 1e3) from looking undetermined. Rank:
columns of J are brought to length one first (a direction then is null only if columns are parallel, or zero), and J is
decomposed, not F, whose condition is the square. Size: a direction, a single parameter among them, is called
undetermined if along it one standard deviation exceeds the natural size of the parameters in it. That is the width
between two bounds or the distance from one (`Parameters.natural`). One without bounds may well be zero in truth (an
offset), and its estimate then is of the size of its error: its natural size is `FREE` times the larger of |θ| and its
start value, which says what the user thinks is much. Where both are zero, what would move predictions by as much as
they are large: such an entry is determined if its trace is larger than the noise.
"""

from collections.abc import Mapping, Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ._parameters import Parameters, spread_units

RANK = 1e-9
"""Singular values below this part of the largest are rounding: model derivatives are good to about 1e−12."""
FREE = 3.0
"""Natural size of an entry without bounds, in units of its value: estimates of zero exceed a third of their error in
three cases of four."""


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
    - `root`: a square root of F = RᵀR, [k, p]: the triangular factor of the Jacobian of predictions over their errors.
    - `natural`: the size that each parameter is compared with.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    values: Float[np.ndarray, " p"]
    natural: Float[np.ndarray, " p"]
    root: Float[np.ndarray, "k p"]
    units: dict[str, str] = eqx.field(static=True)

    @property
    def matrix(self) -> Float[np.ndarray, "p p"]:
        """F = RᵀR."""
        return self.root.T @ self.root

    @property
    def rank(self) -> int:
        """Number of independent combinations of parameters that leave a trace in the data."""
        return int(np.sum(self._decomposed()[1] > 0))

    @property
    def covariance(self) -> Float[np.ndarray, "p p"]:
        """F⁻¹. A parameter that takes part in a null direction has infinite variance, and covariances NaN."""
        norms, s, rows = self._decomposed()
        scaled = rows[s > 0].T / s[s > 0]
        covariance = scaled @ scaled.T / np.outer(norms, norms)
        lost = np.any(np.abs(rows[s == 0]) > 1e-6, axis=0)
        covariance[lost, :] = covariance[:, lost] = np.nan
        covariance[lost, lost] = np.inf
        return covariance

    @property
    def sigmas(self) -> Float[np.ndarray, " p"]:
        """One standard deviation of each parameter (Cramér–Rao bound)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def log_determinant(self) -> float:
        """ln det F, what a D-optimal plan makes large; −∞ if singular."""
        norms, s, _ = self._decomposed()
        with np.errstate(divide="ignore"):
            return float(2 * np.sum(np.log(norms)) + 2 * np.sum(np.log(s)))

    @property
    def undetermined(self) -> tuple[Direction, ...]:
        """Null directions (parallel or empty columns), then those along which one standard deviation exceeds the
        natural size, the least determined first."""
        norms, s, rows = self._decomposed()
        null = rows[s == 0] / norms / self.natural  # δθ = D⁻¹ v, in natural sizes
        result = [self._direction(row / np.linalg.norm(row), np.inf) for row in null]
        if (s > 0).any():
            # Of the rest: principal axes of the covariance in natural sizes, orthogonal to the null directions.
            scaled = (rows[s > 0] / s[s > 0, None]) / (norms * self.natural)
            _, deviations, axes = np.linalg.svd(scaled, full_matrices=False)
            result += [self._direction(axis, float(d)) for d, axis in zip(deviations, axes, strict=True) if d > 1]
        return tuple(result)

    @property
    def unseen(self) -> str:
        """The null directions in words."""
        return " ".join(str(direction) for direction in self.undetermined if np.isinf(direction.deviation))

    def plus(self, other: "Information") -> "Information":
        """Of both measurements together."""
        require_same(self.names, other.names, "Information.plus")
        root = reduced(np.concatenate([self.root, other.root]))
        return Information(self.names, self.values, self.natural, root, self.units)

    def _decomposed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lengths of the columns, singular values of J with columns of length one (zero below rounding), right vectors
        in rows [p, p]."""
        norms = np.linalg.norm(self.root, axis=0)
        norms = np.where(norms > 0, norms, 1.0)
        _, s, rows = np.linalg.svd(self.root / norms, full_matrices=True)
        s = np.concatenate([s, np.zeros(len(norms) - len(s))])
        return norms, np.where(s > RANK * max(s[0], 1e-300), s, 0.0), rows

    def _direction(self, axis: np.ndarray, deviation: float) -> Direction:
        axis = axis * np.sign(axis[np.argmax(np.abs(axis))])
        order = [int(i) for i in np.argsort(-np.abs(axis), kind="stable") if abs(axis[i]) > 0.1 * np.max(np.abs(axis))]
        names, size = [self.names[i] for i in order], axis * self.natural
        moves = [f"{self.names[i]} by {0.01 * size[i] / axis[order[0]]:+.3g}" for i in order]
        moving, largest = f"changing {listed_names(moves)}", deviation * axis[order[0]]
        if np.isinf(deviation) and len(names) == 1:
            words = f"{names[0]} leaves no trace in the data."
        elif np.isinf(deviation):
            words = f"Only a combination of {listed_names(names)} is seen in the data: {moving} changes nothing."
        elif len(names) == 1:
            words = f"{names[0]} is hardly determined: one standard deviation is {deviation * size[order[0]]:.3g}."
        else:
            words = (
                f"{listed_names(names)} are hardly determined together: {moving} goes unnoticed up to "
                f"{100 * largest:.3g} times that (one standard deviation)."
            )
        return Direction({self.names[i]: float(axis[i]) for i in order}, deviation, words)

    def summary(self) -> str:
        """A table of what the plan can reach, and what it cannot."""
        lines = [f"{'parameter':<20}{'value':>14}{'1σ':>12}{'relative':>10}"]
        for name, value, sigma in zip(self.names, self.values, self.sigmas, strict=True):
            unit = self.units.get(name, "")
            part = f"{100 * sigma / abs(value):.2g} %" if value else ""
            lines.append(f"{name:<20}{value:>14.6g}{sigma:>12.3g}{part:>10} {unit}".rstrip())
        open_ = [f"! {direction}" for direction in self.undetermined]
        return "\n".join([*lines, *(open_ or ["All parameters are determined."])])

    def __str__(self) -> str:
        return self.summary()


def require_same(names: Sequence[str], others: Sequence[str], where: str) -> None:
    """Raise unless two informations are about the same parameters."""
    if tuple(names) != tuple(others):
        raise InputError(f"{where}: both must be about the same parameters; got {list(names)} and {list(others)}.")


def reduced(jacobian: np.ndarray) -> np.ndarray:
    """The triangular factor R of J = QR, column by column to its own precision: RᵀR = JᵀJ."""
    norms = np.linalg.norm(jacobian, axis=0)
    return np.linalg.qr(jacobian / np.where(norms > 0, norms, 1.0), mode="r") * norms


def information_of(
    parameters: Parameters,
    theta: np.ndarray,
    jacobian: np.ndarray,
    units: Mapping[str, str] | None,
    first: np.ndarray,
    signal: float,
) -> Information:
    """Information about parameters at θ. `first`: their size at the start, zero where nothing tells; `signal`: length
    of the predictions over their errors."""
    free = ~(np.isfinite(parameters.lower) | np.isfinite(parameters.upper))
    norms = np.linalg.norm(jacobian, axis=0)
    natural = np.where(free, FREE * np.maximum(np.abs(theta), first), parameters.natural(theta))
    traced = np.where((first == 0) & free & (norms > 0), signal / np.where(norms > 0, norms, 1.0), 0.0)
    natural = np.maximum(natural, traced)
    natural = np.where(natural > 0, natural, parameters.scale)
    return Information(parameters.names, theta, natural, reduced(jacobian), spread_units(units, parameters.names))


def listed_names(items: Sequence[str]) -> str:
    """Names in a sentence."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
