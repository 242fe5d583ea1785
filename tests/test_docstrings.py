"""Every Python example in a public docstring and in the README runs as it is printed."""

import contextlib
import importlib
import inspect
import io
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import jaxlgks as lgks

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
README = Path(lgks.__file__).parent.parent / "README.md"


def _documented(module):
    """(name, docstring) of a module, its public classes and functions, and their public methods."""
    yield module.__name__, module.__doc__
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        yield f"{module.__name__}.{name}", thing.__doc__
        if inspect.isclass(thing):
            for method, body in vars(thing).items():
                if not method.startswith("_") and not inspect.isclass(body):  # a class of another library
                    yield f"{module.__name__}.{name}.{method}", getattr(body, "__doc__", None)


def examples() -> dict[str, str]:
    """name of the object (and number of the block) -> code."""
    names = [m.name for m in pkgutil.walk_packages(lgks.__path__, "jaxlgks.") if ".paper" not in m.name]
    documented = [pair for name in ["jaxlgks", *names] for pair in _documented(importlib.import_module(name))]
    if README.exists():
        documented.append(("README.md", README.read_text()))
    found = {}
    for name, doc in documented:
        for number, code in enumerate(BLOCK.findall(inspect.cleandoc(doc or ""))):
            found[name if number == 0 else f"{name} #{number + 1}"] = code
    return found


EXAMPLES = examples()


def test_examples_are_found():
    """The index alone documents more than a dozen computations; a broken pattern would find none and pass."""
    assert len(EXAMPLES) >= 14
    assert any(name.endswith(".heat_currents") for name in EXAMPLES)


# What an example says beside a line is what the line gives: `expression   # number`.
CLAIM = re.compile(
    r"^(?P<code>[^#\n]+?)\s{2,}#\s*(?P<value>\[?-?\d[\d.e+, -]*\]?)(?:\.\.\.)?\s*(?:,.*)?$", re.MULTILINE
)


def claims(name: str) -> list[re.Match]:
    """Lines with numbers beside them (of the first example of the README they are comments)."""
    return [] if name == "README.md" else list(CLAIM.finditer(EXAMPLES[name]))


def test_claims_are_found():
    assert sum(bool(claims(name)) for name in EXAMPLES) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_and_its_numbers_are_true(name, tmp_path):
    """In a namespace and folder of its own; what it prints and writes goes nowhere. Numbers to the digits printed."""
    space = {"__name__": "__main__"}
    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(EXAMPLES[name], f"<example of {name}>", "exec"), space)
        for claim in claims(name):
            value = eval(claim["code"], space)
            printed = re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", claim["value"])
            for text, number in zip(printed, np.ravel(value), strict=True):
                decimals = len(text.split(".")[1]) if "." in text else 0
                assert float(number) == pytest.approx(float(text), abs=1.01 * 10.0**-decimals), f"{name}: {claim[0]}"
