"""Preconditioned GMRES on operators: against the dense oracle, in value and derivative, and where that cannot go."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import jaxlgks as lgks
from jaxlgks._equations import dissipation
from jaxlgks._generator import SystemProblem, dense_generator, operator_generator, resolve
from jaxlgks._steady import at_rest
from jaxlgks.errors import ConvergenceError, NonUniqueSteadyStateError, SolverMemoryError, SteadyStateError

from .forms import assert_same
from .systems import draw, hermitian, near_degenerate
from .test_populations import chain

KRYLOV = lgks.Krylov()
operators = eqx.filter_jit(operator_generator)
EQUATIONS = {
    "universal": lgks.UniversalLindblad(),
    "redfield": lgks.Redfield(),
    "redfield with Lamb shift": lgks.Redfield(lamb_shift=True),
    "davies": lgks.Davies(),
    "unified": lgks.Unified(),
}


@eqx.filter_jit
def by_dense_and_krylov(system, equation):
    return lgks.steady_state(system, equation, lgks.Dense(), throw=False), lgks.steady_state(system, equation, KRYLOV)


@pytest.mark.parametrize("name", ["universal", "redfield with Lamb shift", "unified"])
def test_equals_the_dense_solver(name):
    """States of generic systems, ladders and degenerate levels, to rounding over the inverse condition number. Four
    levels, two baths: one program."""
    for seed in (7, 22, 37, 52):
        compare(draw(seed).system, EQUATIONS[name], by_dense_and_krylov)


def test_equals_the_dense_solver_where_groups_are_known():
    """Outside a program. (Redfield alone, and Davies, whose groups are then fewer than under `jit`.)"""
    for name in ("davies", "redfield"):
        compare(draw(37).system, EQUATIONS[name], by_dense_and_krylov.__wrapped__)


def compare(system, equation, find) -> None:
    dense, found = find(system, equation)
    assert found.solver == "krylov"
    assert float(found.residual) < 1e-13
    rounding = 100 * np.finfo(float).eps / float(dense.condition)
    np.testing.assert_allclose(found.rho, dense.rho, rtol=0, atol=rounding)


@pytest.mark.parametrize("seed", [9, 11])
def test_the_action_on_hermitian_matrices(seed, monkeypatch):
    """As large systems take it, from half of the products: the action itself, of two baths and of three."""
    case = draw(seed)
    X = jnp.asarray(hermitian(np.random.default_rng(seed), case.system.dim))
    resolved = {name: dissipation(case.system, equation) for name, equation in EQUATIONS.items()}
    expected = {name: eqx.filter_jit(lambda r: operators(r).core.action(X))(r) for name, r in resolved.items()}
    monkeypatch.setattr("jaxlgks._equations._dissipator.LARGE", 0)
    for name, r in resolved.items():
        action = operators(r).core.action
        assert action.mirrored == name.startswith("redfield")
        found = eqx.filter_jit(lambda action: action.on_hermitian(X))(action)
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=1e-13 * np.abs(expected[name]).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["universal", "redfield"])
def test_gradients_equal_those_of_the_dense_solver(name):
    """In δ, a temperature and a strength, reverse mode and, of one, forward mode, at a degenerate level: 1e−9."""
    system, V = near_degenerate(0.0), jnp.asarray(hermitian(np.random.default_rng(2), 3))

    def current(x, solver):
        shifted = system.perturbed(V, x[0])
        first = lgks.Bath(x[2] * shifted.baths[0].coupling, x[1], shifted.baths[0].spectrum)
        shifted = lgks.System(shifted.hamiltonian, (first, shifted.baths[1]))
        return lgks.heat_currents(shifted, EQUATIONS[name], solver=solver)[0]

    point = np.array([0.0, float(system.temperatures[0]), 1.0])
    # The dense witness one direction at a time, by one program of forward mode: it compiles in half of the time.
    along = jax.jit(lambda x, unit: jax.jvp(lambda y: current(y, lgks.Dense()), (x,), (unit,))[1])
    dense = np.array([along(point, unit) for unit in np.eye(3)])
    reverse = jax.jit(jax.grad(lambda x: current(x, KRYLOV)))(point)
    np.testing.assert_allclose(reverse, dense, rtol=0, atol=1e-9 * np.abs(dense).max())
    if name == "redfield":
        forward = jax.jit(lambda x: jax.jvp(lambda y: current(y, KRYLOV), (x,), (jnp.ones(3),))[1])(point)
        assert float(forward) == pytest.approx(float(dense.sum()), abs=1e-9 * np.abs(dense).max())


def test_batches_equal_single_points():
    case, equation = draw(7), EQUATIONS["redfield with Lamb shift"]
    systems = eqx.filter_vmap(lambda d: case.system.perturbed(case.V, d))(jnp.array([0.0, 0.1]))
    batch = eqx.filter_jit(eqx.filter_vmap(lambda s: lgks.steady_state(s, equation, KRYLOV).rho))(systems)
    single = by_dense_and_krylov(case.system.perturbed(case.V, 0.1), equation)[1].rho
    np.testing.assert_allclose(batch[1], single, rtol=0, atol=1e-13)


@pytest.mark.parametrize("equation", [lgks.UniversalLindblad(), lgks.Redfield()])
def test_a_chain_that_no_dense_solver_could_hold(equation):
    """d = 128, a generator of 4 GB: residual, and what the equation says of the currents, Σ_α J_α = 0."""
    system = chain(7)
    state = lgks.steady_state(system, equation, KRYLOV)
    J = lgks.heat_currents(system, equation, rho=state.rho)
    assert float(state.residual) < 1e-12
    assert abs(float(J.sum())) < 1e-9 * abs(float(J[0]))
    assert float(J[0]) > 0


def test_the_solvers_agree_on_a_chain():
    """Davies of a chain of four: three solvers, one state."""
    system = chain(4)
    dense, krylov, populations = (
        lgks.steady_state(system, solver=solver).rho for solver in (lgks.Dense(), KRYLOV, lgks.Populations())
    )
    np.testing.assert_allclose(krylov, dense, rtol=0, atol=1e-12)
    np.testing.assert_allclose(populations, dense, rtol=0, atol=1e-12)


def test_no_convergence_is_an_error_and_nan_where_traced():
    case = draw(9)
    few = lgks.Krylov(restart=1, cycles=1)
    with pytest.raises(SteadyStateError, match=r"GMRES did not converge .*krylov.*Dense\(\)"):
        lgks.steady_state(case.system, lgks.Redfield(), few)
    traced = jax.jit(lambda d: lgks.steady_state(case.system.perturbed(case.V, d), lgks.Redfield(), few).rho)(0.0)
    assert np.all(np.isnan(traced))


def test_where_gmres_does_not_converge_the_matrix_is_solved(monkeypatch):
    """Unasked, and the response keeps that form, though operators would be chosen for it."""
    case, equation = draw(9), lgks.Redfield()
    candidates = lambda problem, solver: (lgks.Krylov(restart=1, cycles=1), lgks.Dense())  # noqa: E731
    monkeypatch.setattr(SystemProblem, "solvers", candidates)
    monkeypatch.setattr(sys.modules["jaxlgks._generator._choice"], "LARGE", 0)
    rest = at_rest(resolve(case.system, equation))
    assert rest.steady.solver == rest.solver.name == "dense"
    assert rest.generator()[0] is rest.form


@pytest.mark.slow
def test_a_resonantly_driven_oscillator():
    """H has no energy scale but the drive, which is no smaller than the decay: the hardest case for a preconditioner in
    its eigenbasis. The closed form, a coherent state of amplitude −2iε/γ (6 quanta), away from the edge of 30."""
    a, drive, gamma = np.diag(np.sqrt(np.arange(1.0, 30)), 1), 0.0628, 0.05
    system = lgks.System(drive * (a + a.T), lgks.Bath(a + a.T, 0.02, lgks.Flat(gamma)))
    state = lgks.steady_state(system, lgks.Local(a.T @ a))
    n, alpha = np.arange(30), -2j * drive / gamma
    coherent = np.exp(-(abs(alpha) ** 2) / 2) * alpha**n / np.sqrt(scipy.special.factorial(n))
    assert state.solver == "krylov"
    inner = np.asarray(state.rho)[:20, :20]
    np.testing.assert_allclose(inner, np.outer(coherent, coherent.conj())[:20, :20], rtol=0, atol=1e-8)


@pytest.mark.slow
def test_an_optomechanical_system():
    """Six by sixteen levels in 341 groups, of which five are coupled: operators that are zero made it unsolvable.
    Against ⟨b⟩ = g⟨n⟩/(ω − iγ/2) and κ⟨n⟩ = −2E Im⟨a⟩, the exact equations of motion of one mode and of the other."""
    down = lambda n: np.diag(np.sqrt(np.arange(1.0, n)), 1)  # noqa: E731
    a, b = np.kron(down(6), np.eye(16)), np.kron(np.eye(6), down(16))
    kappa, gamma, g, E = 0.3, 0.00147, 0.36, 0.02
    n = a.T @ a
    free = 0.43 * n + b.T @ b
    baths = [lgks.Bath(a + a.T, 0.01, lgks.Flat(kappa)), lgks.Bath(b + b.T, 0.02, lgks.Flat(gamma))]
    system = lgks.System(free - g * n @ (b + b.T) + E * (a + a.T), baths)
    state = lgks.steady_state(system, lgks.Local(free))
    mean = lambda A: np.trace(A @ np.asarray(state.rho))  # noqa: E731
    assert state.solver == "krylov"
    np.testing.assert_allclose(mean(b), g * mean(n) / (1 - 0.5j * gamma), rtol=0, atol=1e-9)
    np.testing.assert_allclose(kappa * mean(n), -2 * E * mean(a).imag, rtol=1e-6)


def test_memory_is_predicted():
    rng = np.random.default_rng(1)
    system = lgks.System(np.diag(rng.uniform(size=40)), lgks.Bath(hermitian(rng, 40), 0.5, lgks.DrudeLorentz(0.1, 2.0)))
    with pytest.raises(SolverMemoryError, match=r"Davies.*Populations"):
        lgks.steady_state(system, solver=lgks.Krylov(memory=1e8))


def test_a_disconnected_level_is_named():
    S = np.zeros((3, 3))
    S[0, 1] = S[1, 0] = 1.0
    system = lgks.System(np.diag([0.0, 1.0, 2.5]), lgks.Bath(S, 0.5, lgks.DrudeLorentz(0.1, 2.0)))
    with pytest.raises(NonUniqueSteadyStateError, match="conserved"):
        lgks.steady_state(system, lgks.Redfield(), KRYLOV)


@pytest.mark.parametrize(("name", "levels"), [("universal", (0.0, 1.0, 1.0, 2.0)), ("redfield", (0.0, 0.6, 1.7, 1.75))])
def test_operators_are_the_generator(name, levels):
    """All that the form offers, responses in time and frequency among it, as by the dense matrix: 1e−8 of each (1e−10
    asked of the integrator). At d = 4, where operators would not be chosen."""
    rng = np.random.default_rng(3)
    V, A, root, *couplings = (hermitian(rng, 4) for _ in range(5))
    baths = [lgks.Bath(S, T, lgks.DrudeLorentz(0.05, 2.0)) for S, T in zip(couplings, (0.9, 0.5), strict=True)]
    resolved = dissipation(lgks.System(np.diag(levels), baths), EQUATIONS[name])
    numbers = (jnp.asarray(root @ root / np.trace(root @ root)), jnp.asarray(V), jnp.asarray(A))
    assert_same(resolved, operator_generator, dense_generator, numbers, 1e-8)


def test_response_of_a_large_system():
    """d = 32 by operators, unasked: the static response against a finite difference of the steady state, 1e−6."""
    system = lgks.models.spin_chain(np.linspace(0.5, 1.5, 5), (0.3, 0.3, 0.3), lgks.DrudeLorentz(0.01, 2.0), (2.0, 1.0))
    V, A = lgks.models.pauli("ZZIII"), lgks.models.pauli("IXXII")
    r = lgks.response(system, V, A, lgks.Redfield())
    assert r.generator.name == "operators"

    def value(e: float) -> float:
        rho = lgks.steady_state(system.perturbed(V, e), lgks.Redfield()).rho
        return float(jnp.einsum("ij,ji->", A, rho).real)

    quotient = [(value(h) - value(-h)) / (2 * h) for h in (2e-3, 1e-3)]
    assert float(r.static().total) == pytest.approx((4 * quotient[1] - quotient[0]) / 3, rel=1e-6)


def test_response_by_operators_does_not_depend_on_the_size_of_the_perturbation():
    """Linear: what the integrator tolerates is relative. 1e−9 V against V, in time; and one time alone."""
    system, equation = chain(2), lgks.Redfield()
    V, A = lgks.models.pauli("ZI"), lgks.models.pauli("XX")
    L = operators(dissipation(system, equation))
    B = L.internal(-1j * (V @ system.hamiltonian - system.hamiltonian @ V))[None]
    ts = jnp.array([0.0, 1.0, 4.0])
    for drive in (None, B):
        large, small = (
            L.propagate(x * B, ts, L.observable(A)[None], None if drive is None else x * drive) for x in (1.0, 1e-9)
        )
        np.testing.assert_allclose(1e9 * small, large, rtol=0, atol=1e-9 * float(jnp.max(jnp.abs(large))))
    still = L.propagate(B, jnp.array([0.0, 0.0]), L.observable(A)[None])
    np.testing.assert_allclose(still[1], still[0], rtol=1e-15)


def test_a_response_that_does_not_converge_is_an_error_and_nan_where_traced():
    L = operators(dissipation(chain(3), lgks.Redfield()), restart=1, cycles=1)
    B = L.internal(lgks.models.pauli("XIX"))[None]
    with pytest.raises(ConvergenceError, match="residual"):
        L.resolvent(B, jnp.zeros(1), B)
    assert not bool(jnp.any(jnp.isfinite(L.core.solve(B, jnp.asarray(0.0)))))
    well = operators(dissipation(chain(3), lgks.Redfield()))
    assert bool(jnp.all(jnp.isfinite(well.core.solve(B, jnp.asarray(0.0)))))
