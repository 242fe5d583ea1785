"""One measurement, and how it is taken: alone in a process of its own, so that its memory is its own.

Takes: a piece of work. Returns: seconds of the first call (with compilation) and the median of later ones, an error
against something independent, the peak memory of the process.
"""

import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

MEMORY = 20e9
"""A process that asks for more address space than this fails, rather than the machine."""


@dataclasses.dataclass
class Measured:
    """`seconds`: of one unit of work, the median; `first`: of the first call, compilation included; `error`: against
    an oracle, and `against` which; `peak_gb`: memory, where the process goes on to other work."""

    first: float
    seconds: float
    error: float | None = None
    against: str = ""
    note: str = ""
    peak_gb: float | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """A method for some work at some size. The first case of each work and size is this library's own."""

    task: str
    work: str
    size: str
    method: str
    run: Callable[[], Measured]

    @property
    def key(self) -> str:
        """What a child process is told to do."""
        return " | ".join((self.task, self.work, self.size, self.method))


def timed(work: Callable[[], Any], units: float = 1, repeat: int = 5, budget: float = 20.0) -> tuple[float, float, Any]:
    """Seconds of the first call, median seconds per unit of the next ones (fewer where they take long), the result."""
    import jax

    start = time.perf_counter()
    out = jax.block_until_ready(work())
    first = time.perf_counter() - start
    seconds: list[float] = []
    while len(seconds) < repeat and (not seconds or sum(seconds) + seconds[-1] < budget):
        start = time.perf_counter()
        out = jax.block_until_ready(work())
        seconds.append(time.perf_counter() - start)
    return first, statistics.median(seconds) / units, out


def in_child(case: Case, limit: float) -> dict:
    """Run a case in a process of its own; what went wrong otherwise."""
    row: dict[str, Any] = {"task": case.task, "work": case.work, "size": case.size, "method": case.method}
    command = [sys.executable, "-m", "benchmarks", "--child", case.key]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return row | {"success": False, "note": f"not done in {limit:.0f} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()
        return row | {"success": False, "note": said[-1][:120] if said else f"exit {done.returncode}"}
    return row | json.loads(lines[-1])


def as_child(case: Case) -> None:
    """Measure and print."""
    import warnings

    resource.setrlimit(resource.RLIMIT_AS, (int(MEMORY), int(MEMORY)))
    warnings.simplefilter("ignore")
    found = case.run()
    found.peak_gb = peak() if found.peak_gb is None else found.peak_gb
    print(json.dumps({"success": True} | dataclasses.asdict(found)))


def peak() -> float:
    """Largest resident memory of this process so far, or of one that it started, in GB."""
    used = max(resource.getrusage(whose).ru_maxrss for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return used * (1.0 if sys.platform == "darwin" else 1024.0) / 1e9
