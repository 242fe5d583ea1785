"""The change of frame between the states of the universal Lindblad equation and those of the system.

Takes: the structure of H, independent noises. Returns: the matrix of M in ρ = (1 − M) ρ', ρ' the state that the
universal equation moves (Nathan and Rudner, Phys. Rev. B 102, 115109 (2020); arXiv:2206.02917).

To second order in the coupling, in the interaction picture of H, with C(τ) = ∫dω/2π Γ(ω) e^{−iωτ} taken apart as
C(t' − s) = ∫du g(t' − u) g(u − s), g(t) = ∫dω/2π √Γ(ω) e^{−iωt}, the state obeys dρ/dt = ∫du ds K(t, u, s) ρ,

    K(t', u, s) ρ = θ(t' − s) g(t' − u) g(u − s) [S(s) ρ, S(t')] + h.c.

The universal equation puts its own time at u, where jumps happen: dρ'/dt = ∫dt' ds K(t', t, s) ρ'. Both agree if

    ρ' = (1 + M) ρ,     M(t) = ∫dt' du ds K(t', u, s) [θ(t − u) − θ(t − t')],

whose derivative is the difference of the two, and which is of the order of the rate times the memory of the bath. With
S(t) = Σ_a S_a e^{−iat}, and x = t' − u, y = u − s, the integral over u at t = 0 leaves ∫_{−x}^0 e^{−i(a+b)u} du, and

    M ρ = Σ_ab m(a, −b) (S_a ρ S_b − S_b S_a ρ) + h.c.,     m(a, c) = (f(a, a) − f(a, c)) / (i(a − c)),

    f(a, c) = ∫dx dy θ(x + y) g(x) g(y) e^{iay + icx}
            = ½ √Γ(a) √Γ(c) + i ∫₀^∞ dν/(2πν) [√Γ(a − ν) √Γ(c − ν) − √Γ(a + ν) √Γ(c + ν)],

the two-frequency integral of the Lamb shift; f(a, a) = Γ(a)/2 + iS_L(a), and m(a, a) = −(i/2) df(a, a)/da, since x and
y count alike there. [−i[H, ·], M] is the Redfield dissipator less the universal one, both with their Lamb shifts.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .._bohr import Structure, dagger, derivative, product
from .._spectra import folded_nodes
from .._system import Noise

NEAR = 1e-7
"""Of the largest frequency: below this distance two frequencies are one to m(a, c)."""


def shift_nodes(structure: Structure, noise: Noise) -> tuple[Float[Array, "p k"], Float[Array, "p k"]]:
    """Nodes and weights of ∫₀^∞ dν/(2πν), cut where ω_mn ± ν meets zero or a place where the density is cut."""
    upper = jnp.triu_indices(structure.energies.size, 1)
    omega = structure.frequencies[upper]
    marks = jax.lax.stop_gradient(noise.spectrum.cuts(noise.temperature)).reshape(-1)
    cuts = jnp.abs(omega[:, None] - jnp.concatenate([jnp.zeros(1, marks.dtype), marks, -marks])).reshape(-1)
    return folded_nodes(jnp.concatenate([cuts, marks]))


def dressing(structure: Structure, noises: tuple[Noise, ...]) -> Complex[Array, "n n"]:
    """M on column-stacked states in the eigenbasis of H. Its derivative in H exists where levels are distinct."""
    energies, vectors = structure.eigenstates
    turn = product(dagger(structure.vectors), vectors)  # the identity, and how it changes with H
    omega, dim = energies[None, :] - energies[:, None], len(energies)
    total = jnp.zeros((dim, dim, dim, dim), jnp.result_type(omega, jnp.complex64))
    for noise in noises:
        S = product(dagger(vectors), noise.coupling, vectors)
        m = _weights(omega.reshape(-1), structure, noise).reshape(dim, dim, dim, dim)
        total = total + m * S[:, :, None, None] * S.conj()[None, None]  # [i, k, j, l]: S_ik ρ_kl (S†)_lj
    drift = jnp.einsum("klki->il", total)
    jumps = total + total.transpose(2, 3, 0, 1).conj()
    one = jnp.eye(dim, dtype=total.dtype)
    M = jumps - jnp.einsum("ik,jl->ikjl", drift, one) - jnp.einsum("jl,ik->ikjl", drift.conj(), one)
    M = M.transpose(2, 0, 3, 1).reshape(dim * dim, dim * dim)
    W = jnp.kron(turn.conj(), turn).astype(M.dtype)
    return product(W, M, dagger(W))


def _weights(omega: Float[Array, " n"], structure: Structure, noise: Noise) -> Complex[Array, "n n"]:
    """m(ω_i, ω_j)."""
    nodes, weights = (x.reshape(-1, 1) for x in shift_nodes(structure, noise))
    T = noise.temperature

    def folded(F: Callable[[Array], Array]) -> tuple[Array, Array]:
        return F(omega - nodes), F(omega + nodes)

    below, above = folded(lambda x: noise.spectrum.amplitude(x, T))
    root = noise.spectrum.amplitude(omega, T)
    f = root[:, None] * root / 2 + 1j * ((weights * below).T @ below - (weights * above).T @ above)
    lower, upper = folded(lambda x: derivative(noise.rate, x))
    slope = derivative(noise.rate, omega) / 2 + 1j * jnp.sum(weights * (lower - upper), axis=0)
    distance = omega[:, None] - omega
    near = jnp.abs(distance) <= NEAR * jnp.max(jnp.abs(omega))
    return jnp.where(near, -0.5j * slope[:, None], -1j * (jnp.diag(f)[:, None] - f) / jnp.where(near, 1.0, distance))
