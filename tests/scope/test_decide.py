"""What is answered for one clip: mode and flags first, then the score, then the set."""

import numpy as np
import pytest

from heart2heart.schema.clip_answer import AnswerReason, AnswerStatus
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.scope import ScopeScoreName
from heart2heart.schema.status import ClipFlag
from heart2heart.scope.decide import Decision, FrameArray, decide_clip
from tests.scope.clips import CENTRES, CLASSES, fitted

SCOPE = fitted(coverage=0.9)
KNOWN = np.repeat(CENTRES[:1], 3, axis=0).astype(np.float32)
STRANGE = np.tile(np.array([0, 0, 0, 9], np.float32), (3, 1))


def decision_of(
    features: FrameArray | None, *, mode: ClipMode = ClipMode.B_MODE, flags: tuple[ClipFlag, ...] = ()
) -> Decision:
    logits = (KNOWN if features is None else features)[:, :3]
    return decide_clip(SCOPE, mode=mode, flags=flags, logits=logits, features=features)


def test_decide_clip_answers_a_known_clip() -> None:
    decision = decision_of(KNOWN)
    assert (decision.status, decision.reason, decision.views) == (AnswerStatus.ANSWERED, None, ("PLAX",))
    assert sum(decision.probabilities.values()) == pytest.approx(1)
    assert decision.score is not None
    assert decision.score.value <= decision.score.threshold
    assert decision.coverage == 0.9


@pytest.mark.parametrize(
    ("mode", "flags", "reason"),
    [
        (ClipMode.SPECTRAL, (), AnswerReason.MODE_SPECTRAL),
        (ClipMode.M_MODE, (ClipFlag.NO_SECTOR,), AnswerReason.MODE_M),
        (ClipMode.B_MODE, (ClipFlag.SALVAGED, ClipFlag.NOT_A_HEART_PRESET), AnswerReason.FLAG_ORGAN),
    ],
)
def test_decide_clip_refuses_by_mode_and_flags_before_any_score(
    mode: ClipMode, flags: tuple[ClipFlag, ...], reason: AnswerReason
) -> None:
    assert decision_of(KNOWN, mode=mode, flags=flags) == Decision(AnswerStatus.NOT_ANSWERED, reason)


def test_decide_clip_refuses_a_clip_out_of_scope() -> None:
    decision = decision_of(STRANGE)
    assert (decision.status, decision.reason) == (AnswerStatus.NOT_ANSWERED, AnswerReason.OUT_OF_SCOPE)
    assert decision.probabilities == {}
    assert decision.score is not None
    assert decision.score.value > decision.score.threshold


def test_decide_clip_scores_logits_where_there_are_no_features() -> None:
    decision = decision_of(None)
    assert decision.status == AnswerStatus.ANSWERED
    assert decision.score is not None
    assert decision.score.score == ScopeScoreName.ENERGY


def test_decide_clip_gives_a_set_in_the_order_of_probability_and_nothing_for_all_views() -> None:
    log_p = np.log(np.array([[0.3, 0.5, 0.2]], np.float32)).repeat(3, axis=0)
    limits = {0.55: AnswerStatus.ANSWERED, 0.75: AnswerStatus.SET, 0.85: AnswerStatus.NOT_ANSWERED}
    for limit, status in limits.items():
        record = SCOPE.record.model_copy(update={"set_threshold": limit})
        scope = type(SCOPE)(record, SCOPE.arrays)
        decision = decide_clip(scope, mode=ClipMode.COLOUR, flags=(), logits=log_p, features=KNOWN)
        assert decision.status == status
        assert decision.views == {0.55: ("PSAX",), 0.75: ("PSAX", "PLAX"), 0.85: ()}[limit]
        assert (decision.reason is None) == (status == AnswerStatus.ANSWERED)
    assert SCOPE.record.classes == CLASSES
