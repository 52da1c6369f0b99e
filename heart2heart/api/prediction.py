"""The view of DICOM files, by a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heart2heart.api.stores import path_list
from heart2heart.errors import DicomError
from heart2heart.schema.clip_probabilities import clip_log_probabilities, log_softmax

if TYPE_CHECKING:
    import pandas as pd

    from heart2heart.training.run import Run


@dataclass(frozen=True)
class FramePrediction:
    """One frame: its index in the file, the likeliest view, one probability a class."""

    index: int
    view: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class ClipPrediction:
    """One file: the view of the clip (mean of its frames' log-probabilities) and of each frame."""

    file: str
    mode: str
    flags: tuple[str, ...]
    classes: tuple[str, ...]
    view: str
    probabilities: tuple[float, ...]
    frames: tuple[FramePrediction, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form that `predict --format json` prints."""
        plain = asdict(self)
        for item in (plain, *plain["frames"]):
            item["probabilities"] = dict(zip(self.classes, item["probabilities"], strict=True))
        del plain["classes"]
        return plain

    def to_frame(self) -> pd.DataFrame:
        """Return one row a frame: its index, the likeliest view, and the probability of each view.

        Raises:
            ConfigError: pandas is not installed.
        """
        from heart2heart.notebook import data_frame

        rows = [
            {"frame": frame.index, "view": frame.view, **dict(zip(self.classes, frame.probabilities, strict=True))}
            for frame in self.frames
        ]
        return data_frame(rows)

    def __repr__(self) -> str:
        """Return file name, view and probability in one line."""
        return f"<ClipPrediction({self.file!r}): {self.view} {max(self.probabilities):.3f}, {len(self.frames)} frames>"

    def _repr_html_(self) -> str:
        """Return the probabilities of the clip and of its frames, for a notebook."""
        from heart2heart.notebook import html_card, html_table

        rows = [("clip", self.view, *self.probabilities)]
        rows += [(str(frame.index), frame.view, *frame.probabilities) for frame in self.frames]
        return html_card(f"{self.view}, mode {self.mode}", html_table(("frame", "view", *self.classes), rows))


def predict_files(
    run: str | Path | Run, files: str | Path | Sequence[str | Path], *, rule: str = "all"
) -> list[ClipPrediction]:
    """Name the view of DICOM clips with a trained run.

    Args:
        run: A run, or its folder.
        files: DICOM files; nothing of their identity is kept.
        rule: Frames to read: `all`, `every:N`, `even:K` or `ed_es:K`.

    Returns:
        One prediction a file: the probabilities of the clip and of each frame.

    Raises:
        DicomError: a file is not a clip; the message carries its status code.

    Examples:
        >>> import heart2heart as h2h
        >>> (clip,) = h2h.predict_files("run", "clip.dcm", rule="even:2")
        >>> clip.file, [frame.index for frame in clip.frames], round(sum(clip.probabilities), 3)
        ('clip.dcm', [1, 3], 1.0)
    """
    from heart2heart.deidentify.clip import load_clip
    from heart2heart.training.run import Run

    model = run if isinstance(run, Run) else Run.load(run)
    predictions = []
    for file in path_list(files):
        try:
            clip = load_clip(file, geometry=model.geometry, rule=rule)
        except DicomError as error:
            remedy = f"Status {error.code}; the page Status codes of the documentation explains it"
            raise DicomError(error.what, code=error.code, where=file, remedy=remedy) from error
        log_p = log_softmax(model.predict(clip.pixels))
        (mean,) = clip_log_probabilities(log_p, np.zeros(len(log_p), np.int64), 1)
        frames = tuple(
            FramePrediction(int(frame["index"]), model.classes[int(row.argmax())], tuple(np.exp(row).tolist()))
            for frame, row in zip(clip.frames, log_p, strict=True)
        )
        view, flags = model.classes[int(mean.argmax())], tuple(clip.facts.flags)
        probabilities = tuple(np.exp(mean).tolist())
        predictions.append(
            ClipPrediction(file.name, clip.facts.mode, flags, model.classes, view, probabilities, frames)
        )
    return predictions
