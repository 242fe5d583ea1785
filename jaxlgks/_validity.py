"""How far a master equation can be trusted, as numbers that travel.

Takes: a model, an equation, a state if there is one. Returns: `Validity`; traced where its arguments are.
"""

from typing import Any

from ._equations import AbstractEquation, Davies, Validity
from ._generator import resolve


def validity(system: Any, equation: AbstractEquation = Davies(), rho: Any = None) -> Validity:
    """The small parameters that a master equation takes for zero. `diagnose` says what they mean beside a perturbation;
    `steady_state` and `evolve` return them with their results.

    **Arguments:** `system`: a `System` or a `QuasiFree` model. `equation`: the master equation. `rho`: a state, [d, d];
    levels that are empty in it do not count, nor does a negative eigenvalue go unseen. Of a `QuasiFree` model it
    changes nothing.

    **Returns:** `Validity`: `.memory`, `.force`, `.separation`, ..., and what follows, `.in_range`. A pure function,
    for `jit`, `vmap` and sweeps; its derivatives are zero.

    **Raises:** `InputError`, `ShapeError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    slow = lgks.Bath(lgks.models.pauli("X"), 0.5, lgks.DrudeLorentz(0.2, 0.02))
    judged = lgks.validity(lgks.System(0.5 * lgks.models.pauli("Z"), slow), lgks.Redfield())
    print(judged)                      # Redfield out of range: a slow force or a line of a bath is not weak
    ```
    """
    problem = resolve(system, equation)
    return problem.validity(None if rho is None else problem.state(rho, "validity: rho"))
