"""The Bose function as a sum of simple poles: constants that no temperature enters.

Takes: a number of terms N. Returns: ξ_k and η_k of

    1/(1 − e^{−x}) ≈ 1/2 + 1/x + Σ_k 2η_k x/(x² + ξ_k²),     exact for ξ_k = 2πk, η_k = 1, N = ∞.

`pade` is the approximant [N−1/N] (Hu, Luo, Jiang, Xu, Yan, J. Chem. Phys. 134, 244106 (2011)), exact to rounding up to
|x| ~ N, wrong beyond ~ N². Where a rate falls as 1/ω that leaves an error of 1/N² of it on the whole axis. `geometric`
keeps the first frequencies 2πk, and lets those beyond stand for many, in steps of equal ratio up to exp(5√N/2): a sum
over k is an integral over ln k there, for which the trapezoidal rule converges exponentially. Weights by least squares.
"""

import functools

import numpy as np


@functools.cache
def pade(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of two tridiagonal matrices."""
    xi, zeta = _inverse_eigenvalues(2 * count, 3), _inverse_eigenvalues(2 * count - 1, 5)
    # Each factor over that of its neighbour, so that products of many stay of the order of one.
    others = np.array([np.delete(xi, k) for k in range(count)]).reshape(count, count - 1)
    ratios = (zeta**2 - xi[:, None] ** 2) / (others**2 - xi[:, None] ** 2)
    return xi, (count**2 + 1.5 * count) * np.prod(ratios, axis=1)


def _inverse_eigenvalues(size: int, first: int) -> np.ndarray:
    """2/λ for the positive eigenvalues λ, ascending."""
    odd = first + 2 * np.arange(size - 1)
    off = 1 / np.sqrt(odd * (odd + 2))
    return 2 / np.linalg.eigvalsh(np.diag(off, 1) + np.diag(off, -1))[::-1][: size // 2]


@functools.cache
def geometric(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A few of the frequencies 2πk, and others in a geometric row.

    The few are moved by 1e−6, so that a pole of the density at 2πkT (a cutoff that is chosen so) does not meet one of
    them: coefficients of opposite signs then cost six digits, while what moving costs, a part 1e−9 of G(ω), is there at
    any temperature. Eight are kept where there is room: at |ω| of the order of T and of the cutoff the sum is then some
    hundred times nearer than on the whole axis, where an error far out counts as much.
    """
    exact = min(8, (count + 1) // 3)
    last = max(np.exp(2.5 * np.sqrt(count)), 10 * exact)
    xi = 2 * np.pi * (1 + 1e-6) * np.arange(1, exact + 1)
    xi = np.concatenate([xi, np.geomspace(2 * np.pi * (exact + 1), 3 * last, count - exact)])
    x = np.geomspace(0.1, last, 60 * int(np.log10(last) + 1))[:, None]
    rows = 2 * x / (x**2 + xi**2)
    scale = rows.max(axis=0)
    eta = np.linalg.lstsq(rows / scale, (1 / np.tanh(x / 2) / 2 - 1 / x)[:, 0], rcond=1e-14)[0] / scale
    return xi, eta
