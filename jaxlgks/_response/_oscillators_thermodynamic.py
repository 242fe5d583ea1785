"""Response of heat currents, entropy and entropy production of quasi-free models.

Enters: a model, a polynomial V, a master equation. Leaves: the quantities of `_thermodynamic`, whose observables D_α†H,
−ln π₀ and L₀†(−ln π₀) are quadratic polynomials here.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._equations import AbstractEquation
from .._oscillators import QuasiFree
from .._polynomials import Symbol, as_polynomial, plus, scaled
from .._quasifree import Expansion, Frame, expanded, home, log_form
from ._oscillators import QuasiFreeResponse, assembled


class QuasiFreeThermodynamics(eqx.Module):
    """First-order responses of a quasi-free model, each with the methods and parts of `LinearResponse`.

    `heat_currents` (form 51) and `heat_currents_gibbs` (form 50), last axis baths; `entropy`, `entropy_rate`,
    `entropy_production`, as in `ThermodynamicResponse`.
    """

    heat_currents: QuasiFreeResponse
    heat_currents_gibbs: QuasiFreeResponse
    entropy: QuasiFreeResponse
    entropy_rate: QuasiFreeResponse
    entropy_production: QuasiFreeResponse


def quasifree_thermodynamics(model: QuasiFree, V, equation: AbstractEquation) -> QuasiFreeThermodynamics:
    """`thermodynamic_response` for a quasi-free model."""
    V = as_polynomial(V, "the perturbation V", model.modes)
    expansion = expanded(model, V.coefficients, equation, 2)
    own = home(model, equation)
    reach = V.coefficients if own is model else scaled(V.coefficients, 0.0)
    return _thermodynamics(model, own, V.coefficients, reach, expansion)


@eqx.filter_jit
def _thermodynamics(
    model: QuasiFree, own: QuasiFree, V: Symbol, reach: Symbol, expansion: Expansion
) -> QuasiFreeThermodynamics:
    at, baths = expansion.at, range(len(model.baths))
    currents, instant = _flows(expansion, model, V)
    gibbs, gibbs_now = _flows(expansion, own, reach)

    form = at.modes.forms.T @ log_form(at.state.covariance) @ at.modes.forms / 2
    log = (jnp.zeros((), complex), jnp.zeros(at.signed.size, complex), form)  # −ln π₀, its average left out
    rate = _total_adjoint(at, log)
    rate_now = expansion.change(log)
    production = rate
    for bath in baths:
        production = plus(production, scaled(currents[bath], -1 / model.temperatures[bath]))
    production_now = rate_now - jnp.sum(instant / model.temperatures)

    def linear(A: list[Symbol], explicit: Array) -> QuasiFreeResponse:
        return assembled(at, expansion.sources, A, explicit)

    return QuasiFreeThermodynamics(
        heat_currents=linear(currents, instant),
        heat_currents_gibbs=linear(gibbs, gibbs_now),
        entropy=linear([log], jnp.zeros(())),
        entropy_rate=linear([rate], rate_now),
        entropy_production=linear([production], production_now),
    )


def _flows(expansion: Expansion, model: QuasiFree, V: Symbol) -> tuple[list[Symbol], Array]:
    """D_α†H for each bath, and what of its average moves at once: ⟨D_α⁽¹⁾†H⟩ + ⟨D_α†V⟩."""
    H, V = expansion.at.wick(model.hamiltonian.coefficients), expansion.at.wick(V)
    H = H + tuple(jnp.zeros((expansion.at.signed.size,) * k, complex) for k in range(len(H), 3))
    flows, instant = [], []
    for bath in range(len(model.baths)):
        flows.append(expansion.flow(bath, H))
        instant.append(expansion.at_once(bath, H) + expansion.flow(bath, V)[0].real)
    return flows, jnp.stack(instant)


def _total_adjoint(at: Frame, X: Symbol) -> Symbol:
    """L₀†X of a quadratic X in Wick's order of the steady state: drift alone."""
    form = at.drift.T @ X[2]
    return X[0], at.drift.T @ X[1], form + form.T
