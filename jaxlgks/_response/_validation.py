"""Three witnesses side by side.

Enters: a system, a perturbation V, a quantity. Leaves: its static response by the explicit generator, by automatic
differentiation, and by finite differences of steady states with the groups fixed.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._bohr import bohr_structure
from .._equations import AbstractEquation, Davies
from .._inputs import as_operator
from .._oscillators import QuasiFree
from .._polynomials import as_polynomial
from .._steady import steady_state
from .._system import System
from ._autodiff import autodiff_response
from ._linear import Parts
from ._oscillators_routes import as_oscillator_quantity, as_truncated, quasifree_difference, quasifree_explicit
from ._quantities import as_quantity, explicit_response, quantity_name, steady_value


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
    system: System | QuasiFree, V, A, equation: AbstractEquation = Davies(), *, step: ArrayLike | None = None
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
    if isinstance(system, QuasiFree):
        return _of_oscillators(system, V, A, equation, step)
    V = as_operator(V, "the perturbation V", system.dim).astype(system.hamiltonian.dtype)
    A = as_quantity(A, system)
    return CrossValidation(
        explicit=explicit_response(system, V, A, equation).static(),
        autodiff=autodiff_response(system, V, A, equation),
        finite_difference=finite_difference(system, V, A, equation, step),
        name=quantity_name(A),
    )


def _of_oscillators(model: QuasiFree, V, A, equation: AbstractEquation, step: ArrayLike | None) -> CrossValidation:
    V, A = as_polynomial(V, "the perturbation V", model.modes), as_oscillator_quantity(A, model)
    if V.degree <= 2:
        difference = quasifree_difference(model, V, A, equation, step)
    else:
        difference = finite_difference(*as_truncated(model, V, A, equation), step)
    return CrossValidation(
        explicit=quasifree_explicit(model, V, A, equation).static(),
        autodiff=autodiff_response(model, V, A, equation),
        finite_difference=difference,
        name=quantity_name(A),
    )


def finite_difference(
    system: System, V: Array, A, equation: AbstractEquation, step: ArrayLike | None = None
) -> Float[Array, "*a"]:
    """Romberg-extrapolated central difference of the steady value, groups pinned; error O(h⁶) plus rounding/h.

    NaN where the pinned groups cannot follow the states over the step.
    """
    h = _step(system, V, equation) if step is None else jnp.asarray(step, float)
    return _romberg(system, V, A, equation.fixed(system), h)


@eqx.filter_jit
def _romberg(system: System, V: Array, A, pinned: AbstractEquation, h: Array) -> Array:
    points = h * jnp.array([1.0, -1.0, 0.5, -0.5, 0.25, -0.25])
    values = jax.lax.map(lambda delta: steady_value(system.perturbed(V, delta), A, pinned), points)
    slopes = (values[::2] - values[1::2]) / (points[::2] - points[1::2]).reshape(-1, *[1] * (values.ndim - 1))
    fine, finer = (4 * slopes[1] - slopes[0]) / 3, (4 * slopes[2] - slopes[1]) / 3
    return (16 * finer - fine) / 15


@eqx.filter_jit
def _step(system: System, V: Array, equation: AbstractEquation) -> Array:
    """A step well inside the radius within which the steady state is analytic in δ.

    Levels must not meet: 1e−2 of the smallest distance between levels, or of the lowest temperature. Where V splits a
    level, coherences inside it turn against their own decay: 1e−2 of the slowest relaxation (ντ ≪ 1).
    """
    structure = bohr_structure(system.hamiltonian)
    inside = structure.levels
    gap = jnp.min(jnp.where(inside, jnp.inf, jnp.abs(structure.frequencies)))
    size: Array = jnp.linalg.norm(V)
    step = 1e-2 * jnp.minimum(gap, jnp.min(system.temperatures)) / jnp.maximum(size, jnp.finfo(size.dtype).tiny)
    inner: Array = jnp.linalg.norm(
        jnp.where(inside & ~jnp.eye(system.dim, dtype=bool), structure.to_eigenbasis(V), 0.0)
    )
    splits = inner > 1e-12 * size
    slow = 1e-2 * steady_state(system, equation).slowest / jnp.where(splits, inner, 1.0)
    return jnp.minimum(step, jnp.where(splits, slow, jnp.inf))
