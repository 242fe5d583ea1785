"""Quantities other than observables whose steady-state response can be asked for.

Enters: nothing but a name. Leaves: an object that `autodiff_response` and `cross_validate` take in place of A.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._equations import AbstractEquation
from .._observables import entropy_production, expectation, heat_currents
from .._oscillators import QuasiFree
from .._steady import steady_state
from .._system import System
from ..errors import InputError
from ._explicit import as_observables, response
from ._linear import LinearResponse
from ._thermodynamic import thermodynamic_response


class HeatCurrent(eqx.Module):
    """The steady heat current J^α from one bath. **Arguments:** `bath`: its position or its name."""

    bath: int | str = eqx.field(static=True)

    def position(self, system: System | QuasiFree) -> int:
        """The bath's position in the system; `InputError` if there is none."""
        names = [bath.name for bath in system.baths]
        if isinstance(self.bath, str) and names.count(self.bath) > 1:
            raise InputError(f"HeatCurrent: {names.count(self.bath)} baths are named {self.bath!r}; give the position.")
        if isinstance(self.bath, str) and self.bath in names:
            return names.index(self.bath)
        if isinstance(self.bath, int) and -len(names) <= self.bath < len(names):
            return self.bath % len(names)
        raise InputError(f"HeatCurrent: no bath {self.bath!r}; the system has {len(names)} baths, named {names}.")


class EntropyProduction(eqx.Module):
    """The steady entropy production rate σ."""


Quantity = HeatCurrent | EntropyProduction


def steady_value(system: System, A, equation: AbstractEquation) -> Float[Array, "*a"]:
    """The value of a quantity or of observables [..., d, d] in the steady state."""
    if isinstance(A, HeatCurrent):
        return heat_currents(system, equation)[A.position(system)]
    if isinstance(A, EntropyProduction):
        return entropy_production(system, equation)
    return jnp.vectorize(expectation, signature="(d,d),(d,d)->()")(A, steady_state(system, equation).rho)


def explicit_response(system: System, V, A, equation: AbstractEquation) -> LinearResponse:
    """The explicit route for a quantity or observables."""
    if isinstance(A, HeatCurrent):
        every = thermodynamic_response(system, V, equation).heat_currents
        bath = A.position(system)
        return eqx.tree_at(
            lambda r: (r.observables, r.explicit), every, (every.observables[bath], every.explicit[bath])
        )
    if isinstance(A, EntropyProduction):
        return thermodynamic_response(system, V, equation).entropy_production
    return response(system, V, A, equation)


def as_quantity(A, system: System):
    """A quantity as it is, observables checked."""
    return A if isinstance(A, HeatCurrent | EntropyProduction) else as_observables(A, system)


def quantity_name(A) -> str:
    """What a table calls it."""
    if isinstance(A, HeatCurrent):
        return f"heat current of bath {A.bath!r}"
    return "entropy production" if isinstance(A, EntropyProduction) else "observable"
