"""The judge: every master equation against the numerically exact hierarchy (HEOM), run here by QuTiP.

Three systems between two Drude–Lorentz baths at weak coupling, λ = 1e−3: two qubits; a V-type three-level system whose
upper levels lie as close as they are broad; a qutrit with complex couplings that do not commute. Graded are the steady
heat current from the first bath and its static response, the relative slope (1/J)dJ/dδ. An equation of second order in
the coupling may miss both by the order of λ; what it misses beyond that is its own approximation.

    d⟨H⟩/dt from bath a = −i Tr(H [Q_a, X_a]) = Tr(i[Q_a, H] X_a),    X_a = Tr_B(R_a ρ_tot)

with H_int = Σ_a Q_a R_a. In QuTiP's scaling dρ/dt = −i[H, ρ] − i Σ_k [Q_k, ρ_k], so that X_a is the plain sum of the
first-tier auxiliary operators ρ_k of bath a, whatever kind their exponents are.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest
import qutip
from qutip.solver.heom import DrudeLorentzPadeBath, HEOMSolver, bofin_solvers
from scipy.sparse.linalg import splu

import jaxlgks as lgks

REFERENCE = json.loads((Path(__file__).parent / "reference" / "two_qubit_heom.json").read_text())["heom"]
LAMBDA, CUTOFF = 1e-3, 2.0


@dataclass(frozen=True)
class Case:
    """A system, what perturbs it, and the step of the central differences (the same for both sides)."""

    system: lgks.System
    V: jnp.ndarray
    step: float


def two_qubits(strength: float = LAMBDA) -> Case:
    """ω = 1, g = 0.2, T = (0.45, 0.35), V = σ_z σ_z: the system of the reference file."""
    density = lgks.DrudeLorentz(strength, CUTOFF)
    system = lgks.models.two_qubits(1.0, 0.2, temperatures=(0.45, 0.35), spectrum=density)
    return Case(system, lgks.models.pauli("ZZ"), 1e-3)


def near_degenerate(strength: float = LAMBDA) -> Case:
    """Ground state and two levels at 1 ∓ ν/2, ν = λ (the decay rate is 2.5λ): the baths reach the superpositions
    (cos 0.6, sin 0.6) and (cos 0.9, −e^{0.6i} sin 0.9) of them. These are almost orthogonal, so that heat passes
    only because ν turns one into the other. V moves the levels apart."""

    def coupling(angle: float, phase: float) -> np.ndarray:
        S = np.zeros((3, 3), complex)
        S[0, 1:] = np.cos(angle), np.sin(angle) * np.exp(1j * phase)
        return S + S.conj().T

    density = lgks.DrudeLorentz(strength, CUTOFF)
    baths = [
        lgks.Bath(coupling(0.6, 0.0), 1.0, density, "hot"),
        lgks.Bath(coupling(-0.9, 0.6), 0.5, density, "cold"),
    ]
    system = lgks.System(np.diag([0.0, 1 - strength / 2, 1 + strength / 2]), baths)
    return Case(system, jnp.diag(jnp.array([0, -0.5, 0.5], complex)), strength / 100)


def complex_qutrit(strength: float = LAMBDA) -> Case:
    """Levels 0, 0.7, 1.6, well apart; complex couplings with diagonal elements, [S_hot, S_cold] ≠ 0; V moves every
    level and turns every eigenvector."""
    hot = np.array([[0.2, 1, 0.3j], [1, -0.1, 0.4], [-0.3j, 0.4, 0]])
    cold = np.array([[0, 0.5j, 0.2], [-0.5j, 0.3, 1], [0.2, 1, 0]])
    V = jnp.array([[0.2, 0.3 - 0.2j, 0.1j], [0.3 + 0.2j, -0.5, 0.4], [-0.1j, 0.4, 0.6]])
    density = lgks.DrudeLorentz(strength, CUTOFF)
    baths = [lgks.Bath(hot, 1.0, density, "hot"), lgks.Bath(cold, 0.5, density, "cold")]
    return Case(lgks.System(np.diag([0.0, 0.7, 1.6]), baths), V, 1e-3)


CASES = {"two qubits": two_qubits, "near-degenerate": near_degenerate, "complex qutrit": complex_qutrit}
EQUATIONS = {
    "Davies": lambda system, lamb: lgks.Davies(lamb_shift=lamb).fixed(system),
    "Unified": lambda system, lamb: lgks.Unified(lamb_shift=lamb).fixed(system),
    "ULE": lambda system, lamb: lgks.UniversalLindblad(lamb_shift=lamb),
    "Redfield": lambda system, lamb: lgks.Redfield(lamb_shift=lamb),
    "Local": lambda system, lamb: lgks.Local(system, lamb_shift=lamb),
}


# ---------------------------------------------------------------------------------------------------------- the judge


def from_the_deepest_tier(L, b):
    """QuTiP's linear system, its unknowns eliminated in the reverse of their order: an operator of the deepest tier
    meets few of the tier above. (In SuperLU's own order a steady state takes a hundred times as long.) No pivots are
    sought; one step of refinement."""
    back = np.arange(b.size)[::-1]
    matrix, right = L[back][:, back].tocsc(), b[back]
    factors = splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    x = factors.solve(right)
    return (x + factors.solve(right - matrix @ x))[back]


def hierarchy(system: lgks.System, depth: int = 2, exponents: int = 5) -> np.ndarray:
    """Steady heat currents into the system, one a bath. Two Padé exponents are not enough (twice the current)."""
    H = np.asarray(system.hamiltonian)
    baths = [
        DrudeLorentzPadeBath(
            qutip.Qobj(np.asarray(bath.coupling)),
            lam=float(bath.spectrum.strength),
            gamma=float(bath.spectrum.cutoff),
            T=float(bath.temperature),
            Nk=exponents,
            tag=position,
        )
        for position, bath in enumerate(system.baths)
    ]
    with mock.patch.object(bofin_solvers, "spsolve", from_the_deepest_tier):
        _, ados = HEOMSolver(qutip.Qobj(H), baths, max_depth=depth).steady_state(use_mkl=False)
    currents = []
    for position, bath in enumerate(system.baths):
        Q = np.asarray(bath.coupling)
        X = sum(ados.extract(label).full() for label in ados.filter(level=1, tags=[position]))
        currents.append(np.trace(1j * (Q @ H - H @ Q) @ X))
    assert np.max(np.abs(np.imag(currents))) < 1e-14
    return np.real(currents)


def current_and_slope(case: Case, currents) -> np.ndarray:
    """J and (1/J)dJ/dδ of the first bath, the latter by central differences."""
    zero, up, down = (
        float(currents(system)[0])
        for system in (case.system, case.system.perturbed(case.V, case.step), case.system.perturbed(case.V, -case.step))
    )
    return np.array([zero, (up - down) / (2 * case.step) / zero])


@functools.cache
def exact(name: str, strength: float = LAMBDA) -> np.ndarray:
    return current_and_slope(CASES[name](strength), hierarchy)


def errors(name: str, equation: str, lamb: bool, strength: float = LAMBDA) -> np.ndarray:
    """Relative errors of current and slope."""
    case = CASES[name](strength)
    generator = EQUATIONS[equation](case.system, lamb)
    return current_and_slope(case, lambda system: lgks.heat_currents(system, generator)) / exact(name, strength) - 1


# ------------------------------------------------------------------------------------------------- the judge is judged


@pytest.mark.parametrize("name", CASES)
def test_the_hierarchy_obeys_the_first_law_and_has_converged(name):
    """ΣJ = 0 to 1e−10; a third tier changes the current by less than 5e−6 (1e−6, 2e−6, 6e−7 seen), three more
    exponents by less than 5e−5 (1e−9, 2e−5, 8e−7 seen). Both are far below what is asserted of the equations."""
    system = CASES[name]().system
    currents = hierarchy(system)
    assert abs(currents.sum()) < 1e-10 * abs(currents[0])
    np.testing.assert_allclose(hierarchy(system, depth=3), currents, rtol=5e-6)
    np.testing.assert_allclose(hierarchy(system, exponents=8), currents, rtol=5e-5)


def test_the_hierarchy_gives_the_numbers_of_the_reference_file():
    """J₀ = 3.85611656e−5, and the slope at every strength of the perturbation in the file, to its last digit."""
    case = two_qubits()
    assert exact("two qubits")[0] == pytest.approx(REFERENCE["J0"], rel=5e-9)
    for row in REFERENCE["rows"][1:]:
        slope = current_and_slope(Case(case.system, case.V, row["delta_Omega"]), hierarchy)[1]
        assert slope == pytest.approx(row["slope"], rel=0, abs=1e-4)


def at_one_temperature(system: lgks.System, temperature: float = 0.7, *, real: bool = False) -> lgks.System:
    """The same baths at one temperature, and the real parts of their couplings if asked for."""
    baths = [
        lgks.Bath(bath.coupling.real if real else bath.coupling, temperature, bath.spectrum, bath.name)
        for bath in system.baths
    ]
    return lgks.System(system.hamiltonian, baths)


@pytest.mark.parametrize("name", CASES)
def test_no_current_between_equal_temperatures(name):
    """None where the couplings commute or are real (time reversal): 2e−6 of the current at most, the quality of the
    exponents. For complex couplings that do not commute, d⟨H⟩/dt from bath a is i⟨[Q_b R_b, Q_a R_a]⟩ at equilibrium,
    of the order λ²: a property of the quantity, not of a solver (6e−4 and 1.6e−3 of the current at λ = 1e−3)."""
    case = CASES[name]()
    assert abs(hierarchy(at_one_temperature(case.system, real=True))[0]) < 2e-6 * abs(exact(name)[0])
    if name != "two qubits":
        whole, half = (hierarchy(at_one_temperature(CASES[name](s).system))[0] for s in (LAMBDA, LAMBDA / 2))
        assert 5e-4 < abs(whole) / exact(name)[0] < 2e-3
        assert whole / half == pytest.approx(4, rel=1e-2)


def test_the_lamb_shift_knows_the_current_between_equal_temperatures():
    """On the near-degenerate levels that current is 2.926e−8. Unified with a Lamb shift gives 3.211e−8 of it, Redfield
    with one 7.63e−8; without one nothing remains, whatever the equation."""
    system = at_one_temperature(near_degenerate().system)
    seen = {
        (name, lamb): float(lgks.heat_currents(system, EQUATIONS[name](system, lamb))[0])
        for name in ("Unified", "Redfield")
        for lamb in (False, True)
    }
    current = hierarchy(system)[0]
    assert current == pytest.approx(2.926e-8, rel=1e-3)
    assert seen["Unified", True] == pytest.approx(current, rel=0.1)
    assert seen["Redfield", True] == pytest.approx(2.6 * current, rel=0.1)
    assert abs(seen["Unified", False]) < 1e-3 * current
    assert abs(seen["Redfield", False]) < 1e-3 * current


# ------------------------------------------------------------------------------------------------------------ verdicts

# Where an equation is right: largest relative error of current and of slope; in brackets what was seen.
RIGHT = [
    ("two qubits", "Davies", False, 3e-4, 1e-4),  # −2.2e−4, 1.5e−5; neither it nor Unified changes with a Lamb shift
    ("two qubits", "Unified", False, 3e-4, 1e-4),  # −2.2e−4, 1.5e−5
    ("two qubits", "ULE", False, 3e-4, 2e-4),  # −2.4e−4, −1.1e−4
    ("two qubits", "Redfield", False, 3e-4, 2e-4),  # −2.4e−4, −1.2e−4
    ("two qubits", "ULE", True, 2e-4, 2e-3),  # 1.6e−4, 1.4e−3: the slope ten times worse than without
    ("two qubits", "Redfield", True, 2e-4, 1e-2),  # 1.4e−4, −8.9e−3: seventy times worse than without
    ("near-degenerate", "Unified", True, 2e-3, 5e-4),  # 1.2e−3, 2.0e−4
    ("near-degenerate", "ULE", True, 2e-3, 5e-4),  # 1.2e−3, 2.0e−4
    ("near-degenerate", "Redfield", True, 3e-3, 5e-4),  # 2.2e−3, −1.0e−4
    ("complex qutrit", "Davies", False, 4e-3, 1.6e-2),  # 3.1e−3, −1.4e−2; the same with a Lamb shift, as Unified
    ("complex qutrit", "Unified", False, 4e-3, 1.6e-2),  # 3.1e−3, −1.4e−2
    ("complex qutrit", "ULE", False, 4e-3, 1.3e-2),  # 3.3e−3, −1.1e−2
    ("complex qutrit", "Redfield", False, 4e-3, 1.6e-2),  # 3.2e−3, −1.5e−2
    ("complex qutrit", "ULE", True, 1e-3, 1.3e-2),  # −6.4e−4, −1.1e−2
    ("complex qutrit", "Redfield", True, 2e-3, 1e-2),  # −1.4e−3, −8.4e−3
]

# Where an equation is wrong: the relative error itself, of current and of slope.
WRONG = [
    ("two qubits", "Local", False, -2.2e-4, 3.862),  # −1.7511 for −0.3601: the shift of the rates is missing
    ("complex qutrit", "Local", False, 3.1e-3, -0.808),
    ("near-degenerate", "Davies", False, 2.263, -1.000),  # 3.3 times the current, and no response to speak of
    ("near-degenerate", "Davies", True, 2.263, -1.000),
    ("near-degenerate", "Local", False, 2.263, -1.000),
    ("near-degenerate", "Unified", False, -0.1466, 0.1706),  # the Lamb shift is as large as the splitting
    ("near-degenerate", "ULE", False, -0.1466, 0.1706),
    ("near-degenerate", "Redfield", False, -0.1466, 0.1706),
]


def label(row) -> str:
    return f"{row[0]}, {row[1]}{' with Lamb shift' if row[2] else ''}"


@pytest.mark.parametrize("row", RIGHT, ids=label)
def test_where_an_equation_is_right(row):
    name, equation, lamb, current, slope = row
    seen = np.abs(errors(name, equation, lamb))
    assert seen[0] < current
    assert seen[1] < slope


@pytest.mark.parametrize("row", WRONG, ids=label)
def test_where_an_equation_is_wrong(row):
    """By the measured amount: 2 % of it, or the order of the coupling."""
    name, equation, lamb, current, slope = row
    np.testing.assert_allclose(errors(name, equation, lamb), [current, slope], rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("row", [row for row in RIGHT if row[0] != "two qubits" or row[1] == "Redfield"], ids=label)
def test_what_is_missed_is_of_the_next_order_in_the_coupling(row):
    """At λ/2 half the error of the current: it is that of second order in the coupling, not an approximation of the
    equation's own. The larger errors of slopes halve as well."""
    name, equation, lamb, *_ = row
    whole, half = errors(name, equation, lamb), errors(name, equation, lamb, LAMBDA / 2)
    assert whole[0] / half[0] == pytest.approx(2, abs=0.2)
    if abs(whole[1]) > 1e-3:
        assert whole[1] / half[1] == pytest.approx(2, abs=0.1)


def test_what_is_wrong_stays_wrong_at_weaker_coupling():
    """With ν/λ kept, the errors at λ/2 are those at λ: no weakness of the coupling helps."""
    for name, equation, lamb, *_ in WRONG:
        np.testing.assert_allclose(
            errors(name, equation, lamb, LAMBDA / 2), errors(name, equation, lamb), rtol=0.02, atol=2e-3
        )


@pytest.mark.parametrize(("name", "relative"), [("near-degenerate", 1e-3), ("complex qutrit", 1.6e-2)])
def test_the_derivative_itself_against_the_hierarchy(name, relative):
    """The static response by formula, not by differences: Unified with Lamb shift, clusters fixed."""
    case = CASES[name]()
    equation = lgks.Unified(lamb_shift=True).fixed(case.system)
    static = lgks.thermodynamic_response(case.system, case.V, equation).heat_currents.static().total[0]
    assert float(static / lgks.heat_currents(case.system, equation)[0]) == pytest.approx(exact(name)[1], rel=relative)


# ------------------------------------------------------------------------------------------------------ the notebook

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "02_which_master_equation.ipynb"


def test_the_numbers_of_the_notebook_are_the_hierarchy_s():
    """What notebook 02 calls HEOM, to the digits it stores: currents against δ and ν, and both slopes."""
    source = "\n".join("".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"])
    space = {"np": np}
    for name in ("delta_exact", "J_exact", "nu_exact", "J_nu", "exact_slope"):
        (line,) = [line for line in source.splitlines() if line.startswith(f"{name} = ")]
        exec(line, space)
    qubits, three = two_qubits(), near_degenerate()
    base = three.system.perturbed(three.V, -LAMBDA)  # ν = 0
    for x, J in zip(space["delta_exact"][::3], space["J_exact"][::3], strict=True):
        assert hierarchy(qubits.system.perturbed(qubits.V, x))[0] == pytest.approx(J, abs=0.6e-10)
    for nu, J in zip(space["nu_exact"][1::3], space["J_nu"][1::3], strict=True):
        assert hierarchy(base.perturbed(three.V, nu))[0] == pytest.approx(J, rel=1e-5)
    assert space["exact_slope"] == pytest.approx(exact("two qubits")[1], abs=1e-5)
    stored = [float(x) for x in ("4.55542e-5", "886.999") if x in source]
    assert stored == pytest.approx(exact("near-degenerate"), rel=2e-5)
