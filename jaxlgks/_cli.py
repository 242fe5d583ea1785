"""The command line: `jaxlgks reproduce`, `jaxlgks sweep`, `jaxlgks plot`, `jaxlgks fit`, `jaxlgks schema`.

Takes: arguments of the shell. Returns: files in a folder, a summary on the terminal, an exit code. Heavy modules are
imported when a command runs, so that `--help` answers at once.
"""

import sys
from pathlib import Path

import cyclopts

app = cyclopts.App(name="jaxlgks", help="Response theory of open quantum systems between thermal baths.")


@app.command
def reproduce(*figures: str, out: Path = Path("results"), parallel: bool = True) -> int:
    """Compute and draw the figures of the source paper and check its equations.

    Parameters
    ----------
    figures
        Any of fig2, fig3, fig4, fig5, crossover, resonance, memory, delay, or all (the default).
    out
        Folder for PNG, PDF, netCDF and report.md; made if missing.
    parallel
        Two figures or families of equations at a time, in two processes.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    from rich.console import Console

    from . import paper
    from .errors import JaxlgksError

    console = Console()
    try:
        outcome = _with_progress(console, lambda tick: paper.reproduce(figures, out, tick, parallel))
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


@app.command
def sweep(config: Path, *, out: Path | None = None, progress: bool = True) -> int:
    """Compute what a TOML file describes over its grid, and save it as netCDF.

    Parameters
    ----------
    config
        The file: tables system, perturbation, equation, axes, output (README, "Sweeps").
    out
        Where to save; the name of the config with .nc when left out.
    progress
        Whether to show a bar (on a terminal).
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    from ._configs import read_sweep
    from ._sweeps import sweep as run

    def work(say) -> int:
        plan = read_sweep(config)
        data = run(plan.f, plan.axes, progress=progress and sys.stdout.isatty(), **plan.options)
        target = config.with_suffix(".nc") if out is None else out
        data.to_netcdf(target, engine="h5netcdf")
        size = " x ".join(str(x.size) for x in plan.axes.values())
        say(f"{size} points, {data.attrs['points_per_second']:,.0f}/s, {data.attrs['n_failed']} failed. See {target}")
        for name in ("validity", "accuracy"):
            if name in data.attrs:
                say(data.attrs[name], soft_wrap=True)
        return 1 if data.attrs["n_failed"] else 0

    return _reported("sweep", work)


@app.command
def plot(
    file: Path,
    *,
    variable: str | None = None,
    x: str | None = None,
    at: tuple[str, ...] = (),
    out: Path | None = None,
) -> int:
    """Draw a saved sweep: lines over one axis, a map over two.

    Parameters
    ----------
    file
        What `jaxlgks sweep` saved.
    variable
        Which variable; the first one when left out.
    x
        The axis along which lines run.
    at
        NAME=VALUE for axes that are not shown: a number, or a label such as the name of a bath; may be repeated.
    out
        The picture (PNG, PDF, ...); the name of the file with .png when left out.
    """

    def work(say) -> int:
        import xarray

        from ._sweeps import plot as draw
        from .errors import InputError

        held = {}
        for item in at:
            name, _, value = item.partition("=")
            if not value:
                raise InputError(f"--at needs NAME=VALUE; got {item!r}.")
            held[name] = value
        target = file.with_suffix(".png") if out is None else out
        draw(xarray.load_dataset(file, engine="h5netcdf"), variable, x, held).savefig(target, dpi=150)
        say(f"See {target}")
        return 0

    return _reported("plot", work)


@app.command
def fit(data: Path, config: Path, *, out: Path | None = None, progress: bool = True) -> int:
    """Fit parameters of a system to measured numbers: a summary on the terminal, a picture, and netCDF.

    Parameters
    ----------
    data
        A CSV file: a line of names, then numbers.
    config
        The TOML file that says what the columns are and what to fit (README, "Fits").
    out
        Where to save, with .png beside it; the name of the data with .fit.nc when left out.
    progress
        Whether to show a bar.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    import warnings

    from ._configs import read_fit
    from ._fits import fit as run
    from .errors import FitWarning

    def work(say) -> int:
        target = data.with_suffix(".fit.nc") if out is None else out
        picture = _beside(target)
        plan = read_fit(data, config)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # the summary says the same
            result = run(plan.predict, plan.data, plan.init, progress=progress, **plan.options)
        say(result.summary(), markup=False, highlight=False, soft_wrap=True)
        result.save(target)
        result.plot(picture)
        say(f"See {target} and {picture}", soft_wrap=True)
        return 1 if result.notes else 0

    return _reported("fit", work)


@app.command
def schema(kind: str, *, out: Path | None = None) -> int:
    """Write the JSON schema of the TOML files of `jaxlgks sweep` or `jaxlgks fit`, for editors that check them.

    Parameters
    ----------
    kind
        sweep or fit.
    out
        The file; the terminal when left out.
    """
    import json

    from ._configs import json_schema

    def work(say) -> int:
        text = json.dumps(json_schema(kind), indent=2)
        if out is None:
            print(text)
        else:
            out.write_text(text + "\n")
            say(f"See {out}")
        return 0

    return _reported("schema", work)


def _beside(target: Path) -> Path:
    """The picture beside a netCDF file; before anything is computed it is known that both can be written."""
    from .errors import InputError

    if target.suffix not in (".nc", ".nc4", ".h5"):
        raise InputError(f"--out is a netCDF file, such as {target.with_suffix('.nc')}; got {target}.")
    if not target.parent.is_dir():
        raise InputError(f"--out: there is no folder {target.parent}.")
    return target.with_suffix(".png")


def _reported(command: str, work) -> int:
    """Run `work(say)`; errors that have names go to the terminal, with exit code 2."""
    from rich.console import Console

    from .errors import JaxlgksError

    try:
        return work(Console().print)
    except (JaxlgksError, OSError) as error:
        text = str(error).removeprefix(f"{command}: ")
        Console(stderr=True).print(f"jaxlgks {command}: {text}", style="red", markup=False)
        return 2


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


def _compile_quickly() -> None:
    """For a process that makes hundreds of programs and runs most of them once: XLA leaves out what would make them
    fast, which takes longer than they do, and no garbage is looked for among the many objects of tracing."""
    import gc
    import os
    from importlib.metadata import version

    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its two processes fill two cores
    if version("jaxlib").startswith("0.9."):  # XLA stops at a flag that it does not know
        flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
        flags += "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        os.environ.setdefault("XLA_FLAGS", flags)


def main() -> None:
    """Entry point of the `jaxlgks` command."""
    if sys.argv[1:2] == ["reproduce"]:
        _compile_quickly()
    sys.exit(app(sys.argv[1:], result_action="return_value"))
