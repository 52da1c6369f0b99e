"""Names of tests: each begins with the function, class or module that it tests, so that a failure says what is broken.

`tests/` mirrors the packages. A test at the top whose module mirrors nothing tests the repository and is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
PRODUCT = ("heart2heart", "pipelines", "benchmarks", "tools")
FRONT_DOOR = ("heart2heart/api", "heart2heart/cli")
"""Packages whose functions any test may name: it calls them by way of the command line."""


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _path(module: str) -> Path | None:
    """Return the file of a module of the product such as `heart2heart.store.quality`; None for others."""
    if module.partition(".")[0] not in PRODUCT and not module.startswith("tests.fuzz."):
        return None
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _spellings(name: str) -> set[str]:
    """Return a name in snake case and in lower case: `MixMatch` is `mix_match` and `mixmatch`."""
    name = name.strip("_")
    return {re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower(), name.lower()}


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield the functions, classes and constants of a module, and the methods of its classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield node.name
            yield from (method.name for method in node.body if isinstance(method, ast.FunctionDef))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name) and target.id.isupper())


@cache
def _subjects_of(path: Path) -> frozenset[str]:
    return frozenset(spelling for name in (path.stem, *_names(_tree(path))) for spelling in _spellings(name))


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield statements and those within them, but no expression: a tenth of what `ast.walk` visits."""
    for node in nodes:
        yield node
        for part in ("body", "orelse", "handlers", "finalbody"):
            inner = getattr(node, part, [])
            yield from _statements(inner if isinstance(inner, list) else [])


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a test module imports, or imports something from."""
    for node in _statements(tree.body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _mirrored(path: Path) -> Path | None:
    """Return the module of the product that a test module mirrors."""
    *packages, stem = path.relative_to(TESTS).with_suffix("").parts
    root = [] if packages[:1] and packages[0] in PRODUCT else ["heart2heart"]
    return _path(".".join([*root, *packages, stem.removeprefix("test_")]))


@cache
def _subjects(path: Path) -> frozenset[str]:
    """Return what the tests of a module may begin with."""
    front_door = (file for folder in FRONT_DOOR for file in (ROOT / folder).glob("*.py"))
    modules = (_mirrored(path), *map(_path, _imported(_tree(path))), *front_door)
    return frozenset().union(*(_subjects_of(module) for module in modules if module is not None)) - {"__init__"}


def _tests(tree: ast.Module) -> Iterator[str]:
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name.removeprefix("test_")


def _begins_with(name: str, subjects: frozenset[str]) -> bool:
    words = name.split("_")
    return any("_".join(words[:count]) in subjects for count in range(1, len(words) + 1))


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in TESTS.glob("*/__init__.py")))
def test_tests_begin_with_what_they_test(folder: str) -> None:
    unclear = [
        f"{path.relative_to(ROOT)}: test_{name}"
        for path in sorted((TESTS / folder).rglob("test_*.py"))
        for name in _tests(_tree(path))
        if not _begins_with(name, _subjects(path))
    ]
    assert not unclear, "begin each name with the function, class or module that it tests:\n" + "\n".join(unclear)


def test_tests_at_the_top_begin_with_what_they_test() -> None:
    unclear = [
        f"{path.name}: test_{name}"
        for path in sorted(TESTS.glob("test_*.py"))
        if _mirrored(path)
        for name in _tests(_tree(path))
        if not _begins_with(name, _subjects(path))
    ]
    assert not unclear, "begin each name with the function, class or module that it tests:\n" + "\n".join(unclear)


@pytest.mark.parametrize(
    ("test", "named"),
    [
        ("frame_quality_of_black_is_zero", True),
        ("frame_quality", True),
        ("frame_qualityof_black", False),
        ("black_is_zero", False),
        ("evaluate_prints_its_table", True),
    ],
)
def test_begins_with_accepts_names_of_the_mirrored_module_and_the_front_door(test: str, named: bool) -> None:
    assert _begins_with(test, _subjects(TESTS / "store" / "test_quality.py")) is named


@pytest.mark.parametrize(
    ("name", "spelling"), [("FrameStore", "frame_store"), ("MTCF", "mtcf"), ("MixMatch", "mixmatch"), ("_cut", "cut")]
)
def test_spellings_of_classes_and_private_functions(name: str, spelling: str) -> None:
    assert spelling in _spellings(name)
