"""Sample frames: which are shown is a rule, so that nobody picks the flattering ones."""

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
    "Of the frames whose picture was kept: the most confident mistakes, then the most confident right answers, then "
    "the most confident calls on frames outside the scored views; at most one frame of a kind from each patient."
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
    """Choose the frames of one run by `RULE`.

    Returns:
        Tiles by site, in the order of the provenance; a site without pictures is left out.
    """
    classes = predictions.provenance.classes
    table = predictions.table.append_column("row", [np.arange(len(predictions.table))])
    wanted = pc.and_(pc.equal(table["run"], run), pc.equal(table["role"], PredictionRole.TEST))
    table = table.filter(pc.and_(wanted, pc.and_(pc.is_valid(table["image"]), pc.is_valid(table["truth"]))))
    chances = np.exp(log_probabilities(predictions.logits[table["row"].to_numpy()]))
    rows = table.select(["site", "patient", "frame", "truth", "image"]).to_pylist()
    candidates = [
        (row, classes[int(chance.argmax())], float(chance.max())) for row, chance in zip(rows, chances, strict=True)
    ]
    candidates.sort(key=lambda item: (-item[2], item[0]["frame"]))
    sites = {}
    for info in predictions.provenance.sites:
        here = [item for item in candidates if item[0]["site"] == info.site and item[0]["image"].startswith(_PNG)]
        tiles = [tile for kind, most in _TILES_BY_KIND for tile in _of_kind(here, kind, most, classes)]
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
        found = "outside" if truth not in classes else "success" if truth == predicted else "failure"
        if found != kind or row["patient"] in seen or len(tiles) == most:
            continue
        seen.add(row["patient"])
        uri = "data:image/png;base64," + base64.b64encode(row["image"]).decode("ascii")
        tiles.append(GalleryTile(kind, truth, predicted, probability, uri))
    return tiles
