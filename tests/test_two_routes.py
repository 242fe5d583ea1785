"""The two routes against each other and against finite differences, on random systems with exact degeneracies."""

import equinox as eqx
import numpy as np
import pytest

import jaxlgks as lgks

from .systems import draw

DRAWS = 210


@eqx.filter_jit
def _three_routes(system, V, A):
    check = lgks.cross_validate(system, V, A)
    return check.explicit.total, check.autodiff, check.finite_difference


# Three levels between two baths every day, the others in CI.
STRUCTURES = [pytest.param(n, marks=[] if n == 6 else pytest.mark.slow) for n in range(15)]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_explicit_autodiff_and_finite_differences_agree(structure):
    """Explicit against autodiff to 1e−9 relative, both against pinned Richardson differences to 1e−6.

    Draws of one dimension and number of baths share one compiled program.
    """
    for seed in range(structure, DRAWS, 15):
        case = draw(seed)
        explicit, autodiff, difference = (float(x) for x in _three_routes(case.system, case.V, case.A))
        assert np.isfinite([explicit, autodiff, difference]).all(), case
        assert autodiff == pytest.approx(explicit, rel=1e-9, abs=0), case
        assert difference == pytest.approx(explicit, rel=1e-6, abs=0), case
        assert difference == pytest.approx(autodiff, rel=1e-6, abs=0), case
