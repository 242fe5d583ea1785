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
LEVELS = {"generic": (0.0, 0.6, 1.7), "degenerate": (0.0, 0.0, 1.0)}
START = jnp.array([0.8, 0.25, 0.0])  # a temperature, a coupling strength, an entry of H
PARAMETERS = ["temperature", "strength", "Hamiltonian entry"]


def system_of(p, levels: str) -> lgks.System:
    temperature, strength, entry = p
    H = jnp.diag(jnp.array(LEVELS[levels])) + entry * ENTRY
    hot = lgks.Bath(S1, temperature, lgks.DrudeLorentz(strength, 2.0), "hot")
    return lgks.System(H, [hot, lgks.Bath(S2, 0.5, lgks.Ohmic(0.2, 3.0, shape="gaussian"), "cold")])


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
    r = lgks.response(s, V, A, e)
    return jnp.concatenate([_parts(x) for x in (r.static(), r.impulse(TIMES), r.step(TIMES), r.susceptibility(TIMES))])


def _some_of_response(s, e):
    r = lgks.response(s, V, A, e)
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


def of_numbers(name: str, levels: str, equation=lgks.Davies(), *, whole: bool = True):
    """The catalogue's function of the three numbers, and a list that grows by one whenever it is traced."""
    traces, entry = [], CATALOGUE[name]

    def function(p):
        traces.append(1)
        return (entry.function if whole else entry.differentiated)(system_of(p, levels), equation)

    return function, traces


OPTIMISED = ("liouvillian", "steady_state", "heat_currents", "evolve expm", "response")
NAMES = [pytest.param(name, marks=[pytest.mark.optimised] if name in OPTIMISED else []) for name in CATALOGUE]

_compiled_events = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: _compiled_events.append(event) if event.endswith("backend_compile_duration") else None
)


@pytest.mark.parametrize("name", NAMES)
def test_jit_and_vmap_equal_eager_and_are_traced_once(name):
    """jit against eager, vmap over temperatures, strengths and entries of H against a loop; new numbers trace nothing.

    1e−10 of the largest number: rounding times the condition of the generator (1e2 here) and of adaptive steps."""
    function, traces = of_numbers(name, "generic")
    eager = function(START)
    del traces[:]
    compiled = jax.jit(function)
    scale = float(jnp.max(jnp.abs(eager)))
    assert np.all(np.isfinite(eager))
    np.testing.assert_allclose(compiled(START), eager, rtol=0, atol=1e-10 * scale)

    rows = START + jnp.concatenate([jnp.zeros((1, 3)), 0.07 * jnp.eye(3)])
    loop = jnp.stack([compiled(row) for row in rows])
    assert np.all(np.max(np.abs(loop[1:] - loop[:1]), axis=1) > 1e-6 * scale), "a parameter does not reach the function"
    assert len(traces) == 1
    del traces[:]
    batched = jax.jit(jax.vmap(function))
    np.testing.assert_allclose(batched(rows), loop, rtol=0, atol=1e-10 * scale)
    batched(rows + 0.01)
    assert len(traces) == 1


@pytest.mark.parametrize("name", ["heat_currents", "evolve expm", "response", "thermodynamic_response"])
def test_a_second_eager_call_compiles_nothing(name):
    """Outside `jit` too: programs are made for shapes, not for numbers."""
    function, _ = of_numbers(name, "generic")
    rows = [START, START.at[2].set(0.01), START * 1.1 + 0.02]
    function(rows[0])
    function(rows[1])
    before = len(_compiled_events)
    function(rows[2])
    assert len(_compiled_events) == before


def differences(function, p, steps=(2e-3, 1e-3, 5e-4)):
    """Romberg-extrapolated central differences along each parameter, [outputs, parameters]: error O(h⁶)."""
    columns = []
    for unit in jnp.eye(p.size):
        d1, d2, d3 = ((function(p + h * unit) - function(p - h * unit)) / (2 * h) for h in steps)
        fine, finer = (4 * d2 - d1) / 3, (4 * d3 - d2) / 3
        columns.append((16 * finer - fine) / 15)
    return np.stack(columns, axis=-1)


# What is made of one steady state is differentiated in one program.
TOGETHER = tuple(list(CATALOGUE)[:7])
SEPARATELY = [name for name in list(CATALOGUE)[7:] if name != "cross_validate"]  # three numbers that others are too


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [TOGETHER, *((name,) for name in SEPARATELY)],
    ids=lambda names: names[0] if len(names) == 1 else "steady",
)
def test_derivatives_at_exact_degeneracy_equal_differences(names):
    """Reverse mode of a projection of each function in all three numbers, and forward mode along a direction, with the
    groups pinned.

    1e−6 of the largest derivative against differences: rounding 1e−15/5e−4 times the condition; in an entry of H that
    splits a level, curvature over the relaxation rate (about 0.2), (2e−3/0.2)⁶ = 1e−12. The modes agree to 1e−8
    (adaptive steps differ between them).
    """
    pinned = lgks.Davies().fixed(system_of(START, "degenerate"))
    entries = [CATALOGUE[name] for name in names]
    free = START if all(entry.at_levels for entry in entries) else START[:2]
    traces = []

    def projections(numbers, functions):
        traces.append(1)
        # A tuple, not an array: a number that is not differentiated must not even carry a zero tangent into H.
        system = system_of((*numbers, *START[len(numbers) :]), "degenerate")
        values = [function(system, pinned) for function in functions]
        return jnp.stack([jnp.cos(jnp.arange(value.size) + 1.0) @ value for value in values])

    @jax.jit
    def value_and_jacobian(numbers):
        value, pull = jax.vjp(lambda x: projections(x, [entry.differentiated for entry in entries]), numbers)
        return value, jnp.stack(pull(jnp.ones(1))) if len(names) == 1 else jax.vmap(pull)(jnp.eye(len(names)))[0]

    got = np.asarray(value_and_jacobian(free)[1])
    assert len(traces) == 1
    expected = differences(lambda x: value_and_jacobian(x)[0], free)
    assert len(traces) == 1, "the gradient is traced anew for other numbers"
    size = np.max(np.abs(expected), axis=1)
    assert np.all(np.isfinite(got))
    assert np.all(size > 1e-3)
    assert np.all(np.max(np.abs(got - expected), axis=1) <= 1e-6 * size), dict(zip(names, got - expected, strict=True))
    direction = jnp.array([0.3, -0.5, 0.8])[: free.size]
    forward = [entry.forward or entry.differentiated for entry in entries]
    along = jax.jit(lambda x: jax.jvp(lambda y: projections(y, forward), (x,), (direction,))[1])(free)
    assert np.all(np.abs(along - got @ direction) <= 1e-8 * size), dict(
        zip(names, along - got @ direction, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["response", "thermodynamic_response"])
def test_the_derivative_of_a_response_at_coinciding_levels_is_nan(name):
    """It would need second divided differences: NaN (of `response` in either mode), never a plausible number."""
    function, _ = of_numbers(name, "degenerate", whole=False)
    value = lambda h: function((*START[:2], h)).sum()  # noqa: E731
    assert np.isnan(jax.jit(lambda h: jax.jvp(value, (h,), (1.0,))[1])(0.0))
    assert name != "response" or np.isnan(jax.jit(jax.grad(value))(0.0))


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("response", "thermodynamic_response")]


@pytest.mark.parametrize("name", ["heat_currents", *SLOW])
def test_derivatives_at_distinct_levels_equal_differences(name):
    """The same without pinned groups, where nothing coincides and nothing regroups: 1e−6."""
    function, _ = of_numbers(name, "generic", whole=False)
    weights = jnp.cos(jnp.arange(jax.eval_shape(function, START).size) + 1.0)
    projected = jax.jit(lambda p: weights @ function(p))
    expected = differences(projected, START)
    got = jax.jit(jax.grad(projected))(START)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * np.max(np.abs(expected)))


def test_channel_frequencies_follow_the_hamiltonian():
    """d ω_c/dδ at distinct levels is the difference of the levels' own slopes, ⟨n|V|n⟩ − ⟨m|V|m⟩."""
    base = system_of(START, "generic")
    V_real = jnp.diag(jnp.array([0.3, -0.4, 0.9]))
    frequencies = lambda d: lgks.channel_currents(base.perturbed(V_real, d)).frequencies  # noqa: E731
    slopes = jax.jvp(frequencies, (0.0,), (1.0,))[1]
    values = np.asarray(frequencies(0.0))
    exact = {0.0: 0.0, 0.6: -0.7, 1.1: 1.3, 1.7: 0.6}
    np.testing.assert_allclose(slopes, [exact[round(float(w), 6)] for w in values], atol=1e-12)


def test_derivative_of_a_gradient():
    """jvp of vjp of a heat current in the numbers of a bath: the Hessian is symmetric and equals differences, 1e−6."""
    function, _ = of_numbers("heat_currents", "degenerate")
    value = lambda x: function((*x, START[2]))[0]  # noqa: E731
    hessian = np.asarray(jax.jit(jax.hessian(value))(START[:2]))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    np.testing.assert_allclose(hessian, differences(jax.jit(jax.grad(value)), START[:2]), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "order"), [("temperature", "jvp of vjp"), ("strength", "vjp of jvp")])
def test_mixed_derivative_in_a_bath_and_the_hamiltonian(first, order):
    """∂²J/∂x∂h in either nesting of modes against differences of ∂J/∂h: one derivative in H is all it needs."""
    pinned = lgks.Davies().fixed(system_of(START, "degenerate"))
    function, _ = of_numbers("heat_currents", "degenerate", pinned)
    position = PARAMETERS.index(first)
    other = START[1 - position]
    value = lambda x, h: function((x, other, h) if position == 0 else (other, x, h))[0]  # noqa: E731
    x0 = START[position]
    outer, inner = (jax.jacfwd, jax.jacrev) if order == "jvp of vjp" else (jax.jacrev, jax.jacfwd)
    slope = jax.jit(jax.grad(value, 1))
    expected = float(differences(lambda x: slope(x[0], 0.0), x0[None])[0])
    h_outside = jax.jit(outer(lambda h: inner(value, 0)(x0, h)))(0.0)
    h_inside = jax.jit(outer(lambda x: inner(value, 1)(x, 0.0)))(x0)
    assert float(h_inside) == pytest.approx(expected, rel=1e-6)
    assert float(h_outside) == pytest.approx(expected, rel=1e-6)


def test_systems_are_pytrees_of_numbers():
    """Stacked systems are one batched system: vmap over the leaves equals a loop over systems."""
    systems = [system_of(START + 0.05 * k, "generic") for k in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *systems)
    batched = eqx.filter_jit(eqx.filter_vmap(lgks.heat_currents))(stacked)
    np.testing.assert_allclose(batched, jnp.stack([lgks.heat_currents(s) for s in systems]), atol=1e-14)
