"""Programs of the suite share one MLIR context: `tests/lowering.py` reaches into JAX, and would do nothing, in silence,
where JAX has changed."""

from importlib.metadata import version

import jax
import jax.numpy as jnp
import pytest


def _context(function):
    return jax.jit(function).lower(1.0).compiler_ir().context


@pytest.mark.skipif(not version("jax").startswith("0.9."), reason="written for JAX 0.9 alone")
def test_programs_share_a_context():
    """Not while another is being lowered: operations of this one would be put where that one is written."""
    shared = _context(jnp.sin)
    assert _context(jnp.cos) is shared
    with shared:
        assert _context(jnp.tan) is not shared
