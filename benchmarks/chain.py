"""b) Steady states of a disordered spin chain, d = 2^N: populations of the secular equation, and other equations.

Error of populations: largest absolute difference from NumPy's; of the others: max|Lπ| over the fastest rate.
"""

import functools
from collections.abc import Callable

import numpy as np

from . import peers
from ._case import Case, Measured, peak, timed


def system(spins: int):
    """The same chain as the peers'."""
    import warnings

    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks

    warnings.simplefilter("ignore", lgks.ValidityWarning)
    J = peers.EXCHANGE
    density = lgks.DrudeLorentz(*peers.DENSITY)
    return lgks.models.spin_chain(peers.disorder(spins), (J, J, J), density, peers.TEMPERATURES)


def _populations(spins: int) -> Measured:
    import jaxlgks as lgks

    given = system(spins)
    first, seconds, state = timed(lambda: lgks.steady_state(given, solver=lgks.Populations()), repeat=3)
    p = peers.numpy_populations(*peers.chain(spins)) if spins < 12 else None
    error = None if p is None else float(np.max(np.abs(np.asarray(state.populations) - p)))
    return Measured(first, seconds, error, "NumPy", f"residual {float(state.residual):.0e}")


def _krylov(spins: int, name: str) -> Measured:
    import jaxlgks as lgks

    given, equation = system(spins), getattr(lgks, name)()
    first, seconds, state = timed(lambda: lgks.steady_state(given, equation, lgks.Krylov()), repeat=3)
    found = Measured(first, seconds, float(state.residual), "L π = 0", peak_gb=peak())
    found.note = f"{iterations(given, equation)} iterations"
    return found


def iterations(given, equation) -> int:
    """How often the preconditioner is applied until the steady state is found: counted as the program runs."""
    import jax

    import jaxlgks as lgks
    from jaxlgks._generator import OperatorCore

    count, original = [0], OperatorCore.secular_part

    def counting(self, shift):
        ahead, slowest = original(self, shift)

        def apply(X):
            jax.debug.callback(lambda: count.__setitem__(0, count[0] + 1))
            return ahead(X)

        return apply, slowest

    OperatorCore.secular_part = counting
    try:
        jax.clear_caches()
        jax.block_until_ready(lgks.steady_state(given, equation, lgks.Krylov()))
        jax.effects_barrier()
    finally:
        OperatorCore.secular_part = original
    return count[0] - 3  # of the right-hand side, and the residual before and after: no iterations


def _by(function: Callable, spins: int) -> Measured:
    H, couplings = peers.chain(spins)
    first, seconds, p = timed(lambda: function(H, couplings), repeat=3)
    error = float(np.max(np.abs(p - peers.numpy_populations(H, couplings)))) if spins < 12 else None
    return Measured(first, seconds, error, "NumPy")


def qutip_collapse(H: np.ndarray, couplings: list[np.ndarray]) -> np.ndarray:
    """`qutip.steadystate` with one collapse operator for each pair of levels."""
    import qutip

    E, _, ops = peers.pair_jumps(H, couplings)
    return qutip.steadystate(qutip.Qobj(np.diag(E)), [qutip.Qobj(A) for A in ops]).diag().real


def dynamiqs_dense(H: np.ndarray, couplings: list[np.ndarray]) -> np.ndarray:
    """dynamiqs' generator and a dense solve."""
    import dynamiqs as dq
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    dq.set_precision("double")
    E, _, ops = peers.pair_jumps(H, couplings)
    L = dq.slindbladian(dq.asqarray(np.diag(E)), [dq.asqarray(A) for A in ops]).to_jax()
    trace = jnp.eye(len(E)).reshape(-1).astype(L.dtype)
    rho = jnp.linalg.solve(L + jnp.outer(trace, trace) / len(E), trace / len(E))
    return np.diag(np.asarray(rho).reshape(H.shape)).real


def qutip_redfield(spins: int) -> Measured:
    """`bloch_redfield_tensor` without secular cutoff, and `steadystate` of it."""
    import qutip

    H, couplings = peers.chain(spins)

    def rate(T: float):
        at_zero = 4 * peers.DENSITY[0] / peers.DENSITY[1] * T
        return lambda w: float(peers.drude_rate(np.float64(w), T)) if w else at_zero

    ops = [[qutip.Qobj(S), rate(T)] for S, T in zip(couplings, peers.TEMPERATURES, strict=True)]

    def find():
        R = qutip.bloch_redfield_tensor(qutip.Qobj(H), ops, sec_cutoff=-1, fock_basis=True)
        return R, qutip.steadystate(R, method="svd" if spins < 4 else "direct")

    first, seconds, (R, rho) = timed(find, repeat=3)
    left = np.max(np.abs((R * qutip.operator_to_vector(rho)).full())) / max(np.max(np.abs(R.full().real)), 1e-300)
    return Measured(first, seconds, float(left), "L π = 0")


def cases(quick: bool) -> list[Case]:
    """By size; peers up to where they end."""
    rows = []
    for spins in range(2, 9 if quick else 13):
        here = functools.partial(Case, "chain", "populations", f"d={2**spins}")
        rows.append(here("jaxlgks Populations()", functools.partial(_populations, spins)))
        rows.append(here("NumPy: eigh, rates, solve", functools.partial(_by, peers.numpy_populations, spins)))
        if spins <= 9:
            rows.append(here("QuTiP eigenstates, transform", functools.partial(_by, peers.qutip_populations, spins)))
            rows.append(here("QuTiP eigenstates, elements", functools.partial(_by, peers.qutip_elements, spins)))
        if spins <= 6:
            rows.append(here("QuTiP steadystate()", functools.partial(_by, qutip_collapse, spins)))
            rows.append(here("dynamiqs, dense solve", functools.partial(_by, dynamiqs_dense, spins)))
    for spins in range(3, 7 if quick else 11):
        here = functools.partial(Case, "chain")
        for name in ("Redfield", "UniversalLindblad"):
            run = functools.partial(_krylov, spins, name)
            rows.append(here(name, f"d={2**spins}", "jaxlgks Krylov()", run))
            if name == "Redfield" and spins <= 6:
                run = functools.partial(qutip_redfield, spins)
                rows.append(here(name, f"d={2**spins}", "QuTiP bloch_redfield_tensor", run))
    return rows
