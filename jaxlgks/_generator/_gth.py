"""The stationary populations of a rate equation, without a single subtraction.

Takes: rates W_mn ≥ 0 of n → m, those of each bath. Returns: p with Σ_n W_mn p_n = p_m Σ_n W_nm and Σ p = 1, each
to a few eps relative to the rates however small it is, and the pivots.

Elimination of the states from the last down (Grassmann, Taksar, Heyman, Oper. Res. 33, 1107 (1985)). With s_k = Σ_{m<k}
W_mk the rate at which state k, in the chain watched only while it is in 0…k, leaves for states below,

    W_mn → W_mn + W_mk W_kn / s_k        m, n < k,            p_k = Σ_{n<k} (W_kn / s_k) p_n .

The diagonal, where the usual elimination subtracts, never enters. A pivot s_k = 0 means that k has no way down: the
chain is reducible, or rates have underflowed.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

UNROLLED = 8
"""Up to this size the elimination is written out over scalars: under `vmap` the batch is then the only axis."""
PANEL = 32


Rates = tuple[Float[Array, "d d"], ...]


def stationary(rates: Rates) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
    """The populations, and the pivots (infinite for state 0, which is not eliminated). W is the sum of the rates of
    all baths; its diagonal is ignored.

    Differentiable in W: term by term where unrolled, by one linear solve otherwise.
    """
    return _unrolled(_entries(rates)) if rates[0].shape[-1] <= UNROLLED else _implicit(sum(rates[1:], rates[0]))


def _entries(rates: Rates) -> list[list[Array]]:
    """W_mn one by one: scalars first, sums after, so that under `vmap` no array has an axis inside the batch."""
    states = range(rates[0].shape[-1])
    each = [scalars(W) for W in rates]
    return [[_total([W[m][n] for W in each]) for n in states] for m in states]


def scalars(x: Array) -> list:
    """The elements of an array as nested lists. `split` because its transpose is one concatenation; that of an index
    is a sum of padded arrays."""
    parts = [part.reshape(x.shape[1:]) for part in jax.lax.split(x, [1] * x.shape[0])]
    return parts if x.ndim == 1 else [scalars(part) for part in parts]


def imbalance(rates: Rates, p: Float[Array, " d"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """max_m |Σ_n W_mn p_n − p_m Σ_n W_nm|, and the largest Σ_n W_nm."""
    if len(p) > UNROLLED:
        W = _without_diagonal(sum(rates[1:], rates[0]))
        outflow = jnp.sum(W, axis=0)
        return jnp.max(jnp.abs(W @ p - outflow * p)), jnp.max(outflow)
    a, each, states = _entries(rates), scalars(p), range(len(p))
    outflow = [_total([a[n][m] for n in states if n != m]) for m in states]
    inflow = [_total([a[m][n] * each[n] for n in states if n != m]) for m in states]
    left = [jnp.abs(inflow[m] - outflow[m] * each[m]) for m in states]
    return functools.reduce(jnp.maximum, left), functools.reduce(jnp.maximum, outflow)


def smallest(pivots: Float[Array, " d"]) -> Float[Array, ""]:
    """The smallest pivot."""
    return functools.reduce(jnp.minimum, scalars(pivots)) if len(pivots) <= UNROLLED else jnp.min(pivots)


def _total(terms: list[Array]) -> Array:
    return sum(terms[1:], terms[0])


def _unrolled(a: list[list[Array]]) -> tuple[Array, Array]:
    dim = len(a)
    pivots = [jnp.full((), jnp.inf, a[0][0].dtype)] * dim
    for k in range(dim - 1, 0, -1):
        pivots[k] = _total([a[m][k] for m in range(k)])
        a[k] = [_share(x, pivots[k]) for x in a[k][:k]]
        for m in range(k):
            for n in range(k):
                if m != n:
                    a[m][n] = a[m][n] + a[m][k] * a[k][n]
    p = [jnp.ones((), pivots[0].dtype)]
    for k in range(1, dim):
        p.append(_total([a[k][n] * p[n] for n in range(k)]))
    total = _total(p)
    return jnp.stack([x / total for x in p]), jnp.stack(pivots)


@jax.custom_jvp
def _share(x: Array, total: Array) -> Array:
    """x / total. JAX's derivative of a quotient squares the denominator, which underflows below 1e−154."""
    return x / total


@_share.defjvp
def _share_jvp(primals, tangents):
    (x, total), (dx, dtotal) = primals, tangents
    share = _share(x, total)
    return share, dx / total - share * (dtotal / total)


@jax.custom_jvp
def _implicit(W: Array) -> tuple[Array, Array]:
    return _blocked(W)


@_implicit.defjvp
def _implicit_jvp(primals, tangents):
    """From Σ_n W_mn p_n = p_m Σ_n W_nm, for the relative changes x_m = dp_m/p_m,

        Σ_n R_mn x_n − R_m x_m = (Σ_n dW_nm) − Σ_n dW_mn p_n/p_m,      R_mn = W_mn p_n/p_m,  R_m = Σ_n R_mn,

    the reversed chain, whose entries are of the size of the rates however small populations are: solved for x, not for
    dp, each population keeps its own digits. Σ p x = 0 is added to every row. One factorisation, in reverse mode one
    solve for each observable. The pivots are a verdict and carry no derivative."""
    (W,), (dW,) = primals, tangents
    p, pivots = _implicit(W)
    W, dW = _without_diagonal(W), _without_diagonal(dW)
    present = p > 0  # a population that has underflowed stays there
    inverse = jnp.where(present, 1.0 / jnp.where(present, p, 1.0), 0.0)
    R = (W * p) * inverse[:, None]
    scale = jax.lax.stop_gradient(jnp.max(jnp.sum(W, axis=0)))
    loss = jnp.where(present, jnp.sum(R, axis=1), scale)
    relative = jnp.where(present, jnp.sum(dW, axis=0) - jnp.sum((dW * p) * inverse[:, None], axis=1), 0.0)
    x = jnp.linalg.solve(R - jnp.diag(loss) + scale * p, relative)
    return (p, pivots), (p * x, jnp.zeros_like(pivots))


def _without_diagonal(W: Array) -> Array:
    return jnp.where(jnp.eye(W.shape[-1], dtype=bool), 0.0, W)


def _kept(condition: Array, x: Array) -> Array:
    return jnp.where(condition, x, 0.0)


def _blocked(W: Array) -> tuple[Array, Array]:
    """Panels of states: elimination inside a panel touches its rows and columns only, the rest follows in one product
    of matrices, which has no subtraction either."""
    dim = W.shape[-1]
    size = -(-dim // PANEL) * PANEL
    states = jnp.arange(size)
    A = jnp.zeros((size, size), W.dtype).at[:dim, :dim].set(W)

    def panel(step, carry):
        A, pivots = carry
        low = size - (step + 1) * PANEL
        columns = jax.lax.dynamic_slice(A, (0, low), (size, PANEL))
        rows = jax.lax.dynamic_slice(A, (low, 0), (PANEL, size))

        def eliminate(i, carry):
            columns, rows, pivots = carry
            j = PANEL - 1 - i
            k = low + j
            below = states < k
            column = _kept(below, columns[:, j])
            pivot = jnp.sum(column)
            present = (k > 0) & (k < dim)  # the rest is padding
            row = _kept(below, rows[j] / jnp.where(present, pivot, 1.0))
            columns = columns + column[:, None] * jax.lax.dynamic_slice(row, (low,), (PANEL,))
            rows = rows + jax.lax.dynamic_slice(column, (low,), (PANEL,))[:, None] * row
            return (
                columns.at[:, j].set(column),
                rows.at[j].set(row),
                pivots.at[k].set(jnp.where(present, pivot, jnp.inf)),
            )

        columns, rows, pivots = jax.lax.fori_loop(0, PANEL, eliminate, (columns, rows, pivots))
        before = states < low
        left = _kept(before[:, None], columns)
        right = _kept(before, rows)
        return jax.lax.dynamic_update_slice(A + left @ right, rows, (low, 0)), pivots

    A, pivots = jax.lax.fori_loop(0, size // PANEL, panel, (A, jnp.full(size, jnp.inf, W.dtype)))
    lower = jnp.tril(A[:dim, :dim], -1)
    start = jnp.zeros(dim, W.dtype).at[0].set(1.0)
    p = jax.scipy.linalg.solve_triangular(jnp.eye(dim, dtype=W.dtype) - lower, start, lower=True, unit_diagonal=True)
    return p / jnp.sum(p), pivots[:dim]
