"""The paper's oscillators with Drude–Lorentz baths: the response with memory beside the exact one."""

from collections.abc import Iterator

import numpy as np

from .._drude_oscillators import COUPLINGS, drude, impulses
from .._parameters import OscillatorParameters
from ._row import Check, agree, hold, vanish


def delay_rows() -> Iterator[Check]:
    """Deviations at several couplings, and φ(0⁺)."""
    p = OscillatorParameters()
    strength, _ = drude(p)
    statement = "a Drude–Lorentz bath with the rates of Fig. 2 at ω± softens the minus mode below zero"
    yield hold("Fig. 2", statement, f"8λ > ω₋ = {p.minus:g}", f"{8 * strength:.4g}", 8 * strength > p.minus)
    found = impulses()
    for coupling, exact, computed in zip(COUPLINGS, found.exact, found.with_memory, strict=True):
        order = (coupling * p.gamma_minus / p.minus) ** 2
        statement = f"φ(τ) with memory against oscillators and baths solved together, rates {coupling:g} of Fig. 2"
        yield agree("Sec. III B", statement, exact, computed, 10 * order, "higher orders of the coupling, 10 (γ₋/ω₋)²")
    worst = [np.max(np.abs(x - found.exact), axis=1)[-1] for x in (found.at_once, found.with_memory)]
    statement = f"the same at once (Redfield), over that with memory, rates {COUPLINGS[-1]:g} of Fig. 2"
    yield hold("Sec. III B", statement, "> 1", f"{worst[0] / worst[1]:.3g}", worst[0] > worst[1])
    statement = "φ(0⁺) = i⟨[V, a†a]⟩ = 0, with memory and exactly, over the largest φ"
    starts = np.stack([found.with_memory[:, 0], found.exact[:, 0]])
    yield vanish("Sec. III B", statement, starts, np.max(np.abs(found.exact)), 1e-12, "rounding")
    size = float(np.abs(found.closed[-1, 0]))
    statement = "φ^(1,1)(0) + φ^(1,2)(0), Eqs. (31) and (32) corrected, is not: a kick acts on the system alone"
    yield hold("Sec. III B", statement, "> 0", f"{size:.4g}", size > 0)
