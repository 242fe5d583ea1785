"""Parameters from data, what data can tell, and the best device: the gradients put to work."""

from ._data import Data as Data
from ._fit import fit as fit
from ._information import Direction as Direction, Information as Information
from ._result import Fit as Fit
from ._simulation import Simulation as Simulation
from ._verdict import Starts as Starts
