"""A fit as text, as a picture, as a labelled dataset.

Takes: a fit. Returns: strings, a matplotlib figure, an `xarray.Dataset`.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ._data import listed_points

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

LISTED = 12
"""So many starts are listed one by one."""


def summary(fit: Any) -> str:
    """Estimates, goodness, starts and warnings as text."""
    wide = max(10, *(len(name) for name in fit.names))
    lines = [f"{'parameter':<{wide}}  {'estimate':>13}  {'1σ':>10}  {'relative':>8}  95 % interval"]
    sigmas, intervals = fit.sigmas, fit.intervals()
    for name, value in fit.estimates.items():
        sigma, (low, high) = sigmas[name], intervals[name]
        part = f"{100 * sigma / abs(value):.2g} %" if value and np.isfinite(sigma) else ""
        row = f"{name:<{wide}}  {value:>13.6g}  {sigma:>10.2g}  {part:>8}  [{low:.6g}, {high:.6g}]"
        lines.append(f"{row} {fit.units.get(name, '')}".rstrip())
    lines += ["", _goodness(fit), ""]
    matrix = fit.correlations
    pairs = [(matrix[i, j], i, j) for i in range(len(fit.names)) for j in range(i) if np.isfinite(matrix[i, j])]
    for r, i, j in sorted(pairs, key=lambda pair: -abs(pair[0]))[:3]:
        lines.append(f"correlation of {fit.names[j]} and {fit.names[i]}: {r:+.3f}")
    starts = fit.starts
    lines += ["", f"{len(starts.outcomes)} start(s) by {fit.method}:"]
    order = np.argsort(starts.chi_squared, kind="stable")
    for i in order[:LISTED]:
        chi, steps = f"χ² = {starts.chi_squared[i]:<11.6g}", f"{int(starts.steps[i]):>4} steps"
        lines.append(f"  {i + 1:>3}: {chi} after {steps}: {starts.outcomes[i]}")
    lines += [f"  ... and {len(order) - LISTED} more, see starts.outcomes"] if len(order) > LISTED else []
    lines += ["", *(f"! {note}" for note in fit.notes)] if fit.notes else []
    return "\n".join(lines)


def _goodness(fit: Any) -> str:
    used = sum(int(np.isfinite(r).sum()) for r in fit.residuals.values())
    skipped = sum(r.size for r in fit.residuals.values()) - used
    where = "; ".join(f"{name} at {listed_points(at, 20)}" for name, at in fit.skipped.items())
    points = f"{used} measured numbers{f' ({skipped} skipped: {where})' if skipped else ''}"
    if fit.errors_known:
        return (
            f"{points}, χ² = {fit.chi_squared:.5g} with {fit.degrees_of_freedom} degrees of freedom, reduced "
            f"{fit.reduced_chi_squared:.4g}, p = {fit.p_value:.2g}; normal intervals"
        )
    return (
        f"{points}, scatter s = {np.sqrt(fit.reduced_chi_squared):.4g} estimated from them; Student's t intervals with "
        f"{fit.degrees_of_freedom} degrees of freedom"
    )


def plot(fit: Any, path: str | Path | None, x: str | None) -> "Figure":
    """Data with errors, fit and residuals against one coordinate; a band and a line where there is no other."""
    from matplotlib.figure import Figure

    coordinates, errors = fit.data.coordinates, fit.data.errors
    x = next(iter(coordinates)) if x is None else x
    if x not in coordinates:
        raise InputError(f"plot: no coordinate {x!r}; there are {', '.join(coordinates)}.")
    at, order = coordinates[x], np.argsort(coordinates[x])
    banded = np.all(np.isfinite(np.diag(fit.covariance))) and np.isfinite(at).all()
    band = fit.band() if len(coordinates) == 1 and banded else {}
    columns = [(name, index) for name, y in fit.data.observables.items() for index in np.ndindex(y.shape[1:])]
    figure = Figure(figsize=(1 + 4.2 * len(columns), 4.8), layout="constrained")
    panels = figure.subplots(2, len(columns), sharex=True, squeeze=False, height_ratios=(3, 1))
    for (name, index), (upper, lower) in zip(columns, panels.T, strict=True):
        part = (slice(None), *index)
        sigma, predicted = None if errors is None else errors[name][part], fit.predictions[name][part]
        style = {"fmt": "o", "ms": 3, "color": "0.45", "elinewidth": 1, "zorder": 1}
        upper.errorbar(at, fit.data.observables[name][part], sigma, label="measured", **style)
        if len(coordinates) == 1:
            upper.plot(at[order], predicted[order], color="C0", label="fit")
        else:
            upper.plot(at, predicted, "x", ms=5, mew=1.2, color="C0", label="fit")
        if band:
            low, high = (end[part][order] for end in band[name][1:])
            upper.fill_between(at[order], low, high, color="C0", alpha=0.25, lw=0, label="95 % band")
        lower.axhspan(-1, 1, color="C0", alpha=0.15, lw=0)
        lower.plot(at, fit.residuals[name][part], "o", ms=3, color="0.3")
        lower.axhline(0, color="C0", lw=1)
        label = name + "".join(f"[{i}]" for i in index)
        upper.set_ylabel(_with_unit(label, fit.units.get(name)))
        lower.set(xlabel=_with_unit(x, fit.units.get(x)), ylabel="residual (σ)")
        upper.legend(frameon=False)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _with_unit(name: str, unit: str | None) -> str:
    return name.replace("_", " ") + (f" ({unit})" if unit else "")


def as_dataset(fit: Any) -> "xarray.Dataset":
    """Everything but `predict`, labelled. A coordinate whose name is taken is called coordinate_X; a slash, which
    netCDF does not allow, is written _per_; `long_name` keeps the name as it was."""
    import xarray

    p, starts, parameters, matrix = "parameter", fit.starts, fit.parameters, ("parameter", "parameter_2")
    variables: dict[str, Any] = {
        "estimate": (p, fit.vector, {"units": [fit.units.get(name, "") for name in fit.names]}),
        "sigma": (p, fit.information.sigmas),
        "covariance": (matrix, fit.covariance),
        "correlation": (matrix, fit.correlations),
        "lower": (p, np.asarray(parameters.lower)),
        "upper": (p, np.asarray(parameters.upper)),
        "start_initial": (("start", p), starts.initial),
        "start_final": (("start", p), starts.final),
        "start_chi_squared": ("start", starts.chi_squared),
        "start_steps": ("start", np.asarray(starts.steps)),
        "start_distance": ("start", starts.distance),
        "start_outcome": ("start", np.array(starts.outcomes, str)),
    }
    for level in (68, 95):
        variables[f"interval_{level}"] = ((p, "end"), np.array(list(fit.intervals(level / 100).values())))
    data, attributes = fit.data, {name: {"long_name": name} for name in (*fit.data.observables, *fit.data.coordinates)}
    for name in attributes.keys() & fit.units.keys():
        attributes[name]["units"] = fit.units[name]
    columns = {"measured": data.observables, "predicted": fit.predictions, "residual": fit.residuals}
    columns |= {"error": data.errors} if data.errors is not None else {}
    for kind, values in columns.items():
        for name, y in values.items():
            stored = _stored(name, ())
            dims = ("point", *(f"{stored}_axis_{i}" for i in range(y.ndim - 1)))
            variables[f"{kind}_{stored}"] = (dims, y, attributes[name])
    taken = [*variables, p, "parameter_2", "point", "start", "end"]
    coordinates: dict[str, Any] = {p: list(fit.names), "parameter_2": list(fit.names)}
    for name, x in data.coordinates.items():
        coordinates[_stored(name, [*taken, *coordinates])] = ("point", x, attributes[name])
    return xarray.Dataset(variables, coordinates, _attributes(fit))


def _stored(name: str, taken: Any) -> str:
    stored = name.replace("/", "_per_") or "_"
    while stored in taken:
        stored = f"coordinate_{stored}"
    return stored


def _attributes(fit: Any) -> dict[str, Any]:
    return {
        "what": "jaxlgks fit",
        "jaxlgks": version("jaxlgks"),
        "method": fit.method,
        "chi_squared": fit.chi_squared,
        "degrees_of_freedom": fit.degrees_of_freedom,
        "reduced_chi_squared": fit.reduced_chi_squared,
        "p_value": fit.p_value,
        "errors": "given" if fit.errors_known else "estimated",
        "intervals": "normal" if fit.errors_known else "Student's t",
        "notes": json.dumps(fit.notes, ensure_ascii=False),
    }
