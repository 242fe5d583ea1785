"""What is done otherwise in large systems, against what is done in small ones."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._bohr import bohr_structure, find_groups, find_structure
from jaxlgks._equations import Dissipator, bath_rates, dissipation
from jaxlgks._generator import Populations, operator_generator
from jaxlgks.errors import SolverMemoryError

from .systems import hermitian

DRUDE = lgks.DrudeLorentz(0.01, 2.0)


def chain(spins: int, field: bool = False) -> lgks.System:
    """A chain; with a field along y its Hamiltonian is complex."""
    fields = np.random.default_rng(spins).uniform(0.5, 1.5, spins)
    system = lgks.models.spin_chain(fields, (0.3, 0.3, 0.3), DRUDE, (2.0, 1.0))
    return system.perturbed(lgks.models.pauli("Y" + "I" * (spins - 1)), 0.2) if field else system


@pytest.mark.parametrize("field", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("equation", [lgks.Davies(), lgks.Unified(width=0.0)], ids=["davies", "unified"])
def test_a_known_hamiltonian_gives_what_a_traced_one_gives(field, equation):
    """d = 128: real arithmetic and groups found outside the program against one program for all; state, currents and
    the verdict."""
    system = chain(7, field)
    resolved = dissipation(system, equation)
    assert jnp.isrealobj(resolved.structure.vectors) == (not field)
    assert Populations().prepare(resolved)
    found = lgks.steady_state(system, equation, Populations(), throw=False)
    traced = jax.jit(lambda s: lgks.steady_state(s, equation, Populations(), throw=False))(system)
    np.testing.assert_allclose(found.rho, traced.rho, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.populations, traced.populations, rtol=1e-10)
    for name in ("separation", "spread", "condition", "edge"):
        np.testing.assert_allclose(getattr(found, name), getattr(traced, name), rtol=1e-6, err_msg=name)
    J = lgks.heat_currents(system, equation, solver=Populations())
    expected = jax.jit(lambda s: lgks.heat_currents(s, equation, solver=Populations()))(system)
    np.testing.assert_allclose(J, expected, rtol=0, atol=1e-14)


def test_complex_couplings_of_a_large_system():
    """What is imaginary in a coupling between real eigenstates counts, in state and currents."""
    system, S = chain(7), lgks.models.pauli("YIIIIII") + lgks.models.pauli("XZIIIII")
    with_imaginary, without = (
        lgks.System(system.hamiltonian, [lgks.Bath(coupling, 2.0, DRUDE), system.baths[1]]) for coupling in (S, S.real)
    )
    assert not Populations().prepare(dissipation(with_imaginary, lgks.Davies()))
    for f in (lambda s: lgks.steady_state(s, solver=Populations()).populations, lgks.heat_currents):
        np.testing.assert_allclose(f(with_imaginary), jax.jit(f)(with_imaginary), rtol=1e-9, atol=1e-14)
        assert float(jnp.max(jnp.abs(f(with_imaginary) - f(without)))) > 1e-6


def test_gradients_in_temperatures_go_through_a_known_hamiltonian():
    """Against differences, 1e−8."""
    system = chain(7)

    def current(T):
        first, second = system.baths
        return lgks.heat_currents(
            lgks.System(system.hamiltonian, [lgks.Bath(first.coupling, T, DRUDE), second]), solver=Populations()
        )[0]

    quotient = [(float(current(2.0 + h)) - float(current(2.0 - h))) / (2 * h) for h in (2e-3, 1e-3)]
    assert float(jax.grad(current)(2.0)) == pytest.approx((4 * quotient[1] - quotient[0]) / 3, rel=1e-8)


def test_groups_are_the_same_by_both_sorts():
    """A ladder with degenerate and nearly equal frequencies, above the size at which NumPy sorts."""
    energies = np.sort(np.concatenate([np.arange(40.0), np.arange(40.0) + 1e-11, [3.5, 7.25]]))
    structure = find_structure(jnp.asarray(np.diag(energies), complex))
    assert jnp.isrealobj(structure.vectors)
    for width in (0.0, 0.3):
        here = find_groups(structure, 1e-9, width)
        inside = jax.jit(lambda s, w=width: find_groups(s, 1e-9, w).labels)(structure)
        np.testing.assert_array_equal(here.labels, inside)
        assert here.count == int(jnp.max(inside)) + 1


def test_rates_from_real_vectors():
    """Complex couplings between the eigenstates of a real H."""
    rng = np.random.default_rng(2)
    system = lgks.System(np.diag(rng.uniform(size=6)) + 0.1, lgks.Bath(hermitian(rng, 6), 0.7, DRUDE))
    complex_, real = bohr_structure(system.hamiltonian), bohr_structure(system.hamiltonian.real)
    one, other = (bath_rates(s.frequencies, s.vectors, system)[0] for s in (complex_, real))
    assert float(jnp.max(one)) > 0
    np.testing.assert_allclose(other, one, rtol=1e-12)


def test_a_large_dissipator_is_the_same_superoperator():
    rng = np.random.default_rng(1)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape))  # noqa: E731
    D, rho = Dissipator(draw(3, 130, 130), draw(3, 130, 130), draw(130, 130)), draw(130, 130)
    by_hand = sum(L @ rho @ R.conj().T for L, R in zip(D.left, D.right, strict=True))
    by_hand = by_hand - D.drift @ rho - rho @ D.drift.conj().T
    np.testing.assert_allclose(D(rho), by_hand, rtol=0, atol=1e-13 * float(jnp.max(jnp.abs(by_hand))))


@pytest.mark.slow
def test_the_hermitian_inverse_is_the_inverse():
    """Of Hermitian right-hand sides; of others their Hermitian part."""
    rng = np.random.default_rng(4)
    B = hermitian(rng, 8)

    @eqx.filter_jit
    def inverses(system, B):
        L = operator_generator(dissipation(system, lgks.Redfield())).core
        X, other = jax.lax.map(L.hermitian_inverse, jnp.stack([B, B + 1j * B]))
        return X, other, L.inverse(B, jnp.asarray(0.0)), L.regular(X)

    X, other, inverse, applied = (np.asarray(x) for x in inverses(chain(3), B))
    np.testing.assert_allclose(X, X.conj().T, rtol=0, atol=0)
    np.testing.assert_allclose(applied, B, rtol=0, atol=1e-11)
    np.testing.assert_allclose(X, inverse, rtol=0, atol=1e-10 * np.max(np.abs(X)))
    np.testing.assert_allclose(other, X, rtol=0, atol=1e-10 * np.max(np.abs(X)))


def test_thermodynamic_response_without_an_axis_of_groups():
    """d = 64, where operators for each of 4,033 groups would fill 6 GB: heat currents and entropy production against
    the derivative of the steady state's populations, which shares no formula with it; the first law."""
    system, V = chain(6), lgks.models.pauli("IIZIII") + lgks.models.pauli("IXXIII")
    r = lgks.thermodynamic_response(system, V)
    assert r.channels is None
    found = r.heat_currents.static()
    current = lambda d: lgks.heat_currents(system.perturbed(V, d), solver=Populations())  # noqa: E731
    slope = jax.jvp(current, (0.0,), (1.0,))[1]
    # Coefficients of the populations' derivative go through 1/(E_m − E_n), at 64 levels up to 1e4.
    np.testing.assert_allclose(found.total, slope, rtol=0, atol=1e-9 * float(jnp.max(jnp.abs(slope))))
    assert float(jnp.max(jnp.abs(found.shift))) > 0.01 * float(jnp.max(jnp.abs(slope)))
    np.testing.assert_allclose(jnp.sum(found.total), 0.0, atol=1e-13)
    np.testing.assert_allclose(r.entropy_production.static().total, -jnp.sum(slope / system.temperatures), rtol=1e-8)


@pytest.mark.slow
def test_wide_clusters_of_a_large_system(monkeypatch):
    """d = 32 in 17 clusters that no blocks divide: GMRES without being asked, in the steady state and in the response,
    against the dense matrix, which is solved to rounding."""
    system, equation = chain(5), lgks.Unified(width=3.0)
    V, A = lgks.models.pauli("ZIIII"), lgks.models.pauli("IIIIZ")
    state, r = lgks.steady_state(system, equation), lgks.response(system, V, A, equation)
    assert (state.solver, r.generator.name) == ("krylov", "operators")
    dense = lgks.steady_state(system, equation, lgks.Dense())
    np.testing.assert_allclose(state.rho, dense.rho, rtol=0, atol=1e-12)
    monkeypatch.setattr(sys.modules["jaxlgks._generator._choice"], "FEW", 0)
    jax.clear_caches()  # what was compiled knows the limit
    expected = lgks.response(system, V, A, equation)
    assert expected.generator.name == "dense"
    for part in ("kubo", "rotation", "shift"):
        np.testing.assert_allclose(getattr(r.static(), part), getattr(expected.static(), part), rtol=0, atol=1e-10)


def test_operators_of_all_groups_are_refused_where_they_do_not_fit():
    """d = 64 with a traced H: groups are not known, and d² − d + 1 of them would take 13 GB."""
    system, V = chain(6), lgks.models.pauli("IIZIII")
    static = lambda e: lgks.thermodynamic_response(system.perturbed(V, e), V).heat_currents.static().total  # noqa: E731
    with pytest.raises(SolverMemoryError, match="first-order generator of Davies"):
        jax.jit(static)(0.1)
