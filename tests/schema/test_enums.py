"""The closed vocabularies: their words on disk never change, and the tables hold no other words."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema import enums
from heart2heart.schema.status import ClipFlag, StatusCode

WORDS: dict[type[StrEnum], set[str]] = {
    enums.ClipMode: {"b_mode", "colour", "tissue_doppler", "m_mode", "spectral", "other"},
    enums.SplitRole: {"train", "validation", "test", "adaptation", "unlabeled", "excluded"},
    enums.PredictionRole: {"validation", "test", "sector_masked", "background_swapped", "perturbed"},
    enums.CheckStatus: {"pass", "warn", "fail"},
    enums.EventKind: {"label", "adjudication", "retraction", "gold"},
    enums.ClipEventKind: {"quality", "marks", "note", "handover", "handover_done", "goal", "gold", "example"},
    enums.ImageQuality: {"good", "fair", "poor", "unusable"},
    enums.LabelAnswer: {"view", "unusable", "unsure", ""},
    enums.VerdictKind: {"better", "worse", "open", "unknown"},
    enums.AuditAction: {
        "start",
        "ingest",
        "link",
        "deidentify",
        "verify_deid",
        "pull",
        "receive",
        "label",
        "import_labels",
        "export_labels",
        "review",
        "show",
        "train",
        "predict",
        "send",
        "evaluate",
        "release",
        "rotate_key",
        "read_log",
    },
    enums.AuditPhase: {"began", "ended"},
}
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("vocabulary", WORDS)
def test_enums_keep_their_words_on_disk(vocabulary: type[StrEnum]) -> None:
    assert {member.value for member in vocabulary} == WORDS[vocabulary]


def test_enums_are_all_listed_here() -> None:
    defined = {value for value in vars(enums).values() if isinstance(value, type) and issubclass(value, StrEnum)}
    assert defined - {StrEnum} == set(WORDS)


@pytest.mark.parametrize("vocabulary", [*WORDS, StatusCode, ClipFlag])
def test_enums_are_written_as_their_words(vocabulary: type[StrEnum]) -> None:
    members = list(vocabulary)
    words = [member.value for member in members]
    assert all(type(word) is str for word in words)
    assert pa.array(members).equals(pa.array(words))
    assert json.loads(json.dumps(dict.fromkeys(members, members[0]))) == dict.fromkeys(words, words[0])
    assert pc.equal(pa.array(words), members[0]).to_pylist() == [True] + [False] * (len(words) - 1)


def test_split_role_has_the_words_of_a_written_split() -> None:
    members = json.loads((GOLDEN / "split.json").read_text(encoding="utf-8"))["members"]["counts"]
    # By default no patient is set aside for adaptation.
    assert {row.split()[1] for row in members} == set(enums.SplitRole) - {enums.SplitRole.ADAPTATION}


def test_event_kind_and_answer_have_the_words_of_a_written_store(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    store = LabelStore(path)
    reading = LabelEvent("c1", "", "A4C", "a", "1", "page")
    unsure, unusable = (
        LabelEvent("c1", "", "", rater, "2", "page", answer=answer)
        for rater, answer in (("b", enums.LabelAnswer.UNSURE), ("c", enums.LabelAnswer.UNUSABLE))
    )
    ruling = LabelEvent("c1", "", "A2C", "z", "3", "page", kind=enums.EventKind.ADJUDICATION)
    gold = LabelEvent("c2", "", "A4C", "a", "5", "page", kind=enums.EventKind.GOLD)
    store.append([reading, unsure, unusable, ruling, reading.retraction("4"), gold])
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT kind, answer FROM events").fetchall()
    assert {kind for kind, _ in rows} == WORDS[enums.EventKind]
    assert {answer for _, answer in rows} == WORDS[enums.LabelAnswer]
