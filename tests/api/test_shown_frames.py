"""No picture of a frame with suspected text is kept; what the model looked at lies beside the predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from heart2heart.api.evaluation import evaluate
from heart2heart.api.shown_frames import frames_with_text, without_text
from heart2heart.cli import app
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.reader_agreement import read_readers
from heart2heart.schema.saliency import Saliency
from heart2heart.store.frame_store import Frames, FrameStore
from heart2heart.store.text_review import TextReview
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run
from heart2heart.utils import encode_png


@dataclass(frozen=True)
class ReviewedStores:
    """Stores of which only the reviews are known."""

    text_review: TextReview


def written() -> np.ndarray:
    image = Image.new("L", (224, 224), 20)
    ImageDraw.Draw(image).text((20, 100), "DOE JOHN 1950-01-01", fill=255, font_size=20)
    return np.array(image, np.uint8)


def test_frames_with_text_finds_the_flag_and_the_letters() -> None:
    clean = np.full((224, 224), 20, np.uint8)
    clips = {"f1": "c1", "f2": "c2", "f3": "c3", "f4": "c4", "f5": "c5"}
    frames = {"f1": clean, "f2": written(), "f3": clean, "f4": written(), "f5": clean}
    review = TextReview(waiting=frozenset({"c1"}), cleared=frozenset({"c4"}), hidden=frozenset({"c5"}))
    assert frames_with_text(cast(Frames, ReviewedStores(review)), clips, frames) == {"f1", "f2", "f5"}


def test_evaluate_keeps_maps_and_readers_for_the_report(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    store = FrameStore.open(tiny.store)
    clip = store.clips["clip"].to_pylist()
    book = LabelStore(tmp_path / "labels.db")
    book.append([LabelEvent(name, "", "A4C", reader, "", "page") for name in clip for reader in ("one", "two")])
    folder = tmp_path / "e"
    metrics = evaluate(run, tiny.store, folder, replicates=100, labels=book.path, saliency=True)
    predictions = Predictions.read(folder / "predictions.parquet")
    saliency = Saliency.read(folder, metrics.predictions_sha256)
    assert saliency is not None
    images = predictions.table["image"].to_pylist()
    assert sorted(saliency.maps) == [row for row, image in enumerate(images) if image is not None]
    readers = read_readers(folder, metrics.predictions_sha256)
    assert readers is not None
    assert {row.agreement.value for row in readers.rows if row.first == "one"} == {1.0}
    text = CliRunner().invoke(app, ["report", str(folder), "--out", str(tmp_path / "r.html"), "--replicates", "100"])
    assert text.exit_code == 0, text.output
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "two readers agree on 100.0 %" in page
    assert page.count("; in orange, what the model looked at") > 0
    other = LabelStore(tmp_path / "other.db")
    other.append([LabelEvent(clip[0], "", "A4C", "one", "", "page")])
    again = [
        "report",
        str(folder),
        "--out",
        str(tmp_path / "r.html"),
        "--replicates",
        "100",
        "--labels",
        str(other.path),
    ]
    assert CliRunner().invoke(app, again).exit_code == 0
    assert "No double readings" in (tmp_path / "r.html").read_text(encoding="utf-8")

    rows = predictions.table.to_pylist()
    first = next(index for index, row in enumerate(rows) if row["image"])
    rows[first]["image"] = encode_png(written())
    marked = Predictions(pa.Table.from_pylist(rows, schema=predictions.table.schema), predictions.provenance)
    kept = without_text(marked, store).table["image"].to_pylist()
    assert kept[first] is None
    assert sum(image is not None for image in kept) == len(saliency.maps) - 1
