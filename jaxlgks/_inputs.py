"""Operators and numbers from the outside world: converted, checked, named in errors.

Takes: arrays, nested lists, QuTiP `Qobj`, dynamiqs `QArray`. Returns: complex JAX arrays. Values are checked where
they are known; inside `jit`, `vmap` or `grad` they are not, and a value that would fail the check becomes NaN there
(never a plausible number).
"""

import math
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from .errors import InputError, NotHermitianError, PrecisionError, ShapeError, TemperatureError

HERMITICITY_TOLERANCE = 1e-10
STATE_TOLERANCE = 1e-8

Numbers = ArrayLike | Sequence[float]
"""A number, an array of numbers, or a plain sequence of them."""


def is_concrete(*values) -> bool:
    """Whether all arrays in the given pytrees hold known numbers (nothing traced)."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


def as_known(value, dtype=None) -> Array:
    """A JAX array that stays a known one where `value` is, inside `jit` and `vmap` as well."""
    if not is_concrete(value):
        return jnp.asarray(value, dtype)
    with jax.ensure_compile_time_eval():
        return jnp.asarray(value, dtype)


def require_x64() -> None:
    """Raise unless JAX computes in 64 bit."""
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise PrecisionError(
            "jaxlgks needs 64-bit numbers, but JAX is in 32-bit mode: rates that differ by many orders of "
            "magnitude are lost there. Call jax.config.update('jax_enable_x64', True) before the first array "
            "is made, or ask for single precision with System(..., dtype=jnp.complex64)."
        )


def unpacked(operator):
    """The array inside a QuTiP or dynamiqs object; anything else as it is."""
    if hasattr(operator, "full") and hasattr(operator, "dims"):  # qutip.Qobj
        return operator.full()
    if hasattr(operator, "to_jax"):  # dynamiqs.QArray
        return operator.to_jax()
    return operator


def as_operator(operator, name: str, dim: int | None = None, *, hermitian: bool = True) -> Array:
    """Convert to a complex matrix and check it; Hermitian unless said otherwise.

    **Raises:** `ShapeError` if it is not a square matrix (of size `dim` when given), `NotHermitianError` if
    max|X − X†| exceeds 1e−10 of max|X|.
    """
    raw = unpacked(operator)
    # Known values are checked in NumPy: inside a traced function every JAX operation is traced, on known values too.
    try:
        matrix = np.asarray(raw) if is_concrete(raw) else jnp.asarray(raw)
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"{name} must be a square matrix [d, d] of numbers; got {type(raw).__name__}: {error}"
        ) from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ShapeError(f"{name} must be a square matrix [d, d]; got shape {tuple(matrix.shape)}.")
    if dim is not None and matrix.shape[0] != dim:
        raise ShapeError(
            f"{name} must act on the space of the Hamiltonian, shape ({dim}, {dim}); got shape {tuple(matrix.shape)}."
        )
    single = matrix.dtype in (np.float32, np.complex64)
    tolerance = 1e-5 if single else HERMITICITY_TOLERANCE
    if isinstance(matrix, np.ndarray):
        _require_numbers(matrix, name)
        if hermitian:
            _require_hermitian(matrix, name, tolerance)
        return as_known(matrix, jnp.complex64 if single else complex)
    if hermitian:
        good = jnp.max(jnp.abs(matrix - matrix.conj().T)) <= tolerance * jnp.max(jnp.abs(matrix))
        matrix = jnp.where(good, matrix, jnp.nan)
    return matrix.astype(jnp.complex64 if single else complex)


def as_state(rho, name: str, dim: int | None = None) -> Array:
    """A density matrix: Hermitian, trace one, no eigenvalue below −1e−8.

    **Raises:** `InputError` beside what `as_operator` raises. Where traced, only the trace is checked (NaN).
    """
    state = as_operator(rho, name, dim)
    raw = unpacked(rho)
    if not is_concrete(raw):
        return jnp.where(jnp.abs(jnp.trace(state) - 1) <= STATE_TOLERANCE, state, jnp.nan)
    matrix = np.asarray(raw)
    trace, lowest = np.trace(matrix).real, np.linalg.eigvalsh(matrix)[0]
    tolerance = max(STATE_TOLERANCE, 1e-5 if matrix.dtype in (np.float32, np.complex64) else 0.0)
    if abs(trace - 1) > tolerance or lowest < -tolerance:
        raise InputError(
            f"{name} must have trace 1 and no negative eigenvalue; got trace {trace:.9g} and lowest eigenvalue "
            f"{lowest:.3g}."
        )
    return state


def _require_numbers(matrix: np.ndarray, name: str) -> None:
    if not np.issubdtype(matrix.dtype, np.number) and matrix.dtype != bool:
        raise ShapeError(f"{name} must hold numbers; got an array of {matrix.dtype}.")
    if not np.all(np.isfinite(matrix)):
        raise NotHermitianError(f"{name} must be finite; it contains NaN or infinity.")


def _require_hermitian(matrix: np.ndarray, name: str, tolerance: float) -> None:
    defect, scale = np.max(np.abs(matrix - matrix.conj().T)), np.max(np.abs(matrix))
    if defect > tolerance * scale:
        raise NotHermitianError(
            f"{name} must be Hermitian; max|X - X^dagger| = {defect:.3g} at max|X| = {scale:.3g}. "
            f"Pass (X + X^dagger)/2 if the difference is rounding."
        )


def as_positive(value: ArrayLike, name: str, error: type[Exception], what: str) -> Array:
    """Convert to a real scalar that must be positive and finite; raise `error` otherwise (NaN when traced)."""
    number = np.asarray(value) if is_concrete(value) else jnp.asarray(value)
    if number.ndim != 0 or not (
        jnp.issubdtype(number.dtype, jnp.floating) or jnp.issubdtype(number.dtype, jnp.integer)
    ):
        raise error(f"{name} must be a real scalar ({what}); got {number.dtype} of shape {tuple(number.shape)}.")
    kind = jnp.float32 if number.dtype == jnp.float32 else float
    if isinstance(number, np.ndarray):
        if not (math.isfinite(float(number)) and float(number) > 0):
            raise error(f"{name} must be positive and finite ({what}); got {float(number)}.")
        return jnp.asarray(number, kind)
    valid = (number > 0) & jnp.isfinite(number)
    return (number * jnp.where(valid, 1.0, jnp.nan)).astype(kind)  # a factor: derivatives become NaN too


def as_scalar(value: ArrayLike, name: str) -> Array:
    """A finite real number; `InputError` otherwise (NaN where it is traced and infinite)."""
    number = np.asarray(value) if is_concrete(value) else jnp.asarray(value)
    real = jnp.issubdtype(number.dtype, jnp.floating) or jnp.issubdtype(number.dtype, jnp.integer)
    if number.ndim != 0 or not real:
        raise InputError(f"{name} must be a real scalar; got {number.dtype} of shape {tuple(number.shape)}.")
    if isinstance(number, np.ndarray):
        if not math.isfinite(float(number)):
            raise InputError(f"{name} must be finite; got {float(number)}.")
        return jnp.asarray(number)
    return jnp.where(jnp.isfinite(number), number, jnp.nan)


def nan_where(x: Array, bad: Array, source) -> Array:
    """`x`, or NaN where it is `bad`: in value, and in every derivative in the numbers of the pytree `source`.

    The derivative of `where(bad, nan, x)` would be zero, and NaN sent back through a linear solver stops the program.
    """
    numbers = [jnp.sum(leaf).real for leaf in jax.tree.leaves(source) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    mark = jnp.where(bad, jnp.nan, 0.0) * sum(numbers)
    return jnp.where(bad, 0.0, x) + mark.astype(x.real.dtype)


def as_real(values: Numbers, name: str) -> Array:
    """Real numbers as a floating array; single precision stays single."""
    array = as_known(values)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InputError(f"{name} must be real; got {array.dtype}.")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else as_known(array, float)


def as_temperature(value: ArrayLike, name: str) -> Array:
    """A temperature T > 0 in units of energy."""
    return as_positive(value, name, TemperatureError, "in units of energy, k_B = 1")


def depth_outside() -> int:
    """How many frames up the caller's own code is: a warning names the line that a user can change."""
    frame, depth = sys._getframe(1), 1
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in (
        "jaxlgks",
        "equinox",
        "jaxtyping",
    ):
        frame, depth = frame.f_back, depth + 1
    return depth
