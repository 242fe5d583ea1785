"""Levenberg–Marquardt with Moré's scaling and geodesic acceleration.

Enters: residuals r(z). Leaves: a method whose step is v + a/2,

    v = −(JᵀJ + λD²)⁻¹ Jᵀ r,      a = −(JᵀJ + λD²)⁻¹ Jᵀ r″[v, v],

D_j the largest length of column j so far (Moré 1978), so that units of parameters do not matter. a is the bend of the
path on which residuals fall straight (Transtrum, Machta, Sethna, Phys. Rev. E 83, 036701 (2011)): data that fix only
combinations of parameters make narrow curved valleys, and coordinates that keep bounds bend them further; to second
order the step does not depend on the coordinates.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._method import AbstractMethod, Goal, expanded

REACH = 0.5
"""No coordinate z moves by more than this times 1 + |z| in a step: what is a logarithm would lose its way."""
BEND = 1.5
"""Largest 2|Da|/|Dv|: beyond it the series has nothing to say, and the step is v alone."""
PROBE = 0.1
"""Part of v over which r″[v, v] is measured, from values of r: a model need not have second derivatives."""
FALL = 0.2
"""λ falls by no less than to this part in a step. (The four: fewest steps of two-qubit fits from eight starts.)"""
FIRST, LAST = 0.1, 1e12
"""λ to begin with, in units of the longest column; and where no step is left to take."""


class _State(eqx.Module):
    residual: Float[Array, " r"]
    jacobian: Float[Array, "r p"]
    D: Float[Array, " p"]
    damping: Float[Array, ""]
    growth: Float[Array, ""]
    done: Bool[Array, ""]


class LevenbergMarquardt(AbstractMethod):
    """It has arrived when a step changes coordinates and residuals by less than `atol` + `rtol` of them."""

    rtol: float
    atol: float
    steps: int = eqx.field(static=True)

    def init(self, goal: Goal, z: Float[Array, " p"]) -> _State:
        r, J = expanded(goal, z)
        one = jnp.ones((), r.dtype)
        return _State(r, J, jnp.linalg.norm(J, axis=0), FIRST * one, 2 * one, jnp.asarray(False))

    def step(self, goal: Goal, z: Float[Array, " p"], state: _State) -> tuple[Float[Array, " p"], _State]:
        r, J = state.residual, state.jacobian
        v, a = _directions(goal, z, state)
        trial = z + v + a / 2
        there, slope = expanded(goal, trial)
        before, after, expected = jnp.sum(r**2), jnp.sum(there**2), jnp.sum((r + J @ v) ** 2)
        better = (after <= before) & jnp.all(jnp.isfinite(slope))
        small = jnp.all(jnp.abs(v) <= self.atol + self.rtol * jnp.abs(z))
        small &= jnp.linalg.norm(J @ v) <= self.atol + self.rtol * jnp.sqrt(before)
        # λ after Nielsen: it falls the more, the better the linear model has foretold the gain.
        foretold = (before - after) / jnp.maximum(before - expected, jnp.finfo(r.dtype).tiny)
        fall = jnp.clip(1 - (2 * foretold - 1) ** 3, FALL, 2.0)
        damping = state.damping * jnp.where(better, fall, state.growth)
        stuck = (damping > LAST) | ~jnp.all(jnp.isfinite(v))
        pick = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        moved = _State(
            pick(there, r),
            pick(slope, J),
            jnp.maximum(state.D, pick(jnp.linalg.norm(slope, axis=0), 0.0)),
            damping,
            pick(jnp.full_like(damping, 2.0), 2 * state.growth),
            small | stuck,
        )
        return pick(trial, z), moved

    def finished(self, goal: Goal, z: Float[Array, " p"], state: _State) -> Bool[Array, ""]:
        return state.done


def _directions(goal: Goal, z: Float[Array, " p"], state: _State) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
    """v and a; a is zero where it is too large or not known."""
    r, J = state.residual, state.jacobian
    D = jnp.where(state.D > 0, state.D, 1.0)  # a parameter without effect stays where it is
    U, s, Vt = jnp.linalg.svd(J / D, full_matrices=False)
    filtered = s / (s**2 + state.damping)
    descend = lambda b: -(Vt.T @ (filtered * (U.T @ b))) / D  # noqa: E731
    v = descend(r)
    v = v / jnp.maximum(jnp.max(jnp.abs(v) / (REACH * (1 + jnp.abs(z)))), 1.0)
    bent = 2 / PROBE * ((goal(z + PROBE * v) - r) / PROBE - J @ v)
    a = descend(bent)
    little: Any = 2 * jnp.linalg.norm(D * a) <= BEND * jnp.linalg.norm(D * v)  # false for NaN
    bend: Any = jnp.where(little, a, 0.0)
    return v, bend
