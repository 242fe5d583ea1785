"""Other people's codes as witnesses: qthermo's Davies baths, QuTiP's Bloch–Redfield tensor."""

import numpy as np
import pytest
import qthermo
import qutip

import jaxlgks as lgks

from .systems import SPECTRA, hermitian, smooth_spectrum, unitary

SEEDS = (0, 1, 2)


def random_system(seed: int, d: int, *, real: bool, kind: str = "generic") -> lgks.System:
    """Two baths on a random Hamiltonian in a random basis, real symmetric or complex Hermitian."""
    rng = np.random.default_rng([seed, d])
    U = np.linalg.qr(rng.normal(size=(d, d)))[0] if real else unitary(rng, d)
    H = U @ np.diag(SPECTRA[kind](rng, d)) @ U.conj().T
    couplings = [hermitian(rng, d) for _ in range(2)]
    baths = [
        lgks.Bath(S.real if real else S, T, smooth_spectrum(rng, d + i), name)
        for i, (S, T, name) in enumerate(zip(couplings, (1.3, 0.6), ("hot", "cold"), strict=True))
    ]
    return lgks.System((H + H.conj().T) / 2, baths)


# ------------------------------------------------------------------------------------------------------------- Davies


def peer_currents(system: lgks.System) -> np.ndarray:
    """Heat currents into the system by qthermo; its J(ω) is γ(ω), its rate at ω = 0 is told."""
    H = np.asarray(system.hamiltonian)
    baths = [
        qthermo.davies_bath(
            H,
            np.asarray(bath.coupling),
            float(bath.temperature),
            spectrum=lambda omega, bath=bath: float(bath.spectrum.density(omega)),
            zero_frequency_rate=float(bath.rate(0.0)),
            name=bath.name,
        )
        for bath in system.baths
    ]
    currents = qthermo.analyze(H, baths).currents
    return np.array([currents[bath.name] for bath in system.baths])


@pytest.mark.parametrize("d", [2, 3, 4, 5])
@pytest.mark.parametrize("real", [True, False], ids=["real", "complex"])
def test_davies_currents_against_qthermo(d, real):
    """Random systems, among them (from three levels on) those with equal Bohr frequencies: 1e−10 relative."""
    for seed in SEEDS:
        for kind in ("generic", "ladder") if d > 2 else ("generic",):
            system = random_system(seed, d, real=real, kind=kind)
            np.testing.assert_allclose(lgks.heat_currents(system), peer_currents(system), rtol=1e-10, err_msg=kind)


def test_davies_currents_of_two_qubits_against_qthermo():
    density = lgks.DrudeLorentz(0.001, 2.0)
    system = lgks.models.two_qubits(1.0, 0.2, temperatures=(0.45, 0.35), spectrum=density)
    for delta in (0.0, 0.05):
        shifted = system.perturbed(lgks.models.pauli("ZZ"), delta)
        np.testing.assert_allclose(lgks.heat_currents(shifted), peer_currents(shifted), rtol=1e-10)


# ----------------------------------------------------------------------------------------------------------- Redfield


def rate_of(bath):
    """Γ as a function of one argument: QuTiP takes a second one for the time."""
    return lambda w: float(bath.rate(float(w)))


@pytest.mark.parametrize("d", [2, 3, 4])
@pytest.mark.parametrize("seed", SEEDS)
def test_redfield_against_qutip(seed, d):
    """Real symmetric H and S, no secular cutoff: 1e−10 of the generator (1e−15 seen). QuTiP's spectra take the energy
    that the system gives to the bath, as Γ does here.
    (Its tensor is wrong for complex operators: those are written by hand in `test_equations`.)"""
    system = random_system(seed, d, real=True)
    a_ops = [[qutip.Qobj(np.asarray(bath.coupling).real), rate_of(bath)] for bath in system.baths]
    H = qutip.Qobj(np.asarray(system.hamiltonian).real)
    tensor = qutip.bloch_redfield_tensor(H, a_ops, sec_cutoff=-1, fock_basis=True).full()
    ours = np.asarray(lgks.liouvillian(system, lgks.Redfield()))
    np.testing.assert_allclose(ours, tensor, rtol=0, atol=1e-10 * np.max(np.abs(tensor)))
