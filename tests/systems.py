"""The catalogue that tests draw from: the master equations, and random systems with exact degeneracies built in."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

import jaxlgks as lgks

from .by_hand import condition, davies, redfield, universal

EQUATIONS = {
    "davies": lambda system: lgks.Davies(),
    "unified": lambda system: lgks.Unified(),
    "universal": lambda system: lgks.UniversalLindblad(),
    "redfield": lambda system: lgks.Redfield(),
    "local": lgks.Local,
}

# For each an equation, and its generator written out without the library.
BY_HAND = {
    "davies": (EQUATIONS["davies"], davies),
    "unified": (lambda system: lgks.Unified(width=1e6), universal),  # one cluster of all frequencies
    "universal": (EQUATIONS["universal"], universal),
    "redfield": (EQUATIONS["redfield"], redfield),
    "local": (EQUATIONS["local"], davies),
}

# Levels with exact coincidences, by construction: of energies, of Bohr frequencies, of both, of none.
SPECTRA = {
    "generic": lambda rng, d: np.cumsum(rng.uniform(0.35, 1.0, d)),
    "ladder": lambda rng, d: 0.7 * np.arange(d),
    "degenerate": lambda rng, d: np.sort(np.concatenate([[0.0, 0.6], rng.choice([0.0, 0.6, 1.1, 1.7], d - 2)])),
    "level_and_ladder": lambda rng, d: np.sort(0.8 * np.concatenate([[0, 1], rng.integers(0, 3, d - 2)])),
}


@dataclass(frozen=True)
class Draw:
    """A random system with a perturbation and an observable; `seed` and `kind` rebuild it."""

    seed: int
    kind: str
    system: lgks.System
    V: jnp.ndarray
    A: jnp.ndarray

    def __repr__(self) -> str:
        return f"draw(seed={self.seed}) -> {self.kind}, d={self.system.dim}, baths={len(self.system.baths)}"


def hermitian(rng: np.random.Generator, d: int) -> np.ndarray:
    X = rng.normal(size=(d, d)) + 1j * rng.normal(size=(d, d))
    return (X + X.conj().T) / 2


def unitary(rng: np.random.Generator, d: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(d, d)) + 1j * rng.normal(size=(d, d)))[0]


def smooth_spectrum(rng: np.random.Generator, which: int) -> lgks.DrudeLorentz | lgks.Ohmic:
    """A density analytic at zero, of moderate strength; its kind is given, so that draws share compiled programs."""
    strength, cutoff = rng.uniform(0.02, 0.15), rng.uniform(1.0, 4.0)
    if which % 3 == 0:
        return lgks.DrudeLorentz(strength, cutoff)
    return lgks.Ohmic(strength, cutoff, shape="gaussian" if which % 3 == 1 else "drude")


def draw(seed: int, *, equal_temperatures: bool = False) -> Draw:
    """A random system of dimension 2…6 with 1…3 baths; complex H, S, V, A.

    A system without a unique steady state has no response. Candidates whose slowest relaxation is below 1e−4 of the
    generator's norm (dark states of large degenerate levels under a single bath) are drawn again: their rounding
    alone is 1e−16/1e−4 and is lost a second time in the response.
    """
    rng = np.random.default_rng(seed)
    d, count = 2 + seed % 5, 1 + (seed // 5) % 3
    kind = list(SPECTRA)[(seed // 15) % len(SPECTRA)]
    for _ in range(50):
        system = _candidate(rng, d, count, kind, equal_temperatures)
        if condition(davies(system).generator) > 1e-4:
            return Draw(seed, kind, system, jnp.asarray(hermitian(rng, d)), jnp.asarray(hermitian(rng, d)))
    raise AssertionError(f"no well-posed candidate in 50 for seed {seed}: {kind}, d={d}, baths={count}")


def _candidate(rng: np.random.Generator, d: int, count: int, kind: str, equal_temperatures: bool) -> lgks.System:
    U = unitary(rng, d)
    H = U @ np.diag(SPECTRA[kind](rng, d)) @ U.conj().T
    common = rng.uniform(0.3, 2.0)
    temperatures = [common if equal_temperatures else rng.uniform(0.3, 2.0) for _ in range(count)]
    baths = [
        lgks.Bath(hermitian(rng, d), T, smooth_spectrum(rng, d + i), f"bath{i}") for i, T in enumerate(temperatures)
    ]
    return lgks.System((H + H.conj().T) / 2, baths)


def gibbs(H, T: float) -> jnp.ndarray:
    """e^{−H/T}/Z."""
    values, vectors = np.linalg.eigh(np.asarray(H))
    p = np.exp(-(values - values.min()) / T)
    return jnp.asarray((vectors * (p / p.sum())) @ vectors.conj().T)


def near_degenerate(splitting: float, seed: int = 1, cutoff: float = 2.0) -> lgks.System:
    """Three levels, the upper two split by `splitting`, two baths, complex coupling operators."""
    rng = np.random.default_rng(seed)
    baths = [lgks.Bath(hermitian(rng, 3), T, lgks.DrudeLorentz(0.02, cutoff), str(T)) for T in (0.8, 0.5)]
    return lgks.System(np.diag([0.0, 1.0, 1.0 + splitting]), baths)
