"""Populations alone: a d×d rate equation instead of a d²×d² generator.

Takes: a system, a secular equation (Davies, unified). Returns: rates between eigenstates,

    W^α_mn = Γ_α(ω_mn) |S_mn|²      (n → m),

and their stationary populations. They close if no two transitions from one eigenstate share a group: then A_g has at
most one entry in each column and, frequencies being symmetric, in each row, so A_g ρ A_g† and A_g†A_g are diagonal for
diagonal ρ. Equal Bohr frequencies of different pairs of levels do no harm; equal levels do.
"""

import functools
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact

from .._bohr import Groups, Structure, dagger, diagonal, product, traceless
from .._equations import Dissipation, bath_rates, carried_rates, coupling_weights, rate_errors
from .._inputs import is_concrete
from .._system import System
from ._base import AbstractForm, NullState
from ._gth import UNROLLED, imbalance, scalars, smallest, stationary
from ._linear import SAFETY

WEAK = 1e-11
"""Relative errors of rates below this are not followed into populations."""
LARGE = 64
"""Above this dimension couplings that are known to be real are kept real."""


class LevelRates(eqx.Module):
    """Eigenstates and the rates between them: `energies` of the levels of H in ascending order (of H − Tr H/d, or of
    the operator whose flow is heat), `vectors` in columns, `rates` W^α_mn of n → m, an array for each bath; `carried`:
    what these jumps take up beside, times their rate, where the frame turns. Differentiable in every parameter where
    levels are distinct."""

    energies: Float[Array, " d"]
    vectors: Inexact[Array, "d d"]
    rates: tuple[Float[Array, "d d"], ...]
    carried: tuple[Float[Array, "d d"], ...] | None = None


def level_rates(structure: Structure, system: System) -> LevelRates:
    """W^α_mn = Γ_α(ω_mn)|S_mn|², zero for m = n."""
    energies, vectors = structure.eigenstates
    frequencies = energies[None, :] - energies[:, None]
    rates = bath_rates(frequencies, vectors, system)
    carried = carried_rates(frequencies, vectors, system)
    if system.energy is not None:
        energies = diagonal(product(dagger(vectors), traceless(system.energy), vectors)).real
    return LevelRates(energies, vectors, rates, carried)


def with_real_couplings(system: System) -> System:
    """The couplings in real numbers: products with them cost half."""

    def couplings(s: System) -> list[Any]:
        return [bath.coupling for bath in s.baths]

    return eqx.tree_at(couplings, system, [S.real for S in couplings(system)])


def couplings_are_real(system: System) -> bool:
    """Whether the couplings of a large system are known to be real."""
    couplings = [bath.coupling for bath in system.baths]
    return system.dim > LARGE and is_concrete(couplings) and not any(np.any(np.imag(S)) for S in couplings)


class RateEquation(AbstractForm):
    """The rate equation of the populations: X are populations, [*k, d], observables their diagonal, [*a, d].

    `applicable`: whether populations close. `uncertain`: the relative errors of the rates of each bath, up and down
    alike."""

    levels: LevelRates
    applicable: Bool[Array, ""]
    uncertain: tuple[Float[Array, "d d"], ...]
    bath_temperatures: Float[Array, " baths"]
    name: ClassVar[str] = "populations"

    def steady(self) -> NullState:
        populations, pivots = stationary(self._rates)
        rates, p, pivots = jax.lax.stop_gradient((self._rates, populations, pivots))
        left, fastest = imbalance(rates, p)
        residual, slowest = left / fastest, jnp.nan_to_num(smallest(pivots))
        return NullState(
            state=populations,
            residual=residual,
            error=jnp.full((), 4 * p.size * jnp.finfo(p.dtype).eps, p.dtype),  # of the elimination alone
            slowest=slowest,
            condition=slowest / fastest,
            finite=jnp.isfinite(fastest),
            applicable=self.applicable,
            unique=slowest > 0,  # however slow: the elimination loses nothing
            accurate=residual <= 100 * len(p) * jnp.finfo(p.dtype).eps,
        )

    def coupling_error(self, populations: Float[Array, " d"]) -> Float[Array, ""]:
        """By how much populations move, over the largest, when each coupling does by its error; where all are strong,
        that is not looked at. Apart from `steady`: in sweeps it would take as long as the populations themselves."""
        rates, p = self.fixed_rates, jax.lax.stop_gradient(populations)

        def moved() -> Array:
            signs = np.where(np.cos((1.0 + np.arange(p.size**2)) ** 2).reshape(p.size, -1) > 0, 1.0, -1.0)
            signs = (np.triu(signs) + np.triu(signs, 1).T).astype(p.dtype)
            each = zip(rates, self.uncertain, strict=True)
            other = tuple(W * (1 + (-1) ** k * signs * u) for k, (W, u) in enumerate(each))
            return jnp.max(jnp.abs(stationary(other)[0] - p)) / jnp.max(p)

        weak = functools.reduce(jnp.maximum, [jnp.max(u) for u in self.uncertain]) > WEAK
        return SAFETY * jax.lax.cond(weak, moved, lambda: jnp.zeros((), p.dtype))

    @property
    def fixed_rates(self) -> tuple[Float[Array, "d d"], ...]:
        """Those of each bath; constants of differentiation."""
        return jax.lax.stop_gradient(self._rates)

    @property
    def _rates(self) -> tuple[Array, ...]:
        return tuple(jnp.where(self.applicable, W, jnp.nan) for W in self.levels.rates)

    def external(self, X: Float[Array, " d"]) -> Complex[Array, "d d"]:
        U = self.levels.vectors
        return product(U * X, dagger(U)) + jnp.zeros((), jnp.result_type(U.dtype, jnp.complex64))

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        return self.bath_temperatures

    @property
    def energy(self) -> Float[Array, " d"]:
        return self.levels.energies

    def internal(self, rho: Complex[Array, "d d"]) -> Float[Array, " d"]:
        return self.observable(rho)

    def entropy(self, X: Float[Array, " d"]) -> Float[Array, ""]:
        return -jnp.sum(jax.scipy.special.xlogy(X, X))

    def entropy_rate(self, X: Float[Array, " d"]) -> Float[Array, ""]:
        W = self.levels.rates
        total = sum(W[1:], W[0])
        return -jnp.sum((total @ X - jnp.sum(total, axis=0) * X) * jnp.log(X))

    def observable(self, A: Complex[Array, "*a d d"]) -> Float[Array, "*a d"]:
        U = self.levels.vectors
        return diagonal(product(dagger(U), A, U)).real

    def average(self, A: Float[Array, "*a d"], X: Float[Array, "*k d"]) -> Array:
        return jnp.tensordot(X, A, axes=[[-1], [-1]])

    def currents(self, X: Float[Array, " d"]) -> Float[Array, " baths"]:
        """J^α = Σ_{m>n} (E_m − E_n)(W^α_mn p_n − W^α_nm p_m), what goes up less what goes down, and what is carried."""
        flows = self._flows(X)
        if self.levels.carried is None:
            return flows
        return flows + jnp.stack([jnp.sum(carried * X) for carried in self.levels.carried])

    def _flows(self, X: Float[Array, " d"]) -> Float[Array, " baths"]:
        E, p = self.levels.energies, X
        if len(p) <= UNROLLED:
            pairs = [(m, n) for m in range(len(p)) for n in range(m)]
            E, p, rates = scalars(E), scalars(p), [scalars(W) for W in self.levels.rates]
            return jnp.stack([sum((E[m] - E[n]) * (W[m][n] * p[n] - W[n][m] * p[m]) for m, n in pairs) for W in rates])
        energies = E[:, None] - E[None, :]
        upward = [W * p for W in self.levels.rates]
        return jnp.stack([jnp.sum(jnp.where(energies > 0, energies * (up - up.T), 0.0)) for up in upward])


def rate_equation(resolved: Dissipation, real: bool = False) -> RateEquation:
    """The rate equation of a secular equation; `real`: couplings are known to be real."""
    system = with_real_couplings(resolved.system) if real else resolved.system
    closed = populations_close(resolved.groups) & resolved.equation.secular
    uncertain = rate_errors(resolved.structure, system)
    return RateEquation(level_rates(resolved.structure, system), closed, uncertain, resolved.system.temperatures)


def uncertain_rates(resolved: Dissipation) -> Float[Array, "d d"] | None:
    """The largest relative errors over baths of the rates between eigenstates, 1/2 where couplings are no more than
    rounding; None where dissipators are made in the eigenbasis of another Hamiltonian."""
    if resolved.frozen is not None:
        return None
    errors = functools.reduce(jnp.maximum, rate_errors(resolved.structure, resolved.system, resolved.equation.secular))
    weights = [coupling_weights(resolved.structure.vectors, noise) for noise in resolved.noises]
    return jnp.where(functools.reduce(jnp.add, weights) > 0, errors, 0.5)


def populations_close(groups: Groups) -> Bool[Array, ""]:
    """Whether no two transitions from one eigenstate share a group."""
    labels = groups.labels
    if is_concrete(labels):
        ordered = np.sort(np.asarray(labels), axis=0)
        return jnp.asarray(np.all(ordered[1:] != ordered[:-1]))
    if len(labels) <= UNROLLED:  # a batch is compared as a whole, and sorted one member at a time
        shared = labels[:, None, :] == labels[None, :, :]
        return ~jnp.any(shared & ~jnp.eye(len(labels), dtype=bool)[:, :, None])

    def distinct(ordered: Array) -> Array:
        return jnp.all(ordered[1:] != ordered[:-1])

    # Labels and energies both ascend; only groups that were pinned may have been carried to another order.
    descending = jnp.all(labels[1:] <= labels[:-1])
    return jax.lax.cond(descending, distinct, lambda unsorted: distinct(jnp.sort(unsorted, axis=0)), labels)
