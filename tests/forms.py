"""What a generator gives in one of its forms, as one program: two forms of one generator must give the same."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxlgks._equations import Dissipation
from jaxlgks._generator import AbstractGenerator

TIMES = jnp.array([0.0, 0.3, 1.0, 1.7])


@eqx.filter_jit
def everything(
    resolved: Dissipation, build: Callable, rho: jax.Array, V: jax.Array, A: jax.Array
) -> dict[str, jax.Array]:
    """L₁ and the changes with the baths, a response at a frequency and in time, and what quantities are made of."""
    L: AbstractGenerator = build(resolved)
    X, H = L.internal(rho), L.energy
    change, thermal = L.first_order(V, X, 2), L.thermal_changes(X)
    return {
        "L₁ by bath": change.baths,
        "changes with the baths": thermal.sources,
        "first-order states": L.core.solve(change.sources, jnp.asarray(0.4)),
        "response": L.resolvent(change.sources, jnp.array([0.4]), L.observable(A[None])),
        "spectrum": L.spectrum(A, V, X, jnp.array([0.4]), instantaneous=True),
        "step": L.propagate(jnp.zeros_like(change.sources), TIMES, L.observable(A[None]), change.sources),
        "L† A": L.adjoint(L.observable(A)),
        "D† H": jnp.stack([D.adjoint(H) for D in L.dissipators()]),
        "currents": L.currents(X),
    }


def assert_same(resolved: Dissipation, first: Callable, second: Callable, case: tuple, tolerance: float) -> None:
    """Each number of `everything` to the tolerance of its largest."""
    one, other = everything(resolved, first, *case), everything(resolved, second, *case)
    for name, x in one.items():
        scale = float(jnp.max(jnp.abs(other[name])))
        np.testing.assert_allclose(x, other[name], rtol=0, atol=tolerance * scale, err_msg=name)
