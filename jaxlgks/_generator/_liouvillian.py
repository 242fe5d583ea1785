"""The generator L of dρ/dt = L ρ.

Takes: a system and a master equation. Returns: L as a d²×d² matrix in column stacking (as QuTiP's), and helpers that
turn matrices into vectors and back.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._bohr import traceless
from .._equations import AbstractEquation, Davies, Dissipation, as_equation, dissipation
from .._inputs import as_setting, is_concrete
from .._system import System, require_matrices
from ._memory import ALLOWED, matrix_bytes, require_memory


def vec(X: Complex[Array, "d d"]) -> Complex[Array, " n"]:
    """Column stacking: vec(AXB) = (Bᵀ ⊗ A) vec(X)."""
    return X.T.reshape(-1)


def unvec(x: Complex[Array, " n"]) -> Complex[Array, "d d"]:
    """Inverse of `vec`."""
    dim = round(x.shape[-1] ** 0.5)
    return x.reshape(dim, dim).T


def commutator_matrix(H: Complex[Array, "d d"]) -> Complex[Array, "n n"]:
    """The matrix of ρ ↦ −i[H, ρ]."""
    identity = jnp.eye(H.shape[-1], dtype=H.dtype)
    return -1j * (jnp.kron(identity, H) - jnp.kron(H.T, identity))


def liouvillian(
    system: System, equation: AbstractEquation = Davies(), *, memory: float = ALLOWED
) -> Complex[Array, "n n"]:
    """The generator as a matrix, L ρ = −i[H, ρ] + Σ_α D_α ρ (paper, Eq. 11).

    **Arguments:** `system`: the system between its baths. `equation`: the master equation. `memory`: bytes that the
    matrix and what it is made of may take, four times 16 d⁴; more is refused before it is taken.

    **Raises:** `SolverMemoryError`; `DensityError`, `LambShiftError`, `SingularDensityError` where a density has no
    rate, or no Lamb shift, at a frequency of the system (NaN where numbers are traced).

    **Returns:** complex array [d², d²] acting on column-stacked states, vec(AρB) = (Bᵀ ⊗ A) vec(ρ); unit: energy (ħ=1).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    lgks.liouvillian(system).shape                 # (16, 16)
    ```
    """
    require_matrices(system, "liouvillian")
    memory = as_setting(memory, "liouvillian: memory")
    require_memory(
        f"liouvillian: the matrix of d²×d² for dimension d = {system.dim}",
        matrix_bytes(system),
        memory,
        "steady_state, response and evolve do without it; or allow more with liouvillian(..., memory=...).",
    )
    resolved = dissipation(system, as_equation(equation))
    L = liouvillian_of(resolved)
    if is_concrete(L) and not np.all(np.isfinite(L)) and (error := resolved.unusable("liouvillian")):
        raise error
    return L


def liouvillian_of(resolved: Dissipation) -> Complex[Array, "n n"]:
    """The same of a system whose structure is known."""
    total = commutator_matrix(traceless(resolved.system.hamiltonian))
    for dissipator in resolved.dissipators():
        total = total + dissipator.matrix()
    if not resolved.equation.dressed:
        return total
    U = resolved.structure.vectors
    W = jnp.kron(U.conj(), U).astype(total.dtype)
    return dressed(total, W @ frame_change(resolved) @ W.conj().T)


def frame_change(resolved: Dissipation) -> Complex[Array, "n n"]:
    """1 − M in the eigenbasis of H, of an equation that is `dressed`."""
    M = resolved.equation.dressing(resolved.structure, resolved.noises)
    return jnp.eye(len(M), dtype=M.dtype) - M


def dressed(L: Complex[Array, "n n"], T: Complex[Array, "n n"]) -> Complex[Array, "n n"]:
    """T L T⁻¹."""
    return jnp.linalg.solve(T.T, (T @ L).T).T
