"""Names: a module, class or function bears its field's word, and a local name says what it holds.

The table of the old words is kept here so that none of them comes back.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("heart2heart", "tests", "pipelines", "benchmarks", "tools")

OLD_MODULES = re.compile(
    "film|sight|look|develop|hushed|layout|values|makers?|who|landing|strays|stills|standing|said|found|suspects"
    "|carried|desk|shelf|entry|guard|hints|answers|shortlist|evidence|unlike|repeats|why|openings|sketch|parts|asking"
    "|world|blame|guesses|begin|between|levels|setting|draws|words|answer|across|shares|people|flow|contents|noting"
    "|strips"
)
"""Whole names that modules had; a test module's is compared without its `test_`."""

OLD_PACKAGES = re.compile("curate|evaluate|frames|learn|probing|reach|report|simulate|sources")
"""Whole names that packages had."""

OLD_CLASSES = re.compile(
    "(Frame|Video)Film|Walk|(Label)?Book|Line|Pending|Pace|Crew|Plan|Item|Known|Outbox|Standing|World|Surroundings"
    "|Draws|Found"
)
"""Whole names that classes had."""

OLD_FUNCTIONS = re.compile(
    "open_film|film|sight|look|develop|hushed|walk|spot|makers?|who|share|landing|bury|cause_of_death|strays|own_word"
    "|standing|said|taken_back|suspects|found|carried|desk|shelf|guard|hints|shortlist|unlike|repeats|why|openings"
    "|sketch|virtual|world|blame|guesses|offer|stale|afterwards|decide|along|between|setting|blocked|across|people"
    "|listed|guessing|noting|agree|strips|told|mine"
)
"""Whole names that functions, methods and fixtures had."""

OLD_WORDS = re.compile("films?|sight|hushed|landing|desk|shelf|outbox|shortlist|strays?|blame|crew|bury|surroundings")
"""Words that are no part of any such name."""

NICKNAMES = re.compile(
    "about|answered|asked|carried|found|given|had|made|mine|ours|places?|said|taken|theirs|told|wanted|whose"
)
"""Names of locals that say how a value was come by, or point at it, and not what it is."""

INDEX_NICKNAMES = re.compile("number|at|nth")
"""Words for the index that a loop counts; elsewhere `number` may hold a number."""

ALLOWED: dict[str, int] = {}
"""Package or folder -> nicknames of locals that are left there, exactly. It only shrinks."""


def _files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def _part(path: Path) -> str:
    """Return the package of a module or a test, such as `heart2heart/store`; the folder for modules at its top."""
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).strip("_").lower()


def _is_old(name: str, old_names: re.Pattern[str]) -> bool:
    name = name.strip("_")
    return bool(old_names.fullmatch(name)) or any(map(OLD_WORDS.fullmatch, _snake_case(name).split("_")))


def _old_definitions(tree: ast.Module) -> Iterator[str]:
    """Yield the classes and functions with old names; a test's name is a sentence and is left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            old_names = OLD_CLASSES
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("test_"):
            old_names = OLD_FUNCTIONS
        else:
            continue
        if _is_old(node.name, old_names):
            yield node.name


def _nicknames(tree: ast.Module) -> list[str]:
    """Return a module's nicknames as `function.name`, each once a function: parameters, locals and loop variables."""
    return sorted(
        {f"{scope}.{name}" for scope, name in _bound(tree, "") if NICKNAMES.fullmatch(name)} | set(_indices(tree))
    )


def _bound(node: ast.AST, scope: str, *, inside: bool = False) -> Iterator[tuple[str, str]]:
    """Yield function and name of each parameter and local; fields of classes and names of modules are none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _bound(child, f"{scope}.{child.name}".lstrip("."), inside=not isinstance(child, ast.ClassDef))
            continue
        if isinstance(child, ast.arg):
            yield scope, child.arg
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store) and inside:
            yield scope, child.id
        yield from _bound(child, scope, inside=inside)


def _indices(tree: ast.Module) -> Iterator[str]:
    """Yield the nicknames of indices: the variable of `enumerate` or `range`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.comprehension) and isinstance(node.iter, ast.Call):
            counter = node.target
            if isinstance(node.iter.func, ast.Name) and node.iter.func.id in ("enumerate", "range"):
                if isinstance(counter, ast.Tuple):
                    counter = counter.elts[0]
                if isinstance(counter, ast.Name) and INDEX_NICKNAMES.fullmatch(counter.id):
                    yield f"line {node.iter.lineno}.{counter.id}"


def test_definitions_bear_no_old_name() -> None:
    old = []
    for path in _files():
        relative = path.relative_to(ROOT)
        old += [f"{relative}: package" for folder in relative.parts[1:-1] if _is_old(folder, OLD_PACKAGES)]
        if _is_old(path.stem.removeprefix("test_"), OLD_MODULES):
            old.append(f"{relative}: module")
        old += [f"{relative}: {name}" for name in _old_definitions(ast.parse(path.read_text(encoding="utf-8")))]
    assert not old, "old names; take the field's word:\n" + "\n".join(old)


def test_local_names_say_what_they_hold() -> None:
    lines: list[str] = []
    counts: Counter[str] = Counter()
    for path in _files():
        for name in _nicknames(ast.parse(path.read_text(encoding="utf-8"))):
            lines.append(f"{path.relative_to(ROOT)}: {name}")
            counts[_part(path)] += 1
    changed = sorted(part for part in counts | Counter(ALLOWED) if counts[part] != ALLOWED.get(part, 0))
    report = [f"{part}: {counts[part]} nicknames, {ALLOWED.get(part, 0)} allowed" for part in changed]
    report += [line for line in lines if _part(ROOT / line.partition(":")[0]) in changed]
    assert not changed, "give the locals names that say what they hold, and lower ALLOWED:\n" + "\n".join(report)


@pytest.mark.parametrize(
    ("code", "old"),
    [
        ("class FrameFilm: ...", ["FrameFilm"]),
        ("class Ledger:\n    def _bury(self): ...", ["_bury"]),
        ("def raise_crew(): ...", ["raise_crew"]),
        ("def open_frames(): ...", []),
        ("class LabelStore:\n    def share_of_frames(self): ...", []),
        ("def test_what_is_told_is_found(): ...", []),
    ],
)
def test_old_definitions_names_classes_and_functions(code: str, old: list[str]) -> None:
    assert list(_old_definitions(ast.parse(code))) == old


def test_nicknames_lists_parameters_locals_and_indices() -> None:
    code = """
def f(told, rows):
    found = [place for place, row in enumerate(rows)]
    for number in range(3):
        number_of_rows = number
    return found
"""
    assert _nicknames(ast.parse(code)) == ["f.found", "f.place", "f.told", "line 4.number"]
