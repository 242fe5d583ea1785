"""Programs that run once are run one operation at a time: to lower and compile them whole takes many times as long.

Takes: a traced program and its arguments, where JAX would compile it. Returns: its results. What IEEE arithmetic
defines to the last bit, and what only moves numbers, is NumPy's (sums may be taken in another order, as by any
compiler); all other operations are XLA's, elementwise ones on arrays of a few sizes, so that the whole suite shares
them. A program that is called again and again is compiled whole, and so are long loops, what acts outside the program,
and what runs on several devices.
"""

import functools
import os
import weakref
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jax._src import core, pjit
from jax._src.interpreters import partial_eval
from jax._src.lax.control_flow.solves import _split_linear_solve_args
from jax._src.sharding_impls import UnspecifiedValue

PATIENCE, PERSISTENCE = 8, 12
"""So many times a program is run one operation at a time before later tests find it compiled; within one test, which
sees the same numbers to the last digit as long as nothing changes."""
LARGE, ENDURANCE = 5_000, 5
"""A program of so many operations is compiled sooner within a test: to run it eight times takes as long as that."""
TURNS, SHORT = 24, 150
"""So many turns of a loop are run so; and, where their number is not known, only if a turn has so few operations, none
of them a loop: what an integrator or a Krylov space does is compiled."""

_compile = pjit._pjit_call_impl_python


def interpret() -> None:
    """From here on, where programs are not optimised anyway. (It is not public in JAX: only for the release it was
    written with.)"""
    if version("jax").startswith("0.9.") and "--xla_backend_optimization_level=0" in os.environ.get("XLA_FLAGS", ""):
        pjit._pjit_call_impl_python = _run_or_compile


def _run_or_compile(*args: Any, jaxpr: Any, **params: Any) -> Any:
    if not _suits(jaxpr, args, params):
        return _compile(*args, jaxpr=jaxpr, **params)
    with core.eval_context(), np.errstate(all="ignore"):
        outs = _run(_live(jaxpr), jaxpr.consts, args)
        outs = [_as_result(x, aval) for x, aval in zip(outs, jaxpr.out_avals, strict=True)]
    return outs, None, None, []


def _as_result(x: Any, aval: Any) -> jax.Array:
    if aval.weak_type:
        return jax._src.lax.lax._convert_element_type(x, aval.dtype, weak_type=True)
    return _on_device(np.asarray(x, aval.dtype)) if isinstance(x, np.ndarray) else x


_calls: "weakref.WeakKeyDictionary[Any, int]" = weakref.WeakKeyDictionary()
_since: "weakref.WeakKeyDictionary[Any, int]" = weakref.WeakKeyDictionary()


def begin_test() -> None:
    """Programs that have been run often are compiled from here on."""
    _since.clear()


def _suits(jaxpr: Any, args: Any, params: Any) -> bool:
    if jaxpr.effects or not _is_program(jaxpr):
        return False
    if not all(isinstance(x, UnspecifiedValue) for x in (*params["in_shardings"], *params["out_shardings"])):
        return False
    if any(isinstance(x, jax.Array) and len(x.devices()) > 1 for x in args):
        return False
    calls = _calls.get(jaxpr, 0)
    before = _since.setdefault(jaxpr, calls)
    _calls[jaxpr] = calls + 1
    return before < PATIENCE and calls - before < (PERSISTENCE if _size(jaxpr) < LARGE else ENDURANCE)


def _weakly_kept(function: Callable) -> Callable:
    kept: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    @functools.wraps(function)
    def wrapped(jaxpr: Any) -> Any:
        if jaxpr not in kept:
            kept[jaxpr] = function(jaxpr)
        return kept[jaxpr]

    return wrapped


@_weakly_kept
def _is_program(jaxpr: Any) -> bool:
    """Not one operation: that is what the operations of programs are compiled as. Of plain numbers only."""
    eqns = jaxpr.jaxpr.eqns
    plain = all(isinstance(v.aval, core.ShapedArray) and isinstance(v.aval.dtype, np.dtype) for v in _variables(jaxpr))
    return plain and (len(eqns) > 1 or (len(eqns) == 1 and eqns[0].primitive.name in _CALLS.keys() - {"scan", "while"}))


@_weakly_kept
def _operations(jaxpr: Any) -> float:
    """How many, those of called programs counted, too many where there are loops."""
    return _counted(jaxpr.jaxpr, loops=np.inf)


@_weakly_kept
def _size(jaxpr: Any) -> float:
    """The same, loops counted as one turn."""
    return _counted(jaxpr.jaxpr, loops=0)


def _counted(plain: Any, loops: float) -> float:
    def of(eqn: Any) -> float:
        held = [x for v in eqn.params.values() for x in (v if isinstance(v, tuple | list) else (v,))]
        held = [x for x in (getattr(x, "jaxpr", x) for x in held) if isinstance(x, core.Jaxpr)]
        inside = sum(_counted(x, loops) for x in held)
        return 1 + inside + (loops if eqn.primitive.name in ("while", "scan") else 0)

    return sum(map(of, plain.eqns))


def _variables(jaxpr: Any) -> list[Any]:
    return [*jaxpr.jaxpr.invars, *(v for eqn in jaxpr.jaxpr.eqns for v in eqn.outvars)]


@_weakly_kept
def _live(jaxpr: Any) -> Any:
    """Without what nobody reads."""
    return partial_eval.dce_jaxpr(jaxpr.jaxpr, [True] * len(jaxpr.jaxpr.outvars), instantiate=True)[0]


def _run(jaxpr: Any, consts: Any, args: Any) -> list[Any]:
    plain = [x if isinstance(x, jax.Array) else np.asarray(x) for x in consts]
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, plain, strict=True))
    values.update(zip(jaxpr.invars, args, strict=True))

    def read(v: Any) -> Any:
        return np.asarray(v.val, v.aval.dtype) if type(v) is core.Literal else values[v]

    for eqn in jaxpr.eqns:
        ins, name = [read(v) for v in eqn.invars], eqn.primitive.name
        if name in _NUMPY and _is_exact(name, eqn):
            aval = eqn.outvars[0].aval
            out = np.asarray(_NUMPY[name](*map(np.asarray, ins), **eqn.params), aval.dtype)
            values[eqn.outvars[0]] = out
        else:
            outs = _CALLS[name](ins, eqn.params) if name in _CALLS else _by_xla(eqn, ins)
            values.update(zip(eqn.outvars, outs, strict=True))
    return [read(v) for v in jaxpr.outvars]


# Operations by NumPy: on any numbers; on real ones.


def _is_exact(name: str, eqn: Any) -> bool:
    kinds = [v.aval.dtype.kind for v in (*eqn.invars, *eqn.outvars)]
    if name == "convert_element_type":
        return "buifc".index(kinds[0]) <= "buifc".index(kinds[1])
    return not set(kinds) & set(_NOT_FOR.get(name, "")) and not (name in _EMPTY and 0 in eqn.invars[0].aval.shape)


def _broadcast(x, *, shape, broadcast_dimensions, sharding):
    aligned = [1] * len(shape)
    for axis, size in zip(broadcast_dimensions, x.shape, strict=True):
        aligned[axis] = size
    return np.broadcast_to(x.reshape(aligned), shape)


def _slice(x, *, start_indices, limit_indices, strides):
    steps = strides or (1,) * x.ndim
    return x[tuple(map(slice, start_indices, limit_indices, steps))]


def _iota(*, dtype, shape, dimension, sharding):
    aligned = [1] * len(shape)
    aligned[dimension] = shape[dimension]
    return np.broadcast_to(np.arange(shape[dimension], dtype=dtype).reshape(aligned), shape)


def _selected(which, *cases):
    return functools.reduce(lambda out, i: np.where(which == i, cases[i], out), range(1, len(cases)), cases[0])


def _dot(x, y, *, dimension_numbers, **params):
    (over_x, over_y), (batch_x, batch_y) = dimension_numbers
    rest_x = [i for i in range(x.ndim) if i not in (*over_x, *batch_x)]
    rest_y = [i for i in range(y.ndim) if i not in (*over_y, *batch_y)]
    batch, m, n = ([a.shape[i] for i in axes] for a, axes in ((x, batch_x), (x, rest_x), (y, rest_y)))
    k = int(np.prod([x.shape[i] for i in over_x], dtype=int))
    left = np.transpose(x, [*batch_x, *rest_x, *over_x]).reshape((*batch, int(np.prod(m, dtype=int)), k))
    right = np.transpose(y, [*batch_y, *over_y, *rest_y]).reshape((*batch, k, int(np.prod(n, dtype=int))))
    return np.matmul(left, right).reshape((*batch, *m, *n))


def _joined(x: Any, y: Any) -> Any:
    z = np.empty(np.broadcast_shapes(x.shape, y.shape), np.result_type(x, np.complex64))
    z.real, z.imag = x, y
    return z


def _plain(function: Callable) -> Callable:
    return lambda *args, **params: function(*args)


def _reduced(function: Callable) -> Callable:
    return lambda x, *, axes, **params: function(x, axis=tuple(axes))


_NUMPY: dict[str, Callable] = {
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "iota": _iota,
    "select_n": _selected,
    "convert_element_type": lambda x, *, new_dtype, **params: x.astype(new_dtype),
    "transpose": lambda x, *, permutation: np.transpose(x, permutation),
    "reshape": lambda x, *, new_sizes, **params: np.reshape(x, new_sizes),
    "squeeze": lambda x, *, dimensions: np.squeeze(x, tuple(dimensions)),
    "concatenate": lambda *xs, dimension: np.concatenate(xs, dimension),
    "rev": lambda x, *, dimensions: np.flip(x, tuple(dimensions)),
    "dot_general": _dot,
    "complex": _joined,
    "reduce_sum": _reduced(np.sum),
    "reduce_and": _reduced(np.all),
    "reduce_or": _reduced(np.any),
    "reduce_max": _reduced(np.max),
    "reduce_min": _reduced(np.min),
}
_NUMPY |= {
    name: _plain(function)
    for name, function in {
        "real": np.real,
        "imag": np.imag,
        "conj": np.conj,
        "neg": np.negative,
        "add": np.add,
        "add_any": np.add,
        "sub": np.subtract,
        "eq": np.equal,
        "ne": np.not_equal,
        "stop_gradient": np.asarray,
        "copy": np.asarray,
        "copy_p": np.asarray,
        "mul": np.multiply,
        "div": np.divide,
        "sqrt": np.sqrt,
        "abs": np.abs,
        "max": np.maximum,
        "min": np.minimum,
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
        "is_finite": np.isfinite,
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "not": np.invert,
    }.items()
}
_EMPTY = {"reduce_max", "reduce_min"}
_NOT_FOR = {"div": "ciu", "sqrt": "c", "abs": "c", "max": "c", "min": "c", "reduce_max": "c", "reduce_min": "c"}


# Operations by XLA.

_ELEMENTWISE = """
    div sqrt rsqrt abs exp exp2 expm1 log log1p sin cos tan sinh cosh tanh asin acos atan atan2 asinh acosh atanh pow
    integer_pow square sign floor ceil round logistic erf erf_inv lgamma digamma cbrt nextafter rem
""".split()  # noqa: SIM905


def _by_xla(eqn: Any, ins: list[Any]) -> list[Any]:
    params = eqn.primitive.get_bind_params(eqn.params)
    if eqn.primitive.name in _ELEMENTWISE:
        shape = eqn.outvars[0].aval.shape
        count = int(np.prod(shape))
        padded = [_padded(np.broadcast_to(x, shape), count) for x in ins]
        return [np.asarray(eqn.primitive.bind(*padded, **params))[:count].reshape(shape)]
    outs = eqn.primitive.bind(*map(_on_device, ins), **params)
    return outs if eqn.primitive.multiple_results else [outs]


def _on_device(x: Any) -> jax.Array:
    return x if isinstance(x, jax.Array) else jax.device_put(x)


def _padded(x: np.ndarray, count: int) -> np.ndarray:
    """As a row of 2^k numbers, the last of them repeated: one program for arrays of many shapes."""
    row = np.empty(1 << max(count - 1, 0).bit_length(), x.dtype)
    row[:count] = x.reshape(-1)
    row[count:] = row[count - 1] if count else 1
    return row


# What holds programs of its own.


def _closed(key: str) -> Callable:
    def call(ins: list[Any], params: Any) -> list[Any]:
        closed = params[key]
        return _run(closed.jaxpr, closed.consts, ins)

    return call


def _chosen(ins: list[Any], params: Any) -> list[Any]:
    which = int(np.clip(int(ins[0]), 0, len(params["branches"]) - 1))
    branch = params["branches"][which]
    return _run(branch.jaxpr, branch.consts, ins[1:])


def _scan(ins: list[Any], params: Any) -> list[Any]:
    length, body = params["length"], params["jaxpr"]
    first, last = params["num_consts"], params["num_consts"] + params["num_carry"]
    if length > TURNS or length == 0:
        return jax.lax.scan_p.bind(*map(_on_device, ins), **params)
    consts, carry, xs = ins[:first], list(ins[first:last]), [np.asarray(x) for x in ins[last:]]
    rows: list[Any] = [None] * length
    for i in range(length)[:: -1 if params["reverse"] else 1]:
        outs = _run(body.jaxpr, body.consts, [*consts, *carry, *(x[i] for x in xs)])
        carry, rows[i] = outs[: len(carry)], outs[len(carry) :]
    return [*carry, *(np.stack([np.asarray(x) for x in each]) for each in zip(*rows, strict=True))]


def _while(ins: list[Any], params: Any) -> list[Any]:
    test, body = params["cond_jaxpr"], params["body_jaxpr"]
    first, last = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    of_test, of_body, carry = ins[:first], ins[first:last], ins[last:]
    if test.out_avals[0].shape or _operations(body) > SHORT:  # a batch, of which each ends when it will
        return jax.lax.while_p.bind(*map(_on_device, ins), **params)
    for _ in range(TURNS):
        if not bool(_run(test.jaxpr, test.consts, [*of_test, *carry])[0]):
            return carry
        carry = _run(body.jaxpr, body.consts, [*of_body, *carry])
    return jax.lax.while_p.bind(*map(_on_device, (*of_test, *of_body, *carry)), **params)


def _solved(ins: list[Any], params: Any) -> list[Any]:
    given, b = _split_linear_solve_args(ins, params["const_lengths"])
    solve = params["jaxprs"].solve
    return _run(solve.jaxpr, solve.consts, [*given.solve, *b])


_CALLS: dict[str, Callable] = {
    "jit": _closed("jaxpr"),
    "custom_jvp_call": _closed("call_jaxpr"),
    "custom_vjp_call": _closed("call_jaxpr"),
    "checkpoint": lambda ins, params: _run(params["jaxpr"], (), ins),
    "cond": _chosen,
    "scan": _scan,
    "while": _while,
    "custom_linear_solve": _solved,
}
