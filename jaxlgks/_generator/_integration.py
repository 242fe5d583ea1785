"""Generators kept as operators, carried through time by an integrator.

Takes: a generator, states, times. Returns: the solution of dX/dt = L X + B by Dormand–Prince 8(5,3), in the interaction
picture of H, so that steps follow the decay rates and not the Bohr frequencies.
"""

import functools
from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._bohr import Structure
from .._equations import Dissipator
from .._inputs import as_count, as_flag, as_setting
from ..errors import InputError
from ._matrices import averaged


class Integration(eqx.Module):
    """Options of diffrax."""

    rtol: float
    atol: float
    max_steps: int = eqx.field(static=True)
    meter: diffrax.AbstractProgressMeter
    adjoint: diffrax.AbstractAdjoint


def integration(
    rtol: float = 1e-10,
    atol: float = 1e-12,
    max_steps: int = 1_000_000,
    progress: bool = False,
    adjoint: eqx.Module | None = None,
) -> Integration:
    """Reverse mode unless told otherwise, no progress bar."""
    rtol, atol = as_setting(rtol, "evolve: rtol", 1e-15, 0.1), as_setting(atol, "evolve: atol", 1e-30, 0.1)
    max_steps = as_count(max_steps, "evolve: max_steps", 1, 10**9)
    progress = as_flag(progress, "evolve: progress")
    meter = diffrax.TextProgressMeter() if progress else diffrax.NoProgressMeter()
    if adjoint is None:
        adjoint = diffrax.RecursiveCheckpointAdjoint()
    elif not isinstance(adjoint, diffrax.AbstractAdjoint):
        raise InputError(f"evolve: adjoint must be one of diffrax; got {type(adjoint).__name__}.")
    return Integration(rtol, atol, max_steps, meter, adjoint)


def differentiated_in(tree) -> Bool[Array, ""]:
    """Whether the program that computes this is a derivative in some number of the tree: a constant when compiled."""
    return _marked([x for x in jax.tree.leaves(tree) if eqx.is_inexact_array(x)], False)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _marked(numbers: list[Array], differentiated: bool) -> Bool[Array, ""]:
    del numbers
    return jnp.asarray(differentiated)


@_marked.defjvp
def _marked_jvp(differentiated, primals, tangents):
    del differentiated, tangents
    return _marked(*primals, True), np.zeros((), jax.dtypes.float0)


def fastest(D: Dissipator) -> Float[Array, ""]:
    """The fastest decay rate of a level."""
    return 2 * jnp.max(jnp.diag(D.drift).real)


@eqx.filter_jit
def integrate(
    structure: Structure,
    D: Dissipator,
    start: Array,
    ts: Array,
    A: Array | None,
    drive: Array | None,
    by: Integration,
    halved: bool,
) -> Array:
    """`propagate` with the action D of a generator, its drift with iH, on Hermitian matrices; `halved`: by half of its
    products."""
    frequencies = structure.frequencies
    # What the energies do not hold of iH: zero in value, it carries the derivative in H.
    still = Dissipator(D.left, D.right, D.drift - 1j * jnp.diag(structure.energies), D.mirrored)
    act = jax.vmap(still.halved if halved else still)

    def phases(t: Array) -> Array:
        return jnp.exp(1j * frequencies * (t - ts[0]))  # e^{−i(E_m − E_n)t}

    def field(t, y, _):
        phase = phases(t)
        X = phase * (y[0] + 1j * y[1])
        change = act(X) if drive is None else act(X) + drive
        change = phase.conj() * change
        return jnp.stack([change.real, change.imag])

    # Steps are chosen for the state. Its derivatives move when it does not: with the decay rates, and in H with the
    # Bohr frequencies.
    turning = jnp.maximum(jnp.max(jnp.abs(frequencies)), jnp.finfo(ts.dtype).tiny)
    differentiated = differentiated_in((structure, D, start, drive))
    longest = jnp.where(differentiated, 0.25 / jax.lax.stop_gradient(fastest(D)), jnp.inf)
    in_H = differentiated_in(structure.hamiltonian)
    longest = jnp.where(in_H, jnp.minimum(longest, 0.5 / turning), longest)

    def read(t, y):
        return averaged(phases(t) * (y[0] + 1j * y[1]), A)

    return solved(field, start, ts, read, longest, by)


def solved(field: Callable, start: Array, ts: Array, read: Callable, longest: Array, by: Integration) -> Array:
    """`read(t, y)` at each time of y = (Re X, Im X) with dy/dt = field(t, y, None), in steps no longer than `longest`;
    NaN where there are too many of them."""
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),  # pyright: ignore[reportArgumentType]
        diffrax.Dopri8(),
        t0=ts[0],
        t1=ts[-1],
        dt0=None,
        y0=jnp.stack([start.real, start.imag]),
        saveat=diffrax.SaveAt(ts=ts, fn=lambda t, y, _: read(t, y)),
        stepsize_controller=diffrax.PIDController(rtol=by.rtol, atol=by.atol, dtmax=longest),
        max_steps=by.max_steps,
        progress_meter=by.meter,
        adjoint=by.adjoint,
        throw=False,  # inside a compiled program an error would have no name
    )
    assert solution.ys is not None
    return jnp.asarray(jnp.where(solution.result == diffrax.RESULTS.successful, solution.ys, jnp.nan))
