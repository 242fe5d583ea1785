"""Programs of the suite run one operation at a time: `tests/interpreter.py` reaches into JAX, and would do nothing, in
silence, or something else, if JAX changed. All other tests stand on it."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from tests import interpreter

P = lgks.models.pauli


def _everything(x, n):
    """Operations of every kind, and what holds programs of its own."""
    z = jax.lax.complex(x, x[::-1] ** 2)
    M = jnp.outer(z, z.conj()) + 3 * jnp.eye(x.size)
    y = jnp.linalg.solve(M, z) / (z + 2)
    long = jax.lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, jnp.cos(c[1]) + 0.1 * x), (0, x))[1]
    short = jax.lax.fori_loop(0, 5, lambda i, c: c + i * jnp.sin(c), x)
    scanned = jax.lax.scan(lambda c, a: (c * a, c + a), jnp.ones(()), x, reverse=True)[1]
    branch = jax.lax.switch(n % 3, [jnp.exp, jnp.expm1, jnp.log1p], x)
    kind = jnp.select([x > 1, x > 0.5], [x, -x], 2 * x)
    sums = jnp.stack([jnp.max(x), jnp.min(x), jnp.prod(x), jnp.sum(x**3), jnp.mean(jnp.abs(y))])
    contracted = jnp.einsum("ij,kj,k->i", M, M.conj(), z).real
    return long, short, scanned, branch, kind, sums, contracted, y, jnp.sort(x)[jnp.argsort(-x)], (x > 0.6) & (x < 1)


def _agree(function, *arguments):
    here = jax.tree.leaves(jax.jit(function)(*arguments))
    compiled = jax.tree.leaves(jax.jit(function).lower(*arguments).compile()(*arguments))
    for a, b in zip(here, compiled, strict=True):
        assert (a.dtype, a.shape, a.weak_type) == (b.dtype, b.shape, b.weak_type)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n", [4, 90])
def test_programs_are_what_is_compiled(n):
    """The same numbers, kinds and shapes, where loops end early and where the rest of them is compiled."""
    _agree(_everything, jnp.array([0.3, 1.2, 0.7, 0.9]), n)


def test_gradients_of_the_library_are_what_is_compiled():
    system, V = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4)), P("ZZ")
    _agree(jax.value_and_grad(lambda d: lgks.heat_currents(system.perturbed(V, d))[0]), 0.1)


def test_a_program_that_runs_often_is_compiled():
    """Not before: else nothing would be gained."""
    function = jax.jit(lambda x: jnp.sin(x) * x + 2 * jnp.where(x > 0, x, -x))
    x = jnp.ones(3)
    with mock.patch.object(interpreter, "_compile", wraps=interpreter._compile) as compiled:
        for turn in range(interpreter.PERSISTENCE + 2):
            function(x)
            whole = [call for call in compiled.call_args_list if len(call.kwargs["jaxpr"].jaxpr.eqns) > 1]
            assert bool(whole) == (turn >= interpreter.PERSISTENCE)
