"""Fine labels in a coarse task: what each counts as, and what a split records of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heart2heart.api import make_splits
from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.labels.consensus import consensus_labels
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.task_labels import task_events, task_taxonomy
from heart2heart.schema.split import TaskTaxonomy
from heart2heart.schema.taxonomy import read_taxonomy
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.testing.stores import random_store

USUAL = read_taxonomy("usual")


def label(clip: str, view: str, rater: str = "a") -> LabelEvent:
    return LabelEvent(clip, "", view, rater, f"2026-11-28T12:00:0{ord(rater) % 10}Z", "page")


@pytest.fixture
def labels(tmp_path: Path) -> LabelStore:
    book = LabelStore(tmp_path / "labels.db")
    book.adopt_taxonomy(USUAL)
    return book


def test_task_events_of_a_basic_label_store_are_its_events(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([label("c1", "A4C"), label("c2", "A3C")])
    assert task_events(book, SCORED_VIEWS) == book.events()
    assert task_taxonomy(book, SCORED_VIEWS) is None
    with pytest.raises(UnknownNameError):
        task_taxonomy(book, ["PSAX_AV"])


def test_task_events_agree_where_only_the_levels_differ(labels: LabelStore) -> None:
    labels.append([label("c1", "PSAX_AV"), label("c1", "PSAX_MV", "b"), label("c2", "A4C"), label("c2", "PLAX", "b")])
    assert consensus_labels(labels.events(), "unanimous") == {}
    assert consensus_labels(task_events(labels, SCORED_VIEWS), "unanimous") == {"c1": "PSAX"}
    gone = label("c3", "PSAX_PM")
    labels.append([gone])
    labels.append([gone.retraction("2026-11-28T12:01:00Z")])
    assert "c3" not in consensus_labels(task_events(labels, SCORED_VIEWS))


def test_task_events_of_a_coarse_label_say_nothing_about_a_fine_class(labels: LabelStore) -> None:
    labels.append([label("c1", "PSAX"), label("c2", "PSAX_AV"), label("c3", "TEE_4C"), label("c4", "PSAX_PM")])
    classes = ["PSAX_AV", "A4C"]
    assert consensus_labels(task_events(labels, classes)) == {"c2": "PSAX_AV", "c3": "OTHER", "c4": "PSAX"}
    assert task_taxonomy(labels, classes) == TaskTaxonomy(
        name="usual",
        sha256=USUAL.digest(),
        served={"PSAX": None, "PSAX_AV": "PSAX_AV", "PSAX_PM": "PSAX", "TEE_4C": "OTHER"},
    )
    with pytest.raises(ConfigError, match="PSAX_AV is a part of PSAX"):
        task_taxonomy(labels, ["PSAX", "PSAX_AV"])


def test_make_splits_serves_a_coarse_task_from_fine_labels(labels: LabelStore, tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=10)
    fine, coarse = ("PLAX", "PSAX_MV", "A4C_RV", "A2C"), SCORED_VIEWS
    plain = LabelStore(tmp_path / "plain.db")
    for book, views in ((labels, fine), (plain, coarse)):
        clips = [clip for clip in store.clips["clip"].to_pylist() if int(clip[4:6]) < 4]
        book.append([label(clip, views[int(clip[4:6])]) for clip in clips])
    (split,) = make_splits(store.root, labels, tmp_path / "split", source=["A"])
    (same,) = make_splits(store.root, plain, tmp_path / "same", source=["A"])
    assert split.members.equals(same.members)
    recorded = json.loads((tmp_path / "split" / "split.json").read_text())["settings"]["taxonomy"]
    assert recorded == {
        "name": "usual",
        "sha256": USUAL.digest(),
        "served": {"A2C": "A2C", "A4C_RV": "A4C", "PLAX": "PLAX", "PSAX_MV": "PSAX"},
    }
    assert "taxonomy" not in same.settings
    (levels,) = make_splits(store.root, labels, tmp_path / "levels", source=["A"], classes=["PSAX_MV", "A4C_RV"])
    assert levels.classes == ("PSAX_MV", "A4C_RV")
    assert set(levels.to_frame()["view"].dropna()) == {"PSAX_MV", "A4C_RV", "PLAX", "A2C"}
