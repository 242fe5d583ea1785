"""Any function γ(ω), ω > 0, as a spectral density."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._inputs import as_function, as_word, described, is_concrete, is_real
from ..errors import InputError, JaxlgksError
from ._base import AbstractSpectrum, ZeroBehaviour

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


class CallableSpectrum(AbstractSpectrum):
    """γ(ω) given by a JAX function of ω > 0.

    The derivative of κ(ω) = γ(ω)/ω cancels near ω = 0. Where γ is still almost linear, κ(ω) = ∫₀¹ γ'(sω) ds is used
    instead (eight Gauss–Legendre nodes), provided that it gives the value of the quotient to 1e−12.

    **Arguments:** `function`: elementwise in ω; an `equinox.Module` with `__call__` keeps its numbers
    differentiable. `at_zero`: "smooth" (γ(0) = γ''(0) = 0 < γ'(0)), "kink" (γ(0) = 0 otherwise) or "singular"; found
    from the function when left out, which needs its numbers to be known (not inside `jit` or `grad`).

    **Raises:** `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lorentzian = lgks.CallableSpectrum(lambda w: 0.1 * w / (1 + w**2))
    lgks.Bath(lgks.models.pauli("X"), 0.5, lorentzian).rate([-1.0, 0.0, 1.0])
    ```
    """

    function: Callable[[Array], Array]
    at_zero: ZeroBehaviour = eqx.field(static=True)

    def __init__(self, function: Callable[..., Any], at_zero: ZeroBehaviour | None = None):
        # A bare function holds no numbers: as a Partial it is a pytree without leaves.
        as_function(function, "A spectral density")
        held: Any = function if isinstance(function, eqx.Module) else jax.tree_util.Partial(function)
        self.function = held
        _require_elementwise(held)
        kinds = ("smooth", "kink", "singular")
        known = at_zero is not None
        self.at_zero = as_word(at_zero, "CallableSpectrum: at_zero", kinds) if known else _behaviour_at_zero(held)

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        omega = jnp.abs(omega)
        if self.at_zero == "singular":
            at_zero = omega == 0
            safe = jnp.where(at_zero, 1.0, omega)
            return jnp.where(at_zero, 0.0, self.function(safe) / safe)
        at_origin = _slope(self.function, jnp.zeros_like(omega))
        safe = jnp.where(omega == 0, 1.0, omega)
        quotient = self.function(safe) / safe
        # Only where nothing happens on the way: a resonance may bring the quotient back to its value at the origin.
        inner = jnp.where(jnp.abs(quotient - at_origin) < 0.1 * jnp.abs(at_origin), omega, 0.0)
        nodes = jnp.asarray(_NODES, inner.dtype).reshape(-1, *[1] * inner.ndim)
        mean = jnp.tensordot(jnp.asarray(_WEIGHTS, inner.dtype), _slope(self.function, nodes * inner), axes=1)
        near = (inner > 0) & (jnp.abs(mean - quotient) <= 1e-12 * jnp.abs(quotient))
        return jnp.where(near | (omega == 0), mean, quotient)


def _slope(function: Callable[[Array], Array], omega: Array) -> Array:
    return jax.jvp(function, (omega,), (jnp.ones_like(omega),))[1]


def _require_elementwise(function: Callable[[Array], Any]) -> None:
    """Raise unless a number gives a real number, as far as shapes and kinds say."""
    try:
        value = jax.eval_shape(lambda omega: jnp.asarray(function(omega)), jax.ShapeDtypeStruct((), float))
    except JaxlgksError:
        raise
    except Exception as error:  # whatever a function of the user's raises
        raise InputError(
            f"A spectral density must be a JAX function of the frequency alone, elementwise: γ(scalar) raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if value.shape != () or not is_real(value):
        raise InputError(
            "A spectral density must act elementwise and be real; γ(scalar) is "
            f"{value.dtype} of shape {tuple(value.shape)}."
        )


def _behaviour_at_zero(function: Callable[[Array], Array]) -> ZeroBehaviour:
    zero = jnp.zeros(())
    value = jnp.asarray(function(zero))
    slope = _slope(function, zero)
    curvature = jax.jvp(lambda w: _slope(function, w), (zero,), (jnp.ones(()),))[1]
    if not is_concrete(value, slope, curvature):
        raise InputError(
            "The behaviour of a spectral density at ω = 0 cannot be read off while its numbers are traced: wrap it "
            "as CallableSpectrum(function, at_zero='smooth' | 'kink' | 'singular')."
        )
    if not np.isfinite(value) or value != 0 or not np.isfinite(slope):
        return "singular"
    # No tolerance: curvature and slope have different units. γ ∝ ω³ has √Γ ∝ |ω|, a kink of the filter function.
    return "smooth" if curvature == 0 and slope > 0 else "kink"


def as_spectrum(spectrum) -> AbstractSpectrum:
    """A spectral density as it is, or a function of ω wrapped as one."""
    if isinstance(spectrum, AbstractSpectrum):
        return spectrum
    if callable(spectrum) and not isinstance(spectrum, type):
        return CallableSpectrum(spectrum)
    raise InputError(f"A bath's spectrum must be a spectral density or a function γ(ω); got {described(spectrum)}.")
