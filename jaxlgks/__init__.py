"""jaxlgks: response theory of open quantum systems between thermal baths, in JAX."""

from importlib.metadata import version as _version

from . import errors as errors, models as models, pulses as pulses
from ._cumulant import Cumulant as Cumulant, cumulant_map as cumulant_map
from ._cycles import SteadyCycle as SteadyCycle, cycle as cycle
from ._driven_evolution import DrivenEvolution as DrivenEvolution
from ._drives import Drive as Drive, DrivenSystem as DrivenSystem
from ._entropy import von_neumann_entropy as von_neumann_entropy
from ._equations import (
    Davies as Davies,
    Hierarchy as Hierarchy,
    Local as Local,
    Redfield as Redfield,
    Unified as Unified,
    UniversalLindblad as UniversalLindblad,
    Validity as Validity,
)
from ._evolution import evolve as evolve
from ._fits import (
    Data as Data,
    Design as Design,
    Direction as Direction,
    Fit as Fit,
    Information as Information,
    Plan as Plan,
    Simulation as Simulation,
    Starts as Starts,
    as_data as as_data,
    fisher_information as fisher_information,
    fit as fit,
    maximise as maximise,
    optimal_plan as optimal_plan,
    sensitivity as sensitivity,
)
from ._frame import RotatingFrame as RotatingFrame
from ._generator import (
    Blocks as Blocks,
    Channels as Channels,
    Dense as Dense,
    Evolution as Evolution,
    Krylov as Krylov,
    Populations as Populations,
    SteadyState as SteadyState,
    liouvillian as liouvillian,
)
from ._observables import (
    EntropyProduction as EntropyProduction,
    HeatCurrent as HeatCurrent,
    channel_currents as channel_currents,
    entropy_production as entropy_production,
    heat_currents as heat_currents,
)
from ._polynomials import Polynomial as Polynomial, modes as modes
from ._quasifree import (
    ExactResponse as ExactResponse,
    ExactSteadyState as ExactSteadyState,
    GaussianEvolution as GaussianEvolution,
    GaussianState as GaussianState,
    GaussianSteadyState as GaussianSteadyState,
    QuasiFree as QuasiFree,
    Truncated as Truncated,
    exact_response as exact_response,
    exact_steady_state as exact_steady_state,
    heisenberg as heisenberg,
    truncated as truncated,
)
from ._response import (
    CrossValidation as CrossValidation,
    Diagnosis as Diagnosis,
    DrivenDiagnosis as DrivenDiagnosis,
    Harmonics as Harmonics,
    LinearResponse as LinearResponse,
    Parts as Parts,
    ThermalResponse as ThermalResponse,
    ThermodynamicResponse as ThermodynamicResponse,
    autodiff_response as autodiff_response,
    autodiff_thermal_response as autodiff_thermal_response,
    correlation as correlation,
    cross_validate as cross_validate,
    diagnose as diagnose,
    onsager_matrix as onsager_matrix,
    response as response,
    spectrum as spectrum,
    thermal_response as thermal_response,
    thermodynamic_response as thermodynamic_response,
)
from ._spectra import (
    CallableSpectrum as CallableSpectrum,
    DrudeLorentz as DrudeLorentz,
    Flat as Flat,
    Ohmic as Ohmic,
    Tabulated as Tabulated,
    UnderdampedBrownian as UnderdampedBrownian,
)
from ._steady import log_populations as log_populations, steady_state as steady_state
from ._sweeps import sweep as sweep
from ._system import Bath as Bath, System as System
from ._validity import validity as validity
from .errors import FitWarning as FitWarning, SweepWarning as SweepWarning, ValidityWarning as ValidityWarning
from .pulses import periodic as periodic

__version__ = _version("jaxlgks")
