"""Rows for the passage from ντ ≪ 1 to ντ ≫ 1 (Sec. III C, App. C): which equation gives the heat current's response.

Takes: currents of two qubits by five master equations, and numerically exact slopes (HEOM). Returns: rows for each
equation against the exact slopes, for the local one in the regime it is meant for, and for the parameters of Fig. 5.
"""

from collections.abc import Callable, Iterator

import numpy as np

from ..._equations import Unified
from ..._response import diagnose
from .._crossover import curves, exact, longest_time, splitting, tangent, verdict
from .._parameters import FIG4_DIFFERENCE, FIG5_MEANS, QubitParameters, around, qubit_perturbation
from ._row import Check, agree, correct, hold

LOCAL_SLOPE = -1.7511  # Eq. (43) over Eq. (42) with γ → γ(ω±) of the same baths
PAPER_SLOPE = 0.03081  # (1/J₀) dJ/d(δΩ) at the parameters of Fig. 5, T̄ = 50: four digits of the slope of Eq. (46)
WEAK = "weak coupling, and the four digits of the exact slope"
OTHERS = {"davies": "Davies", "redfield": "Redfield", "universal": "universal Lindblad"}


def rows(progress: Callable[[str], None]) -> Iterator[Check]:
    """All rows of this family."""
    progress("slopes against exact dynamics")
    yield from _exact()
    progress("the regime ντ ≪ 1")
    yield from _small()
    progress("regimes by name")
    yield _named()
    progress("the parameters of Fig. 5")
    yield from _paper()


def _exact() -> Iterator[Check]:
    reference, found, tau = exact(), curves(), longest_time()
    unified = found["unified"][1]
    statement = "J₀ of the unified equation, two Drude–Lorentz qubits: HEOM as expected value"
    yield agree("(42)", statement, reference.unperturbed, unified.unperturbed, 1e-3, "weak coupling")
    for x, expected, computed in zip(reference.shifts, reference.slopes, unified.slope, strict=True):
        statement = f"unified, slope of J/J₀ at δΩ = {x:g} (ντ = {splitting(x) * tau:.2g}): HEOM as expected value"
        yield agree("Sec. III C", statement, expected, computed, 1e-3, WEAK)
    for name, title in OTHERS.items():
        slope = found[name][1].slope
        worst = int(np.argmax(np.abs(slope / reference.slopes - 1)))
        statement = f"{title}, the same: the worst of the five points, δΩ = {reference.shifts[worst]:g}"
        yield agree("Sec. III C", statement, reference.slopes[worst], slope[worst], 1e-3, WEAK)
    statement = "Davies regrouped at each δ against unified with its clusters fixed, 40 points from δΩ = 10⁻⁷ to 0.1"
    yield agree("Sec. III C", statement, found["unified"][0].slope, found["davies"][0].slope, 1e-7, "rounding/δΩ")


def _small() -> Iterator[Check]:
    found, tau = {name: grid for name, (grid, _) in curves().items()}, longest_time()
    local, unified = found["local"].slope, found["unified"].slope
    expected = np.full_like(local, LOCAL_SLOPE)
    statement = "local equation, slope of J/J₀, 40 points from δΩ = 10⁻⁷ to 0.1"
    yield agree("(43)", statement, expected, local, 1e-4, "digits of the reference")
    x = splitting(exact().shifts[0]) * tau
    yield from correct(
        "(43) at ντ ≪ 1",
        f"slope of J/J₀ at ντ = {splitting(1e-7) * tau:.2g}: local, and HEOM at ντ = {x:.2g} as the correction",
        local[0],
        exact().slopes[0],
        unified[0],
        1e-3,
        WEAK,
    )
    system = exact().model()
    statement = "unified: the derivative of J/J₀ at δ = 0, and the quotient at δΩ = 10⁻⁷ as drawn"
    yield agree("Sec. III C", statement, tangent(system, Unified().fixed(system)), unified[0], 1e-6, "rounding/δΩ")


def _named() -> Check:
    wanted = {1e-6: "local", 1e-3: "crossover", 0.02: "global"}
    found = [verdict(shift).regime for shift in wanted]
    names = list(wanted.values())
    statement = "regimes that `diagnose` finds at δΩ = 10⁻⁶, 10⁻³, 0.02"
    return hold("Sec. III C", statement, ", ".join(names), ", ".join(found), found == names)


def _paper() -> Iterator[Check]:
    p = QubitParameters()
    system = p.model(*around(FIG5_MEANS[0], FIG4_DIFFERENCE))
    computed = tangent(system, Unified().fixed(system))
    statement = "unified, (1/J₀) dJ/d(δΩ) at the parameters of Fig. 5, T̄ = 50: +0.03081"
    yield agree("Fig. 5", statement, PAPER_SLOPE, computed, 2e-4, "four printed digits")
    verdicts = {name: good for name, good, _ in diagnose(system, qubit_perturbation(), p.shift).valid}
    shown = ", ".join(f"{name} {'in' if verdicts[name] else 'out of'} range" for name in ("Local", "Unified"))
    expected = "Local out of range, Unified in range"
    statement = f"what `diagnose` says of the same at δΩ = {p.shift:g}"
    yield hold("Fig. 5", statement, expected, shown, shown == expected)
