"""A measured spectral density: a table of γ(ω), interpolated."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._inputs import Numbers, as_positive, as_real, is_concrete
from ..errors import InputError, LambShiftError
from ._base import AbstractSpectrum, ZeroBehaviour


class Tabulated(AbstractSpectrum):
    """γ(ω) given at measured frequencies.

    ln κ(ω), κ = γ(ω)/ω, is interpolated by a cubic spline that is even in ω and twice continuously differentiable
    everywhere, so that γ is positive, Γ smooth through ω = 0, and detailed balance exact whatever the data are. The
    values of the table can be differentiated.

    **Arguments:** `frequencies`: ω > 0, ascending, [n ≥ 3]. `values`: γ > 0, a rate, [n]. `tail`: beyond the last
    frequency γ is NaN, or, with a tail p > 1, falls as κ ∝ ω^{−p}.

    **Raises:** `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    omega = jnp.linspace(0.1, 6.0, 60)
    measured = lgks.Tabulated(omega, 0.1 * omega / (1 + omega**2))
    lgks.Bath(lgks.models.pauli("X"), 0.5, measured).rate([-1.0, 0.0, 1.0])
    ```
    """

    knots: Float[Array, " m"]
    logs: Float[Array, " m"]
    tail: Float[Array, ""] | None
    at_zero: ClassVar[ZeroBehaviour] = "smooth"

    def __init__(self, frequencies: Numbers, values: Numbers, tail: ArrayLike | None = None):
        frequencies, values = as_real(frequencies, "Tabulated: frequencies"), as_real(values, "Tabulated: values")
        frequencies, values = jnp.asarray(frequencies, float), jnp.asarray(values, float)
        if frequencies.ndim != 1 or frequencies.size < 3 or values.shape != frequencies.shape:
            raise InputError(
                "Tabulated: frequencies and values must be arrays [n] of one length n ≥ 3; got shapes "
                f"{tuple(frequencies.shape)} and {tuple(values.shape)}."
            )
        if is_concrete(frequencies, values):
            _require_table(np.asarray(frequencies), np.asarray(values))
        logs = jnp.log(values / frequencies)
        self.knots = jnp.concatenate([-frequencies[::-1], frequencies])
        self.logs = jnp.concatenate([logs[::-1], logs])
        self.tail = None if tail is None else as_positive(tail, "Tabulated: tail", InputError, "an exponent")
        if tail is not None and is_concrete(tail) and not np.asarray(tail) > 1:
            raise InputError(f"Tabulated: the tail must fall faster than 1/ω, exponent p > 1; got {tail}.")

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        import interpax  # loaded only where a table is used

        omega = as_real(omega, "omega")
        distance = jnp.abs(omega)
        last = self.knots[-1]
        inside = distance <= last
        at = jnp.where(inside, omega, 0.0).reshape(-1)
        slopes = interpax.approx_df(self.knots, self.logs, "cubic2", axis=0)
        logs = interpax.interp1d(at, self.knots, self.logs, method="cubic2", fx=slopes).reshape(omega.shape)
        if self.tail is None:
            return jnp.where(inside, jnp.exp(logs), jnp.nan)
        beyond = self.logs[-1] - self.tail * jnp.log(jnp.where(inside, last, distance) / last)
        return jnp.exp(jnp.where(inside, logs, beyond))

    def landmarks(self, temperature: Float[Array, ""]) -> Float[Array, " marks"]:
        return self.knots[self.knots.size // 2 :]

    def require_lamb_shift(self) -> None:
        if self.tail is None:
            raise LambShiftError(
                "The Lamb shift of a Tabulated density is an integral over all frequencies, and the table ends. Say "
                "how the density goes on, Tabulated(frequencies, values, tail=p) for γ ∝ ω^(1−p), or use "
                "lamb_shift=False."
            )

    def why_no_rate(self, omega: float) -> str:
        last = float(self.knots[-1])
        if self.tail is None and omega > last:
            return (
                f"the table ends at {last:.6g}; add measured points, or say how the density goes on, "
                "Tabulated(frequencies, values, tail=p) for γ ∝ ω^(1−p)"
            )
        return super().why_no_rate(omega)


def _require_table(frequencies: np.ndarray, values: np.ndarray) -> None:
    if not (np.all(np.isfinite(frequencies)) and np.all(frequencies > 0) and np.all(np.diff(frequencies) > 0)):
        raise InputError("Tabulated: frequencies must be positive, finite and ascending, without repetition.")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if bad.size:
        raise InputError(
            f"Tabulated: values must be positive and finite; values[{bad[0]}] = {values[bad[0]]}. Leave such points "
            "out."
        )
