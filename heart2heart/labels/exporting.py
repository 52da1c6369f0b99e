"""Export the label book: every event as it was said, or the labels that a rule makes of them.

What leaves names clips by pseudonym. Only structured reports carry identity: they are for the hospital's own archive,
and need its key and its original files.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from pydicom import Dataset

from heart2heart.dicom.header_values import text
from heart2heart.errors import ConfigError, ExistsError, LabelError, UnknownNameError
from heart2heart.labels.consensus import consensus_labels, readings_by_target
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.export_record import ExportRecord, make_export_record
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.label_studio import write_tasks
from heart2heart.labels.parsed_labels import ClipIndex
from heart2heart.labels.table_files import write_events, write_rows
from heart2heart.schema.views import TAXONOMY_VERSION, VIEWS
from heart2heart.store.frame_store import Frames

EXPORT_FORMATS = ("csv", "parquet", "label_studio", "sr")
LABEL_COLUMNS = ("clip", "frame", "view", "rater", "readings", "agreeing", "taxonomy")
"""Of a table of labels; `rater` is `consensus:RULE`, `agreeing` of the `readings` say the same."""

_REQUIRED_ATTRIBUTES = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".json": "label_studio"}


def _export_format(out: Path, form: str | None) -> str:
    found = form or _SUFFIXES.get(out.suffix)
    if found is None:
        raise ConfigError("the name does not say which format is meant", where=out, remedy="Give --format")
    if found not in EXPORT_FORMATS:
        raise UnknownNameError.among("format of labels", found, list(EXPORT_FORMATS))
    return found


def export_events(book: LabelStore, out: Path, *, form: str | None = None) -> ExportRecord:
    """Write all events in the order in which they were recorded, and a record beside them.

    Args:
        book: The label book.
        out: File to write; an older one is replaced.
        form: `csv`, `parquet` or `label_studio`; None goes by the name's end. Label Studio takes what stands: an event
            that was taken back is left out.
    """
    chosen = _export_format(out, form)
    if chosen == "sr":
        raise ConfigError("structured reports carry agreed labels, not events", remedy="Give --rule")
    events = book.events()
    if chosen == "label_studio":
        written = write_tasks(events, out)
    else:
        write_events(events, out, parquet=chosen == "parquet")
        written = len(events)
    left_out = {"taken back, or the taking back": len(events) - written} if written < len(events) else {}
    made = make_export_record(events, chosen, written=written, left_out=left_out)
    made.write(out)
    return made


def export_labels(book: LabelStore, out: Path, rule: str, *, form: str | None = None) -> ExportRecord:
    """Write what a rule makes of the events, a row a clip or frame, and a record beside it.

    Args:
        book: The label book.
        out: File to write; an older one is replaced.
        rule: A name of `consensus.RULES`.
        form: `csv`, `parquet` or `label_studio`; None goes by the name's end.
    """
    chosen = _export_format(out, form)
    if chosen == "sr":
        raise ConfigError("structured reports need the original files", remedy="Give --dicom, --key and --store")
    events = book.events()
    agreed = consensus_labels(events, rule)
    labels = _as_events(events, agreed, rule)
    if chosen == "label_studio":
        write_tasks(labels, out)
    else:
        said = readings_by_target(events)
        rows = []
        for label in labels:
            words = list(said[label.target].readings.values())
            rows.append((label.clip, label.frame, label.value, label.rater, len(words), words.count(label.value),
                         label.taxonomy))  # fmt: skip
        write_rows(out, LABEL_COLUMNS, rows, parquet=chosen == "parquet")
    made = make_export_record(events, chosen, written=len(labels), rule=rule, agreed=agreed)
    made.write(out)
    return made


def _as_events(events: Sequence[LabelEvent], agreed: dict[str, str], rule: str) -> list[LabelEvent]:
    place = {event.target: (event.clip, event.frame) for event in events}
    found = []
    for target, word in sorted(agreed.items()):
        view, answer = (word, "view") if word in VIEWS else ("", word)
        found.append(
            LabelEvent(*place[target], view, f"consensus:{rule}", "", "consensus", TAXONOMY_VERSION, answer=answer)
        )
    return found


def export_reports(
    book: LabelStore, out: Path, rule: str, *, stores: Frames, originals: Path, key: Path
) -> ExportRecord:
    """Write the agreed views as DICOM structured reports, one a study, into a new folder.

    They carry the patients' names and the original UIDs, so that the hospital's archive knows them: they are for it
    alone. Labels of single frames, unusable clips, and clips whose files are not there are left out and counted.

    Args:
        book: The label book.
        out: Folder to make.
        rule: A name of `consensus.RULES`.
        stores: Where the clips are.
        originals: Folder of the files that were ingested.
        key: The key that the stores were ingested with.

    Raises:
        ExistsError: `out` is there already.
        LabelError: none of the files is a labeled clip of the stores: another key, or another folder.
    """
    from heart2heart.labels.structured_report import make_structured_report

    if out.exists():
        raise ExistsError("reports would be mixed with what is there", where=out, remedy="Name a new folder")
    events = book.events()
    agreed = consensus_labels(events, rule)
    clips = ClipIndex(stores, key)
    known = set(clips.table["clip"].to_pylist())
    wanted = {clip: view for clip, view in agreed.items() if clip in known and view in VIEWS}
    studies, views = _originals(originals, clips, wanted)
    left_out = Counter(
        _exclusion_reason(target, word, known) for target, word in agreed.items() if target not in wanted
    )
    if len(views) < len(wanted):
        left_out["no original file"] = len(wanted) - len(views)
    temporary = out.with_name(f".{out.name}.{uuid4().hex[:8]}.tmp")
    temporary.mkdir(mode=0o700, parents=True)
    try:
        for number, headers in enumerate(studies, start=1):
            make_structured_report(headers, views, rule).save_as(
                temporary / f"{number:06d}.dcm", enforce_file_format=True
            )
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    made = make_export_record(events, "sr", written=len(views), rule=rule, agreed=agreed, left_out=left_out)
    made.write(out)
    return made


def _originals(folder: Path, clips: ClipIndex, wanted: Mapping[str, str]) -> tuple[list[list[Dataset]], dict[str, str]]:
    """Return the headers of the wanted clips, study by study, and the view by SOP Instance UID."""
    from heart2heart.labels.dicom_views import dicom_headers

    pseudonyms = clips.need_key("structured reports", folder)
    # One study under two patients, a fault that archives hold, is not made one report.
    studies: dict[tuple[str, str], list[Dataset]] = {}
    views: dict[str, str] = {}
    for header in dicom_headers(folder):
        if header is None or not all(text(header, name) for name in _REQUIRED_ATTRIBUTES):
            continue
        uid = text(header, "SOPInstanceUID")
        clip = clips.by_instance(pseudonyms, uid)
        if clip is not None and clip in wanted and uid not in views:
            views[uid] = wanted[clip]
            studies.setdefault((text(header, "StudyInstanceUID"), text(header, "PatientID")), []).append(header)
    if not studies:
        remedy = "Name the folder and the key of the ingest"
        raise LabelError("no file here is a labeled clip of the store", where=folder, remedy=remedy)
    return list(studies.values()), views


def _exclusion_reason(target: str, word: str, known: set[str]) -> str:
    if target in known or word not in VIEWS:
        return "unusable"
    return "a single frame" if ":" in target else "in no store"
