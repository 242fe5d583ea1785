"""The exact steady state of coupled oscillators and their baths, by other ways, and as judge of master equations."""

import jax
import numpy as np
import pytest
import scipy.linalg as sl

import jaxlgks as lgks

A, B = lgks.modes(2)


def pair(g, strength, temperatures=(1.0, 0.5), frequencies=(1.0, 1.0), cutoff=5.0) -> lgks.QuasiFree:
    """Two oscillators, a Drude–Lorentz bath each."""
    H = frequencies[0] * A.dag * A + frequencies[1] * B.dag * B + g * (A.dag * B + B.dag * A)
    spectrum = lgks.DrudeLorentz(strength, cutoff)
    return lgks.QuasiFree(H, [lgks.Bath(x + x.dag, T, spectrum) for x, T in zip((A, B), temperatures, strict=True)])


def test_covariance_at_one_temperature_is_the_matsubara_sum():
    """V_xx = T Σ_n χ(iν_n), with Richardson's extrapolation in the number of terms (error 1/N): 1e−8."""
    T, strength, cutoff = 0.7, 0.05, 5.0
    model = pair(0.2, strength, (T, T), cutoff=cutoff)
    exact = lgks.exact_steady_state(model)
    h = np.asarray(model.quadratic)[:2, :2]  # H = ½ pᵀhp + ½ xᵀhx, S = √2 x

    def partial(count):
        nu = 2 * np.pi * T * np.arange(1, count)
        softening = 4 * strength * cutoff / (cutoff + nu)
        chi = np.linalg.inv(nu[:, None, None] ** 2 * np.linalg.inv(h) + h - softening[:, None, None] * np.eye(2))
        return T * (np.linalg.inv(h - 4 * strength * np.eye(2)) + 2 * chi.sum(axis=0))

    expected = 2 * partial(40001) - partial(20001)
    assert np.asarray(exact.state.covariance)[:2, :2] == pytest.approx(expected, abs=1e-8)
    assert np.asarray(exact.heat_currents) == pytest.approx([0.0, 0.0], abs=1e-14)


def test_currents_and_covariance_of_finite_baths():
    """Each bath as 500 oscillators, all evolved exactly from a product state to t = 60, when e^{−κt} is 1e−5. The
    highest frequencies are taken one by one: a few 1e−3 of covariances, 1e−2 of the current."""
    strength, cutoff, T, g, count = 0.1, 1.0, (1.0, 0.3), 0.3, 500
    model = pair(g, strength, T, cutoff=cutoff)
    exact = lgks.exact_steady_state(model)
    # ω = ω_c tan θ: J dω = 2λω_c tanθ dθ; H = Σ ½(p² + ω²q²) + couplings √2 x Σ c_k q_k, π c²/(2ω) δ ↔ J.
    theta = (np.arange(count) + 0.5) / count * np.pi / 2
    omega, step = cutoff * np.tan(theta), np.pi / 2 / count
    c = np.sqrt(2 * omega / np.pi * 2 * strength * cutoff * np.tan(theta) * step)
    h = np.asarray(model.quadratic)
    n = 2 + 2 * count
    stiff = np.diag(np.concatenate([[0.0, 0.0], omega**2, omega**2]))
    stiff[:2, :2] = h[:2, :2]
    for k, block in enumerate((slice(2, 2 + count), slice(2 + count, n))):
        stiff[k, block] = stiff[block, k] = np.sqrt(2) * c
    mass = np.eye(n)
    mass[:2, :2] = h[2:, 2:]
    root = np.real(sl.sqrtm(mass))
    values, vectors = np.linalg.eigh(root @ stiff @ root)
    frequency = np.sqrt(values)
    to_x, to_p = root @ vectors, np.linalg.solve(root, vectors)
    t = 60.0
    cos, sin = np.cos(frequency * t), np.sin(frequency * t)
    xx, xp = (to_x * cos) @ to_p.T, (to_x * (sin / frequency)) @ to_x.T
    px, pp = -(to_p * (sin * frequency)) @ to_p.T, (to_p * cos) @ to_x.T
    coth = np.concatenate([[1.0, 1.0], *(1 / np.tanh(omega / (2 * temperature)) for temperature in T)])
    free = np.concatenate([[1.0, 1.0], omega, omega])
    start_x, start_p = coth / (2 * free), coth * free / 2
    x_x = (xx * start_x) @ xx.T + (xp * start_p) @ xp.T
    p_x = (px * start_x) @ xx.T + (pp * start_p) @ xp.T
    assert x_x[:2, :2] == pytest.approx(np.asarray(exact.state.covariance)[:2, :2], rel=5e-3, abs=5e-3)
    # Into the system: −⟨√2 ẋ_k Σ c q⟩ with ẋ = h p.
    flow = [-np.sqrt(2) * h[2 + k, 2:] @ p_x[:2, 2 + k * count : 2 + (k + 1) * count] @ c for k in range(2)]
    assert flow == pytest.approx(np.asarray(exact.heat_currents).tolist(), rel=2e-2)


def test_verdicts_on_a_mode_that_a_bath_pulls():
    """Out of range is where Davies misses a tenth of ⟨n⟩, by slow forces and by fast baths that soften the mode; in
    range where it misses less, and however cold, or hot, where the coupling is weak."""
    (a,) = lgks.modes(1)
    missed = {
        (0.2, 0.02, 0.5): 0.86, (0.1, 8.0, 0.5): 0.49, (0.05, 0.02, 0.5): 0.29, (0.05, 8.0, 2.0): 0.14,
        (0.01, 0.02, 0.5): 0.06, (0.01, 0.02, 2.0): 0.03, (0.02, 8.0, 2.0): 0.05, (0.002, 1.0, 10.0): 0.004,
    }  # fmt: skip

    def of(strength, cutoff, T):
        return lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, T, lgks.DrudeLorentz(strength, cutoff)))

    for numbers, expected in missed.items():
        model = of(*numbers)
        exact = float(lgks.exact_steady_state(model).state.expect(a.dag * a))
        error = 1 - 1 / np.expm1(1 / numbers[2]) / exact
        assert error == pytest.approx(expected, abs=0.01), numbers
        assert bool(lgks.validity(model).in_range) == (error < 0.1), numbers
    for cutoff, T in [(0.02, 0.02), (1.0, 0.1), (8.0, 0.1), (8.0, 100.0)]:
        assert lgks.validity(of(0.002, cutoff, T)).force < 0.05
    assert lgks.validity(lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 0.5, lgks.Flat(0.01)))).force == 0


def test_the_limit_of_weak_coupling_is_davies():
    """Corrections are of first order in the coupling: each tenth of it brings a tenth of the difference."""
    differences = []
    for strength in (1e-3, 1e-4, 1e-5):
        model = pair(0.2, strength)
        J = float(lgks.exact_steady_state(model).heat_currents[0])
        differences.append(abs(J / float(lgks.heat_currents(model)[0]) - 1))
    assert differences[-1] < 2e-5
    assert np.array(differences[1:]) / np.array(differences[:-1]) == pytest.approx([0.1, 0.1], rel=0.05)


def test_through_resonance_davies_fails_and_unified_and_redfield_hold():
    """Hofer et al. 2017: for couplings g far below the damping Davies of the coupled modes keeps a current that is
    not there; unified (clusters with a Lamb shift) and Redfield follow the exact current from g ≪ κ to g ≫ κ. Damping
    2e−3."""
    strength = 1e-3
    for g in (1e-4, 1e-3, 1e-2):
        model = pair(g, strength)
        exact = float(lgks.exact_steady_state(model).heat_currents[0])
        unified = float(lgks.heat_currents(model, lgks.Unified(lamb_shift=True))[0])
        redfield = float(lgks.heat_currents(model, lgks.Redfield(lamb_shift=True))[0])
        assert unified == pytest.approx(exact, rel=0.02), g
        assert redfield == pytest.approx(exact, rel=0.02), g
    with pytest.warns(lgks.ValidityWarning):
        davies = float(lgks.heat_currents(pair(1e-4, strength))[0])
    assert davies > 10 * float(lgks.exact_steady_state(pair(1e-4, strength)).heat_currents[0])


def test_the_local_equation_breaks_the_second_law():
    """Levy and Kosloff 2014: detuned oscillators, baths as if uncoupled: heat flows from the cold bath to the hot one
    where ω_h/T_h > ω_c/T_c, σ < 0. The exact current flows from hot to cold, as that of Davies does."""
    model = pair(0.1, 1e-3, (1.0, 0.9), (1.5, 1.0))
    local = lgks.Local(pair(0.0, 1e-3, frequencies=(1.5, 1.0)))
    assert float(lgks.heat_currents(model, local)[0]) < 0
    assert float(lgks.entropy_production(model, local)) < 0
    exact = lgks.exact_steady_state(model).heat_currents
    assert float(exact[0]) > 0
    assert float(exact.sum()) == pytest.approx(0.0, abs=1e-15)
    assert float(lgks.entropy_production(model)) > 0
    assert float(lgks.heat_currents(model)[0]) == pytest.approx(float(exact[0]), rel=0.05)


def test_derivatives_in_everything():
    """Against central differences, Richardson's: in temperatures too, forwards and backwards."""

    def current(x):
        spectrum = lgks.DrudeLorentz(x[2], x[3])
        H = A.dag * A + 1.1 * B.dag * B + x[4] * (A.dag * B + B.dag * A)
        baths = [lgks.Bath(o + o.dag, T, spectrum) for o, T in zip((A, B), (x[0], x[1]), strict=True)]
        return lgks.exact_steady_state(lgks.QuasiFree(H, baths)).heat_currents[0]

    x = np.array([1.0, 0.5, 0.005, 5.0, 0.1])
    both = jax.jit(jax.value_and_grad(current))
    slope = np.asarray(both(x)[1])
    np.testing.assert_allclose(jax.jit(jax.jacfwd(current))(x), slope, rtol=1e-12)
    for i in range(x.size):
        to = np.where(np.arange(x.size) == i, x, 0.0)
        near, far = (float(both(x + h * to)[0] - both(x - h * to)[0]) for h in (1e-3, 2e-3))
        quotient = (8 * near - far) / (12e-3 * x[i])
        assert slope[i] == pytest.approx(quotient, rel=1e-6), i


@pytest.mark.parametrize(
    ("cold", "expected"), [(0.015, 6.25956687e-13), (0.005, 6.94986534e-15), (0.0005, 6.86625e-19)]
)
def test_cold_baths_leave_a_power_of_the_temperature(cold, expected):
    """Where Davies has e^{−ω/T}. Expected: mpmath's quadrature, 25 digits, printed to those given."""
    H = A.dag * A + B.dag * B + 0.1 * (A.dag * B + B.dag * A)
    spectrum = lgks.DrudeLorentz(0.005, 5.0)
    model = lgks.QuasiFree(H, [lgks.Bath(o + o.dag, T, spectrum) for o, T in ((A, 2 * cold), (B, cold))])
    found = float(lgks.exact_steady_state(model).heat_currents[0])
    assert found == pytest.approx(expected, rel=1e-6 if cold < 1e-3 else 2e-9, abs=0.0)
