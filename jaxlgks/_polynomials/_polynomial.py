"""Polynomials of the creation and annihilation operators of M modes, as the user writes them.

Takes: the lowering operators a_1 … a_M of `modes(M)` and ordinary arithmetic. Returns: normal-ordered coefficients as
arrays, of a degree known before anything is computed.
"""

import itertools
import numbers
from typing import Any, SupportsIndex

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._inputs import (
    HERMITICITY_TOLERANCE,
    as_array,
    as_count,
    as_known,
    as_several,
    described,
    is_concrete,
    require_finite,
    require_x64,
)
from ..errors import DegreeError, InputError, NotHermitianError, ShapeError, SolverMemoryError
from ._symbols import Symbol, adjoint, module, plus, product, scaled, vacuum

ALLOWED, COPIES = 8e9, 3
"""Bytes that a product may take, and how many arrays of its size it is made of."""


class Polynomial(eqx.Module):
    """A normal-ordered polynomial of oscillator operators, Σ_k T^(k)_{i…j} :α_i … α_j:, α = (a_1 … a_M, a_1† … a_M†).

    Made from the operators of `modes` by `+`, `-`, `*`, `**`, `/` and `.dag`; products are operator products, brought
    to normal order by Wick's theorem. Coefficients may be traced and differentiated; the degree is static.

    - `coefficients`: T^(0) … T^(n), T^(k) symmetric of shape [2M, …, 2M].
    - `limit`: the highest degree allowed, as declared in `modes`.

    **Raises:** `DegreeError` where a product goes beyond the limit; `ShapeError` for different modes.
    """

    coefficients: tuple[Array, ...]
    modes: int = eqx.field(static=True)
    limit: int = eqx.field(static=True)

    __array_ufunc__ = None  # a NumPy scalar on the left leaves the product to this class

    def __check_init__(self) -> None:
        as_count(self.modes, "Polynomial: modes", 1)
        as_count(self.limit, "Polynomial: limit")
        tensors = self.coefficients if isinstance(self.coefficients, tuple) else ()
        shapes = [getattr(T, "shape", None) for T in tensors]
        if not shapes or shapes != [(2 * self.modes,) * k for k in range(len(shapes))]:
            raise ShapeError(
                f"Polynomial: coefficients must be arrays of shapes (), ({2 * self.modes},), ({2 * self.modes}, "
                f"{2 * self.modes}), … in a tuple; got {shapes or described(self.coefficients)}. Make polynomials from "
                "modes(M)."
            )
        for T in tensors if is_concrete(tensors) else ():
            require_finite(T, "a coefficient of a polynomial")

    @property
    def degree(self) -> int:
        """The highest number of operators in a term, known before any coefficient."""
        return len(self.coefficients) - 1

    @property
    def dag(self) -> "Polynomial":
        """The adjoint."""
        return self._of(adjoint(self._numbers))

    @property
    def _numbers(self) -> Symbol:
        """For arithmetic: NumPy's where all are known, so that the result is known inside `jit` too."""
        known = is_concrete(self.coefficients)
        return tuple(np.asarray(c) for c in self.coefficients) if known else self.coefficients

    def coefficient(self, creations, annihilations):
        """The coefficient of Π a_k†^{p_k} Π a_k^{q_k}. **Arguments:** p, q: tuples of M exponents."""
        both = [as_several(p, "coefficient: exponents", self.modes) for p in (annihilations, creations)]
        powers = [as_count(power, "coefficient: an exponent") for p in both for power in p]
        index = tuple(i for i, power in enumerate(powers) for _ in range(power))
        return multiplicity(index) * self.coefficients[len(index)][index] if len(index) <= self.degree else 0.0

    def terms(self) -> dict[tuple[tuple[int, ...], tuple[int, ...]], complex]:
        """The known coefficients that are not zero: (creation exponents, annihilation exponents) ↦ coefficient."""
        terms = {}
        for k, T in enumerate(self.coefficients):
            T = np.asarray(T)
            for index in monomials(2 * self.modes, k):
                if T[index] != 0:
                    powers = np.bincount(np.asarray(index, int), minlength=2 * self.modes)
                    key = (tuple(map(int, powers[self.modes :])), tuple(map(int, powers[: self.modes])))
                    terms[key] = complex(multiplicity(index) * T[index])
        return terms

    def __str__(self) -> str:
        if not is_concrete(self.coefficients):
            return f"Polynomial(modes={self.modes}, degree={self.degree})"
        words = [f"({_number(c)}) {name(*key)}".rstrip() for key, c in self.terms().items()]
        return " + ".join(words) or "0"

    __repr__ = __str__

    def __add__(self, other) -> "Polynomial":
        other = self._like(other)
        return NotImplemented if other is NotImplemented else self._of(plus(self._numbers, other._numbers), other.limit)

    __radd__ = __add__

    def __neg__(self) -> "Polynomial":
        return self * -1.0

    def __sub__(self, other) -> "Polynomial":
        other = self._like(other)
        return NotImplemented if other is NotImplemented else self + other * -1.0

    def __rsub__(self, other) -> "Polynomial":
        return -self + other

    def __mul__(self, other) -> "Polynomial":
        if not isinstance(other, Polynomial):
            return self._of(scaled(self._numbers, _as_number(other))) if _is_number(other) else NotImplemented
        other, degree, limit = self._like(other), self.degree + other.degree, max(self.limit, other.limit)
        if degree > limit:
            raise DegreeError(
                f"a product of degrees {self.degree} and {other.degree} has degree {degree}, beyond the {limit} that "
                f"was declared. Declare more: modes({self.modes}, degree={degree})."
            )
        if (needed := COPIES * 16.0 * (2 * self.modes) ** degree) > ALLOWED:
            raise SolverMemoryError(
                f"a polynomial of degree {degree} in {self.modes} modes takes {needed / 1e9:.3g} GB, more than "
                f"{ALLOWED / 1e9:.3g}. Use fewer modes, or a lower degree."
            )
        C = vacuum(self.modes)
        return self._of(product(self._numbers, other._numbers, C), limit)  # pyright: ignore[reportArgumentType]

    def __rmul__(self, other) -> "Polynomial":
        return self.__mul__(other)

    def __truediv__(self, other) -> "Polynomial":
        if not _is_number(other):
            return NotImplemented
        divisor = _as_number(other)
        if isinstance(divisor, np.ndarray) and divisor == 0:
            raise InputError("a polynomial cannot be divided by zero.")
        return self * (1.0 / divisor)

    def __pow__(self, power: SupportsIndex) -> "Polynomial":
        power = as_count(power, "the power of a polynomial")
        out = constant(1.0, self.modes, self.limit)
        for _ in range(power):
            out = out * self
        return out

    def commutator(self, other: "Polynomial") -> "Polynomial":
        """[self, other], of degree two lower than the product (which may go beyond the limit)."""
        if not isinstance(other, Polynomial):
            raise InputError(f"commutator: the other operator must be a Polynomial; got {described(other)}.")
        other, C = self._like(other), vacuum(self.modes)
        pairs = (self._numbers, other._numbers), (other._numbers, self._numbers)
        ab, ba = (product(*pair, C) for pair in pairs)  # pyright: ignore[reportArgumentType]
        bracket = tuple(x - y for x, y in zip(ab, ba, strict=True))
        return self._of(bracket[: max(1, self.degree + other.degree - 1)], other.limit)

    def _of(self, coefficients: Symbol, limit: int = 0) -> "Polynomial":
        return Polynomial(tuple(as_known(c) for c in coefficients), self.modes, max(self.limit, limit))

    def _like(self, other):
        if _is_number(other):
            return constant(other, self.modes, self.limit)
        if not isinstance(other, Polynomial):
            return NotImplemented
        if other.modes != self.modes:
            raise ShapeError(f"polynomials of {self.modes} and {other.modes} modes do not act on the same space.")
        return other


def modes(count: int, degree: int = 4) -> tuple[Polynomial, ...]:
    """The lowering operators a_1 … a_M of M modes, [a_j, a_k†] = δ_jk.

    **Arguments:** `count`: M. `degree`: the highest degree of polynomials made from them; a product beyond it raises
    `DegreeError`. A term of degree k takes (2M)^k numbers.

    **Returns:** a tuple of M `Polynomial`s.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, b = lgks.modes(2)
    hopping = a.dag * b + b.dag * a
    (a * a.dag).coefficient((0, 0), (0, 0)).real   # 1.0, from a a† = a†a + 1
    ```
    """
    require_x64()
    count, degree = as_count(count, "modes: count", 1, 1000), as_count(degree, "modes: degree", 1, 100)
    unit = np.eye(2 * count, dtype=complex)
    return tuple(Polynomial((as_known(0.0, complex), as_known(unit[k])), count, degree) for k in range(count))


def constant(value, count: int, limit: int) -> Polynomial:
    """A number times the identity."""
    return Polynomial((as_known(_as_number(value), complex),), count, limit)


def as_polynomial(A, what: str, count: int, degree: int | None = None, *, hermitian: bool = True) -> Polynomial:
    """A polynomial of `count` modes, checked, Hermitian unless said otherwise; NaN where it is traced and not so.

    **Raises:** `InputError`, `ShapeError`, `DegreeError`, `NotHermitianError`."""
    if _is_number(A):
        A = constant(A, count, 1)
    if not isinstance(A, Polynomial):
        raise InputError(
            f"{what} must be a Polynomial of {count} mode(s), made from modes({count}); got {described(A)}."
        )
    if A.modes != count:
        raise ShapeError(f"{what} must be a polynomial of {count} mode(s), as the Hamiltonian; got {A.modes}.")
    if degree is not None and A.degree > degree:
        raise DegreeError(f"{what} may have degree {degree} at most; got a polynomial of degree {A.degree}.")
    xp = module(A.coefficients)
    defect = [xp.max(xp.abs(a - b)) for a, b in zip(A._numbers, A.dag._numbers, strict=True)]
    size = [xp.max(xp.abs(a)) for a in A._numbers]
    worst, largest = xp.max(xp.stack(defect)), xp.max(xp.stack(size))
    if xp is np:
        require_finite(largest, what, NotHermitianError)
    if not hermitian:
        return A
    if xp is np and worst > HERMITICITY_TOLERANCE * largest:
        raise NotHermitianError(
            f"{what} must be Hermitian; the largest coefficient of X - X^dagger is {float(worst):.3g}, at "
            f"{float(largest):.3g} of X. Pass (X + X.dag)/2 if the difference is rounding."
        )
    if xp is np:
        return A
    mark = jnp.where(worst <= HERMITICITY_TOLERANCE * largest, 0.0, jnp.nan)
    return A._of(tuple(a + mark for a in A.coefficients))


def monomials(size: int, degree: int):
    """The sorted index tuples of a symmetric tensor."""
    return itertools.combinations_with_replacement(range(size), degree)


def multiplicity(index: tuple[int, ...]) -> int:
    """How many entries of a symmetric tensor belong to one monomial."""
    count = 1
    for done, i in enumerate(index, start=1):
        count = count * done // index[:done].count(i)
    return count


def name(creations, annihilations, labels=None) -> str:
    """a1†² a2, say."""
    labels = labels or [f"a{k + 1}" for k in range(len(creations))]
    up = [f"{x}†{_superscript(p)}" for x, p in zip(labels, creations, strict=True) if p]
    down = [f"{x}{_superscript(p)}" for x, p in zip(labels, annihilations, strict=True) if p]
    return " ".join(up + down)


def _superscript(power: int) -> str:
    return "" if power == 1 else "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(c)] for c in str(power))


def _number(c: complex) -> str:
    return f"{c.real:.6g}" if c.imag == 0 else f"{c:.6g}"


def _is_number(x) -> bool:
    return isinstance(x, numbers.Number) or (hasattr(x, "ndim") and not isinstance(x, Polynomial) and x.ndim == 0)


def _as_number(x: Any) -> Any:
    """A finite number; a traced one as it is."""
    if not is_concrete(x):
        return jnp.asarray(x, complex)
    number = as_array(x, "a coefficient of a polynomial")
    require_finite(number, "a coefficient of a polynomial")
    return number.astype(complex)
