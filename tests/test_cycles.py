"""Steady cycles of driven qubits. One compiled program of sixteen of them serves most tests.

Witnesses: the hierarchy of equations of motion, stored by `tests/cycles_heom.py`; the frame in which a circular drive
stands still; the response with memory; steady states where a drive is constant or fast; finite differences.
"""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import CorrelationError, InputError, NonUniqueSteadyStateError, SteadyStateError

from . import cycles_heom as heom

X, Y, Z = heom.X, heom.Y, heom.Z
S = X + 0.3 * Z
WARM = {"temperatures": (10.0, 10.0)}
"""Baths whose sixty exponentials, of a temperature that is traced, are exact to 3e−9."""
REDFIELD = lgks.Redfield(lamb_shift=True)
BATCH, HARMONICS, CUTOFF = 16, 16, heom.CUTOFF


def driven_qubit(H0, drives, omega, couplings, temperatures, strength):
    """`drives`: V and harmonics [h_0, h_1] of each."""
    baths = [lgks.Bath(A, T, lgks.DrudeLorentz(strength, CUTOFF)) for A, T in zip(couplings, temperatures, strict=True)]
    return lgks.System(H0, baths).driven(*(lgks.Drive(V, lgks.periodic(h, omega)) for V, h in drives))


def observed(c):
    """Harmonics of ⟨σ⟩ and of the currents, [3, 3 + baths]; power; tail, residual."""
    rows = [jnp.stack([c.harmonic(A, n) for A in (X, Y, Z)]) for n in range(3)]
    rows = [jnp.concatenate([row, c.current_harmonic(n)]) for n, row in enumerate(rows)]
    return jnp.stack(rows), c.power, jnp.stack([c.tail, c.residual])


def of_case(*case):
    return observed(lgks.cycle(driven_qubit(*case), harmonics=HARMONICS, throw=False))


program = eqx.filter_jit(eqx.filter_vmap(of_case))


def case(
    H0=Z / 2, V=Z, h=(0.0, 0.0), omega=1.0, W=Y, k=(0.0, 0.0), couplings=(S, 0 * Z), temperatures=(0.5, 0.5),
    strength=0.002,
):  # fmt: skip
    """Two drives and two baths, one of each switched off unless they are given."""
    drives = [(V, np.array(h, complex)), (W, np.array(k, complex))]
    numbers = H0, drives, omega, couplings, temperatures, strength
    return jax.tree.map(lambda x: np.asarray(x, complex if np.ndim(x) else float), numbers)


def solved(cases):
    """All of them, sixteen at once; none may fail for its harmonics."""
    found = []
    for start in range(0, len(cases), BATCH):
        some = cases[start : start + BATCH]
        padded = [*some, *[some[0]] * (BATCH - len(some))]
        found.append(jax.tree.map(lambda x, n=len(some): np.asarray(x[:n]), program(*jax.tree.map(_stacked, *padded))))
    a, power, quality = (np.concatenate(x) for x in zip(*found, strict=True))
    assert np.max(quality) < 1e-9
    return a, power


def _stacked(*x):
    return jnp.stack([jnp.asarray(one) for one in x])


def close(a, b, tolerance):
    """To a part of the largest."""
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.max(np.abs(b)))


# ---------------------------------------------------------------------------------------------------- exact numbers


def stored():
    """(case of the hierarchy, its harmonics at both strengths)."""
    rows = iter(json.loads(heom.PATH.read_text())["rows"])
    for one in heom.CASES:
        yield one, [np.array(row["real"]) + 1j * np.array(row["imag"]) for row in (next(rows), next(rows))]


def near_the_hierarchy(found, exact):
    """Means and first two harmonics to 1 % of the largest, observables and currents, and four times nearer at a quarter
    of the coupling: what is left is of the next order."""
    for part in (slice(0, 3), slice(3, None)):
        off = [np.max(np.abs(a - b)[:, part]) / np.max(np.abs(b[:, part])) for a, b in zip(found, exact, strict=True)]
        assert off[0] < 0.01
        assert 3.5 < off[0] / off[1] < 4.5


def test_means_and_harmonics_equal_the_hierarchy_to_the_order_of_the_coupling():
    """Five drives up to 0.4 of the level spacing, ω from 0.4 to 4, along and across the levels, near resonance, between
    two temperatures. (The sixth, ω = 0.05, is slow for a test.)"""
    cases, references = [], []
    for (V, delta, omega, baths), exact in stored():
        if omega < 0.1:
            continue
        couplings, temperatures = zip(*baths, *[(0 * Z, 0.5)] * (2 - len(baths)), strict=True)
        for strength in heom.LAMBDAS:
            cases.append(case(heom.H0, V, (0, 1j * delta), omega, Y, (0, 0), couplings, temperatures, strength))
        references.append(exact)
    a, power = solved(cases)
    for i, exact in enumerate(references):
        pair = [a[2 * i + j][:, : exact[j].shape[1]] for j in range(2)]
        near_the_hierarchy(pair, exact)
    np.testing.assert_allclose(np.sum(a[:, 0, 3:], axis=1).real, -power, atol=1e-15)


@pytest.mark.slow
def test_a_slow_drive_equals_the_hierarchy():
    """ω = 0.05, where coherences are left behind by levels that pass 36 harmonics; how many it takes is found."""
    ((V, delta, omega, _), exact) = next(one for one in stored() if one[0][2] < 0.1)
    found = []
    for strength in heom.LAMBDAS:
        bath = lgks.Bath(S, 0.5, lgks.DrudeLorentz(strength, CUTOFF))
        c = lgks.cycle(lgks.System(Z / 2, bath).driven(lgks.Drive(V, lgks.periodic([0, 1j * delta], omega))))
        assert c.harmonics == 128
        found.append(np.asarray(observed(c)[0]))
    near_the_hierarchy(found, exact)


def test_the_stored_numbers_are_what_the_hierarchy_gives():
    """One of them, made again by QuTiP and SciPy with fewer terms."""
    (V, delta, omega, baths), exact = next(stored())
    close(heom.cycle(V, delta, omega, baths, heom.LAMBDAS[0], terms=3, harmonics=6), exact[0], 1e-4)


# ------------------------------------------------------------------------------------------------------------ limits


def test_a_circular_drive_equals_the_steady_state_in_its_frame():
    """H(t) = ω₀σz/2 + g(cos ωt σx + sin ωt σy) stands still in the frame that turns with ω. A bath that couples along z
    does not see the frame: the state is that of a steady state, to the accuracy of the exponentials.
    Of a bath that couples along x the frame keeps what turns slowly: equal to the order of λ/ω, and in proportion."""
    g, omega, frame_H = 0.2, 1.3, (1 - 1.3) / 2 * Z + 0.2 * X
    strengths, off = [2e-4, 5e-5], []
    drive = {"V": X, "h": (0, g), "W": Y, "k": (0, 1j * g), "omega": omega, **WARM}
    cases = [case(couplings=(Z, 0 * Z), **drive)]
    cases += [case(couplings=(X, 0 * Z), strength=one, **drive) for one in strengths]
    a, power = solved(cases)

    def in_frame(coupling, strength, frame=None):
        bath = lgks.Bath(coupling, 10.0, lgks.DrudeLorentz(strength, CUTOFF))
        return lgks.System(frame_H, bath, frame=frame)

    still = in_frame(Z, 0.002)
    rho = lgks.steady_state(still, REDFIELD).rho
    x, y, z = (np.einsum("ij,ji->", A, rho).real for A in (X, Y, Z))
    # ⟨σx + iσy⟩ of the laboratory is e^{iωt} times that of the frame.
    close(a[0][:2, :3], [[0, 0, z], [x - 1j * y, y + 1j * x, 0]], 1e-8)
    for strength, mine, work in zip(strengths, a[1:], power[1:], strict=True):
        turning = in_frame(X, strength, lgks.RotatingFrame(Z / 2, omega))
        heat = float(lgks.heat_currents(turning, REDFIELD)[0])
        off.append(abs(mine[0, 3].real - heat) / abs(heat))
        np.testing.assert_allclose(work, -mine[0, 3].real, rtol=1e-9)
    assert off[0] < 0.02
    assert 3.5 < off[0] / off[1] < 4.5


def test_constant_and_fast_drives_have_steady_states():
    """A drive that is constant; one so fast that only its mean is seen, to the order of δ/ω squared."""
    V, omegas = X + 0.5 * Z, (20.0, 40.0)
    cases = [case(V=V, h=(0.3, 0.0), **WARM)] + [case(V=V, h=(0.3, 0.2), omega=w, **WARM) for w in omegas]
    a, _ = solved(cases)
    bath = lgks.Bath(S, 10.0, lgks.DrudeLorentz(0.002, CUTOFF))
    state = lgks.steady_state(lgks.System(Z / 2 + 0.3 * V, bath), REDFIELD)
    exact = np.array([state.expect(A) for A in (X, Y, Z)])
    close(a[0, 0, :3], exact, 1e-8)
    assert np.max(np.abs(a[0, :, 3:])) < 1e-12
    off = [np.max(np.abs(a[i, 0, :3] - exact)) for i in (1, 2)]
    assert off[0] < 2e-3
    assert 3 < off[0] / off[1] < 5


def test_weak_drives_have_the_slope_of_the_response():
    """(a(δ) − a(−δ))/2δ at two δ, extrapolated, against χ(ω) of ⟨σ⟩ and of the current: 1e−8 of the largest."""
    V, omegas, deltas = Z + 0.4 * X, (0.3, 1.1, 2.5), (2e-3, 1e-3)
    cases = [case(V=V, h=(0, s * d), omega=w, **WARM) for w in omegas for d in deltas for s in (1, -1)]
    a = solved(cases)[0].reshape(len(omegas), 2, 2, 3, 5)
    slopes = (a[:, :, 0, 1] - a[:, :, 1, 1]) / (2 * np.array(deltas)[:, None])
    slope = (4 * slopes[:, 1] - slopes[:, 0]) / 3
    at = jnp.array(omegas)

    @jax.jit
    def responses(T):  # traced, so that the exponentials are the same sixty
        system = lgks.System(Z / 2, lgks.Bath(S, T, lgks.DrudeLorentz(0.002, CUTOFF)))
        flow = lgks.thermodynamic_response(system, V, REDFIELD).heat_currents.susceptibility(at)
        return lgks.response(system, V, np.stack([X, Y, Z]), REDFIELD).susceptibility(at).total, flow.total

    chi, flow = responses(10.0)
    close(slope[:, :3], np.asarray(chi), 1e-8)
    close(slope[:, 3], np.asarray(flow)[:, 0], 1e-8)


def test_one_temperature_gives_no_work():
    """208 random drives of a qubit between two baths of one temperature put work in, all of them. An equation of second
    order allows what is of the next order, a part λ of the heat that is exchanged within the cycle, to come back."""
    rng = np.random.default_rng(5)

    def hermitian():
        return np.einsum("k,kij->ij", rng.normal(size=3), np.stack([X, Y, Z])) / 2

    cases = [
        case(hermitian(), hermitian(), (0, rng.uniform(0.05, 0.4)), rng.uniform(0.8, 4.0), hermitian(),
             (0, 0.3 * np.exp(2j * np.pi * rng.uniform())), (hermitian(), hermitian()), (0.6, 0.6), 0.002)
        for _ in range(208)
    ]  # fmt: skip
    a, power = solved(cases)
    exchanged = np.max(np.abs(a[:, :, 3:]), axis=(1, 2))
    assert np.min(power / exchanged) > -0.002
    assert np.min(power) > 0  # measured: 9 % of what is exchanged at least


# -------------------------------------------------------------------------------------------------------- derivatives


def unpacked(p):
    """A case from real numbers, both drives and both baths in use."""
    H0 = p[0] * X / 2 + p[1] * Z / 2
    h, k = jnp.stack([p[10], p[2] + 1j * p[3]]), jnp.stack([0.0 * p[0], p[4] + 0j])
    return (
        H0,
        [(Z + p[5] * X, h), (Y, k)],
        p[6],
        (S + 0j, p[7] * X + Y),
        (0.5 + 0 * p[8], p[8]),
        p[9],
    )


def test_gradients_equal_differences_where_quasi_energies_coincide():
    """Reverse mode in eleven numbers of system, drives and baths. In the first case H(t) has no mean and commutes with
    itself, so that both quasi-energies are zero; the second is generic. Differences with two steps, extrapolated."""

    def value(p):
        a, power, _ = of_case(*unpacked(p))
        return a[0, 2].real + a[1, 0].imag + 300 * a[0, 3].real + 200 * power

    gradient = eqx.filter_jit(eqx.filter_grad(value))
    degenerate = np.array([0.0, 0.0, 0.3, 0.1, 0.0, 0.0, 1.1, 0.4, 0.7, 0.01, 0.0])
    generic = np.array([0.2, 0.9, 0.3, 0.1, 0.2, 0.4, 1.1, 0.4, 0.7, 0.01, 0.1])
    for point in (degenerate, generic):
        slopes = []
        for step in (2e-3, 1e-3):
            moved = [point + s * step * e for e in np.eye(11) for s in (1, -1)]
            a, power = solved([jax.tree.map(np.asarray, unpacked(jnp.asarray(p))) for p in moved])
            values = a[:, 0, 2].real + a[:, 1, 0].imag + 300 * a[:, 0, 3].real + 200 * power
            slopes.append((values[::2] - values[1::2]) / (2 * step))
        close(np.asarray(gradient(jnp.asarray(point))), (4 * slopes[1] - slopes[0]) / 3, 1e-6)


# ----------------------------------------------------------------------------------------------------------- verdicts


def eager(coupling, omega, V=Z, **options):
    """Of one structure: programs are shared."""
    bath = lgks.Bath(coupling, 0.5, lgks.DrudeLorentz(0.002, CUTOFF))
    system = lgks.System(Z / 2, bath)
    return lgks.cycle(system.driven(lgks.Drive(V, lgks.periodic([0, 0.4j], omega))), **options)


def test_a_cycle_and_its_verdicts():
    """Interpolation, multipliers, both sides of the currents; what is conserved, and too few harmonics, by name."""
    c = eager(S, 2.0)
    assert (c.harmonics, str(c).startswith("SteadyCycle (16 harmonics)")) == (16, True)
    np.testing.assert_allclose(c.mean(Z), -0.708033, atol=2e-6)  # -0.70687 by HEOM, whose limit is -0.7079
    t = np.asarray(c.times)[:5] + 0.1
    first = c.harmonic(Z, 0) + sum(c.harmonic(Z, n) * np.exp(-2j * n * t) for n in range(1, 9))
    np.testing.assert_allclose(c.expect(Z, t), first.real, atol=1e-12)
    np.testing.assert_allclose(np.trace(c.states(0.37)), 1, atol=1e-12)
    np.testing.assert_allclose(c.states(float(c.period)), c.rho[0], atol=1e-12)
    m = np.asarray(c.multipliers)
    assert abs(m[0] - 1) < 1e-9 > abs(m[1]) - 0.995
    # The determinant of the map over a period is exp ∫ Tr L(t) dt.
    trace = np.mean(
        [np.trace(np.asarray(jax.vmap(type(D).matrix)(D)), axis1=1, axis2=2) for D in c._dissipators], axis=1
    )
    np.testing.assert_allclose(np.prod(m), np.exp(np.sum(trace) * float(c.period)), rtol=1e-10)
    np.testing.assert_allclose(c.bath_current_harmonic(0), c.heat_currents, atol=1e-15)
    assert abs(c.bath_current_harmonic(1) - c.current_harmonic(1))[0] > 1e-5
    np.testing.assert_allclose(c.entropy_production, c.power / 0.5, rtol=1e-9)
    assert np.isnan(c.efficiency)
    assert np.isnan(c.cop)
    # The same between two baths, put to work: run backwards it gives its power; and it cools the second.
    flows, T = (
        (jnp.broadcast_to(jnp.array(x) * c.power, (33, 2)) for x in ((3.0, -2.0), (-2.0, 1.0))),
        jnp.array([2, 1]),
    )
    backwards = eqx.tree_at(lambda c: (c.rho, c.hamiltonians), c, (c.rho[::-1], c.hamiltonians[::-1]))
    engine, fridge = (
        eqx.tree_at(lambda c: (c.currents, c.temperatures), one, (J, T))
        for one, J in zip((backwards, c), flows, strict=True)
    )
    np.testing.assert_allclose([engine.efficiency, fridge.cop], [1 / 3, 1], rtol=1e-9)
    with pytest.raises(InputError, match="order n"):
        c.harmonic(Z, 17)
    with pytest.raises(NonUniqueSteadyStateError, match="multiplier of Floquet is 1"):
        eager(Z, 2.0)
    with pytest.raises(SteadyStateError, match=r"16 harmonics .* do not resolve"):
        eager(S, 0.05, harmonics=16)
    assert np.all(np.isnan(jax.jit(lambda w: eager(S, w, harmonics=16).rho)(0.05)))


def test_bad_input_is_named():
    """Before anything is computed."""
    system = lgks.System(Z / 2, lgks.Bath(S, 0.5, lgks.DrudeLorentz(0.002, CUTOFF)))
    driven = system.driven(lgks.Drive(Z, lgks.periodic([0, 0.1], 2.0)))
    flat = lgks.System(Z / 2, lgks.Bath(X, 0.5, lgks.Flat(0.01))).driven(lgks.Drive(Z, lgks.periodic([0, 0.1], 2.0)))
    energy = lgks.System(Z / 2, system.baths, energy=Z).driven(lgks.Drive(Z, lgks.periodic([0, 0.1], 2.0)))
    single = lgks.System(Z / 2, system.baths, dtype=jnp.complex64).driven(lgks.Drive(Z, lgks.periodic([0, 0.1], 2.0)))
    for arguments, options, error, words in (
        ((system,), {}, InputError, r"system\.driven\(Drive"),
        ((system.driven(lgks.Drive(Z, jnp.tanh)),), {}, InputError, "needs a period"),
        ((driven, lgks.Davies()), {}, InputError, "set instantaneous=True"),
        ((driven, lgks.Redfield()), {}, InputError, r"Redfield\(lamb_shift=True\)"),
        ((driven, "redfield"), {}, InputError, "takes Redfield"),
        ((driven,), {"harmonics": 0}, InputError, "harmonics"),
        ((flat,), {}, CorrelationError, "instantaneous=True"),
        ((energy,), {}, InputError, "energy="),
        ((single,), {}, InputError, "without dtype="),
    ):
        with pytest.raises(error, match=words):
            lgks.cycle(*arguments, **options)
    with pytest.raises(InputError, match="must be given inside jit"):
        jax.jit(lambda w: lgks.cycle(system.driven(lgks.Drive(Z, lgks.periodic([0, 0.1], w)))).power)(2.0)


@pytest.mark.slow
def test_a_slow_drive_has_the_instantaneous_form_as_its_limit():
    """⟨σz⟩ and the current with memory less the same with dissipators of H(t): what is missed are rates of the order
    ω, so that both fall with ω where it is below the rates. The instantaneous form of other equations runs too."""
    off, driven = [], None
    for omega in (0.04, 0.02, 0.01):
        bath = lgks.Bath(S, 0.5, lgks.DrudeLorentz(0.1, CUTOFF))
        driven = lgks.System(Z / 2, bath).driven(lgks.Drive(Z, lgks.periodic([0, 0.1], omega)))
        a, b = (observed(lgks.cycle(driven, harmonics=192, instantaneous=x))[0][:, 2:] for x in (False, True))
        off.append(np.max(np.abs(a - b), axis=0) / np.max(np.abs(a), axis=0))
    assert np.all(off[0] / off[1] > 1.7)
    assert np.all(off[1] / off[2] > 1.85)
    c = lgks.cycle(driven, lgks.Davies(), harmonics=16, instantaneous=True)
    np.testing.assert_allclose(np.sum(c.heat_currents) + c.power, 0, atol=1e-15)
    with pytest.raises(InputError, match="without instantaneous=True"):
        c.bath_current_harmonic(1)
