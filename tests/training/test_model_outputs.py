"""What a run tells beside its views: embeddings, its last layer, its other weights, and an adversary."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from heart2heart.errors import RunError
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.model_outputs import ModelOutputs, vaal_scores
from heart2heart.training.run import Run
from heart2heart.training.train import train
from heart2heart.training.validation import infer

TABLES = {"probabilities", "embeddings", "student", "teacher", "earlier"}


@pytest.fixture(scope="module")
def run(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny.config(steps=4, evaluate_every=2), tmp_path_factory.mktemp("runs") / "r1")


def test_model_outputs_embeddings_and_last_layer_give_the_logits(run: Run, tiny: TinyStore) -> None:
    pixels = FrameStore.open(tiny.store).read(np.arange(9))
    evidence = ModelOutputs(run)
    tables = evidence.frame_tables(pixels, TABLES)
    weights, bias = evidence.last_layer()
    assert tables["embeddings"].shape == (9, len(weights))
    assert tables["embeddings"] @ weights + bias == pytest.approx(run.predict(pixels), abs=1e-4)
    assert tables["probabilities"] == pytest.approx(log_softmax(run.predict(pixels), axis=1), abs=1e-4)
    assert evidence.frame_tables(pixels, {"probabilities"})["probabilities"] == pytest.approx(tables["probabilities"])


def test_model_outputs_of_student_and_teacher_have_the_weights_of_the_last_step(run: Run, tiny: TinyStore) -> None:
    pixels = FrameStore.open(tiny.store).read(np.arange(5))
    tables = ModelOutputs(run).frame_tables(pixels, TABLES)
    saved = checkpoint.load(run.directory.last_checkpoint)
    for name, kept in (("student", "network"), ("teacher", "ema")):
        other = Run.load(run.path)
        other.network.load_state_dict(saved[kept])
        expected = infer(other.network, torch.from_numpy(pixels)).log_softmax(-1).numpy()
        assert tables[name] == pytest.approx(expected, abs=1e-4)
    assert np.abs(tables["student"] - tables["teacher"]).max() > 1e-4
    assert (tables["earlier"] == tables["student"]).all()
    same = ModelOutputs(run, run).frame_tables(pixels, TABLES)
    assert same["earlier"] == pytest.approx(same["probabilities"], abs=1e-5)


def test_model_outputs_names_a_missing_last_checkpoint(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "last.pt").unlink()
    pixels = FrameStore.open(tiny.store).read(np.arange(2))
    bare = ModelOutputs(Run.load(tmp_path / "run"))
    assert len(bare.frame_tables(pixels, {"probabilities", "embeddings"})["embeddings"]) == 2
    with pytest.raises(RunError, match="last checkpoint is gone"):
        bare.frame_tables(pixels, {"student"})


def test_model_outputs_of_a_network_without_a_linear_end_has_no_embeddings(run: Run) -> None:
    other = Run.load(run.path)
    other.network.register_forward_hook(lambda module, inputs, out: 2 * out)
    with pytest.raises(RunError, match="does not end in a linear layer"):
        ModelOutputs(other).last_layer()


def test_vaal_scores_separate_labeled_from_unlabeled() -> None:
    rng = np.random.default_rng(0)
    labeled = np.arange(400) < 40
    points = rng.normal(0, 1, (400, 8)).astype(np.float32)
    points[200:] += 6  # a heap without a label
    scores = vaal_scores(points, labeled, 0)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[200:].mean() > scores[:40].mean() + 0.2
    state = torch.random.get_rng_state()
    assert (vaal_scores(points, labeled, 0) == scores).all()
    assert torch.equal(torch.random.get_rng_state(), state)
