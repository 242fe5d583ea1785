"""A frame in which a driven system does not depend on time.

Takes: an operator N and the frequency ω_d of the drive. Returns: baths as they are seen from the frame that turns with
U(t) = exp(iω_d N t), where

    H = U H_lab U† − ω_d N,      U S U† = Σ_k S_k e^{ikω_d t},     S_k = Σ_n Π_{n+k} S Π_n,

Π_n the projectors of N. S_k changes N by k, so a jump that takes ω from H takes ω − kω_d from the energy of the
laboratory, and gives that to the bath: the dissipator is the sum of those of all S_k, at rates Γ(ω − kω_d). What turns
at different multiples of ω_d is taken apart (secular in ω_d: far above all decay rates).

Heat is what the bath receives. With R_k the rate of the jumps of S_k,

    J^α = Tr[H D_α ρ] + ω_d Σ_k k R_k^α,        R_k = Tr[Σ_j L_j ρ R_j†] = −Tr of the rest of D_k, Tr[(K_k + K_k†) ρ].

(Not Tr[(H + ω_d N) D_α ρ]: between dressed states a jump of S_k does not change N by k.) What the drive puts in is what
is missing in the sum of the currents.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._inputs import as_operator, as_scalar, is_concrete
from ._spectra import Moved
from .errors import InputError

ABSENT = 1e-13
"""A component smaller than this part of its coupling is rounding."""


class RotatingFrame(eqx.Module):
    """The frame that turns with U(t) = exp(iω_d N t); `System(H, baths, frame=...)` takes it, with H in the frame,

        H = U(t) H_lab(t) U†(t) − ω_d N.

    Rates, heat currents and entropy production are then those of the laboratory: a jump that changes N by k exchanges
    kω_d more with its bath than H says. The heat currents of a steady state add up to what the drive takes out,
    P = Σ_α J^α; it puts in −P.

    ω_d must be far above the decay rates. Channels (`channel_currents`) are labelled by frequencies of H.

    **Arguments:** `N`: Hermitian, [d, d], known (not traced), its eigenvalues whole numbers apart; such as a†a of a
    driven cavity or |e⟩⟨e| of a driven atom. `frequency`: ω_d.

    **Raises:** `InputError`, `NotHermitianError`, `ShapeError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    detuning, rabi, omega_drive = 0.02, 0.05, 1.0                    # an atom in a laser field
    H = jnp.array([[0.0, rabi / 2], [rabi / 2, detuning]])           # |g⟩, |e⟩
    bath = lgks.Bath(jnp.array([[0.0, 1.0], [1.0, 0.0]]), 0.1, lgks.DrudeLorentz(0.01, 5.0))
    atom = lgks.System(H, bath, frame=lgks.RotatingFrame(jnp.diag(jnp.array([0.0, 1.0])), omega_drive))
    lgks.heat_currents(atom)                                         # negative: the bath takes the laser's work
    ```
    """

    vectors: np.ndarray | None
    levels: Int[np.ndarray, " d"]
    frequency: Float[Array, ""]

    def __init__(self, N: Any, frequency: Any):
        if not is_concrete(N):
            raise InputError("RotatingFrame: N must be known: make the frame outside jit, vmap and grad.")
        with jax.ensure_compile_time_eval():
            matrix = np.asarray(as_operator(N, "the operator N of the rotating frame"))
        diagonal = not np.any(matrix - np.diag(np.diag(matrix)))
        numbers, self.vectors = (np.real(np.diag(matrix)), None) if diagonal else np.linalg.eigh(matrix)
        steps = numbers - numbers[0]
        self.levels = np.rint(steps).astype(int)
        if np.max(np.abs(steps - self.levels)) > 1e-9 * max(1.0, np.max(np.abs(steps))):
            raise InputError(
                "RotatingFrame: the eigenvalues of N must be whole numbers apart, so that every coupling turns with "
                f"multiples of the frequency; got {np.unique(numbers.round(6))[:6]}."
            )
        self.frequency = as_scalar(frequency, "RotatingFrame: frequency")
        if is_concrete(self.frequency) and not np.asarray(self.frequency):
            raise InputError("RotatingFrame: the frequency must not be zero; without a drive leave the frame out.")

    def seen(self, bath: Any) -> Any:
        """The bath as it is seen from the frame: a noise for each component S_k of each of its noises."""
        if bath.coupling.shape[-1] != len(self.levels):
            raise InputError(
                f"RotatingFrame: N has dimension {len(self.levels)}, the couplings of the baths "
                f"{bath.coupling.shape[-1]}."
            )
        if any(noise.quanta is not None for noise in bath.noises):
            raise InputError(
                "RotatingFrame: the baths are those of a system in a rotating frame already; give them as in the "
                "laboratory."
            )
        parts = [(S, spectrum) for noise in bath.noises for S, spectrum in self._components(noise)]
        operators, spectra = zip(*parts, strict=True)
        return eqx.tree_at(
            lambda b: (b.coupling, b.spectrum, b.mixing),
            bath,
            (jnp.stack(operators), spectra, None),
            is_leaf=lambda x: x is None,
        )

    def _components(self, noise: Any) -> list[tuple[Any, Any]]:
        """S_k of every k that is there, with the density that it sees."""
        changes, found = self.levels[:, None] - self.levels[None, :], []
        for k in np.unique(changes):
            S = self._where(noise.coupling, changes == k)
            if is_concrete(S) and np.max(np.abs(S)) <= ABSENT * np.max(np.abs(np.asarray(noise.coupling))):
                continue
            found.append((S, Moved(noise.spectrum, int(k) * self.frequency) if k else noise.spectrum))
        return found or [(noise.coupling, noise.spectrum)]

    def _where(self, S: Any, mask: np.ndarray) -> Any:
        """The elements of S between eigenstates of N that a mask chooses."""
        xp: Any = np if is_concrete(S) else jnp
        S = np.asarray(S) if is_concrete(S) else S
        if self.vectors is None:
            return xp.where(mask, S, 0.0)
        U = self.vectors
        return U @ xp.where(mask, U.conj().T @ S @ U, 0.0) @ U.conj().T
