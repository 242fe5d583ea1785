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
from jaxlgks._generator import enough, expected, multipliers
from jaxlgks.errors import (
    RESULTS,
    CorrelationError,
    InputError,
    NonUniqueSteadyStateError,
    SolverMemoryError,
    SteadyStateError,
)

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
    """Harmonics of ⟨σ⟩ and of the currents, [3, 3 + baths]; power; tail, error."""
    rows = [jnp.stack([c.harmonic(A, n) for A in (X, Y, Z)]) for n in range(3)]
    rows = [jnp.concatenate([row, c.current_harmonic(n)]) for n, row in enumerate(rows)]
    return jnp.stack(rows), c.power, jnp.stack([c.tail, c.error])


def of_case(*case):
    return observed(lgks.cycle(driven_qubit(*case), harmonics=HARMONICS))


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


def test_the_stored_numbers_are_what_the_hierarchy_gives():
    """One of them, made again by QuTiP and SciPy with fewer terms."""
    (V, delta, omega, baths), exact = next(stored())
    close(heom.cycle(V, delta, omega, baths, heom.LAMBDAS[0], terms=3, harmonics=6), exact[0], 1e-4)


# ------------------------------------------------------------------------------------------------------------ limits


@jax.jit
def at_rest(H, coupling, strength, turning):
    """⟨σ⟩ and the heat current of a warm bath, in a frame that turns with σz/2."""
    bath = lgks.Bath(coupling, 10.0, lgks.DrudeLorentz(strength, CUTOFF))
    system = lgks.System(H, bath, frame=lgks.RotatingFrame(Z / 2, turning))
    rho = lgks.steady_state(system, REDFIELD).rho
    return jnp.einsum("aij,ji->a", jnp.stack([X, Y, Z]), rho).real, lgks.heat_currents(system, REDFIELD, rho=rho)[0]


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

    (x, y, z), _ = at_rest(frame_H, Z, 0.002, omega)
    # ⟨σx + iσy⟩ of the laboratory is e^{iωt} times that of the frame.
    close(a[0][:2, :3], [[0, 0, z], [x - 1j * y, y + 1j * x, 0]], 1e-8)
    for strength, mine, work in zip(strengths, a[1:], power[1:], strict=True):
        heat = float(at_rest(frame_H, X, strength, omega)[1])
        off.append(abs(mine[0, 3].real - heat) / abs(heat))
        np.testing.assert_allclose(work, -mine[0, 3].real, rtol=1e-9)
    assert off[0] < 0.02
    assert 3.5 < off[0] / off[1] < 4.5


def test_constant_and_fast_drives_have_steady_states():
    """A drive that is constant; one so fast that only its mean is seen, to the order of δ/ω squared."""
    V, omegas, bath = X + 0.5 * Z, (20.0, 40.0), {"couplings": (Z, 0 * Z), **WARM}
    cases = [case(V=V, h=(0.3, 0.0), **bath)] + [case(V=V, h=(0.3, 0.2), omega=w, **bath) for w in omegas]
    a, _ = solved(cases)
    exact = np.asarray(at_rest(Z / 2 + 0.3 * V, Z, 0.002, 0.0)[0])
    close(a[0, 0, :3], exact, 1e-8)
    assert np.max(np.abs(a[0, :, 3:])) < 1e-12
    off = [np.max(np.abs(a[i, 0, :3] - exact)) for i in (1, 2)]
    assert off[0] < 2e-3
    assert 3 < off[0] / off[1] < 5


def response_by_hand(V, omega, T, strength):
    """χ(ω) of ⟨σ⟩ and of the current, H = σz/2 and S as above: the first order in a weak drive, element by element,
    with the rate and the Lamb shift of the density in closed form, no exponentials,

    Λ⁽¹⁾(ω)_mn = Σ_k (G[ω_mn + ω, ω_mk] S_mk V_kn − G[ω_mn + ω, ω_kn] V_mk S_kn),   G[x, y] = (G(x) − G(y))/(x − y)."""
    J, H, bohr = lgks.DrudeLorentz(strength, CUTOFF), Z / 2, np.array([[0, -1.0], [1.0, 0]])  # ω_mn = E_n − E_m

    def G(x):
        return np.asarray(J.rate(x, T)) / 2 + 1j * np.asarray(J.lamb_shift(x, T))

    def divided(x, y):
        return (G(x) - G(y)) / (x - y)

    def moved(w):
        x = (bohr + w)[:, :, None]  # axes m, n, k
        right = divided(x, bohr[:, None, :]) * S[:, None, :] * V.T[None]
        return np.sum(right - divided(x, bohr.T[None]) * V[:, None, :] * S.T[None], axis=2)

    def D(left, right, rho):  # −[S, Λρ − ρΛ'†]
        inner = left @ rho - rho @ right.conj().T
        return inner @ S - S @ inner

    kernel = G(bohr) * S
    basis = np.eye(4).reshape(4, 2, 2)
    L = np.stack([(-1j * (H @ B - B @ H) + D(kernel, kernel, B)).reshape(4) for B in basis], axis=1)
    trace = np.outer([1, 0, 0, 1], [1, 0, 0, 1]) / 2
    state = np.linalg.solve(L + trace, np.array([1, 0, 0, 1]) / 2).reshape(2, 2)
    follows = D(moved(omega), moved(-omega), state)
    source = -1j * (V @ state - state @ V) + follows
    x = -np.linalg.solve(L + 1j * omega * np.eye(4), source.reshape(4)).reshape(2, 2)
    flow = np.trace(H @ (D(kernel, kernel, x) + follows)) + np.trace(V @ D(kernel, kernel, state))
    return np.array([*(np.trace(A @ x) for A in (X, Y, Z)), flow])


def test_weak_drives_have_the_slope_of_the_response():
    """(a(δ) − a(−δ))/2δ at two δ, extrapolated, against the first order written out without exponentials: 1e−8 of the
    largest, at temperatures of half the level spacing and of ten, so that exponentials, Floquet's modes and solver are
    right together. (`response` gives the same to its accuracy, which has its own tests.)"""
    V, omegas, deltas = Z + 0.4 * X, (0.3, 1.1, 2.5), (2e-3, 1e-3)
    points = [(w, T) for T in (0.5, 10.0) for w in omegas]
    cases = [case(V=V, h=(0, s * d), omega=w, temperatures=(T, T)) for w, T in points for d in deltas for s in (1, -1)]
    a = solved(cases)[0].reshape(2, 3, 2, 2, 3, 5)
    slopes = (a[..., 0, 1, :] - a[..., 1, 1, :]) / (2 * np.array(deltas)[:, None])
    slope = (4 * slopes[:, :, 1] - slopes[:, :, 0]) / 3
    chi = np.array([response_by_hand(V, w, T, 0.002) for w, T in points]).reshape(2, 3, 4)
    for found, exact in zip(slope, chi, strict=True):
        close(found[:, :3], exact[:, :3], 1e-8)
        close(found[:, 3], exact[:, 3], 1e-8)


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


def eager(couplings, omega, strength=0.002, **options):
    """Of one structure, so that programs are shared: a bath of two noises, which are made of two couplings."""
    bath = lgks.Bath(couplings, 0.5, lgks.DrudeLorentz(strength, CUTOFF), mixing=[[1.0, 0.0], [0.3, 0.0]])
    return lgks.cycle(lgks.System(Z / 2, bath).driven(lgks.Drive(Z, lgks.periodic([0, 0.4j], omega))), **options)


def test_a_slow_drive_equals_the_hierarchy_and_bad_cycles_are_named():
    """ω = 0.05, where coherences are left behind by levels that pass 36 harmonics; how many it takes is found. Of that
    program: values between the times, multipliers, both sides of the currents; what is conserved, and harmonics that
    are too few."""
    exact = next(numbers for one, numbers in stored() if one[2] < 0.1)
    cycles = [eager([X, Z], 0.05, strength) for strength in heom.LAMBDAS]
    near_the_hierarchy([np.asarray(observed(c)[0]) for c in cycles], exact)
    c = cycles[0]
    assert (c.harmonics, str(c).startswith("SteadyCycle (128 harmonics)")) == (128, True)
    t = np.asarray(c.times)[:5] + 0.1
    first = c.harmonic(Z, 0) + sum(c.harmonic(Z, n) * np.exp(-0.05j * n * t) for n in range(1, 9))
    np.testing.assert_allclose(c.expect(Z, t), first.real, atol=1e-5)
    np.testing.assert_allclose(c.states(float(c.period)), c.rho[0], atol=1e-12)
    m = np.asarray(c.multipliers)
    assert abs(m[0] - 1) < 1e-9 > abs(m[1]) - 0.7
    # The determinant of the map over a period is exp ∫ Tr L(t) dt.
    trace = np.mean(
        [np.trace(np.asarray(jax.vmap(type(D).matrix)(D)), axis1=1, axis2=2) for D in c._dissipators], axis=1
    )
    np.testing.assert_allclose(np.prod(m), np.exp(np.sum(trace) * float(c.period)), rtol=1e-10)
    np.testing.assert_allclose(c.bath_current_harmonic(0), c.heat_currents, atol=1e-15)
    assert abs(c.bath_current_harmonic(1) - c.current_harmonic(1))[0] > 1e-6
    np.testing.assert_allclose(c.entropy_production, c.power / 0.5, rtol=1e-9)
    with pytest.raises(InputError, match="order n"):
        c.harmonic(Z, 129)
    with pytest.raises(NonUniqueSteadyStateError, match="multiplier of Floquet is 1"):
        eager([Z, 0 * Z], 0.05)
    for omega, words in ((0.002, "About 2,048 are expected"), (1e-5, "About 262,144 are expected")):
        with pytest.raises(SteadyStateError, match=f"128 harmonics .* do not resolve.*{words}"):
            eager([X, Z], omega, harmonics=128)


def test_what_a_machine_is_worth():
    """An engine that takes 3 and gives 2 of heat is worth 1/3; a refrigerator that takes as much heat as work, 1. (Of
    the numbers of a cycle alone: H = t σz over a period, its state and its currents are made up.) Baths of one
    temperature are one reservoir; a third temperature is refused."""
    angles = 2 * np.pi * np.arange(5) / 5
    H, rho = (np.einsum("t,ij->tij", f, Z) + 0j for f in (np.cos(angles), np.sin(angles) / 4))
    power = np.mean(-np.sin(angles) * np.sin(angles) / 2)  # Tr[Ḣρ] at ω = 1
    none, zero = dict.fromkeys(("interaction", "validity")), jnp.zeros(())
    made_up = dict.fromkeys(("error", "tail", "slowest"), zero) | {"_dissipators": (), "times": jnp.zeros(5)}
    made_up |= {"period": jnp.asarray(2 * np.pi), "result": RESULTS.successful}

    def machine(sign, currents, T=(2.0, 1.0)):
        flows = jnp.tile(jnp.array(currents), (5, 1)) * -power
        H_of_t, states = jnp.asarray(sign * H), jnp.asarray(rho + np.eye(2) / 2)
        made_up["temperatures"] = jnp.array(T)
        return lgks.SteadyCycle(rho=states, hamiltonians=H_of_t, currents=flows, **none, **made_up)

    engine, fridge = machine(1, [3.0, -2.0]), machine(-1, [-2.0, 1.0])
    np.testing.assert_allclose([engine.power, fridge.power], [power, -power])
    np.testing.assert_allclose([engine.efficiency, fridge.cop], [1 / 3, 1])
    assert np.isnan([engine.cop, fridge.efficiency]).all()
    four = machine(1, [1.0, -1.5, 2.0, -0.5], (2.0, 1.0, 2.0, 1.0)), machine(-1, [-0.5, 0.4, -1.5, 0.6], (2.0, 1.0) * 2)
    np.testing.assert_allclose([four[0].efficiency, four[1].cop], [1 / 3, 1])
    three = machine(1, [3.0, -1.0, -1.0], (2.0, 1.0, 1.5))
    with pytest.raises(InputError, match=r"between two temperatures; the baths have \[2\.0, 1\.0, 1\.5\]"):
        _ = three.efficiency
    assert np.isnan(jax.jit(lambda c: c.cop)(three))


def test_inside_a_program_what_cannot_be_trusted_is_nan():
    """A qubit whose population is conserved beside one whose is not, in one batch."""
    bad, good = case(couplings=(Z, 0 * Z), h=(0, 0.2)), case(h=(0, 0.2))
    a, _, _ = program(*jax.tree.map(_stacked, bad, *[good] * (BATCH - 1)))
    assert np.isnan(a[0]).all()
    assert np.isfinite(a[1:]).all()


def test_what_happens_between_samples_is_seen():
    """Harmonics beyond those kept, which look like lower ones; and a pulse that sixteen harmonics do not see, whose
    number is found. Samples whose own period is another than the drive's."""
    qubit = driven_qubit(Z / 2, [(X, [0.0] * 33 + [5.0])], 2.0, [S], (0.5,), 0.002)
    with pytest.raises(SteadyStateError, match=r"16 harmonics .* turns between the samples"):
        lgks.cycle(qubit, harmonics=16)

    def pulses(t):
        return 30 * jnp.exp(-(((jnp.mod(t, 6.0) - 3.0) / 0.015) ** 2))

    assert expected(qubit.system.driven(lgks.Drive(X, pulses, period=6.0))).many >= 256
    times = np.arange(10) / 10
    wave = np.sin(2 * np.pi * times)
    assert lgks.Drive(Z, lgks.pulses.Samples(times, wave, 1.0), period=2.0).period == 2
    for samples in (lgks.pulses.Samples(times, wave, 1.0), lgks.pulses.Samples(times, wave)):
        with pytest.raises(InputError, match=r"the samples .* period is said to be 1\.3"):
            lgks.Drive(Z, samples, period=1.3)


def test_bad_input_is_named():
    """Before anything is computed."""
    system = lgks.System(Z / 2, lgks.Bath(S, 0.5, lgks.DrudeLorentz(0.002, CUTOFF)))
    driven = system.driven(lgks.Drive(Z, lgks.periodic([0, 0.1], 2.0)))
    flat = lgks.System(Z / 2, lgks.Bath(X, 0.5, lgks.Flat(0.01))).driven(lgks.Drive(Z, lgks.periodic([0, 0.1], 2.0)))
    energy = lgks.System(Z / 2, system.baths, energy=Z).driven(lgks.Drive(Z, lgks.periodic([0, 0.1], 2.0)))
    single = lgks.System(Z / 2, system.baths, dtype=jnp.complex64).driven(lgks.Drive(Z, lgks.periodic([0, 0.1], 2.0)))
    large = lgks.System(np.diag(np.arange(16.0)), lgks.Bath(np.ones((16, 16)), 0.5, lgks.DrudeLorentz(0.002, CUTOFF)))
    large = large.driven(lgks.Drive(np.eye(16), lgks.periodic([0, 0.1], 2.0)))
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
        ((large,), {"harmonics": 2**14}, SolverMemoryError, "16384 harmonics .* GB"),
    ):
        with pytest.raises(error, match=words):
            lgks.cycle(*arguments, **options)
    with pytest.raises(InputError, match="must be given inside jit"):
        jax.jit(lambda w: lgks.cycle(system.driven(lgks.Drive(Z, lgks.periodic([0, 0.1], w)))).power)(2.0)
    with pytest.raises(InputError, match="must be given inside jit"):  # a number that f holds and does not show
        jax.grad(lambda a: lgks.cycle(system.driven(lgks.Drive(Z, lambda t: a * jnp.cos(t), 2 * np.pi))).power)(2.0)


def test_a_slow_drive_has_the_instantaneous_form_as_its_limit():
    """⟨σz⟩ and the current with memory less the same with dissipators of H(t): what is missed are rates of the order
    ω, so that both fall with ω where it is below the rates. (Levels of 0.05, so that few harmonics do.)"""
    omegas = (0.04, 0.02)

    @jax.jit
    def at_once(omega):
        bath = lgks.Bath(S, 0.5, lgks.DrudeLorentz(0.1, CUTOFF))
        driven = lgks.System(Z / 40, bath).driven(lgks.Drive(Z, lgks.periodic([0, 0.02], omega)))
        return observed(lgks.cycle(driven, harmonics=HARMONICS, instantaneous=True))[0]

    a, _ = solved([case(Z / 40, Z, (0, 0.02), w, strength=0.1) for w in omegas])
    off = [np.max(np.abs(one[:, 2:4] - at_once(w)[:, 2:]), axis=0) for one, w in zip(a, omegas, strict=True)]
    off = [x / np.max(np.abs(one[:, 2:4]), axis=0) for x, one in zip(off, a, strict=True)]
    assert np.all(off[0] < 0.05)
    assert np.all(off[0] / off[1] > 1.8)


# -------------------------------------------------------------------------------------------------------- slow drives


def test_levels_and_modes_solve_one_equation():
    """A cycle with 12 harmonics in the basis of the levels against one with 32 in that of Floquet's modes: observables,
    currents, power. A derivative in reverse mode against differences of the values that come with it; multipliers
    against those with twice the times."""
    H0, drives, _, *baths = case(V=X + 0.5 * Y, h=(0, 0.06), W=Z, k=(0, 0.08j), strength=0.01)

    def found(omega, **options):
        c = lgks.cycle(driven_qubit(H0, drives, omega, *baths), **options)
        return 1e6 * c.power, (observed(c), c)

    slow = jax.jit(lambda omega: jax.value_and_grad(found, has_aux=True)(omega, harmonics=12, slow=True))
    (_, ((few, _, quality), c)), slope = slow(0.07)
    many, work, _ = jax.jit(lambda: found(0.07, harmonics=32)[1][0])()
    assert np.max(quality) < 1e-7
    close(few, many, 1e-7)
    np.testing.assert_allclose(c.power, work, rtol=1e-7)
    values = [slow(0.07 + h)[0][0] for h in (1e-3, -1e-3, 2e-3, -2e-3)]
    first, second = (values[0] - values[1]) / 2e-3, (values[2] - values[3]) / 4e-3
    np.testing.assert_allclose(slope, (4 * first - second) / 3, rtol=1e-6)
    count = enough(c.hamiltonians, c.omega)
    assert count > len(c.times)
    more = multipliers(c.hamiltonians, c._dissipators, c.omega, 2 * count + 1)
    np.testing.assert_allclose(np.abs(c.multipliers), np.abs(more), rtol=1e-8)


def test_a_drive_slower_than_everything_has_states_at_rest():
    """ω = 1e−5 takes 1e5 harmonics of Floquet's modes; that few of the levels do is found. The state is that of rest
    under H(t), to the order of ω over the rate, 1e−5 / 0.02 of what moves. Faster than the levels: told."""

    def turned(omega):
        drives = [(X + 0.5 * Y, jnp.array([0, 0.15 + 0j])), (Z, jnp.array([0, 0.1j]))]
        return driven_qubit(Z / 2, drives, omega, (S,), (0.5,), 0.01)

    c = lgks.cycle(turned(1e-5))
    assert c.slow
    assert c.harmonics == 16
    at = 0.3 * float(c.period)
    rest = lgks.steady_state(turned(1e-5).at(at), REDFIELD).rho
    assert 1e-7 < np.max(np.abs(c.states(at) - rest)) < 1e-5
    with pytest.raises(SteadyStateError, match="further apart than the last harmonic"):
        lgks.cycle(turned(0.5), harmonics=16, slow=True)
