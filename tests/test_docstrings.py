"""Every example in a docstring and in the README runs as it stands."""

import ast
import re
from pathlib import Path

import pytest

import jaxlgks as lgks

PACKAGE = Path(lgks.__file__).parent
README = PACKAGE.parent / "README.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def examples():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                for position, code in enumerate(BLOCK.findall(ast.get_docstring(node) or "")):
                    name = getattr(node, "name", "module")
                    yield pytest.param(code, id=f"{path.relative_to(PACKAGE)}:{name}:{position}")
    for position, code in enumerate(BLOCK.findall(README.read_text() if README.is_file() else "")):
        yield pytest.param(code, id=f"README:{position}")


@pytest.mark.parametrize("code", list(examples()))
def test_example_runs(code, capsys):
    exec(compile(code, "<example>", "exec"), {})


def test_public_functions_have_examples():
    """A public function shows how it is called."""
    functions = [name for name, item in vars(lgks).items() if callable(item) and not isinstance(item, type)]
    without = [name for name in functions if not BLOCK.search(getattr(lgks, name).__doc__ or "")]
    assert without == []
