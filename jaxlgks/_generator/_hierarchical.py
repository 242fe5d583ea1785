"""The generator of the hierarchy of equations of motion: its states are stacks of matrices.

Takes: a system with its `Hierarchy`, the exponentials of its noises. Returns: the steady state of all matrices, their
motion and their response. A state X [n, d, d] holds the state of the system, X_0, and the auxiliary matrices, all in
the eigenbasis of H; an observable A [n, d, d] has the average Σ_n Tr[A_n X_n].

Nothing is averaged away: V acts on the system alone, L₁ = −i[V, ·] on every matrix, at every frequency and time. The
bath's part of the motion,

    D_α X = −i Σ_{k of α} √s_k [S, X_{e_k}] − δ [S, [S, X_0]],

is that of the system's state, and J^α = Tr[H D_α X] the energy that flows into the system.
"""

import itertools
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import Structure, traceless
from .._entropy import entropy, log_state
from .._equations import Hierarchy
from .._inputs import as_known
from .._spectra import Correlated
from .._system import Noise, System
from ..errors import InputError
from ._base import AbstractDelay, AbstractGenerator, AbstractSuperoperator, Change, NullState, converged
from ._hierarchy import HierarchyCore, Ladder
from ._matrices import Evolution, restored
from ._memory import require_states


class HierarchyParts(eqx.Module):
    """What a hierarchy is made from. The structure of H is found once."""

    system: System
    equation: Hierarchy
    structure: Structure

    @property
    def noises(self) -> tuple[Noise, ...]:
        """Every independent noise of every bath."""
        return tuple(noise for bath in self.system.baths for noise in bath.noises)

    @property
    def owners(self) -> tuple[tuple[int, ...], ...]:
        """The noises of each bath."""
        ends = itertools.accumulate((len(bath.noises) for bath in self.system.baths), initial=0)
        return tuple(tuple(range(*pair)) for pair in itertools.pairwise(ends))


class BathForce(AbstractSuperoperator):
    """D_α."""

    core: HierarchyCore
    noises: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, X: Complex[Array, "n d d"]) -> Complex[Array, "n d d"]:
        change = jnp.zeros_like(X[0])
        for noise in self.noises:
            S, force = self.core.couplings[noise], self.core.force(noise, X)
            change = change - 1j * (S @ force - force @ S)
        return self.core.embedded(change)

    def adjoint(self, A: Complex[Array, "n d d"]) -> Complex[Array, "n d d"]:
        return _across(self, A)


class HierarchyGenerator(AbstractGenerator):
    """The hierarchy. `tolerance`: the largest max|Lπ| of a steady state that is accepted, relative to the fastest decay
    of second order."""

    parts: HierarchyParts
    core: HierarchyCore
    tolerance: float = eqx.field(static=True, default=1e-10)
    name: ClassVar[str] = "hierarchy"

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        return self.parts.system.temperatures

    @property
    def follows(self) -> bool:
        return False

    @property
    def exact(self) -> bool:
        return True

    @property
    def energy_follows(self) -> bool:
        return self.parts.system.energy is None

    @property
    def has_channels(self) -> bool:
        return False

    @property
    def bandwidth(self) -> Float[Array, ""]:
        ladder = self.core.ladder
        forces = jnp.max(jnp.abs(self.core.couplings)) * jnp.sum(ladder.root**2) ** 0.5
        return jnp.ptp(self.parts.structure.energies) + jnp.max(jnp.abs(ladder.rates.imag)) + forces

    @property
    def energy(self) -> Complex[Array, "n d d"]:
        given = self.parts.system.energy
        return self.core.embedded(self.core.hamiltonian) if given is None else self.observable(traceless(given))

    @property
    def thermal_energy(self) -> Complex[Array, "n d d"]:
        raise InputError("heat_currents_gibbs: no bath alone has a Hamiltonian with its Gibbs state in a Hierarchy().")

    def observable(self, A: Complex[Array, "*a d d"]) -> Complex[Array, "*a n d d"]:
        return self.core.embedded(self.parts.structure.to_eigenbasis(A))

    def internal(self, rho: Complex[Array, "*k d d"]) -> Complex[Array, "*k n d d"]:
        """A product with the baths."""
        return self.core.embedded(self.parts.structure.to_eigenbasis(rho))

    def external(self, X: Complex[Array, "*k n d d"]) -> Complex[Array, "*k d d"]:
        return self.parts.structure.from_eigenbasis(X[..., 0, :, :])

    def average(self, A: Complex[Array, "*a n d d"], X: Complex[Array, "*k n d d"]) -> Array:
        rows = jnp.swapaxes(A, -1, -2).reshape(*A.shape[:-3], -1)
        return jnp.tensordot(X.reshape(*X.shape[:-3], -1), rows, axes=[[-1], [-1]])

    def entropy(self, X: Complex[Array, "n d d"]) -> Float[Array, ""]:
        return entropy(X[0])

    def log(self, X: Complex[Array, "n d d"]) -> Complex[Array, "n d d"]:
        return self.core.embedded(log_state(X[0]))

    def adjoint(self, A: Complex[Array, "n d d"]) -> Complex[Array, "n d d"]:
        return _across(self.core.apply, A)

    def dissipators(self) -> tuple[BathForce, ...]:
        return tuple(BathForce(self.core, noises) for noises in self.parts.owners)

    def regression(self, A: Array, B: Array, X: Array) -> tuple[Array, Array, Array]:
        first = self.parts.structure.to_eigenbasis(B)
        return (first @ X)[None], self.observable(A)[None], jnp.ones((1, 1), X.dtype)

    def spectrum(self, A: Array, B: Array, X: Array, omegas: Array, *, instantaneous: bool) -> Array:
        """s_AB(ω) + s_B†A†(ω)*, each by regression, which is exact here."""
        del instantaneous
        return converged(_spectrum(self, A, B, X, omegas), X)

    def steady(self) -> NullState:
        X = self.core.inverse(self.core.embedded(self.core.pin)[None], jnp.zeros((), self.temperatures.dtype))[0]
        fixed, state = jax.lax.stop_gradient((self.core, X))
        fastest = jnp.trace(fixed.pin).real
        eps = jnp.finfo(fastest.dtype).eps
        left = jnp.abs(fixed.apply(state))
        largest = fixed.size
        noise = left + eps * fixed.terms(state)
        phases = jnp.exp(1j * (1.0 + jnp.arange(noise.size)) ** 2).reshape(noise.shape)
        change, slowest = fixed.probed(noise * phases)
        residual, condition = jnp.max(left) / fastest, slowest / largest
        return NullState(
            state=X,
            residual=residual,
            error=jnp.max(jnp.abs(change[0])) / jnp.max(jnp.abs(state[0])),
            slowest=slowest,
            condition=condition,
            finite=jnp.isfinite(largest) & jnp.isfinite(fastest),
            applicable=jnp.asarray(True),
            unique=condition > 100 * eps,
            accurate=residual <= self.tolerance,
        )

    def resolvent(self, B: Array, omegas: Float[Array, " w"], A: Array) -> Array:
        return converged(_resolvent(self, B, omegas, A), B)

    def propagate(self, start: Array, ts: Float[Array, " t"], A: Array, drive: Array | None = None) -> Array:
        return _integrated(self, start, ts, lambda X: self.average(A, X), drive)

    def evolve(self, rho0: Complex[Array, "d d"], ts: Float[Array, " t"], **options: Any) -> Evolution:
        require_states("evolve", len(ts), self.parts.system)
        start, times = self.internal(rho0)[None], as_known(ts, rho0.real.dtype)
        states = _integrated(self, start, times, self.external, None, **options)[:, 0]
        return Evolution(ts, restored(states, rho0))

    def first_order(self, V: Complex[Array, "d d"], X: Array, degree: int = 2) -> Change:
        del degree
        W = self.parts.structure.to_eigenbasis(V)
        kubo = -1j * (W @ X - X @ W)
        nothing = jnp.zeros_like(kubo)
        baths = jnp.zeros((len(self.temperatures), *X.shape), X.dtype)
        still = jnp.zeros_like(self.temperatures)
        return Change(jnp.stack([kubo, nothing, nothing]), baths, self.observable(traceless(V)), still)

    def delayed(self, X: Array, change: Change, quantity: Any) -> AbstractDelay:
        raise InputError("bath_currents: not built for Hierarchy(), which has heat_currents, those into the system.")

    def thermal_changes(self, X: Array) -> Change:
        raise InputError(
            "thermal_response: not built for Hierarchy(). Differentiate heat_currents in temperatures by jax.jacfwd, "
            "or use autodiff_thermal_response."
        )


def hierarchy_generator(
    parts: HierarchyParts,
    correlations: tuple[Correlated, ...],
    whole: bool,
    restart: int,
    cycles: int,
    tolerance: float,
) -> HierarchyGenerator:
    """The basis is a constant of differentiation; the derivative in H comes with U† dH U."""
    structure, system = parts.structure, parts.system
    dtype = system.hamiltonian.dtype
    owners = tuple(b for b, one in enumerate(correlations) for _ in one.c)
    c, conjugate, rates = (
        jnp.concatenate([x(one).astype(dtype) for one in correlations])
        for x in (lambda one: one.c, lambda one: one.conjugate, lambda one: one.rates)
    )
    # What scales the matrices drops out of every average, and with it its derivative.
    scale = jax.lax.stop_gradient(jnp.maximum(jnp.abs(c), jnp.abs(conjugate)))
    root = jnp.sqrt(jnp.where(scale > 0, scale, 1.0))
    friction = jnp.stack([one.friction for one in correlations])
    friction = friction if parts.equation.terminator else jnp.zeros_like(friction)
    couplings = jnp.stack([structure.to_eigenbasis(noise.coupling) for noise in parts.noises]).astype(dtype)
    H = structure.to_eigenbasis(structure.hamiltonian).astype(dtype)
    ladder = Ladder(c, conjugate, rates, root, friction, owners)
    return HierarchyGenerator(
        parts, HierarchyCore(H, couplings, ladder, parts.equation.levels[0], whole, restart, cycles), tolerance
    )


def _across(linear: Any, A: Complex[Array, "*a n d d"]) -> Complex[Array, "*a n d d"]:
    """B with Tr[B X] = Tr[A linear(X)] summed over the matrices."""
    rows = jnp.swapaxes(A, -1, -2)
    back = jax.linear_transpose(linear, jax.ShapeDtypeStruct(A.shape[-3:], A.dtype))
    each = jax.vmap(lambda row: back(row)[0])(rows.reshape(-1, *A.shape[-3:]))
    return jnp.swapaxes(each.reshape(A.shape), -1, -2)


@eqx.filter_jit
def _resolvent(L: HierarchyGenerator, B: Array, omegas: Array, A: Array) -> Array:
    return jax.lax.map(lambda omega: L.average(A, L.core.solve(B, omega)), omegas)


@eqx.filter_jit
def _spectrum(L: HierarchyGenerator, A: Array, B: Array, X: Array, omegas: Array) -> Array:
    A, B = L.parts.structure.to_eigenbasis(A), L.parts.structure.to_eigenbasis(B)
    later, first = jnp.stack([A, B.conj().T]), jnp.stack([B, A.conj().T])
    first = first - jnp.einsum("kij,ji->k", first, X[0])[:, None, None] * jnp.eye(len(A))
    sources = jnp.einsum("kij,njl->knil", first, X)

    def at(omega: Array) -> Array:
        each = -jnp.einsum("kij,kji->k", later, L.core.solve(sources, omega)[:, 0])
        return each[0] + each[1].conj()

    return jax.lax.map(at, omegas)


@eqx.filter_jit
def _integrated(
    L: HierarchyGenerator, start: Array, ts: Array, read: Any, drive: Array | None, **options: Any
) -> Array:
    """`read` of the states of a stack at each time."""
    from ._integration import differentiated_in, integration, solved  # diffrax would be a third of importing jaxlgks

    lost = jnp.isnan(ts)  # a traced time that is none costs its own values, not the integration
    known = jnp.where(lost, jnp.nan_to_num(jnp.nanmax(ts)), ts)
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(start)) + (0.0 if drive is None else jnp.max(jnp.abs(drive))))
    size = jnp.where(size > 0, size, 1.0)

    def field(t, y, _):
        change = jax.vmap(L.core.apply)(y[0] + 1j * y[1])
        change = change if drive is None else change + drive / size
        return jnp.stack([change.real, change.imag])

    # Steps are chosen for the state. Its derivatives move when it does not.
    longest = jnp.where(differentiated_in((L, start, drive)), 0.5 / jax.lax.stop_gradient(L.bandwidth), jnp.inf)
    values = solved(
        field, start / size, known, lambda t, y: read(size * (y[0] + 1j * y[1])), longest, integration(**options)
    )
    return jnp.where(lost.reshape(-1, *[1] * (values.ndim - 1)), jnp.nan, values)
