"""The first order of a model in V, as functionals on symbols.

Takes: the frame of a model's steady state, a polynomial V. Returns: the functionals ⟨L₁†·⟩ by mechanism and bath, and
whether V has secular terms at all.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._compiled import compiled
from .._equations import AbstractEquation
from .._polynomials import Symbol, plus
from ._distinct import distinct_dissipative, distinct_kubo
from ._dynamics import one_noise_each
from ._first_order import dissipative, kubo, level_change
from ._flow import sums
from ._frame import Frame, about_minimum
from ._model import QuasiFree
from ._modes import NormalModes


def total(parts: tuple[Symbol, ...]) -> Symbol:
    """Σ of symbols."""
    added = parts[0]
    for part in parts[1:]:
        added = plus(added, part)
    return added


def rate_scale(model: QuasiFree) -> Float[Array, ""]:
    """The shortest frequency over which a rate changes."""
    noises = [noise for bath in model.baths for noise in bath.noises]
    return jnp.min(jnp.stack([noise.spectrum.scale(noise.temperature) for noise in noises]))


@compiled
def has_secular_terms(modes: NormalModes, V: Symbol) -> Array:
    """Whether V has terms at Bohr frequency zero beyond rounding, other than a constant; generous."""
    symbol = about_minimum(V, modes)
    size = jnp.max(jnp.stack([jnp.max(jnp.abs(v)) for v in symbol]))
    near = 1e-3 * modes.frequencies[-1]
    inside = [jnp.where(jnp.abs(sums(modes.signed, k)) <= near, jnp.abs(v), 0.0) for k, v in enumerate(symbol) if k]
    return jnp.any(jnp.stack([jnp.max(v) for v in inside]) > 1e-13 * size)


def expanded(
    model: QuasiFree, V: Symbol, equation: AbstractEquation, at: Frame, degree: int, shifts: bool
) -> tuple[Symbol, tuple[Symbol, ...], tuple[Symbol, ...]]:
    """The functionals X ↦ Σ f·X of kubo, and of rotation and shift for each bath, for X up to a degree. `shifts`:
    whether V may have secular terms."""
    commutator = distinct_kubo(at.wick(V), at, degree) if at.diagonal else kubo(V, at, degree)
    zero = tuple(jnp.zeros_like(x) for x in commutator)
    baths = range(len(model.baths))
    if not equation.follows or len(V) < 2:
        return commutator, (zero,) * len(baths), (zero,) * len(baths)
    levels = level_change(at.bohr(V), at, rate_scale(model))
    part = distinct_dissipative if at.diagonal else dissipative
    both = part(levels, at, one_noise_each(model), equation, degree, shifts)

    def pick(bath: int, which: int) -> Symbol:
        return tuple(f[bath, which] for f in both)

    shifted = tuple(pick(b, 1) for b in baths) if shifts else (zero,) * len(baths)
    return commutator, tuple(pick(b, 0) for b in baths), shifted
