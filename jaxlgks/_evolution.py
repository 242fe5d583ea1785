"""States in time.

Takes: a model with its master equation, an initial state, times. Returns: the state at each time, by the matrix
exponential of the generator (block by block where levels are known), by an adaptive Runge–Kutta method in the
interaction picture, or for oscillators in closed form.
"""

from typing import Any, Literal

import equinox as eqx

from ._cumulant import Cumulant, cumulant_states
from ._driven_evolution import OPTIONS, evolve_driven
from ._drives import DrivenSystem
from ._equations import AbstractEquation, Davies
from ._generator import AbstractGenerator, Evolution, require_known, resolve, tell
from ._inputs import Numbers, as_state, as_times, as_word, is_concrete
from ._system import require_matrices
from .errors import InputError


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
      (how it is differentiated; reverse mode by default, that of `maximise`; `diffrax.ForwardMode()` for `jvp`,
      `jacfwd`, `fit`, `sensitivity`, `fisher_information` and derivatives of a `sweep`).

    For a driven system (`system.driven(...)`) dissipators follow H(t) with the memory of the baths, which is exact to
    second order in the coupling for any drive: `equation=Redfield(lamb_shift=True)`. It is integrated by collocation of
    order 13, whose steps follow H(t), none longer than the largest interval of `ts`: a pulse that is much shorter than
    1/|H| needs times around it. `method` is not used; `options`:

    - `stationary`: False: at ts[0] system and baths have just met, a product state. True: the baths have long been in
      contact with the system under H(ts[0]); `rho0` may then be None, the steady state there.
    - `instantaneous`: True for the adiabatic form of any equation, at each time its generator for the H(t) of that
      time; right for drives much slower than transitions and baths. Groups of Bohr frequencies are those of H(t), or
      those of `equation.fixed(...)`.
    - `rtol` (1e−9), `atol` (1e−10), `max_steps` (100,000), `progress`, `adjoint` (as above; not `BacksolveAdjoint`).

    For a `QuasiFree` model `rho0` is a `GaussianState`, which stays one: mean and covariance in closed form, at any
    occupation.

    **Returns:** `Evolution`, of a driven system `DrivenEvolution`, of a `QuasiFree` model `GaussianEvolution`.
    `.validity` has the numbers by which the equation is judged, inside `jit` as well.

    **Raises:** `InputError` (times not ascending, unknown method or option), `ShapeError`, `NotHermitianError`;
    `CorrelationError` where a bath of a driven system has no memory; `DensityError`, `LambShiftError`,
    `SingularDensityError` where a density has no rate, or no Lamb shift, at a frequency of the system.
    **Warns:** `ValidityWarning`, as `steady_state`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    rho0 = jnp.diag(jnp.array([1.0, 0.0, 0.0, 0.0]))
    lgks.evolve(system, rho0, jnp.linspace(0.0, 100.0, 11)).expect(system.hamiltonian)

    Z, bath = lgks.models.pauli("Z"), lgks.Bath(lgks.models.pauli("X"), 0.5, lgks.DrudeLorentz(0.01, 2.0))
    driven = lgks.System(0.5 * Z, bath).driven(lgks.Drive(Z, lgks.pulses.Gaussian(0.3, centre=10.0, width=3.0)))
    redfield = lgks.Redfield(lamb_shift=True)
    pulse = lgks.evolve(driven, None, jnp.linspace(0.0, 20.0, 41), redfield, stationary=True)
    pulse.expect(Z), pulse.work[-1], pulse.bath_currents
    ```
    """
    as_word(method, "evolve: method", ("expm", "diffrax"))
    if isinstance(system, DrivenSystem):
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise InputError(f"evolve: for a driven system the options are {', '.join(OPTIONS)}; got {unknown}.")
        return evolve_driven(system, rho0, ts, equation, options)
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
