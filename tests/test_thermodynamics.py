"""First-order currents, entropy and entropy production (Eqs. 50–53, D11) against the exact quantities at finite δ.

The witness: states propagated from π₀ by hand-made generators L(δ) (`by_hand.davies`, groups pinned), the exact
J^α = Tr[(H + δV) D_α(δ) ρ], S = −Tr ρ ln ρ, dS/dt = −Tr[(Lρ) ln ρ], σ = dS/dt − Σ J^α/T_α on them, and Romberg
differences in δ.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg as sl

import jaxlgks as lgks
from jaxlgks._generator import resolve
from jaxlgks._steady import at_rest

from .by_hand import ByHand, commutator, davies, stationary, unvec, vec
from .systems import draw, gibbs
from .test_time_domain import (
    STRUCTURES,
    TIMES,
    close,
    respond,
    respond_thermodynamically,
    romberg,
    safe_step,
    slowest_decay,
)

# 52 systems, of all kinds of spectra; with `test_time_domain` they share compiled programs.
DRAWS = 26
PARTS = ("kubo", "rotation", "shift", "explicit")


def seeds(structure: int) -> range:
    return range(structure, structure + 15 * DRAWS, 15)


def log_of(rho: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(rho)
    return (vectors * np.log(values)) @ vectors.conj().T


def exact(parts: ByHand, H: np.ndarray, temperatures: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """[J^α …, S, dS/dt, σ] of a state."""
    currents = np.array([np.trace(H @ unvec(D @ vec(rho))).real for D in parts.baths])
    log = log_of(rho)
    rate = -np.trace(unvec(parts.generator @ vec(rho)) @ log).real
    return np.array([*currents, -np.trace(rho @ log).real, rate, rate - np.sum(currents / temperatures)])


def exact_in_time(parts: ByHand, H, temperatures, pi: np.ndarray, times=TIMES) -> np.ndarray:
    """[quantity, t] from π₀."""
    states = [unvec(sl.expm(parts.generator * t) @ vec(pi)) for t in times]
    return np.array([exact(parts, H, temperatures, (rho + rho.conj().T) / 2) for rho in states]).T


def entropy_step(system: lgks.System, V: np.ndarray, pi: np.ndarray) -> float:
    """ln ρ is analytic as long as no population is driven to zero: coherences of π₀ √p of the smallest one."""
    apart = np.ptp(np.linalg.eigvalsh(np.asarray(system.hamiltonian)))
    return 0.1 * np.sqrt(np.linalg.eigvalsh(pi)[0]) * apart / np.linalg.norm(V, 2)


def responses(r: lgks.ThermodynamicResponse) -> tuple[lgks.LinearResponse, ...]:
    return r.heat_currents, r.entropy, r.entropy_rate, r.entropy_production


def stacked(values: list[lgks.Parts]) -> np.ndarray:
    """[J₁^α …, S₁, dS₁/dt, σ₁], quantities first."""
    currents, *rest = (np.asarray(value.total) for value in values)
    return np.concatenate([np.moveaxis(np.atleast_1d(currents), -1, 0), np.stack(rest)])


def against_exact(case):
    H, V, T = (np.asarray(x) for x in (case.system.hamiltonian, case.V, case.system.temperatures))
    pi = stationary(davies(case.system).generator)
    h = min(safe_step(case.system, V), entropy_step(case.system, V, pi))
    rounding = 8 * np.finfo(float).eps / h * (1 - np.log(np.linalg.eigvalsh(pi)[0]))
    r = respond_thermodynamically(case.system, case.V)

    def in_time_and_at_rest(x):  # [quantity, t], the last of them the steady state
        parts = davies(case.system, x * V)
        rest = exact(parts, H + x * V, T, stationary(parts.generator))
        return np.column_stack([exact_in_time(parts, H + x * V, T, pi), rest])

    slopes = romberg(in_time_and_at_rest, h)
    expected = slopes[:, :-1]
    curves = stacked([one.step(TIMES) for one in responses(r)])
    scale = np.max(np.abs(expected), axis=1)
    allowed = 1e-8 * scale + rounding
    allowed[-1] += 2e-11 * (scale[-2] + np.sum(scale[:-3] / T))  # Romberg's error of both parts of σ₁
    assert np.all(np.max(np.abs(curves - expected), axis=1) <= allowed), case

    values = stacked([one.static() for one in responses(r)])
    assert np.all(np.abs(values - slopes[:, -1]) <= allowed), case


@pytest.mark.parametrize("structure", STRUCTURES)
def test_first_order_against_exact_quantities_at_finite_delta(structure):
    """J₁^α(t), S₁(t), dS₁/dt(t), σ₁(t) to 1e−8 of each curve, and the same at the steady states; on 52 systems.

    Romberg's error is ~1e−11 (see `safe_step`). What σ₁ leaves of dS₁/dt − Σ J₁/T may be 1e−5 of them: the rounding
    of the differences, eps/(h/8) times the logarithms, is granted beside.
    """
    for seed in seeds(structure):
        against_exact(draw(seed))


def test_exact_quantities_of_the_library():
    """heat_currents, von_neumann_entropy, entropy_production of a given state, groups pinned, against the same
    definitions by hand, to rounding."""

    @eqx.filter_jit
    def library(system, V, delta, rho):
        shifted, pinned = system.perturbed(V, delta), lgks.Davies().fixed(system)
        sigma = lgks.entropy_production(shifted, pinned, rho=rho)
        currents = lgks.heat_currents(shifted, pinned, rho=rho)
        rate = sigma + jnp.sum(currents / system.temperatures)
        return jnp.stack([*currents, lgks.von_neumann_entropy(rho), rate, sigma])

    for seed in (6, 21, 36, 51):
        case = draw(seed)
        H, V, T = (np.asarray(x) for x in (case.system.hamiltonian, case.V, case.system.temperatures))
        delta = safe_step(case.system, V)
        parts = davies(case.system, delta * V)
        rho = unvec(sl.expm(parts.generator * 3.0) @ vec(gibbs(case.A, 1.5)))
        rho = (rho + rho.conj().T) / 2
        expected = exact(parts, H + delta * V, T, rho)
        np.testing.assert_allclose(
            library(case.system, case.V, delta, rho), expected, rtol=0, atol=1e-13, err_msg=repr(case)
        )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_currents_add_up_to_the_change_of_energy(structure):
    """Σ_α J₁^α(t) = d/dt E₁, E₁ = Tr[H₀ρ₁] + Tr[Vπ₀], to 1e−10 of the currents; zero in the end (first law). Form
    (50) equals form (51) to rounding. Channels add up to their bath's current, mechanism by mechanism."""
    for seed in seeds(structure):
        case = draw(seed)
        r = respond_thermodynamically(case.system, case.V)
        currents, gibbs_form, channels = (
            one.step(TIMES) for one in (r.heat_currents, r.heat_currents_gibbs, r.channels)
        )
        scale = np.max(np.abs(currents.total))
        # dE₁/dt = Tr[H₀ dρ₁/dt], and dρ₁/dt = e^{L₀t} L₁π₀ is what an impulse leaves.
        power = respond(case.system, case.V, case.system.hamiltonian).impulse(TIMES)
        for part in ("kubo", "rotation", "shift"):
            # What the source itself does to H₀, at t = 0, sits in the explicit part of the currents.
            flow, gained = np.sum(getattr(currents, part), axis=-1), np.asarray(getattr(power, part))
            assert np.max(np.abs(flow - (gained - gained[0]))) < 1e-10 * scale, (case, part)
        assert np.max(np.abs(np.sum(currents.total, axis=-1) - power.total)) < 1e-10 * scale, case
        assert np.max(np.abs(np.sum(r.heat_currents.static().total))) < 1e-11 * scale, case
        assert np.max(np.abs(gibbs_form.total - currents.total)) < 1e-12 * scale, case
        for part in (*PARTS, "total"):
            assert getattr(channels, part).shape[:2] == getattr(currents, part).shape
            total = np.sum(getattr(channels, part), axis=-1)
            assert np.max(np.abs(total - getattr(currents, part))) < 1e-12 * scale, (case, part)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_entropy_balance(structure):
    """σ₁ = dS₁/dt − Σ_α J₁^α/T_α at all times, dS₁/dt is the derivative of S₁ and goes to zero."""
    for seed in seeds(structure)[:4]:
        case = draw(seed)
        T = np.asarray(case.system.temperatures)
        r = respond_thermodynamically(case.system, case.V)
        currents, rate, production = (
            one.step(TIMES) for one in (r.heat_currents, r.entropy_rate, r.entropy_production)
        )
        flow = np.asarray(currents.total) / T
        scale = np.max(np.abs(flow))
        assert np.max(np.abs(rate.total - flow.sum(axis=-1) - production.total)) < 1e-12 * scale, case
        assert np.max(np.abs(rate.total - r.entropy.impulse(TIMES).total)) < 1e-11 * scale, case
        late = r.entropy_rate.step(45.0 / slowest_decay(davies(case.system).generator))
        assert abs(float(late.total)) < 1e-11 * scale, case
        assert abs(float(r.entropy_rate.static().total)) < 1e-11 * scale, case


def test_equation_53_from_the_generator():
    """dS₁/dt = −⟨L₁† e^{L₀†t} ln π₀⟩ with L₀ and L₁ = dL/dδ as matrices (JAX's derivative of `liouvillian`), SciPy's
    exponential, and NumPy's logarithm."""

    @eqx.filter_jit
    def generators(system, V):
        pinned = lgks.Davies().fixed(system)
        return jax.jvp(lambda x: lgks.liouvillian(system.perturbed(V, x), pinned), (0.0,), (1.0,))

    for seed in (6, 21, 36, 51):
        case = draw(seed)
        L0, L1 = (np.asarray(x) for x in generators(case.system, case.V))
        pi = stationary(L0)
        log = vec(log_of(pi))
        expected = [-(log.conj() @ sl.expm(L0 * t) @ L1 @ vec(pi)).real for t in TIMES]
        assert close(respond_thermodynamically(case.system, case.V).entropy_rate.step(TIMES).total, expected, 1e-11), (
            case
        )


def gibbs_slope(H: np.ndarray, V: np.ndarray, T: float) -> np.ndarray:
    """d/dδ of the Gibbs state of H + δV (Duhamel): the divided differences of e^{−E/T}, without subtraction."""
    E, U = np.linalg.eigh(H)
    E = E - E[0]
    half = (E[:, None] - E[None, :]) / (2 * T)
    sinhc = np.where(half == 0, 1.0, np.sinh(half) / np.where(half == 0, 1.0, half))
    slope = -np.exp(-(E[:, None] + E[None, :]) / (2 * T)) * sinhc / T * (U.conj().T @ V @ U)
    p, Z = np.exp(-E / T), np.sum(np.exp(-E / T))
    slope = slope / Z - np.diag(p) / Z * np.trace(slope) / Z
    return U @ slope @ U.conj().T


@pytest.mark.parametrize("structure", STRUCTURES)
def test_at_one_temperature(structure):
    """σ₁(t) = 0 for all t, and the static response is that of the Gibbs state of H + δV to 1e−10, degenerate or
    not."""
    rotation = shift = 0.0
    for seed in seeds(structure):
        case = draw(seed, equal_temperatures=True)
        H, V, A = (np.asarray(x) for x in (case.system.hamiltonian, case.V, case.A))
        T = float(case.system.temperatures[0])
        r = respond_thermodynamically(case.system, case.V)
        scale = max(np.max(np.abs(one.step(TIMES).total)) for one in (r.heat_currents, r.entropy_rate)) / min(T, 1.0)
        for value in (r.entropy_production.step(TIMES), r.entropy_production.static()):
            assert np.max(np.abs(value.total)) < 1e-12 * scale, case
        assert np.max(np.abs(r.heat_currents.static().total)) < 1e-11 * scale, case

        static = respond(case.system, case.V, case.A).static()
        slope = gibbs_slope(H, V, T)
        size = np.linalg.norm(A) * np.linalg.norm(slope)
        assert float(static.total) == pytest.approx(np.trace(A @ slope).real, rel=0, abs=1e-10 * size), case
        log = (H / T).astype(complex)  # −ln π₀ up to a constant
        assert float(r.entropy.static().total) == pytest.approx(np.trace(log @ slope).real, rel=1e-9, abs=1e-12), case
        rotation, shift = max(rotation, abs(float(static.rotation)) / size), max(shift, abs(float(static.shift)) / size)
    assert rotation > 0.01  # neither part could have been left out
    assert shift > 0.001


def test_entropy_production_takes_both_signs():
    """Between baths of different temperature σ₁ is not zero, and of either sign, static and on the way."""
    static, on_the_way = [], []
    for seed in seeds(6):
        case = draw(seed)
        production = respond_thermodynamically(case.system, case.V).entropy_production
        static.append(float(production.static().total))
        on_the_way.append(np.asarray(production.step(TIMES).total))
    assert min(static) < -1e-3
    assert max(static) > 1e-3
    assert any(curve.min() < -1e-3 and curve.max() > 1e-3 for curve in on_the_way)


# -------------------------------------------------------------------- where the laws of Davies end: fixed dissipators


def local_by_hand(case, extra: np.ndarray, x: float) -> ByHand:
    """Commutator with H + extra + xV, dissipators of H."""
    still, V = davies(case.system), np.asarray(case.V)
    return ByHand(still.commutator + commutator(extra + x * V), still.baths)


def dissipators_only(parts: ByHand, change: np.ndarray, T, H, pi: np.ndarray, first: np.ndarray) -> float:
    """(D11) as printed: −Σ_α Tr[D_α ρ₁ ln π₀] + Σ_α β_α(…); dS₁/dt without the commutator, minus the exact flow of
    heat."""
    flow = [np.trace(H @ unvec(D @ vec(first))) + np.trace(change @ unvec(D @ vec(pi))) for D in parts.baths]
    rate = -np.trace(log_of(pi) @ unvec(parts.baths.sum(0) @ vec(first)))
    return float((rate - np.sum(np.array(flow) / T)).real)


def test_local_first_order_and_the_commutator_in_d11():
    """`Local`, at an H that is not its reference: exact quantities at finite δ again; [H, π₀] ≠ 0, so that (D11)
    needs the full L₀ (with dissipators alone it is right for Davies only); and form (50) is not form (51)."""
    t = TIMES[2]
    for seed in (6, 36):
        case = draw(seed)
        H, V, T = (np.asarray(x) for x in (case.system.hamiltonian, case.V, case.system.temperatures))
        extra = 0.3 * np.asarray(case.A)
        system = case.system.perturbed(extra, 1.0)
        parts = local_by_hand(case, extra, 0.0)
        pi = stationary(parts.generator)
        r = respond_thermodynamically(system, case.V, lgks.Local(case.system))

        h = min(safe_step(case.system, V), entropy_step(case.system, V, pi))
        expected = romberg(
            lambda x, c=case, e=extra, H=H, V=V, T=T, pi=pi: exact_in_time(
                local_by_hand(c, e, x), H + e + x * V, T, pi
            ),
            h,
        )
        curves = stacked([one.step(TIMES) for one in responses(r)])
        for value, wanted in zip(curves, expected, strict=True):
            assert close(value, wanted, 1e-8), case
        power = np.sum(r.heat_currents.step(TIMES).total, axis=-1)
        energy = respond(system, case.V, system.hamiltonian, lgks.Local(case.system)).impulse(TIMES).total
        assert close(power, energy, 1e-10), case

        source = -1j * (V @ pi - pi @ V)
        big = np.block([[parts.generator, vec(source)[:, None]], [np.zeros((1, 10))]])
        first = unvec((sl.expm(big * t) @ np.eye(10)[-1])[:9])
        printed = dissipators_only(parts, V, T, H + extra, pi, first)
        full = float(r.entropy_production.step(t).total)
        assert abs(printed - full) > 1e-2 * abs(full), case
        assert np.linalg.norm(pi @ (H + extra) - (H + extra) @ pi) > 1e-3

        # Form (50) holds for the Gibbs states of H₀, which do not move: it misses Tr[(extra + δV) D_α ρ].
        static, gibbs_form = r.heat_currents.static(), r.heat_currents_gibbs.static()
        late = unvec(np.linalg.lstsq(parts.generator, -vec(source), rcond=1e-12)[0])
        late = late - np.trace(late) * pi
        missing = [np.trace(extra @ unvec(D @ vec(late)) + V @ unvec(D @ vec(pi))).real for D in parts.baths]
        np.testing.assert_allclose(static.total - gibbs_form.total, missing, rtol=1e-8, atol=1e-10)
        assert np.max(np.abs(missing)) > 0.1 * np.max(np.abs(static.total)), case


def test_davies_needs_no_commutator_in_d11():
    """For Davies [H₀, π₀] = 0, and (D11) with dissipators alone is the whole."""
    for seed in (6, 36):
        case = draw(seed)
        H, V, T = (np.asarray(x) for x in (case.system.hamiltonian, case.V, case.system.temperatures))
        parts = davies(case.system)
        pi = stationary(parts.generator)
        r = respond_thermodynamically(case.system, case.V)
        h = safe_step(case.system, V)
        D1 = romberg(lambda x, s=case.system, V=V: davies(s, x * V).baths, h)
        source = -1j * (V @ pi - pi @ V) + unvec(D1.sum(0) @ vec(pi))
        big = np.block([[parts.generator, vec(source)[:, None]], [np.zeros((1, 10))]])
        first = unvec((sl.expm(big * 1.5) @ np.eye(10)[-1])[:9])
        shifted = np.array([unvec(D @ vec(pi)) for D in D1])
        instant = -np.trace(log_of(pi) @ shifted.sum(0)) - np.sum(
            [np.trace(H @ X) / t for X, t in zip(shifted, T, strict=True)]
        )
        printed = dissipators_only(parts, V, T, H, pi, first) + float(instant.real)
        assert float(r.entropy_production.step(1.5).total) == pytest.approx(printed, rel=1e-8), case


# ----------------------------------------------------------------------------------------------------------- channels


def test_two_channels_four_after_the_splitting():
    """Two qubits: heat flows at ω ± g, Eq. (42); at ω ± g ± 2δΩ once σ_zσ_z splits them, Eq. (46)."""
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(310.0, 290.0))
    two = lgks.channel_currents(system)
    np.testing.assert_allclose(two.frequencies, [800.0, 1200.0], rtol=1e-12)
    na, nb = (1 / np.expm1(np.array([800.0, 1200.0]) / T) for T in (310.0, 290.0))
    expected = np.array([800.0, 1200.0]) * (na - nb) / (4 * (na + nb + 1))
    np.testing.assert_allclose(two.currents, [expected, -expected], rtol=1e-9)
    shifted = system.perturbed(lgks.models.pauli("ZZ"), 50.0)
    four = lgks.channel_currents(shifted)
    np.testing.assert_allclose(four.frequencies, [700.0, 900.0, 1100.0, 1300.0], rtol=1e-12)
    for channels, total in ((two, lgks.heat_currents(system)), (four, lgks.heat_currents(shifted))):
        np.testing.assert_allclose(np.sum(channels.currents, axis=1), total, rtol=1e-10)
    pinned = lgks.channel_currents(shifted, lgks.Davies().fixed(system))
    assert pinned.currents.shape == (2, 2)  # the groups of δ = 0 still count two


def test_channel_response_against_finite_delta():
    """J₁^{α,ω} of the two coupled channels, and zero in the others, against differences of `channel_currents`."""
    densities = (lgks.DrudeLorentz(0.02, 2.0), lgks.DrudeLorentz(0.03, 1.5))
    system = lgks.models.two_qubits(omega=1.0, g=0.2, temperatures=(0.45, 0.35), spectrum=densities)
    V = lgks.models.pauli("ZZ") + 0.3 * lgks.models.pauli("XX") + 0.1 * lgks.models.pauli("ZI")
    pinned = lgks.Davies().fixed(system)
    slope = romberg(lambda x: np.asarray(lgks.channel_currents(system.perturbed(V, x), pinned).currents), 0.002)
    static = lgks.thermodynamic_response(system, V).channels.static().total  # at 0, 2g, ω − g, ω + g, 2ω
    assert static.shape == (2, 5)
    scale = np.max(np.abs(slope))
    np.testing.assert_allclose(static[:, 2:4], slope, rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(static[:, [0, 1, 4]], 0.0, rtol=0, atol=1e-14 * scale)


def test_every_form_has_the_hamiltonian():
    """Tr[H π] by populations and by the dense matrix (H without its trace), of a Gaussian state and of polynomials."""
    system = draw(6).system
    H = system.hamiltonian - jnp.trace(system.hamiltonian) / system.dim * jnp.eye(system.dim)
    energy = eqx.filter_jit(lambda form, state: jnp.real(form.average(form.energy, state)))
    for solver in (lgks.Populations(), lgks.Dense()):
        rest = at_rest(resolve(system, lgks.Davies()), solver)
        expected = float(jnp.trace(H @ rest.steady.rho).real)
        assert float(energy(rest.form, rest.state)) == pytest.approx(expected, rel=1e-12)
    a, b = lgks.modes(2)
    baths = [lgks.Bath(x + x.dag, T, lgks.DrudeLorentz(0.01, 3.0)) for x, T in ((a, 0.9), (b, 0.5))]
    model = lgks.QuasiFree(a.dag * a + 1.3 * b.dag * b + 0.2 * (a.dag * b + b.dag * a) + 0.1 * (a + a.dag), baths)
    rest = at_rest(resolve(model, lgks.Davies()))
    L, X = rest.generator()
    for form, state in ((rest.form, rest.state), (L, X)):
        assert float(energy(form, state)) == pytest.approx(float(rest.steady.expect(model.hamiltonian)), rel=1e-12)
