"""Rows for the two qubits: Secs. III C, III D and Appendix C.

Takes: the qubits of Figs. 4 and 5, and a Drude–Lorentz pair for which exact numbers are known. Returns: rows for
Eqs. (36), (37), (39)/(40) with (C3), (42)–(46), the tangent that (43) is not, and the two limits at high temperature.
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from ..._equations import Local
from ..._observables import channel_currents, heat_currents
from ..._response import response, thermodynamic_response
from ..._steady import steady_state
from ..._system import System
from ...models import pauli
from .. import _formulas as f
from .._currents import computed_currents
from .._parameters import FIG4_DIFFERENCE, FIG5_MEANS, QubitParameters, around, qubit_perturbation
from ._row import Check, agree, correct, hold, vanish
from ._witness import (
    applied,
    average,
    bohr_components,
    commutator,
    dissipators,
    generator,
    heisenberg,
    matrix,
    null_state,
    pinned,
    superoperator,
    warm_qubits,
    written_dissipator,
)

MEANS = (300.0, 5000.0)
SOLVE = "LU of a generator whose rates differ by n ≫ 1"

# Two qubits, ω = 1, g = 0.2, Drude–Lorentz λ = 0.001, ω_c = 2, T = (0.45, 0.35); relative slope (1/J₀) dJ/d(δΩ).
# Numerically exact hierarchy of equations of motion: QuTiP 5.3.1, HEOMSolver with Padé baths, Nk = 5 and 8 alike.
EXACT_SLOPE = -0.3601
PRINTED_SLOPE = -1.7511  # Eq. (43) over Eq. (42) with γ → γ(ω±) of the same baths
REFERENCE_CURRENT = 3.855268629e-05  # J₀ of an independent computation


def rows(progress: Callable[[str], None]) -> Iterator[Check]:
    """All rows of this family."""
    p = QubitParameters()
    progress("jump operators of the qubits")
    yield from _operators(p)
    progress("currents in two and in four channels")
    yield from _channels(p)
    progress("the local equation")
    yield from _local(p)
    yield from _scaling(p)
    progress("the tangent of the current")
    yield from _tangent(p)
    progress("the two limits at high temperature")
    yield from _limits(p)


def _operators(p: QubitParameters) -> Iterator[Check]:
    system = p.model(310.0, 290.0)
    x = p.shift
    levels = np.sort([-p.omega + x, -p.g - x, p.g - x, p.omega + x])
    split = system.perturbed(qubit_perturbation(), x)
    computed = np.linalg.eigvalsh(np.asarray(split.hamiltonian))
    yield agree("(37), (41)", "eigenvalues −ω+δΩ, ±g−δΩ, ω+δΩ", levels, computed, 1e-13, "rounding")

    written = _jumps()
    for bath, name in enumerate("ab"):
        omega, S = bohr_components(system, bath)
        expected = np.stack([written[name, "minus"], written[name, "plus"]])
        computed = np.stack([S[np.argmin(np.abs(omega - w))] for w in (p.minus, p.plus)])
        yield agree("(C3)", f"Bohr components {name}₋, {name}₊ of σ_x", expected, computed, 1e-13, "rounding")
    yield from _dissipator(p, system, written)

    ring, square = _ring(split)
    yield from correct(
        "(44)",
        "signs of S₁…S₄ in σ_x^A: σ_x² = 1 needs S₁S₄ = −S₂S₃; shown: the product of the four elements",
        0.25,
        -0.25,
        ring,
        1e-12,
        "rounding of the eigenvectors",
    )
    yield vanish("(44)", "⟨00|(σ_x^A)²|11⟩ = 0 from the computed components", square, 1.0, 1e-13, "rounding")


def _jumps() -> dict[tuple[str, str], np.ndarray]:
    """a±, b± of Eq. (C3); σ₋ lowers, σ_z|0⟩ = +|0⟩."""
    lower = np.array([[0, 0], [1, 0]], complex)
    one, z = np.eye(2), np.diag([1.0, -1.0])
    A, B = np.kron(lower, one), np.kron(one, lower)
    zA, zB = np.kron(z, one), np.kron(one, z)
    return {
        ("a", "plus"): (A - zA @ B) / 2,
        ("a", "minus"): (A + zA @ B) / 2,
        ("b", "plus"): (B - zB @ A) / 2,
        ("b", "minus"): (B + zB @ A) / 2,
    }


def _dissipator(p: QubitParameters, system: System, written) -> Iterator[Check]:
    terms = []
    for omega, name in ((p.minus, "minus"), (p.plus, "plus")):
        n, jump = float(f.bose(omega, 310.0)), written["a", name]
        terms += [(p.gamma * (n + 1), jump), (p.gamma * n, jump.conj().T)]
    right, swapped = (superoperator(written_dissipator(terms, s), 4) for s in (False, True))
    computed = matrix(dissipators(system, pinned(system))[0])
    statement = "dissipator of bath a: anticommutators {χχ†, O} for emission printed, {χ†χ, O} in (C2)"
    yield from correct("(40)", statement, swapped, right, computed, 1e-12, "rounding")


def _ring(split: System) -> tuple[float, float]:
    """⟨00|σ|−⟩⟨−|σ|11⟩⟨11|σ|+⟩⟨+|σ|00⟩ of σ_x^A, independent of the signs of eigenvectors; and ⟨00|σ²|11⟩."""
    _, U = np.linalg.eigh(np.asarray(split.hamiltonian))  # ascending: 00, −, +, 11
    S = U.conj().T @ np.asarray(split.baths[0].coupling) @ U
    return float((S[0, 1] * S[1, 3] * S[3, 2] * S[2, 0]).real), float(abs((S @ S)[0, 3]))


def _channels(p: QubitParameters) -> Iterator[Check]:
    x = p.shift
    for mean in MEANS:
        T_a, T_b = around(mean, FIG4_DIFFERENCE)
        system = p.model(T_a, T_b)
        at = f"T̄ = {mean:g}"
        two = channel_currents(system, pinned(system))
        expected = f.channel_currents(p, T_a, T_b)
        yield agree("(42)", f"currents of the two channels, {at}", expected, two.currents[0], 1e-9, SOLVE)
        unsplit, whole = computed_currents(p, T_a, T_b, np.array([0.0, x]))[0]
        yield agree("(42)", f"J₀ᵃ, {at}", f.current_unperturbed(p, T_a, T_b), unsplit, 1e-9, SOLVE)
        split = system.perturbed(qubit_perturbation(), x)
        four = channel_currents(split, pinned(split))
        order = np.argsort(np.asarray(f.split_frequencies(p, x)))
        frequencies = np.asarray(f.split_frequencies(p, x))[order]
        yield agree("(45)", "frequencies of the four channels", frequencies, four.frequencies, 1e-13, "rounding")
        expected = np.asarray(f.split_channel_currents(p, T_a, T_b, x))[order]
        yield agree("(46)", f"currents of the four channels, {at}", expected, four.currents[0], 1e-9, SOLVE)
        yield agree("(46)", f"Jᵃ at δΩ = 50, {at}", f.current_global(p, T_a, T_b, x), whole, 1e-9, SOLVE)


def _local(p: QubitParameters) -> Iterator[Check]:
    for mean in MEANS:
        T_a, T_b = around(mean, FIG4_DIFFERENCE)
        system = p.model(T_a, T_b)
        computed = thermodynamic_response(system, qubit_perturbation(), Local(system)).heat_currents.static().total[0]
        statement = f"J₁ᵃ = ⟨D₀ᵃ†V⟩ of the local equation, T̄ = {mean:g}"
        yield agree("(43)", statement, f.current_local_slope(p, T_a, T_b), computed, 1e-9, SOLVE)

    system = p.model(310.0, 290.0)
    V, A, step, count = pauli("ZI"), pauli("ZI"), 0.002, 41  # V turns |±⟩ into each other: oscillation at 2g = 400
    parts = response(system, V, A, Local(system)).impulse(step * np.arange(count))
    moving = heisenberg(system, A, step, count)
    kubo = average(null_state(generator(system, pinned(system))), 1j * commutator(V, moving))
    yield agree("(36)", "local equation: φ_A = i⟨[V, A(τ)]⟩", kubo, parts.total, 1e-9, SOLVE)
    rest = np.abs(parts.rotation) + np.abs(parts.shift)
    yield vanish("(36)", "local equation: rotation and shift, relative to φ_A", rest, kubo, 1e-15, "exactly zero")


def _scaling(p: QubitParameters) -> Iterator[Check]:
    """Currents at T̄ = 2·10⁴, 4·10⁴ (ΔT = 20) and at T̄ = 2·10⁴ (ΔT = 40), with and without δΩ = 1."""
    T_a, T_b = around(np.array([2e4, 4e4, 2e4]), np.array([20.0, 20.0, 40.0]))
    unmoved = np.asarray(computed_currents(p, T_a, T_b, 0.0)[0])
    moved = np.asarray(computed_currents(p, T_a, T_b, 1.0)[1])
    first = moved - unmoved
    reason = "corrections of order (ω/T)² = 4e−3 between T̄ = 2e4 and 4e4"
    statement = "J₁ ∝ T̄⁻²: the exponent between T̄ = 2·10⁴ and 4·10⁴"
    yield agree("(43)", statement, -2.0, np.log2(first[1] / first[0]), 5e-3, reason)
    statement = "J₀ ∝ T̄⁻¹: the exponent between the same"
    yield agree("(42)", statement, -1.0, np.log2(unmoved[1] / unmoved[0]), 5e-3, reason)
    reason = "(ΔT/T̄)² = 4e−6, and the difference of two currents"
    yield agree("(43)", "J₁ ∝ ΔT: ratio at ΔT = 40 and 20, T̄ = 2·10⁴", 2.0, first[2] / first[0], 1e-5, reason)


def _relative_slopes(system: System) -> tuple[float, float]:
    """(1/J₀) dJ/d(δΩ) of bath a: microscopic, groups as they are at δ = 0; and ⟨D₀ᵃ†V⟩, the local one."""
    V, equation = qubit_perturbation(), pinned(system)
    linear = thermodynamic_response(system, V, equation).heat_currents.static().total[0]
    dissipated = applied(dissipators(system, equation)[0], steady_state(system, equation).rho)
    current = float(average(dissipated, system.hamiltonian))
    return float(linear) / current, float(average(dissipated, V)) / current


def _tangent(p: QubitParameters) -> Iterator[Check]:
    system = warm_qubits(strength=0.001)
    digits = "digits of the reference"
    computed = heat_currents(system, pinned(system))[0]
    statement = "J₀ of the Drude–Lorentz qubits, T = (0.45, 0.35)"
    yield agree("(48)", statement, REFERENCE_CURRENT, computed, 1e-9, digits)
    explicit, local = _relative_slopes(system)
    yield agree("(43)", "its value for these baths, (1/J₀)⟨D₀ᵃ†V⟩", PRINTED_SLOPE, local, 1e-4, digits)
    yield from correct(
        "(43) as the linear response",
        "(1/J₀) dJ/d(δΩ): local, and numerically exact (HEOM) as the correction",
        PRINTED_SLOPE,
        EXACT_SLOPE,
        explicit,
        2e-4,
        digits,
    )

    T_a, T_b = around(FIG5_MEANS[0], FIG4_DIFFERENCE)
    explicit, _ = _relative_slopes(p.model(T_a, T_b))
    current = float(f.current_unperturbed(p, T_a, T_b))
    tangent = float(jax.grad(lambda x: f.current_global(p, T_a, T_b, x))(0.0))
    yield from correct(
        "(43) as the linear response",
        "(1/J₀) dJ/d(δΩ) at T̄ = 50: (43), and the slope of (46) at δ → 0 as the correction",
        float(f.current_local_slope(p, T_a, T_b)) / current,
        tangent / current,
        explicit,
        1e-6,
        "LU at rates of e^{−30}",
    )
    yield agree("Fig. 5", "the same slope: +0.03081 per unit of δΩ", 0.03081, explicit, 2e-4, "four printed digits")


def _limits(p: QubitParameters) -> Iterator[Check]:
    ratios = {}
    for mean in MEANS:
        T_a, T_b = around(mean, FIG4_DIFFERENCE)
        explicit, local = _relative_slopes(p.model(T_a, T_b))
        ratios[mean] = local / explicit
    statement = "the limits coincide at high T: local over global slope at T̄ = 5000"
    yield agree("(43), (46)", statement, 1.013, ratios[5000.0], 5e-4, "four printed digits")
    cold = ratios[300.0]
    yield hold("(43), (46)", "they differ in sign at T̄ = 300: local over global slope", "< 0", f"{cold:.5g}", cold < 0)
