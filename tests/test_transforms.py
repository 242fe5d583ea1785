"""jit, vmap, grad and jvp of every numeric public function, and how often each is traced.

One line of the catalogue is one function of a system; a new public function is tested by adding its line.
"""

from collections.abc import Callable
from dataclasses import dataclass

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks

from .systems import hermitian

RNG = np.random.default_rng(20)
S1, S2, V, A, RHO = (jnp.asarray(hermitian(RNG, 3)) for _ in range(5))
RHO = RHO @ RHO / jnp.trace(RHO @ RHO).real
ENTRY = jnp.zeros((3, 3)).at[0, 1].set(1.0).at[1, 0].set(1.0)  # a real entry of H, and its mirror image
TIMES = jnp.array([0.0, 0.4, 1.5])
GENERIC, DEGENERATE = np.array([0.0, 0.6, 1.7]), np.array([0.0, 0.0, 1.0])
START = jnp.array([0.8, 0.25, 0.0])  # a temperature, a coupling strength, an entry of H


def system_of(p, levels) -> lgks.System:
    """Two densities of one kind: the library then makes one program of both. (Mixed kinds: test_two_routes, and
    test_laws, with gradients.)"""
    temperature, strength, entry = p
    H = jnp.diag(jnp.asarray(levels)) + entry * ENTRY
    hot = lgks.Bath(S1, temperature, lgks.DrudeLorentz(strength, 2.0), "hot")
    return lgks.System(H, [hot, lgks.Bath(S2, 0.5, lgks.DrudeLorentz(0.2, 3.0), "cold")])


def real(*arrays) -> jax.Array:
    """All numbers of some arrays in one real vector."""
    flat = [jnp.ravel(x) for x in jax.tree.leaves(arrays)]
    return jnp.concatenate([jnp.concatenate([x.real, x.imag]) if jnp.iscomplexobj(x) else x for x in flat])


def _parts(result) -> jax.Array:
    """kubo, explicit and total; rotation and shift by their sum, which alone is continuous: how the two share it jumps,
    as it must, between an exactly degenerate level and one split by however little."""
    return real(result.kubo, result.rotation + result.shift, result.explicit, result.total)


def _evolve(method: str, **options):
    return lambda s, e: real(lgks.evolve(s, RHO, TIMES, e, method=method, **options).states)


def _of_a_state(s, e):
    return real(lgks.heat_currents(s, e, rho=RHO), lgks.entropy_production(s, e, rho=RHO))


def _response(s, e):
    r = lgks.response(s, V, A, e, instantaneous=True)
    return jnp.concatenate([_parts(x) for x in (r.static(), r.impulse(TIMES), r.step(TIMES), r.susceptibility(TIMES))])


def _some_of_response(s, e):
    r = lgks.response(s, V, A, e, instantaneous=True)
    return jnp.concatenate([_parts(r.static()), _parts(r.step(TIMES[1:]))])


def _channels(s, e):
    """Free of padding: sums over channels of the currents, of their squares, and of currents times frequencies."""
    c = lgks.channel_currents(s, e)
    return real(c.currents.sum(-1), (c.currents**2).sum(-1), c.currents @ c.frequencies)


def _thermodynamic(s, e):
    r = lgks.thermodynamic_response(s, V, e)
    six = (r.heat_currents, r.heat_currents_gibbs, r.channels, r.entropy, r.entropy_rate, r.entropy_production)
    return jnp.concatenate([_parts(x.static()) if x is not r.channels else _moments(x.static()) for x in six])


def _some_of_thermodynamic(s, e):
    r = lgks.thermodynamic_response(s, V, e)
    return jnp.concatenate([_parts(r.heat_currents.static()), _parts(r.entropy_production.static())])


def _moments(parts) -> jax.Array:
    """As `_parts`, free of padding: sums over channels of the values and of their squares."""
    both = (parts.kubo, parts.rotation + parts.shift, parts.explicit, parts.total)
    return real([jnp.stack([x.sum(-1), (x**2).sum(-1)]) for x in both])


def _cross_validate(s, e):
    check = lgks.cross_validate(s, V, A, e)
    return real(check.explicit.total, check.autodiff, check.finite_difference)


@dataclass(frozen=True)
class Entry:
    """A function (system, equation) -> real vector.

    `at_levels`: whether also where levels coincide; what is a first-order change itself may not.
    `some`: what of it is differentiated, where all of it makes a large program that shows no more.
    `forward`: the function to use in forward mode, where it is another."""

    function: Callable
    at_levels: bool = True
    some: Callable | None = None
    forward: Callable | None = None

    @property
    def differentiated(self) -> Callable:
        return self.some or self.function


CATALOGUE = {
    "liouvillian": Entry(lambda s, e: real(lgks.liouvillian(s, e))),
    "steady_state": Entry(lambda s, e: real(lgks.steady_state(s, e).rho)),
    "heat_currents": Entry(lgks.heat_currents),
    "channel_currents": Entry(_channels),
    "entropy_production": Entry(lambda s, e: real(lgks.entropy_production(s, e))),
    "both of a given state": Entry(_of_a_state),
    "von_neumann_entropy": Entry(lambda s, e: real(lgks.von_neumann_entropy(lgks.steady_state(s, e).rho))),
    "evolve expm": Entry(_evolve("expm")),
    "evolve diffrax": Entry(_evolve("diffrax"), forward=_evolve("diffrax", adjoint=diffrax.ForwardMode())),
    "response": Entry(_response, at_levels=False, some=_some_of_response),
    "thermodynamic_response": Entry(_thermodynamic, at_levels=False, some=_some_of_thermodynamic),
    "autodiff_response": Entry(lambda s, e: real(lgks.autodiff_response(s, V, A, e))),
    "cross_validate": Entry(_cross_validate, at_levels=False),
}


def values(names, p, levels, equation=lgks.Davies()) -> list[jax.Array]:
    """Some of the catalogue's functions, of the three numbers."""
    system = system_of(p, levels)
    return [CATALOGUE[name].function(system, equation) for name in names]


# A program is dear for what it holds, not for how often it runs: what is made of one state is traced together, every
# other line of the catalogue alone.
OF_ONE_STATE = ("channel_currents", "entropy_production", "both of a given state", "von_neumann_entropy")
GROUPS = [("liouvillian", "steady_state", "heat_currents"), OF_ONE_STATE, ("autodiff_response", "cross_validate")]
GROUPS += [(name,) for name in CATALOGUE if not any(name in group for group in GROUPS)]
OPTIMISED = {"steady_state", "evolve expm", "response"}
MARKED = [pytest.param(names, marks=[pytest.mark.optimised] if OPTIMISED & {*names} else []) for names in GROUPS]

_compiled_events = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: _compiled_events.append(event) if event.endswith("backend_compile_duration") else None
)


@pytest.mark.parametrize("names", MARKED, ids=" and ".join)
def test_jit_and_vmap_equal_eager_and_are_traced_once(names):
    """jit against eager, vmap over temperatures, strengths and entries of H against a loop; new numbers trace nothing.

    1e−10 of the largest number: rounding times the condition of the generator (1e2 here) and of adaptive steps."""
    traces = []

    def function(p):
        traces.append(1)
        return values(names, p, GENERIC)

    compiled, batched = jax.jit(function), jax.jit(jax.vmap(function))
    eager = [np.asarray(x) for x in values(names, START, GENERIC)]
    rows = START + np.concatenate([np.zeros((1, 3)), 0.07 * np.eye(3)])
    loop = [np.stack(x) for x in zip(*(compiled(row) for row in rows), strict=True)]
    assert len(traces) == 1
    batch = batched(rows)
    batched(rows + 0.01)
    assert len(traces) == 2
    for name, one, each, together in zip(names, eager, loop, batch, strict=True):
        scale = np.max(np.abs(one))
        assert np.all(np.isfinite(one))
        np.testing.assert_allclose(each[0], one, rtol=0, atol=1e-10 * scale, err_msg=name)
        changes = np.max(np.abs(each[1:] - each[:1]), axis=1)
        assert np.all(changes > 1e-6 * scale), f"a parameter does not reach {name}"
        np.testing.assert_allclose(together, each, rtol=0, atol=1e-10 * scale, err_msg=name)


@pytest.mark.parametrize("name", ["heat_currents", "evolve expm", "response", "thermodynamic_response"])
def test_a_second_eager_call_compiles_nothing(name):
    """Outside `jit` too: programs are made for shapes, not for numbers."""
    rows = [START, START.at[2].set(0.01), START * 1.1 + 0.02]
    values([name], rows[0], GENERIC)
    values([name], rows[1], GENERIC)
    before = len(_compiled_events)
    values([name], rows[2], GENERIC)
    assert len(_compiled_events) == before


def differences(function, p, steps=(2e-3, 1e-3, 5e-4)):
    """Romberg-extrapolated central differences along each parameter, [outputs, parameters]: error O(h⁶)."""
    columns = []
    for unit in np.eye(p.size):
        d1, d2, d3 = ((np.asarray(function(p + h * unit)) - function(p - h * unit)) / (2 * h) for h in steps)
        fine, finer = (4 * d2 - d1) / 3, (4 * d3 - d2) / 3
        columns.append((16 * finer - fine) / 15)
    return np.stack(columns, axis=-1)


def projection(entry: Entry, system, equation, *, forward: bool = False) -> jax.Array:
    """One number made of all that a function gives."""
    value = (entry.forward if forward and entry.forward else entry.differentiated)(system, equation)
    return jnp.cos(jnp.arange(value.size) + 1.0) @ value


# cross_validate gives three numbers that others give too.
STEADY = (*GROUPS[0], *OF_ONE_STATE)
OTHERS = [name for name in CATALOGUE if name not in (*STEADY, "cross_validate")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [STEADY, *((name,) for name in OTHERS if CATALOGUE[name].at_levels)],
    ids=lambda names: names[0] if len(names) == 1 else "steady",
)
def test_derivatives_at_exact_degeneracy_equal_differences(names):
    """Reverse mode of a projection of each function in all three numbers, and forward mode along a direction, with the
    groups pinned.

    1e−6 of the largest derivative against differences: rounding 1e−15/5e−4 times the condition; in an entry of H that
    splits a level, curvature over the relaxation rate (about 0.2), (2e−3/0.2)⁶ = 1e−12. The modes agree to 1e−8
    (adaptive steps differ between them).
    """
    pinned = lgks.Davies().fixed(system_of(START, DEGENERATE))
    traces = []

    def projections(p, forward=False):
        system = system_of(p, DEGENERATE)
        return jnp.stack([projection(CATALOGUE[name], system, pinned, forward=forward) for name in names])

    @jax.jit
    def values_and_gradient(p, weights):
        traces.append(1)
        found, pull = jax.vjp(projections, p)
        return found, pull(weights)[0]

    units = np.eye(len(names))
    got = np.stack([values_and_gradient(START, unit)[1] for unit in units])
    expected = differences(lambda p: values_and_gradient(p, units[0])[0], START)
    assert len(traces) == 1, "the gradient is traced anew for other numbers"
    size = np.max(np.abs(expected), axis=1)
    assert np.all(np.isfinite(got))
    assert np.all(size > 1e-3)
    off = np.max(np.abs(got - expected), axis=1) / size
    assert np.all(off <= 1e-6), dict(zip(names, off, strict=True))
    direction = np.array([0.3, -0.5, 0.8])
    along = jax.jit(lambda p: jax.jvp(lambda q: projections(q, True), (p,), (direction,))[1])(START)
    off = np.abs(along - got @ direction) / size
    assert np.all(off <= 1e-8), dict(zip(names, off, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OTHERS if not CATALOGUE[name].at_levels])
def test_derivatives_of_a_response_equal_differences(name):
    """Reverse mode, one program for all levels. Where no levels coincide (nothing pinned): in all three numbers. Where
    some do: in the two of a bath, there also forward mode; in an entry of H it would need second divided differences:
    NaN (of `response` in either mode), never a plausible number. Accuracies as above."""

    def value(bath, entry, levels):
        # The entry apart: where it is not differentiated it must not even carry a zero tangent into H.
        return projection(CATALOGUE[name], system_of((*bath, entry), levels), lgks.Davies())

    value_and_gradient = jax.jit(jax.value_and_grad(lambda p, levels: value(p[:2], p[2], levels)))
    for levels, free in ((GENERIC, 3), (DEGENERATE, 2)):
        got = np.asarray(value_and_gradient(START, levels)[1])
        fixed = START[free:]
        expected = differences(lambda p, x=levels, y=fixed: value_and_gradient(jnp.append(p, y), x)[0], START[:free])
        size = np.max(np.abs(expected))
        assert size > 1e-3
        np.testing.assert_allclose(got[:free], expected, rtol=0, atol=1e-6 * size)
        assert np.all(np.isnan(got[free:]))
    direction = np.array([0.3, -0.5])
    along = jax.jit(lambda bath: jax.jvp(lambda x: value(x, 0.0, DEGENERATE), (bath,), (direction,))[1])(START[:2])
    assert float(along) == pytest.approx(float(got[:2] @ direction), abs=1e-8 * size)
    if name == "response":

        def static(entry):  # the smallest program of it
            return lgks.response(system_of((*START[:2], entry), DEGENERATE), V, A).static().total

        assert np.isnan(jax.jit(lambda h: jax.jvp(static, (h,), (1.0,))[1])(0.0))


def test_derivatives_at_distinct_levels_equal_differences():
    """Of heat currents, without pinned groups, where nothing coincides and nothing regroups: 1e−6."""

    @jax.jit
    @jax.value_and_grad
    def value_and_gradient(p):
        return projection(CATALOGUE["heat_currents"], system_of(p, GENERIC), lgks.Davies())

    expected = differences(lambda p: value_and_gradient(p)[0], START)
    np.testing.assert_allclose(value_and_gradient(START)[1], expected, rtol=0, atol=1e-6 * np.max(np.abs(expected)))


def test_channel_frequencies_follow_the_hamiltonian():
    """d ω_c/dδ at distinct levels is the difference of the levels' own slopes, ⟨n|V|n⟩ − ⟨m|V|m⟩."""
    base = system_of(START, GENERIC)
    V_real = jnp.diag(jnp.array([0.3, -0.4, 0.9]))
    frequencies = lambda d: lgks.channel_currents(base.perturbed(V_real, d)).frequencies  # noqa: E731
    slopes = jax.jvp(frequencies, (0.0,), (1.0,))[1]
    values = np.asarray(frequencies(0.0))
    exact = {0.0: 0.0, 0.6: -0.7, 1.1: 1.3, 1.7: 0.6}
    np.testing.assert_allclose(slopes, [exact[round(float(w), 6)] for w in values], atol=1e-12)


@pytest.mark.parametrize("order", ["jvp of vjp", pytest.param("vjp of jvp", marks=pytest.mark.slow)])
def test_second_derivatives_in_a_bath_and_the_hamiltonian(order):
    """∂²J/∂x∂h in either nesting of modes, x the two numbers of a bath, h an entry of H that splits a level, against
    differences of ∂J/∂x, 1e−6 of each: one derivative in H is all it needs. The Hessian in x is symmetric."""
    pinned = lgks.Davies().fixed(system_of(START, DEGENERATE))

    def value(x, h):
        return lgks.heat_currents(system_of((*x, h), DEGENERATE), pinned)[0]

    # Each program is of one direction, and run for several.
    @jax.jit
    def jvp_of_vjp(x, h, unit):
        gradient, column = jax.jvp(jax.grad(value, 0), (x, h), (unit[:2], unit[2]))
        return gradient, column, jax.jvp(lambda y: jax.grad(value, 1)(y, h), (x,), (unit[:2],))[1]

    @jax.jit
    def vjp_of_jvp(x, h, unit):
        slope, pull = jax.vjp(lambda y, k: jax.jvp(lambda z: value(z, k), (y,), (unit[:2],))[1], x, h)
        return slope, pull(1.0), jax.grad(lambda y: jax.jvp(lambda k: value(y, k), (h,), (1.0,))[1])(x)

    units = np.eye(3)
    if order == "jvp of vjp":
        expected = differences(lambda p: jvp_of_vjp(p[:2], p[2], units[0])[0], START)
        columns = [jvp_of_vjp(START[:2], START[2], unit) for unit in units]
        h_outside, h_inside = np.column_stack([c[1] for c in columns]), [c[2] for c in columns[:2]]
    else:
        expected = np.stack([differences(lambda p, u=u: vjp_of_jvp(p[:2], p[2], u)[0], START) for u in units[:2]])
        rows = [vjp_of_jvp(START[:2], START[2], unit) for unit in units[:2]]
        h_outside, h_inside = np.stack([np.append(*row[1]) for row in rows]), rows[0][2]
    np.testing.assert_allclose(h_outside[:, :2], h_outside[:, :2].T, atol=1e-12)
    np.testing.assert_allclose(h_outside, expected, rtol=1e-6)
    np.testing.assert_allclose(h_inside, expected[:, 2], rtol=1e-6)


def test_systems_are_pytrees_of_numbers():
    """Stacked systems are one batched system: vmap over the leaves equals a loop over systems."""
    systems = [system_of(START + 0.05 * k, GENERIC) for k in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *systems)
    batched = eqx.filter_jit(eqx.filter_vmap(lgks.heat_currents))(stacked)
    np.testing.assert_allclose(batched, jnp.stack([lgks.heat_currents(s) for s in systems]), atol=1e-14)
