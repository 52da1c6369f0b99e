"""Verbs of labels: import, export, agree, merge, suspects, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import LabelsOption, StoreOption

labels = typer.Typer(help="Import, export, merge and count view labels, and measure agreement.", no_args_is_help=True)

MapOption = Annotated[
    Path | None, typer.Option("--taxonomy-map", help="YAML {version: {old view: view}} for another taxonomy version.")
]


ViewsOption = Annotated[
    str | None,
    typer.Option("--views", help="Taxonomy that the labels adopt: basic, usual or a YAML file; see labels views."),
]


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.add_typer(labels, name="labels")


@labels.command("import")
def labels_import(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Table, export, or folder of DICOM files.")],
    labels: LabelsOption,
    store: StoreOption,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, parquet, label_studio, cvat, view_code or sr. Default: by the file's first bytes."
        ),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key that the store was ingested with.")] = None,
    vocabulary: Annotated[
        str, typer.Option(help="Vocabulary of the views in the file. `usual` knows common words in five languages.")
    ] = "usual",
    words: Annotated[
        Path | None, typer.Option(help="Your own map of words: CSV of word and view; goes before the vocabulary.")
    ] = None,
    archive: Annotated[
        list[Path] | None, typer.Option(help="Folder that paths in the file are relative to; repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what every word becomes, and write nothing.")
    ] = False,
    skip_unknown: Annotated[
        bool, typer.Option(help="Skip and count labels of clips that are not in the store.")
    ] = False,
    raters: Annotated[Path | None, typer.Option(help="File of raters; labels of others are refused.")] = None,
    taxonomy_map: MapOption = None,
    views: ViewsOption = None,
) -> None:
    """Append the labels of a file to the label store, all or none; docs/labels.md lists the formats.

    A table of the words and of the views that they become comes first.

    Example: heart2heart labels import labels.csv --labels labels.db --store store --key store.key --dry-run
    """
    from heart2heart.api.labels import import_labels, read_label_file
    from heart2heart.api.views import views_of
    from heart2heart.cli.output import text_table

    read = read_label_file(
        path, store, form=form, key=key, vocabulary=vocabulary, words=words, archive=archive or (),
        views=views_of(labels, views),
    )  # fmt: skip
    if read.word_uses:
        shown = [
            (use.label, "UNKNOWN" if use.view is None else use.view or "no view", use.rows) for use in read.word_uses
        ]
        print(text_table(("word in the file", "becomes", "rows"), shown))
    if dry_run:
        for reason, rows in read.unknown_clips.items():
            print(f"{rows} labels of {reason}")
        print(f"{read.parsed.rows} rows, {len(read.parsed.events)} labels ready; dry run, nothing was written")
        return
    summary = import_labels(
        read, labels, store, skip_unknown=skip_unknown, raters=raters, taxonomy_map=taxonomy_map, views=views
    )
    print(
        f"{summary.rows} rows: {summary.new} new labels, {summary.without_view} without a view, "
        f"{summary.unknown_clip} of clips not in the store"
    )


@labels.command("export")
def labels_export(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; for sr a new folder.")],
    labels: LabelsOption,
    form: Annotated[
        str | None, typer.Option("--format", help="csv, parquet, label_studio, cvat or sr. Default: by the name's end.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Write the labels by this rule. Default: every event.")] = None,
    store: Annotated[list[Path] | None, typer.Option("--store", help="For sr: frame store; repeatable.")] = None,
    dicom: Annotated[Path | None, typer.Option(help="For sr: folder of the original files.")] = None,
    key: Annotated[Path | None, typer.Option(help="For sr: key that the store was ingested with.")] = None,
) -> None:
    """Write every label event, or with --rule the agreed labels, and a record of how they were made.

    With --format sr: DICOM structured reports for the hospital's own archive. THEY CARRY PATIENTS' NAMES AND UIDS.

    Example: heart2heart labels export labels.csv --labels labels.db --rule adjudicated
    """
    from heart2heart.api.labels import export_labels

    record = export_labels(out, labels, form=form, rule=rule, store=store, dicom=dicom, key=key)
    what = "label events" if rule is None else f"labels by rule {rule}"
    left_out = "".join(f", {count} left out ({why})" for why, count in record.left_out.items())
    undecided = "" if rule is None else f", {record.undecided} undecided"
    print(f"{record.written} {what} written to {out}{undecided}{left_out}")


@labels.command("export-more")
def labels_export_more(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; for sr a new folder.")],
    labels: LabelsOption,
    what: Annotated[list[str] | None, typer.Option(help="quality (default), marks or note; repeatable.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="csv, parquet, label_studio, cvat or sr. Default: by the ending.")
    ] = None,
    store: Annotated[list[Path] | None, typer.Option("--store", help="For sr: frame store; repeatable.")] = None,
    dicom: Annotated[Path | None, typer.Option(help="For sr: folder of the original files.")] = None,
    key: Annotated[Path | None, typer.Option(help="For sr: key that the store was ingested with.")] = None,
) -> None:
    """Write what raters recorded beside the view: image quality, marked frames, or notes.

    NOTES ARE FREE TEXT AND MAY HOLD IDENTITY: read them before they leave the hospital. Structured reports (sr) carry
    patients' names.

    Example: heart2heart labels export-more quality.csv --labels labels.db
    """
    from heart2heart.api.second_labels import export_clip_events

    export = export_clip_events(out, labels, what or ["quality"], form=form, store=store, dicom=dicom, key=key)
    left_out = "".join(f"; {count} left out: {reason}" for reason, count in export.left_out.items())
    print(f"{export.written} rows written to {out}{left_out}")


@labels.command("import-more")
def labels_import_more(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File or folder, as export-more writes it.")],
    labels: LabelsOption,
    store: StoreOption,
    form: Annotated[
        str | None, typer.Option("--format", help="csv, parquet, label_studio, cvat or sr. Default: by the content.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key that the store was ingested with.")] = None,
    raters: Annotated[Path | None, typer.Option(help="File of raters; rows of others are refused.")] = None,
    skip_unknown: Annotated[bool, typer.Option(help="Skip rows of clips that are not in the store.")] = False,
) -> None:
    """Append image quality, marked frames of ED and ES, or notes of a file, all rows or none.

    Example: heart2heart labels import-more quality.csv --labels labels.db --store store
    """
    from heart2heart.api.second_labels import import_clip_events

    written = import_clip_events(path, labels, store, form=form, key=key, raters=raters, skip_unknown=skip_unknown)
    print(f"{written} new events from {path}")


@labels.command("gold")
def labels_gold(
    labels: LabelsOption,
    rater: Annotated[str, typer.Option(help="Your name, as the label store records it.")],
    file: Annotated[
        Path | None, typer.Option(help="File of known labels. Default: the decisions of adjudicators.")
    ] = None,
    store: Annotated[list[Path] | None, typer.Option("--store", help="For --file: frame store; repeatable.")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Largest number of clips, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    end: Annotated[bool, typer.Option("--end", help="These clips are gold no longer; readings stay.")] = False,
) -> None:
    """Freeze known labels as gold clips, which `curate --gold` mixes among the clips of each rater, unmarked.

    Example: heart2heart labels gold --labels labels.db --rater "Dr. Adjudicator"
    """
    from heart2heart.api.second_labels import freeze_gold

    count = freeze_gold(labels, rater=rater, file=file, store=store, most=most, seed=seed, end=end)
    print(f"{count} clips {'are gold no longer' if end else 'newly frozen as gold'}")


@labels.command("show")
def labels_show(labels: LabelsOption, store: StoreOption, rule: str = "latest") -> None:
    """Count labeled patients, clips and frames by hospital and view.

    Example: heart2heart labels show --labels labels.db --store store
    """
    from heart2heart.api.labels import count_labels
    from heart2heart.cli.output import text_table

    counts = count_labels(labels, store, rule=rule)
    print(text_table(("hospital", "view", "patients", "clips", "frames"), counts))


@labels.command("views")
def labels_views(
    labels: Annotated[Path | None, typer.Option("--labels", help="Label store (SQLite).")] = None,
    views: Annotated[
        str | None, typer.Option("--views", help="Taxonomy to show, or to adopt: basic, usual or a YAML file.")
    ] = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Let the label store adopt the taxonomy of --views.")] = False,
    rule: Annotated[str, typer.Option(help="How a clip's events become one label.")] = "latest",
) -> None:
    """Show a taxonomy of views as a tree, with the labels of each view; let a label store adopt one.

    Example: heart2heart labels views --labels labels.db --views usual --adopt
    """
    from heart2heart.api.views import adopt_views, show_views
    from heart2heart.cli.output import text_table

    if adopt:
        adopt_views(labels, views)
    shown = show_views(labels, views, rule=rule)
    rows = [("  " * row.depth + row.name, row.title, row.key, row.labels, row.with_finer) for row in shown.rows]
    print(f"{shown.taxonomy.name}: {len(rows)} views, hash {shown.taxonomy.digest()[:16]}")
    print(text_table(("view", "title", "key", "labels", "with finer ones"), rows))


@labels.command("agree")
def labels_agree(
    labels: LabelsOption,
    store: StoreOption,
    unsure: Annotated[str, typer.Option(help="Count `unsure` as missing, or as a word like a view.")] = "missing",
    unusable: Annotated[str, typer.Option(help="Count `unusable` as missing, or as a word like a view.")] = "word",
    replicates: Annotated[int, typer.Option(min=100, help="Resamples of patients.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the resamples.")] = 0,
    by_view: Annotated[bool, typer.Option("--by-view", help="Print each view as well.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write all measures here (CSV or Parquet).")] = None,
) -> None:
    """Measure how far raters agree beyond chance, with 95 % intervals over patients.

    Example: heart2heart labels agree --labels labels.db --store store
    """
    from heart2heart.api.label_quality import measure_agreement
    from heart2heart.cli.output import text_table

    agreement = measure_agreement(
        labels, store, unsure=unsure, unusable=unusable, replicates=replicates, seed=seed, by_view=by_view, out=out
    )
    header = ("measure", "hospital", "view", "raters", "clips", "patients", "value", "95 % interval", "note")
    print(text_table(header, agreement.rows))
    print(f"unsure: {unsure}, unusable: {unusable}")
    if agreement.has_few:
        print(f"* fewer than {agreement.few_patients} patients: the interval is probably too narrow")


@labels.command("merge")
def labels_merge(
    out: Annotated[Path, typer.Argument(help="Label store to create.")],
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Label stores, or exports of their events.")],
    taxonomy_map: MapOption = None,
) -> None:
    """Merge label stores, or exports of their events, into a new label store; each event is kept once.

    Example: heart2heart labels merge all.db site_a.db site_b.csv
    """
    from heart2heart.api.labels import merge_labels

    merged = merge_labels(parts, out, taxonomy_map=taxonomy_map)
    print(
        f"{len(merged.events)} events in {out}; {merged.shared} of them in more than one part, "
        f"{merged.differing} with different details"
    )


@labels.command("suspects")
def labels_suspects(
    out: Annotated[Path, typer.Argument(help="Queue to write (CSV or Parquet), for curate --queue.")],
    predictions: Annotated[list[Path], typer.Argument(metavar="PREDICTIONS...", help="predictions.parquet of splits.")],
    labels: LabelsOption,
    rule: Annotated[str, typer.Option(help="How a clip's events become one label.")] = "latest",
    most: Annotated[int | None, typer.Option(min=1, help="Largest number of clips to write.")] = None,
    judge: Annotated[
        str, typer.Option(help="confident_learning, or cleanlab (needs its own extra, under AGPL-3.0).")
    ] = "confident_learning",
) -> None:
    """Rank labels that a model contradicts on clips it did not train on, and queue them for another reading.

    Example: heart2heart labels suspects queue.csv evaluation/predictions.parquet --labels labels.db
    """
    from heart2heart.api.label_quality import label_errors

    errors, written = label_errors(out, predictions, labels, rule=rule, most=most, judge=judge)
    print(
        f"{errors.clips} labeled clips judged, about {errors.expected_errors:.0f} wrong labels expected, "
        f"{len(errors.issues)} suspect; {written} queued in {out}"
    )
    for reason, count in errors.excluded.items():
        print(f"{count} clips left out: {reason}")
