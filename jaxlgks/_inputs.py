"""Operators and numbers from the outside world: converted, checked, named in errors.

Enters: arrays, nested lists, QuTiP `Qobj`, dynamiqs `QArray`. Leaves: complex JAX arrays. Values are checked where
they are known; inside `jit`, `vmap` or `grad` they are not, and a value that would fail the check becomes NaN there
(never a plausible number).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from ._errors import NotHermitianError, PrecisionError, ShapeError, TemperatureError

HERMITICITY_TOLERANCE = 1e-10


def is_concrete(*values) -> bool:
    """Whether all arrays in the given pytrees hold known numbers (nothing traced)."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


def require_x64() -> None:
    """Raise unless JAX computes in 64 bit."""
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise PrecisionError(
            "jaxlgks needs 64-bit numbers, but JAX is in 32-bit mode: rates that differ by many orders of "
            "magnitude are lost there. Call jax.config.update('jax_enable_x64', True) before the first array "
            "is made, or ask for single precision with System(..., dtype=jnp.complex64)."
        )


def raw_array(operator) -> Array:
    """The array behind an operator: QuTiP and dynamiqs objects are unpacked, everything else goes to JAX as it is."""
    if hasattr(operator, "full") and hasattr(operator, "dims"):  # qutip.Qobj
        operator = operator.full()
    elif hasattr(operator, "to_jax"):  # dynamiqs.QArray
        operator = operator.to_jax()
    return jnp.asarray(operator)


def as_operator(operator, name: str, dim: int | None = None, hermitian: bool = True) -> Array:
    """Convert to a complex square matrix and check it.

    **Raises:** `ShapeError` if it is not a square matrix (of size `dim` when given), `NotHermitianError` if
    `hermitian` and max|X − X†| exceeds 1e−10 of max|X|.
    """
    matrix = raw_array(operator)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ShapeError(f"{name} must be a square matrix [d, d]; got shape {tuple(matrix.shape)}.")
    if dim is not None and matrix.shape[0] != dim:
        raise ShapeError(
            f"{name} must act on the space of the Hamiltonian, shape ({dim}, {dim}); got shape {tuple(matrix.shape)}."
        )
    matrix = matrix.astype(jnp.result_type(matrix.dtype, jnp.complex64))
    return _hermitian(matrix, name) if hermitian else matrix


def _hermitian(matrix: Array, name: str) -> Array:
    defect = jnp.max(jnp.abs(matrix - matrix.conj().T))
    scale = jnp.max(jnp.abs(matrix))
    tolerance = max(HERMITICITY_TOLERANCE, 10 * float(jnp.finfo(matrix.dtype).eps))
    valid = defect <= tolerance * scale
    if not is_concrete(matrix):
        return jnp.where(valid, matrix, jnp.nan)
    if not np.all(np.isfinite(matrix)):
        raise NotHermitianError(f"{name} must be finite; it contains NaN or infinity.")
    if not valid:
        raise NotHermitianError(
            f"{name} must be Hermitian; max|X - X^dagger| = {float(defect):.3g} at max|X| = {float(scale):.3g}. "
            f"Pass (X + X^dagger)/2 if the difference is rounding."
        )
    return matrix


def as_positive(value: ArrayLike, name: str, error: type[Exception], what: str) -> Array:
    """Convert to a real scalar that must be positive and finite; raise `error` otherwise (NaN when traced)."""
    number = jnp.asarray(value)
    if jnp.issubdtype(number.dtype, jnp.complexfloating) or number.ndim != 0:
        raise error(f"{name} must be a real scalar ({what}); got {number.dtype} of shape {tuple(number.shape)}.")
    number = number.astype(jnp.result_type(number.dtype, jnp.float32) if jnp.issubdtype(
        number.dtype, jnp.floating) else float)
    if not is_concrete(number):
        return jnp.where((number > 0) & jnp.isfinite(number), number, jnp.nan)
    if not (math.isfinite(float(number)) and float(number) > 0):
        raise error(f"{name} must be positive and finite ({what}); got {float(number)}.")
    return number


def as_temperature(value: ArrayLike, name: str) -> Array:
    """A temperature T > 0 in units of energy."""
    return as_positive(value, name, TemperatureError, "in units of energy, k_B = 1")
