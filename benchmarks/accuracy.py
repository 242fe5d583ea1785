"""f) What is left of populations and currents in cold baths: against mpmath.

Error: the largest relative one.
"""

import functools

import numpy as np

from . import peers
from ._case import Case, Measured, timed

ENERGIES = np.array([0.0, 0.9, 1.7, 2.2, 3.4, 4.1, 5.3, 6.0])


def _ladder(temperatures: tuple[float, ...], basis: bool = False):
    """Eight levels between baths; in a random basis if asked."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks

    rng = np.random.default_rng(7)
    U = np.linalg.qr(rng.normal(size=(8, 8)))[0] if basis else np.eye(8)
    baths = []
    for T in temperatures:
        S = rng.uniform(0.5, 1.0, (8, 8))
        baths.append(lgks.Bath(U @ (S + S.T) @ U.T, T, lgks.DrudeLorentz(*peers.DENSITY)))
    H = U @ np.diag(ENERGIES) @ U.T
    return lgks.System((H + H.T) / 2, baths)


def _exact(W: np.ndarray) -> list:
    import mpmath as mp

    d = len(W)
    with mp.workdps(700):
        A = mp.matrix(d, d)
        for m, n in np.argwhere(~np.eye(d, dtype=bool)):
            A[int(m), int(n)] = mp.mpf(float(W[m, n]))
            A[int(n), int(n)] -= mp.mpf(float(W[m, n]))
        for n in range(d):
            A[0, n] = 1
        return list(mp.lu_solve(A, mp.matrix([1] + [0] * (d - 1))))


def _worst(found, exact) -> float:
    import mpmath as mp

    return max(float(abs(mp.mpf(float(a)) / b - 1)) for a, b in zip(np.asarray(found), exact, strict=True))


def _from_rates(ours: bool) -> Measured:
    """Two temperatures; the last population is about 1e−260."""
    import jaxlgks as lgks
    from jaxlgks._bohr import find_structure
    from jaxlgks._generator import level_rates

    given = _ladder((0.01, 0.005))
    W = np.array(sum(np.asarray(x) for x in level_rates(find_structure(given.hamiltonian), given).rates))
    np.fill_diagonal(W, 0)
    if ours:
        work = lambda: lgks.steady_state(given, solver=lgks.Populations()).populations  # noqa: E731
    else:
        work = lambda: peers.stationary(W)  # noqa: E731
    first, seconds, p = timed(work)
    return Measured(first, seconds, _worst(p, _exact(W)), "mpmath, 700 digits", f"smallest {float(p[-1]):.0e}")


def _from_h(ours: bool) -> Measured:
    """One temperature, a spread of 500 T, H in a random basis: the Gibbs state of that very matrix."""
    import mpmath as mp

    import jaxlgks as lgks

    T = float(ENERGIES[-1] / 500)
    given = _ladder((T,), basis=True)
    H = np.asarray(given.hamiltonian).real
    with mp.workdps(60):
        values = sorted(mp.eigsy(mp.matrix(H.tolist()), eigvals_only=True))
        weights = [mp.exp(-(v - values[0]) / mp.mpf(T)) for v in values]
        exact = [w / mp.fsum(weights) for w in weights]
    if ours:
        work = lambda: lgks.steady_state(given, solver=lgks.Populations()).populations  # noqa: E731
    else:
        S = [np.asarray(bath.coupling).real for bath in given.baths]

        def work():
            E, U = np.linalg.eigh(H)
            omega = E[None, :] - E[:, None] + np.eye(8)
            W = peers.drude_rate(omega, T) * np.abs(U.T @ S[0] @ U) ** 2
            np.fill_diagonal(W, 0)
            return peers.stationary(W)

    first, seconds, p = timed(work)
    return Measured(first, seconds, _worst(p, exact), "mpmath, 60 digits", f"smallest {float(p[-1]):.0e}")


def _logarithms() -> Measured:
    """One temperature, a spread of 6,000 T: populations end at 1e−308, their logarithms do not."""
    import jaxlgks as lgks

    given = _ladder((1e-3,))
    exact = -ENERGIES / 1e-3
    first, seconds, p = timed(lambda: lgks.log_populations(given))
    error = float(np.max(np.abs(np.asarray(p)[1:] / exact[1:] - 1)))
    return Measured(first, seconds, error, "−E/T", f"smallest ln p {float(p[-1]):.0f}")


def _current(method: str) -> Measured:
    """Two qubits, ω/T = 17 to 60 and 24 to 86."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import mpmath as mp

    import jaxlgks as lgks

    hot, cold = 20.0, 14.0
    with mp.workdps(50):
        exact = mp.mpf(0)
        for w in (peers.OMEGA + peers.G, peers.OMEGA - peers.G):
            a, b = (1 / mp.expm1(mp.mpf(w) / mp.mpf(T)) for T in (hot, cold))
            exact += peers.GAMMA * mp.mpf(w) * (a - b) / (4 * (a + b + 1))
    if method in ("Populations", "Dense"):
        system = lgks.models.two_qubits(peers.OMEGA, peers.G, peers.GAMMA, (hot, cold))
        work = lambda: lgks.heat_currents(system, solver=getattr(lgks, method)())[0]  # noqa: E731
    else:
        make = {
            "numpy": peers.numpy_current,
            "qutip": functools.partial(peers.qutip_current, "direct"),
            "qthermo": peers.qthermo_current,
        }[method]
        current = make()
        work = lambda: current(hot, cold)  # noqa: E731
    first, seconds, J = timed(work)
    return Measured(first, seconds, float(abs(mp.mpf(float(J)) / exact - 1)), "mpmath, closed form")


def cases(quick: bool) -> list[Case]:
    """Ours first."""
    part = functools.partial
    rates = part(Case, "accuracy", "every population, from the rates", "d=8")
    levels = part(Case, "accuracy", "every population, from H, spread 500 T", "d=8")
    current = part(Case, "accuracy", "heat current at T = ω/40 … ω/86", "two qubits")
    return [
        rates("jaxlgks Populations()", part(_from_rates, True)),
        rates("NumPy: solve", part(_from_rates, False)),
        levels("jaxlgks Populations()", part(_from_h, True)),
        levels("NumPy: eigh, rates, solve", part(_from_h, False)),
        Case("accuracy", "ln p, spread 6,000 T", "d=8", "jaxlgks log_populations()", _logarithms),
        current("jaxlgks Populations()", part(_current, "Populations")),
        current("jaxlgks Dense()", part(_current, "Dense")),
        current("NumPy, dense solve", part(_current, "numpy")),
        current("QuTiP steadystate()", part(_current, "qutip")),
        current("qthermo analyze", part(_current, "qthermo")),
    ]
