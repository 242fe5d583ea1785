"""Steady cycles of driven qubits by the hierarchy of equations of motion (HEOM), stored as a reference.

    python -m tests.cycles_heom          # writes tests/reference/driven_cycles_heom.json, about a minute

The hierarchy's generator at rest is QuTiP's (`HEOMSolver`, Padé exponentials of Drude–Lorentz baths). A drive acts on
the system alone: −i[V, ·] on every auxiliary matrix, exactly. The cycle is the null vector of the harmonic balance
Σ_k X_k e^{ikωt}, a sparse linear system solved by SciPy: no initial state, no waiting, no equation of this library. The
heat current of a bath is what its auxiliary matrices of the first tier bring into the system, Tr[H(t) D_α ρ].
"""

import json
from pathlib import Path

import numpy as np
import qutip
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from qutip.solver.heom import DrudeLorentzPadeBath, HEOMSolver

PATH = Path(__file__).parent / "reference" / "driven_cycles_heom.json"
X, Y, Z = (np.asarray(qutip.sigmax().full()), np.asarray(qutip.sigmay().full()), np.asarray(qutip.sigmaz().full()))
H0, CUTOFF = Z / 2, 1.5
LAMBDAS = [0.002, 0.0005]
ORDERS = 3
ONE, TWO = [(X + 0.3 * Z, 0.5)], [(X + 0.3 * Z, 0.7), (0.7 * X - 0.5 * Z, 0.4)]
CASES = [  # V, δ and ω of δ sin ωt, couplings and temperatures
    (Z, 0.4, 2.0, ONE),
    (Z, 0.2, 4.0, ONE),
    (Z, 0.4, 0.05, ONE),
    (X, 0.3, 0.4, ONE),
    (X + 0.5 * Z, 0.25, 0.7, TWO),
    (X, 0.4, 1.2, TWO),
]


def cycle(V, delta, omega, baths, strength, *, terms=5, depth=2, harmonics=14):
    """Harmonics of ⟨σ⟩ and of the heat currents, a(t) = Re Σ_n a_n e^{−inωt}, [n, 3 + baths]."""
    several = [
        DrudeLorentzPadeBath(qutip.Qobj(S), strength, CUTOFF, T, Nk=terms, tag=str(b)) for b, (S, T) in enumerate(baths)
    ]
    solver = HEOMSolver(qutip.Qobj(H0), several, max_depth=depth)
    L = solver.rhs(0).data.as_scipy().tocsr()
    size, orders = L.shape[0], np.arange(-harmonics, harmonics + 1)
    W = sp.kron(sp.identity(size // 4), -1j * (np.kron(np.eye(2), V) - np.kron(V.T, np.eye(2))))
    up = sp.diags([np.ones(len(orders) - 1)], [-1]) / 2j  # sin ωt = (e^{iωt} − e^{−iωt})/2i
    A = sp.kron(sp.identity(len(orders)), L) - 1j * omega * sp.kron(
        sp.diags([orders.astype(float)], [0]), sp.identity(size)
    )
    A = (A + delta * sp.kron(up + up.conj().T, W)).tolil()
    row = harmonics * size  # the equation of one population of the mean gives its place to the trace
    A[row] = sp.csr_matrix((np.ones(2), ([0, 0], [row, row + 3])), shape=(1, A.shape[1]))
    b = np.zeros(A.shape[0], complex)
    b[row] = 1
    found = sla.spsolve(A.tocsc(), b).reshape(len(orders), size)

    def in_time(states, angles):
        return np.exp(1j * np.outer(angles, orders)) @ states

    angles = 2 * np.pi * np.arange(64) / 64
    ados, values = in_time(found, angles), []
    rho = ados[:, :4].reshape(-1, 2, 2).swapaxes(1, 2)
    values += [np.einsum("ij,tji->t", A, rho).real for A in (X, Y, Z)]
    H = H0 + delta * np.sin(angles)[:, None, None] * V
    for b in range(len(baths)):
        flow = sum(
            ados[:, 4 * k : 4 * k + 4] @ L[:4, 4 * k : 4 * k + 4].toarray().T
            for k, label in enumerate(solver.ados.labels)
            if sum(label) == 1 and solver.ados.exponents[label.index(1)].tag == str(b)
        )
        values.append(np.einsum("tij,tji->t", H, flow.reshape(-1, 2, 2).swapaxes(1, 2)).real)
    harmonic = np.fft.ifft(np.array(values), axis=1)[:, :ORDERS].T
    harmonic[1:] *= 2
    return harmonic


def main() -> None:
    """All cases at both strengths."""
    rows = []
    for V, delta, omega, baths in CASES:
        for strength in LAMBDAS:
            many = 14 if omega > 0.1 else 64
            a = cycle(V, delta, omega, baths, strength, harmonics=many)
            check = cycle(V, delta, omega, baths, strength, harmonics=many + 4) - a
            rows.append({"strength": strength, "real": a.real.tolist(), "imag": a.imag.tolist()})
            print(omega, strength, a[0].real, np.max(np.abs(check)), flush=True)
    PATH.write_text(json.dumps({"qutip": qutip.__version__, "columns": "sx sy sz J...", "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
