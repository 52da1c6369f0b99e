"""The answer of a model for one clip: what may be in it, and its line of JSON."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from heart2heart.errors import ConfigError
from heart2heart.schema.clip_answer import (
    FLAG_REASONS,
    MODE_REASONS,
    AnswerReason,
    AnswerStatus,
    ClipAnswer,
    ModelIdentity,
    failed_answer,
    sentence_of,
)
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import FLAGS, StatusCode

MODEL = ModelIdentity(name="run", weights_sha256="0" * 64, version="1.0")
FOUR = {"PLAX": 0.1, "PSAX": 0.1, "A4C": 0.5, "A2C": 0.3}


def build(**changes: Any) -> ClipAnswer:
    plain: dict[str, Any] = {
        "file": "a/b.dcm",
        "status": AnswerStatus.ANSWERED,
        "sentence": "A4C",
        "views": ("A4C",),
        "probabilities": FOUR,
        "model": MODEL,
    }
    return ClipAnswer(**plain | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"views": ()},
        {"views": ("A4C", "A2C")},
        {"reason": AnswerReason.AMBIGUOUS},
        {"status": AnswerStatus.SET, "reason": AnswerReason.AMBIGUOUS},
        {"status": AnswerStatus.NOT_ANSWERED, "reason": AnswerReason.MODE_M},
        {"status": AnswerStatus.NOT_ANSWERED, "views": (), "probabilities": {}},
        {"code": StatusCode.FAILED_EMPTY},
        {"status": AnswerStatus.FAILED, "reason": AnswerReason.ERROR, "views": (), "probabilities": {}},
        {"probabilities": {}},
        {"views": ("SUBCOSTAL",)},
        {"quality": 1.5},
        {"patient": "name"},
    ],
    ids=str,
)
def test_clip_answer_refuses_parts_that_contradict_each_other(changes: dict[str, Any]) -> None:
    assert build().views == ("A4C",)
    with pytest.raises(ValidationError):
        build(**changes)


@given(
    file=st.text(min_size=1).filter(lambda text: text.isprintable()),
    value=st.floats(0, 1),
    code=st.sampled_from(StatusCode),
)
def test_to_line_is_one_line_that_reads_back(file: str, value: float, code: StatusCode) -> None:
    for answer in (build(file=file, quality=value), failed_answer(file, code, MODEL, sha256="1" * 64)):
        line = answer.to_line()
        assert len(line.splitlines()) == 1
        assert ClipAnswer.from_line(line, where="x:1") == answer


@pytest.mark.parametrize(
    "line", ["", "[]", '{"file": "a"}', build().to_line()[:-9]], ids=["empty", "list", "part", "cut"]
)
def test_from_line_refuses_what_is_no_answer(line: str) -> None:
    with pytest.raises(ConfigError, match=r"answers\.jsonl:7"):
        ClipAnswer.from_line(line, where="answers.jsonl:7")


def test_from_line_refuses_another_layout() -> None:
    with pytest.raises(ConfigError, match="layout 2"):
        ClipAnswer.from_line(build(schema_version=2).to_line(), where="x")


@pytest.mark.parametrize("mode", [mode for mode in ClipMode if mode != ClipMode.B_MODE])
def test_sentence_of_has_words_for_every_mode(mode: ClipMode) -> None:
    assert sentence_of(AnswerStatus.NOT_ANSWERED, MODE_REASONS[mode]).startswith("not answered: ")
    assert MODE_REASONS[mode].words == MODE_REASONS[mode].words.strip() != ""


def test_sentence_of_tells_views_and_codes() -> None:
    assert sentence_of(AnswerStatus.SET, AnswerReason.AMBIGUOUS, ("A4C", "A2C")) == "one of A4C, A2C"
    assert sentence_of(AnswerStatus.ANSWERED, None, ("A4C",)) == "A4C"
    assert failed_answer("a", StatusCode.FAILED_EMPTY, MODEL).sentence == "failed: failed:empty"
    assert FLAG_REASONS.keys() <= FLAGS.keys()
