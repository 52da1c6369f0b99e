"""Gold clips, and what raters record beside the view: image quality, marked frames and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.labels import open_label_store, read_label_file
from heart2heart.api.splits import open_stores
from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.store.frame_tables import FrameTables


@dataclass(frozen=True)
class ClipEventExport:
    """Counts of an export.

    Attributes:
        written: Rows of a table, or events for another tool.
        left_out: Events that structured reports cannot hold, by reason.
    """

    written: int
    left_out: dict[str, int]


@audited(AuditAction.EXPORT_LABELS, beside="labels", reads=["labels"], writes=["out"])
def export_clip_events(
    out: str | Path,
    labels: str | Path | LabelStore,
    what: str | Sequence[str],
    *,
    form: str | None = None,
    store: str | Path | Sequence[str | Path] | FrameTables | None = None,
    dicom: str | Path | None = None,
    key: str | Path | None = None,
) -> ClipEventExport:
    """Write image quality, marked frames or raters' notes, as a table or for another tool.

    Args:
        out: File to write; for `sr` a new folder.
        labels: The label store.
        what: `quality`, `marks` or `note`; several for `label_studio`, `cvat` and `sr`. Notes are a rater's own words
            and may hold identity: read them before they leave the hospital.
        form: `csv`, `parquet`, `label_studio`, `cvat` or `sr`. None detects it from the ending of the name.
            Structured reports (`sr`) carry patients' names and are for the hospital's own archive.
        store: For `sr`: the stores.
        dicom: For `sr`: folder of the original files.
        key: For `sr`: key that the store was ingested with.

    Returns:
        The counts.

    Raises:
        UnknownNameError: there is no such kind or format.
        ConfigError: arguments that do not fit the format.

    Examples:
        >>> from heart2heart.api.second_labels import export_clip_events
        >>> export_clip_events("quality.csv", "labels.db", "quality").written
        0
    """
    from heart2heart.labels.clip_event_exports import export_clip_event_reports, export_clip_events
    from heart2heart.labels.clip_index import ClipIndex
    from heart2heart.labels.quality import SECOND_COLUMNS
    from heart2heart.labels.table_files import export_format
    from heart2heart.schema.enums import ClipEventKind

    names = list(dict.fromkeys([what] if isinstance(what, str) else what))
    for name in names:
        if name not in list(SECOND_COLUMNS):
            raise UnknownNameError.among("kind of label", name, list(SECOND_COLUMNS))
    kinds, target = [ClipEventKind(name) for name in names], Path(out)
    chosen, book = export_format(target, form), open_label_store(labels)
    if chosen == "sr":
        if dicom is None or key is None or not store:
            raise ConfigError("structured reports need the original files", remedy="Give --store, --dicom and --key")
        clips = ClipIndex(open_stores(store), Path(key))
        return ClipEventExport(*export_clip_event_reports(book, target, kinds, clips, Path(dicom)))
    if dicom is not None or key is not None or store:
        raise ConfigError("exports carry pseudonyms only", remedy="Give --store, --dicom and --key with --format sr")
    return ClipEventExport(export_clip_events(book, target, kinds, chosen), {})


@audited(AuditAction.IMPORT_LABELS, beside="labels", reads=["file"], writes=["labels"])
def import_clip_events(
    file: str | Path,
    labels: str | Path | LabelStore,
    store: str | Path | Sequence[str | Path] | FrameTables,
    *,
    form: str | None = None,
    key: str | Path | None = None,
    raters: str | Path | None = None,
    skip_unknown: bool = False,
) -> int:
    """Append image quality, marked frames or notes of a file, all rows or none; return the number of new events.

    Args:
        file: Table, export of another tool, or folder of structured reports, as `export_clip_events` writes them; see
            `read_clip_events`.
        labels: The label store; created if missing.
        store: The stores with the clips.
        form: `csv`, `parquet`, `label_studio`, `cvat` or `sr`. None detects it from the first bytes.
        key: Key that the store was ingested with, for a file that names DICOM identifiers.
        raters: File of raters; rows of others are refused.
        skip_unknown: Leave out rows of clips that are not in the store; otherwise they are an error.

    Raises:
        LabelError: the table is not valid; nothing is written.

    Examples:
        >>> from heart2heart.api.second_labels import export_clip_events, import_clip_events
        >>> export_clip_events("quality.csv", "labels.db", "quality").left_out
        {}
        >>> import_clip_events("quality.csv", "labels.db", "store")
        0
    """
    from heart2heart.annotate.auth import Raters
    from heart2heart.labels.clip_event_tables import read_clip_events
    from heart2heart.labels.clip_index import ClipIndex

    names = None if raters is None else {rater.name for rater in Raters.read(Path(raters)).raters}
    index = ClipIndex(open_stores(store), None if key is None else Path(key))
    events = read_clip_events(Path(file), index, form=form, raters=names, skip_unknown=skip_unknown)
    return open_label_store(labels).append_clip_events(events)


@audited(AuditAction.IMPORT_LABELS, beside="labels", reads=["file"], writes=["labels"])
def freeze_gold(
    labels: str | Path | LabelStore,
    *,
    rater: str,
    file: str | Path | None = None,
    store: str | Path | Sequence[str | Path] | FrameTables | None = None,
    most: int | None = None,
    seed: int = 0,
    end: bool = False,
) -> int:
    """Freeze known labels as gold clips, and return the number of clips that are new, changed or ended.

    Args:
        labels: The label store.
        rater: Who freezes them: the adjudicator.
        file: File of known labels, in any format of `import_labels`. None takes the decisions of adjudicators.
        store: For a file: the stores with the clips.
        most: Largest number of clips, chosen at random. None takes all.
        seed: Seed of that choice.
        end: End that these clips are gold; the readings stay.

    Raises:
        ConfigError: there is no known label, or a file without stores.

    Examples:
        >>> from heart2heart.api.labels import export_labels
        >>> from heart2heart.api.second_labels import freeze_gold
        >>> agreed = export_labels("known.csv", "labels.db", rule="latest")
        >>> freeze_gold("gold.db", rater="Dr. Adjudicator", file="known.csv", store="store", most=5)
        5
    """
    from datetime import UTC, datetime

    from heart2heart.labels.gold import adjudicated_labels, choose_gold, freeze_gold

    label_store = open_label_store(labels)
    if file is None:
        known = adjudicated_labels(label_store.events())
    elif not store:
        raise ConfigError("a file of known labels needs the stores with its clips", remedy="Give --store")
    else:
        read = read_label_file(file, store)
        read.check(skip_unknown=True)
        known = {event.clip: event.value for _, event in read.parsed.events if not event.frame}
    chosen = choose_gold(known, most, seed)
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return freeze_gold(label_store, {clip: "" if end else value for clip, value in chosen.items()}, rater, at)
