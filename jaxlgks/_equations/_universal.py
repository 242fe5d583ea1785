"""The universal Lindblad equation: one jump operator a bath, no secular approximation, completely positive.

Takes: a system. Returns: D_α = D[A_α], A_α = √Γ_α(Ω_H)[S_α] over all Bohr frequencies.
"""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._bohr import Structure
from .._spectra import folded_nodes, resolved
from .._system import Noise
from ._base import AbstractEquation, Filter
from ._dissipator import Dissipator, lindblad
from ._rates import RootRate


class UniversalLindblad(AbstractEquation):
    """The universal Lindblad equation (ULE),

        D_α = D[A_α],    A_α = Σ_ω √Γ_α(ω) S_α(ω),

    with all Bohr frequencies in one jump operator. Completely positive, smooth in every parameter, and as accurate as
    the Redfield equation, in a frame that differs from it by a change of the state of the order of the rate: each bath
    alone fixes the Gibbs state to that order only, and currents at equal temperatures vanish to that order only.

    Its Lamb shift has two frequencies (Nathan and Rudner, Phys. Rev. B 102, 115109 (2020)); written with the filter,

        H_LS = ∫₀^∞ dν/(2πν) Σ_α ( B_α(−ν)†B_α(−ν) − B_α(ν)†B_α(ν) ),    B_α(ν) = √Γ_α(Ω_H + ν)[S_α].

    It costs a filter at each of about 450 d² frequencies: meant for d ≤ 8.

    **Arguments:** `lamb_shift`: whether to add it.

    **Raises:** `LambShiftError` when used with a density that has none.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.001, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    lgks.heat_currents(system, lgks.UniversalLindblad(lamb_shift=True))
    ```
    """

    lamb_shift: bool = eqx.field(static=True, default=False)
    reference: ClassVar[None] = None

    @property
    def kernel(self) -> Literal["lindblad"] | None:
        return None if self.lamb_shift else "lindblad"

    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        A = filtered(RootRate(noise.spectrum, noise.temperature))
        if not self.lamb_shift:
            return (A,)
        noise.spectrum.require_lamb_shift()
        nodes, weights = _nodes(structure, noise)
        weights = jnp.where(_resolved(structure, noise, nodes, weights), weights, jnp.nan).reshape(-1)
        nodes = nodes.reshape(-1)
        at = jax.vmap(lambda nu: filtered(RootRate(noise.spectrum, noise.temperature, nu)), out_axes=1)
        root = jnp.sqrt(weights)[:, None, None]
        return A, root * at(-nodes), root * at(nodes)

    def assemble(self, operators: Any) -> Dissipator:
        A, *shift = operators
        D = lindblad(A)
        if not shift:
            return D
        below, above = (jnp.einsum("jlkm,jlkn->mn", B.conj(), B) for B in shift)
        return Dissipator(D.left, D.right, D.drift + 1j * (below - above))


def _nodes(structure: Structure, noise: Noise) -> tuple[Float[Array, "p k"], Float[Array, "p k"]]:
    """Nodes and weights of ∫₀^∞ dν/(2πν), cut where ω_mn ± ν meets zero or a place where the density is cut."""
    upper = jnp.triu_indices(structure.energies.size, 1)
    omega = structure.frequencies[upper]
    marks = jax.lax.stop_gradient(noise.spectrum.cuts(noise.temperature)).reshape(-1)
    cuts = jnp.abs(omega[:, None] - jnp.concatenate([jnp.zeros(1, marks.dtype), marks, -marks])).reshape(-1)
    return folded_nodes(jnp.concatenate([cuts, marks]))


def _resolved(structure: Structure, noise: Noise, nodes: Float[Array, "p k"], weights: Float[Array, "p k"]) -> Array:
    """Whether the nodes resolve the integrals of equal frequencies, Γ(ω − ν) − Γ(ω + ν), and so those of two."""

    def one(omega: Array) -> Array:
        return resolved(weights * (noise.rate(omega - nodes) - noise.rate(omega + nodes)))

    return jnp.all(jax.lax.map(one, jax.lax.stop_gradient(structure.frequencies).reshape(-1)))
