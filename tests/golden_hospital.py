"""The two hospitals of the golden study, written as DICOM.

The pictures come from integers, so they are the same on every processor; the simulator's are not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

PATIENTS = {"A": 8, "B": 4}
WORDS = {
    "A": ("PLAX", "PSAX", "A4C", "A2C"),
    "B": ("parasternal long axis", "parasternal short axis", "apical 4 chamber", "apical 2 chamber"),
}
"""A hospital's words for the four views."""
UNLABELED = 2
"""The last patients of hospital A, whose clips have no label."""
FRAMES, ROWS, COLUMNS = 4, 96, 128


def write_hospital(root: Path, site: str) -> None:
    """Write one hospital: a study of four clips a patient, `labels.csv`, and files that are no clip."""
    rng = np.random.default_rng(ord(site))
    rows = ["sop_instance_uid,view,rater"]
    for patient in range(PATIENTS[site]):
        for view in range(4):
            uid = f"1.2.3.{ord(site)}.{patient}.{view}"
            path = root / f"study{patient}" / f"IM{view}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            _clip(site, patient, uid, _pictures(view, rng)).save_as(path, enforce_file_format=True)
            if site != "A" or patient < PATIENTS["A"] - UNLABELED:
                rows.append(f"{uid},{WORDS[site][view]},rater{patient % 2}")
    (root / "zcopy.dcm").write_bytes((root / "study0" / "IM0.dcm").read_bytes())
    cut = root / "zcut.dcm"
    _clip(site, 0, f"1.2.3.{ord(site)}.0.9", _pictures(0, rng)).save_as(cut, enforce_file_format=True)
    cut.write_bytes(cut.read_bytes()[: -ROWS * COLUMNS * 5])
    (root / "note.txt").write_text("not DICOM\n", encoding="utf-8")
    (root.parent / f"{root.name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _pictures(view: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return uint8 RGB frames: noisy blocks in a triangle, others in each clip, brighter in the quarter of the view."""
    y, x = np.indices((ROWS, COLUMNS))
    fan = (2 * np.abs(x - 64) < y - 6) & (y < 90)
    quarter = (y // (ROWS // 2) == view // 2) & (x // (COLUMNS // 2) == view % 2)
    blocks = np.kron(rng.integers(20, 120, (ROWS // 8, COLUMNS // 8)), np.ones((8, 8), np.int64))
    gray = rng.integers(10, 30, (FRAMES, ROWS, COLUMNS)) + blocks + 90 * quarter
    return np.repeat((gray * fan).astype(np.uint8)[..., None], 3, axis=-1)


def _clip(site: str, patient: int, uid: str, pictures: np.ndarray[Any, np.dtype[np.uint8]]) -> Dataset:
    dataset, region = Dataset(), Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = UltrasoundMultiFrameImageStorage if len(pictures) > 1 else UltrasoundImageStorage
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = uid, f"1.2.3.{ord(site)}.{patient}"
    dataset.SeriesInstanceUID = f"{uid}.1"
    dataset.Modality, dataset.PatientID, dataset.StudyDate = "US", f"{site}-{patient}", f"2020030{patient + 1}"
    dataset.Manufacturer, dataset.FrameTime = "Philips Medical Systems", "40"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pictures.shape[:3]
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.PhotometricInterpretation = 3, 0, "RGB"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 16, 4
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 111, 91
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.05
    dataset.SequenceOfUltrasoundRegions = [region]
    dataset.PixelData = pictures.tobytes()
    dataset["PixelData"].VR = "OB"
    return dataset
