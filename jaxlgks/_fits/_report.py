"""A fit as text, as a picture, as a labelled dataset.

Enters: a fit. Leaves: strings, a matplotlib figure, an `xarray.Dataset` (which `_store.py` reads back).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ._data import listed

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

LISTED = 12
"""So many starts are listed one by one."""


def summary(fit: Any) -> str:
    """Estimates, goodness, starts and warnings as text."""
    wide = max(10, *(len(name) for name in fit.names))
    intervals = fit.intervals()
    lines = [f"{'parameter':<{wide}}  {'estimate':>13}  {'1σ':>10}  {'relative':>8}  95 % interval"]
    for name, value in fit.estimates.items():
        sigma, (low, high) = fit.sigmas[name], intervals[name]
        part = f"{100 * sigma / abs(value):.2g} %" if value and np.isfinite(sigma) else ""
        unit = fit.units.get(name, "")
        lines.append(
            f"{name:<{wide}}  {value:>13.6g}  {sigma:>10.2g}  {part:>8}  [{low:.6g}, {high:.6g}] {unit}".rstrip()
        )
    lines += ["", *_goodness(fit), ""]
    matrix = fit.correlations
    pairs = [(matrix[i, j], i, j) for i in range(len(fit.names)) for j in range(i) if np.isfinite(matrix[i, j])]
    for r, i, j in sorted(pairs, key=lambda pair: -abs(pair[0]))[:3]:
        lines.append(f"correlation of {fit.names[j]} and {fit.names[i]}: {r:+.3f}")
    lines += ["", f"{len(fit.starts.outcomes)} start(s) by {fit.method}:"]
    lines += _outcomes(fit.starts)
    lines += ["", *(f"! {note}" for note in fit.notes)] if fit.notes else []
    return "\n".join(lines)


def _goodness(fit: Any) -> list[str]:
    used = sum(int(np.isfinite(r).sum()) for r in fit.residuals.values())
    skipped = sum(r.size for r in fit.residuals.values()) - used
    where = "; ".join(f"{name} at {listed(at, 20)}" for name, at in fit.skipped.items())
    points = f"{used} measured numbers{f' ({skipped} skipped: {where})' if skipped else ''}"
    if fit.errors_known:
        return [
            f"{points}, χ² = {fit.chi_squared:.5g} with {fit.degrees_of_freedom} degrees of freedom, reduced "
            f"{fit.reduced_chi_squared:.4g}, p = {fit.p_value:.2g}; normal intervals"
        ]
    return [
        f"{points}, scatter s = {np.sqrt(fit.reduced_chi_squared):.4g} estimated from them; Student's t intervals with "
        f"{fit.degrees_of_freedom} degrees of freedom"
    ]


def _outcomes(starts: Any) -> list[str]:
    order = np.argsort(starts.chi_squared, kind="stable")
    lines = [
        f"  {i + 1:>3}: χ² = {starts.chi_squared[i]:<11.6g} after {int(starts.steps[i]):>4} steps: {starts.outcomes[i]}"
        for i in order[:LISTED]
    ]
    return lines + ([f"  ... and {len(order) - LISTED} more, see starts.outcomes"] if len(order) > LISTED else [])


def plot(fit: Any, path: str | Path | None, x: str | None) -> "Figure":
    """Data with errors, fit and residuals against one coordinate; a band and a line where there is no other."""
    from matplotlib.figure import Figure

    coordinates = fit.data.coordinates
    x = next(iter(coordinates)) if x is None else x
    if x not in coordinates:
        raise InputError(f"plot: no coordinate {x!r}; there are {', '.join(coordinates)}.")
    columns = [
        (name, index, y[(slice(None), *index)])
        for name, y in fit.data.observables.items()
        for index in np.ndindex(y.shape[1:])
    ]
    figure = Figure(figsize=(1 + 4.2 * len(columns), 4.8), layout="constrained")
    panels = figure.subplots(2, len(columns), sharex=True, squeeze=False, height_ratios=(3, 1))
    for (name, index, y), (upper, lower) in zip(columns, panels.T, strict=True):
        here = (slice(None), *index)
        label = name + "".join(f"[{i}]" for i in index)
        sigma = None if fit.data.errors is None else fit.data.errors[name][here]
        at = coordinates[x]
        upper.errorbar(at, y, sigma, fmt="o", ms=3, color="0.45", elinewidth=1, label="measured", zorder=1)
        _draw_fit(fit, upper, name, here, at, len(coordinates) == 1)
        lower.axhspan(-1, 1, color="C0", alpha=0.15, lw=0)
        lower.plot(at, fit.residuals[name][here], "o", ms=3, color="0.3")
        lower.axhline(0, color="C0", lw=1)
        upper.set_ylabel(_with_unit(label, fit.units.get(name)))
        lower.set(xlabel=_with_unit(x, fit.units.get(x)), ylabel="residual (σ)")
        upper.legend(frameon=False)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _draw_fit(fit: Any, axes: Any, name: str, here: tuple, at: np.ndarray, alone: bool) -> None:
    known = np.isfinite(at)
    order = np.argsort(at[known])
    if not alone:
        axes.plot(at, fit.predictions[name][here], "x", ms=5, mew=1.2, color="C0", label="fit")
        return
    xs = at[known][order]
    axes.plot(xs, fit.predictions[name][here][known][order], color="C0", label="fit")
    if fit.model is not None and np.all(np.isfinite(np.diag(fit.covariance))) and known.all():
        _, low, high = fit.band()[name]
        axes.fill_between(xs, low[here][order], high[here][order], color="C0", alpha=0.25, lw=0, label="95 % band")


def _with_unit(name: str, unit: str | None) -> str:
    return name.replace("_", " ") + (f" ({unit})" if unit else "")


def as_dataset(fit: Any) -> "xarray.Dataset":
    """Everything but `predict`, labelled."""
    import xarray

    p, given, starts = "parameter", fit.parameters, fit.starts
    unit = lambda name: {"units": fit.units[name]} if name in fit.units else {}  # noqa: E731
    made: dict[str, Any] = {
        "estimate": (p, fit.vector),
        "sigma": (p, np.sqrt(np.diag(fit.covariance))),
        "covariance": ((p, "parameter_2"), fit.covariance),
        "correlation": ((p, "parameter_2"), fit.correlations),
        "information_root": (("row", p), fit.information.root),
        "natural_size": (p, fit.information.natural),
        "slope": (p, fit.slope),
        "lower": (p, np.asarray(given.lower)),
        "upper": (p, np.asarray(given.upper)),
        "scale": (p, np.asarray(given.scale)),
        "start_initial": (("start", p), starts.initial),
        "start_final": (("start", p), starts.final),
        "start_chi_squared": ("start", starts.chi_squared),
        "start_steps": ("start", np.asarray(starts.steps)),
        "start_distance": ("start", starts.distance),
        "start_outcome": ("start", np.array(starts.outcomes, str)),
    }
    for level in (68, 95):
        ends = np.array(list(fit.intervals(level / 100).values()))
        made[f"interval_{level}"] = ((p, "end"), ends)
    stored = stored_names(fit)
    for name, y in fit.data.observables.items():
        own = stored[name]
        dims = ("point", *(f"{own}_axis_{i}" for i in range(y.ndim - 1)))
        made[f"measured_{own}"] = (dims, y, unit(name))
        made[f"predicted_{own}"] = (dims, fit.predictions[name], unit(name))
        made[f"residual_{own}"] = (dims, fit.residuals[name])
        if fit.data.errors is not None:
            made[f"error_{own}"] = (dims, fit.data.errors[name], unit(name))
    coords: dict[str, Any] = {p: list(fit.names), "parameter_2": list(fit.names)}
    taken = {*made, *coords, "point", "row", "end", "start"}
    taken |= {dim for name in fit.data.observables for dim in made[f"measured_{stored[name]}"][0]}
    at = {name: stored[name] for name in fit.data.coordinates}
    at = {name: own if own not in taken else f"coordinate_{own}" for name, own in at.items()}
    coords |= {at[name]: ("point", x, unit(name)) for name, x in fit.data.coordinates.items()}
    names = {"observable_names": json.dumps(stored), "coordinate_names": json.dumps(at)}
    return xarray.Dataset(made, coords, _attributes(fit) | names)


def stored_names(fit: Any) -> dict[str, str]:
    """Names of columns as netCDF allows them (no slash): each its own."""
    found: dict[str, str] = {}
    for name in (*fit.data.observables, *fit.data.coordinates):
        plain = name.replace("/", "_per_") or "_"
        while plain in found.values() and name not in found:
            plain += "_"
        found.setdefault(name, plain)
    return found


def _attributes(fit: Any) -> dict[str, Any]:
    from importlib.metadata import version

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
        "units": json.dumps(fit.units),
        "notes": json.dumps(fit.notes),
        "observables": json.dumps(list(fit.data.observables)),
    }


def write(fit: Any, path: str | Path) -> None:
    """As netCDF."""
    as_dataset(fit).to_netcdf(path, engine="h5netcdf")
