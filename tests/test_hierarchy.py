"""The hierarchy of equations of motion against QuTiP's, at equal depth and exponentials, and against itself.

QuTiP's numbers as it wrote them and live, for other than Drude–Lorentz baths too; gradients by differences; refusals.
One program for each public function: a qubit between two baths whose couplings do not commute, depth 2.
"""

import json
from importlib import resources

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qutip
from qutip.solver.heom import DrudeLorentzBath, DrudeLorentzPadeBath, HEOMSolver, UnderDampedBath
from scipy.linalg import expm
from scipy.sparse.linalg import LinearOperator, gmres

import jaxlgks as lgks
from jaxlgks._generator import resolve

X, Y, Z = (np.asarray(lgks.models.pauli(one)) for one in "XYZ")
DYNAMIC = json.loads(resources.files("jaxlgks.paper").joinpath("data", "dynamic_response_heom.json").read_text())
TEMPERATURES = (0.7, 0.4)
PADE = lgks.Hierarchy(depth=2, terms=4, terminator=False)


def qubit(numbers=(0.5, 0.0, 0.002, 1.5, 0.7, 0.6), strength=0.002) -> lgks.System:
    """H = aσz + bσx between two Drude–Lorentz baths, σx and sσx + 0.4σz; as it stands that of the reference file."""
    a, b, first, cutoff, T, s = numbers
    hot = lgks.Bath(X, T, lgks.DrudeLorentz(first, cutoff), "hot")
    cold = lgks.Bath(s * X + 0.4 * Z, 0.4, lgks.DrudeLorentz(strength, 1.5), "cold")
    return lgks.System(a * Z + b * X, [hot, cold])


def in_qutip(H: np.ndarray, baths: list, depth: int) -> np.ndarray:
    """⟨σx⟩, ⟨σy⟩, ⟨σz⟩ and the heat current into the system from the bath of each tag."""
    rho, ados = HEOMSolver(qutip.Qobj(H), baths, max_depth=depth).steady_state()
    currents = {bath.tag: 0.0 for bath in baths}
    for label in ados.filter(level=1):
        exponent = ados.exps(label)[0]
        S = exponent.Q.full()
        currents[exponent.tag] += np.trace(1j * (S @ H - H @ S) @ ados.extract(label).full()).real
    return np.array([*(np.trace(rho.full() @ A).real for A in (X, Y, Z)), *currents.values()])


def as_matrix(system: lgks.System, equation: lgks.Hierarchy):
    """The generator, and L as one matrix on all elements of all matrices, row by row."""
    L = resolve(system, equation).generator()
    n, d = L.core.tiers.count, system.dim
    units = jnp.eye(n * d * d, dtype=complex).reshape(-1, n, d, d)
    return L, np.asarray(_columns(L.core, units)).reshape(n * d * d, -1).T


@eqx.filter_jit
def _columns(core, units):
    return jax.vmap(core.apply)(units)


def at_rest(L, matrix: np.ndarray) -> np.ndarray:
    """The null state, by NumPy: the first equation gives its place to the trace."""
    dim = L.core.couplings.shape[-1]
    trace = np.zeros(len(matrix))
    trace[: dim * dim] = np.eye(dim).ravel()
    system = np.vstack([trace, matrix[1:]])
    return np.linalg.solve(system, np.eye(len(matrix))[0]).reshape(-1, dim, dim)


def test_dynamic_response_of_qutip():
    """State, current and χ(ω) of observables and of a current as QuTiP wrote them at the same Nk and depth, to 1e−11:
    the equations and their scaling, the first tier, L₁ on every matrix at every frequency."""
    case, system = DYNAMIC["qubit"], qubit()
    assert (case["Nk"], case["depth"]) == (PADE.terms, PADE.depth)
    state = lgks.steady_state(system, PADE)
    for name, A in zip(("sx", "sy", "sz"), (X, Y, Z), strict=True):
        assert float(state.expect(A)) == pytest.approx(case["steady"][name], abs=1e-12)
    np.testing.assert_allclose(lgks.heat_currents(system, PADE)[0], case["steady"]["J_a"], rtol=1e-11)
    of = [0, 3, 7]
    r = lgks.thermodynamic_response(system, Z, PADE)
    currents = r.heat_currents.susceptibility(np.array(case["omega"])[of]).total
    observables = lgks.response(system, Z, np.stack([X, Y, Z]), PADE).susceptibility(np.array(case["omega"])[of]).total
    for name, row in zip(("sx", "sy", "sz", "J_a"), [*observables.T, currents[:, 0]], strict=True):
        np.testing.assert_allclose(row, np.array(case["chi"][name])[of] @ [1, 1j], rtol=1e-11, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("strength", [0.03, 0.3])
def test_steady_states_of_qutip(strength):
    """Where the coupling is not weak, by GMRES, H not diagonal: the program of the test above with other numbers."""
    numbers = 0.4, 0.3, strength, 0.8, 0.9, 0.6
    system = qubit(numbers, strength)
    H = np.asarray(system.hamiltonian)
    baths = [
        DrudeLorentzPadeBath(qutip.Qobj(X), strength, 0.8, 0.9, 4, tag="hot"),
        DrudeLorentzPadeBath(qutip.Qobj(0.6 * X + 0.4 * Z), strength, 1.5, 0.4, 4, tag="cold"),
    ]
    state = lgks.steady_state(system, PADE, throw=False)
    ours = [*(state.expect(A) for A in (X, Y, Z)), *lgks.heat_currents(system, PADE)]
    np.testing.assert_allclose(ours, in_qutip(H, baths, 2), atol=1e-10)


def test_matsubara_terms_with_a_terminator_an_oscillator_and_correlated_couplings():
    """What the exponentials of other baths make of the equations, by matrices alone: pairs of complex exponents, the
    friction in the place of what is cut off, two couplings of one bath that are mixed. QuTiP, to 1e−10."""
    H, mixing = 0.4 * Z + 0.1 * X, np.array([[1.0, 0.0], [0.6, 0.8]])
    baths = [
        lgks.Bath(X + 0.2 * Y, 0.7, lgks.UnderdampedBrownian(0.3, 0.4, 1.2), "line"),
        lgks.Bath(np.stack([Z, X]), 0.9, lgks.DrudeLorentz(0.1, 1.5), "two", mixing=mixing),
    ]
    equation = lgks.Hierarchy(depth=2, terms=1, expansion="matsubara")
    L, matrix = as_matrix(lgks.System(H, baths), equation)
    rest = at_rest(L, matrix)
    rho = L.external(jnp.asarray(rest))
    ours = [*(np.trace(A @ rho).real for A in (X, Y, Z)), *L.currents(jnp.asarray(rest))]
    mixed = [qutip.Qobj(Z + 0.6 * X), qutip.Qobj(0.8 * X)]
    theirs = [UnderDampedBath(qutip.Qobj(X + 0.2 * Y), 0.3, 0.4, 1.2, 0.7, 1, tag="line")]
    theirs += [DrudeLorentzBath(S, 0.1, 1.5, 0.9, 1, tag="two") for S in mixed]
    friction = [(S, bath.terminator()[0]) for S, bath in zip(mixed, theirs[1:], strict=True)]
    line = L.core.ladder.friction[0]
    assert abs(float(line)) > 1e-6  # QuTiP gives none for its oscillators
    expected = _with_friction(H, theirs, [(qutip.Qobj(X + 0.2 * Y), float(line)), *friction])
    np.testing.assert_allclose(ours[:3], expected, atol=1e-10)
    assert abs(ours[3] + ours[4]) < 1e-12  # the friction's current is counted


def _with_friction(H: np.ndarray, baths: list, friction: list) -> np.ndarray:
    """⟨σx⟩, ⟨σy⟩, ⟨σz⟩ with −δ[S, [S, ·]] in QuTiP's Liouvillian."""
    L = qutip.liouvillian(qutip.Qobj(H))
    for S, delta in friction:
        L = L + complex(delta).real * (2 * qutip.sprepost(S, S) - qutip.spre(S * S) - qutip.spost(S * S))
    rho, _ = HEOMSolver(L, baths, max_depth=2).steady_state()
    return np.array([np.trace(rho.full() @ A).real for A in (X, Y, Z)])


def test_the_adjoint_takes_no_more_steps_than_the_solution():
    """Of GMRES by SciPy with the preconditioner and its transpose: a wrong one would still converge, in hundreds."""
    for system, most in ((qubit(), 8), (qubit((0.5, 0.1, 0.1, 1.5, 0.7, 0.6), 0.1), 20)):
        core = resolve(system, PADE).generator().core
        forward, back = _steps(core)
        assert forward <= most
        assert back <= 1.2 * forward + 1


def _steps(core) -> tuple[int, int]:
    shape = (core.tiers.count, *core.hamiltonian.shape)
    units = jnp.eye(int(np.prod(shape)), dtype=complex).reshape(-1, *shape)
    matrix, inverse = (np.asarray(x).reshape(len(units), -1).T for x in _both(core, units))
    counts = []
    for A, M in ((matrix, inverse), (matrix.T, inverse.T)):
        steps: list[float] = []
        b = np.asarray(core.embedded(core.hamiltonian)).ravel()
        options = {"rtol": 1e-10, "restart": 100, "callback": steps.append, "callback_type": "pr_norm"}
        x, _ = gmres(A, b, M=LinearOperator(A.shape, M.__matmul__, dtype=complex), **options)
        assert np.max(np.abs(A @ x - b)) < 1e-8
        counts.append(len(steps))
    return counts[0], counts[1]


@eqx.filter_jit
def _both(core, units):
    shift = jnp.zeros((), units.dtype)
    return jax.vmap(core.pinned(shift))(units), jax.vmap(core.preconditioner(shift)[0])(units)


@eqx.filter_jit
def _current_and_slope(numbers):
    return jax.value_and_grad(lambda p: lgks.heat_currents(qubit(p), PADE)[0])(numbers)


def test_gradients_by_differences():
    """Of a current in H, along and across, and in strength, cutoff, temperature and coupling of a bath, in one reverse
    pass; differences of fourth order of the values that come with it."""
    p = jnp.array([0.5, 0.1, 0.05, 1.5, 0.7, 0.6])
    _, slopes = _current_and_slope(p)
    for k, h in enumerate(1e-3 * np.maximum(np.abs(np.asarray(p)), 0.1)):
        step = h * np.eye(len(p))[k]
        a, b, c, d = (float(_current_and_slope(p + x * step)[0]) for x in (-2, -1, 1, 2))
        assert float(slopes[k]) == pytest.approx((a - 8 * b + 8 * c - d) / (12 * h), rel=1e-7, abs=1e-12)


def test_motion_and_fluctuations():
    """A state on its way, ⟨A(t)B(0)⟩ and the power spectrum, against the exponential and the inverse of the matrix;
    fluctuation and dissipation, −Im χ = ½(1 − e^{−ω/T})S, at one temperature, to what the depth leaves (1e−4)."""
    system, T = qubit((0.5, 0.2, 0.02, 1.5, 0.4, 0.6), 0.02), 0.4
    L, matrix = as_matrix(system, PADE)
    rest = at_rest(L, matrix)
    start, t, omega = np.array([[0.3, 0.1 - 0.2j], [0.1 + 0.2j, 0.7]]), 1.7, 0.9
    moved = expm(matrix * t)

    def carried(state) -> np.ndarray:
        return L.external(jnp.asarray((moved @ np.asarray(state).ravel()).reshape(rest.shape)))

    states = lgks.evolve(system, start, [0.0, t], PADE).states
    np.testing.assert_allclose(states[1], carried(L.internal(jnp.asarray(start))), atol=1e-9)
    B = np.asarray(L.observable(jnp.asarray(Z)))[0]
    two = lgks.correlation(system, X, Z, t, PADE)
    np.testing.assert_allclose(two, np.trace(X @ carried(B @ rest)), atol=1e-9)
    power = lgks.spectrum(system, Z, Z, omega, PADE)
    fluctuating = ((B - np.trace(B @ rest[0]) * np.eye(2)) @ rest).ravel()
    half = np.linalg.solve(matrix + 1j * omega * np.eye(len(matrix)), -fluctuating).reshape(rest.shape)
    np.testing.assert_allclose(power, 2 * np.trace(B @ half[0]).real, rtol=1e-9)
    chi = lgks.response(system, Z, Z, PADE).susceptibility(omega).total
    assert float(-chi.imag) == pytest.approx(float(power.real) * (1 - np.exp(-omega / T)) / 2, rel=3e-4)


def test_a_slow_bath_where_every_second_order_equation_fails():
    """H = σz/2, σx, DrudeLorentz(0.2, 0.02), T = 0.5: ⟨σz⟩ = −0.6350 (second order: 20 % off), by NumPy."""
    system = lgks.System(Z / 2, lgks.Bath(X, 0.5, lgks.DrudeLorentz(0.2, 0.02)))
    assert _sz(system, lgks.Hierarchy(depth=8, terms=2)) == pytest.approx(-0.6350, abs=2e-4)


@pytest.mark.slow
def test_gmres_finds_what_the_matrix_gives():
    """A state and its derivative in H, by tiers, of a hierarchy that is small enough for either."""
    system = lgks.System(Z / 2 + 0.2 * X, lgks.Bath(X, 0.5, lgks.DrudeLorentz(0.1, 1.0)))
    dense, krylov = (
        _by(solver, system, lgks.Hierarchy(depth=3, terms=1)) for solver in (lgks.Dense(), lgks.Krylov(restart=30))
    )
    np.testing.assert_allclose(krylov, dense, rtol=1e-10, atol=1e-13)


@eqx.filter_jit
def _by(solver, system, equation):
    def polarised(delta):
        return lgks.steady_state(system.perturbed(Y, delta), equation, solver).expect(Z)

    return jnp.stack(jax.value_and_grad(polarised)(0.1))


def test_depth_and_terms_are_found_with_an_honest_error():
    """What is chosen differs from a much deeper hierarchy by about its `error` (the change to the next level, and what
    follows, less: at most three times it); a depth that is given is kept; for traced numbers the way out is named."""
    system = lgks.System(Z / 2, lgks.Bath(X, 0.5, lgks.DrudeLorentz(0.1, 1.0)))
    chosen = lgks.Hierarchy(tolerance=3e-3).fixed(system)
    assert chosen.fixed(system) is chosen
    off = abs(_sz(system, chosen) - _sz(system, lgks.Hierarchy(depth=6, terms=3)))
    assert off < 3 * float(chosen.error) < 6 * chosen.tolerance
    assert lgks.Hierarchy(depth=1, tolerance=0.1).fixed(system).depth == 1
    with pytest.raises(lgks.errors.InputError, match="fixed"):
        jax.jit(lambda d: lgks.heat_currents(system.perturbed(X, d), lgks.Hierarchy()))(0.1)


def _sz(system, equation) -> float:
    """⟨σz⟩ at rest, by NumPy."""
    L, matrix = as_matrix(system, equation)
    return float(np.trace(Z @ L.external(jnp.asarray(at_rest(L, matrix)))).real)


def test_what_needs_a_dissipator_is_refused_by_name():
    system, equation = qubit(), PADE
    rho = np.eye(2) / 2
    for call in (
        lambda: lgks.liouvillian(system, equation),
        lambda: lgks.channel_currents(system, equation),
        lambda: lgks.heat_currents(system, equation, rho=rho),
        lambda: lgks.evolve(system.driven(lgks.Drive(Z, jnp.sin)), rho, [0.0, 1.0], equation),
        lambda: lgks.thermal_response(system, Z, equation),
        lambda: lgks.thermodynamic_response(system, Z, equation).bath_currents.susceptibility(0.3),
    ):
        with pytest.raises(lgks.errors.InputError, match="Hierarchy"):
            call()
    with pytest.raises(lgks.errors.SolverError, match="Krylov"):
        lgks.steady_state(system, equation, lgks.Blocks())
    with pytest.raises(lgks.errors.SolverMemoryError, match="fewer terms"):
        lgks.steady_state(system, lgks.Hierarchy(depth=12, terms=12))
    with pytest.raises(lgks.errors.CorrelationError, match="Flat"):
        lgks.steady_state(lgks.System(Z, lgks.Bath(X, 1.0, lgks.Flat(0.1))), equation)
    for bad in ({"depth": 0, "terms": 1}, {"depth": 2, "terms": -1}):
        with pytest.raises(lgks.errors.InputError, match="Hierarchy"):
            lgks.Hierarchy(**bad)
