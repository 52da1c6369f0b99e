"""The answers of a model with a scope: only for clips that are in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.prediction.loaded_clip import LoadedClip
from heart2heart.schema.clip_answer import ClipAnswer, ModelIdentity, failed_answer, sentence_of
from heart2heart.scope.decide import decide_clip
from heart2heart.scope.scope_model import ScopeModel


def scoped_answer(
    clip: LoadedClip, outputs: npt.NDArray[np.float32] | None, *, scope: ScopeModel, model: ModelIdentity
) -> ClipAnswer:
    """Return the answer of a model with a scope for one clip.

    Args:
        clip: The clip.
        outputs: float32 `(n, classes + d)`: logits of its frames and, where the model gives them, features after those;
            None for a file without frames.
        scope: The scope of the model.
        model: The model.
    """
    if outputs is None or clip.mode is None:
        assert clip.code is not None
        return failed_answer(clip.file, clip.code, model, sha256=clip.sha256, hash_of=clip.hash_of)
    classes = len(scope.record.classes)
    features = outputs[:, classes:] if outputs.shape[1] > classes else None
    decision = decide_clip(
        scope, mode=clip.mode, flags=clip.flags, logits=outputs[:, :classes], features=features
    )  # fmt: skip
    return ClipAnswer(
        file=clip.file,
        sha256=clip.sha256,
        hash_of=clip.hash_of,
        status=decision.status,
        reason=decision.reason,
        sentence=sentence_of(decision.status, decision.reason, decision.views),
        views=decision.views,
        probabilities=decision.probabilities,
        scope=decision.score,
        coverage=decision.coverage,
        mode=clip.mode,
        flags=clip.flags,
        frames=clip.frames,
        quality=clip.quality,
        parts=clip.parts,
        model=model,
    )
