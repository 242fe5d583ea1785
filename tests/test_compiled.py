"""Programs compiled in a hurry: which are, and that no transformation meets them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlgks import _compiled
from jaxlgks._bohr import find_structure


@_compiled.compiled
def _spread(structure, x):
    return x * (structure.energies[-1] - structure.energies[0])


def test_options_are_known_to_the_compiler():
    """A release of XLA that does not know one would refuse every program of a small system."""
    program = jax.jit(jnp.sin, compiler_options=_compiled._HURRIED).lower(1.0).compile()
    np.testing.assert_allclose(program(1.0), np.sin(1.0), rtol=1e-14)


@pytest.mark.parametrize(("dim", "points", "small"), [(4, 1, True), (5, 1, False), (4, _compiled.LIMIT + 1, False)])
def test_small_systems_are_compiled_in_a_hurry(dim, points, small):
    """By their dimension, and by how much they are asked; what has no dimension is optimised."""
    structure = find_structure(jnp.diag(jnp.arange(dim) + 0j))
    assert _compiled._small((structure, jnp.ones(points))) == small
    assert not _compiled._small(jnp.ones(2))


def test_inside_a_transformation_a_program_is_part_of_it():
    """Options belong to whole programs: JAX refuses them inside others, in reverse mode too."""
    structure = find_structure(jnp.diag(jnp.arange(3) + 0j))
    asked = []

    def f(x):
        asked.append(_compiled._by_itself())
        return _spread(structure, x)

    assert float(f(1.5)) == 3.0
    assert float(jax.jit(f)(1.5)) == 3.0
    assert float(jax.grad(f)(1.5)) == float(jax.jacfwd(f)(1.5)) == 2.0
    np.testing.assert_array_equal(jax.vmap(f)(jnp.arange(2.0)), [0.0, 2.0])
    assert asked[0]
    assert not any(asked[1:])
