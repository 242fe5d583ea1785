"""The three-level maser: what its frame, its power and its efficiency must be."""

import warnings

import jax
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import InputError, TemperatureError

HOT, COLD = 5.0, 1.0


def run(drive, gamma=1e-3, temperatures=(4.0, 0.5), equation=None, **more):
    """Power, heat from the hot bath, the state."""
    equation = lgks.Unified(width=100.0) if equation is None else equation
    maser = lgks.models.three_level_maser(HOT, COLD, drive, gamma, temperatures, **more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lgks.ValidityWarning)
        rho = lgks.steady_state(maser.system, equation).rho
    return maser.power(rho, equation), lgks.heat_currents(maser.system, equation, rho=rho)[0], rho


def lindblad(drive: float, gamma: float, temperatures: tuple[float, float]) -> tuple[float, np.ndarray]:
    """The textbook's equation of the undressed atom (Lamb), written out here: rates γ(n+1), γn at ω_h and ω_c on 1–3
    and 2–3, the field in the commutator. Power from the flux of the field, 2ε Im ρ₂₁ ω_d. Column stacking."""
    H = np.diag([0.0, 0.0, HOT]).astype(complex)
    H[0, 1] = H[1, 0] = drive
    one = np.eye(3)
    L = -1j * (np.kron(one, H) - np.kron(H.T, one))
    for low, w, T in ((0, HOT, temperatures[0]), (1, COLD, temperatures[1])):
        n = 1 / np.expm1(w / T)
        for rate, (i, j) in ((gamma * (n + 1), (low, 2)), (gamma * n, (2, low))):
            A = np.zeros((3, 3))
            A[i, j] = 1.0
            K = A.T @ A
            L = L + rate * (np.kron(A, A) - (np.kron(one, K) + np.kron(K.T, one)) / 2)
    trace = np.eye(3).reshape(-1)
    rho = np.linalg.solve(L + np.outer(trace, trace) / 3, trace / 3).reshape(3, 3).T
    return float(2 * drive * rho[1, 0].imag * (HOT - COLD)) * -1, rho


@pytest.mark.parametrize("drive", [1e-5, 1e-4, 1e-3])
def test_a_weak_field_gives_the_equation_of_the_undressed_atom(drive):
    """Populations and power agree to the dressing, ε/T and ε/ω_c (times ten for the sum of both)."""
    power, _, rho = run(drive)
    expected, atom = lindblad(drive, 1e-3, (4.0, 0.5))
    assert float(abs(power)) == pytest.approx(abs(expected), rel=1e-2 * max(drive, 1e-4) / 1e-3)
    np.testing.assert_allclose(np.diag(rho).real, np.diag(atom).real, atol=10 * drive)


def test_the_second_law():
    """Σ = −Q_h/T_h − Q_c/T_c ≥ 0 with Q_c = P − Q_h, for dressed states (Davies, any drive) and in one group."""
    for temperatures in ((4.0, 0.5), (2.0, 0.39), (1.0, 0.5)):
        for drive in (1e-4, 1e-2, 0.3):
            for equation in (lgks.Davies(), lgks.Unified(width=400.0)):
                power, heat, _ = run(drive, temperatures=temperatures, equation=equation)
                production = -heat / temperatures[0] - (power - heat) / temperatures[1]
                assert production > -1e-9 * abs(heat)
                assert not power > 0 or power / heat < 1 - temperatures[1] / temperatures[0]


def test_it_runs_backwards_as_a_refrigerator():
    """n_h(ω_h) < n_c(ω_c): heat flows out of the cold bath, power goes in; COP = ω_c/ω_d at weak drive."""
    power, heat, _ = run(1e-4, temperatures=(1.0, 0.5))
    assert power < 0
    cold = power - heat
    assert cold > 0
    assert -cold / power == pytest.approx(COLD / (HOT - COLD), rel=1e-4)


def test_efficiency_approaches_that_of_one_quantum():
    """η − (1 − ω_c/ω_h) falls as ε² (dressed levels, strong against the rates), and is of the order of the rates
    squared over ω² where they win; the power vanishes as ε²."""
    strong = [abs(p / q - 0.8) for p, q, _ in (run(e, 1e-6, equation=lgks.Davies()) for e in (0.1, 0.05))]
    assert strong[0] / strong[1] == pytest.approx(4.0, rel=0.05)
    weak = [run(e) for e in (1e-6, 5e-7)]
    assert weak[0][0] / weak[1][0] == pytest.approx(4.0, rel=1e-2)
    assert abs(weak[1][0] / weak[1][1] - 0.8) < 1e-6
    assert lgks.models.three_level_maser(HOT, COLD, 0.1, 0.01).ideal_efficiency == pytest.approx(0.8)


def test_populations_and_dense_agree_for_dressed_states():
    for solver in (lgks.Populations(), lgks.Dense()):
        maser = lgks.models.three_level_maser(HOT, COLD, 0.1, 1e-3, (4.0, 0.5), detuning=0.02)
        J = lgks.heat_currents(maser.system, solver=solver)
        assert J[0] == pytest.approx(float(run(0.1, equation=lgks.Davies(), detuning=0.02)[1]), rel=1e-9)


@pytest.mark.slow
def test_derivatives_in_all_parameters():
    """Against central differences (error h² and rounding over h: 1e−6 relative)."""

    def power(drive, detuning, gamma, hot):
        equation = lgks.Unified(width=100.0)
        maser = lgks.models.three_level_maser(HOT, COLD, drive, gamma, (hot, 0.5), detuning=detuning)
        return maser.power(lgks.steady_state(maser.system, equation, lgks.Dense()).rho, equation)

    at = (1e-3, 5e-4, 1e-3, 4.0)
    both = jax.jit(jax.value_and_grad(power, argnums=(0, 1, 2, 3)))
    _, exact = both(*at)
    for i, slope in enumerate(exact):
        h = 1e-4 * at[i]
        up, down = list(at), list(at)
        up[i], down[i] = at[i] + h, at[i] - h
        assert float(slope) == pytest.approx(float(both(*up)[0] - both(*down)[0]) / (2 * h), rel=1e-5)


def test_bad_input():
    maser = lgks.models.three_level_maser
    with pytest.raises(InputError, match="either gamma"):
        maser(HOT, COLD, 0.1)
    with pytest.raises(InputError, match="temperatures must be a sequence of 2"):
        maser(HOT, COLD, 0.1, 0.01, (1.0,))
    with pytest.raises(InputError, match="gamma or spectrum must be a sequence of 2"):
        maser(HOT, COLD, 0.1, (0.01, 0.01, 0.01))
    with pytest.raises(InputError, match="omega_cold"):
        maser(HOT, -1.0, 0.1, 0.01)
    with pytest.raises(InputError, match="omega_hot must exceed"):
        maser(1.0, 5.0, 0.001, 0.01)
    with pytest.raises(TemperatureError):
        maser(HOT, COLD, 0.1, 0.01, (1.0, 0.0))
