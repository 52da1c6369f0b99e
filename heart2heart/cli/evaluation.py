"""Verbs of evaluation and reporting: evaluate, report, folds, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import StoreOption

MarginOption = Annotated[
    Path | None, typer.Option(help="Largest acceptable loss, registered before with `heart2heart plan --register`.")
]

NoPicturesOption = Annotated[
    bool, typer.Option("--no-pictures", help="Predictions without pictures; the report then shows none.")
]

NoPseudonymsOption = Annotated[
    bool,
    typer.Option("--no-pseudonyms", help="Codes in place of the names of patients, studies, clips and frames."),
]

ReleaseOption = Annotated[
    str | None,
    typer.Option(metavar="counts", help="Write only counts_HOSPITAL.json: sums over five patients or more, no rows."),
]


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    for verb in (evaluate, report, folds, compare):
        app.command(verb.__name__)(verb)


def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, all of one split.")],
    store: StoreOption,
    out: Annotated[Path, typer.Option(help="Folder for predictions.parquet and metrics.json.")],
    split: Annotated[Path | None, typer.Option(help="The runs' split, if it has moved.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label store, for the raters and their agreement.")] = None,
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    bca: Annotated[bool, typer.Option("--bca", help="BCa intervals instead of percentile intervals.")] = False,
    probes: Annotated[
        bool, typer.Option("--probes", help="Predict altered frames too: the scan blacked out, backgrounds swapped.")
    ] = False,
    stress: Annotated[
        str, typer.Option(metavar="all|KIND,...", help="Predict acoustically perturbed frames too, of these kinds.")
    ] = "",
    stress_levels: Annotated[str, typer.Option(help="Levels of --stress, above 0 and at most 1.")] = "0.25,0.5,0.75,1",
    margin: MarginOption = None,
    saliency: Annotated[
        bool, typer.Option("--saliency", help="Compute what the last method looked at in the sample frames.")
    ] = False,
    no_pictures: NoPicturesOption = False,
    no_pseudonyms: NoPseudonymsOption = False,
    release: ReleaseOption = None,
) -> None:
    """Predict every labeled test frame, and score each hospital with intervals over patients.

    Example: heart2heart evaluate runs/labels_only runs/fixmatch --store store --out evaluation
    """
    from heart2heart.api.evaluation import evaluate, parse_stress, summary_table
    from heart2heart.progress import progress_bar

    kinds, levels = parse_stress(stress, stress_levels)

    with progress_bar("evaluate", 100) as progress:
        metrics = evaluate(
            runs, store, out, split=split, labels=labels, replicates=replicates, seed=seed, bca=bca, probes=probes,
            stress=kinds, stress_levels=levels, margin=margin, saliency=saliency, pictures=not no_pictures,
            pseudonyms=not no_pseudonyms, release=release, progress=progress,
        )  # fmt: skip
    print(summary_table(metrics))
    if release:
        print("\n".join(map(str, sorted(out.glob("counts_*.json")))))
        return
    print(f"{out / 'predictions.parquet'}\n{out / 'metrics.json'}")


def report(
    predictions: Annotated[
        Path | None, typer.Argument(help="predictions.parquet of an evaluation or a validation.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="HTML file to write; the model card and the checklists are written beside it.")
    ] = Path("report.html"),
    folds: Annotated[Path | None, typer.Option(help="folds.json of several splits, shown as well.")] = None,
    margin: MarginOption = None,
    accept: Annotated[
        Path | None, typer.Option(help="Criteria: decide by them whether the model may be used at each hospital.")
    ] = None,
    study: Annotated[
        Path | None, typer.Option("--about", help="Description of the study, which completes the checklists.")
    ] = None,
    criteria_template: Annotated[
        Path | None, typer.Option(help="Write criteria to fill in, as YAML, and stop.")
    ] = None,
    study_template: Annotated[
        Path | None,
        typer.Option("--about-template", help="Write a description of a study to fill in, as YAML, and stop."),
    ] = None,
    register_criteria: Annotated[
        Path | None, typer.Option(help="Append time and hash to these criteria before the model is tested, and stop.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Label store: compare its readers with each other and with the model.")
    ] = None,
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    bca: Annotated[bool, typer.Option("--bca", help="BCa intervals instead of percentile intervals.")] = False,
) -> None:
    """Write the cross-hospital report; every number is recomputed from the predictions.

    With criteria, the report begins with the decision whether the model may be used at each hospital.

    Example: heart2heart report evaluation/predictions.parquet --out report.html
    """
    from heart2heart.api import decision
    from heart2heart.api.reporting import report
    from heart2heart.errors import ConfigError

    if criteria_template is not None:
        print(decision.write_criteria_template(criteria_template))
        return
    if study_template is not None:
        print(decision.write_study_template(study_template))
        return
    if register_criteria is not None:
        registered = decision.register_criteria(register_criteria)
        print(f"{register_criteria}: registered, {registered.content_sha256()}")
        return
    if predictions is None:
        remedy = "Name predictions.parquet; templates are written with --criteria-template and --about-template"
        raise ConfigError("no predictions to report", remedy=remedy)
    page = report(
        predictions, out, folds=folds, margin=margin, accept=accept, study=study, labels=labels,
        replicates=replicates, seed=seed, bca=bca,
    )  # fmt: skip
    print(f"{page.table}\n{page.path}")
    if page.decision:
        print(f"{page.decisions}\n{out.with_name('decision.json')}\n{out.with_name('decision.pdf')}")


def folds(
    predictions: Annotated[list[Path], typer.Argument(help="predictions.parquet of each split.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("folds.json"),
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    bca: Annotated[bool, typer.Option("--bca", help="BCa intervals instead of percentile intervals.")] = False,
    margin: MarginOption = None,
) -> None:
    """Summarise and compare methods over several splits: folds, or each hospital left out in turn.

    Example: heart2heart folds fold0/predictions.parquet fold1/predictions.parquet --out folds.json
    """
    from heart2heart.api import evaluate_splits
    from heart2heart.cli.output import text_table

    metrics = evaluate_splits(predictions, out, replicates=replicates, seed=seed, bca=bca, margin=margin)
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


def compare(
    folds: Annotated[Path, typer.Argument(help="folds.json, written by `heart2heart folds`.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("comparison.html"),
) -> None:
    """Write the report that compares several methods across hospitals, with intervals, from folds.json.

    Example: heart2heart compare folds.json --out comparison.html
    """
    from heart2heart.api import compare

    page = compare(folds, out)
    if page.synthetic:
        print("SYNTHETIC data: simulated pictures, not patients")
    print(f"{page.summary}\n{page.path}")
