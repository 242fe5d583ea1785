"""Whatever a public function is given, it answers with an error of the library's own or with numbers."""

import subprocess
import sys
from pathlib import Path

import pytest

MADE = 10_000


@pytest.mark.slow
def test_what_is_of_the_wrong_kind_is_refused_by_name():
    """10,000 calls with values that hypothesis makes, and every argument of the public functions listed there with
    every value of `tests.hostile`; in a process without the checks of signatures that other tests run under. No other
    test goes through public arguments one by one."""
    command = [sys.executable, "-m", "tests.hostile", str(MADE)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert int(done.stdout.splitlines()[-1].split()[0]) >= MADE
