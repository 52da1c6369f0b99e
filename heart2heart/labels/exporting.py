"""Exports the label store: all events, or the labels that a consensus rule derives from them, with a record beside each.

Exports name clips by pseudonym. Structured reports alone carry identity: they are for the hospital's own archive, and
need its key and its original files.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydicom import Dataset

from heart2heart import __version__
from heart2heart.config import Config
from heart2heart.dicom.header_values import text
from heart2heart.errors import ConfigError, ExistsError, LabelError, UnknownNameError
from heart2heart.labels.consensus import consensus_labels, fit_readings, readings_by_target
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.label_studio import write_tasks
from heart2heart.labels.parsed_labels import ClipIndex
from heart2heart.labels.table_files import write_events, write_rows
from heart2heart.schema.enums import LabelAnswer
from heart2heart.schema.views import TAXONOMY_VERSION, VIEWS
from heart2heart.store.frame_store import Frames
from heart2heart.utils import sha256_json, write_text


class ExportRecord(Config):
    """The record of one export."""

    form: str
    """One of `exporting.FORMATS`."""
    rule: str | None
    """The consensus rule; null when all events were written."""
    rule_details: dict[str, Any]
    """What the rule found on the way: of `dawid_skene` its steps, and each rater's share of right readings."""
    taxonomy: str
    """Version of the view taxonomy."""
    events: int
    """Events in the label book."""
    events_sha256: str
    """Hash of all of them in their order: the same book gives the same hash."""
    events_by_taxonomy: dict[str, int]
    """Events by the taxonomy version that they were said in."""
    raters: int
    """People and programs who said them."""
    written: int
    """Rows of the export."""
    labels: dict[str, int]
    """Labels of clips and frames by view, under a rule."""
    undecided: int
    """Clips and frames that were read but are not agreed, under a rule."""
    left_out: dict[str, int]
    """What the form cannot carry, by reason."""
    created: str
    """UTC, ISO 8601."""
    code_version: str
    """Of heart2heart."""

    def write(self, out: Path) -> Path:
        """Write the record beside the export at `out`, and return where."""
        path = out.with_name(f"{out.name}.record.json")
        write_text(path, json.dumps(self.model_dump(), indent=2, sort_keys=True, allow_nan=False) + "\n")
        return path


def events_digest(events: Sequence[LabelEvent]) -> str:
    """Return the hex SHA-256 of events in their order."""
    return sha256_json([list(astuple(event)) for event in events])


def make_export_record(
    events: Sequence[LabelEvent],
    form: str,
    *,
    written: int,
    rule: str | None = None,
    agreed: Mapping[str, str] | None = None,
    left_out: Mapping[str, int] | None = None,
) -> ExportRecord:
    """Describe an export.

    Args:
        events: All events of the book.
        form: One of `exporting.FORMATS`.
        written: Rows.
        rule: A name of `consensus.RULES`.
        agreed: What is agreed by that rule.
        left_out: What the form cannot carry.
    """
    labels = agreed or {}
    return ExportRecord(
        form=form, rule=rule, rule_details=_rule_details(events) if rule == "dawid_skene" and labels else {},
        taxonomy=TAXONOMY_VERSION, events=len(events), events_sha256=events_digest(events),
        events_by_taxonomy=dict(sorted(Counter(event.taxonomy for event in events).items())),
        raters=len({event.rater for event in events}), written=written,
        labels=dict(sorted(Counter(labels.values()).items())),
        undecided=0 if rule is None else len(set(readings_by_target(events)) - set(labels)),
        left_out=dict(left_out or {}), created=datetime.now(UTC).isoformat(timespec="seconds"),
        code_version=__version__,
    )  # fmt: skip


def _rule_details(events: Sequence[LabelEvent]) -> dict[str, Any]:
    consensus = fit_readings(readings_by_target(events))
    model = consensus.model
    accuracy = {rater: float((model.prevalence * errors.diagonal()).sum())
             for rater, errors in zip(consensus.raters, model.errors, strict=True)}  # fmt: skip
    return {"steps": model.iterations, "log_likelihood": model.log_likelihood[-1],
            "right": {rater: round(share, 4) for rater, share in accuracy.items()}}  # fmt: skip


EXPORT_FORMATS = ("csv", "parquet", "label_studio", "sr")
LABEL_COLUMNS = ("clip", "frame", "view", "rater", "readings", "agreeing", "taxonomy")
"""Of a table of labels; `rater` is `consensus:RULE`, `agreeing` of the `readings` say the same."""

_REQUIRED_ATTRIBUTES = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".json": "label_studio"}


def _export_format(out: Path, form: str | None) -> str:
    chosen = form or _SUFFIXES.get(out.suffix)
    if chosen is None:
        raise ConfigError("the name does not say which format is meant", where=out, remedy="Give --format")
    if chosen not in EXPORT_FORMATS:
        raise UnknownNameError.among("format of labels", chosen, list(EXPORT_FORMATS))
    return chosen


def export_events(label_store: LabelStore, out: Path, *, form: str | None = None) -> ExportRecord:
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
    events = label_store.events()
    if chosen == "label_studio":
        written = write_tasks(events, out)
    else:
        write_events(events, out, parquet=chosen == "parquet")
        written = len(events)
    left_out = {"taken back, or the taking back": len(events) - written} if written < len(events) else {}
    record = make_export_record(events, chosen, written=written, left_out=left_out)
    record.write(out)
    return record


def export_labels(label_store: LabelStore, out: Path, rule: str, *, form: str | None = None) -> ExportRecord:
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
    events = label_store.events()
    agreed = consensus_labels(events, rule)
    labels = _as_events(events, agreed, rule)
    if chosen == "label_studio":
        write_tasks(labels, out)
    else:
        readings_of = readings_by_target(events)
        rows = []
        for label in labels:
            values = list(readings_of[label.target].readings.values())
            rows.append((label.clip, label.frame, label.value, label.rater, len(values), values.count(label.value),
                         label.taxonomy))  # fmt: skip
        write_rows(out, LABEL_COLUMNS, rows, parquet=chosen == "parquet")
    record = make_export_record(events, chosen, written=len(labels), rule=rule, agreed=agreed)
    record.write(out)
    return record


def _as_events(events: Sequence[LabelEvent], agreed: dict[str, str], rule: str) -> list[LabelEvent]:
    clip_and_frame = {event.target: (event.clip, event.frame) for event in events}
    labels = []
    for target, value in sorted(agreed.items()):
        view, answer = (value, LabelAnswer.VIEW) if value in VIEWS else ("", value)
        labels.append(
            LabelEvent(
                *clip_and_frame[target], view, f"consensus:{rule}", "", "consensus", TAXONOMY_VERSION, answer=answer
            )
        )
    return labels


def export_reports(
    label_store: LabelStore, out: Path, rule: str, *, stores: Frames, originals: Path, key: Path
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
    events = label_store.events()
    agreed = consensus_labels(events, rule)
    clips = ClipIndex(stores, key)
    known_clips = set(clips.table["clip"].to_pylist())
    wanted = {clip: view for clip, view in agreed.items() if clip in known_clips and view in VIEWS}
    studies, views = _original_headers(originals, clips, wanted)
    left_out = Counter(
        _exclusion_reason(target, value, known_clips) for target, value in agreed.items() if target not in wanted
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
    record = make_export_record(events, "sr", written=len(views), rule=rule, agreed=agreed, left_out=left_out)
    record.write(out)
    return record


def _original_headers(
    folder: Path, clips: ClipIndex, views_by_clip: Mapping[str, str]
) -> tuple[list[list[Dataset]], dict[str, str]]:
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
        if clip is not None and clip in views_by_clip and uid not in views:
            views[uid] = views_by_clip[clip]
            studies.setdefault((text(header, "StudyInstanceUID"), text(header, "PatientID")), []).append(header)
    if not studies:
        remedy = "Name the folder and the key of the ingest"
        raise LabelError("no file here is a labeled clip of the store", where=folder, remedy=remedy)
    return list(studies.values()), views


def _exclusion_reason(target: str, value: str, known_clips: set[str]) -> str:
    if target in known_clips or value not in VIEWS:
        return LabelAnswer.UNUSABLE
    return "a single frame" if ":" in target else "in no store"
