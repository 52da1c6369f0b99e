"""Maps beside predictions: written and read back, bound to their predictions, and refused when damaged."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from heart2heart.errors import EvaluationError
from heart2heart.schema.saliency import SALIENCY, SALIENCY_FILE, Saliency, SaliencyInfo, decode_gray
from heart2heart.utils import encode_png


def make_saliency() -> Saliency:
    rng = np.random.default_rng(0)
    maps = {row: rng.integers(0, 256, (12, 12), dtype=np.uint8) for row in (3, 40)}
    return Saliency(SaliencyInfo(predictions_sha256="ab" * 32, method="By hand."), maps)


def test_saliency_is_read_back_for_its_own_predictions_only(tmp_path: Path) -> None:
    saliency = make_saliency()
    saliency.write(tmp_path)
    again = Saliency.read(tmp_path, "ab" * 32)
    assert again is not None
    assert again.info == saliency.info
    assert again.maps.keys() == saliency.maps.keys()
    assert all((again.maps[row] == saliency.maps[row]).all() for row in saliency.maps)
    assert Saliency.read(tmp_path, "cd" * 32) is None
    assert Saliency.read(tmp_path / "nowhere", "ab" * 32) is None


def test_saliency_refuses_other_files(tmp_path: Path) -> None:
    saliency = make_saliency()
    saliency.write(tmp_path)
    path = tmp_path / SALIENCY_FILE
    metadata = pq.read_schema(path).metadata
    newer = {key: value.replace(b'"schema_version":1', b'"schema_version":9') for key, value in metadata.items()}
    for metadata_of_case, content, message in (
        (newer, b"", "another schema version"),
        (metadata, b"not a picture", "damaged"),
        ({}, b"", "damaged"),
    ):
        table = pa.table([pa.array([1]), pa.array([content], pa.binary())], schema=SALIENCY)
        pq.write_table(table.replace_schema_metadata(metadata_of_case), path)
        with pytest.raises(EvaluationError, match=message):
            Saliency.read(tmp_path, "ab" * 32)
    path.write_bytes(b"PAR1")
    with pytest.raises(EvaluationError, match="damaged"):
        Saliency.read(tmp_path, "ab" * 32)


@given(st.binary(max_size=300))
def test_decode_gray_returns_a_picture_or_nothing(content: bytes) -> None:
    assert decode_gray(content) is None
    assert decode_gray(b"\x89PNG\r\n\x1a\n" + content) is None


def test_decode_gray_refuses_colour_and_large_pictures() -> None:
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    decoded = decode_gray(encode_png(gray))
    assert decoded is not None
    assert (decoded == gray).all()
    assert decode_gray(encode_png(np.zeros((3, 4, 3), np.uint8))) is None
    wide = io.BytesIO()
    Image.new("L", (3000, 1)).save(wide, "PNG")
    assert decode_gray(wide.getvalue()) is None
