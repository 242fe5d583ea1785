"""The generator L of dρ/dt = L ρ in every form, behind one protocol, and the resolved problem that it is made from."""

from ._base import (
    AbstractDelay as AbstractDelay,
    AbstractForm as AbstractForm,
    AbstractGenerator as AbstractGenerator,
    AbstractInteraction as AbstractInteraction,
    AbstractMoment as AbstractMoment,
    AbstractSuperoperator as AbstractSuperoperator,
    Change as Change,
    NullState as NullState,
    Observables as Observables,
    State as State,
    converged as converged,
    in_order as in_order,
    require_known as require_known,
    stacked as stacked,
)
from ._blocks import (
    BlockGenerator as BlockGenerator,
    BlockStructure as BlockStructure,
    block_generator as block_generator,
)
from ._channels import Channels as Channels
from ._choice import generator as generator, known_blocks as known_blocks
from ._cycle import (
    enough as enough,
    multipliers as multipliers,
    periodic_memory as periodic_memory,
    periodic_state as periodic_state,
)
from ._delayed import Explicit as Explicit
from ._dense import DenseGenerator as DenseGenerator, dense_generator as dense_generator
from ._driven import (
    HARMONICS as HARMONICS,
    NEIGHBOURS as NEIGHBOURS,
    AbstractDriven as AbstractDriven,
    Driven as Driven,
    first_harmonic as first_harmonic,
    followed as followed,
    require_driven as require_driven,
)
from ._facts import NEGLIGIBLE as NEGLIGIBLE, Facts as Facts
from ._floquet import floquet as floquet, rate_of_change as rate_of_change
from ._following import AtOnce as AtOnce, Following as Following, following as following
from ._gth import UNROLLED as UNROLLED, scalars as scalars, stationary as stationary
from ._harmonics import (
    FEW as FEW,
    MOST as MOST,
    UNSEEN as UNSEEN,
    expected as expected,
    missed as missed,
    samples_of as samples_of,
)
from ._hierarchy_depth import enough_levels as enough_levels
from ._levels import levels as levels
from ._linear import linear_solve as linear_solve, matrix_exponential as matrix_exponential
from ._liouvillian import liouvillian as liouvillian, unvec as unvec, vec as vec
from ._matrices import Evolution as Evolution, restored as restored, thermal_change as thermal_change
from ._memory import (
    ALLOWED as ALLOWED,
    matrix_bytes as matrix_bytes,
    require_memory as require_memory,
    require_states as require_states,
)
from ._motion import Motion as Motion, Reading as Reading
from ._operators import (
    OperatorCore as OperatorCore,
    OperatorGenerator as OperatorGenerator,
    operator_generator as operator_generator,
)
from ._populations import LevelRates as LevelRates, level_rates as level_rates, populations_close as populations_close
from ._problem import AbstractProblem as AbstractProblem, resolve as resolve
from ._remembering import (
    ABOVE as ABOVE,
    APART as APART,
    Exponentials as Exponentials,
    exponentials_of as exponentials_of,
    warn_of_near as warn_of_near,
)
from ._solvers import (
    AbstractSolver as AbstractSolver,
    Blocks as Blocks,
    Dense as Dense,
    Krylov as Krylov,
    Populations as Populations,
    as_solver as as_solver,
)
from ._system import SystemProblem as SystemProblem
from ._verdict import (
    EDGE_LIMIT as EDGE_LIMIT,
    NOT_FINITE as NOT_FINITE,
    WEAK as WEAK,
    AbstractSteadyState as AbstractSteadyState,
    Judgement as Judgement,
    SteadyState as SteadyState,
    asked_in as asked_in,
    doubt_of as doubt_of,
    doubtful as doubtful,
    is_heard as is_heard,
    mark as mark,
    tell as tell,
    verdict_on as verdict_on,
    warnings_of as warnings_of,
)
