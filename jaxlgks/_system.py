"""What the user describes: a Hamiltonian and the baths that touch it. Nothing is computed here.

Takes: operators and numbers. Returns: a pytree, H_0 with couplings S_α, temperatures T_α and spectral densities
(paper, Eqs. 2–5).
"""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float, Inexact

from ._drives import DOORS, Drive, DrivenSystem, driven_by
from ._frame import RotatingFrame
from ._inputs import (
    Numbers,
    as_array,
    as_operator,
    as_real,
    as_scalar,
    as_temperature,
    as_word,
    described,
    is_concrete,
    require_finite,
    require_x64,
    unpacked,
)
from ._polynomials import Polynomial, as_polynomial
from ._spectra import AbstractSpectrum, Moved, as_spectrum
from .errors import InputError, NoBathError, ShapeError, TemperatureError

if TYPE_CHECKING:  # which of the two it is, System and QuasiFree see to
    Coupling = Any
    Couplings = Any
else:
    Coupling, Couplings = Inexact[Array, "d d"] | Polynomial, Complex[Array, "*batch d d"] | Polynomial


class Noise(eqx.Module):
    """One coupling operator with one spectral density: what a master equation sees of a bath."""

    coupling: Coupling
    temperature: Float[Array, ""]
    spectrum: AbstractSpectrum
    name: str = eqx.field(static=True)

    def rate(self, omega: Numbers) -> Array:
        """Γ(ω) on both signs."""
        return self.spectrum.rate(omega, self.temperature)

    @property
    def label(self) -> str:
        """What a sentence calls its bath."""
        return f"bath {self.name!r}" if self.name else "a bath"

    @property
    def quanta(self) -> Float[Array, ""] | None:
        """What a jump takes up beside the change of H, where the frame turns with the coupling; else None."""
        return self.spectrum.shift if isinstance(self.spectrum, Moved) else None


class Bath(eqx.Module):
    """A thermal bath coupled to the system by S ⊗ R (paper, Eq. 5), or by several operators, Σ_a S_a ⊗ R_a.

    The noises of several operators may be correlated, with a positive matrix of rates. It is given as a sum of
    independent noises k, each with a density of its own, which is positive and obeys detailed balance by construction:

        Γ_ab(ω) = Σ_k M_ak M_bk Γ_k(ω)

    (for one density and a correlation matrix C: M the Cholesky factor of C).

    **Arguments:**

    - `coupling`: the Hermitian operator S, shape [d, d], or several: a sequence, or an array [n, d, d]. For a
      `QuasiFree` model a linear Hermitian `Polynomial`.
    - `temperature`: T > 0, in units of energy (k_B = 1).
    - `spectrum`: a spectral density (`Flat`, `Ohmic`, `DrudeLorentz`, ...) or any function γ(ω) of ω > 0; for several
      operators one for all noises or a sequence of one each.
    - `name`: what tables and errors call it.
    - `mixing`: real M, [n, noises]; the identity (independent noises) when left out.

    **Raises:** `NotHermitianError`, `ShapeError`, `TemperatureError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.Bath([[0, 1], [1, 0]], temperature=0.5, spectrum=lgks.DrudeLorentz(0.01, 2.0), name="hot")
    bath.rate(1.0) / bath.rate(-1.0)               # exp(1/T), detailed balance
    ```
    """

    coupling: Couplings
    temperature: Float[Array, "*batch"]
    spectrum: AbstractSpectrum | tuple[AbstractSpectrum, ...]
    name: str = eqx.field(static=True)
    mixing: Float[Array, "*batch n k"] | None

    def __init__(self, coupling, temperature: ArrayLike, spectrum, name: str = "", mixing=None):
        self.name = as_word(name, "the name of a bath")
        label = f"bath {name!r}" if name else "bath"
        several = _is_stack(coupling)
        if isinstance(coupling, Polynomial):
            self.coupling = as_polynomial(coupling, f"the coupling operator of {label}", coupling.modes, degree=1)
        elif several:
            operators = [as_operator(S, f"coupling operator {i} of {label}") for i, S in enumerate(coupling)]
            if len({S.shape for S in operators}) > 1:
                raise ShapeError(
                    f"the coupling operators of {label} must have one shape; got {[S.shape for S in operators]}."
                )
            self.coupling = jnp.stack(operators)
        else:
            self.coupling = as_operator(coupling, f"the coupling operator of {label}")
        self.temperature = as_temperature(temperature, f"the temperature of {label}")
        self.mixing = None if mixing is None else _as_mixing(mixing, self.coupling, label)
        sequence = isinstance(spectrum, list | tuple)
        self.spectrum = tuple(as_spectrum(one) for one in spectrum) if sequence else as_spectrum(spectrum)
        noises = self.mixing.shape[1] if self.mixing is not None else len(self.coupling) if several else 1
        if isinstance(self.spectrum, tuple) and (not several or len(self.spectrum) != noises):
            raise InputError(
                f"{label} has {noises} independent noise(s) and needs one density for all or one each; got "
                f"{len(self.spectrum)}."
            )

    @property
    def noises(self) -> tuple[Noise, ...]:
        """The independent noises, Σ_a M_ak S_a with one density each."""
        if isinstance(self.coupling, Polynomial) or self.coupling.ndim == 2:
            return (Noise(self.coupling, self.temperature, self.spectrum, self.name),)  # pyright: ignore
        mixed = self.coupling
        if self.mixing is not None:
            mixed = jnp.einsum("ak,aij->kij", self.mixing.astype(mixed.dtype), mixed)
        spectra = self.spectrum if isinstance(self.spectrum, tuple) else (self.spectrum,) * len(mixed)
        return tuple(Noise(S, self.temperature, J, self.name) for S, J in zip(mixed, spectra, strict=True))

    def rate(self, omega: Numbers) -> Array:
        """Γ(ω) on both signs: emission of ω into the bath for ω > 0, absorption for ω < 0. For several operators the
        matrix Γ_ab(ω), [..., n, n]."""
        if isinstance(self.coupling, Polynomial) or self.coupling.ndim == 2:
            return self.noises[0].rate(omega)
        rates = jnp.stack([noise.rate(omega) for noise in self.noises], axis=-1)
        M = jnp.eye(rates.shape[-1], dtype=rates.dtype) if self.mixing is None else self.mixing
        return jnp.einsum("ak,...k,bk->...ab", M, rates, M)


class System(eqx.Module):
    """A quantum system between baths.

    **Arguments:**

    - `hamiltonian`: H, Hermitian, shape [d, d].
    - `baths`: one `Bath` or a sequence of them, in the order in which currents are reported.
    - `dtype`: `None` for 64-bit (JAX's x64 mode must be on) or `jnp.complex64` for single precision.
    - `edge`: for a truncated infinite space, the projector onto its last levels; a steady state that holds more than
      1e−8 there is refused.
    - `frame`: for a driven system, the `RotatingFrame` in which H does not depend on time. Without one a drive that was
      turned away leaves rates and heat at the frequencies of the frame.
    - `energy`: the operator whose flow is called heat, Hermitian, [d, d], H when left out. Local equations obey the
      second law with the bare energy of the parts (De Chiara, Landi, Hewgill, Reid, Ferraro, Roncaglia, Antezza, New J.
      Phys. 20, 113024 (2018); Hofer et al., ibid. 19, 123037 (2017)); what the currents of a steady state then add up
      to is work. It stays what it is when H is perturbed.

    **Raises:** `NotHermitianError`, `ShapeError`, `NoBathError`, `PrecisionError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    sx, sz = lgks.models.pauli("X"), lgks.models.pauli("Z")
    hot = lgks.Bath(sx, 2.0, lgks.Flat(0.1), "hot")
    cold = lgks.Bath(sx, 1.0, lgks.Flat(0.1), "cold")
    lgks.heat_currents(lgks.System(0.5 * sz, [hot, cold]))
    ```
    """

    hamiltonian: Complex[Array, "*batch d d"]
    baths: tuple[Bath, ...]
    edge: Complex[Array, "*batch d d"] | None
    energy: Complex[Array, "*batch d d"] | None

    def __init__(self, hamiltonian, baths, *, dtype=None, edge=None, frame=None, energy=None):
        if dtype is None:
            require_x64()
            dtype = jnp.complex128
        dtype = _as_kind(dtype)
        baths = as_baths(baths, "System")
        for position, bath in enumerate(baths):
            if isinstance(bath.coupling, Polynomial):
                raise InputError(f"System: baths[{position}] is coupled by a Polynomial, not a matrix; use QuasiFree.")
        self.hamiltonian = as_operator(hamiltonian, "the Hamiltonian").astype(dtype)
        dim = self.hamiltonian.shape[-1]
        for position, bath in enumerate(baths):
            if bath.coupling.shape[-1] != dim:
                raise ShapeError(
                    f"the coupling operator of baths[{position}] {bath.name!r} must have the shape of the "
                    f"Hamiltonian, ({dim}, {dim}); got {tuple(bath.coupling.shape)}."
                )
        if frame is not None:
            if not isinstance(frame, RotatingFrame):
                raise InputError(f"System: frame must be a RotatingFrame; got {type(frame).__name__}.")
            baths = tuple(frame.seen(bath) for bath in baths)
        self.baths = tuple(_cast(bath, dtype) for bath in baths)
        self.edge = None if edge is None else as_operator(edge, "the edge projector", dim).astype(dtype)
        self.energy = None if energy is None else as_operator(energy, "the energy operator", dim).astype(dtype)

    @property
    def dim(self) -> int:
        """Dimension d of the Hilbert space."""
        return self.hamiltonian.shape[-1]

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        """Bath temperatures, in the order given."""
        return jnp.stack([bath.temperature for bath in self.baths])

    @property
    def one_by_one(self) -> tuple["System", ...]:
        """The system with each of its baths alone."""
        return tuple(eqx.tree_at(lambda s: s.baths, self, (bath,)) for bath in self.baths)

    def with_baths(self, temperatures: Numbers, strengths: Numbers) -> "System":
        """The system with other temperatures, and rates Γ_α → (1 + s_α) Γ_α, s_α ≥ −1; one number a bath."""
        temperatures, roots = as_bath_numbers(temperatures, strengths, len(self.baths))
        each = zip(self.baths, temperatures, roots, strict=True)
        numbers = [x for bath, T, root in each for x in (T, bath.coupling * root.astype(bath.coupling.dtype))]
        return eqx.tree_at(bath_numbers, self, numbers)

    def perturbed(self, V, delta: ArrayLike) -> "System":
        """The system with Hamiltonian H + δV; baths and couplings stay (paper, Eq. 2).

        **Arguments:** `V`: Hermitian, shape [d, d]. `delta`: real scalar δ.

        **Raises:** `NotHermitianError`, `ShapeError`; `InputError` for a δ that is not one real number.

        ```python
        import jax; jax.config.update("jax_enable_x64", True)
        import jaxlgks as lgks
        system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
        system.perturbed(lgks.models.pauli("ZZ"), 0.1).hamiltonian
        ```
        """
        V = as_operator(V, "the perturbation V", self.dim)
        H = self.hamiltonian + as_scalar(delta, "the strength delta of the perturbation") * V
        return eqx.tree_at(lambda s: s.hamiltonian, self, H.astype(self.hamiltonian.dtype))

    def driven(self, *drives: Drive) -> DrivenSystem:
        """The system under drives, H(t) = H + Σ_k f_k(t) V_k; baths and couplings stay.

        **Raises:** `InputError` for what is no `Drive`, `ShapeError`; `InputError` in a rotating frame, where H(t)
        of the laboratory was turned into a constant already.

        ```python
        import jax; jax.config.update("jax_enable_x64", True)
        import jaxlgks as lgks
        system = lgks.models.two_qubits(omega=1.0, g=0.2, gamma=0.01, temperatures=(0.5, 0.4))
        system.driven(lgks.Drive(lgks.models.pauli("ZI"), lgks.periodic([0.0, 0.1], omega=1.3))).period
        ```
        """
        if any(noise.quanta is not None for bath in self.baths for noise in bath.noises):
            raise InputError(
                "driven: the system is in a rotating frame. Give H, baths and drives of the laboratory, without frame=."
            )
        return driven_by(self, drives)


def as_baths(baths: Any, who: str) -> tuple[Bath, ...]:
    """One bath or a sequence of them, as a tuple. Baths without a name may be several; a name belongs to one."""
    if baths is not None and not isinstance(baths, Bath | list | tuple):
        raise InputError(f"{who}: baths must be a Bath or a sequence of them; got {described(baths)}.")
    baths = (baths,) if isinstance(baths, Bath) else tuple(baths or ())
    if not baths:
        raise NoBathError(f"{who} needs at least one bath; got an empty sequence.")
    for position, bath in enumerate(baths):
        if not isinstance(bath, Bath):
            raise InputError(f"{who}: baths[{position}] must be a Bath; got {described(bath)}.")
    names = [bath.name for bath in baths if bath.name]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"{who}: each bath needs a name of its own, or none; got the names {[bath.name for bath in baths]}, in "
            f"which {', '.join(map(repr, repeated))} stands more than once."
        )
    return baths


def as_bath_numbers(temperatures: Any, strengths: Any, count: int) -> tuple[Array, Array]:
    """New temperatures, and the factors √(1 + s) of the couplings."""
    temperatures, strengths = as_real(temperatures, "temperatures"), as_real(strengths, "strengths")
    if temperatures.shape != (count,) or strengths.shape != (count,):
        raise ShapeError(
            f"with_baths: temperatures and strengths must be one number a bath, [{count}]; got shapes "
            f"{tuple(temperatures.shape)} and {tuple(strengths.shape)}."
        )
    if is_concrete(temperatures) and not np.all(np.asarray(temperatures) > 0):
        raise TemperatureError(f"with_baths: temperatures must be positive; got {np.asarray(temperatures).tolist()}.")
    if is_concrete(strengths) and not np.all(np.asarray(strengths) >= -1):
        raise InputError(
            "with_baths: strengths s make rates (1 + s) Γ, which must not be negative; got "
            f"{np.asarray(strengths).tolist()}."
        )
    return temperatures, jnp.sqrt(1 + strengths)


def bath_numbers(model: Any) -> list[Any]:
    """Temperature and coupling of each bath, one after the other."""
    return [x for bath in model.baths for x in (bath.temperature, bath.coupling)]


def _is_stack(coupling) -> bool:
    """Whether several operators were given: a sequence of matrices, or an array with three axes."""
    if isinstance(coupling, list | tuple) and coupling:
        first = unpacked(coupling[0])
        return np.ndim(as_array(first, "the first coupling operator", ShapeError, "numbers")) == 2
    return getattr(coupling, "ndim", 2) == 3


def _as_kind(dtype: Any) -> Any:
    """The kind of the numbers of a system."""
    try:
        kind = jnp.dtype(dtype)
    except (TypeError, ValueError):
        kind = None
    if kind not in (jnp.complex64, jnp.complex128):
        raise InputError(f"System: dtype must be complex64 or complex128; got {kind or described(dtype)}.")
    return kind


def _as_mixing(mixing, coupling: Array | Polynomial, label: str) -> Array:
    if isinstance(coupling, Polynomial):
        raise InputError(f"{label} is coupled by one Polynomial, which needs no mixing.")
    M = as_array(mixing, f"the mixing of {label}", ShapeError, "a real matrix [n, noises]")
    if coupling.ndim != 3 or M.ndim != 2 or M.shape[0] != len(coupling) or jnp.issubdtype(M.dtype, jnp.complexfloating):
        raise ShapeError(
            f"the mixing of {label} must be a real matrix [n, noises] beside n coupling operators; got "
            f"{M.dtype}{tuple(M.shape)} beside coupling operators of shape {tuple(coupling.shape)}."
        )
    if isinstance(M, np.ndarray):
        require_finite(M, f"the mixing of {label}")
    return jnp.asarray(M, float)


def require_matrices(system, who: str) -> None:
    """Raise `InputError` for a model that is not a `System`."""
    if isinstance(system, DrivenSystem):
        raise InputError(f"{who}: {DOORS}")
    if not isinstance(system, System):
        raise InputError(
            f"{who} is for a System of matrices; got {type(system).__name__}. Of a QuasiFree model, "
            "truncated(model, excitations).system is one."
        )


def _cast(bath: Bath, dtype) -> Bath:
    """The bath with all its numbers in the precision of the system."""
    real = jnp.finfo(dtype).dtype
    numbers, rest = eqx.partition(bath, eqx.is_inexact_array)
    kinds = {True: dtype, False: real}
    return eqx.combine(jax.tree.map(lambda x: x.astype(kinds[jnp.iscomplexobj(x)]), numbers), rest)
