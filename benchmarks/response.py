"""d) The impulse response φ(τ) of a disordered chain at 1,000 times, Davies equation.

Ours: from the system on, steady state and L₁ included, all three parts. Peers: the Kubo part alone; from collapse
operators on (generator and steady state made), or with these given ("φ alone"). Error: of the Kubo part, over its
largest value, against NumPy's sum over coherences, each of which turns and decays alone where frequencies are distinct.
"""

import functools

import numpy as np

from . import peers
from ._case import Case, Measured, timed
from .chain import system

TIMES = np.linspace(0.0, 40.0, 1000)


def _operators(spins: int) -> tuple[np.ndarray, np.ndarray]:
    """V = σ_z σ_z on the second and third spin, A = σ_x σ_x on the first two."""
    X, Z = np.array([[0.0, 1], [1, 0]]), np.diag([1.0, -1.0])
    V = np.kron(np.kron(np.eye(2), np.kron(Z, Z)), np.eye(2 ** (spins - 3)))
    return V, np.kron(np.kron(X, X), np.eye(2 ** (spins - 2)))


def _operators_in_eigenbasis(spins: int) -> list[np.ndarray]:
    U = np.linalg.eigh(peers.chain(spins)[0])[1]
    return [U.T @ X @ U for X in _operators(spins)]


def kubo(spins: int) -> np.ndarray:
    """Σ_mn A_nm (−i[V, π])_mn e^{λ_mn τ}."""
    H, couplings = peers.chain(spins)
    E, U = np.linalg.eigh(H)
    couplings = [U.T @ S @ U for S in couplings]
    W = peers.rate_matrix(E, couplings)
    p, loss = peers.stationary(W), W.sum(axis=0)
    decay = (loss[:, None] + loss[None, :]) / 2
    for S, T in zip(couplings, peers.TEMPERATURES, strict=True):
        at_zero, s = 4 * peers.DENSITY[0] / peers.DENSITY[1] * T, np.diag(S)
        decay += at_zero * (s[:, None] - s[None, :]) ** 2 / 2
    V, A = (U.T @ X @ U for X in _operators(spins))
    weight = A.T * -1j * V * (p[None, :] - p[:, None])
    turn = -1j * (E[:, None] - E[None, :]) - decay
    kept = np.abs(weight) > 1e-16 * np.max(np.abs(weight))
    weight, turn, out = weight[kept], turn[kept], []
    for some in np.array_split(TIMES, 50):
        out.append((np.exp(some[:, None] * turn) @ weight).real)
    return np.concatenate(out)


def _error(found, spins: int) -> float:
    exact = kubo(spins)
    return float(np.max(np.abs(np.asarray(found) - exact)) / np.max(np.abs(exact)))


def _ours(spins: int) -> Measured:
    import jaxlgks as lgks

    given = system(spins)
    V, A = _operators(spins)

    name = [""]

    def work():
        r = lgks.response(given, V, A, instantaneous=True)
        name[0] = r.generator.name
        return r.impulse(TIMES)

    first, seconds, phi = timed(work, repeat=3)
    return Measured(first, seconds, _error(phi.kubo, spins), "NumPy", f"by {name[0]}")


def _floor(spins: int) -> Measured:
    first, seconds, _ = timed(lambda: kubo(spins), repeat=3)
    return Measured(first, seconds)


def _start(spins: int):
    """H, jumps, −i[V, π] and A in the eigenbasis."""
    H, couplings = peers.chain(spins)
    E, U, ops = peers.pair_jumps(H, couplings)
    p = peers.stationary(peers.rate_matrix(E, [U.T @ S @ U for S in couplings]))
    V, A = _operators_in_eigenbasis(spins)
    return np.diag(E), ops, -1j * V * (p[None, :] - p[:, None]), A


def _qutip(spins: int, whole: bool, tight: bool) -> Measured:
    """From collapse operators on: generator, steady state, φ. Or φ alone."""
    import qutip

    H, ops, start, A = _start(spins)
    h, c_ops, e_ops = qutip.Qobj(H), [qutip.Qobj(C) for C in ops], [qutip.Qobj(A)]
    options = {"rtol": 1e-10, "atol": 1e-12, "nsteps": 100_000} if tight else {}
    V = _operators_in_eigenbasis(spins)[0]
    given = qutip.liouvillian(h, c_ops)

    def work():
        if not whole:
            return qutip.mesolve(given, qutip.Qobj(start), TIMES, e_ops=e_ops, options=options).expect[0]
        L = qutip.liouvillian(h, c_ops)
        rho = qutip.steadystate(L)
        kick = -1j * (qutip.Qobj(V) * rho - rho * qutip.Qobj(V))
        return qutip.mesolve(L, kick, TIMES, e_ops=e_ops, options=options).expect[0]

    first, seconds, phi = timed(work, repeat=3)
    return Measured(first, seconds, _error(np.real(phi), spins), "NumPy")


def _dynamiqs(spins: int) -> Measured:
    import dynamiqs as dq
    import jax

    jax.config.update("jax_enable_x64", True)
    dq.set_precision("double")
    H, ops, start, A = _start(spins)
    jumps = [dq.asqarray(C) for C in ops]

    def work():
        return dq.mesolve(
            dq.asqarray(H), jumps, dq.asqarray(start), TIMES, exp_ops=[dq.asqarray(A)], progress_meter=False,
            save_states=False,
        ).expects[0]  # fmt: skip

    first, seconds, phi = timed(work, repeat=3)
    return Measured(first, seconds, _error(np.real(phi), spins), "NumPy")


def cases(quick: bool) -> list[Case]:
    """Peers at d = 16 only: at d = 64 their generator has 4,096² elements, or 4,096 jumps."""
    rows = []
    for spins in (4, 6) if quick else (4, 6, 8):
        here = functools.partial(Case, "response", "φ(τ) at 1,000 times", f"d={2**spins}")
        rows += [
            here("jaxlgks response().impulse()", functools.partial(_ours, spins)),
            here("NumPy: coherences one by one", functools.partial(_floor, spins)),
        ]
        if spins == 4:
            rows += [
                here("QuTiP, to 1e-10", functools.partial(_qutip, spins, True, True)),
                here("QuTiP, default tolerances", functools.partial(_qutip, spins, True, False)),
                here("QuTiP, φ alone, default tolerances", functools.partial(_qutip, spins, False, False)),
                here("dynamiqs, φ alone, default tolerances", functools.partial(_dynamiqs, spins)),
            ]
    return rows
