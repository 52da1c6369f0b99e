"""The scope of a run: fitted, set again, and what predict then prints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import data_store
import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from heart2heart.api.many_files import predict_many
from heart2heart.api.prediction import predict_files
from heart2heart.api.scope import fit_scope
from heart2heart.api.scope_clips import source_clips
from heart2heart.api.scoped_model import open_scoped_model
from heart2heart.cli import app
from heart2heart.errors import EvaluationError
from heart2heart.labels.consensus import frame_labels
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.clip_answer import AnswerStatus
from heart2heart.schema.scope import SCOPE_FILE
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.scope.scope_files import read_scope
from heart2heart.scope.scope_model import OTHER_VIEW
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.testing.tiny import ALIEN, TinyStore, tiny_store
from heart2heart.training.features import FeatureExtractor
from heart2heart.training.run import Run
from heart2heart.training.train import train
from heart2heart.utils import read_json, write_json

REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"


@pytest.fixture(scope="module")
def scoped(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copytree(run.path, tmp_path_factory.mktemp("scoped") / "run"))
    result = CliRunner().invoke(app, ["scope", "fit", str(path), "--coverage", "0.5", "--keep", "0.5"])
    assert result.exit_code == 0, result.output
    return path


def test_fit_scope_writes_thresholds_beside_the_run(scoped: Path, run: Run) -> None:
    record = read_scope(scoped / "scope").record
    assert record.classes == run.classes
    assert len(record.thresholds) == 4
    assert (record.settings.coverage, record.settings.keep, record.site) == (0.5, 0.5, None)
    assert record.patients > 0
    assert record.reference_clips > 0


@pytest.fixture(scope="module")
def with_others(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyStore, Run, Path]:
    """A run, and labels of the clips of its pool that show no view of it."""
    root = tmp_path_factory.mktemp("others")
    tiny = tiny_store(root / "data", aliens=1)
    events = [
        LabelEvent(clip, "", "OTHER", "reader 1", "2026-01-31T12:00:00Z", "csv:heart2heart")
        for clip in FrameStore.open(tiny.store).clips["clip"].to_pylist()
        if ALIEN in clip
    ]
    LabelStore(root / "labels.db").append(events)
    return tiny, train(tiny.config(steps=6), root / "run"), root / "labels.db"


def test_fit_scope_learns_other_views_from_a_label_store(with_others: tuple[TinyStore, Run, Path]) -> None:
    _, run, labels = with_others
    without = CliRunner().invoke(app, ["scope", "fit", str(run.path)])
    assert "note: fewer than 10 clips labeled with other views" in without.output
    assert "scope by mahalanobis" in without.output
    result = CliRunner().invoke(app, ["scope", "fit", str(run.path), "--labels", str(labels)])
    assert result.exit_code == 0, result.output
    assert "scope by joint" in result.output
    scope = read_scope(run.path / "scope")
    assert scope.record.other_clips == 12
    assert {"other_means", "other_precision"} < scope.arrays.keys()


def test_fit_scope_refuses_a_score_of_other_views_without_labels(with_others: tuple[TinyStore, Run, Path]) -> None:
    result = CliRunner().invoke(app, ["scope", "fit", str(with_others[1].path), "--score", "joint"])
    assert isinstance(result.exception, EvaluationError)
    assert "--labels" in str(result.exception)


def test_source_clips_gives_altered_copies_of_labeled_clips_alone(with_others: tuple[TinyStore, Run, Path]) -> None:
    tiny, run, labels = with_others
    stores, split = FrameStores.open([tiny.store]), SplitManifest.load(tiny.split)
    views = frame_labels(LabelStore(labels).events(), stores.frames)
    labeled, reference, copies = source_clips(run, stores, split, views)
    assert (len(labeled), (reference.truth == OTHER_VIEW).sum()) == (12, 12)
    assert np.bincount(copies.truth + 2).tolist() == [3 * 12, 0, *[3 * 3] * 4]
    other = reference.patient[reference.truth == OTHER_VIEW]
    assert set(copies.patient[copies.truth == OTHER_VIEW]) == set(other)
    assert reference.features is not None
    assert copies.features is not None
    first = copies.features[copies.patient == other[0]]
    assert np.abs(np.diff(first, axis=0)).max(1).min() > 0  # each copy is drawn anew


def test_open_scoped_model_leaves_out_the_class_of_other_views(
    tmp_path: Path, with_others: tuple[TinyStore, Run, Path]
) -> None:
    tiny, _, _ = with_others
    split, classes = SplitManifest.load(tiny.split), ("OTHER", "PLAX", "PSAX", "A4C")
    rows = [row | {"view": "OTHER" if row["view"] == "A2C" else row["view"]} for row in split.members.to_pylist()]
    changed = SplitManifest.freeze(
        tmp_path / "split", name="four", classes=classes, seed=0, source_sites=split.source_sites,
        held_out_sites=split.held_out_sites, settings={}, members=pa.Table.from_pylist(rows, schema=SPLIT_MEMBERS),
        stores=FrameStore.open(tiny.store),
    )  # fmt: skip
    certificate = split.certificate().model_copy(update={"split_sha256": changed.sha256})
    write_json(changed.path / "certificate.json", certificate.model_dump(mode="json"))
    run = train(TinyStore(tiny.store, changed.path).config(steps=2), tmp_path / "run")
    stores = FrameStores.open([tiny.store])
    labeled, reference, _ = source_clips(run, stores, changed)
    assert labeled.logits.shape[1] == 3
    assert np.bincount(labeled.truth + 2).tolist() == [3, 0, 3, 3, 3]
    assert np.bincount(reference.truth + 2).tolist() == [3, 60, 3, 3, 3]  # no guesses in the pool
    fit_scope(run)
    scoped = open_scoped_model(run)
    assert scoped.classes == ("PLAX", "PSAX", "A4C")
    pixels = stores.read(np.arange(3))
    np.testing.assert_allclose(scoped.predict(pixels)[:, :3], run.predict(pixels)[:, 1:], atol=1e-4)


def test_feature_extractor_gives_the_logits_of_the_run(run: Run, tiny: TinyStore) -> None:
    pixels = FrameStore.open(tiny.store).read(np.arange(5))
    features, logits = FeatureExtractor(run).compute(pixels)
    np.testing.assert_allclose(logits, run.predict(pixels), atol=1e-4)
    assert len(features) == 5
    assert features.std() > 0


def test_reset_scope_names_the_hospital(scoped: Path, tiny: TinyStore, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(scoped, tmp_path / "run"))
    store = str(tiny.store)
    site = sorted(set(FrameStore.open(tiny.store).clips["site"].to_pylist()))[-1]
    result = CliRunner().invoke(app, ["scope", "reset", str(copy), "--store", store, "--site", site])
    assert result.exit_code == 0, result.output
    record = read_scope(copy / "scope").record
    assert record.site == site
    assert record.thresholds == read_scope(scoped / "scope").record.thresholds


def test_predict_says_that_there_is_no_scope(run: Run) -> None:
    result = CliRunner().invoke(app, ["predict", str(run.path), str(REAL), "--frames", "even:1"])
    assert "no scope file: every clip is answered" in result.output


def test_predict_leaves_a_clip_out_of_scope_unanswered(scoped: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(scoped, tmp_path / "run"))
    path = copy / "scope" / SCOPE_FILE
    record = read_json(path, what="scope")
    write_json(path, record | {"thresholds": dict.fromkeys(record["thresholds"], -1e9)})
    (clip,) = predict_files(copy, REAL, rule="even:1")
    assert (clip.view, clip.probabilities, clip.frames) == ("", (), ())
    assert clip.sentence == "not answered: unlike the clips that the model knows"
    result = CliRunner().invoke(app, ["predict", str(copy), str(REAL), "--frames", "even:1", "--format", "json"])
    (printed,) = json.loads(result.stdout)
    assert (printed["status"], printed["probabilities"]) == ("not_answered", {})
    table = CliRunner().invoke(app, ["predict", str(copy), str(REAL), "--frames", "even:1"]).stdout
    assert table.strip() == f"{REAL.name}: {clip.sentence}, mode b_mode"
    done = predict_many(copy, REAL, tmp_path / "answers.jsonl", frames="even:1", workers=0)
    assert done.statuses == {AnswerStatus.NOT_ANSWERED.value: 1}
    assert '"scope_sha256":"' in (tmp_path / "answers.jsonl").read_text()
