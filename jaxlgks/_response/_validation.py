"""Three witnesses side by side.

Takes: a model, a perturbation V, a quantity. Returns: its static response by the explicit generator, by automatic
differentiation, and by finite differences of steady states with the groups fixed.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._equations import AbstractEquation, Davies
from .._generator import AbstractProblem, AbstractSolver, resolve
from .._inputs import as_positive, is_concrete
from .._observables import AbstractQuantity, as_quantity, steady_value
from .._steady import at_rest
from ..errors import InputError
from ._autodiff import derivative
from ._expansion import expand
from ._linear import Parts


class CrossValidation(eqx.Module):
    """The static response by three routes; `print` shows it as a table.

    - `explicit`: from L₁, in `Parts`. `autodiff`: through the steady state. `finite_difference`: Richardson.
    - `autodiff_difference`, `finite_difference_difference`: relative to the explicit value.
    """

    explicit: Parts
    autodiff: Float[Array, "*a"]
    finite_difference: Float[Array, "*a"]
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
        lines = [f"static response of the {self.name}", f"{'route':<20}{'value':>24}{'relative difference':>24}"]
        for label, value, difference in rows:
            for index in np.ndindex(*np.shape(value)):
                mark = label + ("" if not index else f" {list(index)}")
                right = "" if difference is None else f"{float(difference[index]):.2e}"
                lines.append(f"{mark:<20}{float(value[index]):>24.15e}{right:>24}")
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
) -> CrossValidation:
    """The static response of A to H → H + δV by three routes that share no derivative formula.

    1. explicit: `response`, first-order perturbation theory;
    2. autodiff: `autodiff_response`, Daleckii–Krein and implicit differentiation;
    3. finite difference: central differences of steady states at H ± hV, h, h/2, h/4 extrapolated (Romberg), with the
       groups pinned.

    **Arguments:** as `autodiff_response`; `step`: h, by default 1e−2 of the smallest energy in the problem over the
    largest eigenvalue of V.

    For a `QuasiFree` model routes 2 and 3 are Gaussian for a V of degree two at most, on a truncated Fock space
    otherwise.

    **Returns:** `CrossValidation`.

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
        name=A.name if isinstance(A, AbstractQuantity) else quantity.name,
    )


@eqx.filter_jit
def _romberg(
    pinned: AbstractProblem, V: Any, quantity: AbstractQuantity, h: Array, solver: AbstractSolver | None
) -> Array:
    """Romberg-extrapolated central difference of the steady value, groups pinned; error O(h⁶) plus rounding/h. NaN
    where the pinned groups cannot follow the states over the step."""
    points = h * jnp.array([1.0, -1.0, 0.5, -0.5, 0.25, -0.25])
    values = jax.lax.map(lambda delta: steady_value(pinned.perturbed(V, delta), quantity, solver), points)
    slopes = (values[::2] - values[1::2]) / (points[::2] - points[1::2]).reshape(-1, *[1] * (values.ndim - 1))
    fine, finer = (4 * slopes[1] - slopes[0]) / 3, (4 * slopes[2] - slopes[1]) / 3
    return (16 * finer - fine) / 15


@eqx.filter_jit
def _step(problem: AbstractProblem, V: Any, slowest: Array) -> Array:
    return problem.difference_step(V, slowest)
