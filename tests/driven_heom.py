"""Driven qubits in time by the hierarchy of equations of motion (HEOM), stored as a reference.

    python -m tests.driven_heom          # writes tests/reference/driven_heom.json, ten seconds

The hierarchy's generator at rest is QuTiP's (`HEOMSolver`, Padé exponentials of Drude–Lorentz baths, second tier). A
drive acts on the system alone: −i[V, ·] on every auxiliary matrix, exactly. SciPy integrates from a product state: no
equation of this library. With X_α the sum of the auxiliary matrices of the first tier of bath α the energy that flows
into the system is i Tr([S, H(t)]X_α), the energy of the interaction Tr[S X_α], and what the bath gives
−d⟨H_B⟩/dt = J + d⟨H_I⟩/dt, the energy of the whole changing by the drive's work alone.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import qutip
import scipy.sparse as sp
from qutip.solver.heom import DrudeLorentzPadeBath, HEOMSolver
from scipy.integrate import solve_ivp

PATH = Path(__file__).parent / "reference" / "driven_heom.json"
X, Y, Z = (np.asarray(one().full()) for one in (qutip.sigmax, qutip.sigmay, qutip.sigmaz))
H0, CUTOFF = Z / 2, 1.5
LAMBDAS = [0.002, 0.0005]
START = np.array([[0.3, 0.1 - 0.2j], [0.1 + 0.2j, 0.7]])
TIMES = np.linspace(0.0, 30.0, 61)
BATHS = [(X + 0.3 * Z, 0.7), (0.7 * X - 0.5 * Z, 0.5)]


def sine(delta: float, omega: float) -> Callable:
    """δ sin ωt."""
    return lambda t: delta * np.sin(omega * t)


def gaussian(delta: float, centre: float, width: float) -> Callable:
    """δ exp(−(t − c)²/2w²)."""
    return lambda t: delta * np.exp(-((t - centre) ** 2) / (2 * width**2))


CASES = [  # V, kind and numbers of f
    (Z, sine, (0.4, 2.0)),
    (Z, sine, (0.2, 4.0)),
    (X + 0.5 * Z, sine, (0.25, 0.7)),
    (X, gaussian, (0.4, 8.0, 1.5)),
    (X, gaussian, (0.3, 10.0, 4.0)),
    (Y + Z, sine, (0.4, 0.05)),
]


def trajectory(V, f, strength, *, terms=5, depth=2, times=TIMES):
    """⟨σx⟩, ⟨σy⟩, ⟨σz⟩, the heat currents into the system, and those that the baths give, [t, 3 + 4]."""
    several = [
        DrudeLorentzPadeBath(qutip.Qobj(S), strength, CUTOFF, T, Nk=terms, tag=b) for b, (S, T) in enumerate(BATHS)
    ]
    solver = HEOMSolver(qutip.Qobj(H0), several, max_depth=depth)
    L = solver.rhs(0).to("CSR").data.as_scipy()
    count = L.shape[0] // 4
    W = sp.kron(sp.identity(count), -1j * (np.kron(np.eye(2), V) - np.kron(V.T, np.eye(2)))).tocsr()
    start = np.zeros(L.shape[0], complex)
    start[:4] = START.ravel(order="F")

    def slope(t, y):
        return L @ y + f(t) * (W @ y)

    options = {"t_eval": times, "rtol": 1e-9, "atol": 1e-12, "method": "DOP853"}
    found = solve_ivp(slope, (0.0, times[-1]), start, **options).y.T
    H = H0 + f(times)[:, None, None] * V
    moves = np.array([slope(t, y) for t, y in zip(times, found, strict=True)])
    ados, rates = (x.reshape(-1, count, 2, 2).swapaxes(2, 3) for x in (found, moves))
    values = [np.einsum("ij,tji->t", A, ados[:, 0]) for A in (X, Y, Z)]
    tiers = [[solver.ados.idx(one) for one in solver.ados.filter(level=1, tags=[b])] for b in range(len(BATHS))]
    for (S, _), tier in zip(BATHS, tiers, strict=True):
        values.append(1j * np.einsum("tij,tji->t", S @ H - H @ S, ados[:, tier].sum(axis=1)))
    for (S, _), tier, J in zip(BATHS, tiers, values[3:], strict=True):
        values.append(J + np.einsum("ij,tji->t", S, rates[:, tier].sum(axis=1)))
    return np.array(values).real.T


def main() -> None:
    """All cases at both strengths."""
    rows = []
    for V, kind, numbers in CASES:
        for strength in LAMBDAS:
            a = trajectory(V, kind(*numbers), strength)
            check = trajectory(V, kind(*numbers), strength, terms=8)[10:] - a[10:]
            size = np.max(np.abs(a[10:]), axis=0)
            print(kind.__name__, numbers, strength, a[-1], np.max(np.abs(check), axis=0) / size, flush=True)
            rows.append(np.round(a[::5], 10).tolist())
    head = {"qutip": qutip.__version__, "columns": "sx sy sz, J into the system, J of the baths", "every": 5}
    PATH.write_text(json.dumps(head | {"rows": rows}) + "\n")


if __name__ == "__main__":
    main()
