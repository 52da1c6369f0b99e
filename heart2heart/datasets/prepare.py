"""Turns one file of a data set into frames of the geometry of the store, in a worker process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.datasets.file_readers import READERS, DecodedFile
from heart2heart.datasets.manifest import DatasetFile, clip_id
from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.errors import DicomError
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import StatusCode
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.geometry import Geometry, Resampler
from heart2heart.store.quality import difference_hash, frame_quality
from heart2heart.store.sector import bounding_box

_BATCH_FRAMES = 8  # frames resampled at a time, so that they stay in the cache
_PADDING = 12  # highest gray level of padding; compression leaves traces below it
_MIN_HASH_SHAPE = (8, 9)  # rows and columns that a difference hash needs


@dataclass(frozen=True)
class PreparedFile:
    """Result of one file.

    Attributes:
        code: A code of `ingest.codes`.
        content: SHA-256 of the file's bytes, its companions' included, if they could be read.
        clip: Row of the clips table; None when the clip is in the store already, or the file was refused.
        pixels: uint8 `(n, N, N)`.
        frames: Rows of the frames table.
    """

    code: StatusCode
    content: str | None = None
    clip: dict[str, Any] | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    frames: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class FilePreparer:
    """Turns a file into frames; a bad file gives a status code, not an error. It can be pickled for a process.

    Attributes:
        source: Name of the data set, which is also the site's.
        geometry: Of the store.
        rule: Frames to keep of a sequence.
    """

    source: str
    geometry: Geometry
    rule: str

    def __call__(self, work: tuple[DatasetFile, str | None]) -> PreparedFile:
        """Prepare one file.

        Args:
            work: The item, and the content that its clip has in the store if it is there already.
        """
        item, known = work
        try:
            content = _content_sha256(item)
            if known is not None:
                return PreparedFile(StatusCode.ACCEPTED if known == content else StatusCode.FAILED_CHANGED, content)
            return self._prepare(item, content, READERS[item.reader](item.path))
        except DicomError as error:
            return PreparedFile(error.code)
        except OSError:
            return PreparedFile(StatusCode.FAILED_UNREADABLE)
        except MemoryError:
            return PreparedFile(StatusCode.FAILED_MEMORY)
        except DECODE_ERRORS:
            return PreparedFile(StatusCode.FAILED_INTERNAL)

    def _prepare(self, item: DatasetFile, content: str, pictures: DecodedFile) -> PreparedFile:
        count, height, width = pictures.pixels.shape
        kept = FrameRule.parse(self.rule).choose(count, [position for position in item.phases if position < count])
        pixels = resample_to_square(pictures.pixels[kept], self.geometry, pictures.spacing_mm)
        inside = pixels.max(axis=0) > 0
        quality, hashes = frame_quality(pixels, inside), difference_hash(_content_box(pixels))
        spacing = pictures.spacing_mm
        row = {
            "clip": clip_id(self.source, item.key), "site": self.source, "patient": item.patient, "study": item.study,
            "content": content, "source": self.source, "synthetic": False, "mode": ClipMode.B_MODE, "rows": height,
            "columns": width, "n_source": count, "spacing_mm": None if spacing is None else list(spacing),
            "frame_time_ms": item.frame_time_ms, "age": item.age, "sex": item.sex, "quality": float(quality.mean()),
            "flags": [],
        }  # fmt: skip
        step = item.frame_time_ms
        frames = [
            {
                "index": item.index + position,
                "time_ms": None if step is None else position * step,
                "phase": item.phases.get(position),
                "quality": float(score),
                "dhash": int(code),
            }
            for position, score, code in zip(kept.tolist(), quality, hashes, strict=True)
        ]
        return PreparedFile(StatusCode.ACCEPTED, content, row, pixels, tuple(frames))


def resample_to_square(
    pictures: npt.NDArray[np.uint8], geometry: Geometry, spacing: tuple[float, float] | None = None
) -> npt.NDArray[np.uint8]:
    """Return uint8 `(n, N, N)` for uint8 `(n, height, width)`: square pixels, longest side N, padded with zeros.

    Square pictures of N pixels have the geometry already and are returned as they are.

    Args:
        pictures: The pictures.
        geometry: Of the frames.
        spacing: Size of a pixel down the rows and along the columns; None for square pixels.
    """
    down, along = spacing or (1.0, 1.0)
    _, height, width = pictures.shape
    if height == width == geometry.size and down == along:
        return pictures
    resample = Resampler(height, width, geometry, (down, along))
    parts = [resample(pictures[start : start + _BATCH_FRAMES]) for start in range(0, len(pictures), _BATCH_FRAMES)]
    return np.concatenate(parts)


def _content_box(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Crop the padding, which all frames share and which would make different pictures look alike.

    Compression leaves faint traces in the padding of a file, so padding is what is nearly black. Frames without a
    brighter pixel are not cropped.
    """
    inside = frames.max(axis=0) > _PADDING
    if not inside.any():
        return frames
    _, _, right, bottom = bounding_box(inside)
    return frames[:, : max(bottom, _MIN_HASH_SHAPE[0]), : max(right, _MIN_HASH_SHAPE[1])]


def _content_sha256(item: DatasetFile) -> str:
    """Return the SHA-256 of the bytes of the file and its companions."""
    total = hashlib.sha256()
    for path in (item.path, *item.companions):
        total.update(path.read_bytes())
    return total.hexdigest()
