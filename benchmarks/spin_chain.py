"""Steady states of a disordered spin chain between two baths: `Populations()` and `Krylov()` against a NumPy floor.

    python benchmarks/spin_chain.py [--spins 4 6 8 9]

Prints a Markdown table: seconds of the first call (with compilation) and of the second, the residual max|Lπ| over the
fastest rate, and the peak memory of the process so far. The floor is `eigh`, rates and a solve of the d×d rate equation
in NumPy.
"""

import argparse
import platform
import resource
import time
import warnings

import jax

jax.config.update("jax_enable_x64", True)

import numpy as np

import jaxlgks as lgks

DENSITY, TEMPERATURES = lgks.DrudeLorentz(0.01, 2.0), (2.0, 1.0)


def chain(spins: int) -> lgks.System:
    fields = np.random.default_rng(spins).uniform(0.5, 1.5, spins)
    return lgks.models.spin_chain(fields, (0.3, 0.3, 0.3), DENSITY, TEMPERATURES)


def floor(H: np.ndarray, couplings: list[np.ndarray]) -> np.ndarray:
    """Populations as a NumPy user would find them."""
    E, U = np.linalg.eigh(H)
    omega = E[None, :] - E[:, None] + np.eye(len(E))
    kappa = 4 * 0.01 * 2.0 / (omega**2 + 4.0)
    W = sum(
        kappa * omega / -np.expm1(-omega / T) * np.abs(U.conj().T @ S @ U) ** 2
        for S, T in zip(couplings, TEMPERATURES, strict=True)
    )
    np.fill_diagonal(W, 0)
    G = W - np.diag(W.sum(axis=0))
    G[0] = 1
    return np.linalg.solve(G, np.eye(len(E))[0])


def timed(work) -> tuple[float, float, object]:
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    start = time.perf_counter()
    out = work()
    return first, time.perf_counter() - start, out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spins", type=int, nargs="+", default=[4, 6, 8, 9])
    options = parser.parse_args()
    warnings.simplefilter("ignore", lgks.ValidityWarning)
    print(f"{platform.machine()}, {jax.default_backend()}, jax {jax.__version__}, numpy {np.__version__}\n")
    print("| d | what | first call (s) | second call (s) | residual | peak memory (GB) |")
    print("|---:|---|---:|---:|---:|---:|")
    for spins in options.spins:
        system = chain(spins)
        H, couplings = np.asarray(system.hamiltonian), [np.asarray(bath.coupling) for bath in system.baths]
        first, second, p = timed(lambda H=H, S=couplings: floor(H, S))
        rows = [("NumPy: eigh, rates, solve", first, second, float("nan"))]
        for equation, solver in (
            (lgks.Davies(), lgks.Populations()),
            (lgks.UniversalLindblad(), lgks.Krylov()),
            (lgks.Redfield(), lgks.Krylov()),
        ):
            find = lambda s=system, e=equation, by=solver: jax.block_until_ready(lgks.steady_state(s, e, by))  # noqa: E731
            first, second, state = timed(find)
            if state.populations is not None:
                assert np.allclose(state.populations, p, atol=1e-10), "not the populations of the NumPy floor"
            rows.append((f"{type(equation).__name__}, {solver.name}", first, second, float(state.residual)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        for name, first, second, residual in rows:
            print(f"| {2**spins} | {name} | {first:.2f} | {second:.2f} | {residual:.0e} | {peak:.1f} |", flush=True)


if __name__ == "__main__":
    main()
