"""The selection rule of the gallery; bytes that are not a PNG are ignored."""

from __future__ import annotations

import base64

from heart2heart.reporting.page import choose_tiles
from heart2heart.schema.predictions import Predictions
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
