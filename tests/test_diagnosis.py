"""The verdict on master equations: regimes, time scales, Lamb shift, and the words for them."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._generator import resolve
from jaxlgks._response._diagnosis import _followed
from jaxlgks.errors import DensityError, InputError
from jaxlgks.paper import _memory as memory

from .systems import near_degenerate
from .test_heom import near_degenerate as v_type

QUBITS = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
ZZ = lgks.models.pauli("ZZ")


def in_range(diagnosis) -> dict[str, bool]:
    return {name: good for name, good, _ in diagnosis.valid}


@pytest.mark.parametrize(
    ("delta", "regime", "equation"),
    [(1e-3, "local", "Unified"), (0.2, "crossover", "Unified"), (50.0, "global", "Davies")],
)
def test_regimes_of_the_two_qubits(delta, regime, equation):
    """ZZ splits both groups by 4δ; relaxation is known in closed form: γ(2n̄+1)/2-like rates of order one."""
    d = lgks.diagnose(QUBITS, ZZ, delta)
    assert (d.regime, d.equation) == (regime, equation)
    np.testing.assert_allclose(d.frequencies, [800.0, 1200.0], rtol=1e-12)
    np.testing.assert_allclose(d.splittings, 4 * delta, rtol=1e-9)
    np.testing.assert_allclose(d.nu_tau, d.splittings * d.relaxation_times, rtol=1e-12)
    assert 0.5 < float(d.relaxation_times[0]) < 2.0
    assert not in_range(d)["Local"]  # of the heat current it misses more than everything
    assert float(d.local_error) == pytest.approx(abs(-0.0025 - 0.03081) / 0.03081, rel=1e-3)
    assert in_range(d)["Unified"]
    assert regime in str(d)
    assert "OUT OF RANGE" in str(d)


def test_rotation_and_shift_without_splitting():
    only = lgks.diagnose(QUBITS, lgks.models.pauli("XY") - lgks.models.pauli("YX"), 0.1)
    assert only.regime == "eigenvectors only"
    assert in_range(only)["Davies"]
    assert in_range(only)["Local"]
    assert float(only.rotation) > 0
    assert float(jnp.abs(only.level_shifts).max()) == 0
    g = lgks.models.pauli("XX") + lgks.models.pauli("YY")
    assert lgks.diagnose(QUBITS, g, 0.1).regime == "shift without splitting"


@pytest.mark.slow
def test_close_frequencies_and_strong_coupling_are_seen():
    case, strong = v_type(), v_type(1.0)
    close = lgks.diagnose(case.system, case.V, 1e-5)
    assert float(close.separation) < 1
    assert not in_range(close)["Davies"]
    verdict = lgks.diagnose(strong.system, strong.V, 0.01)
    assert not any(in_range(verdict).values())
    assert verdict.equation.startswith("none")


def test_a_width_that_crosses_a_splitting_is_reported():
    inside, outside = (lgks.diagnose(QUBITS, ZZ, x) for x in (1e-3, 50.0))
    assert outside.clusters_change
    assert "jumps" in str(outside)
    assert not inside.clusters_change
    assert "jumps" not in str(inside)


def test_diagnose_needs_values():
    with pytest.raises(InputError, match="words"):
        jax.jit(lambda x: lgks.diagnose(QUBITS, ZZ, x).nu_tau)(0.1)


@pytest.mark.slow
def test_a_lamb_shift_that_matters_is_asked_for():
    """Where the hierarchy finds 15 % and 17 % missing without it; not where it finds nothing (two qubits)."""
    case = v_type()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a verdict does not warn of the equations it tries
        d = lgks.diagnose(case.system, case.V, 1e-5)
    assert float(d.lamb_effect) == pytest.approx(0.17, abs=0.02)
    assert d.equation == "Unified(lamb_shift=True)"
    assert not any(in_range(d)[name] for name in ("Davies", "Unified", "UniversalLindblad", "Redfield", "Local"))
    assert "lamb_shift=True" in str(d)
    qubits = lgks.models.two_qubits(1.0, 0.2, spectrum=lgks.DrudeLorentz(0.001, 2.0), temperatures=(0.45, 0.35))
    calm = lgks.diagnose(qubits, ZZ, 1e-3)
    assert float(calm.lamb_effect) < 1e-6
    assert in_range(calm)["Unified"]
    assert np.isnan(float(lgks.diagnose(QUBITS, ZZ, 1e-3).lamb_effect))  # Flat has none


def test_no_current_no_comparison():
    """One bath: currents are rounding, and are not compared."""
    system = lgks.System(near_degenerate(0.3).hamiltonian, near_degenerate(0.3).baths[0])
    d = lgks.diagnose(system, np.diag([0.0, 1.0, 0.5]), 1e-3)
    assert np.isnan(float(d.local_error))
    assert "could not be compared" in str(d)


def test_no_alarm_where_no_coherence_is_made():
    """Two transitions 0.001 apart, one in each of two baths: Davies and unified have one generator, and neither warns
    (warnings are errors here). One bath that couples to both does. Levels that hold nothing (a cold, slightly
    anharmonic ladder whose upper transitions lie within their decay) do not count; warm, they do."""
    word, flat = lgks.models.pauli, lgks.Flat(0.02)
    H = 0.5 * (word("ZI") + 1.001 * word("IZ"))
    apart = lgks.System(H, [lgks.Bath(word("XI"), 1.0, flat), lgks.Bath(word("IX"), 0.5, flat)])
    assert lgks.steady_state(apart).separation > 10  # of ω and −ω
    np.testing.assert_allclose(lgks.liouvillian(apart), lgks.liouvillian(apart, lgks.Unified()), atol=1e-15)
    together = lgks.System(H, lgks.Bath(word("XI") + word("IX"), 1.0, flat))
    assert lgks.steady_state(together, throw=False).separation < 1
    ladder = np.diag(np.arange(5) + 1e-4 * np.arange(5) ** 2)
    step = np.diag(np.sqrt(np.arange(1.0, 5.0)), 1)
    cold, warm = (lgks.System(ladder, lgks.Bath(step + step.T, T, flat)) for T in (0.05, 0.5))
    assert lgks.steady_state(cold).separation > 1
    assert lgks.steady_state(warm, throw=False).separation < 1


def test_a_density_without_a_rate_is_named():
    """It ended in an error of NumPy for an empty array."""
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    table = lgks.Tabulated([0.1, 0.2, 0.3], [0.01, 0.02, 0.03])
    with pytest.raises(DensityError, match=r"diagnose: the density of bath 'a' has no rate .* 1 of the system"):
        lgks.diagnose(lgks.System(0.5 * Z, lgks.Bath(X, 0.4, table, "a")), X, 0.01)


@pytest.mark.slow
def test_nothing_that_moves_is_no_error():
    """Baths that drive no transition ended in an error of NumPy for an empty array; V = 0 in a division by zero."""
    X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
    dephasing = lgks.System(0.5 * Z, lgks.Bath(Z, 0.4, lgks.DrudeLorentz(0.01, 2.0)))
    assert lgks.diagnose(dephasing, X, 0.01).nu_tau.size == 0
    hot, cold = (lgks.Bath(X, T, lgks.DrudeLorentz(0.01, 2.0)) for T in (1.0, 0.5))
    assert lgks.diagnose(lgks.System(0.5 * Z, [hot, cold]), 0 * X, 0.01).local_error == 0


def test_how_fast_a_drive_may_be_where_dissipators_follow_at_once():
    """A qubit of which exact susceptibilities are stored: at once its current is off by 0.8 % at ω = 0.05, by 5 % at
    0.3 and by 17 % at 0.7. A flat bath has no memory to compare with."""
    system, V = memory.model("qubit")
    found = lgks.diagnose(system, V, 1e-3, drive=True)
    assert 0.05 < found.at_once[0] < 0.1
    assert 0.3 < found.at_once[1] < 0.7
    assert f"up to ω = {float(found.at_once[0]):.3g} to 1 %" in str(found)
    flat = lgks.System(system.hamiltonian, lgks.Bath(lgks.models.pauli("X"), 1.0, lgks.Flat(0.01)))
    nothing = _followed(resolve(flat, lgks.Unified()), V, jnp.asarray(0.01), None)
    assert "cannot be said" in str(eqx.tree_at(lambda d: d.at_once, found, jnp.asarray(nothing)))
