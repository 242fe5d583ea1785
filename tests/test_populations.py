"""Populations by elimination without subtraction: against fifty digits, against the dense oracle, and its refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._bohr import Groups, find_structure
from jaxlgks._generator import level_rates, populations_close
from jaxlgks._generator._gth import stationary
from jaxlgks.errors import (
    RESULTS,
    InputError,
    LambShiftError,
    NonUniqueSteadyStateError,
    SolverError,
    SolverMemoryError,
)

from .systems import draw, hermitian, near_degenerate, unitary

POPULATIONS = lgks.Populations()
DRUDE = lgks.DrudeLorentz(0.01, 2.0)


def exact(W: np.ndarray) -> list:
    """The stationary populations of the given rates in as many digits as are set."""
    d = len(W)
    A = mp.matrix(d, d)
    for n in range(d):
        for m in range(d):
            if m != n:
                A[m, n] = mp.mpf(float(W[m, n]))
        A[n, n] = -mp.fsum(mp.mpf(float(W[m, n])) for m in range(d) if m != n)
    for n in range(d):
        A[0, n] = 1
    return list(mp.lu_solve(A, mp.matrix([1] + [0] * (d - 1))))


def thermal_rates(rng, d: int, spread: float) -> np.ndarray:
    """Rates with detailed balance over an energy `spread` in units of T, then disturbed out of it."""
    E = np.linspace(0, spread, d)
    W = rng.uniform(0.1, 1, (d, d))
    return (W + W.T) * np.exp(-(E[:, None] - E[None, :]) / 2) * rng.uniform(0.5, 2, (d, d))


# ----------------------------------------------------------------------------------------------------------------------
# The elimination
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.optimised
@pytest.mark.parametrize(("d", "spread"), [(2, 30), (3, 600), (8, 100), (9, 100), (32, 60), (33, 600)])
def test_every_population_against_fifty_digits(d, spread):
    """1e−14 relative for each, the smallest far below the rounding of the largest; both forms of the elimination."""
    W = thermal_rates(np.random.default_rng(d), d, spread)
    with mp.workdps(600):  # LU in mpmath does subtract
        expected = exact(W)
        p = np.asarray(stationary((jnp.asarray(W),))[0])
        assert max(abs(mp.mpf(float(a)) / b - 1) for a, b in zip(p, expected, strict=True)) < 1e-14
    assert p.min() < 1e-10


@pytest.mark.optimised
def test_a_population_of_1e_minus_300():
    """A ladder that loses a factor 1e−60 a step."""
    d = 6
    W = np.diag(np.full(d - 1, 1.0), 1) + np.diag(np.full(d - 1, 1e-60), -1)
    p = np.asarray(stationary((jnp.asarray(W),))[0])
    np.testing.assert_allclose(p, 1e-60 ** np.arange(d), rtol=1e-14)


@pytest.mark.optimised
@pytest.mark.parametrize("d", [4, 8, 9, 40])
def test_derivatives_in_the_rates(d):
    """dp = −G⁺ dG p, written out in NumPy; reverse mode is the transpose of forward mode. Both forms."""
    rng = np.random.default_rng(d)
    W, dW, weights = thermal_rates(rng, d, 3.0), rng.normal(size=(d, d)), rng.normal(size=d)
    generator = lambda X: X - np.diag(np.diag(X)) - np.diag(X.sum(0) - np.diag(X))  # noqa: E731
    p = np.linalg.lstsq(np.vstack([generator(W), np.ones(d)]), np.eye(d + 1)[d], rcond=None)[0]
    expected = np.linalg.lstsq(np.vstack([generator(W), np.ones(d)]), np.append(-generator(dW) @ p, 0.0), rcond=None)[0]

    @jax.jit
    def both_modes(W):
        forward = jax.jvp(lambda W: stationary((W,))[0], (W,), (jnp.asarray(dW),))[1]
        return forward, jax.grad(lambda W: weights @ stationary((W,))[0])(W)

    forward, reverse = both_modes(W)
    np.testing.assert_allclose(forward, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert float(jnp.sum(reverse * dW)) == pytest.approx(float(weights @ expected), rel=1e-10)


@pytest.mark.parametrize("d", [5, 8, 9, 33])
@pytest.mark.parametrize("T", [2.0, 0.2, 0.1])
def test_derivatives_of_tiny_populations(d, T):
    """dp_k/dT = p_k (E_k − ⟨E⟩)/T² of a Gibbs state down to 1e−300: 1e−11 relative to itself, ω/T times the rounding of
    rates, or eps of the largest relative change, which is what the linear solve knows (d = 33: 4e3 beside 4e−3)."""
    E = np.arange(d) + 0.01 * np.arange(d) ** 2
    system = lgks.System(np.diag(E), lgks.Bath(np.ones((d, d)), T, DRUDE))

    def populations(T):
        return lgks.steady_state(
            lgks.System(system.hamiltonian, lgks.Bath(np.ones((d, d)), T, DRUDE)), solver=POPULATIONS
        ).populations

    weights = np.exp(-E / T)
    p = weights / weights.sum()
    seen = p > 1e-300
    expected = p * (E - p @ E) / T**2
    slope = jax.jvp(populations, (T,), (1.0,))[1]
    relative, known = np.asarray(slope)[seen] / p[seen], (expected / p)[seen]
    np.testing.assert_allclose(relative, known, rtol=1e-11, atol=4 * np.finfo(float).eps * np.abs(known).max())
    last = int(np.flatnonzero(seen)[-1])
    assert float(jax.grad(lambda T: populations(T)[last])(T)) == pytest.approx(expected[last], rel=1e-11, abs=0)


@pytest.mark.parametrize("T", [2.0, 1.1, 0.8])
def test_derivatives_where_squares_of_rates_underflow(T):
    """Two low levels joined through one 400 above them: rates of e^{−400/T}, whose squares are zero."""
    E = np.array([0.0, 1.0, 400.0])
    S = np.array([[0.0, 0, 1], [0, 0, 1], [1, 1, 0]])
    density = lgks.DrudeLorentz(0.01, 2.0)
    value = lambda T: lgks.steady_state(  # noqa: E731
        lgks.System(np.diag(E), lgks.Bath(S, T, density)), solver=POPULATIONS
    ).populations[1]
    p = 1 / (np.exp(1 / T) + 1)
    assert float(jax.grad(value)(T)) == pytest.approx(p * (1 - p) / T**2, rel=1e-11)


# ----------------------------------------------------------------------------------------------------------------------
# The solver
# ----------------------------------------------------------------------------------------------------------------------


# Generic levels with three baths, and a ladder with two; d = 4, 6.
@pytest.mark.parametrize("seed", [12, 24])
def test_equals_the_dense_solver(seed):
    """State, currents and entropy production, Davies and a unified equation whose clusters are single frequencies."""
    case = draw(seed)
    for equation in (lgks.Davies(), lgks.Unified(width=0.0), lgks.Davies(lamb_shift=True)):
        dense = lgks.steady_state(case.system, equation, lgks.Dense())
        found = lgks.steady_state(case.system, equation, POPULATIONS)
        assert (found.solver, dense.solver) == ("populations", "dense")
        rounding = 20 * np.finfo(float).eps / float(dense.condition)
        np.testing.assert_allclose(found.rho, dense.rho, rtol=0, atol=rounding)
        J = lgks.heat_currents(case.system, equation, solver=lgks.Dense())
        levels = level_rates(find_structure(case.system.hamiltonian), case.system)
        scale = float(jnp.max(jnp.stack(levels.rates)) * jnp.ptp(levels.energies))
        np.testing.assert_allclose(
            lgks.heat_currents(case.system, equation, solver=POPULATIONS), J, rtol=0, atol=rounding * scale
        )
        assert float(lgks.entropy_production(case.system, equation, solver=POPULATIONS)) == pytest.approx(
            float(lgks.entropy_production(case.system, equation)),
            abs=rounding * scale / float(case.system.temperatures.min()),
        )


def test_low_temperature_currents_have_all_digits():
    """Two qubits at ω/T = 100: the closed form (paper, Eq. 42) to 1e−12; from the matrix too, whose rates out of a
    level are sums."""
    omega, g, gamma, T = 1000.0, 200.0, 1.0, (12.0, 10.0)
    system = lgks.models.two_qubits(omega, g, gamma, T)
    with mp.workdps(40):
        expected = mp.mpf(0)
        for w in (omega + g, omega - g):
            a, b = (1 / mp.expm1(mp.mpf(w) / mp.mpf(t)) for t in T)
            expected += gamma * w * (a - b) / (4 * (a + b + 1))
    for solver in (POPULATIONS, lgks.Dense()):
        J = lgks.heat_currents(system, solver=solver)
        np.testing.assert_allclose(J, [float(expected), -float(expected)], rtol=1e-12)


def test_gibbs_from_h_alone_at_a_spread_of_500_temperatures():
    """e^{−E/T}/Z of a random H in fifty digits: 1e−12 for each population, rounding of E times 1/T."""
    rng = np.random.default_rng(5)
    H = hermitian(rng, 5)
    with mp.workdps(50):
        values = sorted(mp.eighe(mp.matrix(H.tolist()))[0])
        T = float((values[-1] - values[0]) / 500)
        weights = [mp.exp(-(v - values[0]) / mp.mpf(T)) for v in values]
        expected = [float(w / mp.fsum(weights)) for w in weights]
    system = lgks.System(H, lgks.Bath(hermitian(rng, 5), T, lgks.DrudeLorentz(0.01, 2.0)))
    p = lgks.steady_state(system, solver=POPULATIONS).populations
    assert p[-1] < 1e-200
    np.testing.assert_allclose(p, expected, rtol=1e-12)


@pytest.mark.slow
def test_gradients_equal_those_of_the_dense_solver():
    """In H, a temperature and a coupling, reverse and forward mode, and once more in δ: 1e−9, 1e−7 of the largest. The
    dense witness by forward mode alone, one direction at a time: one program, which compiles in half of the time."""
    system = near_degenerate(0.4)
    pinned, V = lgks.Davies().fixed(system), jnp.asarray(hermitian(np.random.default_rng(2), 3))

    def current(x, solver):
        shifted = system.perturbed(V, x[0])
        first = lgks.Bath(x[2] * shifted.baths[0].coupling, x[1], shifted.baths[0].spectrum)
        return lgks.heat_currents(lgks.System(shifted.hamiltonian, (first, shifted.baths[1])), pinned, solver=solver)[0]

    def slope(x, unit, solver):
        return jax.jvp(lambda y: current(y, solver), (x,), (unit,))[1]

    in_h = np.array([1.0, 0.0, 0.0])

    @jax.jit
    def ours(x):
        gradient = jax.grad(lambda y: current(y, POPULATIONS))
        return *jax.jvp(gradient, (x,), (in_h,)), slope(x, jnp.ones(3), POPULATIONS)

    @jax.jit
    def dense(x, unit):
        return jax.jvp(lambda y: slope(y, unit, lgks.Dense()), (x,), (in_h,))

    point = np.array([0.0, float(system.temperatures[0]), 1.0])
    gradient, second, forward = (np.asarray(x) for x in ours(point))
    expected, expected_second = np.array([dense(point, unit) for unit in np.eye(3)]).T
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    assert float(forward) == pytest.approx(expected.sum(), abs=1e-9 * np.abs(expected).max())
    assert second[0] == pytest.approx(expected_second[0], rel=1e-7)
    np.testing.assert_allclose(second, expected_second, rtol=0, atol=1e-7 * np.abs(expected_second).max())


def chain(sites: int) -> lgks.System:
    """A disordered chain between two baths."""
    fields = np.random.default_rng(sites).uniform(0.5, 1.5, sites)
    return lgks.models.spin_chain(fields, (0.3, 0.3, 0.3), DRUDE, (2.0, 1.0))


def test_the_spin_chain_element_by_element():
    """Two spins, the matrix written out: diagonal ±h₁ ± h₂ ± J_z, flips J_x ∓ J_y."""
    system = lgks.models.spin_chain([0.7, 1.1], (0.3, 0.2, 0.05), DRUDE, (2.0, 1.0))
    expected = np.diag([1.85, -0.45, 0.35, -1.75]) + np.fliplr(np.diag([0.1, 0.5, 0.5, 0.1]))
    np.testing.assert_allclose(system.hamiltonian, expected, atol=1e-15)
    np.testing.assert_array_equal(system.baths[1].coupling, lgks.models.pauli("IX"))
    for bad in (([0.7], (1, 1, 1)), ([0.7, 1.0], (1, 1))):
        with pytest.raises(InputError, match="spin_chain"):
            lgks.models.spin_chain(*bad, DRUDE, (2.0, 1.0))


def test_a_chain_that_no_dense_solver_could_hold():
    """d = 128, a generator of 4 GB: residual at rounding, first law, second law; its gradient by one adjoint solve."""
    system = chain(7)
    equation = lgks.Davies()
    state = lgks.steady_state(system, equation, POPULATIONS)
    J = lgks.heat_currents(system, equation, solver=POPULATIONS)
    assert float(state.residual) < 1e-14
    assert abs(float(J.sum())) < 1e-12 * abs(float(J[0]))
    assert float(J[0]) > 0
    hot = lambda T: lgks.heat_currents(  # noqa: E731
        lgks.System(system.hamiltonian, [lgks.Bath(system.baths[0].coupling, T, DRUDE), system.baths[1]]),
        equation,
        solver=POPULATIONS,
    )[0]
    h = 1e-4
    difference = (hot(2.0 + h) - hot(2.0 - h)) / (2 * h)
    assert float(jax.grad(hot)(2.0)) == pytest.approx(float(difference), rel=1e-7)


def test_batches_are_traced_once_and_equal_single_points():
    traces = []

    @jax.jit
    def currents(hot, cold):
        traces.append(1)
        one = lambda a, b: lgks.heat_currents(  # noqa: E731
            lgks.models.two_qubits(1.0, 0.2, 0.01, (a, b)), solver=POPULATIONS
        )
        return jax.vmap(lambda a: jax.vmap(lambda b: one(a, b))(cold))(hot)

    hot, cold = jnp.linspace(0.5, 2.0, 3), jnp.linspace(0.1, 0.4, 4)
    grid = currents(hot, cold)
    currents(hot + 0.1, cold)
    assert len(traces) == 1
    single = lgks.heat_currents(lgks.models.two_qubits(1.0, 0.2, 0.01, (1.25, 0.3)), solver=POPULATIONS)
    np.testing.assert_allclose(grid[1, 2], single, rtol=1e-13)


# ----------------------------------------------------------------------------------------------------------------------
# Refusals
# ----------------------------------------------------------------------------------------------------------------------


def levels(*energies) -> lgks.System:
    rng = np.random.default_rng(1)
    return lgks.System(np.diag(energies), lgks.Bath(hermitian(rng, len(energies)), 0.5, DRUDE))


def test_other_equations_are_refused():
    for equation in (lgks.Redfield(), lgks.UniversalLindblad(), lgks.Local(levels(0.0, 1.0, 2.5))):
        with pytest.raises(SolverError, match=type(equation).__name__):
            lgks.steady_state(levels(0.0, 1.0, 2.5), equation, POPULATIONS)


def test_coinciding_levels_and_clusters_are_refused():
    with pytest.raises(SolverError, match="levels coincide"):
        lgks.steady_state(levels(0.0, 1.0, 1.0), solver=POPULATIONS)
    with pytest.raises(SolverError, match="Unified"):
        lgks.heat_currents(levels(0.0, 1.0, 1.0001), lgks.Unified(), solver=POPULATIONS)
    lgks.steady_state(levels(0.0, 1.0, 2.0), solver=POPULATIONS)  # equal frequencies of distinct levels do no harm


def test_shared_groups_are_seen_in_any_order_of_the_states():
    """Pinned groups may come in an order in which the labels of a column do not descend."""
    ladder = lambda energies: jnp.asarray(np.subtract.outer(energies, energies).T)  # noqa: E731

    def close(labels) -> bool:
        return bool(populations_close(Groups(labels - labels.min(), 20)))

    assert close(ladder([0, 1, 3]))
    assert close(ladder([3, 0, 1]))
    assert not close(ladder([0, 1, 1]))
    assert not close(ladder([1, 0, 1]))  # the two that share a group are not neighbours


def test_where_h_is_traced_a_refusal_is_nan():
    def population(e):
        return lgks.steady_state(levels(0.0, 1.0, 1.5).perturbed(np.diag([0, 0, 1.0]), e), solver=POPULATIONS).rho[0, 0]

    assert np.isfinite(jax.jit(population)(0.1))
    assert np.isnan(jax.jit(population)(-0.5))

    @jax.jit
    def refused(e):
        system = levels(0.0, 1.0, 1.5).perturbed(np.diag([0, 0, 1.0]), e)
        return lgks.steady_state(system, solver=POPULATIONS, throw=False).result == RESULTS.coupled

    assert (bool(refused(0.1)), bool(refused(-0.5))) == (False, True)


def test_a_disconnected_level_is_named():
    S = np.zeros((3, 3))
    S[0, 1] = S[1, 0] = 1.0
    system = lgks.System(np.diag([0.0, 1.0, 2.5]), lgks.Bath(S, 0.5, DRUDE))
    with pytest.raises(NonUniqueSteadyStateError, match=r"energies \[2.5\]"):
        lgks.steady_state(system, solver=POPULATIONS)


def test_the_dense_solver_predicts_its_memory():
    system = lgks.System(np.diag(np.arange(256.0) ** 2), lgks.Bath(np.ones((256, 256)), 1.0, DRUDE))
    with pytest.raises(SolverMemoryError, match=r"275 GB.*Populations"):
        lgks.steady_state(system, solver=lgks.Dense())
    with pytest.raises(SolverMemoryError, match="allowed are 1e-06 GB"):
        lgks.steady_state(levels(0.0, 1.0, 2.5), solver=lgks.Dense(memory=1e3))


def test_the_solver_is_chosen_from_what_is_known():
    """Visible in the result: the cheapest that applies, `Dense` where the levels of a small system are traced."""
    distinct, shared = levels(0.0, 1.0, 2.5), levels(0.0, 1.0, 1.0)
    chosen = lambda system, equation=lgks.Davies(): lgks.steady_state(system, equation).solver  # noqa: E731
    assert chosen(distinct) == chosen(distinct, lgks.Unified()) == "populations"
    assert (
        chosen(shared)
        == chosen(distinct, lgks.UniversalLindblad())
        == chosen(distinct, lgks.Local(distinct))
        == "dense"
    )
    traced = jax.eval_shape(lambda e: lgks.steady_state(distinct.perturbed(np.diag([0, 0, 1.0]), e)), 0.0)
    assert traced.solver == "dense"

    def at_traced_temperature(system):
        return lambda T: lgks.steady_state(eqx.tree_at(lambda s: s.baths[0].temperature, system, T))

    assert jax.eval_shape(at_traced_temperature(distinct), jnp.asarray(0.7)).solver == "populations"
    assert jax.eval_shape(at_traced_temperature(shared), jnp.asarray(0.7)).solver == "dense"
    chain = lgks.models.spin_chain(np.linspace(0.5, 1.5, 5), (0.3, 0.3, 0.3), DRUDE, (2.0, 1.0))
    assert chosen(chain) == "populations"
    assert chosen(chain, lgks.Redfield()) == "krylov"
    assert jax.eval_shape(lambda e: lgks.steady_state(chain.perturbed(np.eye(32), e)), 0.0).solver == "populations"


def test_levels_that_symmetry_disconnects_are_not_connected_by_rounding():
    """Two pairs of levels that no coupling joins, in a turned basis: forbidden elements are 1e−17 there, not zero."""
    rng = np.random.default_rng(2)
    S = np.zeros((4, 4))
    S[0, 1] = S[1, 0] = S[2, 3] = S[3, 2] = 1.0
    U = unitary(rng, 4)
    H, S = (U @ X @ U.conj().T for X in (np.diag([0.0, 1.0, 2.3, 4.1]), S))
    system = lgks.System((H + H.conj().T) / 2, lgks.Bath((S + S.conj().T) / 2, 0.5, DRUDE))
    with pytest.raises(NonUniqueSteadyStateError, match=r"energies \[2.3, 4.1\]"):
        lgks.steady_state(system, solver=POPULATIONS)


def test_forbidden_couplings_do_not_leak():
    """Cold bath on 1↔2 only, hot bath on 0↔1 only, in a turned basis: p₂/p₁ = e^{−100}, not rounding of the hot
    bath. Rates by hand; 1e−11, ω/T times the rounding of ω."""
    rng = np.random.default_rng(4)
    E, T = np.array([0.0, 1.0, 3.0]), (2.0, 0.02)
    U, hot, cold = unitary(rng, 3), np.zeros((3, 3)), np.zeros((3, 3))
    hot[0, 1] = hot[1, 0] = cold[1, 2] = cold[2, 1] = 1.0
    H, hot, cold = (U @ X @ U.conj().T for X in (np.diag(E), hot, cold))
    clean = lambda X: (X + X.conj().T) / 2  # noqa: E731
    system = lgks.System(clean(H), [lgks.Bath(clean(S), t, DRUDE) for S, t in zip((hot, cold), T, strict=True)])
    p = lgks.steady_state(system, solver=POPULATIONS).populations
    assert float(p[2] / p[1]) == pytest.approx(np.exp(-2 / 0.02), rel=1e-11, abs=0)


def test_what_cannot_be_meant_is_refused():
    system = levels(0.0, 1.0, 2.5)
    rho = np.eye(3) / 3
    for function in (lgks.heat_currents, lgks.entropy_production):
        with pytest.raises(InputError, match="not both"):
            function(system, rho=rho, solver=POPULATIONS)
    for case, equation in ((levels(0.0, 1.0, 1.0), lgks.Davies()), (system, lgks.Redfield())):
        assert lgks.steady_state(case, equation, POPULATIONS, throw=False).result == RESULTS.coupled


def test_a_lamb_shift_that_does_not_exist_is_refused():
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
    with pytest.raises(LambShiftError):
        lgks.heat_currents(system, lgks.Davies(lamb_shift=True), solver=POPULATIONS)
