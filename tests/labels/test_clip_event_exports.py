"""Image quality, marked frames and notes go to CVAT, Label Studio and DICOM reports, and come back as they were."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.valuerep import DT

from heart2heart.api.second_labels import export_clip_events, import_clip_events
from heart2heart.errors import ConfigError, ExistsError, LabelError, UnknownNameError
from heart2heart.labels.clip_event_tables import read_clip_events
from heart2heart.labels.clip_events import ClipEvent, marks_text
from heart2heart.labels.clip_index import ClipIndex
from heart2heart.labels.cvat_events import write_event_tags
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.label_studio_events import write_annotations
from heart2heart.schema.enums import ClipEventKind
from tests.labels.hospital import NAME, Hospital, make_hospital

AT, LATER = "2026-11-28T12:00:00.000Z", "2026-11-28T12:05:01.250Z"
WRONG = ClipEvent("c0", ClipEventKind.QUALITY, "Reader 1", "2026-11-27T09:00:00.000Z", "unusable")
CURRENT = (
    ClipEvent("c0", ClipEventKind.QUALITY, "Reader 1", AT, "poor"),
    ClipEvent("c1", ClipEventKind.QUALITY, "Reader 1", AT, "fair"),
    ClipEvent("c2", ClipEventKind.QUALITY, "b <&>", LATER, "unusable"),
    ClipEvent("c3", ClipEventKind.QUALITY, "b <&>", "2026-11-28", "good"),
    ClipEvent("c0", ClipEventKind.MARKS, "Reader 1", AT, marks_text({"ed": [0, 30], "es": [12]})),
    ClipEvent("c3", ClipEventKind.MARKS, "Reader 1", "", marks_text({"es": [7]})),
    ClipEvent("c0", ClipEventKind.NOTE, "Reader 1", LATER, "=septum, oblique\nand ä second line"),
    ClipEvent("c1", ClipEventKind.NOTE, "读者 2", AT, "室间隔"),
)
EVENTS = (WRONG, *CURRENT)
WHAT = ["quality", "marks", "note"]


@pytest.fixture(name="hospital", scope="module")
def _hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return make_hospital(tmp_path_factory.mktemp("hospital"))


def _store(folder: Path) -> LabelStore:
    store = LabelStore(folder / "source.db")
    store.append_clip_events(EVENTS)
    return store


def _reports(hospital: Hospital, store: LabelStore, out: Path, what: list[str]) -> tuple[int, dict[str, int]]:
    export = export_clip_events(
        out, store, what, form="sr", store=hospital.store.root, dicom=hospital.files, key=hospital.key
    )
    return export.written, export.left_out


@pytest.mark.parametrize("name", ["more.json", "more.xml", "reports"])
def test_export_clip_events_come_back_from_other_tools(tmp_path: Path, hospital: Hospital, name: str) -> None:
    source, out = _store(tmp_path), tmp_path / name
    if name == "reports":
        assert _reports(hospital, source, out, WHAT) == (len(CURRENT), {})
    else:
        assert export_clip_events(out, source, WHAT).written == len(CURRENT)
    target = LabelStore(tmp_path / "target.db")
    stores, key = hospital.store.root, hospital.key
    assert import_clip_events(out, target, stores, key=key) == len(CURRENT)
    assert import_clip_events(out, target, stores, key=key) == 0
    assert import_clip_events(out, source, stores, key=key) == 0, "the store that it came of knows all of it"
    assert {event for _, event in target.clip_events()} == set(CURRENT)
    if name != "reports":  # the import of views passes over it
        views = import_labels(out, LabelStore(tmp_path / "views.db"), hospital.store, key=key)
        assert views.new == 0


_LINE = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)


@given(
    note=st.lists(_LINE, min_size=1, max_size=3).map("\n".join),
    rater=_LINE,
    frames=st.sets(st.integers(0, 100_000), max_size=6),
)
@settings(max_examples=25)
def test_write_annotations_and_tags_keep_any_text_and_frames(
    hospital: Hospital, note: str, rater: str, frames: set[int]
) -> None:
    events = [ClipEvent("c0", ClipEventKind.NOTE, rater, AT, note)]
    events += [ClipEvent("c0", ClipEventKind.MARKS, rater, AT, marks_text({"es": sorted(frames)}))] if frames else []
    index = ClipIndex(hospital.store, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for write in (write_annotations, write_event_tags):
            write(events, path)
            assert set(read_clip_events(path, index)) == set(events)


LABEL_STUDIO = [{
    "id": 1, "project": 83, "data": {"video": "/data/upload/1/1f6e5b2a-c1.mp4"}, "predictions": [],
    "annotations": [
        {"id": 9, "was_cancelled": False, "ground_truth": False, "created_at": "2021-03-09T22:16:08.728353Z",
         "completed_by": {"id": 7, "email": "reader@example.org"}, "lead_time": 4.2, "result": [
             {"id": "a", "from_name": "quality", "to_name": "video", "type": "choices", "value": {"choices": ["Fair"]}},
             {"id": "b", "from_name": "view", "to_name": "video", "type": "choices", "value": {"choices": ["A4C"]}},
             {"id": "c", "from_name": "phase", "to_name": "video", "type": "timelinelabels",
              "value": {"ranges": [{"start": 1, "end": 1}, {"start": 31, "end": 31}], "timelinelabels": ["ED"]}},
             {"id": "d", "from_name": "phase", "to_name": "video", "type": "timelinelabels",
              "value": {"ranges": [{"start": 13, "end": 13}], "timelinelabels": ["ES"]}},
             {"id": "e", "from_name": "note", "to_name": "video", "type": "textarea", "value": {"text": ["dark"]}}]},
        {"id": 10, "was_cancelled": True, "completed_by": 3, "result": [
             {"id": "f", "from_name": "quality", "type": "choices", "value": {"choices": ["Good"]}}]},
    ]}]  # fmt: skip


def test_import_clip_events_reads_quality_marks_and_note_beside_a_view_of_label_studio(
    tmp_path: Path, hospital: Hospital
) -> None:
    path, store = tmp_path / "project.json", LabelStore(tmp_path / "labels.db")
    path.write_text(json.dumps(LABEL_STUDIO))
    assert import_clip_events(path, store, hospital.store.root) == 3
    at, rater = "2021-03-09T22:16:08.728353Z", "reader@example.org"
    assert {event for _, event in store.clip_events()} == {
        ClipEvent("c1", ClipEventKind.QUALITY, rater, at, "fair"),
        ClipEvent("c1", ClipEventKind.MARKS, rater, at, marks_text({"ed": [0, 30], "es": [12]})),
        ClipEvent("c1", ClipEventKind.NOTE, rater, at, "dark"),
    }
    import_labels(path, store, hospital.store)
    assert [(event.clip, event.view, event.rater) for event in store.events()] == [("c1", "A4C", rater)]
    span = json.loads(path.read_text())
    span[0]["annotations"][0]["result"][2]["value"]["ranges"][0]["end"] = 4
    path.write_text(json.dumps(span))
    with pytest.raises(LabelError, match=r"1 rows are not valid.*rows 1"):
        import_clip_events(path, tmp_path / "new.db", hospital.store.root)
    assert not (tmp_path / "new.db").exists()


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>4</id><name>echo</name></task></meta>
  <image id="0" name="stills/c0.png" width="800" height="600">
    <tag label="A4C" source="manual"></tag>
    <tag label="image quality" source="manual"><attribute name="quality">Good</attribute></tag>
    <tag label="ED" source="manual"><attribute name="frame">4</attribute><attribute name="rater">a</attribute></tag>
    <tag label="ES" source="manual"><attribute name="frame">9</attribute><attribute name="rater">a</attribute></tag>
    <box label="ED" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"><attribute name="frame">5</attribute></box>
  </image>
</annotations>
"""


def test_import_clip_events_reads_tags_beside_a_view_of_cvat(tmp_path: Path, hospital: Hospital) -> None:
    path, store = tmp_path / "annotations.xml", LabelStore(tmp_path / "labels.db")
    path.write_text(CVAT)
    assert import_clip_events(path, store, hospital.store.root) == 2
    assert {event for _, event in store.clip_events()} == {
        ClipEvent("c0", ClipEventKind.QUALITY, "cvat", "", "good"),
        ClipEvent("c0", ClipEventKind.MARKS, "a", "", marks_text({"ed": [4], "es": [9]})),
    }
    import_labels(path, store, hospital.store)
    assert [event.view for event in store.events()] == ["A4C"]
    path.write_text(CVAT.replace(">9<", ">four<"))
    with pytest.raises(LabelError, match=r"1 rows are not valid.*rows 4"):
        import_clip_events(path, tmp_path / "new.db", hospital.store.root)
    path.write_text(CVAT.replace("c0.png", "gone.png"))
    with pytest.raises(LabelError, match="not in the store") as raised:
        import_clip_events(path, tmp_path / "new.db", hospital.store.root)
    assert "gone" not in str(raised.value)


def test_export_clip_events_makes_reports_that_highdicom_and_dcmtk_read(tmp_path: Path, hospital: Hospital) -> None:
    from highdicom.sr import CodedConcept, MeasurementReport, srread

    _reports(hospital, _store(tmp_path), tmp_path / "sr", ["quality", "marks"])
    seen: list[tuple[object, ...]] = []
    files = sorted((tmp_path / "sr").iterdir())
    for file in files:
        content = srread(file).content
        assert isinstance(content, MeasurementReport)
        for group in content.get_image_measurement_groups():
            (image,), (finding,) = group.source_images, group.get_qualitative_evaluations()
            frames = image.referenced_frame_numbers
            assert isinstance(finding.value, CodedConcept)
            seen.append((image.referenced_sop_instance_uid, finding.name.value, finding.value.value, frames))
        if shutil.which("dsrdump"):
            shown = subprocess.run(["dsrdump", file], capture_output=True, text=True, check=True)
            assert "E:" not in shown.stderr
            # dcmtk 3.6.7 checks no text in UTF-8, and refuses the offset +0000, which PS3.5 section 6.2 gives for UTC.
            known = ("ObservationDateTime", "does not support this Specific Character Set: ISO_IR 192")
            assert [line for line in shown.stderr.splitlines() if not any(part in line for part in known)] == []
        else:
            assert "CI" not in os.environ, "dcmtk is not installed"
    assert seen == [
        ("1.2.99.0", "246092007", "416190007", [1, 31]), ("1.2.99.0", "246092007", "416430001", [13]),
        ("1.2.99.0", "111101", "122742", None), ("1.2.99.1", "111101", "FAIR", None),
        ("1.2.99.3", "246092007", "416430001", [8]),
        ("1.2.99.2", "111101", "UNUSABLE", None), ("1.2.99.3", "111101", "122741", None),
    ]  # fmt: skip
    first = dcmread(files[0])
    group = first.ContentSequence[-1].ContentSequence[0]
    assert DT(group.ObservationDateTime) == datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert (str(first.PatientName), first.PatientID) == (NAME, "PLANTED0")
    assert (tmp_path / "sr").stat().st_mode & 0o077 == 0  # names are in it


def test_import_clip_events_names_the_observer_of_another_report_by_a_pseudonym(
    tmp_path: Path, hospital: Hospital
) -> None:
    _reports(hospital, _store(tmp_path), tmp_path / "sr", ["quality"])
    file = sorted((tmp_path / "sr").iterdir())[0]
    report = dcmread(file)
    report.Manufacturer = "another"
    next(item for item in report.ContentSequence if item.ValueType == "PNAME").PersonName = NAME
    report.save_as(file)
    store = LabelStore(tmp_path / "labels.db")
    assert import_clip_events(file, store, hospital.store.root, key=hospital.key) == 2
    assert {event.rater[:3] for _, event in store.clip_events()} == {"sr:"}
    assert NAME.split("^")[0].encode() not in store.path.read_bytes()


def test_export_clip_events_counts_what_reports_leave_out(tmp_path: Path) -> None:
    hospital = make_hospital(tmp_path)
    store = _store(tmp_path)
    store.append_clip_events([ClipEvent("c1", ClipEventKind.QUALITY, "a^b", AT, "good")])
    (hospital.files / "2.dcm").unlink()
    assert _reports(hospital, store, tmp_path / "sr", ["quality"]) == (
        3, {"no original file": 1, "a rater whose name DICOM cannot hold": 1}
    )  # fmt: skip


def test_export_clip_events_writes_one_kind_and_no_notes_unasked(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append_clip_events([
        *(ClipEvent(clip, ClipEventKind.QUALITY, rater, AT, value)
          for clip, rater, value in (("c1", "a", "good"), ("c1", "a", "poor"), ("c2", "b", "fair"))),
        ClipEvent("c1", ClipEventKind.MARKS, "a", AT, marks_text({"ed": [0, 30], "es": [12]})),
        ClipEvent("c1", ClipEventKind.NOTE, "a", AT, "=doehringer"),
    ])  # fmt: skip
    tables = {}
    for kind in (ClipEventKind.QUALITY, ClipEventKind.MARKS, ClipEventKind.NOTE):
        path = tmp_path / f"{kind}.csv"
        export_clip_events(path, label_store, kind)
        with path.open(newline="", encoding="utf-8") as handle:
            tables[kind.value] = list(csv.reader(handle))
    assert tables["quality"] == [["clip", "rater", "quality", "at"], ["c1", "a", "poor", AT], ["c2", "b", "fair", AT]]
    assert [row[2:4] for row in tables["marks"][1:]] == [["ed", "0"], ["ed", "30"], ["es", "12"]]
    assert tables["note"][1][2] == "'=doehringer"  # no formula of a spreadsheet
    assert "doehringer" not in (tmp_path / "quality.csv").read_text() + (tmp_path / "marks.csv").read_text()


def test_export_clip_events_refuses_what_a_format_cannot_hold(tmp_path: Path, hospital: Hospital) -> None:
    store = _store(tmp_path)
    with pytest.raises(ConfigError, match="one of quality, marks and note"):
        export_clip_events(tmp_path / "a.csv", store, WHAT)
    with pytest.raises(ConfigError, match="not clear"):
        export_clip_events(tmp_path / "a.doc", store, "quality")
    with pytest.raises(UnknownNameError):
        export_clip_events(tmp_path / "a.csv", store, "quality", form="excel")
    with pytest.raises(UnknownNameError):
        export_clip_events(tmp_path / "a.csv", store, "views")
    with pytest.raises(ConfigError, match="pseudonyms only"):
        export_clip_events(tmp_path / "a.json", store, "quality", key=hospital.key)
    with pytest.raises(ConfigError, match="original files"):
        export_clip_events(tmp_path / "sr", store, "quality", form="sr")
    with pytest.raises(ExistsError, match="Name a new folder"):
        _reports(hospital, store, hospital.files, ["quality"])
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("source.db")) == []
    with pytest.raises(LabelError, match="need the hospital's key"):
        import_clip_events(hospital.files, store, hospital.store.root)
    with pytest.raises(UnknownNameError):
        import_clip_events(hospital.files, store, hospital.store.root, form="excel")
