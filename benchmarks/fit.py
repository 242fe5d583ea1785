"""i) Fits of two-qubit currents: five parameters, 200 points: an optimal plan, or all different.

scipy calls the same model, compiled, with 2-point differences, from the same starts, one after the other: at the 200
points, as one would; and, where settings repeat, at each of them once, as `fit` does by itself. Error: the largest
difference from the best minimum, in standard deviations.
"""

import functools

import numpy as np

from ._case import Case, Measured, timed

TRUTH = {"omega": 1.0, "g": 0.3, "gamma_a": 0.01, "gamma_b": 0.02, "offset": 0.05}
START = {"omega": 1.2, "g": 0.2, "gamma_a": 0.02, "gamma_b": 0.01, "offset": 0.0}
BOUNDS = {"omega": (0.7, 2.0), "g": (0.0, 0.6), "gamma_a": (0, 1), "gamma_b": (0, 1), "offset": (-0.035, 0.5)}
# Ten settings, twenty times each, by `optimal_plan` from random ones (the plan of `tests/test_fit_physics.py`).
PLAN = {
    "hot": [0.97, 0.327, 0.15, 0.15, 3.0, 3.0, 0.315, 0.97, 0.15, 3.0],
    "cold": [0.12, 0.04, 0.108, 0.04, 0.04, 0.04, 0.12, 0.12, 0.108, 0.04],
}
WORK, SIZE = "two qubits, 5 parameters, 200 points", "{} start(s)"


def _current(p, x):
    import jaxlgks as lgks

    temperatures = (x["hot"] + p["offset"], x["cold"] + p["offset"])
    spectra = (lgks.Flat(p["gamma_a"]), lgks.Flat(p["gamma_b"]))
    qubits = lgks.models.two_qubits(p["omega"], p["g"], spectrum=spectra, temperatures=temperatures)
    return {"J": lgks.heat_currents(qubits, solver=lgks.Populations())[0]}


def _closed(x) -> np.ndarray:
    total = 0.0
    p = TRUTH
    for w in (p["omega"] + p["g"], p["omega"] - p["g"]):
        a, b = (1 / np.expm1(w / (x[name] + p["offset"])) for name in ("hot", "cold"))
        down = p["gamma_a"] * (2 * a + 1) + p["gamma_b"] * (2 * b + 1)
        total = total + w * p["gamma_a"] * p["gamma_b"] * (a - b) / (2 * down)
    return np.asarray(total)


def _data(planned: bool):
    """1 % of noise; at the plan, or at 200 settings at random."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxlgks as lgks

    rng = np.random.default_rng(0)
    x = {name: np.repeat(values, 20) for name, values in PLAN.items()}
    if not planned:
        x = {"hot": rng.uniform(0.2, 3.0, 200), "cold": rng.uniform(0.06, 0.18, 200)}
    J = _closed(x)
    return lgks.Data(x, {"J": J * (1 + 0.01 * rng.normal(size=J.size))}, 0.01 * np.abs(J))


def _starts(count: int) -> list[dict]:
    rng = np.random.default_rng(1)
    return [START, *({k: v + 0.1 * rng.normal() * TRUTH[k] for k, v in START.items()} for _ in range(count - 1))]


def _ours(planned: bool, count: int) -> Measured:
    import warnings

    import jaxlgks as lgks

    data, starts = _data(planned), _starts(count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, seconds, found = timed(
            lambda: lgks.fit(_current, data, starts[0], bounds=BOUNDS, starts=starts[1:] if count > 1 else 1), repeat=15
        )
    exact = lgks.fit(_current, data, TRUTH, bounds=BOUNDS, method="levenberg-marquardt")
    off = np.max(np.abs(found.vector - exact.vector) / np.sqrt(np.diag(exact.covariance)))
    return Measured(first, seconds, float(off), "a fit from the truth", f"{int(found.starts.steps.max())} steps")


def _scipy(planned: bool, count: int, once: bool, scaled: bool) -> Measured:
    import jax
    from scipy.optimize import least_squares

    import jaxlgks as lgks

    data, names = _data(planned), sorted(START)
    x, y = data.coordinates, data.observables["J"]
    sigma = data.errors["J"]
    settings, row = np.stack(list(x.values())), np.arange(y.size)
    if once:
        settings, row = np.unique(settings, axis=1, return_inverse=True)
    points = dict(zip(x, settings, strict=True))
    model = jax.jit(lambda v: jax.vmap(_current, (None, 0))(dict(zip(names, v, strict=True)), points)["J"])
    ends = np.array([BOUNDS[name] for name in names]).T
    options = {"x_scale": "jac"} if scaled else {}

    def residuals(v):
        return (np.asarray(model(v))[row.reshape(-1)] - y) / sigma

    def all_starts():
        found = [
            least_squares(residuals, [p[name] for name in names], bounds=ends, jac="2-point", **options)
            for p in _starts(count)
        ]
        return min(found, key=lambda one: one.cost)

    residuals(np.array([START[name] for name in names]))  # compiled apart
    first, seconds, best = timed(all_starts, repeat=15)
    exact = lgks.fit(_current, data, TRUTH, bounds=BOUNDS)
    off = np.max(np.abs(best.x - exact.vector) / np.sqrt(np.diag(exact.covariance)))
    return Measured(first, seconds, float(off), "a fit from the truth", f"{best.nfev} steps, {best.njev} Jacobians")


def _many(count: int) -> Measured:
    """Synthetic sets, fitted all at once."""
    import warnings

    import jaxlgks as lgks

    warnings.simplefilter("ignore")
    found = lgks.fit(_current, _data(True), START, bounds=BOUNDS)
    first, seconds, many = timed(lambda: found.repeat(count), count, repeat=3)
    worst = max(abs(part - 0.95) for part in many.coverage().values())
    return Measured(first, seconds, worst, "coverage of 95 %")


def cases(quick: bool) -> list[Case]:
    """The plan and settings all different; one start and eight."""
    rows = []
    for planned, name in ((True, "optimal plan"), (False, "all different")):
        for count in (1, 8):
            here = functools.partial(Case, "fit", f"{WORK}, {name}", SIZE.format(count))
            rows += [
                here("jaxlgks fit", functools.partial(_ours, planned, count)),
                here("scipy least_squares", functools.partial(_scipy, planned, count, False, False)),
                here("scipy least_squares, x_scale='jac'", functools.partial(_scipy, planned, count, False, True)),
            ]
            if planned:
                once = functools.partial(_scipy, planned, count, True, False)
                rows.append(here("scipy least_squares, each setting once", once))
    many = functools.partial(_many, 200 if quick else 2000)
    return [*rows, Case("fit", "synthetic sets, fitted anew", "each", "jaxlgks Fit.repeat", many)]
