"""Synthetic repetitions of a fit.

Enters: a fitted problem. Leaves: estimates and standard deviations of many fits to data drawn around its predictions,
all in one compiled program; how often intervals hold the value that made the data.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import InputError
from ._information import RANK, Information
from ._methods import as_method
from ._parameters import Parameters
from ._problem import Problem, examine
from ._runner import descend
from ._verdict import BOUND, BOUND_SCALE, CLOSE

TURNS = 6
"""So often are errors that follow predictions made anew: each time what is left falls by about a relative error."""
BATCH = 250
"""Fits at a time: enough to fill the processor, few enough for its memory."""


class Simulation(eqx.Module):
    """Fits of synthetic data.

    - `names`, `truth` [p]: the parameters that made the data.
    - `estimates`, `sigmas`: [n, p]; `chi_squared`: [n]; `converged`: [n].
    - `degrees_of_freedom`: of Student's t where errors were estimated, else None (normal).
    """

    names: tuple[str, ...] = eqx.field(static=True)
    truth: Float[np.ndarray, " p"]
    estimates: Float[np.ndarray, "n p"]
    sigmas: Float[np.ndarray, "n p"]
    chi_squared: Float[np.ndarray, " n"]
    converged: np.ndarray
    degrees_of_freedom: int | None = eqx.field(static=True)

    def coverage(self, level: float = 0.95) -> dict[str, float]:
        """Part of all repetitions whose interval holds the truth, by parameter; one that did not converge does not."""
        from scipy.stats import norm, t

        dof = self.degrees_of_freedom
        q = norm.ppf((1 + level) / 2) if dof is None else t.ppf((1 + level) / 2, dof)
        held = np.abs(self.estimates - self.truth) <= q * self.sigmas
        held &= self.converged[:, None]
        return dict(zip(self.names, map(float, held.mean(axis=0)), strict=True))


def simulate(
    problem: Problem,
    theta: np.ndarray,
    information: Information,
    chi_squared: float,
    count: int,
    seed: int,
    dof: int | None,
) -> Simulation:
    """`count` repetitions, each from θ. `chi_squared` there tells the errors where they are not known."""
    if count < 1:
        raise InputError(f"repeat: at least one repetition is needed; got {count}.")
    priors = problem.priors
    if priors.index.size or priors.function is not None:
        raise InputError("repeat: with priors the truth would have to be drawn from them as well; fit without.")
    if information.rank < len(theta):
        raise InputError(
            f"repeat: the data fix {information.rank} of {len(theta)} parameters, so the others would end anywhere: "
            + " ".join(str(one) for one in information.undetermined if np.isinf(one.deviation))
            + " Keep some fixed and fit again."
        )
    # Errors of unknown size: J was divided by the estimated one, sizes are in proportion.
    size = 1.0 if dof is None else float(np.sqrt(chi_squared / dof) / problem.unit)
    start = problem.model.parameters.inward(_inside(problem.model.parameters, theta, information.sigmas))
    key = jax.random.key(seed)
    out = _simulate(problem, jnp.asarray(theta), jnp.asarray(start), jnp.asarray(size), count, key, dof is None)
    estimates, sigmas, chi, distance = (np.asarray(x) for x in out)
    if dof is not None:
        scatter = np.sqrt(chi / dof)[:, None]
        sigmas, distance = sigmas * scatter, distance / scatter[:, 0]
    return Simulation(
        information.names, theta, estimates, sigmas, chi * float(problem.unit) ** 2, distance < CLOSE, dof
    )


def _inside(given: Parameters, theta: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Where repetitions start: half a standard deviation inside bounds. At a bound itself the smooth map is flat, and
    no optimiser would come away from it."""
    lower, upper = np.asarray(given.lower), np.asarray(given.upper)
    margin = np.where(np.isfinite(sigmas), np.minimum(0.5 * sigmas, 0.25 * (upper - lower)), 0.0)
    return np.clip(theta, lower + margin, upper - margin)


@eqx.filter_jit
def _simulate(problem: Problem, theta: Array, z: Array, size: Array, count: int, key: Array, known: bool):
    method = as_method("levenberg-marquardt", True, "repeat", scaled=known)
    mean = problem.predicted(theta)

    def once(drawn: Problem, z: Array) -> Array:
        return descend(drawn.squares(), method, z, jnp.asarray(method.steps)).z

    def again(drawn: Problem, z: Array) -> tuple[Problem, Array]:
        """With errors that follow the predictions."""

        def turn(_, now: tuple) -> tuple:
            mine = eqx.tree_at(lambda p: p.sigma, drawn, now[1])
            z = once(mine, now[0])
            return z, mine.errors(mine.predicted(mine.model.parameters.outward(z)))

        z, sigma = jax.lax.fori_loop(0, TURNS, turn, (z, drawn.sigma))
        return eqx.tree_at(lambda p: p.sigma, drawn, sigma), z

    def one(key: Array) -> tuple:
        y = mean + size * problem.sigma * jax.random.normal(key, mean.shape)
        drawn = eqx.tree_at(lambda p: (p.y, p.sigma), problem, (y, jnp.asarray(problem.sigma)))
        drawn, end = (drawn, once(drawn, z)) if problem.relative is None else again(drawn, z)
        found = examine(drawn, end)
        norms = jnp.linalg.norm(found.jacobian, axis=0)
        R: Any = jnp.linalg.qr(found.jacobian / norms, mode="r")
        inverse = jnp.linalg.inv(R)
        sigmas = jnp.sqrt(jnp.sum(inverse**2, axis=1)) / norms
        return found.theta, sigmas, jnp.sum(found.residuals**2), _distance(problem.model.parameters, found)

    return jax.lax.map(one, jax.random.split(key, count), batch_size=min(BATCH, count))


def _distance(given: Parameters, found: Any) -> Array:
    """As of a fit (`_verdict.distance`): in parameters that no bound holds."""
    alone = 1 / jnp.linalg.norm(found.jacobian, axis=0)
    close = jnp.maximum(BOUND * alone, BOUND_SCALE * given.scale)
    slope = found.jacobian.T @ found.residuals
    held = ((found.theta - given.lower <= close) & (slope > 0)) | ((given.upper - found.theta <= close) & (slope < 0))
    J = jnp.where(held, 0.0, found.jacobian * alone)
    Q, R = jnp.linalg.qr(J, mode="reduced")  # pyright: ignore
    U, s, _ = jnp.linalg.svd(R)  # pyright: ignore
    return jnp.linalg.norm(jnp.where(s > RANK * s[0], U.T @ (Q.T @ found.residuals), 0.0))
