"""Calls of public functions with values of the wrong kind, run in a process without the checks of signatures that the
test session adds: `python -m tests.hostile MADE`.

A door is a public function with good arguments; a call puts one hostile value in the place of one of them. It must end
in an error of the library's own, or in numbers: anything else is printed, and the process ends with 1. One qubit and
one oscillator stand behind all doors, so that values that are valid by accident run programs that are there already.
"""

import gc
import itertools
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

jax.config.update("jax_enable_x64", True)
gc.disable()  # as in conftest.py

import jax.numpy as jnp
import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st

import jaxlgks as lgks
from jaxlgks import models
from jaxlgks._configs import sweep_arguments
from jaxlgks.errors import JaxlgksError
from tests.interpreter import interpret
from tests.lowering import share_context

share_context()
interpret()

X, Z = np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([1.0, -1.0])
DRUDE, DAVIES, HALF = lgks.DrudeLorentz(0.05, 2.0), lgks.Davies(), np.eye(2) / 2
BATHS = (lgks.Bath(X, 1.0, DRUDE, "hot"), lgks.Bath(X + 0.3 * Z, 0.5, DRUDE, "cold"))
QUBIT = lgks.System(0.5 * Z + 0.1 * X, BATHS)
(A,) = lgks.modes(1)
MODE = lgks.QuasiFree(A.dag * A, lgks.Bath(A + A.dag, 0.5, DRUDE, "only"))
GAUSS = lgks.GaussianState(jnp.zeros(2), jnp.eye(2))
MASER = models.three_level_maser(2.0, 1.0, 0.1, 0.01)
RESPONSE, TABLE = lgks.response(QUBIT, Z, X, instantaneous=True), {"T": [0.5, 1.0, 1.5], "J": [0.1, 0.2, 0.3]}
DATA = lgks.Data({"T": TABLE["T"]}, {"J": TABLE["J"]}, errors=0.1)
FIT = lgks.fit(lambda p, x: p["a"] * x["T"], DATA, {"a": 0.3})


class Door(NamedTuple):
    """A function and its good arguments; those in `fixed` are not replaced: each value would compile a program."""

    call: Callable[..., Any]
    good: dict[str, Any]
    fixed: tuple[str, ...] = ()


def predicted(params: Any, x: Any) -> Any:
    """Of any parameters."""
    return sum(jnp.sum(jnp.asarray(leaf)) for leaf in jax.tree.leaves(params)) * x["T"]


def configured(**system: Any) -> Any:
    """What a TOML file says, read; nothing is computed."""
    rest = {key: system.pop(key) for key in ("equation", "axes", "output") if key in system}
    return sweep_arguments({"system": system, **rest}).axes


FRAME = lgks.RotatingFrame(np.diag([0.0, 1.0]), 1.0)
MODEL = {"system": QUBIT, "equation": DAVIES}
TEMPERATURES = (1.0, 0.5)
DOORS = {
    "System": Door(lgks.System, {"hamiltonian": Z, "baths": BATHS, "dtype": None, "edge": None}),
    "System in a frame": Door(lgks.System, {"hamiltonian": Z, "baths": BATHS[0], "frame": FRAME, "energy": X}),
    "RotatingFrame": Door(lgks.RotatingFrame, {"N": np.diag([0.0, 1.0]), "frequency": 1.0}),
    "with_baths": Door(QUBIT.with_baths, {"temperatures": TEMPERATURES, "strengths": (0.0, 0.1)}),
    "QuasiFree.with_baths": Door(MODE.with_baths, {"temperatures": [1.0], "strengths": [0.1]}),
    "System.perturbed": Door(QUBIT.perturbed, {"V": X, "delta": 0.1}),
    "Bath": Door(lgks.Bath, {"coupling": X, "temperature": 1.0, "spectrum": DRUDE, "name": "a", "mixing": None}),
    "Bath of two": Door(lgks.Bath, {"coupling": [X, Z], "temperature": 1.0, "spectrum": [DRUDE] * 2, "mixing": HALF}),
    "Bath.rate": Door(BATHS[0].rate, {"omega": 1.0}),
    "Flat": Door(lgks.Flat, {"gamma": 1.0}),
    "Ohmic": Door(lgks.Ohmic, {"strength": 1.0, "cutoff": 1.0, "shape": "drude"}),
    "DrudeLorentz": Door(lgks.DrudeLorentz, {"strength": 1.0, "cutoff": 1.0}),
    "UnderdampedBrownian": Door(lgks.UnderdampedBrownian, {"strength": 1.0, "width": 1.0, "resonance": 2.0}),
    "CallableSpectrum": Door(lgks.CallableSpectrum, {"function": jnp.sin, "at_zero": None}),
    "Tabulated": Door(lgks.Tabulated, {"frequencies": [1.0, 2.0, 3.0], "values": [1.0, 2.0, 3.0], "tail": None}),
    "spectrum.rate": Door(DRUDE.rate, {"omega": 1.0, "temperature": 1.0}),
    "spectrum.density": Door(DRUDE.density, {"omega": 1.0}),
    "spectrum.reduced": Door(DRUDE.reduced, {"omega": 1.0}),
    "spectrum.amplitude": Door(DRUDE.amplitude, {"omega": 1.0, "temperature": 1.0}),
    "spectrum.log_rate": Door(DRUDE.log_rate, {"omega": 1.0, "temperature": 1.0}),
    "spectrum.scale": Door(DRUDE.scale, {"temperature": 1.0}),
    "spectrum.lamb_shift": Door(DRUDE.lamb_shift, {"omega": 1.0, "temperature": 1.0}),
    "Davies": Door(lgks.Davies, {"tolerance": 1e-9, "lamb_shift": False, "reference": None}),
    "Unified": Door(lgks.Unified, {"width": None, "lamb_shift": False, "reference": None, "rates": "centre"}),
    "Local": Door(lgks.Local, {"reference": Z, "tolerance": 1e-9, "lamb_shift": False}),
    "Redfield": Door(lgks.Redfield, {"lamb_shift": False}),
    "UniversalLindblad": Door(lgks.UniversalLindblad, {"lamb_shift": False}),
    "reference_hamiltonian": Door(lgks.Unified().reference_hamiltonian, {"system": QUBIT}),
    "fixed": Door(lgks.Davies().fixed, {"system": QUBIT}),
    "Dense": Door(lgks.Dense, {"refine": 1, "memory": 1e9}),
    "Blocks": Door(lgks.Blocks, {"refine": 1}),
    "Krylov": Door(lgks.Krylov, {"tolerance": 1e-9, "restart": 30, "cycles": 20, "memory": 1e9}),
    "Cumulant": Door(lgks.Cumulant, {"panels": None}),
    "cumulant_map": Door(lgks.cumulant_map, {"system": QUBIT, "t": 1.0, "panels": None}, ("t", "panels")),
    "von_neumann_entropy": Door(lgks.von_neumann_entropy, {"rho": HALF}),
    "evolve": Door(
        lgks.evolve, {"system": QUBIT, "rho0": HALF, "ts": [0.0, 1.0], "equation": DAVIES, "method": "expm"}
    ),
    "evolve a Gaussian": Door(lgks.evolve, {"system": MODE, "rho0": GAUSS, "ts": [0.0, 1.0], "equation": DAVIES}),
    "evolve by steps": Door(
        lambda **options: lgks.evolve(QUBIT, HALF, [0.0, 1.0], DAVIES, "diffrax", **options),
        {"rtol": 1e-6, "atol": 1e-6, "max_steps": 1000, "progress": False, "adjoint": None},
        ("max_steps",),
    ),
    "liouvillian": Door(lgks.liouvillian, MODEL | {"memory": 1e9}),
    "steady_state": Door(lgks.steady_state, MODEL | {"solver": None, "throw": True}),
    "steady_state of a mode": Door(lgks.steady_state, {"system": MODE, "equation": DAVIES, "solver": None}),
    "SteadyState.expect": Door(lgks.steady_state(QUBIT).expect, {"A": X}),
    "log_populations": Door(lgks.log_populations, MODEL),
    "heat_currents": Door(lgks.heat_currents, MODEL | {"solver": None}),
    "heat_currents of a state": Door(lgks.heat_currents, MODEL | {"rho": HALF}),
    "heat_currents of a Gaussian": Door(lgks.heat_currents, {"system": MODE, "rho": GAUSS}),
    "entropy_production": Door(lgks.entropy_production, MODEL | {"solver": None, "rho": None}),
    "channel_currents": Door(lgks.channel_currents, MODEL | {"solver": None, "rho": None}),
    "modes": Door(lgks.modes, {"count": 1, "degree": 4}),
    "Polynomial": Door(lgks.Polynomial, {"coefficients": A.coefficients, "modes": 1, "limit": 4}),
    "coefficient": Door(A.coefficient, {"creations": (0,), "annihilations": (1,)}),
    "commutator": Door(A.commutator, {"other": A}),
    "a power": Door(A.__pow__, {"power": 2}),
    "a factor": Door(A.__mul__, {"other": 2.0}),
    "a divisor": Door(A.__truediv__, {"other": 2.0}),
    "QuasiFree": Door(lgks.QuasiFree, {"hamiltonian": A.dag * A, "baths": MODE.baths}),
    "QuasiFree.perturbed": Door(MODE.perturbed, {"V": A + A.dag, "delta": 0.1}),
    "GaussianState": Door(lgks.GaussianState, {"mean": np.zeros(2), "covariance": np.eye(2)}),
    "GaussianState.expect": Door(GAUSS.expect, {"A": A + A.dag}),
    "exact_steady_state": Door(lgks.exact_steady_state, {"model": MODE}),
    "exact_response": Door(lgks.exact_response, {"model": MODE, "V": A + A.dag, "A": A.dag * A}),
    "heisenberg": Door(lgks.heisenberg, {"model": MODE, "A": A, "t": 1.0, "equation": DAVIES}),
    "truncated": Door(lgks.truncated, {"model": MODE, "excitations": 4}, ("excitations",)),
    "response": Door(lgks.response, MODEL | {"V": Z, "A": X, "solver": None}),
    "step": Door(RESPONSE.step, {"t": 1.0}),
    "impulse": Door(RESPONSE.impulse, {"t": 1.0}),
    "susceptibility": Door(RESPONSE.susceptibility, {"omega": 1.0}),
    # What is no observable is seen by the same check in `response`; each that is one would be a program.
    "autodiff_response": Door(lgks.autodiff_response, MODEL | {"V": Z, "A": X, "solver": None, "order": 1}, ("A",)),
    "thermodynamic_response": Door(lgks.thermodynamic_response, MODEL | {"V": Z, "solver": None}),
    "thermal_response": Door(lgks.thermal_response, MODEL | {"A": X, "solver": None}),
    "correlation": Door(lgks.correlation, MODEL | {"A": X, "B": X, "t": [0.0, 1.0], "solver": None}),
    "cross_validate": Door(lgks.cross_validate, MODEL | {"V": Z, "A": X, "solver": None, "step": None}, ("A",)),
    "onsager_matrix": Door(lgks.onsager_matrix, {"system": lgks.System(Z, BATHS[0]), "equation": DAVIES}),
    # Never with a V that fits: its programs alone would take as long as all others.
    "diagnose": Door(lgks.diagnose, {"system": QUBIT, "V": np.eye(5), "delta": 0.1}, ("V",)),
    "HeatCurrent": Door(lgks.HeatCurrent, {"bath": 0}),
    "two_qubits": Door(models.two_qubits, {"omega": 1.0, "g": 0.2, "gamma": 0.01, "temperatures": TEMPERATURES}),
    "spin_chain": Door(
        models.spin_chain,
        {"fields": [1.0, 2.0], "exchange": (0.0, 0.0, 1.0), "spectrum": DRUDE, "temperatures": TEMPERATURES},
    ),
    "three_level_maser": Door(
        models.three_level_maser,
        {"omega_hot": 2.0, "omega_cold": 1.0, "drive": 0.1, "gamma": 0.01, "temperatures": TEMPERATURES},
    ),
    "quasifree_oscillators": Door(
        models.quasifree_oscillators,
        {"omega": 10.0, "g": 1.0, "gamma": 1.0, "epsilon": 0.5, "temperatures": TEMPERATURES},
    ),
    "pauli": Door(models.pauli, {"word": "X"}),
    "sweep": Door(
        lgks.sweep,
        {
            "f": lambda x: jnp.sin(x),
            "axes": {"x": [1.0, 2.0]},
            "derivatives": (),
            "units": None,
            "dims": None,
            "on_error": "record",
        },
        ("f",),
    ),
    "a file": Door(
        configured,
        {"model": "two_qubits", "omega": 1.0, "g": 0.2, "gamma": 0.01, "temperatures": [0.5, 0.4]}
        | {"equation": {"name": "Unified"}, "axes": {"g": {"values": [0.1, 0.2]}}, "output": {"derivatives": ["g"]}},
    ),
    "an axis in a file": Door(
        lambda **axis: configured(model="two_qubits", omega=1.0, gamma=0.01, axes={"g": axis}, temperatures=[1.0, 0.5]),
        {"from": 0.1, "to": 0.2, "points": 3, "scale": "log", "unit": "meV"},
    ),
    "Data": Door(lgks.Data, {"coordinates": {"T": [1.0, 2.0]}, "observables": {"J": [1.0, 2.0]}, "units": None}),
    "as_data": Door(lgks.as_data, {"table": TABLE, "observables": ["J"], "coordinates": ["T"]}),
    "fit": Door(
        lgks.fit,
        {"predict": predicted, "data": DATA, "init": {"a": 0.3}, "bounds": None, "priors": None, "weights": None}
        | {"method": "bfgs", "starts": 1, "steps": 3, "missing": "raise", "units": None, "seed": 0, "throw": False},
        ("init", "predict", "steps", "starts"),
    ),
    "sensitivity": Door(lgks.sensitivity, {"f": lambda p: p["a"], "params": {"a": 1.0}, "units": None}, ("params",)),
    "fisher_information": Door(
        lgks.fisher_information,
        {"predict": predicted, "params": {"a": 1.0}, "coordinates": {"T": [1.0, 2.0]}, "errors": 0.1, "bounds": None},
        ("params",),
    ),
    "maximise": Door(
        lgks.maximise,
        {"figure": lambda p: -((p["a"] - 1) ** 2), "init": {"a": 0.5}, "bounds": None, "constraints": None}
        | {"starts": 1, "steps": 20, "seed": 0, "progress": False},
        ("init", "starts"),
    ),
    "intervals": Door(FIT.intervals, {"level": 0.95}),
    "to_drive": Door(RESPONSE.to_drive, {"delta": [0.0, 1.0, 0.5], "t": [0.0, 1.0, 2.0]}),
    "to_harmonics": Door(RESPONSE.to_harmonics, {"h": [0.0, 1.0], "omega": 1.0}),
    "half_transform": Door(DRUDE.half_transform, {"omega": 1.0, "temperature": 1.0}),
    "correlation of a bath": Door(DRUDE.correlation, {"t": 1.0, "temperature": 1.0}),
    "exponentials": Door(DRUDE.exponentials, {"temperature": 1.0, "tolerance": 1e-3, "terms": None}),
    "UniversalLindblad of the system": Door(lgks.UniversalLindblad, {"lamb_shift": True, "frame": "system"}),
    "Maser.power": Door(MASER.power, {"rho": np.eye(3) / 3, "equation": DAVIES}),
}

WRONG = [
    *("davies", "", b"x", None, True, object(), lgks.Davies, lgks.HeatCurrent, np, lambda *args: 1.0, {"a": 1.0}),
    *({1, 2}, lgks.Dense(), lgks.HeatCurrent(0), lgks.HeatCurrent("no such bath"), lgks.EntropyProduction()),
    *([], [1.0, 2.0], [[1.0], [1.0, 2.0]], [[[1.0]]], (), iter(())),
    *(float("nan"), float("inf"), 1 + 1j, 1e30, -1e30, 5e-324, 10**30, 0, -1),
    *(np.array([None, "x"], object), np.array([[None, 1], [1, 2]], object), np.array(["a", "b"])),
    *(np.zeros((0, 0)), np.ones(3), np.eye(3), np.ones((2, 3)), np.ones((2, 2, 2)), np.zeros((2, 2))),
    *(np.full((2, 2), np.nan), np.diag([np.inf, 1.0]), np.full((2, 2), 1e308), np.full((2, 2), 5e-324), Z > 0),
    *(np.datetime64("2020-01-01"), jax.random.key(0), QUBIT, MODE, BATHS[0], A, lgks.modes(2)[0], GAUSS, DRUDE),
    *(DAVIES, DATA, TABLE),
]
"""Hypothesis adds numbers of any size, words, and lists and dictionaries of them: each value in `EACH` places."""
EACH, STRIDE = 5, 37

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text(max_size=3)
MADE = st.recursive(SCALARS, lambda x: st.lists(x, max_size=2) | st.dictionaries(st.text(max_size=2), x, max_size=2))
PLACES = [(name, key) for name, door in DOORS.items() for key in door.good if key not in door.fixed]
FREE = {"Data", "as_data", "fit", "fisher_information", "correlation of a bath"}
"""Missing numbers are NaN there on purpose and named when they are used; what no datum fixes has an infinite error.
C(0) of a Drude density is infinite."""


def verdict(name: str, key: str, value: Any) -> str:
    """What is wrong with the answer to one hostile call; nothing if it is a named error, or numbers."""
    door = DOORS[name]
    try:
        answer = door.call(**door.good | {key: value})
    except JaxlgksError:
        return ""
    except Exception as error:
        return f"{name}({key}={value!r}) raised {type(error).__name__}: {error}"
    arrays = [x for x in jax.tree.leaves(answer) if isinstance(x, jax.Array | np.ndarray | float | complex)]
    inexact = [x for x in arrays if jnp.issubdtype(getattr(x, "dtype", type(x)), jnp.inexact)]
    if name not in FREE and not all(np.isfinite(x).all() for x in inexact):
        return f"{name}({key}={value!r}) is answered with NaN or infinity"
    return ""


def main(made: int) -> int:
    """Every wrong value in every place, then so many calls with values that hypothesis makes."""
    warnings.simplefilter("ignore")
    found: dict[tuple[str, str], str] = {}

    def attempt(place: tuple[str, str], value: Any) -> None:
        if text := verdict(*place, value):
            found.setdefault(place, text[:300])

    for place, value in itertools.product(PLACES, WRONG):
        attempt(place, value)
    by_hypothesis = 0

    def several(value: Any, first: int) -> None:
        nonlocal by_hypothesis
        for i in range(EACH):
            attempt(PLACES[(first + STRIDE * i) % len(PLACES)], value)
        by_hypothesis += EACH

    checks, examples = list(HealthCheck), -(-made // EACH)
    options = settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=checks
    )
    options(given(MADE, st.integers(0, len(PLACES) - 1))(several))()
    calls = len(PLACES) * len(WRONG)
    wrong = f"{len(found)} places answered wrongly"
    print(*found.values(), f"{by_hypothesis} calls by hypothesis, {calls} of the list, {wrong}", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
