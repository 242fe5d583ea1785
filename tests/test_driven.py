"""The second route in time and frequency: derivatives of the driven equation of the state and its baths' operators.

It shares with the explicit route the exponentials of the baths, which have tests of their own, and nothing else: no
eigenbasis, no first-order formula.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxlgks as lgks
from jaxlgks._generator import Dense, resolve
from jaxlgks._observables import HeatCurrents, Observable
from jaxlgks._response._expansion import expand
from jaxlgks._steady import at_rest
from jaxlgks.errors import InputError

P = lgks.models.pauli
X, Z = np.asarray(P("X")), np.asarray(P("Z"))
REDFIELD = lgks.Redfield(lamb_shift=True)
OMEGAS = jnp.array([0.05, 0.7, 3.0])
TIMES = jnp.array([0.7, 6.0])


@eqx.filter_jit
def routes(H, couplings, temperatures, V):
    """⟨V⟩ and both heat currents at three frequencies, explicitly and by differentiating the harmonic balance."""
    density = lgks.DrudeLorentz(0.01, 2.0)
    baths = [lgks.Bath(S, T, density) for S, T in zip(couplings, temperatures, strict=True)]
    problem = resolve(lgks.System(H, baths), REDFIELD)
    expansion, driven = expand(problem, V, 2, at_rest(problem, Dense())), problem.driven(V)
    quantities = Observable(V[None]), HeatCurrents()
    explicit = [expansion.linear(one).susceptibility(OMEGAS).total for one in quantities]

    def slopes(omega):
        values = lambda delta: [driven.at_frequency(delta, omega, one) for one in quantities]  # noqa: E731
        return jax.jvp(values, (jnp.zeros(()),), (jnp.ones(()),))[1]

    return jnp.concatenate(explicit, axis=1), jnp.concatenate(jax.lax.map(slopes, OMEGAS), axis=1)


def random_system(rng, kind: int):
    """Three levels: apart, two of them equal, or equally spaced, in a random basis; complex couplings and V."""
    levels = [np.array([-0.7, 0.1, 0.6]), np.array([-0.5, 0.5, 0.5]), np.array([-0.8, 0.0, 0.8])][kind]
    U = scipy.stats.unitary_group.rvs(3, random_state=rng)
    rest = rng.normal(size=(3, 3, 3)) + 1j * rng.normal(size=(3, 3, 3))
    rest = (rest + rest.conj().swapaxes(1, 2)) / 4
    return U @ np.diag(levels) @ U.conj().T, rest[:2], rest[2]


@pytest.mark.slow
def test_explicit_and_automatic_agree_on_200_random_systems():
    """To 1e−9 of the largest element at each frequency, energies or Bohr frequencies degenerate in two thirds of them.
    In every other system both baths have one temperature: there the drive does work, −ω Im χ_V ≥ 0."""
    rng = np.random.default_rng(3)
    for k in range(200):
        H, couplings, V = random_system(rng, k % 3)
        hot = 0.6 if k % 2 else 0.9
        explicit, automatic = (np.asarray(x) for x in routes(H, couplings, jnp.array([hot, 0.6]), V))
        size = np.max(np.abs(explicit), axis=1, keepdims=True)
        np.testing.assert_array_less(np.abs(automatic - explicit) / size, 1e-9)
        if k % 2:
            assert np.all(explicit[:, 0].imag < 0)


@eqx.filter_jit
def routes_in_time(H, couplings, temperatures, V):
    """Both heat currents a while after V was switched on, explicitly and by differentiating the driven equation."""
    density = lgks.DrudeLorentz(0.01, 2.0)
    baths = [lgks.Bath(S, T, density) for S, T in zip(couplings, temperatures, strict=True)]
    problem = resolve(lgks.System(H, baths), REDFIELD)
    expansion, driven = expand(problem, V, 2, at_rest(problem, Dense())), problem.driven(V)
    explicit = expansion.linear(HeatCurrents()).step(TIMES).total
    return explicit, jax.lax.map(lambda t: driven.after(t, jnp.zeros(()), HeatCurrents())[1], TIMES)


@pytest.mark.slow
def test_explicit_and_automatic_agree_in_time_on_24_random_systems():
    """To 1e−9 of the largest at each time, while the baths remember and when they have forgotten; currents, which need
    the state, the operators of the baths and what changes at once. Levels and gaps are degenerate in two thirds."""
    rng = np.random.default_rng(4)
    for k in range(24):
        H, couplings, V = random_system(rng, k % 3)
        explicit, automatic = (np.asarray(x) for x in routes_in_time(H, couplings, jnp.array([0.9, 0.6]), V))
        size = np.max(np.abs(explicit), axis=1, keepdims=True)
        np.testing.assert_array_less(np.abs(automatic - explicit) / size, 1e-9)


@pytest.fixture
def qubit():
    density = lgks.DrudeLorentz(0.02, 1.5)
    return lgks.System(Z / 2, [lgks.Bath(X, 0.7, density, "a"), lgks.Bath(0.6 * X + 0.4 * Z, 0.4, density, "b")])


def test_the_table_at_a_frequency_and_at_a_time(qubit):
    """A current, with the dissipators in its definition, a while after V was switched on and while the baths remember;
    an observable at a frequency: all three routes, as printed."""
    V = Z + 0.5 * X
    table = lgks.cross_validate(qubit, V, lgks.HeatCurrent("a"), REDFIELD, t=0.7)
    assert np.max(table.autodiff_difference) < 1e-9
    assert np.max(table.finite_difference_difference) < 1e-7
    assert str(table).startswith("step response at t = 0.7 of the heat current of bath 'a'")
    later = lgks.cross_validate(qubit, V, lgks.HeatCurrent("a"), REDFIELD, t=9.0)
    assert np.max(later.autodiff_difference) < 1e-9
    table = lgks.cross_validate(qubit, V, np.stack([X, Z]), REDFIELD, omega=1.3)
    assert np.max(table.autodiff_difference) < 1e-9
    assert np.max(table.finite_difference_difference) < 1e-7
    assert "susceptibility at ω = 1.3 of the observable" in str(table)


def test_what_has_no_driven_equation_is_named(qubit):
    """An equation, a quantity, a model; a frequency and a time at once; numbers without meaning."""
    for arguments, options in (
        ((Z, X, lgks.Davies()), {"omega": 1.0}),
        ((Z, lgks.EntropyProduction(), REDFIELD), {"t": 1.0}),
        ((Z, X, REDFIELD), {"t": 1.0, "omega": 1.0}),
        ((Z, X, REDFIELD), {"omega": 0.0}),
        ((Z, X, REDFIELD), {"t": -1.0}),
    ):
        with pytest.raises(InputError, match=r"driven|moves|both|positive"):
            lgks.cross_validate(qubit, *arguments, **options)
