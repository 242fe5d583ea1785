"""Two-time functions of the steady state, by quantum regression.

Enters: a system, two operators, times. Leaves ⟨A(t)B(0)⟩ = Tr[A e^{L₀t}(B π₀)], without the average of either.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex

from .._equations import AbstractEquation, Davies, counted
from .._generator import AbstractGenerator, Partition, find_partition, generator, in_order
from .._inputs import Numbers, as_operator
from .._oscillators import QuasiFree
from .._quasifree import gaussian_correlation
from .._steady import steady_state
from .._system import System
from ._linear import as_delays


def correlation(
    system: System | QuasiFree, A, B, t: Numbers, equation: AbstractEquation = Davies()
) -> Complex[Array, "*t"]:
    """The two-time function of the steady state, by quantum regression,

        C(t) = ⟨A(t) B(0)⟩ = Tr[A e^{L₀t} (B π₀)],     t ≥ 0.

    It goes from ⟨AB⟩ to ⟨A⟩⟨B⟩. Regression holds as far as the master equation does.

    **Arguments:**

    - `system`: a `System`, then A and B are matrices [d, d], Hermitian or not; or a `QuasiFree` model, then they are
      `Polynomial`s, and the result is exact at any occupation (Wick's theorem at two times).
    - `t`: scalar or [t], not negative. `equation`: the master equation.

    **Returns:** complex, the shape of `t`.

    **Raises:** as `steady_state`; `ShapeError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, = lgks.modes(1)
    model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 2.0, lgks.Flat(0.1)))
    lgks.correlation(model, a.dag, a, [0.0, 1.0])     # n e^(it - γt/2), n = 1/(e^(1/2) − 1)
    ```
    """
    t = as_delays(t)
    if isinstance(system, QuasiFree):
        return gaussian_correlation(system, A, B, t, equation)
    A = as_operator(A, "correlation: A", system.dim, hermitian=False).astype(system.hamiltonian.dtype)
    B = as_operator(B, "correlation: B", system.dim, hermitian=False).astype(system.hamiltonian.dtype)
    state = steady_state(system, equation).rho
    L, start, seen = _prepared(system, counted(equation, system), state, A, B, find_partition(system, equation))
    ascending, where = in_order(t, state.real.dtype)
    return _joined(L.propagate(start, ascending, seen), where, t.shape)


@eqx.filter_jit
def _prepared(
    system: System, equation: AbstractEquation, state: Array, A: Array, B: Array, partition: Partition | None
) -> tuple[AbstractGenerator, Array, Array]:
    L = generator(system, equation, partition)
    # Generators are kept for Hermitian arguments (their h.c. is added): Hermitian and anti-Hermitian part apart.
    halves = lambda X: jnp.stack([(X + X.conj().T) / 2, (X - X.conj().T) / 2j])  # noqa: E731
    return L, L.to(halves(B @ state)), L.to(halves(A))


@eqx.filter_jit
def _joined(values: Array, where: Array, shape: tuple[int, ...]) -> Array:
    """From the averages of both halves of A over both of Bπ."""
    unit = jnp.array([1, 1j], values.dtype)
    return jnp.einsum("tsa,s,a->t", values[where], unit, unit).reshape(shape)
