"""From a spectral density γ(ω), ω > 0, to the rate Γ(ω) of a thermal bath on the whole axis.

Takes: γ and a temperature T. Returns: Γ(ω) and √Γ(ω), exact in value and derivative through ω = 0, obeying
KMS, Γ(−ω) = e^{−ω/T} Γ(ω) (paper, below Eq. 12).

With γ(ω) = |ω| κ(ω), κ even,

    Γ(ω) = γ(ω)(n(ω)+1)  for ω > 0,   γ(|ω|) n(|ω|)  for ω < 0
         = T κ(ω) B(ω/T),     B(x) = x / (1 − e^{−x}) = e^{x/2} (x/2)/sinh(x/2)

B is positive and analytic, so Γ is as smooth at ω = 0 as κ is; Γ(0) = T κ(0) = T γ'(0).
"""

import abc
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._inputs import Numbers, as_real, as_scalar, as_temperature, is_concrete
from ..errors import CorrelationError, LambShiftError
from ._correlation import fourier_integral
from ._exponentials import Exponentials, exponentials
from ._lamb import lamb_integral

ZeroBehaviour = Literal["smooth", "kink", "singular"]


def _sinhc(y: Array) -> Array:
    """sinh(y)/y for |y| ≤ 0.25 by its series: six terms leave 1e−19."""
    square = y * y
    total = jnp.ones_like(y)
    for k in range(6, 0, -1):
        total = 1 + total * square / (2 * k * (2 * k + 1))
    return total


def root_bose(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """√B(x) = √(x / (1 − e^{−x})), relative accuracy 1e−15, no overflow, no underflow before √B itself underflows.

    Away from zero √B = e^{min(x,0)/2} √(|x| / (1 − e^{−|x|})): the second root lies above 1 for all x, so its
    derivative never meets 0/0.
    """
    near = jnp.abs(x) < 0.5
    small = jnp.where(near, x, 0.0)
    large = jnp.abs(jnp.where(near, 2.0, x))
    outer = jnp.exp(jnp.minimum(jnp.where(near, 0.0, x), 0.0) / 2) * jnp.sqrt(large / -jnp.expm1(-large))
    return jnp.where(near, jnp.exp(small / 4) / jnp.sqrt(_sinhc(small / 2)), outer)


def log_bose(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """ln B(x), which goes on where B underflows."""
    near = jnp.abs(x) < 0.5
    small = jnp.where(near, x, 0.0)
    large = jnp.where(near, 2.0, x)
    far = jnp.minimum(large, 0.0) + jnp.log(jnp.abs(large) / -jnp.expm1(-jnp.abs(large)))
    return jnp.where(near, small / 2 - jnp.log(_sinhc(small / 2)), far)


class AbstractSpectrum(eqx.Module):
    """A bath's spectral density γ(ω); every number in it can be differentiated.

    Members define `reduced`, κ(ω) = γ(|ω|)/|ω|, and `at_zero`, how Γ behaves at ω = 0: "smooth" (Γ is
    differentiable), "kink" (its slopes from the left and the right differ) or "singular" (Γ(0) is infinite, or 0 by
    convention where `dephases_infinitely` is false).
    """

    at_zero: eqx.AbstractClassVar[ZeroBehaviour] | eqx.AbstractVar[ZeroBehaviour]

    @property
    def dephases_infinitely(self) -> bool:
        """Whether Γ is infinite where the bath gains nothing, so that no coupling may have a component there; `Flat`
        has 0 by convention."""
        return self.at_zero == "singular"

    @abc.abstractmethod
    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        """κ(ω) = γ(|ω|)/|ω|, even in ω, dimensionless."""

    def density(self, omega: Numbers) -> Array:
        """γ(ω) for ω > 0, a rate."""
        omega = as_real(omega, "omega")
        return jnp.abs(omega) * self.reduced(omega)

    def amplitude(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        """√Γ(ω), the filter function of the Davies, unified and universal Lindblad equations."""
        return _amplitude(self, *_as_arguments(omega, temperature))

    def landmarks(self, temperature: Float[Array, ""]) -> Float[Array, " marks"]:
        """Frequencies ω > 0 at which the density changes character (a cutoff, a resonance): quadratures cut there."""
        return as_scalar(temperature, "the temperature")[None]

    def cuts(self, temperature: Float[Array, ""]) -> Float[Array, " cuts"]:
        """Frequencies ω > 0 at which the quadrature of a Lamb shift cuts: the landmarks, and more where needed."""
        return self.landmarks(temperature)

    def scale(self, temperature: Float[Array, ""]) -> Float[Array, ""]:
        """The shortest frequency over which Γ changes: the temperature or the first landmark; zero where Γ is not
        smooth at ω = 0."""
        temperature = as_scalar(temperature, "the temperature")
        if self.at_zero != "smooth":
            return jnp.zeros_like(temperature)
        return jax.lax.stop_gradient(jnp.minimum(temperature, jnp.min(self.landmarks(temperature))))

    def lamb_shift(self, omega: Numbers, temperature: ArrayLike) -> Array:
        """The Lamb shift S(ω) = P∫ dω'/2π Γ(ω')/(ω − ω'), an energy.

        In closed form, to rounding, for `DrudeLorentz`, `UnderdampedBrownian` and `Ohmic(shape="drude")`; for other
        densities by quadrature, to about 1e−10 of the integral of the absolute value.

        **Arguments:** `omega`: frequencies of any sign and shape. `temperature`: T > 0.

        **Raises:** `LambShiftError` where it diverges, and where a density given by a function has structure that the
        quadrature does not resolve (NaN where numbers are traced).

        ```python
        import jax; jax.config.update("jax_enable_x64", True)
        import jaxlgks as lgks
        lgks.DrudeLorentz(0.1, 2.0).lamb_shift([-1.0, 0.0, 1.0], 0.35)     # -0.1 at zero, whatever T is
        ```
        """
        self.require_lamb_shift()
        omega, temperature = _as_arguments(omega, temperature)
        shift = _lamb_shift(self, omega, temperature)
        if is_concrete(shift) and not np.all(np.isfinite(shift)):
            raise LambShiftError(
                f"The Lamb shift of {type(self).__name__} is not a number at ω = "
                f"{np.broadcast_to(omega, shift.shape)[~np.isfinite(shift)][0]:.6g}: the density does not fall off, is "
                "negative or not a number somewhere, or has lines or edges that the quadrature did not find. Name "
                "their frequencies, CallableSpectrum(function, landmarks=[...]), or use lamb_shift=False."
            )
        return shift

    def principal_value(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        """S(ω) of checked arguments; NaN where it is not found."""
        return lamb_integral(lambda w: self.rate(w, temperature), self.cuts(temperature), omega)

    def half_transform(self, omega: Numbers, temperature: ArrayLike) -> Array:
        """G(ω) = ∫₀^∞ C(s) e^{iωs} ds = Γ(ω)/2 + i S(ω), complex: what a dissipator with memory is made of.

        Arguments and errors are those of `lamb_shift`.
        """
        return jax.lax.complex(self.rate(omega, temperature) / 2, self.lamb_shift(omega, temperature))

    def correlation(self, t: Numbers, temperature: ArrayLike) -> Array:
        """The correlation function C(t) = ∫dω/2π Γ(ω) e^{−iωt}, complex, so that Γ(ω) = ∫dt C(t) e^{iωt}.

        By quadrature, with an error of about 1e−12 max(Γ)/t. C(−t) = C(t)*. Where Γ falls off as 1/ω or slower, the
        real part is infinite at t = 0.

        **Arguments:** `t`: times of any sign and shape. `temperature`: T > 0.

        **Raises:** `CorrelationError` where Γ does not fall off (NaN where numbers are traced).

        ```python
        import jax; jax.config.update("jax_enable_x64", True)
        import jaxlgks as lgks
        lgks.Ohmic(0.3, 2.0).correlation([0.0, 0.5, 5.0], 0.7)
        ```
        """
        self.require_correlation()
        t, temperature = _as_arguments(t, temperature, "t")
        value = _correlation(self, t, temperature)
        if is_concrete(value) and np.any(np.isnan(value)):
            raise CorrelationError(
                f"The correlation function of {type(self).__name__} is not a number at t = "
                f"{np.asarray(t)[np.isnan(value)][0]:.6g}: the density does not fall off, or is not a number somewhere."
            )
        return value

    def exponentials(self, temperature: ArrayLike, tolerance: float = 1e-4, terms: int | None = None) -> Exponentials:
        """c and ν of C(t) = Σ_j c_j e^{−ν_j t}, t > 0, so that G(ω) = Σ_j c_j/(ν_j − iω): two complex arrays [terms].

        The poles of `DrudeLorentz`, `UnderdampedBrownian` and `Ohmic(shape="drude")` in closed form, with terms for the
        Bose function; of any other density a rational fit. Its ν are constants of differentiation, and so
        its derivatives are less accurate than its values: those in T to about 1e−3 of G, whatever the tolerance is.

        **Arguments:**

        - `temperature`: T > 0.
        - `tolerance`: the error of G(ω) on the whole axis, and of t C(t), relative to max|G|. It is checked.
        - `terms`: how many exponentials, which must be given inside `jit` and `vmap`, where nothing is checked; of a
          fit the largest number.

        **Raises:** `CorrelationError` where the tolerance is not reached, or C(t) does not exist; `InputError`.

        ```python
        import jax; jax.config.update("jax_enable_x64", True)
        import jaxlgks as lgks
        c, nu = lgks.DrudeLorentz(0.1, 2.0).exponentials(0.35)
        (c / (nu - 1j * 0.8)).sum()      # lgks.DrudeLorentz(0.1, 2.0).half_transform(0.8, 0.35) to 1e-4 of its largest
        ```
        """
        self.require_correlation()
        return exponentials(self, as_temperature(temperature, "the temperature"), tolerance, terms)

    def poles(self) -> tuple[Array, Array] | None:
        """p and K, where γ(ω) = Σ_l K_l ω/(ω² + p_l²); else None."""
        return None

    def require_correlation(self) -> None:
        """Raise `CorrelationError` for a density known to have no C(t): where there is no Lamb shift."""
        try:
            self.require_lamb_shift()
        except LambShiftError as error:
            raise CorrelationError(
                f"{type(self).__name__} has no correlation function C(t): its rate does not fall off at high "
                "frequency, is singular at zero, or is not known at all frequencies. Use a density with a cutoff "
                "(DrudeLorentz, "
                "Ohmic), or a table with a tail, Tabulated(..., tail=p)."
            ) from error

    def require_lamb_shift(self) -> None:
        """Raise `LambShiftError` for a density known to have none."""
        if self.at_zero == "singular":
            raise LambShiftError(
                f"The Lamb shift of {type(self).__name__} is not available: its rate is infinite, or not a number, at "
                "zero frequency, and the integral over it need not exist (that of Flat diverges). Use a density that "
                "is linear at zero and has a cutoff (DrudeLorentz, Ohmic), or lamb_shift=False."
            )

    def why_no_rate(self, omega: float) -> str:
        """What is wrong with the density at a frequency ω ≥ 0, in words."""
        what, value = (f"γ({omega:.6g})", self.density(omega)) if omega > 0 else ("γ'(0)", self.reduced(jnp.zeros(())))
        return (
            f"{what} = {float(value):.6g}, where a finite value that is not negative is needed; correct the function "
            "or its numbers"
        )

    def rate(self, omega: Numbers, temperature: ArrayLike) -> Array:
        """Γ(ω) = ∫ F(τ) e^{iωτ} dτ ≥ 0 at any sign of ω: emission into the bath for ω > 0 (paper, Eq. 9)."""
        return _rate(self, *_as_arguments(omega, temperature))

    def log_rate(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        """ln Γ(ω), −∞ where Γ = 0: for rates e^{−ω/T} that underflow."""
        omega, temperature = _as_arguments(omega, temperature)
        scaled = temperature * self.reduced(omega)
        present = ~(scaled == 0)  # NaN for a negative density
        return jnp.where(present, jnp.log(jnp.where(present, scaled, 1.0)) + log_bose(omega / temperature), -jnp.inf)


@eqx.filter_jit  # traced once for all programs that hold it: it is a large part of each
def _lamb_shift(spectrum: AbstractSpectrum, omega: Array, temperature: Array) -> Array:
    return spectrum.principal_value(omega, temperature)


@eqx.filter_jit
def _rate(spectrum: AbstractSpectrum, omega: Array, temperature: Array) -> Array:
    scaled = temperature * spectrum.reduced(omega)
    return jnp.where(scaled < 0, jnp.nan, scaled) * root_bose(omega / temperature) ** 2


@eqx.filter_jit
def _amplitude(spectrum: AbstractSpectrum, omega: Array, temperature: Array) -> Array:
    scaled = temperature * spectrum.reduced(omega)
    # Below 1e−120, far beyond a cutoff, the third derivative of the root would overflow.
    occupied = ~(jnp.abs(scaled) <= 1e-120)
    root = jnp.sqrt(jnp.where(occupied, scaled, 1.0))  # NaN for a negative density: loud, not plausible
    return jnp.where(occupied, root, 0.0) * root_bose(omega / temperature)


@eqx.filter_jit
def _correlation(spectrum: AbstractSpectrum, t: Array, temperature: Array) -> Array:
    cuts = jnp.concatenate([jnp.ravel(spectrum.cuts(temperature)), temperature[None]])
    return fourier_integral(lambda w: spectrum.rate(w, temperature), cuts, t)


def _as_arguments(omega: Numbers, temperature: ArrayLike, name: str = "omega") -> tuple[Array, Array]:
    """Frequencies, or times, and a temperature, in their precision. A traced temperature that is not positive gives NaN
    by itself."""
    omega = as_real(omega, name)
    known = is_concrete(temperature)
    return omega, jnp.asarray(as_temperature(temperature, "the temperature") if known else temperature, omega.dtype)


class Checked(AbstractSpectrum):
    """A density known not to be needed at ω = 0 in the derivative that is being taken."""

    spectrum: AbstractSpectrum
    at_zero: ClassVar[ZeroBehaviour] = "smooth"

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.spectrum.reduced(omega)

    def landmarks(self, temperature: Float[Array, ""]) -> Float[Array, " marks"]:
        return self.spectrum.landmarks(temperature)

    def cuts(self, temperature: Float[Array, ""]) -> Float[Array, " cuts"]:
        return self.spectrum.cuts(temperature)

    def principal_value(self, omega: Float[Array, "..."], temperature: Float[Array, ""]) -> Float[Array, "..."]:
        return self.spectrum.principal_value(omega, temperature)

    def require_lamb_shift(self) -> None:
        self.spectrum.require_lamb_shift()

    def scale(self, temperature: Float[Array, ""]) -> Float[Array, ""]:
        return self.spectrum.scale(temperature)  # not needed at ω = 0, but no smoother there
