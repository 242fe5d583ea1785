"""Rows for heat, entropy and entropy production: Sec. IV and Appendix D.

Takes: the generic two-qubit system and perturbation, far from and at equilibrium. Returns: rows for the laws of
thermodynamics at zeroth order and for Eqs. (47)–(53), (D5), (D8), (D11), against states propagated at finite δ.
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from ..._equations import AbstractEquation
from ..._evolution import evolve
from ..._observables import entropy_production, heat_currents
from ..._response import response, thermodynamic_response
from ..._steady import steady_state
from ..._system import System
from ...models import pauli
from ._row import Check, agree, hold, vanish
from ._witness import applied, average, dissipators, generic_perturbation, pinned, slope, warm_qubits

TIMES = 2.0 * np.arange(41)
FINITE = "error h⁴ of the finite difference and rounding/h"


def rows(progress: Callable[[str], None]) -> Iterator[Check]:
    """All rows of this family."""
    system, V = warm_qubits(), generic_perturbation()
    secular = pinned(system)
    progress("laws at the steady state")
    yield from _laws(system, secular)
    progress("first-order currents and entropies")
    linear = thermodynamic_response(system, V, secular, instantaneous=True)
    in_time = {name: getattr(linear, name).step(TIMES) for name in QUANTITIES}
    yield from _currents(system, V, secular, linear, in_time)
    progress("states propagated at finite δ")
    yield from _finite_perturbation(system, V, secular, in_time)
    progress("equilibrium and sign of σ₁")
    yield from _signs(V, linear, in_time)


QUANTITIES = ("heat_currents", "heat_currents_gibbs", "entropy", "entropy_rate", "entropy_production")


def _logarithm(rho: np.ndarray) -> np.ndarray:
    """ln ρ of positive matrices [..., d, d]."""
    values, vectors = np.linalg.eigh(rho)
    return vectors @ (np.log(values)[..., None] * np.swapaxes(vectors.conj(), -1, -2))


def _gibbs_logarithm(H: np.ndarray, T: float) -> np.ndarray:
    levels = np.linalg.eigvalsh(H)
    free = np.log(np.sum(np.exp(-(levels - levels[0]) / T))) - levels[0] / T
    return -H / T - free * np.eye(len(H))


def _flows(system: System, equation: AbstractEquation, states) -> np.ndarray:
    """D_α ρ of every bath and state, [baths, n, d, d]."""
    return np.stack([applied(D, states) for D in dissipators(system, equation)])


def _random_states(count: int, dim: int = 4) -> np.ndarray:
    generator = np.random.default_rng(2021)
    X = generator.normal(size=(count, dim, dim)) + 1j * generator.normal(size=(count, dim, dim))
    rho = X @ np.swapaxes(X.conj(), -1, -2)
    return rho / np.trace(rho, axis1=1, axis2=2)[:, None, None]


def _laws(system: System, secular: AbstractEquation) -> Iterator[Check]:
    state = steady_state(system, secular).rho
    currents = np.asarray(heat_currents(system, secular, rho=state))
    yield vanish("(D1)", "first law at the steady state: Σ_α J^α = 0, relative to J", currents.sum(), currents, 1e-12)

    H, temperatures = np.asarray(system.hamiltonian), np.asarray(system.temperatures)
    logs = np.stack([_gibbs_logarithm(H, T) for T in temperatures])
    states = np.concatenate([_random_states(200), np.asarray(state)[None]])
    change = _flows(system, secular, states)
    gibbs_form = -temperatures[:, None] * average(change, logs[:, None])
    energy_form = average(change, H)
    statement = "−T_α ⟨D^α† ln π^α⟩ = ⟨D^α† H⟩ in 200 random states and the NESS"
    yield agree("(48)", statement, gibbs_form, energy_form, 1e-12, "rounding")
    yield agree("(48)", "J^α of the NESS, both baths", energy_form[:, -1], currents, 1e-12, "rounding")

    spohn = -average(change, _logarithm(states) - logs[:, None])
    statement = "Spohn: −Tr[(D^α ρ)(ln ρ − ln π^α)] ≥ 0, smallest of 200 random states, both baths"
    yield hold("(D4)", statement, "≥ 0", f"{spohn[:, :-1].min():.4g}", spohn[:, :-1].min() >= 0)
    computed = jax.jit(jax.vmap(lambda rho: entropy_production(system, secular, rho=rho)))(states[:200])
    statement = "σ = dS/dt − Σ_α J^α/T_α is the sum of Spohn's terms, 200 random states"
    yield agree("(47), (D4)", statement, spohn[:, :-1].sum(axis=0), computed, 1e-11, "rounding")
    flow = -np.sum(currents / temperatures)
    statement = "NESS: σ = −Σ_α J^α/T_α > 0"
    yield hold("(47)", statement, "> 0", f"{flow:.6g}", flow > 0)


def _currents(system: System, V, secular: AbstractEquation, linear, in_time) -> Iterator[Check]:
    gibbs, energy = linear.heat_currents_gibbs.static().total, linear.heat_currents.static().total
    yield agree("(50), (51)", "J₁^α(∞) in both forms", gibbs, energy, 1e-11)
    gibbs, energy = in_time["heat_currents_gibbs"].total, in_time["heat_currents"].total
    yield agree("(50), (51)", "J₁^α(t) in both forms", gibbs, energy, 1e-11)
    power = response(system, V, system.hamiltonian, secular, instantaneous=True).impulse(TIMES).total
    statement = "Σ_α J₁^α(t) = d/dt of the first-order energy"
    yield agree("(51), (D5)", statement, power, energy.sum(axis=-1), 1e-10, "two propagations")
    static = linear.entropy_rate.static().total
    scale = in_time["entropy_rate"].total
    yield vanish("(53)", "dS₁/dt → 0 for t → ∞, relative to its largest value", static, scale, 1e-10)


def _finite_perturbation(system: System, V, secular: AbstractEquation, in_time) -> Iterator[Check]:
    """Currents, entropy and entropy production of states propagated under L(δ), differentiated in δ."""
    start = steady_state(system, secular).rho
    temperatures = np.asarray(system.temperatures)

    def exact(delta: float) -> np.ndarray:
        moved = system.perturbed(V, delta)
        states = evolve(moved, start, TIMES, secular).states
        change = _flows(moved, secular, states)
        currents, logs = average(change, moved.hamiltonian), _logarithm(np.asarray(states))
        entropy, rate = -average(np.asarray(states), logs), -average(change, logs).sum(axis=0)
        return np.stack([*currents, entropy, rate, rate - np.sum(currents / temperatures[:, None], axis=0)])

    first, second, entropy, rate, production = slope(exact, 2e-3)
    currents = np.stack([first, second], axis=1)
    for equation, name, expected in (
        ("(51)", "heat_currents", currents),
        ("(52)", "entropy", entropy),
        ("(53)", "entropy_rate", rate),
        ("(D11)", "entropy_production", production),
    ):
        statement = f"{SYMBOLS[name]}(t), 0 ≤ t ≤ 80, against finite differences of the propagated states"
        yield agree(equation, statement, expected, in_time[name].total, 1e-6, FINITE)


SYMBOLS = {"heat_currents": "J₁^α", "entropy": "S₁", "entropy_rate": "dS₁/dt", "entropy_production": "σ₁"}


def _signs(V, linear, in_time) -> Iterator[Check]:
    system = warm_qubits(0.4, 0.4)
    equal = thermodynamic_response(system, V, pinned(system), instantaneous=True).entropy_production.step(TIMES).total
    scale = in_time["entropy_production"].total
    statement = "one temperature: σ₁(t) = 0 for all t, relative to σ₁ at T = (0.45, 0.35)"
    yield vanish("(D11)", statement, equal, scale, 1e-10, "rounding")
    system = warm_qubits()
    values = []
    for word in ("ZZ", "ZI"):
        one = thermodynamic_response(system, pauli(word), pinned(system))
        values.append(float(one.entropy_production.static().total))
    statement = "σ₁(∞) has either sign in a NESS: V = σzᴬσzᴮ and V = σzᴬ"
    yield hold("(D11)", statement, "one of each", f"{values[0]:.4g}, {values[1]:.4g}", values[0] * values[1] < 0)
