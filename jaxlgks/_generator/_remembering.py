"""The response of a generator of matrices with the memory of its baths: what it is made from.

Takes: a generator, its steady state, its first-order change at ω = 0, a quantity. Returns: a `MatrixDelay`. Raises by
name where baths have no memory, or a quantity is known at once only; warns where the equation cannot be trusted.
"""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import Groups, bohr_filter
from .._compiled import compiled
from .._equations import AbstractEquation, Dissipation, product_within, relaxation_rate
from .._inputs import depth_outside, is_concrete
from .._system import Noise
from ..errors import CorrelationError, InputError, ValidityWarning
from ._base import Change
from ._delayed import Explicit, MatrixDelay, Remainder
from ._matrices import rotated_dissipators
from ._missing import Dressing, Missing
from ._retarded import Retarded, retarded

APART, ABOVE, JOINED = 3.0, 4.0, 10.0
"""The gap and Γ, and below which distance of levels that V joins secular equations warn, in units of the fastest decay
rate."""
ONE_POLE = 1e-7, 1e-6
"""Tolerances of the exponentials of a bath whose density has one pole, the second where the first needs too many. The
rate falls slowly and the error is one far beyond the cutoff: at frequencies of the order of the cutoff and the
temperature G(ω) is nearer, to some 1e−9 of its largest value."""
POLES = 1e-10, 1e-6
"""The same of a density with two poles or more."""
FITTED = 1e-6, 1e-4
"""The same of a density whose rate is fitted."""
TERMS = 60
"""How many exponentials a density with poles has where numbers are traced and none can be counted."""


def _require_known(resolved: Dissipation, quantity: Any) -> None:
    """Raise for what is known at once only."""
    if not quantity.with_memory:
        raise InputError(
            f"The response of {quantity.name} in time or frequency is not known where dissipators follow the drive "
            "with the memory of their baths. Ask for heat_currents, or for static(), or set instantaneous=True: right "
            "for drives much slower than the transitions."
        )
    if resolved.turns and quantity.dissipated:
        raise InputError(
            f"The response of {quantity.name} in time or frequency is not known with memory for a system in a rotating "
            "frame: what jumps take up beside the energy follows the drive as well. Observables are; or ask for "
            "static(), or set instantaneous=True."
        )


def exponentials_of(noises: tuple[Noise, ...]) -> "Exponentials":
    """Coefficients and rates of each noise, in arrays: the shorter ones end with terms of coefficient zero.

    **Raises:** `CorrelationError`, which says what else can be asked for."""
    return _filled_up([_exponentials(noise) for noise in noises], jnp.result_type(noises[0].temperature, jnp.complex64))


@eqx.filter_jit
def _filled_up(each: list[tuple[Array, Array]], kind: Any) -> "Exponentials":
    """Of the precision of the baths: `kind`."""
    longest = max(len(rates) for _, rates in each)

    def padded(x: Array, mode: str) -> Array:
        return jnp.pad(x.astype(kind), (0, longest - len(x)), mode=mode)  # pyright: ignore[reportArgumentType]

    return jnp.stack([padded(c, "constant") for c, _ in each]), jnp.stack([padded(v, "edge") for _, v in each])


def with_memory(L: Any, X: Complex[Array, "d d"], change: Change, quantity: Any) -> MatrixDelay:
    """The response of a quantity; see `AbstractGenerator.delayed`."""
    _require_known(L.resolved, quantity)
    warn_of_near_levels(L.resolved, change.energy)
    return _delayed(L, X, change, quantity, exponentials_of(L.resolved.noises))


def warn_of_near_levels(resolved: Dissipation, V: Array) -> None:
    """Warn where V joins levels that a secular equation treats apart and that lie within few decay rates: it turns them
    into each other at any frequency, as only a slow drive does."""
    if resolved.equation.regroups and is_concrete(resolved, V):
        warn_of_near(float(_nearest(resolved, V)), "levels", resolved.equation)


def warn_of_near(nearest: float, what: str, equation: AbstractEquation) -> None:
    """`ValidityWarning` where levels or modes that V joins lie nearer to each other than `JOINED` decay rates."""
    if nearest < JOINED:
        warnings.warn(
            f"{type(equation).__name__} treats {what} apart that V joins and that lie only {nearest:.2g} decay rates "
            "from each other: its response is unreliable, at rest and more so at a frequency. Use "
            "Unified(lamb_shift=True) or Redfield(lamb_shift=True).",
            ValidityWarning,
            stacklevel=depth_outside(),
        )


@compiled
def _nearest(resolved: Dissipation, V: Array) -> Float[Array, ""]:
    """The smallest distance of such levels, over the fastest decay rate."""
    structure, labels = resolved.structure, resolved.groups.labels
    joined = (jnp.abs(V) > 1e-9 * jnp.max(jnp.abs(V))) & (labels != labels[0, 0])
    distance = jnp.min(jnp.where(joined, jnp.abs(structure.frequencies), jnp.inf))
    return distance / relaxation_rate(structure, resolved.system)


@eqx.filter_custom_jvp
def constant_in(H: Array, V: Array) -> Array:
    """V, whose derivative in H is NaN: how what an equation averages away turns with H is not known."""
    return V


@constant_in.def_jvp
def constant_in_jvp(primals, tangents):
    (_, V), (dH, dV) = primals, tangents
    lost = jnp.zeros(()) if dH is None else jnp.nan * jnp.sum(dH).real
    return V, (jnp.zeros_like(V) if dV is None else dV) + lost


def _exponentials(noise: Noise) -> tuple[Array, Array]:
    """Known numbers stay known inside `jit`, where they could not be fitted or counted."""
    if not is_concrete(noise):
        return _of_any(noise)
    with jax.ensure_compile_time_eval():
        return _of_any(noise)


def _of_any(noise: Noise) -> tuple[Array, Array]:
    spectrum, T = noise.spectrum, noise.temperature
    if not is_concrete(spectrum, T) and spectrum.poles() is not None:
        return spectrum.exponentials(T, terms=TERMS)
    try:
        return _nearest_of(noise)
    except CorrelationError as error:
        raise CorrelationError(
            f"A response in time or frequency, and a system under a drive, needs the memory of {noise.label}. {error} "
            "With instantaneous=True dissipators follow the drive at once: right for drives much slower than the "
            "transitions, and in static()."
        ) from error


def _nearest_of(noise: Noise) -> tuple[Array, Array]:
    """To the first tolerance that few enough exponentials reach."""
    poles = noise.spectrum.poles()
    first, second = FITTED if poles is None else ONE_POLE if poles[0].size == 1 else POLES
    try:
        return noise.spectrum.exponentials(noise.temperature, first)
    except CorrelationError:
        return noise.spectrum.exponentials(noise.temperature, second)


Exponentials = tuple[Complex[Array, "n j"], Complex[Array, "n j"]]


@compiled
def _delayed(
    L: Any, X: Complex[Array, "d d"], change: Change, quantity: Any, exponentials: Exponentials
) -> MatrixDelay:
    """The response of a quantity. `change`: at ω = 0, of V in the eigenbasis."""
    resolved: Dissipation = L.resolved
    structure, explicit, exact = resolved.structure, Explicit(L, X, quantity), resolved.equation.second_order
    V = change.energy if exact else constant_in(structure.hamiltonian, change.energy)
    source = kernel_of(resolved, exponentials, _by_levels(resolved, V), X)
    observables = quantity.linear(L, X)
    rows = observables.reshape(-1, *X.shape)
    still = source.at(jnp.zeros(()))
    k = -1j * (V @ X - X @ V)  # not that of `change`: a derivative of its other parts may not exist
    at_once = Change(k[None], jnp.zeros_like(change.baths), V, jnp.zeros_like(change.betas))
    constant = quantity.explicit(L, X, at_once).reshape(-1).astype(X.dtype)
    own = change.sources[1:] - jnp.sum(still, axis=1), change.baths - jnp.sum(still, axis=0)
    if exact:
        remainder = _of_exponentials(resolved, k, own)
    else:
        remainder = _remainder(L, X, (V, k), own, source, exponentials, explicit, rows)
    return MatrixDelay(L.core, source, still, k, rows, explicit, constant, remainder, observables.shape[:-2])


def kernel_of(
    resolved: Dissipation, exponentials: Exponentials, V: Complex[Array, "p d d"], X: Complex[Array, "d d"]
) -> Retarded:
    """The memory of all baths, for V in parts, all in the eigenbasis of H."""
    couplings = jnp.stack([resolved.structure.to_eigenbasis(noise.coupling) for noise in resolved.noises])
    owners = tuple(b for b, bath in enumerate(resolved.system.baths) for _ in bath.noises)
    return retarded(resolved.structure, couplings, exponentials, V, X, owners)


def _by_levels(resolved: Dissipation, V: Complex[Array, "d d"]) -> Complex[Array, "2 d d"]:
    """V between the levels of H, which stay levels in derivatives, and inside them."""
    structure, level = resolved.structure, Groups(resolved.one_level().astype(int), 2)
    inside = structure.to_eigenbasis(bohr_filter(structure, structure.from_eigenbasis(V), jnp.ones_like, level)[1])
    return jnp.stack([V - inside, inside])


def _of_exponentials(resolved: Dissipation, k: Array, own: tuple[Array, Array]) -> Remainder:
    """Of an equation that is exact to second order: what its exponentials miss of a bath. It follows whole, so that the
    static response is the equation's and a kick acts on the system alone. Where densities have poles it is smaller than
    its derivatives can matter, and those in H do not exist at equal levels."""
    if all(noise.spectrum.poles() is not None for noise in resolved.noises):
        own = jax.lax.stop_gradient(own)
    nothing, decay = jnp.zeros_like(k), ABOVE * relaxation_rate(resolved.structure, resolved.system)
    return Remainder(jnp.zeros(k.shape, bool), decay, k, nothing, nothing, *own, None)


def _remainder(
    L: Any,
    X: Array,
    kubo: tuple[Array, Array],
    own: tuple[Array, Array],
    source: Retarded,
    exponentials: Exponentials,
    explicit: Explicit,
    rows: Array,
) -> Remainder:
    resolved, (V, k) = L.resolved, kubo
    decay = relaxation_rate(resolved.structure, resolved.system)
    dressing = Dressing(missing(resolved, source, exponentials, APART * decay), L.dissipators())
    dressed, still = dressing.changes(jnp.stack([X, k]), -L.core.solve(k[None], jnp.zeros(()))[0])
    return Remainder(
        slow=jnp.abs(source.frequencies) <= APART * decay,
        decay=ABOVE * decay,
        dressed=k + dressed[1],
        kick=1j * (V @ dressed[0] - dressed[0] @ V),
        still=jnp.sum(still, axis=0),
        parts=own[0],
        baths=own[1] - still,
        rows=dressing.adjoint_changes(rows, _rows(explicit, still, len(rows))),
    )


def _rows(explicit: Explicit, baths: Complex[Array, "baths d d"], count: int) -> Complex[Array, "a baths d d"]:
    """Observables A_α with explicit(Σ_α Y_α, Y) = Σ_α Tr[A_α Y_α]."""
    (transposed,) = jax.vmap(jax.vjp(lambda Y: explicit(jnp.sum(Y, axis=0), Y), baths)[1])(
        jnp.eye(count, dtype=baths.dtype)
    )
    return jnp.swapaxes(transposed, -1, -2)


def missing(resolved: Dissipation, source: Retarded, exponentials: Exponentials, gap: Array) -> tuple[Missing, ...]:
    """N of each bath: what Redfield's dissipator has beside the equation's."""
    c, rates = exponentials
    S = source.couplings
    kernel = jnp.sum(c[:, :, None, None] / (rates[:, :, None, None] - 1j * source.frequencies), axis=1) * S
    labels = resolved.groups.labels if resolved.equation.regroups else None
    own = None if labels is not None else [one.D for one in rotated_dissipators(resolved)]

    def of(bath: int) -> Missing:
        mine = jnp.asarray([n for n, owner in enumerate(source.owners) if owner == bath])
        left, right, signs = kernel[mine], S[mine], [1.0] * len(mine)
        drift = jnp.einsum("jkm,jkn->mn", right.conj(), left)
        if own is None:
            assert labels is not None
            drift = drift - product_within(labels)(right, left)
        else:
            signs += [-0.5] * len(own[bath].left)  # with the Hermitian conjugate
            left, right = jnp.concatenate([left, own[bath].left]), jnp.concatenate([right, own[bath].right])
            drift = drift - own[bath].drift
        return Missing(source.frequencies, left, right, drift, gap, labels, tuple(signs))

    return tuple(of(bath) for bath in range(len(resolved.system.baths)))
