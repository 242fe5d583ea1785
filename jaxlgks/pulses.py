"""Shapes of drives in time.

Takes: heights, times, widths. Returns: functions f(t) of a real time, or of arrays of times, whose numbers can be
differentiated. A `Drive` takes any of them, their sums (`lambda t: a(t) + b(t)`), or any other JAX function of t.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ._inputs import as_array, as_positive, as_real, as_scalar, is_concrete, require_finite
from .errors import InputError, ShapeError


class Gaussian(eqx.Module):
    """f(t) = height · exp(−(t − centre)²/(2 width²)); `width` > 0, times in 1/energy.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.pulses.Gaussian(height=0.2, centre=10.0, width=2.0)(10.0)           # 0.2
    ```
    """

    height: Float[Array, "*batch"]
    centre: Float[Array, "*batch"]
    width: Float[Array, "*batch"]

    def __init__(self, height: Any, centre: Any, width: Any):
        self.height, self.centre = as_scalar(height, "Gaussian: height"), as_scalar(centre, "Gaussian: centre")
        self.width = as_positive(width, "Gaussian: width", InputError, "a time")

    def __call__(self, t: Any) -> Array:
        return self.height * jnp.exp(-(((t - self.centre) / self.width) ** 2) / 2)


class Ramp(eqx.Module):
    """From 0 before `start` to `height` after `start + duration`, twice continuously differentiable:
    f = height · x³(10 − 15x + 6x²), x = (t − start)/duration between 0 and 1.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.pulses.Ramp(height=0.2, start=0.0, duration=10.0)(5.0)              # 0.1
    ```
    """

    height: Float[Array, "*batch"]
    start: Float[Array, "*batch"]
    duration: Float[Array, "*batch"]

    def __init__(self, height: Any, start: Any, duration: Any):
        self.height, self.start = as_scalar(height, "Ramp: height"), as_scalar(start, "Ramp: start")
        self.duration = as_positive(duration, "Ramp: duration", InputError, "a time")

    def __call__(self, t: Any) -> Array:
        x = jnp.clip((t - self.start) / self.duration, 0.0, 1.0)
        return self.height * x**3 * (10 - 15 * x + 6 * x**2)


class Square(eqx.Module):
    """A smoothed square pulse, f(t) = height · [tanh((t − start)/rise) − tanh((t − end)/rise)]/2; `rise` > 0.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.pulses.Square(height=0.2, start=0.0, end=50.0, rise=1.0)(25.0)      # 0.2
    ```
    """

    height: Float[Array, "*batch"]
    start: Float[Array, "*batch"]
    end: Float[Array, "*batch"]
    rise: Float[Array, "*batch"]

    def __init__(self, height: Any, start: Any, end: Any, rise: Any):
        self.height = as_scalar(height, "Square: height")
        self.start, self.end = as_scalar(start, "Square: start"), as_scalar(end, "Square: end")
        self.rise = as_positive(rise, "Square: rise", InputError, "a time")

    def __call__(self, t: Any) -> Array:
        up, down = ((t - x) / self.rise for x in (self.start, self.end))
        return self.height * (jnp.tanh(up) - jnp.tanh(down)) / 2


class Periodic(eqx.Module):
    """f(t) = Re Σ_n h_n e^{−inωt}, n = 0, 1, ..., the convention of `to_harmonics`; made by `periodic`."""

    harmonics: Complex[Array, " n"]
    omega: Float[Array, "*batch"]

    def __init__(self, harmonics: Any, omega: Any):
        h = as_array(harmonics, "periodic: the harmonics", ShapeError, "complex numbers [n]")
        if h.ndim != 1 or not h.size:
            raise ShapeError(f"periodic: the harmonics must be an array [n], n = 0, 1, ...; got shape {h.shape}.")
        if is_concrete(harmonics):
            require_finite(h, "periodic: the harmonics")
        self.harmonics = jnp.asarray(h, complex)
        self.omega = as_positive(omega, "periodic: omega", InputError, "in units of energy")

    @property
    def period(self) -> Array:
        """2π/ω."""
        return 2 * jnp.pi / self.omega

    def __call__(self, t: Any) -> Array:
        angles = self.omega * jnp.asarray(t)[..., None] * jnp.arange(self.harmonics.size)
        return jnp.sum(self.harmonics.real * jnp.cos(angles) + self.harmonics.imag * jnp.sin(angles), axis=-1)


def periodic(harmonics: Any, omega: Any) -> Periodic:
    """The periodic function f(t) = Re Σ_n h_n e^{−inωt}; a `Drive` with it knows its period, 2π/ω.

    **Arguments:** `harmonics`: complex h_n, [n], from n = 0 on. `omega`: ω > 0.

    **Raises:** `ShapeError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.periodic([0.0, 0.2], omega=1.3)(0.0)                                # 0.2 cos ωt
    ```
    """
    return Periodic(harmonics, omega)


class Samples(eqx.Module):
    """Samples joined by a cubic spline (`interpax`, twice continuously differentiable), which repeats where there is a
    period. Elsewhere f is NaN outside the times.

    **Arguments:** `times`: ascending, known, [t]; with a period inside one, its end left out. `values`: real, [t].

    **Raises:** `ShapeError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    t = jnp.linspace(0.0, 10.0, 41)
    lgks.pulses.Samples(t, jnp.sin(t) ** 2)(3.3)
    ```
    """

    times: Float[Array, " t"]
    values: Float[Array, " t"]
    period: Float[Array, ""] | None

    def __init__(self, times: Any, values: Any, period: Any = None):
        self.times, self.values = as_real(times, "Samples: times"), as_real(values, "Samples: values")
        if self.times.ndim != 1 or self.times.size < 4 or self.times.shape != self.values.shape:
            raise ShapeError(
                "Samples: times and values must be arrays [t] of the same length, four at least; got shapes "
                f"{tuple(self.times.shape)} and {tuple(self.values.shape)}."
            )
        self.period = None if period is None else as_positive(period, "Samples: period", InputError, "a time")
        if not is_concrete(self.times):
            raise InputError("Samples: the times must be known; make them outside jit, vmap and grad.")
        known = np.asarray(self.times)
        if not np.all(np.diff(known) > 0):
            raise InputError(
                f"Samples: times must ascend; the first that does not is at {np.argmin(np.diff(known) > 0) + 1}."
            )
        if self.period is not None and is_concrete(self.period) and not known[-1] - known[0] < float(self.period):
            raise InputError(
                f"Samples: the times must lie inside one period, {float(self.period):.6g}, its end left out; got "
                f"{known[0]:.6g} to {known[-1]:.6g}."
            )

    def __call__(self, t: Any) -> Array:
        import interpax  # loaded only where samples are used

        t = jnp.asarray(t, self.values.dtype)
        if self.period is None:
            inside = (t >= self.times[0]) & (t <= self.times[-1])
            at = jnp.clip(t, self.times[0], self.times[-1])
            values = interpax.interp1d(jnp.ravel(at), self.times, self.values, method="cubic2").reshape(t.shape)
            return jnp.where(inside, values, jnp.nan)
        at, x, f = jnp.ravel(t), self.times, self.values
        period: Any = self.period
        return interpax.interp1d(at, x, f, method="cubic2", period=period).reshape(t.shape)
