"""Files of an archive that are no clips: text, worksheets, reports, copies, and files that end too early."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.dicom_file import StudyHeader, base_dataset, set_pixel_data
from heart2heart.synthetic.overlay import OverlayLayer
from heart2heart.synthetic.patient import make_uid

SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
BASIC_TEXT_SR = UID("1.2.840.10008.5.1.4.1.1.88.11")


def write_non_clip_files(
    folder: Path, clips: list[Path], study: StudyHeader, hospital: HospitalConfig, seed: int
) -> int:
    """Write what `hospital.strays` asks for.

    Args:
        folder: The hospital's folder.
        clips: Multi-frame files of the hospital in a stable order, to copy and to cut.
        study: A study that worksheet and report belong to.
        hospital: Counts and habits.
        seed: Root seed, for UIDs.

    Returns:
        The number of files written.
    """
    strays, archive = hospital.strays, folder / "archive"
    archive.mkdir()
    for index in range(strays.text_files):
        text = f"Export log {index} of synthetic hospital {hospital.name}. No clip in here.\n"
        (archive / f"export{index}.txt").write_text(text, encoding="utf-8")
    for index in range(strays.captures):
        uid = make_uid(seed, hospital.name, "capture", index)
        _worksheet(study, hospital, uid, 900 + index).save_as(archive / f"capture{index}.dcm", enforce_file_format=True)
    for index in range(strays.reports):
        uid = make_uid(seed, hospital.name, "report", index)
        _structured_report(study, hospital, uid, 950 + index).save_as(
            archive / f"report{index}.dcm", enforce_file_format=True
        )
    count = strays.text_files + strays.captures + strays.reports
    # The last patients have no labels where a hospital has a pool: a cut file takes no label away.
    for index, path in enumerate(clips[::-1][strays.copies :][: strays.truncated]):
        whole = path.read_bytes()
        (archive / f"truncated{index}.dcm").write_bytes(whole[: len(whole) * 3 // 5])
        count += 1
    for index in range(min(strays.copies, len(clips))):
        (archive / f"copy{index}.dcm").write_bytes(clips[-1 - index].read_bytes())
        count += 1
    return count


def _worksheet(study: StudyHeader, hospital: HospitalConfig, uid: str, number: int) -> Dataset:
    dataset = base_dataset(SECONDARY_CAPTURE, uid, study, hospital, number, ExplicitVRLittleEndian)
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = "YES"
    layer = OverlayLayer(240, 320)
    for row, words in enumerate((*study.caption, "LVIDd 4.8 cm", "LVIDs 3.1 cm", "EF 60 %", "SYNTHETIC")):
        layer.draw_text(8, 8 + 16 * row, words, (220, 220, 220))
    set_pixel_data(dataset, layer.composite(np.zeros((1, 240, 320), dtype=np.uint8)), "native")
    return dataset


def _structured_report(study: StudyHeader, hospital: HospitalConfig, uid: str, number: int) -> Dataset:
    dataset = base_dataset(BASIC_TEXT_SR, uid, study, hospital, number, ExplicitVRLittleEndian)
    dataset.Modality = "SR"
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.ConceptNameCodeSequence = Sequence([_code_item("125200", "DCM", "Adult Echocardiography Procedure Report")])
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = Sequence([_code_item("121071", "DCM", "Finding")])
    item.TextValue = "Synthetic report: left ventricular function as simulated."
    dataset.ContentSequence = Sequence([item])
    return dataset


def _code_item(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
