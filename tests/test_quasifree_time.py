"""Quasi-free models in time and between baths: two-time functions, Heisenberg picture, Gaussian states, response to
temperatures; against a Fock space, closed forms and the steady state itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import InputError, NotHermitianError, ShapeError

from . import oscillators

TIMES = np.array([0.0, 3.0, 40.0])


def one_mode(T=2.0, rate=0.1, omega=1.0):
    (a,) = lgks.modes(1)
    return a, lgks.QuasiFree(omega * a.dag * a, lgks.Bath(a + a.dag, T, lgks.Flat(rate)))


def test_two_time_functions_of_one_oscillator_are_closed_forms():
    a, model = one_mode()
    n = 1 / np.expm1(0.5)
    decay = np.exp(-0.05 * TIMES)
    found = lgks.correlation(model, a.dag, a, TIMES)
    np.testing.assert_allclose(found, n * np.exp(1j * TIMES) * decay, rtol=1e-12)
    found = lgks.correlation(model, a, a.dag, TIMES)
    np.testing.assert_allclose(found, (n + 1) * np.exp(-1j * TIMES) * decay, rtol=1e-12)
    found = lgks.correlation(model, a.dag * a, a.dag * a, TIMES)
    np.testing.assert_allclose(found, n**2 + n * (n + 1) * decay**2, rtol=1e-12)
    assert lgks.correlation(model, a, a.dag, 3.0).shape == ()


@pytest.mark.parametrize(
    ("modes", "equation"), [(2, lgks.Davies()), (1, lgks.Redfield(lamb_shift=True))], ids=["Davies", "Redfield"]
)
def test_two_time_functions_are_those_of_a_fock_space(modes, equation):
    """Squeezing, hopping, fields; A and B not Hermitian. Quanta at n = 1e−3: 1e−6."""
    model = oscillators.model(2, modes, (0.13, 0.1))
    few = lgks.truncated(model, 6 if modes == 2 else 12)
    a, b = lgks.modes(2) if modes == 2 else lgks.modes(1) * 2
    matrix = lambda P: few.operator((P + P.dag) / 2) + 1j * few.operator((P - P.dag) / 2j)  # noqa: E731
    A, B = a.dag * b + (0.3 + 0.1j) * a, b * b + 0.7j * a.dag
    ours = lgks.correlation(model, A, B, TIMES, equation)
    # With a traced H one dense generator, which compiles sooner than the blocks of a known one.
    dense = eqx.filter_jit(lambda system: lgks.correlation(system, matrix(A), matrix(B), TIMES, equation))
    theirs = dense(few.system)
    np.testing.assert_allclose(ours, theirs, atol=2e-6 * np.max(np.abs(theirs)))


def test_two_time_functions_of_matrices_are_traces_with_the_exponential():
    system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.05, temperatures=(0.5, 0.4))
    A = np.kron([[0, 1], [0, 0]], np.eye(2)) + 0.2j * np.eye(4)
    B = np.kron([[0, 0], [1, 0]], [[1, 0.5], [0, -1]])
    for equation in (lgks.Davies(), lgks.Redfield()):
        L = np.asarray(lgks.liouvillian(system, equation))
        rho = np.asarray(lgks.steady_state(system, equation).rho)
        values, vectors = np.linalg.eig(L)
        start = np.linalg.solve(vectors, (B @ rho).T.reshape(-1))  # columns on top of each other
        states = [(vectors * np.exp(values * t)) @ start for t in TIMES]
        expected = [np.trace(A @ x.reshape(4, 4).T) for x in states]
        np.testing.assert_allclose(lgks.correlation(system, A, B, TIMES, equation), expected, atol=1e-12)


def test_fluctuation_and_dissipation():
    """At one temperature φ(τ) of a quadratic V that commutes with nothing is the derivative of Kubo's canonical
    correlation only beyond the secular approximation; what always holds is Kubo's part: ⟨i[V, A(τ)]⟩ = 2 Im⟨A(τ)V⟩."""
    model = oscillators.model(4, 2, (0.8, 1.3))
    rng = np.random.default_rng(0)
    V, A = oscillators.polynomial(rng, 2, 3), oscillators.polynomial(rng, 2, 2)
    found = lgks.response(model, V, A, instantaneous=True).impulse(TIMES).kubo
    np.testing.assert_allclose(found, 2 * lgks.correlation(model, A, V, TIMES).imag, atol=1e-11 * np.max(np.abs(found)))


@pytest.mark.parametrize("equation", [lgks.Davies(), lgks.Redfield()], ids=lambda e: type(e).__name__)
def test_states_and_polynomials_move_alike(equation):
    """⟨A⟩ in ρ(t) is ⟨A(t)⟩ in ρ(0), for a squeezed, displaced start and a quartic A."""
    model = oscillators.model(5, 2, (0.8, 1.3))
    rng = np.random.default_rng(1)
    M = rng.normal(size=(4, 4))
    start = lgks.GaussianState(jnp.asarray(rng.normal(size=4)), jnp.asarray(M @ M.T + np.eye(4)))
    A = oscillators.polynomial(rng, 2, 4)
    shifted = lgks.evolve(model, start, TIMES, equation)
    for i, t in enumerate(TIMES):
        expected = start.expect(lgks.heisenberg(model, A, t, equation))
        assert float(shifted.expect(A)[i]) == pytest.approx(float(expected), rel=1e-10)
        assert float(shifted.at(i).expect(A)) == pytest.approx(float(expected), rel=1e-10)
    late = lgks.evolve(model, start, [0.0, 1e5], equation).at(1)
    steady = lgks.steady_state(model, equation)
    np.testing.assert_allclose(late.covariance, steady.covariance, atol=1e-11)
    np.testing.assert_allclose(late.mean, steady.mean, atol=1e-11)


def test_evolution_is_that_of_a_fock_space():
    model = oscillators.model(2, 2, (0.13, 0.1))
    few = lgks.truncated(model, 6)
    warm = lgks.QuasiFree(model.hamiltonian, [lgks.Bath(b.coupling, 0.16, b.noises[0].spectrum) for b in model.baths])
    start, rho = lgks.steady_state(warm), lgks.steady_state(lgks.truncated(warm, 6).system, throw=False).rho
    A = oscillators.polynomial(np.random.default_rng(3), 2, 2)
    ours = lgks.evolve(model, start, TIMES, lgks.Davies()).expect(A)
    theirs = lgks.evolve(few.system, rho, TIMES, lgks.Davies()).expect(few.operator(A))
    np.testing.assert_allclose(ours, theirs, atol=1e-6 * np.max(np.abs(theirs)))  # six quanta at n = 2e−3


POLYNOMIALS = [oscillators.polynomial(np.random.default_rng(k), 2, k) for k in (2, 4)]


@pytest.mark.parametrize(
    ("equation", "quantity"),
    [
        (lgks.Davies(), POLYNOMIALS),
        (lgks.Unified(), lgks.EntropyProduction()),
        (lgks.Redfield(lamb_shift=True), lgks.HeatCurrent("bath1")),
    ],
    ids=["Davies", "Unified", "Redfield"],
)
def test_thermal_response_by_two_routes(equation, quantity):
    """To temperatures and to strengths, explicit against automatic differentiation: 1e−9."""
    model = oscillators.model(6, 2, (0.8, 1.3))
    explicit = lgks.thermal_response(model, quantity, equation)
    other = lgks.autodiff_thermal_response(model, quantity, equation)
    for name in ("temperatures", "strengths"):
        one, two = getattr(explicit, name), getattr(other, name)
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-11 * np.max(np.abs(two)))


def test_onsager_matrix_of_one_oscillator():
    """J = ω γ_a γ_b (n_a − n_b)/(γ_a + γ_b), so L = T² ω γ_aγ_b/(γ_a+γ_b) dn/dT (1, −1; −1, 1)."""
    (a,) = lgks.modes(1)
    baths = [lgks.Bath(a + a.dag, 0.7, lgks.Flat(rate)) for rate in (0.1, 0.3)]
    found = lgks.onsager_matrix(lgks.QuasiFree(1.2 * a.dag * a, baths))
    x = 1.2 / 0.7
    slope = 1.2 / 0.49 * np.exp(x) / np.expm1(x) ** 2
    expected = 0.49 * 1.2 * 0.1 * 0.3 / 0.4 * slope * np.array([[1, -1], [-1, 1]])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_bad_input_is_named():
    a, model = one_mode()
    with pytest.raises(InputError, match="GaussianState"):
        lgks.evolve(model, np.eye(2), [0.0, 1.0], lgks.Davies())
    with pytest.raises(InputError, match="expm"):
        lgks.evolve(model, lgks.steady_state(model), [0.0, 1.0], lgks.Davies(), "diffrax")
    with pytest.raises(InputError, match="negative"):
        lgks.correlation(model, a, a.dag, -1.0)
    with pytest.raises(ShapeError, match="one time"):
        lgks.heisenberg(model, a, [0.0, 1.0])
    with pytest.raises(ShapeError, match="of 1 mode"):
        lgks.correlation(model, a, lgks.modes(2)[0], 1.0)
    with pytest.raises(NotHermitianError):
        lgks.evolve(model, lgks.steady_state(model), [0.0, 1.0], lgks.Davies()).expect(a)


def test_gradients_go_through():
    """d/dT of a two-time function, against its closed form."""

    def second(T):
        a, model = one_mode(T)
        return lgks.correlation(model, a.dag * a, a.dag * a, 3.0).real

    n = lambda T: 1 / jnp.expm1(1 / T)  # noqa: E731
    exact = lambda T: n(T) ** 2 + n(T) * (n(T) + 1) * jnp.exp(-0.3)  # noqa: E731
    assert float(jax.grad(second)(2.0)) == pytest.approx(float(jax.grad(exact)(2.0)), rel=1e-12)
