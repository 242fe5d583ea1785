"""Steady states: solvers, one file a member, and the function that applies one of them and vouches for the result."""

from ._base import AbstractSolver as AbstractSolver
from ._blocks import Blocks as Blocks
from ._dense import Dense as Dense
from ._gth import UNROLLED as UNROLLED, scalars as scalars, stationary as stationary
from ._krylov import Krylov as Krylov
from ._logarithms import log_populations as log_populations
from ._populations import (
    LevelRates as LevelRates,
    Populations as Populations,
    couplings_are_real as couplings_are_real,
    known_levels as known_levels,
    level_rates as level_rates,
    with_real_couplings as with_real_couplings,
)
from ._solve import SteadyState as SteadyState, steady_state as steady_state
