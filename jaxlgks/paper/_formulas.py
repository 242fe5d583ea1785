"""The paper's closed forms, as printed and, where the print is wrong, corrected.

Takes: the parameters of the two examples, temperatures, times, δΩ. Returns: Eqs. (30)–(35), (42), (43), (45), (46),
(B10), (B12), (B21). Nothing here calls the library's generators: these are the expectations that it is checked against.
ħ = k_B = 1; a heat current is positive into the system.

The correction to Eqs. (32), (34) and to (B17), (B18), (B20) behind them: the part of D₁ that absorbs from the bath
contributes to L₁†(x₋) as much as the part that emits,

    printed    L₁†(x₋) = Σ_α γ₋ (n_α+1)/4 (J₋ + J₋†) − 3γ₋ (2n_α+1)
    corrected  L₁†(x₋) = Σ_α γ₋/4         (J₋ + J₋†) − …      so that      ⟨L₁†x₋⟩ = −3γ₋ (2n̄₋+1).
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ._parameters import OscillatorParameters, QubitParameters


@jax.jit
def bose(omega: ArrayLike, temperature: ArrayLike) -> Array:
    """n(ω) = 1/(e^{ω/T} − 1), the Bose–Einstein occupation."""
    return 1.0 / jnp.expm1(jnp.asarray(omega, float) / jnp.asarray(temperature, float))


@jax.jit
def mean_bose(omega: ArrayLike, T_a: ArrayLike, T_b: ArrayLike) -> Array:
    """n̄ = (n_a + n_b)/2 at one frequency."""
    return (bose(omega, T_a) + bose(omega, T_b)) / 2


# Two oscillators, Sec. III B and Appendix B ------------------------------------------------------------------------


@jax.jit
def occupation(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike) -> Array:
    """Eq. (30): ⟨a†a⟩ = ¼ (Σ_{ℓα} n_ℓ^α + 2 (ε/ω₊)²), the unperturbed steady state."""
    thermal = 2 * mean_bose(p.plus, T_a, T_b) + 2 * mean_bose(p.minus, T_a, T_b)
    return (thermal + 2 * (p.epsilon / p.plus) ** 2) / 4


@jax.jit
def impulse_kubo(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike, tau: ArrayLike) -> Array:
    """Eq. (31): φ^(1,1)(τ) = −(3εω₋/ω₊)(2n̄₋+1) sin(ω₋τ) e^{−γ₋τ/2}. Unit: energy."""
    tau = jnp.asarray(tau, float)
    wave = jnp.sin(p.minus * tau) * jnp.exp(-p.gamma_minus * tau / 2)
    return -3 * p.epsilon * p.minus / p.plus * (2 * mean_bose(p.minus, T_a, T_b) + 1) * wave


@jax.jit
def impulse_rotation_printed(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike, tau: ArrayLike) -> Array:
    """Eq. (32) as printed: φ^(1,2)(τ) = (3εγ₋/2ω₊)(n̄₋−1)(2n̄₋+1) cos(ω₋τ) e^{−γ₋τ/2}. Wrong at T > 0."""
    return (1 - mean_bose(p.minus, T_a, T_b)) * impulse_rotation(p, T_a, T_b, tau)


@jax.jit
def impulse_rotation(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike, tau: ArrayLike) -> Array:
    """Eq. (32) corrected: φ^(1,2)(τ) = −(3εγ₋/2ω₊)(2n̄₋+1) cos(ω₋τ) e^{−γ₋τ/2}. Unit: energy."""
    tau = jnp.asarray(tau, float)
    wave = jnp.cos(p.minus * tau) * jnp.exp(-p.gamma_minus * tau / 2)
    return -1.5 * p.epsilon * p.gamma_minus / p.plus * (2 * mean_bose(p.minus, T_a, T_b) + 1) * wave


@jax.jit
def step_kubo(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike, t: ArrayLike) -> Array:
    """Φ^(1,1)(t) = ∫₀ᵗ φ^(1,1), Eqs. (31), (33), with ∫ sin(ωτ)e^{−κτ} = [ω − e^{−κt}(ω cos ωt + κ sin ωt)]/(ω²+κ²)."""
    t, kappa = jnp.asarray(t, float), p.gamma_minus / 2
    sine, cosine = jnp.sin(p.minus * t), jnp.cos(p.minus * t)
    grown = 1 - jnp.exp(-kappa * t) * (cosine + kappa / p.minus * sine)
    return static_kubo(p, T_a, T_b) * grown


@jax.jit
def step_rotation_printed(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike, t: ArrayLike) -> Array:
    """Φ^(1,2)(t) = ∫₀ᵗ φ^(1,2) with Eq. (32) as printed. Wrong at T > 0."""
    return (1 - mean_bose(p.minus, T_a, T_b)) * step_rotation(p, T_a, T_b, t)


@jax.jit
def step_rotation(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike, t: ArrayLike) -> Array:
    """Φ^(1,2)(t) with Eq. (32) corrected; ∫ cos(ωτ)e^{−κτ} = [κ + e^{−κt}(ω sin ωt − κ cos ωt)]/(ω²+κ²)."""
    t, kappa = jnp.asarray(t, float), p.gamma_minus / 2
    sine, cosine = jnp.sin(p.minus * t), jnp.cos(p.minus * t)
    grown = 1 + jnp.exp(-kappa * t) * (p.minus / kappa * sine - cosine)
    return static_rotation(p, T_a, T_b) * grown


@jax.jit
def static_kubo(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike) -> Array:
    """Eq. (34), first line: Φ^(1,1)(∞) = −(3ε/ω₊) 4ω₋²/(γ₋²+4ω₋²) (2n̄₋+1), dimensionless."""
    share = 4 * p.minus**2 / (p.gamma_minus**2 + 4 * p.minus**2)
    return share * static_total(p, T_a, T_b)


@jax.jit
def static_rotation_printed(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike) -> Array:
    """Eq. (34), second line, as printed: (3ε/ω₊) γ₋²/(γ₋²+4ω₋²) (n̄₋−1)(2n̄₋+1). Wrong at T > 0."""
    return (1 - mean_bose(p.minus, T_a, T_b)) * static_rotation(p, T_a, T_b)


@jax.jit
def static_rotation(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike) -> Array:
    """Eq. (34), second line, corrected: Φ^(1,2)(∞) = −(3ε/ω₊) γ₋²/(γ₋²+4ω₋²) (2n̄₋+1), dimensionless."""
    share = p.gamma_minus**2 / (p.gamma_minus**2 + 4 * p.minus**2)
    return share * static_total(p, T_a, T_b)


@jax.jit
def static_total(p: OscillatorParameters, T_a: ArrayLike, T_b: ArrayLike) -> Array:
    """Eq. (34) corrected, summed: −(3ε/ω₊)(2n̄₋+1) at every temperature, independent of γ₋."""
    return zero_temperature_limit(p) * (2 * mean_bose(p.minus, T_a, T_b) + 1)


@jax.jit
def zero_temperature_limit(p: OscillatorParameters) -> Array:
    """Eq. (35): Φ^(1,1)(∞) + Φ^(1,2)(∞) → −3ε/ω₊ for T → 0."""
    return jnp.asarray(-3 * p.epsilon / p.plus, float)


@jax.jit
def heisenberg_coefficients(p: OscillatorParameters, tau: ArrayLike) -> Float[Array, "4 ..."]:
    """Eq. (B21): f², f³, f⁴, f⁵, the weights of x₋, y₋, u, v in a†a(τ) (Eq. B15)."""
    tau, field = jnp.asarray(tau, float), p.epsilon / (2 * p.plus)
    slow = jnp.exp(-p.gamma_minus * tau / 2)
    fast = jnp.exp(-(p.gamma_minus + p.gamma_plus) * tau / 2)
    cosine, sine = jnp.cos(2 * p.g * tau) * fast, jnp.sin(2 * p.g * tau) * fast
    return jnp.stack(
        [
            field * (jnp.cos(p.minus * tau) * slow - cosine),
            -field * (jnp.sin(p.minus * tau) * slow + sine),
            -0.5 * cosine,
            -0.5 * sine,
        ]
    )


@functools.partial(jax.jit, static_argnums=(0, 2))
def eigenstate(n: int, delta: ArrayLike, levels: int) -> Float[Array, " levels"]:
    """Eq. (B10): |ψ_n⟩ of ω₋[d†d + δ(d+d†)³] to first order in δ, in the Fock basis of `levels` states."""
    delta = jnp.asarray(delta, float)
    ladder = {
        n: 1.0,
        n + 1: -3.0 * delta * (n + 1) ** 1.5,
        n - 1: 3.0 * delta * n**1.5,
        n + 3: -delta / 3 * ((n + 1) * (n + 2) * (n + 3)) ** 0.5,
        n - 3: delta / 3 * (n * (n - 1) * (n - 2)) ** 0.5 if n >= 3 else 0.0,
    }
    state = jnp.zeros(levels)
    for level, amplitude in ladder.items():
        if 0 <= level < levels:
            state = state.at[level].set(amplitude)
    return state


@functools.partial(jax.jit, static_argnums=0)
def first_order_jump(levels: int) -> Float[Array, "levels levels"]:
    """Eq. (B12): J₋ = d†² − 3d² + 6d†d + 3 in the Fock basis, cut after multiplying."""
    wide = levels + 2
    d = jnp.diag(jnp.sqrt(jnp.arange(1.0, wide)), 1)
    J = d.T @ d.T - 3 * d @ d + 6 * d.T @ d + 3 * jnp.eye(wide)
    return J[:levels, :levels]


@jax.jit
def second_order_energy(n: ArrayLike, delta: ArrayLike, omega: ArrayLike) -> Array:
    """E_n^(2) = −δ²ω(30n² + 30n + 11) of ω d†d + δω(d+d†)³: what "δ ≪ n^{−1/2}" (below B10) rests on."""
    n = jnp.asarray(n, float)
    return -(jnp.asarray(delta) ** 2) * omega * (30 * n**2 + 30 * n + 11)


# Two qubits, Sec. III D and Appendix C -----------------------------------------------------------------------------


@jax.jit
def channel_currents(p: QubitParameters, T_a: ArrayLike, T_b: ArrayLike) -> Float[Array, "2 ..."]:
    """Eq. (42), the two terms apart (ω₋ first): γ ω_ℓ (n_ℓ^a − n_ℓ^b)/(4(n_ℓ^a + n_ℓ^b + 1)). Unit: energy × rate."""

    def channel(omega: ArrayLike) -> Array:
        n_a, n_b = bose(omega, T_a), bose(omega, T_b)
        return p.gamma * omega * (n_a - n_b) / (4 * (n_a + n_b + 1))

    return jnp.stack([channel(p.minus), channel(p.plus)])


@jax.jit
def current_unperturbed(p: QubitParameters, T_a: ArrayLike, T_b: ArrayLike) -> Array:
    """Eq. (42): J₀^a, the heat current from bath a at δ = 0."""
    return channel_currents(p, T_a, T_b).sum(axis=0)


@jax.jit
def current_local_slope(p: QubitParameters, T_a: ArrayLike, T_b: ArrayLike) -> Array:
    """Eq. (43) per unit δΩ: ⟨D₀^a†V⟩/Ω. The slope of the local equation, not of the microscopic current."""
    minus_a, minus_b = bose(p.minus, T_a), bose(p.minus, T_b)
    plus_a, plus_b = bose(p.plus, T_a), bose(p.plus, T_b)
    difference = p.gamma * (minus_a - minus_b + plus_a - plus_b)
    return -difference / (2 * (minus_a + minus_b + 1) * (plus_a + plus_b + 1))


@jax.jit
def split_frequencies(p: QubitParameters, shift: ArrayLike) -> Float[Array, "4 ..."]:
    """Eq. (45): ω₁…ω₄ = ω₋ − 2δΩ, ω₊ − 2δΩ, ω₋ + 2δΩ, ω₊ + 2δΩ."""
    shift = jnp.asarray(shift, float)
    return jnp.stack([p.minus - 2 * shift, p.plus - 2 * shift, p.minus + 2 * shift, p.plus + 2 * shift])


@jax.jit
def split_populations(p: QubitParameters, T_a: ArrayLike, T_b: ArrayLike, shift: ArrayLike) -> Float[Array, "4 ..."]:
    """Steady populations of |00⟩, |−⟩, |+⟩, |11⟩ under the four channels of Eq. (45), in closed form.

    The four channels join the four levels into a ring, 00 –S₁– (−) –S₄– 11 –S₃– (+) –S₂– 00. The steady state of a
    ring is a sum over its spanning trees (Kirchhoff): leave out one edge, and multiply the rates that lead along the
    other three towards the level in question. No term is subtracted, so every population has full relative accuracy.
    """
    T_a, T_b, shift = jnp.broadcast_arrays(*(jnp.asarray(x, float) for x in (T_a, T_b, shift)))
    omega = split_frequencies(p, shift)
    n = mean_bose(omega, T_a, T_b)
    # |S_j|² = ½ for both baths; the mean over baths times two baths gives γ(n̄+1) and γ n̄.
    down, up = p.gamma * (n + 1), p.gamma * n
    # Clockwise from 00: edges 1, 4, 3, 2; `forward` leads on round the ring, `backward` returns.
    forward = [up[0], up[3], down[2], down[1]]
    backward = [down[0], down[3], up[2], up[1]]
    weights = jnp.stack([_towards(forward, backward, level) for level in range(4)])
    ground, lower, top, upper = weights / weights.sum(axis=0)
    return jnp.stack([ground, lower, upper, top])


def _towards(forward: list[Array], backward: list[Array], level: int) -> Array:
    """Sum over the spanning trees of a ring of four rooted at `level`; edge k joins level k with level k+1."""
    total = jnp.zeros(())
    for missing in range(4):
        tree = jnp.ones(())
        ahead = True  # going round from the root: edges before the missing one are walked back, those after it on
        for step in range(4):
            edge = (level + step) % 4
            if edge == missing:
                ahead = False
            else:
                tree = tree * (backward[edge] if ahead else forward[edge])
        total = total + tree
    return total


@jax.jit
def split_channel_currents(
    p: QubitParameters, T_a: ArrayLike, T_b: ArrayLike, shift: ArrayLike
) -> Float[Array, "4 ..."]:
    """Eq. (46), its four terms apart: ω_j (γ n_j^a ⟨S_jS_j†⟩ − γ(n_j^a+1) ⟨S_j†S_j⟩). Unit: energy × rate."""
    T_a, T_b, shift = jnp.broadcast_arrays(*(jnp.asarray(x, float) for x in (T_a, T_b, shift)))
    omega = split_frequencies(p, shift)
    ground, lower, upper, top = split_populations(p, T_a, T_b, shift)
    full = jnp.stack([lower, upper, top, top])  # where S_j starts: |−⟩, |+⟩, |11⟩, |11⟩
    empty = jnp.stack([ground, ground, upper, lower])
    n_a = bose(omega, T_a)
    return p.gamma * omega / 2 * (n_a * empty - (n_a + 1) * full)


@jax.jit
def current_global(p: QubitParameters, T_a: ArrayLike, T_b: ArrayLike, shift: ArrayLike) -> Array:
    """Eq. (46): the heat current from bath a of the split qubits, four channels."""
    return split_channel_currents(p, T_a, T_b, shift).sum(axis=0)
