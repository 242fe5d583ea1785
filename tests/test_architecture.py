"""The package as its design says: data goes one way, imports change nothing, every public name is there and explained.

Imports are read from the source, those inside functions too.
"""

import ast
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

import jaxlgks as lgks

ROOT = Path(lgks.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))

# Reading order. A stage imports from earlier stages only; members of one line may not import each other, the files of a
# folder may.
STAGES = [
    ["errors"],
    ["_inputs", "_compiled"],
    ["_spectra", "_polynomials"],
    ["_frame", "pulses"],
    ["_drives"],
    ["_system"],
    ["_bohr", "_entropy"],
    ["_equations"],
    ["_generator"],
    ["_quasifree"],
    ["_steady", "_cumulant", "_validity"],
    ["_driven_evolution"],
    ["_evolution"],
    ["_cycles"],
    ["_observables"],
    ["_response"],
    ["models"],
    ["_sweeps"],
    ["_fits"],
    ["_configs"],
    ["paper"],
    ["_cli"],
]
RANK = {name: rank for rank, names in enumerate(STAGES) for name in names}
ONLY = {
    "models": {"errors", "_inputs", "_spectra", "_polynomials", "_frame", "_system", "_bohr", "_entropy"}
    | {"_equations", "_generator", "_quasifree", "models"}
}  # stages that see less than all before them


def stage(path: Path) -> str:
    """The stage a file belongs to: its folder, or its own name at the top."""
    return path.parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[int, Path]]:
    """(line, imported file or folder) for everything inside the package that a file imports, at any depth."""
    found = []
    package = path.parent
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package
            for _ in range(node.level - 1):
                base = base.parent
            base = base.joinpath(*(node.module or "").split(".")) if node.module else base
            found += [(node.lineno, _resolve(base, alias.name)) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jaxlgks":
            base = Path(*node.module.split(".")[1:])
            found += [(node.lineno, _resolve(base, alias.name)) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".")[1:] for alias in node.names if alias.name.split(".")[0] == "jaxlgks"]
            found += [(node.lineno, Path(*name)) for name in names]
    return found


def _resolve(base: Path, name: str) -> Path:
    """The file that `from base import name` reads: base/name.py, base/name/, base.py or base/__init__.py."""
    candidates = [base / f"{name}.py", base / name / "__init__.py", base / "__init__.py"]
    if base.name:
        candidates.insert(2, base.with_suffix(".py"))
    return next(candidate for candidate in candidates if (ROOT / candidate).is_file())


INSIDE = [path for path in FILES if path != Path("__init__.py")]


def test_every_file_has_a_place_in_the_order():
    assert {stage(path) for path in INSIDE} <= set(RANK)


@pytest.mark.parametrize("path", INSIDE, ids=str)
def test_imports_go_one_way(path):
    """No file imports a later stage, nor another member of its own unless they share a folder, nor the index."""
    here = stage(path)
    for line, target in imports(path):
        where = f"{path}:{line} imports {target}"
        if target == Path("__init__.py"):
            assert here in ("paper", "_cli"), f"{where}: the index belongs to users"
            continue
        there = stage(target)
        assert RANK[there] < RANK[here] or (there == here and len(path.parts) > 1), where
        assert there in ONLY.get(here, RANK), where
        assert (there == "paper") <= (here in ("paper", "_cli")), where


def test_no_cycle_inside_a_folder():
    """The files of a folder can be read in an order in which each imports only those before it."""
    edges = {path: {target for _, target in imports(path) if target in INSIDE} for path in INSIDE}
    done: set[Path] = set()
    while len(done) < len(edges):
        ready = {path for path, needs in edges.items() if path not in done and needs - {path} <= done}
        assert ready, f"a cycle among {sorted(map(str, set(edges) - done))}"
        done |= ready


def test_a_folder_is_entered_by_its_index():
    """From outside a folder only its `__init__` is imported, except by the paper and the tests of derived numbers."""
    for path in INSIDE:
        for line, target in imports(path):
            inner = len(target.parts) > 1 and target.name != "__init__.py"
            if inner and stage(target) != stage(path):
                assert stage(path) == "paper", f"{path}:{line} imports {target}"


def test_the_order_notices_a_wrong_import(tmp_path):
    """The reader of imports sees those inside functions, relative and absolute."""
    (tmp_path / "bohr").mkdir()
    for name in ("__init__.py", "bohr/__init__.py", "bohr/_a.py", "_inputs.py", "_observables.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "_inputs.py").write_text("def f():\n    from .bohr._a import x\n    import jaxlgks._observables\n")
    (tmp_path / "bohr/_a.py").write_text("from .. import _inputs\nfrom jaxlgks import bohr\n")
    with mock.patch.object(sys.modules[__name__], "ROOT", tmp_path):
        assert [str(target) for _, target in imports(Path("_inputs.py"))] == ["bohr/_a.py", "_observables"]
        assert [str(target) for _, target in imports(Path("bohr/_a.py"))] == ["_inputs.py", "bohr/__init__.py"]


HEAVY = (
    "matplotlib",
    "xarray",
    "rich",
    "cyclopts",
    "h5netcdf",
    "h5py",
    "optax",
    "optimistix",
    "pandas",
    "jaxlgks.paper",
    "jaxlgks._cli",
)


def test_importing_changes_nothing_and_loads_nothing_heavy():
    """A new process: every JAX setting as before, no plotting, labels, terminal or paper modules."""
    code = (
        "import json, sys, jax\n"
        "import diffrax, equinox  # what they change is not ours\n"
        "before = dict(jax.config.values)\n"
        "loaded = set(sys.modules)\n"
        "import jaxlgks\n"
        "after = dict(jax.config.values)\n"
        "changed = [k for k in after if after[k] is not before.get(k) and after[k] != before.get(k)]\n"
        f"heavy = [m for m in {HEAVY!r} if m in set(sys.modules) - loaded]\n"
        "print(json.dumps([changed, heavy]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    changed, heavy = json.loads(done.stdout)
    assert changed == []
    assert heavy == []


NAMES = [
    *("System", "Bath", "Flat", "Ohmic", "DrudeLorentz", "CallableSpectrum", "Davies", "Local", "liouvillian"),
    *("steady_state", "heat_currents", "channel_currents", "entropy_production", "von_neumann_entropy", "evolve"),
    *("Unified", "UniversalLindblad", "Redfield", "Tabulated", "diagnose", "thermal_response", "onsager_matrix"),
    *("response", "thermodynamic_response", "autodiff_response", "cross_validate", "HeatCurrent", "EntropyProduction"),
    *("fit", "Fit", "Data", "sensitivity", "fisher_information", "optimal_plan", "maximise"),
    "models",
    "errors",
    "__version__",
]


@pytest.mark.parametrize("name", NAMES)
def test_public_name_exists(name):
    assert hasattr(lgks, name)


def test_models_and_methods_of_the_public_face_exist():
    for name in ("two_qubits", "two_oscillators", "pauli"):
        assert callable(getattr(lgks.models, name))
    for owner, names in {
        lgks.System: ["perturbed"],
        lgks.Bath: ["rate"],
        lgks.Davies: ["fixed"],
        lgks.Local: ["fixed"],
        lgks.LinearResponse: ["static", "impulse", "step", "susceptibility"],
        lgks.Evolution: ["expect"],
        lgks.DrivenEvolution: ["expect"],
    }.items():
        for name in names:
            assert callable(getattr(owner, name)), f"{owner.__name__}.{name}"
    assert {"kubo", "rotation", "shift", "explicit", "total"} <= set(dir(lgks.Parts)) | set(lgks.Parts.__annotations__)


def public_objects() -> dict[str, object]:
    """Every public class and function of the index and of models, and the public methods of the classes."""
    found = {}
    for module in (lgks, lgks.models):
        for name in (n for n in vars(module) if not n.startswith("_")):
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                found[f"{module.__name__}.{name}"] = thing
                found |= _methods(f"{module.__name__}.{name}", thing)
    return found


def _methods(name: str, thing) -> dict[str, object]:
    if not inspect.isclass(thing):
        return {}
    own = {n: m for n, m in vars(thing).items() if not n.startswith("_")}
    kinds = (property, classmethod, staticmethod)
    return {f"{name}.{n}": m for n, m in own.items() if inspect.isfunction(inspect.unwrap(m)) or isinstance(m, kinds)}


def explained_above(name: str) -> bool:
    """Whether a method fills in one of a base class of this package, which explains it there."""
    owner, _, method = name.rpartition(".")
    bases = getattr(public_objects().get(owner), "__mro__", ())[1:]
    return any((getattr(vars(base).get(method), "__doc__", None) or "").strip() for base in bases)


@pytest.mark.parametrize("name", [name for name in public_objects() if not explained_above(name)])
def test_public_object_has_a_docstring(name):
    """Its own, not one that a decorator or base class lends it (equinox and jaxtyping give none)."""
    doc = getattr(public_objects()[name], "__doc__", None) or ""
    assert doc.strip(), name
    assert not doc.startswith("Initialize self"), name


def test_functions_of_the_index_are_shown_in_use():
    """Functions that compute something carry a runnable example."""
    for name, thing in public_objects().items():
        if inspect.isfunction(thing) and name.startswith("jaxlgks.") and name.count(".") == 1:
            assert "```python" in (thing.__doc__ or ""), name


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages([str(ROOT)], "jaxlgks.")]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_file_is_short_and_opens_with_a_paragraph(path):
    """At most 450 lines (400 is the aim), at most 60 a function (40 is the aim), and a module docstring."""
    text = (ROOT / path).read_text()
    assert len(text.splitlines()) <= 450
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{path} opens without a docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{path}: {node.name} has {length} lines"


def test_the_index_is_an_index():
    """`__init__` files of the library hold a docstring and imports, nothing else."""
    for path in (p for p in FILES if p.name == "__init__.py" and stage(p) != "paper"):
        body = ast.parse((ROOT / path).read_text()).body
        assert isinstance(body[0], ast.Expr), path
        for node in body[1:]:
            assert isinstance(node, ast.ImportFrom) or ast.unparse(node).startswith("__version__ ="), path


def test_no_module_of_leftovers():
    """No `utils`, no `from __future__ import annotations` (shapes in signatures are read at run time)."""
    for path in FILES:
        assert not {"utils", "helpers", "misc", "common"} & {part.removesuffix(".py").strip("_") for part in path.parts}
        assert "from __future__ import annotations" not in (ROOT / path).read_text(), path


def test_every_module_imports():
    for name in modules():
        importlib.import_module(name)
