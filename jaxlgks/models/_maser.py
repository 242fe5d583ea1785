"""The three-level maser (Scovil and Schulz-DuBois 1959), driven by a classical field and seen from the frame that turns
with it.

Takes: frequencies, drive, rates, temperatures. Returns: a system whose H does not depend on time, and the power that
the field takes out.

Levels 1, 2, 3; the hot bath couples 1–3 (ω_h), the cold bath 2–3 (ω_c), the field 1–2 with frequency ω_d and strength
ε:

    H_lab(t) = E₂|2⟩⟨2| + ω_h|3⟩⟨3| + ε(|1⟩⟨2| e^{iω_d t} + h.c.),      E₂ = ω_h − ω_c,     Δ = E₂ − ω_d.

In the `RotatingFrame` of N = |2⟩⟨2|: H = Δ|2⟩⟨2| + ω_h|3⟩⟨3| + ε(|1⟩⟨2| + |2⟩⟨1|). The coupling |1⟩⟨3| stays what it
is; the cold bath's |2⟩⟨3| turns, so that a component that lowers H by Ω gives the bath Ω − ω_d: the dissipator is that
of dressed states, exact in ε (Geva and Kosloff 1996), and each quantum from the cold bath is worth ω_d less than H
counts.

Power. At the steady state heat currents add up to what the field takes out (first law). Since
Tr[H(D_h + D_c)ρ] = Tr[|3⟩⟨3|(D_h + D_c)ρ] = 0, that is

    P = ω_d Tr[|3⟩⟨3| D_h ρ].

The expectation of ∂H_lab/∂t agrees with it to lowest order in ε only: dressed jumps also shift what is between 1 and 2.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._equations import AbstractEquation, as_equation, dissipation
from .._frame import RotatingFrame
from .._inputs import as_positive, as_scalar, as_several, as_state, is_concrete
from .._spectra import AbstractSpectrum, Flat, as_spectrum
from .._system import Bath, System
from ..errors import InputError


class Maser(eqx.Module):
    """A driven three-level maser: the `system` in the turning frame, the frequency `omega_drive` of the field, and
    `ideal_efficiency`, 1 − ω_c/ω_h: work over heat of one quantum."""

    system: System
    omega_drive: Float[Array, ""]
    ideal_efficiency: Float[Array, ""]

    def power(self, rho: Any, equation: AbstractEquation) -> Float[Array, ""]:
        """What the field takes out, P = ω_d Tr[|3⟩⟨3| D_h ρ], at the steady state `rho` [3, 3] of `equation`."""
        rho = as_state(rho, "power: the state rho", 3, positive=False)
        hot = dissipation(self.system, as_equation(equation)).dissipators()[0]
        return self.omega_drive * hot(rho)[2, 2].real


def three_level_maser(
    omega_hot: ArrayLike,
    omega_cold: ArrayLike,
    drive: ArrayLike,
    gamma: ArrayLike | Sequence[ArrayLike] | None = None,
    temperatures: Sequence[ArrayLike] = (2.0, 0.5),
    detuning: ArrayLike = 0.0,
    spectrum: AbstractSpectrum | Sequence[AbstractSpectrum] | None = None,
) -> Maser:
    """A three-level system between a hot and a cold bath that amplifies a field, in the frame of the field,

        H = Δ|2⟩⟨2| + ω_h|3⟩⟨3| + ε(|1⟩⟨2| + |2⟩⟨1|),     S_hot = |1⟩⟨3| + h.c.,  S_cold = |2⟩⟨3| + h.c.

    Run the other way (T_h small against ω_h/ω_c T_c) it is a refrigerator: the currents change sign. The dressed levels
    0 ± ε belong to one group: use `Unified` with a width above 2ε (and far below ω_h); `Davies` takes ε for large
    against all rates.

    **Arguments:**

    - `omega_hot`, `omega_cold`: transition frequencies, ω_h > ω_c > 0 (checked where they are known, not inside `jit`).
      `drive`: ε. `detuning`: Δ.
    - `gamma`: constant rates (`Flat`), one or (hot, cold); or `spectrum`, one density or (hot, cold).
    - `temperatures`: (T_h, T_c).

    **Returns:** `Maser`.

    **Raises:** `InputError`, `TemperatureError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    maser = lgks.models.three_level_maser(5.0, 1.0, drive=0.001, gamma=0.01, temperatures=(4.0, 0.5))
    equation = lgks.Unified(width=20.0)
    rho = lgks.steady_state(maser.system, equation).rho
    maser.power(rho, equation) / lgks.heat_currents(maser.system, equation)[0]      # 0.8000
    ```
    """
    if (gamma is None) == (spectrum is None):
        raise InputError("three_level_maser: give either gamma (constant rates) or spectrum, and not both.")
    temperatures = as_several(temperatures, "three_level_maser: temperatures", 2)
    densities: Any = gamma if spectrum is None else spectrum
    several = isinstance(densities, list | tuple)
    pair = as_several(densities, "three_level_maser: gamma or spectrum", 2) if several else (densities, densities)
    hot, cold = (Flat(one) if spectrum is None else as_spectrum(one) for one in pair)
    upper = as_positive(omega_hot, "three_level_maser: omega_hot", InputError, "a frequency")
    lower = as_positive(omega_cold, "three_level_maser: omega_cold", InputError, "a frequency")
    delta = as_scalar(detuning, "three_level_maser: detuning")
    strength = as_scalar(drive, "three_level_maser: drive")
    if is_concrete(omega_hot, omega_cold) and not float(omega_hot) > float(omega_cold):  # pyright: ignore
        raise InputError(f"three_level_maser: omega_hot must exceed omega_cold; got {omega_hot} and {omega_cold}.")
    turning = upper - lower - delta
    H = jnp.diag(jnp.stack([jnp.zeros_like(upper), delta * jnp.ones_like(upper), upper])).astype(complex)
    H = H + strength * _unit(0, 1)
    baths = (
        Bath(_unit(0, 2), temperatures[0], hot, "hot"),
        Bath(_unit(1, 2), temperatures[1], cold, "cold"),
    )
    frame = RotatingFrame(np.diag([0.0, 1.0, 0.0]), turning)
    return Maser(System(H, baths, frame=frame), turning, 1 - lower / upper)


def _unit(i: int, j: int) -> np.ndarray:
    """|i⟩⟨j| + |j⟩⟨i|."""
    one = np.zeros((3, 3))
    one[i, j] = one[j, i] = 1.0
    return one
