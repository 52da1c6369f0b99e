"""`saliency.parquet`: maps of what a model looked at, for the pictures of a predictions file."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.config import Config
from heart2heart.errors import EvaluationError
from heart2heart.utils import atomic_path, encode_png

SALIENCY_SCHEMA_VERSION = 1
SALIENCY_FILE = "saliency.parquet"

SALIENCY = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # row of the predictions, whose `image` the map belongs to
        pa.field("map", pa.binary(), nullable=False),  # gray PNG of the size of the image; 255: most important
    ]
)

MOST_MAPS, MOST_BYTES, MOST_SIDE = 10_000, 2**21, 2048
"""Largest number of maps; largest size of one, bytes; longest side, pixels."""

_KEY = b"heart2heart-saliency"

Map = npt.NDArray[np.uint8]


class SaliencyInfo(Config):
    """What the maps are."""

    schema_version: int = SALIENCY_SCHEMA_VERSION
    """Version of this layout."""
    predictions_sha256: str
    """Hash of the predictions that they belong to."""
    method: str
    """How they were made, in a sentence for readers."""


@dataclass(frozen=True)
class Saliency:
    """Maps by row of the predictions.

    Attributes:
        info: What they are.
        maps: By row uint8 `(height, width)`, 0 to 255.
    """

    info: SaliencyInfo
    maps: dict[int, Map]

    def write(self, folder: Path) -> None:
        """Write `saliency.parquet` into a folder, whole or not at all."""
        rows = sorted(self.maps)
        columns = [pa.array(rows, pa.int64()), pa.array([encode_png(self.maps[row]) for row in rows], pa.binary())]
        table = pa.table(columns, schema=SALIENCY).replace_schema_metadata({_KEY: self.info.model_dump_json()})
        with atomic_path(folder / SALIENCY_FILE) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    @classmethod
    def read(cls, folder: Path, predictions_sha256: str) -> Saliency | None:
        """Read the maps beside predictions; None if there are none, or if they belong to other predictions.

        Raises:
            EvaluationError: damaged, of another schema version, or too large.
        """
        path, remedy = folder / SALIENCY_FILE, "Run `heart2heart evaluate --saliency` again, or delete it"
        if not path.is_file():
            return None
        try:
            schema = pq.read_schema(path)
            info = SaliencyInfo.parse(json.loads((schema.metadata or {})[_KEY]), where=path)
            if info.schema_version != SALIENCY_SCHEMA_VERSION:
                raise EvaluationError("these maps have another schema version", where=path, remedy=remedy)
            if info.predictions_sha256 != predictions_sha256:
                return None
            if pq.read_metadata(path).num_rows > MOST_MAPS:
                raise EvaluationError("these are too many maps", where=path, remedy=remedy)
            table = pq.read_table(path, page_checksum_verification=True).select(SALIENCY.names).cast(SALIENCY)
            rows, stored = (table[name].to_pylist() for name in SALIENCY.names)
            return cls(info, {row: _decode(content) for row, content in zip(rows, stored, strict=True)})
        except EvaluationError:
            raise
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise EvaluationError("these maps are damaged", where=path, remedy=remedy) from error


def _decode(content: bytes) -> Map:
    pixels = decode_gray(content)
    if pixels is None:
        raise ValueError("a map is no gray PNG, or too large")
    return pixels


def decode_gray(content: bytes) -> Map | None:
    """Return a gray PNG as uint8 `(height, width)`; None if it is none, or too large.

    Examples:
        >>> decode_gray(encode_png(np.zeros((2, 3), np.uint8))).shape, decode_gray(b"GIF89a")
        ((2, 3), None)
    """
    from PIL import Image, UnidentifiedImageError

    if len(content) > MOST_BYTES:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.mode != "L" or max(image.size) > MOST_SIDE:
                return None
            pixels: Map = np.array(image, np.uint8)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError):
        return None
    return pixels
