"""Programs that a public function runs once or a few times, compiled in a hurry.

Takes: a pure function. Returns: the same function, compiled.

For a small system most of a first call goes into XLA's optimiser: `diagnose` of two qubits took 19 CPU seconds, to make
programs fast that run for 60 ms; without it the call takes 9, and the programs run as long. So a program that is called
by itself, on a small system, is compiled without. Inside a program of the user's (`jit`, `vmap`, `grad`, `sweep`,
`fit`) it is part of that one, and optimised with it.
"""

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
from jax.core import trace_ctx

SMALL = 4
"""The largest dimension of a Hamiltonian for which programs are compiled in a hurry: measured, up to 4 a call takes at
most a quarter longer than with optimised ones; at 8, of a Redfield equation, up to twice as long."""

LIMIT = 16 * SMALL**4
"""The largest array, in numbers: programs that loop over more points are worth optimising."""

# The first two are what JAX's own `jax_disable_most_optimizations` asks for; the others belong to one release of XLA,
# which stops at an option that it does not know.
_HURRIED: dict[str, Any] = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
if version("jaxlib").startswith("0.9."):
    _HURRIED |= {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


Function = TypeVar("Function", bound=Callable)


def compiled(function: Function) -> Function:
    """`equinox.filter_jit`, in a hurry where a small system is all that is asked for.

    What has a `dim` says how large it is; where nothing among the arguments does, the program is optimised.
    """
    optimised = eqx.filter_jit(function)

    # The same traced program, so that what is called both by itself and inside others is traced once.
    @functools.partial(eqx.filter_jit, compiler_options=_HURRIED)  # pyright: ignore
    @functools.wraps(function)
    def hurried(*args: Any, **kwargs: Any) -> Any:
        return optimised(*args, **kwargs)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (hurried if _by_itself() and _small((args, kwargs)) else optimised)(*args, **kwargs)

    return cast(Function, call)


def _by_itself() -> bool:
    """Whether no transformation is under way (XLA's options belong to whole programs), on a CPU."""
    return trace_ctx.is_top_level() and jax.default_backend() == "cpu"


def _small(arguments: Any) -> bool:
    dims = [node.dim for node in jax.tree.leaves(arguments, is_leaf=_has_dim) if _has_dim(node)]
    sizes = [x.size for x in jax.tree.leaves(arguments) if eqx.is_array(x)]
    return 0 < max(dims, default=0) <= SMALL and max(sizes, default=0) <= LIMIT


def _has_dim(node: Any) -> bool:
    return hasattr(node, "dim")
