"""The numbers behind `diagnose` for a quasi-free model.

Enters: a model, a polynomial V, its strength δ. Leaves: what V does to normal frequencies to first order, how that
compares with damping and with the memory of the baths. The levels of an oscillator are equally spaced, so a group is
a normal frequency, or several that coincide; V splits it where it joins coincident modes, and where its quartic part
makes the frequency depend on the occupation.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._equations import AbstractEquation, Davies, Local, Unified
from .._oscillators import QuasiFree
from .._polynomials import Polynomial, Symbol, symmetric_average
from .._quasifree import (
    Frame,
    Turned,
    clustered,
    damping_rates,
    framed,
    gaussian_currents,
    gaussian_separation,
    memory,
    normal_modes,
    rate_scale,
    turned,
    unified_gap,
)
from ..errors import LambShiftError, SingularDensityError, UnstableHamiltonianError
from ._oscillators_thermodynamic import quasifree_thermodynamics

NEGLIGIBLE = 1e-9


class Facts(NamedTuple):
    """As the fields of `Diagnosis`; `coupled_shift`: the largest shift of a damped mode."""

    shifts: Array
    rotation: Array
    frequencies: Array
    members: Array
    splittings: Array
    times: Array
    separation: Array
    memory: Array
    fast: Array
    width: Array
    local_error: Array
    lamb_effect: Array
    clusters_change: bool
    coupled_shift: float
    size: float


def oscillator_facts(model: QuasiFree, V: Polynomial, delta: float) -> Facts:
    """All of them, for known values."""
    at = framed(model, Davies())
    parts, rates, remembered, width = _measured(model, V.coefficients, at)
    omega, kappa = np.asarray(at.modes.frequencies), np.asarray(rates)
    n = np.real(np.diag(np.asarray(at.contraction)[model.modes :, : model.modes]))  # ⟨d_k†d_k⟩
    shifts = np.zeros(model.modes)
    rows = []
    form = delta * np.asarray(_hopping(parts.W, model.modes))
    quartic = np.abs(delta * np.asarray(_self(parts.W, model.modes)))
    labels = np.argmax(np.abs(omega[:, None] - omega[None, :]) <= 1e-9 * omega[-1], axis=1)
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        shifts[here] = np.linalg.eigvalsh(form[np.ix_(here, here)])
        spread = np.ptp(shifts[here]) + np.max(2 * quartic[here] * np.sqrt(n[here] * (n[here] + 1)))
        if kappa[here].max() > 0:
            rows.append((omega[here].mean(), here.size, spread, 1 / kappa[here].max()))
    frequencies, members, splittings, times = (jnp.asarray(x) for x in np.array(rows).T)
    local_error, lamb_effect = _compared(model, V)
    damped = kappa > 1e-12 * kappa.max()
    return Facts(
        jnp.asarray(shifts),
        abs(delta) * jnp.sqrt(jnp.maximum(-jnp.real(symmetric_average(parts.G, parts.G, at.contraction)), 0.0)),
        frequencies,
        members.astype(int),
        splittings,
        times,
        gaussian_separation(model, Davies()),
        remembered,
        jnp.max(rates),
        width,
        local_error,
        lamb_effect,
        _change(model, V, delta, width),
        float(np.max(np.abs(shifts[damped]), initial=0.0)),
        NEGLIGIBLE * abs(delta) * max(float(jnp.max(jnp.abs(c))) for c in V.coefficients),
    )


@eqx.filter_jit
def _measured(model: QuasiFree, V: Symbol, at: Frame) -> tuple[Turned, Array, Array, Array]:
    parts = turned(at.bohr(V), at, rate_scale(model))
    wick = Turned(at.from_bohr(parts.G), at.from_bohr(parts.W))
    return wick, damping_rates(at.modes, model), memory(at.modes, model), unified_gap(at.modes, model, Unified())


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
        moved = model.perturbed(V, delta)
    except UnstableHamiltonianError:
        return True
    before, after = (clustered(normal_modes(m).frequencies, width) for m in (model, moved))
    count = lambda nominal: np.unique(np.round(np.asarray(nominal), 12)).size  # noqa: E731
    return bool(count(before) != count(after))


def _compared(model: QuasiFree, V: Polynomial) -> tuple[Array, Array]:
    """What `Local` misses of the slope of the heat currents, and what a Lamb shift changes of them and of their
    slope, both relative to `Unified`."""
    unknown = jnp.asarray(jnp.nan)
    try:
        J, slope = _currents(model, V, Unified())
    except SingularDensityError:
        return unknown, unknown
    modes = normal_modes(model)
    floor = 1e-12 * modes.frequencies[-1] * jnp.max(damping_rates(modes, model))
    if jnp.max(jnp.abs(J)) <= floor:
        return unknown, unknown
    largest = max(float(jnp.max(jnp.abs(c))) for c in V.coefficients)
    least = 1e-9 * jnp.max(jnp.abs(J)) * largest / modes.frequencies[-1]
    relative = lambda other, own: jnp.max(jnp.abs(other - own)) / jnp.maximum(jnp.max(jnp.abs(own)), least)  # noqa: E731
    local = relative(_currents(model, V, Local(model))[1], slope)
    try:
        shifted = _currents(model, V, Unified(lamb_shift=True))
    except LambShiftError:
        return local, unknown
    return local, jnp.maximum(relative(shifted[0], J), relative(shifted[1], slope))


def _currents(model: QuasiFree, V: Polynomial, equation: AbstractEquation) -> tuple[Array, Array]:
    slope = quasifree_thermodynamics(model, V, equation).heat_currents.static().total
    return gaussian_currents(model, equation, framed(model, equation).state), slope
