"""Parameters from data, what data can tell, and the best device: the gradients put to work."""

from ._data import Data as Data
from ._fit import fit as fit
from ._information import Direction as Direction, Information as Information
from ._maximise import Design as Design, maximise as maximise
from ._plan import Plan as Plan, optimal_plan as optimal_plan
from ._result import Fit as Fit
from ._sensitivity import fisher_information as fisher_information, sensitivity as sensitivity
from ._simulation import Simulation as Simulation
from ._tables import as_data as as_data
from ._verdict import Starts as Starts
