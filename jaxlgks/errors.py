"""What can go wrong, by name. Every error says what failed, what was expected, what came and what to do."""

import equinox as eqx


class JaxlgksError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(JaxlgksError, ValueError):
    """An argument is not what the function needs."""


class NotHermitianError(InputError):
    """An operator that must be Hermitian is not."""


class ShapeError(InputError):
    """Operators do not act on the same space, or an array has the wrong shape."""


class DegreeError(InputError):
    """A polynomial of oscillator operators has a higher degree than allowed."""


class UnstableHamiltonianError(InputError):
    """A quadratic Hamiltonian is not bounded from below; the message says which normal mode."""


class ResonanceError(InputError):
    """Terms of a perturbation are almost, but not exactly, at zero Bohr frequency: no first order exists that one could
    trust; the message names them."""


class TemperatureError(InputError):
    """A temperature is not positive and finite."""


class NoBathError(InputError):
    """A system was given without any bath."""


class PrecisionError(JaxlgksError, RuntimeError):
    """64-bit numbers are switched off and single precision was not asked for."""


class DensityError(InputError):
    """A spectral density has no rate where one is needed: it is negative or not a number there, or its table ends."""


class SingularDensityError(JaxlgksError, ValueError):
    """A bath's rate at zero frequency, or its derivative there, is needed and does not exist."""


class LambShiftError(JaxlgksError, ValueError):
    """The Lamb shift of a spectral density does not exist."""


class CorrelationError(JaxlgksError, ValueError):
    """The correlation function of a spectral density does not exist, or no sum of exponentials gives it to the accuracy
    asked for."""


class DerivativeOrderError(JaxlgksError, NotImplementedError):
    """A derivative of higher order in the Hamiltonian than the library provides was asked for."""


class NonUniqueSteadyStateError(JaxlgksError, ValueError):
    """The generator has more than one steady state; the message says what is conserved."""


class TruncationError(JaxlgksError, ValueError):
    """A truncated (Fock) space is too small: its last levels are populated."""


class SteadyStateError(JaxlgksError, RuntimeError):
    """A steady state was computed but does not satisfy its equation to the accuracy asked for."""


class ImpreciseSteadyStateError(SteadyStateError):
    """Rounding may have changed a steady state by more than 1e-3 of itself."""


class ConvergenceError(JaxlgksError, RuntimeError):
    """An iterative solution for a response did not converge."""


class SolverError(JaxlgksError, ValueError):
    """The steady-state solver asked for does not apply to this system or equation."""


class NoPartitionError(SolverError):
    """A generator has no blocks, or none that can be seen."""


class SolverMemoryError(JaxlgksError, MemoryError):
    """What was asked for would need more memory than it may take."""


class StateFollowingError(JaxlgksError, ValueError):
    """The eigenstates moved so far from the reference that pinned groups cannot follow them."""


class SweepError(JaxlgksError, RuntimeError):
    """A point of a sweep failed, and `on_error="raise"` was asked for."""


class DataError(InputError):
    """Measured data that cannot be used as they are: missing points, zero errors, columns that do not match."""


class FitError(JaxlgksError, RuntimeError):
    """No start of a fit or of a maximisation led anywhere."""


class IdentifiabilityError(JaxlgksError, ValueError):
    """Some parameters, or combinations of them, leave no trace in the data; the message names them."""


class FitWarning(UserWarning):
    """An estimate was found but something about it asks for a look: a poor plan, an active bound, no convergence."""


class SweepWarning(UserWarning):
    """Some points of a sweep failed."""


class DensityWarning(UserWarning):
    """A function that is given as a spectral density looks like a power spectrum, which it is not."""


class ValidityWarning(UserWarning):
    """A master equation is used outside its range."""


class AccuracyWarning(UserWarning):
    """Rounding may have changed a steady state by more than 1e-8 of itself."""


class RESULTS(eqx.Enumeration):  # pyright: ignore
    """How a steady state was found (`SteadyState.result`)."""

    successful = ""
    non_unique = (
        "The steady state is not unique to working precision: the generator has a second (almost) "
        "vanishing eigenvalue. Couple the baths so that they connect all levels, or start from a "
        "chosen state with `evolve`."
    )
    not_finite = (
        "The generator holds NaN or infinity: a spectral density is negative or not a number at a transition "
        "frequency, its table ends before, its rate at zero frequency is infinite and coupled, its Lamb shift is "
        "not a number, or an argument failed a check that cannot raise here. Outside jit an error says which."
    )
    coupled = (
        "Populations alone do not close: levels coincide, or a group of Bohr frequencies couples populations to "
        "coherences. Use the solver Dense()."
    )
    not_converged = (
        "GMRES did not converge to the accuracy asked for. Use the solver Dense(), or allow more steps with "
        "Krylov(restart=..., cycles=...)."
    )
    imprecise = (
        "Rounding may have changed the steady state by more than 1e-3 of itself (`error`): transitions that connect "
        "parts of the system drown in the rounding of stronger ones."
    )
    large_residual = "The steady state does not satisfy L rho = 0 to the accuracy expected of the solver."
    few_harmonics = (
        "The harmonics that are kept do not resolve the cycle. Give more with harmonics=, or ask for a smoother drive."
    )
    no_cycle = "GMRES did not find the steady cycle. Give more harmonics=, or use evolve."
    truncated = (
        "The highest levels kept of an infinite space hold more than 1e-8 of the population. "
        "Enlarge the Fock space or lower the temperatures."
    )
