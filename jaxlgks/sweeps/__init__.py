"""A function of named numbers over a grid of them."""

from ._config import Plan as Plan, plan as plan, read_plan as read_plan
from ._plot import plot as plot
from ._sweep import sweep as sweep
