"""Exports image quality, marked frames and notes as tables, or for another tool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heart2heart.errors import ConfigError
from heart2heart.labels.clip_events import current_events
from heart2heart.labels.clip_index import ClipIndex
from heart2heart.labels.cvat_events import write_event_tags
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.label_studio_events import write_annotations
from heart2heart.labels.quality import SECOND_COLUMNS, second_rows
from heart2heart.labels.table_files import write_rows
from heart2heart.schema.enums import ClipEventKind


def export_clip_events(label_store: LabelStore, out: Path, kinds: Sequence[ClipEventKind], form: str) -> int:
    """Write quality, marked frames or notes, and return the number of rows of a table, or else of events.

    Args:
        label_store: The label store.
        out: File to write; an existing file is replaced.
        kinds: Keys of `SECOND_COLUMNS`; a table holds one.
        form: `csv`, `parquet`, `label_studio` or `cvat`.

    Raises:
        ConfigError: a table cannot hold several kinds.
    """
    events = [event for _, event in label_store.clip_events()]
    if form in ("label_studio", "cvat"):
        current = current_events(events, kinds)
        (write_annotations if form == "label_studio" else write_event_tags)(current, out)
        return len(current)
    if len(kinds) != 1:
        raise ConfigError("a table holds one of quality, marks and note", where=out, remedy="Write one table for each")
    rows = second_rows(events, kinds[0])
    write_rows(out, SECOND_COLUMNS[kinds[0]], rows, parquet=form == "parquet")
    return len(rows)


def export_clip_event_reports(
    label_store: LabelStore, out: Path, kinds: Sequence[ClipEventKind], clips: ClipIndex, originals: Path
) -> tuple[int, dict[str, int]]:
    """Write quality, marked frames or notes as DICOM structured reports; see `dicom_clip_events.write_reports`.

    Args:
        label_store: The label store.
        out: Folder to create.
        kinds: Keys of `SECOND_COLUMNS`.
        clips: Index of the clips, with the hospital's key.
        originals: Folder of the files that were ingested.
    """
    from heart2heart.labels.dicom_clip_events import write_reports

    current = current_events([event for _, event in label_store.clip_events()], kinds)
    return write_reports(current, out, clips, originals)
