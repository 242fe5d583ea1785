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
}


def mixed(d: int) -> jax.Array:
    X = hermitian(np.random.default_rng(1), d)
    return jnp.asarray(X @ X / np.trace(X @ X))


# Ladders, degenerate levels, both, d = 3 … 6, one to three baths.
@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("davies", 33),
        ("unified", 33),
        pytest.param("davies", 18, marks=pytest.mark.slow),
        pytest.param("davies", 41, marks=pytest.mark.slow),
        pytest.param("davies with Lamb shift", 33, marks=pytest.mark.slow),
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


@pytest.mark.slow
def test_what_is_made_of_blocks(monkeypatch):
    """The public functions take them: a response, at rest and in time, and its derivative in a temperature."""
    case = draw(33)

    def slope(T):
        warmer = eqx.tree_at(lambda s: s.baths[0].temperature, case.system, T)
        r = lgks.response(warmer, case.V, case.A)
        names.append(r.generator.name)
        return r.step(1.3).total + r.static().total

    names, T = [], case.system.temperatures[0]
    monkeypatch.setattr("jaxlgks._generator._choice.SMALL", 1)
    value, change = jax.jit(jax.value_and_grad(slope))(T)
    monkeypatch.setattr("jaxlgks._generator._choice.SMALL", 10**6)
    expected, expected_change = jax.jit(jax.value_and_grad(slope))(T)
    assert names == ["blocks", "dense"]
    assert float(value) == pytest.approx(float(expected), rel=1e-12)
    assert float(change) == pytest.approx(float(expected_change), rel=1e-9)


@pytest.mark.parametrize("seed", [33, 38])
@pytest.mark.parametrize("name", EQUATIONS)
def test_steady_state_by_blocks(name, seed):
    case = draw(seed)
    dense, found = (lgks.steady_state(case.system, EQUATIONS[name], s) for s in (lgks.Dense(), lgks.Blocks()))
    assert found.solver == "blocks"
    np.testing.assert_allclose(found.rho, dense.rho, rtol=0, atol=1e-12)


def rungs() -> lgks.System:
    """Ten levels of three states each, 0.7 apart: d = 30."""
    rng = np.random.default_rng(5)
    baths = [lgks.Bath(hermitian(rng, 30), T, lgks.DrudeLorentz(0.01, 2.0)) for T in (1.0, 0.6)]
    return lgks.System(np.diag(np.repeat(0.7 * np.arange(10), 3)), baths)


def test_degenerate_levels_of_a_large_system():
    """d = 30, chosen without being asked: 90 unknowns instead of 900; currents without an axis of groups."""
    system = rungs()
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
    system = rungs()
    for equation in (lgks.UniversalLindblad(), lgks.Local(system)):
        with pytest.raises(SolverError, match="Davies and Unified"):
            lgks.steady_state(system, equation, lgks.Blocks())
    with pytest.raises(SolverError, match="Davies and Unified"):  # nothing could be returned instead
        lgks.steady_state(system, lgks.UniversalLindblad(), lgks.Blocks(), throw=False)
    with pytest.raises(SolverMemoryError, match="known"):
        generator(dissipation(large(), lgks.Davies()), None)
    with pytest.raises(SolverError, match="traced"):
        jax.jit(lambda e: lgks.steady_state(system.perturbed(np.eye(30), e), solver=lgks.Blocks()).rho)(0.1)
