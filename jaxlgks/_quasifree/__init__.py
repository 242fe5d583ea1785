"""Oscillators without a Fock space: exact Gaussian steady states and first-order generators on polynomials."""

from ._currents import (
    gaussian_channels as gaussian_channels,
    gaussian_currents as gaussian_currents,
    gaussian_entropy_rate as gaussian_entropy_rate,
    log_form as log_form,
    same_channel as same_channel,
)
from ._dynamics import (
    damping_rates as damping_rates,
    dynamics as dynamics,
    gaussian_separation as gaussian_separation,
    home as home,
    memory as memory,
    nominal_frequencies as nominal_frequencies,
    unified_gap as unified_gap,
)
from ._evolution import (
    GaussianEvolution as GaussianEvolution,
    gaussian_correlation as gaussian_correlation,
    gaussian_evolution as gaussian_evolution,
    heisenberg as heisenberg,
)
from ._expansion import (
    Expansion as Expansion,
    bath_adjoint as bath_adjoint,
    expanded as expanded,
    framed as framed,
    rate_scale as rate_scale,
)
from ._first_order import Turned as Turned, turned as turned
from ._flow import evolved as evolved, integrated as integrated, resolvent as resolvent
from ._frame import Frame as Frame, frame_noise as frame_noise
from ._langevin import ExactSteadyState as ExactSteadyState, exact_steady_state as exact_steady_state
from ._modes import NormalModes as NormalModes, clustered as clustered, normal_modes as normal_modes
from ._state import (
    GaussianState as GaussianState,
    expectation as expectation,
    gaussian_steady_state as gaussian_steady_state,
    require_physical as require_physical,
)
from ._truncated import Truncated as Truncated, truncated as truncated
