"""The same work as people do it now: by NumPy, by QuTiP, by dynamiqs, by plain JAX. Nothing of this library is used.

Takes: numbers. Returns: functions of them. What does not depend on the temperatures is made once: no peer pays for it
again at every point.
"""

from collections.abc import Callable

import numpy as np

OMEGA, G, GAMMA = 1000.0, 200.0, 1.0
DENSITY, TEMPERATURES, EXCHANGE = (0.01, 2.0), (2.0, 1.0), 0.3


def closed_form(hot, cold, omega=OMEGA) -> np.ndarray:
    """The heat current through two qubits (Levy, Rabani, Limmer 2021, Eq. 42)."""
    total = 0.0
    for w in (omega + G, omega - G):
        a, b = 1 / np.expm1(w / hot), 1 / np.expm1(w / cold)
        total = total + GAMMA * w * (a - b) / (4 * (a + b + 1))
    return np.asarray(total)


def two_qubits() -> tuple[np.ndarray, list[list[tuple[float, np.ndarray]]]]:
    """H, and for each bath its jump operators (ω, A) before the rates."""
    x, z, one = np.array([[0.0, 1], [1, 0]]), np.diag([1.0, -1.0]), np.eye(2)
    flip = np.kron([[0, 1], [0, 0]], [[0, 0], [1, 0]])
    H = OMEGA / 2 * (np.kron(z, one) + np.kron(one, z)) + G * (flip + flip.T)
    return H, [jumps(H, S) for S in (np.kron(x, one), np.kron(one, x))]


def jumps(H: np.ndarray, S: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """S(ω) for every Bohr frequency at which it is not zero."""
    E, U = np.linalg.eigh(H)
    T, omega = U.conj().T @ S @ U, E[None, :] - E[:, None]
    found = []
    for w in np.unique(np.round(omega[np.abs(T) > 1e-12], 6)):
        found.append((float(w), U @ np.where(np.abs(omega - w) < 1e-5, T, 0) @ U.conj().T))
    return found


def flat_rate(w: float, T: float) -> float:
    """γ(n+1) or γn."""
    return GAMMA / np.expm1(abs(w) / T) + (GAMMA if w > 0 else 0.0)


def superoperators() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """H, −i[H,·], dissipators D[A] with unit rate and their frequencies, [bath, group, ...]; columns stacked."""
    H, baths = two_qubits()
    one = np.eye(4)
    D = [
        [np.kron(A.conj(), A) - (np.kron(one, A.conj().T @ A) + np.kron((A.conj().T @ A).T, one)) / 2 for _, A in bath]
        for bath in baths
    ]
    return (
        H,
        -1j * (np.kron(one, H) - np.kron(H.T, one)),
        np.array(D),
        np.array([[w for w, _ in bath] for bath in baths]),
    )


def numpy_current() -> Callable[[float, float], float]:
    """A loop over points: rates, generator, `np.linalg.solve`."""
    H, L0, D, omega = superoperators()
    trace = np.eye(4).reshape(-1)

    def current(hot: float, cold: float) -> float:
        T = np.array([[hot], [cold]])
        rates = GAMMA / np.expm1(np.abs(omega) / T) + np.where(omega > 0, GAMMA, 0.0)
        of = np.einsum("bg,bgij->bij", rates, D)
        rho = np.linalg.solve(L0 + of[0] + of[1] + np.outer(trace, trace) / 4, trace / 4)
        return float((H.T.reshape(-1) @ of[0] @ rho).real)

    return current


def jax_current() -> Callable:
    """The same for `vmap` and `jit`."""
    import jax.numpy as jnp

    H, L0, D, omega = (jnp.asarray(x) for x in superoperators())
    trace = jnp.eye(4).reshape(-1)

    def current(hot, cold):
        T = jnp.stack([hot, cold])[:, None]
        rates = GAMMA / jnp.expm1(jnp.abs(omega) / T) + jnp.where(omega > 0, GAMMA, 0.0)
        of = jnp.einsum("bg,bgij->bij", rates, D)
        rho = jnp.linalg.solve(L0 + of[0] + of[1] + jnp.outer(trace, trace) / 4, trace / 4)
        return (H.T.reshape(-1) @ (of[0] @ rho)).real

    return current


def dynamiqs_current() -> Callable:
    """The generator by dynamiqs, the steady state by `jnp.linalg.solve`, for `vmap` and `jit`."""
    import dynamiqs as dq
    import jax.numpy as jnp

    dq.set_precision("double")
    dq.set_progress_meter(False)
    H, baths = two_qubits()
    trace = jnp.eye(4).reshape(-1)

    def rate(w, T):
        return GAMMA / jnp.expm1(abs(w) / T) + (GAMMA if w > 0 else 0.0)

    def current(hot, cold):
        ops = [
            [dq.asqarray(A) * jnp.sqrt(rate(w, T)) for w, A in bath] for bath, T in zip(baths, (hot, cold), strict=True)
        ]
        L = dq.slindbladian(dq.asqarray(H), ops[0] + ops[1]).to_jax()
        first = dq.slindbladian(dq.asqarray(0 * H), ops[0]).to_jax()
        rho = jnp.linalg.solve(L + jnp.outer(trace, trace) / 4, trace.astype(L.dtype) / 4)
        return (jnp.asarray(H).T.reshape(-1) @ (first @ rho)).real

    return current


def qutip_current(method: str) -> Callable[[float, float], float]:
    """`qutip.steadystate` from collapse operators, with one of its methods."""
    import qutip

    H, baths = two_qubits()
    h = qutip.Qobj(H)
    ops = [[(w, qutip.Qobj(A)) for w, A in bath] for bath in baths]

    def current(hot: float, cold: float) -> float:
        c = [[np.sqrt(flat_rate(w, T)) * A for w, A in bath] for bath, T in zip(ops, (hot, cold), strict=True)]
        rho = qutip.steadystate(h, c[0] + c[1], method=method)
        flow = sum(A.dag() * h * A - (A.dag() * A * h + h * A.dag() * A) / 2 for A in c[0])
        return float(qutip.expect(flow, rho))

    return current


def qutip_superoperators_current() -> Callable[[float, float], float]:
    """QuTiP with its superoperators made once and summed as arrays: nothing of it is left but the generator."""
    import qutip

    H, baths = two_qubits()
    L0 = qutip.liouvillian(qutip.Qobj(H)).full()
    D = np.array([[qutip.lindblad_dissipator(qutip.Qobj(A)).full() for _, A in bath] for bath in baths])
    omega = np.array([[w for w, _ in bath] for bath in baths])

    def current(hot: float, cold: float) -> float:
        T = np.array([[hot], [cold]])
        rates = GAMMA / np.expm1(np.abs(omega) / T) + np.where(omega > 0, GAMMA, 0.0)
        of = np.einsum("bg,bgij->bij", rates, D)
        L = qutip.Qobj(L0 + of[0] + of[1], dims=[[[4], [4]], [[4], [4]]])
        rho = qutip.steadystate(L, method="svd").full()
        return float((H.T.reshape(-1) @ of[0] @ rho.T.reshape(-1)).real)

    return current


def qthermo_current() -> Callable[[float, float], float]:
    """`qthermo.analyze` with two Davies baths."""
    import qthermo

    H, _ = two_qubits()
    x, one = np.array([[0.0, 1], [1, 0]]), np.eye(2)

    def current(hot: float, cold: float) -> float:
        baths = [
            qthermo.davies_bath(H, S, T, spectrum=lambda w: GAMMA, zero_frequency_rate=0.0, name=name)
            for S, T, name in ((np.kron(x, one), hot, "hot"), (np.kron(one, x), cold, "cold"))
        ]
        return float(qthermo.analyze(H, baths).currents["hot"])

    return current


def chain(spins: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """A disordered Heisenberg chain with a bath at each end: real H and couplings."""
    fields = disorder(spins)
    X, Y, Z = np.array([[0.0, 1], [1, 0]]), np.array([[0.0, 1], [-1, 0]]), np.diag([1.0, -1.0])  # Y without its i
    at = lambda A, i, n: np.kron(np.kron(np.eye(2**i), A), np.eye(2 ** (spins - i - n)))  # noqa: E731
    H = np.zeros((2**spins, 2**spins))
    for i in range(spins):
        H += fields[i] * at(Z, i, 1)
    for i in range(spins - 1):
        for A, sign in ((X, 1), (Y, -1), (Z, 1)):
            H += sign * EXCHANGE * at(np.kron(A, A), i, 2)
    return H, [at(X, 0, 1), at(X, spins - 1, 1)]


def disorder(spins: int) -> np.ndarray:
    """The fields of the chain."""
    return np.random.default_rng(spins).uniform(0.5, 1.5, spins)


def drude_rate(omega: np.ndarray, T: float) -> np.ndarray:
    """Γ(ω) of a Drude–Lorentz bath, ω ≠ 0."""
    strength, cutoff = DENSITY
    return 4 * strength * cutoff / (omega**2 + cutoff**2) * omega / -np.expm1(-omega / T)


def rate_matrix(E: np.ndarray, couplings: list[np.ndarray]) -> np.ndarray:
    """W_mn from couplings in the eigenbasis."""
    omega = E[None, :] - E[:, None] + np.eye(len(E))
    W = sum(drude_rate(omega, T) * np.abs(S) ** 2 for S, T in zip(couplings, TEMPERATURES, strict=True))
    np.fill_diagonal(W, 0)
    return W


def stationary(W: np.ndarray) -> np.ndarray:
    """Populations by LU."""
    M = W - np.diag(W.sum(axis=0))
    M[0] = 1
    return np.linalg.solve(M, np.eye(len(W))[0])


def numpy_populations(H: np.ndarray, couplings: list[np.ndarray]) -> np.ndarray:
    """The floor: `eigh`, rates, `solve`."""
    E, U = np.linalg.eigh(H)
    return stationary(rate_matrix(E, [U.T @ S @ U for S in couplings]))


def qutip_populations(H: np.ndarray, couplings: list[np.ndarray]) -> np.ndarray:
    """As an expert uses QuTiP: its eigenstates, its change of basis, a rate equation."""
    import qutip

    E, states = qutip.Qobj(H).eigenstates()
    return stationary(rate_matrix(E, [qutip.Qobj(S).transform(states).full() for S in couplings]))


def qutip_elements(H: np.ndarray, couplings: list[np.ndarray]) -> np.ndarray:
    """The same with the elements of the couplings one by one, as in QuTiP's own examples."""
    import qutip

    E, states = qutip.Qobj(H).eigenstates()
    bras = [state.dag() for state in states]
    at = [[[S.matrix_element(bra, ket) for ket in states] for bra in bras] for S in map(qutip.Qobj, couplings)]
    return stationary(rate_matrix(E, [np.array(S) for S in at]))


def pair_jumps(H: np.ndarray, couplings: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """E, U and one jump operator √W_mn |m⟩⟨n| for each pair of levels (distinct frequencies), in the eigenbasis."""
    E, U = np.linalg.eigh(H)
    W = rate_matrix(E, [U.T @ S @ U for S in couplings])
    ops = []
    for m, n in np.argwhere(np.greater(W, 1e-14 * W.max())):
        A = np.zeros_like(W)
        A[m, n] = np.sqrt(W[m, n])
        ops.append(A)
    # Γ(0) of each bath dephases: what its coupling has on the diagonal is one group.
    for S, T in zip(couplings, TEMPERATURES, strict=True):
        at_zero = 4 * DENSITY[0] / DENSITY[1] * T
        ops.append(np.sqrt(at_zero) * np.diag(np.diag(U.T @ S @ U)))
    return E, U, ops
