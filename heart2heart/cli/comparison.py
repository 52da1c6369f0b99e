"""Verbs that compare methods over several splits: folds, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("folds")(folds)


def folds(
    predictions: Annotated[list[Path], typer.Argument(help="predictions.parquet of each split.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("folds.json"),
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    bca: Annotated[bool, typer.Option("--bca", help="BCa intervals instead of percentile intervals.")] = False,
) -> None:
    """Summarise and compare methods over several splits: folds, or each hospital left out in turn.

    Example: heart2heart folds fold0/predictions.parquet fold1/predictions.parquet --out folds.json
    """
    from heart2heart.api import evaluate_splits
    from heart2heart.cli.output import text_table

    metrics = evaluate_splits(predictions, out, replicates=replicates, seed=seed, bca=bca)
    rows = []
    for method in metrics.methods:
        for site in method.sites:
            value, part = site.balanced_accuracy, "held out" if site.held_out else "source"
            ends = ["" if end is None else round(end, 4) for end in (value.value, value.low, value.high)]
            rows.append((site.site, part, method.method, len(site.by_fold), value.clusters, *ends))
    if metrics.synthetic:
        print("SYNTHETIC data: simulated pictures, not patients")
    head = ("hospital", "part", "method", "splits", f"{metrics.unit}s", "balanced accuracy", "low", "high")
    print(text_table(head, sorted(rows)))
    print(out)


def register_compare(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("compare")(compare)


def compare(
    folds: Annotated[Path, typer.Argument(help="folds.json, as `heart2heart folds` writes it.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("comparison.html"),
) -> None:
    """Write the report that compares several methods across hospitals, with intervals, from folds.json alone.

    Example: heart2heart compare folds.json --out comparison.html
    """
    from heart2heart.api import compare

    page = compare(folds, out)
    if page.synthetic:
        print("SYNTHETIC data: simulated pictures, not patients")
    print(f"{page.summary}\n{page.path}")
