"""The first-order generator L₁† for a polynomial V, as averages over the steady state.

Takes: a model at its steady state, a polynomial V. Returns, for each mechanism, the linear functional X ↦ ⟨L₁†X⟩ on
symbols in Wick's order (its three parts are L₁π₀ as polynomials see it).

V = Σ V_ω + W, W the part at ω = 0. To first order the eigenbasis turns by exp(δG), and Bohr frequencies move by W,

    G = Σ_{ω≠0} V_ω/ω,     A_g⁽¹⁾ = [G, A_g] + (1_gF)(Ω)[[S, G]] + (1_gF')(Ω)[[S, W]],     A_g = (1_gF)(Ω)[S],

the first two the rotation (for F = √Γ at one frequency: √Γ ([G, S(ω)] + P_ω[S, G])), the third the shift. A monomial
in d has a definite Bohr frequency, so G is a division and every filter a multiplication, element by element.

S is linear, S = Σ_ν s_ν β_ν over ν = (d, d†, 1), so D₁†X = Σ_g [P_g⁽¹⁾†, X] Q_g + [P_g†, X] Q_g⁽¹⁾ + h.c. is a sum
over ν. Since S and V are Hermitian, the h.c. of −ω is the ω term with k*(−x, −y) for k(x, y) and the factors exchanged:

    D₁†X = Σ_ν s_ν  ( ½{[Y₋, X], β_ν} + ½[[Y₊, X], β_ν] ),     Y_±† = S⁽¹⁾_ν filtered with x ↦ k_±*(x, Ω_ν)
         + Σ_ν s_ν* ( ½{[β_ν†, X], Z₋} + ½[[β_ν†, X], Z₊] ),   Z_±  = S⁽¹⁾_ν filtered with x ↦ k_±(Ω_ν, x)

with k_± = plus, minus of `_rates`, and S⁽¹⁾_ν the first-order change of the group of ν.

Groups are those of the frequencies of d and d† (a linear coupling has no others); a monomial belongs to the group of
its nominal frequency. What lies in no group has no partner at zeroth order and drops out.
"""

import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from .._compiled import compiled
from .._equations import AbstractEquation, each_noise
from .._polynomials import (
    Symbol,
    adjoint,
    commutator_average,
    commutators,
    differentiated,
    monomials,
    name,
    plus,
    scaled,
    swap,
    symmetric_average,
    with_linear,
)
from .._system import Noise
from ..errors import ResonanceError, SingularDensityError, ValidityWarning
from ._dynamics import coupling_form, one_noise_each
from ._flow import sums
from ._frame import Frame
from ._model import QuasiFree
from ._modes import MERGED
from ._rates import AbstractKernel, kernel_of

NEAR = 3e-8
"""In one group monomials of V closer to zero than NEAR √(ω_M Δ) count as secular, Δ the frequency over which rates
change: dividing by x costs eps ω_M/x, taking it for zero x/Δ."""


class LevelChange(eqx.Module):
    """V in the frame of Bohr frequencies: G and the secular W."""

    G: Symbol
    W: Symbol


def nominal_of(at: Frame, rank: int) -> Array:
    """Nominal Bohr frequency of every element of a tensor."""
    return sums(jnp.concatenate([at.nominal, -at.nominal]), rank)


def secular(at: Frame, scale: Array, rank: int) -> Bool[Array, "..."]:
    """Which monomials are at Bohr frequency zero."""
    top = at.modes.frequencies[-1]
    omega = jnp.abs(sums(at.signed, rank))
    near = jnp.abs(nominal_of(at, rank)) <= rank * MERGED * top
    return jax.lax.stop_gradient((omega <= rank * MERGED * top) | (near & (omega <= NEAR * jnp.sqrt(top * scale))))


def level_change(V: Symbol, at: Frame, scale: Array) -> LevelChange:
    """G and W of V, given in Bohr's frame."""
    G, W = [], []
    for k, v in enumerate(V):
        still = secular(at, scale, k)
        omega = jnp.where(still, 1.0, sums(at.signed, k))
        G.append(jnp.where(still, 0.0, v / omega))
        W.append(jnp.where(still, v, 0.0))
    return LevelChange(tuple(G), tuple(W))


def kubo(V: Symbol, at: Frame, degree: int) -> Symbol:
    """X ↦ ⟨i[V, X]⟩."""
    V = at.wick(V)
    return functional(lambda X: 1j * commutator_average(V, X, at.contraction), at, degree)


def dissipative(
    levels: LevelChange, at: Frame, noises: tuple[Noise, ...], equation: AbstractEquation, degree: int, shifts: bool
) -> Symbol:
    """X ↦ ⟨D₁†X⟩, leading axes [baths, 2]: rotation and shift; [baths, 1] where V is known not to shift."""

    def of(noise: Noise) -> tuple[Array, Symbol]:
        s, c = coupling_form(noise)
        S = jnp.append(at.modes.forms.T @ s, s @ at.modes.centre + c)
        changes = _changes(S, kernel_of(equation, noise), levels, at)
        return S, changes if shifts else tuple(T[:1] for T in changes)

    S, changes = jax.tree.map(lambda *x: jnp.stack(x), *each_noise(of, noises))
    each = jax.vmap(lambda S, parts: functional(_average(S, parts, at), at, degree), in_axes=(None, 0))
    return jax.vmap(each)(S, changes)


def _changes(S: Array, kernel: AbstractKernel, levels: LevelChange, at: Frame) -> Symbol:
    """S⁽¹⁾_ν in Bohr's frame, leading axes [2, ν, 4]: rotation and shift; ν of (d, d†, 1); filtered as Y₋, Y₊, Z₋, Z₊
    need it.

    Rotation [G, A_g] + (1_gF)(Ω)[[S, G]], shift (1_gF')(Ω)[[S, W]]."""
    J = jnp.asarray(commutators(at.nominal.size), complex)
    bracket_G, bracket_W = with_linear(levels.G, S[:-1], J), with_linear(levels.W, S[:-1], J)
    filters = _filters(kernel, at, max(len(bracket_G) - 1, 1))
    A = filters[1][0] * S[:-1]
    out = []
    for k, (value, slope) in enumerate(filters[: len(bracket_G)]):
        rotated_back = -(k + 1) * jnp.tensordot(A @ J, levels.G[k + 1], axes=([2], [0]))
        out.append(jnp.stack([rotated_back + value * bracket_G[k], slope * bracket_W[k]]))
    return tuple(out)


def _filters(kernel: AbstractKernel, at: Frame, highest: int) -> list[tuple[Array, Array]]:
    """1_gF and 1_gF' on monomials of each rank up to the highest, [ν, 4, n, …], g the group of ν."""
    n, top = at.signed.size, at.modes.frequencies[-1]
    groups = jnp.concatenate([at.nominal, -at.nominal, jnp.zeros(1)])[:, None]
    other = jnp.append(at.signed, 0.0)[:, None]
    # All ranks in a row: the kernel is a large part of the program.
    nominal, frequency = (
        jnp.concatenate([of(k).reshape(-1) for k in range(highest + 1)])
        for of in (lambda k: nominal_of(at, k), lambda k: sums(at.signed, k))
    )
    sizes = [n**k for k in range(highest + 1)]
    inside = jnp.abs(nominal - groups) <= np.repeat(np.arange(1, highest + 2), sizes) * MERGED * top
    # Outside no value is used: never where F may not exist.
    x = jnp.where(inside, frequency, at.signed[0])

    def four(x: Array) -> Array:
        left = [jnp.conj(kernel.minus(x, other)), jnp.conj(kernel.plus(x, other))]
        return jnp.stack([*left, kernel.minus(other, x), kernel.plus(other, x)], axis=1).astype(complex)

    value, slope = jax.jvp(four, (x,), (jnp.ones_like(x),))
    kept: Any = jnp.where(inside[:, None], jnp.stack([value, slope]), 0.0)
    parts = jnp.split(kept, np.cumsum(sizes)[:-1], axis=-1)
    each = [part.reshape(*part.shape[:3], *[n] * k) for k, part in enumerate(parts)]
    return [(one[0], one[1]) for one in each]


def _average(S: Array, parts: Symbol, at: Frame) -> Callable[[Symbol], Array]:
    """X ↦ Σ_ν of the module's head, for one mechanism; parts [ν, 4]."""
    n, C, J = at.signed.size, at.contraction, jnp.asarray(commutators(at.nominal.size), complex)
    both = (C + C.T) / 2
    wick = jax.vmap(jax.vmap(at.from_bohr))(parts)
    Y = jax.vmap(jax.vmap(adjoint))(tuple(T[:, :2] for T in wick))
    Z = tuple(T[:, 2:] for T in wick)

    def one(X: Symbol, unit: Array, dagger: Array, s: Array, Y: Symbol, Z: Symbol) -> Array:
        # β_ν about the minimum is the unit vector and its constant about the mean.
        constant = jnp.where(jnp.any(unit > 0), unit @ at.shift, 1.0)
        along = jnp.stack([both @ unit, J @ unit / 2])
        slopes = jax.vmap(differentiated)(Y, along)
        first = plus(tuple(jnp.sum(T, axis=0) for T in slopes), scaled(tuple(T[0] for T in Y), constant))
        value = commutator_average(first, X, C)
        value = value + jnp.sum(jax.vmap(lambda Y, a: commutator_average(Y, differentiated(X, a), C))(Y, along))
        inner = with_linear(X, dagger, J)
        minus, plus_ = (tuple(T[i] for T in Z) for i in range(2))
        second = symmetric_average(inner, minus, C) + commutator_average(inner, plus_, C) / 2
        return s * value + jnp.conj(s) * second

    units = jnp.eye(n + 1, n)
    daggers = units[:, swap(n)]
    return lambda X: jnp.sum(jax.vmap(lambda *each: one(X, *each))(units, daggers, S, Y, Z))


def functional(f: Callable[[Symbol], Any], at: Frame, degree: int) -> Symbol:
    """The coefficients of a linear function of symmetric tensors."""
    zero = tuple(jnp.zeros((at.signed.size,) * k, complex) for k in range(degree + 1))
    _, transpose = jax.vjp(f, zero)
    return transpose(jnp.ones((), complex))[0]


def applied(f: Symbol, X: Symbol) -> Array:
    """Σ f·X of a Hermitian X."""
    return jnp.sum(jnp.stack([jnp.sum(a * b) for a, b in zip(f, X, strict=False)])).real


def require_first_order(
    model: QuasiFree, V: Symbol, at: Frame, scale: Array, equation: AbstractEquation, damping: Array
) -> None:
    """Raise where the first order does not exist: near resonances of V with H₀, and secular terms that need a slope of
    a rate which does not exist. Known values only."""
    if not equation.follows:
        return
    rates, signed = np.asarray(damping), np.asarray(at.signed)
    labels = [f"d{k + 1}" for k in range(len(rates))]
    resonant, soft = [], []
    for k, (v, (still, nominal)) in enumerate(zip(V, _at_zero(at, scale, len(V)), strict=True)):
        v, still, nominal = np.asarray(v), np.asarray(still), np.asarray(nominal)
        size = np.max(np.abs(v), initial=0.0)
        for index in monomials(len(signed), k):
            if abs(v[index]) <= 1e-12 * size or (still[index] and k < 1):
                continue
            powers = np.bincount(np.asarray(index, int), minlength=len(signed))
            word = name(powers[len(rates) :].tolist(), powers[: len(rates)].tolist(), labels)
            omega = abs(signed[list(index)].sum())
            decay = sum(rates[i % len(rates)] for i in index) / 2
            grouped = abs(nominal[index]) <= MERGED * signed.max()
            # A single mode is never nearer to zero than its own frequency: a resonance is between modes.
            between = k > 0 and omega < np.min(np.abs(signed[list(index)])) / 2
            if between and not still[index] and omega < decay and not grouped:
                resonant.append(f"{word} (Bohr frequency {omega:.3g}, decay {decay:.3g})")
            if still[index]:
                soft.append(word)
    if resonant:
        raise ResonanceError(
            "the perturbation has terms almost at resonance with the Hamiltonian, nearer to zero Bohr frequency "
            "than they "
            f"decay: {'; '.join(resonant[:6])}. Perturbation theory divides by that frequency and the equation "
            f"treats it as "
            "large. Tune the frequencies to resonance or away from it, or use Unified where frequencies of modes "
            "are close."
        )
    _refuse_singular(model, at, soft, equation)
    _warn_of_neighbours(model, V, at, rates)


@compiled
def _at_zero(at: Frame, scale: Array, ranks: int) -> list[tuple[Array, Array]]:
    """Which monomials are at Bohr frequency zero, and their nominal ones, rank by rank."""
    return [(secular(at, scale, k), nominal_of(at, k)) for k in range(ranks)]


def _warn_of_neighbours(model: QuasiFree, V: Symbol, at: Frame, rates: np.ndarray) -> None:
    """`ValidityWarning` where V turns a coupling into a product of modes that lies nearer to another frequency of the
    coupling than both decay, outside of its group: what they do together is dropped."""
    signed, nominal = np.asarray(at.signed), np.concatenate([at.nominal, -at.nominal])
    if not np.any(nominal):
        return  # one group
    couplings = [np.abs(np.asarray(at.modes.forms.T @ coupling_form(noise)[0])) for noise in one_noise_each(model)]
    coupled = [1e-12 * np.max(S) < S for S in couplings]
    size, decay, described = len(signed), np.tile(rates, 2), {}
    for k, v in enumerate(np.asarray(x) for x in V):
        for index in monomials(size, k):
            if k < 3 or abs(v[index]) <= 1e-12 * np.max(np.abs(v)):
                continue
            for removed in set(index):
                rest = list(index)
                rest.remove(removed)
                by = [S for S in coupled if S[(removed + size // 2) % size]]
                apart = np.abs(nominal[rest].sum() - nominal) > k * MERGED * np.max(nominal)
                gap, width = np.abs(signed[rest].sum() - signed), (decay[rest].sum() + decay) / 2
                for other in np.flatnonzero(apart & (gap < width) & np.any([np.zeros(size, bool), *by], axis=0)):
                    words = _word(rest, size), _word([other], size)
                    described[words[0]] = f"{words[0]} beside {words[1]} (distance {gap[other]:.3g})"
    if described:
        warnings.warn(
            "The perturbation makes, of the couplings, products of modes that lie nearer to a mode's frequency than "
            f"they decay and are treated apart: {'; '.join(list(described.values())[:6])}. Their part of the response "
            "is missing; compare with Redfield() or UniversalLindblad(), or tune to resonance.",
            ValidityWarning,
            stacklevel=4,
        )


def _word(index: list, size: int) -> str:
    """Normal modes by name."""
    powers = np.bincount(np.asarray(index, int), minlength=size)
    return name(powers[size // 2 :].tolist(), powers[: size // 2].tolist(), [f"d{k + 1}" for k in range(size // 2)])


def _refuse_singular(model: QuasiFree, at: Frame, soft: list[str], equation: AbstractEquation) -> None:
    if not soft or np.all(np.asarray(at.nominal) > 0):
        return  # F' is needed at the frequencies of the modes only, where every density is smooth
    for bath in model.baths:
        for noise in bath.noises:
            if noise.spectrum.at_zero != "smooth":
                raise SingularDensityError(
                    f"SingularDensityError: {type(equation).__name__} keeps frequencies of both signs in one "
                    f"group, and the "
                    f"diagonal terms {', '.join(soft[:6])} of the perturbation need the slope of the rate of bath "
                    f"{noise.name!r} through zero frequency, where {type(noise.spectrum).__name__} has a "
                    f"{noise.spectrum.at_zero}. Use DrudeLorentz, Ohmic with shape 'gaussian' or 'drude', or Davies."
                )
