"""The data of `04_fit_and_design.ipynb`: steady heat currents of two qubits by hierarchical equations of motion
(QuTiP).

    python notebooks/heom_currents.py

prints the table that the notebook holds. ω = 1, g = 0.02, S = σ_x on each qubit, Drude–Lorentz baths with
reorganisation energy λ = 0.005 and cutoff 2 (Γ(ω) = 2J(n + 1), J = 2λωω_c/(ω² + ω_c²)), the cold one at T = 0.4. In
QuTiP's scaling the force of bath a is the sum of its first-tier operators, and its current Tr(i[Q, H] X).
"""

import numpy as np
import qutip
from qutip.solver.heom import DrudeLorentzPadeBath, HEOMSolver

OMEGA, G, STRENGTH, CUTOFF, COLD = 1.0, 0.02, 0.005, 2.0, 0.4
HOT = np.array([0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5])


def current(hot: float, depth: int = 2, exponents: int = 3, g: float = G) -> float:
    """From the hot bath into the qubits."""
    x, y, z, one = (qutip.sigmax(), qutip.sigmay(), qutip.sigmaz(), qutip.qeye(2))
    H = OMEGA / 2 * (qutip.tensor(z, one) + qutip.tensor(one, z))
    H = H + g / 2 * (qutip.tensor(x, x) + qutip.tensor(y, y))
    H = qutip.Qobj(H.full())
    Q = [qutip.Qobj(qutip.tensor(x, one).full()), qutip.Qobj(qutip.tensor(one, x).full())]
    baths = [
        DrudeLorentzPadeBath(S, lam=STRENGTH, gamma=CUTOFF, T=T, Nk=exponents, tag=i)
        for i, (S, T) in enumerate(zip(Q, (hot, COLD), strict=True))
    ]
    _, ados = HEOMSolver(H, baths, max_depth=depth).steady_state()
    X = sum(ados.extract(label).full() for label in ados.filter(level=1, tags=[0]))
    S, H = Q[0].full(), H.full()
    return float(np.trace(1j * (S @ H - H @ S) @ X).real)


if __name__ == "__main__":
    for hot in HOT:
        print(f"{hot:.1f}, {current(hot):.6e}")
    more = current(1.0, depth=3) / current(1.0) - 1, current(1.0, exponents=5) / current(1.0) - 1
    print("change at T = 1 by a third tier and by two more exponents:", more)
