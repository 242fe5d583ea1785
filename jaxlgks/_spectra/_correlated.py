"""Correlation functions and their conjugates over the same exponentials: what a hierarchy of equations is made of.

Takes: a density, a temperature, a number of terms. Returns: c, c̄ and ν with, for t > 0,

    C(t) = Σ_k c_k e^{−ν_k t},     C(t)* = Σ_k c̄_k e^{−ν_k t},

and the part of the friction that the exponentials miss, δ = Re[G(0) − Σ_k c_k/ν_k], which acts without memory: what is
left of C decays so fast that it is 2δ δ(t) (Ishizaki and Tanimura, J. Phys. Soc. Jpn. 74, 3131 (2005)).

A rational density, γ(ω) = Σ_l K_l ω/(ω² + p_l²), has Im C(t) = −Σ_l (K_l/4) e^{−p_l t}, whether its poles are real or
pairs, and only there: c̄_l = c_l + iK_l/2 at its poles and c̄_k = c_k at those of the Bose function. Any other is fitted,
and an exponential that is not real comes with its conjugate, at which c = 0.
"""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._inputs import is_concrete
from ..errors import CorrelationError
from ._bose import pade

Expansion = Literal["pade", "matsubara"]


class Correlated(eqx.Module):
    """C, its conjugate and what is without memory, of one noise."""

    c: Complex[Array, " k"]
    conjugate: Complex[Array, " k"]
    rates: Complex[Array, " k"]
    friction: Float[Array, ""]


def correlated(spectrum: Any, temperature: Float[Array, ""], terms: int, by: Expansion, tolerance: float) -> Correlated:
    """As above. `terms`: poles of the Bose function that are kept, by one of its `expansions`; `tolerance`: of a fit.

    **Raises:** `CorrelationError` where there is no such sum."""
    if spectrum.poles() is not None:
        return _rational(spectrum, temperature, terms, by)
    c, rates = spectrum.exponentials(temperature, tolerance)
    assert isinstance(c, jax.Array)
    paired = np.flatnonzero(np.abs(np.imag(np.asarray(rates))) > 0)
    nothing = jnp.zeros(len(paired), c.dtype)
    real = jnp.asarray(np.imag(np.asarray(rates)) == 0)
    both = jnp.concatenate([c, nothing]), jnp.concatenate([jnp.where(real, c.conj(), 0), c[paired].conj()])
    return _with_friction(spectrum, temperature, *both, jnp.concatenate([rates, rates[paired].conj()]))


@eqx.filter_jit
def _rational(spectrum: Any, temperature: Float[Array, ""], terms: int, by: Expansion) -> Correlated:
    """Residues at −ip_l and at the poles −iν_k, ν_k = ξ_k T, of the Bose function:

    c_l = (K_l/4) [cot(p_l/2T) − i],     c_k = η_k T Σ_l K_l ν_k/(ν_k² − p_l²).
    """
    poles, weights = spectrum.poles()
    matsubara = 2 * np.pi * np.arange(1.0, terms + 1), np.ones(terms)
    xi, eta = (jnp.asarray(x, temperature.dtype) for x in (pade(terms) if by == "pade" and terms else matsubara))
    nu = xi * temperature
    own = weights / 4 * (1 / jnp.tan(poles / (2 * temperature)) - 1j)
    thermal = eta * temperature * nu * ((1 / ((nu[:, None] - poles) * (nu[:, None] + poles))) @ weights)
    c, conjugate = jnp.concatenate([own, thermal]), jnp.concatenate([own + 0.5j * weights, thermal])
    return _with_friction(spectrum, temperature, c, conjugate, jnp.concatenate([poles, nu.astype(poles.dtype)]))


def _with_friction(spectrum: Any, temperature: Array, c: Array, conjugate: Array, rates: Array) -> Correlated:
    whole = spectrum.rate(jnp.zeros((), temperature.dtype), temperature) / 2
    return Correlated(c, conjugate, rates, whole - jnp.sum(c / rates).real)


def require_exponentials(of: Correlated, label: str) -> None:
    """Raise where known exponentials are no numbers: a pole of the density is one of the Bose function."""
    if is_concrete(of) and not all(np.all(np.isfinite(x)) for x in (of.c, of.rates)):
        raise CorrelationError(
            f"Hierarchy: the correlation function of {label} has no such exponentials: a pole of its density is one of "
            "the Bose function, or poles of an oscillator meet at critical damping. Move the cutoff, the width or the "
            "temperature by 1e-6, or use another expansion, Hierarchy(expansion='pade' or 'matsubara')."
        )
