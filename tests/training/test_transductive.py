"""Unlabeled frames of held-out hospitals in the training pool: whose they are, and what names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import RunError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.data import TrainData
from heart2heart.training.run import algorithm_title, method_facts
from heart2heart.training.transductive import transductive_rows
from tests.training.adaptation_study import AdaptationStudy, adaptation_study, scored_patients


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> AdaptationStudy:
    return adaptation_study(tmp_path_factory.mktemp("study"), adaptation=0.3)


def opened(study: AdaptationStudy, **changes: Any) -> TrainData:
    config = study.tiny().config(method={"name": "fixmatch"}, **changes)
    return TrainData.open(SplitManifest.load(study.split), FrameStores.open([study.store]), config)


def test_open_adds_frames_of_patients_who_are_never_scored(study: AdaptationStudy) -> None:
    plain, more = opened(study), opened(study, pool={"transductive": ["B"]})
    assert set(plain.unlabeled) <= set(more.unlabeled)
    by_row = {row["row"]: row for row in more.frames.frames.to_pylist()}
    added = [by_row[row] for row in set(more.unlabeled) - set(plain.unlabeled)]
    assert {row["site"] for row in added} == {"B"}
    assert not {row["patient"] for row in added} & scored_patients(more.split)
    assert len({row["patient"] for row in added}) == 3  # one of three folds of eight labeled patients
    assert (plain.train.rows == more.train.rows).all()


def test_algorithm_title_names_the_hospitals_that_training_saw(study: AdaptationStudy) -> None:
    config = study.tiny().config(method={"name": "fixmatch"}, pool={"transductive": ["B"]})
    assert algorithm_title(config) == "FixMatch, with unlabeled frames of B"
    assert method_facts(config).transductive == ("B",)


@pytest.mark.parametrize(("site", "message"), [("A", "'A' is not held out"), ("Z", "'Z' is not held out")])
def test_transductive_rows_refuses_other_hospitals(study: AdaptationStudy, site: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        opened(study, pool={"transductive": [site]})


def test_transductive_rows_refuses_a_hospital_whose_patients_are_all_scored(tmp_path: Path) -> None:
    study = adaptation_study(tmp_path, adaptation=0)
    with pytest.raises(RunError, match="the split scores every patient of B"):
        transductive_rows(SplitManifest.load(study.split), FrameStores.open([study.store]), ("B",))


def test_open_refuses_transductive_frames_without_a_method_that_reads_them(study: AdaptationStudy) -> None:
    config = study.tiny().config(pool={"transductive": ["B"]})
    with pytest.raises(RunError, match="labels_only reads no unlabeled frame"):
        TrainData.open(SplitManifest.load(study.split), FrameStores.open([study.store]), config)
