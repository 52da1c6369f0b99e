"""Transforms of a MONAI bundle: an ultrasound file becomes frames, and logits of frames become an answer.

The configuration of a bundle names them. They need heart2heart where the bundle runs, because the scan must be found,
blanked and resampled as in training; `configs/inference_frames.json` needs MONAI alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heart2heart.datasets.load_picture import load_file
from heart2heart.errors import DicomError, Heart2HeartError
from heart2heart.schema.clip_probabilities import clip_log_probabilities, log_softmax
from heart2heart.store.geometry import Geometry

Data = dict[str, Any]


class LoadUltrasoundClipd:
    """Replaces the path of a DICOM clip, picture or video by its frames, a uint8 tensor `(n, size, size)`.

    Args:
        geometry: Geometry of the frames, as the metadata of the bundle state it.
        keys: Key of the path.
        frames: Frames to read: `all`, `every:N`, `even:K` or `ed_es:K`.

    Raises:
        DicomError: when it is called: the file gives no frames.
    """

    def __init__(self, geometry: Mapping[str, Any], keys: str = "image", frames: str = "all") -> None:
        self.geometry, self.key, self.rule = Geometry.from_json(dict(geometry)), keys, frames

    def __call__(self, data: Data) -> Data:
        """Return the data with frames, and the file's mode, flags and indices of frames."""
        clip = load_file(Path(data[self.key]), geometry=self.geometry, rule=self.rule)
        facts = {"mode": str(clip.facts.mode), "flags": [str(flag) for flag in clip.facts.flags]}
        indices = [int(frame["index"]) for frame in clip.frames]
        return data | facts | {self.key: torch.from_numpy(clip.pixels), "frame_indices": indices}


class ClipProbabilitiesd:
    """Replaces the logits of a clip's frames by one probability for each class, the mean in logarithms.

    Args:
        classes: Class names, in the order of the logits.
        keys: Key of the logits, `(n, classes)`.
    """

    def __init__(self, classes: Iterable[str], keys: str = "pred") -> None:
        self.classes, self.key = tuple(classes), keys

    def __call__(self, data: Data) -> Data:
        """Return the data with probabilities by class and the likeliest view."""
        logits = np.asarray(data[self.key].detach().cpu().numpy(), np.float32)
        (mean,) = clip_log_probabilities(log_softmax(logits), np.zeros(len(logits), np.int64), 1)
        probabilities = dict(zip(self.classes, np.exp(mean).tolist(), strict=True))
        return data | {self.key: probabilities, "view": self.classes[int(mean.argmax())]}


def infer_clips(
    data: Iterable[Mapping[str, Any]],
    preprocessing: Callable[[Data], Data],
    network: Callable[[torch.Tensor], torch.Tensor],
    inferer: Callable[[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]], torch.Tensor],
    postprocessing: Callable[[Data], Data],
) -> list[dict[str, Any]]:
    """Return one row a file: its view and probabilities, or the status code why there are none.

    Args:
        data: Items with the path at `image` and a name at `file`.
        preprocessing: Gives the frames at `image`.
        network: Takes frames, gives logits.
        inferer: Calls the network.
        postprocessing: Takes the logits at `pred`.
    """
    rows: list[dict[str, Any]] = []
    for item in data:
        try:
            clip = preprocessing(dict(item))
        except (Heart2HeartError, RuntimeError) as error:  # MONAI's Compose wraps errors of a transform
            code = _status(error)
            if code is None:
                raise
            rows.append({"file": item["file"], "code": code})
            continue
        with torch.no_grad():
            done = postprocessing(clip | {"pred": inferer(clip["image"], network)})
        kept = ("file", "view", "mode", "flags", "frame_indices")
        rows.append({key: done[key] for key in kept} | {"probabilities": done["pred"]})
    return rows


def _status(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, DicomError):
            return str(error.code)
        error = error.__cause__ or error.__context__
    return None
