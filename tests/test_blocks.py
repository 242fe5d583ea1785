"""The generator block by block against the dense matrix, and what rests on it: response, evolution, steady state."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._equations import dissipation
from jaxlgks._generator import block_generator, dense_generator, generator, known_blocks
from jaxlgks.errors import SolverError, SolverMemoryError

from .forms import assert_same
from .systems import draw, hermitian

EQUATIONS = {
    "davies": lgks.Davies(),
    "davies with Lamb shift": lgks.Davies(lamb_shift=True),
    "unified": lgks.Unified(width=0.3),
    "arithmetic": lgks.Unified(width=0.3, rates="arithmetic", lamb_shift=True),
}


def mixed(d: int) -> jax.Array:
    X = hermitian(np.random.default_rng(1), d)
    return jnp.asarray(X @ X / np.trace(X @ X))


# Degenerate levels with three baths, a ladder with one; d = 3, 5.
@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("unified", 41),
        *(pytest.param(name, 18, marks=pytest.mark.slow) for name in ("davies with Lamb shift", "arithmetic")),
    ],
)
def test_blocks_are_the_generator(name, seed):
    """All that the form offers, L₁ and responses among it, as by the dense matrix: rounding, 2e−13 of each."""
    case = draw(seed)
    resolved = dissipation(case.system, EQUATIONS[name])
    partition = known_blocks(resolved, above=1)
    assert partition is not None
    assert sorted(np.concatenate([np.ravel(x) for x in partition.positions])) == list(range(case.system.dim**2))
    numbers = (mixed(case.system.dim), case.V, case.A)
    assert_same(resolved, lambda m: block_generator(m, partition), dense_generator, numbers, 2e-13)


def rungs(states: tuple[int, ...]) -> lgks.System:
    """Levels of so many states each, 0.7 apart, between two baths."""
    rng = np.random.default_rng(5)
    d = sum(states)
    baths = [lgks.Bath(hermitian(rng, d), T, lgks.DrudeLorentz(0.01, 2.0)) for T in (1.0, 0.6)]
    return lgks.System(np.diag(np.repeat(0.7 * np.arange(len(states)), states)), baths)


@pytest.mark.slow
def test_what_is_made_of_blocks():
    """The public functions take them: a response, at rest and in time, and its derivative in a temperature, in reverse
    mode; of the dense matrix, which is taken where H is traced, in forward mode."""
    system = rungs((3, 2, 2))
    V, A = (jnp.asarray(hermitian(np.random.default_rng(i), 7)) for i in (1, 2))

    def sum_of_responses(T, H):
        warmer = eqx.tree_at(lambda s: (s.hamiltonian, s.baths[0].temperature), system, (H, T))
        r = lgks.response(warmer, V, A, instantaneous=True)
        names.append(r.generator.name)
        return r.step(1.3).total + r.static().total

    names, T, H = [], system.temperatures[0], system.hamiltonian
    value, change = jax.jit(jax.value_and_grad(lambda T: sum_of_responses(T, H)))(T)
    expected, expected_change = jax.jit(
        lambda T, H: jax.jvp(lambda T: sum_of_responses(T, H), (T,), (jnp.ones_like(T),))
    )(T, H)
    assert names == ["blocks", "dense"]
    assert float(value) == pytest.approx(float(expected), rel=1e-12)
    assert float(change) == pytest.approx(float(expected_change), rel=1e-9)


# Degenerate levels with one bath and with two. (Davies is in each.)
@pytest.mark.parametrize(("name", "seed"), [("unified", 33), ("davies with Lamb shift", 38)])
def test_steady_state_by_blocks(name, seed):
    case = draw(seed)
    dense, found = (lgks.steady_state(case.system, EQUATIONS[name], s) for s in (lgks.Dense(), lgks.Blocks()))
    assert found.solver == "blocks"
    np.testing.assert_allclose(found.rho, dense.rho, rtol=0, atol=1e-12)


def test_degenerate_levels_of_a_large_system():
    """Ten levels of three states, d = 30, chosen without being asked: 90 unknowns instead of 900; currents without an
    axis of groups."""
    system = rungs((3,) * 10)
    state = lgks.steady_state(system)
    assert state.solver == "blocks"
    dense = lgks.steady_state(system, solver=lgks.Dense())
    np.testing.assert_allclose(state.rho, dense.rho, rtol=0, atol=1e-12)
    J = lgks.heat_currents(system)
    np.testing.assert_allclose(J, lgks.heat_currents(system, rho=dense.rho), rtol=1e-9)
    assert float(J.sum()) == pytest.approx(0.0, abs=1e-12)


def large() -> lgks.System:
    """No two gaps are equal: 16,000 groups, too many for operators."""
    levels = np.sqrt(np.arange(128.0))
    return lgks.System(np.diag(levels), lgks.Bath(np.ones((128, 128)), 1.0, lgks.DrudeLorentz(0.01, 2.0)))


def test_where_no_blocks_are_known():
    system = rungs((3,) * 10)
    for equation in (lgks.UniversalLindblad(), lgks.Local(system)):
        with pytest.raises(SolverError, match="Davies and Unified"):
            lgks.steady_state(system, equation, lgks.Blocks())
    with pytest.raises(SolverError, match="Davies and Unified"):  # nothing could be returned instead
        lgks.steady_state(system, lgks.UniversalLindblad(), lgks.Blocks(), throw=False)
    with pytest.raises(SolverMemoryError, match="known"):
        generator(dissipation(large(), lgks.Davies()), None)
    with pytest.raises(SolverError, match="traced"):
        jax.jit(lambda e: lgks.steady_state(system.perturbed(np.eye(30), e), solver=lgks.Blocks()).rho)(0.1)
