"""The generator on linear forms: drift, diffusion and force of each bath.

Takes: a model and a master equation. Returns real arrays in the quadratures R, for the Hamiltonian and each bath α,

    D_α†R = 𝒟_α (R − R₀) + c_α,     D_α†(R_iR_j)_sym adds N_α,     i[H, R] = Ω (h R + f).

In the frame of the normal modes (`_modes`) a pair P = pᵀξ, Q = qᵀξ gives D†ξ = −B p* qᵀ ξ + h.c., so that with the
two-sided filter K of σσᵀ (S = σᵀξ + const)

    𝒟 = −iΩ L K_minus Lᵀ,     N = ½ iΩ L K_even Lᵀ iΩ.

The constant of S has Bohr frequency zero: one more row and column of B, zero. It acts where frequencies of a group
reach zero (ULE, Redfield with Lamb shift) and gives the force c.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._bohr import derivative
from .._equations import AbstractEquation, each_noise, reorganisation
from .._polynomials import Polynomial, as_polynomial
from .._system import Noise
from ..errors import InputError
from ._kernel import two_sided
from ._model import QuasiFree, linear_part, symplectic
from ._modes import MERGED, NormalModes, clustered, same_frequency
from ._rates import kernel_of

FEW = 0.1
"""Quanta: of a mode that holds fewer, this is what a change of them is compared with."""


class Dynamics(eqx.Module):
    """What L₀† does to linear and quadratic forms; baths along the first axis."""

    hamiltonian: Float[Array, "n n"]
    drift: Float[Array, "baths n n"]
    diffusion: Float[Array, "baths n n"]
    force: Float[Array, "baths n"]
    centre: Float[Array, " n"]
    """R₀: the minimum of H."""

    @property
    def total(self) -> Float[Array, "n n"]:
        """Ωh + Σ_α 𝒟_α."""
        return self.hamiltonian + jnp.sum(self.drift, axis=0)


def reference_model(model: QuasiFree, equation: AbstractEquation) -> QuasiFree:
    """The model in whose normal modes the dissipators are made: itself, but for `Local`."""
    reference = equation.frozen(model)
    if reference is None:
        return model
    return QuasiFree(as_polynomial(reference, "Local: the reference", model.modes, degree=2), model.baths)


def coupling_form(noise: Noise) -> tuple[Array, Array]:
    """s and c of S = sᵀR + c."""
    if not isinstance(noise.coupling, Polynomial):
        raise InputError("a QuasiFree model needs couplings that are Polynomials.")
    return linear_part(noise.coupling), noise.coupling.coefficients[0].real


def nominal_frequencies(modes: NormalModes, model: QuasiFree, equation: AbstractEquation) -> Float[Array, " m"]:
    """For each normal mode the frequency that its group stands for: equal where a group is one. [M]"""
    omega = jax.lax.stop_gradient(modes.frequencies)
    gap = group_gap(modes, model, equation)
    return jnp.zeros_like(omega) if gap is None else clustered(omega, jnp.maximum(gap, MERGED * omega[-1]))


def group_gap(modes: NormalModes, model: QuasiFree, equation: AbstractEquation) -> Any:
    """The distance below which an equation keeps frequencies together; None if it keeps all."""
    modes, model = jax.lax.stop_gradient((modes, model))
    return equation.gap(
        modes.frequencies[-1],
        lambda: jnp.max(damping_rates(modes, model)),
        lambda: jnp.max(memory(modes, model)),
    )


def damping_rates(modes: NormalModes, model: QuasiFree) -> Float[Array, " m"]:
    """κ_k = Σ_α (Γ_α(ω_k) − Γ_α(−ω_k)) |s_k|²: the rate at which ⟨d_k†d_k⟩ relaxes where frequencies are apart."""
    total = jnp.zeros_like(modes.frequencies)
    for noise in one_noise_each(model):
        weight = jnp.abs(modes.forms.T @ coupling_form(noise)[0])[: model.modes] ** 2
        total = total + noise.spectrum.density(modes.frequencies) * weight
    return total


def memory(modes: NormalModes, model: QuasiFree) -> Float[Array, " baths"]:
    """τ_B = max |d ln Γ/dω| at the Bohr frequencies, for each bath."""

    def longest(noise: Noise) -> Array:
        return jnp.max(jnp.abs(derivative(noise.rate, modes.signed) / noise.rate(modes.signed)))

    return jnp.stack(each_noise(longest, one_noise_each(model)))


def weakness(modes: NormalModes, model: QuasiFree) -> Float[Array, ""]:
    """max_k Σ_α κ_k^α τ_α: the damping of a mode by each bath times the memory of that bath."""
    times, total = memory(modes, model), jnp.zeros_like(modes.frequencies)
    for noise, time in zip(one_noise_each(model), times, strict=True):
        weight = jnp.abs(modes.forms.T @ coupling_form(noise)[0])[: model.modes] ** 2
        total = total + noise.spectrum.density(modes.frequencies) * weight * time
    return jnp.max(total)


def pull(modes: NormalModes, model: QuasiFree) -> Float[Array, ""]:
    """max_k Σ_α 2λ_α|s_k|²(n_α + ½)/ω_k over n_k + `FEW`: how many quanta a mode gains, over those that it holds.

    A slow force displaces a mode by ⟨R²⟩/ω², 2λT/ω² quanta; and whatever follows the mode takes 2λS² from its energy,
    which turns ω into √(ω² − 4λω|s|²), and n + ½ into (n + ½)(1 + 2λ|s|²/ω). Both are one number where it is hot."""
    omega = modes.frequencies
    gained, held, total = jnp.zeros_like(omega), jnp.zeros_like(omega), jnp.zeros_like(omega)
    for noise in one_noise_each(model):
        weight = jnp.abs(modes.forms.T @ coupling_form(noise)[0])[: model.modes] ** 2
        quanta = 1 / jnp.expm1(omega / noise.temperature)
        rate = noise.spectrum.density(omega) * weight
        gained = gained + 2 * reorganisation(noise, omega[-1]) * weight * (quanta + 0.5) / omega
        held, total = held + rate * quanta, total + rate
    return jnp.max(gained / (jnp.where(total > 0, held / jnp.where(total > 0, total, 1.0), 0.0) + FEW))


def separation(modes: NormalModes, model: QuasiFree, nominal: Float[Array, " m"]) -> Float[Array, ""]:
    """The smallest distance of normal frequencies (or of one from its negative) that the equation treats apart, over
    the mean of their damping rates; infinite where there is none. A constant of differentiation."""
    modes, model = jax.lax.stop_gradient((modes, model))
    rates = jnp.tile(damping_rates(modes, model), 2)
    same = same_frequency(nominal)[:-1, :-1]
    distance = jnp.abs(modes.signed[:, None] - modes.signed[None, :])
    mean = (rates[:, None] + rates[None, :]) / 2
    apart = ~same & (mean > 0)
    return jnp.min(jnp.where(apart, distance / jnp.where(apart, mean, 1.0), jnp.inf))


def dynamics(
    model: QuasiFree, reference: QuasiFree, equation: AbstractEquation, nominal: Float[Array, " m"]
) -> Dynamics:
    """The generator. `reference`: the model in whose normal modes the dissipators are made; `nominal`: its groups."""
    # No eigenvectors enter: derivatives come from B and L alone, at any degeneracy.
    J = jnp.asarray(symplectic(model.modes))
    L: Array = jnp.linalg.cholesky(reference.quadratic)
    centre = -jax.scipy.linalg.cho_solve((L, True), reference.field)
    B = jnp.zeros((J.shape[0] + 1,) * 2, complex).at[:-1, :-1].set(L.T @ (1j * J) @ L)
    same = _ascending(same_frequency(nominal))
    noises = one_noise_each(model)
    parts = each_noise(lambda noise: _of_bath(noise, equation, L, B, centre, same), noises)
    drift, diffusion, force = (jnp.stack(x) for x in zip(*parts, strict=True))
    minimum = centre
    if not equation.follows:
        minimum = -jnp.linalg.solve(model.quadratic, model.field)
        force = force + jnp.einsum("bij,j->bi", drift, minimum - centre)
    return Dynamics(J @ model.quadratic, drift, diffusion, force, minimum)


def _ascending(same: Array) -> Array:
    """From the order (ω, −ω, 0) to that of ascending eigenvalues (−ω_M … −ω_1, 0, ω_1 … ω_M)."""
    m = same.shape[0] // 2
    order = [*range(2 * m - 1, m - 1, -1), 2 * m, *range(m)]
    return same[jnp.asarray(order)][:, jnp.asarray(order)]


def _of_bath(noise: Noise, equation: AbstractEquation, L: Array, B: Array, centre: Array, same: Array):
    J = jnp.asarray(symplectic(L.shape[0] // 2))
    kernel = kernel_of(equation, noise)
    s, c = coupling_form(noise)
    sigma = jnp.append(jax.scipy.linalg.solve_triangular(L, s, lower=True), s @ centre + c)
    outer = (sigma[:, None] * sigma[None, :]).astype(complex)
    minus, even = two_sided(B, outer, kernel.minus, same), two_sided(B, outer, kernel.even, same)
    drift = (-1j * J @ L @ minus[:-1, :-1] @ L.T).real
    force = (-1j * J @ L @ minus[:-1, -1]).real
    diffusion = -(J @ L @ even[:-1, :-1] @ L.T @ J).real / 2
    return drift, (diffusion + diffusion.T) / 2, force


def one_noise_each(model: QuasiFree) -> tuple[Noise, ...]:
    """The noise of each bath: a linear coupling has one."""
    return tuple(bath.noises[0] for bath in model.baths)
