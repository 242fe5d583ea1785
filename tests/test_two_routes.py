"""The two routes against each other and against finite differences, on random systems with exact degeneracies."""

import equinox as eqx
import numpy as np
import pytest

import jaxlgks as lgks

from .systems import draw

# Each dimension from two to six with one number of baths, each number with some dimension: (2, 1), (3, 2), (4, 3),
# (5, 1), (6, 2). Every pair is one program of seconds; three levels between two baths every day, the others in CI.
STRUCTURES = [pytest.param(n, marks=[] if n == 6 else pytest.mark.slow) for n in (0, 6, 12, 3, 9)]
DRAWS = 42  # of each structure: all kinds of spectrum


@eqx.filter_jit
def _three_routes(system, V, A):
    check = lgks.cross_validate(system, V, A)
    return check.explicit.total, check.autodiff, check.finite_difference


@pytest.mark.parametrize("structure", STRUCTURES)
def test_explicit_autodiff_and_finite_differences_agree(structure):
    """Explicit against autodiff to 1e−9 relative, both against pinned Richardson differences to 1e−6.

    Draws of one dimension and number of baths share one compiled program.
    """
    for seed in range(structure, structure + 15 * DRAWS, 15):
        case = draw(seed)
        explicit, autodiff, difference = (float(x) for x in _three_routes(case.system, case.V, case.A))
        assert np.isfinite([explicit, autodiff, difference]).all(), case
        assert autodiff == pytest.approx(explicit, rel=1e-9, abs=0), case
        assert difference == pytest.approx(explicit, rel=1e-6, abs=0), case
        assert difference == pytest.approx(autodiff, rel=1e-6, abs=0), case
