"""Frames that a page may show: those in which no burned-in text is suspected, or that a person cleared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from heart2heart.schema.predictions import Predictions
    from heart2heart.store.frame_store import Frames


def frames_with_text(stores: Frames, clips: Mapping[str, str], frames: Mapping[str, npt.NDArray[np.uint8]]) -> set[str]:
    """Return the frames that no page shows: those of withheld clips, and those in which the detector finds text.

    A clip is withheld if it has the flag `text_suspected` and no person cleared it, or a person hides it. The detector
    does not look at a clip that a person cleared.

    Args:
        stores: The stores of the clips.
        clips: Clip of each frame.
        frames: uint8 `(height, width)` of each frame.

    Examples:
        >>> from heart2heart.store.frame_store import FrameStores
        >>> frames_with_text(FrameStores.open("store"), {}, {})
        set()
    """
    import numpy as np

    from heart2heart.deidentify.burned_in_text import text_mask

    review = stores.text_review
    return {
        name
        for name, frame in frames.items()
        if clips[name] in review.withheld
        or (clips[name] not in review.cleared and text_mask(frame[None], np.ones(frame.shape, bool)) is not None)
    }


def without_text(predictions: Predictions, stores: Frames) -> Predictions:
    """Return the predictions without the pictures in which text is suspected.

    Args:
        predictions: Predictions of frames of the stores.
        stores: The stores.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.schema.predictions import Predictions
        >>> from heart2heart.store.frame_store import FrameStores
        >>> predictions = Predictions.read(Path("evaluation/predictions.parquet"))
        >>> without_text(predictions, FrameStores.open("store")).table.num_rows == predictions.table.num_rows
        True
    """
    import pyarrow as pa

    from heart2heart.schema.predictions import PREDICTIONS
    from heart2heart.schema.saliency import decode_gray

    table = predictions.table
    names, clips, images = (table[name].to_pylist() for name in ("frame", "clip", "image"))
    clip_of, pixels = {}, {}
    for name, clip, image in zip(names, clips, images, strict=True):
        decoded = decode_gray(image) if image is not None and name not in pixels else None
        if decoded is not None:
            clip_of[name], pixels[name] = clip, decoded
    text = frames_with_text(stores, clip_of, pixels)
    kept = [image if name in pixels and name not in text else None for name, image in zip(names, images, strict=True)]
    field = PREDICTIONS.field("image")
    position = table.schema.get_field_index("image")
    return replace(predictions, table=table.set_column(position, field, pa.array(kept, field.type)))
