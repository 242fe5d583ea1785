"""Three witnesses side by side.

Takes: a model, a perturbation V, a quantity. Returns: its response by the explicit generator, by automatic
differentiation, and by finite differences: at rest of steady states with the groups fixed; at a frequency, or some time
after V is switched on, of the driven equation of the state and the operators of its baths together.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Inexact

from .._compiled import compiled
from .._equations import AbstractEquation, Davies
from .._generator import AbstractProblem, AbstractSolver, resolve
from .._inputs import as_positive, is_concrete
from .._observables import AbstractQuantity, as_quantity, steady_value
from .._steady import Rest, at_rest
from ..errors import InputError
from ._autodiff import derivative
from ._expansion import expand
from ._linear import Parts


class CrossValidation(eqx.Module):
    """A response by three routes; `print` shows it as a table.

    - `explicit`: from L₁, in `Parts`. `autodiff`: through the steady state, or the driven equation.
      `finite_difference`: Richardson.
    - `autodiff_difference`, `finite_difference_difference`: relative to the explicit value.
    """

    explicit: Parts
    autodiff: Inexact[Array, "*a"]
    finite_difference: Inexact[Array, "*a"]
    name: str = eqx.field(static=True)

    @property
    def autodiff_difference(self) -> Float[Array, "*a"]:
        """|autodiff − explicit| / max of the two."""
        return relative_difference(self.autodiff, self.explicit.total)

    @property
    def finite_difference_difference(self) -> Float[Array, "*a"]:
        """|finite difference − explicit| / max of the two."""
        return relative_difference(self.finite_difference, self.explicit.total)

    def __str__(self) -> str:
        rows = [
            ("explicit", self.explicit.total, None),
            ("  kubo", self.explicit.kubo, None),
            ("  rotation", self.explicit.rotation, None),
            ("  shift", self.explicit.shift, None),
            ("  explicit part", self.explicit.explicit, None),
            ("autodiff", self.autodiff, self.autodiff_difference),
            ("finite difference", self.finite_difference, self.finite_difference_difference),
        ]
        wide = 48 if jnp.iscomplexobj(self.autodiff) else 24
        lines = [self.name, f"{'route':<20}{'value':>{wide}}{'relative difference':>24}"]
        for label, value, difference in rows:
            for index in np.ndindex(*np.shape(value)):
                mark = label + ("" if not index else f" {list(index)}")
                right = "" if difference is None else f"{float(difference[index]):.2e}"
                lines.append(f"{mark:<20}{np.asarray(value)[index]:>{wide}.15e}{right:>24}")
        return "\n".join(lines)


def relative_difference(a: Array, b: Array) -> Array:
    """|a − b| / max(|a|, |b|), zero where both vanish."""
    size = jnp.maximum(jnp.abs(a), jnp.abs(b))
    return jnp.abs(a - b) / jnp.maximum(size, jnp.finfo(size.dtype).tiny)


def cross_validate(
    system: Any,
    V: Any,
    A: Any,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    step: ArrayLike | None = None,
    omega: ArrayLike | None = None,
    t: ArrayLike | None = None,
) -> CrossValidation:
    """The response of A to H → H + δV by three routes that share no derivative formula.

    1. explicit: `response`, first-order perturbation theory;
    2. autodiff: at rest `autodiff_response`, Daleckii–Krein and implicit differentiation; at a frequency or a time the
       derivative through the driven equation of the state and the operators of its baths together, dΛ_j/dt = c_j S −
       ν_j Λ_j − i[H(t), Λ_j], by the harmonic balance of a drive δ(e^{−iωt} + e^{iωt}), or by integration from rest;
    3. finite difference: central differences of the same at ±h, ±h/2, ±h/4, extrapolated (Romberg), at rest with the
       groups pinned.

    All routes share the exponentials of the baths, C(τ) = Σ_j c_j e^{−ν_j τ}.

    **Arguments:** as `autodiff_response`; `step`: h, by default 1e−2 of the smallest energy in the problem over the
    largest eigenvalue of V, for a drive 2e−2 of the slowest relaxation rate. `omega`: a frequency, not zero: the
    susceptibility χ(ω). `t`: a time > 0: the step response Φ(t). One of them at most, scalars; they need
    `Redfield(lamb_shift=True)`, the equation that is exact to second order under a drive.

    For a `QuasiFree` model routes 2 and 3 are Gaussian for a V of degree two at most; otherwise at rest on a truncated
    Fock space, and at a frequency or a time not available.

    **Returns:** `CrossValidation`.

    **Raises:** as `response`; `InputError` for a model, an equation or a quantity without a driven equation.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.001, temperatures=(0.45, 0.35))
    print(lgks.cross_validate(system, lgks.models.pauli("ZZ"), lgks.HeatCurrent("a")))
    ```
    """
    if step is not None:
        step = as_positive(step, "cross_validate: step", InputError, "a small strength of the perturbation")
    problem = resolve(system, equation)
    V, quantity = problem.operator(V, "the perturbation V"), as_quantity(A, problem)
    name = A.name if isinstance(A, AbstractQuantity) else quantity.name
    if omega is not None or t is not None:
        return _driven(problem, V, quantity, at_rest(problem, solver), (omega, t), step, name)
    rest = at_rest(problem, solver)
    explicit = expand(problem, V, quantity.degree, rest).linear(quantity).static()
    differentiable, direction, other = problem.differentiable(V, quantity, 1)
    if type(differentiable) is not type(problem):
        rest = at_rest(differentiable, solver)
    h = _step(differentiable, direction, rest.steady.slowest) if step is None else step
    difference = _romberg(differentiable.pinned(), direction, other, h, rest.solver)
    if step is not None and is_concrete(difference) and not np.all(np.isfinite(difference)):
        raise InputError(
            f"cross_validate: over the step {float(step):.3g} no finite difference exists: there the steady state is "
            "not unique, or pinned groups cannot follow it. Take a smaller step, or leave it out."
        )
    return CrossValidation(
        explicit=explicit,
        autodiff=derivative(differentiable, direction, other, 1, rest.solver),
        finite_difference=difference,
        name=f"static response of the {name}",
    )


def _driven(
    problem: AbstractProblem,
    V: Any,
    quantity: AbstractQuantity,
    rest: Rest,
    where: tuple[ArrayLike | None, ArrayLike | None],
    step: ArrayLike | None,
    name: str,
) -> CrossValidation:
    """The three routes at a frequency, or at a time."""
    omega, t = where
    if omega is not None and t is not None:
        raise InputError("cross_validate: omega and t are both given; ask for a frequency or for a time.")
    if quantity.at_rest:
        raise InputError(
            f"cross_validate: the {quantity.name} of a state that moves is not what is differentiated at rest. At a "
            "frequency or a time ask for observables, heat currents or the entropy."
        )
    driven = problem.driven(V)
    response = expand(problem, V, quantity.degree, rest).linear(quantity)
    size = driven.size
    if omega is not None:
        omega = as_positive(omega, "cross_validate: omega", InputError, "a frequency; leave it out for ω = 0")
        explicit, at = response.susceptibility(omega), (_at_frequency, omega)
        h, name = 2e-2 * rest.steady.slowest / size, f"susceptibility{_at('ω', omega)} of the {name}"
    else:
        t = as_positive(t, "cross_validate: t", InputError, "a time after V is switched on")
        explicit, at = response.step(t), (_after, t)
        h = jnp.minimum(problem.difference_step(V, rest.steady.slowest), 2e-2 / (size * t))
        name = f"step response{_at('t', t)} of the {name}"
    difference, autodiff = _slopes(driven, quantity, *at, h if step is None else jnp.asarray(step))
    return CrossValidation(explicit, autodiff, difference, name)


def _at(symbol: str, number: Array) -> str:
    return f" at {symbol} = {float(number):.6g}" if is_concrete(number) else ""


def _at_frequency(driven: Any, quantity: AbstractQuantity, omega: Array, delta: Array) -> tuple[Array, Array]:
    return jax.jvp(lambda x: driven.at_frequency(x, omega, quantity), (delta,), (jnp.ones_like(delta),))


def _after(driven: Any, quantity: AbstractQuantity, t: Array, delta: Array) -> tuple[Array, Array]:
    return driven.after(t, delta, quantity)


@compiled
def _slopes(driven: Any, quantity: AbstractQuantity, value: Callable, at: Array, h: Array) -> tuple[Array, Array]:
    """The derivative in the strength of a drive, by differences and by itself."""
    points = jnp.concatenate([_points(h), jnp.zeros(1)])
    values, slopes = jax.lax.map(lambda delta: value(driven, quantity, at, delta), points)
    return _extrapolated(points[:-1], values[:-1]), slopes[-1]


@compiled
def _romberg(
    pinned: AbstractProblem, V: Any, quantity: AbstractQuantity, h: Array, solver: AbstractSolver | None
) -> Array:
    """Romberg-extrapolated central difference of the steady value, groups pinned; error O(h⁶) plus rounding/h. NaN
    where the pinned groups cannot follow the states over the step."""
    points = _points(h)
    return _extrapolated(
        points, jax.lax.map(lambda delta: steady_value(pinned.perturbed(V, delta), quantity, solver), points)
    )


def _points(h: Array) -> Array:
    return h * jnp.array([1.0, -1.0, 0.5, -0.5, 0.25, -0.25])


def _extrapolated(points: Array, values: Array) -> Array:
    slopes = (values[::2] - values[1::2]) / (points[::2] - points[1::2]).reshape(-1, *[1] * (values.ndim - 1))
    fine, finer = (4 * slopes[1] - slopes[0]) / 3, (4 * slopes[2] - slopes[1]) / 3
    return (16 * finer - fine) / 15


@compiled
def _step(problem: AbstractProblem, V: Any, slowest: Array) -> Array:
    return problem.difference_step(V, slowest)
