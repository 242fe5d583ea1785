"""Every notebook runs from top to bottom without an error, as it stands."""

from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# As in conftest.py: no search for garbage, one context of programs, which run one operation at a time.
CHEAP = f"import gc, sys; gc.disable(); sys.path.append({str(ROOT)!r}); from tests import interpreter, lowering; "
CHEAP += "lowering.share_context(); interpreter.interpret(); del gc, sys, interpreter, lowering"


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the kernel client
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}
    cheap = [f"--IPKernelApp.exec_lines={CHEAP}"]
    nbclient.NotebookClient(notebook, timeout=300, resources=folder, extra_arguments=cheap).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", (cell.source, output)
