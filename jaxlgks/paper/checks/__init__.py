"""A check of each of the paper's equations, by family: the general theory, the oscillators, the qubits, the
thermodynamics, the passage from the local to the global regime, responses at a frequency, and strong drives. Each
member yields rows; the numbers on the computed side come from the library at run time."""

from ._crossover import rows as crossover_rows
from ._drive import rows as drive_rows
from ._memory import rows as memory_rows
from ._oscillators import rows as oscillator_rows
from ._qubits import rows as qubit_rows
from ._response import rows as response_rows
from ._row import Check as Check, Verdict as Verdict
from ._thermodynamics import rows as thermodynamic_rows

FAMILIES = {
    "response": ("General response theory (Secs. II, III, App. A)", response_rows),
    "oscillators": ("Two anharmonic oscillators (Sec. III B, App. B)", oscillator_rows),
    "qubits": ("Two qubits (Secs. III C, III D, App. C)", qubit_rows),
    "thermodynamics": ("Heat, entropy and entropy production (Sec. IV, App. D)", thermodynamic_rows),
    "crossover": ("From local to global: five equations against exact dynamics (Sec. III C)", crossover_rows),
    "memory": ("Response at a frequency against exact dynamics (Secs. II, III)", memory_rows),
    "drive": ("Steady cycles under drives of any strength (Secs. II, III)", drive_rows),
}
