"""The table and the plot.

Enters: measured rows. Leaves: `results.json`, `results.md`, `results.png`.
"""

import datetime
import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path

TITLES = {
    "sweep": "a) Heat currents of two qubits over temperatures",
    "chain": "b) Steady state of a disordered spin chain, d = 2^N",
    "gradient": "c) Value and gradient",
    "response": "d) Impulse response at 1,000 times",
    "cold": "e) A fresh process",
    "accuracy": "f) Cold baths",
}
PACKAGES = ("jaxlgks", "jax", "jaxlib", "numpy", "scipy", "qutip", "dynamiqs", "qthermo", "mpmath")


def write(rows: list[dict], out: Path) -> None:
    """Table, numbers and plot."""
    out.mkdir(parents=True, exist_ok=True)
    made = machine()
    (out / "results.json").write_text(json.dumps({"machine": made, "rows": rows}, indent=1, ensure_ascii=False) + "\n")
    (out / "results.md").write_text(_markdown(rows, made))
    _plot(rows, out / "results.png")


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    import os

    import jax

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), cpu)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "device": f"{jax.local_device_count()} × {jax.devices()[0].device_kind} ({jax.default_backend()})",
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "commit": commit.stdout.strip() or "unknown",
        "versions": ", ".join(f"{name} {installed(name)}" for name in PACKAGES),
    }


def _markdown(rows: list[dict], made: dict[str, str]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "`python -m benchmarks`. Medians; compilation is in the first call only. *Ratio*: time",
        "",
    ]
    lines[-2:] = [
        "`python -m benchmarks`. Medians, of a unit of work: a point, a steady state, a response. Compilation is in the",
        "first call only. *Ratio*: time over that of the first row of the same work. Each row had a process of its own;",
        "*memory* is its peak, interpreter and libraries included.",
        "",
        *(f"- {name}: {what}" for name, what in made.items()),
        "",
        *_targets(rows),
    ]
    for task, of_task in groupby(rows, lambda row: row["task"]):
        lines += [
            "",
            f"## {TITLES[task]}",
            "",
            "| work | size | method | first call (s) | time (s) | per second | ratio |",
        ]
        lines[-1] += " error | against | memory (GB) | note |"
        lines.append("|---|---|---|---:|---:|---:|---:|---:|---|---:|---|")
        for _, same in groupby(of_task, lambda row: (row["work"], row["size"])):
            same = list(same)
            lines += [_line(row, same[0]) for row in same]
    return "\n".join(lines) + "\n"


def _line(row: dict, first: dict) -> str:
    head = f"| {row['work']} | {row['size']} | {row['method']} |"
    if not row["success"]:
        return f"{head} | | | | | | | {row['note']} |"
    seconds = row["seconds"]
    ratio = f"{_short(seconds / first['seconds'])}" if first["success"] else ""
    error = "" if row["error"] is None else f"{row['error']:.0e}"
    numbers = f" {_short(row['first'])} | {_short(seconds)} | {_short(1 / seconds)} | {ratio} | {error} |"
    return f"{head}{numbers} {row['against']} | {row['peak_gb']:.1f} | {row['note']} |"


def _short(x: float) -> str:
    """Three digits."""
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"


def _targets(rows: list[dict]) -> list[str]:
    """What was asked for beside what came."""
    found = {(row["work"], row["size"], row["method"]): row for row in rows if row["success"]}

    def seconds(work: str, size: str, method: str) -> float | None:
        row = found.get((work, size, method))
        return None if row is None else row["seconds"]

    grid, point = "current on a grid of temperatures", "jaxlgks sweep"

    def ratio(work: str, size: str, slow: str, fast: str) -> float | None:
        a, b = seconds(work, size, slow), seconds(work, size, fast)
        return None if a is None or b is None else a / b

    def rate(*key: str) -> float | None:
        taken = seconds(*key)
        return None if taken is None else 1 / taken

    ours, floor = "jaxlgks Populations()", "NumPy: eigh, rates, solve"
    superoperators = "QuTiP superoperators made once"
    asked = [
        ("currents per second, grid of temperatures", rate(grid, "one H", point), ">", 5e6),
        ("… frequency × temperatures", rate("current, frequency × temperatures", "10 H", point), ">", 3e6),
        ("… unrelated points", rate("current, unrelated points", "H each", point), ">", 1.5e5),
        ("grid over QuTiP without overhead", ratio(grid, "one H", superoperators, point), ">", 1e4),
        ("grid over dynamiqs and solve", ratio(grid, "one H", "dynamiqs generator, dense solve", point), ">", 200),
        ("grid over plain dense JAX", ratio(grid, "one H", "plain JAX, dense solve", point), ">", 100),
        ("time of currents over the rates alone", ratio(grid, "one H", point, f"{point}, the rates alone"), "<", 4),
        ("populations over QuTiP's eigenstates, d = 512",
         ratio("populations", "d=512", "QuTiP eigenstates, transform", ours), ">", 50),
        *((f"populations, time over NumPy's, d = {d}", ratio("populations", f"d={d}", ours, floor), "<", 2)
          for d in (1024, 4096)),
        *((f"{name} steady state, d = {d} (s)", seconds(name, f"d={d}", "jaxlgks Krylov()"), "<", limit)
          for name in ("Redfield", "UniversalLindblad") for d, limit in ((512, 8), (1024, 60))),
        ("value and gradient over value, two qubits",
         ratio("two qubits, five parameters", "316×316 points", "value and gradient", "value"), "<", 3),
        *((f"value and gradient over value, chain d = {d}",
           ratio("chain, all parameters", f"d={d}", "value and gradient", "value"), "<", 3) for d in (16, 64, 256)),
        ("φ at 1,000 times over QuTiP, d = 16",
         ratio("φ(τ) at 1,000 times", "d=16", "QuTiP mesolve", "jaxlgks response().impulse()"), ">", 20),
        ("import and first steady state (s)", seconds("import and one steady state", "two qubits", "jaxlgks"), "<", 4),
    ]  # fmt: skip
    lines = ["| asked for | | reached |", "|---|---:|---:|"]
    for what, value, way, limit in asked:
        if value is not None:
            met = value > limit if way == ">" else value < limit
            lines.append(f"| {what} | {way} {_short(limit)} | {_short(value)}{'' if met else ' (missed)'} |")
    return lines if len(lines) > 2 else []


def _plot(rows: list[dict], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    grid = [row for row in rows if row["work"] == "current on a grid of temperatures" and row["success"]]
    grid = [row for row in grid if "rates alone" not in row["method"]][::-1]
    colours = ["C0" if row["method"].startswith("jaxlgks") else "0.6" for row in grid]
    bars = left.barh([row["method"] for row in grid], [1 / row["seconds"] for row in grid], color=colours)
    left.bar_label(bars, labels=[_short(1 / row["seconds"]) for row in grid], padding=3, fontsize=8)
    left.set(xscale="log", xlabel="heat currents of two qubits per second")
    left.margins(x=0.25)
    chain = sorted((row for row in rows if row["task"] == "chain" and row["success"]), key=_group)
    for (work, method), line in groupby(chain, _group):
        line = sorted((int(row["size"][2:]), row["seconds"]) for row in line)
        ours = method.startswith("jaxlgks")
        label = f"{work}: {method}"
        right.plot(*zip(*line, strict=True), "o-" if ours else "s--", ms=4, lw=1.8 if ours else 1, label=label)
    right.set(xscale="log", yscale="log", xlabel="dimension d of the chain", ylabel="time of a steady state (s)")
    right.set_xscale("log", base=2)
    if chain:
        right.legend(fontsize=7)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _group(row: dict) -> tuple[str, str]:
    return row["work"], row["method"]
