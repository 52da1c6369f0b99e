"""Decides what a model answers for one clip: by mode and flags first, then by its scope score, then by its set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heart2heart.schema.clip_answer import FLAG_REASONS, MODE_REASONS, AnswerReason, AnswerStatus, ScopeScore
from heart2heart.schema.clip_probabilities import clip_log_probabilities
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag
from heart2heart.scope.scope_model import ClipFeatures, ScopeModel

FrameArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Decision:
    """What is answered for one clip.

    Attributes:
        status: `answered`, `set` or `not_answered`.
        reason: Why there is not one view; None: there is.
        views: The view, or those of the set, the most probable one first; empty: no answer.
        probabilities: Probability of each class; empty: no answer.
        score: Score in the scope; None: mode or flags decided.
        coverage: Coverage that was asked of the sets; None: no sets are made.
    """

    status: AnswerStatus
    reason: AnswerReason | None = None
    views: tuple[str, ...] = ()
    probabilities: dict[str, float] = field(default_factory=dict)
    score: ScopeScore | None = None
    coverage: float | None = None


def clip_means(logits: FrameArray, features: FrameArray | None) -> ClipFeatures:
    """Return one clip as the scope sees it: means over its frames.

    Args:
        logits: `(frames, classes)`.
        features: `(frames, d)`; None: the model gives none.

    Examples:
        >>> clip_means(np.array([[1, 0], [3, 0]], np.float32), None).logits.tolist()
        [[2.0, 0.0]]
    """
    means = None if features is None else features.mean(0, dtype=np.float64)[None]
    unknown = np.full(1, -1)
    return ClipFeatures(logits.mean(0, dtype=np.float64)[None], means, np.zeros(1, np.int64), unknown)


def decide_clip(
    scope: ScopeModel,
    *,
    mode: ClipMode,
    flags: Sequence[ClipFlag],
    logits: FrameArray,
    features: FrameArray | None,
) -> Decision:
    """Decide what is answered for one clip.

    Args:
        scope: The scope of the model.
        mode: Mode of the clip.
        flags: Its flags.
        logits: Logits of its frames `(frames, classes)`, at least one frame.
        features: Features of its frames `(frames, d)`; None: the model gives none, so that a score of the logits
            decides.
    """
    record = scope.record
    refused = [AnswerReason(MODE_REASONS[mode])] if mode not in record.modes and mode in MODE_REASONS else []
    refused += [FLAG_REASONS[flag] for flag in flags if flag in record.settings.refused_flags and flag in FLAG_REASONS]
    if refused:
        return Decision(AnswerStatus.NOT_ANSWERED, refused[0])
    clip = clip_means(logits, features)
    name = scope.deciding_score(features=features is not None)
    score = ScopeScore(score=name, value=float(scope.scores(clip, name)[0]), threshold=record.thresholds[name])
    if score.value > score.threshold:
        return Decision(AnswerStatus.NOT_ANSWERED, AnswerReason.OUT_OF_SCOPE, score=score)
    (log_p,) = clip_log_probabilities(logits, np.zeros(len(logits), np.int64), 1)
    order = np.argsort(-log_p, kind="stable")
    inside = scope.sets(log_p[None])[0]
    views = tuple(record.classes[index] for index in order.tolist() if inside[index])
    coverage = None if record.set_threshold is None else record.settings.coverage
    if len(views) == len(record.classes):
        return Decision(AnswerStatus.NOT_ANSWERED, AnswerReason.AMBIGUOUS, score=score, coverage=coverage)
    probabilities = dict(zip(record.classes, np.exp(log_p).tolist(), strict=True))
    if len(views) > 1:
        return Decision(AnswerStatus.SET, AnswerReason.AMBIGUOUS, views, probabilities, score, coverage)
    return Decision(AnswerStatus.ANSWERED, None, views, probabilities, score, coverage)
