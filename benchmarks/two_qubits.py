"""Heat currents of two qubits over many temperatures: this library against the same dense work in NumPy, in one run.

    python benchmarks/two_qubits.py [--points 4096] [--grid 1000] [--repeat 5]

Prints a Markdown table: medians, the ratio to the NumPy loop, compile time apart, the largest error against the
closed form (paper, Eq. 42). NumPy and `Dense()` assemble the 16×16 generator from the eigenbasis and solve it directly;
`Populations()` eliminates the 4×4 rate equation. The grid is of hot and cold temperatures at one Hamiltonian.
"""

import argparse
import platform
import statistics
import time

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np

import jaxlgks as lgks
from jaxlgks.steady import level_rates

OMEGA, G, GAMMA = 1000.0, 200.0, 1.0


def closed_form(hot: np.ndarray, cold: np.ndarray, omega: float | np.ndarray = OMEGA) -> np.ndarray:
    total = np.zeros(np.broadcast_shapes(hot.shape, cold.shape))
    for w in (omega + G, omega - G):
        a, b = 1 / np.expm1(w / hot), 1 / np.expm1(w / cold)
        total += GAMMA * w * (a - b) / (4 * (a + b + 1))
    return total


def numpy_current(hot: float, cold: float) -> float:
    """One current as a NumPy user would write it: eigenbasis, jump operators, generator, solve."""
    x, z, one = np.array([[0, 1], [1, 0]]), np.diag([1.0, -1.0]), np.eye(2)
    flip = np.kron([[0, 1], [0, 0]], [[0, 0], [1, 0]])
    H = OMEGA / 2 * (np.kron(z, one) + np.kron(one, z)) + G * (flip + flip.T)
    energies, U = np.linalg.eigh(H)
    frequencies = energies[None, :] - energies[:, None]
    eye = np.eye(4)
    L = -1j * (np.kron(eye, np.diag(energies)) - np.kron(np.diag(energies), eye))
    first = np.zeros_like(L)
    for bath, (S, T) in enumerate(((np.kron(x, one), hot), (np.kron(one, x), cold))):
        S = U.T @ S @ U
        for w in (OMEGA - G, OMEGA + G, G - OMEGA, -OMEGA - G):
            rate = GAMMA / np.expm1(abs(w) / T) + (GAMMA if w > 0 else 0.0)
            A = np.where(np.abs(frequencies - w) < 1e-6, S, 0.0)
            AA = A.T @ A
            D = rate * (np.kron(A, A) - np.kron(eye, AA) / 2 - np.kron(AA.T, eye) / 2)
            L = L + D
            if bath == 0:
                first = first + D
    M = L + np.outer(eye.reshape(-1), eye.reshape(-1)) / 4
    rho = np.linalg.solve(M, eye.reshape(-1) / 4)
    return float(np.trace(np.diag(energies) @ (first @ rho).reshape(4, 4).T).real)


def median_seconds(work, repeat: int) -> float:
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def through_sweep(side: int, repeat: int) -> list[tuple[str, float, float, float]]:
    """The same currents by `lgks.sweep`, labelled: a grid, a product with a field on the qubits, unrelated points."""

    def current(hot, cold, omega=OMEGA):
        return lgks.heat_currents(lgks.models.two_qubits(omega, G, GAMMA, (hot, cold)), solver=lgks.Populations())[0]

    def rates(hot, cold):
        return level_rates(lgks.models.two_qubits(OMEGA, G, GAMMA, (hot, cold))).rates.sum()

    hots, colds = np.linspace(100.0, 400.0, side), np.linspace(20.0, 90.0, side)
    few = max(round((side**2 / 10) ** 0.5), 2)
    omegas = np.linspace(0.9, 1.1, 10) * OMEGA
    points = min(side**2, 200_000)
    some = np.linspace(100.0, 400.0, points)
    field = lambda omega, hot, cold: current(hot, cold, omega)  # noqa: E731
    exact = closed_form(hots[:, None], colds[None, :])
    product = {"omega": omegas, "hot": hots[:: side // few], "cold": colds[:: side // few]}
    cubic = np.stack([closed_form(*np.ix_(product["hot"], product["cold"]), w) for w in omegas])
    lists = {("omega", "hot", "cold"): (np.linspace(0.9, 1.1, points) * OMEGA, some, some - 20.0)}
    listed = closed_form(some, some - 20.0, np.linspace(0.9, 1.1, points) * OMEGA)
    rows = []
    for name, f, axes, expected in (
        ("sweep: grid of temperatures", current, {"hot": hots, "cold": colds}, exact),
        ("sweep: frequency x grid of temperatures", field, product, cubic),
        ("sweep: unrelated points, one eigh each", field, lists, listed),
        ("sweep: rates alone, grid of temperatures", rates, {"hot": hots, "cold": colds}, None),
    ):
        made = [lgks.sweep(f, axes) for _ in range(repeat)]
        seconds = statistics.median(data.attrs["run_seconds"] for data in made) / made[0].value.size
        error = float("nan") if expected is None else float(np.max(np.abs(made[0].value.values / expected - 1)))
        rows.append((name, made[0].attrs["compile_seconds"], seconds, error))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--grid", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()

    hot = np.linspace(100.0, 400.0, options.points)
    cold = hot - 20.0
    exact = closed_form(hot, cold)

    def current(a, b, solver=lgks.Dense()):
        return lgks.heat_currents(lgks.models.two_qubits(OMEGA, G, GAMMA, (a, b)), solver=solver)[0]

    def fast(a, b):
        return current(a, b, lgks.Populations())

    value = jax.jit(jax.vmap(current))
    both = jax.jit(jax.vmap(jax.value_and_grad(current, argnums=(0, 1))))
    arguments = (jnp.asarray(hot), jnp.asarray(cold))
    hots, colds = np.linspace(100.0, 400.0, options.grid), np.linspace(20.0, 90.0, options.grid)
    grid = (jnp.asarray(hots), jnp.asarray(colds))
    on_grid = lambda f: jax.jit(jax.vmap(jax.vmap(f, (None, 0)), (0, None)))  # noqa: E731
    exact_grid = closed_form(hots[:, None], colds[None, :])

    rows = []
    few = min(options.points, 256)
    seconds = median_seconds(lambda: [numpy_current(a, b) for a, b in zip(hot[:few], cold[:few], strict=True)], 3) / few
    error = max(abs(numpy_current(a, b) / e - 1) for a, b, e in zip(hot[:few], cold[:few], exact[:few], strict=True))
    rows.append(("NumPy, one point after the other", 0.0, seconds, error))
    one, two, whole = (lambda out: out), (lambda out: out[0]), (exact, exact_grid)
    for name, function, given, pick, expected in (
        ("Dense(): heat current", value, arguments, one, whole[0]),
        ("Dense(): value and gradient in both temperatures", both, arguments, two, whole[0]),
        ("Populations(): heat current, list of points", jax.jit(jax.vmap(fast)), arguments, one, whole[0]),
        ("Populations(): heat current, grid", on_grid(fast), grid, one, whole[1]),
        ("Populations(): value and gradient, grid", on_grid(jax.value_and_grad(fast, (0, 1))), grid, two, whole[1]),
    ):
        start = time.perf_counter()
        out = jax.block_until_ready(function(*given))
        compiled = time.perf_counter() - start
        run = lambda f=function, x=given: jax.block_until_ready(f(*x))  # noqa: E731
        seconds = median_seconds(run, options.repeat) / expected.size
        error = float(np.max(np.abs(pick(out) / expected - 1)))
        rows.append((name, compiled - seconds * expected.size, seconds, error))

    rows += through_sweep(options.grid, options.repeat)

    machine = f"{platform.processor() or platform.machine()}, {jax.default_backend()}"
    print(f"{options.points} temperature pairs, grid {options.grid} x {options.grid}; {machine}, ", end="")
    print(f"jax {jax.__version__}, numpy {np.__version__}, python {platform.python_version()}\n")
    print("| what | compile (s) | points per second | ratio to NumPy | largest relative error |")
    print("|---|---:|---:|---:|---:|")
    for name, compiled, seconds, error in rows:
        print(f"| {name} | {compiled:.1f} | {1 / seconds:,.0f} | {rows[0][2] / seconds:.1f} | {error:.0e} |")


if __name__ == "__main__":
    main()
