"""Reads the files of public data sets: PNG, volumes and videos to gray frames, CSV tables to columns of text."""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from heart2heart.dicom.video import open_video, video_errors
from heart2heart.errors import DicomError, LabelError, MissingInputError, UnknownNameError
from heart2heart.schema.status import StatusCode
from heart2heart.schema.views import translate_label

MAX_SIDE = 8192
MAX_FRAMES = 20_000
_NIFTI_HEADER_BYTES = 352  # of NIfTI-1, before the voxels


@dataclass(frozen=True)
class DecodedFile:
    """The frames of one file.

    Attributes:
        pixels: uint8 `(n, height, width)`, at least one frame.
        spacing_mm: Size of a pixel down the rows and along the columns, or None where the file says nothing.
    """

    pixels: npt.NDArray[np.uint8]
    spacing_mm: tuple[float, float] | None = None


def read_png(path: Path) -> DecodedFile:
    """Read one PNG; colours become luma (ITU-R BT.601).

    Raises:
        DicomError: `failed:empty`, `failed:decode`, `failed:bounds` or `failed:layout` (16 bits).
    """
    from PIL import Image

    _require_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `failed:bounds` says it
            with Image.open(path, formats=("PNG",)) as image:
                if max(image.size) > MAX_SIDE:
                    raise DicomError(f"a side of over {MAX_SIDE} pixels", code=StatusCode.FAILED_BOUNDS)
                if image.mode.startswith("I"):
                    raise DicomError("a PNG of 16 bits, where 8 were expected", code=StatusCode.FAILED_LAYOUT)
                pixels = np.asarray(image if image.mode == "L" else image.convert("L"), np.uint8)
    except DicomError:
        raise
    except Image.DecompressionBombError:
        raise DicomError(f"a side of over {MAX_SIDE} pixels", code=StatusCode.FAILED_BOUNDS) from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error):
        raise DicomError("this PNG cannot be decoded", code=StatusCode.FAILED_DECODE) from None
    return DecodedFile(pixels[None])


def read_volume(path: Path) -> DecodedFile:
    """Read one NIfTI or MetaImage file of a picture or a sequence, with its spacing.

    Raises:
        DicomError: `failed:empty`, `failed:decode`, `failed:truncated`, `failed:bounds`, or `failed:layout` (colours,
            gray levels outside 0 to 255, a spacing that cannot be).
    """
    import SimpleITK

    _require_bytes(path)
    sitk: Any = SimpleITK  # its functions carry no types
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        size = reader.GetSize()
        frames = int(np.prod(size[2:]))
        if max(size[:2]) > MAX_SIDE or frames > MAX_FRAMES:
            raise DicomError("a size beyond any echocardiogram's", code=StatusCode.FAILED_BOUNDS)
        image = reader.Execute()
        values = np.asarray(sitk.GetArrayFromImage(image))
        if _stored_bytes(path) < values.nbytes:  # SimpleITK silently fills missing bytes with zeros
            raise DicomError("this image is cut short", code=StatusCode.FAILED_TRUNCATED)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DicomError("this image is cut short or damaged", code=StatusCode.FAILED_TRUNCATED) from None
    except RuntimeError:
        raise DicomError("this image cannot be decoded", code=StatusCode.FAILED_DECODE) from None
    if image.GetNumberOfComponentsPerPixel() != 1 or values.ndim not in (2, 3) or not values.size:
        raise DicomError("not a gray picture or a sequence of such", code=StatusCode.FAILED_LAYOUT)
    if values.dtype != np.uint8:
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
            raise DicomError("gray levels outside 0 to 255", code=StatusCode.FAILED_LAYOUT)
        values = np.rint(values).astype(np.uint8)
    along, down = image.GetSpacing()[:2]
    if not (0 < down < 1e3 and 0 < along < 1e3 and 0.1 <= down / along <= 10):
        raise DicomError("a spacing that cannot be", code=StatusCode.FAILED_LAYOUT)
    return DecodedFile(values.reshape(-1, *values.shape[-2:]), (float(down), float(along)))


def read_video(path: Path) -> DecodedFile:
    """Read every frame of a video; colours become gray as the decoder's luma.

    Raises:
        DicomError: `failed:no_decoder` without PyAV, `failed:empty`, `failed:decode`, `failed:bounds`.
    """
    _require_bytes(path)
    frames: list[npt.NDArray[np.uint8]] = []
    with path.open("rb") as stream, open_video(stream) as container:
        try:
            for frame in container.decode(video=0):
                if max(frame.height, frame.width) > MAX_SIDE or len(frames) >= MAX_FRAMES:
                    raise DicomError("a size beyond any echocardiogram's", code=StatusCode.FAILED_BOUNDS)
                frames.append(np.asarray(frame.to_ndarray(format="gray"), np.uint8))
        except DicomError:
            raise
        except video_errors():
            raise DicomError("this video cannot be decoded", code=StatusCode.FAILED_DECODE) from None
    if not frames or any(frame.shape != frames[0].shape for frame in frames):
        raise DicomError("no frame, or frames of several sizes", code=StatusCode.FAILED_DECODE)
    return DecodedFile(np.stack(frames))


def _stored_bytes(path: Path) -> int:
    """Return the bytes of a volume as stored, unpacked and checked if gzipped; a MetaImage's lie in its .raw."""
    if path.suffix != ".gz":
        header = _NIFTI_HEADER_BYTES if path.suffix == ".nii" else 0
        return (path.with_suffix(".raw") if path.suffix == ".mhd" else path).stat().st_size - header
    total = -_NIFTI_HEADER_BYTES
    with gzip.open(path) as handle:
        while part := handle.read(2**20):
            total += len(part)
    return total


def _require_bytes(path: Path) -> None:
    """Refuse an empty file, which has its own code."""
    if not path.stat().st_size:
        raise DicomError("this file has no bytes", code=StatusCode.FAILED_EMPTY)


READERS: Mapping[str, Callable[[Path], DecodedFile]] = {"png": read_png, "volume": read_volume, "video": read_video}
"""How a file is read, by the name in its item."""


def read_csv(path: Path, columns: Sequence[str], *, remedy: str) -> dict[str, list[str]]:
    """Read columns of a CSV (or .csv.gz) file as text, without blanks around it.

    Args:
        path: The file.
        columns: Names that must be there.
        remedy: What to do when the file is not as it should be.

    Raises:
        MissingInputError: no such file.
        LabelError: not UTF-8, rows of different lengths, no rows, or a column is missing.
    """
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()), include_columns=list(columns), strings_can_be_null=False
    )
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except FileNotFoundError as error:
        raise MissingInputError("a table of the data set is missing", where=path, remedy=remedy) from error
    except (pa.ArrowKeyError, KeyError) as error:
        what = f"this table lacks a column; needed: {', '.join(columns)}"
        raise LabelError(what, where=path, remedy=remedy) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        again = "It may be cut short: get it again from the data set's home"
        raise LabelError("this table is not readable CSV in UTF-8", where=path, remedy=again) from error
    return {name: [value.strip() for value in table[name].to_pylist()] for name in columns}


class ViewTranslator:
    """Translates the view names of a data set, and counts those without a view.

    Args:
        vocabulary: A name of `views.MAPPINGS`.
    """

    def __init__(self, vocabulary: str) -> None:
        self.vocabulary = vocabulary
        self.unknown: Counter[str] = Counter()

    def translate(self, word: str) -> str | None:
        """Return the view, or None for a word without a view or outside the vocabulary."""
        try:
            return translate_label(word, self.vocabulary)
        except UnknownNameError:
            self.unknown[word] += 1
            return None

    def notes(self) -> list[str]:
        """Return a sentence about unknown words, if there were any."""
        if not self.unknown:
            return []
        shown = ", ".join(f"{word[:32]!r} ({number})" for word, number in self.unknown.most_common(5))
        total = sum(self.unknown.values())
        return [f"{total} labels are outside the vocabulary and left out; their frames stay unlabeled: {shown}"]


def merge_labels(into: dict[str, str | None], more: Mapping[str, str | None], *, where: Path) -> None:
    """Merge labels of two tables; a file without a label in one takes that of the other.

    Raises:
        LabelError: two tables name two views for one file.
    """
    clashes = [key for key, view in more.items() if view and into.get(key) and into[key] != view]
    if clashes:
        what = f"labels contradict: {len(clashes)} files have another view in another table, e.g. {clashes[0]}"
        raise LabelError(what, where=where, remedy="Get that table again from the data set's home")
    for key, view in more.items():
        if view or key not in into:
            into[key] = view
