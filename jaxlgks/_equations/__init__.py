"""Master equations, one file a member: each turns a system into one dissipator per bath."""

from ._base import AbstractEquation as AbstractEquation, as_equation as as_equation
from ._davies import Davies as Davies
from ._dissipation import (
    Dissipation as Dissipation,
    FirstOrder as FirstOrder,
    Slope as Slope,
    dissipation as dissipation,
    each_noise as each_noise,
)
from ._dissipator import Dissipator as Dissipator, combined as combined
from ._hierarchy import NO_DISSIPATOR as NO_DISSIPATOR, Hierarchy as Hierarchy, enough_for as enough_for
from ._local import Local as Local
from ._rates import RootRate as RootRate, unusable_rate as unusable_rate
from ._redfield import Redfield as Redfield
from ._secular import AbstractSecular as AbstractSecular, product_within as product_within
from ._timescales import (
    bath_rates as bath_rates,
    between_states as between_states,
    carried_rates as carried_rates,
    constant as constant,
    correlation_time as correlation_time,
    coupling_weights as coupling_weights,
    rate_errors as rate_errors,
    relaxation_rate as relaxation_rate,
    separation as separation,
    spread as spread,
    total as total,
    transition_rates as transition_rates,
)
from ._unified import Unified as Unified, cluster_gap as cluster_gap
from ._universal import UniversalLindblad as UniversalLindblad
from ._validity import (
    LARGE as LARGE,
    NEGATIVE as NEGATIVE,
    SMALL as SMALL,
    Parameters as Parameters,
    Validity as Validity,
    each_equation as each_equation,
    parameters as parameters,
    reorganisation as reorganisation,
    validity as validity,
    worst as worst,
)
