"""A driven system and its baths carried through time: collocation at the Radau points (Radau IIA, seven stages).

Takes: H(t), what the baths do, a state with the memory of the baths. Returns: a solver for diffrax, of order thirteen,
whose steps follow H(t) alone.

Rates ν_j of a memory reach from the slowest of a bath up to 10⁸ of them; an explicit method would have to follow the
fastest. Collocation is implicit, but here its stages need no Newton iteration, one thing follows from the other. In a
step of length h with the points t_k and the matrix A of their integrals ∫₀^{x_k} ℓ_l,

    V_k = 1 − ih Σ_l A_kl H_l V_l                          a linear system of p·d unknowns, for the evolution of H(t)
    Λ̃_jk = Λ_j(t₀) + h Σ_l A_kl (c_j S̃_l − ν_j Λ̃_jl)       with S̃ = V†SV: divided by 1 + hν_j μ in the eigenbasis of A
    ρ̃_k = ρ(t₀) + h Σ_l A_kl V_l† D_l[V_l ρ̃_l V_l†] V_l     by iteration, since D is weak

The method is stable for any ν_j h (memory that is faster than the step rests on what feeds it), and a state that rests
stays at rest. An error is what the last Legendre polynomial of the slopes contributes: of the order of h^p, above the
true one at the end of a step, which is of the order of h^(2p).
"""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float
from numpy.polynomial import legendre

from .._bohr import dagger
from .._inputs import as_known
from ..errors import InputError
from ._following import Following
from ._integration import Integration, integration

STAGES = 7
"""Between two errors: fewer need more steps; the eigenvectors of A have a condition of 10³ at seven, four times that
with each more."""
FIRST = 1e-3
"""The first step times the largest element of H."""
SWEEPS = 8
"""Iterations for ρ̃, each of which gains a factor of h|D|; the last one is part of the error."""


def _points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x_k in (0, 1], the last at 1, A, and the functional that gives the last Legendre coefficient of a function."""
    x = np.sort(legendre.legroots([0.0] * (STAGES - 1) + [-1.0, 1.0]).real)
    x[-1] = 1.0
    values = legendre.legvander(x, STAGES)
    integrals = (values[:, 2:] - values[:, :-2]) / (2 * np.arange(1, STAGES) + 1)
    inverse = np.linalg.inv(values[:, :-1])
    A = np.concatenate([x[:, None] + 1, integrals], axis=1) @ inverse / 2
    return (x + 1) / 2, A, inverse[-1]


POINTS, INTEGRALS, LAST = _points()
BEFORE = legendre.legvander(-1.0, STAGES - 1)[0] @ np.linalg.inv(legendre.legvander(2 * POINTS - 1, STAGES - 1))
"""The polynomial through the points where the step begins."""
EIGENVALUES, EIGENVECTORS = np.linalg.eig(INTEGRALS)
INVERSE = np.linalg.inv(EIGENVECTORS)


class Polynomial(diffrax.AbstractLocalInterpolation):
    """y between the points of a step, through its start and all points. `ys`: with a leading axis of them."""

    t0: Array
    t1: Array
    ys: Any

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True) -> Any:
        assert t1 is None
        length, nodes = self.t1 - self.t0, np.concatenate([[0.0], POINTS])
        # Of a batch those that have come to the end wait in steps of no length.
        x = (t0 - self.t0) / jnp.where(length == 0, 1.0, length)
        others = [np.delete(nodes, k) for k in range(len(nodes))]
        weights = jnp.stack([jnp.prod((x - o) / (n - o)) for n, o in zip(nodes, others, strict=True)])
        return jax.tree.map(lambda y: jnp.tensordot(weights, y, 1), self.ys)


class Radau(diffrax.AbstractAdaptiveSolver):
    """The solver of a `Motion`; its state is `split`, in a `unit` of energy. (The motion is no argument of diffrax,
    which warns of complex numbers there.)"""

    motion: Any
    unit: Array
    term_structure: ClassVar = diffrax.ODETerm
    interpolation_cls: ClassVar[Callable[..., Polynomial]] = Polynomial

    def order(self, terms: Any) -> int:
        return 2 * STAGES - 1

    def error_order(self, terms: Any) -> int:
        return STAGES

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> None:
        return None

    def func(self, terms: Any, t0: Any, y0: Any, args: Any) -> Any:
        return terms.vf(t0, y0, args)

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Any, Any, dict[str, Any], None, diffrax.RESULTS]:
        motion, h, (rho, memory, heat) = self.motion, t1 - t0, joined(y0, self.unit)
        times = jnp.minimum(t0 + h * POINTS, t1)  # rounding must not leave the times of samples
        H = jax.vmap(motion.hamiltonian)(times)
        V, slip = _turned(motion.hamiltonian(t0), H, h)
        memories, memory_error = (None, None) if memory is None else collocated(motion.baths, memory, V, h)
        kernels = jax.vmap(motion.baths.kernel)(times, memories)

        def flow(turned: Array) -> Array:
            parts = jax.vmap(motion.baths.dissipators)(kernels, V @ turned @ dagger(V))
            return dagger(V) @ jnp.sum(parts, axis=1) @ V

        def sweep(_: Any, pair: tuple[Array, Array]) -> tuple[Array, Array]:
            return rho + h * integrated(flow(pair[0])), pair[0]

        start = jnp.broadcast_to(rho, V.shape)
        turned, before = jax.lax.fori_loop(0, SWEEPS, sweep, (start, start))
        rhos, rates = V @ turned @ dagger(V), flow(turned)
        currents = jax.vmap(motion.currents)(H, kernels, rhos)
        states = rhos, memories, heat + h * integrated(currents)
        missed = jnp.abs(h * last(rates)) + jnp.abs(turned[-1] - before[-1])
        errors = jnp.full_like(rho, (1 + 1j) * (jnp.max(missed) + slip)), memory_error, h * last(currents)
        ys = jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), (rho, memory, heat), states)
        ys = jax.vmap(lambda y: split(y, self.unit))(ys)
        y, errors = jax.tree.map(lambda x: x[-1], ys), split(jax.lax.stop_gradient(errors), self.unit)
        return y, errors, {"ys": ys}, None, diffrax.RESULTS.successful


def _turned(
    start: Complex[Array, "d d"], H: Complex[Array, "p d d"], h: Array
) -> tuple[Complex[Array, "p d d"], Float[Array, ""]]:
    """V at the points, and its error. `start`: H where the step begins, which is no point: a jump before the first one
    shows there alone."""
    p, dim, _ = H.shape
    system = jnp.einsum("kl,lab->kalb", 1j * h * INTEGRALS, H).reshape(p * dim, p * dim)
    identity = jnp.eye(dim, dtype=H.dtype)
    V = jnp.linalg.solve(jnp.eye(p * dim, dtype=H.dtype) + system, jnp.tile(identity, (p, 1))).reshape(H.shape)
    before = start - jnp.tensordot(BEFORE.astype(H.dtype), H @ V, 1)
    return V, jnp.max(jnp.abs(h * last(H @ V)) + jnp.abs(h * POINTS[0] * before))


def collocated(baths: Following, memory: Array, V: Array, h: Array) -> tuple[Array, Array]:
    """Λ_j at the points, [p, n, j, d, d], and their error."""
    turned = dagger(V)[:, None] @ baths.couplings @ V[:, None]
    fed = jnp.einsum("mk,knab->mnab", h * EIGENVALUES[:, None] * INVERSE, turned)
    source = baths.coefficients[:, :, None, None] * fed[:, :, None]
    source = source + np.sum(INVERSE, axis=1)[:, None, None, None, None] * memory
    damped = source / (1 + h * EIGENVALUES[:, None, None] * baths.rates)[..., None, None]
    inside = jnp.tensordot(EIGENVECTORS, damped, 1)
    slopes = baths.coefficients[:, :, None, None] * turned[:, :, None] - baths.rates[:, :, None, None] * inside
    outside = V[:, None, None] @ inside @ dagger(V)[:, None, None]
    return outside, h * last(slopes)


def integrated(values: Array) -> Array:
    """∫₀^{x_k} of a function given at the points, [p, ...]."""
    return jnp.tensordot(INTEGRALS.astype(values.dtype), values, 1)


def last(values: Array) -> Array:
    """What the last Legendre polynomial of values at the points contributes to their integrals."""
    return jnp.tensordot((LAST / (2 * STAGES - 1)).astype(values.dtype), values, 1)


def march(motion: Any, y: Any, ts: Float[Array, " t"], **options: Any) -> Any:
    """What the motion (a `Motion`) reads from y at each time, `split` into real numbers; NaN where the solver gave up.

    **Raises:** `InputError` for options."""
    by = integration(**{"rtol": 1e-9, "atol": 1e-10, "max_steps": 100_000, **options})
    if isinstance(by.adjoint, diffrax.BacksolveAdjoint):
        raise InputError(
            "evolve: BacksolveAdjoint integrates backwards in time, where the memory of the baths grows as e^(ν t) "
            "with the rates ν of its decay. Use RecursiveCheckpointAdjoint(), the default, or ForwardMode()."
        )
    return _marched(motion, y, as_known(ts), by)


@eqx.filter_jit
def _marched(motion: Any, y: Any, ts: Array, by: Integration) -> Any:
    size = jnp.max(jnp.abs(jax.lax.map(motion.hamiltonian, ts)))
    unit = jax.lax.stop_gradient(jnp.maximum(size, jnp.finfo(size.dtype).tiny))

    def slope(t: Array, y: Any, _: Any) -> Any:
        return split(motion.slope(t, joined(y, unit)), unit)

    def reading(t: Array, y: Any, _: Any) -> Any:
        return as_real(motion.reading(t, joined(y, unit)))

    if ts.size == 1:
        return jax.tree.map(lambda x: x[None], as_real(motion.reading(ts[0], y)))
    # Short against all that moves, where baths and system have just met: the fastest memory first.
    first = FIRST * jnp.minimum(ts[-1] - ts[0], 1 / unit)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(slope),  # pyright: ignore[reportArgumentType]
        Radau(motion, unit),
        t0=ts[0],
        t1=ts[-1],
        dt0=first,
        y0=split(y, unit),
        saveat=diffrax.SaveAt(ts=ts, fn=reading),
        stepsize_controller=diffrax.PIDController(by.rtol, by.atol, norm=_largest, dtmax=jnp.max(jnp.diff(ts))),
        max_steps=by.max_steps,
        progress_meter=by.meter,
        adjoint=by.adjoint,
        throw=False,  # inside a compiled program an error would have no name
    )
    good = solution.result == diffrax.RESULTS.successful
    return jax.tree.map(lambda x: jnp.where(good, x, jnp.nan), solution.ys)


def _largest(errors: Any) -> Array:
    """One norm for all: an average over many operators Λ_j would hide an error of ρ."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(x)) for x in jax.tree.leaves(errors)]))


def as_real(tree: Any) -> Any:
    """Complex arrays as their real and imaginary parts along axis 0: diffrax takes real numbers."""
    return jax.tree.map(lambda x: jnp.stack([x.real, x.imag]) if jnp.iscomplexobj(x) else x, tree)


def split(y: Any, unit: Array) -> Any:
    """ρ, memory and heat in real numbers without dimension, to which tolerances refer."""
    rho, memory, heat = y
    return as_real((rho, *jax.tree.map(lambda x: x / unit, (memory, heat))))


def joined(y: Any, unit: Array) -> Any:
    """ρ, memory and heat again."""
    rho, memory, heat = y
    rho, memory = jax.tree.map(lambda x: x[0] + 1j * x[1], (rho, memory))
    return rho, jax.tree.map(lambda x: unit * x, memory), unit * heat
