"""Spectral densities of baths, one file a member: each gives γ(ω), and Γ(ω) at any temperature on both signs of ω."""

from ._base import AbstractSpectrum as AbstractSpectrum, Checked as Checked
from ._brownian import UnderdampedBrownian as UnderdampedBrownian
from ._callable import CallableSpectrum as CallableSpectrum, as_spectrum as as_spectrum
from ._correlated import (
    Correlated as Correlated,
    correlated as correlated,
    require_exponentials as require_exponentials,
)
from ._drude import DrudeLorentz as DrudeLorentz
from ._flat import Flat as Flat, over_frequency as over_frequency
from ._lamb import folded_nodes as folded_nodes, resolved as resolved
from ._moved import Moved as Moved
from ._ohmic import Ohmic as Ohmic
from ._tabulated import Tabulated as Tabulated
