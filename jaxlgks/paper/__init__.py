"""The source paper, end to end: its closed forms, its figures, and a check of each of its equations.

Levy, Rabani, Limmer, "Response theory for nonequilibrium steady-states of open quantum systems", Phys. Rev. Research 3,
023252 (2021). Not imported by `import jaxlgks`: this is where matplotlib and xarray are needed.
"""

from ._parameters import OscillatorParameters as OscillatorParameters, QubitParameters as QubitParameters
from ._reproduce import FIGURES as FIGURES, Outcome as Outcome, reproduce as reproduce
