"""The other routes for quasi-free models: differentiate the exact steady state, or a truncated Fock model; differences.

Enters: a model, a perturbation V, a quantity. Leaves: d⟨A⟩/dδ by routes that share no formula with L₁†. A V of degree
two at most leaves H₀ + δV in the family: its Gaussian steady state is differentiated, groups fixed, through the
Lyapunov equation and the two-sided filter. A higher V does not; then the model is truncated, at as many quanta as it
needs.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._equations import AbstractEquation, Local
from .._inputs import is_concrete
from .._oscillators import QuasiFree, linear_part, quadratic_part
from .._polynomials import Polynomial
from .._quasifree import (
    Truncated,
    damping_rates,
    expanded,
    expectation,
    gaussian_currents,
    gaussian_steady_state,
    nominal_frequencies,
    normal_modes,
    truncated,
)
from .._system import System
from ..errors import DerivativeOrderError, InputError, TruncationError
from ._oscillators import QuasiFreeResponse, as_polynomials, quasifree_response
from ._oscillators_thermodynamic import quasifree_thermodynamics
from ._quantities import EntropyProduction, HeatCurrent

LARGEST = 150
"""Dimension of a truncated model up to which its steady state is differentiated."""
TAIL = 1e-12
"""What the last shells may hold, before the observables weight it."""


def as_oscillator_quantity(A, model: QuasiFree):
    """A quantity as it is, polynomials checked."""
    if isinstance(A, HeatCurrent | EntropyProduction):
        return A
    polynomials, shape = as_polynomials(A, model)
    return polynomials if shape else polynomials[0]


def quasifree_value(
    model: QuasiFree, A, equation: AbstractEquation, nominal: Array | None = None
) -> Float[Array, "*a"]:
    """A quantity in the Gaussian steady state; `nominal`: groups pinned elsewhere."""
    state = gaussian_steady_state(model, equation, nominal=nominal)
    if isinstance(A, HeatCurrent):
        return gaussian_currents(model, equation, state, nominal)[A.position(model)]
    if isinstance(A, EntropyProduction):
        return -jnp.sum(gaussian_currents(model, equation, state, nominal) / model.temperatures)
    if isinstance(A, tuple):
        return jnp.stack([expectation(one, state) for one in A])
    return expectation(A, state)


def quasifree_explicit(model: QuasiFree, V, A, equation: AbstractEquation) -> QuasiFreeResponse:
    """The explicit route for a quantity."""
    if isinstance(A, HeatCurrent):
        return quasifree_thermodynamics(model, V, equation).heat_currents.member(A.position(model))
    if isinstance(A, EntropyProduction):
        return quasifree_thermodynamics(model, V, equation).entropy_production
    return quasifree_response(model, V, list(A) if isinstance(A, tuple) else A, equation)


def quasifree_autodiff(model: QuasiFree, V, A, equation: AbstractEquation, order: int) -> Float[Array, "*a"]:
    """`autodiff_response` for V of degree two at most. See `as_truncated` for the rest."""
    if order != 1:
        raise DerivativeOrderError(
            f"autodiff_response: of a QuasiFree model the first derivative is available; got order={order}. Use "
            "truncated(model, excitations) for the second."
        )
    quasifree_value(model, A, equation)  # raises here what would be NaN inside the compiled derivative
    expanded(model, V.coefficients, equation, 1)
    return _derivative(model, V, A, equation)


@eqx.filter_jit
def _derivative(model: QuasiFree, V: Polynomial, A, equation: AbstractEquation) -> Array:
    nominal = pinned_groups(model, equation)
    value = lambda delta: quasifree_value(_moved(model, V, delta), A, equation, nominal)  # noqa: E731
    zero = jnp.zeros(())
    return jax.jvp(value, (zero,), (jnp.ones_like(zero),))[1]


def _moved(model: QuasiFree, V: Polynomial, delta: Array) -> QuasiFree:
    return eqx.tree_at(lambda m: m.hamiltonian, model, model.hamiltonian + delta * V)


def pinned_groups(model: QuasiFree, equation: AbstractEquation) -> Array:
    """The groups as they are, to be held while the model changes."""
    home = model
    if isinstance(equation, Local):
        home = eqx.tree_at(lambda m: m.hamiltonian, model, equation.reference)
    return nominal_frequencies(normal_modes(home), home, equation)


def quasifree_difference(
    model: QuasiFree, V: Polynomial, A, equation: AbstractEquation, step: ArrayLike | None
) -> Float[Array, "*a"]:
    """Romberg-extrapolated central difference of Gaussian steady values, groups pinned (V of degree two at most)."""
    h = _step(model, V) if step is None else jnp.asarray(step, float)
    return _romberg(model, V, A, equation, h)


@eqx.filter_jit
def _romberg(model: QuasiFree, V: Polynomial, A, equation: AbstractEquation, h: Array) -> Array:
    nominal = pinned_groups(model, equation)
    points = h * jnp.array([1.0, -1.0, 0.5, -0.5, 0.25, -0.25])
    value = lambda delta: quasifree_value(_moved(model, V, delta), A, equation, nominal)  # noqa: E731
    values = jax.lax.map(value, points)
    slopes = (values[::2] - values[1::2]) / (points[::2] - points[1::2]).reshape(-1, *[1] * (values.ndim - 1))
    fine, finer = (4 * slopes[1] - slopes[0]) / 3, (4 * slopes[2] - slopes[1]) / 3
    return (16 * finer - fine) / 15


def _step(model: QuasiFree, V: Polynomial) -> Array:
    """1e−2 of the smallest energy over the size of V in the normal modes: the lowest frequency or temperature, or the
    distance of two modes, whose coherence V turns against its own decay where it is small."""
    modes = normal_modes(model)
    forms = modes.forms
    quadratic, linear = forms.T @ quadratic_part(V) @ forms, forms.T @ linear_part(V)
    size = jnp.max(jnp.abs(quadratic)) + jnp.max(jnp.abs(linear))
    lowest = jnp.minimum(modes.frequencies[0], jnp.min(model.temperatures))
    apart = jnp.diff(modes.frequencies) + jnp.min(damping_rates(modes, model))
    return 1e-2 * jnp.minimum(lowest, jnp.min(apart, initial=jnp.inf)) / size


def as_truncated(model: QuasiFree, V: Polynomial, A, equation: AbstractEquation) -> tuple[System, Any, Any, Any]:
    """System, V, A and equation on a Fock space that is large enough, for a V that leaves the family.

    **Raises:** `TruncationError` where more than `LARGEST` states would be needed; `InputError` where values are
    traced."""
    if not is_concrete(model, V):
        raise InputError(
            f"autodiff_response: a perturbation of degree {V.degree} needs a truncated Fock space, whose size is "
            f"chosen from "
            "known values; call it outside jit, vmap and grad, or use response."
        )
    few = truncated(model, _excitations(model, V, equation))
    observable = A
    if isinstance(A, tuple):
        observable = jnp.stack([few.operator(one) for one in A])
    elif isinstance(A, Polynomial):
        observable = few.operator(A)
    return few.system, few.operator(V), observable, _on(few, equation)


def _on(few: Truncated, equation: AbstractEquation) -> AbstractEquation:
    if not isinstance(equation, Local) or not isinstance(equation.reference, Polynomial):
        return equation
    return Local(few.operator(equation.reference), equation.davies.tolerance, equation.lamb_shift)


def _excitations(model: QuasiFree, V: Polynomial, equation: AbstractEquation) -> int:
    """As many quanta as leave less than `TAIL` in the last shells, where V still acts."""
    state = gaussian_steady_state(model, equation)
    modes = normal_modes(model)
    inverse = modes.inverse[: model.modes]
    second = inverse @ state.covariance @ inverse.conj().T
    n = np.asarray(jnp.diag(second).real) - 0.5
    ratio = float(np.max(n / (n + 1)))
    shells = int(np.ceil(np.log(TAIL) / np.log(max(ratio, 1e-12)))) + V.degree
    size = 1.0
    for k in range(1, model.modes + 1):
        size = size * (shells + k) / k
    if size > LARGEST:
        raise TruncationError(
            f"autodiff_response: a perturbation of degree {V.degree} leaves the quasi-free family, and its second "
            f"route is a "
            f"truncated Fock space. With occupations {np.round(n, 3).tolist()} that needs {shells} quanta, "
            f"{size:.0f} states; "
            f"at most {LARGEST} are differentiated. Lower the temperatures, or rely on response, which needs no "
            f"truncation."
        )
    return shells
