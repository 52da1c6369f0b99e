"""Gold clips, and what raters record beside the view: image quality, marked frames and notes."""

from __future__ import annotations

from collections.abc import Sequence
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


@audited(AuditAction.EXPORT_LABELS, beside="labels", reads=["labels"], writes=["out"])
def export_clip_events(out: str | Path, labels: str | Path | LabelStore, what: str) -> int:
    """Write image quality, marked frames or raters' notes as a table, and return the number of rows.

    Args:
        out: File to write, `.csv` or `.parquet`.
        labels: The label store.
        what: `quality`, `marks` or `note`. Notes are a rater's own words and may hold identity: read them before they
            leave the hospital.

    Raises:
        UnknownNameError: there is no such table.

    Examples:
        >>> from heart2heart.api.second_labels import export_clip_events
        >>> export_clip_events("quality.csv", "labels.db", "quality")
        0
    """
    from heart2heart.labels.quality import SECOND_COLUMNS, export_clip_events
    from heart2heart.schema.enums import ClipEventKind

    if what not in list(SECOND_COLUMNS):
        raise UnknownNameError.among("table", what, list(SECOND_COLUMNS))
    return export_clip_events(open_label_store(labels), Path(out), ClipEventKind(what))


@audited(AuditAction.IMPORT_LABELS, beside="labels", reads=["file"], writes=["labels"])
def import_clip_events(
    file: str | Path,
    labels: str | Path | LabelStore,
    store: str | Path | Sequence[str | Path] | FrameTables,
    *,
    key: str | Path | None = None,
    raters: str | Path | None = None,
    skip_unknown: bool = False,
) -> int:
    """Append a table of image quality, marked frames or notes, all rows or none; return the number of new events.

    Args:
        file: CSV or Parquet table, as `export_clip_events` writes it; see `read_clip_events`.
        labels: The label store; created if missing.
        store: The stores with the clips.
        key: Key that the store was ingested with, for a table that names DICOM identifiers.
        raters: File of raters; rows of others are refused.
        skip_unknown: Leave out rows of clips that are not in the store; otherwise they are an error.

    Raises:
        LabelError: the table is not valid; nothing is written.

    Examples:
        >>> from heart2heart.api.second_labels import export_clip_events, import_clip_events
        >>> export_clip_events("quality.csv", "labels.db", "quality")
        0
        >>> import_clip_events("quality.csv", "labels.db", "store")
        0
    """
    from heart2heart.annotate.auth import Raters
    from heart2heart.labels.clip_event_tables import read_clip_events
    from heart2heart.labels.clip_index import ClipIndex

    names = None if raters is None else {rater.name for rater in Raters.read(Path(raters)).raters}
    index = ClipIndex(open_stores(store), None if key is None else Path(key))
    events = read_clip_events(Path(file), index, raters=names, skip_unknown=skip_unknown)
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
