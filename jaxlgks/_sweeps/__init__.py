"""A function of named numbers over a grid of them."""

from ._config import (
    Plan as Plan,
    addresses as addresses,
    builder as builder,
    equation_of as equation_of,
    is_number as is_number,
    plan as plan,
    quantities as quantities,
    read_plan as read_plan,
    require_known as require_known,
    require_table as require_table,
    set_default as set_default,
)
from ._plot import plot as plot
from ._sweep import sweep as sweep
