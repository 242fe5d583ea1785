"""Programs of the suite run one operation at a time: `tests/interpreter.py` reaches into JAX, and would do nothing, in
silence, or something else, if JAX changed. All other tests stand on it."""

import os
from importlib.metadata import version
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


def _agree(function, *cases):
    compiled = jax.jit(function).lower(*cases[0]).compile()
    for case in cases:
        pairs = zip(*(jax.tree.leaves(f(*case)) for f in (jax.jit(function), compiled)), strict=True)
        for a, b in pairs:
            assert (a.dtype, a.shape, a.weak_type) == (b.dtype, b.shape, b.weak_type)
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_programs_are_what_is_compiled():
    """The same numbers, kinds and shapes, where loops end early and where the rest of them is compiled."""
    x = jnp.array([0.3, 1.2, 0.7, 0.9])
    _agree(_everything, (x, 4), (x, 90))


def test_gradients_of_the_library_are_what_is_compiled():
    qubit = lgks.System(P("Z") / 2, lgks.Bath(P("X") + P("Z"), 0.5, lgks.DrudeLorentz(0.01, 2.0)))
    _agree(jax.value_and_grad(lambda d: lgks.steady_state(qubit.perturbed(P("X"), d)).expect(P("Z"))), (0.1,))


@pytest.mark.skipif(not version("jax").startswith("0.9."), reason="written for JAX 0.9 alone")
@pytest.mark.skipif("optimization_level=0" not in os.environ.get("XLA_FLAGS", ""), reason="compiled anyway")
def test_a_program_that_runs_often_is_compiled():
    """Not before: else nothing would be gained."""
    function = jax.jit(lambda x: jnp.sin(x) * x + 2 * jnp.where(x > 0, x, -x))
    x = jnp.ones(3)
    with mock.patch.object(interpreter, "_compile", wraps=interpreter._compile) as compiled:
        for turn in range(interpreter.PERSISTENCE + 2):
            function(x)
            whole = [call for call in compiled.call_args_list if len(call.kwargs["jaxpr"].jaxpr.eqns) > 1]
            assert bool(whole) == (turn >= interpreter.PERSISTENCE)
