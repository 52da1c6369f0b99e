"""What a model looked at: occlusion sensitivity of the frames that a report shows.

The computation needs nothing but the model's answers, so it is the same for a run, an ensemble and an exported file.
`monai.visualize.OcclusionSensitivity` is not used: it takes one torch module, and indexes tensors in a way that newer
releases of torch read differently.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.clip_probabilities import log_softmax
from heart2heart.schema.predictions import Predictions
from heart2heart.store.frame_store import Frames
from heart2heart.training.predict_rows import Classifier

METHOD = (
    "Occlusion sensitivity (Zeiler and Fergus, 2014): a soft patch of a seventh of the frame's side takes the mean "
    "gray level of the frame, at one place after another; a place is important if the probability of the predicted "
    "view falls. Shown is the fall, relative to its largest value in the frame; in a frame without colour no single "
    "place matters."
)
PATCHES_A_SIDE = 7
LEAST_FALL = 0.02
"""If the probability falls by less everywhere, the map is empty: no single place matters."""
_BATCH = 64
_WIDTHS_A_DEVIATION = 2.355  # full width at half maximum of a normal curve, in standard deviations

FrameArray = npt.NDArray[np.uint8]


def occlusion_map(model: Classifier, frame: FrameArray, site: str) -> FrameArray:
    """Return how much the probability of the predicted class falls where a part of a frame is blanked.

    M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks" (ECCV 2014), section 4.2. The
    value of a pixel is the mean fall of all patches, weighted by how much each of them covers it.

    Args:
        model: A frozen model.
        frame: uint8 `(size, size)`.
        site: Hospital of the frame.

    Returns:
        uint8 `(size, size)`: 255 where the fall is largest, 0 where it does not fall.
    """
    size = len(frame)
    side = max(2, size // PATCHES_A_SIDE)
    centres = np.arange(0, size + side, max(1, side // 2))
    profile = np.exp(-0.5 * ((np.arange(size) - centres[:, None]) * _WIDTHS_A_DEVIATION / side) ** 2)
    gray, blank = frame.astype(np.float64), float(frame.mean())
    whole = log_softmax(model.predict_at(frame[None], [site]))[0]
    label = int(whole.argmax())
    total, weight = np.zeros(frame.shape), np.zeros(frame.shape)
    cells = [(row, column) for row in range(len(centres)) for column in range(len(centres))]
    for start in range(0, len(cells), _BATCH):
        rows, columns = (list(positions) for positions in zip(*cells[start : start + _BATCH], strict=True))
        patches = profile[rows][:, :, None] * profile[columns][:, None, :]
        occluded = (gray + patches * (blank - gray)).round().astype(np.uint8)
        probability = np.exp(log_softmax(model.predict_at(occluded, [site] * len(occluded)))[:, label])
        total += np.tensordot(np.exp(whole[label]) - probability, patches, 1)
        weight += patches.sum(0)
    fall = np.maximum(total / weight, 0.0)
    largest = float(fall.max())
    if largest < LEAST_FALL:
        return np.zeros_like(frame)
    scaled: FrameArray = (255 * fall / largest).round().astype(np.uint8)
    return scaled


def saliency_maps(
    models: Sequence[Classifier],
    predictions: Predictions,
    stores: Frames,
    run: str,
    progress: Progress | None = None,
) -> dict[int, FrameArray]:
    """Compute the maps of all frames of one run that carry a picture.

    Args:
        models: The models that were evaluated. If a run joins models that were adapted to several hospitals, the map of
            a frame is that of the model whose logits the predictions hold.
        predictions: Their predictions.
        stores: The stores with the frames.
        run: Name of the run.
        progress: Receives the number of maps done.

    Returns:
        Maps by row of the predictions, uint8 `(size, size)`.
    """
    progress, table = progress or NoProgress(), predictions.table
    chosen = pc.and_(pc.equal(table["run"], run), pc.is_valid(table["image"]))
    rows = np.flatnonzero(chosen.to_numpy(zero_copy_only=False))
    frame_rows = pc.index_in(table["frame"].take(rows), stores.frames["frame"])
    positions = stores.frames["row"].take(frame_rows).to_numpy().astype(np.int64)
    sites, logits = table["site"].take(rows).to_pylist(), predictions.logits
    maps = {}
    for done, (row, position, site) in enumerate(zip(rows.tolist(), positions, sites, strict=True), start=1):
        frame = stores.read(np.array([position]))
        distances = [float(np.abs(model.predict_at(frame, [site])[0] - logits[row]).max()) for model in models]
        maps[row] = occlusion_map(models[int(np.argmin(distances))], frame[0], site)
        progress.update(done)
    return maps
