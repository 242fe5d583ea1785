"""Parameters from data, what data can tell, and the best device: the gradients put to work."""

from ._data import Data as Data, as_data as as_data
from ._fit import fit as fit
from ._information import Direction as Direction, Information as Information
from ._maximise import Design as Design, maximise as maximise
from ._plan import (
    Plan as Plan,
    fisher_information as fisher_information,
    optimal_plan as optimal_plan,
    sensitivity as sensitivity,
)
from ._result import Fit as Fit, Simulation as Simulation
from ._starts import Starts as Starts
