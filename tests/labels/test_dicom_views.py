"""Labels in DICOM: View Code Sequence in, structured reports out and in again; identity stays where it belongs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, ComprehensiveSRStorage

from heart2heart.errors import ExistsError, LabelError, MissingInputError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.exporting import export_reports
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import LabelAnswer
from heart2heart.schema.taxonomy import read_taxonomy
from tests.labels.hospital import NAME, Hospital, make_hospital

VIEWS = ("A4C", "A5C", "OTHER", "PSAX")


def _book(tmp_path: Path) -> LabelStore:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append([LabelEvent(f"c{index}", "", view, "r", "2024", "test") for index, view in enumerate(VIEWS)])
    return label_store


def _reports(hospital: Hospital, label_store: LabelStore, out: Path) -> dict[str, int]:
    record = export_reports(
        label_store, out, "latest", stores=hospital.store, originals=hospital.files, key=hospital.key
    )
    return record.left_out


def test_read_dicom_views_labels_clips_by_view_codes(tmp_path: Path) -> None:
    codes = {0: ("399214001", "SCT"), 1: ("G-0396", "SRT"), 2: ("399371001", "SCT"), 3: ("NONSENSE", "99X")}
    hospital, label_store = make_hospital(tmp_path, codes), LabelStore(tmp_path / "labels.db")
    (hospital.files / "note.txt").write_text("no DICOM")
    shutil.copy(hospital.files / "0.dcm", hospital.files / "copy.dcm")
    summary = import_labels(hospital.files, label_store, hospital.store, form="view_code", key=hospital.key)
    assert (summary.rows, summary.new, summary.without_view, summary.unknown_clip) == (6, 3, 2, 0)
    assert [(e.clip, e.view, e.rater, e.source) for e in label_store.events()] == [
        ("c0", "A4C", "view_code", "dicom:view_code"), ("c1", "PLAX", "view_code", "dicom:view_code"),
        ("c2", "PSAX", "view_code", "dicom:view_code"),
    ]  # fmt: skip
    assert import_labels(hospital.files, label_store, hospital.store, form="view_code", key=hospital.key).new == 0
    for identity in (b"1.2.99.", b"PLANTED", NAME.encode()):
        assert identity not in label_store.path.read_bytes()


def test_read_dicom_views_names_unknown_clips_by_number(tmp_path: Path) -> None:
    hospital = make_hospital(tmp_path, {0: ("399214001", "SCT")})
    header = dcmread(hospital.files / "0.dcm")
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = UID("1.2.99.77")
    header.save_as(hospital.files / "9.dcm")
    label_store = LabelStore(tmp_path / "labels.db")
    with pytest.raises(LabelError, match=r"1 labels of clips not in the store \(files 5\)") as raised:
        import_labels(hospital.files, label_store, hospital.store, form="view_code", key=hospital.key)
    assert "1.2.99" not in str(raised.value)
    assert "9.dcm" not in str(raised.value)
    assert not label_store.path.exists()
    summary = import_labels(
        hospital.files, label_store, hospital.store, form="view_code", key=hospital.key, skip_unknown=True
    )
    assert (summary.new, summary.unknown_clip) == (1, 1)


def test_export_reports_come_back_as_the_same_labels(tmp_path: Path) -> None:
    hospital, label_store = make_hospital(tmp_path), _book(tmp_path)
    assert _reports(hospital, label_store, tmp_path / "sr") == {}
    files = sorted((tmp_path / "sr").iterdir())
    first, second = (dcmread(file) for file in files)
    assert (first.SOPClassUID, first.Modality, first.SyntheticData) == (ComprehensiveSRStorage, "SR", "YES")
    assert (str(first.PatientName), first.PatientID, first.StudyInstanceUID) == (NAME, "PLANTED0", "1.2.98.0")
    assert second.StudyInstanceUID == "1.2.98.1"
    assert (tmp_path / "sr").stat().st_mode & 0o077 == 0  # names are in it
    evidence = first.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert [item.ReferencedSOPInstanceUID for item in evidence.ReferencedSOPSequence] == ["1.2.99.0", "1.2.99.1"]
    assert first.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99HEART2HEART"  # of A5C
    back = LabelStore(tmp_path / "back.db")
    for _ in range(2):
        summary = import_labels(tmp_path / "sr", back, hospital.store, form="sr", key=hospital.key)
    assert (summary.rows, summary.new) == (4, 0)
    assert [(e.clip, e.view, e.rater) for e in back.events()] == [
        (f"c{index}", view, "consensus:latest") for index, view in enumerate(VIEWS)
    ]
    assert import_labels(files[0], LabelStore(tmp_path / "one.db"), hospital.store, key=hospital.key).new == 2


def test_export_reports_pass_an_independent_reader(tmp_path: Path) -> None:
    if shutil.which("dsrdump") is None:
        assert "CI" not in os.environ, "dcmtk is not installed"
        pytest.skip("dcmtk is not installed")
    hospital = make_hospital(tmp_path)
    _reports(hospital, _book(tmp_path), tmp_path / "sr")
    for file in sorted((tmp_path / "sr").iterdir()):
        # dsrdump checks value types, relationships and the attributes of each against the document's IOD.
        shown = subprocess.run(["dsrdump", "+Pc", file], capture_output=True, text=True, check=True)
        assert "contains IMAGE" in shown.stdout.replace("<", "").replace(":", " ")
        assert "E:" not in shown.stderr
        assert "W:" not in shown.stderr


def test_export_reports_are_measurement_reports_to_highdicom(tmp_path: Path) -> None:
    from highdicom.sr import CodedConcept, ComprehensiveSR, MeasurementReport, srread

    _reports(make_hospital(tmp_path), _book(tmp_path), tmp_path / "sr")
    views = []
    for file in sorted((tmp_path / "sr").iterdir()):
        report = srread(file)  # parses the content by TID 1500
        assert isinstance(report, ComprehensiveSR)
        assert isinstance(report.content, MeasurementReport)
        for group in report.content.get_image_measurement_groups():  # by TID 1501
            evaluations = group.get_qualitative_evaluations()
            assert [(one.name.value, one.name.scheme_designator) for one in evaluations] == [("111031", "DCM")]
            (image,) = group.source_images
            code = evaluations[0].value
            assert isinstance(code, CodedConcept)
            views.append((image.referenced_sop_instance_uid, code.value, code.scheme_designator))
    assert views == [
        ("1.2.99.0", "399214001", "SCT"), ("1.2.99.1", "A5C", "99HEART2HEART"),
        ("1.2.99.2", "OTHER", "99HEART2HEART"), ("1.2.99.3", "399306005", "SCT"),
    ]  # fmt: skip


def test_make_structured_report_names_every_template(tmp_path: Path) -> None:
    _reports(make_hospital(tmp_path), _book(tmp_path), tmp_path / "sr")
    report = dcmread(tmp_path / "sr" / "000001.dcm")
    library, measured = report.ContentSequence[-2:]
    items = [report, library, *measured.ContentSequence]
    assert [item.ContentTemplateSequence[0].TemplateIdentifier for item in items] == ["1500", "1600", "1501", "1501"]


def test_export_reports_count_what_they_leave_out(tmp_path: Path) -> None:
    hospital, label_store = make_hospital(tmp_path), _book(tmp_path)
    label_store.append([
        LabelEvent("c0", "", "", "r", "2025", "test", answer=LabelAnswer.UNUSABLE),
        LabelEvent("far", "", "A4C", "r", "", "test"),
        LabelEvent("c1", "c1:0001", "A4C", "r", "", "test"),
    ])  # fmt: skip
    (hospital.files / "3.dcm").unlink()
    left_out = _reports(hospital, label_store, tmp_path / "sr")
    assert left_out == {"unusable": 1, "in no store": 1, "a single frame": 1, "no original file": 1}


def test_export_reports_need_the_right_key_and_a_new_folder(tmp_path: Path) -> None:
    hospital, label_store = make_hospital(tmp_path), _book(tmp_path)
    (tmp_path / "other").mkdir()
    other = make_hospital(tmp_path / "other")
    with pytest.raises(LabelError, match="no file in this folder is a labeled clip of the store"):
        export_reports(
            label_store, tmp_path / "sr", "latest", stores=hospital.store, originals=hospital.files, key=other.key
        )
    assert not (tmp_path / "sr").exists()
    with pytest.raises(ExistsError, match="Name a new folder"):
        _reports(hospital, label_store, hospital.files)
    with pytest.raises(LabelError, match="need the hospital's key"):
        import_labels(hospital.files, label_store, hospital.store, form="sr")
    with pytest.raises(LabelError, match="Give --format view_code or --format sr"):
        import_labels(hospital.files, label_store, hospital.store, key=hospital.key)
    with pytest.raises(MissingInputError):
        import_labels(tmp_path / "nowhere", label_store, hospital.store, form="sr", key=hospital.key)


def test_read_dicom_views_reads_a_strange_report_without_names(tmp_path: Path) -> None:
    hospital, label_store = make_hospital(tmp_path), _book(tmp_path)
    _reports(hospital, label_store, tmp_path / "sr")
    file = sorted((tmp_path / "sr").iterdir())[0]
    report = dcmread(file)
    for item in report.ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == "121013":
            item.ConceptNameCodeSequence[0].CodeValue, item.ValueType = "121008", "PNAME"
            del item.TextValue
            item.PersonName = NAME
    report.ContentSequence[-1].ContentSequence.append(Dataset())  # an item that says nothing
    code = report.ContentSequence[-1].ContentSequence[0].ContentSequence[-1].ConceptCodeSequence[0]
    code.CodeValue, code.CodingSchemeDesignator = "399214001", "99OTHER"  # another's private code of the same value
    report.save_as(file)
    back = LabelStore(tmp_path / "back.db")
    summary = import_labels(file, back, hospital.store, form="sr", key=hospital.key)
    assert (summary.rows, summary.new, summary.without_view) == (2, 1, 1)
    assert back.events()[0].rater.startswith("sr:")
    assert NAME.split("^")[0].encode() not in back.path.read_bytes()


def test_export_reports_of_fine_views_come_back_by_their_codes(tmp_path: Path) -> None:
    usual, views = read_taxonomy("usual"), ("PSAX_AV", "A4C_RV", "TEE_BICAVAL", "SUPRASTERNAL_ARCH")
    hospital, book = make_hospital(tmp_path), LabelStore(tmp_path / "labels.db")
    book.adopt_taxonomy(usual)
    book.append([LabelEvent(f"c{index}", "", view, "r", "2024", "test") for index, view in enumerate(views)])
    assert _reports(hospital, book, tmp_path / "sr") == {}
    fine, coarse = LabelStore(tmp_path / "fine.db"), LabelStore(tmp_path / "coarse.db")
    fine.adopt_taxonomy(usual)
    import_labels(tmp_path / "sr", fine, hospital.store, form="sr", key=hospital.key)
    assert [(event.clip, event.view) for event in fine.events()] == [
        (f"c{index}", view) for index, view in enumerate(views)
    ]
    import_labels(tmp_path / "sr", coarse, hospital.store, form="sr", key=hospital.key)
    assert [(event.clip, event.view) for event in coarse.events()] == [("c0", "PSAX"), ("c3", "SUPRASTERNAL")]
