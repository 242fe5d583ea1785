"""The cumulant map: second order in the coupling at finite time, without Markov and secular approximation.

Enters: a system, a time. Leaves: Λ(t) = exp[Σ_α K_α(t)] in the interaction picture (paper, Eq. 6, before the two
approximations that follow it). With the bath's correlation function written by its rate,

    K_α(t) ρ = ∫ dΩ/2π Γ_α(Ω) D[B_Ω(t)] ρ,      B_Ω(t) = ∫₀ᵗ e^{iΩs} S_α(s) ds = Σ_ω f(Ω − ω) S_α(ω),

    f(x) = ∫₀ᵗ e^{ixs} ds,

so K_α is a sum of Lindblad forms and Λ(t) completely positive at any t. For t → ∞ f(Ω−ω) f*(Ω−ω') tends to
2πt δ(Ω−ω) for ω = ω' and stays bounded otherwise: K_α/t tends to the Davies dissipator. No Lamb shift is included.

The integrand turns with Ωt. Up to a reach of `REACH` times the largest frequency in the problem it is integrated panel
by panel with sixteen Gauss–Legendre nodes each, panels short enough for e^{iΩt} and for the temperature; beyond, where
Γ(Ω)/Ω² is left, its average over the turning is integrated to infinity, and the rest is of relative size REACH⁻².
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from ._errors import InputError
from ._generator import vec
from ._inputs import as_scalar, is_concrete
from ._system import Noise, System
from .bohr import Structure, bohr_structure
from .equations import Dissipator
from .spectra import folded_nodes, require_finite

REACH = 500.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_CHUNK = 256
_AVERAGED = 20.0  # phase from which on the half-line nodes no longer follow e^{iΩt}


class Cumulant(eqx.Module):
    """The cumulant map as an argument of `evolve`: a map for each time, not a generator. It has no steady state and no
    response.

    **Arguments:** `panels`: number of quadrature panels; by default from the largest time, which must then be known
    (not inside `jit`).

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.01, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    rho0 = jnp.diag(jnp.array([1.0, 0.0, 0.0, 0.0]))
    lgks.evolve(system, lgks.Cumulant(), rho0, jnp.linspace(0.0, 20.0, 3)).expect(system.hamiltonian)
    ```
    """

    panels: int | None = eqx.field(static=True, default=None)


def cumulant_map(system: System, t: ArrayLike, panels: int | None = None) -> Complex[Array, "n n"]:
    """Λ(t) in the interaction picture, ρ_I(t) = e^{iHt} ρ(t) e^{−iHt} = Λ(t) ρ(0).

    **Arguments:** `system`; `t` ≥ 0; `panels`: as in `Cumulant`.

    **Returns:** complex array [d², d²], column stacking.

    **Raises:** `LambShiftError` for a density without cutoff (the integral diverges as the Lamb shift does);
    `InputError` where `panels` is left out and values are traced.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.01, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    lgks.cumulant_map(system, 10.0).shape            # (16, 16)
    ```
    """
    t = as_scalar(t, "cumulant_map: t")
    if is_concrete(t) and t < 0:
        raise InputError(f"cumulant_map: t must not be negative; got {float(t)}.")
    for bath in system.baths:
        for noise in bath.noises:
            require_finite(noise.spectrum)
    return _map(system, t, panels_for(system, t) if panels is None else panels)


def panels_for(system: System, t: ArrayLike) -> int:
    """Panels that resolve e^{iΩt} and the temperature up to the reach."""
    if not is_concrete(system, t):
        raise InputError("Cumulant: give the number of panels; it cannot be found inside jit, vmap or grad.")
    reach, short = _reach(bohr_structure(system.hamiltonian), system)
    width = min(float(short), 10.0 / max(float(jnp.max(jnp.asarray(t))), 1e-300))
    return int(np.ceil(2 * float(reach) / width / _CHUNK)) * _CHUNK


def _reach(structure: Structure, system: System) -> tuple[Array, Array]:
    """The end of the resolved interval, and the shortest scale on which a rate changes."""
    marks = [noise.spectrum.landmarks(noise.temperature).reshape(-1) for bath in system.baths for noise in bath.noises]
    scales = jnp.concatenate([*marks, system.temperatures])
    largest = jnp.maximum(jnp.max(jnp.abs(structure.frequencies)), jnp.max(scales))
    return jax.lax.stop_gradient((REACH * largest, jnp.min(scales)))


@eqx.filter_jit
def _map(system: System, t: Array, panels: int) -> Array:
    structure = bohr_structure(system.hamiltonian)
    total = jnp.zeros((system.dim**2,) * 2, system.hamiltonian.dtype)
    for bath in system.baths:
        for noise in bath.noises:
            total = total + _exponent(structure, system, noise, t, panels).matrix()
    U = jnp.kron(structure.vectors.conj(), structure.vectors)
    return U @ jsl.expm(total, max_squarings=48) @ U.conj().T


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
    reach, _ = _reach(structure, system)
    half = reach / panels
    centres = (-reach + half * (2 * jnp.arange(panels) + 1)).reshape(-1, _CHUNK if panels % _CHUNK == 0 else 1)
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
    far, far_weights = (x[-1] for x in folded_nodes(reach[None]))
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
    panels = panels_for(system, times) if panels is None else panels
    return _states(system, rho0, times, panels)


@eqx.filter_jit
def _states(system: System, rho0: Array, times: Array, panels: int) -> Array:
    structure = bohr_structure(system.hamiltonian)

    def at(t: Array) -> Array:
        dim = system.dim
        rho = (_map(system, t, panels) @ vec(rho0)).reshape(dim, dim).T
        turning = jnp.exp(1j * structure.frequencies * t)  # e^{−i(E_m − E_n)t}
        return structure.from_eigenbasis(turning * structure.to_eigenbasis(rho))

    return jax.lax.map(at, times)
