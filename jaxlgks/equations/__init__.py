"""Master equations, one file a member: each turns a system into one dissipator per bath."""

from ._base import AbstractEquation as AbstractEquation, FirstOrder as FirstOrder, counted as counted
from ._davies import Davies as Davies
from ._dissipator import Dissipator as Dissipator
from ._local import Local as Local
