"""What a secular equation of oscillators averages away, put back to first order.

Takes: Redfield's drift, diffusion and force of each bath, with the complex G, and an equation's own. Returns: M with
[L_H, M] = N, N what the equation lacks of them between monomials of different Bohr frequency (what for:
`_generator/_missing.py`). It is a flow like those of the baths themselves: with i[H, β_j] = −iΩ_jβ_j, M is N with

    K_jl ↦ iK_jl/(Ω_j − Ω_l),     N_ij ↦ iN_ij/(Ω_i + Ω_j),     c_j ↦ ic_j/Ω_j.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._equations import AbstractEquation, Redfield
from .._polynomials import Symbol, product, symmetrised
from ._dynamics import dynamics
from ._first_order import functional, nominal_of
from ._flow import BathFlow, Functional, averaged, sums
from ._frame import Frame, frame_noise
from ._model import QuasiFree
from ._modes import MERGED


class Dressing(eqx.Module):
    """M of each bath. `hamiltonian`: L_H, which in Wick's order has a noise where the state does not commute with H."""

    divided: tuple[BathFlow, ...]
    hamiltonian: BathFlow

    def __call__(self, X: Functional) -> Functional:
        """M X."""
        return _total([M(X) for M in self.divided])

    def adjoint(self, A: Symbol) -> Symbol:
        """M†A."""
        return _total([M.adjoint(A) for M in self.divided])

    def by_bath(self, X: Functional, dissipators: tuple[BathFlow, ...]) -> Functional:
        """[L_H, M_α] X + [D_α, M] X, a stack over baths, whose sum is [L₀, M] X to the last digit."""
        MX, HX = self(X), self.hamiltonian(X)

        def of(M: BathFlow, D: BathFlow) -> Functional:
            return _total([self.hamiltonian(M(X)), _less(M(HX)), D(MX), _less(self(D(X)))])

        each = [of(M, D) for M, D in zip(self.divided, dissipators, strict=True)]
        return jax.tree.map(lambda *x: jnp.stack(x), *each)


def _total(parts: list) -> Functional:
    """Their sum, symmetric tensors."""
    return tuple(symmetrised(sum(x[1:], x[0])) for x in zip(*parts, strict=True))  # pyright: ignore


def _less(X: Functional) -> Functional:
    return tuple(-x for x in X)


def dressing(model: QuasiFree, equation: AbstractEquation, at: Frame, gap: Float[Array, ""]) -> Dressing:
    """Of elements that lie farther apart than a gap, and in different groups where the equation has groups."""
    whole = dynamics(model, model, Redfield(lamb_shift=True), jnp.zeros_like(at.nominal))
    drift = jnp.stack([at.modes.inverse @ K @ at.modes.forms for K in whole.drift]) - at.bath_drift
    noise, force = frame_noise(at.modes, at.state, whole)
    signed, nominal = at.signed, nominal_of(at, 1)
    top = MERGED * at.modes.frequencies[-1]

    def divided(part: Array, distance: Array, apart: Array) -> Array:
        kept = jnp.abs(distance) > gap
        kept = kept & (jnp.abs(apart) > 3 * top) if equation.regroups else kept
        return jnp.asarray(jnp.where(kept, 1j * part / jnp.where(kept, distance, 1.0), 0.0))

    each = zip(
        divided(drift, signed[:, None] - signed, nominal[:, None] - nominal),
        divided(noise - at.bath_noise, sums(signed, 2), sums(nominal, 2)),
        divided(force - at.bath_force, signed, nominal),
        strict=True,
    )
    rest = -jnp.sum(at.bath_noise, axis=0), -jnp.sum(at.bath_force, axis=0)
    return Dressing(tuple(BathFlow(*one) for one in each), BathFlow(jnp.diag(-1j * signed), *rest))


def kicked(V: Symbol, X: Functional, at: Frame) -> Functional:
    """i[V, X], the functional A ↦ iX([A, V]); V in Wick's order."""

    def value(A: Symbol) -> Array:
        C = at.contraction
        return 1j * (averaged(X, product(A, V, C)) - averaged(X, product(V, A, C)))

    return tuple(symmetrised(x) for x in functional(value, at, len(X) - 1))  # pyright: ignore
