"""The cumulant map: second order in the coupling at finite time, without Markov and secular approximation.

Takes: a system, a time. Returns: Λ(t) = exp[Σ_α K_α(t)] in the interaction picture (paper, Eq. 6, before the two
approximations that follow it). With the bath's correlation function written by its rate,

    K_α(t) ρ = ∫ dΩ/2π Γ_α(Ω) D[B_Ω(t)] ρ,      B_Ω(t) = ∫₀ᵗ e^{iΩs} S_α(s) ds = Σ_ω f(Ω − ω) S_α(ω),

    f(x) = ∫₀ᵗ e^{ixs} ds,

so K_α is a sum of Lindblad forms and Λ(t) completely positive at any t. For t → ∞ f(Ω−ω) f*(Ω−ω') tends to
2πt δ(Ω−ω) for ω = ω' and stays bounded otherwise: K_α/t tends to the Davies dissipator. No Lamb shift is included.

The integrand turns with Ωt. Up to a reach of `REACH` times the largest frequency in the problem it is integrated panel
by panel with sixteen Gauss–Legendre nodes each, panels short enough for e^{iΩt} and for the temperature; beyond, where
Γ(Ω)/Ω² is left, its average over the turning is integrated to infinity. What is left out falls as (REACH ωt)⁻³: with a
Drude density, λ = 0.05 ω, it is 2e−9 of Λ − 1 at ωt = 1 and 4e−12 at 20, but 5e−7 at 0.1 and 4e−5 at 0.01, where Λ − 1
is small (1e−9 absolute).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from ._bohr import Structure, bohr_structure
from ._compiled import compiled
from ._equations import Dissipator
from ._generator import ALLOWED, matrix_bytes, matrix_exponential, require_memory, require_states, restored, vec
from ._inputs import as_count, as_scalar, is_concrete, nan_where
from ._spectra import folded_nodes
from ._system import Noise, System, require_matrices
from .errors import DensityError, DerivativeOrderError, InputError

REACH = 500.0
MOST = 10**8
"""Panels that are worth waiting for: minutes."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_CHUNK = 256
_AVERAGED = 20.0  # phase from which on the half-line nodes no longer follow e^{iΩt}


class Cumulant(eqx.Module):
    """The cumulant map as an argument of `evolve`: a map for each time, not a generator. It has no steady state and no
    response.

    **Arguments:** `panels`: number of quadrature panels; by default from the largest time, which must then be known
    (not inside `jit`). Too few are refused: `InputError`, NaN where values are traced.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.01, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    rho0 = jnp.diag(jnp.array([1.0, 0.0, 0.0, 0.0]))
    lgks.evolve(system, rho0, jnp.linspace(0.0, 20.0, 3), lgks.Cumulant()).expect(system.hamiltonian)
    ```
    """

    panels: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        _require_panels(self.panels)


def cumulant_map(system: System, t: ArrayLike, panels: int | None = None) -> Complex[Array, "n n"]:
    """Λ(t) in the interaction picture, ρ_I(t) = e^{iHt} ρ(t) e^{−iHt} = Λ(t) ρ(0).

    **Arguments:** `system`; `t` ≥ 0; `panels`: as in `Cumulant`.

    **Returns:** complex array [d², d²], column stacking.

    Differentiable in temperatures, strengths and coupling operators, not in H.

    **Raises:** `LambShiftError` for a density that is singular at ω = 0 (the integral diverges there), `DensityError`
    for one that is negative or not a number somewhere; `InputError` where `panels` is left out and values are traced,
    or are too few; `DerivativeOrderError` for a derivative in H.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.01, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    lgks.cumulant_map(system, 10.0).shape            # (16, 16)
    ```
    """
    require_matrices(system, "cumulant_map")
    _require_panels(panels)
    t = as_scalar(t, "cumulant_map: t")
    if is_concrete(t) and np.asarray(t) < 0:
        raise InputError(f"cumulant_map: t must not be negative; got {float(t)}.")
    structure = bohr_structure(_held(system.hamiltonian))
    values = _map(system, structure, t, _enough(system, structure, t, panels))
    _require_rates(values, system, structure, "cumulant_map")
    return values


def _require_panels(panels: Any) -> None:
    if panels is not None:
        as_count(panels, "Cumulant: panels", least=1, most=MOST)


def _enough(system: System, structure: Structure, t: Array, panels: int | None) -> int:
    """A number of panels that is enough for times up to t; before it, that the map fits into memory."""
    require_memory(
        f"Cumulant: the map of d²×d² for dimension d = {system.dim}",
        2 * matrix_bytes(system),
        ALLOWED,
        "Use a master equation that keeps its generator as operators: UniversalLindblad() or Redfield().",
    )
    for bath in system.baths:
        for noise in bath.noises:
            noise.spectrum.require_lamb_shift()
            if noise.quanta is not None:
                raise InputError("Cumulant: the map exists where H does not depend on time, not in a rotating frame.")
    if not is_concrete(system, t):
        if panels is None:
            raise InputError("Cumulant: give the number of panels; it cannot be found inside jit, vmap or grad.")
        return panels
    needed = float(_needed(structure, system, jnp.max(t)))
    if panels is not None and panels < needed:
        raise InputError(f"Cumulant: {panels} panels do not resolve the integral; at least {needed:.0f} are needed.")
    if needed > MOST:
        raise InputError(f"Cumulant: the time {float(jnp.max(t)):.3g} needs {needed:.3g} panels; at most {MOST:.0e}.")
    return int(np.ceil(needed / _CHUNK)) * _CHUNK if panels is None else panels


def _extent(structure: Structure, system: System) -> Array:
    """The end of the resolved interval."""
    marks = [noise.spectrum.landmarks(noise.temperature).reshape(-1) for bath in system.baths for noise in bath.noises]
    scales = jnp.concatenate([*marks, system.temperatures, jnp.abs(structure.frequencies).reshape(-1)])
    return REACH * jax.lax.stop_gradient(jnp.max(scales))


def _needed(structure: Structure, system: System, t: Array) -> Array:
    """Panels that are as short as the scale on which a rate changes, and over which Ωt grows by at most ten."""
    marks = [noise.spectrum.landmarks(noise.temperature).reshape(-1) for bath in system.baths for noise in bath.noises]
    shortest = jax.lax.stop_gradient(jnp.min(jnp.concatenate([*marks, system.temperatures])))
    return 2 * _extent(structure, system) * jnp.maximum(1 / shortest, t / 10.0)


@jax.custom_jvp
def _held(H: Array) -> Array:
    """H, without a derivative: the map's eigenbasis and window carry none."""
    return H


@_held.defjvp
def _held_jvp(primals, tangents):
    raise DerivativeOrderError(
        "The cumulant map provides no derivative in the Hamiltonian; derivatives in temperatures, coupling strengths "
        "and coupling operators exist. For a response use a master equation."
    )


@compiled
def _map(system: System, structure: Structure, t: Array, panels: int) -> Array:
    enough = panels >= _needed(structure, system, jax.lax.stop_gradient(t)) * (1 - 1e-9)
    total = jnp.zeros((system.dim**2,) * 2, system.hamiltonian.dtype)
    for bath in system.baths:
        for noise in bath.noises:
            total = total + _exponent(structure, system, noise, t, panels).matrix()
    U = jnp.kron(structure.vectors.conj(), structure.vectors)
    return nan_where(U @ matrix_exponential(total) @ U.conj().T, ~enough, (total,))


def _exponent(structure: Structure, system: System, noise: Noise, t: Array, panels: int) -> Dissipator:
    """K(t) of one noise in the eigenbasis: Σ_ij G_ij (A_i ρ A_j† − ½{A_j†A_i, ρ}), A_i = S_mn |m⟩⟨n|."""
    S, omega = structure.to_eigenbasis(noise.coupling), structure.frequencies.reshape(-1)
    G = _gram(structure, system, noise, t, omega, panels).astype(S.dtype)
    dim = S.shape[0]
    units = jnp.eye(dim * dim, dtype=S.dtype).reshape(dim * dim, dim, dim) * S
    right = jnp.einsum("ij,jmn->imn", G.conj(), units)
    return Dissipator(units, right, jnp.einsum("ikm,ikn->mn", right.conj(), units) / 2)


def _gram(structure: Structure, system: System, noise: Noise, t: Array, omega: Array, panels: int) -> Array:
    """G_ij = ∫ dΩ/2π Γ(Ω) f(Ω − ω_i) f*(Ω − ω_j)."""
    extent = _extent(structure, system)
    half = extent / panels
    centres = (-extent + half * (2 * jnp.arange(panels) + 1)).reshape(-1, _CHUNK if panels % _CHUNK == 0 else 1)
    nodes, weights = jnp.asarray(_NODES) * half, jnp.asarray(_WEIGHTS) * half / (2 * jnp.pi)

    def add(total: Array, centre: Array) -> tuple[Array, None]:
        Omega = (centre[:, None] + nodes).reshape(-1)
        f = _window(Omega[:, None] - omega, t)
        weighted = f * (noise.rate(Omega) * jnp.tile(weights, centre.size))[:, None]
        return total + weighted.T @ f.conj(), None

    start = jnp.zeros((omega.size, omega.size), structure.vectors.dtype)
    inner = jax.lax.scan(add, start, centres)[0]
    # Beyond the reach f f* = (1 + e^{i(x−y)t} − e^{ixt} − e^{−iyt})/xy, x, y = Ω − ω: the last two average out, once
    # they turn faster than the nodes lie.
    far, far_weights = (x[-1] for x in folded_nodes(extent[None]))
    steady = 1 + jnp.exp(-1j * (omega[:, None] - omega[None, :]) * t)
    for Omega in (far, -far):
        tail = noise.rate(Omega) * far_weights * far  # the weights are those of dΩ/(2πΩ)
        x = Omega[:, None] - omega
        turning = jnp.exp(1j * x * t - (far[:, None] * t / _AVERAGED) ** 2)
        sides = [(1 / x, 1 / x, steady), (turning / x, 1 / x, -1.0), (1 / x, turning.conj() / x, -1.0)]
        inner = inner + sum(c * jnp.einsum("k,ki,kj->ij", tail, a, b) for a, b, c in sides)
    return inner


def _window(x: Array, t: Array) -> Array:
    """f(x) = ∫₀ᵗ e^{ixs} ds = t e^{ixt/2} sinc(xt/2)."""
    return t * jnp.exp(0.5j * x * t) * jnp.sinc(x * t / (2 * jnp.pi))


def cumulant_states(system: System, rho0: Array, times: Float[Array, " t"], panels: int | None) -> Array:
    """ρ(t) in the Schrödinger picture at each time after rho0."""
    require_states("evolve", len(times), system)
    structure = bohr_structure(_held(system.hamiltonian))
    states = _states(system, structure, rho0, times, _enough(system, structure, times, panels))
    _require_rates(states, system, structure, "evolve with Cumulant()")
    return restored(states, rho0)


def _require_rates(values: Array, system: System, structure: Structure, who: str) -> None:
    """`DensityError` where the result is known not to be finite: the map asks for the rate at all frequencies."""
    if not is_concrete(values, system) or np.isfinite(values).all():
        return
    omega = float(_extent(structure, system)) * np.geomspace(1e-8, 1.0, 8001)
    for bath in system.baths:
        for noise in bath.noises:
            bad = ~np.isfinite(np.asarray(noise.rate(np.concatenate([omega, -omega]))))
            if bad.any():
                at = float(np.tile(omega, 2)[bad][0])
                raise DensityError(
                    f"{who}: the density of {noise.label} has no rate at {at:.6g}, and the map is an integral over all "
                    f"frequencies: {noise.spectrum.why_no_rate(at)}."
                )
    raise InputError(f"{who}: the result is not finite; check the system's numbers and the density at all frequencies.")


@compiled
def _states(system: System, structure: Structure, rho0: Array, times: Array, panels: int) -> Array:
    def at(t: Array) -> Array:
        dim = system.dim
        rho = (_map(system, structure, t, panels) @ vec(rho0)).reshape(dim, dim).T
        turning = jnp.exp(1j * structure.frequencies * t)  # e^{−i(E_m − E_n)t}
        return structure.from_eigenbasis(turning * structure.to_eigenbasis(rho))

    return jax.lax.map(at, times)
