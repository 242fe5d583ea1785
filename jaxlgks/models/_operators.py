"""Operators by name."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Complex

from .._inputs import as_word
from ..errors import InputError

_PAULI = {
    "I": [[1, 0], [0, 1]],
    "X": [[0, 1], [1, 0]],
    "Y": [[0, -1j], [1j, 0]],
    "Z": [[1, 0], [0, -1]],
}


LONGEST = 14


def pauli(word: str) -> Complex[Array, "d d"]:
    """The product of Pauli operators named by a word, one letter a qubit: `pauli("ZI")` = σ_z ⊗ 1.

    **Arguments:** `word`: letters I, X, Y, Z; basis state |0⟩ = (1, 0) has σ_z = +1.

    **Returns:** complex array [2ⁿ, 2ⁿ].

    **Raises:** `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    lgks.models.pauli("ZI").shape                  # (4, 4)
    ```
    """
    if not as_word(word, "pauli: word") or any(letter not in _PAULI for letter in word):
        raise InputError(f"pauli: a word of letters I, X, Y, Z is needed; got {word!r}.")
    if len(word) > LONGEST:
        raise InputError(f"pauli: a word has {LONGEST} letters at most, matrices of 4 GB; got {len(word)}.")
    return functools.reduce(jnp.kron, [jnp.array(_PAULI[letter], dtype=complex) for letter in word])


def lowering(levels: int) -> Complex[Array, "n n"]:
    """The oscillator's lowering operator d on the Fock states |0⟩ … |levels−1⟩."""
    return jnp.diag(jnp.sqrt(jnp.arange(1, levels).astype(float)), 1).astype(complex)
