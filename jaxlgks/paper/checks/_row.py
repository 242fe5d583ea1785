"""One row of the report: an equation, what it says, what was expected, what was computed, and a verdict.

Takes: an expectation and a computed value, scalars or arrays. Returns: a `Check`. Every verdict is decided here, by a
comparison that can fail; nothing else in the project may call an equation right or wrong.
"""

import enum
from typing import NamedTuple

import numpy as np


class Verdict(enum.StrEnum):
    """What a row says of its equation."""

    AGREES = "agrees"
    PAPER_WRONG = "paper wrong, corrected form agrees"
    DISAGREES = "disagrees"


class Check(NamedTuple):
    """A row. `difference` is relative unless the expected value is zero (then relative to the scale named in the
    statement); `tolerance` is what it was allowed to be and `reason` why. Inequalities have no difference."""

    equation: str
    statement: str
    expected: str
    computed: str
    difference: float | None
    tolerance: float | None
    reason: str
    verdict: Verdict

    @property
    def good(self) -> bool:
        """Whether the row is what this project claims: the equation holds, or its correction does."""
        return self.verdict is not Verdict.DISAGREES


ROUNDING = "rounding of the steady-state solve"


def agree(equation: str, statement: str, expected, computed, tolerance: float, reason: str = ROUNDING) -> Check:
    """The computed value equals the expected one. Arrays: largest deviation over largest expected magnitude."""
    expected, computed = np.asarray(expected), np.asarray(computed)
    difference = _relative(expected, computed)
    verdict = Verdict.AGREES if difference <= tolerance else Verdict.DISAGREES
    return Check(equation, statement, *_shown(expected, computed), difference, tolerance, reason, verdict)


def vanish(equation: str, statement: str, computed, scale, tolerance: float, reason: str = ROUNDING) -> Check:
    """The computed value is zero on the given scale."""
    worst = float(np.max(np.abs(computed)))
    difference = worst / float(np.max(np.abs(scale)))
    verdict = Verdict.AGREES if difference <= tolerance else Verdict.DISAGREES
    return Check(equation, statement, "0", _number(worst), difference, tolerance, reason, verdict)


def hold(equation: str, statement: str, expected: str, computed: str, condition) -> Check:
    """An inequality or an alternative holds."""
    verdict = Verdict.AGREES if bool(condition) else Verdict.DISAGREES
    return Check(equation, statement, expected, computed, None, None, "", verdict)


def correct(
    equation: str, statement: str, printed, corrected, computed, tolerance: float, reason: str = ROUNDING
) -> tuple[Check, Check]:
    """Two rows: the printed form, which must fail by far more than the tolerance, and the corrected one.

    Of arrays both rows show the entry where the printed form is furthest off."""
    printed, corrected, computed = (np.asarray(x) for x in (printed, corrected, computed))
    right = agree(f"{equation} corrected", statement, corrected, computed, tolerance, reason)
    difference = _relative(printed, computed)
    refuted = difference > 100 * tolerance and right.good
    verdict = Verdict.PAPER_WRONG if refuted else Verdict.DISAGREES
    where = np.unravel_index(np.argmax(np.abs(printed - computed)), printed.shape)
    shown = _number(printed[where]), _number(computed[where])
    right = right._replace(expected=_number(corrected[where]), computed=shown[1])
    return Check(f"{equation} printed", statement, *shown, difference, tolerance, reason, verdict), right


def _relative(expected: np.ndarray, computed: np.ndarray) -> float:
    if expected.shape != computed.shape:
        raise ValueError(f"a check compares shapes {expected.shape} and {computed.shape}")
    difference = float(np.max(np.abs(computed - expected)) / np.max(np.abs(expected)))
    return difference if np.isfinite(difference) else np.inf


def _shown(expected: np.ndarray, computed: np.ndarray) -> tuple[str, str]:
    """Both values as text: for arrays, where the expected one is largest."""
    where = np.unravel_index(np.argmax(np.abs(expected)), expected.shape)
    return _number(expected[where]), _number(computed[where])


def _number(value) -> str:
    value = complex(value)
    if value.imag == 0:
        return f"{value.real:.7g}"
    return f"{value.real:.6g}{value.imag:+.6g}i"
