"""Small ultrasound files, written in every syntax and with every fault the tests need. All pictures are synthetic."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

ROWS, COLUMNS = 96, 128
BOX = (16, 8, 111, 87)  # x0, y0, x1, y1 of the region, last pixels included
NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def speckle_frames(n: int = 6, *, seed: int = 0, colour: bool = False) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB `(n, ROWS, COLUMNS, 3)`: a fan of moving speckle in the region, and a caption beside it."""
    draw = np.random.default_rng(seed)
    y, x = np.indices((ROWS, COLUMNS))
    fan = (np.abs(x - 64) < 0.6 * (y - 8)) & (np.hypot(x - 64, y - 8) < 76)
    gray = np.zeros((n, ROWS, COLUMNS), np.uint8)
    for index in range(n):
        gray[index][fan] = np.clip(draw.gamma(2.0, 40.0, int(fan.sum())), 20, 255)
    pictures = np.repeat(gray[..., None], 3, axis=-1)
    if colour:
        jet = fan & (np.hypot(x - 64, y - 50) < 14)
        pictures[:, jet] = (230, 30, 20)
        pictures[:, jet & (x > 64)] = (20, 40, 230)
    pictures[:, 2:6, 4:60:2] = 255  # outside the region, as a name would be
    return pictures


def region(box: tuple[int, int, int, int] = BOX, *, form: int = 1, data: int = 1, delta: float = 0.05) -> Dataset:
    """Return one item of the Sequence of Ultrasound Regions; `delta` is in centimetres a pixel."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = form, data, 0
    names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    for name, value in zip(names, box, strict=True):
        setattr(item, name, value)
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = delta
    return item


def dataset(pictures: npt.NDArray[np.uint8], syntax: str = ExplicitVRLittleEndian, **tags: Any) -> Dataset:
    """Return a whole clip; a tag given as None is left out."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = UID(syntax)
    n, rows, columns = pictures.shape[:3]
    header.SOPClassUID = UltrasoundMultiFrameImageStorage if n > 1 else UltrasoundImageStorage
    header.SOPInstanceUID, header.StudyInstanceUID, header.SeriesInstanceUID = "1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"
    header.Modality, header.PatientID, header.StudyDate = "US", "TEST-1", "20200229"
    header.Manufacturer, header.FrameTime = "Philips Medical Systems", "25.0"
    header.Rows, header.Columns, header.NumberOfFrames = rows, columns, n
    header.SamplesPerPixel, header.PlanarConfiguration, header.PhotometricInterpretation = 3, 0, "RGB"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 8, 8, 7, 0
    header.SequenceOfUltrasoundRegions = [region()]
    raw = pictures.tobytes()
    header.PixelData = raw + b"\0" * (len(raw) % 2)
    header["PixelData"].VR = "OB"
    if syntax == JPEGBaseline8Bit:
        frames = [simplejpeg.encode_jpeg(np.ascontiguousarray(p), quality=95, colorsubsampling="422") for p in pictures]
        header.PixelData, header.PhotometricInterpretation = encapsulate(frames), "YBR_FULL_422"
        header["PixelData"].is_undefined_length = True
    elif syntax not in NATIVE:
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.compress(UID(syntax), generate_instance_uid=False)
    for name, value in tags.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    return header


def encoded(header: Dataset, *, preamble: bool = True) -> bytes:
    """Return the file's bytes."""
    buffer = BytesIO()
    dcmwrite(buffer, header, enforce_file_format=True)
    raw = buffer.getvalue()
    return raw if preamble else raw[132:]


def write(
    path: Path, pictures: npt.NDArray[np.uint8] | None = None, syntax: str = ExplicitVRLittleEndian, **tags: Any
) -> Path:
    """Write one clip and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(dataset(speckle_frames() if pictures is None else pictures, syntax, **tags)))
    return path
