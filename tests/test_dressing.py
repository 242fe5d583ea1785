"""The universal equation in the system's own frame: its change of frame against Redfield's generator, its states
against the hierarchy, and what it does not have."""

import jax.numpy as jnp
import numpy as np
import pytest
import qutip
from qutip.solver.heom import DrudeLorentzPadeBath, HEOMSolver

import jaxlgks as lgks
from jaxlgks._equations import dissipation
from jaxlgks.errors import InputError

X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
JUMP, OWN = lgks.UniversalLindblad(lamb_shift=True), lgks.UniversalLindblad(lamb_shift=True, frame="system")


def qubit(strength=1e-3, H=0.5 * Z):
    """Coupled by σx and σz to one bath: S = σx alone moves no coherence, σz alone no population."""
    return lgks.System(H, lgks.Bath(X + Z, 0.25, lgks.DrudeLorentz(strength, 1.0)))


@pytest.mark.slow
def test_the_frames_differ_by_what_makes_redfield_of_it():
    """[−i[H, ·], M] = D_Redfield − D_universal with their Lamb shifts, for two baths with complex couplings, 1e−12; M
    keeps trace and Hermiticity. What commutes with H in M is left to the hierarchy."""
    rng = np.random.default_rng(0)
    baths = []
    for T, density in ((1.0, lgks.DrudeLorentz(0.01, 2.0)), (0.5, lgks.DrudeLorentz(0.02, 3.0))):
        S = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
        baths.append(lgks.Bath(S + S.conj().T, T, density))
    E = np.array([0.0, 0.7, 1.6])
    system = lgks.System(np.diag(E), baths)  # the eigenbasis is that of the matrices, up to phases
    resolved = dissipation(system, OWN)
    U = np.asarray(resolved.structure.vectors)
    W = np.kron(U.conj(), U)
    M = W @ np.asarray(OWN.dressing(resolved.structure, resolved.noises)) @ W.conj().T
    unitary = -1j * np.diag((E[None, :] - E[:, None]).reshape(-1))
    redfield = lgks.liouvillian(system, lgks.Redfield(lamb_shift=True))
    np.testing.assert_allclose(unitary @ M - M @ unitary, redfield - lgks.liouvillian(system, JUMP), atol=1e-12)
    assert np.max(np.abs(np.eye(3).reshape(-1) @ M)) < 1e-14
    exchange = np.arange(9).reshape(3, 3).T.reshape(-1)
    np.testing.assert_allclose(M[exchange][:, exchange], M.conj(), atol=1e-14)


def test_steady_coherences_and_populations_against_the_hierarchy():
    """ρ_01/λ is −0.744 (hierarchy, depth 3), −0.743 in the system's frame, −0.077 − 0.453i in that of the jumps; the
    change of the population, which Redfield has with the wrong sign (−0.72), to 2 %: +0.311, +0.306, −0.025."""
    system, T, strength = qubit(), 0.25, 1e-3
    bath = DrudeLorentzPadeBath(qutip.Qobj(np.asarray(X + Z)), lam=strength, gamma=1.0, T=T, Nk=6)
    exact = HEOMSolver(qutip.Qobj(np.asarray(0.5 * Z)), [bath], max_depth=3).steady_state()[0].full()
    gibbs = 1 / (1 + np.exp(1 / T))
    own, jump = (np.asarray(lgks.steady_state(system, equation).rho) for equation in (OWN, JUMP))
    assert abs(own[0, 1] - exact[0, 1]) < 2e-3 * abs(exact[0, 1])
    assert abs(jump[0, 1] - exact[0, 1]) > 0.9 * abs(exact[0, 1])
    assert own[0, 0].real - gibbs == pytest.approx(exact[0, 0].real - gibbs, rel=0.02)
    assert abs(jump[0, 0].real - gibbs) < 0.1 * (exact[0, 0].real - gibbs)


def test_coherences_are_put_right_and_populations_are_not():
    """S = 0.6σz + 0.8σx, T = 0.8, ω_c = 1.5: ρ_01/λ is −0.0896 (hierarchy) and −0.0895 in the system's frame, of the
    other sign in that of the jumps; the change of the population is 0.10 and 0.28. That it was right to 2 % above is no
    rule."""
    S, T, strength = 0.6 * Z + 0.8 * X, 0.8, 1e-3
    system = lgks.System(0.5 * Z, lgks.Bath(S, T, lgks.DrudeLorentz(strength, 1.5)))
    bath = DrudeLorentzPadeBath(qutip.Qobj(np.asarray(S)), lam=strength, gamma=1.5, T=T, Nk=6)
    exact = HEOMSolver(qutip.Qobj(np.asarray(0.5 * Z)), [bath], max_depth=2).steady_state()[0].full()
    own, jump = (np.asarray(lgks.steady_state(system, equation).rho) for equation in (OWN, JUMP))
    assert exact[0, 1].real / strength == pytest.approx(-0.0896, abs=1e-4)
    assert own[0, 1].real / strength == pytest.approx(-0.0896, abs=2e-4)
    assert jump[0, 1].real / strength == pytest.approx(0.098, abs=1e-3)
    change = [(rho[0, 0].real - 1 / (1 + np.exp(1 / T))) / strength for rho in (exact, own)]
    np.testing.assert_allclose(change, [0.1035, 0.2826], rtol=0.01)


@pytest.mark.slow
def test_states_in_time_are_in_the_frame_of_the_steady_state():
    """A trajectory stays at, and returns to, the steady state; liouvillian takes it to zero, and
    has the eigenvalues of that of the jumps."""
    system = qubit(0.02)
    rho = lgks.steady_state(system, OWN).rho
    L = np.asarray(lgks.liouvillian(system, OWN))
    assert np.max(np.abs(L @ np.asarray(rho).T.reshape(-1))) < 1e-15
    states = lgks.evolve(system, jnp.eye(2) / 2, jnp.array([0.0, 3e3]), OWN).states
    np.testing.assert_allclose(states[0], np.eye(2) / 2, atol=1e-14)
    np.testing.assert_allclose(states[1], rho, atol=1e-9)
    np.testing.assert_allclose(*(np.poly(np.asarray(lgks.liouvillian(system, one))) for one in (OWN, JUMP)), atol=1e-13)


@pytest.mark.slow
def test_the_response_by_derivatives_is_that_of_differences():
    """M changes with H: d⟨σx⟩/dδ for V = σz + σx/2 through the change of frame, 1e−7 (central differences)."""
    system, V, h = qubit(0.02), Z + 0.5 * X, 1e-4
    up, down = (lgks.steady_state(system.perturbed(V, x), OWN).expect(X) for x in (h, -h))
    assert lgks.autodiff_response(system, V, X, OWN) == pytest.approx(float(up - down) / (2 * h), rel=1e-6)


def test_what_is_not_built_is_refused_by_name():
    system = qubit()
    with pytest.raises(InputError, match=r"needs lamb_shift=True"):
        lgks.UniversalLindblad(frame="system")
    rho = np.eye(2) / 2
    for call in (
        lambda: lgks.heat_currents(system, OWN),
        lambda: lgks.heat_currents(system, OWN, rho=rho),
        lambda: lgks.entropy_production(system, OWN),
        lambda: lgks.channel_currents(system, OWN),
        lambda: lgks.response(system, Z, X, OWN),
        lambda: lgks.evolve(system, rho, [0.0, 1.0], OWN, "diffrax"),
        lambda: lgks.steady_state(system, OWN, lgks.Krylov()),
        lambda: lgks.onsager_matrix(system, OWN),
    ):
        with pytest.raises(InputError, match=r"not built for UniversalLindblad\(frame='system'\)"):
            call()
    frame = lgks.RotatingFrame(np.diag([0.0, 1.0]), 1.0)
    driven = lgks.System(0.1 * X, lgks.Bath(X, 0.25, lgks.DrudeLorentz(1e-3, 1.0)), frame=frame)
    with pytest.raises(InputError, match="not built for a system with a rotating frame"):
        lgks.steady_state(driven, OWN)
