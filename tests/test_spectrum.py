"""Power spectra: laws of one temperature, regression written by hand, oscillators on a Fock space.

Between baths of two temperatures the judge is the hierarchy, in test_memory_heom.py.
"""

import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import CorrelationError, ShapeError

P = lgks.models.pauli
X, Y, Z = (np.asarray(P(word)) for word in "XYZ")
REDFIELD = lgks.Redfield(lamb_shift=True)
T, OMEGAS = 0.5, np.array([0.3, 0.7, 1.6])


def qubit(strength: float) -> lgks.System:
    return lgks.System(Z / 2, lgks.Bath(X + 0.3 * Z, T, lgks.DrudeLorentz(strength, 2.0), "a"))


@pytest.mark.parametrize("equation", [REDFIELD, lgks.Davies()], ids=lambda e: type(e).__name__)
def test_one_temperature_ties_a_spectrum_to_the_response_and_to_itself(equation):
    """−Im χ_V = ½(1 − e^{−ω/T}) S_V and S(−ω) = e^{−ω/T} S(ω) off the line of a qubit, for a V that turns and shifts
    it: a fourth of the coupling leaves a fourth of the violation, twice, down to 2e−3 (Davies, whose static response
    is its own: 6e−3); that of regression stays above 15 %."""
    V, both = X + 0.5 * Z, np.concatenate([OMEGAS, -OMEGAS])
    violations = []
    for strength in (0.004, 0.001, 0.00025):
        chi = np.asarray(lgks.response(qubit(strength), V, V, equation).susceptibility(OMEGAS).total)
        rows = []
        for instantaneous in (False, True):
            S = lgks.spectrum(qubit(strength), V, V, both, equation, instantaneous=instantaneous)
            assert not np.any(S.imag)
            ahead, back = np.split(np.asarray(S.real), 2)
            assert np.min(ahead) > 0
            lost = np.abs(chi.imag + (1 - np.exp(-OMEGAS / T)) * ahead / 2) / np.abs(chi.imag)
            rows.append([lost, np.abs(back / ahead * np.exp(OMEGAS / T) - 1)])
        violations.append(rows)
    memory, regression = np.moveaxis(np.array(violations), 1, 0)
    falls = memory[1:] / memory[:-1]
    assert np.all((falls > 0.2) & (falls < 0.3))
    assert np.max(memory[-1]) < (2.5e-3 if equation.second_order else 6e-3)
    assert np.all(regression[-1][:, -1] > 0.15)


@pytest.mark.parametrize(
    "equation", [lgks.Davies(), lgks.Redfield(), lgks.Local(qubit(0.02))], ids=lambda e: str(e)[:5]
)
def test_regression_by_hand(equation):
    """−Tr[A (L + iω)⁻¹ δBπ] and the other half, in NumPy, of operators that are not Hermitian; constants drop out, and
    S_AB(ω)* = S_B†A†(ω) with and without memory."""
    system, A, B = qubit(0.02), X + 0.2j * Z, np.array([[0.3, 1.0], [0.1j, -0.4]])
    L, rho = np.asarray(lgks.liouvillian(system, equation)), np.asarray(lgks.steady_state(system, equation).rho)

    def half(later, first, omega):
        start = (first - np.trace(first @ rho) * np.eye(2)) @ rho
        x = -np.linalg.solve(L + 1j * omega * np.eye(4), start.T.reshape(-1))
        return np.trace(later @ x.reshape(2, 2).T)

    expected = [half(A, B, w) + half(B.conj().T, A.conj().T, w).conj() for w in OMEGAS]
    found = lgks.spectrum(system, A, B + 3 * np.eye(2), OMEGAS, equation, instantaneous=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.max(np.abs(expected)))
    ahead, back = (
        np.asarray(lgks.spectrum(system, *pair, 0.7, equation)) for pair in ((A, B), (B.conj().T, A.conj().T))
    )
    assert ahead.shape == ()
    assert back == pytest.approx(ahead.conj(), rel=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*treats levels apart:UserWarning")  # of many quanta, whose decay is fast
def test_oscillators_have_the_spectrum_of_a_fock_space():
    """Squeezed, displaced, between two baths; A and B quadratic, B not Hermitian; Davies, which has what it averages
    away put back beside the memory: by polynomials and by matrices of 14 quanta, 1e−6 of each value."""
    (a,) = lgks.modes(1)
    x, p = a + a.dag, 1j * (a.dag - a)
    density = lgks.DrudeLorentz(0.004, 2.0)
    baths = [lgks.Bath(x, 0.4, density, "hot"), lgks.Bath(0.7 * x + 0.4 * p, 0.25, density, "cold")]
    model = lgks.QuasiFree(a.dag * a + 0.15 * x * x + 0.1 * x, baths)
    few, A, B = lgks.truncated(model, 14), a.dag * a, a * a + 0.3 * a.dag + 0.2 * x
    matrix = few.operator((B + B.dag) / 2) + 1j * few.operator((B - B.dag) / 2j)
    omegas, equation = [-0.3, 0.3, 5.0], lgks.Davies(lamb_shift=True)
    ours = lgks.spectrum(model, A, B, omegas, equation)
    theirs = lgks.spectrum(few.system, few.operator(A), matrix, omegas, equation)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_what_has_no_spectrum_is_named():
    """`Flat` with memory (regression it has), frequencies of a wrong shape."""
    flat = lgks.System(Z / 2, lgks.Bath(X, T, lgks.Flat(0.01), "flat"))
    with pytest.raises(CorrelationError, match=r"'flat'.*instantaneous=True"):
        lgks.spectrum(flat, X, X, OMEGAS)
    assert np.all(np.isfinite(lgks.spectrum(flat, X, X, OMEGAS, instantaneous=True)))
    with pytest.raises(ShapeError, match="spectrum: omega"):
        lgks.spectrum(flat, X, X, [OMEGAS])


def test_linear_observables_of_oscillators_by_a_secular_equation():
    """q and p of one displaced oscillator between two temperatures: S_qp = iω S_qq, since p = q̇/Ω; and a kick acts on
    the system alone, −iωχ → i⟨[V, A]⟩. What an equation averages away has terms of degree two, here beyond those of
    A and B."""
    (a,) = lgks.modes(1)
    q, p = a + a.dag, 1j * (a.dag - a)
    baths = [lgks.Bath(q, 0.7, lgks.DrudeLorentz(0.001, 1.5)), lgks.Bath(0.8 * q, 0.4, lgks.DrudeLorentz(0.001, 2.2))]
    model, davies = lgks.QuasiFree(a.dag * a + 0.3 * q, baths), lgks.Davies(lamb_shift=True)
    omegas = np.array([-0.3, 0.4, 2.1])
    qp, qq = (np.asarray(lgks.spectrum(model, q, x, omegas, davies)) for x in (p, q))
    np.testing.assert_allclose(qp, 1j * omegas * qq, rtol=0.02)
    fast = lgks.response(model, q * q + 0.3 * p, q, davies)
    np.testing.assert_allclose([(-1e8j * fast.susceptibility(1e8).total).real, fast.impulse(0.0).total], 0.6, rtol=1e-6)


@pytest.mark.slow
def test_single_precision_responds_as_double_does():
    """In frequency and in time, with memory: exponentials come in double precision and must not mix with it."""

    found = []
    for kind in (np.complex64, np.complex128):
        system = lgks.System(Z / 2, lgks.Bath(X, 0.7, lgks.DrudeLorentz(0.002, 1.5)), dtype=kind)
        r = lgks.response(system, X, X, lgks.Redfield(lamb_shift=True))
        found.append([r.susceptibility(0.3).total.real, r.impulse(0.3).total])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
