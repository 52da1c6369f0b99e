"""The probabilities of a clip from those of its frames: one rule for prediction, evaluation, the page and the queue.

The log-probabilities of the frames are averaged and renormalised. So a clip takes the softmax of the mean of its
frames' logits, and one frame with a confident prediction weighs more than several with uncertain ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def log_softmax(logits: npt.NDArray[np.floating[Any]]) -> Floats:
    """Return the logarithm of the softmax over the last axis, float64 of the same shape.

    Examples:
        >>> log_softmax(np.array([0.0, 0.0])).round(4).tolist()
        [-0.6931, -0.6931]
    """
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(-1, keepdims=True, initial=-np.inf)
    log_probabilities: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return log_probabilities


def clip_log_probabilities(
    log_probabilities: npt.NDArray[np.floating[Any]], clip: npt.NDArray[np.integer[Any]], clips: int
) -> Floats:
    """Return the log-probabilities of clips: the mean of their frames' log-probabilities, renormalised.

    Args:
        log_probabilities: Natural logarithms of the frames' probabilities, `(frames, classes)`. Logits give the same
            result.
        clip: Clip of each frame, `(frames,)`, from 0 to `clips - 1`; every clip has at least one frame.
        clips: Number of clips.

    Returns:
        float64 `(clips, classes)`; each row's exponentials add up to 1.

    Examples:
        Two frames favour the first view slightly, one favours the second strongly.

        >>> frames = np.log([[0.6, 0.4], [0.6, 0.4], [0.01, 0.99]])
        >>> np.exp(clip_log_probabilities(frames, np.array([0, 0, 0]), 1)).round(2).tolist()
        [[0.22, 0.78]]
    """
    sums = np.zeros((clips, log_probabilities.shape[1]))
    np.add.at(sums, clip, log_probabilities)
    return clip_log_probabilities_of_sums(sums, np.bincount(clip, minlength=clips))


def clip_log_probabilities_of_sums(sums: npt.NDArray[np.floating[Any]], frames: npt.NDArray[np.integer[Any]]) -> Floats:
    """Return what `clip_log_probabilities` returns, for frames that were read in parts.

    Args:
        sums: Sum of the frames' log-probabilities, `(clips, classes)`.
        frames: Number of frames, `(clips,)`.
    """
    return log_softmax(sums / frames[:, None])
