"""The first call of a public function in a fresh process: what a user waits for before anything is compiled.

CPU seconds, the import of the library left out, and the number of programs that XLA compiles, for two qubits (d = 4).
"""

import functools
import json
import subprocess
import sys

from ._case import Case, Measured

START = """
import json, resource
import jax
jax.config.update("jax_enable_x64", True)
import jaxlgks as lgks

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: compiled.append(seconds) if name.endswith("backend_compile_duration") else None
)
bath = lgks.DrudeLorentz(0.001, 2.0)
system = lgks.models.two_qubits(1.0, 0.2, spectrum=bath, temperatures=(0.45, 0.35))
V, A = lgks.models.pauli("ZZ"), lgks.models.pauli("ZI")
used = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
jax.block_until_ready((system, V, A))
before, count = used(), len(compiled)
"""
END = """
jax.block_until_ready(jax.tree.leaves(result))
print(json.dumps([used() - before, len(compiled) - count, sum(compiled[count:])]))
"""
CALLS = {
    "heat_currents": "lgks.heat_currents(system)",
    "heat_currents, Redfield with Lamb shift": "lgks.heat_currents(system, lgks.Redfield(lamb_shift=True))",
    "channel_currents": "lgks.channel_currents(system)",
    "evolve": "lgks.evolve(system, lgks.steady_state(system).rho, [0.0, 1.0]).states",
    "response(...).static()": "lgks.response(system, V, A).static()",
    "response(...).susceptibility": "lgks.response(system, V, A).susceptibility([0.1, 0.2])",
    "thermodynamic_response, all of it": "[getattr(lgks.thermodynamic_response(system, V), n).static() for n in "
    "('heat_currents', 'heat_currents_gibbs', 'channels', 'entropy', 'entropy_rate', 'entropy_production')]",
    "thermal_response": "lgks.thermal_response(system, lgks.HeatCurrent('a'))",
    "onsager_matrix": "lgks.onsager_matrix(lgks.models.two_qubits(1.0, 0.2, spectrum=bath, temperatures=(0.4, 0.4)))",
    "correlation": "lgks.correlation(system, A, V, [0.0, 1.0])",
    "jax.grad(heat_currents)": "jax.grad(lambda d: lgks.heat_currents(system.perturbed(V, d))[0])(0.0)",
    "autodiff_response": "lgks.autodiff_response(system, V, A)",
    "cross_validate": "lgks.cross_validate(system, V, A)",
    "cross_validate, Redfield with Lamb shift": "lgks.cross_validate(system, V, A, lgks.Redfield(lamb_shift=True))",
    "diagnose": "lgks.diagnose(system, V, 0.1)",
}


def _first(call: str, limit: float = 300.0) -> Measured:
    code = f"{START}result = {call}{END}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=limit)
    cpu, count, compiling = json.loads(done.stdout.splitlines()[-1])
    return Measured(cpu, cpu, note=f"{count} programs, {compiling:.2g} s in XLA")


def cases(quick: bool) -> list[Case]:
    """One for each public function."""
    return [
        Case("first", "first call, CPU seconds", name, "jaxlgks", functools.partial(_first, CALLS[name]))
        for name in CALLS
    ]
