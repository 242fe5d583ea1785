"""Populations alone: a d×d rate equation instead of a d²×d² generator.

Enters: a system, a secular equation (Davies, unified). Leaves: rates between eigenstates,

    W^α_mn = Γ_α(ω_mn) |S_mn|²      (n → m),

and their stationary populations. They close if no two transitions from one eigenstate share a group: then A_g has at
most one entry in each column and, frequencies being symmetric, in each row, so A_g ρ A_g† and A_g†A_g are diagonal for
diagonal ρ. Equal Bohr frequencies of different pairs of levels do no harm; equal levels do.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact

from .._bohr import Groups, Structure, centred, dagger, diagonal, known_structure, product
from .._equations import AbstractEquation, bath_rates
from .._inputs import is_concrete
from .._spectra import require_finite
from .._system import System
from ..errors import SolverError
from ._base import AbstractSolver, Found
from ._gth import UNROLLED, imbalance, smallest, stationary

LARGE = 64
"""Above this dimension a known H is diagonalised, and its frequencies are sorted, outside the compiled program."""


class LevelRates(eqx.Module):
    """Eigenstates and the rates between them: `energies` ascending (of H − Tr H/d), `vectors` in columns, `rates`
    W^α_mn of n → m, an array for each bath. Differentiable in every parameter where levels are distinct."""

    energies: Float[Array, " d"]
    vectors: Inexact[Array, "d d"]
    rates: tuple[Float[Array, "d d"], ...]


def level_rates(system: System, known: Structure | None = None) -> LevelRates:
    """W^α_mn = Γ_α(ω_mn)|S_mn|², zero for m = n. `known`: the structure of H, where it is no parameter."""
    energies, vectors = eigenstates(system) if known is None else (known.energies, known.vectors)
    frequencies = energies[None, :] - energies[:, None]
    return LevelRates(energies, vectors, bath_rates(frequencies, vectors, system))


def with_real_couplings(system: System) -> System:
    """The couplings in real numbers: products with them cost half."""
    couplings = lambda s: [bath.coupling for bath in s.baths]  # noqa: E731
    return eqx.tree_at(couplings, system, [S.real for S in couplings(system)])


def couplings_are_real(system: System) -> bool:
    """Whether the couplings of a large system are known to be real."""
    couplings = [bath.coupling for bath in system.baths]
    return system.dim > LARGE and is_concrete(couplings) and not any(np.any(np.imag(S)) for S in couplings)


def known_levels(system: System) -> Structure | None:
    """The structure of a large H that is known, by a program of its own."""
    return known_structure(system.hamiltonian) if system.dim > LARGE and is_concrete(system.hamiltonian) else None


def eigenstates(system: System) -> tuple[Float[Array, " d"], Complex[Array, "d d"]]:
    """Energies of H − Tr H/d and eigenvectors, with their derivatives, which distinct levels have."""
    return _eigenstates(centred((system.hamiltonian + system.hamiltonian.conj().T) / 2))


@jax.custom_jvp
def _eigenstates(H: Complex[Array, "d d"]) -> tuple[Float[Array, " d"], Complex[Array, "d d"]]:
    vectors, energies = jax.lax.linalg.eigh(H, symmetrize_input=False)
    return energies, vectors


@_eigenstates.defjvp
def _eigenstates_jvp(primals, tangents):
    """dE_n = h_nn, dU = U X, X_mn = h_mn/(E_n − E_m) for m ≠ n, with h = U† dH U. As JAX's own rule, with products
    that suit small matrices."""
    (H,), (dH,) = primals, tangents
    energies, vectors = _eigenstates(H)
    h = product(dagger(vectors), dH, vectors)
    same = jnp.eye(len(energies), dtype=bool)
    gap = jnp.where(same, 1.0, energies[None, :] - energies[:, None])
    return (energies, vectors), (diagonal(h).real, product(vectors, jnp.where(same, 0.0, h / gap)))


class Populations(AbstractSolver):
    """Stationary populations by elimination without subtraction (GTH), for `Davies` and `Unified` with distinct levels.

    Memory O(d²), time O(d³). Every population is exact to about 1e−14 relative to the rates, however small it is; up to
    d = 8 the elimination is written out over scalars, so that a `vmap` over parameters runs on the batch.

    Couplings below 10 d eps of the largest are taken for zero: what symmetry forbids comes out as rounding. A heat
    current is the difference of what flows up and down, exact to about 1e−15 of these.

    (`structure`, `groups` and `real`, whether the couplings are, are found, not given.)

    **Raises:** `SolverError` for another equation, or where levels coincide or a group of Bohr frequencies couples
    populations to coherences (NaN where H is traced).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(20.0, 10.0))
    lgks.steady_state(system, solver=lgks.Populations()).populations      # the last one: about 1e-44
    lgks.heat_currents(system, solver=lgks.Populations())
    ```
    """

    structure: Structure | None = None
    groups: Groups | None = None
    real: bool = eqx.field(static=True, default=False)
    name: ClassVar[str] = "populations"

    def admit(self, system: System, equation: AbstractEquation) -> tuple[AbstractSolver, AbstractEquation]:
        """The equation itself; `SolverError` if it is not of the kind whose populations can close."""
        if not equation.secular:
            raise SolverError(
                f"Populations: {type(equation).__name__} couples populations to coherences; the solver is for Davies "
                "and Unified. Use Dense()."
            )
        if equation.lamb_shift:  # it moves nothing here, but must exist
            for bath in system.baths:
                for noise in bath.noises:
                    require_finite(noise.spectrum)
        structure = known_levels(system)
        if structure is None or not is_concrete(equation):
            return self, equation
        groups = equation.partition(structure, system)
        # A count of their own would compile a program for each system.
        groups = Groups(groups.labels, groups.zero, system.dim**2)
        return Populations(structure, groups, couplings_are_real(system)), equation

    def find(self, system: System, equation: AbstractEquation) -> Found:
        """The steady state from its populations, diagonal in the eigenbasis of H."""
        levels = level_rates(with_real_couplings(system) if self.real else system, self.structure)
        groups = equation.groups(system) if self.groups is None else self.groups
        closed = populations_close(groups)
        rates = tuple(jnp.where(closed, W, jnp.nan) for W in levels.rates)
        populations, pivots = stationary(rates)
        rates, p, pivots = jax.lax.stop_gradient((rates, populations, pivots))
        left, fastest = imbalance(rates, p)
        residual, slowest = left / fastest, jnp.nan_to_num(smallest(pivots))
        eps = jnp.finfo(p.dtype).eps
        return Found(
            rho=product(levels.vectors * populations, dagger(levels.vectors)).astype(system.hamiltonian.dtype),
            populations=populations,
            rates=sum(rates[1:], rates[0]),
            residual=residual,
            slowest=slowest,
            condition=slowest / fastest,
            applicable=closed & equation.secular,
            unique=slowest > 0,  # however slow: the elimination loses nothing
            accurate=residual <= 100 * system.dim * eps,
            structure=self.structure,
            groups=self.groups,
        )


def populations_close(groups: Groups) -> Bool[Array, ""]:
    """Whether no two transitions from one eigenstate share a group."""
    labels = groups.labels
    if len(labels) <= UNROLLED:  # a batch is compared as a whole, and sorted one member at a time
        shared = labels[:, None, :] == labels[None, :, :]
        return ~jnp.any(shared & ~jnp.eye(len(labels), dtype=bool)[:, :, None])
    distinct = lambda ordered: jnp.all(ordered[1:] != ordered[:-1])  # noqa: E731
    # Labels and energies both ascend; only groups that were pinned may have been carried to another order.
    descending = jnp.all(labels[1:] <= labels[:-1])
    return jax.lax.cond(descending, distinct, lambda given: distinct(jnp.sort(given, axis=0)), labels)
