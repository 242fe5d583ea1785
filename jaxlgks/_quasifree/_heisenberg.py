"""Polynomials in time, in closed form.

Takes: a model, a master equation, a polynomial A, a time. Returns: e^{L₀†t}A, which in Wick's order of the steady state
is e^{Kt} on each index of each tensor.
"""

from jaxtyping import Array

from .._compiled import compiled
from .._equations import AbstractEquation, Davies
from .._inputs import as_delays
from .._polynomials import Polynomial, Symbol
from ..errors import ShapeError
from ._flow import evolved
from ._frame import Frame
from ._model import QuasiFree, require_oscillators
from ._problem import modes_problem


def heisenberg(model: QuasiFree, A: Polynomial, t, equation: AbstractEquation = Davies()) -> Polynomial:
    """A polynomial in the Heisenberg picture of a master equation, e^{L₀†t}A, exactly and of the same degree.

    **Arguments:** `model`; `A`: a `Polynomial`, Hermitian or not; `t` ≥ 0: one time; `equation`.

    **Returns:** a `Polynomial` in the a, a† of the model.

    **Raises:** as `steady_state` (the evolution is written about the steady state); `ShapeError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, = lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 2.0, lgks.Flat(0.1)))
    lgks.heisenberg(model, a.dag * a, 100.0)          # the occupation 1/(e^(1/2) − 1), and little of a†a
    ```
    """
    require_oscillators(model, "heisenberg")
    problem = modes_problem(model, equation)
    A = problem.operator(A, "heisenberg: A", hermitian=False)
    t = as_delays(t, "heisenberg: t")
    if t.ndim:
        raise ShapeError(f"heisenberg: t must be one time; got shape {tuple(t.shape)}.")
    at = problem.generator().at
    return Polynomial(_heisenberg(at, A.coefficients, t), A.modes, A.limit)


@compiled
def _heisenberg(at: Frame, A: Symbol, t: Array) -> Symbol:
    A = at.wick(A)
    return at.back((A[0], *(evolved(T, at.drift, t, at.diagonal) for T in A[1:])))
