"""Oscillators and their baths without any master equation: the exact steady state of the quantum Langevin equation.

Takes: a model whose baths are all Drude–Lorentz. Returns: means, covariance and heat currents, to all orders in the
coupling. With S_α = s_αᵀR + c coupled to the bath operator X_α, Γ_α(ω) = 2 J_α(ω)(n_α(ω)+1), no counter term,

    Ṙ = Ω (h R + f) + Σ_α Ω s_α (X_α⁰(t) + ∫ D_α(t−t') S_α(t') dt'),     D_α(t) = −2 λ_α ω_cα e^{−ω_cα t}  (t > 0),

D the response of a Drude–Lorentz bath: −(2/π) ∫₀^∞ J(ω) sin ωt dω. In frequencies R(ω) = g(ω) Σ_α Ω s_α X_α⁰(ω) with

    g(ω) = [−iω − Ωh − Σ_α Ω s_α D_α(ω) s_αᵀ]⁻¹,     D_α(ω) = −2 λ_α ω_cα/(ω_cα − iω),

    V = Re ∫ dω/2π Σ_α J_α coth(ω/2T_α) u_α(ω) u_α(ω)†,     u_α = g Ω s_α,
    J^α = Σ_β ∫₀^∞ dω/2π · 4 ω J_α J_β |s_αᵀ u_β|² (n_α − n_β).

The integrands have the poles of g, the eigenvalues of a real matrix with one more variable a bath. Panels shrink
geometrically towards each of them, so that widths of any size are met with the same nodes.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._compiled import compiled
from .._inputs import is_concrete
from .._spectra import DrudeLorentz
from ..errors import InputError, UnstableHamiltonianError
from ._model import QuasiFree, linear_part, require_oscillators, symplectic
from ._state import GaussianState

_GAUSS, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_STEPS = 2.0 ** np.arange(-4, 44)
_THERMAL = 2.0 ** np.arange(-3, 7)  # n is a power below, nothing above


class ExactSteadyState(eqx.Module):
    """`state`: the reduced Gaussian state of the oscillators; `heat_currents`: what leaves each bath, [baths]."""

    state: GaussianState
    heat_currents: Float[Array, " baths"]


def exact_steady_state(model: QuasiFree) -> ExactSteadyState:
    """The exact steady state of linearly coupled oscillators and their Drude–Lorentz baths, at any coupling strength:
    the judge of master equations. A heat current is the rate at which the energy of a bath falls.

    **Arguments:** `model`: every bath with a `DrudeLorentz` density; H₀ has no counter term, as in the master
    equations. On a CPU (eigenvalues of a matrix that is not symmetric place the nodes).

    **Returns:** `ExactSteadyState`, to about 1e−10. Differentiable in every parameter; nodes are constants.

    **Raises:** `InputError` for another density; `UnstableHamiltonianError` where the baths, which soften the
    oscillators, make them unstable.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, b = lgks.modes(2)
    H = 1.0 * (a.dag * a + b.dag * b) + 0.01 * (a.dag * b + b.dag * a)
    baths = [lgks.Bath(x + x.dag, T, lgks.DrudeLorentz(0.005, 5.0)) for x, T in ((a, 1.0), (b, 0.5))]
    exact = lgks.exact_steady_state(lgks.QuasiFree(H, baths)).heat_currents
    exact - lgks.heat_currents(lgks.QuasiFree(H, baths), lgks.Unified(lamb_shift=True))
    ```
    """
    require_drude(model, "exact_steady_state")
    state, softest = _exact(model)
    require_softened(softest, "exact_steady_state")
    return state


def require_drude(model: QuasiFree, who: str) -> None:
    """`InputError` unless every bath has a `DrudeLorentz` density."""
    require_oscillators(model, who)
    for position, bath in enumerate(model.baths):
        if not isinstance(bath.spectrum, DrudeLorentz):
            raise InputError(
                f"{who}: baths[{position}] must have a DrudeLorentz density; got {type(bath.spectrum).__name__}."
            )


def require_softened(softest: Array, who: str) -> None:
    """`UnstableHamiltonianError` for a known lowest eigenvalue that is not positive."""
    if is_concrete(softest) and not softest > 0:
        raise UnstableHamiltonianError(
            f"{who}: the baths soften the oscillators until H₀ − Σ 2λ S² is not positive (lowest eigenvalue "
            f"{float(softest):.3g}). Lower the reorganisation energies, or add the counter term Σ 2λ S² to H₀."
        )


class DrudeBaths(eqx.Module):
    """s_α and the numbers of the densities, by bath."""

    s: Float[Array, "baths n"]
    constants: Float[Array, " baths"]
    strength: Float[Array, " baths"]
    cutoff: Float[Array, " baths"]

    def softened(self, h: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """h of H₀ − Σ 2λ S²."""
        return h - 2 * jnp.einsum("b,bi,bj->ij", self.strength, self.s, self.s)

    def mean(self, model: QuasiFree) -> Float[Array, " n"]:
        """⟨R⟩."""
        field = model.field - 2 * (self.strength * self.constants) @ self.s
        return -jnp.linalg.solve(self.softened(model.quadratic), field)

    def embedded(self, h: Float[Array, "n n"]) -> Float[Array, "m m"]:
        """The real matrix of R and y_α = ∫ D_α S_α: its eigenvalues are the poles −iω of g."""
        J = jnp.asarray(symplectic(h.shape[0] // 2))
        top = jnp.concatenate([J @ h, (self.s @ J.T).T], axis=1)
        bottom = jnp.concatenate([-2 * (self.strength * self.cutoff)[:, None] * self.s, -jnp.diag(self.cutoff)], axis=1)
        return jnp.concatenate([top, bottom])


def drude_baths(model: QuasiFree) -> DrudeBaths:
    """The numbers of a model whose baths are all Drude–Lorentz."""
    s = jnp.stack([linear_part(bath.coupling) for bath in model.baths])
    constants = jnp.stack([bath.coupling.coefficients[0].real for bath in model.baths])
    strength, cutoff = (
        jnp.stack([getattr(bath.spectrum, name) for bath in model.baths]) for name in ("strength", "cutoff")
    )
    return DrudeBaths(s, constants, strength, cutoff)


@compiled
def _exact(model: QuasiFree) -> tuple[ExactSteadyState, Array]:
    J, h, baths = jnp.asarray(symplectic(model.modes)), model.quadratic, drude_baths(model)
    s, strength, cutoff = baths.s, baths.strength, baths.cutoff
    mean = baths.mean(model)
    omega, weight = _nodes(baths.embedded(h), model.temperatures)

    def at(w: Array) -> tuple[Array, Array]:
        response = -2 * strength * cutoff / (cutoff - 1j * w)
        inverse = -1j * w * jnp.eye(h.shape[0]) - J @ h - jnp.einsum("b,bi,bj->ij", response, s @ J.T, s)
        u = jnp.linalg.solve(inverse, (s @ J.T).T.astype(complex))  # columns u_α
        density = 2 * strength * w * cutoff / (w**2 + cutoff**2)
        # ω coth(ω/2T)/2 and ω n are finite at ω = 0 and for any T.
        x = w / model.temperatures
        occupied = w * jnp.exp(-x) / -jnp.expm1(-x)  # no overflow, in derivatives either
        noise = density / w * (2 * occupied + w)
        through = 4 * density[:, None] * density[None, :] * jnp.abs(s @ u) ** 2
        heat = jnp.sum(through * (occupied[:, None] - occupied[None, :]), axis=1)
        return jnp.einsum("b,ib,jb->ij", noise, u, u.conj()).real, heat

    covariance, heat = jax.vmap(at)(omega)
    # Both signs of ω give the same real part.
    V = jnp.einsum("w,wij->ij", weight, covariance) / jnp.pi
    currents = weight @ heat / (2 * jnp.pi)
    return ExactSteadyState(GaussianState(mean, (V + V.T) / 2), currents), jnp.linalg.eigvalsh(baths.softened(h))[0]


def _nodes(matrix: Array, temperatures: Array) -> tuple[Array, Array]:
    """Gauss–Legendre panels on ω > 0, cut at distances that double from the real part of each pole outwards, and from
    zero about each temperature, where n(ω) lives."""
    poles = jnp.linalg.eigvals(jax.lax.stop_gradient(matrix))
    centre, width = jnp.abs(poles.imag), jnp.abs(poles.real)
    extent = width[:, None] * _STEPS
    cuts = jnp.concatenate([centre, (centre[:, None] + extent).reshape(-1), (centre[:, None] - extent).reshape(-1)])
    far = 1e8 * jnp.max(jnp.abs(poles))
    thermal = (jax.lax.stop_gradient(temperatures)[:, None] * _THERMAL).reshape(-1)
    ends = jnp.sort(jnp.clip(jnp.concatenate([cuts, thermal, far[None]]), 0.0, far))
    ends = jnp.concatenate([jnp.zeros(1), ends])
    half = (ends[1:] - ends[:-1]) / 2
    omega = ends[:-1, None] + half[:, None] * (1 + jnp.asarray(_GAUSS))
    omega, weight = omega.reshape(-1), (half[:, None] * jnp.asarray(_WEIGHTS)).reshape(-1)
    return jax.lax.stop_gradient((jnp.where(weight > 0, omega, far), weight))
