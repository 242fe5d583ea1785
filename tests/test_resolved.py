"""What is found once is handed on: each public function diagonalises once for each Hamiltonian involved."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

import jaxlgks as lgks

V, A, RHO = lgks.models.pauli("ZZ"), lgks.models.pauli("ZI"), jnp.diag(jnp.array([0.7, 0.1, 0.1, 0.1]))
TIMES = [0.0, 1.0]

# What is asked, and how many Hamiltonians are involved: that of the system, of a reference, of H ± δV.
ASKED = {
    "liouvillian": (lambda s, e: lgks.liouvillian(s, e), 1),
    "steady_state": (lambda s, e: lgks.steady_state(s, e).rho, 1),
    "heat_currents": (lambda s, e: lgks.heat_currents(s, e), 1),
    "heat_currents of a state": (lambda s, e: lgks.heat_currents(s, e, rho=RHO), 1),
    "entropy_production of a state": (lambda s, e: lgks.entropy_production(s, e, rho=RHO), 1),
    "channel_currents": (lambda s, e: lgks.channel_currents(s, e).currents, 1),
    "evolve": (lambda s, e: lgks.evolve(s, RHO, TIMES, e).states, 1),
    "evolve diffrax": (lambda s, e: lgks.evolve(s, RHO, TIMES, e, "diffrax").states, 1),
    "response": (lambda s, e: lgks.response(s, V, A, e).static().total, 1),
    "thermodynamic_response": (lambda s, e: lgks.thermodynamic_response(s, V, e).entropy_production.static(), 1),
    "thermal_response": (lambda s, e: lgks.thermal_response(s, lgks.HeatCurrent("a"), e).temperatures, 1),
    "autodiff_thermal_response": (lambda s, e: lgks.autodiff_thermal_response(s, A, e).temperatures, 1),
    "correlation": (lambda s, e: lgks.correlation(s, A, V, TIMES, e), 1),
    "autodiff_response": (lambda s, e: lgks.autodiff_response(s, V, A, e), 1),
    "second order": (lambda s, e: lgks.autodiff_response(s, V, A, e, order=2), 1),
    "cross_validate": (lambda s, e: lgks.cross_validate(s, V, A, e).autodiff, 2),
    "diagnose": (lambda s, e: lgks.diagnose(s, V, 0.1).valid, 2),
}
EQUATIONS = {"Davies": lgks.Davies(), "Redfield": lgks.Redfield()}


@pytest.fixture(scope="module")
def diagonalised():
    """The Hamiltonians that are diagonalised from here to the end of the module. Programs are forgotten at both ends
    and kept in between: what a program diagonalises is counted when it is traced first, here."""
    found = []
    module = sys.modules["jaxlgks._bohr._structure"]
    original = module.bohr_structure

    def counting(hamiltonian):
        found.append(hamiltonian)
        return original(hamiltonian)

    jax.clear_caches()
    with pytest.MonkeyPatch.context() as patch:
        for name, other in list(sys.modules.items()):
            if name.startswith("jaxlgks.") and getattr(other, "bohr_structure", None) is original:
                patch.setattr(other, "bohr_structure", counting)
        yield found
    jax.clear_caches()


@pytest.fixture
def counted(diagonalised):
    """Those of one test."""
    diagonalised.clear()
    return diagonalised


def system() -> lgks.System:
    return lgks.models.two_qubits(1.0, 0.2, spectrum=lgks.DrudeLorentz(0.01, 2.0), temperatures=(0.5, 0.4))


@pytest.mark.parametrize("name", ASKED)
def test_a_public_function_diagonalises_once(name, counted):
    function, expected = ASKED[name]
    for equation in EQUATIONS.values():
        counted.clear()
        function(system(), equation)
        assert len(counted) == expected


def test_a_frozen_dissipator_has_a_hamiltonian_of_its_own(counted):
    lgks.heat_currents(system().perturbed(V, 0.1), lgks.Local(system()))
    assert len(counted) == 2


def test_inside_jit_as_well(counted):
    jax.jit(lambda T: lgks.heat_currents(lgks.models.two_qubits(1.0, 0.2, 0.01, (T, 0.4))))(0.5)
    assert len(counted) == 1


WRONG = """
import jax; jax.config.update("jax_enable_x64", True)
import numpy as np
import jaxlgks as lgks

s, rho = lgks.models.two_qubits(1.0, 0.2, 0.01, (0.5, 0.4)), np.eye(4) / 4
V, d = lgks.models.pauli("ZZ"), lgks.Davies()
for wrong in ("davies", lgks.Davies, None, lgks.Dense()):
    for f in (
        lambda: lgks.heat_currents(s, wrong), lambda: lgks.liouvillian(s, wrong), lambda: lgks.response(s, V, V, wrong),
        lambda: lgks.evolve(s, rho, [0.0, 1.0], wrong), lambda: lgks.steady_state(s, wrong),
        lambda: lgks.log_populations(s, wrong), lambda: lgks.cross_validate(s, V, V, wrong),
    ):
        try:
            f()
        except lgks.errors.InputError as error:
            assert "equation must be a master equation" in str(error), error
        else:
            raise AssertionError(wrong)
for wrong in ("dense", lgks.Dense, d):
    for f in (lambda: lgks.steady_state(s, d, wrong), lambda: lgks.heat_currents(s, d, wrong)):
        try:
            f()
        except lgks.errors.InputError as error:
            assert "solver must be" in str(error), error
        else:
            raise AssertionError(wrong)
try:
    lgks.heat_currents(np.eye(2))
except lgks.errors.InputError as error:
    assert "System or a QuasiFree" in str(error), error
else:
    raise AssertionError
"""


def test_what_is_no_equation_solver_or_model_is_named():
    """In a process of its own, without the checks of signatures that the other tests run under."""
    done = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
