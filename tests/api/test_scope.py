"""The scope of a run: fitted, set again, and what predict then prints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import data_store
import numpy as np
import pytest
from typer.testing import CliRunner

from heart2heart.api.many_files import predict_many
from heart2heart.api.prediction import predict_files
from heart2heart.cli import app
from heart2heart.schema.clip_answer import AnswerStatus
from heart2heart.schema.scope import SCOPE_FILE
from heart2heart.scope.scope_files import read_scope
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.features import FeatureExtractor
from heart2heart.training.run import Run
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
