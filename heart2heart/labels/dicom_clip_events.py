"""Reads and writes image quality, marked frames and notes in DICOM structured reports, one a study and rater.

Each Measurement Group names a clip, or its marked frames by Referenced Frame Number (from 1), and holds one finding:
Image Quality (111101, DCM), Cardiac cycle phase (246092007, SCT), or Comment (121106, DCM). The Observation DateTime
of the group is that of the event, UTC. The observer is the rater (TID 1003).
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydicom import Dataset

from heart2heart.deidentify.pseudonyms import Pseudonymizer
from heart2heart.dicom.header_values import DECODE_ERRORS, text
from heart2heart.errors import ExistsError
from heart2heart.labels.clip_events import PHASES, ClipEvent, WrittenEvent, parse_marks
from heart2heart.labels.clip_index import ClipIndex
from heart2heart.labels.dicom_views import PERSON_NAME, observer_name
from heart2heart.labels.structured_report import (
    MANUFACTURER,
    SOURCE,
    SR_SOP_CLASSES,
    coded_entry,
    coded_item,
    concept_code,
    content_items,
    dicom_headers,
    image_item,
    measurement_group,
    original_headers,
    person_item,
    structured_report,
    text_item,
)
from heart2heart.schema.enums import ClipEventKind, ImageQuality
from heart2heart.schema.views import PRIVATE_SCHEME

IMAGE_QUALITY, CYCLE_PHASE, COMMENT = "111101", "246092007", "121106"
"""Codes of the concepts of the findings."""
_QUALITIES = {
    ImageQuality.GOOD: ("122741", "Good image quality", "DCM"),
    ImageQuality.FAIR: ("FAIR", "Fair image quality", PRIVATE_SCHEME),
    ImageQuality.POOR: ("122742", "Poor image quality", "DCM"),
    ImageQuality.UNUSABLE: ("UNUSABLE", "Unusable image", PRIVATE_SCHEME),
}
_PHASES = {"ed": ("416190007", "End diastole", "SCT"), "es": ("416430001", "End systole", "SCT")}
_MEANINGS = {(scheme, value): name for name, (value, _, scheme) in (_QUALITIES | _PHASES).items()} | {
    ("DCM", "122740"): ImageQuality.GOOD,  # excellent
    ("DCM", "109022"): "ed",
}
_NOT_IN_A_NAME = frozenset("\\^=")  # they divide the parts of a name (PS3.5 section 6.2)


def write_reports(
    events: Sequence[ClipEvent], out: Path, clips: ClipIndex, originals: Path
) -> tuple[int, dict[str, int]]:
    """Write events as structured reports into a new folder; return the events written, and those left out by reason.

    The reports hold the patients' names and the original UIDs. They must not leave the hospital.

    Args:
        events: Events of the kinds quality, marks and note.
        out: Folder to create.
        clips: Index of the clips, with the hospital's key.
        originals: Folder of the files that were ingested.

    Raises:
        ExistsError: `out` exists.
        LabelError: no file is a clip of an event, because of another key or another folder.
    """
    if out.exists():
        raise ExistsError("the folder for the reports exists", where=out, remedy="Name a new folder")
    studies, clip_by_uid = original_headers(originals, clips, {event.clip for event in events})
    by_rater: dict[str, dict[str, list[ClipEvent]]] = {}
    left_out: dict[str, int] = {}
    clips_with_file = set(clip_by_uid.values())
    for event in events:
        if event.clip not in clips_with_file:
            left_out["no original file"] = left_out.get("no original file", 0) + 1
        elif _NOT_IN_A_NAME & set(event.rater):
            reason = "a rater whose name DICOM cannot hold"
            left_out[reason] = left_out.get(reason, 0) + 1
        else:
            by_rater.setdefault(event.rater, {}).setdefault(event.clip, []).append(event)
    temporary = out.with_name(f".{out.name}.{uuid4().hex[:8]}.tmp")
    temporary.mkdir(mode=0o700, parents=True)
    try:
        for report_number, report in enumerate(_reports(studies, clip_by_uid, by_rater), start=1):
            report.save_as(temporary / f"{report_number:06d}.dcm", enforce_file_format=True)
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(events) - sum(left_out.values()), left_out


def _reports(
    studies: Sequence[Sequence[Dataset]],
    clip_by_uid: Mapping[str, str],
    by_rater: Mapping[str, Mapping[str, Sequence[ClipEvent]]],
) -> Iterator[Dataset]:
    for headers in studies:
        for rater, by_clip in sorted(by_rater.items()):
            named = [header for header in headers if clip_by_uid[str(header.SOPInstanceUID)] in by_clip]
            if not named:
                continue
            groups: list[Dataset] = []
            for header in named:
                for event in by_clip[clip_by_uid[str(header.SOPInstanceUID)]]:
                    for image, finding in _findings(header, event):
                        groups.append(measurement_group(len(groups) + 1, image, [finding]))
                        if event.at:
                            groups[-1].ObservationDateTime = _date_time(event.at)
            observer = [
                coded_item("HAS OBS CONTEXT", coded_entry("121005", "Observer Type"), coded_entry("121006", "Person")),
                person_item(coded_entry(PERSON_NAME, "Person Observer Name"), rater),
            ]
            report = structured_report(named, observer, groups, "Image quality, marked frames and notes")
            report.SpecificCharacterSet = "ISO_IR 192"  # notes are in any script
            yield report


def _findings(header: Dataset, event: ClipEvent) -> Iterator[tuple[Dataset, Dataset]]:
    """Yield the image and the finding of each measurement group of an event."""
    source = coded_entry(*SOURCE)
    if event.kind == ClipEventKind.QUALITY:
        value = coded_entry(*_QUALITIES[ImageQuality(event.value)])
        yield image_item(header, source), coded_item("CONTAINS", coded_entry(IMAGE_QUALITY, "Image Quality"), value)
    elif event.kind == ClipEventKind.NOTE:
        yield image_item(header, source), text_item("CONTAINS", coded_entry(COMMENT, "Comment"), event.value)
    else:
        marks = parse_marks(event.value)
        name = (CYCLE_PHASE, "Cardiac cycle phase", "SCT")
        for phase in PHASES:
            if marks[phase]:
                image = image_item(header, source, [frame + 1 for frame in marks[phase]])
                yield image, coded_item("CONTAINS", coded_entry(*name), coded_entry(*_PHASES[phase]))


def _date_time(at: str) -> str:
    """Return a time of ISO 8601 as a DT value; a time of day without a zone is taken for UTC."""
    moment = datetime.fromisoformat(at)
    if len(at) <= len("2026-01-31"):
        return moment.strftime("%Y%m%d")
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    return moment.strftime("%Y%m%d%H%M%S.%f+0000")


def _iso_time(value: str) -> str:
    """Return a DT value as ISO 8601 in UTC as the label page writes it, or nothing."""
    for form in ("%Y%m%d%H%M%S.%f%z", "%Y%m%d%H%M%S%z", "%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S"):
        try:
            moment = datetime.strptime(value, form)
        except ValueError:
            continue
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        return datetime.strptime(value, "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        return ""


def read_reports(folder: Path, clips: ClipIndex) -> Iterator[WrittenEvent]:
    """Yield what the structured reports below a folder say, without views; the number is that of the finding.

    A report of another program names its observer by a pseudonym, as for views. Codes that are not known are left out.

    Args:
        folder: The folder, or one file.
        clips: Index of the clips, with the hospital's key.

    Raises:
        LabelError: no key was given.
    """
    pseudonyms, number = clips.need_key("labels in DICOM files", folder), 0
    copies: set[tuple[object, ...]] = set()  # archives hold copies of files
    for header in dicom_headers(folder):
        if header is None or text(header, "SOPClassUID") not in SR_SOP_CLASSES:
            continue
        try:
            rater, findings = _rater(header, pseudonyms), list(_read_groups(header))
        except DECODE_ERRORS:
            continue
        for uid, kind, value, phase, at in findings if rater else ():
            clip = clips.by_instance(pseudonyms, uid) or ""
            number += 1
            if (uid, rater, kind, value, phase, at) not in copies:
                copies.add((uid, rater, kind, value, phase, at))
                yield WrittenEvent(number, kind, clip, rater or "", at, value, phase)


def _rater(report: Dataset, pseudonyms: Pseudonymizer) -> str | None:
    if text(report, "Manufacturer") == MANUFACTURER:  # its raters are names of the label store
        items = {concept_code(item): item for item in report.get("ContentSequence") or ()}
        if PERSON_NAME in items:
            return text(items[PERSON_NAME], "PersonName") or None
    return observer_name(report, pseudonyms)


def _read_groups(report: Dataset) -> Iterator[tuple[str, ClipEventKind, str, str, str]]:
    """Yield SOP Instance UID, kind, value, phase and time of each finding beside a reference to an image."""
    for item in content_items(report):
        children = list(item.get("ContentSequence") or ())
        images = [child.ReferencedSOPSequence[0] for child in children if text(child, "ValueType") == "IMAGE"]
        at = _iso_time(text(item, "ObservationDateTime"))
        for finding in children if images else ():
            for image in images:
                uid = text(image, "ReferencedSOPInstanceUID")
                yield from ((uid, *meaning, at) for meaning in _meanings(finding, image))


def _meanings(finding: Dataset, image: Dataset) -> Iterator[tuple[ClipEventKind, str, str]]:
    concept = concept_code(finding)
    if concept == COMMENT and text(finding, "TextValue"):
        yield ClipEventKind.NOTE, str(finding.TextValue).strip(), ""
        return
    values: Collection[Dataset] = finding.get("ConceptCodeSequence") or ()
    named = [_MEANINGS.get((text(value, "CodingSchemeDesignator"), text(value, "CodeValue"))) for value in values]
    if concept == IMAGE_QUALITY and named and named[0] in set(ImageQuality):
        yield ClipEventKind.QUALITY, str(named[0]), ""
    elif concept == CYCLE_PHASE and named and named[0] in PHASES:
        frames = image.get("ReferencedFrameNumber")
        for frame in [frames] if isinstance(frames, int | str) else frames or []:
            yield ClipEventKind.MARKS, str(int(frame) - 1), str(named[0])
