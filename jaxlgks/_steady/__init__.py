"""Steady states: the function that finds one and vouches for it, and logarithms of populations that underflow."""

from ._logarithms import log_populations as log_populations
from ._solve import Rest as Rest, at_rest as at_rest, steady_state as steady_state
