"""A driven qubit by the hierarchy and by QuTiP's two solvers for drives, stored for `jaxlgks reproduce drive`.

    python -m tests.drive_points         # writes jaxlgks/paper/data/driven_qubit.json, about a minute

The hierarchy's cycle is that of `tests.cycles_heom`. `brmesolve` (instantaneous eigenstates) and `fmmesolve` (Floquet
modes, secular) have no cycles: each takes four states over one period, which gives the map of a period, whose fixed
point is the cycle.
"""

import json
from pathlib import Path

import numpy as np
import qutip

from .cycles_heom import CUTOFF, H0, ONE, X, Y, Z, cycle

PATH = Path(__file__).parents[1] / "jaxlgks" / "paper" / "data" / "driven_qubit.json"
STRENGTH, OMEGA = 0.002, 2.0
AMPLITUDES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
TIMES = 2 * np.pi / OMEGA * np.arange(65) / 64
STARTS = [(np.eye(2) + A) / 2 for A in (0 * X, X, Y, Z)]
TIGHT = {"atol": 1e-10, "rtol": 1e-8, "nsteps": 100000}
QUIET = TIGHT | {"progress_bar": "", "store_states": True}


def density(w):
    """J(ω), an odd function."""
    return 2 * STRENGTH * CUTOFF * w / (w**2 + CUTOFF**2)


def rate(w):
    """Γ(ω) = 2J(ω)(n(ω) + 1)."""
    T = ONE[0][1]
    return 4 * STRENGTH / CUTOFF * T if abs(w) < 1e-9 else 2 * density(w) / -np.expm1(-w / T)


def periodic(delta: float, solver: str):
    """The mean and first harmonic of ⟨σz⟩ of the cycle, a(t) = Re Σ_n a_n e^{−inωt}."""
    H = qutip.QobjEvo([qutip.Qobj(H0), [qutip.Qobj(Z), lambda t: delta * np.sin(OMEGA * t)]])
    S, T = qutip.Qobj(ONE[0][0]), ONE[0][1]
    runs = []
    for start in STARTS:
        if solver == "brmesolve":
            found = qutip.brmesolve(H, qutip.Qobj(start), TIMES, a_ops=[[S, rate]], options=QUIET)
        else:
            basis = qutip.FloquetBasis(H, 2 * np.pi / OMEGA, options=TIGHT)
            found = qutip.fmmesolve(
                basis, qutip.Qobj(start), TIMES, c_ops=[S], w_th=T, options=QUIET,
                spectra_cb=[lambda w: np.where(w > 0, density(w), 0.0) / np.pi],  # it adds the thermal part itself
            )  # fmt: skip
        runs.append([[np.trace(A @ state.full()).real for A in (X, Y, Z)] for state in found.states])
    bloch = np.array(runs)  # [start, t, 3]
    shift, matrix = bloch[0], (bloch[1:] - bloch[0]).transpose(1, 2, 0)
    fixed = np.linalg.solve(np.eye(3) - matrix[-1], shift[-1])
    harmonics = np.fft.ifft((matrix @ fixed + shift)[:-1, 2])
    return harmonics[0].real, 2 * harmonics[1]


def main() -> None:
    """All amplitudes."""
    rows = []
    for delta in AMPLITUDES:
        exact = cycle(Z, delta, OMEGA, ONE, STRENGTH)
        row = {"amplitude": delta, "heom": [exact[0, 2].real, exact[1, 2].real, exact[1, 2].imag]}
        row["heom_current"] = exact[0, 3].real
        for solver in ("brmesolve", "fmmesolve"):
            mean, first = periodic(delta, solver)
            row[solver] = [mean, first.real, first.imag]
        rows.append(row)
        print(row, flush=True)
    text = {"qutip": qutip.__version__, "made_by": "tests/drive_points.py", "strength": STRENGTH, "omega": OMEGA}
    text["columns"] = "mean of sz, first harmonic (real, imaginary); a(t) = Re sum_n a_n exp(-i n omega t)"
    PATH.write_text(json.dumps(text | {"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
