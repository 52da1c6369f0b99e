"""A verb, a setting, a status code or a public name that is not documented fails here."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from heart2heart.cli import configuration
from heart2heart.cli.reference import render, verbs
from heart2heart.config import Config
from heart2heart.learn import TrainConfig

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_cli_page_is_the_command_line() -> None:
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == render(), "run `make docs`"


@pytest.mark.parametrize(("name", "command"), list(verbs()), ids=[name for name, _ in verbs()])
def test_every_verbs_example_is_a_valid_line(name: str, command: Any) -> None:
    text, marker, example = (command.help or "").partition("Example: ")
    assert text.strip(), name
    assert marker, f"{name} shows no example"
    words = shlex.split(" ".join(example.split()))
    assert words[: len(name.split())] == name.split()
    given = command.make_context(name, words[len(name.split()) :]).params
    assert all(given[param.name] is not None for param in command.params if param.required)


def test_configuration_page_is_the_configuration() -> None:
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == configuration.render(), "run `make docs`"


@pytest.mark.parametrize(("title", "kind"), [(title, kind) for title, _, kind in configuration.sections()])
def test_every_configuration_key_is_documented(title: str, kind: type[Config]) -> None:
    found = list(configuration.keys(kind))
    assert found, title
    assert not [key for key, _, meaning in found if not meaning]


def test_configuration_page_shows_the_defaults_in_force() -> None:
    defaults = {key: default for key, default, _ in configuration.keys(TrainConfig)}
    assert defaults["data.split"] == "required"
    assert defaults["optimiser.lr"] == "`0.03`"
    assert (defaults["augmentation.weak.draws"], defaults["augmentation.strong.draws"]) == ("`0`", "`2`")


def test_status_codes_page_is_the_table_of_codes() -> None:
    from heart2heart.ingest.codes import CODES

    page = (DOCS / "status-codes.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)) == set(CODES)


def test_every_public_name_has_a_docstring() -> None:
    bare = []
    for path in sorted((ROOT / "heart2heart").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes: list[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef] = [tree]
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                nodes.append(node)
                if isinstance(node, ast.ClassDef):
                    inner = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                    nodes += [item for item in inner if not item.name.startswith("_")]
        bare += [f"{path.name}:{getattr(node, 'name', '')}" for node in nodes if ast.get_docstring(node) is None]
    assert not bare


def test_no_file_is_longer_than_300_lines() -> None:
    folders = ("heart2heart", "pipelines", "benchmarks", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    long = {str(path.relative_to(ROOT)): count for path in files if (count := len(path.read_text().splitlines())) > 300}
    assert not long


def test_links_between_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]
    broken = []
    for page in pages:
        targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        local = [target for target in targets if not target.startswith(("http", "mailto:"))]
        broken += [f"{page.name}: {target}" for target in local if not (page.parent / target).exists()]
    assert not broken
