"""Responses whose dissipators follow the drive with the memory of their baths.

Witnesses: numerically exact χ(ω) (HEOM, stored); exact identities; each other. The driven equation of (ρ, Λ_j) is the
witness of test_driven.py. The exponentials of the baths have tests of their own.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

import jaxlgks as lgks
from jaxlgks._generator._dense import DenseCore
from jaxlgks._generator._interpolation import interpolation
from jaxlgks._generator._retarded import divided, turned
from jaxlgks._generator._transient import panels_for, transient
from jaxlgks.errors import CorrelationError, DerivativeOrderError, InputError, ShapeError
from jaxlgks.paper._memory import stored

P = lgks.models.pauli
X, Y, Z = (np.asarray(P(word)) for word in "XYZ")
HEOM = stored()
OMEGAS = np.array(HEOM["qubit"]["omega"])
REDFIELD = lgks.Redfield(lamb_shift=True)


def qubit(strength=0.002, couplings=(X, 0.6 * X + 0.4 * Z), temperatures=(0.7, 0.4), cutoff=1.5) -> lgks.System:
    density = lgks.DrudeLorentz(strength, cutoff)
    return lgks.System(
        Z / 2, [lgks.Bath(S, T, density, name) for S, T, name in zip(couplings, temperatures, "ab", strict=True)]
    )


def two_qubits() -> lgks.System:
    density = lgks.DrudeLorentz(0.001, 2.0)
    return lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=density, temperatures=(0.45, 0.35))


CASES = {
    "qubit": (qubit, Z, {"sz": Z, "sx": X, "sy": Y}),
    "two": (two_qubits, np.asarray(P("ZZ")), {"szA": np.asarray(P("ZI")), "szsz": np.asarray(P("ZZ"))}),
}


@functools.cache
def both(name: str, equation) -> tuple:
    """The responses of observables and of heat currents."""
    system, V, observables = CASES[name]
    stack = np.stack(list(observables.values()))
    r = lgks.response(system(), V, stack, equation)
    return r, lgks.thermodynamic_response(system(), V, equation).heat_currents


@functools.cache
def errors(name: str, equation) -> dict[str, np.ndarray]:
    """Of |χ(ω)|, relative to HEOM."""
    r, currents = both(name, equation)
    chi, J = (np.asarray(x.susceptibility(OMEGAS).total) for x in (r, currents))
    exact = {key: np.array([complex(*z) for z in values]) for key, values in HEOM[name]["chi"].items()}
    found = dict(zip(CASES[name][2], chi.T, strict=True)) | {"J_a": J[:, 0]}
    return {key: np.abs(found[key] - exact[key]) / np.abs(exact[key]) for key in exact}


@pytest.mark.parametrize("name", CASES)
def test_redfield_with_memory_against_the_hierarchy(name):
    """Every entry to 2 %, a coherence of the order of the coupling to 6 %, over four decades of frequency; at once it
    is 160 % at the largest."""
    for key, error in errors(name, REDFIELD).items():
        assert np.max(error) < (0.06 if key == "sx" else 0.02), key


@pytest.mark.slow
@pytest.mark.parametrize("equation", [lgks.Davies(), lgks.UniversalLindblad()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("name", CASES)
def test_other_equations_take_the_memory_of_redfield(name, equation):
    """Populations and currents to 1.5 %, but 3.5 % at ω = 2, where two quanta are in resonance; fast coherences, which
    these equations do not have at rest, from 0.7 of the transition on."""
    for key, error in errors(name, equation).items():
        if key in ("sx", "sy"):
            assert np.max(error[OMEGAS >= 0.7]) < 0.02, key
        else:
            assert np.max(error[OMEGAS != 2.0]) < 0.015, key
            assert np.max(error) < 0.035, key


@pytest.mark.slow
@pytest.mark.parametrize("resonant", [False, True])
@pytest.mark.parametrize("equation", [lgks.Davies(), lgks.UniversalLindblad()], ids=lambda e: type(e).__name__)
def test_what_an_equation_averages_away_is_put_back(equation, resonant):
    """Two qubits, V = σxσx, which makes coherences that reach populations through what a secular equation lacks, and
    turns what the steady state has of them: observables and currents within 6 % of Redfield's, which the other tests
    judge; at once they are off by factors. Without M the first system is wrong by 2.8, without k₁ the second."""
    density = lgks.DrudeLorentz(0.001, 2.0)
    H = 0.5 * P("ZI") + 0.65 * P("IZ") + 0.1 * P("XX")
    system = lgks.System(H, [lgks.Bath(P("XI"), 0.45, density, "a"), lgks.Bath(P("IX"), 0.35, density, "b")])
    system = two_qubits() if resonant else system
    observables = np.stack([np.asarray(P(word)) for word in ("ZI", "ZZ", "XX")])
    omegas = np.array([0.05, 0.3, 0.7, 1.3, 4.0])

    def chi(equation, **options):
        r = lgks.response(system, P("XX"), observables, equation, **options).susceptibility(omegas).total
        J = lgks.thermodynamic_response(system, P("XX"), equation, **options).heat_currents.susceptibility(omegas).total
        return np.concatenate([r, J[:, :1]], axis=1)

    expected = chi(REDFIELD)
    error = np.abs(chi(equation) - expected) / np.abs(expected)
    assert np.max(error) < 0.06
    assert np.max(np.abs(chi(equation, instantaneous=True) - expected) / np.abs(expected)) > 1


@pytest.mark.parametrize("equation", [REDFIELD, lgks.Davies()], ids=lambda e: type(e).__name__)
def test_limits_and_identities(equation):
    """χ(0) is the static response; χ(−ω) = χ(ω)*; the first law, Σ_α J₁^α = −iω⟨H₀⟩₁; long times are static; a kick
    acts on the system at once, φ(0⁺) = i⟨[V, A]⟩."""
    r, currents = both("qubit", equation)
    omegas = np.array([0.0, 0.3, -0.3, 1.3, 1e7])
    chi, J = (np.asarray(x.susceptibility(omegas).total) for x in (r, currents))
    exact = 1e-12
    for values, static in ((chi[0], r.static()), (J[0], currents.static())):
        np.testing.assert_allclose(values, static.total, rtol=0, atol=exact * np.max(np.abs(values)))
    np.testing.assert_allclose(chi[2], chi[1].conj(), rtol=0, atol=1e-13)
    # ⟨H₀⟩ is ⟨σz⟩/2
    np.testing.assert_allclose(J.sum(axis=1)[:4], (-1j * omegas * chi[:, 0] / 2)[:4], rtol=0, atol=1e-12)
    late = r.step(3e4).total
    np.testing.assert_allclose(late, r.static().total, rtol=0, atol=1e-8)
    pi = np.asarray(lgks.steady_state(qubit(), equation).rho)
    kick = [np.trace(1j * (Z @ A - A @ Z) @ pi).real for A in (Z, X, Y)]
    if equation.second_order:
        np.testing.assert_allclose(r.impulse(0.0).total, kick, rtol=0, atol=1e-12)
        high = np.asarray(r.susceptibility(1e5).total) * 1e5
        np.testing.assert_allclose(high, 1j * np.asarray(kick), rtol=0, atol=1e-6)


V_TIME = Z + 0.5 * X
DENSITY = lgks.DrudeLorentz(0.02, 1.5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*treats levels apart:UserWarning")  # six decay rates, so that times are short
@pytest.mark.parametrize(
    "equation", [REDFIELD, lgks.Davies(), lgks.UniversalLindblad()], ids=lambda e: type(e).__name__
)
def test_time_and_frequency_are_one_response(equation):
    """χ(ω) is the transform of φ(t), and Φ its integral, for observables and for what depends on the dissipators:
    every start, exponential and kernel of the response in time. By Simpson's rule, h = 0.05."""
    h, count = 0.05, 2400
    t, weights = h * np.arange(count + 1), np.ones(count + 1) * 2
    weights[1::2], weights[[0, -1]] = 4, 1
    omegas = np.array([0.0, 0.3, 1.0, 2.3])
    kernel = weights * h / 3 * np.exp(1j * omegas[:, None] * t)
    system = qubit(0.05)
    r = lgks.response(system, V_TIME, np.stack([X, Y, Z]), equation)
    for one in (r, lgks.thermodynamic_response(system, V_TIME, equation).entropy_production):
        impulse, step = one.impulse(t), one.step(t)
        chi = np.asarray(one.susceptibility(omegas).total)
        transformed = np.tensordot(kernel, np.asarray(impulse.total), axes=1) + np.asarray(impulse.explicit)[0]
        np.testing.assert_allclose(transformed, chi, rtol=0, atol=5e-6 * np.max(np.abs(chi)))
        integral = scipy.integrate.cumulative_simpson(np.asarray(impulse.total), dx=h, axis=0, initial=0)
        expected = (integral + np.asarray(impulse.explicit))[::2]
        np.testing.assert_allclose(step.total[::2], expected, rtol=0, atol=1e-5 * np.max(np.abs(expected)))


def test_what_has_no_memory_is_named():
    """`Flat`, of oscillators too, a response by channel, heat in a rotating frame: what is not known is no number. At
    once each answers."""
    flat = qubit()
    flat = lgks.System(flat.hamiltonian, [lgks.Bath(X, 0.5, lgks.Flat(0.01), "flat")])
    r = lgks.response(flat, Z, X)
    assert np.isfinite(r.static().total)
    with pytest.raises(CorrelationError, match=r"'flat'.*instantaneous=True"):
        r.susceptibility(0.3)
    assert np.isfinite(lgks.response(flat, Z, X, instantaneous=True).susceptibility(0.3).total)
    with pytest.raises(InputError, match=r"channel currents.*instantaneous=True"):
        lgks.thermodynamic_response(qubit(), Z).channels.susceptibility(0.3)
    (a,) = lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 0.5, lgks.Flat(0.01), "flat"))
    with pytest.raises(CorrelationError, match=r"'flat'.*instantaneous=True"):
        lgks.response(model, a + a.dag, a + a.dag).impulse(1.0)


def test_harmonics_and_absorbed_power():
    """δ(t) = Re Σ h_n e^{−inωt}: harmonics are h_n χ(nω), their sum in time is real, and at one temperature the drive
    does work, for a V that turns the eigenvectors and one that does not, on resonance and far off."""
    system = qubit(0.01, temperatures=(0.5, 0.5))
    h, t = np.array([0.0, 0.3 + 0.2j, 0.1]), np.array([0.0, 1.7])
    for V in (Z, X + 0.3 * Y + 0.5 * Z):
        r = lgks.response(system, V, np.stack([X, Y, Z]), REDFIELD)
        for omega in (0.05, 0.5, 1.0, 4.0):
            found = r.to_harmonics(h, omega)
            assert found.power > 0
            chi = np.asarray(r.susceptibility(omega * np.arange(3)).total)
            np.testing.assert_allclose(found.values, h[:, None] * chi, rtol=0, atol=1e-14)
    expected = np.real(sum(h[n] * chi[n] * np.exp(-1j * n * omega * t[:, None]) for n in range(3)))
    np.testing.assert_allclose(found.at(t), expected, rtol=0, atol=1e-13)
    with pytest.raises(ShapeError, match="to_harmonics"):
        r.to_harmonics([[1.0]], 0.3)


def test_a_drive_of_any_shape():
    """Switched on: the step response, part by part. A cosine that began long ago: the harmonics, at steps longer than a
    period of the system, as a function; its samples are another drive, of straight lines, which as a function has the
    same answer. What cannot be meant is named."""
    r = lgks.thermodynamic_response(qubit(0.05), V_TIME, REDFIELD).heat_currents
    t = np.linspace(0, 600, 31)
    switched, step = r.to_drive(np.ones(31), t), r.step(t)
    for part in ("kubo", "rotation", "shift", "explicit"):
        np.testing.assert_allclose(getattr(switched, part), getattr(step, part), rtol=0, atol=1e-11)

    def drive(t):
        return np.cos(0.05 * np.asarray(t))

    found = r.to_drive(drive, t).total
    np.testing.assert_allclose(found[-1], r.to_harmonics([0, 1.0], 0.05).at(t[-1]), rtol=0, atol=1e-10)
    lines, finer = r.to_drive(drive(t), t).total, np.linspace(0, 600, 61)
    np.testing.assert_allclose(lines, r.to_drive(np.interp(finer, t, drive(t)), finer).total[::2], rtol=0, atol=1e-12)
    assert np.max(np.abs(lines - found)) > 1e-4
    long = np.linspace(0, 6000, 31)
    np.testing.assert_allclose(r.to_drive(np.ones(31), long).total, r.step(long).total, rtol=0, atol=1e-11)
    np.testing.assert_allclose(
        jax.jit(lambda: r.to_drive(lambda u: 1.0, t).total)(), switched.total, rtol=0, atol=1e-12
    )
    for fast in (lambda u: np.cos(20 * u), lambda u: np.where(u < 5, 1.0, 0.0)):
        with pytest.raises(InputError, match="too fast between times"):
            r.to_drive(fast, t)
    with pytest.raises(InputError, match="take arrays"):
        r.to_drive(math.cos, t)
    with pytest.raises(InputError, match="too long"):
        r.to_drive(drive, np.linspace(0, 1e6, 31))
    with pytest.raises(InputError, match="sampled too coarsely"):
        r.to_drive((-1.0) ** np.arange(31), t)
    with pytest.raises(InputError, match="equal steps"):
        r.to_drive(drive, t**2)
    with pytest.raises(ShapeError, match="two or more"):
        r.to_drive(drive, 1.0)
    with pytest.raises(ShapeError, match="real samples"):
        r.to_drive(np.ones(3), t)


def test_a_rotating_frame_keeps_what_is_real_real():
    """Its couplings are not Hermitian, one for each quantum: still χ(−ω) = χ(ω)*, and χ(0) is static."""
    density = lgks.DrudeLorentz(0.01, 2.0)
    baths = [lgks.Bath(X, 0.5, density, "a"), lgks.Bath(Y, 0.3, density, "b")]
    system = lgks.System(-0.05 * Z + 0.3 * X, baths, frame=lgks.RotatingFrame(Z / 2, 1.0))
    r = lgks.response(system, X, np.stack([X, Y, Z]), REDFIELD)
    chi = np.asarray(r.susceptibility([0.0, 0.3, -0.3]).total)
    np.testing.assert_allclose(chi[2], chi[1].conj(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(chi[0], r.static().total, rtol=0, atol=1e-12)
    with pytest.raises(InputError, match=r"rotating frame.*instantaneous=True"):
        lgks.thermodynamic_response(system, X, REDFIELD).heat_currents.susceptibility(0.3)


@pytest.mark.slow
def test_derivatives_in_the_hamiltonian_of_a_secular_equation_are_nan():
    """How what it averages away and gets back turns with H is not known: no plausible number."""
    density = lgks.DrudeLorentz(0.01, 2.0)

    def chi(h):
        system = lgks.System(Z / 2 + h * X, [lgks.Bath(X, 0.5, density, "a")])
        return lgks.response(system, Z, X).susceptibility(0.4).total.real

    assert np.isnan(jax.jit(lambda h: jax.jvp(chi, (h,), (1.0,))[1])(0.1))


def test_near_levels_are_warned_of():
    """A secular equation and a V that joins them: before anything of the memory is computed."""
    density = lgks.DrudeLorentz(0.01, 2.0)
    S = np.array([[0, 1, 0.5], [1, 0, 0.2], [0.5, 0.2, 0]])
    near = lgks.System(np.diag([0.0, 1.0, 1.01]), [lgks.Bath(S, 0.5, density, "a")])
    r = lgks.response(near, S, S)
    with pytest.raises(lgks.ValidityWarning, match=r"V joins.*Redfield\(lamb_shift=True\)"):  # warnings are errors here
        r.susceptibility(0.3)
    with pytest.raises(lgks.ValidityWarning, match=r"V joins"):
        lgks.spectrum(near, np.diag([0.0, 1, 2]), S, 0.3)


def test_kernels_as_functions_of_the_hamiltonian():
    """(z − iΩ_H)⁻¹X and e^{iΩ_H u}X against NumPy's solution and SciPy's exponential of the whole superoperator at a
    Hamiltonian that is not diagonal and has an equal pair of levels at h = 0: derivatives in h by extrapolated
    differences of those, 1e−9, in both modes; a second one in time is refused. No response, no exponentials of a bath,
    so that nothing hides an error of a part in 1e6."""
    generator = np.random.default_rng(0)
    E, u, z = np.array([-1.0, 0.5, 0.5]), np.array([0.0, 0.7, 4.0]), np.array([[0.3 + 0.2j, 2.0]])
    draw = generator.normal(size=(4, 3, 3)) + 1j * generator.normal(size=(4, 3, 3))
    dH, X = draw[0] + draw[0].conj().T, draw[1:3]

    def omega(h):  # of row-stacked X: X H − H X
        H = np.diag(E) + h * dH
        return np.kron(np.eye(3), H.T) - np.kron(H, np.eye(3))

    def expected(h):
        one = [np.linalg.solve(z[0, j] * np.eye(9) - 1j * omega(h), X[j].ravel()) for j in range(2)]
        return np.concatenate(one + [scipy.linalg.expm(1j * omega(h) * t) @ X[0].ravel() for t in u])

    @jax.jit
    def found(h):
        H = jnp.diag(jnp.asarray(E, complex)) + h * dH
        energies, at, Y = jnp.asarray(E), jnp.asarray(u), jnp.asarray(X)
        parts = divided(H, energies, jnp.asarray(z), Y[None]), turned(H, energies, jnp.stack([Y[0]] * 3), at)
        return jnp.concatenate([x.ravel() for x in parts])

    def central(h):
        return (expected(h) - expected(-h)) / (2 * h)

    coarse, fine, finest = (central(h) for h in (2e-3, 1e-3, 5e-4))
    slope = (16 * (4 * finest - fine) - (4 * fine - coarse)) / 45
    np.testing.assert_allclose(found(0.0), expected(0.0), rtol=0, atol=1e-13)
    np.testing.assert_allclose(jax.jvp(found, (0.0,), (1.0,))[1], slope, rtol=0, atol=1e-9 * np.max(np.abs(slope)))
    _, pull = jax.vjp(lambda h: (found(h).real, found(h).imag), 0.0)
    weights = np.cos(np.arange(slope.size))
    np.testing.assert_allclose(pull((weights, weights))[0], weights @ (slope.real + slope.imag), rtol=1e-8)
    with pytest.raises(DerivativeOrderError, match="second derivative in the Hamiltonian"):
        jax.hessian(lambda h: found(h).real.sum())(0.0)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [2, 3])
def test_derivatives_in_the_hamiltonian(levels):
    """Of χ(ω) and of Φ(t), an observable, along a direction that turns the eigenvectors and, with three levels, splits
    a degenerate one, against extrapolated differences of χ and Φ themselves: 1e−6, as well as the exponentials of the
    baths are known. Forward mode; reverse mode of χ at the degenerate level."""
    if levels == 2:
        H, V, dH, A = Z / 2, V_TIME, X + 0.3 * Z, Z + 0.2 * Y
        couplings, step = (X, 0.6 * X + 0.4 * Z), 1e-2
    else:
        H, step = np.diag([0.0, 1.0, 1.0]), 1e-3  # smaller than the decay rates, over which coherences turn
        V = np.array([[0.3, 0.2 - 0.1j, 0.4], [0.2 + 0.1j, -0.5, 0.3j], [0.4, -0.3j, 0.1]])
        dH = np.array([[0.1, 0.3, 0.2j], [0.3, 0.4, 0.5 + 0.1j], [-0.2j, 0.5 - 0.1j, -0.6]])
        A = np.array([[0.3, 0.4 - 0.2j, 0.1], [0.4 + 0.2j, 0.2, 0.6j], [0.1, -0.6j, -0.4]])
        couplings = np.array([[0.2, 1, 0.5], [1, -0.1, 0.3], [0.5, 0.3, 0]]), A

    def values(h, times=True):
        baths = [lgks.Bath(S, T, DENSITY, name) for S, T, name in zip(couplings, (0.7, 0.4), "ab", strict=True)]
        r = lgks.response(lgks.System(H + h * dH, baths), V, A, REDFIELD)
        chi = r.susceptibility(0.4).total
        parts = [chi.real, chi.imag]
        return jnp.stack([*parts, *r.step(jnp.array([0.5, 6.0])).total] if times else parts)

    both = jax.jit(lambda h: jax.jvp(values, (h,), (1.0,)))

    def central(h):
        return (both(h)[0] - both(-h)[0]) / (2 * h)

    coarse, fine, finest = (np.asarray(central(h)) for h in (step, step / 2, step / 4))
    expected = (16 * (4 * finest - fine) - (4 * fine - coarse)) / 45
    np.testing.assert_allclose(both(0.0)[1], expected, rtol=0, atol=1e-6 * np.max(np.abs(expected)))
    if levels == 3:
        gradient = jax.jit(jax.grad(lambda h: values(h, times=False)[1]))(0.0)
        assert float(gradient) == pytest.approx(expected[1], abs=1e-6 * np.max(np.abs(expected)))


def test_panels_resolve_or_say_so():
    """What panels carry through time of exponentials e^{−zt}, real, turning and very fast, against their integrals,
    with an L of pure phases and decay whose solution is known: 1e−12. Panels that are too few for them are not taken
    for enough. Without a generator and a bath."""
    E, gamma, z = jnp.array([0.0, 1.3, 4.0]), 0.005, np.array([0.4, 0.7 + 2.0j, 60.0, 3e4])
    frequencies, until = E[None, :] - E[:, None], jnp.array(40.0)
    core = DenseCore(jnp.diag((1j * frequencies - gamma).T.ravel()))
    row = jnp.ones((1, 3, 3), complex)

    def source(ts):  # the same for each element, with Hermitian parts
        each = jnp.exp(-z * ts[:, None]).sum(axis=1).real
        return each[:, None, None, None] * jnp.ones((1, 3, 3), complex), each[:, None] + 0j

    scales = jnp.array(6.0), jnp.array(gamma), jnp.asarray(z)
    panels = panels_for(until, *scales)
    ts = np.array([0.0, 1e-5, 0.3, 2.0, 17.0, 40.0])
    found = jax.jit(lambda t: transient(core, frequencies, source, until, panels, row)(t))(jnp.asarray(ts))
    rates = np.concatenate([z, z.conj()])[:, None, None, None]
    turns = np.asarray(1j * frequencies - gamma)[None, None]
    expected = (np.exp(turns * ts[:, None, None]) - np.exp(-rates * ts[:, None, None])) / (turns + rates) / 2
    expected = expected.sum(axis=(0, 2, 3))
    np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1e-12 * np.max(np.abs(expected)))
    np.testing.assert_allclose(found[:, 1], np.exp(-z * ts[:, None]).sum(axis=1).real, rtol=0, atol=1e-12)
    assert panels.resolves(until, *scales)
    assert not panels.resolves(until * 1.5, *scales)
    assert not panels._replace(small=3).resolves(until, *scales)


def test_many_frequencies_from_few():
    """Interpolation of the source in ω: at 200 frequencies the same as one by one, to 1e−12 of the largest, with fewer
    nodes; none where a bath remembers longer than frequencies are apart."""
    r, currents = both("qubit", REDFIELD)
    omegas = np.linspace(0.0, 3.0, 200)
    for one in (r, currents):
        chi = np.asarray(one.susceptibility(omegas).total)
        each = np.stack([one.susceptibility(omegas[i : i + 8]).total for i in (0, 96, 192)])
        np.testing.assert_allclose(
            np.stack([chi[:8], chi[96:104], chi[192:]]), each, rtol=0, atol=1e-12 * np.max(np.abs(chi))
        )
    energies = jnp.array([-0.5, 0.5])
    few = interpolation(jnp.array([[1.5 + 0j]]), energies, jnp.asarray(omegas))
    assert few is not None
    assert few.nodes.size < 50
    np.testing.assert_allclose(few.weights.sum(axis=-1), 1.0, rtol=0, atol=1e-13)
    assert interpolation(jnp.array([[1e-3 + 0j]]), energies, jnp.asarray(omegas)) is None


def test_derivatives_in_a_temperature_and_a_strength():
    """Of χ(ω), against central differences, one program; and a response made outside `jit` is asked inside."""

    def chi(x):
        baths = [lgks.Bath(X, x[0], lgks.DrudeLorentz(x[1], 1.5), "a"), lgks.Bath(0.6 * X + 0.4 * Z, 0.4, DENSITY, "b")]
        return lgks.response(lgks.System(Z / 2, baths), V_TIME, Z, REDFIELD).susceptibility(0.4).total.imag

    start, both = jnp.array([0.7, 0.02]), jax.jit(jax.value_and_grad(chi))
    slopes = both(start)[1]
    for i, h in enumerate((1e-3, 1e-4)):
        step = h * jnp.eye(2)[i]
        difference = (both(start + step)[0] - both(start - step)[0]) / (2 * h)
        assert float(slopes[i]) == pytest.approx(float(difference), rel=1e-4)
    r = lgks.response(qubit(0.02), V_TIME, Z, REDFIELD)
    np.testing.assert_allclose(
        jax.jit(lambda w: r.susceptibility(w).total)(0.4), r.susceptibility(0.4).total, rtol=0, atol=1e-12
    )
