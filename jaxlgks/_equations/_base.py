"""What every master equation provides: its filter functions, its groups of Bohr frequencies, and how it joins them.

Takes: configuration. Returns: for a coupling operator the filtered operators F(Ω_H)[S] of each group (`operators`) and
the dissipator that they form (`assemble`, bilinear). What follows from these for a system is `Dissipation`.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import equinox as eqx
from jaxtyping import Array, Complex, Float

from .._bohr import Groups, Reference, Structure, bohr_structure, one_group, reference_to
from .._inputs import as_flag, described
from .._system import Noise, System, require_matrices
from ..errors import InputError
from ._dissipator import Dissipator
from ._rates import OfGroup

Filter = Callable[[Callable[[Array], Array] | OfGroup], Complex[Array, "g d d"]]
"""F ↦ (1_g F)(Ω_H)[S], for the coupling operator of one bath; F of the frequencies themselves, or of their groups."""
Thunk = Callable[[], Float[Array, ""]]


class AbstractEquation(eqx.Module):
    """A quantum master equation: plain configuration, no state."""

    lamb_shift: eqx.AbstractVar[bool]
    reference: eqx.AbstractVar[Any]
    """Where groups are pinned (`fixed`), if they are; None where there is nothing to pin."""
    regroups: ClassVar[bool] = False
    """Whether its groups of Bohr frequencies are those of H itself, and can be pinned."""
    equal: ClassVar[bool] = False
    """Whether the frequencies of one group are taken for equal."""
    follows: ClassVar[bool] = True
    """Whether the dissipators change with H."""
    undriven: ClassVar[str] = "is derived for a Hamiltonian at rest"
    """Why it does not follow a drive with memory, where it is not exact to second order."""

    def __check_init__(self) -> None:
        # A truth value of NumPy would make programs of its own.
        object.__setattr__(self, "lamb_shift", as_flag(self.lamb_shift, f"{type(self).__name__}: lamb_shift"))

    @property
    def secular(self) -> bool:
        """Whether the dissipator is Σ_g D_g over groups of Bohr frequencies of H itself, with rates Γ(ω_mn) |S_mn|²
        between eigenstates: then blocks and populations apply."""
        return False

    @property
    def positive(self) -> bool:
        """Whether states stay positive (complete positivity)."""
        return True

    @property
    def one_rate(self) -> bool:
        """Whether all frequencies of a group have one rate, however far apart they are."""
        return False

    @property
    def dressed(self) -> bool:
        """Whether the states that are asked for are not those that it moves, but (1 − M) times these (`dressing`)."""
        return False

    def dressing(self, structure: Structure, noises: tuple[Noise, ...]) -> Complex[Array, "n n"]:
        """M on column-stacked states in the eigenbasis of H, where `dressed`."""
        raise NotImplementedError

    def require_own_frame(self, who: str) -> None:
        """Raise what is not built where `dressed`."""
        if self.dressed:
            raise InputError(
                f"{who}: not built for {type(self).__name__}(frame='system'), which has states, expectations, evolve "
                "(by 'expm'), correlation, liouvillian and autodiff_response, all with Dense(). Use frame='jump'."
            )

    @property
    def kernel(self) -> Literal["lindblad", "redfield"] | None:
        """Of which kind the dissipators are for linear couplings of oscillators, which do not read `operators`:
        "lindblad" for A_g = (1_g √Γ)(Ω)[S], "redfield" for Λ = (Γ/2 + iS)(Ω)[S] and S; None for any other."""
        return None

    @property
    def second_order(self) -> bool:
        """Whether it is exact to second order in the coupling, so that with memory it is for a drive as well."""
        return False

    def frozen(self, model: Any) -> Any:
        """The Hamiltonian in whose eigenbasis the dissipators are made, where it is not the model's; else None."""
        return None

    def gap(self, largest: Float[Array, ""], fast: Thunk, memory: Thunk) -> Float[Array, ""] | None:
        """The distance below which Bohr frequencies stay together; None if all do. `largest`: the largest frequency;
        `fast`: the fastest decay rate; `memory`: the longest memory of a bath, computed only when needed."""
        return None

    def groups(self, structure: Structure, system: System) -> Groups:
        """The groups of Bohr frequencies kept together; one of all, where `gap` is None."""
        return one_group(structure)

    @abc.abstractmethod
    def operators(self, filtered: Filter, noise: Noise, structure: Structure) -> Any:
        """The filtered coupling operators of which the dissipator is made: a pytree of arrays [g, ..., d, d], linear in
        the results of `filtered`."""

    @abc.abstractmethod
    def assemble(self, operators: Any) -> Dissipator:
        """The dissipator of one group from arrays [j, ..., d, d], j the independent noises of the bath; bilinear."""

    def fixed(self, system: System) -> "AbstractEquation":
        """The same equation with its groups pinned to those of `system`, so that a finite δ does not regroup; itself
        where nothing regroups."""
        if not self.regroups or self.reference is not None:
            return self
        require_matrices(system, "fixed")
        structure = bohr_structure(system.hamiltonian)
        return self.pinned(reference_to(structure, self.groups(structure, system)))

    def pinned(self, reference: Reference) -> "AbstractEquation":
        """The same equation with its groups pinned to given ones."""
        return eqx.tree_at(lambda e: e.reference, self, reference, is_leaf=lambda x: x is None)


def as_equation(equation: Any) -> AbstractEquation:
    """A master equation; `InputError` for anything else, a name or a class among them."""
    if isinstance(equation, AbstractEquation):
        return equation
    raise InputError(
        "equation must be a master equation, such as Davies(), Unified() or Redfield(lamb_shift=True); got "
        f"{described(equation)}."
    )


def as_reference(reference: Any, who: str) -> Reference | None:
    """Pinned groups, or None."""
    if reference is None or isinstance(reference, Reference):
        return reference
    raise InputError(f"{who}: reference is what fixed(system) sets, or None; got {described(reference)}.")
