"""The house: imports go one way, importing is light and changes nothing, public names exist and are documented."""

import ast
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import jaxlgks as lgks

PACKAGE = Path(lgks.__file__).parent

# Reading order = data flow = import order. A file may import from earlier entries and from its own folder only.
STAGES = [
    "_errors",
    "_inputs",
    "spectra",
    "_system",
    "bohr",
    "equations",
    "_generator",
    "steady",
    "_entropy",
    "_evolution",
    "_observables",
    "response",
    "models",
    "paper",
    "_cli",
]
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def stage(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> list[Path]:
    """The files of this package that a file imports, function-level imports included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("jaxlgks")):
            base = path.parents[node.level - 1] if node.level else PACKAGE.parent
            target = base.joinpath(*(node.module or "").split("."))
            found += [resolve(target, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("jaxlgks")]
            found += [resolve(PACKAGE.parent.joinpath(*name.split(".")), "") for name in names]
    return found


def resolve(target: Path, name: str) -> Path:
    """A module's file: a submodule named after `from`, the module itself, or the package's index."""
    for candidate in (target / f"{name}.py", target / name / "__init__.py", target.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return target / "__init__.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    here = STAGES.index(stage(path))
    for target in imported(path):
        assert target.is_file(), target
        if target == PACKAGE / "__init__.py":
            # Only the ends of the flow use the library through its own index.
            assert stage(path) in ("paper", "_cli"), f"{path} imports the package's index"
            continue
        there = STAGES.index(stage(target))
        assert there <= here, f"{path} imports {target}, which comes later"
        assert not (there == here and path.parent == PACKAGE and target != path), "a stage of one file imports itself"
        assert stage(target) != "paper" or stage(path) in ("paper", "_cli")


def test_no_cycles_inside_a_folder():
    graph = {path: {target for target in imported(path) if target.name != "__init__.py"} for path in FILES}

    def visit(path, above):
        assert path not in above, " -> ".join(str(p.relative_to(PACKAGE)) for p in [*above, path])
        for target in graph.get(path, ()):
            visit(target, [*above, path])

    for path in graph:
        visit(path, [])


def test_files_stay_readable():
    """A file is a stage, not an archive."""
    long = {str(path): n for path in FILES if (n := len(path.read_text().splitlines())) > 450}
    assert not long


def test_every_module_says_what_enters_and_leaves():
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), path


def run_python(code: str) -> dict:
    environment = {key: value for key, value in os.environ.items() if key != "JAX_ENABLE_X64"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


def test_import_is_light_and_changes_no_setting():
    seen = run_python(
        "import json, sys, jax\n"
        "before = {k: repr(v) for k, v in jax.config.values.items()}\n"
        "import jaxlgks\n"
        "after = {k: repr(v) for k, v in jax.config.values.items()}\n"
        "heavy = ['matplotlib', 'xarray', 'rich', 'cyclopts', 'h5netcdf', 'h5py', 'pandas', 'jaxlgks.paper']\n"
        "print(json.dumps({'same': before == after, 'loaded': [m for m in heavy if m in sys.modules]}))"
    )
    assert seen == {"same": True, "loaded": []}


PUBLIC = [name for name in vars(lgks) if not name.startswith("_") and not inspect.ismodule(getattr(lgks, name))]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name):
    item = getattr(lgks, name)
    assert inspect.getdoc(item), name
    if inspect.isclass(item):
        for member, value in vars(item).items():
            if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                assert inspect.getdoc(getattr(item, member)), f"{name}.{member}"


def test_public_face():
    """The names the design promises, as far as they are built."""
    expected = """System Bath Flat Ohmic DrudeLorentz Davies Local liouvillian steady_state heat_currents
    channel_currents entropy_production von_neumann_entropy evolve response thermodynamic_response autodiff_response
    cross_validate HeatCurrent EntropyProduction models""".split()
    assert [name for name in expected if not hasattr(lgks, name)] == []
    for name in ("two_qubits", "two_oscillators", "pauli"):
        assert hasattr(lgks.models, name)
