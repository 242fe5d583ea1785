"""The generator of a quasi-free model: on Gaussian states, and on polynomials about its steady state.

Takes: a resolved model. Returns: two forms. In `GaussianForm` X is a Gaussian state and A polynomials. In
`PolynomialGenerator` A is a symbol in Wick's order of the steady state, tensors of rank 0, 1, 2, …, and X what a state,
or a change of one, is for such symbols: the functional A ↦ Σ_k X^(k)·A^(k). The steady state is (1, 0, 0, …).
"""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._compiled import compiled
from .._equations import AbstractEquation
from .._generator import (
    AbstractDelay,
    AbstractForm,
    AbstractGenerator,
    Change,
    NullState,
    converged,
    stacked,
    thermal_change,
)
from .._polynomials import Polynomial, Symbol, contracted
from ._currents import gaussian_currents, gaussian_entropy_rate, log_form
from ._delayed import with_memory
from ._dynamics import Dynamics, dynamics
from ._evolution import GaussianEvolution, gaussian_evolution
from ._expansion import expanded, total
from ._flow import BathFlow, Functional, averaged, on_each_slot, propagated, resolvents
from ._fluctuations import spectrum
from ._frame import Frame, frame_noise
from ._model import QuasiFree
from ._state import GaussianState, expectation, lowest_pivot, lyapunov, slowest_rate


class GaussianForm(AbstractForm):
    """The drift and diffusion of the quadratures; X is a Gaussian state."""

    model: QuasiFree
    motion: Dynamics
    name: ClassVar[str] = "gaussian"

    def steady(self) -> NullState:
        K, N = self.motion.total, jnp.sum(self.motion.diffusion, axis=0)
        mean = self.motion.centre - jnp.linalg.solve(K, jnp.sum(self.motion.force, axis=0))
        state = GaussianState(mean, lyapunov(K, N))
        K, N, V = jax.lax.stop_gradient((K, N, state.covariance))
        slowest, largest = slowest_rate(K), jnp.max(jnp.abs(K))
        missing = K @ V + V @ K.T + N
        left = jnp.max(jnp.abs(missing))
        error = jnp.max(jnp.abs(lyapunov(K, missing))) / jnp.max(jnp.abs(V)) + 4 * len(K) * jnp.finfo(V.dtype).eps
        return NullState(
            state=state,
            residual=left / (largest * jnp.max(jnp.abs(V))),
            error=error,
            slowest=slowest,
            condition=slowest / largest,
            finite=jnp.isfinite(largest) & jnp.all(jnp.isfinite(N)),
            applicable=jnp.asarray(True),
            unique=~(slowest <= 0),
            accurate=(slowest > 0) & (lowest_pivot(V) > 0),
        )

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        return self.model.temperatures

    @property
    def energy(self) -> Any:
        return self.model.hamiltonian

    def internal(self, rho: GaussianState) -> GaussianState:
        return rho

    def external(self, X: GaussianState) -> GaussianState:
        return X

    def observable(self, A: Any) -> Any:
        return A

    def average(self, A: Any, X: GaussianState) -> Array:
        if isinstance(A, tuple):
            return jnp.stack([expectation(one, X) for one in A])
        return expectation(A, X)

    def currents(self, X: GaussianState) -> Float[Array, " baths"]:
        return gaussian_currents(self.model, self.motion, X)

    def entropy(self, X: GaussianState) -> Float[Array, ""]:
        return X.entropy()

    def entropy_rate(self, X: GaussianState) -> Float[Array, ""]:
        return gaussian_entropy_rate(self.motion, X)


class Direction(eqx.Module):
    """A perturbation that has a first order; `shifts`: whether it may have terms at Bohr frequency zero."""

    V: Symbol
    shifts: bool = eqx.field(static=True)


class PolynomialGenerator(AbstractGenerator):
    """L₀† on polynomials, about the steady state of a model. `reference`: the model in whose normal modes the
    dissipators are made."""

    model: QuasiFree
    reference: QuasiFree
    equation: AbstractEquation
    motion: Dynamics
    at: Frame
    name: ClassVar[str] = "polynomials"

    def steady(self) -> NullState:
        return GaussianForm(self.model, self.motion).steady()

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        return self.model.temperatures

    @property
    def follows(self) -> bool:
        return self.equation.follows

    @property
    def bandwidth(self) -> Float[Array, ""]:
        """Of products of four."""
        return 4 * jnp.max(jnp.abs(self.at.signed))

    @property
    def has_channels(self) -> bool:
        return False

    @property
    def energy(self) -> Symbol:
        return self._padded(self.at.wick(self.model.hamiltonian.coefficients), 2)

    @property
    def thermal_energy(self) -> Symbol:
        return self._padded(self.at.wick(self.reference.hamiltonian.coefficients), 2)

    def _padded(self, A: Symbol, degree: int) -> Symbol:
        return A + tuple(jnp.zeros((self.at.signed.size,) * k, complex) for k in range(len(A), degree + 1))

    def internal(self, rho: GaussianState) -> Functional:
        """Up to rank two."""
        first = self.at.modes.inverse @ (rho.mean - self.at.state.mean)
        spread = self.at.modes.inverse @ (rho.covariance - self.at.state.covariance) @ self.at.modes.inverse.T
        return jnp.ones((), complex), first, spread + jnp.tensordot(first, first, axes=0)

    def external(self, X: Functional) -> GaussianState:
        T = self.at.modes.forms
        spread = X[2] - jnp.tensordot(X[1], X[1], axes=0)
        return GaussianState(self.at.state.mean + (T @ X[1]).real, self.at.state.covariance + (T @ spread @ T.T).real)

    def observable(self, A: Any) -> Symbol:
        if not isinstance(A, tuple):
            return self.at.wick(A.coefficients)
        degree = max(one.degree for one in A)
        return stacked([self._padded(self.at.wick(one.coefficients), degree) for one in A])

    def average(self, A: Symbol, X: Functional) -> Array:
        return averaged(X, A)

    def adjoint(self, A: Symbol) -> Symbol:
        return tuple(on_each_slot(self.at.drift, A, 0))

    def dissipators(self) -> tuple[BathFlow, ...]:
        parts = zip(self.at.bath_drift, self.at.bath_noise, self.at.bath_force, strict=True)
        return tuple(BathFlow(*part) for part in parts)

    def log(self, X: Functional) -> Symbol:
        """ln π₀ of the steady state, its average left out."""
        T = self.at.modes.forms
        zero = jnp.zeros((), complex)
        return zero, jnp.zeros(self.at.signed.size, complex), -T.T @ log_form(self.at.state.covariance) @ T / 2

    def entropy(self, X: Functional) -> Float[Array, ""]:
        return self.at.state.entropy()

    def regression(self, A: Polynomial, B: Polynomial, X: Functional) -> tuple[Functional, Symbol, Array]:
        """Wick's theorem at two times: ⟨A B⟩ = Σ_k k! A^(k)·C…C B^(k)."""
        later, first = self.at.wick(A.coefficients), self.at.wick(B.coefficients)
        start = [math.factorial(k) * contracted(b, self.at.contraction, k)[None] for k, b in enumerate(first)]
        return tuple(map(jnp.asarray, start)), tuple(a[None] for a in later), jnp.ones((1, 1), complex)

    def spectrum(
        self, A: Polynomial, B: Polynomial, X: Functional, omegas: Float[Array, " w"], *, instantaneous: bool
    ) -> Array:
        return spectrum(self, A, B, omegas, instantaneous=instantaneous)

    def resolvent(self, B: Functional, omegas: Float[Array, " w"], A: Symbol) -> Array:
        return converged(resolvents(self.at.drift, self.at.diagonal, B, omegas, A), B)

    def propagate(
        self, start: Functional | None, ts: Float[Array, " t"], A: Symbol, drive: Functional | None = None
    ) -> Array:
        return propagated(self.at.drift, self.at.diagonal, start, ts, A, drive)

    def evolve(self, rho0: GaussianState, ts: Float[Array, " t"], **options: Any) -> GaussianEvolution:
        return _evolution(self.motion.total, self.at.state, rho0, ts)

    def first_order(self, V: Direction, X: Functional, degree: int = 2) -> Change:
        degree = max(degree, 2)
        parts = expanded(self.model, V.V, self.equation, self.at, degree, V.shifts)
        commutator, rotation, shift = (part[: degree + 1] if i == 0 else part for i, part in enumerate(parts))
        sources = stacked([commutator, total(rotation), total(shift)])
        baths = stacked([total(both) for both in zip(rotation, shift, strict=True)])
        return Change(sources, baths, self.at.wick(V.V), jnp.zeros_like(self.temperatures))

    def delayed(self, X: Functional, change: Change, quantity: Any) -> AbstractDelay:
        return with_memory(self, X, change, quantity)

    def thermal_changes(self, X: Functional) -> Change:
        """⟨D_β†X⟩ = c·X₁ + N:X₂ at rest: force and diffusion alone."""

        def pushes(temperatures: Array) -> tuple[Array, Array]:
            model = self.model.with_baths(temperatures, jnp.zeros_like(temperatures))
            reference = self.reference.with_baths(temperatures, jnp.zeros_like(temperatures))
            motion = dynamics(model, reference, self.equation, self.at.nominal)
            noise, force = frame_noise(self.at.modes, self.at.state, motion)
            return jnp.sum(noise, axis=0), jnp.sum(force, axis=0)

        noise, force = jax.jacfwd(pushes)(self.temperatures)
        warmer = list(zip(jnp.moveaxis(force, -1, 0), jnp.moveaxis(noise, -1, 0), strict=True))
        stronger = list(zip(self.at.bath_force, self.at.bath_noise, strict=True))
        zero = jnp.zeros((), complex)
        return thermal_change(self, *([(zero, *pair) for pair in pairs] for pairs in (warmer, stronger)))


@compiled
def _evolution(K: Array, steady: GaussianState, start: GaussianState, ts: Array) -> GaussianEvolution:
    return gaussian_evolution(K, steady, start, ts)


def gaussian_form(model: QuasiFree, reference: QuasiFree, equation: AbstractEquation, nominal: Array) -> GaussianForm:
    """The form on Gaussian states."""
    return GaussianForm(model, dynamics(model, reference, equation, nominal))
