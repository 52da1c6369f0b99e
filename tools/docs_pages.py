"""Writes the reference pages that are made from the code: `python -m tools.docs_pages`, or `make docs`.

The pages go to `docs/reference/`, which git ignores: command line, configuration, status codes, fields of the metrics
files, and one page of Python API for each package.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from heart2heart.cli import reference
from heart2heart.schema.decision import DecisionRecord
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.metrics_files import FoldMetrics
from heart2heart.schema.status import CODES, FLAGS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "heart2heart"

_STATUS = """# Status codes

Every file that `heart2heart ingest` or `heart2heart source` finds ends with exactly one code in the store's ledger.

| code begins with | meaning |
|---|---|
| "accepted" | The frames of the file are in the store. |
| "excluded:" | The file was left out on purpose. |
| "failed:" | The file was wanted but could not be read. |

`heart2heart store ledger STORE` counts the codes. With `--find FOLDER --code CODE` it prints the files behind a code.

You can repeat an ingest at any time. Finished files are not read again, except files whose code is worth another try:
`failed:changed`, `failed:crashed`, `failed:internal`, `failed:memory`, `failed:missing`, `failed:no_decoder`,
`failed:timeout`, `failed:unreadable`.
"""

_METRICS = """# Fields of metrics.json, folds.json and decision.json

Made from the code at each build. [Metrics](../metrics.md) explains the rules behind the numbers.

- `heart2heart evaluate` writes `metrics.json` from `predictions.parquet`.
  `heart2heart.evaluation.read_metrics` reads it.
- `heart2heart folds` writes `folds.json` from the predictions of several splits.
  `heart2heart.evaluation.read_folds` reads it.
- `heart2heart report --accept` writes `decision.json`. `heart2heart.schema.decision.read_decision` reads it.
"""


def status_codes() -> str:
    """Return the page of the status codes of files and the flags of clips."""
    codes = [(f"`{code.code}`", code.meaning, code.remedy) for code in CODES.values()]
    flags = [(f"`{flag}`", meaning) for flag, meaning in FLAGS.items()]
    return "\n".join(
        [
            _STATUS,
            "## Codes\n",
            *_table(("code", "meaning", "remedy"), codes),
            "\n## Flags\n",
            "An accepted clip may carry flags, in the column `flags` of the table `clips`.\n",
            *_table(("flag", "meaning"), flags),
            "",
        ]
    )


def metrics_fields() -> str:
    """Return the page of every field of the metrics files and the decision, each nested model after its parent."""
    models: dict[type[BaseModel], None] = {}
    for root in (Metrics, FoldMetrics, DecisionRecord):
        _collect(root, models)
    parts = [_METRICS]
    for model in models:
        rows = [
            (f"`{name}`", _type(field.annotation), " ".join((field.description or "").split()))
            for name, field in model.model_fields.items()
        ]
        summary = " ".join((model.__doc__ or "").split())
        parts.append(
            "\n".join([f"## {model.__name__}\n", f"{summary}\n", *_table(("field", "type", "meaning"), rows)]) + "\n"
        )
    return "\n".join(parts)


def api_pages() -> Iterator[tuple[str, str]]:
    """Yield file name and text of the API pages: the front door, then one page for each package with its modules."""
    packages = sorted(path.parent for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "cli")
    rows = [(f"[`{PACKAGE.name}.{path.name}`]({path.name}.md)", _docstring(path / "__init__.py")) for path in packages]
    front = ["# Python API", f"::: {PACKAGE.name}", "## Packages", "\n".join(_table(("package", "purpose"), rows)), ""]
    yield "index.md", "\n\n".join(front)
    for package in packages:
        parts = [f"# {PACKAGE.name}.{package.name}", _docstring(package / "__init__.py")]
        for path in sorted(package.rglob("*.py")):
            if not path.name.startswith("_"):
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                parts += [f"## {module}", f"::: {module}\n    options:\n      heading_level: 3"]
        yield f"{package.name}.md", "\n\n".join(parts) + "\n"


def write(docs: Path) -> list[Path]:
    """Write every generated page below `docs/reference` and return their paths."""
    pages = {
        "cli.md": reference.render_commands(),
        "configuration.md": reference.render_configuration(),
        "status-codes.md": status_codes(),
        "metrics-fields.md": metrics_fields(),
        **{f"api/{name}": text for name, text in api_pages()},
    }
    folder = docs / "reference"
    for old in folder.rglob("*.md"):
        old.unlink()
    written = []
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _docstring(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n", 1)[0].replace("\n", " ")


def _collect(model: type[BaseModel], models: dict[type[BaseModel], None]) -> None:
    if model in models:
        return
    models[model] = None
    for field in model.model_fields.values():
        pending: list[object] = [field.annotation]
        while pending:
            part = pending.pop(0)
            pending += get_args(part)
            if isinstance(part, type) and issubclass(part, BaseModel):
                _collect(part, models)


def _type(annotation: object) -> str:
    if annotation is type(None):
        return "null"
    if isinstance(annotation, str):
        return f"`{annotation}`"  # a value of a Literal
    inner = get_args(annotation)
    if isinstance(annotation, type) and not inner:
        is_model = issubclass(annotation, BaseModel)
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})" if is_model else annotation.__name__
    parts = [_type(part) for part in inner if part is not Ellipsis]
    origin = getattr(annotation, "__origin__", None)
    if origin is dict:
        return f"{parts[1]} by name"
    if origin is tuple:
        return f"list of {parts[0]}"
    return " or ".join(parts)


if __name__ == "__main__":
    print(f"{len(write(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / 'docs'))} pages written")
