"""The command line: arguments, messages, exit codes."""

import subprocess
import sys

import pytest

from jaxlgks import _cli, paper
from jaxlgks.paper.checks._row import agree


def _run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr(sys, "argv", ["jaxlgks", *arguments])
    with pytest.raises(SystemExit) as exit_:
        _cli.main()
    return exit_.value.code


def test_an_unknown_figure_is_named_with_the_valid_ones(monkeypatch, capsys, tmp_path):
    code = _run(monkeypatch, "reproduce", "fig7", "--out", str(tmp_path / "new"))
    assert code != 0
    message = " ".join(capsys.readouterr().err.split())
    assert "fig7" in message
    assert "fig2, fig3, fig4, fig5, crossover" in message
    assert not (tmp_path / "new").exists()


def test_an_unknown_option_fails(monkeypatch, capsys):
    assert _run(monkeypatch, "reproduce", "--outt", "x") != 0
    printed = capsys.readouterr()
    assert "--outt" in printed.out + printed.err


def _replace(monkeypatch, computed):
    calls = []

    def fake(names, out, progress, parallel):
        calls.append((names, out, parallel))
        progress("Fig. 2", "drawing", 0.5)
        row = agree("(1)", "a statement", 1.0, computed, 1e-6)
        return paper.Outcome({"family": [row]}, [])

    monkeypatch.setattr(paper, "reproduce", fake)
    return calls


def test_everything_to_results_is_the_default(monkeypatch, capsys):
    calls = _replace(monkeypatch, 1.0)
    assert _run(monkeypatch, "reproduce") == 0
    ((names, out, parallel),) = calls
    assert parallel
    assert names == ()
    assert str(out) == "results"
    assert "1 rows" in capsys.readouterr().out


def test_a_row_that_disagrees_fails_the_command(monkeypatch, capsys):
    _replace(monkeypatch, 2.0)
    assert _run(monkeypatch, "reproduce", "fig2", "--out", "x") == 1
    assert "disagrees: (1)" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_an_error(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert _run(monkeypatch, "reproduce", "fig4", "--out", str(tmp_path / "file" / "below")) == 2
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
