"""Two-time functions of the steady state, by quantum regression.

Takes: a model, two operators, times. Returns: ⟨A(t)B(0)⟩ = Tr[A e^{L₀t}(B π₀)], without the average of either.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Complex

from .._compiled import compiled
from .._equations import AbstractEquation, Davies
from .._generator import AbstractGenerator, AbstractSolver, Observables, State, in_order, require_known, resolve
from .._inputs import Numbers, as_delays
from .._steady import at_rest


def correlation(
    system: Any,
    A: Any,
    B: Any,
    t: Numbers,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
) -> Complex[Array, "*t"]:
    """The two-time function of the steady state, by quantum regression,

        C(t) = ⟨A(t) B(0)⟩ = Tr[A e^{L₀t} (B π₀)],     t ≥ 0.

    It goes from ⟨AB⟩ to ⟨A⟩⟨B⟩. Regression holds as far as the master equation does.

    **Arguments:**

    - `system`: a `System`, then A and B are matrices [d, d], Hermitian or not; or a `QuasiFree` model, then they are
      `Polynomial`s, and the result is exact at any occupation (Wick's theorem at two times).
    - `t`: scalar or [t], not negative. `equation`: the master equation. `solver`: as for `response`.

    **Returns:** complex, the shape of `t`.

    **Raises:** as `steady_state`; `ShapeError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, = lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 2.0, lgks.Flat(0.1)))
    lgks.correlation(model, a.dag, a, [0.0, 1.0])     # n e^(it - γt/2), n = 1/(e^(1/2) − 1)
    ```
    """
    t = as_delays(t)
    problem = resolve(system, equation)
    A = problem.operator(A, "correlation: A", hermitian=False)
    B = problem.operator(B, "correlation: B", hermitian=False)
    L, state = at_rest(problem, solver).generator()
    start, observables, weights = _prepared(L, A, B, state)
    ascending, where = in_order(t, weights.real.dtype)
    values = L.propagate(start, ascending, observables)
    require_known(values, "correlation")
    return _joined(values, weights, where, t.shape)


@compiled
def _prepared(L: AbstractGenerator, A: Any, B: Any, state: State) -> tuple[State, Observables, Array]:
    return L.regression(A, B, state)


@compiled
def _joined(values: Array, weights: Array, where: Array, shape: tuple[int, ...]) -> Array:
    return jnp.einsum("tsa,sa->t", values[where], weights).reshape(shape)
