"""A solver and its memory as every function takes them: nothing here is solved that a qubit does not hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._equations import combined, dissipation
from jaxlgks._generator import resolve
from jaxlgks._steady import at_rest
from jaxlgks.errors import SolverMemoryError

DRUDE = lgks.DrudeLorentz(0.01, 2.0)
X, Z = lgks.models.pauli("X"), lgks.models.pauli("Z")
BATHS = [lgks.Bath(X, 0.5, DRUDE, name="a"), lgks.Bath(X + Z, 0.5, DRUDE, name="b")]
QUBIT = lgks.System(0.5 * Z, BATHS)
J = lgks.HeatCurrent("a")
TAKES_A_SOLVER = {
    "steady_state": lambda **o: lgks.steady_state(QUBIT, **o),
    "heat_currents": lambda **o: lgks.heat_currents(QUBIT, **o),
    "entropy_production": lambda **o: lgks.entropy_production(QUBIT, **o),
    "channel_currents": lambda **o: lgks.channel_currents(QUBIT, **o),
    "correlation": lambda **o: lgks.correlation(QUBIT, X, X, [0.0, 1.0], **o),
    "response": lambda **o: lgks.response(QUBIT, X, J, **o),
    "thermodynamic_response": lambda **o: lgks.thermodynamic_response(QUBIT, X, **o),
    "thermal_response": lambda **o: lgks.thermal_response(QUBIT, J, **o),
    "autodiff_response": lambda **o: lgks.autodiff_response(QUBIT, X, J, **o),
    "autodiff_thermal_response": lambda **o: lgks.autodiff_thermal_response(QUBIT, J, **o),
    "onsager_matrix": lambda **o: lgks.onsager_matrix(QUBIT, **o),
    "cross_validate": lambda **o: lgks.cross_validate(QUBIT, X, J, **o),
    "diagnose": lambda equation, solver: lgks.diagnose(QUBIT, X, 0.1, solver),
}


@pytest.mark.parametrize("name", TAKES_A_SOLVER)
def test_every_function_of_a_steady_state_takes_a_solver(name):
    """It is the one that is asked: what it may not take, it refuses, before anything is compiled."""
    with pytest.raises(SolverMemoryError, match=r"^Dense: the generator .*Dense\(memory=\.\.\.\)"):
        TAKES_A_SOLVER[name](equation=lgks.Redfield(), solver=lgks.Dense(memory=1.0))


def test_a_response_keeps_the_form_of_the_solver_that_was_asked_for():
    """Left alone, a qubit's response is made from the matrix."""
    rest = at_rest(resolve(QUBIT, lgks.Redfield()), lgks.Krylov())
    assert rest.generator()[0] is rest.form
    assert rest.form.name == "operators"


def spins(count: int) -> lgks.System:
    fields = np.random.default_rng(count).uniform(0.5, 1.5, count)
    return lgks.models.spin_chain(fields, (0.3, 0.3, 0.3), DRUDE, (2.0, 1.0))


def test_memory_is_asked_for_before_it_is_taken():
    """Eight spins: the 69 GB of one d²×d² matrix, and the operators of 65281 groups, ended the process. What is allowed
    can be told."""
    system = spins(8)
    calls = {
        "liouvillian": lambda: lgks.liouvillian(system, lgks.Redfield()),
        "Cumulant": lambda: lgks.cumulant_map(system, 1.0),
        "channel_currents": lambda: lgks.channel_currents(system, rho=np.eye(256) / 256),
        "operators of Davies": lambda: lgks.evolve(system, np.eye(256) / 256, [0.0, 1.0], method="diffrax"),
    }
    for what, call in calls.items():
        with pytest.raises(SolverMemoryError, match=rf"{what}.* takes about .* GB; allowed are 8 GB"):
            call()
    with pytest.raises(SolverMemoryError, match=r"1\.02e-06 GB; allowed are 1e-06 GB.*memory=\.\.\."):
        lgks.liouvillian(QUBIT, memory=1e3)
    assert lgks.liouvillian(QUBIT, memory=1024.0).shape == (4, 4)


def test_groups_to_which_no_bath_couples_are_left_out():
    """A ladder of six levels has eleven groups, its coupling three; the dissipators stay what they are. Where H or a
    coupling is traced nothing is left out: along it an operator need not stay zero."""
    a = np.diag(np.sqrt(np.arange(1.0, 6)), 1)
    system = lgks.System(0.1 * (a + a.T), lgks.Bath(a + a.T, 0.7, DRUDE))
    resolved = dissipation(system, lgks.Local(a.T @ a))
    left = resolved.coupled()
    assert (resolved.groups.count, left.groups.count) == (11, 3)
    assert left.coupled().groups.count == 3
    zero = jnp.zeros((6, 6), complex)
    whole, few = (combined(r.dissipators(), zero).matrix() for r in (resolved, left.coupled()))
    np.testing.assert_allclose(few, whole, rtol=0, atol=1e-15 * float(jnp.max(jnp.abs(whole))))

    def count(H):
        traced = dissipation(lgks.System(H, system.baths), lgks.Davies())
        return traced.coupled().groups.count - traced.groups.count

    assert jax.eval_shape(lambda H: jnp.zeros(1 - count(H)), system.hamiltonian).shape == (1,)
