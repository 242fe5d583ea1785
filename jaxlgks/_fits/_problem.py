"""A model and its data as one function of coordinates without bounds: residuals.

Takes: `predict`, parameters, data, priors. Returns: a goal, r(z) = (f(θ(z)) − y)/σ followed by the residuals of
priors, (θ − mean)/width: a prior counts as one more measurement.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..errors import DataError, InputError
from ._data import Data
from ._parameters import Parameters, addressed, nearest

Predict = Callable[[Any, dict[str, Array]], Any]
"""(parameters, coordinates of one point) ↦ what is measured there; of all points at once where so declared."""

VANISHING = 1e-5
"""A prediction below this part of the largest number of its observable has no error that could be a part of it: it
would outweigh all others."""


class Model(eqx.Module):
    """`predict` over points, its results in the order of the data's observables."""

    predict: Predict
    parameters: Parameters
    observables: tuple[str, ...] = eqx.field(static=True)
    vectorised: bool = eqx.field(static=True)

    def by_name(self, theta: Float[Array, " p"], x: Mapping[str, Any]) -> dict[str, Array]:
        """Predictions at points x, [n, ...] by observable."""
        predict = self.predict if self.vectorised else jax.vmap(self.predict, (None, 0))
        out = predict(self.parameters.tree(theta), {name: jnp.asarray(values) for name, values in x.items()})
        named = out if isinstance(out, Mapping) else {self.observables[0]: out}
        return {name: jnp.asarray(named[name]) for name in self.observables}

    @eqx.filter_jit
    def with_jacobian(self, theta: Float[Array, " p"], x: Mapping[str, Any]) -> tuple[dict, dict]:
        """The same, and derivatives in the parameters [n, ..., p]."""
        return self.by_name(theta, x), jax.jacfwd(self.by_name)(theta, x)


class Priors(eqx.Module):
    """Gaussian knowledge about single parameters, and residuals given by a function of the pytree."""

    index: Int[Array | np.ndarray, " q"]
    mean: Float[Array | np.ndarray, " q"]
    width: Float[Array | np.ndarray, " q"]
    function: Callable | None

    @property
    def none(self) -> bool:
        """Whether nothing is known before."""
        return not self.index.size and self.function is None

    def residuals(self, parameters: Parameters, theta: Float[Array, " p"]) -> Float[Array, " r"]:
        """(θ − mean)/width, then what the function gives."""
        rows = [(theta[self.index] - self.mean) / self.width]
        if self.function is not None:
            rows.append(jnp.ravel(jnp.asarray(self.function(parameters.tree(theta)), float)))
        return jnp.concatenate(rows)


class Goal(eqx.Module):
    """Residuals whose sum of squares is χ² at every θ: one for all measured numbers that have one prediction f, and one
    for what these differ by,

        Σ_i (f − y_i)²/σ_i² = W (f − ȳ)² + Σ_i (y_i − ȳ)²/σ_i²,     W = Σ 1/σ_i²,     ȳ = Σ y_i/(W σ_i²).
    """

    model: Model
    priors: Priors
    x: dict[str, Any]
    root: Float[Array, " k"]
    mean: Float[Array, " k"]
    rest: Float[Array, "1"]

    def __call__(self, z: Float[Array, " p"]) -> Float[Array, " r"]:
        """r(θ(z))."""
        return self.residuals(self.model.parameters.from_coordinates(z))

    def predicted(self, theta: Float[Array, " p"]) -> Float[Array, " k"]:
        """f(θ) of all points in one row, observable by observable."""
        return jnp.concatenate([y.reshape(-1) for y in self.model.by_name(theta, self.x).values()])

    def residuals(self, theta: Float[Array, " p"]) -> Float[Array, " r"]:
        """√W (f − ȳ), the root of what does not depend on θ, and the residuals of priors."""
        apart = jnp.where(self.root > 0, self.predicted(theta) - self.mean, 0.0)
        return jnp.concatenate([self.root * apart, self.rest, self.priors.residuals(self.model.parameters, theta)])


class Point(eqx.Module):
    """A point in parameter space: parameters, predictions, residuals and their Jacobian in the parameters."""

    theta: Float[Array | np.ndarray, "*s p"]
    predicted: Float[Array | np.ndarray, "*s k"]
    residuals: Float[Array | np.ndarray, "*s r"]
    jacobian: Float[Array | np.ndarray, "*s r p"]


class Problem(eqx.Module):
    """What is fitted. `kept` picks the numbers that are used out of all measured ones; `y`, `fixed` (their errors),
    `relative` (errors in parts of the prediction) and `largest` (the largest number of the same observable) are theirs;
    `row` says where each is among the `count` predictions at points `x`, which hold repeated settings once. `unit`: in
    which errors are counted where they are not known, else 1."""

    model: Model
    priors: Priors
    x: dict[str, Any]
    y: Float[Array | np.ndarray, " m"]
    fixed: Float[Array | np.ndarray, " m"]
    relative: Float[Array | np.ndarray, " m"] | None
    largest: Float[Array | np.ndarray, " m"]
    kept: Int[Array | np.ndarray, " m"]
    row: Int[Array | np.ndarray, " m"]
    unit: Float[Array | np.ndarray, ""]
    count: int = eqx.field(static=True)

    def goal(self, scale: Any, sigma: Any) -> Goal:
        """What one start makes small, in its own coordinates and with its own errors."""
        grouped = jnp.zeros((2, self.count)).at[:, self.row].add(jnp.stack([1 / sigma**2, self.y / sigma**2]))
        W = grouped[0]
        mean = grouped[1] / jnp.where(W > 0, W, 1.0)
        rest = jnp.linalg.norm((self.y - mean[self.row]) / sigma)
        model = eqx.tree_at(lambda m: m.parameters.scale, self.model, scale)
        return Goal(model, self.priors, self.x, jnp.sqrt(W), mean, rest[None])

    def errors(self, values: Any, floor: float = VANISHING) -> Any:
        """σ where these are the true values; what is a part of them, as if none were smaller than `floor` of the
        largest number (`vanished` says where)."""
        if self.relative is None:
            return self.fixed
        return jnp.hypot(self.fixed, self.relative * jnp.maximum(jnp.abs(values), floor * self.largest))

    def vanished(self, values: np.ndarray) -> np.ndarray:
        """Numbers whose error is a part of nothing, and that have no other."""
        if self.relative is None:
            return np.zeros(0, int)
        return np.flatnonzero((np.asarray(self.fixed) == 0) & (np.abs(values) <= VANISHING * self.largest))


def linearised(f: Callable[[Array], Array], x: Float[Array, " p"]) -> tuple[Array, Array]:
    """A function at x, and its derivatives [r, p]."""
    value, push = jax.linearize(f, x)
    return value, jax.vmap(push, out_axes=1)(jnp.eye(x.size, dtype=x.dtype))


def examine(goal: Goal, z: Float[Array, " p"]) -> Point:
    """Predictions, residuals and their derivatives at z."""
    theta = goal.model.parameters.from_coordinates(z)
    residuals, jacobian = linearised(goal.residuals, theta)
    return Point(theta, goal.predicted(theta), residuals, jacobian)


def distinct(data: Data, kept: np.ndarray, vectorised: bool) -> tuple[dict[str, np.ndarray], np.ndarray, int]:
    """Points to predict at, where in their predictions the used numbers are, and the size of these. Settings that
    repeat are predicted once, unless `predict` sees all of them together."""
    # A skipped point must not make NaN in derivatives: it is predicted somewhere harmless, and left out.
    x = {name: np.where(np.isfinite(v), v, v[np.isfinite(v)][0]) for name, v in data.coordinates.items()}
    place, count = np.arange(data.points), data.points
    if not vectorised:
        table, place = np.unique(np.stack(list(x.values())), axis=1, return_inverse=True)
        x = dict(zip(x, table, strict=True))
        place, count = place.reshape(-1), table.shape[1]
    rows, start = [], 0
    for y in data.observables.values():
        inner = y.size // len(y)
        rows.append((start + place[:, None] * inner + np.arange(inner)).reshape(-1))
        start += count * inner
    return x, np.concatenate(rows)[kept], start


def as_priors(priors: Any, parameters: Parameters) -> Priors:
    """Priors by name, (mean, standard deviation), or a function of the parameters that returns residuals."""
    rows: list[tuple[int, float, float]] = []
    for key, pair in {} if callable(priors) else dict(priors or {}).items():
        try:
            mean, width = (float(x) for x in pair)
        except (TypeError, ValueError):
            raise InputError(f"fit: the prior of {key!r} is a pair (mean, deviation); got {pair!r}.") from None
        if not (np.isfinite(mean) and np.isfinite(width) and width > 0):
            raise InputError(f"fit: the prior of {key!r} needs a finite mean and a positive width; got {pair!r}.")
        rows += [(i, mean, width) for i in addressed(key, parameters.names, "fit: priors")]
    index, mean, width = np.array(rows, float).reshape(-1, 3).T
    return Priors(index.astype(int), mean, width, priors if callable(priors) else None)


def checked_model(predict: Predict, parameters: Parameters, data: Data, vectorised: bool, where: str) -> Model:
    """The model of these data.

    **Raises:** `DataError` where it asks for coordinates that the data lack, or returns other observables or shapes.
    """
    names = tuple(data.observables)
    out = predicted_shapes(predict, parameters, data.coordinates, vectorised, where)
    if None in out and len(names) == 1:
        out = {names[0]: out[None]}
    if lost := [name for name in data.coordinates if name in out and name not in names]:
        raise DataError(
            f"{where}: {lost[0]!r} is predicted, but the data hold it as a coordinate: was it measured? Name the "
            f"observables, or call its column of errors {lost[0]}_error; otherwise do not predict it."
        )
    for name in names:
        if name not in out:
            if None in out:
                raise DataError(f"{where}: the data hold {names}; predict must return a dictionary with these names.")
            raise DataError(f"{where}: {name!r} was measured but is not predicted; {nearest(name, map(str, out))}")
        shape = out[name].shape if vectorised else (data.points, *out[name].shape)
        if shape != data.observables[name].shape:
            measured = data.observables[name].shape
            raise DataError(f"{where}: {name!r} was measured with shape {measured} but is predicted with {shape}.")
        if not jnp.issubdtype(out[name].dtype, jnp.floating):
            raise DataError(f"{where}: {name!r} must be predicted as real numbers; got {out[name].dtype}.")
    return Model(predict, parameters, names, vectorised)


def predicted_shapes(
    predict: Predict, parameters: Parameters, coordinates: Mapping[str, Any], vectorised: bool, where: str
) -> dict[str | None, Any]:
    """Shapes of predictions by name; None is the name of a number without one."""
    x = tuple((name, np.shape(values) if vectorised else ()) for name, values in coordinates.items())
    try:
        return _traced(predict, parameters.structure, parameters.shapes, x)
    except TypeError:  # no function but an object that has no hash
        return _traced.__wrapped__(predict, parameters.structure, parameters.shapes, x)
    except KeyError as error:
        known = f"one of {list(parameters.names)}, nor a coordinate; {nearest(str(error.args[0]), coordinates)}"
        raise DataError(f"{where}: predict asks for {error}, which is neither a parameter, {known}") from error


@functools.lru_cache(64)
def _traced(predict: Predict, structure: Any, shapes: tuple, x: tuple) -> dict[str | None, Any]:
    """Looked up once for each function, which must be traced for it."""
    number = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float64)
    params = jax.tree.unflatten(structure, [number(shape) for shape in shapes])
    out = jax.eval_shape(predict, params, {name: number(shape) for name, shape in x})
    return dict(out) if isinstance(out, Mapping) else {None: out}
