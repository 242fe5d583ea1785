"""Test session set-up: 64-bit numbers, warnings as errors, shapes in signatures checked at run time."""

import os
from importlib.metadata import version

# The suite compiles thousands of programs and runs each once or twice: leave out what makes them fast. (XLA stops at
# a flag that it does not know, hence the version; `XLA_FLAGS= python -m pytest` tests the programs as users get them.)
if version("jaxlib").startswith("0.9."):
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false")

import jax
import mpmath
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)

# Before anything imports the package: every annotated shape is checked on every call.
install_import_hook("jaxlgks", "beartype.beartype")


@pytest.fixture(autouse=True)
def _fifty_digits():
    """mpmath's precision is global: every test begins with the same, whatever another module asked for."""
    with mpmath.workdps(50):
        yield


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_end_with_their_module():
    """A compiled program holds several memory maps; a process that keeps all of this suite's meets Linux's limit of
    65,530 of them, and dies in the middle of a test."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _programs_of_slow_tests_end_with_them(request):
    """They are the large ones."""
    yield
    if request.node.get_closest_marker("slow"):
        jax.clear_caches()
