"""Power spectra of the steady state.

Takes: a model, two operators, frequencies. Returns: ∫ dt e^{iωt} ⟨δA(t) δB(0)⟩, with the memory of the baths or by
quantum regression.
"""

from typing import Any

from jaxtyping import Array, Complex

from .._equations import AbstractEquation, Davies
from .._generator import AbstractSolver, resolve
from .._inputs import Numbers, as_flag, as_known
from .._steady import at_rest
from ._linear import as_frequencies


def spectrum(
    system: Any,
    A: Any,
    B: Any,
    omega: Numbers,
    equation: AbstractEquation = Davies(),
    solver: AbstractSolver | None = None,
    *,
    instantaneous: bool = False,
) -> Complex[Array, "*w"]:
    """The power spectrum of the fluctuations of the steady state,

        S_AB(ω) = ∫ dt e^{iωt} ⟨δA(t) δB(0)⟩,     δA = A − ⟨A⟩,     over all t.

    It is real where B = A†. The product ⟨A⟩⟨B⟩ is left out: it would be a δ(ω). At ω > 0 the system takes up a quantum
    ω, at ω < 0 it gives one away. At one temperature T, with the χ of `response`,

        S_BA(−ω) = e^{−ω/T} S_AB(ω),     −Im χ_V(ω) = ½ (1 − e^{−ω/T}) S_VV(ω).

    What B does at t = 0 the baths remember. With their memory `Redfield(lamb_shift=True)` is exact to second order in
    the coupling, and obeys both laws at any frequency up to an error that falls as the coupling does. (Where S(−ω) is
    smaller than S(ω) by e^{−ω/T}, the error is of the size of the latter, and S(−ω) may come out negative.) Any other
    equation takes the memory from Redfield's, and has what it averages away put back to first order. Without memory
    (`instantaneous=True`) this is the quantum regression theorem, the transform of `correlation`: right on the lines of
    the system, wrong by factors far from them, whatever the coupling.

    **Arguments:**

    - `system`: a `System`, then A and B are matrices [d, d], Hermitian or not; or a `QuasiFree` model, then they are
      `Polynomial`s.
    - `omega`: real, scalar or [w]. `equation`: the master equation. `solver`: as for `response`.
    - `instantaneous`: without the memory of the baths. The dissipators of `Local` have none to begin with.

    **Returns:** complex, the shape of `omega`. Of matrices, with memory, derivatives in H exist for
    `Redfield(lamb_shift=True)` and `Local`; those of other equations are NaN. Where levels lie as close as the Lamb
    shift, `Davies()` without it is wrong near ω = 0 by an amount that does not fall with the coupling.

    **Raises:** as `steady_state`; `ShapeError`, `InputError`; `CorrelationError` where a bath has no memory (`Flat`),
    unless `instantaneous=True`. Warns as `response` does where A or B joins near levels.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    system = lgks.System(Z / 2, lgks.Bath(X, 0.5, lgks.DrudeLorentz(0.001, 2.0)))
    lgks.spectrum(system, X, X, [-1.0, 0.3, 1.0], lgks.Redfield(lamb_shift=True)).real
    ```
    """
    omega = as_frequencies(omega, "spectrum")
    omegas = omega if omega.ndim else as_known(omega[None])
    instantaneous = as_flag(instantaneous, "spectrum: instantaneous")
    problem = resolve(system, equation)
    A = problem.operator(A, "spectrum: A", hermitian=False)
    B = problem.operator(B, "spectrum: B", hermitian=False)
    L, state = at_rest(problem, solver).generator()
    values = L.spectrum(A, B, state, omegas, instantaneous=instantaneous or not L.follows)
    return values if omega.ndim else values[0]
