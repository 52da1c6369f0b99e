"""The walls: which package imports which, and what is never loaded early.

docs/architecture.md draws the same walls.
"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "heart2heart"

FREE = {"config", "csv_files", "errors", "notebook", "parallel", "progress", "registry", "schema", "utils"}
"""Packages and modules at the bottom: all others may use them, and they use only each other."""

IMPORTS: dict[str, set[str]] = {
    "store": set(),
    "dicom": {"store"},
    "deidentify": {"dicom", "store"},
    "ingest": {"deidentify", "dicom", "store"},
    "pacs": {"deidentify"},
    "datasets": {"deidentify", "dicom", "ingest", "store"},
    "synthetic": {"dicom"},
    "labels": {"deidentify", "dicom", "ingest", "store"},
    "annotate": {"labels", "store"},
    "active_learning": {"labels", "store"},
    "splits": {"labels", "store"},
    "training": {"splits", "store"},
    "representation": {"splits", "store", "training"},
    "export": {"datasets", "store", "training"},
    "prediction": {"datasets", "deidentify", "ingest", "scope", "store"},
    "dicom_results": {"dicom"},
    "service": {
        "annotate",
        "deidentify",
        "dicom",
        "dicom_results",
        "evaluation",
        "ingest",
        "pacs",
        "prediction",
        "reporting",
        "store",
    },
    "evaluation": set(),
    "scope": {"evaluation"},
    "reporting": {"evaluation", "ingest", "store"},
    "testing": {"active_learning", "datasets", "representation", "splits", "store", "training"},
    "verify": set(),
    "audit": set(),
}
"""Package -> the packages that it imports, exactly. Those of `JOINS` join them; no package imports those."""

JOINS = {"api", "cli", "demo", "federated"}

HEAVY = {"torch", "pandas", "monai", "albumentations", "SimpleITK", "matplotlib", "sklearn", "duckdb", "cv2", "onnx"}
TORCH_PACKAGES = {"training", "representation", "export", "testing"}


def _modules(package: str) -> list[Path]:
    folder = PACKAGE / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{package}.py"]


def _imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = _executed(tree) if top_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _executed(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements that run on import: not function bodies, not `if TYPE_CHECKING`."""
    statements: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        statements.append(node)
    return statements


def _packages(imports: set[str]) -> set[str]:
    parts = [name.split(".") for name in imports if name.startswith("heart2heart.")]
    return {part[1] for part in parts} - {"__version__"}


def _used(package: str) -> set[str]:
    return set().union(*(_packages(_imports(path)) for path in _modules(package))) - {package}


def test_every_package_and_module_is_in_the_table() -> None:
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert packages | modules == FREE | set(IMPORTS) | JOINS


@pytest.mark.parametrize("package", sorted(IMPORTS))
def test_each_package_imports_what_the_table_says_and_nothing_else(package: str) -> None:
    assert _used(package) - FREE == IMPORTS[package]


@pytest.mark.parametrize("package", sorted(FREE))
def test_the_bottom_uses_only_itself(package: str) -> None:
    assert _used(package) <= FREE


def test_the_table_has_no_circle() -> None:
    TopologicalSorter(IMPORTS).prepare()


def test_verify_shares_no_code_with_what_it_checks() -> None:
    assert not _used("verify") & {"dicom", "deidentify", "ingest", "store"}


@pytest.mark.parametrize("package", sorted(set(IMPORTS) - TORCH_PACKAGES))
def test_no_torch_outside_its_packages(package: str) -> None:
    for path in _modules(package):
        assert not {name.split(".")[0] for name in _imports(path)} & {"torch", "monai"}, path


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        early = {name.split(".")[0] for name in _imports(path, top_only=True)} & HEAVY
        inside = path.relative_to(PACKAGE).parts[0] in TORCH_PACKAGES
        assert early <= ({"torch"} if inside else set()), f"{path.relative_to(PACKAGE)} loads {sorted(early)} on import"


def test_nothing_imports_the_command_line_or_the_studies() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        imports = _imports(path)
        assert not any(name.split(".")[0] in ("pipelines", "benchmarks", "tests") for name in imports), path
        if "cli" not in path.relative_to(PACKAGE).parts and path.name != "__main__.py":
            assert "cli" not in _packages(imports), path


def _module_graph() -> dict[str, set[str]]:
    """Return each module of the package and those that it imports, inside functions as well."""
    paths = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        used: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                used |= {module if module in modules else node.module for module in inner}
        graph[name] = used & set(modules) - {name}
    return graph


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other: what is left when modules at an end are taken off."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph[module]
        return seen

    reach = {module: reached(module) for module in graph}
    groups = {
        frozenset({module, *(other for other in seen if module in reach[other])}) for module, seen in reach.items()
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def test_circles_are_found() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["b", "c"]]


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert _circles(_module_graph()) == []


def test_help_and_ingest_workers_stay_light() -> None:
    code = (
        "import sys, heart2heart.cli, heart2heart.ingest, heart2heart.dicom, heart2heart.store.frame_store\n"
        f"print(sorted({{name.split('.')[0] for name in sys.modules}} & {HEAVY!r}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_nothing_unpickles_or_evaluates() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        imports = _imports(path)
        assert not {name.split(".")[0] for name in imports} & {"dill", "joblib", "shelve", "marshal"}, path
        # torch raises pickle's error for a file that is no checkpoint: the error's name is all that may be imported.
        assert {name for name in imports if name.startswith("pickle")} <= {"pickle", "pickle.UnpicklingError"}, path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Import) and any(alias.name == "pickle" for alias in node.names)), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path
