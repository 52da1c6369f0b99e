"""Verbs of labels: import, export, agree, merge, suspects, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heart2heart.cli.data import LabelsOption, StoreOption

if TYPE_CHECKING:
    from heart2heart.labels.agreement import Agreement

labels = typer.Typer(help="Import, export, merge and count view labels, and measure agreement.", no_args_is_help=True)

MapOption = Annotated[
    Path | None, typer.Option("--taxonomy-map", help="YAML {version: {old view: view}} for another taxonomy version.")
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
            "--format", help="csv, parquet, label_studio, view_code or sr. Default: by the file's first bytes."
        ),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key that the store was ingested with.")] = None,
    vocabulary: Annotated[str, typer.Option(help="Whose words for the views the file uses.")] = "heart2heart",
    skip_unknown: Annotated[bool, typer.Option(help="Count labels of clips not in the store, do not refuse.")] = False,
    raters: Annotated[Path | None, typer.Option(help="File of raters; labels of anybody else are refused.")] = None,
    taxonomy_map: MapOption = None,
) -> None:
    """Append labels to the label book, all of a file or none: docs/labels.md lists the forms.

    Example: heart2heart labels import labels.csv --labels labels.db --store store --key store.key
    """
    from heart2heart.annotate.auth import Raters
    from heart2heart.labels.importing import import_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.labels.taxonomy import read_taxonomy_maps
    from heart2heart.store.frame_store import FrameStores

    made = import_labels(
        path, LabelStore(labels), FrameStores.open(store), form=form, vocabulary=vocabulary, key=key,
        skip_unknown=skip_unknown, maps=None if taxonomy_map is None else read_taxonomy_maps(taxonomy_map),
        raters=None if raters is None else {rater.name for rater in Raters.read(raters).raters},
    )  # fmt: skip
    print(
        f"{made.rows} rows: {made.new} new labels, {made.without_view} without a view, "
        f"{made.unknown_clip} of clips not in the store"
    )


@labels.command("export")
def labels_export(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; for sr a new folder.")],
    labels: LabelsOption,
    form: Annotated[
        str | None, typer.Option("--format", help="csv, parquet, label_studio or sr. Default: by the name's end.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Write what this rule makes of the events. Default: all.")] = None,
    store: Annotated[list[Path] | None, typer.Option("--store", help="For sr: frame store; repeatable.")] = None,
    dicom: Annotated[Path | None, typer.Option(help="For sr: folder of the original files.")] = None,
    key: Annotated[Path | None, typer.Option(help="For sr: key that the store was ingested with.")] = None,
) -> None:
    """Write every label event, or with --rule the agreed labels, and a record of how they were made beside them.

    With --format sr: DICOM structured reports for the hospital's own archive. THEY CARRY PATIENTS' NAMES AND UIDS.

    Example: heart2heart labels export labels.csv --labels labels.db --rule adjudicated
    """
    from heart2heart.errors import ConfigError
    from heart2heart.labels.exporting import export_events, export_labels, export_reports
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.store.frame_store import FrameStores

    book = LabelStore(labels)
    if form == "sr":
        if rule is None or dicom is None or key is None or not store:
            remedy = "Give --rule, --store, --dicom and --key"
            raise ConfigError("structured reports carry agreed labels to the hospital's own files", remedy=remedy)
        made = export_reports(book, out, rule, stores=FrameStores.open(store), originals=dicom, key=key)
    elif dicom is not None or key is not None or store:
        raise ConfigError("exports carry pseudonyms only", remedy="Give --store, --dicom and --key with --format sr")
    elif rule is None:
        made = export_events(book, out, form=form)
    else:
        made = export_labels(book, out, rule, form=form)
    what = "label events" if rule is None else f"labels by rule {rule}"
    left_out = "".join(f", {count} left out ({why})" for why, count in made.left_out.items())
    undecided = "" if rule is None else f", {made.undecided} undecided"
    print(f"{made.written} {what} written to {out}{undecided}{left_out}")


@labels.command("show")
def labels_show(labels: LabelsOption, store: StoreOption, rule: str = "latest") -> None:
    """Count labeled patients, clips and frames by hospital and view.

    Example: heart2heart labels show --labels labels.db --store store
    """
    from heart2heart.cli.output import text_table
    from heart2heart.labels.consensus import count_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.store.frame_store import FrameStores

    counts = count_labels(LabelStore(labels).events(), FrameStores.open(store), rule)
    print(text_table(("hospital", "view", "patients", "clips", "frames"), counts))


@labels.command("agree")
def labels_agree(
    labels: LabelsOption,
    store: StoreOption,
    unsure: Annotated[str, typer.Option(help="Count `unsure` as missing, or as a word like a view.")] = "missing",
    unusable: Annotated[str, typer.Option(help="Count `unusable` as missing, or as a word like a view.")] = "word",
    replicates: Annotated[int, typer.Option(min=100, help="Resamples of patients.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    by_view: Annotated[bool, typer.Option("--by-view", help="Print each view as well.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write all measures here (CSV or Parquet).")] = None,
) -> None:
    """Measure how far raters agree beyond chance, with 95 % intervals over patients.

    Example: heart2heart labels agree --labels labels.db --store store
    """
    from dataclasses import astuple, fields

    from heart2heart.cli.output import text_table
    from heart2heart.labels.agreement import (
        ALL_VIEWS,
        FEW_PATIENTS,
        Agreement,
        ReadingMatrix,
        measure_agreement,
        unit_locations,
    )
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.labels.table_files import write_rows
    from heart2heart.store.frame_store import FrameStores

    said = ReadingMatrix.from_events(LabelStore(labels).events(), unsure=unsure, unusable=unusable)
    found = measure_agreement(said, unit_locations(FrameStores.open(store)), replicates=replicates, seed=seed)
    shown = [one for one in found if by_view or one.view == ALL_VIEWS]
    header = ("measure", "hospital", "view", "raters", "clips", "patients", "value", "95 % interval", "note")
    print(text_table(header, [_agreement_row(one) for one in shown]))
    print(f"unsure: {unsure}, unusable: {unusable}")
    if any(one.low is not None and one.patients < FEW_PATIENTS for one in shown):
        print(f"* fewer than {FEW_PATIENTS} patients: the interval is probably too narrow")
    if out is not None:
        rows = ([", ".join(cell) if isinstance(cell, tuple) else cell for cell in astuple(one)] for one in found)
        write_rows(out, [field.name for field in fields(Agreement)], rows, parquet=out.suffix == ".parquet")


def _agreement_row(one: Agreement) -> tuple[object, ...]:
    from heart2heart.labels.agreement import FEW_PATIENTS

    mark = "*" if one.patients < FEW_PATIENTS else ""
    interval = "" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}{mark}"
    value = "" if one.value is None else f"{one.value:.3f}"
    return (one.measure, one.site, one.view, ", ".join(one.raters), one.units, one.patients, value, interval, one.note)


@labels.command("merge")
def labels_merge(
    out: Annotated[Path, typer.Argument(help="Label book to make.")],
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Label books, or exports of their events.")],
    taxonomy_map: MapOption = None,
) -> None:
    """Join label books, or exports of their events, into a new book: nothing is lost, nothing is there twice.

    Example: heart2heart labels merge all.db site_a.db site_b.csv
    """
    from heart2heart.labels.merging import merge_files
    from heart2heart.labels.taxonomy import read_taxonomy_maps

    made = merge_files(parts, out, maps=None if taxonomy_map is None else read_taxonomy_maps(taxonomy_map))
    print(
        f"{len(made.events)} events in {out}; {made.shared} of them in more than one part, "
        f"{made.differing} told with different details"
    )


@labels.command("suspects")
def labels_suspects(
    out: Annotated[Path, typer.Argument(help="Queue to write (CSV or Parquet), for curate --queue.")],
    predictions: Annotated[list[Path], typer.Argument(metavar="PREDICTIONS...", help="predictions.parquet of splits.")],
    labels: LabelsOption,
    rule: Annotated[str, typer.Option(help="How a clip's events become one label.")] = "latest",
    most: Annotated[int | None, typer.Option(min=1, help="Write no more than the first so many.")] = None,
    judge: Annotated[
        str, typer.Option(help="confident_learning, or cleanlab: an extra of its own, under AGPL-3.0.")
    ] = "confident_learning",
) -> None:
    """Rank labels that a model contradicts on clips it did not train on, and queue them for another reading.

    Example: heart2heart labels suspects queue.csv evaluation/predictions.parquet --labels labels.db
    """
    from heart2heart.labels.label_errors import find_label_errors, write_review_queue
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.schema.predictions import Predictions

    events = LabelStore(labels).events()
    found = find_label_errors([Predictions.read(path) for path in predictions], events, rule, judge)
    written = write_review_queue(found.issues[:most], out)
    print(
        f"{found.clips} labeled clips judged, about {found.expected_errors:.0f} wrong labels expected, "
        f"{len(found.issues)} suspect; {written} queued in {out}"
    )
    for why, count in found.excluded.items():
        print(f"{count} clips left out: {why}")
