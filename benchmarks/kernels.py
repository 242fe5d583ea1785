"""h) Kernels of small systems, on a batch: what the library takes at each size, and the other way, which is LAPACK, the
compiler's product of matrices, or a sort.

Error: largest difference from the other way, relative to the largest number.
"""

import functools
from collections.abc import Callable

import numpy as np

from ._case import Case, Measured, timed

BATCH = 4096


def _draw(*shape: int):
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(BATCH, *shape)) + 1j * rng.normal(size=(BATCH, *shape)))


def _measured(ours: Callable, other: Callable, chosen: bool, *given) -> Measured:
    import jax

    here, there = (jax.jit(jax.vmap(f)) for f in (ours, other))
    first, seconds, out = timed(lambda: (here if chosen else there)(*given), BATCH, repeat=11)
    expected = np.asarray(there(*given))
    error = float(np.max(np.abs(np.asarray(out) - expected)) / np.max(np.abs(expected)))
    return Measured(first, seconds, error, "the other way")


def _products(d: int, chosen: bool) -> Measured:
    """U†XU."""
    U, X = _draw(d, d), _draw(d, d)
    import jax.numpy as jnp

    def ours(U, X):
        return jnp.sum(U.conj().T[:, :, None] * jnp.sum(X[:, :, None] * U[None], axis=1)[None], axis=1)

    return _measured(ours, lambda U, X: U.conj().T @ X @ U, chosen, U, X)


def _systems(n: int, chosen: bool) -> Measured:
    """M x = b, two right-hand sides."""
    M, b = _draw(n, n), _draw(n, 2)
    import jax.numpy as jnp

    def eliminated(M, b):
        rows, both = jnp.arange(n)[:, None], jnp.concatenate([M, b], axis=1)
        for k in range(n):
            size = jnp.where(rows[:, 0] >= k, jnp.abs(both[:, k].real) + jnp.abs(both[:, k].imag), -1.0)
            largest = rows == jnp.argmax(size)
            pivot = jnp.sum(jnp.where(largest, both, 0), axis=0)
            both = jnp.where(largest, both[k], both)
            pivot = pivot / pivot[k]
            both = jnp.where(rows == k, pivot, both - both[:, k : k + 1] * pivot)
        return both[:, n:]

    return _measured(jnp.linalg.solve, eliminated, chosen, M, b)


def _populations(d: int, chosen: bool) -> Measured:
    """W p = 0."""
    W = abs(_draw(d, d))
    import jax.numpy as jnp

    from jaxlgks._generator import stationary

    def lapack(W):
        W = W - jnp.diag(jnp.diag(W))
        return jnp.linalg.solve(W - jnp.diag(jnp.sum(W, axis=0)) + jnp.ones((d, d)), jnp.ones(d))

    return _measured(lambda W: stationary((W,))[0], lapack, chosen, W)


def _groups(d: int, chosen: bool) -> Measured:
    """Labels of d² frequencies."""
    omega = _draw(d * d).real
    import jax.numpy as jnp

    from jaxlgks._bohr import compared

    def sorted_(omega):
        order = jnp.argsort(omega)
        ranks = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(jnp.diff(omega[order]) > 1e-3)])
        return jnp.zeros(omega.size, int).at[order].set(ranks)

    return _measured(lambda omega: compared(omega, jnp.asarray(1e-3)), sorted_, chosen, omega)


def cases(quick: bool) -> list[Case]:
    """What the library takes comes first at the sizes at which it takes it."""
    rows = []
    works = (
        ("products U†XU", _products, (4, 8, 16), 8, ("sums of products", "compiler's product")),
        ("groups of frequencies", _groups, (4, 5, 6, 8), 5, ("pairs compared", "sorted")),
        ("rate equation", _populations, (4, 8), 8, ("elimination over scalars", "LAPACK")),
        ("linear system", _systems, (2, 4, 9, 16), 16, ("LAPACK", "Gauss–Jordan of the batch")),
    )
    for work, run, sizes, up_to, names in works:
        for size in sizes:
            here = functools.partial(Case, "kernels", work, f"n={size}")
            both = [here(name, functools.partial(run, size, name == names[0])) for name in names]
            rows += both if size <= up_to else both[::-1]
    return rows
