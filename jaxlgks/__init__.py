"""jaxlgks: response theory of open quantum systems between thermal baths, in JAX."""

from . import models as models
from ._generator import liouvillian as liouvillian
from ._system import Bath as Bath, System as System
from .equations import Davies as Davies, Local as Local
from .spectra import (
    CallableSpectrum as CallableSpectrum,
    DrudeLorentz as DrudeLorentz,
    Flat as Flat,
    Ohmic as Ohmic,
)
from .steady import Dense as Dense, SteadyState as SteadyState, steady_state as steady_state
