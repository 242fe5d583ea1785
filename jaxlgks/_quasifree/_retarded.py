"""How the dissipators of oscillators follow a drive: the first order of Redfield's equation with memory.

Takes: linear couplings S with the exponentials of their baths, a polynomial V, a model at its steady state. Returns:
the functionals X ↦ ⟨D_α⁽¹⁾(ω)†X⟩ on symbols in Wick's order, their kernel in time, and the integral of that.

With C(s) = Σ_j c_j e^{−ν_j s}, to second order in the coupling (see `_generator/_retarded.py`)

    D†X = [S, X] Λ + h.c.,    Λ_j⁽⁰⁾ = Σ_i c_j s_i β_i/(ν_j − iΩ_i),    S = Σ_i s_i β_i + const,    X Hermitian,

and a kick makes −i[V, Λ_j⁽⁰⁾] of Λ_j, a polynomial of one degree less than V. Each of its monomials in d has a definite
Bohr frequency Ω, so that it decays and turns as e^{−(ν_j − iΩ)u}: whatever V is, the kernel is a sum of exponentials,

    ⟨D⁽¹⁾(u)†X⟩ = Σ_jp a_jp e^{−z_jp u} Q_p·X + h.c.,     z_jp = ν_j − iΩ_p,     Q_p·X = ⟨[S, X] (monomial p)⟩.

Summed over j, and at ω, a_jp/(z_jp − iω) holds the divided difference of G with one argument moved by ω.
"""

import functools
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._polynomials import Symbol, adjoint, commutators, contracted, monomials, multiplicity, symmetrised, with_linear
from ._flow import sums
from ._frame import Frame


class Retarded(eqx.Module):
    """D_α⁽¹⁾π of each bath with memory, for parts of V: that off Bohr frequency zero, rotation, and at it, shift.

    - `rates`: z_jp of each bath. `amplitudes`: a_jp for each part of V.
    - `units`: Q_p of each bath, tensors with leading axes [baths, p]. `held`: ⟨S (monomial p)⟩.
    - `coupling`, `at_rest`: S and Λ⁽⁰⁾ of each bath, symbols of degree one in Wick's order.
    """

    rates: Complex[Array, "baths j p"]
    amplitudes: Complex[Array, "m baths j p"]
    units: Symbol
    held: Complex[Array, "baths p"]
    coupling: Symbol
    at_rest: Symbol

    def at(self, omega: Array) -> Symbol:
        """For δ(t) = e^{−iωt}, with leading axes [m, baths]."""
        return jax.tree.map(jnp.add, self.on_left(omega), adjoint(self.on_left(-omega)))

    def on_left(self, omega: Array) -> Symbol:
        """Without the Hermitian conjugate: X ↦ ⟨[S, X] Λ⁽¹⁾(ω)⟩."""
        return self._summed(1 / (self.rates - 1j * omega))

    def after(self, u: Array) -> Symbol:
        """A time u after a kick."""
        return hermitian(self._summed(jnp.exp(-self.rates * u)))

    def until(self, u: Array) -> Symbol:
        """∫₀ᵘ of `after`."""
        return hermitian(self._summed(-jnp.expm1(-self.rates * u) / self.rates))

    def _summed(self, weights: Complex[Array, "baths j p"]) -> Symbol:
        each = jnp.sum(self.amplitudes * weights, axis=2)
        return tuple(jnp.einsum("mbp,bp...->mb...", each, Q) for Q in self.units)


def retarded(
    at: Frame,
    couplings: tuple[Complex[Array, "baths n"], Complex[Array, " baths"]],
    exponentials: tuple[Complex[Array, "baths j"], Complex[Array, "baths j"]],
    V: tuple[Symbol, ...],
    degree: int,
) -> Retarded:
    """From s and the constant of each S about the minimum of H, the coefficients c and rates ν of each bath, and V in
    Bohr's frame in parts, for X up to a degree."""
    J = jnp.asarray(commutators(at.nominal.size), complex)
    (c, nu), (forms, constants) = exponentials, couplings
    at_rest = c[:, :, None] * forms[:, None] / (nu[:, :, None] - 1j * at.signed)
    highest = max(len(V[0]) - 2, 0)
    index, weight, _ = _monomials(at.signed.size, highest)

    def kicked(W: Symbol, left: Array) -> Array:
        """The coefficients of the monomials in i[Λ_j⁽⁰⁾, V]."""
        bracket = with_linear(W, left, J) if len(W) > 1 else (jnp.zeros((), complex),)
        return 1j * jnp.concatenate([(T[i] * w).reshape(-1) for T, i, w in zip(bracket, index, weight, strict=True)])

    amplitudes = jnp.stack([jax.vmap(jax.vmap(functools.partial(kicked, W)))(at_rest) for W in V])
    frequencies = jnp.concatenate([sums(at.signed, k)[i].reshape(-1) for k, i in enumerate(index)])
    monomial = _in_wick_order(at, highest)
    held = (constants + forms @ at.shift)[:, None] * monomial[0]
    if highest:
        held = held + forms @ at.contraction @ monomial[1].T
    rest, still = jnp.sum(at_rest, axis=1), constants * jnp.sum(c / nu, axis=1)
    return Retarded(
        nu[:, :, None] - 1j * frequencies,
        amplitudes,
        _units(at, forms, J, monomial, degree),
        held,
        (constants + forms @ at.shift, forms),
        (still + rest @ at.shift, rest),
    )


def _in_wick_order(at: Frame, highest: int) -> Symbol:
    """Every monomial up to a degree, tensors with a leading axis p."""
    single = tuple(jnp.asarray(one, complex) for one in _monomials(at.signed.size, highest)[2])
    return jax.vmap(lambda *K: at.from_bohr(K))(*single)


def _units(at: Frame, forms: Array, J: Array, monomial: Symbol, degree: int) -> Symbol:
    """Q_p, that is (k+1)! times the symmetric part of sJ ⊗ C^{⊗k}K^(k), K the monomial in Wick's order."""

    def of(s: Array, *K: Array) -> Symbol:
        out: list[Any] = [jnp.zeros((at.signed.size,) * k, complex) for k in range(degree + 1)]
        for k, T in enumerate(K[:degree]):
            joined = jnp.tensordot(contracted(T, at.contraction, k), s @ J, axes=0)
            out[k + 1] = np.prod(np.arange(1.0, k + 2)) * symmetrised(joined, k)
        return tuple(out)

    return jax.vmap(lambda s: jax.vmap(functools.partial(of, s))(*monomial))(forms)


@functools.cache
def _monomials(size: int, highest: int) -> tuple[list[Any], list[np.ndarray], list[np.ndarray]]:
    """Where the coefficients of all monomials up to a degree sit in the tensors of their rank, how often, and each
    monomial as a symbol, tensors with a leading axis p."""
    every = [list(monomials(size, k)) for k in range(highest + 1)]
    index = [tuple(np.array(some, int).reshape(len(some), k).T) if k else () for k, some in enumerate(every)]
    weight = [np.array([multiplicity(i) for i in some], float) for some in every]
    starts = np.cumsum([0, *map(len, every)])
    symbols = [np.zeros((starts[-1], *[size] * k)) for k in range(highest + 1)]
    for k, some in enumerate(every):
        for p, chosen in enumerate(some, start=int(starts[k])):
            for order in set(itertools.permutations(chosen)):
                symbols[k][(p, *order)] = 1 / multiplicity(chosen)
    return index, weight, symbols


def hermitian(f: Symbol) -> Symbol:
    """f and its adjoint X ↦ f(X†)*, tensors with any leading axes."""
    return jax.tree.map(jnp.add, f, adjoint(f))
