"""Ready-made systems and operators."""

from ._chain import spin_chain as spin_chain
from ._maser import Maser as Maser, three_level_maser as three_level_maser
from ._operators import pauli as pauli
from ._oscillators import (
    Oscillators as Oscillators,
    QuasiFreeOscillators as QuasiFreeOscillators,
    quasifree_oscillators as quasifree_oscillators,
    two_oscillators as two_oscillators,
)
from ._qubits import two_qubits as two_qubits
