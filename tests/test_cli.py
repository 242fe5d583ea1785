"""The command line: arguments, messages, exit codes."""

import contextlib
import subprocess
import sys
from unittest import mock

import pytest

from jaxlgks import _cli, paper
from jaxlgks.paper.checks._row import agree


def _run(*arguments) -> int:
    """Without `monkeypatch`, for which conftest.py forgets all programs: none knows the command line."""
    with mock.patch.object(sys, "argv", ["jaxlgks", *arguments]), pytest.raises(SystemExit) as exit_:
        _cli.main()
    return exit_.value.code


def test_an_unknown_figure_is_named_with_the_valid_ones(capsys, tmp_path):
    code = _run("reproduce", "fig7", "--out", str(tmp_path / "new"))
    assert code != 0
    message = " ".join(capsys.readouterr().err.split())
    assert "fig7" in message
    assert "fig2, fig3, fig4, fig5, crossover" in message
    assert not (tmp_path / "new").exists()


def test_an_unknown_option_fails(capsys):
    assert _run("reproduce", "--outt", "x") != 0
    printed = capsys.readouterr()
    assert "--outt" in printed.out + printed.err


@contextlib.contextmanager
def _replaced(computed):
    """`reproduce` finds one row, of which this is computed."""
    calls = []

    def fake(names, out, progress, parallel):
        calls.append((names, out, parallel))
        progress("Fig. 2", "drawing", 0.5)
        row = agree("(1)", "a statement", 1.0, computed, 1e-6)
        return paper.Outcome({"family": [row]}, [])

    with mock.patch.object(paper, "reproduce", fake):
        yield calls


def test_everything_to_results_is_the_default(capsys):
    with _replaced(1.0) as calls:
        assert _run("reproduce") == 0
    ((names, out, parallel),) = calls
    assert parallel
    assert names == ()
    assert str(out) == "results"
    assert "1 rows" in capsys.readouterr().out


def test_a_row_that_disagrees_fails_the_command(capsys):
    with _replaced(2.0):
        assert _run("reproduce", "fig2", "--out", "x") == 1
    assert "disagrees: (1)" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_an_error(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert _run("reproduce", "fig4", "--out", str(tmp_path / "file" / "below")) == 2
    assert "reproduce:" in capsys.readouterr().err


def test_help_answers_without_loading_what_draws():
    code = """
import sys
from jaxlgks import _cli
sys.argv = ["jaxlgks", "--help"]
try:
    _cli.main()
except SystemExit:
    pass
print("matplotlib" in sys.modules, "xarray" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "reproduce" in done.stdout
    assert done.stdout.strip().endswith("False False")
