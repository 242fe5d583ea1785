"""How far a master equation can be trusted, in numbers: the small parameters that it takes for zero.

Takes: the structure of H, groups, baths, what the levels hold. Returns: `Validity`, a pytree of numbers.

An equation of second order in the coupling S ⊗ R without memory asks for three things.

1. The rate Γ must not change within the width of a line. Over the distance 1/τ it does, with

       τ(ω) = max(|Γ'/Γ|, √|Γ''/2Γ|)   at ω ≠ 0,        τ(0) = ∫₀^∞ |Γ(x) + Γ(−x) − 2Γ(0)| dx/πx² / Γ(0).

   The slope alone sees neither the top of a line nor, at zero, the cutoff: by detailed balance Γ'(0)/Γ(0) is 1/2T
   whatever the density. At zero the coherence of a system that only dephases is known: the integral is what its
   logarithm misses at long times, 1/ω_c for Drude–Lorentz with ω_c < T, and little for a line, however high, whose
   oscillators only go along. `memory` adds Γ|S_mn|² τ over the transitions of a level, and ½ Γ(0)(S_mm − S_nn)² τ(0)
   for pure dephasing. Each rate meets its own memory: that of absorption from a cold bath, 1/T, says nothing about
   emission.
2. A force of other frequencies x dresses levels: slow, as a random static field; fast, with virtual quanta; and in a
   line, however near to ω, with the quanta of its oscillators. Twice the weight of what is mixed in is

       Σ_m |S_mn|² ∫ |Γ(x) − Γ_ω(x)| dx/π(x − ω_mn)²,

   where Γ_ω is the tangent of Γ at ω, which is rate and memory, near ω (between zero and 2ω). For a slow Drude–Lorentz
   bath that is 4λT/ω², for an oscillator with ⟨R²⟩ = g² at a distance Δ it is 2g²/Δ².
3. Through levels' shifts of second order it dephases at the rate

       ∫ (A_m(x) − A_n(x))² Γ(x)Γ(−x) dx/2π,      A_n(x) = Σ_m |S_mn|² ω_mn/(ω_mn² − x²),

   two quanta at a time (with the tangent of ΓΓ taken away in the same way), which must be slower than the decay by
   one. `force` is the largest of 2 and 3. Shifts are an operator, K = Σ_m S†|m⟩A_m⟨m|S: between levels so close that
   the force does not follow their frequency, as at the resonance of a drive, elements of K dephase as differences do.

ω_mn, that of m = n too, is what the bath sees: in a rotating frame, moved. How close levels are is of H.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact

from .._bohr import Groups, Structure, dagger
from .._compiled import compiled
from .._spectra import AbstractSpectrum, Checked, Moved
from .._system import Noise, System
from ._base import AbstractEquation
from ._dissipation import each_noise
from ._timescales import NO_WEIGHT, OCCUPIED, coherence_rates, constant, coupling_weights, separation, spread

SMALL, LARGE = 0.1, 10.0
"""A small parameter below the first is small; a distance beyond the second, in decay rates, is large."""
NEGATIVE = 1e-8
"""A negative eigenvalue of a state beyond this is no rounding."""
_FREQUENCIES = np.geomspace(1e-7, 1e3, 161)
"""In units of the largest Bohr frequency."""
_AROUND = 1 + np.concatenate([-np.geomspace(0.5, 1e-6, 24), np.zeros(1), np.geomspace(1e-6, 0.5, 24)])
"""In units of a landmark of the density: a line is resolved whose width is 1e−5 of its frequency or more."""
_FEW = 20
"""Landmarks: more of them, as of a table, are near enough to each other."""
_STEP, _LEAST_STEP = 1e-3, 1e-6
"""Of a frequency: a difference in the place of a derivative, at most and at least."""
_WITHIN = 0.03
"""Of the lowest landmark, which may be the width of a line: over less no density is expected to change."""
_NEAR = 1e-2
"""Of the shortest frequency of a density: what is smaller counts as zero, where the slope may have a kink."""


class Validity(eqx.Module):
    """What a master equation takes for zero, each as a number that should be small.

    - `memory`: Γ τ_B, the largest sum over the transitions of a level, pure dephasing included, of the rate times the
      memory of the bath at that frequency: the rate must not change within the width of a line.
    - `force`: what the baths' force does at other frequencies than those of transitions, where it is slow, or in a
      line: how much it mixes into eigenstates, 2Σ|S_mn|²⟨R²⟩/(ω_mn − x)², or how fast it dephases through shifts of
      second order, over the decay rate; the larger. Of oscillators: 2λ|s|²(n + ½)/ω over n + 0.1, the quanta that a
      mode gains from forces that pull and soften it, over those that it holds; λ the reorganisation energy.
    - `separation`: smallest distance of coupled Bohr frequencies that the equation treats apart, over their decay rate;
      infinite where there is none.
    - `spread`: largest difference of frequencies that it treats as one group.
    - `negativity`: minus the lowest eigenvalue of the state, where the equation does not keep states positive; else 0.
    - `equation`: its name. `needed`: the separation that it needs.

    `error`, the largest of memory, force and `1/separation`, is about what it misses; `in_range`: each is small;
    `broken`: one is beyond one, or the state is not positive. `print` says it in words.
    """

    memory: Float[Array, "*batch"]
    force: Float[Array, "*batch"]
    separation: Float[Array, "*batch"]
    spread: Float[Array, "*batch"]
    negativity: Float[Array, "*batch"]
    equation: str = eqx.field(static=True)
    needed: float = eqx.field(static=True)

    @property
    def error(self) -> Float[Array, "*batch"]:
        """The largest of the small parameters."""
        return jnp.maximum(jnp.maximum(self.memory, self.force), 1 / self.separation)

    @property
    def faults(self) -> dict[str, Bool[Array, "*batch"]]:
        """What can be out of range, in words, and whether it is: memory and force not below 0.1, frequencies treated
        apart within `needed` decay rates, a state that is not positive."""
        return {
            "the coupling is not weak": ~(self.memory < SMALL),
            "a slow force or a line of a bath is not weak": ~(self.force < SMALL),
            "Bohr frequencies are too close": ~(self.separation > self.needed),
            "the state is not positive": ~(self.negativity < NEGATIVE),
        }

    @property
    def in_range(self) -> Bool[Array, "*batch"]:
        """Whether there is no fault."""
        return ~jnp.any(jnp.stack(list(self.faults.values())), axis=0)

    @property
    def broken(self) -> Bool[Array, "*batch"]:
        """Whether one of them is beyond one, or the state is not positive; not known, not said, of NaN."""
        return (self.error > 1) | (self.negativity >= NEGATIVE)

    @property
    def not_weak(self) -> tuple[str, ...]:
        """In what the coupling is not weak, with numbers; for known ones, not a batch."""
        words = []
        if not self.memory < SMALL:
            words.append(f"coupling not weak: Γ τ_B = {float(self.memory):.2g}")
        if not self.force < SMALL:
            words.append(f"slow force or line of a bath not weak: {float(self.force):.2g} where ≪ 1 is needed")
        return tuple(words)

    def __str__(self) -> str:
        """The verdict in words; of a batch how often it is what."""
        known = ~np.isnan(np.asarray(self.error))  # a point that failed has no verdict
        out, points = known & ~np.asarray(self.in_range), int(known.sum())
        if not points:
            return f"{self.equation} not judged: its numbers are not known"
        if not out.any():
            return f"{self.equation} in range" + (f" at all {points:,} points" if out.ndim else "")
        counts = {words: int(np.sum(known & np.asarray(there))) for words, there in self.faults.items()}
        if not out.ndim:
            return f"{self.equation} out of range: {', '.join(words for words, count in counts.items() if count)}"
        reasons = ", ".join(f"{words} at {count:,}" for words, count in counts.items() if count)
        return f"{self.equation} out of range at {int(out.sum()):,} of {points:,} points: {reasons}"


def each_equation(verdicts: Sequence[Validity]) -> tuple[Validity, ...]:
    """The worst verdict on each equation, in the order in which they were asked."""
    apart: dict[tuple[str, float], list[Validity]] = {}
    for one in verdicts:
        apart.setdefault((one.equation, one.needed), []).append(one)
    return tuple(verdict for of in apart.values() if (verdict := worst(of)) is not None)


def worst(verdicts: Sequence[Validity]) -> Validity | None:
    """The largest of each number over several verdicts, None over none."""
    if not verdicts:
        return None
    names = ("memory", "force", "spread", "negativity")
    largest = {name: functools.reduce(jnp.maximum, [getattr(one, name) for one in verdicts]) for name in names}
    return Validity(
        **largest,
        separation=functools.reduce(jnp.minimum, [one.separation for one in verdicts]),
        equation=", ".join(dict.fromkeys(one.equation for one in verdicts)),
        needed=max(one.needed for one in verdicts),
    )


class Parameters(eqx.Module):
    """Of one system: `memory` and `force` as in `Validity`; `rate`, the fastest decay of a level or a coherence, pure
    dephasing included; `times`, the longest memory of each bath at the frequencies it couples to; `rates` of n → m and
    `dephasing` of their coherence by each bath."""

    memory: Float[Array, ""]
    force: Float[Array, ""]
    rate: Float[Array, ""]
    times: Float[Array, " baths"]
    rates: tuple[Float[Array, "d d"], ...]
    dephasing: tuple[Float[Array, "d d"], ...]


class OfNoise(eqx.Module):
    """Of one noise, between levels, n the column: decay and decay × τ; the same of pure dephasing; how much of m is
    mixed into n; the coupling, and √(rate of two quanta) of a shift of n by m through it; ω that the bath sees, and how
    slow it can be: its lowest landmark; τ where the noise couples."""

    decay: Float[Array, "d d"]
    blurred: Float[Array, "d d"]
    dephasing: Float[Array, "d d"]
    dephasing_blurred: Float[Array, "d d"]
    turned: Float[Array, "d d"]
    coupling: Inexact[Array, "d d"]
    shift: Float[Array, "d d"]
    omega: Float[Array, "d d"]
    slow: Float[Array, ""]
    times: Float[Array, "d d"]


def validity(
    structure: Structure,
    groups: Groups,
    system: System,
    equation: AbstractEquation,
    populations: Float[Array, " d"] | None = None,
    rho: Inexact[Array, "*t d d"] | None = None,
) -> Validity:
    """The numbers of an equation. `structure`: that its dissipators are made from; `populations`: what the levels
    hold, all of them something when left out; `rho`: states that should be positive. Constants of differentiation."""
    groups = Groups(groups.labels, groups.labels.size)  # one program, however many groups an equation has
    rho = None if equation.positive else rho
    of, apart, wide, negativity = _numbers(*constant((structure, groups, system, populations, rho)))
    needed = LARGE if equation.equal else 1.0
    return Validity(of.memory, of.force, apart, wide, negativity, type(equation).__name__, needed)


@compiled
def _numbers(structure: Structure, groups: Groups, system: System, populations: Any, rho: Any) -> tuple:
    of = parameters(structure, system, populations)
    lowest = jnp.zeros_like(of.memory) if rho is None else jnp.min(jnp.linalg.eigvalsh(rho))
    apart = separation(structure, groups, of.rates, of.dephasing, populations)
    return of, apart, spread(structure, groups), jnp.maximum(-lowest, 0.0)


def parameters(structure: Structure, system: System, populations: Float[Array, " d"] | None = None) -> Parameters:
    """Memory and force of the levels that hold something, and of those that one jump leads to: however empty, they
    dress the others."""
    noises = [bath.noises for bath in system.baths]
    each = each_noise(lambda noise: of_noise(structure, noise), tuple(noise for group in noises for noise in group))
    everything = jax.tree.map(lambda *x: sum(x[1:], x[0]), *each)
    near = jnp.ones(structure.energies.shape, bool)
    if populations is not None:
        held = ~(jnp.abs(populations) <= OCCUPIED)  # NaN is not known to be empty
        near = held | jnp.any((everything.decay + everything.decay.T > 0) & held[None, :], axis=1)
    pairs = near[:, None] & near[None, :] & ~jnp.eye(near.size, dtype=bool)

    def fastest(of_levels: Array, between: Array) -> Array:
        level = jnp.max(jnp.where(near, jnp.sum(of_levels, axis=0), 0.0))
        return jnp.maximum(level, jnp.max(jnp.where(pairs, coherence_rates(of_levels, between), 0.0)))

    single = coherence_rates(everything.decay, everything.dephasing)
    left = iter(each)
    by_bath = [[next(left) for _ in group] for group in noises]
    forces = []
    for group, bath in zip(noises, by_bath, strict=True):
        moves = any(noise.quanta is not None for noise in group)
        forces += [bath] if moves else [[one] for one in bath]
    return Parameters(
        memory=fastest(everything.blurred, everything.dephasing_blurred),
        force=_force(structure, forces, single, near),
        rate=fastest(everything.decay, everything.dephasing),
        times=jnp.stack([jnp.max(jnp.stack([one.times for one in bath])) for bath in by_bath]),
        rates=tuple(jnp.sum(jnp.stack([one.decay for one in bath]), axis=0) for bath in by_bath),
        dephasing=tuple(jnp.sum(jnp.stack([one.dephasing for one in bath]), axis=0) for bath in by_bath),
    )


def _force(structure: Structure, forces: list[list[OfNoise]], single: Array, near: Array) -> Float[Array, ""]:
    """What is mixed into a level, or the rate of two quanta over the decay `single` of a coherence: the larger.

    `forces`: the noises of each, several where a rotating frame takes it apart: their shifts add before a square."""
    width = jnp.where(single > 0, single, 1.0)

    def sharp(omega: Array) -> Array:
        """Levels that lie closer than they are broad are a matter of `separation`, not of a denominator."""
        return omega**2 / (omega**2 + width**2)

    def shift(one: OfNoise) -> Array:
        K = dagger(one.coupling) @ (one.shift * sharp(one.omega) * one.coupling)
        return (K + dagger(K)) / 2

    def close(force: list[OfNoise]) -> Array:
        return 1 / (1 + (structure.frequencies / jnp.maximum(width, force[0].slow)) ** 2)

    mixed = jnp.sum(jnp.stack([one.turned * sharp(one.omega) for force in forces for one in force]), axis=(0, 1))
    K = jnp.stack([functools.reduce(jnp.add, [shift(one) for one in force]) for force in forces])
    own = jnp.diagonal(K, axis1=1, axis2=2).real
    turning = 4 * jnp.abs(K) ** 2 * jnp.stack([close(force) for force in forces])
    double = jnp.sum((own[:, :, None] - own[:, None, :]) ** 2 + turning, axis=0)
    pairs = near[:, None] & near[None, :] & ~jnp.eye(near.size, dtype=bool) & (single > 0)
    return jnp.maximum(jnp.max(jnp.where(near, mixed, 0.0)), jnp.max(jnp.where(pairs, double / width, 0.0)))


def of_noise(structure: Structure, noise: Noise) -> OfNoise:
    """Frequencies are those that the bath sees: in a rotating frame they are moved, those of one level too."""
    density, moved = _bare(noise.spectrum)
    omega = structure.frequencies - moved
    seen = _Seen(density, noise.temperature, omega)
    diagonal = jnp.eye(len(omega), dtype=bool)
    weights = coupling_weights(structure.vectors, noise)
    largest = jnp.max(weights)
    coupling = structure.to_eigenbasis(noise.coupling)
    own = jnp.diag(coupling).real
    between = (own[:, None] - own[None, :]) ** 2 / 2
    between = jnp.where(between > NO_WEIGHT * largest, between, 0.0)
    jumps = jnp.where(diagonal, 0.0, weights)
    coupled = (jumps > 1e-9 * largest) | (diagonal & (jnp.max(between) > 0))

    def times(weights: Array, factor: Array) -> Array:
        return jnp.where(weights > 0, weights * factor, 0.0)  # a table may end before what nothing couples

    return OfNoise(
        decay=times(jumps, seen.rate),
        blurred=times(jumps, seen.blur),
        dephasing=between * seen.rate[0, 0],
        dephasing_blurred=between * seen.blur[0, 0],
        turned=times(weights, jnp.where(omega == 0, 0.0, seen.turned)),
        coupling=coupling,
        shift=jnp.where((weights > 0) & (omega != 0), jnp.sign(omega) * jnp.sqrt(seen.pairs), 0.0),
        omega=omega,
        slow=jnp.min(density.landmarks(noise.temperature)),
        times=jnp.where(coupled & (seen.rate > 0), seen.blur / jnp.where(seen.rate > 0, seen.rate, 1.0), 0.0),
    )


def _bare(spectrum: AbstractSpectrum) -> tuple[AbstractSpectrum, Array | float]:
    """The density itself, and what is to be taken from frequencies before it is asked."""
    if isinstance(spectrum, Checked):
        return _bare(spectrum.spectrum)
    return (spectrum.spectrum, spectrum.shift) if isinstance(spectrum, Moved) else (spectrum, 0.0)


def reorganisation(noise: Noise, scale: Array) -> Float[Array, ""]:
    """λ = ∫ γ(x) dx/2πx over x > 0, γ = Γ(x) − Γ(−x): the force that stands still where S does is −2λS."""
    density, _ = _bare(noise.spectrum)
    x, weight = _sampled(density, noise.temperature, scale)
    values = density.density(x)
    return jnp.sum(jnp.where(jnp.isfinite(values), values, 0.0) / x * weight)


def _has_no_slow_part(density: AbstractSpectrum) -> bool:
    """`Flat`, by convention."""
    return density.at_zero == "singular" and not density.dephases_infinitely


def _sampled(density: AbstractSpectrum, temperature: Array, scale: Array) -> tuple[Array, Array]:
    """Frequencies x > 0 that are dense in ln x and around landmarks, and the weights of a sum over dx/2π there."""
    places = jnp.abs(density.cuts(temperature))
    around = _AROUND if places.size <= _FEW else np.ones(1)
    x = jnp.sort(jnp.concatenate([scale * _FREQUENCIES, (places[:, None] * around).reshape(-1)]))
    x = jnp.maximum(x, scale * _FREQUENCIES[0])
    half = jnp.diff(x, append=x[-1]) / 2
    weight = (half + jnp.roll(half, 1)) / (2 * jnp.pi)
    return x, jnp.zeros_like(weight) if _has_no_slow_part(density) else weight


class _Seen(eqx.Module):
    """What a bath is to transitions ω: Γ and Γτ there, and what distant frequencies do, of one quantum and of two, as
    the head of this file says.

    These decide between small and large: sums over frequencies that are dense in ln x, and around landmarks of the
    density, are enough, and differences in the place of derivatives need Γ in one call."""

    rate: Float[Array, "d d"]
    blur: Float[Array, "d d"]
    turned: Float[Array, "d d"]
    pairs: Float[Array, "d d"]

    def __init__(self, density: AbstractSpectrum, temperature: Array, omega: Array):
        largest = jnp.max(jnp.abs(omega))
        scale = jnp.where(largest > 0, largest, 1.0)
        marks = density.landmarks(temperature)
        x, weight = _sampled(density, temperature, scale)
        near = jnp.abs(omega) < _NEAR * jnp.minimum(jnp.minimum(temperature, scale), jnp.min(marks))
        w = jnp.where(near, scale, omega)
        step = jnp.clip(_WITHIN * jnp.min(marks), _LEAST_STEP * jnp.abs(w), _STEP * jnp.abs(w))
        points: list[Any] = [x, -x, jnp.zeros(1), *(one.reshape(-1) for one in (w, w + step, w - step, -w))]
        ends = list(itertools.accumulate((p.size for p in points), initial=0))
        values = density.rate(jnp.concatenate(points), temperature)
        rates = [values[a:b] for a, b in itertools.pairwise(ends)]
        up, down = (jnp.where(jnp.isfinite(one), one, 0.0) for one in rates[:2])  # a table may end
        none, value, above, below, other = rates[2][0], *(one.reshape(omega.shape) for one in rates[3:])
        if _has_no_slow_part(density):
            none = jnp.zeros_like(none)
        slope, second = (above - below) / (2 * step), (above + below - 2 * value) / step**2
        blur = jnp.maximum(jnp.abs(slope), jnp.sqrt(jnp.abs(second * value) / 2))
        dephasing = 2 * jnp.sum(jnp.abs(up + down - 2 * none) / x**2 * weight)
        self.rate, self.blur = jnp.where(near, none, value), jnp.where(near, dephasing, blur)
        product = _Local(jnp.abs(w), value * other, jnp.sign(w) * (2 * slope * other - value * other / temperature))

        def of_level(local: tuple[_Local, _Local]) -> tuple[Array, Array]:
            one, two = local
            turned = one.distant(x, up) + one.distant(-x, down)
            pairs = two.distant(x, up * down) * (two.omega / (two.omega + x[:, None])) ** 2
            return 2 * weight @ turned, 2 * weight @ pairs

        # A level at a time: in large systems all frequencies against all would not fit into memory.
        self.turned, self.pairs = jax.lax.map(of_level, (_Local(w, value, slope), product))


class _Local(eqx.Module):
    """A function of frequency near each of some ω: its values and slopes there; `distant` of one row."""

    omega: Float[Array, "*rows d"]
    value: Float[Array, "*rows d"]
    slope: Float[Array, "*rows d"]

    def distant(self, x: Float[Array, " x"], values: Float[Array, " x"]) -> Float[Array, "x d"]:
        """|f(x) − f_ω(x)|/(x − ω)²; f_ω, its tangent kept between 0 and 2f(ω), ends at zero and at 2ω."""
        y = x[:, None] - self.omega
        tangent = self.value + jnp.clip(self.slope * y, -self.value, self.value)
        rest = values[:, None] - jnp.where(jnp.abs(y) < jnp.abs(self.omega), tangent, 0.0)
        return jnp.abs(rest) / (y**2 + (_LEAST_STEP * self.omega) ** 2)
