"""Rows for the cubic oscillator's eigenstates, Appendix B 2.

Takes: the minus mode of the oscillators with the cubic potential. Returns: rows for Eqs. (B10)–(B13) and for the bound
δ ≪ n^{−1/2}, against exact diagonalisation and against the library's filter.
"""

from collections.abc import Iterator

import equinox as eqx
import numpy as np

from ..._equations import Dissipation, dissipation
from ...models import Oscillators
from .. import _formulas as f
from .._brute_force import FOCK
from .._parameters import OscillatorParameters
from ._row import Check, agree, correct, vanish
from ._witness import commutator, pinned, slope

LEVELS = 40
STATES = np.arange(6)


def rows(p: OscillatorParameters) -> Iterator[Check]:
    """All rows of this file."""
    model = p.model(1.0, 1.0, (2, LEVELS))
    H = np.real(np.asarray(model.system.hamiltonian))[:LEVELS, :LEVELS]
    V = np.real(np.asarray(model.cubic))[:LEVELS, :LEVELS]
    yield from _sign(model)
    yield from _eigenvectors(H, V)
    yield _jump(p)
    yield _commutation(H, V, p.minus)
    yield _second_order(H, V, p.minus)


def _sign(model: Oscillators) -> Iterator[Check]:
    """⟨0|V|1⟩ of Eq. (29) written with a and b, against Ω(d₋ + d₋†)³ of (B9), which has 3Ω there."""
    x = np.asarray(model.a - model.b)
    V = np.linalg.matrix_power(x + x.conj().T, 3) / np.sqrt(8)
    statement = "⟨0|V|1⟩/Ω of (29) with d₋ = (b−a)/√2: (B9) has +3"
    yield from correct("(29), (B9)", statement, 3.0, -3.0, V[0, 1], 1e-12, "rounding of the operators")


def _states(H: np.ndarray, V: np.ndarray, delta: float) -> np.ndarray:
    """The lowest eigenstates of H + δV, one a row, with the sign that keeps ⟨n|ψ_n⟩ positive."""
    vectors = np.linalg.eigh(H + delta * V)[1].T[STATES]
    return vectors * np.sign(vectors[STATES, STATES])[:, None]


def _eigenvectors(H: np.ndarray, V: np.ndarray) -> Iterator[Check]:
    reason = "error h⁴ of the finite difference of eigenvectors"
    computed = slope(lambda d: _states(H, V, d), 1e-5)
    flat = np.eye(LEVELS)[STATES]
    expected = np.stack([np.asarray(f.eigenstate(int(n), 1.0, LEVELS)) for n in STATES]) - flat
    yield agree("(B10)", "d|ψ_n⟩/dδ, n = 0…5, by exact diagonalisation", expected, computed, 1e-6, reason)

    def projectors(delta: float) -> np.ndarray:
        psi = _states(H, V, delta)
        return psi[:, :, None] * psi[:, None, :]

    element = slope(projectors, 1e-5)[STATES, STATES, STATES + 1]  # ⟨n| d|ψ_n⟩⟨ψ_n|/dδ |n+1⟩
    ladder = (STATES + 1.0) ** 1.5
    statement = "⟨n|·|n+1⟩ of d|ψ_n⟩⟨ψ_n|/dδ: printed −3√((n+1)³/8)"
    yield from correct("(B11)", statement, -3 * ladder / np.sqrt(8), -3 * ladder, element, 1e-6, reason)


def _jump(p: OscillatorParameters) -> Check:
    """Bath a has A(ω₋) = √Γ S(ω₋): its first-order change over the element ⟨0|A|1⟩ of A itself is J₋."""
    model = p.model(1.0, 1.0, FOCK)
    equation = pinned(model.system)
    made = dissipation(model.system, equation)
    group = int(made.groups.labels[0, 1])
    change = eqx.filter_jit(Dissipation.first_order)(made, model.cubic)[0].rotation
    dA, A = np.asarray(change.left[group])  # D[A]⁽¹⁾ has dA · A† + A · dA†
    keep = FOCK[1] - 4  # S⁽¹⁾ of the last levels refers to levels that were cut away
    computed = (dA / A[0, 1])[:keep, :keep]
    return agree("(B12)", "S⁽¹⁾(ω₋) = J₋ = d†² − 3d² + 6d†d + 3", f.first_order_jump(keep), computed, 1e-12, "rounding")


def _commutation(H: np.ndarray, V: np.ndarray, omega: float) -> Check:
    d = np.diag(np.sqrt(np.arange(1.0, LEVELS)), 1)
    J = np.asarray(f.first_order_jump(LEVELS))
    defect = commutator(H, J) + commutator(V, d) + omega * J
    keep = slice(0, LEVELS - 6)  # products with cut levels
    return vanish(
        "(B13)",
        "[H₀, J₋] + [V, d₋] + ω₋J₋ = 0, relative to ω₋J₋",
        defect[keep, keep],
        omega * J[keep, keep],
        1e-13,
        "rounding",
    )


def _second_order(H: np.ndarray, V: np.ndarray, omega: float) -> Check:
    n = np.arange(11)

    def curvature(delta: float) -> np.ndarray:
        shifted = (np.linalg.eigvalsh(H + delta * V)[n] + np.linalg.eigvalsh(H - delta * V)[n]) / 2
        return (shifted - np.diag(H)[n]) / delta**2

    computed = (4 * curvature(5e-4) - curvature(1e-3)) / 3
    return agree(
        "below (B10)",
        "lowest energy correction −δ²ω₋(30n²+30n+11), n ≤ 10: of order δ²n², hence δ ≪ n^{−1/2}",
        f.second_order_energy(n, 1.0, omega),
        computed,
        1e-4,
        "sixth order in δ of exact diagonalisation",
    )
