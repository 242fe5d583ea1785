"""Driven systems in a rotating frame, and heat counted with another operator than H: rates, currents, entropy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxlgks as lgks
from jaxlgks.errors import InputError, SingularDensityError

from .test_cli import _run

DRUDE = lgks.DrudeLorentz(0.01, 2.0)


def rate(omega, T):
    """Γ(ω) of `DRUDE`, written out."""
    return 4 * 0.01 * 2.0 * omega / (omega**2 + 4.0) / -np.expm1(-omega / T)


NUMBERS, DRIVEN, TEMPERATURES = np.array([0, 1, 1, 2]), 0.7, (1.0, 0.5)


def four_levels(frequency=DRIVEN, rotation=None):
    """Four levels whose numbers are those of N, driven by a term that does not conserve N, two baths."""
    rng = np.random.default_rng(0)
    H, *couplings = (X + X.T for X in rng.normal(size=(3, 4, 4)))
    H, N = np.diag([0.0, 0.3, 1.1, 2.0]) + 0.05 * H, np.diag(NUMBERS).astype(float)
    U = np.eye(4) if rotation is None else rotation
    H, N, *couplings = (U @ X @ U.conj().T for X in (H, N, *couplings))
    baths = [lgks.Bath(S, T, DRUDE, name) for S, T, name in zip(couplings, TEMPERATURES, "ab", strict=True)]
    return lgks.System(H, baths, frame=lgks.RotatingFrame(N, frequency)), H, couplings


def jump_by_jump(H, couplings, numbers, frequency, temperatures, energy=None, strengths=(1, 1)):
    """Populations of the dressed states and what each bath loses: for every k and pair of states n → m the rate
    Γ(E_n − E_m − kω_d)|⟨m|S_k|n⟩|², whose quantum in the laboratory is E_n − E_m − kω_d, or with another operator X
    X_n − X_m − kω_d."""
    E, U = np.linalg.eigh(H)
    x = E if energy is None else np.diag(U.T @ energy @ U)
    changes, lost = numbers[:, None] - numbers[None, :], []
    W = np.zeros((len(couplings), len(E), len(E)))
    for bath, (S, T) in enumerate(zip(couplings, temperatures, strict=True)):
        of_bath = np.zeros_like(H)
        for k in np.unique(changes):
            A = U.T @ np.where(changes == k, S, 0.0) @ U
            quantum = E[None, :] - E[:, None] - k * frequency
            rates = np.where(quantum == 0, 0.0, rate(np.where(quantum == 0, 1.0, quantum), T)) * A**2  # nothing moves
            W[bath] += strengths[bath] * rates
            of_bath -= (x[None, :] - x[:, None] - k * frequency) * strengths[bath] * rates
        lost.append(of_bath)
    G = W.sum(0)
    G = G - np.diag(G.sum(0))
    p = np.linalg.lstsq(np.vstack([G, np.ones(len(E))]), np.r_[np.zeros(len(E)), 1.0], rcond=None)[0]
    return p, np.array([np.sum(of_bath * p) for of_bath in lost])


def by_hand(frequency=DRIVEN):
    _, H, couplings = four_levels()
    return jump_by_jump(H, couplings, NUMBERS, frequency, TEMPERATURES)


QUBIT = np.array([[0.0, 0.3], [0.3, 0.4]]), [np.array([[0.2, 1.0], [1.0, 0.5]]), np.array([[0.3, 0.8], [0.8, -0.4]])]
BARE = np.diag([0.0, 0.4])


def qubit(temperatures, driven=True, energy=None):
    """A qubit that is driven at `DRIVEN`, or not; heat counted with another operator, or not."""
    baths = [lgks.Bath(S, T, DRUDE, name) for S, T, name in zip(QUBIT[1], temperatures, "ab", strict=True)]
    frame = lgks.RotatingFrame(np.diag([0.0, 1.0]), DRIVEN) if driven else None
    return lgks.System(QUBIT[0], baths, frame=frame, energy=energy)


@pytest.mark.parametrize(
    ("driven", "energy"),
    [(True, BARE), pytest.param(True, None, marks=pytest.mark.slow), pytest.param(False, BARE, marks=pytest.mark.slow)],
)
def test_the_onsager_matrix_counts_jumps(driven, energy):
    """Against slopes of sums over jumps, 3e−8. Undriven it is symmetric with rows that sum to zero, and entropy is
    produced, for a qubit with any operator that counts heat; a drive leaves currents at one temperature, and
    neither."""
    T, h = 0.7, 1e-4
    numbers, frequency = (np.array([0, 1]), DRIVEN) if driven else (np.array([0, 0]), 0.0)

    def currents(*temperatures):
        return jump_by_jump(*QUBIT, numbers, frequency, temperatures, energy)[1]

    slopes = [currents(T + h, T) - currents(T - h, T), currents(T, T + h) - currents(T, T - h)]
    L = np.asarray(lgks.onsager_matrix(qubit((T, T), driven, energy)))
    np.testing.assert_allclose(L, T**2 * np.stack(slopes, axis=1) / (2 * h), rtol=0, atol=3e-8 * np.max(np.abs(L)))
    still = np.max(np.abs(L.sum(axis=1))), abs(L[0, 1] - L[1, 0]), np.max(np.abs(currents(T, T)))
    if driven:
        assert min(still) > 0.05 * np.max(np.abs(L))
    else:
        assert max(still) < 1e-12 * np.max(np.abs(L))
        assert np.linalg.eigvalsh(L)[0] > -1e-12 * L[0, 0]


@pytest.mark.slow
def test_the_bare_energy_restores_reciprocity_of_the_local_equation():
    """Two equal qubits with a coupling that conserves the bare energy: L is symmetric, its rows sum to zero, and
    L_aa > 0: the second law. Two detuned ones pump heat at one temperature, and it is neither."""
    ZI, IZ, XX, YY = (lgks.models.pauli(word) for word in ("ZI", "IZ", "XX", "YY"))

    def matrix(detuning):
        bare = ZI / 2 + (0.5 - detuning) * IZ
        baths = [lgks.Bath(lgks.models.pauli(word), 0.7, DRUDE, word) for word in ("XI", "IX")]
        system = lgks.System(bare + 0.05 * (XX + YY), baths, energy=bare)
        return np.asarray(lgks.onsager_matrix(system, lgks.Local(lgks.System(bare, baths))))

    L = matrix(0.0)
    np.testing.assert_allclose(L, L[0, 0] * np.array([[1, -1], [-1, 1]]), rtol=0, atol=1e-12 * L[0, 0])
    assert L[0, 0] > 0
    detuned = matrix(0.1)
    assert abs(detuned[0, 1] - detuned[1, 0]) > 0.2 * abs(detuned[0, 1])


def test_rates_and_heat_are_those_counted_jump_by_jump():
    """Davies by populations and by the dense generator against sums over jumps in NumPy, 1e−12; for an N that is not
    diagonal; their derivative in ω_d against a difference; entropy production −Σ J/T and not negative."""
    p, J = by_hand()
    system = four_levels()[0]
    for solver in (lgks.Populations(), lgks.Dense()):
        np.testing.assert_allclose(lgks.heat_currents(system, solver=solver), J, rtol=1e-12)
    state = lgks.steady_state(system)
    np.testing.assert_allclose(state.populations, p, rtol=1e-12)
    np.testing.assert_allclose(lgks.heat_currents(system, rho=state.rho), J, rtol=1e-12)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    np.testing.assert_allclose(lgks.heat_currents(four_levels(rotation=rotation)[0]), J, rtol=1e-12)
    assert lgks.entropy_production(system) == pytest.approx(-np.sum(J / TEMPERATURES), rel=1e-11)
    assert -np.sum(J / TEMPERATURES) > 0
    assert abs(J.sum()) > 1e-2 * abs(J[0])  # the drive works
    slope = jax.jvp(lambda w: lgks.heat_currents(four_levels(w)[0]), (DRIVEN,), (1.0,))[1]
    np.testing.assert_allclose(slope, (by_hand(DRIVEN + 1e-4)[1] - by_hand(DRIVEN - 1e-4)[1]) / 2e-4, rtol=1e-6)


def test_a_laser_driven_atom_radiates_the_work_of_the_laser():
    """Optical Bloch equations at T = 0: ρ_ee = (Ω²/4)/(Δ² + γ²/4 + Ω²/2), and the bath receives γ(ω_d + Δ)ρ_ee where
    heat is counted with the bare energy, jumps are those of the undressed atom, and e^{−ω/T} = e^{−100}."""
    detuning, rabi, gamma, omega = 0.02, 0.05, 0.01, 1.0
    bare = np.diag([0.0, detuning])
    frame = lgks.RotatingFrame(np.diag([0.0, 1.0]), omega)
    bath = lgks.Bath([[0.0, 1.0], [1.0, 0.0]], 0.01, lgks.Flat(gamma))
    atom = lgks.System(bare + rabi / 2 * np.array([[0, 1], [1, 0]]), bath, frame=frame, energy=bare)
    local = lgks.Local(lgks.System(bare, bath, frame=frame))
    excited = rabi**2 / 4 / (detuning**2 + gamma**2 / 4 + rabi**2 / 2)
    assert lgks.steady_state(atom, local).rho[1, 1].real == pytest.approx(excited, rel=1e-12)
    assert lgks.heat_currents(atom, local)[0] == pytest.approx(-gamma * (omega + detuning) * excited, rel=1e-12)


def test_numbers_of_the_maser():
    """Found outside: a cold bath that gives heat (Davies), and the equation of the undressed atom (local)."""
    system = lgks.models.three_level_maser(5.0, 1.0, 0.1, 0.001, temperatures=(1.0, 0.5)).system
    assert lgks.heat_currents(system)[1] == pytest.approx(3.2666e-5, rel=2e-5)
    assert lgks.entropy_production(system) == pytest.approx(9.8145e-5, rel=2e-5)
    np.testing.assert_allclose(
        lgks.channel_currents(system).currents.sum(axis=1), lgks.heat_currents(system), rtol=1e-10
    )
    maser = lgks.models.three_level_maser(5.0, 1.0, 0.02, (0.01, 0.05), temperatures=(4.0, 0.5))
    local = lgks.Local(lgks.System(np.diag([0.0, 0.0, 5.0]), maser.system.baths))
    assert lgks.heat_currents(maser.system, local)[1] == pytest.approx(-7.740e-4, rel=1e-4)
    assert lgks.entropy_production(maser.system, local) == pytest.approx(5.805e-4, rel=1e-4)
    rho = lgks.steady_state(maser.system, local).rho
    assert maser.power(rho, local) == pytest.approx(float(lgks.heat_currents(maser.system, local).sum()), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["davies", "redfield with bare energy"])
def test_responses_in_a_rotating_frame_by_two_routes(name):
    """To a perturbation and to the baths: what jumps carry changes as well. 1e−10; channels add up to the currents.

    A driven qubit, whose operators jumps of k = −1, 0 and 1 are made of; one program an equation."""
    equation = lgks.Davies() if name == "davies" else lgks.Redfield()
    H, couplings = np.array([[0.0, 0.3], [0.3, 0.4]]), ([[0.2, 1.0], [1.0, 0.5]], [[0.3, 0.8], [0.8, -0.4]])
    baths = [lgks.Bath(S, T, DRUDE, label) for S, T, label in zip(couplings, TEMPERATURES, "ab", strict=True)]
    frame, current = lgks.RotatingFrame(np.diag([0.0, 1.0]), DRIVEN), lgks.HeatCurrent("a")
    system = lgks.System(H, baths, frame=frame, energy=None if name == "davies" else np.diag([0.0, 0.4]))

    @eqx.filter_jit
    def routes(system, V):
        response = lgks.thermodynamic_response(system, V, equation)
        currents = response.heat_currents.static().total, lgks.autodiff_response(system, V, current, equation)
        if name == "davies":
            return currents, response.channels.static().total
        thermal = (f(system, current, equation) for f in (lgks.thermal_response, lgks.autodiff_thermal_response))
        return currents, tuple((x.temperatures, x.strengths) for x in thermal)

    (currents, derivative), more = routes(system, np.array([[0.5, 0.2], [0.2, -0.7]]))
    assert currents[0] == pytest.approx(float(derivative), rel=1e-10)
    if name == "davies":
        np.testing.assert_allclose(more.sum(axis=1), currents, rtol=1e-9)
    else:
        np.testing.assert_allclose(*more, rtol=1e-10)


@pytest.mark.slow
def test_another_energy_leaves_the_gibbs_currents_and_adds_up_by_channel():
    """Seven levels by blocks, heat counted with a diagonal operator: channels add up to the currents, which differ from
    those of H, and currents with the Gibbs Hamiltonian are the same as without it."""
    rng = np.random.default_rng(5)
    V, *couplings = (X + X.T for X in rng.normal(size=(3, 7, 7)))
    H = np.diag(np.cumsum(rng.uniform(0.5, 1.0, 7)))
    baths = [lgks.Bath(S, T, DRUDE) for S, T in zip(couplings, TEMPERATURES, strict=True)]
    H = H + 0.05 * V
    plain, other = lgks.System(H, baths), lgks.System(H, baths, energy=np.diag(np.arange(7.0)))
    ours, reference = (lgks.thermodynamic_response(system, V) for system in (other, plain))
    currents = ours.heat_currents.static().total
    np.testing.assert_allclose(ours.channels.static().total.sum(axis=1), currents, rtol=1e-9)
    assert np.max(np.abs(currents / reference.heat_currents.static().total - 1)) > 1e-2
    gibbs = [x.heat_currents_gibbs.static().total for x in (ours, reference)]
    np.testing.assert_allclose(*gibbs, rtol=1e-12)


def test_the_bare_energy_repairs_the_local_equation():
    """Two detuned qubits, T_c/T_h = 0.81 against ω_c/ω_h = 0.8: the local equation lets heat flow from cold to hot by
    Tr[H D ρ]. Counted with the bare energy J_h : J_c = −ω_h : ω_c, one quantum at a time, and entropy is produced."""
    ZI, IZ, XX, YY = (lgks.models.pauli(word) for word in ("ZI", "IZ", "XX", "YY"))
    bare = ZI / 2 + 0.4 * IZ
    baths = [
        lgks.Bath(lgks.models.pauli("XI"), 1.0, lgks.Flat(0.01), "hot"),
        lgks.Bath(lgks.models.pauli("IX"), 0.81, lgks.Flat(0.01), "cold"),
    ]
    H, local = bare + 0.05 * (XX + YY), lgks.Local(lgks.System(bare, baths))
    assert lgks.entropy_production(lgks.System(H, baths), local) < 0
    repaired = lgks.System(H, baths, energy=bare)
    hot, cold = lgks.heat_currents(repaired, local)
    assert hot / cold == pytest.approx(-1.0 / 0.8, rel=1e-10)
    assert lgks.entropy_production(repaired, local) > 0


def test_a_file_may_say_frame_and_energy(tmp_path):
    """The same numbers from TOML, with the frequency of the drive as an axis."""
    from jaxlgks._configs import read_sweep

    file = tmp_path / "atom.toml"
    file.write_text("""
        [system]
        hamiltonian = [[0.0, 0.1], [0.1, 0.2]]
        energy = [[0.0, 0.0], [0.0, 0.2]]
        frame = {operator = [[0, 0], [0, 1]], frequency = 1.0}
        [[system.baths]]
        coupling = "X"
        temperature = 0.5
        spectrum = {kind = "DrudeLorentz", strength = 0.01, cutoff = 2.0}
        [axes.frequency]
        values = [0.9, 1.1]
        [output]
        quantities = ["heat_currents"]
        """)
    plan = read_sweep(file)
    for frequency in (0.9, 1.1):
        frame = lgks.RotatingFrame(np.diag([0.0, 1.0]), frequency)
        bath = lgks.Bath(lgks.models.pauli("X"), 0.5, DRUDE)
        atom = lgks.System([[0.0, 0.1], [0.1, 0.2]], bath, frame=frame, energy=np.diag([0.0, 0.2]))
        np.testing.assert_allclose(plan.f(frequency=frequency)["heat_currents"], lgks.heat_currents(atom), rtol=1e-12)


@pytest.mark.slow
def test_a_fit_from_the_shell_knows_frame_and_energy(tmp_path, capsys):
    """Currents that were counted jump by jump at twelve frequencies of the drive and temperatures: both strengths are
    found again to 1e−6."""
    rng = np.random.default_rng(2)
    frequencies, temperatures = rng.uniform(0.5, 1.2, 12), rng.uniform(0.4, 1.5, 12)
    strengths = np.array([1.5, 0.7])
    rows = [
        jump_by_jump(*QUBIT, np.array([0, 1]), w, (T, 0.5), BARE, strengths)[1]
        for w, T in zip(frequencies, temperatures, strict=True)
    ]
    table = np.column_stack([frequencies, temperatures, rows])
    np.savetxt(tmp_path / "data.csv", table, delimiter=",", header="w,hot,Ja,Jb", comments="", fmt="%.17g")
    baths = "".join(
        f"""
        [[system.baths]]
        name = "{name}"
        coupling = {S.tolist()}
        temperature = 0.5
        spectrum = {{kind = "DrudeLorentz", strength = 0.01, cutoff = 2.0}}"""
        for name, S in zip("ab", QUBIT[1], strict=True)
    )
    observables = "".join(f'[observables.J{x}]\nquantity = "heat_currents"\nbath = "{x}"\nerror = 1e-6\n' for x in "ab")
    (tmp_path / "fit.toml").write_text(
        f"""
        [system]
        hamiltonian = {QUBIT[0].tolist()}
        energy = {BARE.tolist()}
        frame = {{operator = [[0, 0], [0, 1]], frequency = 1.0}}{baths}
        [coordinates]
        w = "frequency"
        hot = "temperature_a"
        [parameters.strength_a]
        start = 0.01
        [parameters.strength_b]
        start = 0.01
        """
        + observables
    )
    code = _run("fit", str(tmp_path / "data.csv"), str(tmp_path / "fit.toml"), "--no-progress")
    assert code == 0, capsys.readouterr()
    found = xarray.load_dataset(tmp_path / "data.fit.nc", engine="h5netcdf")
    np.testing.assert_allclose(found["estimate"], 0.01 * strengths, rtol=1e-6)


def test_what_is_no_frame_is_named():
    bath = lgks.Bath(lgks.models.pauli("X"), 1.0, DRUDE)
    with pytest.raises(InputError, match="whole numbers apart"):
        lgks.RotatingFrame(np.diag([0.0, 0.5]), 1.0)
    with pytest.raises(InputError, match="N must be known"):
        jax.jit(lambda n: lgks.RotatingFrame(n * jnp.diag(jnp.array([0.0, 1.0])), 1.0).frequency)(1.0)
    with pytest.raises(InputError, match="dimension 3"):
        lgks.System(lgks.models.pauli("Z"), bath, frame=lgks.RotatingFrame(np.diag([0.0, 1.0, 2.0]), 1.0))
    with pytest.raises(InputError, match="must not be zero"):
        lgks.RotatingFrame(np.diag([0.0, 1.0]), 0.0)
    frame = lgks.RotatingFrame(np.diag([0.0, 1.0]), 1.0)
    with pytest.raises(InputError, match="rotating frame already"):
        lgks.System(lgks.models.pauli("Z"), lgks.System(lgks.models.pauli("Z"), bath, frame=frame).baths, frame=frame)
    with pytest.raises(InputError, match="must be a RotatingFrame"):
        lgks.System(lgks.models.pauli("Z"), bath, frame=1.0)
    driven = lgks.System(lgks.models.pauli("Z"), bath, frame=lgks.RotatingFrame(np.diag([0.0, 1.0]), 1.0))
    with pytest.raises(InputError, match="rotating frame"):
        lgks.cumulant_map(driven, 1.0)
    with pytest.raises(lgks.errors.NoPartitionError, match="frame does not"):
        lgks.steady_state(driven, solver=lgks.Blocks())


def test_an_infinite_rate_of_the_laboratory_is_refused_in_the_frame():
    """A transition that turns with the frame, whose jumps give nothing to the bath: Γ = 0 there, in silence, before.
    Beside it, and with `Flat`, there is a rate."""
    X, N = np.array([[0.0, 1.0], [1.0, 0.0]]), np.diag([0.0, 1.0])

    def system(detuning, density):
        baths = [lgks.Bath(X, 0.1, density, "a"), lgks.Bath(X, 0.3, DRUDE, "b")]
        return lgks.System(np.diag([0.0, -1.0 + detuning]), baths, frame=lgks.RotatingFrame(N, 1.0))

    density = lgks.CallableSpectrum(lambda w: 0.01 * jnp.sqrt(w))
    with pytest.raises(SingularDensityError, match=r"'a' couples .*in the laboratory.* CallableSpectrum is infinite"):
        lgks.liouvillian(system(0.0, density))
    for detuning, spectrum in ((1e-6, density), (0.0, lgks.Flat(0.01))):
        assert np.all(np.isfinite(lgks.liouvillian(system(detuning, spectrum))))
