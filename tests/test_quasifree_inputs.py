"""What a quasi-free model refuses, by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlgks as lgks
from jaxlgks.errors import (
    DegreeError,
    DerivativeOrderError,
    InputError,
    NonUniqueSteadyStateError,
    NotHermitianError,
    ResonanceError,
    ShapeError,
    SingularDensityError,
    TruncationError,
    UnstableHamiltonianError,
    ValidityWarning,
)

A, B = lgks.modes(2)
BATH = lgks.Bath(A + A.dag + B + B.dag, 1.0, lgks.DrudeLorentz(0.01, 3.0), "bath")
FREE = A.dag * A + 1.5 * B.dag * B


def two(ratio: float, spectrum=None, temperature=1.0) -> lgks.QuasiFree:
    """Frequencies 1 and `ratio`, a bath each."""
    spectrum = spectrum or lgks.DrudeLorentz(0.01, 3.0)
    baths = [lgks.Bath(x + x.dag, temperature * t, spectrum, n) for x, t, n in ((A, 1.0, "hot"), (B, 0.5, "cold"))]
    return lgks.QuasiFree(A.dag * A + ratio * B.dag * B, baths)


@pytest.mark.parametrize(
    ("H", "words"),
    [
        (A.dag * A - B.dag * B, r"negative frequency -1 \(made of a2 1.00\)"),
        (FREE + 2.0 * (A.dag * B + B.dag * A), "negative frequency -0.7656"),
        (FREE + 0.6 * (A * A + A.dag * A.dag), r"grows as exp\(0.6633 t\).*made of a1 1.00"),
        (A.dag * A, r"frequency zero \(made of a2 1.00\)"),
        (A.dag * A + (B + B.dag), r"frequency zero \(made of a2 1.00\)"),
    ],
)
def test_an_unstable_hamiltonian_names_the_normal_mode(H, words):
    with pytest.raises(UnstableHamiltonianError, match=words):
        lgks.QuasiFree(H, BATH)


def test_what_a_model_is_made_of():
    with pytest.raises(
        DegreeError, match="Hamiltonian of QuasiFree may have degree 2 at most; got a polynomial of degree 3"
    ):
        lgks.QuasiFree(FREE + (A + A.dag) ** 3, BATH)
    with pytest.raises(NotHermitianError, match="Hamiltonian of QuasiFree must be Hermitian"):
        lgks.QuasiFree(FREE + A * B, BATH)
    with pytest.raises(DegreeError, match="coupling operator of bath may have degree 1"):
        lgks.Bath(A.dag * A, 1.0, lgks.Flat(0.1))
    with pytest.raises(NotHermitianError, match="coupling operator of bath 'x'"):
        lgks.Bath(A, 1.0, lgks.Flat(0.1), "x")
    with pytest.raises(InputError, match=r"coupling of baths\[0\] must be a Polynomial"):
        lgks.QuasiFree(FREE, lgks.Bath(np.eye(2), 1.0, lgks.Flat(0.1)))
    with pytest.raises(InputError, match="use QuasiFree"):
        lgks.System(np.eye(2), lgks.Bath(A + A.dag, 1.0, lgks.Flat(0.1)))
    with pytest.raises(DegreeError, match="degree 2 at most"):
        two(1.5).perturbed((A + A.dag) ** 3, 0.1)
    with pytest.raises(UnstableHamiltonianError):
        two(1.5).perturbed(A.dag * A, -2.0)
    with pytest.raises(ShapeError, match="Local: the reference Hamiltonian must be of the model"):
        lgks.heat_currents(two(1.5), lgks.Local(np.eye(4)))


def test_a_mode_that_no_bath_damps_is_named():
    with pytest.raises(NonUniqueSteadyStateError, match=r"frequency 1.5 \(amplitudes a2 1.00\)"):
        lgks.steady_state(lgks.QuasiFree(FREE, lgks.Bath(A + A.dag, 1.0, lgks.DrudeLorentz(0.01, 3.0))))
    # Of two equal modes one bath damps the sum only: the difference hides.
    with pytest.raises(NonUniqueSteadyStateError, match=r"amplitudes a1 1.00, a2 1.00"):
        lgks.steady_state(lgks.QuasiFree(A.dag * A + B.dag * B, BATH))
    dark = lambda T: lgks.steady_state(  # noqa: E731
        lgks.QuasiFree(A.dag * A + B.dag * B, lgks.Bath(A + A.dag + B + B.dag, T, lgks.DrudeLorentz(0.01, 3.0)))
    )
    assert np.all(np.isnan(jax.jit(dark)(1.0).covariance))


def test_terms_near_resonance_are_named():
    """ω₂ = 2ω₁ + 1e−4 with damping of 1e−2: a₂†a₁² is divided by 1e−4, which the equation takes for large."""
    V = B.dag * A * A + A.dag * A.dag * B
    with pytest.raises(ResonanceError, match=r"d2† d1² \(Bohr frequency 0.0001"):
        lgks.response(two(2.0001), V, A.dag * A)
    with pytest.warns(ValidityWarning, match="normal frequencies apart"):
        near = lgks.steady_state(two(1.0001))
    assert float(near.expect(A.dag * A)) > 0
    with pytest.warns(ValidityWarning), pytest.raises(ResonanceError, match="d1"):
        lgks.response(two(1.0001), A.dag * B + B.dag * A, A.dag * A)
    # Exactly at resonance, and far from it, first order exists.
    for ratio in (2.0, 2.3):
        assert np.isfinite(lgks.response(two(ratio), V, A.dag * A).static().total)
    assert np.isfinite(lgks.response(two(1.0001), A.dag * B + B.dag * A, A.dag * A, lgks.Unified()).static().total)


def test_where_the_slope_of_a_rate_does_not_exist_its_terms_are_named():
    """Redfield keeps ω and −ω in one group: diagonal terms move rates through zero, where Flat is singular."""
    flat = two(1.5, lgks.Flat(0.01))
    with pytest.raises(SingularDensityError, match=r"diagonal terms .*d1† d1.* bath 'hot'.*Flat has a singular"):
        lgks.response(flat, A.dag * A, A.dag * A, lgks.Redfield())
    assert np.isfinite(lgks.response(flat, A.dag * A, A.dag * A).static().shift)


def test_the_second_route_says_where_a_fock_space_would_be_too_large():
    with pytest.raises(TruncationError, match=r"degree 3 leaves the quasi-free family.*at most 150"):
        lgks.autodiff_response(two(1.5, temperature=300.0), (A + A.dag) ** 3, A + A.dag)
    with pytest.raises(DerivativeOrderError, match="first derivative"):
        lgks.autodiff_response(two(1.5), A.dag * A, A.dag * A, order=2)
    with pytest.raises(DerivativeOrderError, match="second derivative in the Hamiltonian"):
        jax.grad(jax.grad(lambda d: lgks.heat_currents(two(1.5).perturbed(A.dag * A, d))[0]))(0.0)
    with pytest.raises(InputError, match="UniversalLindblad"):
        lgks.heat_currents(two(1.5), lgks.UniversalLindblad(lamb_shift=True))


def test_inside_jit_bad_values_become_nan():
    value = jax.jit(lambda w: lgks.heat_currents(two(w))[0])
    assert np.isfinite(value(1.5))
    assert np.isnan(value(-1.5))
    expect = jax.jit(lambda x: lgks.steady_state(two(1.5)).expect(A.dag * A + 1j * x * (A + A.dag)))
    assert np.isnan(expect(jnp.asarray(1.0)))
    assert np.isfinite(expect(jnp.asarray(0.0)))


def test_exact_steady_states_refuse_what_they_cannot_do():
    with pytest.raises(InputError, match=r"baths\[0\] must have a DrudeLorentz density; got Flat"):
        lgks.exact_steady_state(two(1.5, lgks.Flat(0.01)))
    with pytest.raises(UnstableHamiltonianError, match="soften"):
        lgks.exact_steady_state(two(1.5, lgks.DrudeLorentz(0.3, 3.0)))


def test_a_reference_of_the_local_equation_is_checked():
    a, b = lgks.modes(2)
    H = a.dag * a + 1.4 * b.dag * b
    spectrum = lgks.DrudeLorentz(0.005, 3.0)
    model = lgks.QuasiFree(H, [lgks.Bath(x + x.dag, T, spectrum) for x, T in ((a, 1.0), (b, 0.5))])
    for reference, error in (
        (H + (a + a.dag) ** 3, DegreeError),
        (H + 0.1 * a, NotHermitianError),
        (a.dag * a - 1.4 * b.dag * b, UnstableHamiltonianError),
    ):
        with pytest.raises(error):
            lgks.heat_currents(model, lgks.Local(reference))


def test_products_of_modes_beside_a_frequency_are_named():
    """V is far from resonance; the coupling that it makes of two modes is not."""
    d1, d2, d3 = lgks.modes(3)
    spectrum = lgks.DrudeLorentz(0.002, 5.0)
    x = lambda d: d + d.dag  # noqa: E731
    H = d1.dag * d1 + 2.001 * d2.dag * d2 + 3.7 * d3.dag * d3
    baths = [lgks.Bath(x(d1) + x(d2) + 0.5 * x(d3), 1.0, spectrum), lgks.Bath(x(d2) - x(d3), 0.6, spectrum)]
    V, A = d1 * d1 * d3.dag, d1.dag * d1.dag * d2
    with pytest.warns(lgks.ValidityWarning, match="d1² beside d2"):
        lgks.response(lgks.QuasiFree(H, baths), V + V.dag, A + A.dag)


def test_a_state_below_the_vacuum_is_refused():
    a, b = lgks.modes(2)
    spectrum = lgks.DrudeLorentz(0.005, 3.0)
    model = lgks.QuasiFree(a.dag * a + 1.4 * b.dag * b, [lgks.Bath(x + x.dag, 1.0, spectrum) for x in (a, b)])
    with pytest.raises(InputError, match="uncertainty"):
        lgks.entropy_production(model, rho=lgks.GaussianState(jnp.zeros(4), 0.1 * jnp.eye(4)))
    assert (a ** np.int64(2)).degree == 2


def test_many_modes_take_little_memory():
    """Twenty modes: 820 unknowns with forty neighbours each, no table of 10⁹ numbers. Occupations by hand."""
    a = lgks.modes(20, degree=2)
    H = sum(((1 + 0.1 * k) * x.dag * x for k, x in enumerate(a)), 0.0 * a[0])
    coupling = sum((x + x.dag for x in a), 0.0 * a[0])
    state = lgks.steady_state(lgks.QuasiFree(H, lgks.Bath(coupling, 1.0, lgks.DrudeLorentz(1e-4, 5.0))))
    occupied = np.diag(np.asarray(state.covariance))[:20] - 0.5
    np.testing.assert_allclose(occupied, 1 / np.expm1(1 + 0.1 * np.arange(20)), rtol=1e-9)
