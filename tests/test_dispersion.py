"""What a susceptibility must be as a function of ω: causal, with known limits, and at a line the golden rule.

One call of the library gives the numbers; the rest is NumPy, whose quadratures and closed forms share nothing with it.
"""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks

P = lgks.models.pauli
X, Y, Z = (np.asarray(P(word)) for word in "XYZ")
V = Z + 0.5 * X
STACK = np.stack([X, Y, Z])
REDFIELD = lgks.Redfield(lamb_shift=True)


def qubit(density, temperatures=(0.7, 0.4)) -> lgks.System:
    couplings = X, 0.6 * X + 0.4 * Z
    return lgks.System(Z / 2, [lgks.Bath(S, T, density) for S, T in zip(couplings, temperatures, strict=True)])


def panels(edges: np.ndarray, nodes: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre between the edges."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    width = np.diff(edges)[:, None]
    return (edges[:-1, None] + width * (x + 1) / 2).ravel(), (width * w / 2).ravel()


def around(line: float, least: float, most: float, ratio: float) -> np.ndarray:
    """Edges that crowd towards a line from both sides."""
    steps = least * ratio ** np.arange(np.ceil(np.log(most / least) / np.log(ratio)) + 1)
    return line + np.concatenate([-steps[::-1], [0.0], steps])


@functools.cache
def causal():
    """Frequencies from zero to 1e8 with weights, and places between them."""
    line = around(1.0, 1e-2, 0.5, 1.6)
    edges = np.concatenate(
        [[0.0], np.geomspace(1e-3, 0.4, 10), line[(line > 0.42) & (line < 1.58)], np.geomspace(1.6, 1e8, 40)]
    )
    omega, weights = panels(edges)
    return omega, weights, np.array([0.02, 0.3, 0.93, 1.04, 2.2, 7.0])


@pytest.mark.parametrize("what", ["observable", "heat current"])
def test_kramers_and_kronig(what):
    """Re χ(ω) = (2/π) P∫ ω' Im χ(ω')/(ω'² − ω²) and Im χ(ω) = −(2ω/π) P∫ Re χ(ω')/(ω'² − ω²), of ⟨σz⟩ and of a heat
    current less its constant χ(∞), to 1e−7 of the largest element: no pole of χ lies in the upper half-plane. The
    singularity is subtracted, P∫ dω'/(ω'² − ω²) = 0."""
    omega, weights, at = causal()
    system = qubit(lgks.DrudeLorentz(0.02, 1.5))
    r = lgks.response(system, V, Z, REDFIELD)
    if what == "heat current":
        r = lgks.response(system, V, lgks.HeatCurrent(0), REDFIELD)
    chi = np.asarray(r.susceptibility(np.concatenate([omega, at, [1e12]])).total)
    chi = chi - chi[-1].real
    along, here = chi[: omega.size], chi[omega.size : -1]
    kernel = 2 / np.pi * weights / (omega**2 - at[:, None] ** 2)
    real = np.sum(kernel * (omega * along.imag - (at * here.imag)[:, None]), axis=1)
    imaginary = -at * np.sum(kernel * (along.real - here.real[:, None]), axis=1)
    np.testing.assert_allclose(real + 1j * imaginary, here, rtol=0, atol=1e-7 * np.max(np.abs(along)))


def kernel_at_rest(density, S, T) -> np.ndarray:
    """G(ω_mn) S_mn from the rate and the Lamb shift, which know no exponentials."""
    frequencies = np.subtract.outer(np.diag(Z), np.diag(Z)).real.T / 2
    G = np.asarray(density.rate(frequencies, T)) / 2 + 1j * np.asarray(density.lamb_shift(frequencies, T))
    return G * S


@pytest.mark.parametrize(
    ("density", "steps"),
    [
        (lgks.DrudeLorentz(0.02, 1.5), 1.0),
        pytest.param(lgks.Ohmic(0.02, 1.5), None, marks=pytest.mark.slow),
        pytest.param(lgks.UnderdampedBrownian(0.1, 0.6, 1.6), 0.1, marks=pytest.mark.slow),
    ],
    ids=["drude", "exponential", "brownian"],
)
def test_dissipators_do_not_follow_a_fast_drive(density, steps):
    """D₁(ω) → C/ω with C = −Σ[S, [V, Λ⁽⁰⁾]π₀] − h.c. for any density, C from Γ and the Lamb shift alone: a kick leaves
    −i[V, Λ⁽⁰⁾] in the operators of the baths, whose share of a period falls as 1/ω. So ω(χ − χ_Kubo) falls as 1/ω too:
    nothing but Kubo's part answers at once. Both slopes over two decades, ±1e−3. Densities differ in what comes next,
    of the order of C(τ = 1/ω)/ω²: ln ω/ω² for Drude's, whose C(τ) diverges as ln τ, so that it grows by equal steps
    each decade; constant/ω² where C(0) is finite, with steps that fall as 1/ω (of the exponential cut-off the fit to
    1e−6 hides them)."""
    system, fast = qubit(density), np.array([1e2, 1e3, 1e4])
    r = lgks.response(system, V, STACK, REDFIELD)
    source, L = r._delay().source, r.generator
    pi = np.asarray(L.external(source.state))
    expected = np.zeros((2, 2), complex)
    for bath in system.baths:
        S = np.asarray(bath.coupling)
        kernel = kernel_at_rest(density, S, float(bath.temperature))
        moved = (V @ kernel - kernel @ V) @ pi
        expected += moved @ S - S @ moved - (moved @ S - S @ moved).conj().T
    D = np.array([L.external(jnp.sum(source.at(jnp.asarray(w)), axis=(0, 1))) for w in fast])
    parts = r.susceptibility(fast)
    beside = fast * np.max(np.abs(parts.rotation + parts.shift), axis=1)
    for falling in (np.linalg.norm(D, axis=(1, 2)), beside):
        np.testing.assert_allclose(np.diff(np.log10(falling)), -1, atol=1e-3)
    following = fast[:, None, None] * (fast[:, None, None] * D - expected)
    if steps is not None:
        first, second = np.linalg.norm(np.diff(following, axis=0), axis=(1, 2))
        assert second / first == pytest.approx(steps, rel=0.02)


def test_absorbed_power_at_a_line_is_the_golden_rule():
    """Three levels at one temperature, a drive h cos ωt of a V that joins two of them, between others: the power
    −½ω Im χ_V, integrated over the line, is ½πω_mn|V_mn|²(p_m − p_n), Fermi's rule with Gibbs populations p. A fourth
    of the coupling leaves a fourth of the deviation, which are the line's tails, at three couplings."""
    levels, T = np.array([0.0, 1.0, 1.7]), 0.6
    S = np.array([[0.0, 1.0, 0.6], [1.0, 0.2, 0.8], [0.6, 0.8, -0.1]])
    V = np.array([[0.1, 0.3, 0.0], [0.3, -0.2, 0.5j], [0.0, -0.5j, 0.0]])
    omega, weights = panels(around(0.7, 1e-4, 0.1, 1.6))
    p = np.exp(-levels / T) / np.sum(np.exp(-levels / T))
    golden = np.pi / 2 * (levels[2] - levels[1]) * np.abs(V[1, 2]) ** 2 * (p[1] - p[2])
    deviations = []
    for strength in (4e-4, 1e-4, 2.5e-5):
        system = lgks.System(np.diag(levels), lgks.Bath(S, T, lgks.DrudeLorentz(strength, 2.0)))
        losses = np.asarray(lgks.response(system, V, V, REDFIELD).susceptibility(omega).total.imag)
        deviations.append(abs(np.sum(weights * -omega * losses / 2) / golden - 1))
    falls = np.array(deviations[1:]) / deviations[:-1]
    assert np.all((falls > 0.2) & (falls < 0.3))
    assert deviations[-1] < 1e-3


@pytest.mark.parametrize(
    "equation",
    [lgks.Davies(), pytest.param(lgks.UniversalLindblad(), marks=pytest.mark.slow), REDFIELD],
    ids=lambda e: type(e).__name__,
)
def test_what_an_equation_keeps_of_its_own(equation):
    """`remainder` is what is left of −iωχ beside i⟨[V, A]⟩ at ω = 1e8 and 1e9: of the order of the coupling for a
    secular equation, zero for the exact one; at once φ(0⁺) − i⟨[V, A]⟩."""
    system = qubit(lgks.DrudeLorentz(0.02, 1.5))
    pi = np.asarray(lgks.steady_state(system, equation).rho)
    kick = np.array([np.trace(1j * (V @ A - A @ V) @ pi).real for A in STACK])
    r = lgks.response(system, V, STACK, equation)
    limits = -1j * np.array([[1e8], [1e9]]) * np.asarray(r.susceptibility([1e8, 1e9]).total)
    np.testing.assert_allclose(limits[1] - kick, r.remainder, rtol=0, atol=1e-8)
    if equation.second_order:
        assert not np.any(r.remainder)
    else:
        assert np.max(np.abs(r.remainder)) > 1e-4
    at_once = lgks.response(system, V, STACK, equation, instantaneous=True)
    np.testing.assert_allclose(at_once.impulse(0.0).total - kick, at_once.remainder, rtol=0, atol=1e-14)


def test_what_davies_keeps_is_its_own_change_at_rest_less_that_of_redfield():
    """Of populations: Tr[A (D₁(0) − D₁^Redfield(0))π₀ − A N x_K], D₁ by differences of the two generators at ±h, N
    their difference, x_K = L⁻¹i[V, π₀], on the steady state of Davies. They agree up to the square of the coupling."""
    system, h = qubit(lgks.DrudeLorentz(0.002, 1.5)), 1e-3
    pi = np.asarray(lgks.steady_state(system).rho)

    def generator(x, equation):
        return np.asarray(lgks.liouvillian(system.perturbed(V, x), equation))

    changes, stills = [], []
    for equation in (lgks.Davies(), REDFIELD):
        changes.append((generator(h, equation) - generator(-h, equation)) / (2 * h))
        stills.append(generator(0.0, equation))
    coherent = np.linalg.lstsq(stills[0], 1j * (V @ pi - pi @ V).T.reshape(-1))[0]
    left = (changes[0] - changes[1]) @ pi.T.reshape(-1) - (stills[1] - stills[0]) @ coherent
    expected = np.trace(Z @ left.reshape(2, 2).T).real
    found = float(lgks.response(system, V, STACK).remainder[2])
    assert found == pytest.approx(expected, rel=1e-3)
