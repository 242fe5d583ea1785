"""Operators and numbers from the outside world: converted, checked, named in errors.

Takes: arrays, nested lists, QuTiP `Qobj`, dynamiqs `QArray`; settings such as counts, tolerances, words. Returns: JAX
arrays, and plain Python values for settings. What is of the wrong kind is refused here, by name, before anything is
computed. Values are checked where they are known; inside `jit`, `vmap` or `grad` they are not, and a value that would
fail the check becomes NaN there (never a plausible number).
"""

import contextlib
import math
import numbers
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from .errors import InputError, NotHermitianError, PrecisionError, ShapeError, TemperatureError

HERMITICITY_TOLERANCE = 1e-10
STATE_TOLERANCE = 1e-8
TRACE_TOLERANCE = 1e-6
SINGLE_TOLERANCE = 1e-5
"""In the place of smaller ones where numbers are of single precision."""

SMALLEST, LARGEST = 1e-100, 1e100
"""Beyond these sizes products of a few numbers vanish or overflow, and what follows is no longer what was asked."""

Numbers = ArrayLike | Sequence[ArrayLike]
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


def described(value: Any) -> str:
    """What came, for messages: its kind and, shortened, how it prints."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(getattr(value, "shape", None), tuple) and hasattr(value, "dtype"):
        return f"{value.dtype} of shape {tuple(value.shape)}" if value.shape else f"{value.dtype} {value}"
    return f"{type(value).__name__} {textwrap.shorten(repr(value), 60, placeholder=' ...')}"


def is_real(array: Any) -> bool:
    """Whether an array holds real numbers; truth values are none."""
    return jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)


def as_array(value: Any, name: str, error: type[Exception] = InputError, what: str = "numbers") -> Any:
    """An array of numbers or truth values: NumPy's where they are known, since inside a traced function every JAX
    operation is traced, on known values too."""
    try:
        array = np.asarray(value) if is_concrete(value) else jnp.asarray(value)
        numeric = jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool
    except (TypeError, ValueError, OverflowError) as problem:  # ragged lists, keys of mixed kinds, opaque objects
        raise error(f"{name} must be {what}; got {type(value).__name__}: {problem}") from problem
    if not numeric:
        got = f"{described(value)}, of kind {array.dtype} and shape {tuple(array.shape)}"
        raise error(f"{name} must be {what}; got {got}.")
    return array


def require_finite(array: Any, name: str, error: type[Exception] = InputError) -> None:
    """Raise for known numbers that are NaN, infinite, or so large that their products are."""
    numbers, good = np.asarray(array), np.isfinite(array)
    if not np.all(good):
        raise error(f"{name} must be finite; got {numbers[~good].flat[0]} (it contains NaN or infinity).")
    if (largest := float(np.max(np.abs(numbers), initial=0.0))) > LARGEST:
        raise error(f"{name} must be below {LARGEST:g} in size; got {largest:.3g}. Choose other units.")


def unpacked(operator):
    """The array inside a QuTiP or dynamiqs object; anything else as it is."""
    if hasattr(operator, "full") and hasattr(operator, "dims"):  # qutip.Qobj
        return operator.full()
    if hasattr(operator, "to_jax"):  # dynamiqs.QArray
        return operator.to_jax()
    return operator


def tolerance_of(dtype: Any, tolerance: float) -> float:
    """A tolerance, or that of single precision where it is larger."""
    return max(tolerance, SINGLE_TOLERANCE) if dtype in (np.float32, np.complex64) else tolerance


def as_operator(
    operator, name: str, dim: int | None = None, *, hermitian: bool = True, tolerance: float = HERMITICITY_TOLERANCE
) -> Array:
    """Convert to a complex matrix and check it; Hermitian unless said otherwise.

    **Raises:** `ShapeError` if it is not a square matrix (of size `dim` when given), `NotHermitianError` if
    max|X − X†| exceeds `tolerance` times max|X|.
    """
    raw = unpacked(operator)
    matrix: Any = as_array(raw, name, ShapeError, "a square matrix [d, d] of numbers")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ShapeError(f"{name} must be a square matrix [d, d]; got shape {tuple(matrix.shape)}.")
    if dim is not None and matrix.shape[0] != dim:
        raise ShapeError(
            f"{name} must act on the space of the Hamiltonian, shape ({dim}, {dim}); got shape {tuple(matrix.shape)}."
        )
    single = matrix.dtype in (np.float32, np.complex64)
    tolerance = tolerance_of(matrix.dtype, tolerance)
    if isinstance(matrix, np.ndarray):
        matrix = matrix.astype(np.complex64 if single else complex)
        require_finite(matrix, name, NotHermitianError)
        if hermitian:
            _require_hermitian(matrix, name, tolerance)
        return as_known(matrix)
    if hermitian:
        good = jnp.max(jnp.abs(matrix - matrix.conj().T)) <= tolerance * jnp.max(jnp.abs(matrix))
        matrix = jnp.where(good, matrix, jnp.nan)
    return matrix.astype(jnp.complex64 if single else complex)


def as_state(rho, name: str, dim: int | None = None, *, positive: bool = True) -> Array:
    """A density matrix: Hermitian and of trace one to 1e−6, the Hermitian part of what came; for an entropy no
    eigenvalue below −1e−8. Expectations and currents are linear, and Redfield's states may have negative ones.

    **Raises:** `InputError` beside what `as_operator` raises. Where traced, NaN for what is not Hermitian or has
    another trace; an entropy sees to the eigenvalues itself.
    """
    state = as_operator(rho, name, dim, tolerance=TRACE_TOLERANCE)
    if not is_concrete(state):
        good = jnp.abs(jnp.trace(state) - 1) <= tolerance_of(state.dtype, TRACE_TOLERANCE)
        return jnp.where(good, (state + state.conj().T) / 2, jnp.nan)
    matrix = np.asarray(state)
    matrix = (matrix + matrix.conj().T) / 2
    trace = np.trace(matrix).real
    if abs(trace - 1) > tolerance_of(matrix.dtype, TRACE_TOLERANCE):
        raise InputError(f"{name} must have trace 1; got trace {trace:.9g}.")
    if positive and (lowest := np.linalg.eigvalsh(matrix)[0]) < -tolerance_of(matrix.dtype, STATE_TOLERANCE):
        raise InputError(
            f"{name} must have no negative eigenvalue, since its entropy is asked for; got {lowest:.3g}. States of "
            "Redfield() may have them: their currents and expectations exist, their entropy does not."
        )
    return as_known(matrix)


def _require_hermitian(matrix: np.ndarray, name: str, tolerance: float) -> None:
    defect, scale = np.max(np.abs(matrix - matrix.conj().T)), np.max(np.abs(matrix))
    if defect > tolerance * scale:
        raise NotHermitianError(
            f"{name} must be Hermitian; max|X - X^dagger| = {defect:.3g} at max|X| = {scale:.3g}. "
            f"Pass (X + X^dagger)/2 if the difference is rounding."
        )


def as_positive(value: Any, name: str, error: type[Exception], what: str) -> Array:
    """Convert to a real scalar that must be positive and finite; raise `error` otherwise (NaN when traced)."""
    number = as_array(value, name, error, f"a real scalar ({what})")
    if number.ndim != 0 or not is_real(number):
        raise error(f"{name} must be a real scalar ({what}); got {number.dtype} of shape {tuple(number.shape)}.")
    kind = jnp.float32 if number.dtype == jnp.float32 else float
    if isinstance(number, np.ndarray):
        known = float(number)
        if not (math.isfinite(known) and known > 0):
            raise error(f"{name} must be positive and finite ({what}); got {known}.")
        if not SMALLEST <= known <= LARGEST:
            raise error(
                f"{name} must lie between {SMALLEST:g} and {LARGEST:g} ({what}); got {known}. Choose other units."
            )
        return jnp.asarray(number, kind)
    valid = (number > 0) & jnp.isfinite(number)
    return (number * jnp.where(valid, 1.0, jnp.nan)).astype(kind)  # a factor: derivatives become NaN too


def as_scalar(value: Any, name: str) -> Array:
    """A finite real number; `InputError` otherwise (NaN where it is traced and infinite)."""
    number = as_array(value, name, what="a real scalar")
    if number.ndim != 0 or not is_real(number):
        raise InputError(f"{name} must be a real scalar; got {number.dtype} of shape {tuple(number.shape)}.")
    if isinstance(number, np.ndarray):
        require_finite(number, name)
        return as_known(number)
    return jnp.asarray(jnp.where(jnp.isfinite(number), number, jnp.nan))


def nan_where(x: Array, bad: Array, source) -> Array:
    """`x`, or NaN where it is `bad`: in value, and in every derivative in the numbers of the pytree `source`.

    The derivative of `where(bad, nan, x)` would be zero, and NaN sent back through a linear solver stops the program.
    """
    numbers = [jnp.sum(leaf).real for leaf in jax.tree.leaves(source) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    mark = jnp.where(bad, jnp.nan, 0.0) * sum(numbers)
    return jnp.where(bad, 0.0, x) + mark.astype(x.real.dtype)


def as_real(values: Any, name: str) -> Array:
    """Finite real numbers as a floating array; single precision stays single."""
    array = as_array(values, name, what="real numbers")
    if array.size and not is_real(array):  # an empty list has no kind
        raise InputError(f"{name} must be real; got {array.dtype}.")
    if isinstance(array, np.ndarray):
        require_finite(array, name)
    return as_known(values) if jnp.issubdtype(array.dtype, jnp.floating) else as_known(values, float)


def as_delays(t: Any, name: str = "t") -> Array:
    """Times t ≥ 0, a scalar or [t]."""
    t = as_real(t, name)
    if t.ndim > 1:
        raise ShapeError(f"{name} must be a scalar or an array [t]; got shape {tuple(t.shape)}.")
    if is_concrete(t) and np.any(np.asarray(t) < 0):
        raise InputError(f"{name} must not be negative: what follows is causal; got {np.asarray(t).min()}.")
    return t


def as_times(ts: Numbers, name: str) -> Array:
    """Ascending real times [t], known ones inside `jit` as well."""
    ts = as_real(ts, name)
    if ts.ndim != 1 or ts.size == 0:
        raise ShapeError(f"{name} must be a real array [t] with at least one time; got {ts.dtype}{tuple(ts.shape)}.")
    if is_concrete(ts):
        rises = np.diff(ts) >= 0
        if not np.all(rises):
            raise InputError(f"{name} must ascend; the first descent is at index {int(np.argmin(rises)) + 1}.")
        return ts
    return jnp.where(jnp.all(jnp.diff(ts) >= 0), ts, jnp.nan)


def as_temperature(value: Any, name: str) -> Array:
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


def as_setting(value: Any, name: str, least: float = 0.0, most: float = math.inf) -> float:
    """A known real number between two ends, as a plain float."""
    number = as_array(value, name, what="a real number") if is_concrete(value) else None
    if number is None or number.ndim != 0 or not is_real(number) or not least <= float(number) <= most:
        ends = f"of at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise InputError(f"{name} must be a known real number {ends}; got {described(value)}.")
    return float(number)


def as_count(value: Any, name: str, least: int = 0, most: int = 10**6) -> int:
    """A known whole number between two ends."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:
        raise InputError(f"{name} must be a whole number between {least} and {most}; got {described(value)}.")
    return int(value)


def as_flag(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool):
        raise InputError(f"{name} must be True or False; got {described(value)}.")
    return bool(value)


def as_word(value: Any, name: str, words: Iterable[Any] = ()) -> Any:
    """A word; one of several where these are given (whole numbers can be among them)."""
    words = tuple(words)
    plain = isinstance(value, str | int) and not isinstance(value, bool) if words else isinstance(value, str)
    if not plain or (words and value not in words):
        expected = f"one of {', '.join(map(str, words))}" if words else "a word"
        raise InputError(f"{name} must be {expected}; got {described(value)}.")
    return value


def as_several(values: Any, name: str, count: int | None = None) -> tuple[Any, ...]:
    """A sequence or an array with one axis at least, as a tuple of so many members."""
    listed = isinstance(values, list | tuple) or (isinstance(values, np.ndarray | jax.Array) and values.ndim > 0)
    if not listed or (count is not None and len(values) != count):
        expected = "a sequence" if count is None else f"a sequence of {count}"
        got = f"{type(values).__name__} of {len(values)}" if listed else described(values)
        raise InputError(f"{name} must be {expected}; got {got}.")
    return tuple(values)


def as_mapping(value: Any, name: str) -> dict[Any, Any]:
    """A mapping from names, as a dictionary; an empty one from None."""
    if value is not None and not isinstance(value, Mapping):
        raise InputError(f"{name} must be a dictionary from names; got {described(value)}.")
    return dict(value or {})


def as_units(units: Any) -> dict[str, str]:
    """Units by name."""
    named = as_mapping(units, "units")
    return {as_word(name, "units: a name"): as_word(unit, f"units: that of {name!r}") for name, unit in named.items()}


def as_function(value: Any, name: str) -> Callable[..., Any]:
    """What can be called, a class not among it."""
    if not callable(value) or isinstance(value, type):
        raise InputError(f"{name} must be a function; got {described(value)}.")
    return value


FORWARD = (
    "derivatives are taken in forward mode, and something that the function calls has them in reverse mode only. Such "
    "is evolve of a driven system, or with method='diffrax': give it adjoint=diffrax.ForwardMode()."
)
BACKWARD = (
    "derivatives are taken in reverse mode, and something that the function calls has them in forward mode only. Such "
    "is evolve with adjoint=diffrax.ForwardMode(): leave adjoint out."
)
BOTH = (
    "derivatives of derivatives are taken, forwards and then in reverse, and something that the function calls has one "
    "of the two. Such is evolve of a driven system, or with method='diffrax'; steady cycles have both. Plans that are "
    "given can be compared by fisher_information, with adjoint=diffrax.ForwardMode()."
)
"""What is done, and what to do where it cannot be."""


@contextlib.contextmanager
def differentiating(who: str, how: str) -> Iterator[None]:
    """Names what to do where a function of the user's does not have the derivatives that are taken inside."""
    try:
        yield
    except (TypeError, ValueError) as problem:
        if "custom_vjp function" not in str(problem) and "Reverse-mode differentiation" not in str(problem):
            raise
        raise InputError(f"{who}: {how}") from problem
