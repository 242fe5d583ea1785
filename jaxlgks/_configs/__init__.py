"""Sweeps and fits described by TOML files: data only, nothing in them is evaluated."""

from ._fit import FitArguments as FitArguments, fit_arguments as fit_arguments, read_fit as read_fit
from ._schema import json_schema as json_schema
from ._sweep import SweepArguments as SweepArguments, read_sweep as read_sweep, sweep_arguments as sweep_arguments
