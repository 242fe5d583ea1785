"""The Lamb shift of rational densities, in closed form.

Takes: the numbers of a density, a temperature, real frequencies. Returns: S(ω), the imaginary part of
G(ω) = ∫₀^∞ C(s) e^{iωs} ds.

Closing the contour of C(s) = ∫dω/2π Γ(ω) e^{−iωs} in the lower half plane, one meets the pole of the density and the
Matsubara frequencies ν_k = 2πTk. For κ(ω) = 1/(ω² + p²), with a = p/2πT, b = −iω/2πT,

    G(ω) = [cot(πa) − i] / 4(p − iω) + Σ_k T ν_k / ((ν_k² − p²)(ν_k − iω))
         = [ −i/4 + T/2p + (b/2π) ψ[a, b] ] / (p − iω),       ψ[a, b] = Σ_k 1/((k+a)(k+b)).

The second line follows with k/(k² − a²) = ½[1/(k−a) + 1/(k+a)] and the reflection of the digamma function, which
cancels the cotangent. Nothing in it is singular: neither where a Matsubara frequency meets the pole of the density, nor
at ω = 0, where S = −1/4p whatever the temperature is. With ψ[a, b] = (ψ(1+a) − ψ(1+b))/(a − b) its imaginary part is

    S(ω) = [ −p/4 + ωT/2p + (ω/2π)(Re ψ(1+b) − ψ(1+a)) ] / (ω² + p²).

Two poles p± = Γ/2 ± iζ, ζ² = ω₀² − Γ²/4, κ(ω) = 1/((ω² + p₊²)(ω² + p₋²)), are a divided difference of G in p²:

    G(ω) = [ −i/4 + T(Γ − iω)/2ω₀² + (b/2π) X ] / Γ(ω₀² − ω² − iΓω),
    X = Σ_k (k + b + a₊ + a₋)/((k+b)(k+a₊)(k+a₋)) = ψ[a₁,b] + (b + a₁)(ψ[a₁,a₂] − ψ[a₁,b])/(b − a₂),

a₂ the one of a± that is farther from b, so that X keeps its digits where p± come near to ±iω, at a narrow line. (What
is left there of the bracket for a cold bath at ω = −ω₀ is of the order of Γ/ω₀: a relative error of 1e−16 ω₀/Γ.)
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._digamma import digamma_difference, digamma_real

_NODES = np.exp(2j * np.pi * (np.arange(16) + 0.5) / 16)
_RADIUS, _NEAR = 0.3, 0.09  # of Γ/2: the mean below errs by their quotient, and by the radius squared, to the power 16


def one_pole(omega: Float[Array, "..."], temperature: Float[Array, ""], p: Float[Array, ""]) -> Float[Array, "..."]:
    """S(ω) of κ(ω) = 1/(ω² + p²)."""
    unit = 2 * jnp.pi * temperature
    sums = temperature / (2 * p) + digamma_real(p / unit, omega / unit) / (2 * jnp.pi)
    return (omega * sums - p / 4) / (omega**2 + p**2)


def two_poles(
    omega: Float[Array, "..."], temperature: Float[Array, ""], width: Float[Array, ""], resonance: Float[Array, ""]
) -> Float[Array, "..."]:
    """S(ω) of κ(ω) = 1/((ω² − ω₀²)² + Γ²ω²)."""
    unit = 2 * jnp.pi * temperature
    b = -1j * omega / unit
    sums = temperature * (width - 1j * omega) / (2 * resonance**2)
    sums = sums + b * _of_both(b, width / (2 * unit), (resonance / unit) ** 2) / (2 * jnp.pi)
    detuning = (resonance - omega) * (resonance + omega)
    return ((sums - 0.25j) / (detuning - 1j * width * omega)).imag / width


def _of_both(b: Array, centre: Array, product: Array) -> Array:
    """X, a function of a₊ + a₋ and a₊a₋ that is analytic in η² = a₊a₋ − (a₊ + a₋)²/4.

    Its derivatives exist where the roots a± = centre ± iη meet, at critical damping, although those of the roots do
    not: near there X is taken from its values on a circle in the complex plane of η² (Cauchy's integral).
    """
    square = product - centre**2
    nodes = jnp.asarray(_NODES, b.dtype) * (_RADIUS * centre) ** 2
    near = jnp.abs(square) < (_NEAR * centre) ** 2
    squares = jnp.where(near, nodes, square)
    weights = 1 / (1 - jnp.where(near, square, 0.0) / nodes)
    values = _of_roots(b[..., None], centre, squares, jnp.where(near, centre**2 + nodes, product))
    return jnp.mean(weights * values, axis=-1)


def _of_roots(b: Array, centre: Array, square: Array, product: Array) -> Array:
    plus, minus = centre + 1j * jnp.sqrt(square), centre - 1j * jnp.sqrt(square)
    far = jnp.where(jnp.abs(b - plus) >= jnp.abs(b - minus), plus, minus)
    other = product / far
    at_b = digamma_difference(other, b)
    return at_b + (b + other) * (digamma_difference(other, far) - at_b) / (b - far)
