"""A verb, a setting, a status code or a public name that is not documented fails here."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heart2heart.api import configuration_sections
from heart2heart.cli import reference
from heart2heart.cli.reference import verbs
from heart2heart.config import Config
from heart2heart.schema.status import CODES, FLAGS
from heart2heart.training.config import TrainConfig
from pipelines import label_budget_report, mismatch_report
from tests import browser
from tools import docs_pages

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def first_cells(page: str) -> set[str]:
    """Return the names in the first column of a page's tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))


def paragraphs(page: str) -> Iterator[str]:
    """Yield paragraphs and list items of Markdown, without code, tables and headings."""
    text = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text):
        if not block.lstrip().startswith(("|", "#", "!", "    ")):
            yield " ".join(block.split())


def test_render_describes_every_verb() -> None:
    page = reference.render_commands()
    assert [name for name, _ in verbs()] == re.findall(r"^## (.+)$", page, re.MULTILINE)


@pytest.mark.parametrize(("name", "command"), list(verbs()), ids=[name for name, _ in verbs()])
def test_every_verbs_example_is_a_valid_line(name: str, command: Any) -> None:
    text, marker, example = (command.help or "").partition("Example: ")
    assert text.strip(), name
    assert marker, f"{name} shows no example"
    words = shlex.split(" ".join(example.split()))
    assert words[: len(name.split())] == name.split()
    parameters = command.make_context(name, words[len(name.split()) :]).params
    assert all(parameters[param.name] is not None for param in command.params if param.required)


@pytest.mark.parametrize(("title", "kind"), [(title, kind) for title, _, kind in configuration_sections()])
def test_every_configuration_key_is_documented(title: str, kind: type[Config]) -> None:
    documented = list(reference.keys(kind))
    assert documented, title
    assert not [key for key, _, meaning in documented if not meaning]


def test_configuration_page_shows_the_defaults_in_force() -> None:
    defaults = {key: default for key, default, _ in reference.keys(TrainConfig)}
    assert defaults["data.split"] == "required"
    assert defaults["optimiser.lr"] == "`0.03`"
    assert (defaults["augmentation.weak.draws"], defaults["augmentation.strong.draws"]) == ("`0`", "`2`")


def test_status_codes_lists_every_code_and_flag() -> None:
    assert first_cells(docs_pages.status_codes()) == {*CODES, *FLAGS}


def test_metrics_fields_explains_every_field() -> None:
    page = docs_pages.metrics_fields()
    assert {"balanced_accuracy", "p_holm", "by_fold"} <= first_cells(page)
    assert not re.findall(r"\|  \|$", page, re.MULTILINE)


def test_write_makes_the_reference_pages_and_removes_old_ones(tmp_path: Path) -> None:
    old = tmp_path / "reference" / "old.md"
    old.parent.mkdir()
    old.write_text("# Old\n")
    written = docs_pages.write(tmp_path)
    assert not old.exists()
    assert {"cli.md", "configuration.md", "status-codes.md", "metrics-fields.md", "index.md"} <= {
        p.name for p in written
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("reference"))
    shutil.copy(ROOT / "mkdocs.yml", folder)
    (folder / "heart2heart").symlink_to(ROOT / "heart2heart")
    docs_pages.write(folder / "docs")
    tool = Path(sys.executable).with_name("zensical")
    done = subprocess.run([tool, "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    # griffe reads the docstrings: it reports arguments that a function no longer has.
    assert "griffe:" not in log, log
    return folder / "site"


def test_the_site_loads_nothing_from_outside(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    outside = re.compile(r"<(?:script|img|iframe|link)[^>]*(?:src|href)=\"?(?:https?:)?//", re.IGNORECASE)
    assert not [page.name for page in pages if outside.search(page.read_text(encoding="utf-8"))]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"url\([\"']?(?:https?:)?//", styles)
    assert not list(site.rglob("*.jsonl"))


def test_the_sites_search_works_from_a_folder_without_a_server(site: Path) -> None:
    path = browser.chromium("the documentation site")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        page = driver.chromium.launch(executable_path=path, args=list(browser.FLAGS)).new_page()
        page.goto((site / "splits.html").as_uri())
        page.click("[data-md-component=search] button")
        page.keyboard.type("spool folder", delay=20)
        page.get_by_text("The spool folder").first.wait_for(timeout=20_000)


def test_paragraphs_are_short() -> None:
    pages = [ROOT / "README.md", *(path for path in DOCS.rglob("*.md") if "reference" not in path.parts)]
    long = [(page.name, text[:80]) for page in pages for text in paragraphs(page.read_text()) if len(text) > 500]
    assert not long


@pytest.mark.parametrize("name", ["mismatch", "mismatch_rules", "mismatch_footwear"])
def test_tables_of_the_mismatch_study_are_on_its_page(name: str) -> None:
    lines = [json.loads(line) for line in (DOCS / "results" / f"{name}.jsonl").read_text().splitlines()]
    page = set((DOCS / "results" / "mismatch.md").read_text(encoding="utf-8").splitlines())
    assert set(mismatch_report.tables(lines).splitlines()) <= page | {""}


def test_tables_of_the_labeling_study_are_on_its_page() -> None:
    lines = [json.loads(line) for line in (DOCS / "results" / "label_budget.jsonl").read_text().splitlines()]
    page = set((DOCS / "results" / "label_budget.md").read_text(encoding="utf-8").splitlines())
    assert set(label_budget_report.tables(lines).splitlines()) <= page | {""}


def _is_overload(node: ast.AST) -> bool:
    """Whether a function is a signature for type checkers alone."""
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in getattr(node, "decorator_list", []))


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
        nodes = [node for node in nodes if not _is_overload(node)]
        bare += [f"{path.name}:{getattr(node, 'name', '')}" for node in nodes if ast.get_docstring(node) is None]
    assert not bare


def test_no_file_is_longer_than_300_lines() -> None:
    folders = ("heart2heart", "pipelines", "benchmarks", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    long = {str(path.relative_to(ROOT)): count for path in files if (count := len(path.read_text().splitlines())) > 300}
    assert not long


def test_links_between_documents_lead_somewhere() -> None:
    # The pages below docs/ are checked by the strict build of the site.
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
    broken = []
    for page in pages:
        targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        local = [target for target in targets if not target.startswith(("http", "mailto:"))]
        broken += [f"{page.name}: {target}" for target in local if not (page.parent / target).exists()]
    assert not broken
