"""Responses in time and frequency against states that are propagated, at finite δ, by generators written by hand.

The witness shares nothing with the library but its inputs: L(δ) is summed in NumPy (`by_hand.davies`, groups
pinned at δ = 0), exponentiated by SciPy, and differentiated by Romberg differences in δ.
"""

import functools
import itertools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.linalg as sl

import jaxlgks as lgks
from jaxlgks._generator import matrix_exponential
from jaxlgks.errors import InputError, ShapeError

from .by_hand import commutator, davies, stationary, unvec, vec
from .systems import draw, hermitian

# seed % 15 fixes dimension, number of baths and densities, so these share compiled programs: (d, baths) = (3, 2),
# (4, 3). Steps of 15 walk through the four kinds of spectra.
STRUCTURES = (6, 12)
TIMES = np.array([0.0, 0.4, 1.5, 5.0, 17.0, 80.0])

# What follows a drive at once, as the paper's L₁ does; with memory: test_memory.
respond = eqx.filter_jit(functools.partial(lgks.response, instantaneous=True))
respond_thermodynamically = eqx.filter_jit(functools.partial(lgks.thermodynamic_response, instantaneous=True))


def level_part(system: lgks.System, V: np.ndarray) -> np.ndarray:
    """W = Σ Π V Π over the levels of H: what of V moves energies and turns no level."""
    E, U = np.linalg.eigh(np.asarray(system.hamiltonian))
    inside = np.abs(E[:, None] - E[None, :]) < 1e-9 * np.ptp(E)
    return U @ np.where(inside, U.conj().T @ V @ U, 0) @ U.conj().T


def safe_step(system: lgks.System, V: np.ndarray) -> float:
    """A tenth of the distance in δ within which states are analytic.

    Levels must stay apart (and √Γ analytic on the scale of T); where V splits a level, the splitting must stay below
    the slowest relaxation. Romberg's error is then about 0.1⁸/4096 = 2e−12 of the curve, its rounding 1e−15/step.
    """
    E, U = np.linalg.eigh(np.asarray(system.hamiltonian))
    distances = np.abs(E[:, None] - E[None, :])
    apart = distances > 1e-9 * np.ptp(E)
    radius = min(distances[apart].min() / 2, float(min(system.temperatures))) / np.linalg.norm(V, 2)
    inner = np.linalg.norm(np.where(apart | np.eye(len(E), dtype=bool), 0, U.conj().T @ V @ U), 2)
    slow = np.linalg.svd(davies(system).generator, compute_uv=False)[-2]
    return 0.1 * (min(radius, slow / inner) if inner > 1e-12 else radius)


def romberg(f, h: float) -> np.ndarray:
    """df/dδ at 0 from central differences at h, h/2, h/4, h/8; the error is of order (h/radius)⁸/4096."""
    rows = [(f(s * h) - f(-s * h)) / (2 * s * h) for s in (1.0, 0.5, 0.25, 0.125)]
    for factor in (4, 16, 64):
        rows = [(factor * fine - coarse) / (factor - 1) for coarse, fine in itertools.pairwise(rows)]
    return rows[0]


def propagated(L: np.ndarray, start: np.ndarray, A: np.ndarray, times=TIMES) -> np.ndarray:
    """Tr[A e^{Lt} start] and its time derivative, [2, t]."""
    row = vec(np.asarray(A).conj().T).conj()
    states = [sl.expm(L * t) @ vec(start) for t in times]
    return np.array([[row @ x for x in states], [row @ L @ x for x in states]]).real


def close(value, expected, tolerance: float) -> bool:
    """Agreement relative to the largest value of the curve: a curve crosses zero."""
    value, expected = np.asarray(value), np.asarray(expected)
    return bool(np.max(np.abs(value - expected)) <= tolerance * np.max(np.abs(expected)))


def part_by_part(case):
    V, A = np.asarray(case.V), np.asarray(case.A)
    W = level_part(case.system, V)
    still = davies(case.system)
    pi = stationary(still.generator)
    h = safe_step(case.system, V)
    generators = {
        "total": lambda x: davies(case.system, x * V).generator,
        "kubo": lambda x: still.generator + x * commutator(V),
        "rotation": lambda x: still.commutator + davies(case.system, x * (V - W)).baths.sum(axis=0),
        "shift": lambda x: still.commutator + davies(case.system, x * W).baths.sum(axis=0),
    }
    r = respond(case.system, case.V, case.A)
    step, impulse = r.step(TIMES), r.impulse(TIMES)
    scale = np.max(np.abs(impulse.total))
    for name, generator in generators.items():
        integral, rate = romberg(lambda x, L=generator: propagated(L(x), pi, A), h)
        assert close(getattr(step, name), integral, 1e-8), (case, name)
        # A part may vanish identically (shift where W = 0): measured against the whole response.
        assert np.max(np.abs(getattr(impulse, name) - rate)) <= 1e-8 * scale, (case, name)
    np.testing.assert_array_equal(step.total, step.kubo + step.rotation + step.shift + step.explicit)
    np.testing.assert_array_equal(impulse.total, impulse.kubo + impulse.rotation + impulse.shift)
    assert not np.any(step.explicit)
    assert not np.any(impulse.explicit)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_each_part_in_time_against_propagation_at_finite_delta(structure):
    """φ and Φ in time, part by part, to 1e−8 of the curve (Romberg, see `safe_step`).

    Each part has its own generator: kubo moves V in the commutator alone; rotation moves the dissipators along V − W,
    which turns levels and moves no energy to first order; shift moves them along W, which commutes with H.
    """
    for seed in range(structure, structure + 90, 15):
        part_by_part(draw(seed))


def slowest_decay(L: np.ndarray) -> float:
    """The smallest decay rate of the generator, its spectral gap."""
    return float(-np.sort(np.linalg.eigvals(L).real)[-2])


def legendre(t: float, panels: int, nodes: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a composite Gauss–Legendre rule on [0, t]; panels repeat the same intervals."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    edges = t / panels * np.arange(panels)
    return (edges[:, None] + t / panels * (x + 1) / 2).ravel(), np.tile(w * t / panels / 2, panels)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_static_is_the_end_of_the_step_and_the_start_of_the_spectrum(structure):
    """Φ(∞) = χ(0) = static, part by part; 1e−10 of the response: two LU solves of generators of condition ≤ 1e4."""
    for seed in range(structure, structure + 60, 15):
        case = draw(seed)
        r = respond(case.system, case.V, case.A)
        static, zero = r.static(), r.susceptibility(0.0)
        late = r.step(45.0 / slowest_decay(davies(case.system).generator))  # e^{−45} = 3e−20
        scale = max(abs(float(getattr(static, part))) for part in ("kubo", "rotation", "shift", "total"))
        for part in ("kubo", "rotation", "shift", "total"):
            limit = float(getattr(static, part))
            assert complex(getattr(zero, part)) == pytest.approx(limit, rel=0, abs=1e-12 * scale), (case, part)
            assert float(getattr(late, part)) == pytest.approx(limit, rel=0, abs=1e-10 * scale), (case, part)


def test_static_against_steady_states_at_finite_delta():
    """Φ(∞) against Romberg differences of hand-made steady states, singular vectors of L(δ)."""
    for seed in (6, 21, 36, 51, 12, 27, 42, 57):
        case = draw(seed)
        A, V, h = np.asarray(case.A), np.asarray(case.V), safe_step(case.system, np.asarray(case.V))
        steady = lambda x, s=case.system, V=V, A=A: np.trace(A @ stationary(davies(s, x * V).generator)).real  # noqa: E731
        expected = pytest.approx(romberg(steady, h), rel=1e-8)
        assert float(respond(case.system, case.V, case.A).static().total) == expected, case


def test_step_is_the_integral_of_the_impulse():
    """Gauss–Legendre on [0, 6], 6 panels of 16 nodes: φ oscillates with at most ~5 rad per unit, the rule is exact to
    rounding there."""
    for seed in (6, 21, 36, 51):
        case = draw(seed)
        r = respond(case.system, case.V, case.A)
        nodes, weights = legendre(6.0, panels=6)
        impulse, step = r.impulse(nodes), r.step(6.0)
        for part in ("kubo", "rotation", "shift", "total"):
            scale = np.max(np.abs(getattr(impulse, part)))
            expected = weights @ np.asarray(getattr(impulse, part))
            assert float(getattr(step, part)) == pytest.approx(expected, rel=0, abs=1e-12 * 6 * scale), (case, part)


def test_susceptibility_is_the_transform_of_the_impulse():
    """χ(ω) = ∫₀^∞ φ e^{iωτ} dτ by quadrature to 1e−10, and χ(−ω) = χ(ω)*: φ is real.

    χ(ω) and χ(−ω) come of two solutions x, equal to a few eps of |A||x|, and |x| ≤ |source|/slowest rate.
    """
    omegas = np.array([0.0, 0.31, -0.31, 1.7, -1.7, 4.0])
    for seed in (6, 36):
        case = draw(seed)
        r = respond(case.system, case.V, case.A)
        end = 30.0 / slowest_decay(davies(case.system).generator)  # e^{−30} = 1e−13
        nodes, weights = legendre(end, panels=int(end * 9 / 8) + 1)  # 9 rad/time: at most 8 rad a panel of 16 nodes
        impulse, chi = r.impulse(nodes), r.susceptibility(omegas)
        size = np.linalg.norm(case.A) * np.linalg.norm(r.sources) / float(lgks.steady_state(case.system).slowest)
        for part in ("kubo", "rotation", "shift", "total"):
            waves = np.exp(1j * omegas[:, None] * nodes)
            expected = waves @ (weights * np.asarray(getattr(impulse, part)))
            value = np.asarray(getattr(chi, part))
            assert close(value, expected, 1e-10), (case, part)
            np.testing.assert_allclose(value[[2, 4]], value[[1, 3]].conj(), rtol=0, atol=4 * np.finfo(float).eps * size)


def test_high_frequencies_see_the_impulse_at_zero():
    """−iωχ(ω) → φ(0) = Tr[A L₁π₀]: the next order is φ'(0)/ω, 1e−7 of it left at ω = 1e8."""
    case = draw(21)
    r = respond(case.system, case.V, case.A)
    start, chi = r.impulse(0.0), r.susceptibility(1e8)
    for part in ("kubo", "rotation", "shift", "total"):
        limit = -1j * 1e8 * complex(getattr(chi, part))
        assert limit == pytest.approx(float(getattr(start, part)), rel=1e-5, abs=1e-7 * abs(float(start.total))), part


def test_impulse_at_zero_is_the_source():
    """φ(0) = Tr[A L₁π₀]: its kubo part −i Tr A[V, π₀] to rounding, all of it against L₁ by differences to 1e−9."""
    for seed in (6, 21, 36, 51):
        case = draw(seed)
        V, A = np.asarray(case.V), np.asarray(case.A)
        pi = stationary(davies(case.system).generator)
        start = respond(case.system, case.V, case.A).impulse(0.0)
        h = safe_step(case.system, V)
        source = unvec(romberg(lambda x, s=case.system, V=V: davies(s, x * V).generator, h) @ vec(pi))
        scale = np.linalg.norm(A) * np.linalg.norm(source)
        kubo = np.trace(A @ (-1j * (V @ pi - pi @ V))).real
        assert float(start.kubo) == pytest.approx(kubo, rel=0, abs=1e-13 * scale), case
        assert float(start.total) == pytest.approx(np.trace(A @ source).real, rel=0, abs=1e-9 * scale), case


def test_times_in_any_order():
    """Unsorted and repeated times, a scalar, times known or traced: the same numbers. Times are causal."""
    case = draw(36)
    r = respond(case.system, case.V, case.A)
    mixed = np.array([5.0, 0.4, 80.0, 0.4, 0.0, 5.0])
    for method in (r.step, r.impulse):
        ordered = dict(zip(TIMES, np.asarray(method(TIMES).total), strict=True))
        expected = np.array([ordered[t] for t in mixed])
        scale = np.abs(expected).max()
        np.testing.assert_allclose(method(mixed).total, expected, rtol=0, atol=1e-13 * scale)
        np.testing.assert_allclose(jax.jit(lambda t, f=method: f(t).total)(mixed), expected, rtol=0, atol=1e-12 * scale)
        assert method(0.4).total.shape == ()
        assert float(method(0.4).total) == pytest.approx(ordered[0.4], rel=0, abs=1e-13 * scale)
        with pytest.raises(InputError, match="negative"):
            method(np.array([1.0, -1.0]))
        with pytest.raises(ShapeError, match="array"):
            method(np.array([[1.0], [2.0]]))
    with pytest.raises(ShapeError, match="omega"):
        r.susceptibility(np.array([[0.0]]))


def test_times_over_many_decades():
    """Early times are not rounded on the scale of late ones: Φ(t) = tφ(0) + O(t²) at t = 1e−8 beside t = 1e5."""
    case = draw(6)
    r = respond(case.system, case.V, case.A)
    early = np.array([1e-8, 2.5e-8, 1e-7])
    step = r.step(np.append(early, [1e-3, 1e2, 1e5]))
    for part in ("kubo", "rotation", "shift"):
        expected = early * float(getattr(r.impulse(0.0), part))
        np.testing.assert_allclose(getattr(step, part)[:3], expected, rtol=1e-5, err_msg=part)


def test_several_observables_at_once():
    """A stack [2, d, d] gives [t, 2], each column what its observable gives alone; the identity never responds."""
    case = draw(6)
    stack = jnp.stack([case.A, jnp.eye(3, dtype=complex)])
    many = lgks.response(case.system, case.V, stack, instantaneous=True)
    one = respond(case.system, case.V, case.A)
    for several, single in ((many.step(TIMES), one.step(TIMES)), (many.impulse(TIMES), one.impulse(TIMES))):
        assert several.total.shape == (6, 2)
        scale = np.abs(single.total).max()
        for part in ("kubo", "rotation", "shift", "explicit", "total"):
            np.testing.assert_allclose(getattr(several, part)[:, 0], getattr(single, part), rtol=0, atol=1e-13 * scale)
            assert (
                np.max(np.abs(getattr(several, part)[:, 1])) < 1e-12 * scale
            )  # the trace, kept at 80 steps of rounding
    assert many.static().total.shape == (2,)
    assert many.susceptibility(np.array([0.0, 1.0, 2.0])).total.shape == (3, 2)


def test_local_response_is_kubo_alone():
    """With a fixed dissipator only the commutator moves: L(δ) = L₀ − iδ[V, ·] is linear in δ."""
    case = draw(6)
    V, A = np.asarray(case.V), np.asarray(case.A)
    L = davies(case.system).generator
    pi = stationary(L)
    r = lgks.response(case.system, case.V, case.A, lgks.Local(case.system))
    step, impulse = r.step(TIMES), r.impulse(TIMES)
    integral, rates = romberg(lambda x: propagated(L + x * commutator(V), pi, A), safe_step(case.system, V))
    assert close(step.total, integral, 1e-9)
    assert close(impulse.total, rates, 1e-9)
    for part in ("rotation", "shift", "explicit"):
        assert not np.any(getattr(step, part)), part


def test_without_baths_kubo_remains():
    """Eq. (1): φ(τ) → i⟨[V, A(τ)]⟩ with A(τ) = e^{iHτ} A e^{−iHτ} as the coupling goes to zero; the rest is linear
    in it."""
    case = draw(6, equal_temperatures=True)
    H, V, A = (np.asarray(x) for x in (case.system.hamiltonian, case.V, case.A))
    T = float(case.system.temperatures[0])
    pi = sl.expm(-H / T) / np.trace(sl.expm(-H / T))
    turned = [sl.expm(1j * H * t) @ A @ sl.expm(-1j * H * t) for t in TIMES]
    closed = np.array([np.trace(pi @ (1j * (V @ X - X @ V))).real for X in turned])
    errors = []
    for weak in (1e-4, 1e-6):
        strengths = lambda s: [bath.spectrum.strength for bath in s.baths]  # noqa: E731
        faint = eqx.tree_at(strengths, case.system, [weak * x for x in strengths(case.system)])
        errors.append(np.max(np.abs(respond(faint, case.V, case.A).impulse(TIMES).total - closed)))
    assert errors[1] < 1e-4 * np.max(np.abs(closed))
    assert errors[1] / errors[0] == pytest.approx(1e-2, rel=0.02)


def test_explicit_part_acts_at_once():
    """A heat current's own dependence on δ: a constant in Φ and χ, the weight of δ(τ) beside the regular φ."""
    case = draw(6)
    r = respond_thermodynamically(case.system, case.V).heat_currents
    static, start = r.static(), r.step(0.0)
    assert np.min(np.abs(static.explicit)) > 1e-3  # there is something to see
    np.testing.assert_array_equal(start.explicit, static.explicit)
    np.testing.assert_allclose(start.total, static.explicit, rtol=1e-13)  # the state has not moved yet
    omegas = np.array([0.0, 0.7, 1e9])
    chi = r.susceptibility(omegas)
    np.testing.assert_array_equal(chi.explicit, np.tile(static.explicit, (3, 1)))
    np.testing.assert_allclose(chi.total[0], static.total, rtol=1e-12)
    np.testing.assert_allclose(chi.total[2], static.explicit, rtol=0, atol=1e-7)  # all but the instant part has died
    nodes, weights = legendre(6.0, panels=6)
    impulse = r.impulse(nodes)
    np.testing.assert_array_equal(impulse.explicit[0], static.explicit)
    np.testing.assert_array_equal(impulse.total, impulse.kubo + impulse.rotation + impulse.shift)
    integral = impulse.explicit[0] + weights @ np.asarray(impulse.total)
    np.testing.assert_allclose(r.step(6.0).total, integral, rtol=0, atol=1e-12)


# ---------------------------------------------------------------------------------------------------- states in time


def _state(seed: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = hermitian(rng, d)
    return X @ X / np.trace(X @ X)


@pytest.mark.optimised
def test_exponential_of_large_matrices():
    """Anti-Hermitian matrices of norms up to 1e4 against 50 digits, to 10 eps of the norm (jax.scipy.linalg.expm: 2e−10
    of it), and a diagonal one of 1e9 against its closed form."""
    rng = np.random.default_rng(0)
    for size in (1.0, 5.37, 5.4, 9.0, 300.0, 1e4):
        X = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
        X = (X - X.conj().T) * size / np.linalg.norm(X - X.conj().T, 1)
        exact = np.array(mpmath.expm(mpmath.matrix(X)).tolist(), complex)
        assert np.max(np.abs(matrix_exponential(jnp.asarray(X)) - exact)) < 2e-15 * max(size, 1.0), size
    turn = np.array([1e9j, -3e8j, -0.5, 0.0])
    found = np.diag(matrix_exponential(jnp.diag(jnp.asarray(turn))))
    np.testing.assert_allclose(found, np.exp(turn), rtol=0, atol=2e-15 * 1e9)
    assert np.all(np.isnan(matrix_exponential(jnp.diag(jnp.asarray([0.0, -1e17 + 0j])))))  # no digit would be left


@pytest.mark.parametrize(("method", "tolerance"), [("expm", 1e-12), ("diffrax", 1e-8)])
def test_evolve_against_scipy(method, tolerance):
    """Both methods against expm of the hand-made generator; diffrax to 1e−8: rtol 1e−10 a step, and the
    interpolation between steps is of lower order.

    Times start anywhere, may repeat, and may be unequal; trace and Hermiticity are kept.
    """
    ts = np.array([3.0, 3.0, 3.5, 4.0, 9.0, 40.0, 40.0])
    for seed in (6, 36):
        case = draw(seed)
        rho0 = _state(seed, 3)
        L = davies(case.system).generator
        expected = np.array([unvec(sl.expm(L * (t - ts[0])) @ vec(rho0)) for t in ts])
        states = np.asarray(lgks.evolve(case.system, rho0, ts, lgks.Davies(), method).states)
        assert np.max(np.abs(states - expected)) < tolerance, case
        assert np.max(np.abs(np.trace(states, axis1=1, axis2=2) - 1)) < 1e-11, case
        assert np.max(np.abs(states - states.conj().swapaxes(1, 2))) < 1e-12, case


def test_evolve_far_into_the_stationary_state():
    """t = 1e6: the scaled exponential neither overflows nor drifts from the stationary state."""
    case = draw(6)
    final = lgks.evolve(case.system, _state(0, 3), np.array([0.0, 1e6]), lgks.Davies()).states[-1]
    np.testing.assert_allclose(final, stationary(davies(case.system).generator), rtol=0, atol=1e-9)


@pytest.mark.parametrize("equation", [lgks.Davies(), lgks.Unified()], ids=["Davies", "Unified"])
def test_steps_of_the_integrator_follow_the_decay_rates(equation):
    """Twenty lifetimes, through which the qubits turn three million times: a hundred steps of an eighth-order method
    are plenty where the state moves with its decay rates, and not one turn in ten thousand otherwise."""
    system = lgks.models.two_qubits(omega=1e6, g=2e5, gamma=1.0, temperatures=(6e5, 4e5))
    rho0, ts = _state(2, 4), np.array([0.0, 0.3, 2.0, 20.0])
    by_steps = lgks.evolve(system, rho0, ts, equation, "diffrax", max_steps=100).states
    # Phases of 2e7 are known to 1e−9; the method to 1e−10 a step.
    np.testing.assert_allclose(by_steps, lgks.evolve(system, rho0, ts, equation).states, rtol=0, atol=3e-8)


@pytest.mark.slow
def test_derivatives_of_a_state_at_rest_by_the_integrator():
    """A stationary state asks for no steps, its derivatives do: in a temperature (both modes), in the state that it
    starts from, and in H, which splits degenerate levels. Against the exponential, to 1e−10."""
    ts, V = np.array([0.0, 100.0, 400.0]), lgks.models.pauli("ZZ")
    pi = lgks.steady_state(lgks.models.two_qubits(1.0, 0.2, 0.01, (0.5, 0.4))).rho

    def curve(x, method, **options):
        system = lgks.models.two_qubits(1.0, 0.2, 0.01, (0.5 + x[0], 0.4)).perturbed(V, x[2])
        start = pi + x[1] * jnp.diag(jnp.array([1.0, 0.0, 0.0, -1.0]))
        return lgks.evolve(system, start, ts, lgks.Unified(), method, **options).expect(lgks.models.pauli("ZI"))

    expected = jax.jit(jax.jacfwd(lambda x: curve(x, "expm")))(jnp.zeros(3))
    assert float(jnp.min(jnp.max(jnp.abs(expected), axis=0))) > 1e-2
    backward = jax.jit(jax.jacrev(lambda x: curve(x, "diffrax")))(jnp.zeros(3))
    np.testing.assert_allclose(backward, expected, rtol=0, atol=1e-10)

    @jax.jit
    def warmer(x):
        return jax.jvp(lambda x: curve(x, "diffrax", adjoint=diffrax.ForwardMode()), (x,), (jnp.eye(3)[0],))[1]

    np.testing.assert_allclose(warmer(jnp.zeros(3)), expected[:, 0], rtol=0, atol=1e-10)


def test_evolve_under_the_local_equation():
    """The commutator holds H + δV, the dissipators H."""
    case = draw(6)
    V = np.asarray(case.V)
    L = davies(case.system).generator + 0.3 * commutator(V)
    rho0, ts = _state(1, 3), np.array([0.0, 0.5, 4.0, 30.0])
    expected = np.array([unvec(sl.expm(L * t) @ vec(rho0)) for t in ts])
    for method, tolerance in (("expm", 1e-12), ("diffrax", 1e-8)):
        equation = lgks.Local(case.system)
        states = lgks.evolve(case.system.perturbed(V, 0.3), rho0, ts, equation, method).states
        assert np.max(np.abs(np.asarray(states) - expected)) < tolerance, method


def test_differentiating_evolution_gives_the_step_response():
    """∂/∂δ of Tr[A ρ(t; δ)] from π₀, by reverse-mode differentiation through the propagation, is Φ(t), at exactly
    degenerate levels too: another route to all three parts. (The integrator's derivatives are those of the exponential:
    previous test but one.)"""
    weights = np.array([0.3, -1.0, 2.0])
    ts = np.array([0.0, 1.5, 17.0])

    @eqx.filter_jit
    def gradient(system, V, A):
        pinned, pi = lgks.Davies().fixed(system), lgks.steady_state(system).rho
        curve = lambda x: lgks.evolve(system.perturbed(V, x), pi, ts, pinned).expect(A)  # noqa: E731
        return jax.grad(lambda x: weights @ curve(x))(0.0)

    for seed in (6, 36):
        case = draw(seed)
        expected = weights @ np.asarray(respond(case.system, case.V, case.A).step(ts).total)
        assert float(gradient(case.system, case.V, case.A)) == pytest.approx(expected, rel=1e-10), case
