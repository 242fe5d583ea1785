"""A model and its data as residuals.

Takes: `predict`, parameters, data, priors. Returns: the residuals r(θ) = (f(θ) − y)/σ, followed by those of priors,
(θ − mean)/width (a prior counts as one more measurement); and what is to be known at a point θ: their Jacobian, bounds
that hold parameters, the distance from a minimum.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._generator import Judgement, verdict_on
from .._inputs import as_function, as_mapping
from ..errors import DataError, InputError
from ._data import Data
from ._parameters import Parameters, addressed, nearest

Predict = Callable[[Any, dict[str, Array]], Any]
"""(parameters, coordinates of one point) ↦ what is measured there; of all points at once where so declared."""

TOLERANCE = 1e-9  # relative change of residuals and coordinates at which optimisers have converged
RANK = 1e-9  # singular values below this part of the largest are rounding
VANISHING = 1e-5  # predictions below this part of the largest have no error that is a part of them
BOUND, BOUND_SCALE = 0.01, 1e-6  # distance from a bound that holds, in standard deviations or scales


class Model(eqx.Module):
    """`predict` over points, its results in the order of the data's observables."""

    predict: Predict
    parameters: Parameters
    observables: tuple[str, ...] = eqx.field(static=True)

    def by_name(self, theta: Float[Array, " p"], x: Mapping[str, Any]) -> dict[str, Array]:
        """Predictions at points x, [n, ...] by observable."""
        points = {name: jnp.asarray(values) for name, values in x.items()}
        out = jax.vmap(self.predict, (None, 0))(self.parameters.tree(theta), points)
        named = out if isinstance(out, Mapping) else {self.observables[0]: out}
        return {name: jnp.asarray(named[name]) for name in self.observables}

    @eqx.filter_jit
    def verdicts(self, theta: Float[Array, " p"], x: Mapping[str, Any]) -> Judgement:
        """That on what `predict` asks, at each point, [n]."""
        points = {name: jnp.asarray(values) for name, values in x.items()}
        return jax.vmap(verdict_on(self.predict), (None, 0))(self.parameters.tree(theta), points)

    @eqx.filter_jit
    def with_jacobian(self, theta: Float[Array, " p"], x: Mapping[str, Any]) -> tuple[dict, dict]:
        """The same, and derivatives in the parameters [n, ..., p]."""
        return self.by_name(theta, x), jax.jacfwd(self.by_name)(theta, x)


class Point(eqx.Module):
    """A point in parameter space: residuals and their Jacobian in the parameters; the bounds that hold parameters (−1
    lower, +1 upper, 0 none); the distance from a minimum in standard deviations, √(gᵀF⁻¹g) with the gradient g of χ²/2,
    in the parameters that no bound holds."""

    theta: Float[Array | np.ndarray, " p"]
    residuals: Float[Array | np.ndarray, " r"]
    jacobian: Float[Array | np.ndarray, "r p"]
    held: Int[Array | np.ndarray, " p"]
    distance: Float[Array | np.ndarray, ""]


class Problem(eqx.Module):
    """What is fitted. `used` picks the numbers that are used out of all measured ones; `y`, `fixed` (their errors),
    `relative` (errors in parts of the prediction) and `largest` (the largest number of the same observable) are theirs.
    `x` holds repeated settings once, `row` says where among the predictions there each number is. `mean` and `width`
    are those of priors (infinite width: none). `unit`: in which errors are counted where they are not known
    (`known`)."""

    model: Model
    x: dict[str, Any]
    row: Int[Array | np.ndarray, " m"]
    used: Int[Array | np.ndarray, " m"]
    y: Float[Array | np.ndarray, " m"]
    fixed: Float[Array | np.ndarray, " m"]
    relative: Float[Array | np.ndarray, " m"] | None
    largest: Float[Array | np.ndarray, " m"]
    mean: Float[Array | np.ndarray, " p"]
    width: Float[Array | np.ndarray, " p"]
    unit: Float[Array | np.ndarray, ""]
    known: bool = eqx.field(static=True)

    def distinct(self, theta: Float[Array, " p"]) -> Float[Array, " k"]:
        """f(θ), settings that repeat once."""
        return jnp.concatenate([y.reshape(-1) for y in self.model.by_name(theta, self.x).values()])

    def predicted(self, theta: Float[Array, " p"]) -> Float[Array, " m"]:
        """f(θ) of the numbers that are used."""
        return self.distinct(theta)[self.row]

    def residuals(self, theta: Float[Array, " p"], sigma: Float[Array, " m"]) -> Float[Array, " r"]:
        """r(θ) with these errors."""
        return jnp.concatenate([(self.predicted(theta) - self.y) / sigma, (theta - self.mean) / self.width])

    def errors(self, values: Any, floor: float = VANISHING) -> Any:
        """σ where these are the true values; what is a part of them, as if none were smaller than `floor` of the
        largest number."""
        if self.relative is None:
            return self.fixed
        return jnp.hypot(self.fixed, self.relative * jnp.maximum(jnp.abs(values), floor * self.largest))


def linearised(f: Callable[[Array], Array], x: Float[Array, " p"]) -> tuple[Array, Array]:
    """A function at x, and its derivatives [r, p]."""
    value, push = jax.linearize(f, x)
    return value, jax.vmap(push, out_axes=1)(jnp.eye(x.size, dtype=x.dtype))


def evaluate(problem: Problem, theta: Float[Array, " p"], sigma: Float[Array, " m"]) -> Point:
    """What is at θ with errors σ. Where their size is not known, standard deviations are those that the residuals at θ
    tell."""
    parameters, size = problem.model.parameters, jnp.ones(())
    r, J = linearised(lambda theta: problem.residuals(theta, sigma), theta)
    if not problem.known:
        size = jnp.maximum(jnp.linalg.norm(r) / jnp.sqrt(max(len(problem.y) - theta.size, 1)), TOLERANCE)
    norms = jnp.linalg.norm(J, axis=0)
    alone: Any = jnp.where(norms > 0, 1 / jnp.maximum(norms, 1e-300), 0.0)  # σ of an entry if all else were known
    close, slope = jnp.maximum(BOUND * size * alone, BOUND_SCALE * parameters.scale), J.T @ r
    lower, upper = theta - parameters.lower <= close, parameters.upper - theta <= close
    held = (upper & (slope < 0)).astype(int) - (lower & (slope > 0))
    # The length of what a Gauss–Newton step takes off the residuals.
    alone = jnp.asarray(jnp.where(held == 0, alone, 0.0))
    U, s, _ = jnp.linalg.svd(J * alone, full_matrices=False)
    distance = jnp.linalg.norm(jnp.where(s > RANK * jnp.maximum(s[0], 1e-300), U.T @ r, 0.0)) / size
    finite = jnp.all(jnp.isfinite(r)) & jnp.all(jnp.isfinite(J))
    return Point(theta, r, J, held, jnp.where(finite, 1.0, jnp.nan) * distance)


def settings_of(data: Data) -> tuple[dict[str, Array], np.ndarray]:
    """Settings to predict at, those that repeat once, and where among all that is predicted there each measured number
    is."""
    # A skipped point must not make NaN in derivatives: it is predicted somewhere harmless, and left out.
    x = {name: np.where(np.isfinite(v), v, v[np.isfinite(v)][0]) for name, v in data.coordinates.items()}
    table, setting = np.unique(np.stack(list(x.values())), axis=1, return_inverse=True)
    rows, start, count = [], 0, table.shape[1]
    for y in data.observables.values():
        inner = y.size // len(y)
        rows.append((start + setting.reshape(-1, 1) * inner + np.arange(inner)).reshape(-1))
        start += count * inner
    return {name: jnp.asarray(column) for name, column in zip(x, table, strict=True)}, np.concatenate(rows)


def priors_of(priors: Mapping[str, Any] | None, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and width [p] from pairs (mean, standard deviation) by name."""
    mean, width = np.zeros(len(names)), np.full(len(names), np.inf)
    for key, pair in as_mapping(priors, "fit: priors").items():
        at = addressed(key, names, "fit: priors")
        if np.isfinite(width[at]).any():
            raise InputError(f"fit: {key!r} has two priors; keep one.")
        try:
            mean[at], width[at] = (float(x) for x in pair)
        except (TypeError, ValueError):
            raise InputError(f"fit: the prior of {key!r} is a pair (mean, deviation); got {pair!r}.") from None
        if not np.isfinite([*mean[at], *width[at]]).all() or not (width[at] > 0).all():
            raise InputError(f"fit: the prior of {key!r} needs a finite mean and a positive width; got {pair!r}.")
    return mean, width


def model_of(
    predict: Predict,
    parameters: Parameters,
    coordinates: Mapping[str, Any],
    measured: Mapping[str, np.ndarray] | None,
    where: str,
) -> Model:
    """The model of measured observables, or of all that are predicted (a number without a name is called "value").

    **Raises:** `DataError` where it asks for coordinates that the data lack, or returns other observables or shapes.
    """

    as_function(predict, f"{where}: predict")

    def number(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float64)

    params = jax.tree.unflatten(parameters.structure, [number(shape) for shape in parameters.shapes])
    try:
        out = jax.eval_shape(predict, params, {name: number(()) for name in coordinates})
    except KeyError as error:
        known = f"one of {list(parameters.names)}, nor a coordinate; {nearest(str(error.args[0]), coordinates)}"
        raise DataError(f"{where}: predict asks for {error}, which is neither a parameter, {known}") from error
    if not isinstance(out, Mapping):
        if measured is not None and len(measured) > 1:
            raise DataError(f"{where}: the data hold {list(measured)}; predict must return a dictionary of these.")
        out = {next(iter(measured or ["value"])): out}
    if lost := [name for name in coordinates if name in out and name not in (measured or ())]:
        raise DataError(
            f"{where}: {lost[0]!r} is predicted, but the data hold it as a coordinate: was it measured? Name the "
            f"observables, or call its column of errors {lost[0]}_error; otherwise do not predict it."
        )
    names = tuple(out if measured is None else measured)
    for name in names:
        if name not in out:
            raise DataError(f"{where}: {name!r} was measured but is not predicted; {nearest(name, map(str, out))}")
        shape = None if measured is None else measured[name].shape[1:]
        if shape not in (None, out[name].shape):
            raise DataError(
                f"{where}: {name!r} was measured with shape {shape} at each point but is predicted with "
                f"{out[name].shape}."
            )
        if not jnp.issubdtype(out[name].dtype, jnp.floating):
            raise DataError(f"{where}: {name!r} must be predicted as real numbers; got {out[name].dtype}.")
    return Model(predict, parameters, names)
