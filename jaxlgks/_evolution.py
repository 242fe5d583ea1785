"""States in time.

Enters: a generator or a system with its master equation, an initial state, times. Leaves: the state at each time, by
the matrix exponential of the generator (block by block where levels are known), or by an adaptive Runge–Kutta method in
the interaction picture.
"""

from typing import Literal, overload

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ._cumulant import Cumulant, cumulant_states
from ._equations import AbstractEquation, Davies, counted
from ._generator import (
    AbstractGenerator,
    OperatorGenerator,
    Partition,
    find_partition,
    generator,
    operator_generator,
)
from ._inputs import Numbers, as_known, as_operator, is_concrete
from ._oscillators import QuasiFree
from ._quasifree import GaussianEvolution, GaussianState, gaussian_evolution
from ._system import System
from .errors import InputError, ShapeError


class Evolution(eqx.Module):
    """States `states[i]` at times `ts[i]`."""

    ts: Float[Array, " t"]
    states: Complex[Array, "t d d"]

    def expect(self, A) -> Float[Array, " t"]:
        """Tr[A ρ(t)] of a Hermitian A, [t]."""
        A = as_operator(A, "the observable A", self.states.shape[-1])
        return jnp.einsum("ij,tji->t", A, self.states).real


@overload
def evolve(
    system: System,
    rho0,
    ts: Numbers,
    equation: AbstractEquation | Cumulant = ...,
    method: Literal["expm", "diffrax"] = "expm",
    *,
    rtol: float = ...,
    atol: float = ...,
    max_steps: int = ...,
    progress: bool = ...,
    adjoint: eqx.Module | None = ...,
) -> Evolution: ...
@overload
def evolve(
    system: QuasiFree, rho0: GaussianState, ts: Numbers, equation: AbstractEquation = ...
) -> GaussianEvolution: ...
def evolve(
    system: System | QuasiFree,
    rho0,
    ts: Numbers,
    equation: AbstractEquation | Cumulant = Davies(),
    method: Literal["expm", "diffrax"] = "expm",
    *,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    max_steps: int = 100_000,
    progress: bool = False,
    adjoint: eqx.Module | None = None,
) -> Evolution | GaussianEvolution:
    """Solve dρ/dt = L ρ (paper, Eq. 11) from ρ(ts[0]) = rho0.

    **Arguments:**

    - `rho0`: Hermitian, [d, d], the state at the first of the times. `ts`: ascending times, [t], unit 1/energy.
    - `equation`: a master equation, or `Cumulant()` for the cumulant map from ts[0] on (`method` is then not used).
    - `method`: "expm", the exponential of the generator, exact to eps·‖L‖t, block by block for `Davies` and `Unified`
      where levels are known, of d²×d² otherwise (by the integrator above d = 24 where operators are few:
      `UniversalLindblad`, `Redfield`, wide clusters of `Unified`); or "diffrax", Dormand–Prince 8(5,3) in the
      interaction picture of H, whose steps follow the decay rates for `Davies` and `Unified`; the d²×d² generator is
      never formed. A derivative takes four steps and more per inverse decay rate, in H two and more per inverse Bohr
      frequency.
    - `rtol`, `atol`, `max_steps`, `progress` (a text bar): for "diffrax". `adjoint`: how it is differentiated; reverse
      mode by default, `diffrax.ForwardMode()` for `jvp` and `jacfwd`.

    For a `QuasiFree` model `rho0` is a `GaussianState`, which stays one: mean and covariance in closed form, at any
    occupation.

    **Returns:** `Evolution`, of a model `GaussianEvolution`.

    **Raises:** `InputError` (times not ascending, unknown method), `ShapeError`, `NotHermitianError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    rho0 = jnp.diag(jnp.array([1.0, 0.0, 0.0, 0.0]))
    lgks.evolve(system, rho0, jnp.linspace(0.0, 100.0, 11)).expect(system.hamiltonian)
    ```
    """
    if isinstance(system, QuasiFree):
        if isinstance(equation, Cumulant) or method != "expm":
            raise InputError("evolve: of a QuasiFree model master equations evolve, with method 'expm'.")
        return gaussian_evolution(system, equation, rho0, as_times(ts, "evolve: ts"))
    rho0 = as_operator(rho0, "evolve: rho0", system.dim).astype(system.hamiltonian.dtype)
    ts = as_times(ts, "evolve: ts")
    if isinstance(equation, Cumulant):
        return Evolution(ts, cumulant_states(system, rho0, ts - ts[0], equation.panels))
    if method == "expm":
        L = _generator(system, counted(equation, system), find_partition(system, equation))
        times = as_known(ts, rho0.real.dtype)
        return Evolution(ts, L.back(L.propagate(L.to(rho0)[None], times)[:, 0]))
    if method == "diffrax":
        L = _operators(system, counted(equation, system))
        options = {"rtol": rtol, "atol": atol, "max_steps": max_steps, "progress": progress, "adjoint": adjoint}
        return Evolution(ts, L.back(L.integrated(L.to(rho0)[None], ts, **options)[:, 0]))
    raise InputError(f"evolve: method must be 'expm' or 'diffrax'; got {method!r}.")


def as_times(ts: Numbers, name: str) -> Float[Array, " t"]:
    """Ascending real times [t], known ones inside `jit` as well."""
    ts = as_known(ts)
    if ts.ndim != 1 or ts.size == 0 or jnp.issubdtype(ts.dtype, jnp.complexfloating):
        raise ShapeError(f"{name} must be a real array [t] with at least one time; got {ts.dtype}{tuple(ts.shape)}.")
    ts = as_known(ts, jnp.result_type(ts.dtype, float))
    if is_concrete(ts):
        if not np.all(np.isfinite(ts)):
            raise InputError(f"{name} must be finite; got {ts[int(np.argmin(np.isfinite(ts)))]}.")
        rises = np.diff(ts) >= 0
        if not np.all(rises):
            raise InputError(f"{name} must ascend; the first descent is at index {int(np.argmin(rises)) + 1}.")
        return ts
    return jnp.where(jnp.all(jnp.diff(ts) >= 0), ts, jnp.nan)


@eqx.filter_jit
def _generator(system: System, equation: AbstractEquation, partition: Partition | None) -> AbstractGenerator:
    return generator(system, equation, partition)


@eqx.filter_jit
def _operators(system: System, equation: AbstractEquation) -> OperatorGenerator:
    return operator_generator(system, equation)
