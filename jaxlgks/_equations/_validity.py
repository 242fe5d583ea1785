"""How far a master equation can be trusted, in numbers: the small parameters that it takes for zero.

Takes: the structure of H, groups, baths, what the levels hold. Returns: `Validity`, a pytree of numbers.

An equation of second order in the coupling S ⊗ R without memory asks for three things.

1. The rate Γ must not change within the width of a line. Over the distance 1/τ it does, with

       τ(ω) = max(|Γ'/Γ|, √|Γ''/2Γ|)   at ω ≠ 0,        τ(0) = max_x |Γ(x) + Γ(−x) − 2Γ(0)| / xΓ(0).

   The slope alone sees neither the top of a line nor, at zero, the cutoff: by detailed balance Γ'(0)/Γ(0) is 1/2T
   whatever the density. The steepest chord at zero needs no derivative there, where some densities have a kink; for
   Drude–Lorentz it is 1/ω_c if ω_c < T, for a fast bath 1/T. `memory` adds Γ|S_mn|² τ over the transitions of a level,
   and ½ Γ(0)(S_mm − S_nn)² τ(0) for pure dephasing. Each rate meets its own memory: that of absorption from a cold
   bath, 1/T, says nothing about emission.
2. A force of frequencies x far below a transition acts as a random static field: it turns eigenstates by
   Σ_m |S_mn|² ⟨R²⟩/ω_mn², ⟨R²⟩ = ∫ Γ(x) dx/2π over |x| < ω/2 (2λT for a slow Drude–Lorentz bath), and one far above
   dresses them by Σ_m |S_mn|² ∫ Γ(x) dx/2πx² over |x| > 2ω.
3. Through levels' shifts of second order, A_n R² with A_n = Σ_m |S_mn|²/ω_mn, it dephases at the rate
   (A_m − A_n)² ∫ Γ(x)Γ(−x) dx/2π, two quanta at a time, which must be slower than the decay by one. `force` is the
   largest of 2 and 3.
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

from .._bohr import Groups, Structure
from .._spectra import AbstractSpectrum, Checked, Moved
from .._system import Noise, System
from ._base import AbstractEquation
from ._dissipation import each_noise
from ._timescales import OCCUPIED, coherence_rates, constant, coupling_weights, separation, spread

SMALL, LARGE = 0.1, 10.0
"""A small parameter below the first is small; a distance beyond the second, in decay rates, is large."""
NEGATIVE = 1e-8
"""A negative eigenvalue of a state beyond this is no rounding."""
_FREQUENCIES = np.geomspace(1e-7, 1e3, 161)
"""In units of the largest Bohr frequency."""
_AROUND = 1 + np.concatenate([-np.geomspace(0.5, 1e-4, 20), np.geomspace(1e-4, 0.5, 20)])
"""In units of a landmark of the density."""
_STEP = 1e-3
"""Of a frequency: over less no density is expected to change."""
_NEAR = 1e-2
"""Of the shortest frequency of a density: what is smaller counts as zero, where the slope may have a kink."""


class Validity(eqx.Module):
    """What a master equation takes for zero, each as a number that should be small.

    - `memory`: Γ τ_B, the largest sum over the transitions of a level, pure dephasing included, of the rate times the
      memory of the bath at that frequency: the rate must not change within the width of a line.
    - `force`: what the slow part of the baths' force does beyond one quantum: how far it turns eigenstates,
      Σ|S_mn|²⟨R²⟩/ω_mn², or how fast it dephases through shifts of second order, over the decay rate; the larger.
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
            "the slow force of a bath is not weak": ~(self.force < SMALL),
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
            words.append(f"slow force of a bath not weak: {float(self.force):.2g} where ≪ 1 is needed")
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
    """Of one noise, between levels, n the column: decay and decay × τ; the same of pure dephasing; how far m turns n;
    √(rate of two quanta) through the shift of n by m; τ where the noise couples."""

    decay: Float[Array, "d d"]
    blurred: Float[Array, "d d"]
    dephasing: Float[Array, "d d"]
    dephasing_blurred: Float[Array, "d d"]
    turned: Float[Array, "d d"]
    shift: Float[Array, "d d"]
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


@eqx.filter_jit
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
    # Levels that lie closer than they are broad are a matter of `separation`, not of a denominator.
    sharp = structure.frequencies**2 / (structure.frequencies**2 + jnp.where(single > 0, single, 1.0) ** 2)
    shifts = jnp.stack([jnp.sum(one.shift * sharp, axis=0) for one in each])
    double = jnp.sum((shifts[:, :, None] - shifts[:, None, :]) ** 2, axis=0)
    ratio = jnp.where(pairs & (single > 0), double / jnp.where(single > 0, single, 1.0), 0.0)
    turned = jnp.max(jnp.where(near, jnp.sum(everything.turned * sharp, axis=0), 0.0))
    left = iter(each)
    by_bath = [[next(left) for _ in group] for group in noises]
    return Parameters(
        memory=fastest(everything.blurred, everything.dephasing_blurred),
        force=jnp.maximum(turned, jnp.max(ratio)),
        rate=fastest(everything.decay, everything.dephasing),
        times=jnp.stack([jnp.max(jnp.stack([one.times for one in bath])) for bath in by_bath]),
        rates=tuple(jnp.sum(jnp.stack([one.decay for one in bath]), axis=0) for bath in by_bath),
        dephasing=tuple(jnp.sum(jnp.stack([one.dephasing for one in bath]), axis=0) for bath in by_bath),
    )


def of_noise(structure: Structure, noise: Noise) -> OfNoise:
    """Frequencies are those that the bath sees: in a rotating frame they are moved."""
    density, moved = _bare(noise.spectrum)
    omega = structure.frequencies - moved
    seen = _Seen(density, noise.temperature, omega)
    diagonal = jnp.eye(len(omega), dtype=bool)
    weights = coupling_weights(structure.vectors, noise)
    largest = jnp.max(weights)
    own = jnp.diag(structure.to_eigenbasis(noise.coupling)).real
    between = (own[:, None] - own[None, :]) ** 2 / 2
    between = jnp.where(between > 1e-18 * largest, between, 0.0)
    weights = jnp.where(diagonal, 0.0, weights)
    coupled = (weights > 1e-9 * largest) | (diagonal & (jnp.max(between) > 0))

    def times(factor: Array) -> Array:
        return jnp.where(weights > 0, weights * factor, 0.0)  # a table may end before what nothing couples

    inverse = jnp.where(omega == 0, 0.0, 1 / jnp.where(omega == 0, 1.0, omega))
    return OfNoise(
        decay=times(seen.rate),
        blurred=times(seen.blur),
        dephasing=between * seen.rate[0, 0],
        dephasing_blurred=between * seen.blur[0, 0],
        turned=times(jnp.where(omega == 0, 0.0, seen.variance * inverse**2 + seen.dressing)),
        shift=weights * inverse * jnp.sqrt(seen.pairs),
        times=jnp.where(coupled & (seen.rate > 0), seen.blur / jnp.where(seen.rate > 0, seen.rate, 1.0), 0.0),
    )


def _bare(spectrum: AbstractSpectrum) -> tuple[AbstractSpectrum, Array | float]:
    """The density itself, and what is to be taken from frequencies before it is asked."""
    if isinstance(spectrum, Checked):
        return _bare(spectrum.spectrum)
    return (spectrum.spectrum, spectrum.shift) if isinstance(spectrum, Moved) else (spectrum, 0.0)


class _Seen(eqx.Module):
    """What a bath is to transitions ω: Γ and Γτ there; of frequencies |x| < |ω|/2 the variance ∫Γ(x)dx/2π and
    ∫Γ(x)Γ(−x)dx/2π; of |x| > 2|ω| the dressing ∫Γ(x)dx/2πx².

    These decide between small and large: sums over frequencies that are dense in ln x, and around landmarks of the
    density, are enough, and differences in the place of derivatives need Γ in one call."""

    rate: Float[Array, "d d"]
    blur: Float[Array, "d d"]
    variance: Float[Array, "d d"]
    pairs: Float[Array, "d d"]
    dressing: Float[Array, "d d"]

    def __init__(self, density: AbstractSpectrum, temperature: Array, omega: Array):
        largest = jnp.max(jnp.abs(omega))
        scale = jnp.where(largest > 0, largest, 1.0)
        marks = density.landmarks(temperature)
        x = jnp.sort(jnp.concatenate([scale * _FREQUENCIES, (marks[:, None] * _AROUND).reshape(-1)]))
        near = jnp.abs(omega) < _NEAR * jnp.minimum(jnp.minimum(temperature, scale), jnp.min(marks))
        w = jnp.where(near, scale, omega).reshape(-1)
        step = _STEP * jnp.abs(w)
        points: list[Any] = [x, -x, jnp.zeros(1), w, w + step, w - step]
        ends = list(itertools.accumulate((p.size for p in points), initial=0))
        values = density.rate(jnp.concatenate(points), temperature)
        rates = [values[a:b] for a, b in itertools.pairwise(ends)]
        up, down = (jnp.where(jnp.isfinite(one), one, 0.0) for one in rates[:2])  # a table may end
        none, value, above, below = rates[2][0], *(one.reshape(omega.shape) for one in rates[3:])
        if density.at_zero == "singular" and not density.dephases_infinitely:  # Flat has no slow part, by convention
            up, down, none = jnp.zeros_like(up), jnp.zeros_like(up), jnp.zeros_like(none)
        step = step.reshape(omega.shape)
        slope, second = (above - below) / (2 * step), (above + below - 2 * value) / step**2
        blur = jnp.maximum(jnp.abs(slope), jnp.sqrt(jnp.abs(second * value) / 2))
        self.rate = jnp.where(near, none, value)
        self.blur = jnp.where(near, jnp.max(jnp.abs(up + down - 2 * none) / x), blur)
        density_of = jnp.stack([up + down, 2 * up * down, (up + down) / x**2]) / (2 * jnp.pi)
        width = jnp.diff(x, prepend=0.0)
        below_x = jnp.cumsum(density_of * width, axis=1)
        low = jnp.searchsorted(x, jnp.abs(omega) / 2)
        self.variance, self.pairs = below_x[0][low], below_x[1][low]
        self.dressing = below_x[2][-1] - below_x[2][jnp.searchsorted(x, 2 * jnp.abs(omega))]
