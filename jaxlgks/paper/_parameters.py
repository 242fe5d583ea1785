"""The numbers behind the paper's figures, in units of γ (ħ = k_B = 1).

Takes: nothing. Returns: the parameters of Figs. 2–5 with the paper's values as defaults, and the library's microscopic
model for any temperatures. The formulas and the models read the same parameters, so that a curve and the points
computed beside it cannot differ by a typing error.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Complex

from .. import models
from .._system import System

# Compiled as a whole: built operation by operation, each new size would be compiled some eighty times.
_two_oscillators = eqx.filter_jit(models.two_oscillators)


class OscillatorParameters(NamedTuple):
    """Two oscillators in a linear field (Sec. III B); defaults are those of Figs. 2 and 3.

    `gamma_plus` appears in no result of the paper and is not given there; 1.3 keeps it apart from `gamma_minus`.
    """

    omega: float = 100.0
    g: float = 90.0
    gamma_minus: float = 1.0
    gamma_plus: float = 1.3
    epsilon: float = 5.0
    delta: float = 0.02

    @property
    def plus(self) -> Any:
        """ω₊ = ω + g."""
        return self.omega + self.g

    @property
    def minus(self) -> Any:
        """ω₋ = ω − g."""
        return self.omega - self.g

    def model(self, T_a, T_b, fock: tuple[int, int]):
        """The microscopic model in a truncated Fock space: (levels of the plus mode, levels of the minus mode)."""
        numbers = (self.omega, self.g, (self.gamma_minus, self.gamma_plus), self.epsilon, (T_a, T_b))
        omega, g, gammas, epsilon, temperatures = jax.tree.map(lambda x: np.asarray(x, float), numbers)
        return _two_oscillators(omega, g, gammas, epsilon, temperatures, fock)

    def untruncated(self, T_a, T_b):
        """The same without a Fock space, at any temperature; these may be traced."""
        gammas = (self.gamma_minus, self.gamma_plus)
        return models.quasifree_oscillators(self.omega, self.g, gammas, self.epsilon, (T_a, T_b))


class QubitParameters(NamedTuple):
    """Two coupled qubits (Sec. III D); defaults are those of Figs. 4 and 5. `shift` is δΩ."""

    omega: float = 1000.0
    g: float = 200.0
    gamma: float = 1.0
    shift: float = 50.0

    @property
    def plus(self) -> Any:
        """ω₊ = ω + g."""
        return self.omega + self.g

    @property
    def minus(self) -> Any:
        """ω₋ = ω − g."""
        return self.omega - self.g

    def model(self, T_a, T_b) -> System:
        """The unperturbed microscopic model, Eqs. (37), (38)."""
        return models.two_qubits(self.omega, self.g, self.gamma, (T_a, T_b))


def qubit_perturbation() -> Complex[Array, "4 4"]:
    """V/Ω = σ_z^A σ_z^B, Eq. (41)."""
    return models.pauli("ZZ")


FIG2_TEMPERATURES = (2000.0, 2100.0)
FIG3_DIFFERENCE = 50.0
FIG4_DIFFERENCE = 20.0
FIG4_MEAN = 50.0
FIG5_MEANS = (50.0, 5000.0)


def around(mean, difference) -> tuple[np.ndarray, np.ndarray]:
    """(T_a, T_b) = T̄ ± ΔT/2."""
    mean, difference = np.asarray(mean, float), np.asarray(difference, float)
    return np.asarray(mean + difference / 2), np.asarray(mean - difference / 2)
