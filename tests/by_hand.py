"""Generators of open systems written by hand in NumPy: the witness of the library's, which shares nothing with it but
the numbers of a system. Davies, unified, Redfield, universal; their steady states; Choi matrices."""

from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

import jaxlgks as lgks


class ByHand(NamedTuple):
    """A generator as plain matrices in column stacking, vec(AρB) = (Bᵀ ⊗ A) vec(ρ): its commutator, its baths."""

    commutator: np.ndarray
    baths: np.ndarray

    @property
    def generator(self) -> np.ndarray:
        return self.commutator + self.baths.sum(axis=0)


def rate(bath: lgks.Bath, omega: np.ndarray) -> np.ndarray:
    """Γ(ω) of a Drude–Lorentz or Ohmic bath: κ(ω) ω/(1 − e^{−ω/T}), κ T at ω = 0."""
    spectrum, T = bath.spectrum, float(bath.temperature)
    strength, cutoff = float(spectrum.strength), float(spectrum.cutoff)
    if isinstance(spectrum, lgks.DrudeLorentz):
        kappa = 4 * strength * cutoff / (omega**2 + cutoff**2)
    else:
        x = omega / cutoff
        kappa = strength * (np.exp(-(x**2)) if spectrum.shape == "gaussian" else 1 / (1 + x**2))
    x = omega / T
    return kappa * T * np.where(x == 0, 1.0, x / np.where(x == 0, 1.0, -np.expm1(-x)))


def chains(values: np.ndarray, gap: float = 0.0) -> np.ndarray:
    """Labels of values chained together while neighbours differ by less than a gap, or 1e−9 of the whole range."""
    order = np.argsort(values, axis=None)
    jumps = np.diff(values.ravel()[order]) > max(gap, 1e-9 * np.ptp(values))
    labels = np.empty(values.size, int)
    labels[order] = np.concatenate([[0], np.cumsum(jumps)])
    return labels.reshape(values.shape)


def dissipator(A: np.ndarray) -> np.ndarray:
    """D[A] as a matrix."""
    one, AA = np.eye(len(A)), A.conj().T @ A
    return np.kron(A.conj(), A) - (np.kron(one, AA) + np.kron(AA.T, one)) / 2


def commutator(H: np.ndarray) -> np.ndarray:
    """−i[H, ·] as a matrix."""
    one = np.eye(len(H))
    return -1j * (np.kron(one, H) - np.kron(H.T, one))


def davies(system: lgks.System, change: np.ndarray | float = 0.0) -> ByHand:
    """The Davies generator of H + change, with the groups of H: a sum of D[A], one term a group and bath.

    Levels of H + change are matched with those of H in the order of their energies.
    """
    H0 = np.asarray(system.hamiltonian)
    E0 = np.linalg.eigvalsh(H0)
    groups = chains(E0[None, :] - E0[:, None])
    E, U = np.linalg.eigh(H0 + change)
    omega = E[None, :] - E[:, None]
    baths = []
    for bath in system.baths:
        S = np.sqrt(rate(bath, omega)) * (U.conj().T @ np.asarray(bath.coupling) @ U)
        baths.append(sum(dissipator(U @ np.where(groups == g, S, 0) @ U.conj().T) for g in np.unique(groups)))
    return ByHand(commutator(H0 + change), np.array(baths))


def nearest_with_equal_frequencies(E: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The e nearest to E for which e_n − e_m is one number in each group."""
    rows = []
    for g in np.unique(groups):
        m, n = np.nonzero(groups == g)
        gaps = np.eye(len(E))[n] - np.eye(len(E))[m]
        rows.extend(gaps[1:] - gaps[:-1])
    free = sl.null_space(np.array(rows))
    return free @ (free.T @ E)


def unified(system: lgks.System, gap: float, rates: str, change: np.ndarray | float = 0.0) -> ByHand:
    """Of H + change, with the clusters of H: frequencies chained while neighbours differ by less than the gap. Element
    by element, rate(ω, ω') in the Lindblad forms the product of two roots, in the arithmetic one the mean, with that
    part of the commutator that the Redfield equation has."""
    H0 = np.asarray(system.hamiltonian)
    E0 = np.linalg.eigvalsh(H0)
    groups = chains(E0[None, :] - E0[:, None], gap)
    E, U = np.linalg.eigh(H0 + change)
    if rates == "centre":
        E = nearest_with_equal_frequencies(E, groups)
    omega, one, baths = E[None, :] - E[:, None], np.eye(len(E)), []
    for bath in system.baths:
        S, gamma, D = U.conj().T @ np.asarray(bath.coupling) @ U, rate(bath, omega), 0.0
        for g in np.unique(groups):
            factors = (np.sqrt(gamma),) if rates != "arithmetic" else (1.0, gamma)
            A, *others = (U @ np.where(groups == g, x * S, 0) @ U.conj().T for x in factors)
            if not others:
                D = D + dissipator(A)
                continue
            B = others[0]
            mean = (A.conj().T @ B + B.conj().T @ A) / 2
            D = D + (np.kron(A.conj(), B) + np.kron(B.conj(), A)) / 2 - (np.kron(one, mean) + np.kron(mean.T, one)) / 2
            D = D + commutator(-0.25j * (A.conj().T @ B - B.conj().T @ A))
        baths.append(D)
    return ByHand(commutator(H0 + change), np.array(baths))


def vec(X: np.ndarray) -> np.ndarray:
    return np.asarray(X).T.ravel()


def unvec(x: np.ndarray) -> np.ndarray:
    d = round(len(x) ** 0.5)
    return x.reshape(d, d).T


def stationary(L: np.ndarray) -> np.ndarray:
    """π with Lπ = 0, Tr π = 1, from the singular vector of the smallest singular value."""
    rho = unvec(np.linalg.svd(L)[2][-1].conj())
    rho = rho / np.trace(rho)
    return (rho + rho.conj().T) / 2


def redfield(system: lgks.System) -> ByHand:
    """[Λρ, S] + [S, ρΛ†] with Λ = Σ ½Γ(ω) S(ω): not completely positive."""
    E, U = np.linalg.eigh(np.asarray(system.hamiltonian))
    one, baths = np.eye(len(E)), []
    for bath in system.baths:
        S = np.asarray(bath.coupling)
        half = U @ (rate(bath, E[None, :] - E[:, None]) / 2 * (U.conj().T @ S @ U)) @ U.conj().T
        gain = np.kron(S.T, half) + np.kron(half.conj(), S)
        baths.append(gain - np.kron(one, S @ half) - np.kron((half.conj().T @ S).T, one))
    return ByHand(commutator(np.asarray(system.hamiltonian)), np.array(baths))


def universal(system: lgks.System) -> ByHand:
    """One jump a bath: D[Σ √Γ(ω) S(ω)]."""
    E, U = np.linalg.eigh(np.asarray(system.hamiltonian))
    omega = E[None, :] - E[:, None]
    jumps = [np.sqrt(rate(b, omega)) * (U.conj().T @ np.asarray(b.coupling) @ U) for b in system.baths]
    return ByHand(commutator(np.asarray(system.hamiltonian)), np.array([dissipator(U @ A @ U.conj().T) for A in jumps]))


def condition(L: np.ndarray) -> float:
    """How far a generator is from one with two steady states: the slowest relaxation, 1/|M⁻¹ probe|, relative to the
    norm of M, which is L with its trace added."""
    n = len(L)
    one = vec(np.eye(round(n**0.5)))
    M = L + np.max(np.abs(np.diag(L).real)) / one.sum() * np.outer(one, one)
    probe = np.exp(1j * (1.0 + np.arange(n)) ** 2) / np.sqrt(n)
    return 1 / np.linalg.norm(np.linalg.solve(M, probe)) / np.max(np.sum(np.abs(M), axis=1))


def choi(channel: np.ndarray) -> np.ndarray:
    """Σ_ij |i⟩⟨j| ⊗ Φ(|i⟩⟨j|): positive if and only if Φ is completely positive."""
    d = round(len(channel) ** 0.5)
    return channel.reshape(d, d, d, d).transpose(3, 1, 2, 0).reshape(d * d, d * d)


def lowest_choi(channel: np.ndarray) -> float:
    C = choi(channel)
    return float(np.linalg.eigvalsh((C + C.conj().T) / 2)[0])
