"""A quasi-free model on a truncated Fock space: the other way to do it, where few levels hold everything.

Takes: a model and a cut. Returns: a `System` in the Fock basis of the normal modes about the minimum of H₀, where H₀ is
diagonal, cut in the total number of excitations. Normal-ordered monomials have exact elements there: nothing is lost
but what lies beyond the cut.
"""

import functools
import itertools
import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._inputs import as_count, is_concrete
from .._polynomials import Polynomial, Symbol, as_polynomial, monomials, multiplicity
from .._system import Bath, System
from ..errors import InputError
from ._frame import about_minimum
from ._model import QuasiFree, require_oscillators
from ._modes import NormalModes, normal_modes


class Truncated(eqx.Module):
    """A truncated model. `system`: its `System`, whose edge is the last shell. `modes`: the normal modes behind it."""

    system: System
    modes: NormalModes
    excitations: int = eqx.field(static=True)

    def operator(self, A: Polynomial) -> Complex[Array, "d d"]:
        """The matrix of a Hermitian polynomial, exact elements cut to the space."""
        A = as_polynomial(A, "the operator", self.modes.frequencies.size)
        return matrix(_bohr(A.coefficients, self.modes), self.excitations)


def truncated(model: QuasiFree, excitations: int) -> Truncated:
    """The model with at most N quanta in all normal modes together.

    **Arguments:** `excitations`: N ≥ 1; the dimension is C(N + M, M).

    **Returns:** `Truncated`. A steady state with more than 1e−8 in the last shell is refused (`TruncationError`).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, = lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 0.3, lgks.DrudeLorentz(0.01, 5.0)))
    few = lgks.truncated(model, 12)
    lgks.response(few.system, few.operator((a + a.dag) ** 4), few.operator(a.dag * a)).static().total
    ```
    """
    require_oscillators(model, "truncated")
    excitations = as_count(excitations, "truncated: excitations", 1)
    modes = _modes(model)
    size = math.comb(excitations + model.modes, model.modes)
    if size > 1000:
        raise InputError(
            f"truncated: {excitations} excitations in {model.modes} modes are {size} states; at most 1000."
        )
    return _truncated(model, modes, excitations)


_modes = eqx.filter_jit(normal_modes)


def _truncated(model: QuasiFree, modes: NormalModes, excitations: int) -> Truncated:
    states = basis(model.modes, excitations)
    couplings = [matrix(_bohr(bath.coupling.coefficients, modes), excitations) for bath in model.baths]
    baths = [Bath(S, b.temperature, b.spectrum, b.name) for S, b in zip(couplings, model.baths, strict=True)]
    edge = jnp.diag(jnp.asarray(states.sum(axis=1) == excitations, float))
    return Truncated(System(jnp.diag(states @ modes.frequencies), baths, edge=edge), modes, excitations)


_bohr = eqx.filter_jit(about_minimum)


def matrix(A: Symbol, excitations: int) -> Complex[Array, "d d"]:
    """The matrix of a symbol that is normal-ordered in d."""
    size = 2 if len(A) == 1 else A[1].shape[0]
    xp = np if is_concrete(A) else jnp
    total = 0.0
    for rank, T in enumerate(A):
        index, weight, tables = _elements(size, rank, excitations)
        total = total + xp.tensordot(xp.asarray(T)[index] * weight, tables, axes=([0], [0]))
    return jnp.asarray((total + total.conj().T) / 2, complex)  # pyright: ignore


@functools.cache
def basis(modes: int, excitations: int) -> np.ndarray:
    """Occupations of the states kept, shell by shell, [d, M]."""
    every = itertools.product(range(excitations + 1), repeat=modes)
    return np.array(sorted((s for s in every if sum(s) <= excitations), key=lambda s: (sum(s), s)))


@functools.lru_cache(maxsize=64)
def _elements(size: int, rank: int, excitations: int) -> tuple[tuple, np.ndarray, np.ndarray]:
    """Index, multiplicity and matrix of each normal-ordered monomial of one rank."""
    modes = size // 2
    indices = list(monomials(size, rank))
    states = basis(modes, excitations)
    tables = np.stack([_monomial(np.bincount(np.asarray(i, int), minlength=size), states) for i in indices])
    index = tuple(np.array(indices, int).reshape(len(indices), rank).T) if rank else ()
    return index if rank else (None,), np.array([multiplicity(i) for i in indices], float), tables


def _monomial(powers: np.ndarray, states: np.ndarray) -> np.ndarray:
    """⟨m| Π d†^p d^q |n⟩ = Π √(n!/(n−q)!) √(m!/(m−p)!) for m − p = n − q."""
    modes = states.shape[1]
    down, up = powers[:modes], powers[modes:]
    right = np.sqrt(np.prod([_falling(states[:, k], down[k]) for k in range(modes)], axis=0))
    left = np.sqrt(np.prod([_falling(states[:, k], up[k]) for k in range(modes)], axis=0))
    meet = np.all((states - up)[:, None, :] == (states - down)[None, :, :], axis=2)
    return np.where(meet, left[:, None] * right[None, :], 0.0)


def _falling(n: np.ndarray, q: np.integer) -> np.ndarray:
    """n!/(n − q)!, zero for n < q."""
    return np.prod([np.maximum(n - i, 0) for i in range(q)], axis=0) * np.ones(n.shape)
