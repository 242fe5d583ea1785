"""All benchmarks, or some: on whatever JAX device is there.

    python -m pip install '.[bench]'
    python -m benchmarks [--tasks sweep chain ...] [--out benchmarks/results] [--limit 120] [--within S] [--quick]

Every measurement has a process of its own; one that takes longer than `--limit` seconds is reported as such. Results
go to `results.json`, `results.md` and `results.png` in the folder given. `--quick` leaves out the large sizes.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path

from ._case import Case, as_child, in_child

TASKS = (
    "sweep",
    "chain",
    "gradient",
    "response",
    "quasifree",
    "cold",
    "memory",
    "first",
    "accuracy",
    "kernels",
    "fit",
    "cycle",
)


def cases(tasks: list[str], quick: bool) -> list[Case]:
    """What is to be measured, in order."""
    return [case for task in tasks for case in importlib.import_module(f"benchmarks.{task}").cases(quick)]


def main() -> None:
    """Measure, one after the other, and write the results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--limit", type=float, default=120.0)
    parser.add_argument("--within", type=float, default=float("inf"), help="begin no case after so many seconds")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        task = options.child.split(" | ")[0]
        as_child(next(case for case in cases([task], quick=False) if case.key == options.child))
        return
    rows, start = [], time.monotonic()
    for case in cases(options.tasks, options.quick):
        if time.monotonic() - start > options.within:
            print(f"{case.key} and what follows: not begun", file=sys.stderr)
            break
        row = in_child(case, options.limit)
        rows.append(row)
        said = f"{row['seconds']:.3g} s" if row["success"] else row["note"]
        print(f"{case.key}: {said}", file=sys.stderr, flush=True)
    from ._report import write

    write(rows, options.out)


if __name__ == "__main__":
    main()
