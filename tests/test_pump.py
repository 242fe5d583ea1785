"""The heat pump of `jaxlgks reproduce drive`: its closed form, and what slow cycles make of it.

Witness: the one-form of adiabatic transport, from the rates between the levels of two qubits by NumPy alone.
"""

import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.paper import _pump as pump

from .pump_heom import NUMBERS, ONE, X, Z, pumped


def transported(phase, tilt=0.0, count=256):
    """∮ Tr[H D_1 (L⁺ dπ/dθ)] dθ, π the Gibbs state of H(θ), L its rate matrix, L⁺ its inverse on what has no trace.
    Densities ω^(1 + tilt) of both baths."""
    T, angles = NUMBERS["temperature"], 2 * np.pi * np.arange(count) / count
    A, B = (NUMBERS["splitting"] + NUMBERS["amplitude"] * np.cos(angles - shift) for shift in (0.0, phase))
    sites = [np.kron(Z, ONE), np.kron(ONE, Z)]
    H = (A[:, None, None] * sites[0] + B[:, None, None] * sites[1]) / 2 + NUMBERS["g"] * np.kron(X, X)
    E, V = np.linalg.eigh(H)
    p = np.exp(-E / T)
    p /= np.sum(p, axis=1, keepdims=True)
    turning = 1j * np.fft.fftfreq(count, 1 / count)[:, None]
    change = np.fft.ifft(turning * np.fft.fft(p, axis=0), axis=0).real
    down = E[:, None, :] - E[:, :, None]  # what a bath takes where n → m, [t, m, n]
    size = np.where(np.abs(down) < 1e-9, 0.0, np.abs(down) ** (1 + tilt) / np.expm1(np.abs(down) / T + 1e-300))
    rates = size * np.where(down > 0, np.exp(down / T), 1.0)
    each = [rates * np.abs(V.conj().swapaxes(1, 2) @ S @ V) ** 2 for S in (np.kron(X, ONE), np.kron(ONE, X))]
    each = [W - np.sum(W, axis=1)[:, None, :] * np.eye(4) for W in each]
    first = np.linalg.pinv(each[0] + each[1]) @ change[..., None]
    return 2 * np.pi * np.array([np.mean(np.sum(E[..., None] * (W @ first), axis=(1, 2))) for W in each])


def test_the_closed_form_is_that_of_adiabatic_transport():
    """At five phases; whatever density the baths have; nothing without area, and as much the other way backwards."""
    phases = np.array([0.7, np.pi / 2, 2.5, -np.pi / 2, 0.0])
    limit = pump.geometric_limit(phases)
    for tilt in (0.0, 1.0):
        found = np.array([transported(phase, tilt) for phase in phases])
        np.testing.assert_allclose(found, np.stack([limit, -limit], axis=1), atol=1e-10)
    assert limit[1] == pytest.approx(0.031749285724, abs=1e-11)
    assert limit[3] == pytest.approx(-limit[1], rel=1e-12)
    assert abs(limit[4]) < 1e-15


def test_slow_cycles_pump_what_the_loop_says():
    """Cycles with memory at ω = 0.02 λ, at λ and at a quarter of it: their difference from the closed form falls with
    the coupling, and extrapolated nothing is left but the square of ω over the rates, 2e−4. Backwards the other way;
    nothing without area; the work that drives do is what both baths get."""
    omega, limit = 0.02 * NUMBERS["strength"], pump.geometric_limit(np.pi / 2)
    found = pump.pumped(
        [omega, omega / 4, omega, omega], [np.pi / 2, np.pi / 2, -np.pi / 2, 0.0], [1.0, 0.25, 1.0, 1.0]
    )
    strong, weak, back, flat = found.through
    assert 3.5 < (strong / limit - 1) / (weak / limit - 1) < 4.5
    assert (4 * weak - strong) / 3 == pytest.approx(limit, rel=1e-3)
    assert back == pytest.approx(-strong, rel=1e-9)
    assert abs(flat) < 1e-9 * limit
    np.testing.assert_allclose(found.heat.sum(axis=1), -found.work, atol=1e-12)


def test_the_stored_numbers_are_what_the_hierarchy_gives():
    """One of them made again, with the first tier alone: what that leaves out is of the order of the coupling."""
    stored = pump.stored()
    assert {key: stored[key] for key in NUMBERS} == NUMBERS
    row = stored["rows"][-1]
    np.testing.assert_allclose(pumped(row["omega"], NUMBERS, depth=1), [*row["heat"], row["work"]], rtol=4e-3)


@pytest.mark.slow
def test_fast_loops_equal_the_hierarchy():
    """ω from 0.15 to 2, far above the rates, through the levels: heat and work to 0.5 %."""
    for row in pump.stored()["rows"][-4:]:
        c = lgks.cycle(pump.heat_pump(row["omega"], np.pi / 2), harmonics=64)
        np.testing.assert_allclose(c.period * c.heat_currents, row["heat"], rtol=5e-3)
        np.testing.assert_allclose(c.period * c.power, row["work"], rtol=5e-3)
