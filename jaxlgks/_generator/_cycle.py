"""The steady cycle of a driven system: the state with the period of H(t), found at once and not by waiting.

Takes: H(t) at 2N + 1 equidistant times of a period, dissipators at these times. Returns: the operators of the baths'
memory and the state, both periodic,

    dΛ_j/dt + ν_j Λ_j + i[H(t), Λ_j] = c_j S,       dρ/dt + i[H(t), ρ] − Σ_α D_α(t) ρ = 0,  Tr ρ = 1,

with d/dt by Fourier series. Both are linear and are solved in the basis of Floquet's modes: the first by a division
that never fails, since Re ν_j > 0, and one step of refinement; the second by GMRES, preconditioned with the dissipator
averaged over the period in that basis: what is left has a phase in time, or is of the order of the rates over ω.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from .._equations import Dissipator, combined
from ._floquet import Modes, propagators, rate_of_change, times_left, times_right
from ._following import Following
from ._linear import iterated_solve
from ._liouvillian import unvec, vec
from ._operators import packed, unpacked

RESTART, CYCLES = 60, 5
"""Steps of GMRES that are kept, and restarts."""


def periodic_memory(
    baths: Following, H: Complex[Array, "t d d"], omega: Float[Array, ""], modes: Modes
) -> tuple[Complex[Array, "t n d d"], Float[Array, ""]]:
    """Λ_n(t) = Σ_j Λ_nj(t) of each noise, and what the modes leave of the equations, over their right-hand side: the
    square of it is left in the end."""
    decay = baths.rates[:, :, None, None]
    fed = baths.coefficients[:, :, None, None] * baths.couplings[:, None]
    frozen = jax.lax.stop_gradient(decay) + modes.turning[:, None, None]

    def apply(X: Array) -> Array:
        return rate_of_change(X, omega) + decay * X + 1j * (times_left(H, X) - times_right(X, H))

    def divide(B: Array) -> Array:
        return modes.sampled(modes.harmonics(B) / frozen)

    def across(B: Array) -> Array:
        return jax.linear_transpose(divide, B)(B)[0]

    # As in `linear_solve`: any first approximation will do, and is no part of what is differentiated.
    S, c = jax.lax.stop_gradient((baths.couplings, baths.coefficients))
    constant = jnp.broadcast_to(S, (len(H), *S.shape))
    first = modes.sampled(c[:, :, None, None] * modes.harmonics(constant)[:, :, None] / frozen)
    left = fed - apply(first)
    memory = first + jax.lax.custom_linear_solve(apply, left, lambda _, b: divide(b), lambda _, b: across(b))
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(left)) / jnp.max(jnp.abs(fed)))
    return jnp.sum(memory, axis=2), size


class PeriodicState(eqx.Module):
    """ρ(t), and how far it can be trusted. `error`: what is left of its equation through the approximate inverse, over
    the largest element; `slowest`: an estimate of the slowest rate at which other states relax to it, on average;
    `condition`: over the norm of the average generator."""

    states: Complex[Array, "t d d"]
    error: Float[Array, ""]
    slowest: Float[Array, ""]
    condition: Float[Array, ""]
    finite: Bool[Array, ""]


def periodic_state(
    H: Complex[Array, "t d d"], omega: Float[Array, ""], dissipators: tuple[Dissipator, ...], modes: Modes
) -> PeriodicState:
    """With A ρ = dρ/dt + i[H, ρ] − Dρ, whose range has no mean trace: A ρ + s 1/d ⟨Tr ρ⟩ = s 1/d."""
    action = jax.vmap(combined)(dissipators, 1j * H)
    precondition, fastest, slowest, norm = _averaged(jax.lax.stop_gradient(action), H, modes)
    dim = H.shape[-1]
    one = jnp.eye(dim, dtype=H.dtype) / dim

    def apply(P: Float[Array, "t d d"]) -> Float[Array, "t d d"]:
        X = jax.vmap(unpacked)(P)
        trace = jnp.mean(jnp.trace(X, axis1=1, axis2=2))
        return jax.vmap(packed)(rate_of_change(X, omega) - jax.vmap(_on)(action, X) + fastest * trace * one)

    def prepare(P: Float[Array, "t d d"]) -> Float[Array, "t d d"]:
        return jax.vmap(packed)(precondition(jax.vmap(unpacked)(P)))

    b = jnp.broadcast_to(packed(fastest * one), H.shape)
    P = iterated_solve(apply, b, prepare, RESTART, CYCLES)
    error = jax.lax.stop_gradient(jnp.max(jnp.abs(prepare(apply(P) - b))) / jnp.max(jnp.abs(P)))
    return PeriodicState(jax.vmap(unpacked)(P), error, slowest, slowest / norm, jnp.isfinite(norm))


def _on(D: Dissipator, X: Array) -> Array:
    return D.on_hermitian(X)


def _averaged(action: Dissipator, H: Array, modes: Modes):
    """The inverse of A with D averaged in the basis of the modes: all of it at k = 0, elsewhere what it makes of each
    element itself. And the fastest decay rate, an estimate of the slowest, the norm."""
    U, dim = modes.modes, H.shape[-1]
    bare = eqx.tree_at(lambda D: D.drift, action, action.drift - 1j * jax.lax.stop_gradient(H))
    D = jax.vmap(lambda D, U: D.rotated(U))(bare, U)
    identity = jnp.eye(dim, dtype=H.dtype)
    jumps = jnp.einsum("tjnl,tjmk->nmlk", D.right.conj(), D.left).reshape(dim**2, dim**2) / len(H)
    drift = jnp.mean(D.drift, axis=0)
    average = jumps - jnp.kron(identity, drift) - jnp.kron(drift.conj(), identity)
    still = jnp.diag(vec(modes.turning[0])) - average
    diagonal = modes.turning - unvec(jnp.diag(average))
    fastest = jnp.max(-jnp.diag(average).real)
    factors = jax.scipy.linalg.lu_factor(still + fastest / dim * jnp.outer(vec(identity), vec(identity)))
    diagonal = jnp.where(jnp.abs(diagonal) < 1e-6 * fastest, fastest, diagonal)  # what is left alone is left to GMRES
    first = (jnp.arange(len(H)) == 0)[:, None, None]

    def precondition(X: Array) -> Array:
        Y = modes.harmonics(X)
        return modes.sampled(jnp.where(first, unvec(jax.scipy.linalg.lu_solve(factors, vec(Y[0]))), Y / diagonal))

    probe = jnp.exp(1j * (1.0 + jnp.arange(dim**2)) ** 2) / dim
    slowest = 1 / jnp.linalg.norm(jax.scipy.linalg.lu_solve(factors, probe))
    return precondition, fastest, slowest, jnp.max(jnp.sum(jnp.abs(still), axis=1))


@eqx.filter_jit
def multipliers(H: Array, dissipators: tuple[Dissipator, ...], omega: Array) -> Complex[Array, " n"]:
    """The eigenvalues of the map of a state over one period, the largest first."""
    matrices = jax.vmap(lambda D, H: combined(D, 1j * H).matrix())(dissipators, H)
    values = jnp.linalg.eigvals(propagators(matrices, omega)[1])
    return values[jnp.argsort(-jnp.abs(values))]
