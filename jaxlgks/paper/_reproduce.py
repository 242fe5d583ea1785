"""One call for the whole paper: figures, numbers, report.

Takes: names of figures and a folder. Returns: for each figure a PNG, a PDF and a netCDF file, and `report.md` with one
row for each equation checked. The same call writes the same numbers again.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from .._inputs import require_x64
from ..errors import InputError, ValidityWarning
from ._report import figure_title, write_report
from .checks import FAMILIES, Check
from .figures import FIGURES as _MEMBERS
from .figures._style import save

FIGURES = tuple(_MEMBERS)

# Which equations stand behind a figure; the general theory and the thermodynamics are checked with all of them.
BEHIND = {
    "fig2": "oscillators",
    "fig3": "oscillators",
    "fig4": "qubits",
    "fig5": "qubits",
    "crossover": "crossover",
    "resonance": "oscillators",
}


class Outcome(NamedTuple):
    """What was written and what was found."""

    checks: dict[str, list[Check]]
    paths: list[Path]

    @property
    def good(self) -> bool:
        """Whether every row came out as this project claims."""
        return all(row.good for rows in self.checks.values() for row in rows)


def selected(names: Sequence[str]) -> tuple[str, ...]:
    """Figures by name, in the paper's order, those that are not in it last; nothing or "all" means every one."""
    unknown = [name for name in names if name not in (*FIGURES, "all")]
    if unknown:
        raise InputError(f"unknown figure {', '.join(unknown)}; valid names are {', '.join(FIGURES)} and all.")
    if not names or "all" in names:
        return FIGURES
    return tuple(name for name in FIGURES if name in names)


def reproduce(
    names: Sequence[str] = (),
    out: str | Path = "results",
    progress: Callable[[str, str, float], None] = lambda stage, step, fraction: None,
) -> Outcome:
    """Compute and draw the figures, check the equations behind them, write everything to `out`.

    **Arguments:** `names`: any of `FIGURES`, or "all"; every one when left out. `out`: a folder, made if missing.
    `progress`: called with the stage, the step within it, and the fraction of stages already done.

    **Returns:** `Outcome`.

    **Raises:** `InputError` for an unknown figure; `PrecisionError` without 64-bit JAX.
    """
    require_x64()
    figures = selected(names)
    wanted = set(FAMILIES) if figures == FIGURES else {BEHIND[name] for name in figures}
    families = [family for family in FAMILIES if family in wanted]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    stages, paths, checks = len(figures) + len(families), [], {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ValidityWarning)  # rows go out of an equation's range on purpose
        for done, name in enumerate(figures):
            paths += _figure(
                name, out, lambda step, name=name, done=done: progress(figure_title(name), step, done / stages)
            )
        for done, family in enumerate(families, start=len(figures)):
            title, rows = FAMILIES[family]
            checks[title] = list(rows(lambda step, family=family, done=done: progress(family, step, done / stages)))
    paths.append(write_report(out / "report.md", checks, figures))
    progress("report", "written", 1.0)
    return Outcome(checks, paths)


def _figure(name: str, out: Path, progress: Callable[[str], None]) -> list[Path]:
    member = _MEMBERS[name]
    data = member.compute(progress)
    progress("drawing")
    numbers = out / f"{name}.nc"
    data.to_netcdf(numbers, engine="h5netcdf")
    return [numbers, *save(member.draw(data), out / name)]
