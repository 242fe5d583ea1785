"""Oscillators without a Fock space: the model, its exact Gaussian steady states, its generator on polynomials."""

from ._currents import log_form as log_form
from ._evolution import GaussianEvolution as GaussianEvolution
from ._exact_response import ExactResponse as ExactResponse, exact_response as exact_response
from ._form import GaussianForm as GaussianForm, PolynomialGenerator as PolynomialGenerator
from ._heisenberg import heisenberg as heisenberg
from ._langevin import ExactSteadyState as ExactSteadyState, exact_steady_state as exact_steady_state
from ._model import QuasiFree as QuasiFree
from ._problem import ModesProblem as ModesProblem, modes_problem as modes_problem
from ._state import GaussianState as GaussianState, GaussianSteadyState as GaussianSteadyState
from ._truncated import Truncated as Truncated, truncated as truncated
