"""What the user describes: a Hamiltonian and the baths that touch it. Nothing is computed here.

Enters: operators and numbers. Leaves: a pytree, H_0 with couplings S_α, temperatures T_α and spectral densities
(paper, Eqs. 2–5).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Complex, Float

from ._errors import InputError, NoBathError, ShapeError
from ._inputs import Numbers, as_operator, as_scalar, as_temperature, require_x64
from .spectra import AbstractSpectrum, as_spectrum


class Bath(eqx.Module):
    """A thermal bath coupled to the system by S ⊗ R (paper, Eq. 5).

    **Arguments:**

    - `coupling`: the Hermitian operator S, shape [d, d].
    - `temperature`: T > 0, in units of energy (k_B = 1).
    - `spectrum`: a spectral density (`Flat`, `Ohmic`, `DrudeLorentz`) or any function γ(ω) of ω > 0.
    - `name`: what tables and errors call it.

    **Raises:** `NotHermitianError`, `ShapeError`, `TemperatureError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    bath = lgks.Bath([[0, 1], [1, 0]], temperature=0.5, spectrum=lgks.DrudeLorentz(0.01, 2.0), name="hot")
    bath.rate(1.0) / bath.rate(-1.0)               # exp(1/T), detailed balance
    ```
    """

    coupling: Complex[Array, "*batch d d"]
    temperature: Float[Array, "*batch"]
    spectrum: AbstractSpectrum
    name: str = eqx.field(static=True)

    def __init__(self, coupling, temperature: ArrayLike, spectrum, name: str = ""):
        label = f"bath {name!r}" if name else "bath"
        self.coupling = as_operator(coupling, f"the coupling operator of {label}")
        self.temperature = as_temperature(temperature, f"the temperature of {label}")
        self.spectrum = as_spectrum(spectrum)
        self.name = name

    def rate(self, omega: Numbers) -> Array:
        """Γ(ω) on both signs: emission of ω into the bath for ω > 0, absorption for ω < 0."""
        return self.spectrum.rate(omega, self.temperature)


class System(eqx.Module):
    """A quantum system between baths.

    **Arguments:**

    - `hamiltonian`: H, Hermitian, shape [d, d].
    - `baths`: one `Bath` or a sequence of them, in the order in which currents are reported.
    - `dtype`: `None` for 64-bit (JAX's x64 mode must be on) or `jnp.complex64` for single precision.
    - `edge`: for a truncated infinite space, the projector onto its last levels; a steady state that holds more than
      1e−8 there is refused.

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

    def __init__(self, hamiltonian, baths, *, dtype=None, edge=None):
        if dtype is None:
            require_x64()
            dtype = jnp.complex128
        if not jnp.issubdtype(dtype, jnp.complexfloating):
            raise InputError(f"System: dtype must be complex64 or complex128; got {dtype}.")
        baths = (baths,) if isinstance(baths, Bath) else tuple(baths or ())
        if not baths:
            raise NoBathError("System needs at least one bath; got an empty sequence.")
        for position, bath in enumerate(baths):
            if not isinstance(bath, Bath):
                raise InputError(f"System: baths[{position}] must be a Bath; got {type(bath).__name__}.")
        self.hamiltonian = as_operator(hamiltonian, "the Hamiltonian").astype(dtype)
        dim = self.hamiltonian.shape[-1]
        for position, bath in enumerate(baths):
            if bath.coupling.shape[-1] != dim:
                raise ShapeError(
                    f"the coupling operator of baths[{position}] {bath.name!r} must have the shape of the "
                    f"Hamiltonian, ({dim}, {dim}); got {tuple(bath.coupling.shape)}."
                )
        self.baths = tuple(_cast(bath, dtype) for bath in baths)
        self.edge = None if edge is None else as_operator(edge, "the edge projector", dim).astype(dtype)

    @property
    def dim(self) -> int:
        """Dimension d of the Hilbert space."""
        return self.hamiltonian.shape[-1]

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        """Bath temperatures, in the order given."""
        return jnp.stack([bath.temperature for bath in self.baths])

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
        moved = self.hamiltonian + as_scalar(delta, "the strength delta of the perturbation") * V
        return eqx.tree_at(lambda s: s.hamiltonian, self, moved.astype(self.hamiltonian.dtype))


def _cast(bath: Bath, dtype) -> Bath:
    """The bath with all its numbers in the precision of the system."""
    real = jnp.finfo(dtype).dtype
    return eqx.tree_at(
        lambda b: (b.coupling, b.temperature, b.spectrum),
        bath,
        (bath.coupling.astype(dtype), bath.temperature.astype(real), _cast_numbers(bath.spectrum, real)),
    )


def _cast_numbers(spectrum: AbstractSpectrum, real) -> AbstractSpectrum:
    numbers, rest = eqx.partition(spectrum, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda x: x.astype(real), numbers), rest)
