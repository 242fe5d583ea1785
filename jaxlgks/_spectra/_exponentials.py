"""Correlation functions as sums of exponentials, C(t) = Σ_j c_j e^{−ν_j t} for t > 0, with a checked error.

Takes: a density, a temperature, a tolerance. Returns: c and ν, Re ν > 0; then

    G(ω) = Σ_j c_j/(ν_j − iω),     Γ(ω) = 2 Re G(ω).

A rational density keeps its own poles, and the Bose function becomes a sum of poles. Any other rate is fitted by a
rational function (AAA: Nakatsukasa, Sète, Trefethen, SIAM J. Sci. Comput. 40, A1494 (2018)); its poles in the lower
half plane are −iν_j, and the c_j solve a linear least-squares problem.

The error is the largest of |ΔG(ω)| and of the total variation of ΔΓ/2π, which bounds t|ΔC(t)| since
t ΔC(t) = −i ∫dω/2π ΔΓ'(ω) e^{−iωt}; both relative to max|G|, on a grid of the whole axis. (|ΔC| itself would be no
measure: C diverges as ln t where Γ falls as 1/ω.)
"""

import functools
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._inputs import as_count, as_setting, is_concrete
from ..errors import CorrelationError, InputError, LambShiftError
from ._bose import geometric, pade

MOST = 200
"""Exponentials of a rational density at most."""
_FITTED = 40  # of a fit
_SAMPLES = 800  # of a fit
_AROUND = np.geomspace(1e-5, 0.5, 25)

Exponentials = tuple[Complex[Array, " k"], Complex[Array, " k"]]


def exponentials(spectrum: Any, temperature: Float[Array, ""], tolerance: Any, terms: Any) -> Exponentials:
    """c and ν to a tolerance."""
    tolerance = as_setting(tolerance, "exponentials: tolerance", least=1e-13, most=1.0)
    poles = spectrum.poles()
    least = 1 if poles is None else poles[0].size + 1
    terms = None if terms is None else as_count(terms, "exponentials: terms", least, MOST)
    held = (spectrum, temperature)
    known: Any = jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, held)
    if poles is None and is_concrete(known):
        return _fitted(spectrum, temperature, _Check(known[0], known[1], tolerance), terms or _FITTED)
    if poles is not None and is_concrete(known):
        numbers, kind = jax.tree.flatten(known)
        terms, best = _enough(kind, tuple(x.dtype.type(x) for x in numbers), tolerance, terms)
        if terms is None:
            raise _Check(known[0], known[1], tolerance).failed(*best)
    elif poles is None:
        raise CorrelationError(
            f"exponentials: {type(spectrum).__name__} is fitted, which needs known numbers; call it outside jit and "
            "vmap (derivatives can be taken), and hand the exponentials on."
        )
    elif terms is None:
        raise InputError("exponentials: inside jit and vmap their number must be given, terms=...")
    assert poles is not None
    return _in_closed_form(poles[0], poles[1], temperature, terms)


def _rational(poles: Any, weights: Any, temperature: Any, terms: int, xp: Any = jnp) -> tuple[Any, Any]:
    """c and ν of γ(ω) = Σ_l K_l ω/(ω² + p_l²).

    Closing the contour in the lower half plane, the residues at −ip_l and at −iν_k, ν_k = ξ_k T, are

        c_l = (K_l/2) [T/p_l − i/2 − 2T p_l Σ_k η_k/(ν_k² − p_l²)],     c_k = η_k T Σ_l K_l ν_k/(ν_k² − p_l²).

    One pole: Γ falls as 1/ω, and frequencies far beyond the temperature count. Two: as 1/ω³. (`xp`: NumPy while the
    number of terms is looked for, where JAX would compile a program for each.)
    """
    bose = geometric if poles.size == 1 else pade
    xi, eta = (xp.asarray(x, temperature.dtype) for x in bose(terms - poles.size))
    nu = xi * temperature
    gaps = 1 / ((nu[:, None] - poles) * (nu[:, None] + poles))
    own = weights / 2 * (temperature / poles - 0.5j - 2 * temperature * poles * (eta @ gaps))
    c = xp.concatenate([own, eta * temperature * nu * (gaps @ weights)])
    return c, xp.concatenate([poles, nu.astype(poles.dtype)])


_in_closed_form = eqx.filter_jit(_rational)


class _Check:
    """The error of exponentials against the rate and the Lamb shift of a density of known numbers."""

    def __init__(self, spectrum: Any, temperature: Array, tolerance: float):
        marks = np.concatenate([np.ravel(spectrum.cuts(temperature)), [float(temperature)]])
        self.spectrum, self.temperature, self.tolerance = spectrum, temperature, tolerance
        self.omega = _grid(marks[marks > 0])
        self.rate = np.asarray(spectrum.rate(self.omega, temperature))
        self.some = np.arange(self.omega.size)
        if spectrum.poles() is None:  # a Lamb shift by quadrature: dear, and not resolved from too far away
            inside = np.abs(self.omega) < 30 * marks.max()
            self.some = self.some[inside][:: max(1, int(inside.sum()) // 300)]
        try:
            self.shift = np.asarray(spectrum.lamb_shift(self.omega[self.some], temperature))
        except LambShiftError as error:
            raise CorrelationError(f"exponentials: they cannot be checked. {error}") from error
        self.size = np.abs(self.rate[self.some] / 2 + 1j * self.shift).max()

    def error(self, c: Array | np.ndarray, nu: Array | np.ndarray) -> float:
        """As above; infinite where it is not a number."""
        with np.errstate(all="ignore"):
            G = (np.asarray(c) / (np.asarray(nu) - 1j * self.omega[:, None])).sum(axis=1)
            excess = 2 * G.real - self.rate
            largest = np.abs(excess[self.some] / 2 + 1j * (G.imag[self.some] - self.shift)).max()
            error = max(largest, np.abs(excess).max() / 2, np.abs(np.diff(excess)).sum() / (2 * np.pi)) / self.size
        return float(error) if np.isfinite(error) else np.inf

    def failed(self, terms: int, error: float) -> CorrelationError:
        """What is raised where none is good enough."""
        return CorrelationError(
            f"exponentials: {terms} exponentials give the correlation function of {type(self.spectrum).__name__} to "
            f"{error:.2g} of max|G(ω)|; asked for was {self.tolerance:.2g}. Ask for a larger tolerance, or allow more "
            "terms. A density with edges or kinks, or a coarse table, needs many; there are none at critical damping, "
            "and where a pole of an overdamped oscillator is a frequency 2πkT: move such a number a little."
        )


def _grid(marks: np.ndarray) -> np.ndarray:
    """Frequencies of both signs, ascending, from far below to far above all marks, and denser around each."""
    low, high = 1e-4 * marks.min(), 1e8 * marks.max()
    near = [marks * (1 + s) for s in (*_AROUND, *-_AROUND, 0.0)]
    up = np.unique(np.concatenate([np.geomspace(low, high, int(60 * np.log10(high / low))), *near]))
    return np.concatenate([-up[::-1], [0.0], up])


@functools.lru_cache(maxsize=256)
def _enough(kind: Any, numbers: tuple, tolerance: float, terms: int | None) -> tuple[int | None, tuple[int, float]]:
    """The number of exponentials that is enough for a density and a temperature, or a given number if it is; else None.
    And the best one, with its error."""
    spectrum, T = jax.tree.unflatten(kind, [jnp.asarray(x) for x in numbers])
    check = _Check(spectrum, T, tolerance)
    poles, weights, temperature = map(np.asarray, (*check.spectrum.poles(), check.temperature))
    best, count = (0, np.inf), terms or poles.size + 1
    while count <= MOST:
        with np.errstate(all="ignore"):  # a frequency on a pole, no weights at critical damping: no finite error
            error = check.error(*_rational(poles, weights, temperature, count, np))
        best = min(best, (count, error), key=lambda pair: pair[1])
        if error <= tolerance:
            return count, best
        if terms is not None:
            break
        count += 1 + count // 12
    return None, best


def _fitted(spectrum: Any, temperature: Array, check: _Check, most: int) -> Exponentials:
    """Exponents of known numbers; c follows from Γ on a grid by a constant matrix, which differentiates."""
    from scipy.interpolate import AAA  # loaded only where a density is fitted

    omega = check.omega[:: max(1, check.omega.size // _SAMPLES)]
    rate = np.asarray(check.spectrum.rate(omega, check.temperature))
    best = (0, np.inf)
    for factor in (1, 0.1, 0.01):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it did not converge, of which the error below tells
            fit = AAA(omega, rate, rtol=factor * check.tolerance, max_terms=2 * most, clean_up=False)
        nu = 1j * fit.poles()
        nu = nu[nu.real > 0]
        if not 0 < nu.size <= most:
            break
        matrix = _weights(nu, omega)
        error = check.error(matrix @ rate, nu)
        best = min(best, (nu.size, error), key=lambda pair: pair[1])
        if error <= check.tolerance:
            c = jnp.asarray(matrix) @ spectrum.rate(omega, temperature)
            return c, jnp.asarray(nu, c.dtype)
    raise check.failed(*best)


def _weights(nu: Any, omega: np.ndarray) -> np.ndarray:
    """The matrix that makes c from Γ(ω) = 2 Re Σ_j c_j/(ν_j − iω), by least squares for real unknowns Re c and Im c."""
    columns = nu.real / (nu - 1j * omega[:, None])
    inverse = np.linalg.pinv(np.concatenate([2 * columns.real, -2 * columns.imag], axis=1), rcond=1e-13)
    return nu.real[:, None] * (inverse[: nu.size] + 1j * inverse[nu.size :])
