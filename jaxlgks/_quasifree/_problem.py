"""A quasi-free model and its equation, resolved: normal modes and groups, found once.

Takes: a `QuasiFree` model, an equation. Returns: the problem that everything above is written over.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._compiled import compiled
from .._equations import LARGE, AbstractEquation, Davies, Local, Validity, as_equation, constant, unusable_rate
from .._generator import (
    NOT_FINITE,
    AbstractProblem,
    AbstractSolver,
    Channels,
    Facts,
    NullState,
    exponentials_of,
    require_driven,
    resolve,
    warnings_of,
)
from .._inputs import is_concrete, nan_where
from .._polynomials import Polynomial, Symbol, as_polynomial
from ..errors import (
    RESULTS,
    DerivativeOrderError,
    InputError,
    JaxlgksError,
    NonUniqueSteadyStateError,
    SolverError,
    SteadyStateError,
    TruncationError,
)
from ._currents import gaussian_channels, same_channel
from ._driven import GaussianDriven
from ._dynamics import (
    Dynamics,
    damping_rates,
    nominal_frequencies,
    one_noise_each,
    pull,
    reference_model,
    separation,
    weakness,
)
from ._expansion import has_secular_terms, rate_scale
from ._facts import mode_facts
from ._first_order import require_first_order
from ._form import Direction, GaussianForm, PolynomialGenerator, gaussian_form
from ._frame import Frame, frame
from ._model import QuasiFree, linear_part, quadratic_part
from ._modes import MERGED, NormalModes, normal_modes, oscillator_modes
from ._state import GaussianState, GaussianSteadyState, as_gaussian, undamped
from ._truncated import Truncated, truncated

LARGEST = 150
"""Dimension of a truncated model up to which its steady state is differentiated."""
ABOUT = "motion about the steady state"
"""What fails where evolutions, Heisenberg pictures and diagnoses need that state: they are written about it."""
TAIL = 1e-12
"""What the last shells may hold, before the observables weight it."""


class GaussianSolver(AbstractSolver):
    """The exact Gaussian steady state: Lyapunov's equation."""

    name: ClassVar[str] = "gaussian"

    def prepare(self, resolved: "ModesProblem") -> None:
        return None

    def form(self, resolved: "ModesProblem", prepared: None) -> GaussianForm:
        return gaussian_form(resolved.model, resolved.reference, resolved.equation, resolved.nominal)


class ModesProblem(AbstractProblem):
    """`reference`: the model in whose normal modes the dissipators are made, itself but for `Local`; `nominal`: the
    frequency that the group of each of these stands for; `modes`: the normal modes of the model, where they are known
    to be its own."""

    oscillators: QuasiFree
    reference: QuasiFree
    master_equation: AbstractEquation
    nominal: Float[Array, " m"]
    modes: NormalModes | None

    @property
    def model(self) -> QuasiFree:
        return self.oscillators

    @property
    def equation(self) -> AbstractEquation:
        return self.master_equation

    @property
    def resolved(self) -> "ModesProblem":
        return self

    def unusable(self, who: str) -> JaxlgksError | None:
        nominal, lamb = jax.lax.stop_gradient(self.nominal), self.equation.lamb_shift
        return unusable_rate(who, one_noise_each(self.model), jnp.concatenate([nominal, -nominal]), lamb)

    def operator(self, A: Any, name: str, *, hermitian: bool = True) -> Polynomial:
        return as_polynomial(A, name, self.model.modes, hermitian=hermitian)

    def operators(self, A: Any, name: str) -> Polynomial | tuple[Polynomial, ...]:
        if not isinstance(A, list | tuple):
            return self.operator(A, name)
        if not A:
            raise InputError("response: at least one observable is needed; got an empty sequence.")
        return tuple(self.operator(one, f"{name}[{i}]") for i, one in enumerate(A))

    def state(self, rho: Any, name: str, *, positive: bool = False) -> GaussianState:
        return as_gaussian(rho, self.model.modes, name)

    def initial(self, rho: Any, name: str, method: str) -> GaussianState:
        if method != "expm":
            raise InputError("evolve: of a QuasiFree model master equations evolve, with method 'expm'.")
        return as_gaussian(rho, self.model.modes, name)

    def solvers(self, solver: AbstractSolver | None) -> tuple[AbstractSolver, ...]:
        if solver is not None:
            raise SolverError("steady_state: a QuasiFree model has one solver; leave solver out.")
        return (GaussianSolver(),)

    def verdict(self, form: GaussianForm, null: NullState) -> RESULTS:
        result = RESULTS.where(null.accurate, RESULTS.successful, RESULTS.large_residual)
        result = RESULTS.where(null.unique, result, RESULTS.non_unique)
        return RESULTS.where(null.finite, result, RESULTS.not_finite)

    def record(self, form: GaussianForm, null: NullState, result: RESULTS, solver: str) -> GaussianSteadyState:
        return GaussianSteadyState(
            mean=null.state.mean,
            covariance=null.state.covariance,
            residual=null.residual,
            error=null.error,
            slowest=null.slowest,
            condition=null.condition,
            validity=None,
            result=result,
            solver=solver,
        )

    def validity(self, state: Any = None) -> Validity:
        """Whatever the state: the modes are independent of their occupation."""
        return _validity(self)

    def visited(self, evolution: Any) -> None:
        return None

    def numbers(self, steady: GaussianSteadyState) -> list[Any]:
        return [steady.mean, steady.covariance]

    def explained(self, steady: GaussianSteadyState, who: str = "steady_state") -> Exception:
        if steady.result == RESULTS.non_unique:
            motion: Dynamics = _form(self).motion
            return NonUniqueSteadyStateError(
                f"{who}: the steady state is not unique: no bath damps the mode(s) of {undamped(motion.total)}. "
                "Couple a bath to it, or lift the degeneracy that lets it hide."
            )
        if steady.result == RESULTS.not_finite:
            return self.unusable(who) or SteadyStateError(f"{who}: {NOT_FINITE}")
        eigenvalue = float(np.linalg.eigvalsh(steady.covariance)[0])
        return SteadyStateError(
            f"{who}: {type(self.equation).__name__} has no Gaussian state as its steady state: the lowest "
            f"eigenvalue of the covariance matrix is {eigenvalue:.3g}. The coupling is too strong for it."
        )

    def warnings(self, validity: Validity) -> list[str]:
        return warnings_of(validity, self.equation.equal, "normal frequencies", "diagnose(model, V, delta)")

    def momentary(self) -> GaussianForm:
        return _form(self)

    def integrable(self) -> Any:
        raise InputError("evolve: of a QuasiFree model master equations evolve, with method 'expm'.")

    def generator(self, form: Any = None, state: Any = None) -> PolynomialGenerator:
        if form is None:
            form = _form(self)
            null = _steady(form)
            if is_concrete(null.unique, null.accurate) and not (null.unique and null.accurate):
                raise self.explained(_record(self, form, null), ABOUT)
            source = eqx.filter(self.model, eqx.is_inexact_array)
            state = jax.tree.map(lambda x: nan_where(x, ~(null.unique & null.accurate), source), null.state)
        return _generator(self, form.motion, state, self._is_diagonal())

    def _is_diagonal(self) -> bool:
        """Whether L₀† is known to be diagonal on monomials of d, d†: every group of frequencies has one member."""
        if not self.equation.follows:
            return False
        with jax.ensure_compile_time_eval():
            if not is_concrete(self.model.hamiltonian):
                return False
            # Temperatures may be traced: groups of equal frequencies do not depend on them, clusters may.
            if not is_concrete(self.model) and not self.equation.equal:
                return False
            modes = _modes(self.model.hamiltonian)
            nominal = np.sort(np.asarray(nominal_frequencies(modes, self.model, self.equation)))
        gaps = np.diff(np.concatenate([[-nominal[0], 0.0], nominal]))
        return bool(np.all(gaps > MERGED * nominal[-1]))

    def direction(self, V: Polynomial, L: PolynomialGenerator) -> Direction:
        """V, checked for resonances (`ResonanceError`) and slopes that do not exist (`SingularDensityError`)."""
        symbol = V.coefficients
        secular = has_secular_terms(L.at.modes, symbol) if len(symbol) > 1 else np.zeros(())
        shifts = bool(secular) if is_concrete(secular) else True
        bohr, scale, damping = _checked(self.model, symbol, L.at)
        if is_concrete(bohr, scale, damping, L.at):
            require_first_order(self.model, bohr, L.at, scale, self.equation, damping)
        return Direction(symbol, shifts)

    def channels(self, rho: GaussianState) -> Channels:
        """The normal modes, those of one group together (one by one where they are traced)."""
        frequencies, currents = _channels(self, rho)
        if not is_concrete(frequencies, currents):
            return Channels(frequencies, currents)
        nominal = nominal_frequencies(self._own_modes, self.model, self.equation)
        first = np.argmax(np.asarray(same_channel(nominal)), axis=1)
        starts, label = np.unique(first, return_inverse=True)
        members = label[:, None] == np.arange(starts.size)
        return Channels(frequencies @ members / members.sum(axis=0), currents @ members)

    def under(self, equation: AbstractEquation) -> "ModesProblem":
        nominal = nominal_frequencies(self._own_modes, self.model, equation)
        return ModesProblem(self.model, self.model, equation, nominal, self.modes)

    def frozen(self) -> "ModesProblem":
        local = Local(self.model)
        nominal = nominal_frequencies(self._own_modes, self.model, local)
        return ModesProblem(self.model, self.model, local, nominal, self.modes)

    @property
    def _own_modes(self) -> NormalModes:
        return normal_modes(self.model) if self.modes is None else self.modes

    def facts(self, V: Polynomial, delta: float) -> Facts:
        davies = self.under(Davies())
        return mode_facts(self.model, davies.generator().at, V, delta, davies.validity())

    def differentiable(self, V: Polynomial, quantity: Any, order: int) -> tuple[AbstractProblem, Any, Any]:
        """Themselves for V of degree two at most, which leaves H₀ + δV in the family; else on a Fock space."""
        if V.degree > 2:
            few = truncated(self.model, self._excitations(V))

            def matrices(A: Any) -> Array:
                return jnp.stack([few.operator(one) for one in A]) if isinstance(A, tuple) else few.operator(A)

            other = quantity.with_operators(matrices)
            return resolve(few.system, _on(few, self.equation)), few.operator(V).astype(complex), other
        if order != 1:
            raise DerivativeOrderError(
                f"autodiff_response: of a QuasiFree model the first derivative is available; got order={order}. Use "
                "truncated(model, excitations) for the second."
            )
        self.direction(V, self.generator())
        return self, V, quantity

    def displaced(self, V: Polynomial, delta: Array) -> "ModesProblem":
        H = self.model.hamiltonian + delta * V
        model = eqx.tree_at(lambda m: m.hamiltonian, self.model, H)
        return ModesProblem(
            model, model if self.equation.follows else self.reference, self.equation, self.nominal, None
        )

    def pinned(self) -> "ModesProblem":
        return self  # the groups of `nominal` stay as they are

    def perturbed(self, V: Polynomial, delta: Array) -> "ModesProblem":
        return self.displaced(V, delta)

    def driven(self, V: Polynomial) -> GaussianDriven:
        require_driven(self.equation)
        if V.degree > 2:
            raise InputError(
                "The driven equation, which cross_validate differentiates at a frequency or a time, is Gaussian: it "
                f"takes V of degree 2 at most; got degree {V.degree}. Use the truncated system, or leave out omega "
                "and t."
            )
        return GaussianDriven(self.model, V, self.equation, self.nominal, exponentials_of(one_noise_each(self.model)))

    def with_baths(self, temperatures: Array, strengths: Array) -> "ModesProblem":
        model, reference = (m.with_baths(temperatures, strengths) for m in (self.model, self.reference))
        return ModesProblem(model, reference, self.equation, self.nominal, self.modes)

    def difference_step(self, V: Polynomial, slowest: Float[Array, ""]) -> Float[Array, ""]:
        """1e−2 of the smallest energy over the size of V in the normal modes: the lowest frequency or temperature, or
        the distance of two modes, whose coherence V turns against its own decay where it is small."""
        modes = self._own_modes
        forms = modes.forms
        quadratic, linear = forms.T @ quadratic_part(V) @ forms, forms.T @ linear_part(V)
        size = jnp.max(jnp.abs(quadratic)) + jnp.max(jnp.abs(linear))
        lowest = jnp.minimum(modes.frequencies[0], jnp.min(self.model.temperatures))
        apart = jnp.diff(modes.frequencies) + jnp.min(damping_rates(modes, self.model))
        size = jnp.where(size > 0, size, 1.0)  # a V that is a number moves nothing
        return 1e-2 * jnp.minimum(lowest, jnp.min(apart, initial=jnp.inf)) / size

    def _excitations(self, V: Polynomial) -> int:
        """As many quanta as leave less than `TAIL` in the last shells, where V still acts.

        **Raises:** `TruncationError` where more than `LARGEST` states would be needed; `InputError` where values are
        traced."""
        if not is_concrete(self.model, V):
            raise InputError(
                f"autodiff_response: a perturbation of degree {V.degree} needs a truncated Fock space, whose size is "
                "chosen from known values; call it outside jit, vmap and grad, or use response."
            )
        L = self.generator()
        n = np.asarray(L.at.occupations)[: self.model.modes]
        ratio = float(np.max(n / (n + 1)))
        shells = int(np.ceil(np.log(TAIL) / np.log(max(ratio, 1e-12)))) + V.degree
        size = 1.0
        for k in range(1, self.model.modes + 1):
            size = size * (shells + k) / k
        if size > LARGEST:
            raise TruncationError(
                f"autodiff_response: a perturbation of degree {V.degree} leaves the quasi-free family, and its second "
                f"route is a truncated Fock space. With occupations {np.round(n, 3).tolist()} that needs {shells} "
                f"quanta, {size:.0f} states; at most {LARGEST} are differentiated. Lower the temperatures, or rely on "
                "response, which needs no truncation."
            )
        return shells


def _on(few: Truncated, equation: AbstractEquation) -> AbstractEquation:
    """The equation on a Fock space."""
    if not isinstance(equation, Local):
        return equation
    return Local(few.operator(equation.reference), equation.davies.tolerance, equation.lamb_shift)


@compiled
def _validity(problem: ModesProblem) -> Validity:
    """Of the modes in which the dissipators are made, whatever they hold."""
    modes, model, nominal = constant((normal_modes(problem.reference), problem.reference, problem.nominal))
    zero = jnp.zeros_like(nominal[0])
    return Validity(
        memory=weakness(modes, model),
        force=pull(modes, model),
        separation=separation(modes, model, nominal),
        spread=zero,
        negativity=zero,
        equation=type(problem.equation).__name__,
        needed=LARGE if problem.equation.equal else 1.0,
    )


@compiled
def _form(problem: ModesProblem) -> GaussianForm:
    return GaussianSolver().form(problem, None)


@compiled
def _steady(form: GaussianForm) -> NullState:
    return form.steady()


@compiled
def _record(problem: ModesProblem, form: GaussianForm, null: NullState) -> GaussianSteadyState:
    return problem.record(form, null, problem.verdict(form, null), GaussianSolver.name)


@compiled
def _generator(problem: ModesProblem, motion: Dynamics, state: GaussianState, diagonal: bool) -> PolynomialGenerator:
    at = frame(problem._own_modes, problem.nominal, state, motion, diagonal)
    return PolynomialGenerator(problem.model, problem.reference, problem.equation, motion, at)


@compiled
def _modes(H: Polynomial) -> NormalModes:
    return oscillator_modes(H)


@compiled
def _checked(model: QuasiFree, V: Symbol, at: Frame) -> tuple[Symbol, Array, Array]:
    return at.bohr(V), rate_scale(model), damping_rates(at.modes, model)


@compiled
def _channels(problem: ModesProblem, rho: GaussianState) -> tuple[Array, Array]:
    return gaussian_channels(problem._own_modes, _form(problem).motion, rho)


@compiled
def _resolved(model: QuasiFree, reference: QuasiFree, equation: AbstractEquation) -> tuple[Array, NormalModes]:
    modes = normal_modes(model)
    reference_modes = normal_modes(reference) if equation.frozen(model) is not None else modes
    return nominal_frequencies(reference_modes, reference, equation), modes


def modes_problem(model: QuasiFree, equation: AbstractEquation) -> ModesProblem:
    """The problem of a quasi-free model. What is known of the model stays known inside `jit`."""
    equation = as_equation(equation)
    reference = reference_model(model, equation)  # raises here, by name, what a compiled program could not
    nominal, modes = _resolved(model, reference, equation)
    return ModesProblem(model, reference, equation, nominal, modes)


resolve.register(QuasiFree)(modes_problem)
