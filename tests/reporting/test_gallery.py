"""The selection rule of the gallery, and its overlays; bytes that are not a PNG are ignored."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from heart2heart.reporting.gallery import COLOUR, MOST_COLOUR, choose_tiles, draw_overlay
from heart2heart.reporting.writer import write_report
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.saliency import Saliency, SaliencyInfo
from heart2heart.utils import encode_png
from tests.evaluation.factory import with_rows


def test_choose_tiles_puts_the_most_confident_first(predictions: Predictions) -> None:
    sites = choose_tiles(predictions, "fix-0")
    classes = predictions.provenance.classes
    assert list(sites) == ["north", "east", "south", "west"]
    for tiles in sites.values():
        for kind, most in (("failure", 4), ("success", 3), ("outside", 2)):
            chances = [tile.probability for tile in tiles if tile.kind == kind]
            assert len(chances) <= most
            assert chances == sorted(chances, reverse=True)
        for tile in tiles:
            assert (tile.kind == "outside") == (tile.truth not in classes)
            assert (tile.kind == "success") == (tile.truth == tile.predicted)
            assert base64.b64decode(tile.image.partition(",")[2]).startswith(b"\x89PNG")


def test_choose_tiles_ignores_bytes_that_are_no_png(predictions: Predictions) -> None:
    rows = [
        row | {"image": b"<svg onload=alert(1)>" if row["image"] else None} for row in predictions.table.to_pylist()
    ]
    assert choose_tiles(with_rows(predictions, rows), "fix-0") == {}


def test_draw_overlay_colours_the_important_part() -> None:
    gray = np.full((8, 8), 100, np.uint8)
    importance = np.zeros((8, 8), np.uint8)
    importance[:4] = 255
    uri = draw_overlay(encode_png(gray), importance)
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        pixels = np.array(image)
    assert (pixels[4:] == 100).all()
    expected = np.round((1 - MOST_COLOUR) * 100 + MOST_COLOUR * np.array(COLOUR))
    assert (pixels[:4] == expected).all()
    assert draw_overlay(encode_png(gray), importance[:, :4]) == ""
    assert draw_overlay(b"GIF89a", importance) == ""


def test_choose_tiles_adds_the_overlay_of_its_row(predictions: Predictions, metrics: Metrics, tmp_path: Path) -> None:
    rows = predictions.table.to_pylist()
    position = next(i for i, row in enumerate(rows) if row["run"] == "fix-0" and row["image"] and row["role"] == "test")
    maps = {i: np.full((112, 112), 255, np.uint8) for i in range(position, len(rows)) if rows[i]["image"]}
    saliency = Saliency(SaliencyInfo(predictions_sha256="0", method="By hand."), maps)
    tiles = [tile for site in choose_tiles(predictions, "fix-0", saliency).values() for tile in site]
    assert any(tile.overlay for tile in tiles)
    assert not any(tile.overlay for site in choose_tiles(predictions, "fix-0").values() for tile in site)
    text = write_report(predictions, metrics, tmp_path / "report.html", saliency=saliency).read_text(encoding="utf-8")
    assert text.count("synthetic frame; in orange") == sum(bool(tile.overlay) for tile in tiles)
    assert "By hand. It shows where the answer came from" in text
