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
)
from ._expansion import Expansion as Expansion, bath_adjoint as bath_adjoint, expanded as expanded, framed as framed
from ._flow import evolved as evolved, integrated as integrated, resolvent as resolvent
from ._frame import Frame as Frame
from ._modes import NormalModes as NormalModes, normal_modes as normal_modes
from ._truncated import Truncated as Truncated, truncated as truncated
from ._state import (
    GaussianState as GaussianState,
    expectation as expectation,
    gaussian_steady_state as gaussian_steady_state,
)
