"""States that come back to the library, entropies that matrices do not have, settings of NumPy, what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._equations import dissipation
from jaxlgks._generator import resolve
from jaxlgks._inputs import as_state
from jaxlgks._observables import Entropy, EntropyRate, HeatCurrents, require_logarithm
from jaxlgks.errors import InputError, JaxlgksError, SolverMemoryError

X, Z, DRUDE = lgks.models.pauli("X"), lgks.models.pauli("Z"), lgks.DrudeLorentz(0.05, 2.0)


def qubit() -> lgks.System:
    return lgks.System(0.5 * Z + 0.1 * X, [lgks.Bath(X, 1.0, DRUDE, "hot"), lgks.Bath(X + 0.3 * Z, 0.5, DRUDE, "cold")])


def test_a_state_that_evolved_for_long_is_a_state():
    """Rounding takes Hermiticity and trace away in proportion to the time: at t = 1e9 Hermiticity by 7e−10, at 1e11 the
    trace by 2e−6, and the library refused what it had made. A stepper's states have both to rounding."""
    system, start = qubit(), np.diag([0.2, 0.8])
    for equation, t in ((lgks.Redfield(), 1e9), (lgks.Davies(), 1e11)):
        late = np.asarray(lgks.evolve(system, start, [0.0, t], equation).states[-1])
        assert np.max(np.abs(late - late.conj().T)) <= 1e-16
        assert abs(np.trace(late) - 1) <= 1e-15
        at_rest = np.asarray(lgks.steady_state(system, equation).rho)
        np.testing.assert_allclose(late, at_rest, atol=2e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.complex128, 1e-6), (np.complex64, 1e-5)])
def test_traced_states_pass_the_same_door(dtype, tolerance):
    """Trace and Hermiticity to the same tolerance whether known or traced: single precision was NaN under `vmap` at a
    trace of 1 + 5e−6 that passed outside. What comes out is the Hermitian part."""
    door = jax.jit(lambda rho: as_state(rho, "rho", positive=False))
    half, skew = np.eye(2, dtype=dtype) / 2, np.array([[0, 1], [-1, 0]], dtype)
    for defect in (half, skew):
        good, bad = half + dtype(0.5 * tolerance) * defect / 2, half + dtype(8 * tolerance) * defect
        np.testing.assert_array_equal(door(good), as_state(good, "rho", positive=False))
        np.testing.assert_array_equal(door(good), np.asarray(door(good)).conj().T)
        assert np.isnan(door(bad)).all()
        with pytest.raises(JaxlgksError, match="rho must"):
            as_state(bad, "rho", positive=False)


def test_whole_numbers_of_numpy_are_positions():
    """That of np.argmax was refused; kept as a number of Python, so that there is one program for both."""
    assert type(lgks.HeatCurrent(np.int64(1)).bath) is int
    with pytest.raises(InputError, match="HeatCurrent: bath must be"):
        lgks.HeatCurrent(np.True_)


def test_strengths_that_make_negative_rates_are_refused():
    """They gave NaN currents."""
    with pytest.raises(InputError, match=r"with_baths: strengths s make rates \(1 \+ s\)"):
        qubit().with_baths([1.0] * len(qubit().baths), [-2.0] * len(qubit().baths))


def test_states_that_do_not_fit_into_memory_are_refused_first():
    """13 GB of states, before anything is computed; the process was killed."""
    system = lgks.models.spin_chain(np.ones(5), (0.1, 0.1, 0.2), lgks.DrudeLorentz(0.01, 2.0), (1.0, 0.5))
    for equation in (lgks.Redfield(), lgks.Cumulant()):
        with pytest.raises(SolverMemoryError, match="evolve: the states of dimension 32 at 800000 times"):
            lgks.evolve(system, np.eye(32) / 32, np.linspace(0.0, 1.0, 800_000), equation)


def test_an_entropy_that_a_state_does_not_have():
    """States of Redfield may have negative eigenvalues: entropy rate and observables that hold the logarithm were
    plausible numbers where traced, and in responses; NaN now, and refused by name where known. −Σ J/T stays."""
    problem = resolve(qubit(), lgks.Redfield())
    L, rho = problem.generator(), jnp.diag(jnp.array([1.02, -0.02], complex))
    rate, flow = jax.jit(lambda X: (L.entropy_rate(X), L.currents(X)))(rho)
    assert np.isnan(rate)
    assert np.isfinite(flow).all()
    for quantity in (Entropy(), EntropyRate(), lgks.EntropyProduction()):
        with pytest.raises(InputError, match=f"response of the {quantity.name} .* eigenvalue below -1e-8"):
            require_logarithm(quantity.linear(L, rho), quantity)
    require_logarithm(HeatCurrents().linear(L, rho), HeatCurrents())


def test_a_solver_does_not_renumber_channels():
    """Of three levels of which a bath couples two: `Krylov()` left the other groups out, and the channels of a response
    had other numbers than those of any other solver. (That a response keeps its solver's form is shown elsewhere.)"""
    coupling = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    resolved = dissipation(lgks.System(np.diag([0.0, 1.0, 2.5]), lgks.Bath(coupling, 1.0, DRUDE)), lgks.Davies())
    assert resolved.coupled().groups.count < resolved.groups.count
    np.testing.assert_array_equal(lgks.Krylov().prepare(resolved).labels, resolved.groups.labels)


def test_a_dataset_that_does_not_fit_into_memory_is_refused():
    """4e10 points: a MemoryError of NumPy before."""
    axes = {"x": np.linspace(0.0, 1.0, 200_000), "y": np.linspace(0.0, 1.0, 2_000_000)}
    with pytest.raises(SolverMemoryError, match=r"sweep: the dataset of 4e\+11 points takes about 6.8e\+03 GB"):
        lgks.sweep(lambda x, y: jnp.stack([x, y]), axes)
