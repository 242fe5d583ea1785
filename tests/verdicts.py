"""Systems on which verdicts are graded, their exact states by the hierarchy (HEOM, QuTiP), and what equations miss.

    python -m tests.verdicts

writes `tests/reference/verdicts.json` (a quarter of an hour on two cores): for each system the steady state and heat
currents of the hierarchy, sizes of its matrix elements in time, the change of all of them by a deeper hierarchy, and
the errors of the equations. `test_verdicts.py` compares what `validity` says with these; `verdicts.md` beside it is the
table. With names of systems as arguments only these are made anew.

Graded is what the equation, without a Lamb shift, gets wrong: the trace distance of the steady state, the currents
relative to the largest, and the moduli of matrix elements between eigenstates after a start from the sum of all of them
(phases are a matter of the Lamb shift).
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import qutip
from qutip.solver.heom import BosonicBath, DrudeLorentzPadeBath, HEOMSolver, UnderDampedBath, bofin_solvers

import jaxlgks as lgks

FILE = Path(__file__).parent / "reference" / "verdicts.json"
X, Y, Z = (np.asarray(lgks.models.pauli(word)) for word in "XYZ")
EQUATIONS = {
    "Davies": lgks.Davies(),
    "Unified": lgks.Unified(),
    "UniversalLindblad": lgks.UniversalLindblad(),
    "Redfield": lgks.Redfield(),
}
DISTANCE, CURRENT, TIME = 0.05, 0.1, 0.05
"""An equation is right where it misses less than these."""
NO_CURRENT = 1e-9


class Case(NamedTuple):
    """A Hamiltonian, baths (S, T, λ, ω_c), or (S, T, λ, Γ, ω₀) with a line, until when, and the depth and the
    exponentials of the hierarchy."""

    H: np.ndarray
    baths: list[tuple]
    until: float
    depth: int
    terms: int

    @property
    def system(self) -> lgks.System:
        return lgks.System(self.H, [lgks.Bath(S, T, density(numbers)) for S, T, *numbers in self.baths])


def density(numbers: list[float]) -> lgks.DrudeLorentz | lgks.UnderdampedBrownian:
    return lgks.DrudeLorentz(*numbers) if len(numbers) == 2 else lgks.UnderdampedBrownian(*numbers)


def word(letters: str) -> np.ndarray:
    return np.asarray(lgks.models.pauli(letters))


def fan(angle: float, phase: float) -> np.ndarray:
    """From the lowest of three levels to a superposition of the others."""
    S = np.zeros((3, 3), complex)
    S[0, 1:] = np.cos(angle), np.sin(angle) * np.exp(1j * phase)
    return S + S.conj().T


def qubits(omega: float, other: float, g: float) -> np.ndarray:
    return omega / 2 * word("ZI") + other / 2 * word("IZ") + g / 2 * (word("XX") + word("YY"))


HOT = np.array([[0.2, 1, 0.3j], [1, -0.1, 0.4], [-0.3j, 0.4, 0]])
COLD = np.array([[0, 0.5j, 0.2], [-0.5j, 0.3, 1], [0.2, 1, 0]])
LADDER = np.diag([1.0, np.sqrt(2)], 1) + np.diag([1.0, np.sqrt(2)], -1)

CASES = {
    "slow dephasing, strong": Case(0.25 * Z + 0.5 * Y, [(Z, 1 / 0.95, 0.025, 0.05)], 6.0, 9, 1),
    "slow dephasing, weak": Case(0.25 * Z + 0.5 * Y, [(Z, 1 / 0.95, 2e-5, 0.05)], 1000.0, 3, 1),
    "slow transverse, strong": Case(0.5 * Z, [(X, 0.5, 0.2, 0.02)], 60.0, 10, 1),
    "slow transverse, weak": Case(0.5 * Z, [(X, 0.5, 0.002, 0.02)], 2000.0, 3, 2),
    "transverse, weak": Case(0.5 * Z, [(X, 0.5, 0.005, 2.0)], 200.0, 3, 3),
    "transverse, strong": Case(0.5 * Z, [(X, 1.0, 0.5, 1.0)], 6.0, 9, 2),
    "transverse, hot": Case(0.5 * Z, [(X, 5.0, 0.001, 1.0)], 300.0, 3, 2),
    "transverse, cold": Case(0.5 * Z, [(X, 0.1, 0.005, 2.0)], 200.0, 2, 10),
    "fast bath, weak": Case(0.5 * Z, [(X, 1.0, 0.02, 8.0)], 120.0, 3, 6),
    "fast bath, strong": Case(0.5 * Z, [(X, 1.0, 1.0, 8.0)], 4.0, 6, 4),
    "dephasing by a fast bath": Case(0.5 * Z, [(0.6 * X + 0.8 * Z, 1.0, 0.005, 5.0)], 500.0, 3, 3),
    "dephasing, hot": Case(0.5 * Z, [(0.6 * X + 0.8 * Z, 3.0, 0.05, 0.5)], 6.0, 6, 1),
    "tilted, cold, strong": Case(0.5 * Z, [(0.6 * Z + 0.8 * X, 0.1, 0.2, 1.0)], 20.0, 4, 6),
    "two baths, one dephases slowly": Case(0.5 * Z, [(X, 1.0, 0.005, 2.0), (Z, 0.3, 0.01, 0.05)], 60.0, 6, 1),
    "two baths that do not commute": Case(0.5 * Z, [(X, 1.0, 0.005, 2.0), (Y, 0.5, 0.005, 2.0)], 150.0, 3, 3),
    "two qubits on resonance": Case(
        qubits(1.0, 1.0, 0.2), [(word("XI"), 0.45, 1e-3, 2.0), (word("IX"), 0.35, 1e-3, 2.0)], 800.0, 2, 4
    ),
    "two qubits, detuned": Case(
        qubits(1.0, 1.3, 0.05), [(word("XI"), 1.0, 2e-3, 2.0), (word("IX"), 0.5, 2e-3, 2.0)], 300.0, 2, 3
    ),
    "two qubits, hardly coupled": Case(
        qubits(1.0, 1.0, 0.002), [(word("XI"), 1.0, 4e-3, 2.0), (word("IX"), 0.5, 4e-3, 2.0)], 200.0, 2, 3
    ),
    "three levels, two of them close": Case(
        np.diag([0.0, 0.9995, 1.0005]), [(fan(0.6, 0.0), 1.0, 1e-3, 2.0), (fan(-0.9, 0.6), 0.5, 1e-3, 2.0)], 500.0, 2, 3
    ),
    "three levels apart": Case(np.diag([0.0, 0.7, 1.6]), [(HOT, 1.0, 1e-3, 2.0), (COLD, 0.5, 1e-3, 2.0)], 300.0, 2, 3),
    "a ladder, strong": Case(np.diag([0.0, 1.0, 1.8]), [(LADDER, 0.7, 0.15, 1.0)], 8.0, 6, 2),
    "a ladder, weak": Case(np.diag([0.0, 1.0, 1.8]), [(LADDER, 0.7, 0.002, 1.0)], 150.0, 2, 3),
    # Lines. The first eight were looked at while the measure of lines was made, the other nine graded after.
    "a line above, strong": Case(0.5 * Z, [(X, 0.4, 0.1, 0.02, 1.4)], 6000.0, 3, 2),
    "a line below, strong": Case(0.5 * Z, [(X, 0.4, 0.1, 0.05, 0.7)], 100.0, 5, 2),
    "a line above, weak": Case(0.5 * Z, [(X, 0.4, 0.03, 0.2, 1.3)], 3000.0, 3, 2),
    "a line that dephases": Case(0.5 * Z, [(Z, 0.4, 0.05, 0.02, 0.8), (X, 0.4, 0.001, 2.0)], 100.0, 4, 2),
    "on a line, weak": Case(0.5 * Z, [(X, 0.4, 0.01, 0.2, 1.0)], 600.0, 3, 2),
    "on a line, strong": Case(0.5 * Z, [(X, 0.4, 0.03, 0.02, 1.0)], 150.0, 4, 2),
    "a line far above, strong": Case(0.5 * Z, [(X, 0.4, 4.0, 0.1, 4.0)], 60.0, 9, 1),
    "a line far below, tilted": Case(0.5 * Z, [(0.6 * X + 0.8 * Z, 0.4, 0.05, 0.02, 0.3)], 100.0, 6, 2),
    "a line above, hot": Case(0.5 * Z, [(X, 2.0, 0.02, 0.05, 1.3)], 8000.0, 3, 1),
    "a line above, cold": Case(0.5 * Z, [(X, 0.2, 0.05, 0.3, 1.05)], 200.0, 3, 4),
    "a line above, cold, strong": Case(0.5 * Z, [(X, 0.2, 0.15, 0.3, 1.2)], 60.0, 4, 4),
    "a line at half the frequency": Case(0.5 * Z, [(X, 0.3, 0.05, 0.05, 0.5)], 600.0, 4, 2),
    "a line far above": Case(0.5 * Z, [(X, 0.4, 0.5, 0.3, 4.0)], 300.0, 2, 8),
    "a ladder with a line": Case(np.diag([0.0, 1.0, 1.8]), [(LADDER, 0.5, 0.02, 0.1, 0.9)], 400.0, 2, 3),
    "a ladder with a line, strong": Case(np.diag([0.0, 1.0, 1.8]), [(LADDER, 0.5, 0.08, 0.05, 0.9)], 100.0, 4, 2),
    "two qubits, one line": Case(
        qubits(1.0, 1.3, 0.05), [(word("XI"), 0.6, 0.03, 0.1, 1.15), (word("IX"), 0.4, 2e-3, 2.0)], 300.0, 2, 3
    ),
    "two qubits, one line, strong": Case(
        qubits(1.0, 1.3, 0.05), [(word("XI"), 0.6, 0.1, 0.03, 1.15), (word("IX"), 0.4, 2e-3, 2.0)], 300.0, 3, 2
    ),
}


# ------------------------------------------------------------------------------------------------------------ the truth


def exact(case: Case, more: int = 0) -> dict[str, np.ndarray]:
    """Steady state, currents, and moduli of matrix elements in time; `more`: tiers and exponentials beyond."""
    from .test_heom import from_the_deepest_tier

    H = qutip.Qobj(case.H)
    baths = [in_qutip(bath, case.terms + more, i) for i, bath in enumerate(case.baths)]
    solver = HEOMSolver(H, baths, max_depth=case.depth + more, options={"nsteps": 10**6, "progress_bar": ""})
    # Lines decay too slowly for an elimination without pivots.
    lines = any(len(bath) > 4 for bath in case.baths)
    with mock.patch.object(bofin_solvers, "spsolve", bofin_solvers.spsolve if lines else from_the_deepest_tier):
        rho, ados = solver.steady_state(use_mkl=False)
    currents = []
    for i, (S, *_) in enumerate(case.baths):
        force = sum(ados.extract(label).full() for label in ados.filter(level=1, tags=[i]))
        currents.append(np.trace(1j * (S @ case.H - case.H @ S) @ force).real)
    vectors = np.linalg.eigh(case.H)[1]
    states = solver.run(qutip.Qobj(start(case)), times(case)).states
    moduli = [np.abs(vectors.conj().T @ state.full() @ vectors) for state in states]
    return {"rho": rho.full(), "currents": np.array(currents), "moduli": np.array(moduli)}


def in_qutip(bath: tuple, terms: int, tag: int) -> BosonicBath:
    S, T, *numbers = bath
    S = qutip.Qobj(np.asarray(S))
    if len(numbers) == 2:
        return DrudeLorentzPadeBath(S, lam=numbers[0], gamma=numbers[1], T=T, Nk=terms, tag=tag)
    strength, width, resonance = numbers
    return UnderDampedBath(S, lam=strength, gamma=width, w0=resonance, T=T, Nk=terms, tag=tag)


def start(case: Case) -> np.ndarray:
    """The sum of all eigenstates."""
    psi = np.linalg.eigh(case.H)[1].sum(axis=1) / np.sqrt(len(case.H))
    return np.outer(psi, psi.conj())


def times(case: Case) -> np.ndarray:
    return np.linspace(0.0, case.until, 9)


def by_equation(case: Case, equation) -> dict[str, np.ndarray]:
    system, vectors = case.system, np.linalg.eigh(case.H)[1]
    state = lgks.steady_state(system, equation, throw=False)
    states = np.asarray(lgks.evolve(system, start(case), times(case), equation).states)
    return {
        "rho": np.asarray(state.rho),
        "currents": np.asarray(lgks.heat_currents(system, equation, solver=lgks.Dense())),
        "moduli": np.abs(vectors.conj().T @ states @ vectors),
    }


def missed(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """Trace distance of the steady states, the largest difference of currents and of moduli."""
    distance = np.abs(np.linalg.eigvalsh(one["rho"] - other["rho"])).sum() / 2
    largest = np.max(np.abs(other["currents"]))
    current = np.max(np.abs(one["currents"] - other["currents"])) / largest if largest > NO_CURRENT else 0.0
    in_time = np.max(np.abs(one["moduli"] - other["moduli"]))
    return {"distance": float(distance), "current": float(current), "time": float(in_time)}


def graded(name: str) -> dict:
    case = CASES[name]
    truth = exact(case)
    converged = missed(truth, exact(case, more=1))
    errors = {label: missed(by_equation(case, equation), truth) for label, equation in EQUATIONS.items()}
    return {
        "converged": converged,
        "errors": errors,
        "rho": [truth["rho"].real.tolist(), truth["rho"].imag.tolist()],
        "currents": truth["currents"].tolist(),
        "moduli": truth["moduli"].tolist(),
    }


def right(errors: dict[str, float]) -> bool:
    return errors["distance"] < DISTANCE and errors["current"] < CURRENT and errors["time"] < TIME


def table(stored: dict) -> str:
    """Said and true, in Markdown."""
    lines = [
        "# Verdicts, said and true",
        "",
        "Made by `python -m tests.verdicts`. *memory*, *force*, *separation*: of `validity(system, equation)`, the",
        "last for Davies. Said is *in* where the first two are below 0.1 and the third, where the equation treats",
        "frequencies apart, is large. *missed*: by Davies, of what the hierarchy (HEOM) gives, in the distance of",
        "the steady state, in heat currents (relative), and in moduli of matrix elements in time. True is *in* below",
        f"{DISTANCE}, {CURRENT}, {TIME}.",
        "",
        f"| system | memory | force | separation | missed | {' | '.join(f'{one}: said, true' for one in EQUATIONS)} |",
        "|" + "---|" * (5 + len(EQUATIONS)),
    ]
    words, wrong = {True: "in", False: "out"}, dict.fromkeys(EQUATIONS, 0)
    for name, case in CASES.items():
        judged, verdicts = lgks.validity(case.system, EQUATIONS["Davies"]), []
        errors = stored[name]["errors"]
        for label, equation in EQUATIONS.items():
            said, true = bool(lgks.validity(case.system, equation).in_range), right(errors[label])
            wrong[label] += said != true
            verdicts.append(f"{words[said]}, {words[true]}" + (" (wrong)" if said != true else ""))
        numbers = [f"{float(x):.2g}" for x in (judged.memory, judged.force, judged.separation)]
        missing = ", ".join(f"{x:.2g}" for x in errors["Davies"].values())
        lines.append("| " + " | ".join([name, *numbers, missing, *verdicts]) + " |")
    counts = ", ".join(f"{label} {count}" for label, count in wrong.items())
    return "\n".join([*lines, "", f"Wrong of {len(CASES)}: {counts}.", ""])


def main() -> None:
    stored = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in sys.argv[1:] or CASES:
        stored[name] = graded(name)
        print(name, stored[name]["converged"], flush=True)
        for label, errors in stored[name]["errors"].items():
            print(f"  {label:<18}", {key: float(f"{x:.2g}") for key, x in errors.items()}, flush=True)
        FILE.write_text(json.dumps(stored) + "\n")
    FILE.with_suffix(".md").write_text(table(stored))


if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    main()
