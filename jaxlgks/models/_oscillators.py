"""The paper's two oscillators in a linear field (Sec. III B), in a truncated Fock space.

Takes: frequencies, couplings, temperatures, a cutoff. Returns: the system in the displaced basis of its normal modes,
in which H is diagonal and the truncation spoils nothing but the last levels.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from .._inputs import as_count, as_known, as_positive, as_scalar, as_several, is_concrete
from .._polynomials import Polynomial, modes
from .._quasifree import QuasiFree
from .._spectra import AbstractSpectrum, over_frequency
from .._system import Bath, System
from ..errors import InputError
from ._operators import lowering


class _TwoRates(AbstractSpectrum):
    """γ(ω): the constant rate that belongs to the nearer of the two normal frequencies; Γ(0) = 0 as for `Flat`."""

    rates: Float[Array, " 2"]
    frequencies: Float[Array, " 2"]
    at_zero: ClassVar[Literal["singular"]] = "singular"

    @property
    def dephases_infinitely(self) -> bool:
        return False

    def reduced(self, omega: Float[Array, "..."]) -> Float[Array, "..."]:
        distance = jnp.abs(jnp.abs(omega)[..., None] - self.frequencies)
        return over_frequency(self.rates[jnp.argmin(distance, axis=-1)], omega)


class Oscillators(eqx.Module):
    """Two coupled oscillators: the `system`, and its operators in the same truncated basis.

    `a`, `b` are the oscillators of the paper's Eq. (25), `d_plus`, `d_minus` the normal modes
    d± = (b ± a)/√2 of Eq. (27). `cubic` is V = ω₋ (d₋ + d₋†)³ as in Eq. (B9) and all that follows from it; Eq. (29)
    with these d₋ has the opposite sign.
    """

    system: System
    d_plus: Complex[Array, "d d"]
    d_minus: Complex[Array, "d d"]
    cubic: Complex[Array, "d d"]

    @property
    def a(self) -> Complex[Array, "d d"]:
        """a = (d₊ − d₋)/√2 (Eq. B3)."""
        return (self.d_plus - self.d_minus) / jnp.sqrt(2.0)

    @property
    def b(self) -> Complex[Array, "d d"]:
        """b = (d₊ + d₋)/√2 (Eq. B3)."""
        return (self.d_plus + self.d_minus) / jnp.sqrt(2.0)

    @property
    def occupation(self) -> Complex[Array, "d d"]:
        """a†a."""
        return self.a.conj().T @ self.a


def two_oscillators(
    omega: ArrayLike,
    g: ArrayLike,
    gamma: ArrayLike | tuple[ArrayLike, ArrayLike],
    epsilon: ArrayLike,
    temperatures: Sequence[ArrayLike],
    fock: tuple[int, int] = (3, 14),
) -> Oscillators:
    """Two coupled oscillators in a linear field between two baths (paper, Eqs. 25–26, B1–B5),

        H = ω₊ D†D + ω₋ d₋†d₋ − ε²/ω₊,    D = d₊ + ε/ω₊,    ω± = ω ± g,
        S_a = a + a† = (D + D† − 2ε/ω₊ − d₋ − d₋†)/√2,    S_b the same with + d₋.

    The displaced mode D is truncated, not d₊: H is diagonal there and its ground state exact at any field.

    **Arguments:**

    - `omega`, `g`, `epsilon`: frequency, coupling, field; energies with ω > |g|.
    - `gamma`: the constant rate γ of both baths, or (γ₋, γ₊), one for each normal frequency.
    - `temperatures`: (T_a, T_b).
    - `fock`: numbers of levels kept of D and of d₋. A steady state with more than 1e−8 in the last levels is refused
      (`TruncationError`).

    **Returns:** `Oscillators`.

    **Raises:** `InputError`, `TemperatureError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    model = lgks.models.two_oscillators(100.0, 90.0, 1.0, 5.0, temperatures=(3.0, 3.5), fock=(2, 12))
    dense = lgks.Dense()  # compiled in an eighth of the time of this spectrum's many blocks
    lgks.response(model.system, model.cubic, model.occupation, solver=dense).static().total
    ```
    """
    first, second = as_several(fock, "two_oscillators: fock", 2)
    fock = as_count(first, "two_oscillators: fock", 2, 1000), as_count(second, "two_oscillators: fock", 2, 1000)
    omega, g, epsilon, spectrum = _numbers("two_oscillators", omega, g, gamma, epsilon, temperatures)
    plus, minus = omega + g, omega - g

    D = jnp.kron(lowering(fock[0]), jnp.eye(fock[1]))
    d_minus = jnp.kron(jnp.eye(fock[0]), lowering(fock[1]))
    levels_plus, levels_minus = jnp.arange(fock[0]), jnp.arange(fock[1])
    energies = plus * levels_plus[:, None] + minus * levels_minus[None, :] - epsilon**2 / plus
    identity = jnp.eye(fock[0] * fock[1], dtype=complex)
    d_plus = D - epsilon / plus * identity
    # (d + d†)³ needs the matrix elements of the untruncated power: cut after multiplying, not before.
    x = lowering(fock[1] + 3)
    x = x + x.conj().T
    cubic = minus * jnp.kron(jnp.eye(fock[0]), (x @ x @ x)[: fock[1], : fock[1]])
    x_plus, x_minus = d_plus + d_plus.conj().T, d_minus + d_minus.conj().T
    edge = (levels_plus[:, None] == fock[0] - 1) | (levels_minus[None, :] == fock[1] - 1)
    system = System(
        jnp.diag(energies.reshape(-1)),
        (
            Bath((x_plus - x_minus) / jnp.sqrt(2.0), temperatures[0], spectrum, "a"),
            Bath((x_plus + x_minus) / jnp.sqrt(2.0), temperatures[1], spectrum, "b"),
        ),
        edge=jnp.diag(edge.reshape(-1).astype(float)),
    )
    return Oscillators(system, d_plus, d_minus, cubic)


def _numbers(
    who: str, omega: ArrayLike, g: ArrayLike, gamma, epsilon: ArrayLike, temperatures: Sequence[ArrayLike]
) -> tuple[Array, Array, Array, AbstractSpectrum]:
    """Checked arguments of both models; the density of the baths last."""
    as_several(temperatures, f"{who}: temperatures", 2)
    numbers = {"omega": omega, "g": g, "epsilon": epsilon}
    omega, g, epsilon = (as_known(as_scalar(x, f"{who}: {name}"), float) for name, x in numbers.items())
    if is_concrete(omega, g) and not np.asarray(omega) > abs(np.asarray(g)):
        raise InputError(f"{who}: both normal frequencies omega ± g must be positive; got {omega} ± {g}.")
    both = as_several(gamma, f"{who}: gamma", 2) if isinstance(gamma, tuple | list) else (gamma, gamma)
    positive = [as_positive(rate, f"{who}: gamma", InputError, "a rate") for rate in both]
    return omega, g, epsilon, _TwoRates(jnp.stack(positive), jnp.stack([omega - g, omega + g]))


class QuasiFreeOscillators(eqx.Module):
    """The same two oscillators without a Fock space: `system` is a `QuasiFree` model, operators are `Polynomial`s."""

    system: QuasiFree
    d_plus: Polynomial
    d_minus: Polynomial
    cubic: Polynomial

    @property
    def a(self) -> Polynomial:
        """a = (d₊ − d₋)/√2 (Eq. B3)."""
        return modes(2)[0]

    @property
    def b(self) -> Polynomial:
        """b = (d₊ + d₋)/√2 (Eq. B3)."""
        return modes(2)[1]

    @property
    def occupation(self) -> Polynomial:
        """a†a."""
        return self.a.dag * self.a


def quasifree_oscillators(
    omega: ArrayLike,
    g: ArrayLike,
    gamma: ArrayLike | tuple[ArrayLike, ArrayLike],
    epsilon: ArrayLike,
    temperatures: Sequence[ArrayLike],
) -> QuasiFreeOscillators:
    """Two coupled oscillators in a linear field between two baths (paper, Eqs. 25–26), at any temperature,

        H₀ = ω(a†a + b†b) + g(a†b + b†a) + (ε/√2)(a + a† + b + b†),     S_a = a + a†,     S_b = b + b†.

    **Arguments:** as `two_oscillators`, without a cut. **Returns:** `QuasiFreeOscillators`.

    **Raises:** `InputError`, `TemperatureError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    model = lgks.models.quasifree_oscillators(100.0, 90.0, 1.0, 5.0, temperatures=(2000.0, 2100.0))
    lgks.steady_state(model.system).expect(model.occupation)                          # 107.4, paper, Eq. (30)
    lgks.response(model.system, model.cubic, model.occupation).static().total         # -32.3685
    ```
    """
    omega, g, epsilon, spectrum = _numbers("quasifree_oscillators", omega, g, gamma, epsilon, temperatures)
    a, b = modes(2)
    field = a + a.dag + b + b.dag
    H = omega * (a.dag * a + b.dag * b) + g * (a.dag * b + b.dag * a) + epsilon * (field / np.sqrt(2.0))
    baths = (Bath(a + a.dag, temperatures[0], spectrum, "a"), Bath(b + b.dag, temperatures[1], spectrum, "b"))
    minus = (b - a) / np.sqrt(2.0)
    cubic = (minus + minus.dag) ** 3
    return QuasiFreeOscillators(QuasiFree(H, baths), (a + b) / np.sqrt(2.0), minus, omega * cubic - g * cubic)
