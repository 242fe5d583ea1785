"""Quasi-free models: against the paper's closed forms, a truncated Fock space, the Gibbs state, finite differences."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.linalg as sl

import jaxlgks as lgks
from jaxlgks._quasifree import modes_problem
from jaxlgks._quasifree._flow import evolved

from . import oscillators

PAPER = {"omega": 100.0, "g": 90.0, "epsilon": 5.0}


@eqx.filter_jit
def _paper(T_a, T_b, gamma_minus):
    m = lgks.models.quasifree_oscillators(100.0, 90.0, (gamma_minus, 1.3), 5.0, (T_a, T_b))
    parts = lgks.response(m.system, m.cubic, m.occupation).static()
    return parts, lgks.steady_state(m.system).expect(m.occupation)


def _bose(omega, T):
    return 1 / mp.expm1(mp.mpf(omega) / mp.mpf(T))


@pytest.mark.optimised
@pytest.mark.parametrize("gamma", [0.05, 1.0, 30.0])
def test_the_papers_response_over_six_decades_of_temperature(gamma):
    """Φ^(1,1) + Φ^(1,2) = −(3ε/ω₊)(2n̄₋+1) to 1e−12, T̄ from 0.1 ω₋ to 1e5 ω₋, T_a ≠ T_b, any γ₋; the two parts
    apart, and Eq. (30). Slope in ln T̄ at the hot end: one, not two."""
    totals = []
    for T in 10.0 * np.geomspace(0.1, 1e5, 13):
        parts, occupation = _paper(T, 1.37 * T, gamma)
        n = (_bose(10, T) + _bose(10, 1.37 * T)) / 2
        total = -mp.mpf(15) / 190 * (2 * n + 1)
        share = mp.mpf(gamma) ** 2 / (mp.mpf(gamma) ** 2 + 400)
        assert float((mp.mpf(float(parts.kubo)) + mp.mpf(float(parts.rotation))) / total - 1) == pytest.approx(
            0, abs=1e-12
        )
        assert float(parts.rotation) == pytest.approx(float(share * total), rel=1e-12)
        assert abs(float(parts.shift)) < 1e-14 * abs(float(parts.total))  # rounding of V in the modes
        thirty = sum(_bose(w, t) for w in (10, 190) for t in (T, 1.37 * T)) / 4 + (mp.mpf(5) / 190) ** 2 / 2
        assert float(occupation) == pytest.approx(float(thirty), rel=1e-12)
        totals.append(float(parts.total))
    assert np.log(totals[-1] / totals[-3]) / np.log(10.0) == pytest.approx(1.0, abs=1e-3)  # two steps: one decade


@pytest.mark.optimised
def test_numbers_printed_in_the_paper():
    parts, occupation = _paper(2000.0, 2100.0, 1.0)
    assert float(occupation) == pytest.approx(107.4, abs=0.05)
    assert float(_paper(3.0, 3.5, 1.0)[0].rotation) == pytest.approx(-2.1615549610098e-4, rel=1e-12)
    assert float(parts.rotation) < 0  # printed: + 82


@pytest.mark.slow
def test_impulse_response_equals_a_converged_fock_space():
    """φ(τ) to 1e−9 of its largest value. V and D₁ act on the minus mode alone and ⟨d₊⟩ = −ε/ω₊ stays, so the average of
    a†a = ½(d₊ − d₋)†(d₊ − d₋) answers as ½ (ε/ω₊)(d₋ + d₋†) + ½ d₋†d₋: one mode on a Fock space, its generator
    exponentiated."""
    temperatures, levels = (3.0, 3.5), 16
    m = lgks.models.quasifree_oscillators(**PAPER, gamma=(1.0, 1.3), temperatures=temperatures)
    times = jnp.linspace(0.0, 4.0, 9)
    found = lgks.response(m.system, m.cubic, m.occupation, instantaneous=True).impulse(times)

    (d,) = lgks.modes(1)
    x = d + d.dag
    baths = [lgks.Bath(x / np.sqrt(2.0), T, lgks.Flat(1.0)) for T in temperatures]
    few = lgks.truncated(lgks.QuasiFree(10.0 * d.dag * d, baths), levels)
    A = np.asarray(few.operator(0.5 * (5.0 / 190.0) * x + 0.5 * d.dag * d))

    @eqx.filter_jit
    def first_order(system, V):  # with a traced H as one dense matrix, which compiles sooner than blocks
        linear = lgks.response(system, V, V, lgks.Davies().fixed(few.system))
        return linear.generator.external(linear.sources)

    kubo_rotation = np.asarray(first_order(few.system, few.operator(10.0 * x**3)))[:2]
    # A cubic V moves only odd coherences, and Davies leaves each diagonal of ρ to itself: exponentiate diagonal by
    # diagonal.
    expected = np.stack(
        [_diagonal_by_diagonal(source, A, few, temperatures, np.asarray(times)) for source in kubo_rotation]
    )
    scale = np.max(np.abs(expected))
    assert np.max(np.abs(np.stack([found.kubo, found.rotation]) - expected)) < 1e-9 * scale


def _diagonal_by_diagonal(source, A, few, temperatures, times):
    """Tr[A e^{Lt} source] of a damped oscillator of frequency 10, by the exponential of its matrix on each
    diagonal n−m = q."""
    size = few.system.dim
    down = sum(0.5 / -np.expm1(-10.0 / T) for T in temperatures)
    up = sum(0.5 / np.expm1(10.0 / T) for T in temperatures)
    total = np.zeros(times.shape, complex)
    for q in range(-1, 2):
        m = np.arange(max(0, -q), size - max(0, q))
        n = m + q  # ρ_{mn}
        raised = (n + 1) * (n + 1 < size), (m + 1) * (m + 1 < size)
        L = np.diag(-1j * 10.0 * (m - n) - down * (m + n) / 2 - up * (raised[0] + raised[1]) / 2)
        L = L + np.diag(down * np.sqrt((m[1:]) * (n[1:])), 1) + np.diag(up * np.sqrt(m[1:] * n[1:]), -1)
        start, weight = source[m, n], A[n, m]
        total = total + np.array([weight @ (sl.expm(L * t) @ start) for t in times])
    return total.real


WEAK = lgks.DrudeLorentz(0.0005, 3.0)  # three random frequencies have combinations near zero; keep damping below
CASES = [
    (1, 13, 4, 4, lgks.Unified()),
    (3, 5, 4, 2, lgks.Davies()),
    (2, 5, 3, 2, lgks.Davies(lamb_shift=True)),
    (2, 5, 3, 2, lgks.UniversalLindblad()),
    (2, 6, 3, 2, lgks.Redfield(lamb_shift=True)),  # the Lamb shift feels the cut: 5e−6 at five excitations, 1e−7 at six
]


def _response_and_state(system, V, A, equation):
    state = lgks.steady_state(system, equation, throw=False)
    average, entropy = (
        (state.expect(A), state.entropy())
        if isinstance(system, lgks.QuasiFree)
        else (jnp.trace(A @ state.rho).real, lgks.von_neumann_entropy(state.rho))
    )
    r = lgks.response(system, V, A, equation, instantaneous=True).susceptibility([0.0, 0.3, 1.1])
    return (r.kubo, r.rotation, r.shift), average, entropy, lgks.heat_currents(system, equation)


def _against_fock(model, V, A, equation, excitations, tolerance):
    """Every part of χ(ω), and the steady state. Where its H is traced a system of matrices has one dense generator,
    which compiles in a fifth of the time of its many blocks; of more than 28 levels it would take longer to solve."""
    few = lgks.truncated(model, excitations)
    dense = eqx.filter_jit(_response_and_state) if few.system.dim <= 28 else _response_and_state
    ours = _response_and_state(model, V, A, equation)
    theirs = dense(few.system, few.operator(V), few.operator(A), equation)
    scale = max(1e-3, float(np.max(np.abs(sum(theirs[0])))))
    for name, a, b in zip(("kubo", "rotation", "shift"), ours[0], theirs[0], strict=True):
        assert np.max(np.abs(a - b)) < tolerance * scale, (name, a, b)
    assert float(ours[1]) == pytest.approx(float(theirs[1]), abs=tolerance * scale)
    assert float(ours[2]) == pytest.approx(float(theirs[2]), abs=tolerance)
    currents = np.asarray(theirs[3])
    assert np.asarray(ours[3]) == pytest.approx(currents, abs=tolerance * np.max(np.abs(currents)) + 1e-15)


@pytest.mark.slow
def test_arithmetic_rates_within_a_cluster_against_a_fock_space():
    """The two normal frequencies in one cluster, apart from their negatives: neither the Redfield equation nor Davies
    (currents 6.6 and 7.4 in the place of 3.0, 10⁻⁷). Clusters are the same, widths count another decay rate."""
    a, b = lgks.modes(2)
    H = a.dag * a + 1.02 * b.dag * b + 0.05 * (a.dag * b + b.dag * a)
    bath = lgks.DrudeLorentz(0.01, 2.0)
    model = lgks.QuasiFree(H, [lgks.Bath(x + x.dag, T, bath) for x, T in ((a, 0.11), (b, 0.09))])
    ours, theirs = (
        lgks.heat_currents(m, lgks.Unified(width=width, rates="arithmetic", lamb_shift=True))
        for m, width in ((model, 12.0), (lgks.truncated(model, 4).system, 2.5))
    )
    assert float(theirs[0]) == pytest.approx(3.0e-7, rel=0.01)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} modes, {type(c[4]).__name__}")
def test_random_models_against_brute_force(case):
    """M = 1…3, random stable H₀ with squeezing and fields, random V, each part of the response, states, currents,
    entropy: to 1e−7, what the cut leaves at n̄ ≈ 1e−3."""
    modes, excitations, degree_V, degree_A, equation = case
    model = oscillators.model(modes, modes, (0.13, 0.1), WEAK if modes == 3 else None)
    rng = np.random.default_rng(100 + modes)
    V, A = oscillators.polynomial(rng, modes, degree_V), oscillators.polynomial(rng, modes, degree_A)
    _against_fock(model, V, A, equation, excitations, 1e-7)


@pytest.mark.slow
def test_a_degenerate_normal_frequency_against_brute_force():
    """Two modes of exactly one frequency, cubic V with terms d₁†d₂ that split it: the group stays together. With a Lamb
    shift: here in the general form of L₁, above (two modes, Davies) in that of distinct frequencies."""
    model, rng = oscillators.degenerate(1, (0.13, 0.1)), np.random.default_rng(7)
    V, A = oscillators.polynomial(rng, 2, 3), oscillators.polynomial(rng, 2, 2)
    _against_fock(model, V, A, lgks.Davies(lamb_shift=True), 5, 1e-7)


@pytest.mark.slow
def test_three_routes_where_frequencies_coincide():
    """Explicit against the derivative of the Gaussian steady state to 1e−9, against differences to 1e−6, where
    normal frequencies coincide (an eigendecomposition has no derivative there). Entropy production holds the currents
    of all baths."""
    model = oscillators.degenerate(5, (0.9, 0.5))
    V, A = (oscillators.polynomial(np.random.default_rng(s), 2, 2) for s in (8, 9))
    for quantity in (A, lgks.EntropyProduction()):
        check = lgks.cross_validate(model, V, quantity)
        assert float(check.autodiff_difference) < 1e-9, check
        assert float(check.finite_difference_difference) < 1e-6, check


def test_a_cubic_perturbation_has_a_second_route_on_a_fock_space():
    """1e−9: rounding of the dense solve; the cut is chosen for it."""
    (a,) = lgks.modes(1)
    x = a + a.dag
    model = lgks.QuasiFree(a.dag * a + 0.1 * x, [lgks.Bath(x, T, lgks.DrudeLorentz(0.01, 3.0)) for T in (0.4, 0.3)])
    check = lgks.cross_validate(model, x**3, a.dag * a)
    assert float(check.autodiff_difference) < 1e-8, check
    assert float(check.finite_difference_difference) < 1e-6, check


def _gibbs_response(model, V, A, T):
    """−∫₀^β dλ ⟨V(−iλ) A⟩ + β⟨V⟩⟨A⟩ by Wick's theorem in the normal modes: for each monomial (1 − e^{−βΩ})/Ω, β
    at Ω = 0."""
    at = modes_problem(model, lgks.Davies()).generator().at
    v, a = (at.wick(X.coefficients) for X in (V, A))
    w, C = np.asarray(at.signed), np.asarray(at.contraction)
    total = 0.0
    for k in range(1, min(len(v), len(a))):
        omega = sum(np.meshgrid(*[w] * k, indexing="ij"))
        near = np.abs(omega) < 1e-9
        weight = np.where(near, 1 / T, -np.expm1(-omega / T) / np.where(near, 1.0, omega))
        T_v = np.asarray(v[k]) * weight
        for axis in range(k):
            T_v = np.moveaxis(np.tensordot(C, T_v, axes=([0], [axis])), 0, axis)
        total -= float(np.prod(np.arange(1, k + 1))) * np.sum(T_v * np.asarray(a[k]))
    return total.real


@pytest.mark.parametrize(("modes", "degree"), [(2, 4), (6, 2)])
def test_at_one_temperature_the_static_response_is_that_of_the_gibbs_state(modes, degree):
    """To 1e−10, n̄ of order one to ten; a linear V against −h⁻¹ at many modes."""
    rng = np.random.default_rng(modes)
    model = oscillators.model(20 + modes, modes, (3.0, 3.0), WEAK) if modes < 6 else _chain(6, 3.0)
    V, A = oscillators.polynomial(rng, modes, degree), oscillators.polynomial(rng, modes, 2)
    static = float(lgks.response(model, V, A).static().total)
    assert static == pytest.approx(_gibbs_response(model, V, A, 3.0), rel=1e-10)
    if modes == 6:
        a = lgks.modes(modes)[0]
        x = (a + a.dag) / np.sqrt(2.0)
        pushed = lgks.response(model, x, x).static().total
        assert float(pushed) == pytest.approx(-float(np.linalg.inv(model.quadratic)[0, 0]), rel=1e-10)


def _chain(modes, T):
    a = lgks.modes(modes)
    H = sum((x.dag * x for x in a[1:]), a[0].dag * a[0])
    for x, y in itertools.pairwise(a):
        H = H - 0.2 * (x + x.dag) * (y + y.dag)
    ends = [lgks.Bath(x + x.dag, T, lgks.DrudeLorentz(0.01, 3.0)) for x in (a[0], a[-1])]
    return lgks.QuasiFree(H, ends)


@pytest.mark.slow
def test_gradients_in_every_parameter():
    """Of the static response of hot oscillators: reverse mode against central differences with h = 1e−5 of each number,
    h² times third derivatives of order one, plus the rounding of two values, 1e−14 of them, over 2h."""

    def value(p):
        a, b = lgks.modes(2)
        H = (
            p["w"] * a.dag * a
            + p["v"] * b.dag * b
            + p["g"] * (a.dag * b + b.dag * a)
            + p["s"] * (a * a + a.dag * a.dag)
        )
        baths = [
            lgks.Bath(p["c"] * (x + x.dag), p[T], lgks.DrudeLorentz(p["lam"], p["cut"]))
            for x, T in ((a, "Ta"), (b, "Tb"))
        ]
        model = lgks.QuasiFree(H + p["f"] * (a + a.dag), baths)
        return lgks.response(model, p["u"] * (a + a.dag) ** 2, a.dag * a).static().total

    p = {"w": 1.0, "v": 1.4, "g": 0.3, "s": 0.1, "c": 1.1, "lam": 0.01, "cut": 3.0}
    p |= {"Ta": 40.0, "Tb": 25.0, "f": 0.5, "u": 1.0}
    p = {k: jnp.asarray(x) for k, x in p.items()}
    both = jax.jit(jax.value_and_grad(value))
    middle, gradient = both(p)
    for name, x in p.items():
        h = 1e-5 * float(x)
        difference = (both(p | {name: x + h})[0] - both(p | {name: x - h})[0]) / (2 * h)
        rounding = 1e-14 * abs(float(middle)) / h
        assert float(gradient[name]) == pytest.approx(float(difference), rel=1e-6, abs=rounding), name


def test_thermodynamic_response_of_a_quadratic_perturbation():
    """All quantities against central differences of the steady state, h = 1e−4 (groups of distinct frequencies
    stay)."""
    model, h = oscillators.model(5, 2, (0.9, 0.5)), 1e-4
    V = oscillators.polynomial(np.random.default_rng(8), 2, 2)
    r = lgks.thermodynamic_response(model, V)
    shifted = [model.perturbed(V, s * h) for s in (1, -1)]
    currents = [np.asarray(lgks.heat_currents(m)) for m in shifted]
    assert np.asarray(r.heat_currents.static().total) == pytest.approx((currents[0] - currents[1]) / (2 * h), abs=1e-7)
    assert np.asarray(r.heat_currents_gibbs.static().total) == pytest.approx(np.asarray(r.heat_currents.static().total))
    entropies = [float(lgks.steady_state(m).entropy()) for m in shifted]
    assert float(r.entropy.static().total) == pytest.approx((entropies[0] - entropies[1]) / (2 * h), rel=1e-6)
    production = [float(lgks.entropy_production(m)) for m in shifted]
    assert float(r.entropy_production.static().total) == pytest.approx(
        (production[0] - production[1]) / (2 * h), abs=1e-7
    )
    assert float(r.entropy_rate.static().total) == pytest.approx(0.0, abs=1e-12)  # the entropy settles
    J, channels = lgks.heat_currents(model), lgks.channel_currents(model)
    assert np.asarray(channels.currents.sum(axis=1)) == pytest.approx(np.asarray(J), rel=1e-10)
    assert float(lgks.entropy_production(model)) > 0


def test_diagnose_names_regime_and_equation():
    a, b = lgks.modes(2)
    baths = [lgks.Bath(x + x.dag, T, lgks.DrudeLorentz(0.001, 5.0)) for x, T in ((a, 1.0), (b, 0.5))]
    apart = lgks.QuasiFree(a.dag * a + 1.4 * b.dag * b, baths)
    assert lgks.diagnose(apart, (a + a.dag) ** 3, 0.01).regime == "eigenvectors only"
    assert lgks.diagnose(apart, a.dag * a, 0.1).equation == "Davies"
    equal = lgks.diagnose(lgks.QuasiFree(a.dag * a + b.dag * b, baths), a.dag * b + b.dag * a, 0.001)
    assert (equal.regime, equal.equation) == ("crossover", "Unified")
    assert float(equal.splittings[0]) == pytest.approx(0.002)  # ±δ


def test_modes_of_one_group_turn_by_the_exponential():
    """A drift that is not diagonal, turned through 1e4: e^{Kt} index by index against SciPy's, to eps of the angle."""
    rng = np.random.default_rng(0)
    K = 1e4 * 1j * np.diag([1.0, 1.001, -1.0, -1.001]) - np.eye(4) + 0.1 * rng.normal(size=(4, 4))
    T = rng.normal(size=(4, 4))
    T = T + T.T
    E = sl.expm(K)
    np.testing.assert_allclose(
        evolved(jnp.asarray(T, complex), jnp.asarray(K), jnp.asarray(1.0), False), E.T @ T @ E, rtol=0, atol=1e-10
    )
