"""F(Ω_H)[S], resolved by groups: the one primitive of which every master equation is made.

Takes: the structure of H, an operator S, a function F, groups g. Returns: for each g the operator

    A_g = (1_g F)(Ω_H)[S],     Ω_H[X] = XH − HX,     (A_g)_mn = 1_g(m,n) F(ω_mn) S_mn   in the eigenbasis of H,

with ω_mn = E_n − E_m, so that [H, S(ω)] = −ω S(ω).

Derivative (Daleckii–Krein). For H → H + δV: Ω_V[X] = XV − VX multiplies from the right or from the left; F(Ω_H) of
two commuting multiplications has the divided differences of F as its first derivative. In the eigenbasis

    (A_g⁽¹⁾)_mn = Σ_k ( F_g[ω_mn, ω_mk] S_mk V_kn − F_g[ω_mn, ω_kn] V_mk S_kn ),     F_g = 1_g F.

The groups are held fixed: 1_g is attached to pairs of states, not to values of ω. Two transitions of one group give the
smooth F[x, y], with F'(x) where they coincide: no denominator ever vanishes, at any degeneracy. Two transitions of
different groups give (1_g(x)F(x) − 1_g(y)F(y))/(x − y), and different groups have x ≠ y. JAX's own derivative of
`eigh` divides by E_m − E_n and is NaN there.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._inputs import is_concrete
from ..errors import DerivativeOrderError, SingularDensityError
from ._divided import divided_difference
from ._second import second_order
from ._structure import Groups, Structure


def bohr_filter(
    structure: Structure,
    S: Complex[Array, "d d"],
    F: Callable[[Array], Array],
    groups: Groups,
    *,
    smooth_at_zero: bool = True,
) -> Complex[Array, "g d d"]:
    """A_g = (1_g F)(Ω_H)[S] for every group g, in the basis in which H is given.

    Differentiable twice in H (exact at any degeneracy, groups fixed), and any number of times in S and in the numbers
    inside F. Say `smooth_at_zero=False` where F'(0) does not exist: a derivative in H that would need it is refused.

    **Raises:** `DerivativeOrderError` on a third derivative in H; `SingularDensityError` (a runtime error of the same
    text under `jit`) on a first one that may need an F'(0) that does not exist.
    """
    return _filter(structure.hamiltonian, S, F, structure, groups, smooth_at_zero)


@eqx.filter_custom_jvp
def _filter(H: Array, S: Array, F: Callable, structure: Structure, groups: Groups, smooth: bool) -> Array:
    del H, smooth  # the value of H sits in `structure`; as an argument of its own it carries the tangent
    return _value(S, F, structure, groups)


@eqx.filter_jit  # traced once for all programs that hold it
def _value(S: Array, F: Callable, structure: Structure, groups: Groups) -> Array:
    return structure.from_eigenbasis(groups.split(F(structure.frequencies) * structure.to_eigenbasis(S)))


@_filter.def_jvp
def _filter_jvp(primals, tangents):
    """The derivative of the value plus the Daleckii–Krein term, and the second-order one, of a zero that has the
    tangent of H: a polynomial in H whose first and second derivatives are those of the filter.

    Ordinary operations on purpose: reverse mode drops custom rules of what is linear in a tangent, so a tangent that
    called `_filter` again would lose its dependence on H, and d²/dH dT with it. A term that nobody has differentiated
    as often as it takes is zero; its condition is a constant, so the compiler removes it whole.
    """
    H, S, F, structure, groups, smooth = primals
    dH, dS, dF, *_ = tangents

    def whole(H, S, F):
        if dH is not None and not smooth:
            S = raise_where(S, may_need_slope_at_zero(structure, S), _AT_ZERO)
        return _expanded(H, S, F, structure, groups)

    return _filter(*primals), eqx.filter_jvp(whole, (H, S, F), (dH, dS, dF))[1]


@eqx.filter_jit  # so that programs that differentiate the same filter share its tracing
def _expanded(H: Array, S: Array, F: Callable, structure: Structure, groups: Groups) -> Array:
    zero, once, twice = zero_with_tangent(H, 0, 0)
    first = kept_if(once, lambda h, S, F: _daleckii_krein(h, S, F, structure, groups), zero, S, F)
    second = kept_if(twice, lambda h, S, F: second_order(h, S, F, structure, groups), zero, S, F)
    return _value(S, F, structure, groups) + first + second


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def zero_with_tangent(H: Array, order: int, taken: int) -> tuple[Array, Array, Array]:
    """Zero, with the tangent of H (order 0): what it multiplies is the derivative in H. Its slope is one (order 1), its
    curvature zero (order 2), and a third derivative in H ends here, in every mode. With it, whether it has been
    differentiated once, and twice."""
    return (
        jnp.ones_like(H) if order == 1 else jnp.zeros_like(H),
        jnp.asarray(taken > 0),
        jnp.asarray(taken > 1),
    )


@zero_with_tangent.defjvp
def _zero_with_tangent_jvp(order, taken, primals, tangents):
    if order == 2:
        raise DerivativeOrderError(
            "The third derivative in the Hamiltonian was asked for; the filter F(Omega_H) provides the second. "
            "Derivatives in temperatures, coupling strengths and coupling operators may be taken in any number."
        )
    (H,), (dH,) = primals, tangents
    value, *flags = zero_with_tangent(H, order, taken + 1)
    never = [np.zeros((), jax.dtypes.float0) for _ in flags]
    return (value, *flags), (zero_with_tangent(H, order + 1, taken + 1)[0] * dH, *never)


def kept_if(condition: Array, function: Callable, *arguments) -> Array:
    """`function(*arguments)` or zero. Cut at both ends, so that nothing of it is left in either mode if the condition
    is a constant; `lax.cond` would do, but takes twice the time to differentiate."""

    def keep(x: Any) -> Any:
        return jnp.where(condition, x, 0) if eqx.is_inexact_array(x) else x

    return keep(function(*jax.tree.map(keep, arguments)))


_AT_ZERO = (
    "SingularDensityError: a derivative in the Hamiltonian needs the slope of the bath's rate at zero frequency, which "
    "does not exist for this spectral density: a degenerate level carries a coupling that the derivative may split. "
    "Use a density that is smooth at zero (DrudeLorentz, Ohmic with shape 'gaussian' or 'drude'), or, for one "
    "direction V, response or autodiff_response, which look at V itself."
)


def raise_where(x: Array, condition: Array, message: str) -> Array:
    """`x`, or `SingularDensityError` where the condition holds (at run time if it is traced)."""
    if not is_concrete(condition):
        return eqx.error_if(x, condition, message)
    if condition:
        raise SingularDensityError(message)
    return x


def may_need_slope_at_zero(structure: Structure, S: Array) -> Array:
    """Whether some V makes F'(0) count: S is not a multiple of the identity inside a degenerate level."""
    S = jnp.where(structure.levels, structure.to_eigenbasis(S), 0.0)
    spread = jnp.abs(jnp.diag(S)[:, None] - jnp.diag(S)[None, :]) * structure.levels
    unequal = jnp.abs(S - jnp.diag(jnp.diag(S))) + spread
    return jnp.max(unequal) > 1e-10 * jnp.max(jnp.abs(S))


def needs_slope_at_zero(structure: Structure, S: Array, V: Array) -> Array:
    """Whether this V makes F'(0) count: [S₀, V₀] ≠ 0, the commutator of the parts inside the levels."""
    S0, V0 = (jnp.where(structure.levels, structure.to_eigenbasis(X), 0.0) for X in (S, V))
    return jnp.max(jnp.abs(S0 @ V0 - V0 @ S0)) > 1e-10 * jnp.max(jnp.abs(S)) * jnp.max(jnp.abs(V))


def _daleckii_krein(V: Array, S: Array, F: Callable, structure: Structure, groups: Groups) -> Array:
    V, S = structure.to_eigenbasis(V), structure.to_eigenbasis(S)
    omega, labels = structure.frequencies, groups.labels
    # Index order [side, m, n, k]: moving the right index compares (m,n) with (m,k), the left one (m,n) with (k,n).
    x, label = omega[None, :, :, None], labels[None, :, :, None]
    y = jnp.stack(jnp.broadcast_arrays(omega[:, None, :], omega.T[None, :, :]))
    same = label == jnp.stack(jnp.broadcast_arrays(labels[:, None, :], labels.T[None, :, :]))
    inside, pole = _kernel(F, jnp.broadcast_to(x, y.shape), y, same)
    kept = jnp.einsum("mnk,mk,kn->mn", inside[0], S, V) - jnp.einsum("mnk,mk,kn->mn", inside[1], V, S)
    A = groups.split(F(omega) * S)
    left = jnp.einsum("gmk,mnk,kn->gmn", A, pole[0], V) - jnp.einsum("mk,mnk,gkn->gmn", V, pole[1], A)
    return structure.from_eigenbasis(groups.split(kept) - left)


def _kernel(F: Callable, x: Array, y: Array, same: Array) -> tuple[Array, Array]:
    """What multiplies S V: for a member of the group, and 1/(x − y) for its neighbours in other groups."""
    pole = jnp.where(same, 0.0, 1.0 / jnp.where(same, 1.0, x - y))
    difference = divided_difference(F, x, jnp.where(same, y, x))  # equal nodes where unused: no overflow far apart
    return jnp.where(same, difference, jnp.asarray(F(x)) * pole), pole
