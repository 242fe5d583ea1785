"""Which master equation may I use? A verdict for one system and one perturbation.

Enters: a system, a perturbation V, its strength δ. Leaves: what V does to levels and transitions to first order, how
that compares with relaxation and with the memory of the baths, in numbers and in words.

A group of equal Bohr frequencies that V splits by ν stays coherent while ντ ≪ 1 and falls apart for ντ ≫ 1, τ its
relaxation time (paper, Sec. III C). Equations that treat frequencies apart need the second, those that freeze the
dissipator the first; the unified equation with its clusters fixed is smooth through both. Inside a cluster a Lamb shift
competes with the splitting: whether it matters is found by computing with and without.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from .._bohr import Structure, bohr_structure
from .._equations import Davies, Local, Unified, correlation_time, relaxation_rate, separation, transition_rates
from .._inputs import as_operator, as_scalar, is_concrete
from .._observables import heat_currents
from .._oscillators import QuasiFree
from .._polynomials import as_polynomial
from .._system import System
from ..errors import InputError, LambShiftError, SingularDensityError
from ._oscillators_diagnosis import Facts, oscillator_facts

SMALL, LARGE = 0.1, 10.0
"""ντ below the first: the group is whole; above the second: it has fallen apart."""
NEGLIGIBLE = 1e-9
"""First-order shifts below this fraction of the largest element of V are none."""
LOCAL_LIMIT = 0.01
"""Relative error of the heat-current response from which on the local equation is called out of range."""
LAMB_LIMIT = 0.02
"""Relative change of heat currents or their response from which on a Lamb shift is called for."""


class Diagnosis(eqx.Module):
    """The result of `diagnose`; `print` shows it in words.

    - `level_shifts`: δ × first-order energies, [d], in the order of the levels; inside a level ascending.
    - `rotation`: max |δ V_mn/(E_n − E_m)| between levels, the angle by which eigenvectors turn.
    - `frequencies`, `members`, `splittings`, `relaxation_times`, `nu_tau`: for each coupled group of equal Bohr
      frequency ω ≥ 0: ω, number of transitions, ν at δ, τ, ντ, [groups].
    - `separation`: smallest distance of different coupled Bohr frequencies at δ = 0, over their decay rate.
    - `correlation_times`: τ_B of each bath, [baths]. `relaxation_rate`: Γ_R, the fastest decay of a level.
    - `cluster_width`: the automatic width of `Unified`. `clusters_change`: whether its clusters at δ differ from those
      at 0, so that its response jumps unless they are fixed.
    - `local_error`: relative error of the local equation in the slope of the heat currents.
    - `lamb_effect`: relative change of the heat currents or of their slope, the larger, by the Lamb shift of `Unified`.
      Either is NaN where it cannot be found (a density without the derivative or the Lamb shift, no current).
    - `regime`: "eigenvectors only", "shift without splitting", "local", "crossover" or "global".
    - `equation`: the equation to use, or that there is none. `valid`: (equation, whether in its range, why), for each.
    """

    level_shifts: Float[Array, " d"]
    rotation: Float[Array, ""]
    frequencies: Float[Array, " g"]
    members: Int[Array, " g"]
    splittings: Float[Array, " g"]
    relaxation_times: Float[Array, " g"]
    nu_tau: Float[Array, " g"]
    separation: Float[Array, ""]
    correlation_times: Float[Array, " baths"]
    relaxation_rate: Float[Array, ""]
    cluster_width: Float[Array, ""]
    local_error: Float[Array, ""]
    lamb_effect: Float[Array, ""]
    clusters_change: bool = eqx.field(static=True)
    regime: str = eqx.field(static=True)
    equation: str = eqx.field(static=True)
    valid: tuple[tuple[str, bool, str], ...] = eqx.field(static=True)

    def __str__(self) -> str:
        lines = [
            f"regime: {self.regime}; use {self.equation}",
            f"  levels move by up to {float(jnp.max(jnp.abs(self.level_shifts))):.4g}, eigenvectors turn by up to "
            f"{float(self.rotation):.2g} rad",
            f"  relaxation rate {float(self.relaxation_rate):.4g}, memory of the baths "
            f"{float(jnp.max(self.correlation_times)):.4g}, product "
            f"{float(self.relaxation_rate * jnp.max(self.correlation_times)):.2g} (weak coupling needs ≪ 1)",
            f"  {'frequency':>14}{'transitions':>13}{'splitting ν':>14}{'τ':>12}{'ντ':>12}",
        ]
        for row in zip(
            self.frequencies, self.members, self.splittings, self.relaxation_times, self.nu_tau, strict=True
        ):
            omega, count, nu, tau, product = (float(x) for x in row)
            lines.append(f"  {omega:>14.6g}{int(count):>13d}{nu:>14.4g}{tau:>12.4g}{product:>12.3g}")
        lines += [f"  {name}: {'in range' if good else 'OUT OF RANGE'} ({why})" for name, good, why in self.valid]
        if self.clusters_change:
            lines.append(
                f"  The clusters of Unified (width {float(self.cluster_width):.4g}) change between 0 and δ: its "
                "response jumps there. Use Unified().fixed(system) for a derivative."
            )
        return "\n".join(lines)


def diagnose(system: System | QuasiFree, V, delta: ArrayLike) -> Diagnosis:
    """Which regime H → H + δV is in, and which master equation describes it.

    **Arguments:** `system`; `V`: Hermitian, [d, d]; `delta`: the strength δ. Values must be known (not inside `jit`).
    Of a `QuasiFree` model V is a `Polynomial`, a group is a normal frequency with all modes that share it, shifts are
    those of normal frequencies, and the rotation is that of a typical state of the steady state.

    **Returns:** `Diagnosis`.

    **Raises:** `NotHermitianError`, `ShapeError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    system = lgks.models.two_qubits(omega=1000.0, g=200.0, gamma=1.0, temperatures=(60.0, 40.0))
    print(lgks.diagnose(system, lgks.models.pauli("ZZ"), delta=50.0))
    ```
    """
    delta = as_scalar(delta, "the strength delta of the perturbation")
    if isinstance(system, QuasiFree):
        polynomial = as_polynomial(V, "the perturbation V", system.modes)
        _require_known(system, polynomial, delta)
        return _of_oscillators(oscillator_facts(system, polynomial, float(delta)))
    V = as_operator(V, "the perturbation V", system.dim).astype(system.hamiltonian.dtype)
    _require_known(system, V, delta)
    structure = bohr_structure(system.hamiltonian)
    moved, shifts, rotation = _first_order(structure, V, float(delta))
    frequencies, members, splittings, times = _groups(moved, system, shifts)
    distance = separation(structure, Davies().partition(structure, system), transition_rates(structure, system))
    memory = jnp.stack([correlation_time(structure, alone) for alone in system.one_by_one])
    fast = relaxation_rate(structure, system)
    unified = Unified()
    before, after = (unified.groups(s).count for s in (system, system.perturbed(V, delta)))
    local_error, lamb_effect = _compared(system, V)
    nu_tau = splittings * times
    size = NEGLIGIBLE * float(jnp.max(jnp.abs(delta * V)))
    regime = _regime(moved, system, shifts, splittings, nu_tau, size)
    weakness = float(fast * jnp.max(memory))
    valid = _judged(regime, float(distance), weakness, float(local_error), float(lamb_effect))
    return Diagnosis(
        level_shifts=shifts,
        rotation=rotation,
        frequencies=frequencies,
        members=members,
        splittings=splittings,
        relaxation_times=times,
        nu_tau=nu_tau,
        separation=distance,
        correlation_times=memory,
        relaxation_rate=fast,
        cluster_width=unified.gap(structure, system),
        local_error=local_error,
        lamb_effect=lamb_effect,
        clusters_change=before != after,
        regime=regime,
        equation=_recommended(valid, weakness, float(lamb_effect)),
        valid=valid,
    )


def _require_known(*values) -> None:
    if not is_concrete(*values):
        raise InputError(
            "diagnose: its verdict is in words and needs known values; call it outside jit, vmap and grad."
        )


def _of_oscillators(facts: Facts) -> Diagnosis:
    """The verdict on numbers that were found without a Fock space."""
    nu_tau = facts.splittings * facts.times
    regime = _named(
        facts.coupled_shift > facts.size or bool(jnp.any(facts.splittings > facts.size)),
        bool(jnp.any(facts.splittings > facts.size)),
        float(jnp.max(nu_tau)),
    )
    weakness, lamb_effect = float(facts.fast * jnp.max(facts.memory)), float(facts.lamb_effect)
    valid = _judged(regime, float(facts.separation), weakness, float(facts.local_error), lamb_effect)
    return Diagnosis(
        level_shifts=facts.shifts,
        rotation=facts.rotation,
        frequencies=facts.frequencies,
        members=facts.members,
        splittings=facts.splittings,
        relaxation_times=facts.times,
        nu_tau=nu_tau,
        separation=facts.separation,
        correlation_times=facts.memory,
        relaxation_rate=facts.fast,
        cluster_width=facts.width,
        local_error=facts.local_error,
        lamb_effect=facts.lamb_effect,
        clusters_change=facts.clusters_change,
        regime=regime,
        equation=_recommended(valid, weakness, lamb_effect),
        valid=valid,
    )


def _first_order(structure: Structure, V: Array, delta: float) -> tuple[Structure, Array, Array]:
    """The structure in the basis that diagonalises V inside each level, first-order shifts, and the rotation angle."""
    turned, energies = np.asarray(structure.to_eigenbasis(V)), np.asarray(structure.energies)
    inner, shifts = np.eye(energies.size, dtype=complex), np.zeros(energies.size)
    for level in np.split(np.arange(energies.size), 1 + np.flatnonzero(np.diff(energies) > 0)):
        block = np.ix_(level, level)
        shifts[level], inner[block] = np.linalg.eigh(delta * turned[block])
    moved = eqx.tree_at(lambda s: s.vectors, structure, structure.vectors @ jnp.asarray(inner))
    gap = np.where(np.asarray(structure.levels), np.inf, np.abs(np.asarray(structure.frequencies)))
    return moved, jnp.asarray(shifts), jnp.asarray(np.max(np.abs(delta * turned) / gap))


def _coupled(structure: Structure, system: System) -> np.ndarray:
    """Which transitions some bath drives, in either direction."""
    rates = np.asarray(transition_rates(structure, system))
    both = rates + rates.T
    return both > 1e-9 * max(both.max(), np.finfo(float).tiny)


def _groups(structure: Structure, system: System, shifts: Array) -> tuple[Array, Array, Array, Array]:
    """Frequency, number of transitions, splitting and relaxation time of each coupled group of Davies, ω ≥ 0."""
    labels = np.asarray(Davies().partition(structure, system).labels)
    decay = np.asarray(transition_rates(structure, system)).sum(axis=0)
    coupled = _coupled(structure, system)
    move = np.asarray(shifts)[None, :] - np.asarray(shifts)[:, None]
    omega = np.asarray(structure.frequencies)
    mean = (decay[None, :] + decay[:, None]) / 2
    rows = []
    for label in np.unique(labels[coupled & (labels >= labels[0, 0])]):
        here = coupled & (labels == label)
        rows.append((abs(omega[here].mean()), here.sum(), np.ptp(move[here]), 1 / mean[here].max()))
    columns = np.array(rows).reshape(-1, 4).T
    frequencies, members, splittings, times = (jnp.asarray(column) for column in columns)
    return frequencies, members.astype(int), splittings, times


@eqx.filter_jit
def _currents(system: System, V: Array, equation) -> tuple[Array, Array]:
    """The heat currents and their slopes in δ. Traced, so that no equation warns of itself."""
    delta = jnp.zeros((), system.temperatures.dtype)
    value = lambda delta: heat_currents(system.perturbed(V, delta), equation)  # noqa: E731
    return jax.jvp(value, (delta,), (jnp.ones_like(delta),))


def _compared(system: System, V: Array) -> tuple[Array, Array]:
    """What `Local` misses of the slope of the heat currents, and what a Lamb shift changes of them and of their slope,
    both relative to `Unified` with its clusters fixed."""
    unified, unknown = Unified().fixed(system), jnp.asarray(jnp.nan)
    try:
        admitted = unified.admit(system, V)
    except SingularDensityError:
        return unknown, unknown
    J, slope = _currents(admitted, V, unified)
    # Below this a current is rounding: one bath, one temperature.
    structure = bohr_structure(system.hamiltonian)
    floor = 1e-12 * (structure.energies[-1] - structure.energies[0]) * relaxation_rate(structure, system)
    if jnp.max(jnp.abs(J)) <= floor:
        return unknown, unknown
    # A slope below this is none: V turns eigenvectors only, or by symmetry.
    least = 1e-9 * jnp.max(jnp.abs(J)) * jnp.max(jnp.abs(V)) / (structure.energies[-1] - structure.energies[0])
    relative = lambda other, own: jnp.max(jnp.abs(other - own)) / jnp.maximum(jnp.max(jnp.abs(own)), least)  # noqa: E731
    local_error = relative(_currents(system, V, Local(system))[1], slope)
    try:
        shifted = _currents(admitted, V, Unified(lamb_shift=True, reference=unified.reference))
    except LambShiftError:
        return local_error, unknown
    return local_error, jnp.maximum(relative(shifted[0], J), relative(shifted[1], slope))


def _regime(
    structure: Structure, system: System, shifts: Array, splittings: Array, nu_tau: Array, negligible: float
) -> str:
    coupled = _coupled(structure, system)
    move = np.abs(np.asarray(shifts)[None, :] - np.asarray(shifts)[:, None])
    split = bool(np.any(np.asarray(splittings) > negligible))
    return _named(bool(np.any(coupled & (move > negligible))), split, float(np.max(np.asarray(nu_tau))))


def _named(moves: bool, splits: bool, worst: float) -> str:
    """The regime: whether transitions move, whether groups split, and the largest ντ."""
    if not moves:
        return "eigenvectors only"
    if not splits:
        return "shift without splitting"
    return "local" if worst < SMALL else "global" if worst > LARGE else "crossover"


def _judged(
    regime: str, separation: float, weakness: float, local_error: float, lamb_effect: float
) -> tuple[tuple[str, bool, str], ...]:
    weak = "" if weakness < SMALL else f"; coupling not weak: Γ_R τ_B = {weakness:.2g}"
    lamb = (
        "" if not lamb_effect > LAMB_LIMIT else f"; needs lamb_shift=True, which changes currents by {lamb_effect:.2g}"
    )
    order = f"its error is of the order of Γ_R τ_B = {weakness:.2g}, which is not a bound"
    davies = separation > LARGE and regime not in ("local", "crossover")
    if separation <= LARGE:
        why = f"Bohr frequencies only {separation:.2g} decay rates apart"
    elif regime in ("local", "crossover"):
        why = f"V splits a group by {'less than' if regime == 'local' else 'about'} its decay rate"
    else:
        why = "frequencies are equal or far apart"
        why += "; regroup at δ, do not differentiate at 0" if regime == "global" else ""
    local = local_error < LOCAL_LIMIT and regime in ("eigenvectors only", "local")
    missed = f"it misses {local_error:.2g} of the response of the heat currents"
    if np.isnan(local_error):
        missed = "its response of heat currents could not be compared"
    return (
        ("Davies", davies and not weak, why + weak),
        ("Unified", not weak and not lamb, "clusters fixed, smooth through every regime" + lamb + weak),
        ("UniversalLindblad", not weak and not lamb, order + lamb + weak),
        ("Redfield", not weak and not lamb, order + "; not completely positive" + lamb + weak),
        ("Local", local and not weak, missed + weak),
    )


def _recommended(valid: tuple[tuple[str, bool, str], ...], weakness: float, lamb_effect: float) -> str:
    if weakness >= SMALL:
        return "none of these equations: the coupling is not weak"
    if {name: good for name, good, _ in valid}["Davies"]:
        return "Davies"
    return "Unified(lamb_shift=True)" if lamb_effect > LAMB_LIMIT else "Unified"
