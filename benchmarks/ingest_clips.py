"""The files that `benchmarks.ingest` reads: simulated clips in every syntax, and copies with contents of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from heart2heart.synthetic.dicom_file import set_pixel_data
from heart2heart.synthetic.image_formation import render_clip
from heart2heart.synthetic.patient import SyntheticPatient
from heart2heart.synthetic.presets import four_hospitals

SYNTAXES = {
    "JPEG baseline": JPEGBaseline8Bit,
    "RLE": RLELossless,
    "native": ExplicitVRLittleEndian,
    "native, big endian": ExplicitVRBigEndian,
    "palette, native": ExplicitVRLittleEndian,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}
"""Those that the installed libraries can also write."""

_PUT = {"JPEG baseline": "jpeg", "RLE": "rle", "palette, native": "palette"}


def simulated_clip(path: Path, name: str, *, n: int = 40, rows: int = 480, columns: int = 640) -> Path:
    """Write one synthetic clip in the syntax called `name` and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = four_hospitals()[0].machine.model_copy(update={"rows": rows, "columns": columns})
    gray = render_clip("A4C", SyntheticPatient(), machine, n, np.random.default_rng(0))
    _write(path, gray, SYNTAXES[name], _PUT.get(name, "native"))
    return path


def _write(path: Path, gray: npt.NDArray[np.uint8], syntax: UID, put: str) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID, dataset.Modality, dataset.PatientID = UltrasoundMultiFrameImageStorage, "US", "SYNTHETIC"
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
    dataset.NumberOfFrames, dataset.FrameTime, dataset.SyntheticData = len(gray), "33.3", "YES"
    rows, columns = gray.shape[1:]
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.RegionLocationMinX0, region.RegionLocationMinY0 = columns // 10, rows // 20
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = columns - columns // 10, rows - rows // 20
    dataset.SequenceOfUltrasoundRegions = [region]
    compressed = syntax in (JPEGBaseline8Bit, RLELossless)
    dataset.file_meta.TransferSyntaxUID = syntax if compressed else ExplicitVRLittleEndian
    set_pixel_data(dataset, gray, put)
    if syntax in (JPEGLSLossless, JPEG2000Lossless):
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    dcmwrite(path, dataset, enforce_file_format=True)


def renamed(path: Path, folder: Path, count: int) -> list[Path]:
    """Write `count` copies of a clip, each with an instance UID and so a content of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = dcmread(path)
    files = []
    for index in range(count):
        dataset.SOPInstanceUID = f"1.2.3.{index}"
        files.append(folder / f"{index}.dcm")
        dcmwrite(files[-1], dataset)
    return files


def many_small(root: Path, count: int) -> Path:
    """Write `count` small synthetic clips of two frames into folders of 500."""
    template = simulated_clip(root / "template", "JPEG baseline", n=2, rows=96, columns=128)
    mark = b"SYNTHETIC "
    raw = template.read_bytes()
    template.unlink()
    assert raw.count(mark) == 1
    for index in range(count):
        path = root / f"{index // 500:04d}" / f"{index % 500:03d}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw.replace(mark, b"S%09d" % index))
    return root


def structured_report(path: Path) -> Path:
    """Write a synthetic structured report, which an ingest leaves out by its header."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = ComprehensiveSRStorage, "1.2.3.4", "SR"
    dataset.ContentSequence = [Dataset() for _ in range(36)]
    for index, item in enumerate(dataset.ContentSequence):
        item.ValueType, item.TextValue = "TEXT", f"synthetic line {index}"
    dcmwrite(path, dataset, enforce_file_format=True)
    return path
