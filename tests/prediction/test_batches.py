"""The frames of several clips go through the network together, and each clip gets its own rows back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from heart2heart.prediction.batches import classify_clips, plain_answer
from heart2heart.prediction.loaded_clip import LoadedClip
from heart2heart.schema.clip_answer import AnswerStatus
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import StatusCode
from tests.prediction.samples import CLASSES, MODEL


def clips_of(counts: list[int]) -> list[LoadedClip]:
    """Return clips whose pixels tell their number; a count of 0 is a file without frames."""
    return [
        LoadedClip(str(index), np.full((count, 1, 1), index, np.uint8))
        if count
        else LoadedClip(str(index), None, code=StatusCode.FAILED_EMPTY)
        for index, count in enumerate(counts)
    ]


@given(st.lists(st.integers(0, 7), max_size=30), st.integers(1, 12))
def test_classify_clips_gives_each_clip_its_rows(counts: list[int], batch: int) -> None:
    sizes: list[int] = []

    def predict(pixels: Any) -> Any:
        sizes.append(len(pixels))
        return pixels[:, 0].astype(np.float32)

    def answer(clip: LoadedClip, outputs: Any) -> tuple[str, list[float] | None]:
        return clip.file, None if outputs is None else outputs[:, 0].tolist()

    batches = list(classify_clips(clips_of(counts), predict, answer, batch_frames=batch))
    rows = [row for each in batches for row in each]
    assert rows == [(str(i), [float(i)] * count if count else None) for i, count in enumerate(counts)]
    assert sum(sizes) == sum(counts)
    assert all(size <= batch for size in sizes)


def test_plain_answer_takes_the_mean_of_log_probabilities() -> None:
    logits = np.array([[0.0, 3.0], [2.0, 1.0]], np.float32)
    clip = LoadedClip("a.dcm", np.zeros((2, 1, 1), np.uint8), sha256="f" * 64, mode=ClipMode.B_MODE, quality=0.5)
    one = plain_answer(clip, logits, classes=CLASSES, model=MODEL)
    mean = np.exp(log_softmax(logits.astype(np.float64), axis=1).mean(axis=0))
    np.testing.assert_allclose(list(one.probabilities.values()), mean / mean.sum(), rtol=1e-6)
    assert (one.file, one.views, one.frames, one.quality) == ("a.dcm", ("A4C",), 2, 0.5)
    empty = plain_answer(clips_of([0])[0], None, classes=CLASSES, model=MODEL)
    assert (empty.status, empty.code, empty.probabilities) == (AnswerStatus.FAILED, StatusCode.FAILED_EMPTY, {})


def test_loaded_clip_has_frames_or_a_code() -> None:
    with pytest.raises(AssertionError):
        LoadedClip("a.dcm", None)
