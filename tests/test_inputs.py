"""Bad input gets a clear error that names the argument, what was expected and what came; under `jit` it becomes NaN.

The catalogue below runs in a process of its own, without the test session's type checker, which would refuse some of
the arguments before the library sees them: the messages tested are the ones a user reads.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import RESULTS, DerivativeOrderError, SingularDensityError, StateFollowingError

from .systems import hermitian

X, Z, Y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([1.0, -1.0]), np.array([[0, -1j], [1j, 0]])
LOWER = np.array([[0.0, 1.0], [0.0, 0.0]])
LARGE = np.eye(3)
HOLED = np.array([[np.nan, 0.0], [0.0, 1.0]])
DRUDE = lgks.DrudeLorentz(0.05, 2.0)


def qubit(H=0.5 * Z + 0.1 * X, temperatures=(1.0, 0.5), spectrum=DRUDE) -> lgks.System:
    hot, cold = (
        lgks.Bath(X, temperatures[0], spectrum, "hot"),
        lgks.Bath(X + 0.3 * Z, temperatures[1], spectrum, "cold"),
    )
    return lgks.System(H, [hot, cold])


# ----------------------------------------------------------------------------------------------------------------------
# The catalogue: name -> (call, error, words its message must hold: the argument, what was expected, what came)
# ----------------------------------------------------------------------------------------------------------------------

NOT_HERMITIAN = ("must be Hermitian", "max|X - X^dagger| = 1 ")
NOT_FINITE = ("must be finite", "NaN")
WRONG_SPACE = ("must act on the space of the Hamiltonian", "(2, 2)", "(3, 3)")
DEFECTS = {
    "not Hermitian": (LOWER, "NotHermitianError", NOT_HERMITIAN),
    "NaN": (HOLED, "NotHermitianError", NOT_FINITE),
    "other dimension": (LARGE, "ShapeError", WRONG_SPACE),
    "not square": (np.ones((2, 3)), "ShapeError", ("must be a square matrix [d, d]", "(2, 3)")),
    "a vector": (np.ones(2), "ShapeError", ("must be a square matrix [d, d]", "(2,)")),
}

# Every place where an operator is taken: name -> (call with the operator, what the message calls it).
OPERATORS = {
    "System H": (lambda M: lgks.System(M, qubit().baths), "the Hamiltonian"),
    "System edge": (lambda M: lgks.System(Z, qubit().baths, edge=M), "the edge projector"),
    "Bath S": (lambda M: lgks.Bath(M, 1.0, DRUDE, "hot"), "the coupling operator of bath 'hot'"),
    "perturbed V": (lambda M: qubit().perturbed(M, 0.1), "the perturbation V"),
    "response V": (lambda M: lgks.response(qubit(), M, X), "the perturbation V"),
    "response A": (lambda M: lgks.response(qubit(), X, M), "the observable A"),
    "autodiff_response V": (lambda M: lgks.autodiff_response(qubit(), M, X), "the perturbation V"),
    "autodiff_response A": (lambda M: lgks.autodiff_response(qubit(), X, M), "the observable A"),
    "thermodynamic_response V": (lambda M: lgks.thermodynamic_response(qubit(), M), "the perturbation V"),
    "cross_validate V": (lambda M: lgks.cross_validate(qubit(), M, X), "the perturbation V"),
    "cross_validate A": (lambda M: lgks.cross_validate(qubit(), X, M), "the observable A"),
    "evolve rho0": (lambda M: lgks.evolve(qubit(), M, [0.0, 1.0], lgks.Davies()), "evolve: rho0"),
    "expect A": (lambda M: lgks.evolve(qubit(), np.eye(2) / 2, [0.0], lgks.Davies()).expect(M), "the observable A"),
    "heat_currents rho": (lambda M: lgks.heat_currents(qubit(), rho=M), "the state rho"),
    "channel_currents rho": (lambda M: lgks.channel_currents(qubit(), rho=M), "the state rho"),
    "entropy_production rho": (lambda M: lgks.entropy_production(qubit(), rho=M), "the state rho"),
    "von_neumann_entropy rho": (lgks.von_neumann_entropy, "the state rho"),
    "Local reference": (lambda M: lgks.heat_currents(qubit(), lgks.Local(M)), "the reference Hamiltonian"),
}
# Where the operator itself sets the dimension there is no other to compare with; Local is compared when it is used.
FREE = {"System H", "Bath S", "von_neumann_entropy rho", "Local reference"}


def three_levels(spectrum, coupling) -> lgks.System:
    """Levels 0, 0, 1 between two baths."""
    baths = [lgks.Bath(coupling, 1.0, spectrum, "hot"), lgks.Bath(OTHER, 0.7, DRUDE, "cold")]
    return lgks.System(np.diag([0.0, 0.0, 1.0]), baths)


OTHER = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -0.5], [1.0, -0.5, 0.0]])  # leaves no dark state beside the next two
INSIDE = np.array([[0.3, 0.4, 1.0], [0.4, -0.2, 0.5], [1.0, 0.5, 0.1]])  # acts inside the level
OUTSIDE = np.array([[0.0, 0.0, 0.4], [0.0, 0.0, 1.0], [0.4, 1.0, 0.0]])  # does not
SPLITS = np.diag([0.5, -0.5, 0.2])
KEEPS = np.diag([0.0, 0.0, 1.0])
POPULATION = np.diag([1.0, 0.0, 0.0])
UNSMOOTH = {"Flat": lgks.Flat(0.1), "Ohmic": lgks.Ohmic(0.1, 2.0)}
# By which a derivative along V is taken.
ROUTES = {
    "response": lambda s, V: lgks.response(s, V, POPULATION).static().total,
    "autodiff_response": lambda s, V: lgks.autodiff_response(s, V, POPULATION),
    "thermodynamic_response": lambda s, V: lgks.thermodynamic_response(s, V).heat_currents.static().total,
    "cross_validate": lambda s, V: lgks.cross_validate(s, V, POPULATION).finite_difference,
}


def two_islands() -> lgks.System:
    """Four levels in two pairs that nothing connects."""
    S = np.zeros((4, 4))
    S[0, 1] = S[1, 0] = S[2, 3] = S[3, 2] = 1.0
    return lgks.System(np.diag([0.0, 1.0, 1.75, 3.25]), lgks.Bath(S, 1.0, DRUDE, "only"))


def hot_oscillators(temperature=9.0) -> lgks.System:
    """Three levels of an oscillator whose last one is well populated."""
    return lgks.models.two_oscillators(10.0, 1.0, 1.0, 0.5, (temperature, temperature), fock=(3, 3)).system


def rotated_far() -> tuple[lgks.System, lgks.Davies]:
    """Groups pinned at a Hamiltonian whose eigenvectors overlap these by 1/2 at most."""
    q = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    levels = np.diag([0.0, 1.0, 2.3, 4.1])
    S = hermitian(np.random.default_rng(0), 4)
    there = lgks.System(levels, lgks.Bath(S, 1.0, DRUDE))
    return lgks.System(q @ levels @ q.T, there.baths), lgks.Davies().fixed(there)


def catalogue() -> dict:
    cases = {}
    for place, (call, argument) in OPERATORS.items():
        for defect, (matrix, error, words) in DEFECTS.items():
            if not (defect == "other dimension" and place in FREE):
                cases[f"{place}: {defect}"] = (lambda call=call, M=matrix: call(M), error, (argument, *words))
    s, half = qubit(), np.eye(2) / 2
    cases |= {
        "System H: ragged": (
            lambda: lgks.System([[1.0, 2.0], [3.0]], s.baths),
            "InputError",
            ("the Hamiltonian", "must"),
        ),
        "System H: words": (lambda: lgks.System("abc", s.baths), "ShapeError", ("the Hamiltonian", "square", "()")),
        "System H: empty": (
            lambda: lgks.System(np.zeros((0, 0)), s.baths),
            "ShapeError",
            ("the Hamiltonian", "square", "(0, 0)"),
        ),
        "System H: against baths": (
            lambda: lgks.System(LARGE, s.baths),
            "ShapeError",
            ("coupling operator of baths[0] 'hot'", "shape of the Hamiltonian, (3, 3)", "(2, 2)"),
        ),
        "Local reference: other dimension": (
            lambda: lgks.heat_currents(s, lgks.Local(LARGE)),
            "ShapeError",
            ("the reference Hamiltonian", "(2, 2)", "(3, 3)"),
        ),
        "System: no bath": (lambda: lgks.System(Z, []), "NoBathError", ("at least one bath", "empty")),
        "System: no bath at all": (lambda: lgks.System(Z, None), "NoBathError", ("at least one bath",)),
        "System: not a bath": (lambda: lgks.System(Z, [s.baths[0], 1]), "InputError", ("baths[1]", "a Bath", "int")),
        "System: real dtype": (
            lambda: lgks.System(Z, s.baths, dtype=jnp.float64),
            "InputError",
            ("dtype", "complex64 or complex128", "float64"),
        ),
        "Bath spectrum: a number": (lambda: lgks.Bath(X, 1.0, 3.0), "InputError", ("spectrum", "density", "float")),
        "Ohmic shape": (
            lambda: lgks.Ohmic(1.0, 1.0, shape="square"),
            "InputError",
            ("shape", "exponential, gaussian, drude", "'square'"),
        ),
        "Unified rates": (
            lambda: lgks.Unified(rates="harmonic"),
            "InputError",
            ("Unified: rates", "one of geometric, centre, arithmetic", "'harmonic'"),
        ),
        "CallableSpectrum: not elementwise": (
            lambda: lgks.CallableSpectrum(lambda w: jnp.stack([w, w])),
            "InputError",
            ("elementwise", "(2,)"),
        ),
        "perturbed delta: complex": (lambda: s.perturbed(X, 0.1j), "InputError", ("delta", "real", "complex")),
        "perturbed delta: an array": (
            lambda: s.perturbed(X, jnp.array([0.1, 0.2])),
            "InputError",
            ("delta", "scalar", "(2,)"),
        ),
        "evolve: no state": (
            lambda: lgks.evolve(s, None, [0.0, 1.0], lgks.Davies()),
            "InputError",
            ("rho0", "[d, d]"),
        ),
        "evolve: method": (
            lambda: lgks.evolve(s, half, [0.0, 1.0], lgks.Davies(), method="euler"),
            "InputError",
            ("method", "one of expm, diffrax", "'euler'"),
        ),
        "evolve ts: descending": (
            lambda: lgks.evolve(s, half, [0.0, 2.0, 1.0], lgks.Davies()),
            "InputError",
            ("ts", "ascend", "index 2"),
        ),
        "evolve ts: NaN": (
            lambda: lgks.evolve(s, half, [0.0, np.nan], lgks.Davies()),
            "InputError",
            ("ts", "finite", "nan"),
        ),
        "evolve ts: none": (lambda: lgks.evolve(s, half, [], lgks.Davies()), "ShapeError", ("ts", "[t]", "(0,)")),
        "evolve ts: complex": (
            lambda: lgks.evolve(s, half, [0.0, 1j], lgks.Davies()),
            "InputError",
            ("ts", "real", "complex"),
        ),
        "step t: negative": (
            lambda: lgks.response(s, Z, X).step(-1.0),
            "InputError",
            ("t must not be negative", "-1.0"),
        ),
        "impulse t: negative": (
            lambda: lgks.response(s, Z, X).impulse([0.0, -2.0]),
            "InputError",
            ("t must not be negative", "-2.0"),
        ),
        "step t: two axes": (lambda: lgks.response(s, Z, X).step([[0.0]]), "ShapeError", ("t must", "[t]", "(1, 1)")),
        "susceptibility omega: two axes": (
            lambda: lgks.response(s, Z, X).susceptibility([[0.0]]),
            "ShapeError",
            ("omega", "[w]", "(1, 1)"),
        ),
        "susceptibility omega: complex": (
            lambda: lgks.response(s, Z, X).susceptibility(1j),
            "InputError",
            ("omega", "real", "complex"),
        ),
        "observables: one of a stack": (
            lambda: lgks.response(s, Z, np.stack([X, LOWER])),
            "NotHermitianError",
            ("the observable A[1]", *NOT_HERMITIAN),
        ),
        "HeatCurrent: name": (
            lambda: lgks.autodiff_response(s, Z, lgks.HeatCurrent("warm")),
            "InputError",
            ("HeatCurrent", "'warm'", "2 baths", "'hot', 'cold'"),
        ),
        "HeatCurrent: position": (
            lambda: lgks.cross_validate(s, Z, lgks.HeatCurrent(2)),
            "InputError",
            ("HeatCurrent", "2", "2 baths", "'hot', 'cold'"),
        ),
        "not unique": (
            lambda: lgks.heat_currents(two_islands()),
            "NonUniqueSteadyStateError",
            ("not unique", "2 independent quantities", "energies [0, 1]", "energies [1.75, 3.25]"),
        ),
        "not unique: baths that touch nothing": (
            lambda: lgks.steady_state(lgks.System(0.5 * Z, lgks.Bath(np.eye(2), 1.0, DRUDE))),
            "NonUniqueSteadyStateError",
            ("not unique", "2 independent quantities", "energies [-0.5]", "energies [0.5]"),
        ),
        "truncated": (
            lambda: lgks.steady_state(hot_oscillators()),
            "TruncationError",
            ("last levels", "more than 1e-08", "1.47e-01"),
        ),
        "pinned groups lost": (
            lambda: lgks.heat_currents(*rotated_far()),
            "StateFollowingError",
            ("Pinned groups", "overlap", "0.25", "0.5"),
        ),
        "pauli": (lambda: lgks.models.pauli("XA"), "InputError", ("I, X, Y, Z", "'XA'")),
        "two_qubits: both": (
            lambda: lgks.models.two_qubits(1.0, 0.2, 0.1, (1.0, 1.0), spectrum=DRUDE),
            "InputError",
            ("either gamma", "or spectrum", "not both"),
        ),
        "two_qubits: temperatures": (
            lambda: lgks.models.two_qubits(1.0, 0.2, 0.1, (1.0,)),
            "InputError",
            ("two_qubits: temperatures", "a sequence of 2", "tuple of 1"),
        ),
        "two_oscillators: levels": (
            lambda: lgks.models.two_oscillators(2.0, 1.0, 1.0, 0.5, (1.0, 1.0), fock=(1, 3)),
            "InputError",
            ("two_oscillators: fock", "whole number between 2", "int 1"),
        ),
        "two_oscillators: inverted mode": (
            lambda: lgks.models.two_oscillators(1.0, 2.0, 1.0, 0.5, (1.0, 1.0)),
            "InputError",
            ("omega", "g"),
        ),
    }
    cases |= wrong_kinds()
    for value, came in (
        (0.0, "0.0"),
        (-1.0, "-1.0"),
        (np.nan, "nan"),
        (np.inf, "inf"),
        (1j, "complex"),
        ([1.0], "(1,)"),
    ):
        cases[f"Bath T = {value}"] = (
            lambda value=value: lgks.Bath(X, value, DRUDE, "hot"),
            "TemperatureError",
            (
                "the temperature of bath 'hot'",
                "positive" if np.isscalar(value) and value != 1j else "real scalar",
                came,
            ),
        )
    for label, make in {
        "Flat: gamma": lambda x: lgks.Flat(x),
        "Ohmic: strength": lambda x: lgks.Ohmic(x, 1.0),
        "Ohmic: cutoff": lambda x: lgks.Ohmic(1.0, x),
        "DrudeLorentz: strength": lambda x: lgks.DrudeLorentz(x, 1.0),
        "DrudeLorentz: cutoff": lambda x: lgks.DrudeLorentz(1.0, x),
    }.items():
        for value in (-0.5, 0.0, np.nan):
            cases[f"{label} = {value}"] = (
                lambda make=make, value=value: make(value),
                "InputError",
                (label, "positive and finite", str(value)),
            )
    for name, spectrum in UNSMOOTH.items():
        for route, call in ROUTES.items():
            cases[f"{name} at a split level: {route}"] = (
                lambda call=call, spectrum=spectrum: call(three_levels(spectrum, INSIDE), SPLITS),
                "SingularDensityError",
                ("zero", "smooth at zero", "gaussian"),
            )
    return cases


def wrong_kinds() -> dict:
    """Arguments of another kind, and numbers so large or small that products of them are not what was asked."""
    s, (a,) = qubit(), lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 0.5, DRUDE))
    alike = [lgks.Bath(X, T, DRUDE, "hot") for T in (1.0, 0.5)]
    gaussian = lgks.GaussianEvolution(jnp.zeros(1), jnp.zeros((1, 2)), jnp.eye(2)[None])
    return {
        "two baths of one name": (
            lambda: lgks.System(Z, alike),
            "InputError",
            ("a name of its own", "['hot', 'hot']", "more than once"),
        ),
        "oscillators with two baths of one name": (
            lambda: lgks.QuasiFree(a.dag * a, [lgks.Bath(a + a.dag, 0.5, DRUDE, "hot")] * 2),
            "InputError",
            ("a name of its own", "['hot', 'hot']"),
        ),
        "T = 5e-324": (
            lambda: lgks.Bath(X, 5e-324, DRUDE, "hot"),
            "TemperatureError",
            ("the temperature of bath 'hot'", "between 1e-100 and 1e+100", "5e-324", "other units"),
        ),
        "H of 1e308": (lambda: lgks.System(1e308 * Z, s.baths), "InputError", ("the Hamiltonian", "1e+100", "1e+308")),
        "HeatCurrent(True)": (lambda: lgks.HeatCurrent(True), "InputError", ("position or a name", "bool True")),
        "Krylov(restart=0)": (lambda: lgks.Krylov(restart=0), "InputError", ("restart", "between 1 and", "int 0")),
        "Dense(refine=1.5)": (lambda: lgks.Dense(1.5), "InputError", ("refine", "whole number", "float 1.5")),
        "Davies(lamb_shift='yes')": (
            lambda: lgks.Davies(lamb_shift="yes"),
            "InputError",
            ("Davies: lamb_shift", "True or False", "str 'yes'"),
        ),
        "a step of zero": (
            lambda: lgks.cross_validate(s, Z, X, step=0),
            "InputError",
            ("cross_validate: step", "positive", "0.0"),
        ),
        "a step that leaves nothing": (
            lambda: lgks.cross_validate(s, Z, X, step=1e90),
            "InputError",
            ("the step 1e+90", "no finite difference", "smaller step"),
        ),
        "heisenberg at NaN": (
            lambda: lgks.heisenberg(model, a, np.nan),
            "InputError",
            ("heisenberg: t", "finite", "nan"),
        ),
        "heisenberg of a System": (lambda: lgks.heisenberg(s, a, 1.0), "InputError", ("QuasiFree", "System")),
        "a coefficient of NaN": (lambda: np.nan * a, "InputError", ("coefficient", "finite", "nan")),
        "an infinite coefficient": (lambda: a + np.inf, "InputError", ("coefficient", "finite", "inf")),
        "division by zero": (lambda: a / 0, "InputError", ("divided by zero",)),
        "a state that is not there": (lambda: gaussian.at(1), "InputError", ("at: index", "between -1 and 0", "int 1")),
        "a dictionary as system": (
            lambda: lgks.response({"H": 1}, Z, X),
            "InputError",
            ("System or a QuasiFree", "dict"),
        ),
        "a time beyond rounding": (
            lambda: lgks.evolve(s, np.eye(2) / 2, [0.0, 1e30]),
            "InputError",
            ("evolve", "not finite", "too long", "steady_state"),
        ),
        "too few steps": (
            lambda: lgks.evolve(s, np.eye(2) / 2, [0.0, 1e5], method="diffrax", max_steps=2),
            "InputError",
            ("evolve", "not finite", "max_steps"),
        ),
        "a class as density": (lambda: lgks.Bath(X, 1.0, lgks.Flat), "InputError", ("spectrum", "the class Flat")),
        "a density of two arguments": (
            lambda: lgks.Bath(X, 1.0, lambda w, T: w),
            "InputError",
            ("function of the frequency alone", "TypeError"),
        ),
    }


def report() -> None:
    """What each call of the catalogue raises, as JSON: [names of the error and its bases, message]."""
    raised = {}
    for name, (call, _, _) in catalogue().items():
        try:
            raised[name] = [[], f"returned {call()!r}"]
        except Exception as error:
            raised[name] = [[base.__name__ for base in type(error).__mro__], str(error)]
    json.dump(raised, sys.stdout)


def run(code: str, **environment: str) -> str:
    """The output of a Python process at the root of the project; JAX in its default mode unless told."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("JAX_ENABLE_X64", "PYTHONWARNINGS")}
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=inherited | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def raised() -> dict:
    return json.loads(run("from tests.test_inputs import report; report()", JAX_ENABLE_X64="1"))


@pytest.mark.parametrize("name", catalogue())
def test_the_error_names_argument_expectation_and_what_came(raised, name):
    _, error, words = catalogue()[name]
    kinds, message = raised[name]
    assert error in kinds, (kinds[:1], message)
    assert "JaxlgksError" in kinds
    for word in words:
        assert word in message, message


# ----------------------------------------------------------------------------------------------------------------------
# Precision
# ----------------------------------------------------------------------------------------------------------------------


def test_without_x64_the_error_names_the_remedy_and_single_precision_works_when_asked_for():
    """float32 currents agree with float64 to 1e−4: rounding 6e−8 times the condition of a 4×4 system (about 1e2)."""
    out = run(
        "import warnings; warnings.simplefilter('error')\n"
        "import json, jax.numpy as jnp, jaxlgks as lgks\n"
        "from jaxlgks.errors import PrecisionError\n"
        "X, Z = [[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.0], [0.0, -0.5]]\n"
        "baths = [lgks.Bath(X, T, lgks.DrudeLorentz(0.05, 2.0)) for T in (1.0, 0.5)]\n"
        "try: lgks.System(Z, baths); message = 'no error'\n"
        "except PrecisionError as error: message = str(error)\n"
        "currents = lgks.heat_currents(lgks.System(Z, baths, dtype=jnp.complex64))\n"
        "print(json.dumps([message, str(currents.dtype), currents.tolist()]))\n"
    )
    message, dtype, currents = json.loads(out)
    assert "jax_enable_x64" in message
    assert "64-bit" in message
    assert "complex64" in message
    assert dtype == "float32"
    baths = [lgks.Bath(X, T, DRUDE) for T in (1.0, 0.5)]
    expected = lgks.heat_currents(lgks.System(0.5 * Z, baths))
    np.testing.assert_allclose(currents, expected, rtol=1e-4)


def test_single_precision_beside_double():
    """A complex64 system in a 64-bit session stays in single precision from end to end."""
    single = lgks.System(0.5 * Z, qubit().baths, dtype=jnp.complex64)
    assert lgks.heat_currents(single).dtype == jnp.float32
    assert lgks.steady_state(single).rho.dtype == jnp.complex64
    assert lgks.response(single, X, Z).static().total.dtype == jnp.float32


# ----------------------------------------------------------------------------------------------------------------------
# A density without a slope at zero
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spectrum", UNSMOOTH)
@pytest.mark.parametrize(
    ("coupling", "V"), [(INSIDE, KEEPS), (OUTSIDE, SPLITS)], ids=["V splits nothing", "S does not act inside"]
)
def test_no_refusal_where_the_slope_at_zero_does_not_count(spectrum, coupling, V):
    """1e−9 and 1e−6 as on random systems with smooth densities: passing the check must not change the numbers."""
    system = three_levels(UNSMOOTH[spectrum], coupling)
    check = lgks.cross_validate(system, V, POPULATION)
    assert float(check.autodiff_difference) < 1e-9
    assert float(check.finite_difference_difference) < 1e-6
    assert np.all(np.isfinite(lgks.thermodynamic_response(system, V).heat_currents.static().total))


@pytest.mark.parametrize(
    ("transform", "spectrum"), [("jit", "Flat"), ("grad", "Ohmic"), ("jit of grad", "Flat"), ("jvp", "Ohmic")]
)
def test_the_refusal_reaches_compiled_code(transform, spectrum):
    """Inside `jit` the refusal is a run-time error of the same text, never a number."""
    system = three_levels(UNSMOOTH[spectrum], INSIDE)
    value = lambda d: lgks.heat_currents(system.perturbed(SPLITS, d))[0]  # noqa: E731
    calls = {
        "jit": lambda: eqx.filter_jit(ROUTES["response"])(system, SPLITS),
        "grad": lambda: jax.grad(value)(0.0),
        "jit of grad": lambda: jax.jit(jax.grad(value))(0.0),
        "jvp": lambda: jax.jvp(value, (0.0,), (1.0,)),
    }
    with pytest.raises((SingularDensityError, RuntimeError), match="SingularDensityError"):
        jax.block_until_ready(calls[transform]())


@pytest.mark.parametrize("spectrum", UNSMOOTH)
def test_derivatives_in_other_numbers_are_not_refused(spectrum):
    """√Γ(0) has a derivative in temperature and strength even where it has none in ω."""

    @jax.jit
    @jax.value_and_grad
    def current(T):
        system = eqx.tree_at(lambda s: s.baths[0].temperature, three_levels(UNSMOOTH[spectrum], INSIDE), T)
        return lgks.heat_currents(system)[0]

    h = 1e-4
    difference = float(current(1 + h)[0] - current(1 - h)[0]) / (2 * h)
    assert float(current(1.0)[1]) == pytest.approx(difference, rel=1e-6)


# ----------------------------------------------------------------------------------------------------------------------
# Second derivatives in the Hamiltonian
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outer", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("inner", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_a_third_derivative_in_the_hamiltonian_is_refused_in_every_mode(outer, inner, compiled):
    """The filter's rule gives two derivatives in H. A third one, by any nesting of modes, must not be a number.
    (Populations alone, which are chosen outside `jit`, have derivatives of any order.)"""

    def value(delta):
        return lgks.steady_state(qubit().perturbed(X + 0.4 * Y, delta), solver=lgks.Dense()).rho[0, 0].real

    third = outer(inner(inner(value)))
    with pytest.raises(DerivativeOrderError, match="third derivative in the Hamiltonian"):
        (jax.jit(third) if compiled else third)(0.0)


# ----------------------------------------------------------------------------------------------------------------------
# Under jit: invalid values become NaN
# ----------------------------------------------------------------------------------------------------------------------


def _with_temperature(T):
    return lgks.heat_currents(lgks.System(0.5 * Z, [lgks.Bath(X, T, DRUDE), lgks.Bath(X, 0.5, DRUDE)]))


def _with_strength(g):
    return lgks.heat_currents(lgks.System(0.5 * Z, [lgks.Bath(X, 1.0, lgks.Ohmic(g, 2.0, "drude")), qubit().baths[1]]))


def _turned(angle):
    """Three levels, eigenvectors turned about (1, 1, 1): each keeps ((1 + 2 cos θ)/3)² of itself, 4/9 at 60°."""
    there = lgks.System(np.diag([0.0, 0.6, 1.7]), three_levels(DRUDE, INSIDE).baths)
    pinned = lgks.Davies().fixed(there)
    own = (1 + 2 * jnp.cos(angle)) / 3
    plus, minus = ((1 - jnp.cos(angle)) / 3 + sign * jnp.sin(angle) / jnp.sqrt(3.0) for sign in (1, -1))
    R = jnp.array([[own, minus, plus], [plus, own, minus], [minus, plus, own]])
    return lgks.heat_currents(lgks.System(R @ there.hamiltonian @ R.T, there.baths), pinned)


# name -> (function, a good argument, bad ones)
TRACED = {
    "temperature": (_with_temperature, 1.0, [0.0, -1.0, np.nan, np.inf]),
    "strength": (_with_strength, 0.1, [0.0, -0.1, np.nan]),
    "H": (lambda M: lgks.heat_currents(qubit(H=M)), 0.5 * Z, [LOWER, HOLED]),
    "S": (lambda M: lgks.heat_currents(lgks.System(Z, lgks.Bath(M, 1.0, DRUDE))), X, [LOWER, HOLED]),
    "V of response": (lambda M: lgks.response(qubit(), M, X).static().total, Z, [LOWER, HOLED]),
    "A of response": (lambda M: lgks.response(qubit(), Z, M).static().total, X, [LOWER, HOLED]),
    "V of autodiff_response": (lambda M: lgks.autodiff_response(qubit(), M, X), Z, [LOWER, HOLED]),
    "V of thermodynamic_response": (
        lambda M: lgks.thermodynamic_response(qubit(), M).entropy_production.static().total,
        X,
        [LOWER],
    ),
    "V of cross_validate": (lambda M: lgks.cross_validate(qubit(), M, X).finite_difference, Z, [LOWER]),
    "V of perturbed": (lambda M: lgks.heat_currents(qubit().perturbed(M, 0.1)), Z, [LOWER]),
    "rho0": (lambda M: lgks.evolve(qubit(), M, jnp.arange(2.0), lgks.Davies()).states, np.eye(2) / 2, [LOWER, HOLED]),
    "rho of heat_currents": (lambda M: lgks.heat_currents(qubit(), rho=M), np.eye(2) / 2, [LOWER]),
    "rho of von_neumann_entropy": (lgks.von_neumann_entropy, np.eye(2) / 2, [LOWER, HOLED]),
    "reference of Local": (lambda M: lgks.heat_currents(qubit(), lgks.Local(M)), 0.5 * Z, [LOWER]),
    "times of evolve": (
        lambda ts: lgks.evolve(qubit(), jnp.eye(2) / 2, ts, lgks.Davies()).states,
        np.array([0.0, 1.0]),
        [np.array([1.0, 0.0]), np.array([0.0, np.nan])],
    ),
    "t of step": (lambda t: lgks.response(qubit(), Z, X).step(t).total, 1.0, [-1.0]),
    "t of impulse": (lambda t: lgks.response(qubit(), Z, X).impulse(t).total, 1.0, [-1.0]),
    "bath that lets go of a level": (
        lambda x: lgks.steady_state(lgks.System(Z, lgks.Bath(x * jnp.asarray(X) + Z, 1.0, DRUDE))).rho,
        1.0,
        [0.0],
    ),
    "oscillator that outgrows its levels": (
        lambda T: lgks.heat_currents(lgks.models.two_oscillators(10.0, 1.0, 1.0, 0.5, (T, 0.3), fock=(3, 3)).system),
        0.4,
        [9.0],
    ),
    "turned beyond what pinned groups can follow": (_turned, 0.9, [np.pi / 3]),
}


@pytest.mark.parametrize("name", TRACED)
def test_under_jit_bad_values_become_nan(name):
    """All NaN, in every entry: never a plausible number. A good value through the same compiled function is finite."""
    function, good, bad = TRACED[name]
    compiled = jax.jit(function)
    assert np.all(np.isfinite(compiled(good)))
    for value in bad:
        assert np.all(np.isnan(compiled(value))), value


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("system", "verdict"),
    [(qubit, RESULTS.successful), (two_islands, RESULTS.non_unique), (hot_oscillators, RESULTS.truncated)],
)
def test_with_throw_false_the_verdict_is_data(system, verdict, compiled):
    find = lambda s: lgks.steady_state(s, throw=False)  # noqa: E731
    state = (eqx.filter_jit(find) if compiled else find)(system())
    assert state.result == verdict
    assert int(state.nullity) == (2 if verdict == RESULTS.non_unique else 1)
    assert ("not unique" in RESULTS[state.result]) == (verdict == RESULTS.non_unique)
    assert ("1e-8" in RESULTS[state.result]) == (verdict == RESULTS.truncated)
    if verdict != RESULTS.non_unique:
        assert np.all(np.isfinite(state.rho))


def test_one_bad_point_spoils_no_other():
    """A batch of derivatives with one invalid temperature: NaN there, the numbers of a clean batch elsewhere."""
    slopes = jax.jit(jax.vmap(jax.grad(lambda T: _with_temperature(T)[0])))
    clean, damaged = slopes(jnp.array([0.8, 1.0, 1.3])), slopes(jnp.array([0.8, -1.0, 1.3]))
    assert np.isnan(damaged[1])
    np.testing.assert_allclose(damaged[::2], clean[::2], rtol=1e-12)


@pytest.mark.parametrize(
    ("system", "error"), [(two_islands, "NonUniqueSteadyStateError"), (hot_oscillators, "TruncationError")]
)
def test_the_same_error_under_grad(system, error):
    """`grad` outside `jit` knows the values, so it names the error as the plain call does."""

    def value(T):
        return lgks.heat_currents(eqx.tree_at(lambda s: s.baths[0].temperature, system(), T))[0]

    with pytest.raises(lgks.errors.JaxlgksError) as caught:
        jax.grad(value)(jnp.asarray(9.0))
    assert type(caught.value).__name__ == error


def test_pinned_groups_refuse_to_guess():
    """At 60° two states overlap each pinned one alike; at 0.9 (51.6°) they can still be told apart."""
    assert np.all(np.isfinite(_turned(0.9)))
    with pytest.raises(StateFollowingError, match="cannot follow"):
        _turned(np.pi / 3)


# ----------------------------------------------------------------------------------------------------------------------
# Operators from other libraries
# ----------------------------------------------------------------------------------------------------------------------


class LikeQobj:
    """What the library knows of a QuTiP operator."""

    def __init__(self, matrix):
        self.matrix, self.dims = np.asarray(matrix, complex), [[2], [2]]
        self.shape = self.matrix.shape

    def full(self):
        return self.matrix


class LikeQArray:
    """What the library knows of a dynamiqs operator."""

    def __init__(self, matrix):
        self.matrix, self.shape = jnp.asarray(matrix, complex), np.shape(matrix)

    def to_jax(self):
        return self.matrix


@pytest.mark.parametrize("kind", [LikeQobj, LikeQArray, np.ndarray.tolist])
def test_operators_of_other_libraries_are_taken_wherever_an_operator_is(kind):
    """The same numbers to the last bit: nothing but the wrapping differs."""
    H, S, V, A, rho = 0.5 * Z + 0.1 * X, X, Z, X, np.diag([0.3, 0.7])

    def everything(wrap):
        system = lgks.System(wrap(H), lgks.Bath(wrap(S), 1.0, DRUDE))
        return (
            lgks.heat_currents(system.perturbed(wrap(V), 0.1), lgks.Local(wrap(H)), rho=wrap(rho)),
            lgks.response(system, wrap(V), wrap(A)).static().total,
            lgks.autodiff_response(system, wrap(V), wrap(A)),
            lgks.thermodynamic_response(system, wrap(V)).entropy.static().total,
            lgks.cross_validate(system, wrap(V), wrap(A)).finite_difference,
            lgks.evolve(system, wrap(rho), jnp.arange(2.0), lgks.Davies()).expect(wrap(A)),
            lgks.von_neumann_entropy(wrap(rho)),
        )

    for wrapped, plain in zip(everything(kind), everything(np.asarray), strict=True):
        np.testing.assert_array_equal(wrapped, plain)


def test_rounding_is_not_called_non_hermitian():
    """Defects of rounding size pass; a thousand times the tolerance of 1e−10 does not."""
    lgks.System(Z + 1e-13 * LOWER, qubit().baths)
    with pytest.raises(ValueError, match="the Hamiltonian must be Hermitian"):
        lgks.System(Z + 1e-7 * LOWER, qubit().baths)


def test_hermiticity_is_relative_to_the_size_of_the_operator():
    lgks.System(1e6 * Z + 1e-7 * LOWER, qubit().baths)
    with pytest.raises(ValueError, match="the Hamiltonian must be Hermitian"):
        lgks.System(1e-6 * Z + 1e-13 * LOWER, qubit().baths)


def test_the_library_takes_its_own_states():
    """A steady state of Redfield with a negative eigenvalue (−4e−7) has currents and starts an evolution, its entropy
    is refused in words; a state that evolved to t = 1e9 is taken (trace off by rounding times t), of trace four not."""
    P = lgks.models.pauli
    H = 0.5 * P("ZI") + 0.6 * P("IZ") + 0.2 * P("XX")
    density, redfield = lgks.DrudeLorentz(0.1, 2.0), lgks.Redfield()
    system = lgks.System(H, [lgks.Bath(P("XI"), 0.1, density), lgks.Bath(P("IX"), 0.02, density)])
    rho = lgks.steady_state(system, redfield).rho
    assert -1e-6 < np.linalg.eigvalsh(rho)[0] < -1e-7
    currents = lgks.heat_currents(system, redfield)
    np.testing.assert_allclose(lgks.heat_currents(system, redfield, rho=rho), currents, rtol=1e-10)
    late = lgks.evolve(system, rho, [0.0, 1e9], redfield).states[1]
    np.testing.assert_allclose(lgks.heat_currents(system, redfield, rho=late), currents, rtol=1e-4)
    traced = jax.jit(lgks.von_neumann_entropy)
    assert np.isnan(traced(rho))
    assert np.isfinite(traced(np.eye(4) / 4))
    for ask in (lambda: lgks.entropy_production(system, redfield, rho=rho), lambda: lgks.von_neumann_entropy(rho)):
        with pytest.raises(lgks.errors.InputError, match="their entropy does not"):
            ask()
    with pytest.raises(lgks.errors.InputError, match="must have trace 1; got trace 4"):
        lgks.evolve(system, np.eye(4), [0.0, 1.0])
