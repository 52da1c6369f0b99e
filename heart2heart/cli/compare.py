"""The verb that compares methods on a page: compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("compare")(compare)


def compare(
    folds: Annotated[Path, typer.Argument(help="folds.json, as `heart2heart folds` writes it.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("comparison.html"),
) -> None:
    """Write the report that compares several methods across hospitals, with intervals, from folds.json alone.

    Example: heart2heart compare folds.json --out comparison.html
    """
    from heart2heart.evaluate import read_folds
    from heart2heart.report import write_comparison
    from heart2heart.report.comparison_words import answer

    metrics = read_folds(folds)
    path = write_comparison(metrics, out)
    if metrics.synthetic:
        print("SYNTHETIC data: simulated pictures, not patients")
    print(f"{answer(metrics)}\n{path}")
