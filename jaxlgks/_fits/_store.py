"""A saved fit, read back.

Enters: a netCDF file that `Fit.save` wrote. Leaves: the parts of a `Fit`.
"""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..errors import InputError
from ._data import Data
from ._information import Information
from ._parameters import Parameters


def read(path: str | Path) -> dict[str, Any]:
    """The arguments of `Fit`, with those of `Starts` in a dictionary of their own.

    **Raises:** `InputError` for any other file.
    """
    import xarray

    try:
        data = xarray.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError) as error:
        raise InputError(f"Fit.load: {path} cannot be read as netCDF: {error}.") from error
    if data.attrs.get("what") != "jaxlgks fit":
        raise InputError(f"Fit.load: {path} was not written by Fit.save.")
    number = lambda name: np.asarray(data[name].values, float)  # noqa: E731
    names = tuple(str(name) for name in data.parameter.values)
    units = json.loads(data.attrs["units"])
    vector = number("estimate")
    information = Information(
        names,
        vector,
        number("natural_size"),
        number("information_root"),
        {k: v for k, v in units.items() if k in names},
    )
    observables = json.loads(data.attrs["observables"])
    stored = json.loads(data.attrs["observable_names"])
    of = lambda kind: {name: number(f"{kind}_{stored[name]}") for name in observables}  # noqa: E731
    known = data.attrs["errors"] == "given"
    coordinates = {name: number(at) for name, at in json.loads(data.attrs["coordinate_names"]).items()}
    measured = {k: v for k, v in units.items() if k not in names}
    return {
        "estimates": dict(zip(names, map(float, vector), strict=True)),
        "vector": vector,
        "slope": number("slope"),
        "covariance": number("covariance"),
        "information": information,
        "parameters": _parameters(names, number("lower"), number("upper"), number("scale")),
        "data": Data(coordinates, of("measured"), of("error") if known else None, measured),
        "predictions": of("predicted"),
        "residuals": of("residual"),
        "chi_squared": float(data.attrs["chi_squared"]),
        "degrees_of_freedom": int(data.attrs["degrees_of_freedom"]),
        "starts": {
            "initial": number("start_initial"),
            "final": number("start_final"),
            "chi_squared": number("start_chi_squared"),
            "steps": np.asarray(data.start_steps.values),
            "distance": number("start_distance"),
            "outcomes": tuple(str(x) for x in data.start_outcome.values),
        },
        "errors_known": known,
        "method": str(data.attrs["method"]),
        "notes": tuple(json.loads(data.attrs["notes"])),
        "units": units,
    }


def _parameters(names: tuple[str, ...], lower: np.ndarray, upper: np.ndarray, scale: np.ndarray) -> Parameters:
    """A dictionary of single numbers by name, in the order in which they were saved."""
    structure = jax.tree.structure(OrderedDict.fromkeys(names, 0.0))
    below, above = tuple(np.isfinite(lower).tolist()), tuple(np.isfinite(upper).tolist())
    return Parameters(lower, upper, scale, names, below, above, tuple(() for _ in names), structure)
