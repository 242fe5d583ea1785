"""Synthetic repetitions of a fit.

Takes: a fitted problem. Returns: estimates and standard deviations of many fits to data drawn around its predictions,
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
from ._problem import Point, Problem, examine
from ._seek import descend
from ._verdict import BOUND, BOUND_SCALE, CLOSE

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

        upper, dof = (1 + level) / 2, self.degrees_of_freedom
        q = norm.ppf(upper) if dof is None else t.ppf(upper, dof)
        held = (np.abs(self.estimates - self.truth) <= q * self.sigmas) & self.converged[:, None]
        return dict(zip(self.names, map(float, held.mean(axis=0)), strict=True))


def simulate(
    problem: Problem, sigma: np.ndarray, information: Information, chi_squared: float, count: int, seed: int, dof: Any
) -> Simulation:
    """`count` repetitions with errors `sigma`, each from the estimates. `chi_squared` there tells the size of the
    errors where they are not known (`dof` then is the number of degrees of freedom, else None)."""
    if count < 1:
        raise InputError(f"repeat: at least one repetition is needed; got {count}.")
    if not problem.priors.none:
        raise InputError("repeat: with priors the truth would have to be drawn from them as well; fit without.")
    theta, parameters = information.values, problem.model.parameters
    if information.rank < len(theta):
        raise InputError(
            f"repeat: the data fix {information.rank} of {len(theta)} parameters, so the others would end anywhere: "
            f"{information.unseen} Keep some fixed and fit again."
        )
    # Half a standard deviation inside bounds: at a bound itself the smooth map is flat, and no optimiser would come
    # away from it.
    lower, upper = np.asarray(parameters.lower), np.asarray(parameters.upper)
    margin = np.minimum(0.5 * information.sigmas, 0.25 * (upper - lower))
    z = parameters.to_coordinates(np.clip(theta, lower + margin, upper - margin))
    # Errors of unknown size: J was divided by the estimated one, sizes are in proportion.
    size = 1.0 if dof is None else float(np.sqrt(chi_squared / dof) / problem.unit)
    key = jax.random.key(seed)
    out = _simulated(
        problem, jnp.asarray(theta), jnp.asarray(z), jnp.asarray(sigma), jnp.asarray(size), count, key, dof is None
    )
    estimates, sigmas, chi, distance = (np.asarray(x) for x in out)
    if dof is not None:
        scatter = np.sqrt(chi / dof)
        sigmas, distance = sigmas * scatter[:, None], distance / scatter
    chi = chi * float(problem.unit) ** 2
    return Simulation(information.names, theta, estimates, sigmas, chi, distance < CLOSE, dof)


@eqx.filter_jit
def _simulated(problem: Problem, theta: Array, z: Array, sigma: Array, size: Any, count: int, key: Array, known: bool):
    method = as_method("levenberg-marquardt", scaled=known)
    scale = jnp.asarray(problem.model.parameters.scale)
    mean = problem.goal(scale, sigma).predicted(theta)[problem.row]

    def one(key: Array) -> tuple:
        y = mean + size * sigma * jax.random.normal(key, mean.shape)
        drawn = eqx.tree_at(lambda p: p.y, problem, y)
        end, errors = descend(drawn, method, z, scale, sigma, jnp.asarray(method.steps))
        point = examine(drawn.goal(scale, errors), end.z)
        norms = jnp.linalg.norm(point.jacobian, axis=0)
        R: Any = jnp.linalg.qr(point.jacobian / norms, mode="r")
        sigmas = jnp.linalg.norm(jnp.linalg.inv(R), axis=1) / norms
        return point.theta, sigmas, jnp.sum(point.residuals**2), _distance(problem.model.parameters, point)

    return jax.lax.map(one, jax.random.split(key, count), batch_size=min(BATCH, count))


def _distance(parameters: Parameters, point: Point) -> Array:
    """As of a fit (`_verdict`): in parameters that no bound holds."""
    alone = 1 / jnp.linalg.norm(point.jacobian, axis=0)
    close = jnp.maximum(BOUND * alone, BOUND_SCALE * parameters.scale)
    slope = point.jacobian.T @ point.residuals
    lower = (point.theta - parameters.lower <= close) & (slope > 0)
    upper = (parameters.upper - point.theta <= close) & (slope < 0)
    J: Any = jnp.where(lower | upper, 0.0, point.jacobian * alone)
    U, s, _ = jnp.linalg.svd(J, full_matrices=False)
    return jnp.linalg.norm(jnp.where(s > RANK * s[0], U.T @ point.residuals, 0.0))
