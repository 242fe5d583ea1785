"""Levenberg–Marquardt with Moré's scaling, geodesic acceleration and, near the end, second derivatives of residuals.

Enters: residuals r(z). Leaves: a method whose step is v + a/2,

    v = −(JᵀJ + S + λD²)⁻¹ Jᵀ r,      a = −(JᵀJ + S + λD²)⁻¹ Jᵀ r″[v, v],

D_j the largest length of column j so far (Moré 1978), so that units of parameters do not matter. a is the bend of the
path on which residuals fall straight (Transtrum, Machta, Sethna, Phys. Rev. E 83, 036701 (2011)): data that fix only
combinations of parameters make narrow curved valleys, and coordinates that keep bounds bend them further; to second
order the step does not depend on the coordinates.

S stands for Σ r_i ∂²r_i, which JᵀJ lacks: residuals that stay, as those of noisy data do, make steps without it fall
short by a constant part at the end. It is gathered from the gradients of successive steps (Dennis, Gay, Welsch, ACM
Trans. Math. Softw. 7, 348 (1981)), and is used where it foretold the last change of Σ r² better, and that was small.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._method import AbstractMethod, Goal, expanded

REACH = 0.7
"""No coordinate z moves by more than this times 1 + |z| in a step: what is a logarithm would lose its way."""
BEND = 1.5
"""Largest 2|Da|/|Dv|: beyond it the series has nothing to say, and the step is v alone."""
PROBE = 0.1
"""Part of v over which r″[v, v] is measured, from values of r: a model need not have second derivatives."""
FALL = 0.2
"""λ falls by no less than to this part in a step."""
STAY = 0.05
"""S is used where Σ r² changes by less than this part of itself. (REACH to STAY: few steps of two-qubit fits from eight
starts, and none that does not arrive.)"""
FIRST, LAST = 0.1, 1e12
"""λ to begin with, in units of the longest column; and where no step is left to take."""


class _State(eqx.Module):
    residual: Float[Array, " r"]
    jacobian: Float[Array, "r p"]
    D: Float[Array, " p"]
    S: Float[Array, "p p"]
    trusted: Bool[Array, ""]
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
        one, no = jnp.ones((), r.dtype), jnp.asarray(False)
        nothing = jnp.zeros((z.size, z.size), r.dtype)
        return _State(r, J, jnp.linalg.norm(J, axis=0), nothing, no, FIRST * one, 2 * one, no)

    def step(self, goal: Goal, z: Float[Array, " p"], state: _State) -> tuple[Float[Array, " p"], _State]:
        r, J, S = state.residual, state.jacobian, state.S
        v, a, bent = _directions(goal, z, state)
        trial = z + v + a / 2
        there, slope = expanded(goal, trial)
        before, after = jnp.sum(r**2), jnp.sum(there**2)
        move = trial - z
        # Without S residuals fall straight along the bent path: J v; with it the bend of χ² is in S, as is that of r.
        straight, curved = jnp.sum((r + J @ v) ** 2), jnp.sum((r + J @ move) ** 2) + move @ S @ move
        better = (after <= before) & jnp.all(jnp.isfinite(slope))
        small = jnp.all(jnp.abs(v) <= self.atol + self.rtol * jnp.abs(z))
        small &= jnp.linalg.norm(J @ v) <= self.atol + self.rtol * jnp.sqrt(before)
        # λ after Nielsen: it falls the more, the better the model has foretold the gain.
        expected = before - jnp.where(bent, curved, straight)
        foretold = (before - after) / jnp.maximum(expected, jnp.finfo(r.dtype).tiny)
        damping = state.damping * jnp.where(better, jnp.clip(1 - (2 * foretold - 1) ** 3, FALL, 2.0), state.growth)
        stuck = (damping > LAST) | ~jnp.all(jnp.isfinite(v))
        trusted = (jnp.abs(curved - after) < jnp.abs(straight - after)) & (jnp.abs(before - after) < STAY * before)
        pick = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        moved = _State(
            pick(there, r),
            pick(slope, J),
            jnp.maximum(state.D, pick(jnp.linalg.norm(slope, axis=0), 0.0)),
            pick(_gathered(S, move, (slope - J).T @ there, slope.T @ there - J.T @ r), S),
            trusted,
            damping,
            pick(jnp.full_like(damping, 2.0), 2 * state.growth),
            small | stuck,
        )
        return pick(trial, z), moved

    def finished(self, goal: Goal, z: Float[Array, " p"], state: _State) -> Bool[Array, ""]:
        return state.done


def _directions(
    goal: Goal, z: Float[Array, " p"], state: _State
) -> tuple[Float[Array, " p"], Float[Array, " p"], Bool[Array, ""]]:
    """v and a, and whether S is in them; a is zero where it is too large or not known."""
    r, J = state.residual, state.jacobian
    D = jnp.where(state.D > 0, state.D, 1.0)  # a parameter without effect stays where it is
    downhill, bent = _inverse(J, D, state)
    v = downhill(r)
    v = v / jnp.maximum(jnp.max(jnp.abs(v) / (REACH * (1 + jnp.abs(z)))), 1.0)
    a = downhill(2 / PROBE * ((goal(z + PROBE * v) - r) / PROBE - J @ v))
    little = 2 * jnp.linalg.norm(D * a) <= BEND * jnp.linalg.norm(D * v)  # false for NaN
    return v, jnp.where(little, a, 0.0), bent


def _inverse(
    J: Float[Array, "r p"], D: Float[Array, " p"], state: _State
) -> tuple[Callable[[Array], Float[Array, " p"]], Bool[Array, ""]]:
    """b ↦ −(JᵀJ + S + λD²)⁻¹ Jᵀ b, with the singular values of J D⁻¹ rather than their squares; of S what lies among
    the directions that J sees (all, if no fewer residuals than parameters), and nothing where it is not trusted or
    the sum is not positive. And whether S is in it."""
    U, s, Vt = jnp.linalg.svd(J / D, full_matrices=False)
    length = jnp.sqrt(s**2 + state.damping)
    rows, one = (Vt / D) / length[:, None], jnp.eye(s.size, dtype=s.dtype)
    root: Any = jnp.linalg.cholesky(one + rows @ state.S @ rows.T)  # NaN if not positive
    bent = state.trusted & jnp.all(jnp.isfinite(root))
    root = jnp.where(bent, root, one)
    inverse = jax.scipy.linalg.solve_triangular(root, one, lower=True)
    rows = inverse @ rows
    return (lambda b: -rows.T @ (inverse @ (s / length * (U.T @ b)))), bent


def _gathered(
    S: Float[Array, "p p"], move: Float[Array, " p"], apart: Float[Array, " p"], change: Float[Array, " p"]
) -> Float[Array, "p p"]:
    """S made so that S·move = `apart`, the change of the gradient that J at both ends times the same r leaves, by the
    least change in the metric in which `change` of the whole gradient is dual to the move; first made smaller where it
    is too large along the move, since residuals fall."""
    along, bent = change @ move, move @ S @ move
    tiny = jnp.finfo(S.dtype).tiny
    S = jnp.minimum(1.0, jnp.abs(apart @ move) / jnp.maximum(jnp.abs(bent), tiny)) * S
    left = apart - S @ move
    sides = jnp.outer(left, change)
    new = S + (sides + sides.T) / along - (left @ move) * jnp.outer(change, change) / along**2
    return jnp.where((along > 0) & jnp.all(jnp.isfinite(new)), new, S)
