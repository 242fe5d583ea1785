"""The numbers behind a diagnosis of a quasi-free model.

Takes: a model about its steady state, a polynomial V, its strength δ. Returns: what V does to normal frequencies to
first order, how that compares with damping and with the memory of the baths. The levels of an oscillator are equally
spaced, so a group is a normal frequency, or several that coincide; V splits it where it joins coincident modes, and
where its quartic part makes the frequency depend on the occupation.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._compiled import compiled
from .._equations import Unified, Validity
from .._generator import NEGLIGIBLE, Facts
from .._polynomials import Polynomial, Symbol, symmetric_average
from ..errors import UnstableHamiltonianError
from ._dynamics import damping_rates, group_gap, memory
from ._expansion import rate_scale
from ._first_order import LevelChange, level_change
from ._frame import Frame
from ._model import QuasiFree
from ._modes import clustered, normal_modes


def mode_facts(model: QuasiFree, at: Frame, V: Polynomial, delta: float, validity: Validity) -> Facts:
    """All of them, for known values. `validity`: of `Davies`."""
    parts, rates, memories, width = _measured(model, V.coefficients, at)
    omega, kappa = np.asarray(at.modes.frequencies), np.asarray(rates)
    n = np.real(np.diag(np.asarray(at.contraction)[model.modes :, : model.modes]))  # ⟨d_k†d_k⟩
    shifts = np.zeros(model.modes)
    rows = []
    form = delta * np.asarray(_hopping(parts.W, model.modes))
    quartic = np.abs(delta * np.asarray(_self(parts.W, model.modes)))
    labels = np.argmax(np.abs(omega[:, None] - omega[None, :]) <= 1e-9 * omega[-1], axis=1)
    for label in np.unique(labels):
        group = np.flatnonzero(labels == label)
        shifts[group] = np.linalg.eigvalsh(form[np.ix_(group, group)])
        spread = np.ptp(shifts[group]) + np.max(2 * quartic[group] * np.sqrt(n[group] * (n[group] + 1)))
        if kappa[group].max() > 0:
            rows.append((omega[group].mean(), group.size, spread, 1 / kappa[group].max()))
    frequencies, members, splittings, times = np.array(rows).T
    damped = kappa > 1e-12 * kappa.max()
    largest = max(float(jnp.max(jnp.abs(c))) for c in V.coefficients)
    size = NEGLIGIBLE * abs(delta) * largest
    splits = bool(np.any(splittings > size))
    angle = jnp.sqrt(jnp.maximum(-jnp.real(symmetric_average(parts.G, parts.G, at.contraction)), 0.0))
    return Facts(
        level_shifts=jnp.asarray(shifts),
        rotation=abs(delta) * angle,
        frequencies=jnp.asarray(frequencies),
        members=jnp.asarray(members.astype(int)),
        splittings=jnp.asarray(splittings),
        relaxation_times=jnp.asarray(times),
        validity=validity,
        separation=validity.separation,
        correlation_times=memories,
        relaxation_rate=jnp.max(rates),
        cluster_width=width,
        floor=jnp.asarray(1e-12 * omega[-1] * kappa.max()),
        least=jnp.asarray(1e-9 * largest / omega[-1]),
        clusters_change=_change(model, V, delta, width),
        moves=splits or bool(np.max(np.abs(shifts[damped]), initial=0.0) > size),
        splits=splits,
    )


@compiled
def _measured(model: QuasiFree, V: Symbol, at: Frame) -> tuple[LevelChange, Array, Array, Array]:
    parts = level_change(at.bohr(V), at, rate_scale(model))
    wick = LevelChange(at.from_bohr(parts.G), at.from_bohr(parts.W))
    width = group_gap(at.modes, model, Unified())
    return wick, damping_rates(at.modes, model), memory(at.modes, model), width


def _hopping(W: Symbol, modes: int) -> Array:
    """The coefficients of d_k†d_l, averaged over the other operators by Wick's order."""
    return 2 * W[2][modes:, :modes] if len(W) > 2 else jnp.zeros((modes, modes))


def _self(W: Symbol, modes: int) -> Array:
    """The coefficients of d_k†² d_k²."""
    k = jnp.arange(modes)
    return 6 * W[4][k + modes, k + modes, k, k] if len(W) > 4 else jnp.zeros(modes)


def _change(model: QuasiFree, V: Polynomial, delta: float, width: Array) -> bool:
    """Whether the clusters of `Unified` at δ differ from those at zero; not known for a V that leaves the family."""
    if V.degree > 2:
        return False
    try:
        perturbed = model.perturbed(V, delta)
    except UnstableHamiltonianError:
        return True

    def count(m: QuasiFree) -> int:
        nominal = clustered(normal_modes(m).frequencies, width)
        return np.unique(np.round(np.asarray(nominal), 12)).size

    return count(model) != count(perturbed)
