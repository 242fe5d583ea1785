"""The paper's two qubits (Sec. III D)."""

from collections.abc import Sequence

from jaxtyping import ArrayLike

from .._inputs import as_scalar, as_several
from .._spectra import AbstractSpectrum, Flat
from .._system import Bath, System
from ..errors import InputError
from ._operators import pauli


def two_qubits(
    omega: ArrayLike,
    g: ArrayLike,
    gamma: ArrayLike | None = None,
    temperatures: Sequence[ArrayLike] = (1.0, 1.0),
    spectrum: AbstractSpectrum | Sequence[AbstractSpectrum] | None = None,
) -> System:
    """Two coupled qubits, each with a bath of its own (paper, Eqs. 37–38),

        H = ω/2 (σ_z^A + σ_z^B) + g/2 (σ_x^A σ_x^B + σ_y^A σ_y^B),     S_a = σ_x^A,  S_b = σ_x^B.

    **Arguments:**

    - `omega`, `g`: frequency and coupling, energies.
    - `gamma`: constant rate of both baths (`Flat`); or give `spectrum`, one density or one per bath.
    - `temperatures`: (T_a, T_b).

    **Returns:** a `System` of dimension 4, basis |s_A s_B⟩ with |0⟩ the upper state of σ_z.

    **Raises:** `InputError`, `TemperatureError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.001, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    lgks.heat_currents(system)
    ```
    """
    if (gamma is None) == (spectrum is None):
        raise InputError("two_qubits: give either gamma (constant rate) or spectrum, and not both.")
    hot, cold = as_several(temperatures, "two_qubits: temperatures", 2)
    omega, g = as_scalar(omega, "two_qubits: omega"), as_scalar(g, "two_qubits: g")
    if gamma is not None:
        spectrum = Flat(gamma)
    one = not isinstance(spectrum, list | tuple)
    spectra = (spectrum, spectrum) if one else as_several(spectrum, "two_qubits: spectrum", 2)
    H = 0.5 * omega * (pauli("ZI") + pauli("IZ")) + 0.5 * g * (pauli("XX") + pauli("YY"))
    return System(H, (Bath(pauli("XI"), hot, spectra[0], "a"), Bath(pauli("IX"), cold, spectra[1], "b")))
