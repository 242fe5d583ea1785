"""Heat currents of the paper's two qubits computed by the library, many points at once.

Takes: temperatures and splittings δΩ. Returns: the steady current from bath a by the Davies equation of the split
Hamiltonian and by the local equation (dissipator of the unsplit one). One compiled program serves every figure.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from .._equations import Davies, Local
from .._observables import heat_currents
from ._parameters import QubitParameters, qubit_perturbation

CHUNK = 32
"""Points are filled up to a multiple of this, so that a different number of points needs no new compilation."""


@jax.jit
def _currents(p: QubitParameters, T_a: Array, T_b: Array, shift: Array) -> Array:
    def one(T_a: Array, T_b: Array, shift: Array) -> Array:
        system = p.model(T_a, T_b)
        split = system.perturbed(qubit_perturbation(), shift)
        return jnp.stack([heat_currents(split, Davies())[0], heat_currents(split, Local(system))[0]])

    return jax.vmap(one)(T_a, T_b, shift)


def computed_currents(p: QubitParameters, T_a: ArrayLike, T_b: ArrayLike, shift: ArrayLike) -> np.ndarray:
    """J^a by Davies (four groups where δ ≠ 0) and by Local, energy × rate, [2, n]; arguments broadcast to [n]."""
    points = np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, float)) for x in (T_a, T_b, shift))))
    count = points.shape[1]
    points = np.concatenate([points, np.repeat(points[:, -1:], -count % CHUNK, axis=1)], axis=1)
    chunks = [np.asarray(_currents(p, *points[:, i : i + CHUNK])) for i in range(0, points.shape[1], CHUNK)]
    return np.concatenate(chunks)[:count].T
