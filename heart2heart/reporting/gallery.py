"""Selects the sample frames of the report, and colours them where the model looked."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.saliency import Map, Saliency, decode_gray
from heart2heart.utils import encode_png

COLOUR = (255, 140, 0)
"""Colour of the most important part, RGB: orange, which all common kinds of colour vision tell from gray."""
MOST_COLOUR = 0.65
"""Share of that colour there."""

_PNG = b"\x89PNG\r\n\x1a\n"
GALLERY_RULE = (
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
        overlay: The same frame with what the model looked at; empty without a map.
    """

    kind: str
    truth: str
    predicted: str
    probability: float
    image: str
    overlay: str = ""


def choose_tiles(predictions: Predictions, run: str, saliency: Saliency | None = None) -> dict[str, list[GalleryTile]]:
    """Select frames of one run by `GALLERY_RULE`.

    Args:
        predictions: Predictions with their provenance.
        run: Name of the run.
        saliency: Maps of the pictures.

    Returns:
        Tiles by site in the order of the provenance, without sites that have no pictures.
    """
    classes = predictions.provenance.classes
    table = predictions.table.append_column("row", [np.arange(len(predictions.table))])
    of_run = pc.and_(pc.equal(table["run"], run), pc.equal(table["role"], PredictionRole.TEST))
    table = table.filter(pc.and_(of_run, pc.and_(pc.is_valid(table["image"]), pc.is_valid(table["truth"]))))
    chances = np.exp(log_probabilities(predictions.logits[table["row"].to_numpy()]))
    rows = table.select(["row", "site", "patient", "frame", "truth", "image"]).to_pylist()
    candidates = [
        (row, classes[int(chance.argmax())], float(chance.max())) for row, chance in zip(rows, chances, strict=True)
    ]
    candidates.sort(key=lambda item: (-item[2], item[0]["frame"]))
    maps = saliency.maps if saliency else {}
    sites = {}
    for info in predictions.provenance.sites:
        site_candidates = [
            item for item in candidates if item[0]["site"] == info.site and item[0]["image"].startswith(_PNG)
        ]
        tiles = [
            tile for kind, most in _TILES_BY_KIND for tile in _tiles_of_kind(site_candidates, kind, most, classes, maps)
        ]
        if tiles:
            sites[info.site] = tiles
    return sites


def _tiles_of_kind(
    candidates: Sequence[tuple[dict[str, Any], str, float]],
    kind: str,
    most: int,
    classes: Sequence[str],
    maps: Mapping[int, Map],
) -> list[GalleryTile]:
    tiles: list[GalleryTile] = []
    seen: set[str] = set()
    for row, predicted, probability in candidates:
        truth = row["truth"]
        row_kind = "outside" if truth not in classes else "success" if truth == predicted else "failure"
        if row_kind != kind or row["patient"] in seen or len(tiles) == most:
            continue
        seen.add(row["patient"])
        uri, overlay = _data_uri(row["image"]), ""
        if row["row"] in maps:
            overlay = draw_overlay(row["image"], maps[row["row"]])
        tiles.append(GalleryTile(kind, truth, predicted, probability, uri, overlay))
    return tiles


def draw_overlay(image: bytes, importance: Map) -> str:
    """Colour a frame where the model looked, and return the data URI of the PNG.

    Args:
        image: Gray PNG of the frame.
        importance: uint8 `(height, width)`, 255 where the frame matters most.

    Returns:
        The data URI; empty if the picture is none, or of another size than the map.
    """
    gray = decode_gray(image)
    if gray is None or gray.shape != importance.shape:
        return ""
    share = MOST_COLOUR * (importance.astype(np.float64) / 255)[..., None]
    coloured = (1 - share) * gray[..., None] + share * np.array(COLOUR)
    return _data_uri(encode_png(coloured.round().astype(np.uint8)))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
