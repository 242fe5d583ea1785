"""e) From nothing: import and the first steady state of two qubits, in a fresh process.

The time is that of the whole process, the interpreter included.
"""

import functools
import statistics
import subprocess
import sys
import time

from ._case import Case, Measured

OURS = """
import jax
jax.config.update("jax_enable_x64", True)
import jaxlgks as lgks
system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
print(lgks.steady_state(system).rho[0, 0])
"""
QUTIP = """
from benchmarks import peers
print(peers.qutip_current("direct")(60.0, 40.0))
"""
DYNAMIQS = """
import jax
jax.config.update("jax_enable_x64", True)
from benchmarks import peers
print(jax.jit(peers.dynamiqs_current())(60.0, 40.0))
"""
BARE = """
import jax
print(jax.jit(lambda x: x + 1)(1.0))
"""


def _fresh(code: str) -> Measured:
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return Measured(seconds[0], statistics.median(seconds[1:]), note="first: files not yet in memory")


def cases(quick: bool) -> list[Case]:
    """The bare JAX process is what no library on it can undercut."""
    here = functools.partial(Case, "cold", "import and one steady state", "two qubits")
    return [
        here("jaxlgks", functools.partial(_fresh, OURS)),
        here("JAX alone: one addition", functools.partial(_fresh, BARE)),
        here("QuTiP", functools.partial(_fresh, QUTIP)),
        here("dynamiqs, dense solve", functools.partial(_fresh, DYNAMIQS)),
    ]
