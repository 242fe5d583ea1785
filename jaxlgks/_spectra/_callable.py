"""Any function γ(ω), ω > 0, as a spectral density."""

import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._inputs import Numbers, as_function, as_real, as_scalar, as_word, depth_outside, described, is_concrete
from ..errors import DensityWarning, InputError, JaxlgksError
from ._base import AbstractSpectrum, ZeroBehaviour
from ._rough import rough_places, with_surroundings

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2

TINY = 1e-30
"""A frequency that stands for the limit ω → 0+ in any units; its square is a number in single precision too."""
GUARD = 1e-9
"""Up to here a density that is zero is told apart at zero (jnp.where(w > 1e-12, ..., 0)), beyond it has a gap."""
_LADDER = TINY * 10.0 ** np.arange(52)


class CallableSpectrum(AbstractSpectrum):
    """γ(ω) given by a JAX function of ω > 0.

    The derivative of κ(ω) = γ(ω)/ω cancels near ω = 0. Where γ is still almost linear, κ(ω) = ∫₀¹ γ'(sω) ds is used
    instead (eight Gauss–Legendre nodes), provided that it gives the value of the quotient to 1e−12.

    **Arguments:**

    - `function`: elementwise in ω, written with `jax.numpy`; an `equinox.Module` with `__call__` keeps its numbers
      differentiable. Functions of NumPy, SciPy or `math`, or with an `if` on ω, cannot be traced: sample them for
      `Tabulated`.
    - `at_zero`: "smooth" (γ(0) = γ''(0) = 0 < γ'(0)), "kink" (γ(0) = 0 otherwise) or "singular" (Γ(0) = T γ'(0) is
      infinite; no coupling may have a component at zero frequency, where Γ is taken for 0); found from the function
      when left out, which needs its numbers to be known (not inside `jit` or `grad`). What counts is the limit ω → 0,
      whatever γ(0) says: a function with jnp.where(w > 0, ..., 0) has the Γ(0) of the one inside.
    - `landmarks`: frequencies ω > 0 of edges, jumps and narrow lines, where the integral of a Lamb shift is cut. When
      left out the six roughest places of the function are looked for, at each integral.

    **Raises:** `InputError`. **Warns:** `DensityWarning` where γ tends to a constant at zero: the function may be a
    power spectrum S(ω), with the thermal occupation inside.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lorentzian = lgks.CallableSpectrum(lambda w: 0.1 * w / (1 + w**2))
    lgks.Bath(lgks.models.pauli("X"), 0.5, lorentzian).rate([-1.0, 0.0, 1.0])
    ```
    """

    function: Callable[[Array], Array]
    at_zero: ZeroBehaviour = eqx.field(static=True)
    marks: Float[Array, " n"] | None

    def __init__(
        self, function: Callable[..., Any], at_zero: ZeroBehaviour | None = None, landmarks: Numbers | None = None
    ):
        # A bare function holds no numbers: as a Partial it is a pytree without leaves.
        as_function(function, "A spectral density")
        held: Any = function if isinstance(function, eqx.Module) else jax.tree_util.Partial(function)
        name = getattr(function, "__name__", type(function).__name__)
        _require_traceable(held, name)
        self.function = held
        kinds = ("smooth", "kink", "singular")
        known = at_zero is not None
        self.at_zero = as_word(at_zero, "CallableSpectrum: at_zero", kinds) if known else _behaviour_at_zero(held, name)
        self.marks = None if landmarks is None else _as_landmarks(landmarks)

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        omega = jnp.abs(as_real(omega, "omega"))
        if self.at_zero == "singular":
            at_zero = omega == 0
            safe = jnp.where(at_zero, 1.0, omega)
            return jnp.where(at_zero, 0.0, self.function(safe) / safe)
        origin = _origin(self.function, omega.dtype)
        at_origin = _slope(self.function, jnp.zeros_like(omega) + origin)
        safe = jnp.where(omega == 0, 1.0, omega)
        quotient = self.function(safe) / safe
        # Only where nothing happens on the way: a resonance may bring the quotient back to its value at the origin.
        inner = jnp.where(jnp.abs(quotient - at_origin) < 0.1 * jnp.abs(at_origin), omega, 0.0)
        nodes = jnp.asarray(_NODES, inner.dtype).reshape(-1, *[1] * inner.ndim)
        mean = jnp.tensordot(jnp.asarray(_WEIGHTS, inner.dtype), _slope(self.function, nodes * inner + origin), axes=1)
        near = (inner > 0) & (jnp.abs(mean - quotient) <= 1e-12 * jnp.abs(quotient))
        return jnp.where(near | (omega == 0), mean, quotient)

    def landmarks(self, temperature: Float[Array, ""]) -> Float[Array, " marks"]:
        first = super().landmarks(temperature)
        return first if self.marks is None else jnp.concatenate([first, self.marks.astype(first.dtype)])

    def cuts(self, temperature: Float[Array, ""]) -> Float[Array, " cuts"]:
        temperature = as_scalar(temperature, "the temperature")
        fixed = jax.lax.stop_gradient(self.function)
        places = rough_places(fixed, temperature) if self.marks is None else self.marks.astype(temperature.dtype)
        return jnp.concatenate([temperature[None], with_surroundings(fixed, places)])


def _require_traceable(function: Callable[[Array], Any], name: str) -> None:
    """Raise for what JAX cannot trace, and for what does not act elementwise on real numbers."""
    for shape in ((), (3,)):
        try:
            # eval_shape would hash the function itself, and one that holds arrays has no hash.
            out = jax.eval_shape(lambda w: jnp.asarray(function(w)), jax.ShapeDtypeStruct(shape, jnp.zeros(()).dtype))
        except JaxlgksError:
            raise
        except Exception as error:  # whatever a function of the user's raises
            raise InputError(
                f"JAX cannot trace the spectral density {name}(ω) for an array of frequencies: it must be a JAX "
                f"function of the frequency alone, elementwise ({type(error).__name__}: "
                f"{str(error).splitlines()[0]}). Write it elementwise with jax.numpy (not "
                "numpy, scipy or math), with jnp.where in the place of `if`; or give samples of it, "
                "Tabulated(omega, gamma, tail=...)."
            ) from error
        if out.shape not in ((), shape):
            what = "a scalar" if shape == () else "an array [3]"
            raise InputError(f"A spectral density must act elementwise; {name} of {what} has shape {out.shape}.")
        if jnp.issubdtype(out.dtype, jnp.complexfloating):
            raise InputError(f"A spectral density must be real; {name}(ω) is {out.dtype}.")


def _as_landmarks(landmarks: Numbers) -> Float[Array, " n"]:
    marks = jnp.atleast_1d(as_real(landmarks, "CallableSpectrum: landmarks"))
    if marks.ndim != 1 or (is_concrete(marks) and not np.all(np.isfinite(marks) & (np.asarray(marks) > 0))):
        raise InputError(f"CallableSpectrum: landmarks must be positive frequencies, an array [n]; got {landmarks}.")
    return marks


def _slope(function: Callable[[Array], Array], omega: Array) -> Array:
    return jax.jvp(function, (omega,), (jnp.ones_like(omega),))[1]


def _origin(function: Callable[[Array], Array], dtype: Any) -> Array:
    """Where γ'(0) is to be taken: at zero, or beside it where zero is told apart, jnp.where(w > 0, ..., 0).

    A slope that vanishes in the limit, γ ∝ ω^1.2, is no such case."""
    points = jnp.asarray([0.0, TINY, 1e3 * TINY], dtype)
    at, near, far = jnp.broadcast_to(jax.lax.stop_gradient(_slope(function, points)), 3)
    apart = ~(jnp.abs(near - at) <= 1e-12 * jnp.abs(near)) & ~(jnp.abs(near) < 0.9 * jnp.abs(far))
    return jnp.where(apart, TINY, 0.0).astype(dtype)


def _behaviour_at_zero(function: Callable[[Array], Array], name: str) -> ZeroBehaviour:
    """From γ(0), and from the limit ω → 0+, which γ(0) may hide."""
    zero, ladder = jnp.zeros(()), jnp.asarray(_LADDER)
    value, slope = function(zero), _slope(function, zero)
    curvature = _slope(lambda w: _slope(function, w), zero)
    samples, origin = (function(ladder), _slope(function, ladder)), _origin(function, zero.dtype)
    if not is_concrete(value, slope, curvature, samples, origin):
        raise InputError(
            "The behaviour of a spectral density at ω = 0 cannot be read off while its numbers are traced: wrap it "
            "as CallableSpectrum(function, at_zero='smooth' | 'kink' | 'singular')."
        )
    linear, limit = _limit(*(np.broadcast_to(np.asarray(x), _LADDER.shape) for x in samples))
    value = float(value)
    limit = value if np.isfinite(value) and value != 0 else limit
    if limit:
        warnings.warn(
            f"The spectral density {name} does not vanish at zero, γ(0) = {limit:.6g}, so that Γ(0) is "
            "infinite. If it is a power spectrum S(ω) = γ(ω)(n(ω) + 1), which holds the thermal occupation (what "
            "QuTiP's brmesolve takes), a bath of temperature T needs γ(ω) = S(ω)(1 − exp(−ω/T)): "
            "lambda w: -jnp.expm1(-w / T) * S(w). For a constant rate use Flat. Say at_zero='singular' if it is right.",
            DensityWarning,
            stacklevel=depth_outside(),
        )
    if value != 0 or not np.isfinite(slope) or not linear:  # NaN is not zero
        return "singular"
    # No tolerance: curvature and slope have different units. γ ∝ ω³ has √Γ ∝ |ω|, a kink of the filter function. Where
    # zero is told apart, its curvature is not that of the function.
    return "smooth" if curvature == 0 and slope > 0 and origin == 0 else "kink"


def _limit(values: np.ndarray, slopes: np.ndarray) -> tuple[bool, float]:
    """Whether γ vanishes at zero like ω or faster, and the constant that it tends to otherwise (0 where it is none),
    from its values and slopes on the ladder.

    γ ∝ ω^p has the slope p γ/ω: γ/ω either falls or is the slope. What is a rounding of γ/ω elsewhere has fallen. Where
    numbers cancel close to zero, 1 − exp(−ω/T), they are looked at where at least eight digits are left; where the
    function is zero there, only up to `GUARD`: a gap begins further up.
    """
    present = np.isfinite(values) & (values != 0)
    first = int(np.argmax(present))
    if not present[first] or (values[0] == 0 and _LADDER[first] > GUARD):
        return True, 0.0
    first = first if first == 0 else min(first + 6, len(_LADDER) - 4)
    near, far = values[first], values[first + 3]
    ratio, farther = abs(near / _LADDER[first]), abs(far / _LADDER[first + 3])
    with np.errstate(over="ignore", invalid="ignore"):
        ratios = np.abs(values / _LADDER)[first:]
    falls = ratio < 0.9 * farther or ratio <= 1e-9 * np.max(ratios[np.isfinite(ratios)])
    linear = falls or abs(near / _LADDER[first] - slopes[first]) <= 1e-2 * ratio
    constant = near if not linear and abs(near - far) <= 1e-2 * abs(near) else 0.0
    return bool(linear), float(constant)


def as_spectrum(spectrum) -> AbstractSpectrum:
    """A spectral density as it is, or a function of ω wrapped as one."""
    if isinstance(spectrum, AbstractSpectrum):
        return spectrum
    if callable(spectrum) and not isinstance(spectrum, type):
        return CallableSpectrum(spectrum)
    raise InputError(f"A bath's spectrum must be a spectral density or a function γ(ω); got {described(spectrum)}.")
