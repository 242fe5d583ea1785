"""The table and the plot.

Takes: measured rows. Returns: `results.json`, `results.md`, `results.png`.
"""

import datetime
import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path

from ._targets import short, targets

TITLES = {
    "sweep": "a) Heat currents of two qubits over temperatures",
    "chain": "b) Steady state of a disordered spin chain, d = 2^N",
    "gradient": "c) Value and gradient",
    "response": "d) Impulse response at 1,000 times",
    "memory": "k) Responses with the memory of the baths, and at once",
    "cold": "e) A fresh process",
    "accuracy": "f) Cold baths",
    "quasifree": "g) Oscillators without truncation",
    "kernels": "h) Kernels of small systems, a batch of 4,096; the first row is what the library takes",
    "fit": "i) Fits",
    "first": "j) The first call of a public function in a fresh process",
    "cycle": "Steady cycles of driven systems",
}
PACKAGES = ("jaxlgks", "jax", "jaxlib", "numpy", "scipy", "qutip", "dynamiqs", "qthermo", "mpmath")


def write(rows: list[dict], out: Path) -> None:
    """Table, numbers and plot. What was measured before and not again stays, with its commit."""
    out.mkdir(parents=True, exist_ok=True)
    description = machine()
    rows = [row | {"commit": description["commit"]} for row in rows]
    if (out / "results.json").exists():
        rows = merged(json.loads((out / "results.json").read_text()), rows)
    (out / "results.json").write_text(
        json.dumps({"machine": description, "rows": rows}, indent=1, ensure_ascii=False) + "\n"
    )
    (out / "results.md").write_text(_markdown(rows, description))
    _plot(rows, out / "results.png")


def merged(before: dict, rows: list[dict]) -> list[dict]:
    """Old rows replaced work by work and size by size, so that ratios are of one run; in the order of the sections."""
    old = [{"commit": before["machine"]["commit"]} | row for row in before["rows"]]
    groups: dict[tuple, list[dict]] = {}
    for row in old:
        groups.setdefault(_work(row), []).append(row)
    fresh: dict[tuple, list[dict]] = {}
    for row in rows:
        fresh.setdefault(_work(row), []).append(row)
    for key, again in fresh.items():
        methods = {row["method"] for row in again}
        if all(row["method"] in methods for row in groups.get(key, [])):
            groups[key] = again
    order = list(TITLES)
    return [row for key in sorted(groups, key=lambda key: order.index(key[0])) for row in groups[key]]


def _work(row: dict) -> tuple[str, str, str]:
    return row["task"], row["work"], row["size"]


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
        "load": f"{os.getloadavg()[1]:.1f} processes at a time, the measured one among them, in the last 5 minutes",
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "commit": commit.stdout.strip() or "unknown",
        "versions": ", ".join(f"{name} {installed(name)}" for name in PACKAGES),
    }


def _markdown(rows: list[dict], description: dict[str, str]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "`python -m benchmarks`. Medians, of a unit of work: a point, a steady state, a response. Compilation is in",
        "the first call only. *Ratio*: time over that of the first row of the same work. Each row had a process of its",
        "own; *memory* is its peak, interpreter and libraries included. *Commit*: of the code measured; rows of one",
        "work and size are of one run. The newest run:",
        "",
        *(f"- {name}: {what}" for name, what in description.items()),
        "",
        *targets(rows),
    ]
    for task, of_task in groupby(rows, lambda row: row["task"]):
        lines += [
            "",
            f"## {TITLES[task]}",
            "",
            "| work | size | method | first call (s) | time (s) | per second | ratio |",
        ]
        lines[-1] += " error | against | memory (GB) | note | commit |"
        lines.append("|---|---|---|---:|---:|---:|---:|---:|---|---:|---|---|")
        firsts: dict[tuple[str, str], dict] = {}
        lines += [_line(row, firsts.setdefault((row["work"], row["size"]), row)) for row in of_task]
    return "\n".join(lines) + "\n"


def _line(row: dict, first: dict) -> str:
    head = f"| {row['work']} | {row['size']} | {row['method']} |"
    if not row["success"]:
        return f"{head} | | | | | | | {row['note']} | {row['commit']} |"
    seconds = row["seconds"]
    ratio = f"{short(seconds / first['seconds'])}" if first["success"] else ""
    error = "" if row["error"] is None else f"{row['error']:.0e}"
    numbers = f" {short(row['first'])} | {short(seconds)} | {short(1 / seconds)} | {ratio} | {error} |"
    return f"{head}{numbers} {row['against']} | {row['peak_gb']:.1f} | {row['note']} | {row['commit']} |"


def _plot(rows: list[dict], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.4), layout="constrained", width_ratios=(1, 1.35))
    grid = [row for row in rows if row["work"] == "current on a grid of temperatures" and row["success"]]
    grid = [row for row in grid if "rates alone" not in row["method"]][::-1]
    colours = ["C0" if row["method"].startswith("jaxlgks") else "0.6" for row in grid]
    bars = left.barh([row["method"] for row in grid], [1 / row["seconds"] for row in grid], color=colours)
    left.bar_label(bars, labels=[short(1 / row["seconds"]) for row in grid], padding=3, fontsize=8)
    left.set(xlabel="heat currents of two qubits per second")
    left.margins(x=0.25)
    if grid:
        left.set_xscale("log")
        left.set_xlim(10, 2e10)
    chain = sorted((row for row in rows if row["task"] == "chain" and row["success"]), key=_group)
    for (work, method), line in groupby(chain, _group):
        line = sorted((int(row["size"][2:]), row["seconds"]) for row in line)
        ours = method.startswith("jaxlgks")
        label = f"{work}: {method}"
        right.plot(*zip(*line, strict=True), "o-" if ours else "s--", ms=4, lw=1.8 if ours else 1, label=label)
    right.set(xlabel="dimension d of the chain", ylabel="time of a steady state (s)")
    if chain:
        right.set_xscale("log", base=2)
        right.set_yscale("log")
        right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _group(row: dict) -> tuple[str, str]:
    return row["work"], row["method"]
