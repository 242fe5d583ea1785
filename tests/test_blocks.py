"""The generator block by block against the dense matrix, and what rests on it: response, evolution, steady state."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._equations import dissipation
from jaxlgks._generator import block_generator, dense_generator, generator, known_blocks, unvec, vec
from jaxlgks.errors import SolverError, SolverMemoryError

from .systems import draw, hermitian

EQUATIONS = {
    "davies": lgks.Davies(),
    "davies with Lamb shift": lgks.Davies(lamb_shift=True),
    "unified": lgks.Unified(width=0.3),
}
TIMES = jnp.array([0.0, 0.3, 1.0, 1.7])
PARTS = ("kubo", "rotation", "shift")


def by_blocks(monkeypatch, everywhere: bool = True) -> None:
    """Blocks at any dimension, or nowhere."""
    limit = 1 if everywhere else 10**6
    monkeypatch.setattr(sys.modules["jaxlgks._generator._choice"], "SMALL", limit)


def traceless(d: int, count: int = 2) -> jax.Array:
    X = np.stack([hermitian(np.random.default_rng(i), d) for i in range(count)])
    return jnp.asarray(X - np.trace(X, axis1=1, axis2=2)[:, None, None] * np.eye(d) / d)


# Ladders, degenerate levels, both, d = 3 … 6, one to three baths.
@pytest.mark.parametrize(("name", "seed"), [*((name, seed) for name in EQUATIONS for seed in (18, 33)), ("davies", 41)])
def test_blocks_are_the_generator(name, seed):
    """L, its resolvent and its exponential with and without drive: rounding, 2e−13 of the largest number."""
    case = draw(seed)
    made = dissipation(case.system, EQUATIONS[name])
    partition = known_blocks(made, above=1)
    assert partition is not None
    by_block = eqx.filter_jit(lambda m: block_generator(m, partition))(made)
    dense = eqx.filter_jit(dense_generator)(made)
    assert (by_block.name, dense.name) == ("blocks", "dense")
    assert sorted(np.concatenate([np.ravel(x) for x in partition.positions])) == list(range(case.system.dim**2))
    X = traceless(case.system.dim)
    every = [lambda g: g.core.solve(X, jnp.asarray(0.4)), lambda g: g.core.solve(X, jnp.asarray(0.0))]
    every += [lambda g: g.core.carry(X, TIMES, None, None), lambda g: g.core.carry(X, TIMES, None, X)]
    every += [lambda g: g.resolvent(X, TIMES, case.A), lambda g: g.propagate(X, TIMES, case.A, X)]
    pairs = [(f(by_block), f(dense)) for f in every]
    pairs.append((partition.apply(by_block.matrices, X), jnp.stack([unvec(dense.matrix @ vec(x)) for x in X])))
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-13 * float(jnp.max(jnp.abs(expected))))


QUANTITIES = ("heat_currents", "heat_currents_gibbs", "entropy", "entropy_rate", "entropy_production")


@pytest.mark.parametrize(
    ("name", "seed"),
    [("davies with Lamb shift", 33), pytest.param("unified", 33, marks=pytest.mark.slow)],
)
def test_response_by_blocks(seed, name, monkeypatch):
    """Every part of every kind of response, thermodynamic and thermal ones too, and states in time: 1e−12."""
    case, equation = draw(seed), EQUATIONS[name]
    mixed = np.eye(case.system.dim) / case.system.dim
    state = hermitian(np.random.default_rng(1), case.system.dim)
    state = state @ state / np.trace(state @ state)

    def everything():
        r = lgks.response(case.system, case.V, case.A, equation)
        heat = lgks.thermal_response(case.system, lgks.HeatCurrent(0), equation)
        production = lgks.thermal_response(case.system, lgks.EntropyProduction(), equation)
        many = lgks.thermodynamic_response(case.system, case.V, equation)
        results = [r.static(), r.step(TIMES), r.impulse(TIMES), r.susceptibility(TIMES)]
        results += [getattr(many, quantity).static() for quantity in QUANTITIES]
        numbers = [getattr(x, part) for x in results for part in (*PARTS, "explicit")]
        numbers += [heat.temperatures, heat.strengths, production.temperatures, production.strengths]
        numbers.append(lgks.evolve(case.system, mixed, TIMES, equation).states)
        numbers.append(lgks.heat_currents(case.system, equation, rho=mixed))
        numbers.append(lgks.entropy_production(case.system, equation, rho=state))
        return r.generator.name, numbers

    by_blocks(monkeypatch)
    name, found = everything()
    by_blocks(monkeypatch, everywhere=False)
    other, expected = everything()
    assert (name, other) == ("blocks", "dense")
    for x, y in zip(found, expected, strict=True):
        scale = max(float(jnp.max(jnp.abs(y))), 1e-2)
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-12 * scale)


def test_derivatives_through_blocks(monkeypatch):
    """In a temperature, of a response that is made of blocks: as through the dense matrix."""
    case = draw(33)

    def slope(T):
        warmer = eqx.tree_at(lambda s: s.baths[0].temperature, case.system, T)
        return lgks.response(warmer, case.V, case.A).step(1.3).total

    by_blocks(monkeypatch)
    found = jax.grad(slope)(case.system.temperatures[0])
    by_blocks(monkeypatch, everywhere=False)
    assert float(found) == pytest.approx(float(jax.grad(slope)(case.system.temperatures[0])), rel=1e-9)


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
