"""One MLIR context for the programs of a process, where JAX makes one for each: making it takes 3 ms, more than most
programs of the suite take, and as each program keeps its own, half of the memory of a worker was contexts. The
programs are the same to the byte."""

from importlib.metadata import version

from jax._src.interpreters import mlir
from jax._src.lib.mlir import ir

_fresh = mlir.make_ir_context
_shared: list[ir.Context] = []


def _context() -> ir.Context:
    """The shared one; what is lowered while another program is being lowered gets its own, since operations would be
    put where that one is written."""
    if ir.Context.current is not None:
        return _fresh()
    if not _shared:
        _shared.append(_fresh())
    return _shared[0]


def share_context() -> None:
    """From here on. (It is not public in JAX: only for the release it was written with, like the flags of XLA.)"""
    if version("jax").startswith("0.9."):
        mlir.make_ir_context = _context


def forget_context() -> None:
    """What no program holds any more is given back; the next program begins a new one."""
    _shared.clear()
