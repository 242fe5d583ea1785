"""The response of a steady state to H → H + δV: by the explicit first-order generator, by automatic differentiation,
and side by side; its response to the baths; and which equation to use."""

from ._at_once import DrivenDiagnosis as DrivenDiagnosis
from ._autodiff import autodiff_response as autodiff_response
from ._correlation import correlation as correlation
from ._diagnosis import Diagnosis as Diagnosis, diagnose as diagnose
from ._expansion import Expansion as Expansion, expand as expand
from ._explicit import response as response
from ._harmonics import Harmonics as Harmonics
from ._linear import Impulse as Impulse, LinearResponse as LinearResponse, Parts as Parts
from ._spectrum import spectrum as spectrum
from ._thermal import (
    ThermalResponse as ThermalResponse,
    autodiff_thermal_response as autodiff_thermal_response,
    onsager_matrix as onsager_matrix,
    thermal_response as thermal_response,
)
from ._thermodynamic import (
    ThermodynamicResponse as ThermodynamicResponse,
    thermodynamic_response as thermodynamic_response,
)
from ._validation import CrossValidation as CrossValidation, cross_validate as cross_validate
