"""A two-qubit heat pump by the hierarchy of equations of motion (HEOM), stored for `jaxlgks reproduce drive`.

    python -m tests.pump_heom            # writes jaxlgks/paper/data/heat_pump.json, some minutes

As in `tests.cycles_heom` the hierarchy's generator at rest is QuTiP's, and a drive acts on the system alone. A slow
drive needs some hundred harmonics of a large hierarchy: their balance is solved from both ends towards k = 0, since
H(t) couples neighbours only.
"""

import json
from pathlib import Path

import numpy as np
import qutip
import scipy.linalg as sl
from qutip.solver.heom import DrudeLorentzPadeBath, HEOMSolver
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

PATH = Path(__file__).parents[1] / "jaxlgks" / "paper" / "data" / "heat_pump.json"
ONE, X, Z = (np.asarray(A.full()) for A in (qutip.qeye(2), qutip.sigmax(), qutip.sigmaz()))
NUMBERS = {"splitting": 1.0, "amplitude": 0.5, "g": 0.4, "temperature": 0.3, "cutoff": 2.0, "strength": 0.005}
OMEGAS = [0.01, 0.02, 0.04, 0.15, 0.5, 1.0, 2.0]


def hierarchy(numbers, terms, depth):
    """The generator at rest, dense; per bath, the auxiliary matrices of the first tier that belong to it."""
    H = numbers["splitting"] / 2 * (np.kron(Z, ONE) + np.kron(ONE, Z)) + numbers["g"] * np.kron(X, X)
    dims = [[2, 2], [2, 2]]
    baths = [
        DrudeLorentzPadeBath(qutip.Qobj(S, dims), numbers["strength"], numbers["cutoff"], numbers["temperature"],
                             Nk=terms, tag=str(b))
        for b, S in enumerate((np.kron(X, ONE), np.kron(ONE, X)))
    ]  # fmt: skip
    solver = HEOMSolver(qutip.Qobj(H, dims), baths, max_depth=depth)
    ados = solver.ados
    first = [k for k, label in enumerate(ados.labels) if sum(label) == 1]
    owners = {k: ados.exponents[ados.labels[k].index(1)].tag for k in first}
    return H, solver.rhs(0).data.as_scipy().toarray(), [[k for k in first if owners[k] == str(b)] for b in range(2)]


def pumped(omega, numbers, *, terms=4, depth=2, harmonics=None):
    """The heat that each bath brings into the system in a cycle, and the work of the drives."""
    H, L, tiers = hierarchy(numbers, terms, depth)
    # The parity σz σz leaves half of the elements of each auxiliary matrix zero: what populations are connected with.
    every, dim = len(L), 4
    kept = np.flatnonzero((labels := connected_components(csr_matrix(L != 0))[1]) == labels[0])
    size = len(kept)
    many = harmonics or int(12 + 1.35 * 2 * 1.45 / omega)
    half = numbers["amplitude"] / 4 * np.kron(Z, ONE) - 1j * numbers["amplitude"] / 4 * np.kron(ONE, Z)  # e^{iωt}
    diagonals = np.diag(half), np.diag(half.conj())
    # −i[V, ·] of diagonal V is a number for each element, columns stacked.
    up, down = (np.tile(-1j * (v[None, :] - v[:, None]).reshape(-1), every // dim**2)[kept] for v in diagonals)
    inner = L[np.ix_(kept, kept)]

    def ladder(sign, inwards, outwards):
        """X_{±k} = T X_{±(k−1)} from the outermost k to 1."""
        factors, T = [], np.zeros((size, size), complex)
        for k in range(many, 0, -1):
            A = inner - 1j * sign * k * omega * np.eye(size) + inwards[:, None] * T
            T = -sl.solve(A, np.diag(outwards), overwrite_a=True, check_finite=False)
            factors.append(T)
        return factors[::-1]

    right, left = ladder(1, down, up), ladder(-1, up, down)
    A = inner + down[:, None] * right[0] + up[:, None] * left[0]
    A[0] = np.isin(kept, np.arange(0, dim**2, dim + 1))  # one equation gives its place to the trace
    states = {0: np.linalg.solve(A, np.eye(size)[0])}
    for k in range(1, many + 1):
        states[k], states[-k] = right[k - 1] @ states[k - 1], left[k - 1] @ states[1 - k]
    orders = np.arange(-many, many + 1)
    angles = 2 * np.pi * np.arange(2 * many + 3) / (2 * many + 3)
    ados = np.zeros((len(angles), every), complex)
    ados[:, kept] = np.exp(1j * np.outer(angles, orders)) @ np.array([states[k] for k in orders])
    turning = np.exp(1j * angles)[:, None, None] * half
    Ht = H + turning + turning.conj().swapaxes(1, 2)

    def average(A, parts):
        matrices = parts.reshape(len(angles), dim, dim).swapaxes(1, 2)
        return np.mean(np.einsum("tij,tji->t", A, matrices).real)

    flows = [sum(ados[:, 16 * k : 16 * k + 16] @ L[:16, 16 * k : 16 * k + 16].T for k in tier) for tier in tiers]
    work = average(1j * omega * (turning - turning.conj().swapaxes(1, 2)), ados[:, :16])
    return 2 * np.pi / omega * np.array([*(average(Ht, flow) for flow in flows), work])


def main() -> None:
    """All frequencies; with more of the hierarchy at one of them."""
    more = pumped(2.0, NUMBERS, terms=2, depth=3) - pumped(2.0, NUMBERS, terms=2)
    print("third tier", more, "fifth term", pumped(2.0, NUMBERS, terms=5) - pumped(2.0, NUMBERS), flush=True)
    rows = []
    for omega in OMEGAS[::-1]:
        rows.insert(0, {"omega": omega, "heat": (found := pumped(omega, NUMBERS).tolist())[:2], "work": found[2]})
        print(rows[0], flush=True)
    text = {"qutip": qutip.__version__, "made_by": "tests/pump_heom.py"} | NUMBERS
    text["columns"] = "heat: from each bath into the system in a cycle; work: of the drives in a cycle"
    PATH.write_text(json.dumps(text | {"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
