"""The response of a quasi-free model to its baths: temperatures and coupling strengths.

Enters: a model, a quantity, a master equation. Leaves: derivatives in T_β and in s_β, Γ_β → (1 + s_β) Γ_β, by L₁† on
polynomials, and by differentiating the Gaussian steady state.

H and groups stay, so L₁ is ∂D_β/∂T_β, or D_β itself; on a symbol in Wick's order its average sees force and diffusion
alone, ⟨D_β†X⟩ = c·X₁ + N:X₂, both of the frame at rest.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._equations import AbstractEquation
from .._oscillators import QuasiFree
from .._polynomials import Polynomial, Symbol
from .._quasifree import Frame, bath_adjoint, dynamics, frame_noise, framed
from ._oscillators import paired
from ._oscillators_routes import as_oscillator_quantity, pinned_groups, quasifree_value
from ._quantities import HeatCurrent

Derivatives = tuple[Float[Array, "*a baths"], Float[Array, "*a baths"]]


def quasifree_thermal(model: QuasiFree, A, equation: AbstractEquation) -> Derivatives:
    """∂/∂T_β and ∂/∂s_β of a quantity, explicitly."""
    A = as_oscillator_quantity(A, model)
    return _explicit(model, equation, framed(model, equation), A)


@eqx.filter_jit
def _explicit(model: QuasiFree, equation: AbstractEquation, at: Frame, A) -> Derivatives:
    count = len(model.baths)

    def total(temperatures: Array) -> tuple[Array, Array]:
        flow = dynamics(_with(model, temperatures), equation, at.nominal)
        noise, force = frame_noise(at.modes, at.state, flow)
        return jnp.sum(noise, axis=0), jnp.sum(force, axis=0)

    noise, force = jax.jacfwd(total)(model.temperatures)
    noise = jnp.concatenate([jnp.moveaxis(noise, -1, 0), at.bath_noise])
    force = jnp.concatenate([jnp.moveaxis(force, -1, 0), at.bath_force])

    def change(X: Symbol) -> Array:
        """Of ⟨X⟩, for every source."""
        sources = [force, noise, *(jnp.zeros((2 * count, *T.shape), complex) for T in X[3:])][: len(X) - 1]
        return -paired(tuple(sources), X[1:], at.drift, jnp.zeros(()), at.diagonal).real

    if isinstance(A, Polynomial):
        return _halves(change(at.wick(A.coefficients)), count)
    if isinstance(A, tuple):
        return _halves(jnp.stack([change(at.wick(one.coefficients)) for one in A]), count)
    H = at.wick(model.hamiltonian.coefficients)
    H = H + tuple(jnp.zeros((at.signed.size,) * k, complex) for k in range(len(H), 3))
    own = (force @ H[1] + jnp.tensordot(noise, H[2], axes=2)).real
    through = jnp.stack([change(bath_adjoint(at, bath, H)) for bath in range(count)])
    through = through + jnp.tile(jnp.eye(count), 2) * own
    if isinstance(A, HeatCurrent):
        return _halves(through[A.position(model)], count)
    direct = jnp.concatenate([own[count:] / model.temperatures**2, jnp.zeros(count)])
    return _halves(direct - jnp.sum(through / model.temperatures[:, None], axis=0), count)


def _halves(values: Array, count: int) -> Derivatives:
    return values[..., :count], values[..., count:]


def _with(model: QuasiFree, temperatures: Array) -> QuasiFree:
    return eqx.tree_at(lambda m: [bath.temperature for bath in m.baths], model, list(temperatures))


def quasifree_autodiff_thermal(model: QuasiFree, A, equation: AbstractEquation) -> Derivatives:
    """The same through the Gaussian steady state."""
    A = as_oscillator_quantity(A, model)
    quasifree_value(model, A, equation)  # raises here what would be NaN inside the compiled derivative
    return _autodiff(model, equation, A)


@eqx.filter_jit
def _autodiff(model: QuasiFree, equation: AbstractEquation, A) -> Derivatives:
    nominal = pinned_groups(model, equation)

    def value(temperatures: Array, strengths: Array) -> Array:
        stronger = [bath.coupling * jnp.sqrt(1 + s) for bath, s in zip(model.baths, strengths, strict=True)]
        changed = eqx.tree_at(lambda m: [bath.coupling for bath in m.baths], _with(model, temperatures), stronger)
        return quasifree_value(changed, A, equation, nominal)

    return jax.jacfwd(value, (0, 1))(model.temperatures, jnp.zeros_like(model.temperatures))
