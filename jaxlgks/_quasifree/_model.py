"""What the user describes with oscillators: a quadratic Hamiltonian and the baths that its modes are coupled to
linearly.

Takes: polynomials and numbers. Returns: a pytree, H₀ with couplings S_α, temperatures and spectral densities, never a
matrix on a Fock space; and its numbers in the quadratures R = (x_1 … x_M, p_1 … p_M), a = (x + ip)/√2,

    H₀ = ½ Rᵀ h R + fᵀ R + const,     S = sᵀ R + const,     [R_i, R_j] = i Ω_ij.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from .._inputs import Numbers, as_scalar, described, is_concrete, require_x64
from .._polynomials import Polynomial, as_polynomial
from .._system import Bath, as_bath_numbers, as_baths, bath_numbers
from ..errors import InputError, UnstableHamiltonianError


def lowering_forms(modes: int) -> Any:
    """W with α = W R, α = (a, a†)."""
    one = np.eye(modes)
    return np.block([[one, 1j * one], [one, -1j * one]]) / np.sqrt(2)


def symplectic(modes: int) -> Any:
    """Ω with [R_i, R_j] = i Ω_ij."""
    zero, one = np.zeros((modes, modes)), np.eye(modes)
    return np.block([[zero, one], [-one, zero]])


class QuasiFree(eqx.Module):
    """M oscillators between baths, H₀ at most quadratic, couplings linear: no Fock space, whatever the occupation.

        H₀ = Σ (h_ij a_i†a_j + ½ Δ_ij a_i†a_j† + ½ Δ_ij* a_i a_j) + Σ (f_i a_i† + f_i* a_i)
        S_α = Σ (s_i a_i + s_i* a_i†) + c

    `steady_state`, `heat_currents`, `entropy_production`, `response`, `thermodynamic_response`, `autodiff_response`,
    `cross_validate` and `diagnose` take it in the place of a `System`; observables and perturbations are then
    `Polynomial`s.

    **Arguments:**

    - `hamiltonian`: H₀, a Hermitian `Polynomial` of degree two at most, bounded from below.
    - `baths`: one `Bath` or a sequence of them, their couplings Hermitian `Polynomial`s of degree one.

    **Raises:** `UnstableHamiltonianError` (saying which normal mode), `NotHermitianError`, `DegreeError`, `ShapeError`,
    `NoBathError`, `InputError`.

    ```python
    import jax; jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks
    a, b = lgks.modes(2)
    H = 1.0 * (a.dag * a + b.dag * b) + 0.2 * (a.dag * b + b.dag * a)
    hot = lgks.Bath(a + a.dag, 300.0, lgks.DrudeLorentz(0.001, 5.0), "hot")
    cold = lgks.Bath(b + b.dag, 200.0, lgks.DrudeLorentz(0.001, 5.0), "cold")
    model = lgks.QuasiFree(H, [hot, cold])
    lgks.heat_currents(model)
    ```
    """

    hamiltonian: Polynomial
    baths: tuple[Bath, ...]

    def __init__(self, hamiltonian: Polynomial, baths):
        require_x64()
        if not isinstance(hamiltonian, Polynomial):
            raise InputError(
                "QuasiFree: the Hamiltonian must be a Polynomial, made from modes(M); for a matrix use System. Got "
                f"{type(hamiltonian).__name__}."
            )
        baths = as_baths(baths, "QuasiFree")
        for position, bath in enumerate(baths):
            label = f"QuasiFree: the coupling of baths[{position}]"
            as_polynomial(bath.coupling, label, hamiltonian.modes, degree=1)
        H = as_polynomial(hamiltonian, "the Hamiltonian of QuasiFree", hamiltonian.modes, degree=2)
        self.hamiltonian, self.baths = H, baths
        _require_stable(self)

    @property
    def modes(self) -> int:
        """Number of modes M."""
        return self.hamiltonian.modes

    @property
    def dim(self) -> int:
        """Dimension of phase space, 2M."""
        return 2 * self.modes

    @property
    def temperatures(self) -> Float[Array, " baths"]:
        """Bath temperatures, in the order given."""
        return jnp.stack([bath.temperature for bath in self.baths])

    @property
    def quadratic(self) -> Float[Array, "n n"]:
        """h of H₀ = ½ Rᵀ h R + fᵀ R."""
        return quadratic_part(self.hamiltonian)

    @property
    def field(self) -> Float[Array, " n"]:
        """f of H₀ = ½ Rᵀ h R + fᵀ R."""
        return linear_part(self.hamiltonian)

    def with_baths(self, temperatures: Numbers, strengths: Numbers) -> "QuasiFree":
        """The model with other temperatures, and rates Γ_α → (1 + s_α) Γ_α, s_α ≥ −1; one number a bath."""
        temperatures, roots = as_bath_numbers(temperatures, strengths, len(self.baths))
        each = zip(self.baths, temperatures, roots, strict=True)
        return eqx.tree_at(bath_numbers, self, [x for bath, T, root in each for x in (T, bath.coupling * root)])

    def perturbed(self, V: Polynomial, delta: ArrayLike) -> "QuasiFree":
        """The model with Hamiltonian H₀ + δV, for a V that stays in the family; baths and couplings stay.

        **Arguments:** `V`: Hermitian `Polynomial` of degree two at most. `delta`: real scalar δ.

        **Raises:** `DegreeError` for a cubic or higher V (its first order is `response`'s), `UnstableHamiltonianError`,
        `NotHermitianError`, `ShapeError`, `InputError`.

        ```python
        import jax; jax.config.update("jax_enable_x64", True)
        import jaxlgks as lgks
        a, = lgks.modes(1)
        model = lgks.QuasiFree(a.dag * a, lgks.Bath(a + a.dag, 2.0, lgks.Flat(0.01)))
        model.perturbed((a + a.dag) ** 2, 0.1).hamiltonian
        ```
        """
        V = as_polynomial(V, "the perturbation V of QuasiFree.perturbed", self.modes, degree=2)
        delta = as_scalar(delta, "the strength delta of the perturbation")
        return QuasiFree(self.hamiltonian + delta * V, self.baths)


def require_oscillators(model: Any, who: str) -> None:
    """Raise `InputError` for a model that is not a `QuasiFree`."""
    if not isinstance(model, QuasiFree):
        raise InputError(f"{who} is for a QuasiFree model of oscillators; got {described(model)}.")


def quadratic_part(A: Polynomial) -> Float[Array, "n n"]:
    """h of the quadratic form ½ Rᵀ h R of a Hermitian polynomial."""
    W = lowering_forms(A.modes)
    if A.degree < 2:
        return jnp.zeros((2 * A.modes, 2 * A.modes))
    return 2 * (W.T @ A.coefficients[2] @ W).real


def linear_part(A: Polynomial) -> Float[Array, " n"]:
    """f of the linear form fᵀ R of a Hermitian polynomial."""
    return linear_form(A).real


def linear_form(A: Polynomial) -> Complex[Array, " n"]:
    """The same, of any polynomial."""
    if A.degree < 1:
        return jnp.zeros(2 * A.modes, complex)
    return lowering_forms(A.modes).T @ A.coefficients[1]


def _require_stable(model: QuasiFree) -> None:
    """H₀ is bounded from below and has no free direction: h is positive. Where it is traced, its Cholesky factor is
    NaN otherwise."""
    if not is_concrete(model.hamiltonian):
        return
    W = lowering_forms(model.modes)
    H = model.hamiltonian
    T = np.zeros((2 * H.modes, 2 * H.modes)) if H.degree < 2 else np.asarray(H.coefficients[2])
    h = 2 * (W.T @ T @ W).real
    lowest = np.linalg.eigvalsh(h)
    if lowest[0] > 1e-12 * max(abs(lowest[-1]), abs(lowest[0])):
        return
    raise UnstableHamiltonianError(
        "QuasiFree: the Hamiltonian is not bounded from below by a positive quadratic form (lowest eigenvalue of "
        "the form "
        f"{lowest[0]:.4g}): {_unstable_modes(h)}. Raise a frequency or weaken the couplings between modes."
    )


def _unstable_modes(h: np.ndarray) -> str:
    """Which normal modes grow, stand still, or have negative energy, in words."""
    modes = len(h) // 2
    values, vectors = np.linalg.eig(symplectic(modes) @ h)
    scale = np.max(np.abs(values))
    words = []
    for value, vector in zip(values, vectors.T, strict=True):
        energy = (vector.conj() @ h @ vector).real
        share = np.abs(vector[:modes]) ** 2 + np.abs(vector[modes:]) ** 2
        parts = ", ".join(f"a{k + 1} {s:.2f}" for k, s in enumerate(share / share.sum()) if s > 0.005 * share.sum())
        if value.real > 1e-7 * scale:
            words.append(
                f"a normal mode grows as exp({value.real:.4g} t) (omega² = {(-(value**2)).real:.4g}; made of {parts})"
            )
        elif abs(value) <= 1e-7 * scale:
            words.append(f"a normal mode has frequency zero (made of {parts})")
        elif value.imag > 0 and abs(value.real) <= 1e-7 * scale and energy < 0:
            words.append(f"a normal mode has the negative frequency {-value.imag:.4g} (made of {parts})")
    return "; ".join(dict.fromkeys(words))
