"""One call for the whole paper: figures, numbers, report.

Takes: names of figures and a folder. Returns: for each figure a PNG, a PDF and a netCDF file, and `report.md` with one
row for each equation checked. The same call writes the same numbers again.
"""

import contextlib
import gc
import multiprocessing
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import jax

from .._inputs import require_x64
from ..errors import InputError, ValidityWarning
from ._report import figure_title, write_report
from .checks import FAMILIES, Check
from .figures import FIGURES as _MEMBERS
from .figures._style import save

FIGURES = tuple(_MEMBERS)
Progress = Callable[[str, str, float], None]

# Which equations stand behind a figure; the general theory and the thermodynamics are checked with all of them.
BEHIND = {
    "fig2": "oscillators",
    "fig3": "oscillators",
    "fig4": "qubits",
    "fig5": "qubits",
    "crossover": "crossover",
    "resonance": "oscillators",
    "memory": "memory",
    "delay": "oscillators",
    "drive": "drive",
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
    progress: Progress = lambda stage, step, fraction: None,
    parallel: bool = False,
) -> Outcome:
    """Compute and draw the figures, check the equations behind them, write everything to `out`.

    **Arguments:** `names`: any of `FIGURES`, or "all"; every one when left out. `out`: a folder, made if missing.
    `progress`: called with the stage, the step within it, and the fraction of stages already done. `parallel`: two
    stages at a time, in two new processes (a script that asks for that needs `if __name__ == "__main__":`).

    **Returns:** `Outcome`.

    **Raises:** `InputError` for an unknown figure; `PrecisionError` without 64-bit JAX.
    """
    require_x64()
    figures = selected(names)
    wanted = set(FAMILIES) if figures == FIGURES else {BEHIND[name] for name in figures}
    families = [family for family in FAMILIES if family in wanted]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    stages = [*(Stage(name, True) for name in figures), *(Stage(name, False) for name in families)]
    found = (_in_two if parallel else _all)(stages, out, progress)
    checks = {FAMILIES[stage.name][0]: found[stage] for stage in stages if not stage.drawn}
    paths = [path for stage in stages if stage.drawn for path in found[stage]]
    paths.append(write_report(out / "report.md", checks, figures))
    progress("report", "written", 1.0)
    return Outcome(checks, paths)


class Stage(NamedTuple):
    """A figure, or a family of equations."""

    name: str
    drawn: bool

    @property
    def title(self) -> str:
        return figure_title(self.name) if self.drawn else self.name

    def run(self, out: Path, progress: Callable[[str], None] = lambda step: None) -> list[Any]:
        """The files of the figure, or the rows of the family."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ValidityWarning)  # rows go out of an equation's range on purpose
            return _figure(self.name, out, progress) if self.drawn else list(FAMILIES[self.name][1](progress))


def _all(stages: Sequence[Stage], out: Path, progress: Progress) -> dict[Stage, list[Any]]:
    found = {}
    for stage in stages:
        found[stage] = stage.run(out, lambda step, stage=stage: progress(stage.title, step, len(found) / len(stages)))
    return found


def _in_two(stages: Sequence[Stage], out: Path, progress: Progress) -> dict[Stage, list[Any]]:
    """In two new processes (JAX's threads survive no fork), of about equal time; stages that share what they compute
    stay in one."""
    found = {}
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(ProcessPoolExecutor(1, SPAWN, _prepare)) for _ in range(2))
        running = {(first if s.name in TOGETHER else second).submit(s.run, out): s for s in stages}
        progress("all stages", "two at a time", 0.0)
        for done in as_completed(running):
            found[running[done]] = done.result()
            progress(running[done].title, "done", len(found) / len(stages))
    return found


SPAWN = multiprocessing.get_context("spawn")
TOGETHER = ("fig2", "fig3", "delay", "oscillators")


def _prepare() -> None:
    """Of a process that lives for a few stages: what tracing leaves is not looked through for garbage."""
    jax.config.update("jax_enable_x64", True)
    gc.disable()


def _figure(name: str, out: Path, progress: Callable[[str], None]) -> list[Path]:
    member = _MEMBERS[name]
    data = member.compute(progress)
    progress("drawing")
    numbers = out / f"{name}.nc"
    data.to_netcdf(numbers, engine="h5netcdf")
    return [numbers, *save(member.draw(data), out / name)]
