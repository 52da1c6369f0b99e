"""Sample frames of the report, selected by a fixed rule."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions

_PNG = b"\x89PNG\r\n\x1a\n"
RULE = (
    "Among the frames with a stored picture: the most confident errors, then the most confident correct predictions, "
    "then the most confident predictions on other views; at most one frame of each kind per patient."
)
_TILES_BY_KIND = (("failure", 4), ("success", 3), ("outside", 2))


@dataclass(frozen=True)
class GalleryTile:
    """One frame of the gallery.

    Attributes:
        kind: `failure`, `success` or `outside`.
        truth: True view.
        predicted: Predicted view.
        probability: Probability of the predicted view.
        image: Data URI of the PNG.
    """

    kind: str
    truth: str
    predicted: str
    probability: float
    image: str


def choose_tiles(predictions: Predictions, run: str) -> dict[str, list[GalleryTile]]:
    """Select frames of one run by `RULE`.

    Returns:
        Tiles by site in the order of the provenance, without sites that have no pictures.
    """
    classes = predictions.provenance.classes
    table = predictions.table.append_column("row", [np.arange(len(predictions.table))])
    of_run = pc.and_(pc.equal(table["run"], run), pc.equal(table["role"], PredictionRole.TEST))
    table = table.filter(pc.and_(of_run, pc.and_(pc.is_valid(table["image"]), pc.is_valid(table["truth"]))))
    chances = np.exp(log_probabilities(predictions.logits[table["row"].to_numpy()]))
    rows = table.select(["site", "patient", "frame", "truth", "image"]).to_pylist()
    candidates = [
        (row, classes[int(chance.argmax())], float(chance.max())) for row, chance in zip(rows, chances, strict=True)
    ]
    candidates.sort(key=lambda item: (-item[2], item[0]["frame"]))
    sites = {}
    for info in predictions.provenance.sites:
        site_candidates = [
            item for item in candidates if item[0]["site"] == info.site and item[0]["image"].startswith(_PNG)
        ]
        tiles = [tile for kind, most in _TILES_BY_KIND for tile in _of_kind(site_candidates, kind, most, classes)]
        if tiles:
            sites[info.site] = tiles
    return sites


def _of_kind(
    candidates: Sequence[tuple[dict[str, Any], str, float]], kind: str, most: int, classes: Sequence[str]
) -> list[GalleryTile]:
    tiles: list[GalleryTile] = []
    seen: set[str] = set()
    for row, predicted, probability in candidates:
        truth = row["truth"]
        row_kind = "outside" if truth not in classes else "success" if truth == predicted else "failure"
        if row_kind != kind or row["patient"] in seen or len(tiles) == most:
            continue
        seen.add(row["patient"])
        uri = "data:image/png;base64," + base64.b64encode(row["image"]).decode("ascii")
        tiles.append(GalleryTile(kind, truth, predicted, probability, uri))
    return tiles
