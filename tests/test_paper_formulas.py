"""The paper's closed forms against numbers found another way: mpmath, numerical integration, linear solves."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jaxlgks.paper import OscillatorParameters, QubitParameters, _formulas as f

P = OscillatorParameters()
Q = QubitParameters()
TEMPERATURES = [(0.7, 0.9), (3.0, 3.5), (2000.0, 2100.0)]


@pytest.mark.parametrize("x", [1e-6, 0.3, 5.0, 200.0])
def test_bose(x):
    # expm1 keeps full relative accuracy at both ends; a few units of rounding.
    assert float(f.bose(x, 1.0)) == pytest.approx(float(1 / mp.expm1(mp.mpf(x))), rel=1e-15)


@pytest.mark.parametrize(("T_a", "T_b"), TEMPERATURES)
@pytest.mark.parametrize(
    ("impulse", "step"),
    [
        (f.impulse_kubo, f.step_kubo),
        (f.impulse_rotation, f.step_rotation),
        (f.impulse_rotation_printed, f.step_rotation_printed),
    ],
)
def test_step_is_the_integral_of_the_impulse(impulse, step, T_a, T_b):
    """Gauss–Legendre with 200 nodes over 16 periods is exact to rounding for a damped oscillation."""
    t = 10.0
    nodes, weights = np.polynomial.legendre.leggauss(200)
    integral = t / 2 * np.dot(weights, np.asarray(impulse(P, T_a, T_b, t / 2 * (nodes + 1))))
    scale = float(jnp.max(jnp.abs(step(P, T_a, T_b, jnp.linspace(0.0, t, 200)))))
    assert abs(integral - float(step(P, T_a, T_b, t))) < 1e-12 * scale


@pytest.mark.parametrize(("T_a", "T_b"), TEMPERATURES)
def test_step_tends_to_the_static_response(T_a, T_b):
    for step, static in (
        (f.step_kubo, f.static_kubo),
        (f.step_rotation, f.static_rotation),
        (f.step_rotation_printed, f.static_rotation_printed),
    ):
        # At t = 100/γ the transient is e^{−50} = 2e−22 of twenty times the static value.
        assert float(step(P, T_a, T_b, 100.0)) == pytest.approx(float(static(P, T_a, T_b)), rel=1e-13)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 7.0])
def test_corrected_total_does_not_depend_on_the_bath(gamma):
    p = P._replace(gamma_minus=gamma)
    total = f.static_kubo(p, 3.0, 3.5) + f.static_rotation(p, 3.0, 3.5)
    assert float(total) == pytest.approx(float(f.static_total(P, 3.0, 3.5)), rel=1e-14)


def test_printed_and_corrected_agree_at_zero_temperature_only():
    cold, warm = (f.static_rotation_printed(P, T, T) / f.static_rotation(P, T, T) for T in (0.3, 5.0))
    assert float(cold) == pytest.approx(1.0, abs=1e-13)  # n̄₋ = e^{−33}
    assert float(warm) < 0.9
    assert float(f.static_total(P, 0.3, 0.3)) == pytest.approx(-3 * 5.0 / 190.0, rel=1e-13)


def test_numbers_printed_in_the_paper_and_its_check():
    assert float(f.occupation(P, 2000.0, 2100.0)) == pytest.approx(107.4, abs=0.05)
    assert float(f.static_rotation_printed(P, 3.0, 3.5)) == pytest.approx(-2.0557189437453267e-4, rel=1e-13)
    assert float(f.static_rotation_printed(P, 9.0, 10.0)) == pytest.approx(-1.891974276868492e-4, rel=1e-13)


def test_printed_total_changes_sign_and_corrected_does_not():
    means = np.linspace(100.0, 8000.0, 80)
    kubo = f.static_kubo(P, means + 25, means - 25)
    printed = np.asarray(kubo + f.static_rotation_printed(P, means + 25, means - 25))
    corrected = np.asarray(kubo + f.static_rotation(P, means + 25, means - 25))
    assert (printed > 0).any()
    assert (printed < 0).any()
    assert (corrected < 0).all()
    growth = np.diff(corrected)
    assert growth == pytest.approx(growth[-1], rel=1e-3)  # linear in T̄ up to (ω₋/T̄)² = 1e−2 over 12


def test_heisenberg_coefficients_at_the_start():
    """a†a = ½(d₊†d₊ + d₋†d₋ − u): nothing of x₋, y₋ and v at τ = 0."""
    assert np.asarray(f.heisenberg_coefficients(P, 0.0)) == pytest.approx([0.0, 0.0, -0.5, 0.0])


def _levels(T_a, T_b, shift):
    """Populations of 00, −, +, 11 and the current from bath a in 40 digits, by a linear solve."""
    with mp.workdps(40):
        wm, wp, x = mp.mpf(Q.minus), mp.mpf(Q.plus), mp.mpf(shift)
        channels = [(0, 1, wm - 2 * x), (0, 2, wp - 2 * x), (2, 3, wm + 2 * x), (1, 3, wp + 2 * x)]
        rates = mp.zeros(4)
        flows = []
        for T in (T_a, T_b):
            for low, high, omega in channels:
                n = 1 / mp.expm1(omega / mp.mpf(T))
                rates[low, high] += (n + 1) / 2
                rates[high, low] += n / 2
                flows.append((T, low, high, omega, n))
        matrix = rates.copy()
        for level in range(4):
            matrix[level, level] = -sum(rates[k, level] for k in range(4) if k != level)
        for level in range(4):
            matrix[3, level] = 1
        populations = mp.lu_solve(matrix, mp.matrix([0, 0, 0, 1]))
        current = sum(
            omega / 2 * (n * populations[low] - (n + 1) * populations[high])
            for T, low, high, omega, n in flows
            if T_a == T
        )
        return [float(q) for q in populations], float(current)


@pytest.mark.parametrize(
    ("T_a", "T_b", "shift", "tolerance"),
    # The current is a difference of absorption and emission: the digits lost are n(n+1)·ω-weighted flow over J.
    [(60.0, 40.0, 50.0, 1e-12), (60.0, 40.0, 0.0, 1e-12), (310.0, 290.0, -30.0, 1e-12), (5010.0, 4990.0, 50.0, 1e-10)],
)
def test_four_channels_against_a_linear_solve(T_a, T_b, shift, tolerance):
    populations, current = _levels(T_a, T_b, shift)
    # Sums and products of positive numbers only: full relative accuracy down to e^{−45}.
    assert np.asarray(f.split_populations(Q, T_a, T_b, shift)) == pytest.approx(populations, rel=1e-13)
    assert float(f.current_global(Q, T_a, T_b, shift)) == pytest.approx(current, rel=tolerance)


@pytest.mark.parametrize("mean", [50.0, 300.0, 5000.0])
def test_two_channels_are_the_limit_of_four(mean):
    T_a, T_b = mean + 10, mean - 10
    four = np.asarray(f.split_channel_currents(Q, T_a, T_b, 0.0))
    two = np.asarray(f.channel_currents(Q, T_a, T_b))
    assert four[0] + four[2] == pytest.approx(two[0], rel=1e-10)  # cancellation as above
    assert four[1] + four[3] == pytest.approx(two[1], rel=1e-10)


def test_local_slope_is_the_energy_of_the_unperturbed_populations():
    """Eq. (43) is Tr[V D₀ᵃ π₀]: every transition changes V/Ω = ±1 by 2, between the same populations as at δ = 0."""
    T_a, T_b = 310.0, 290.0
    currents = np.asarray(f.split_channel_currents(Q, T_a, T_b, 0.0))
    rates = currents / np.asarray(f.split_frequencies(Q, 0.0))  # quanta per time, 1, 2 at the bottom, 3, 4 at the top
    expected = 2 * (rates[2] + rates[3] - rates[0] - rates[1])
    assert float(f.current_local_slope(Q, T_a, T_b)) == pytest.approx(expected, rel=1e-10)


def test_global_current_can_be_differentiated():
    slope = jax.grad(lambda x: f.current_global(Q, 60.0, 40.0, x))(0.0) / f.current_unperturbed(Q, 60.0, 40.0)
    h = 1e-4
    finite = (_levels(60.0, 40.0, h)[1] - _levels(60.0, 40.0, -h)[1]) / (2 * h * _levels(60.0, 40.0, 0.0)[1])
    assert float(slope) == pytest.approx(finite, rel=1e-7)  # h²-error 1e−9, rounding of the float64 difference 1e−10
    assert float(slope) == pytest.approx(0.03081, abs=5e-6)  # printed digits


def test_eigenstates_stay_orthonormal_to_first_order():
    delta, levels = 1e-6, 12
    states = np.stack([np.asarray(f.eigenstate(n, delta, levels)) for n in range(6)])
    # What remains is δ² times squares of amplitudes of order 50.
    assert states @ states.T == pytest.approx(np.eye(6), abs=delta**2 * 1e4)


def test_first_order_jump_follows_from_the_eigenstates():
    """S⁽¹⁾(ω₋)_mn: the part of [d + d†, X] between levels n and m = n − 1 turned back, with X from Eq. (B10)."""
    levels = 14
    X = np.stack([np.asarray(f.eigenstate(n, 1.0, levels)) for n in range(levels)], axis=1) - np.eye(levels)
    d = np.diag(np.sqrt(np.arange(1.0, levels)), 1)
    x = d + d.T
    lowering = np.eye(levels, k=1, dtype=bool)
    inner = np.where(lowering, x @ X - X @ x, 0)
    jump = X @ d - d @ X + inner
    keep = slice(0, levels - 6)
    assert np.asarray(f.first_order_jump(levels))[keep, keep] == pytest.approx(jump[keep, keep], abs=1e-12)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_second_order_energy_is_the_sum_over_states(n):
    """−δ²ω Σ_k |⟨k|(d+d†)³|n⟩|²/(k − n)."""
    levels = n + 10
    d = np.diag(np.sqrt(np.arange(1.0, levels)), 1)
    V = np.linalg.matrix_power(d + d.T, 3)
    total = -sum(V[k, n] ** 2 / (k - n) for k in range(n + 4) if k != n)
    assert float(f.second_order_energy(n, 0.1, 10.0)) == pytest.approx(0.01 * 10.0 * total, rel=1e-13)
