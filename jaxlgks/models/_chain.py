"""A chain of spins between two baths."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike

from .._inputs import Numbers, as_real, as_scalar, as_several
from .._spectra import AbstractSpectrum
from .._system import Bath, System
from ..errors import InputError
from ._operators import LONGEST, pauli


def spin_chain(
    fields: Numbers,
    exchange: Sequence[ArrayLike],
    spectrum: AbstractSpectrum,
    temperatures: Sequence[ArrayLike],
) -> System:
    """An open chain of N spins in a field, with exchange between neighbours and a bath at each end,

        H = Σ_i h_i σ_z^i + Σ_i (J_x σ_x^i σ_x^{i+1} + J_y σ_y^i σ_y^{i+1} + J_z σ_z^i σ_z^{i+1}),     S = σ_x^1, σ_x^N.

    **Arguments:** `fields`: the N ≥ 2 energies h_i, all different for a disordered chain. `exchange`: (J_x, J_y, J_z).
    `spectrum`: the density of both baths. `temperatures`: of the first and the last spin's bath, named "a" and "b".

    **Returns:** a `System` of dimension 2^N.

    **Raises:** `InputError`, `TemperatureError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.01, 2.0)
    chain = lgks.models.spin_chain([0.6, 1.1, 1.4], (0.3, 0.3, 0.3), bath, temperatures=(2.0, 1.0))
    lgks.heat_currents(chain, solver=lgks.Populations())
    ```
    """
    h = as_real(fields, "spin_chain: fields")
    count = h.size
    if h.ndim != 1 or not 2 <= count <= LONGEST:
        raise InputError(f"spin_chain: fields must be 2 to {LONGEST} energies in a row; got shape {tuple(h.shape)}.")
    exchange = [as_scalar(J, "spin_chain: exchange") for J in as_several(exchange, "spin_chain: exchange", 3)]
    temperatures = as_several(temperatures, "spin_chain: temperatures", 2)

    def word(letters: str, i: int) -> Array:
        return pauli("I" * i + letters + "I" * (count - i - len(letters)))

    terms = [(h[i], "Z", i) for i in range(count)]
    terms += [(J, 2 * x, i) for i in range(count - 1) for J, x in zip(exchange, "XYZ", strict=True)]
    H = jnp.zeros(())
    for size, letters, i in terms:  # one at a time: at twelve spins each takes 0.3 GB
        H = H + size * word(letters, i)
    ends = (word("X", 0), word("X", count - 1))
    return System(H, [Bath(S, T, spectrum, name) for S, T, name in zip(ends, temperatures, "ab", strict=True)])
