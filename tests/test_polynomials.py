"""Polynomials of oscillator operators against matrices, and what they refuse."""

import jax
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import DegreeError, InputError, NotHermitianError, ShapeError

from . import oscillators


def _matrix(A: lgks.Polynomial, levels: int) -> np.ndarray:
    """From matrices of a_k on `levels` states each; right on low states."""
    one, low = np.eye(levels), np.diag(np.sqrt(np.arange(1.0, levels)), 1)
    a = [np.kron(low, one), np.kron(one, low)] if A.modes == 2 else [low]
    total = np.zeros((levels**A.modes,) * 2, complex)
    for (up, down), coefficient in A.terms().items():
        term = np.eye(levels**A.modes, dtype=complex) * coefficient
        for x, p in zip(a, up, strict=True):
            term = term @ np.linalg.matrix_power(x.conj().T, p)
        for x, q in zip(a, down, strict=True):
            term = term @ np.linalg.matrix_power(x, q)
        total += term
    return total


@pytest.mark.parametrize("seed", range(3))
def test_algebra_is_that_of_matrices(seed):
    """Products, sums, adjoints and commutators on the states that twelve levels represent; rounding of 1e2-sized "
    "numbers."""
    rng = np.random.default_rng(seed)
    A, B = oscillators.polynomial(rng, 2, 2) + 1j * oscillators.polynomial(rng, 2, 1), oscillators.polynomial(rng, 2, 2)
    levels, low = 12, [12 * i + j for i in range(5) for j in range(5)]
    a, b = _matrix(A, levels), _matrix(B, levels)
    pairs = [
        (A * B, a @ b),
        (A.commutator(B), a @ b - b @ a),
        (A.dag, a.conj().T),
        (A - 2j * B + 1, a - 2j * b + np.eye(144)),
    ]
    for polynomial, expected in pairs:
        assert np.max(np.abs((_matrix(polynomial, levels) - expected)[np.ix_(low, low)])) < 1e-12
    assert A.commutator(B).degree == 2  # two lower than the products
    assert oscillators.polynomial(rng, 2, 1).commutator(B).degree == 1


def test_normal_order_by_hand():
    (a,) = lgks.modes(1)
    assert (a * a.dag).terms() == {((0,), (0,)): 1, ((1,), (1,)): 1}
    assert ((a + a.dag) ** 3).terms() == {
        ((0,), (1,)): 3, ((1,), (0,)): 3, ((0,), (3,)): 1, ((1,), (2,)): 3, ((2,), (1,)): 3, ((3,), (0,)): 1,
    }  # fmt: skip
    assert str(2.0 * a.dag * a * a) == "(2) a1† a1²"
    assert a.commutator(a.dag).terms() == {((0,), (0,)): 1}


def test_coefficients_can_be_traced():
    (a,) = lgks.modes(1)
    slope = jax.grad(lambda w: ((w * a.dag * a + w**2 * a) ** 2).coefficient((1,), (1,)).real)(3.0)
    assert float(slope) == pytest.approx(6.0)  # (w n + w² a)² has w² n in normal order: d/dw = 2w


def test_a_degree_beyond_the_declared_one_is_refused():
    (a,) = lgks.modes(1, degree=3)
    with pytest.raises(DegreeError, match=r"degree 4, beyond the 3 that was declared.*modes\(1, degree=4\)"):
        (a + a.dag) ** 4
    (a,) = lgks.modes(1, degree=5)
    assert ((a + a.dag) ** 5).degree == 5


def test_bad_input_is_named():
    a, b = lgks.modes(2)
    (c,) = lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a + 2.0 * b.dag * b, lgks.Bath(a + a.dag + b + b.dag, 1.0, lgks.Flat(0.01)))
    for call in (lgks.response, lgks.autodiff_response, lgks.cross_validate):
        with pytest.raises(NotHermitianError, match="perturbation V must be Hermitian"):
            call(model, a * b, a.dag * a)
        with pytest.raises(NotHermitianError, match="observable"):
            call(model, a.dag * a, a)
    with pytest.raises(ShapeError, match=r"perturbation V must be a polynomial of 2 mode\(s\)"):
        lgks.response(model, c.dag * c, a.dag * a)
    with pytest.raises(InputError, match="must be a Polynomial"):
        lgks.response(model, np.eye(3), a.dag * a)
    with pytest.raises(InputError, match="count must be a whole number between 1"):
        lgks.modes(0)
    with pytest.raises(ShapeError, match=r"[12] and [12] modes"):
        a * c
