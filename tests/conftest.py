"""Test session set-up: 64-bit numbers, warnings as errors, shapes in signatures checked at run time."""

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)

# Before anything imports the package: every annotated shape is checked on every call.
install_import_hook("jaxlgks", "beartype.beartype")


@pytest.fixture(autouse=True)
def _compiled_programs_do_not_pile_up(request):
    """Long sessions compile thousands of programs; drop them between modules' slow tests."""
    yield
    if request.node.get_closest_marker("slow"):
        jax.clear_caches()
