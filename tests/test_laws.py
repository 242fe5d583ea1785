"""The laws of open systems, each asserted where it holds and its violation measured where it does not; and the
generator against one written by hand in NumPy, the oracle of the other files here."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.linalg as sl
from hypothesis import given, settings, strategies as st

import jaxlgks as lgks
from jaxlgks._equations import dissipation

from .by_hand import ByHand, commutator, davies, lowest_choi, redfield, stationary, unified, unvec, vec
from .systems import EQUATIONS, draw, gibbs, hermitian, near_degenerate, unitary

# -------------------------------------------------------------------------------------- the generator, entry by entry

SEEDS = (6, 21, 36, 51, 12, 27, 42, 57)  # (d, baths) = (3, 2) and (4, 3), each kind of spectrum once


@eqx.filter_jit
def matrices(system: lgks.System, equation) -> ByHand:
    """The library's generator, apart."""
    baths = jnp.stack([D.matrix() for D in dissipation(system, equation).dissipators()])
    return ByHand(lgks.liouvillian(system, equation) - baths.sum(axis=0), baths)


def library(system: lgks.System, equation=None) -> ByHand:
    return ByHand(*map(np.asarray, matrices(system, lgks.Davies() if equation is None else equation)))


def elsewhere(case) -> tuple[lgks.System, lgks.Local]:
    """A Hamiltonian that is not the reference of the local dissipators."""
    return case.system.perturbed(case.A, 0.3), lgks.Local(case.system)


@pytest.mark.parametrize("seed", SEEDS)
def test_generator_against_a_sum_by_hand(seed):
    """Liouvillian, dissipators and steady state equal the NumPy sum to rounding, at δ = 0 and, groups pinned,
    beyond."""
    case = draw(seed)
    V = np.asarray(case.V)

    @eqx.filter_jit
    def pinned(system, V, delta):
        return lgks.liouvillian(system.perturbed(V, delta), lgks.Davies().fixed(system))

    ours, theirs = library(case.system), davies(case.system)
    np.testing.assert_allclose(ours.commutator, theirs.commutator, rtol=0, atol=1e-14)
    np.testing.assert_allclose(ours.baths, theirs.baths, rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        pinned(case.system, V, 1e-3), davies(case.system, 1e-3 * V).generator, rtol=0, atol=1e-13
    )
    pi = lgks.steady_state(case.system).rho
    np.testing.assert_allclose(pi, stationary(theirs.generator), rtol=0, atol=1e-12)  # condition ≤ 1e4
    away, local = elsewhere(case)
    np.testing.assert_allclose(
        library(away, local).generator, theirs.generator + commutator(0.3 * np.asarray(case.A)), rtol=0, atol=1e-13
    )


def test_column_stacking():
    """L vec(ρ) = vec(−i[H, ρ] + Σ AρA† − ½{A†A, ρ}) with vec stacking columns: checked on complex, non-symmetric
    matrices, on which row stacking fails."""
    case = draw(21)
    H = np.asarray(case.system.hamiltonian)
    rho = np.asarray(gibbs(case.A, 0.7))
    jumps = [np.asarray(A) for bath in dissipation(case.system, lgks.Davies()).channels() for A in bath.left[:, 0]]
    change = -1j * (H @ rho - rho @ H)
    for A in jumps:
        AA = A.conj().T @ A
        change = change + A @ rho @ A.conj().T - (AA @ rho + rho @ AA) / 2
    L = library(case.system).generator
    np.testing.assert_allclose(L @ rho.T.ravel(), change.T.ravel(), rtol=0, atol=1e-14)
    assert np.max(np.abs(L @ rho.ravel() - change.ravel())) > 1e-2


def qubit(omega, temperature, strength) -> lgks.System:
    """½ω σ_z between a Drude–Lorentz bath and an Ohmic one; both couple to the transition and to its energy."""
    sx, sz = lgks.models.pauli("X"), lgks.models.pauli("Z")
    return lgks.System(
        omega / 2 * sz,
        [
            lgks.Bath(0.8 * sx + 0.3 * sz, temperature, lgks.DrudeLorentz(strength, 1.7)),
            lgks.Bath(0.5 * sx - 0.2 * sz, 0.6, lgks.Ohmic(0.11, 2.3, shape="gaussian")),
        ],
    )


def qubit_by_hand(omega, temperature, strength) -> dict:
    """Closed forms: Γ of each bath at ±ω and 0, the rates they make, the upper population, the current."""
    kappa = (
        lambda w: 4 * strength * mp.mpf("1.7") / (w**2 + mp.mpf("1.7") ** 2),
        lambda w: mp.mpf("0.11") * mp.exp(-((w / mp.mpf("2.3")) ** 2)),
    )
    T, x, z = (temperature, mp.mpf("0.6")), (mp.mpf("0.8"), mp.mpf("0.5")), (mp.mpf("0.3"), mp.mpf("-0.2"))
    down = [x[i] ** 2 * kappa[i](omega) * omega / (1 - mp.exp(-omega / T[i])) for i in (0, 1)]
    up = [rate * mp.exp(-omega / T[i]) for i, rate in enumerate(down)]
    dephasing = 2 * sum(z[i] ** 2 * kappa[i](mp.mpf(0)) * T[i] for i in (0, 1))
    total = sum(up) + sum(down)
    population = sum(up) / total
    return {
        "population": population,
        "relaxation": total,
        "decoherence": total / 2 + dephasing,
        "current": omega * (up[0] * (1 - population) - down[0] * population),
    }


def test_qubit_closed_forms_with_gradients():
    """Population, relaxation and decoherence rates, current; and their derivatives with respect to ω, T and λ."""

    def ours(parameters):
        system = qubit(*parameters)
        L = lgks.liouvillian(system)
        return jnp.stack(
            [
                lgks.steady_state(system).rho[0, 0].real,
                -L[0, 0].real - L[3, 3].real,  # populations relax at the sum of both rates
                -L[1, 1].real,
                lgks.heat_currents(system)[0],
            ]
        )

    point = (1.3, 0.9, 0.07)
    # One program, of forward mode along one parameter at a time: it compiles in half of the time of the Jacobian.
    along = jax.jit(lambda x, unit: jax.jvp(ours, (x,), (unit,)))
    values, slopes = (np.stack(x, axis=-1) for x in zip(*(along(np.array(point), u) for u in np.eye(3)), strict=True))
    values = values[:, 0]
    with mp.workdps(40):
        exact = qubit_by_hand(*map(mp.mpf, point))
        for row, name in enumerate(exact):
            assert float(values[row]) == pytest.approx(float(exact[name]), rel=1e-13), name
            for column in range(3):
                order = tuple(int(i == column) for i in range(3))
                slope = mp.diff(lambda *p, name=name: qubit_by_hand(*p)[name], tuple(map(mp.mpf, point)), order)
                assert float(slopes[row, column]) == pytest.approx(float(slope), rel=1e-11), (name, column)


# ------------------------------------------------------------------------------------------------------ the law table


def both_equations(seed):
    case = draw(seed)
    away, local = elsewhere(case)
    return (case.system, lgks.Davies()), (away, local)


def with_lamb_shift(name: str, system: lgks.System):
    """An equation of the catalogue with its Lamb shift."""
    if name == "local":
        return lgks.Local(system, lamb_shift=True)
    return dataclasses.replace(EQUATIONS[name](system), lamb_shift=True)


@pytest.mark.parametrize("case", [*SEEDS, *EQUATIONS])
def test_trace_hermiticity_and_the_first_law(case):
    """⟨⟨1|L = 0, L(X†) = (LX)†, also of each bath alone, Σ_α J^α = 0 at the steady state, to rounding: Davies and
    local on random systems; every equation, with and without its Lamb shift, at nearly equal levels."""
    if isinstance(case, str):
        system = near_degenerate(0.03)
        pairs = [(system, EQUATIONS[case](system)), (system, with_lamb_shift(case, system))]
        rounding, least = 1e-14, 1e-16
    else:
        pairs, rounding, least = both_equations(case), 1e-13, 0.0
    rng = np.random.default_rng(3)
    for system, equation in pairs:
        parts = library(system, equation)
        d = system.dim
        X = rng.normal(size=(d, d)) + 1j * rng.normal(size=(d, d))
        for generator in (parts.generator, *parts.baths):
            assert np.max(np.abs(vec(np.eye(d)) @ generator)) < 1e-14
            image = unvec(generator @ vec(X))
            assert np.max(np.abs(unvec(generator @ vec(X.conj().T)) - image.conj().T)) < rounding
        currents = np.asarray(lgks.heat_currents(system, equation))
        assert abs(currents.sum()) < 10 * rounding * np.abs(currents).max() + least


def test_choi_matrix_of_known_maps():
    """Identity: d on one eigenvector, 0 else. Transposition is not completely positive: −1."""
    identity = np.eye(4)
    assert lowest_choi(identity) == pytest.approx(0, abs=1e-14)
    transpose = np.eye(4)[[0, 2, 1, 3]]
    assert lowest_choi(transpose) == pytest.approx(-1, abs=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_complete_positivity(seed):
    """The Choi matrix of e^{Lt} has no eigenvalue below −1e−12: Davies, unified, universal, local; Redfield's has, by
    far."""
    system = draw(seed).system
    for case, equation in (*both_equations(seed), (system, lgks.Unified()), (system, lgks.UniversalLindblad())):
        L = library(case, equation).generator
        for t in (0.01, 0.1, 1.0, 10.0, 30.0):
            assert lowest_choi(sl.expm(L * t)) > -1e-12, equation
    worst = min(lowest_choi(sl.expm(redfield(system).generator * t)) for t in (0.1, 1.0))
    assert worst < -1e-5


@pytest.mark.parametrize("name", ["davies", "unified", "universal"])
def test_complete_positivity_inside_a_wide_cluster(name):
    """With and without the Lamb shift."""
    system = near_degenerate(0.03)
    for equation in (EQUATIONS[name](system), with_lamb_shift(name, system)):
        L = library(system, equation).generator
        for t in (0.01, 1.0, 30.0):
            assert lowest_choi(sl.expm(L * t)) >= -1e-12


def test_redfield_of_the_library_is_not_completely_positive():
    """It can be seen: a bath strong and slow against the levels' distance."""
    generators = [library(near_degenerate(0.4, seed), lgks.Redfield()).generator for seed in range(3)]
    assert min(lowest_choi(sl.expm(L * 0.5)) for L in generators) < -1e-5


def gibbs_defects(system: lgks.System, equation, reference=None) -> list[float]:
    """|D_α π_α|/|D_α| of each bath, π_α ∝ e^{−H/T_α} of the system's Hamiltonian or another."""
    H = system.hamiltonian if reference is None else reference
    pairs = zip(library(system, equation).baths, system.baths, strict=True)
    return [np.linalg.norm(D @ vec(gibbs(H, float(bath.temperature)))) / np.linalg.norm(D, 2) for D, bath in pairs]


@pytest.mark.parametrize("seed", SEEDS)
def test_each_bath_alone_fixes_its_gibbs_state(seed):
    """|D_α π_α|/|D_α| ~ 1e−16 for Davies and Redfield (without Lamb shift); for local the state of H₀, not that of H;
    for the universal equation only to the order of the rate."""
    system = draw(seed).system
    away, local = elsewhere(draw(seed))
    assert max(gibbs_defects(system, lgks.Davies())) < 2e-15
    assert max(gibbs_defects(system, lgks.Redfield())) < 2e-15
    assert max(gibbs_defects(system, lgks.UniversalLindblad())) > 1e-4
    assert max(gibbs_defects(away, local, local.reference)) < 2e-15
    assert min(gibbs_defects(away, local)) > 1e-3


def test_unified_fixes_the_gibbs_state_to_first_order_in_the_splitting():
    """The defect of an unsplit cluster is of second order: it falls to a quarter where the splitting is halved."""
    wide = lgks.Unified(width=0.5)
    defects = [max(gibbs_defects(near_degenerate(x), wide)) / x**2 for x in (0.02, 0.01, 0.005)]
    assert defects[0] > 0.01
    np.testing.assert_allclose(defects[1:], defects[0], rtol=0.05)


WIDE, SPLITTING = 2.0, 0.1  # a gap of about a quarter, between the splitting and the distance of the levels


@pytest.mark.parametrize("rates", ["geometric", "centre", "arithmetic"])
def test_rates_inside_a_cluster(rates):
    """The three choices of `Unified`: each generator entry by entry against the one by hand, and its row of the table
    of laws. Complete positivity: geometric, centre. The Gibbs state of H: arithmetic, exactly; geometric, with an error
    of second order; centre, that of H₀ in its place, exactly, with a Lamb shift too."""
    equation = lgks.Unified(width=WIDE, rates=rates)
    for seed in range(4):
        case = near_degenerate(SPLITTING, seed)
        expected = unified(case, 0.25, rates)
        np.testing.assert_allclose(library(case, equation).generator, expected.generator, rtol=0, atol=1e-14)
    system = near_degenerate(SPLITTING)
    L = library(system, equation).generator
    lowest = min(lowest_choi(sl.expm(L * t)) for t in (0.01, 0.5, 5.0))
    assert lowest < -1e-7 if rates == "arithmetic" else lowest > -1e-14
    middle = 1.0 + SPLITTING / 2
    reference = np.diag([0.0, middle, middle])
    of_H, of_reference = (max(gibbs_defects(system, equation, H)) for H in (None, reference))
    halved = max(gibbs_defects(near_degenerate(SPLITTING / 2), equation))
    if rates == "arithmetic":
        assert of_H < 2e-15
    if rates == "geometric":
        assert of_H > 1e-5
        assert halved == pytest.approx(of_H / 4, rel=0.1)
    if rates == "centre":
        assert halved == pytest.approx(of_H / 2, rel=0.1)
        assert of_reference < 2e-15
        with_lamb = dataclasses.replace(equation, lamb_shift=True)
        assert max(gibbs_defects(system, with_lamb, reference)) < 2e-15


def test_heat_of_the_reference_hamiltonian():
    """One rate a cluster: heat counted with H₀ obeys the first and the second law (Spohn's inequality of each bath, for
    any state) exactly; `System(energy=H₀)` counts it. Three rungs and one that is off: H₀ is the nearest with equal
    frequencies, which the means of the clusters (1 + ε/3, 2 + ε/2) are not."""
    equation, off = lgks.Unified(width=WIDE, rates="centre"), 0.02
    ladder, coupling = np.array([0.0, 1.0, 2.0, 3.0 + off]), hermitian(np.random.default_rng(2), 4)

    def system(hot: float) -> lgks.System:
        baths = [lgks.Bath(S, T, lgks.DrudeLorentz(0.01, 2.0)) for S, T in ((coupling, hot), (coupling.conj(), 0.5))]
        return lgks.System(np.diag(ladder), baths)

    H0 = np.asarray(equation.reference_hamiltonian(system(0.5)))
    spacing = np.polyfit(np.arange(4), ladder, 1)[0]
    np.testing.assert_allclose(H0, np.diag(spacing * (np.arange(4) - 1.5)), rtol=0, atol=1e-14)

    parts = library(system(0.8), equation)
    rho = np.asarray(gibbs(hermitian(np.random.default_rng(3), 4), 0.7))
    for D, T in zip(parts.baths, (0.8, 0.5), strict=True):
        assert np.linalg.norm(D @ vec(gibbs(H0, T))) < 1e-15
        assert np.trace(unvec(D @ vec(rho)) @ (logarithm(rho) + H0 / T)).real < 0
    state = stationary(parts.generator)
    J = np.array([np.trace(H0 @ unvec(D @ vec(state))).real for D in parts.baths])
    assert abs(J.sum()) < 1e-14 * J.max()
    assert J[0] > 1e-5
    counted = eqx.tree_at(lambda s: s.energy, system(0.8), jnp.asarray(H0), is_leaf=lambda x: x is None)
    np.testing.assert_allclose(lgks.heat_currents(counted, equation), J, rtol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_detailed_balance_of_the_generator(seed):
    """KMS: D_α(√π X √π) = √π D_α†(X) √π for all X, π the bath's Gibbs state; and D_α commutes with [H, ·]."""
    case = draw(seed)
    parts = library(case.system)
    for D, bath in zip(parts.baths, case.system.baths, strict=True):
        root = sl.sqrtm(np.asarray(gibbs(case.system.hamiltonian, float(bath.temperature))))
        sandwich = np.kron(root.T, root)
        assert np.max(np.abs(D @ sandwich - sandwich @ D.conj().T)) < 1e-14
        assert np.max(np.abs(D @ parts.commutator - parts.commutator @ D)) < 1e-13
        omega = np.linspace(0.1, 5.0, 7)
        T = float(bath.temperature)
        np.testing.assert_allclose(bath.rate(-omega), np.exp(-omega / T) * np.asarray(bath.rate(omega)), rtol=1e-13)


def logarithm(rho: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(rho)
    return (vectors * np.log(values)) @ vectors.conj().T


@pytest.mark.parametrize("seed", SEEDS)
def test_second_law_of_davies(seed):
    """Spohn's inequality bath by bath and in sum: −Tr[D_αρ (ln ρ − ln π_α)] ≥ 0 for random states; σ ≥ 0."""
    case = draw(seed)
    rng = np.random.default_rng(seed)
    baths = library(case.system).baths
    for _ in range(10):
        rho = np.asarray(gibbs(hermitian(rng, case.system.dim), rng.uniform(0.7, 3.0)))
        spohn = []
        for D, bath in zip(baths, case.system.baths, strict=True):
            pi = np.asarray(gibbs(case.system.hamiltonian, float(bath.temperature)))
            spohn.append(-np.trace(unvec(D @ vec(rho)) @ (logarithm(rho) - logarithm(pi))).real)
        assert min(spohn) > -1e-14
        assert float(lgks.entropy_production(case.system, rho=rho)) == pytest.approx(sum(spohn), rel=1e-10)
    assert float(lgks.entropy_production(case.system)) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_no_current_at_equal_temperatures(seed):
    """Davies: no bath sends heat, and the state is Gibbs. Local: heat flows without a difference of temperatures."""
    case = draw(seed, equal_temperatures=True)
    T = float(case.system.temperatures[0])
    assert np.max(np.abs(lgks.heat_currents(case.system))) < 1e-13
    assert abs(float(lgks.entropy_production(case.system))) < 1e-13 / T
    np.testing.assert_allclose(
        lgks.steady_state(case.system).rho, gibbs(case.system.hamiltonian, T), rtol=0, atol=1e-12
    )
    away, local = elsewhere(case)
    assert np.max(np.abs(lgks.heat_currents(away, local))) > 1e-5


def test_currents_at_one_temperature():
    """Nearly equal levels: none for Davies and Redfield; for unified with an unsplit cluster they vanish faster than
    its splitting; the universal equation has some, to the order of the rate."""

    def largest(splitting, equation):
        base = near_degenerate(splitting)
        system = lgks.System(base.hamiltonian, [lgks.Bath(b.coupling, 0.5, b.spectrum) for b in base.baths])
        return float(jnp.max(jnp.abs(lgks.heat_currents(system, equation))))

    assert largest(0.02, lgks.Davies()) < 1e-16
    assert largest(0.02, lgks.Redfield()) < 1e-16
    wide = [largest(x, lgks.Unified(width=0.5)) for x in (0.02, 0.01)]
    assert wide[0] > 1e-9
    assert wide[1] < 0.5 * wide[0]
    assert largest(0.3, lgks.Davies()) < 1e-16
    assert largest(0.3, lgks.UniversalLindblad()) > 1e-7


def test_local_violates_the_second_law():
    """Levy and Kosloff (2014): two coupled qubits, dissipators of the uncoupled ones. With ω_h/T_h > ω_c/T_c heat
    flows from cold to hot and σ < 0; Davies sends it from hot to cold."""
    omega_hot, omega_cold, hot, cold, g = 1.5, 1.0, 1.0, 0.9, 0.1
    word = lgks.models.pauli
    free = (omega_hot * word("ZI") + omega_cold * word("IZ")) / 2
    baths = [
        lgks.Bath(word("XI"), hot, lgks.DrudeLorentz(0.02, 2.0), "hot"),
        lgks.Bath(word("IX"), cold, lgks.DrudeLorentz(0.02, 2.0), "cold"),
    ]
    system = lgks.System(free + g / 2 * (word("XX") + word("YY")), baths)
    local = lgks.Local(free)
    J_hot, J_cold = map(float, lgks.heat_currents(system, local))
    assert J_cold > 1e-4
    assert J_hot < -1e-4
    assert float(lgks.entropy_production(system, local)) < -1e-6
    J_hot, J_cold = map(float, lgks.heat_currents(system))
    assert J_hot > 1e-4
    assert J_cold < -1e-4
    assert float(lgks.entropy_production(system)) > 1e-6


# --------------------------------------------------------------------------------------------------------- symmetries


def test_what_is_uncoupled_stays_uncoupled():
    """H = H_A + H_B, each with its own bath: L(ρ_A ⊗ ρ_B) = L_Aρ_A ⊗ ρ_B + ρ_A ⊗ L_Bρ_B, even where A and B share
    Bohr frequencies; a perturbation of A moves nothing of B."""
    rng = np.random.default_rng(5)
    A = lgks.System(np.diag([0.0, 1.0]), [lgks.Bath(hermitian(rng, 2), 0.8, lgks.DrudeLorentz(0.05, 2.0), "a")])
    B = lgks.System(np.diag([0.0, 1.0, 2.0]), [lgks.Bath(hermitian(rng, 3), 0.5, lgks.DrudeLorentz(0.08, 1.0), "b")])
    on_A, on_B = (lambda X: np.kron(X, np.eye(3))), (lambda X: np.kron(np.eye(2), X))
    a, b = A.baths[0], B.baths[0]
    both = lgks.System(
        on_A(A.hamiltonian) + on_B(B.hamiltonian),
        [lgks.Bath(on_A(a.coupling), 0.8, a.spectrum), lgks.Bath(on_B(b.coupling), 0.5, b.spectrum)],
    )
    rho_A, rho_B = np.asarray(gibbs(hermitian(rng, 2), 1.0)), np.asarray(gibbs(hermitian(rng, 3), 1.0))
    change_A = unvec(library(A).generator @ vec(rho_A))
    change_B = unvec(library(B).generator @ vec(rho_B))
    change = unvec(library(both).generator @ vec(np.kron(rho_A, rho_B)))
    np.testing.assert_allclose(change, np.kron(change_A, rho_B) + np.kron(rho_A, change_B), rtol=0, atol=1e-14)
    product = np.kron(lgks.steady_state(A).rho, lgks.steady_state(B).rho)
    np.testing.assert_allclose(lgks.steady_state(both).rho, product, rtol=0, atol=1e-13)
    V, of_A, of_B = on_A(hermitian(rng, 2)), on_A(hermitian(rng, 2)), on_B(hermitian(rng, 3))
    static = eqx.filter_jit(lgks.response)(both, V, jnp.stack([of_A, of_B])).static()
    assert abs(float(static.total[0])) > 1e-2
    for part in ("kubo", "rotation", "shift"):
        assert abs(float(getattr(static, part)[1])) < 1e-12


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_covariance_under_a_change_of_basis(seed):
    """Turning H, S, V and A by one unitary turns L and leaves every number as it is, degenerate levels included."""
    case = draw(seed)
    U = unitary(np.random.default_rng(seed), case.system.dim)

    def turn(X):
        X = U @ np.asarray(X) @ U.conj().T
        return (X + X.conj().T) / 2

    couplings = lambda s: [bath.coupling for bath in s.baths]  # noqa: E731
    turned = eqx.tree_at(lambda s: s.hamiltonian, case.system, jnp.asarray(turn(case.system.hamiltonian)))
    turned = eqx.tree_at(couplings, turned, [jnp.asarray(turn(S)) for S in couplings(case.system)])
    W = np.kron(U.conj(), U)
    expected = W @ library(case.system).generator @ W.conj().T
    np.testing.assert_allclose(library(turned).generator, expected, rtol=0, atol=1e-13)
    currents = np.asarray(lgks.heat_currents(case.system))
    np.testing.assert_allclose(lgks.heat_currents(turned), currents, rtol=0, atol=1e-12 * np.abs(currents).max())
    one = eqx.filter_jit(lgks.response)(case.system, case.V, case.A).static()
    other = eqx.filter_jit(lgks.response)(turned, jnp.asarray(turn(case.V)), jnp.asarray(turn(case.A))).static()
    for part in ("kubo", "rotation", "shift"):
        expected = float(getattr(one, part))
        assert float(getattr(other, part)) == pytest.approx(expected, rel=0, abs=1e-11 * abs(float(one.kubo))), part


def test_order_of_the_baths():
    """Permuting baths permutes currents and changes nothing else."""
    case = draw(12)
    first, second, third = case.system.baths
    system = lgks.System(case.system.hamiltonian, [third, first, second])
    np.testing.assert_allclose(library(system).generator, library(case.system).generator, rtol=0, atol=1e-14)
    J = np.asarray(lgks.heat_currents(case.system))
    np.testing.assert_allclose(lgks.heat_currents(system), J[[2, 0, 1]], rtol=0, atol=1e-13)


# -------------------------------------------------------------------------------------------------- any system at all


@st.composite
def systems(draw_from):
    """Three levels on a coarse ladder (so that coincidences are common), two baths, random complex couplings: numbers.
    (Systems are made in the test: what JAX compiles here would use Python's `random`.)"""
    levels = draw_from(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(lambda x: len(set(x)) > 1))
    rng = np.random.default_rng(draw_from(st.integers(0, 2**32 - 1)))
    spacing = draw_from(st.floats(1e-3, 5.0))
    U = unitary(rng, 3)
    H = spacing * (U * np.array(levels)) @ U.conj().T
    ranges = ((0.05, 50.0), (1e-6, 1.0), (0.1, 10.0))
    baths = [(hermitian(rng, 3), *(draw_from(st.floats(*ends)) for ends in ranges)) for _ in range(2)]
    return (H + H.conj().T) / 2, baths


@settings(max_examples=40, deadline=None, derandomize=True)
@given(systems())
def test_laws_of_any_davies_generator(numbers):
    """By hand and by library, trace, each bath's Gibbs state, complete positivity; relative to |L|, temperatures
    over three decades, couplings over six, spacings over four."""
    H, baths = numbers
    system = lgks.System(H, [lgks.Bath(S, T, lgks.DrudeLorentz(strength, cut)) for S, T, strength, cut in baths])
    ours, theirs = library(system), davies(system)
    size = np.max(np.abs(theirs.generator))
    assert np.max(np.abs(ours.generator - theirs.generator)) < 1e-12 * size
    assert np.max(np.abs(vec(np.eye(3)) @ ours.generator)) < 1e-14 * size
    for D, bath in zip(ours.baths, system.baths, strict=True):
        assert np.linalg.norm(D @ vec(gibbs(system.hamiltonian, float(bath.temperature)))) < 1e-14 * np.linalg.norm(
            D, 2
        )
    assert lowest_choi(sl.expm(ours.generator / size)) > -1e-12
