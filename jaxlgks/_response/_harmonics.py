"""What a weak periodic drive makes of a quantity.

Takes: susceptibilities at the harmonics of a drive δ(t) = Re Σ_n h_n e^{−inωt}. Returns: the harmonics of the quantity,
h_n χ(nω), its values in time, and the power that the drive does on the system, to second order,

    P = ⟨dδ/dt ⟨V⟩⟩ = −½ Σ_n nω |h_n|² Im χ_V(nω).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._inputs import Numbers, as_real


class Harmonics(eqx.Module):
    """The answer to a periodic drive: `values` are the complex harmonics, [n, *a], of order `orders` in `omega`.

    - `power`: what the drive does on the system per time, averaged over a period, of the second order in the drive.
      It is positive where all baths have one temperature. NaN in a rotating frame, where what the drive
      does on the frame is not counted."""

    values: Complex[Array, "..."]
    orders: Float[Array, " n"]
    omega: Float[Array, ""]
    power: Float[Array, ""]

    def at(self, t: Numbers) -> Float[Array, "..."]:
        """Re Σ_n h_n χ(nω) e^{−inωt}, the change of the quantity. `t`: times, a scalar or [t]."""
        t = as_real(t, "t")
        phases = jnp.exp(-1j * self.omega * self.orders * t[..., None])
        return jnp.tensordot(phases, self.values, axes=1).real
