"""g) The paper's Fig. 3 without truncation: the static response at pairs of temperatures.

Error: largest relative one against −(3ε/ω₊)(2n̄₋+1).
"""

import numpy as np

from ._case import Case, Measured, timed

PAIRS = 100_000


def _fig3() -> Measured:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks

    def total(T_a, T_b):
        m = lgks.models.quasifree_oscillators(100.0, 90.0, (1.0, 1.3), 5.0, (T_a, T_b))
        return lgks.response(m.system, m.cubic, m.occupation).static().total

    mean = np.linspace(30.0, 8000.0, PAIRS)
    hot, cold = mean + 25.0, mean - 25.0
    function = jax.jit(jax.vmap(total))
    first, seconds, out = timed(lambda: function(hot, cold), PAIRS, repeat=3)
    n = (1 / np.expm1(10.0 / hot) + 1 / np.expm1(10.0 / cold)) / 2
    error = float(np.max(np.abs(np.asarray(out) / (-15.0 / 190.0 * (2 * n + 1)) - 1)))
    return Measured(first, seconds, error, "closed form")


def cases(quick: bool) -> list[Case]:
    """One work."""
    del quick
    return [
        Case("quasifree", "static response of hot oscillators", "10⁵ pairs of temperatures", "jaxlgks response", _fig3)
    ]
