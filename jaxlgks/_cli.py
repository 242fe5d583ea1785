"""The command line: `jaxlgks reproduce`.

Enters: arguments of the shell. Leaves: files in a folder, a summary on the terminal, an exit code. Heavy modules are
imported when a command runs, so that `--help` answers at once.
"""

import sys
from pathlib import Path

import cyclopts

app = cyclopts.App(name="jaxlgks", help="Response theory of open quantum systems between thermal baths.")


@app.command
def reproduce(*figures: str, out: Path = Path("results")) -> int:
    """Compute and draw the figures of the source paper and check its equations.

    Parameters
    ----------
    figures
        Any of fig2, fig3, fig4, fig5, crossover, or all (the default).
    out
        Folder for PNG, PDF, netCDF and report.md; made if missing.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    from rich.console import Console

    from . import paper
    from ._errors import JaxlgksError

    console = Console()
    try:
        outcome = _with_progress(console, lambda tick: paper.reproduce(figures, out, tick))
    except (JaxlgksError, OSError) as error:
        Console(stderr=True).print(f"jaxlgks reproduce: {error}", style="red", markup=False)
        return 2
    rows = [row for family in outcome.checks.values() for row in family]
    refuted = sum("paper" in row.verdict for row in rows)
    failed = [row for row in rows if not row.good]
    console.print(f"{len(rows)} rows: {refuted} printed forms refuted, {len(failed)} disagree. See {out / 'report.md'}")
    for row in failed:
        console.print(f"disagrees: {row.equation}  {row.statement}", style="red", markup=False)
    return 1 if failed else 0


def _with_progress(console, work):
    """Run `work` under a progress bar that it moves by tick(stage, step, fraction)."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[stage]:<16}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0, stage="")
        return work(lambda stage, step, fraction: bar.update(task, completed=fraction, stage=stage, description=step))


def main() -> None:
    """Entry point of the `jaxlgks` command."""
    sys.exit(app(sys.argv[1:], result_action="return_value"))
