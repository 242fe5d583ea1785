"""The second route: differentiate the steady state itself.

Takes: a model, a perturbation V, a quantity. Returns: d⟨A⟩/dδ at δ = 0 by automatic differentiation of δ ↦ ⟨A⟩ in the
steady state of H + δV, groups fixed: through the linear solve (implicit function theorem) and through the derivative
rule of the filter (Daleckii–Krein). No perturbation theory of eigenvectors enters.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._compiled import compiled
from .._equations import AbstractEquation, Davies
from .._generator import AbstractProblem, AbstractSolver, resolve
from .._inputs import as_word
from .._observables import AbstractQuantity, as_quantity, steady_value, value_at
from .._steady import at_rest


def autodiff_response(
    system: Any,
    V: Any,
    A: Any,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    order: Literal[1, 2] = 1,
) -> Float[Array, "*a"]:
    """d⟨A⟩_ss/dδ, or d²⟨A⟩_ss/dδ², at δ = 0 for H → H + δV, by JAX through the steady state, groups fixed.

    **Arguments:** `system`, `V`, `equation`, `solver` as for `response`; `A`: an observable [d, d], several
    [..., d, d], `HeatCurrent(bath)` or `EntropyProduction()`; `order`: 1, or 2 for the static second-order response.

    **Returns:** real array of the shape of the quantity. The first derivative equals `response(...).static().total`.
    Both are exact at any degeneracy; at a degenerate level the second one is that of the master equation with its
    groups fixed, which is not that of the Gibbs state even at one temperature.

    Of a `QuasiFree` model the exact Gaussian steady state is differentiated for a V of degree two at most; a V of
    higher degree is met on a truncated Fock space of up to 150 states, chosen from the occupations. `order` is then 1.

    **Raises:** as `response`; `InputError` for another order; `TruncationError` where a Fock space would be too large.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    lgks.autodiff_response(system, lgks.models.pauli("ZZ"), lgks.HeatCurrent("a"))
    ```
    """
    as_word(order, "autodiff_response: order", (1, 2))
    problem = resolve(system, equation)
    V, quantity = problem.operator(V, "the perturbation V"), as_quantity(A, problem)
    problem, V, quantity = problem.differentiable(V, quantity, order)
    rest = at_rest(problem, solver)  # raises here what would be NaN inside the compiled derivative
    value_at(rest, quantity)
    return derivative(problem, V, quantity, order, rest.solver)


@compiled
def derivative(
    problem: AbstractProblem, V: Any, quantity: AbstractQuantity, order: int, solver: AbstractSolver | None
) -> Array:
    """The derivative of the steady value in δ; `problem`, `V` and `quantity` as `differentiable` returns them."""

    def value(delta: Array) -> Array:
        return steady_value(problem.displaced(V, delta), quantity, solver)

    slope = _slope(value) if order == 1 else _slope(_slope(value))
    return slope(jnp.zeros((), problem.model.temperatures.dtype))


def _slope(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]
