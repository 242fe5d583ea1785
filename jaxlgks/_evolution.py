"""States in time.

Takes: a model with its master equation, an initial state, times. Returns: the state at each time, by the matrix
exponential of the generator (block by block where levels are known), by an adaptive Runge–Kutta method in the
interaction picture, or for oscillators in closed form.
"""

from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._cumulant import Cumulant, cumulant_states
from ._equations import AbstractEquation, Davies
from ._generator import AbstractGenerator, Evolution, require_known, resolve, tell
from ._inputs import Numbers, as_real, as_state, as_word, is_concrete
from ._system import require_matrices
from .errors import InputError, ShapeError


def evolve(
    system: Any,
    rho0: Any,
    ts: Numbers,
    equation: AbstractEquation | Cumulant = Davies(),
    method: Literal["expm", "diffrax"] = "expm",
    **options: Any,
) -> Any:
    """Solve dρ/dt = L ρ (paper, Eq. 11) from ρ(ts[0]) = rho0.

    **Arguments:**

    - `rho0`: Hermitian and of trace one, [d, d], the state at the first of the times. `ts`: ascending times, [t], unit
      1/energy.
    - `equation`: a master equation, or `Cumulant()` for the cumulant map from ts[0] on (`method` is then not used).
    - `method`: "expm", the exponential of the generator, exact to eps·‖L‖t, block by block for `Davies` and `Unified`
      where levels are known, of d²×d² otherwise (by the integrator above d = 24 where operators are few:
      `UniversalLindblad`, `Redfield`, wide clusters of `Unified`); or "diffrax", Dormand–Prince 8(5,3) in the
      interaction picture of H, whose steps follow the decay rates for `Davies` and `Unified`; the d²×d² generator is
      never formed. A derivative takes four steps and more per inverse decay rate, in H two and more per inverse Bohr
      frequency.
    - `options` of "diffrax": `rtol` (1e−10), `atol` (1e−12), `max_steps` (100,000), `progress` (a text bar), `adjoint`
      (how it is differentiated; reverse mode by default, `diffrax.ForwardMode()` for `jvp` and `jacfwd`).

    For a `QuasiFree` model `rho0` is a `GaussianState`, which stays one: mean and covariance in closed form, at any
    occupation.

    **Returns:** `Evolution`, of a `QuasiFree` model `GaussianEvolution`. `.validity` has the numbers by which the
    equation is judged, inside `jit` as well.

    **Raises:** `InputError` (times not ascending, unknown method or option), `ShapeError`, `NotHermitianError`;
    `DensityError`, `LambShiftError`, `SingularDensityError` where a density has no rate, or no Lamb shift, at a
    frequency of the system.
    **Warns:** `ValidityWarning`, as `steady_state`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    rho0 = jnp.diag(jnp.array([1.0, 0.0, 0.0, 0.0]))
    lgks.evolve(system, rho0, jnp.linspace(0.0, 100.0, 11)).expect(system.hamiltonian)
    ```
    """
    as_word(method, "evolve: method", ("expm", "diffrax"))
    unknown = sorted(set(options) - {"rtol", "atol", "max_steps", "progress", "adjoint"})
    if unknown or (options and method == "expm"):
        raise InputError(
            "evolve: method 'diffrax' has the options rtol, atol, max_steps, progress and adjoint, 'expm' none; got "
            f"{unknown or sorted(options)} with {method!r}."
        )
    if isinstance(equation, Cumulant):
        require_matrices(system, "evolve with Cumulant()")
        rho0 = as_state(rho0, "evolve: rho0", system.dim, positive=False).astype(system.hamiltonian.dtype)
        ts = as_times(ts, "evolve: ts")
        return Evolution(ts, cumulant_states(system, rho0, ts - ts[0], equation.panels))
    problem = resolve(system, equation)
    rho0, ts = problem.initial(rho0, "evolve: rho0", method), as_times(ts, "evolve: ts")
    L: AbstractGenerator = problem.generator() if method == "expm" else problem.integrable()
    if L.name == "operators" and is_concrete(problem) and (error := problem.unusable("evolve")):
        raise error  # an integrator would make all its steps before it gives up
    evolution = problem.finite(L.evolve(rho0, ts, **options), "evolve")
    require_known(evolution, "evolve")
    validity = problem.validity(problem.visited(evolution))
    tell(problem, validity)
    return eqx.tree_at(lambda e: e.validity, evolution, validity, is_leaf=lambda x: x is None)


def as_times(ts: Numbers, name: str) -> Float[Array, " t"]:
    """Ascending real times [t], known ones inside `jit` as well."""
    ts = as_real(ts, name)
    if ts.ndim != 1 or ts.size == 0:
        raise ShapeError(f"{name} must be a real array [t] with at least one time; got {ts.dtype}{tuple(ts.shape)}.")
    if is_concrete(ts):
        rises = np.diff(ts) >= 0
        if not np.all(rises):
            raise InputError(f"{name} must ascend; the first descent is at index {int(np.argmin(rises)) + 1}.")
        return ts
    return jnp.where(jnp.all(jnp.diff(ts) >= 0), ts, jnp.nan)
