"""l) The steady cycle of a driven system.

A qubit H = σz/2 + 0.4 sin(2t) σz with S = σx + 0.3 σz on a Drude–Lorentz bath: error of the mean of ⟨σz⟩ and of its
first harmonic, the larger one and both in the note, against the hierarchy (HEOM, stored for the tests). QuTiP has no
steady cycles: its solvers are run until they have relaxed to e⁻⁸, and averaged over a period. `fmmesolve` is cheap, as
it turns with quasi-energies and has constant rates, but it has one temperature, no coherence between quasi-energies,
and here no harmonic; `brmesolve` takes instantaneous eigenstates. Of QuTiP only its hierarchy is as near as the second
order, with as few exponentials and tiers as give that. Two qubits between two baths, at 64 harmonics, d = 4: the error
is that of the mean heat current against twice as many harmonics. Ten thousand qubits, 64 at once by `vmap`, at 16
harmonics each.
"""

import functools
import json
from pathlib import Path

import numpy as np

from ._case import Case, Measured, timed

STRENGTH, CUTOFF, T, DELTA, OMEGA = 0.002, 1.5, 0.5, 0.4, 2.0
PERIOD = 2 * np.pi / OMEGA
RELAXED = 8 / 0.0048
"""The slowest population rate is 0.0048."""
TERMS, TIERS = 2, 2
"""Of the hierarchy in time: fewer are wrong by more than 1e−3."""
X, Z = np.array([[0.0, 1], [1, 0]]), np.diag([1.0, -1.0])
HEOM = Path(__file__).parents[1] / "tests" / "reference" / "driven_cycles_heom.json"


def _measured(first: float, seconds: float, found) -> Measured:
    """`found`: mean and first harmonic of ⟨σz⟩, a(t) = Re Σ_n a_n e^{−inωt}."""
    row = json.loads(HEOM.read_text())["rows"][0]
    exact = [complex(row["real"][n][2], row["imag"][n][2]) for n in range(2)]
    mean, harmonic = (abs(complex(a) - b) / abs(b) for a, b in zip(found, exact, strict=True))
    return Measured(first, seconds, max(mean, harmonic), "HEOM", f"mean {mean:.1e}, first harmonic {harmonic:.1e}")


def _qubit():
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks

    bath = lgks.Bath(X + 0.3 * Z, T, lgks.DrudeLorentz(STRENGTH, CUTOFF))
    return lgks, lgks.System(Z / 2, bath)


def _ours() -> Measured:
    lgks, system = _qubit()
    driven = system.driven(lgks.Drive(Z, lgks.periodic([0, DELTA * 1j], OMEGA)))

    def work():
        c = lgks.cycle(driven)
        return c.mean(Z), c.harmonic(Z, 1)

    return _measured(*timed(work))


def _batch(count: int = 10_000) -> Measured:
    import jax
    import jax.numpy as jnp

    lgks, system = _qubit()

    def power(delta, omega):
        driven = system.driven(lgks.Drive(Z, lgks.periodic(jnp.stack([0 * delta, 1j * delta]), omega)))
        return lgks.cycle(driven, harmonics=16).power

    points = jnp.linspace(0.05, 0.4, count), jnp.linspace(1.0, 4.0, count)
    some = jax.jit(lambda points: jax.lax.map(lambda p: power(*p), points, batch_size=64))
    first, seconds, found = timed(lambda: some(points), count, repeat=3)
    assert np.all(np.isfinite(found))
    return Measured(first, seconds, note="one cycle of ten thousand")


def _two(gradient: bool) -> Measured:
    """In 20 numbers: all of H, and of the drive two harmonics and ω."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import equinox as eqx
    import jax.numpy as jnp

    import jaxlgks as lgks

    bath, pauli = lgks.DrudeLorentz(0.001, 2.0), lgks.models.pauli
    system = lgks.models.two_qubits(omega=1.0, g=0.2, spectrum=bath, temperatures=(0.45, 0.35))
    terms = jnp.stack([pauli(a + b) for a in "IXYZ" for b in "IXYZ"][1:])

    def current(p, harmonics=64):
        H = system.hamiltonian + jnp.tensordot(p[:15].astype(complex), terms, 1)
        h = jnp.stack([0 * p[15], 0.2 + p[15] + 1j * p[16], p[17] + 1j * p[18]])
        given = eqx.tree_at(lambda s: s.hamiltonian, system, H)
        driven = given.driven(lgks.Drive(pauli("ZI"), lgks.periodic(h, 1.3 + p[19])))
        return lgks.cycle(driven, harmonics=harmonics).heat_currents[0]

    p, f = 1e-3 * jnp.arange(20), jax.jit(jax.grad(current) if gradient else current)
    first, seconds, found = timed(lambda: f(p), repeat=9)
    exact = jax.jit(functools.partial(jax.grad(current) if gradient else current, harmonics=128))(p)
    return Measured(first, seconds, float(jnp.max(jnp.abs(found - exact)) / jnp.max(jnp.abs(exact))), "128 harmonics")


def _rate(w):
    w = np.where(np.abs(w) < 1e-9, 1e-9, w)
    return 4 * STRENGTH * CUTOFF * w / (w**2 + CUTOFF**2) / -np.expm1(-w / T)


def _qutip(solver: str) -> Measured:
    import qutip
    from qutip.solver.heom import DrudeLorentzPadeBath, HEOMSolver

    H = qutip.QobjEvo([qutip.Qobj(Z / 2), [qutip.Qobj(Z), f"{DELTA} * sin({OMEGA} * t)"]])
    start = (round(RELAXED / PERIOD) + 1) * PERIOD
    times = np.concatenate([[0.0], start + np.linspace(0, PERIOD, 65)[:-1]])
    S, rho0, A = qutip.Qobj(X + 0.3 * Z), qutip.Qobj(np.diag([0.15, 0.85])), [qutip.Qobj(Z)]
    options = {"rtol": 1e-8, "atol": 1e-10, "nsteps": 10**6, "progress_bar": ""}

    def work():
        if solver == "brmesolve":
            found = qutip.brmesolve(H, rho0, times, a_ops=[(S, _rate)], e_ops=A, options=options)
        elif solver == "fmmesolve":
            # What it takes for a spectrum is one side of it, the temperature apart.
            found = qutip.fmmesolve(H, rho0, times, c_ops=[S], spectra_cb=[_rate], T=PERIOD, e_ops=A, options=options)
        else:
            bath = DrudeLorentzPadeBath(S, STRENGTH, CUTOFF, T, Nk=TERMS)
            found = HEOMSolver(H, bath, max_depth=TIERS, options=options).run(rho0, times, e_ops=A)
        values = np.asarray(found.expect[0][1:]).real
        return np.mean(values), 2 * np.mean(values * np.exp(1j * OMEGA * times[1:]))

    return _measured(*timed(work, repeat=1, budget=1.0))


def cases(quick: bool) -> list[Case]:
    """QuTiP's solvers for the qubit alone."""
    qubit = functools.partial(Case, "cycle", "mean and first harmonic of ⟨σz⟩ in the steady cycle", "d=2")
    two = functools.partial(Case, "cycle", "heat current of a steady cycle, 64 harmonics", "d=4")
    rows = [
        qubit("jaxlgks cycle", _ours),
        qubit("QuTiP brmesolve until relaxed", functools.partial(_qutip, "brmesolve")),
        qubit("QuTiP fmmesolve until relaxed", functools.partial(_qutip, "fmmesolve")),
        qubit("QuTiP HEOMSolver until relaxed", functools.partial(_qutip, "heom")),
        two("jaxlgks cycle", functools.partial(_two, False)),
        two("jaxlgks, gradient in 20 numbers", functools.partial(_two, True)),
    ]
    return (
        rows
        if quick
        else [*rows, Case("cycle", "power of 10,000 steady cycles", "d=2", "jaxlgks, vmap of 64 at once", _batch)]
    )
