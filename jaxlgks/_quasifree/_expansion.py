"""A model expanded to first order in V: what a response is made of.

Enters: a model, a polynomial V, a master equation. Leaves: the frame of its steady state and the functionals ⟨L₁†·⟩,
bath by bath; averages and flows of polynomials through each bath.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._equations import AbstractEquation, Davies, Local
from .._inputs import is_concrete
from .._oscillators import QuasiFree
from .._polynomials import Polynomial, Symbol, plus
from ._distinct import distinct_dissipative, distinct_kubo
from ._dynamics import Dynamics, damping_rates, home, nominal_frequencies, one_noise_each
from ._first_order import admit, applied, dissipative, kubo, turned
from ._flow import sums
from ._frame import Frame, about_minimum, frame
from ._modes import MERGED, oscillator_modes
from ._state import GaussianState, steady_flow


class Expansion(eqx.Module):
    """`at`: the frame. `kubo`, `rotation`, `shift`: functionals on symbols in Wick's order, X ↦ Σ f·X;
    the last two for each bath."""

    at: Frame
    kubo: Symbol
    rotation: tuple[Symbol, ...]
    shift: tuple[Symbol, ...]

    @property
    def sources(self) -> tuple[Symbol, Symbol, Symbol]:
        """Of L₁†, all baths together."""
        return self.kubo, _total(self.rotation), _total(self.shift)

    def at_once(self, bath: int, X: Symbol) -> Array:
        """⟨D_α⁽¹⁾† X⟩."""
        return applied(self.rotation[bath], X) + applied(self.shift[bath], X)

    def change(self, X: Symbol) -> Array:
        """⟨L₁†X⟩."""
        first, *others = [applied(f, X) for f in self.sources]
        return sum(others, first)

    def flow(self, bath: int, X: Symbol) -> Symbol:
        """D_α† X."""
        return bath_adjoint(self.at, bath, X)


def _total(parts: tuple[Symbol, ...]) -> Symbol:
    total = parts[0]
    for part in parts[1:]:
        total = plus(total, part)
    return total


def bath_adjoint(at: Frame, bath: int, X: Symbol) -> Symbol:
    """D_α† X = Σ K_jl β_l ∂_j X + ½ Σ noise_ij ∂_i∂_j X + Σ force_j ∂_j X, in Wick's order of the steady state."""
    K, N, c = at.bath_drift[bath], at.bath_noise[bath], at.bath_force[bath]
    out = [jnp.zeros_like(x) for x in X]
    for k, x in enumerate(X):
        for slot in range(k):
            out[k] = out[k] + jnp.moveaxis(jnp.tensordot(K, x, axes=([0], [slot])), 0, slot)
        if k >= 1:
            out[k - 1] = out[k - 1] + k * jnp.tensordot(c, x, axes=([0], [0]))
        if k >= 2:
            out[k - 2] = out[k - 2] + k * (k - 1) / 2 * jnp.tensordot(N, x, axes=([0, 1], [0, 1]))
    return tuple(out)


def rate_scale(model: QuasiFree) -> Float[Array, ""]:
    """The shortest frequency over which a rate changes."""
    noises = [noise for bath in model.baths for noise in bath.noises]
    return jnp.min(jnp.stack([noise.spectrum.scale(noise.temperature) for noise in noises]))


def is_diagonal(model: QuasiFree, equation: AbstractEquation) -> bool:
    """Whether L₀† is known to be diagonal on monomials of d, d†: every group of frequencies has one member."""
    if isinstance(equation, Local):
        return False
    with jax.ensure_compile_time_eval():
        if not is_concrete(model.hamiltonian):
            return False
        # Temperatures may be traced: groups of equal frequencies do not depend on them, clusters may.
        if not is_concrete(model) and not isinstance(equation, Davies):
            return False
        known = None if isinstance(equation, Davies) else model
        nominal = np.sort(np.asarray(_nominal(model.hamiltonian, known, equation)))
    gaps = np.diff(np.concatenate([[-nominal[0], 0.0], nominal]))
    return bool(np.all(gaps > MERGED * nominal[-1]))


@eqx.filter_jit
def _nominal(H: Polynomial, model: QuasiFree | None, equation: AbstractEquation) -> Array:
    return nominal_frequencies(oscillator_modes(H), model, equation)


@eqx.filter_jit
def _frame(model: QuasiFree, equation: AbstractEquation, state: GaussianState, flow: Dynamics, diagonal: bool) -> Frame:
    return frame(model, equation, state, flow, diagonal)


@eqx.filter_jit
def _checked(model: QuasiFree, V: Symbol, at: Frame) -> tuple[Symbol, Array, Array]:
    return at.bohr(V), rate_scale(model), damping_rates(at.modes, model)


def framed(model: QuasiFree, equation: AbstractEquation) -> Frame:
    """The frame of the model's steady state, checked."""
    home(model, equation)
    state, flow = steady_flow(model, equation)
    return _frame(model, equation, state, flow, is_diagonal(model, equation))


def expanded(model: QuasiFree, V: Symbol, equation: AbstractEquation, degree: int) -> Expansion:
    """The expansion, for observables up to a degree. Raises `ResonanceError`, `SingularDensityError`."""
    at = framed(model, equation)
    found = _secular(model.hamiltonian, V) if len(V) > 1 else np.zeros(())
    shifts = bool(found) if is_concrete(found) else True
    bohr, scale, damping = _checked(model, V, at)
    if is_concrete(bohr, scale, damping, at):
        admit(model, bohr, at, scale, equation, damping)
    return _expanded(model, V, equation, at, degree, shifts)


@eqx.filter_jit
def _secular(H: Polynomial, V: Symbol) -> Array:
    """Whether V has terms at Bohr frequency zero beyond rounding, other than a constant; generous."""
    modes = oscillator_modes(H)
    symbol = about_minimum(V, modes)
    size = jnp.max(jnp.stack([jnp.max(jnp.abs(v)) for v in symbol]))
    near = 1e-3 * modes.frequencies[-1]
    inside = [jnp.where(jnp.abs(sums(modes.signed, k)) <= near, jnp.abs(v), 0.0) for k, v in enumerate(symbol) if k]
    return jnp.any(jnp.stack([jnp.max(v) for v in inside]) > 1e-13 * size)


@eqx.filter_jit
def _expanded(
    model: QuasiFree, V: Symbol, equation: AbstractEquation, at: Frame, degree: int, shifts: bool
) -> Expansion:
    commutator = distinct_kubo(at.wick(V), at, degree) if at.diagonal else kubo(V, at, degree)
    zero = tuple(jnp.zeros_like(x) for x in commutator)
    if isinstance(equation, Local) or len(V) < 2:
        return Expansion(at, commutator, (zero,) * len(model.baths), (zero,) * len(model.baths))
    turn = turned(at.bohr(V), at, rate_scale(model))
    part = distinct_dissipative if at.diagonal else dissipative
    found = part(turn, at, one_noise_each(model), equation, degree, shifts)
    pick = lambda bath, part: tuple(f[bath, part] for f in found)  # noqa: E731
    baths = range(len(model.baths))
    moved = tuple(pick(b, 1) for b in baths) if shifts else (zero,) * len(model.baths)
    return Expansion(at, commutator, tuple(pick(b, 0) for b in baths), moved)
