"""A function of named numbers over a grid of them."""

from ._sweep import sweep as sweep
