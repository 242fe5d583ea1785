"""The steady cycle of a driven system: the state with the period of H(t), found at once and not by waiting.

Takes: H(t) at 2N + 1 equidistant times of a period, dissipators at these times. Returns: the operators of the baths'
memory and the state, both periodic,

    dΛ_j/dt + ν_j Λ_j + i[H(t), Λ_j] = c_j S,       dρ/dt + i[H(t), ρ] − Σ_α D_α(t) ρ = 0,  Tr ρ = 1,

with d/dt by Fourier series. Both are linear and are solved in a basis that makes their inverse simple: Floquet's
modes, or, where the drive is slow, the levels (`Modes`, `Levels`). The first by divisions that never fail, since
Re ν_j > 0; the second by GMRES with what the basis has for an inverse.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from .._equations import Dissipator, combined
from ._floquet import SUBSTEPS, Modes, orders, propagators, rate_of_change, times_left, times_right
from ._following import Following
from ._levels import Levels
from ._linear import iterated_solve
from ._operators import packed, unpacked

RESTART, CYCLES = 60, 5
"""Steps of GMRES that are kept, and restarts."""
ROUNDING = 1e-12
"""What modes may be off, over what feeds the memory, with no second approximation."""


@eqx.filter_custom_jvp
def periodic_memory(
    baths: Following, H: Complex[Array, "t d d"], omega: Float[Array, ""], basis: Modes | Levels
) -> tuple[Complex[Array, "t n d d"], Float[Array, ""]]:
    """Λ_n(t) = Σ_j Λ_nj(t) of each noise, and what a first solution leaves of the equations, over their right-hand
    side: the square of it is left in the end, or all of it where it is rounding."""

    def by_each() -> tuple[Array, Array]:
        memory, left = _each(baths, H, omega, basis)
        return jnp.sum(memory, axis=2), left

    if isinstance(basis, Levels):
        return by_each()
    memory, left = _summed(baths, H, omega, basis)
    return jax.lax.cond(left < ROUNDING, lambda: (memory, left), by_each)


@periodic_memory.def_jvp
def _periodic_memory_jvp(primals: Any, tangents: Any) -> Any:
    memory, left = periodic_memory(*primals)
    return (memory, left), (jnp.sum(_change(primals, tangents), axis=2), jnp.zeros_like(left))


def _summed(
    baths: Following, H: Complex[Array, "t d d"], omega: Float[Array, ""], modes: Modes
) -> tuple[Complex[Array, "t n d d"], Float[Array, ""]]:
    """Where modes are exact, d/dt + i[H, ·] is `turning` in their basis and all Λ_nj of a noise are one division. What
    they are off is the same operator for all of them, and is seen on their sum."""
    turning, S = modes.turning[:, None], baths.couplings
    weights = jnp.sum(
        baths.coefficients[:, :, None, None] / (baths.rates[:, :, None, None] + turning[:, :, None]), axis=2
    )
    inside = weights * modes.harmonics(jnp.broadcast_to(S, (len(H), *S.shape)))
    memory = modes.sampled(inside)
    off = modes.sampled(turning * inside) - _turned(H, omega)(memory)
    fed = jnp.max(jnp.abs(baths.coefficients)) * jnp.max(jnp.abs(S))
    return memory, jnp.max(jnp.abs(off)) / fed


@eqx.filter_custom_jvp
def _each(
    baths: Following, H: Complex[Array, "t d d"], omega: Float[Array, ""], basis: Modes | Levels
) -> tuple[Complex[Array, "t n j d d"], Float[Array, ""]]:
    """Λ_nj(t), and what the first solution leaves."""
    apply, fed, rates = _equation(baths, H, omega), _fed(baths), baths.rates[:, :, None, None]
    constant = jnp.broadcast_to(baths.couplings[:, None], (len(H), *baths.couplings[:, None].shape))
    first = baths.coefficients[:, :, None, None] * basis.divided(constant, rates)
    first = _refined(basis, apply, first, fed, lambda B: basis.divided(B, rates))
    left = fed - apply(first)
    return first + _solved(apply, left, rates, basis), jnp.max(jnp.abs(left)) / jnp.max(jnp.abs(fed))


@_each.def_jvp
def _each_jvp(primals: Any, tangents: Any) -> Any:
    memory, left = _each(*primals)
    return (memory, left), (_change(primals, tangents), jnp.zeros_like(left))


def _change(primals: Any, tangents: Any) -> Complex[Array, "t n j d d"]:
    """dΛ_nj, from (d/dt + ν_nj + i[H, ·]) dΛ_nj = dc_nj S_n + c_nj dS_n − (what moves of the left side) Λ_nj."""
    *moved, basis = primals
    memory, _ = _each(*primals)

    def off(baths: Following, H: Array, omega: Array) -> Array:
        return _fed(baths) - _equation(baths, H, omega)(memory)

    _, source = eqx.filter_jvp(off, tuple(moved), tuple(tangents[:3]))
    return _solved(_equation(*moved), source, moved[0].rates[:, :, None, None], basis)


def _solved(apply: Callable, B: Array, rates: Array, basis: Modes | Levels) -> Array:
    """X with apply(X) = B; the basis is a means to it and is not differentiated."""
    basis, rates = jax.lax.stop_gradient((basis, rates))

    def divide(B: Array) -> Array:
        return basis.divided(B, rates)

    def across(B: Array) -> Array:
        return jax.linear_transpose(divide, B)(B)[0]

    return jax.lax.custom_linear_solve(
        apply,
        B,
        lambda A, b: _refined(basis, A, divide(b), b, divide),
        lambda A, b: _refined(basis, A, across(b), b, across),
    )


def _refined(basis: Modes | Levels, apply: Callable, X: Array, B: Array, divide: Callable) -> Array:
    """In as many passes as the basis needs."""
    if basis.passes == 1:
        return X
    return jax.lax.fori_loop(1, basis.passes, lambda _, X: X + divide(B - apply(X)), X)


def _fed(baths: Following) -> Complex[Array, "n j d d"]:
    """c_nj S_n."""
    return baths.coefficients[:, :, None, None] * baths.couplings[:, None]


def _equation(baths: Following, H: Complex[Array, "t d d"], omega: Float[Array, ""]) -> Callable[[Array], Array]:
    """d/dt + ν_nj + i[H, ·]."""
    return lambda X: baths.rates[:, :, None, None] * X + _turned(H, omega)(X)


def _turned(H: Complex[Array, "t d d"], omega: Float[Array, ""]) -> Callable[[Array], Array]:
    """d/dt + i[H, ·]."""
    return lambda X: rate_of_change(X, omega) + 1j * (times_left(H, X) - times_right(X, H))


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
    H: Complex[Array, "t d d"], omega: Float[Array, ""], dissipators: tuple[Dissipator, ...], basis: Modes | Levels
) -> PeriodicState:
    """With A ρ = dρ/dt + i[H, ρ] − Dρ, whose range has no mean trace: A ρ + s 1/d ⟨Tr ρ⟩ = s 1/d."""
    D = jax.vmap(combined)(dissipators, jnp.zeros_like(H))
    action = eqx.tree_at(lambda D: D.drift, D, D.drift + 1j * H)
    inverse = basis.inverse(jax.lax.stop_gradient(D))
    dim = H.shape[-1]
    one = jnp.eye(dim, dtype=H.dtype) / dim

    def apply(P: Float[Array, "t d d"]) -> Float[Array, "t d d"]:
        X = jax.vmap(unpacked)(P)
        trace = jnp.mean(jnp.trace(X, axis1=1, axis2=2))
        return jax.vmap(packed)(rate_of_change(X, omega) - jax.vmap(_on)(action, X) + inverse.fastest * trace * one)

    def prepare(P: Float[Array, "t d d"]) -> Float[Array, "t d d"]:
        return jax.vmap(packed)(inverse.apply(jax.vmap(unpacked)(P)))

    b = jnp.broadcast_to(packed(inverse.fastest * one), H.shape)
    P = iterated_solve(apply, b, prepare, RESTART, CYCLES)
    error = jax.lax.stop_gradient(jnp.max(jnp.abs(prepare(apply(P) - b))) / jnp.max(jnp.abs(P)))
    condition = inverse.slowest / inverse.norm
    return PeriodicState(jax.vmap(unpacked)(P), error, inverse.slowest, condition, jnp.isfinite(inverse.norm))


def _on(D: Dissipator, X: Array) -> Array:
    return D.on_hermitian(X)


@eqx.filter_jit
def multipliers(H: Array, dissipators: tuple[Dissipator, ...], omega: Array, count: int) -> Complex[Array, " n"]:
    """The eigenvalues of the map of a state over one period, the largest first. `count`: of times, `enough`."""
    matrices = jax.vmap(lambda D, H: combined(D, 1j * H).matrix())(dissipators, H)
    values = jnp.linalg.eigvals(propagators(_between(matrices, count), omega)[1])
    return values[jnp.argsort(-jnp.abs(values))]


def enough(H: Complex[Array, "t d d"], omega: Float[Array, ""]) -> int:
    """Times at which phases turn little enough from one to the next for `propagators`: as many as are there, or, of a
    slow drive, more."""
    turns = float(jnp.max(jnp.linalg.norm(H, ord=2, axis=(1, 2))) / omega)  # of the fastest phase are twice as many
    return max(len(H), 2 * int(np.ceil(4 * np.pi * turns / SUBSTEPS)) + 1)


def _between(A: Complex[Array, "t n n"], count: int) -> Complex[Array, "s n n"]:
    """A at more times, by its Fourier series."""
    if count == len(A):
        return A
    harmonics, k = jnp.fft.fft(A, axis=0, norm="forward"), orders(len(A)).astype(int)
    return jnp.fft.ifft(jnp.zeros((count, *A.shape[1:]), A.dtype).at[k].set(harmonics), axis=0, norm="forward")
