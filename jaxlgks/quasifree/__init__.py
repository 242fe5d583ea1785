"""Oscillators without a Fock space: exact Gaussian steady states and first-order generators on polynomials."""

from ._state import GaussianState as GaussianState, gaussian_steady_state as gaussian_steady_state
