"""Test session set-up: 64-bit numbers, warnings as errors, shapes in signatures checked at run time; and what keeps a
suite of thousands of programs, most of them run once, from being spent on compiling."""

import contextlib
import ctypes
import gc
import os
import resource
from importlib.metadata import version

# Leave out what makes programs fast, and compile each on one thread: the workers fill the cores. With these flags, what
# runs once is not compiled at all (`interpreter.py`). (XLA stops at a flag that it does not know, hence the version;
# `XLA_FLAGS= python -m pytest` tests the programs as users get them.)
if version("jaxlib").startswith("0.9."):
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
        "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
    )
# Two workers fill two cores: threads of BLAS would wait for each other, spinning, in every factorisation.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A program from the cache names the tuning hints it was compiled with, and XLA reports each that is no instruction set
# as an error of the machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import mpmath
import pytest
from jaxtyping import install_import_hook

from tests.interpreter import begin_test, interpret
from tests.lowering import forget_context, share_context

jax.config.update("jax_enable_x64", True)
share_context()
interpret()

# Before anything imports the package: every annotated shape is checked on every call. (It costs a twentieth.)
install_import_hook("jaxlgks", "beartype.beartype")


def pytest_configure(config: pytest.Config) -> None:
    """All workers, the processes that tests start, and the next run share what has been compiled: a program's key is
    its text, its flags and the versions, so that nothing old can be taken for new. `--cache-clear` empties it."""
    folder = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("programs")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_sessionfinish() -> None:
    """What is left is not looked through at the end: pytest collects five times, ten seconds of a worker."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _fifty_digits():
    """mpmath's precision is global: every test begins with the same, whatever another module asked for."""
    with mpmath.workdps(50):
        yield


# Of a worker: all of them, and what else runs, fit into the machine (two into 8 GB).
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
BYTES = min(0.6 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / WORKERS, 4e9)
# A compiled program holds several memory maps, and a process that meets Linux's limit of 65,530 of them dies in the
# middle of a test. (The largest tests make some 5,000.)
MAPS = 40_000


# Tracing makes objects by the hundred thousand, nearly all of which stay: looking for garbage among them again and
# again took a third of the time, and more the longer a worker lived. It is collected when programs are given up.
gc.disable()


@pytest.fixture(autouse=True)
def _programs_are_kept(request):
    """What has been traced and compiled is kept from test to test and module to module, while there is room; not for
    or from a test that changes a setting of the package, which programs know from when they were traced."""
    begin_test()
    changes = "monkeypatch" in request.fixturenames
    if changes:
        jax.clear_caches()
    yield
    if changes:
        jax.clear_caches()
    elif _crowded() or _bytes() > max(BYTES, _floor[0] + 1e9):
        _give_back()


# Compiled since the maps were counted last. To count them takes 20 ms, and most tests compile nothing.
_new = [0]
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _, **__: _new.__setitem__(0, _new[0] + event.endswith("backend_compile_duration"))
)


def _crowded() -> bool:
    """Whether there are too many memory maps."""
    if _new[0] < 100:
        return False
    _new[0] = 0
    return _maps() > MAPS


# What a worker held after it gave back last: what stays is not given back a second time, test after test.
_floor = [0]


def _give_back() -> None:
    """Forget all programs. The C library keeps what they held unless it is told to return it (measured: a third)."""
    jax.clear_caches()
    forget_context()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    _floor[0] = _bytes()


def _maps() -> int:
    try:
        with open("/proc/self/maps", "rb") as maps:
            return maps.read().count(b"\n")
    except OSError:
        return 0


def _bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
