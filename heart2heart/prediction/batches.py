"""Classifies the frames of several clips in one pass of the network, and makes one answer a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from heart2heart.prediction.loaded_clip import LoadedClip
from heart2heart.schema.clip_answer import AnswerStatus, ClipAnswer, ModelIdentity, failed_answer, sentence_of
from heart2heart.schema.clip_probabilities import clip_log_probabilities, log_softmax

CPU_FRAMES = 16
"""Frames in one pass of the network on a CPU: more of them do not fit into its caches, and cost twice as much each."""
ACCELERATOR_FRAMES = 256
"""Frames in one pass of the network on an accelerator."""
_MOST_FILES = 512  # waiting for one batch: files without frames fill none

Pixels = npt.NDArray[np.uint8]
Outputs = npt.NDArray[np.float32]
Result = TypeVar("Result")


def classify_clips(
    clips: Iterable[LoadedClip],
    predict: Callable[[Pixels], Outputs],
    answer: Callable[[LoadedClip, Outputs | None], Result],
    *,
    batch_frames: int = CPU_FRAMES,
) -> Iterator[list[Result]]:
    """Yield the answers of clips, in their order, a list for each batch.

    Args:
        clips: Clips, and files without frames.
        predict: Takes uint8 `(n, size, size)`, the frames of several clips; gives float32 `(n, d)`.
        answer: Takes a clip and its rows of `predict`; None for a file without frames.
        batch_frames: Most frames in one pass; shorter clips wait for each other, and a longer one takes several.
    """
    batch: list[LoadedClip] = []
    frames = 0
    for clip in clips:
        batch.append(clip)
        frames += clip.frames
        if frames >= batch_frames or len(batch) >= _MOST_FILES:
            yield _classify(batch, predict, answer, batch_frames)
            batch, frames = [], 0
    if batch:
        yield _classify(batch, predict, answer, batch_frames)


def _classify(
    batch: list[LoadedClip],
    predict: Callable[[Pixels], Outputs],
    answer: Callable[[LoadedClip, Outputs | None], Result],
    most: int,
) -> list[Result]:
    parts = [clip.pixels for clip in batch if clip.pixels is not None]
    outputs = None
    if parts:
        pixels = parts[0] if len(parts) == 1 else np.concatenate(parts)
        passes = [predict(pixels[start : start + most]) for start in range(0, len(pixels), most)]
        outputs = passes[0] if len(passes) == 1 else np.concatenate(passes)
    answers: list[Result] = []
    start = 0
    for clip in batch:
        if clip.pixels is None or outputs is None:
            answers.append(answer(clip, None))
            continue
        answers.append(answer(clip, outputs[start : start + clip.frames]))
        start += clip.frames
    return answers


def plain_answer(
    clip: LoadedClip, logits: Outputs | None, *, classes: tuple[str, ...], model: ModelIdentity
) -> ClipAnswer:
    """Return the answer of a model without a scope: the likeliest view of every clip.

    Args:
        clip: The clip.
        logits: float32 `(n, classes)`; None for a file without frames.
        classes: Class names, in the order of the logits.
        model: The model.
    """
    if logits is None:
        assert clip.code is not None
        return failed_answer(clip.file, clip.code, model, sha256=clip.sha256, hash_of=clip.hash_of)
    (mean,) = clip_log_probabilities(log_softmax(logits), np.zeros(len(logits), np.int64), 1)
    view = classes[int(mean.argmax())]
    status = AnswerStatus.ANSWERED
    return ClipAnswer(
        file=clip.file,
        sha256=clip.sha256,
        hash_of=clip.hash_of,
        status=status,
        sentence=sentence_of(status, None, (view,)),
        views=(view,),
        probabilities=dict(zip(classes, np.exp(mean).tolist(), strict=True)),
        mode=clip.mode,
        flags=clip.flags,
        frames=clip.frames,
        quality=clip.quality,
        parts=clip.parts,
        model=model,
    )
