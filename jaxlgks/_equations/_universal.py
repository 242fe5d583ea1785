"""The universal Lindblad equation: one jump operator a bath, no secular approximation, completely positive.

Takes: a system. Returns: D_α = D[A_α], A_α = √Γ_α(Ω_H)[S_α] over all Bohr frequencies.
"""

from typing import Any, ClassVar, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import Structure
from .._inputs import as_flag, as_word
from .._spectra import resolved
from .._system import Noise
from ..errors import InputError
from ._base import AbstractEquation, Filter
from ._dissipator import Dissipator, lindblad
from ._dressing import dressing, shift_nodes
from ._rates import RootRate

Frame = Literal["jump", "system"]


class UniversalLindblad(AbstractEquation):
    """The universal Lindblad equation (ULE),

        D_α = D[A_α],    A_α = Σ_ω √Γ_α(ω) S_α(ω),

    with all Bohr frequencies in one jump operator. Completely positive, smooth in every parameter, and as accurate as
    the Redfield equation, in a frame that differs from it by a change of the state of the order of the rate: each bath
    alone fixes the Gibbs state to that order only, and currents at equal temperatures vanish to that order only.

    Its Lamb shift has two frequencies (Nathan and Rudner, Phys. Rev. B 102, 115109 (2020)); written with the filter,

        H_LS = ∫₀^∞ dν/(2πν) Σ_α ( B_α(−ν)†B_α(−ν) − B_α(ν)†B_α(ν) ),    B_α(ν) = √Γ_α(Ω_H + ν)[S_α].

    It costs a filter at each of about 450 d² frequencies: meant for d ≤ 8.

    The state ρ' that it moves is that of the system in another frame, ρ = (1 − M) ρ', where −i[[H, ·], M] is the
    Redfield dissipator less this one, both with Lamb shifts: to first order in the rate coherences of ρ' are those of
    the frame, and can have the wrong sign. `frame="system"` gives ρ: states, expectations, `evolve` (by "expm"),
    `correlation`, `liouvillian` (1 − M) L (1 − M)⁻¹, and `autodiff_response` where levels are distinct. Steady
    coherences are then right to that order, at the price of positivity to the same. Populations are not: what the bath
    changes of them to first order takes rates of the next order, which no equation here has. (H = σz/2, S = 0.6σz +
    0.8σx, T = 0.8, `DrudeLorentz(λ, 1.5)`: ρ₀₁/λ is −0.0896 exactly, −0.0895 in the system's frame, 0.098 in that of
    jumps; the change of ρ₀₀/λ is 0.10, 0.28 and 0.07, and −0.09 by
    `Redfield(lamb_shift=True)`.) Heat currents, which agree in both
    frames to that order, and responses by formula are not built there and refused.

    Under a drive its jump operator is (ibid.)

        A(t) = ∫ ds g(s) U(t, t−s) S U(t, t−s)†,    g(s) = ∫ dω/2π √Γ(ω) e^{−iωs},    g(−s) = g(s)*,

    s from −∞ to ∞, which is √Γ(Ω_H)[S] at rest. With g(s) = Σ_j a_j e^{−μ_j s} for s > 0 it has two parts: that of the
    past moves as the operators of `Redfield` do, dA_j/dt = a_j S − μ_j A_j − i[H(t), A_j]; that of the times to come
    obeys dA'_j/dt = −a_j* S + μ_j* A'_j − i[H(t), A'_j], which grows forwards and is found backwards from the end of
    the drive. Neither is built (√Γ has no poles for the sum over j, and is fitted): `evolve` and `cycle` refuse it but
    for `instantaneous=True`, √Γ(Ω_H(t))[S], and have `Redfield(lamb_shift=True)`, of the same accuracy, with memory.

    **Arguments:** `lamb_shift`: whether to add it. `frame`: "jump" (of ρ', in which the equation has Lindblad's form)
    or "system", which needs the Lamb shift.

    **Raises:** `LambShiftError` when used with a density that has none; `InputError` for what `frame="system"` has not.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.DrudeLorentz(0.001, 2.0)
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    lgks.heat_currents(system, lgks.UniversalLindblad(lamb_shift=True))
    ```
    """

    lamb_shift: bool = eqx.field(static=True, default=False)
    frame: Frame = eqx.field(static=True, default="jump")
    reference: ClassVar[None] = None
    undriven: ClassVar[str] = "has a jump operator that needs H(t) of later times too, and is not built for drives"

    def __check_init__(self) -> None:
        as_word(self.frame, "UniversalLindblad: frame", get_args(Frame))
        if self.dressed and not as_flag(self.lamb_shift, "UniversalLindblad: lamb_shift"):
            raise InputError(
                "UniversalLindblad: frame='system' needs lamb_shift=True: the coherences that the frame changes are of "
                "the order of those that the Lamb shift makes."
            )

    @property
    def dressed(self) -> bool:
        return self.frame == "system"

    @property
    def positive(self) -> bool:
        return not self.dressed

    def dressing(self, structure: Structure, noises: tuple[Noise, ...]) -> Complex[Array, "n n"]:
        if any(noise.quanta is not None for noise in noises):
            raise InputError(
                "UniversalLindblad: frame='system' is not built for a system with a rotating frame, System(frame=...). "
                "Use frame='jump'."
            )
        return dressing(structure, noises)

    @property
    def kernel(self) -> Literal["lindblad"] | None:
        return None if self.lamb_shift else "lindblad"

    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        A = filtered(RootRate(noise.spectrum, noise.temperature))
        if not self.lamb_shift:
            return (A,)
        noise.spectrum.require_lamb_shift()
        nodes, weights = shift_nodes(structure, noise)
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


def _resolved(structure: Structure, noise: Noise, nodes: Float[Array, "p k"], weights: Float[Array, "p k"]) -> Array:
    """Whether the nodes resolve the integrals of equal frequencies, Γ(ω − ν) − Γ(ω + ν), and so those of two."""

    def one(omega: Array) -> Array:
        return resolved(weights * (noise.rate(omega - nodes) - noise.rate(omega + nodes)))

    return jnp.all(jax.lax.map(one, jax.lax.stop_gradient(structure.frequencies).reshape(-1)))
