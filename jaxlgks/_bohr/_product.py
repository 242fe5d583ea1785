"""Products of matrices in the form in which each size is fastest.

Takes: matrices, or stacks of them. Returns: their product. A compiler that meets a batch of small products takes them
one at a time; written as a sum over an axis, they are elementwise work on the whole batch (d = 4: four times as fast,
the derivative more; d = 8: three times). That pays as long as the terms of the sum stay in a processor's registers and
nearest cache: larger matrices, and stacks of many, go to the library of matrix products.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Inexact

SMALL = 8
TERMS = 1024
"""So many terms of all sums together: one product at d = 8, a stack of 16 at d = 4."""


def product(*factors: Inexact[Array, "*_ _ _"]) -> Inexact[Array, "*_ _ _"]:
    """A B C …, from the left."""
    return functools.reduce(_pair, factors)


def _pair(A: Array, B: Array) -> Array:
    stack = math.prod(np.broadcast_shapes(A.shape[:-2], B.shape[:-2]))
    if max(*A.shape[-2:], *B.shape[-2:]) > SMALL or stack * A.shape[-2] * A.shape[-1] * B.shape[-1] > TERMS:
        return A @ B
    return jnp.sum(A[..., :, :, None] * B[..., None, :, :], axis=-2)


def sandwich(L: Inexact[Array, "j d d"], X: Inexact[Array, "d d"], R: Inexact[Array, "j d d"]) -> Inexact[Array, "d d"]:
    """Σ_j L_j X R_j†."""
    if len(X) <= SMALL and L.size * len(X) <= TERMS:
        return jnp.sum(product(L, X, dagger(R)), axis=0)
    return jnp.einsum("jmk,kl,jnl->mn", L, X, R.conj())


def dagger(X: Inexact[Array, "*_ _ _"]) -> Inexact[Array, "*_ _ _"]:
    """X†."""
    return jnp.swapaxes(X.conj(), -1, -2)


def diagonal(X: Inexact[Array, "*_ n n"]) -> Inexact[Array, "*_ n"]:
    """X_nn, as a sum: the transpose of taking elements out is to scatter them, one by one."""
    n = X.shape[-1]
    return jnp.sum(jnp.where(np.eye(n, dtype=bool), X, 0), axis=-1) if n <= SMALL else jnp.diagonal(X, 0, -2, -1)


def reciprocal(z: Complex[Array, "..."]) -> Complex[Array, "..."]:
    """1/z in real operations: five times as fast as the compiler's division, which scales against overflow first."""
    scale = 1 / (z.real**2 + z.imag**2)
    return jax.lax.complex(z.real * scale, -z.imag * scale)
