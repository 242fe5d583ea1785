"""Drives, and systems under them.

Takes: Hermitian operators V_k, functions f_k(t), a system. Returns: the `DrivenSystem` of

    H(t) = H₀ + Σ_k f_k(t) V_k,

a pytree, every number of which can be differentiated. What follows from it in time is `evolve`, at rest in a steady
cycle `cycle`.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ._inputs import as_array, as_function, as_operator, as_positive, described, is_concrete, require_finite
from .errors import InputError, ShapeError
from .pulses import Samples

PROBES = np.array([0.0, 0.1273, 0.3181, 0.5772, 0.8319])
"""Parts of a period at which a function is asked whether it has that period."""
UNEQUAL = 1e-6
"""Of the largest value: two of a function a period apart that differ by more; and of a period, two periods."""

DOORS = (
    "A system under drives has no generator at rest. States, heat and work in time are evolve(driven, rho0, ts, "
    "equation), steady cycles cycle(driven, equation); diagnose(driven), without V and delta, says whether dissipators "
    "may follow the drive at once. driven.at(t) is the system with the Hamiltonian of one moment, driven.system that "
    "without drives."
)
"""What functions for a system at rest say to one."""


class Drive(eqx.Module):
    """A term f(t) V of a Hamiltonian.

    **Arguments:**

    - `V`: Hermitian, [d, d].
    - `f`: a real JAX function of t (one of `pulses`, `periodic(...)`, an `equinox.Module` whose numbers are to be
      differentiated, any other), or real samples [t] at the `times`.
    - `period`: of f, where it has one; that of `periodic(...)` is known. f must repeat by itself, nothing is cut.
    - `times`: those of samples, ascending, [t]; with a period inside one, its end left out.

    **Raises:** `NotHermitianError`, `ShapeError`; `InputError` for a function that is not real, cannot be traced, is
    not finite or does not have the period.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp, jaxlgks as lgks
    lgks.Drive(lgks.models.pauli("Z"), lambda t: 0.2 * jnp.cos(1.3 * t), period=2 * jnp.pi / 1.3)
    ```
    """

    V: Complex[Array, "*batch d d"]
    f: Callable[[Any], Any]
    period: Float[Array, "*batch"] | None

    def __init__(self, V: Any, f: Any, period: Any = None, *, times: Any = None):
        self.V = as_operator(V, "Drive: V")
        own = getattr(f, "period", None)
        self.period = own if period is None else as_positive(period, "Drive: period", InputError, "a time")
        if not callable(f):
            if times is None:
                raise InputError(f"Drive: f must be a function of t, or samples beside times=; got {described(f)}.")
            f = Samples(times, as_array(f, "Drive: f", ShapeError, "a function of t, or real samples [t]"), self.period)
        elif times is not None:
            raise InputError("Drive: times= belongs to samples; f is a function here. Leave times out.")
        as_function(f, "Drive: f")
        _require_same_period(f, own, self.period)
        # A bare function holds no numbers: as a Partial it is a pytree without leaves.
        held: Any = f if isinstance(f, eqx.Module) else jax.tree_util.Partial(f)
        self.f = held
        self._require_function()

    def __call__(self, t: Any) -> Complex[Array, "d d"]:
        """f(t) V."""
        return jnp.asarray(self.f(t)).astype(self.V.dtype) * self.V

    def _require_function(self) -> None:
        """Raise for an f that is no real function of a real time, or has not its period."""
        try:
            kind = eqx.filter_eval_shape(self.f, jax.ShapeDtypeStruct((), jnp.float64))
        except (TypeError, jax.errors.JAXTypeError) as problem:
            raise InputError(
                "Drive: f must be a JAX function of one time t (jax.numpy, no `if` on t, nothing of math or NumPy): "
                f"{problem}"
            ) from problem
        if isinstance(kind, bool | int | float | complex):
            kind = jax.ShapeDtypeStruct((), np.result_type(kind))
        if not hasattr(kind, "dtype"):
            raise InputError(f"Drive: f(t) must be a real number for a time t; got {described(kind)}.")
        if kind.shape != () or not jnp.issubdtype(kind.dtype, jnp.floating):
            raise InputError(
                f"Drive: f(t) must be a real scalar for a scalar t; got {kind.dtype} of shape {tuple(kind.shape)}. A "
                "complex amplitude is two drives, one for its real and one for its imaginary part."
            )
        if self.period is None or isinstance(self.f, Samples) or not is_concrete(self.f, self.period):
            return
        with jax.ensure_compile_time_eval():
            start = PROBES * float(self.period)
            values = [[self.f(x) for x in t] for t in (start, start + float(self.period))]
        if not is_concrete(values):  # a number of f is traced where f cannot show it
            return
        early, late = np.array(values)
        require_finite(early, "Drive: f(t)")
        if np.max(np.abs(late - early)) > UNEQUAL * max(np.max(np.abs(early)), np.finfo(float).tiny):
            raise InputError(
                f"Drive: f does not have the period {float(self.period):.6g}: values a period apart are "
                f"{early[np.argmax(np.abs(late - early))]:.6g} and {late[np.argmax(np.abs(late - early))]:.6g}."
            )


def _require_same_period(f: Any, own: Any, period: Any) -> None:
    """Raise where samples repeat after another time than their drive is said to."""
    if not isinstance(f, Samples) or period is None or not is_concrete(own, period):
        return
    turns = 0.0 if own is None else float(period) / float(own)
    if round(turns) < 1 or abs(turns - round(turns)) > UNEQUAL * turns:
        got = "do not repeat" if own is None else f"repeat after {float(own):.6g}"
        raise InputError(
            f"Drive: the samples {got}, and the period is said to be {float(period):.6g}. Make them with the same one, "
            "Samples(times, values, period), or pass times and values to Drive."
        )


class DrivenSystem(eqx.Module):
    """A `System` under drives, H(t) = H₀ + Σ_k f_k(t) V_k; made by `system.driven(...)`.

    - `system`: H₀, baths. `drives`: the terms.
    """

    system: Any
    drives: tuple[Drive, ...]

    @property
    def dim(self) -> int:
        """Dimension d of the Hilbert space."""
        return self.system.dim

    @property
    def baths(self) -> Any:
        """Those of the system."""
        return self.system.baths

    @property
    def period(self) -> Float[Array, ""]:
        """Of H(t): that of all drives.

        **Raises:** `InputError` where a drive has none, or drives have different ones."""
        periods = [drive.period for drive in self.drives]
        known = [period for period in periods if period is not None]
        if len(known) < len(periods):
            raise InputError(
                "a cycle needs a period: give it to every Drive(V, f, period=...), or use lgks.periodic(harmonics, "
                "omega). A drive without one is for evolve."
            )
        if is_concrete(known) and np.ptp([float(x) for x in known]) > UNEQUAL * float(known[0]):
            raise InputError(
                "the drives must have one common period (a multiple of each own one will do: f need only repeat after "
                f"it); got {[float(f'{float(x):.6g}') for x in known]}."
            )
        return known[0]

    def hamiltonian(self, t: Any) -> Complex[Array, "d d"]:
        """H(t) at one time."""
        return self.system.hamiltonian + sum(drive(t) for drive in self.drives)

    def rate(self, t: Any) -> Complex[Array, "d d"]:
        """dH/dt, whose average is the power that the drives put in."""
        return jax.jvp(self.hamiltonian, (jnp.asarray(t, float),), (jnp.ones(()),))[1]

    def at(self, t: Any) -> Any:
        """The system with the Hamiltonian that it has at a time."""
        return eqx.tree_at(lambda s: s.hamiltonian, self.system, self.hamiltonian(t))


def driven_by(system: Any, drives: tuple[Any, ...]) -> DrivenSystem:
    """`System.driven`."""
    if not drives or not all(isinstance(drive, Drive) for drive in drives):
        got = ", ".join(described(drive) for drive in drives if not isinstance(drive, Drive)) or "nothing"
        raise InputError(f"driven: one or more lgks.Drive(V, f) are expected; got {got}.")
    for position, drive in enumerate(drives):
        if drive.V.shape[-1] != system.dim:
            raise ShapeError(
                f"driven: V of drive {position} must act on the space of the Hamiltonian, [{system.dim}, "
                f"{system.dim}]; got shape {tuple(drive.V.shape)}."
            )
    cast = [eqx.tree_at(lambda d: d.V, drive, drive.V.astype(system.hamiltonian.dtype)) for drive in drives]
    return DrivenSystem(system, tuple(cast))
