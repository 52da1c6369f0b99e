"""The taxonomy of a label store: what it takes, what it refuses, and what an older store means."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.clip_events import ClipEvent
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import ClipEventKind
from heart2heart.schema.taxonomy import Taxonomy, read_taxonomy

USUAL = read_taxonomy("usual")
AT = "2026-11-28T12:00:00Z"


def label(clip: str, view: str) -> LabelEvent:
    return LabelEvent(clip, "", view, "Reader 1", AT, "page")


@pytest.fixture
def labels(tmp_path: Path) -> LabelStore:
    return LabelStore(tmp_path / "labels.db")


def test_taxonomy_of_a_store_is_basic_until_another_is_adopted(labels: LabelStore) -> None:
    assert labels.taxonomy() == read_taxonomy()
    labels.append([label("c1", "A4C")])
    with pytest.raises(UnknownNameError, match="PSAX_AV"):
        labels.append([label("c2", "PSAX_AV")])
    labels.adopt_taxonomy(read_taxonomy())
    assert _tables(labels) == 0
    labels.adopt_taxonomy(USUAL)
    assert LabelStore(labels.path).taxonomy() == USUAL
    labels.append([label("c2", "PSAX_AV")])
    labels.append_clip_events([ClipEvent("c2", ClipEventKind.EXAMPLE, "Reader 1", AT, "PSAX_AV")])
    assert [event.view for event in labels.events()] == ["A4C", "PSAX_AV"]


def _tables(labels: LabelStore) -> int:
    with sqlite3.connect(labels.path) as connection:
        number = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'taxonomies'").fetchone()[0]
    assert isinstance(number, int)
    return number


def test_adopt_taxonomy_counts_the_labels_that_would_be_lost(labels: LabelStore) -> None:
    labels.adopt_taxonomy(USUAL)
    gone = label("c4", "TEE_4C")
    labels.append([label("c1", "PSAX_AV"), label("c2", "PSAX_AV"), label("c3", "ZOOM_MV"), label("c5", "A4C"), gone])
    labels.append([gone.retraction(AT)])
    with pytest.raises(LabelError, match=r"3 labels would be lost: PSAX_AV \(2\), ZOOM_MV \(1\)"):
        labels.adopt_taxonomy(read_taxonomy())
    assert labels.taxonomy() == USUAL


def test_adopt_taxonomy_keeps_the_earlier_ones(labels: LabelStore) -> None:
    labels.adopt_taxonomy(USUAL)
    fewer = {name: view for name, view in USUAL.views.items() if not name.startswith("TEE")}
    labels.adopt_taxonomy(Taxonomy(name="own", views=fewer))
    labels.adopt_taxonomy(USUAL)
    with sqlite3.connect(labels.path) as connection:
        assert [row[0] for row in connection.execute("SELECT name FROM taxonomies ORDER BY number")] == [
            "usual", "own", "usual",
        ]  # fmt: skip


@pytest.mark.parametrize("content", ["{", '{"name": "own", "views": {}}'], ids=["json", "empty"])
def test_stored_taxonomy_refuses_a_changed_one(labels: LabelStore, content: str) -> None:
    labels.adopt_taxonomy(USUAL)
    with sqlite3.connect(labels.path) as connection:
        connection.execute("UPDATE taxonomies SET content = ?", (content,))
    with pytest.raises(LabelError, match="was changed"):
        labels.taxonomy()
