"""The resolved problem: a model and a master equation with what both determine, found once and handed on.

Takes: a model and an equation. Returns: a problem, which checks operators, makes the generator, lists the ways to its
steady state, and says what its numbers are worth. A model has a room of its own, registered with `resolve`; everything
above this stage is written over the problem and the generator, and never asks for the kind of model.
"""

import abc
import functools
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from .._drives import DOORS, DrivenSystem
from .._equations import AbstractEquation, Validity
from .._inputs import described, is_concrete
from ..errors import RESULTS, InputError, JaxlgksError
from ._base import AbstractForm, AbstractGenerator, NullState
from ._channels import Channels
from ._driven import AbstractDriven
from ._facts import Facts
from ._solvers import AbstractSolver
from ._verdict import AbstractSteadyState


class AbstractProblem(eqx.Module):
    """A model and its equation, resolved."""

    @property
    @abc.abstractmethod
    def model(self) -> Any:
        """The model: baths, temperatures, H."""

    @property
    @abc.abstractmethod
    def equation(self) -> AbstractEquation:
        """The master equation."""

    @property
    @abc.abstractmethod
    def resolved(self) -> Any:
        """What solvers make forms from."""

    @abc.abstractmethod
    def unusable(self, who: str) -> JaxlgksError | None:
        """Why the generator is not finite, if a density is the reason."""

    def finite(self, values: Any, who: str) -> Any:
        """What was computed with the generator; raises where it is known not to be finite because of a density."""
        arrays = jax.tree.leaves(eqx.filter(values, eqx.is_inexact_array))
        if is_concrete(arrays) and not all(np.all(np.isfinite(x)) for x in arrays) and (error := self.unusable(who)):
            raise error
        return values

    @abc.abstractmethod
    def operator(self, A: Any, name: str, *, hermitian: bool = True) -> Any:
        """An operator of the user's, checked."""

    @abc.abstractmethod
    def operators(self, A: Any, name: str) -> Any:
        """Observables of the user's, one or several [*a], checked."""

    @abc.abstractmethod
    def state(self, rho: Any, name: str, *, positive: bool = False) -> Any:
        """A state of the user's, checked; `positive`: without negative eigenvalues, for entropies."""

    @abc.abstractmethod
    def solvers(self, solver: AbstractSolver | None) -> tuple[AbstractSolver, ...]:
        """The ways to the steady state, the cheapest first: the one asked for, or all that may apply."""

    @abc.abstractmethod
    def verdict(self, form: Any, null: NullState) -> RESULTS:
        """Whether a null state can be trusted. Traced."""

    @abc.abstractmethod
    def record(self, form: Any, null: NullState, result: RESULTS, solver: str) -> AbstractSteadyState:
        """The steady state as the user has it. Traced."""

    @abc.abstractmethod
    def validity(self, state: Any = None) -> Validity:
        """How far the equation can be trusted where the system goes through states (all levels when left out)."""

    @abc.abstractmethod
    def visited(self, evolution: Any) -> Any:
        """The states of an evolution, as `validity` takes them."""

    @abc.abstractmethod
    def numbers(self, steady: Any) -> list[Any]:
        """What of a record is the state itself."""

    def loosened(self, solver: AbstractSolver) -> "AbstractProblem":
        """The same without what a solver does not use and would compile a program of its own for."""
        return self

    @abc.abstractmethod
    def explained(self, steady: Any) -> Exception:
        """The error of a steady state that cannot be trusted."""

    @abc.abstractmethod
    def warnings(self, validity: Validity) -> list[str]:
        """What is clearly wrong with the equation there."""

    @abc.abstractmethod
    def generator(self, form: Any = None, state: Any = None) -> AbstractGenerator:
        """L in the form that its structure allows; `form`, `state`: where a steady state has been found already."""

    @abc.abstractmethod
    def momentary(self) -> AbstractForm:
        """A form that has the currents and the entropy rate of any state."""

    @abc.abstractmethod
    def channels(self, rho: Any) -> Channels:
        """The heat currents of a state by channel."""

    @abc.abstractmethod
    def direction(self, V: Any, L: Any) -> Any:
        """V as `first_order` takes it; raises, by name, where no first order along it exists."""

    @abc.abstractmethod
    def initial(self, rho: Any, name: str, method: str) -> Any:
        """What an evolution by a method may start from, checked."""

    @abc.abstractmethod
    def integrable(self) -> AbstractGenerator:
        """L in the form that an integrator takes."""

    @abc.abstractmethod
    def differentiable(self, V: Any, quantity: Any, order: int) -> "tuple[AbstractProblem, Any, Any]":
        """Problem, V and quantity for which `displaced` and `perturbed` exist: themselves where V stays in the family
        of models. Raises where there are none."""

    @abc.abstractmethod
    def under(self, equation: AbstractEquation) -> "AbstractProblem":
        """The same model under another equation that is not frozen."""

    @abc.abstractmethod
    def frozen(self) -> "AbstractProblem":
        """The same model under `Local`, with its own H as the reference."""

    @abc.abstractmethod
    def facts(self, V: Any, delta: float) -> Facts:
        """What δV does to levels and frequencies, and how fast things go, for known values."""

    @abc.abstractmethod
    def displaced(self, V: Any, delta: Array) -> "AbstractProblem":
        """With H + δV, decomposition and groups kept: for derivatives in δ at δ = 0."""

    @abc.abstractmethod
    def pinned(self) -> "AbstractProblem":
        """With its groups pinned, for `perturbed`."""

    @abc.abstractmethod
    def perturbed(self, V: Any, delta: Array) -> "AbstractProblem":
        """The problem of H + δV, resolved anew with the pinned groups."""

    @abc.abstractmethod
    def driven(self, V: Any) -> AbstractDriven:
        """The equation of the system under a drive, whose baths remember.

        **Raises:** `InputError` where there is none."""

    @abc.abstractmethod
    def with_baths(self, temperatures: Array, strengths: Array) -> "AbstractProblem":
        """With other temperatures, and Γ_α → (1 + s_α)Γ_α; groups kept."""

    @abc.abstractmethod
    def difference_step(self, V: Any, slowest: Float[Array, ""]) -> Float[Array, ""]:
        """A step in δ well inside the radius within which the steady state is analytic."""


@functools.singledispatch
def resolve(model: Any, equation: AbstractEquation) -> AbstractProblem:
    """The problem of a model and a master equation."""
    if isinstance(model, DrivenSystem):
        raise InputError(DOORS)
    raise InputError(f"a model must be a System or a QuasiFree; got {described(model)}.")
