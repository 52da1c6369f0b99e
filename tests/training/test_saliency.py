"""Occlusion maps of a model that is known to look at one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heart2heart.schema.predictions import PREDICTIONS, Predictions
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.saliency import occlusion_map, saliency_maps
from heart2heart.utils import encode_png
from tests.evaluation.factory import HOSPITALS, make_predictions


@dataclass(frozen=True)
class CornerModel:
    """Calls a frame `bright` if its upper left quarter is bright."""

    name: str = "corner"
    classes: tuple[str, ...] = ("bright", "dark")
    scale: float = 0.1

    def predict_at(self, pixels: npt.NDArray[np.uint8], sites: Sequence[str]) -> npt.NDArray[np.float32]:
        size = pixels.shape[1] // 2
        corner = pixels[:, :size, :size].astype(np.float32).mean((1, 2)) - 100
        return np.stack([self.scale * corner, -self.scale * corner], 1)


def test_occlusion_map_shows_the_place_that_the_model_reads() -> None:
    frame = np.full((56, 56), 20, np.uint8)
    frame[:28, :28] = 110
    importance = occlusion_map(CornerModel(), frame, "A")
    assert importance.shape == frame.shape
    assert importance.dtype == np.uint8
    assert importance.max() == 255
    assert importance[4:20, 4:20].min() > 100
    assert importance[44:, 44:].max() < 10


def test_occlusion_map_is_empty_where_no_place_matters() -> None:
    assert occlusion_map(CornerModel(scale=0.0), np.full((56, 56), 90, np.uint8), "A").max() == 0


def test_saliency_maps_asks_the_model_that_made_the_prediction(tiny: TinyStore) -> None:
    store = FrameStore.open(tiny.store)
    frames = store.frames.slice(0, 2)
    pixels = store.read(frames["row"].to_numpy().astype(np.int64))
    models = (CornerModel(scale=0.0), CornerModel(scale=0.5))
    rows = [
        {
            "run": "r", "site": "A", "patient": "p", "study": "s", "clip": "c", "frame": name, "index": index,
            "mode": "b_mode", "maker": None, "quality": 1.0, "role": "test", "truth": "bright",
            "logits": models[1].predict_at(pixels[index : index + 1], ["A"])[0].tolist(),
            "image": encode_png(pixels[index]) if index else None,
        }
        for index, name in enumerate(frames["frame"].to_pylist())
    ]  # fmt: skip
    provenance = make_predictions(hospitals=HOSPITALS[:1]).provenance.model_copy(update={"classes": ("bright", "dark")})
    predictions = Predictions(pa.Table.from_pylist(rows, schema=PREDICTIONS), provenance)
    maps = saliency_maps(models, predictions, store, "r")
    assert list(maps) == [1]  # only the row with a picture
    np.testing.assert_array_equal(maps[1], occlusion_map(models[1], pixels[1], "A"))
    assert saliency_maps(models, predictions, store, "another run") == {}
