"""Predicts frames of a store with a frozen model, as rows of `predictions.parquet`."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.predictions import PREDICTIONS
from heart2heart.store.frame_store import Frames
from heart2heart.training.validation import INFERENCE_BATCH
from heart2heart.utils import encode_png

GALLERY_CORRECT = 2
"""Clips of each view and hospital whose most confident correct frame a gallery may show."""
GALLERY_WRONG = 6
"""Clips of each hospital whose most confident wrong frame a gallery may show."""

FrameArray = npt.NDArray[np.uint8]

COPIED_COLUMNS = ("frame", "site", "patient", "study", "clip", "index", "mode", "maker", "quality")


class Classifier(Protocol):
    """A frozen model: a run, or an exported file."""

    @property
    def name(self) -> str:
        """Name for reports."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the logits."""

    def predict_at(self, pixels: FrameArray, sites: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return logits `(n, classes)` of uint8 frames `(n, size, size)` of the named hospitals."""


def predict_rows(
    model: Classifier,
    stores: Frames,
    rows: npt.NDArray[np.int64],
    members: pa.Table,
    targets: npt.NDArray[np.int64],
    progress: Progress | None = None,
) -> pa.Table:
    """Predict frames, and return rows of `PREDICTIONS`; a few test frames of each hospital carry their image.

    Args:
        model: A frozen model.
        stores: The stores.
        rows: int64 `(n,)`, rows of the frames in `stores`.
        members: Rows of `SPLIT_MEMBERS`, aligned with `rows`; `view` is the truth.
        targets: int64 `(n,)`, class index of the truth; -1 outside the classes.
        progress: Receives the number of frames done.
    """
    logits = _predict(model, stores, rows, members["site"].to_pylist(), progress or NoProgress())
    images: list[bytes | None] = [None] * len(rows)
    for position in gallery(members, targets, logits, withheld=stores.text_review.withheld).tolist():
        images[position] = encode_png(stores.read(rows[position : position + 1])[0])
    frame_rows = stores.frames.take(pc.index_in(members["frame"], stores.frames["frame"]))
    columns = {name: frame_rows[name] for name in COPIED_COLUMNS} | {
        "run": pa.array([model.name] * len(rows), pa.string()),
        "role": members["role"],
        "truth": members["view"],
        "logits": pa.array(list(logits), pa.list_(pa.float32())),
        "image": pa.array(images, pa.binary()),
    }
    return pa.table([columns[name] for name in PREDICTIONS.names], schema=PREDICTIONS)


def gallery(
    members: pa.Table,
    targets: npt.NDArray[np.int64],
    logits: npt.NDArray[np.float32],
    *,
    withheld: Set[str] = frozenset(),
) -> npt.NDArray[np.int64]:
    """Choose the frames that a report may show, by confidence alone, so that the choice can be repeated.

    The choice is made for each hospital among its test frames with a scored view: for every view the `GALLERY_CORRECT`
    clips with the most confident correct frame, and the `GALLERY_WRONG` clips with the most confident wrong frame. No
    clip is shown twice.

    Args:
        members: Rows of the split, `n`.
        targets: int64 `(n,)`, -1 outside the classes.
        logits: float32 `(n, classes)`.
        withheld: Clips of which no picture is shown.

    Returns:
        int64, positions in `members`.
    """
    predicted = logits.argmax(1)
    shifted = logits - logits.max(1, keepdims=True)
    confidence = 1 / np.exp(shifted).sum(1)
    scored = (targets >= 0) & pc.equal(members["role"], SplitRole.TEST).to_numpy(zero_copy_only=False)
    site, clip, frame = (members[name].to_numpy(zero_copy_only=False) for name in ("site", "clip", "frame"))
    # Frames of equal confidence are ordered by name.
    order = sorted(np.flatnonzero(scored).tolist(), key=lambda position: (-confidence[position], frame[position]))
    chosen: list[int] = []
    used = set(withheld)
    shown: dict[tuple[str, int], int] = {}
    for position in order:
        correct = predicted[position] == targets[position]
        kind = (site[position], int(targets[position]) if correct else -1)
        if clip[position] in used or shown.get(kind, 0) >= (GALLERY_CORRECT if correct else GALLERY_WRONG):
            continue
        used.add(clip[position])
        shown[kind] = shown.get(kind, 0) + 1
        chosen.append(position)
    return np.array(sorted(chosen), np.int64)


def _predict(
    model: Classifier, stores: Frames, rows: npt.NDArray[np.int64], sites: list[str], progress: Progress
) -> npt.NDArray[np.float32]:
    logits = np.empty((len(rows), len(model.classes)), np.float32)
    for start in range(0, len(rows), INFERENCE_BATCH):
        part = slice(start, start + INFERENCE_BATCH)
        logits[part] = model.predict_at(stores.read(rows[part]), sites[part])
        progress.update(min(start + INFERENCE_BATCH, len(rows)))
    return logits
