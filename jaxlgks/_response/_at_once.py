"""May dissipators follow a drive at once? Both ways compared along the drive itself.

Takes: a driven system, times where the drive has no period. Returns: what is wrong with heat currents and states where
dissipators are those of H(t) at rest at each moment, against the memory of the baths: in numbers and in words.

No rule decides. The error of the currents of a weak drive δ cos ωt is a function of ω, which
`diagnose(system, V, delta, drive=True)` finds; a strong one has harmonics that are wrong at their own frequencies, and
moves the levels that the baths see (a slow sine of 0.4 of a qubit's splitting is five times as wrong as a weak one). So
both are computed: two steady cycles, or two evolutions.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._bohr import traceless
from .._cycles import SteadyCycle, cycle
from .._drives import DrivenSystem
from .._equations import Redfield
from .._evolution import evolve
from .._inputs import as_times, is_concrete
from ..errors import InputError

GOOD, FAIR = 0.01, 0.1
"""Errors up to which at once is called good, and fair."""
NOTHING = 1e-12
"""Of the size of H: a heat current below is none."""
SAMPLES = 129
"""Of one period, at which H(t) is asked how fast it moves."""


class DrivenDiagnosis(eqx.Module):
    """The result of `diagnose(driven)`; `print` shows it in words.

    - `current_error`: of the heat currents where dissipators follow at once, over the largest current with the memory
      of the baths. Of a cycle the mean and each harmonic are compared, of an evolution each time; of no current NaN.
    - `state_error`: the largest error of an element of ρ, in the same way.
    - `frequency`: how fast H(t) moves, the largest ‖dH/dt‖ over the largest ‖H − its mean‖: ω for a
      sine that `ts` resolves.
    """

    current_error: Float[Array, ""]
    state_error: Float[Array, ""]
    frequency: Float[Array, ""]

    @property
    def at_once(self) -> bool:
        """Whether `instantaneous=True` is good to 1 % for this drive."""
        return bool(self._worst <= GOOD)

    @property
    def _worst(self) -> float:
        return float(np.nanmax([self.current_error, self.state_error]))

    def __str__(self) -> str:
        limits = {GOOD: "good to 1 %", FAIR: "good to 10 % only", np.inf: "WRONG"}
        word = next(words for limit, words in limits.items() if self._worst <= limit)
        current = f"heat currents are off by {float(self.current_error):.2g} of the largest"
        current = "there is no heat current" if np.isnan(self.current_error) else current
        return (
            f"Dissipators that follow this drive at once (instantaneous=True): {word}.\n"
            f"  {current}, elements of the state by up to {float(self.state_error):.2g}; H(t) moves with frequencies "
            f"of about {float(self.frequency):.3g}."
        )


def diagnose_drive(driven: DrivenSystem, ts: Any) -> DrivenDiagnosis:
    """`diagnose` of a driven system."""
    if not is_concrete(driven, jnp.zeros(())):
        raise InputError(
            "diagnose: its verdict is in words and needs known values; call it outside jit, vmap and grad."
        )
    equation = Redfield(lamb_shift=True)
    if ts is None:
        if any(drive.period is None for drive in driven.drives):
            raise InputError(
                "diagnose: a drive without a period is followed over given times: diagnose(driven, ts=...), [t] around "
                "all pulses. A drive with one is Drive(V, f, period=...)."
            )
        exact, other = (cycle(driven, equation, instantaneous=x) for x in (False, True))
        times = driven.period * jnp.arange(SAMPLES) / SAMPLES
        pairs = _harmonics(exact, other)
    else:
        times = as_times(ts, "diagnose: ts")
        exact, other = (evolve(driven, None, times, equation, stationary=True, instantaneous=x) for x in (False, True))
        pairs = [(exact.heat_currents, other.heat_currents), (exact.states, other.states)]
    (J, J_other), (rho, rho_other) = (tuple(map(np.asarray, pair)) for pair in pairs)
    frequency, size = _speeds(driven, times)
    largest = np.max(np.abs(J))
    current = np.max(np.abs(J_other - J)) / largest if largest > NOTHING * float(size) else np.nan
    return DrivenDiagnosis(jnp.asarray(current), jnp.asarray(np.max(np.abs(rho_other - rho))), frequency)


def _harmonics(exact: SteadyCycle, other: SteadyCycle) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and harmonics of currents and states, as many as both have."""
    count = min(exact.harmonics, other.harmonics)
    kept = np.arange(-count, count + 1)

    def both(name: str) -> tuple[np.ndarray, np.ndarray]:
        first, second = (np.fft.fft(np.asarray(getattr(c, name)), axis=0, norm="forward")[kept] for c in (exact, other))
        return first, second

    # Amplitudes of cos: of a real quantity twice those of e^{iωt}, the mean apart.
    weights = np.where(kept == 0, 1.0, 2.0)[:, None]
    J, J_other = both("currents")
    return [(weights * J, weights * J_other), both("rho")]


@eqx.filter_jit
def _speeds(driven: DrivenSystem, times: Float[Array, " t"]) -> tuple[Array, Array]:
    """How fast H(t) moves, and how large it is."""
    H = jax.vmap(lambda t: traceless(driven.hamiltonian(t)))(times)
    rates = jax.vmap(lambda t: traceless(driven.rate(t)))(times)
    moves = jnp.max(jnp.linalg.norm(H - jnp.mean(H, axis=0), axis=(1, 2)))
    speed = jnp.max(jnp.linalg.norm(rates, axis=(1, 2)))
    return jnp.where(moves > 0, speed / jnp.where(moves > 0, moves, 1.0), 0.0), jnp.max(jnp.abs(H))
