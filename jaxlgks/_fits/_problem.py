"""A model and its data as one function of coordinates without bounds: residuals.

Enters: `predict`, parameters, data, priors. Leaves: r(z) = (f(θ(z)) − y)/σ, followed by the residuals of priors,
(θ − mean)/width: a prior counts as one more measurement.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._inputs import require_x64
from ..errors import DataError, InputError
from ._data import Data
from ._parameters import Parameters, addressed, nearest

Predict = Callable[[Any, dict[str, Array]], Any]
"""(parameters, coordinates of one point) ↦ what is measured there; of all points at once where so declared."""


class Model(eqx.Module):
    """`predict` over points, its results in the order of the data's observables."""

    predict: Predict
    parameters: Parameters
    observables: tuple[str, ...] = eqx.field(static=True)
    vectorised: bool = eqx.field(static=True)

    def by_name(self, theta: Float[Array, " p"], x: Mapping[str, Any]) -> dict[str, Array]:
        """Predictions at points x, [n, ...] by observable."""
        tree = self.parameters.tree(theta)
        at = self.predict if self.vectorised else jax.vmap(self.predict, (None, 0))
        out = at(tree, {name: jnp.asarray(values) for name, values in x.items()})
        named = out if isinstance(out, Mapping) else {self.observables[0]: out}
        return {name: jnp.asarray(named[name]) for name in self.observables}

    def flat(self, theta: Float[Array, " p"], x: Mapping[str, Any]) -> Float[Array, " m"]:
        """The same in one row, observable by observable."""
        return jnp.concatenate([y.reshape(-1) for y in self.by_name(theta, x).values()])


class Priors(eqx.Module):
    """Gaussian knowledge about single parameters, and residuals given by a function of the pytree."""

    index: Int[Array | np.ndarray, " q"]
    mean: Float[Array | np.ndarray, " q"]
    width: Float[Array | np.ndarray, " q"]
    function: Callable | None

    def residuals(self, parameters: Parameters, theta: Float[Array, " p"]) -> Float[Array, " r"]:
        """(θ − mean)/width, then what the function gives."""
        rows = [(theta[self.index] - self.mean) / self.width]
        if self.function is not None:
            rows.append(jnp.ravel(jnp.asarray(self.function(parameters.tree(theta)), float)))
        return jnp.concatenate(rows)


class Own(eqx.Module):
    """What differs from start to start: the scales of its coordinates, and errors where they follow predictions."""

    scale: Float[Array | np.ndarray, "*s p"]
    sigma: Float[Array | np.ndarray, "*s m"]


VANISHING = 1e-5
"""A prediction below this part of the largest number of its observable has no error that could be a part of it: it
would outweigh all others."""


class Squares(eqx.Module):
    """What an optimiser sees of a problem: residuals with the same sum of squares at every θ, one for all numbers that
    have one prediction f, and one for what they differ by,

        Σ_i (f − y_i)²/σ_i² = W (f − ȳ)² + Σ_i (y_i − ȳ)²/σ_i²,     W = Σ 1/σ_i²,     ȳ = Σ y_i/(W σ_i²).
    """

    model: Model
    priors: Priors
    x: dict[str, Any]
    root: Float[Array, " k"]
    mean: Float[Array, " k"]
    rest: Float[Array, "1"]

    def __call__(self, z: Float[Array, " p"]) -> Float[Array, " r"]:
        """√W (f − ȳ), the root of what does not depend on θ, and the residuals of priors, at θ(z)."""
        theta = self.model.parameters.outward(z)
        apart = self.root * jnp.where(self.root > 0, self.model.flat(theta, self.x) - self.mean, 0.0)
        return jnp.concatenate([apart, self.rest, self.priors.residuals(self.model.parameters, theta)])


class Problem(eqx.Module):
    """Residuals of a fit. `kept` picks the numbers that are used out of all measured ones; `y`, `sigma` and `relative`
    (errors in parts of the prediction, zero where there are none) are theirs, `largest` is the largest measured number
    of each one's observable, `row` says where each is among the `count` predictions at points `x`, which hold repeated
    settings once. `unit`: in which `sigma` is counted where errors are not known, else 1."""

    model: Model
    priors: Priors
    x: dict[str, Any]
    y: Float[Array | np.ndarray, " m"]
    sigma: Float[Array | np.ndarray, " m"]
    fixed: Float[Array | np.ndarray, " m"]
    relative: Float[Array | np.ndarray, " m"] | None
    largest: Float[Array | np.ndarray, " m"]
    kept: Int[Array | np.ndarray, " m"]
    row: Int[Array | np.ndarray, " m"]
    unit: Float[Array | np.ndarray, ""]
    count: int = eqx.field(static=True)

    def squares(self) -> Squares:
        """What an optimiser makes small."""
        together = lambda x: jnp.zeros(self.count).at[self.row].add(x)  # noqa: E731
        W = together(1 / self.sigma**2)
        mean = together(self.y / self.sigma**2) / jnp.where(W > 0, W, 1.0)
        rest = jnp.linalg.norm((self.y - mean[self.row]) / self.sigma)
        return Squares(self.model, self.priors, self.x, jnp.sqrt(W), mean, rest[None])

    def owned(self, own: Own) -> "Problem":
        """The problem of one start."""
        return eqx.tree_at(lambda p: (p.model.parameters.scale, p.sigma), self, (own.scale, own.sigma))

    def goal(self, own: Own) -> Squares:
        """What one start makes small."""
        return self.owned(own).squares()

    def errors(self, predicted: Any) -> Any:
        """σ where these are the true values; what is a part of a prediction, as if no prediction were smaller than
        `VANISHING` of the largest number (`vanished` says where)."""
        if self.relative is None:
            return self.sigma
        return jnp.hypot(self.fixed, self.relative * jnp.maximum(jnp.abs(predicted), VANISHING * self.largest))

    def vanished(self, predicted: np.ndarray) -> np.ndarray:
        """Numbers whose error is a part of nothing, and that have no other."""
        if self.relative is None:
            return np.zeros(0, int)
        return np.flatnonzero((np.asarray(self.fixed) == 0) & (np.abs(predicted) <= VANISHING * self.largest))

    def predicted(self, theta: Float[Array, " p"]) -> Float[Array, " m"]:
        """f(θ) of each number that is used."""
        return self.model.flat(theta, self.x)[self.row]

    def residuals(self, theta: Float[Array, " p"]) -> Float[Array, " r"]:
        """r(θ)."""
        return jnp.concatenate(
            [(self.predicted(theta) - self.y) / self.sigma, self.priors.residuals(self.model.parameters, theta)]
        )


def distinct(data: Data, kept: np.ndarray, vectorised: bool) -> tuple[dict[str, np.ndarray], np.ndarray, int]:
    """Points to predict at, where in their predictions the used numbers are, and the size of these. Settings that
    repeat are predicted once, unless `predict` sees all of them together."""
    # A skipped point must not make NaN in derivatives: it is predicted somewhere harmless, and left out.
    x = {name: np.where(np.isfinite(v), v, v[np.isfinite(v)][0]) for name, v in data.coordinates.items()}
    place = np.arange(data.points)
    count = data.points
    if not vectorised:
        table, place = np.unique(np.stack(list(x.values())), axis=1, return_inverse=True)
        x = dict(zip(x, table, strict=True))
        place, count = place.reshape(-1), table.shape[1]
    rows, start = [], 0
    for y in data.observables.values():
        inner = int(np.prod(y.shape[1:]))
        rows.append((start + place[:, None] * inner + np.arange(inner)).reshape(-1))
        start += count * inner
    return x, np.concatenate(rows)[kept], start


class Examined(eqx.Module):
    """A point in parameter space: parameters, residuals, Jacobian in the parameters and dθ/dz."""

    theta: Float[Array | np.ndarray, "*s p"]
    residuals: Float[Array | np.ndarray, "*s r"]
    jacobian: Float[Array | np.ndarray, "*s r p"]
    slope: Float[Array | np.ndarray, "*s p"]


def examine(problem: Problem, z: Float[Array, " p"]) -> Examined:
    """Residuals and their derivatives at z."""
    outward = problem.model.parameters.outward
    theta, slope = jax.jvp(outward, (z,), (jnp.ones_like(z),))  # elementwise: one tangent gives all of the diagonal
    residuals, push = jax.linearize(problem.residuals, theta)
    jacobian = jax.vmap(push, out_axes=1)(jnp.eye(theta.size, dtype=theta.dtype))
    return Examined(theta, residuals, jacobian, slope)


def as_priors(priors: Any, parameters: Parameters, where: str) -> Priors:
    """Priors by name, (mean, standard deviation), or a function of the parameters that returns residuals."""
    if callable(priors):
        return Priors(np.zeros(0, int), np.zeros(0), np.zeros(0), priors)
    rows: list[tuple[int, float, float]] = []
    for key, given in dict(priors or {}).items():
        at = addressed(key, parameters.names, f"{where}: priors")
        try:
            mean, width = (float(x) for x in given)
        except (TypeError, ValueError):
            raise InputError(f"{where}: the prior of {key!r} is a pair (mean, deviation); got {given!r}.") from None
        if not (np.isfinite(mean) and np.isfinite(width) and width > 0):
            raise InputError(f"{where}: the prior of {key!r} needs a finite mean and a positive width; got {given!r}.")
        rows += [(i, mean, width) for i in at]
    index, mean, width = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 3
    return Priors(index.astype(int), mean.astype(float), width.astype(float), None)


def checked_model(predict: Predict, parameters: Parameters, data: Data, vectorised: bool, where: str) -> Model:
    """The model of these data.

    **Raises:** `DataError` where it asks for coordinates that the data lack, or returns other observables or shapes.
    """
    require_x64()
    sizes = tuple((name, x.shape if vectorised else ()) for name, x in data.coordinates.items())
    out = _shapes(predict, parameters.structure, parameters.shapes, sizes, where)
    names = tuple(data.observables)
    if isinstance(out, Mapping) and (lost := [name for name in data.coordinates if name in out and name not in names]):
        raise DataError(
            f"{where}: {lost[0]!r} is predicted, but the data hold it as a coordinate: was it measured? Name the "
            f"observables, or call its column of errors {lost[0]}_error; otherwise do not predict it."
        )
    if not isinstance(out, Mapping):
        if len(names) != 1:
            raise DataError(f"{where}: the data hold {names}; predict must return a dictionary with these names.")
        out = {names[0]: out}
    for name in names:
        if name not in out:
            raise DataError(f"{where}: {name!r} was measured but is not predicted; {nearest(name, out)}")
        measured = data.observables[name].shape
        shape = out[name].shape if vectorised else (len(data.observables[name]), *out[name].shape)
        if shape != measured:
            raise DataError(f"{where}: {name!r} was measured with shape {measured} but is predicted with {shape}.")
        if not jnp.issubdtype(out[name].dtype, jnp.floating):
            raise DataError(f"{where}: {name!r} must be predicted as real numbers; got {out[name].dtype}.")
    return Model(predict, parameters, names, vectorised)


def _shapes(predict: Predict, structure: Any, shapes: tuple, sizes: tuple, where: str) -> Any:
    """Names and shapes of predictions; looked up once for each function, which must be traced for it."""
    try:
        return _traced(predict, structure, shapes, sizes, where)
    except TypeError:  # no function but an object that has no hash
        return _traced.__wrapped__(predict, structure, shapes, sizes, where)


@functools.lru_cache(64)
def _traced(predict: Predict, structure: Any, shapes: tuple, sizes: tuple, where: str) -> Any:
    number = lambda shape: jax.ShapeDtypeStruct(shape, jnp.float64)  # noqa: E731
    tree = jax.tree.unflatten(structure, [number(shape) for shape in shapes])
    asked: list[str] = []

    class Noting(dict):
        """Coordinates that note which name was asked for in vain."""

        def __missing__(self, key):
            asked.append(str(key))
            raise KeyError(key)

    try:
        return jax.eval_shape(lambda tree, x: predict(tree, Noting(x)), tree, {n: number(shape) for n, shape in sizes})
    except KeyError as error:
        if not asked:
            known = list(tree) if isinstance(tree, Mapping) else tree
            raise InputError(f"{where}: predict asks for {error}, which is no parameter; it knows {known}.") from error
        raise DataError(
            f"{where}: predict asks for the coordinate {asked[-1]!r}, which the data do not have; "
            f"{nearest(asked[-1], dict(sizes))}"
        ) from error
