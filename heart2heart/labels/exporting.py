"""Exports the label store: all events, or the labels that a consensus rule derives, each with a record.

Exports name clips by pseudonym; only structured reports, for the hospital's own archive, carry identity.
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

from heart2heart import __version__
from heart2heart.config import Config
from heart2heart.errors import ConfigError, ExistsError
from heart2heart.labels.clip_index import ClipIndex
from heart2heart.labels.consensus import consensus_labels, fit_readings, readings_by_target
from heart2heart.labels.cvat import write_images
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.label_studio import write_tasks
from heart2heart.labels.parsed_labels import NON_VIEW_ANSWERS
from heart2heart.labels.table_files import export_format, write_events, write_rows
from heart2heart.schema.enums import LabelAnswer
from heart2heart.schema.views import TAXONOMY_VERSION
from heart2heart.store.frame_store import Frames
from heart2heart.utils import make_private_folder, sha256_json, write_text


class ExportRecord(Config):
    """The record of one export."""

    form: str
    """One of `EXPORT_FORMATS`."""
    rule: str | None
    """The consensus rule; null for an export of all events."""
    rule_details: dict[str, Any]
    """Details of the rule `dawid_skene`: its steps, and the share of correct readings of each rater."""
    taxonomy: str
    """Version of the view taxonomy."""
    events: int
    """Number of events in the label store."""
    events_sha256: str
    """Hash of all events in their order: the same events give the same hash."""
    events_by_taxonomy: dict[str, int]
    """Number of events by taxonomy version."""
    raters: int
    """Number of raters, people and programs."""
    written: int
    """Number of rows of the export."""
    labels: dict[str, int]
    """Number of labels of clips and frames by view, under a rule."""
    undecided: int
    """Number of clips and frames that were read but have no agreed label, under a rule."""
    left_out: dict[str, int]
    """Number of labels or events that the format cannot hold, by reason."""
    created: str
    """UTC, ISO 8601."""
    code_version: str
    """Version of heart2heart."""

    def write(self, out: Path) -> Path:
        """Write the record beside the export at `out`, and return its path."""
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
        events: All events of the label store.
        form: One of `EXPORT_FORMATS`.
        written: Number of rows.
        rule: A name of `CONSENSUS_RULES`.
        agreed: Agreed value by clip or frame, under that rule.
        left_out: Number of labels or events that the format cannot hold, by reason.
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


_WRITERS = {"label_studio": write_tasks, "cvat": write_images}
LABEL_COLUMNS = ("clip", "frame", "view", "rater", "readings", "agreeing", "taxonomy")
"""Columns of a table of labels. `rater` is `consensus:RULE`; `agreeing` of the `readings` have the agreed value."""


def export_events(label_store: LabelStore, out: Path, *, form: str | None = None) -> ExportRecord:
    """Write all events in the order in which they were recorded, and a record beside them.

    Args:
        label_store: The label store.
        out: File to write; replaces one that exists.
        form: One of `EXPORT_FORMATS` but `sr`; None takes that of the suffix. Those of tools omit retracted events.

    Returns:
        The record.

    Raises:
        ConfigError: the format is not clear, or it cannot hold events.
        UnknownNameError: there is no such format.
    """
    chosen = export_format(out, form)
    if chosen == "sr":
        raise ConfigError("structured reports carry agreed labels, not events", remedy="Give --rule")
    events = label_store.events()
    if chosen in _WRITERS:
        written = _WRITERS[chosen](events, out)
    else:
        write_events(events, out, parquet=chosen == "parquet")
        written = len(events)
    left_out = {"retracted, or a retraction": len(events) - written} if written < len(events) else {}
    record = make_export_record(events, chosen, written=written, left_out=left_out)
    record.write(out)
    return record


def export_labels(label_store: LabelStore, out: Path, rule: str, *, form: str | None = None) -> ExportRecord:
    """Write the labels that a consensus rule derives, one row a clip or frame, and a record beside them.

    Args:
        label_store: The label store.
        out: File to write; an existing file is replaced.
        rule: A name of `CONSENSUS_RULES`.
        form: `csv`, `parquet`, `label_studio` or `cvat`; None takes the format of the suffix.

    Returns:
        The record.

    Raises:
        ConfigError: the format is not clear, or it needs the original files.
        UnknownNameError: there is no such format or rule.
    """
    chosen = export_format(out, form)
    if chosen == "sr":
        raise ConfigError("structured reports need the original files", remedy="Give --dicom, --key and --store")
    events = label_store.events()
    agreed = consensus_labels(events, rule)
    labels = _as_events(events, agreed, rule)
    if chosen in _WRITERS:
        _WRITERS[chosen](labels, out)
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
        view, answer = (value, LabelAnswer.VIEW) if value not in NON_VIEW_ANSWERS else ("", LabelAnswer(value))
        clip, frame = clip_and_frame[target]
        rater = f"consensus:{rule}"
        labels.append(LabelEvent(clip, frame, view, rater, "", "consensus", TAXONOMY_VERSION, answer=answer))
    return labels


def export_reports(
    label_store: LabelStore, out: Path, rule: str, *, stores: Frames, originals: Path, key: Path
) -> ExportRecord:
    """Write the agreed views as DICOM structured reports, one a study, into a new folder.

    The reports hold the patients' names and the original UIDs, so that the hospital's archive can match them. They must
    not leave the hospital. Labels of single frames, unusable clips, and clips without an original file are left out and
    counted.

    Args:
        label_store: The label store.
        out: Folder to create.
        rule: A name of `CONSENSUS_RULES`.
        stores: The stores with the clips.
        originals: Folder of the files that were ingested.
        key: The key with which the files were ingested.

    Returns:
        The record.

    Raises:
        ExistsError: `out` exists.
        LabelError: no file is a labeled clip of the stores, because of another key or another folder.
    """
    from heart2heart.labels.dicom_views import make_structured_report
    from heart2heart.labels.structured_report import original_headers

    if out.exists():
        raise ExistsError("the folder for the reports exists", where=out, remedy="Name a new folder")
    events = label_store.events()
    agreed = consensus_labels(events, rule)
    clips = ClipIndex(stores, key)
    known_clips = set(clips.table["clip"].to_pylist())
    clip_views = {clip: view for clip, view in agreed.items() if clip in known_clips and view not in NON_VIEW_ANSWERS}
    studies, clip_by_uid = original_headers(originals, clips, clip_views)
    views = {uid: clip_views[clip] for uid, clip in clip_by_uid.items()}
    others = ((target, value) for target, value in agreed.items() if target not in clip_views)
    left_out = Counter(_exclusion_reason(target, value, known_clips) for target, value in others)
    if len(views) < len(clip_views):
        left_out["no original file"] = len(clip_views) - len(views)
    taxonomy = label_store.taxonomy()
    coded = {uid: taxonomy.view(view) for uid, view in views.items()}
    temporary = out.with_name(f".{out.name}.{uuid4().hex[:8]}.tmp")
    make_private_folder(temporary)
    try:
        for study_number, headers in enumerate(studies, start=1):
            path = temporary / f"{study_number:06d}.dcm"
            make_structured_report(headers, coded, rule).save_as(path, enforce_file_format=True)
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    record = make_export_record(events, "sr", written=len(views), rule=rule, agreed=agreed, left_out=left_out)
    record.write(out)
    return record


def _exclusion_reason(target: str, value: str, known_clips: set[str]) -> str:
    if target in known_clips or value in NON_VIEW_ANSWERS:
        return LabelAnswer.UNUSABLE
    return "a single frame" if ":" in target else "in no store"
