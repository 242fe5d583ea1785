"""A function of named numbers over a grid of them."""

from ._plot import plot as plot
from ._sweep import sweep as sweep
