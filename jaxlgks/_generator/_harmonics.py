"""H(t) at equidistant times of a period, and how many of them a cycle takes.

Takes: a driven system with a period. Returns: the samples, what happens between them, and the number of harmonics with
which a cycle is likely to be resolved, in the basis of Floquet's modes and in that of the levels.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._bohr import traceless
from .._drives import DrivenSystem
from ._floquet import orders

FEWEST, MOST = 16, 1024
"""How many harmonics are tried."""
FEW, APART = 128, 3.0
"""Of a slow drive: how many are tried, and how many times the last of them the levels must be apart to begin with."""
UNSEEN = 1e-4
"""What of H(t) may be missed between its samples, of what of it moves (root mean squares)."""
BETWEEN = np.array([0.118, 0.309, 0.5, 0.764])
"""Where it is looked at, in parts of the distance of samples."""


class Plan(NamedTuple):
    """Harmonics of Floquet's modes that may be enough, of levels, and whether levels are far enough apart for these."""

    many: int
    few: int
    slow: bool

    def advice(self, harmonics: int, slow: bool) -> str:
        """What to ask for where so many did not do."""
        if slow:
            return (
                "With slow=True levels must stay further apart than the last harmonic, N ω, baths must forget faster "
                "than that (their exponents, and the distance of levels from a line of theirs), and smooth functions "
                f"f(t) need few. Keep as few as do, or leave slow=True out, which takes about {self.many:,} harmonics."
            )
        if harmonics < self.many:
            return (
                f"About {self.many:,} are expected, the range of the transition energies over the frequency of the "
                "drive; where levels never come near each other, few with slow=True."
            )
        return "Give more, or smoother functions f(t); couple more weakly; or use evolve."


def expected(driven: DrivenSystem) -> Plan:
    """Powers of two. Coherences turn with up to the range z ω of the levels of H(t), which takes z harmonics of
    Floquet's modes and a tail like that of Bessel functions of order z."""
    H = np.asarray(samples_of(driven, 2 * MOST))
    energies, omega = np.linalg.eigvalsh(H[:: MOST // FEWEST]), 2 * np.pi / float(driven.period)
    z = np.max(np.ptp(energies, axis=1)) / omega
    needed = 6 + (z + 6 * np.cbrt(z)) / 0.75 if np.isfinite(z) else FEWEST
    # And those of H(t) itself, of which few samples could miss all that happens.
    power = np.sum(np.abs(np.fft.fft(H, axis=0)[: 2 * MOST + 1]) ** 2, axis=(1, 2))
    beyond = np.append(np.cumsum(power[:0:-1])[::-1], 0.0)
    rounding = (1e-12 * len(H) * np.max(np.abs(H))) ** 2
    own = int(np.argmax(beyond <= (UNSEEN / 2) ** 2 * beyond[0] + rounding))
    many, few = (int(2 ** np.ceil(np.log2(max(n, FEWEST)))) for n in (max(needed, own), 2 * own))
    apart = np.min(np.diff(energies, axis=1), initial=np.inf)
    return Plan(many, few, bool(few <= FEW and apart > APART * few * omega))


@eqx.filter_jit
def samples_of(driven: DrivenSystem, count: int) -> Complex[Array, "t d d"]:
    """H(t) without its trace at 2N + 1 times of a period from 0 on. `count`: N."""
    return jax.vmap(lambda x: traceless(driven.hamiltonian(driven.period * x)))(
        jnp.arange(2 * count + 1) / (2 * count + 1)
    )


def missed(driven: DrivenSystem, H: Complex[Array, "t d d"], times: Float[Array, " t"]) -> Float[Array, ""]:
    """What H(t) is between its samples beside their Fourier series, over what of it moves, root mean squares: a pulse
    that no sample sees, or harmonics that look like lower ones."""
    count, kind = len(H), jnp.finfo(H.dtype)
    shifts = np.exp(2j * np.pi * orders(count) * BETWEEN[:, None] / count)[..., None, None]
    series = jnp.fft.ifft(shifts * jnp.fft.fft(H, axis=0), axis=1)
    between = (times + driven.period / count * BETWEEN[:, None]).reshape(-1)
    exact = jax.vmap(lambda t: traceless(driven.hamiltonian(t)))(between).reshape(series.shape)
    moving = jnp.mean(jnp.abs(exact - jnp.mean(H, axis=0)) ** 2)
    rounding = (100 * kind.eps / UNSEEN * jnp.max(jnp.abs(H))) ** 2 + kind.tiny
    missed = jnp.sqrt(jnp.mean(jnp.abs(exact - series) ** 2) / (moving + rounding))
    return jax.lax.stop_gradient(missed)
