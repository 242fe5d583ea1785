"""The Bohr filter F(Ω_H)[S]: divided differences, groups, value, and the derivative in H at any degeneracy."""

import itertools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks._bohr import bohr_filter, bohr_structure, divided_difference, find_groups
from jaxlgks._equations import RootRate, dissipation
from jaxlgks.errors import DerivativeOrderError, SingularDensityError

from .systems import hermitian, unitary

LEVELS = (0.0, 0.0, 1.0, 1.0, 1.0, 2.5)  # degenerate energies, degenerate frequencies
TOLERANCE = 1e-9

# ----------------------------------------------------------------------------------------------------------------------
# Divided differences
# ----------------------------------------------------------------------------------------------------------------------

S, CUTOFF, T = 0.3, 2.0, 0.7
ROOTS = {
    "drude": (lgks.Ohmic(S, CUTOFF, shape="drude"), lambda w: mp.mpf(S) / (1 + (w / mp.mpf(CUTOFF)) ** 2)),
    "gaussian": (lgks.Ohmic(S, CUTOFF, shape="gaussian"), lambda w: mp.mpf(S) * mp.exp(-((w / mp.mpf(CUTOFF)) ** 2))),
}
DISTANCES = np.concatenate([10.0 ** np.arange(-16, 1), 3.0 * 10.0 ** np.arange(-8, 1)])


def exact_root(kappa, w):
    """√Γ in fifty digits, through zero."""
    return mp.sqrt(mp.mpf(T) * kappa(w) * (w / mp.mpf(T) / (-mp.expm1(-w / mp.mpf(T))) if w != 0 else 1))


@pytest.mark.optimised
@pytest.mark.parametrize("name", ROOTS)
@pytest.mark.parametrize("start", [0.0, 1e-3, 0.7, -0.7, -2.9, 4.0])
def test_divided_difference_at_every_distance(name, start):
    """√Γ[x, y] for |x − y| from 1e−16 to 3, against fifty digits: 2e−14 of the slopes' size at any distance.

    The plain quotient is off by 1e−16/|x − y|; the size is |F|(1/T + 1), as the slope may vanish between the nodes.
    """
    density, kappa = ROOTS[name]
    F = lambda w: density.amplitude(w, jnp.asarray(T))  # noqa: E731
    for sign in (1.0, -1.0):
        x, y = np.full(DISTANCES.size, start), start + sign * DISTANCES
        got = divided_difference(F, jnp.asarray(x), jnp.asarray(y))
        for a, b, g in zip(x, y, got, strict=True):
            a, b = mp.mpf(float(a)), mp.mpf(float(b))
            value = lambda w: exact_root(kappa, w)  # noqa: E731
            near = value(a + mp.mpf("1e-20")), value(a)
            expected = (value(b) - value(a)) / (b - a) if a != b else (near[0] - near[1]) / mp.mpf("1e-20")
            assert abs(mp.mpf(float(g)) - expected) < 2e-14 * max(value(a), value(b)) * (1 / mp.mpf(T) + 1), (a, b)


@pytest.mark.optimised
def test_divided_difference_is_symmetric_and_smooth_in_its_switch():
    """F[x, y] = F[y, x], and the two formulas meet where one takes over: no jump beyond 1e−13 as the distance grows."""
    F = lambda w: ROOTS["drude"][0].amplitude(w, jnp.asarray(T))  # noqa: E731
    x, y = jnp.full(4001, 0.4), 0.4 + jnp.linspace(1e-3, 1.5, 4001)
    forth, back = divided_difference(F, x, y), divided_difference(F, y, x)
    np.testing.assert_allclose(forth, back, rtol=0, atol=1e-13)
    second = np.diff(np.asarray(forth), 2)
    assert np.max(np.abs(second)) < 1e-6  # (1.5/4000)² times curvature below 1; a jump would show at its own size
    assert np.max(np.abs(np.diff(second))) < 1e-8


@pytest.mark.optimised
def test_divided_difference_of_the_logarithm_of_vanishing_numbers():
    """ln[p, q] down to p, q = 1e−300 without overflow or NaN, 1e−14 relative."""
    p = 10.0 ** -np.array([300.0, 200.0, 30.0, 1.0, 300.0])
    q = p * np.array([1.0, 1.0 + 1e-10, 1.5, 5.0, 1e200])
    got = divided_difference(jnp.log, jnp.asarray(p), jnp.asarray(q))
    for a, b, g in zip(p, q, got, strict=True):
        a, b = mp.mpf(float(a)), mp.mpf(float(b))
        expected = 1 / a if a == b else (mp.log(b) - mp.log(a)) / (b - a)
        assert abs(mp.mpf(float(g)) / expected - 1) < 1e-14, (a, b)


# ----------------------------------------------------------------------------------------------------------------------
# Groups
# ----------------------------------------------------------------------------------------------------------------------

GROUPED = {
    # levels -> the distinct positive Bohr frequencies
    "no level": ((0.3,), []),
    "one level": ((0.5, 0.5, 0.5), []),
    "ladder": (tuple(0.7 * np.arange(5)), [0.7, 1.4, 2.1, 2.8]),
    "degenerate": (LEVELS, [1.0, 1.5, 2.5]),
    "generic": ((0.0, 0.31, 0.93, 2.11), [0.31, 0.62, 0.93, 1.18, 1.8, 2.11]),
    "equal gaps elsewhere": ((0.0, 1.0, 2.7, 3.7), [1.0, 1.7, 2.7, 3.7]),
}
REPRESENTATIONS = {
    "as is": lambda H, rng: H,
    "offset 1e6": lambda H, rng: H + 1e6 * np.eye(len(H)),
    "offset -1e3, scaled": lambda H, rng: 1e-3 * H - np.eye(len(H)),
    "rotated": lambda H, rng: _turn(H, unitary(rng, len(H))),
    "rotated, offset 1e6": lambda H, rng: _turn(H, unitary(rng, len(H))) + 1e6 * np.eye(len(H)),
}


def _turn(H, U):
    X = U @ H @ U.conj().T
    return (X + X.conj().T) / 2


def structure_of(H):
    return bohr_structure(jnp.asarray(H, complex))


@pytest.mark.parametrize("how", REPRESENTATIONS)
@pytest.mark.parametrize("name", GROUPED)
def test_groups_are_the_distinct_bohr_frequencies(name, how):
    """As many groups as distinct frequencies, whatever the basis, origin or unit of energy; labels ascend with ω and
    are symmetric about the group of ω = 0."""
    levels, positive = GROUPED[name]
    rng = np.random.default_rng(len(levels))
    structure = structure_of(REPRESENTATIONS[how](np.diag(levels), rng))
    groups = find_groups(structure, TOLERANCE)
    assert groups.count == 2 * len(positive) + 1
    assert int(groups.zero) == len(positive)
    labels = np.asarray(groups.labels)
    np.testing.assert_array_equal(labels + labels.T, 2 * len(positive))
    expected = np.concatenate([-np.array(positive[::-1]), [0.0], positive])
    exact = np.sort(levels)[None, :] - np.sort(levels)[:, None]
    np.testing.assert_allclose(expected[labels], exact, atol=1e-12)
    np.testing.assert_array_equal(np.sum(groups.split(jnp.ones(groups.labels.shape)), axis=0), 1.0)


@pytest.mark.parametrize("name", GROUPED)
def test_groups_under_jit_are_the_same(name):
    """There the number of groups is a bound; labels are the same and the rest is empty."""
    structure = structure_of(np.diag(GROUPED[name][0]))
    known, traced = find_groups(structure, TOLERANCE), jax.jit(lambda s: find_groups(s, TOLERANCE))(structure)
    np.testing.assert_array_equal(known.labels, traced.labels)
    d = len(GROUPED[name][0])
    assert traced.count == d * d - d + 1 >= known.count
    assert float(np.sum(traced.split(jnp.ones(known.labels.shape))[known.count :])) == 0.0


@pytest.mark.parametrize(("gap", "count"), [(1e-3, 7), (1e-8, 7), (1e-10, 5), (1e-14, 5)])
def test_the_tolerance_decides_what_is_equal(gap, count):
    """Levels 0, 1, 2 + gap at tolerance 1e−9 of the width 2: frequencies 1 and 1 + gap are one group below 2e−9."""
    assert find_groups(structure_of(np.diag([0.0, 1.0, 2.0 + gap])), TOLERANCE).count == count


# ----------------------------------------------------------------------------------------------------------------------
# The filter's value
# ----------------------------------------------------------------------------------------------------------------------


def filtered(H, X, F):
    structure = structure_of(H)
    groups = find_groups(structure, TOLERANCE)
    return bohr_filter(structure, jnp.asarray(X, complex), F, groups)


@pytest.mark.parametrize("how", REPRESENTATIONS)
@pytest.mark.parametrize("name", ["ladder", "degenerate", "generic", "equal gaps elsewhere"])
def test_members_lower_the_energy_by_their_frequency(name, how):
    """[H, A_g] = −ω_g A_g, Σ_g A_g = S for F = 1, A_{−g} = A_g†. Rounding: 1e−16 of |H||S|, times the dimension."""
    levels, positive = GROUPED[name]
    rng = np.random.default_rng(7)
    H = REPRESENTATIONS[how](np.diag(levels).astype(complex), rng)
    X = hermitian(rng, len(levels))
    A = filtered(H, X, jnp.ones_like)
    A, size = np.asarray(A), np.max(np.abs(H)) * np.max(np.abs(X))
    scale = np.ptp(np.linalg.eigvalsh(H)) / np.ptp(levels)
    for frequency, member in zip(np.concatenate([-np.array(positive[::-1]), [0.0], positive]), A, strict=True):
        np.testing.assert_allclose(H @ member - member @ H, -scale * frequency * member, atol=2e-14 * size)
    np.testing.assert_allclose(np.sum(A, axis=0), X, atol=1e-13)
    np.testing.assert_allclose(A[::-1], A.conj().transpose(0, 2, 1), atol=1e-13)


def test_members_carry_the_function():
    """Σ_g A_g = F(Ω_H)[S], here for F = sin against sin of the superoperator X ↦ XH − HX as a matrix, 1e−13."""
    rng = np.random.default_rng(3)
    H, X = _turn(np.diag(LEVELS), unitary(rng, 6)), hermitian(rng, 6)
    A = filtered(H, X, jnp.sin)
    identity = np.eye(6)
    omega = np.kron(H.T, identity) - np.kron(identity, H)  # column stacking of XH − HX
    values, vectors = np.linalg.eigh(omega)
    expected = ((vectors * np.sin(values)) @ vectors.conj().T @ X.T.reshape(-1)).reshape(6, 6).T
    np.testing.assert_allclose(np.sum(A, axis=0), expected, atol=1e-13)


# ----------------------------------------------------------------------------------------------------------------------
# The filter's derivative
# ----------------------------------------------------------------------------------------------------------------------


def random_basis(seed: int = 1, levels=LEVELS):
    """The spectrum in a random basis, with random S and V."""
    rng = np.random.default_rng(seed)
    d = len(levels)
    H = _turn(np.diag(levels), unitary(rng, d))
    return lgks.System(H, lgks.Bath(hermitian(rng, d), T, ROOTS["drude"][0])), jnp.asarray(hermitian(rng, d))


def slope_and_difference(system, V, equation=lgks.Davies()):
    """dA_g/dδ by the filter's rule, and a central difference of A_g with the groups pinned."""
    pinned = equation.fixed(system)

    @jax.jit
    def jumps_and_slope(delta):
        def jumps(d):
            return dissipation(system.perturbed(V, d), pinned).channels()[0].left[:, 0]

        return jax.jvp(jumps, (delta,), (1.0,))

    def difference(h):
        return (np.asarray(jumps_and_slope(h)[0]) - np.asarray(jumps_and_slope(-h)[0])) / (2 * h)

    return np.asarray(jumps_and_slope(0.0)[1]), difference


@pytest.mark.parametrize("seed", range(3))
def test_derivative_at_exact_degeneracy(seed):
    """Levels (0,0,1,1,1,2.5), random V and S: 3e−9 at h = 1e−5, where curvature h² times a third derivative of about 10
    and rounding 1e−16/h meet; second order in h where curvature dominates."""
    system, V = random_basis(seed)
    slope, difference = slope_and_difference(system, V)
    assert np.all(np.isfinite(slope))
    assert np.max(np.abs(slope)) > 0.1
    assert np.max(np.abs(slope - difference(1e-5))) < 3e-9
    errors = [np.max(np.abs(slope - difference(h))) for h in (4e-3, 2e-3, 1e-3)]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("name", ["ladder", "generic", "equal gaps elsewhere", "one level"])
def test_derivative_on_other_spectra(name):
    """Ladders hold pairs of equal frequencies at different states, one level nothing but ω = 0.

    Against Richardson differences of fourth order, h = 1e−4: rounding 1e−16/h, curvature h⁴ times a fifth derivative of
    about the smallest gap to the power −5 (0.31: 3e2 · 5!): 1e−10 covers both."""
    levels = GROUPED[name][0]
    rng = np.random.default_rng(11)
    H = _turn(np.diag(levels), unitary(rng, len(levels)))
    system = lgks.System(H, lgks.Bath(hermitian(rng, len(levels)), T, ROOTS["gaussian"][0]))
    slope, difference = slope_and_difference(system, jnp.asarray(hermitian(rng, len(levels))))
    assert np.all(np.isfinite(slope))
    assert np.max(np.abs(slope - (4 * difference(5e-5) - difference(1e-4)) / 3)) < 1e-10


def test_groups_stay_distinct_when_they_nearly_meet():
    """Frequencies 1 and 1 + 1e−5, apart at tolerance 1e−9. The slope then has no pole 1/1e−5: only levels that V mixes
    count, and those are 1 apart. 1e−9 at h = 1e−6 (rounding 1e−16/h, curvature h²)."""
    rng = np.random.default_rng(5)
    system = lgks.System(np.diag([0.0, 1.0, 2.0 + 1e-5]), lgks.Bath(hermitian(rng, 3), T, ROOTS["drude"][0]))
    V = jnp.asarray(hermitian(rng, 3))
    slope, difference = slope_and_difference(system, V)
    assert np.all(np.isfinite(slope))
    assert np.max(np.abs(slope)) < 10
    assert np.max(np.abs(slope - difference(1e-6))) < 1e-9


def test_reverse_mode_equals_forward_mode():
    """Every real and imaginary direction of a Hermitian change of H at once by `grad`, one by one by `jvp`: 1e−12."""
    system, _ = random_basis()
    pinned, H0 = lgks.Davies().fixed(system), system.hamiltonian
    W = jnp.asarray(np.random.default_rng(2).normal(size=(7, 6, 6)) + 1j)

    def value(x):
        A = dissipation(system.perturbed(_hermitian_of(x), 1.0), pinned).channels()[0].left[:, 0]
        return jnp.sum((W * A).real)

    x0 = jnp.zeros(36)
    gradient = jax.jit(jax.grad(value))(x0)
    one_by_one = jax.jit(jax.vmap(lambda v: jax.jvp(value, (x0,), (v,))[1]))(jnp.eye(36))
    assert H0.shape == (6, 6)
    assert np.all(np.isfinite(gradient))
    assert np.max(np.abs(gradient)) > 0.1
    np.testing.assert_allclose(gradient, one_by_one, atol=1e-12)


def _hermitian_of(x):
    """A Hermitian matrix with d² real parameters."""
    d = round(x.size**0.5)
    X = x.reshape(d, d)
    upper = jnp.triu(X) + 1j * jnp.tril(X, -1).T
    return (upper + upper.conj().T) / 2


def test_derivatives_in_coupling_and_rates():
    """The filter is linear in S: its derivative along dS is the filter of dS. In T: the difference quotient, 1e−8."""
    system, _ = random_basis()
    structure = bohr_structure(system.hamiltonian)
    groups = find_groups(structure, TOLERANCE)
    X, dX = (jnp.asarray(hermitian(np.random.default_rng(i), 6)) for i in (8, 9))
    density = system.baths[0].spectrum

    def A(X, T):
        return bohr_filter(structure, X, RootRate(density, jnp.asarray(T)), groups)

    slope = jax.jvp(lambda X: A(X, T), (X,), (dX,))[1]
    np.testing.assert_allclose(slope, A(dX, T), atol=1e-14)
    slope = jax.jvp(lambda t: A(X, t), (T,), (1.0,))[1]
    np.testing.assert_allclose(slope, (A(X, T + 1e-6) - A(X, T - 1e-6)) / 2e-6, atol=1e-8)


def test_mixed_second_derivatives_in_every_mode():
    """d²/dH dT is a first derivative in H and must be right however modes are nested: jvp of vjp, vjp of jvp, ..., H
    outside or T. One program of all eight is traced and compiled in half of the time.

    Against a central difference in T of the first derivative: 1e−7 at h = 1e−5 (curvature h², rounding 1e−16/h).
    """
    system, V = random_basis(levels=(0.0, 0.0, 1.0))
    pinned = lgks.Davies().fixed(system)
    W = jnp.asarray(np.random.default_rng(4).normal(size=(3, 3, 3)) + 0.5j)

    def value(delta, T):
        shifted = system.perturbed(V, delta)
        bath = lgks.Bath(system.baths[0].coupling, T, system.baths[0].spectrum)
        return jnp.sum((W * dissipation(lgks.System(shifted.hamiltonian, bath), pinned).channels()[0].left[:, 0]).real)

    @jax.jit
    def first_and_mixed(delta, T):
        mixed = {}
        for over_H, over_T in itertools.product((jax.jacfwd, jax.jacrev), repeat=2):
            name = f"{over_H.__name__} over H, {over_T.__name__} over T"
            mixed[name + ", H outside"] = over_H(over_T(value, 1), 0)(delta, T)
            mixed[name + ", T outside"] = over_T(over_H(value, 0), 1)(delta, T)
        return jax.grad(value)(delta, T), mixed

    expected = float(first_and_mixed(0.0, T + 1e-5)[0] - first_and_mixed(0.0, T - 1e-5)[0]) / 2e-5
    assert abs(expected) > 0.1
    for how, found in first_and_mixed(0.0, T)[1].items():
        assert float(found) == pytest.approx(expected, rel=1e-7), how


@pytest.mark.parametrize("outer", [jax.jacfwd, jax.jacrev])
@pytest.mark.parametrize("inner", [jax.jacfwd, jax.jacrev])
def test_a_third_derivative_in_h_is_refused(outer, inner):
    """While it is traced: nothing needs to be compiled to see it."""
    system, V = random_basis(levels=(0.0, 0.0, 1.0))
    pinned = lgks.Davies().fixed(system)

    def value(delta):
        return jnp.sum(dissipation(system.perturbed(V, delta), pinned).channels()[0].left[:, 0].real)

    assert jax.eval_shape(inner(outer(value)), 0.0).shape == ()
    with pytest.raises(DerivativeOrderError):
        jax.eval_shape(outer(inner(outer(value))), 0.0)


def test_the_filter_refuses_a_slope_that_does_not_exist():
    """With smooth_at_zero=False a derivative in H is refused where S acts inside a level, and only there."""
    H, V = jnp.diag(jnp.array([0.0, 0.0, 1.0], complex)), jnp.diag(jnp.array([1.0, -1.0, 0.0], complex))
    inside = jnp.ones((3, 3), complex)
    outside = inside.at[:2, :2].set(jnp.eye(2))

    def value(d, X):
        structure = bohr_structure(H + d * V)
        groups = find_groups(bohr_structure(H), TOLERANCE)
        return jnp.sum(bohr_filter(structure, X, jnp.cos, groups, smooth_at_zero=False).real)

    assert np.isfinite(jax.grad(value)(0.0, outside))
    with pytest.raises(SingularDensityError):
        jax.grad(value)(0.0, inside)
