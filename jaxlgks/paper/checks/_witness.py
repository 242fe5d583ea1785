"""Independent witnesses: ways to a number that share no formula with the library's response.

Takes: functions, generators, states. Returns: Richardson finite differences, Heisenberg operators by the exponential of
the adjoint generator, dissipators written out term by term, and a generic two-qubit test system. In NumPy, so that
nothing is compiled for one use and no routine is shared with what is checked.
"""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import numpy as np
import scipy.linalg
from jaxtyping import Array

from ... import models
from ..._equations import AbstractEquation, Davies, Dissipator, dissipation
from ..._spectra import DrudeLorentz
from ..._system import System


@eqx.filter_jit
def _dissipators(system: System, equation: AbstractEquation) -> tuple[Dissipator, ...]:
    return dissipation(system, equation).dissipators()


def dissipators(system: System, equation: AbstractEquation) -> list[Dissipator]:
    """The library's D_α as NumPy operators L_j, R_j, K: D ρ = Σ_j L_j ρ R_j† − Kρ − ρK†."""
    return [jax.tree.map(np.asarray, D) for D in _dissipators(system, equation)]


def applied(D: Dissipator, rho) -> np.ndarray:
    """D ρ for states [..., d, d]."""
    rho = np.asarray(rho)
    jumps = np.einsum("jmk,...kl,jnl->...mn", D.left, rho, D.right.conj(), optimize=True)
    return jumps - D.drift @ rho - rho @ D.drift.conj().T


def matrix(D: Dissipator) -> np.ndarray:
    """The matrix of D in column stacking, vec(AρB) = (Bᵀ ⊗ A) vec(ρ)."""
    dim = D.drift.shape[-1]
    jumps = np.tensordot(D.right.conj(), D.left, axes=((0,), (0,)))  # [n, l, m, k]: R*_nl L_mk
    jumps = jumps.transpose(0, 2, 1, 3).reshape(dim * dim, dim * dim)
    return jumps - np.kron(np.eye(dim), D.drift) - np.kron(D.drift.conj(), np.eye(dim))


def generator(system: System, equation: AbstractEquation) -> np.ndarray:
    """L ρ = −i[H, ρ] + Σ_α D_α ρ of the library's operators, as a matrix."""
    H, one = np.asarray(system.hamiltonian), np.eye(system.dim)
    turning = -1j * (np.kron(one, H) - np.kron(H.T, one))
    return turning + sum(matrix(D) for D in dissipators(system, equation))


def null_state(L: np.ndarray) -> np.ndarray:
    """The state π with Lπ = 0, Tr π = 1, by least squares on the generator with the trace as one more row."""
    dim = round(len(L) ** 0.5)
    trace = np.eye(dim).reshape(1, -1)
    vector = np.linalg.lstsq(np.vstack([L, trace]), np.append(np.zeros(len(L)), 1.0), rcond=None)[0]
    return vector.reshape(dim, dim).T


def slope(f: Callable[[float], Array | np.ndarray], h: float) -> np.ndarray:
    """f'(0) by central differences at h and h/2, extrapolated: error O(h⁴) plus rounding/h."""
    coarse, fine = ((np.asarray(f(x)) - np.asarray(f(-x))) / (2 * x) for x in (h, h / 2))
    return (4 * fine - coarse) / 3


def pinned(system: System) -> AbstractEquation:
    """Davies with the groups of this system: the same compiled programs at zero and at finite δ."""
    return Davies().fixed(system)


def commutator(X, Y) -> np.ndarray:
    """[X, Y]."""
    X, Y = np.asarray(X), np.asarray(Y)
    return X @ Y - Y @ X


def average(state, X) -> np.ndarray:
    """Tr[π X], real for Hermitian X; leading axes broadcast."""
    return np.asarray(np.einsum("...ij,...ji->...", np.asarray(state), np.asarray(X)).real)


def bohr_components(system: System, bath: int) -> tuple[np.ndarray, np.ndarray]:
    """Bohr frequencies [g] and components S(ω) = Σ Π_m S Π_n [g, d, d], E_n − E_m = ω, of a bath's coupling (Eq. 7)."""
    energies, U = np.linalg.eigh(np.asarray(system.hamiltonian))
    S = U.conj().T @ np.asarray(system.baths[bath].coupling) @ U
    omega = energies[None, :] - energies[:, None]
    rounded = np.round(omega / np.ptp(energies), 9)
    parts = [(omega[rounded == r].mean(), U @ np.where(rounded == r, S, 0) @ U.conj().T) for r in np.unique(rounded)]
    return np.array([w for w, _ in parts]), np.array([part for _, part in parts])


def heisenberg(system: System, A, step: float, count: int) -> np.ndarray:
    """A(τ) = e^{L₀†τ}A of the Davies equation at τ = 0, step, …, (count−1)·step; array [count, d, d]."""
    adjoint = scipy.linalg.expm(generator(system, pinned(system)).conj().T * step)
    dim = system.dim
    vectors = [np.asarray(A, complex).T.reshape(-1)]
    for _ in range(count - 1):
        vectors.append(adjoint @ vectors[-1])
    return np.array([v.reshape(dim, dim).T for v in vectors])


def written_dissipator(terms: Sequence[tuple[float, np.ndarray]], swapped: bool = False):
    """ρ ↦ Σ rate (A ρ A† − ½{A†A, ρ}) as one writes it by hand; `swapped` puts AA† into the anticommutator."""

    def apply(rho: np.ndarray) -> np.ndarray:
        total = np.zeros_like(rho)
        for rate, A in terms:
            B = A @ A.conj().T if swapped else A.conj().T @ A
            total = total + rate * (A @ rho @ A.conj().T - (B @ rho + rho @ B) / 2)
        return total

    return apply


def superoperator(apply: Callable[[np.ndarray], np.ndarray], dim: int) -> np.ndarray:
    """The matrix of a superoperator in column stacking, from its action on each |m⟩⟨n|."""
    units = np.eye(dim * dim, dtype=complex).reshape(dim * dim, dim, dim).swapaxes(1, 2)
    return np.stack([apply(unit).T.reshape(-1) for unit in units], axis=1)


def warm_qubits(T_a: float = 0.45, T_b: float = 0.35, strength: float = 0.01) -> System:
    """Two qubits, ω = 1, g = 0.2, between Drude–Lorentz baths with ω_c = 2: smooth rates at every frequency."""
    return models.two_qubits(1.0, 0.2, temperatures=(T_a, T_b), spectrum=DrudeLorentz(strength, 2.0))


def generic_perturbation() -> np.ndarray:
    """A complex Hermitian V on two qubits that turns eigenvectors and shifts levels, with no symmetry left."""
    words = {"ZZ": 0.3, "ZI": 0.25, "XY": 0.2, "IX": 0.15, "YZ": -0.1, "XI": 0.08}
    return np.sum([weight * np.asarray(models.pauli(word)) for word, weight in words.items()], axis=0)


def generic_observables() -> np.ndarray:
    """Four observables on two qubits, [4, d, d]."""
    return np.stack([np.asarray(models.pauli(word)) for word in ("ZI", "XX", "YI", "IX")])
